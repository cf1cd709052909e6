"""
Tests for what rules about several tables are told.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.configuration import Configuration
from momentum_tx.config.findings import MOST_WARNINGS, Findings
from momentum_tx.config.load import parse
from momentum_tx.config.stanzas import Stanza

TEXT = """\
[global]
tls = "no"
[domain."A.example"]
tls = "no"
[domain.'/example$/']
tls = "no"
[domain.'/org$/']
tls = "no"
[binding.b]
tls = "no"
[binding.b.domain."a.EXAMPLE"]
tls = "no"
[binding.b.domain.'/a/']
tls = "no"
[binding_group.g]
tls = "no"
[binding_group.g.domain."a.example"]
tls = "no"
[binding_group.g.binding.b]
tls = "no"
[binding_group.g.binding.b.domain."a.example"]
tls = "no"
[binding_group.h.binding.c]
tls = "no"
[host."mx.example"]
max_outbound_connections = 1
[host.'/mx/']
max_outbound_connections = 1
[binding.b.host."mx.example"]
outbound_throttle_messages = "1"
[binding_group.g.host.'/mx/']
outbound_throttle_messages = "1"
"""


class AroundTests(SynchronousTestCase):
    """
    Which tables hold for all that a table holds for.
    """

    def setUp(self) -> None:
        self.config = parse(TEXT)
        self.stanzas = {stanza.text: stanza for stanza in self.config.stanzas()}

    def around(self, header: str) -> list[str]:
        """
        Headers of the tables that were written.
        """
        return [each.text for each in self.config.around(self.stanzas[header]) if each.values]

    def test_domains(self) -> None:
        """
        For an exact name its regexes and the bindings around it count; of a regex nothing is sure but itself.
        """
        alone = ['[domain."A.example"]', "[domain.'/example$/']", "[global]"]
        self.assertEqual(self.around('[domain."A.example"]'), alone)
        self.assertEqual(self.around("[domain.'/example$/']"), alone[1:])
        self.assertEqual(
            self.around('[binding_group.g.domain."a.example"]'),
            ['[binding_group.g.domain."a.example"]', "[binding_group.g]", *alone],
        )
        plain = ["[binding_group.g.binding.b]", "[binding.b]", "[binding_group.g]"]
        inside = [
            '[binding_group.g.binding.b.domain."a.example"]',
            '[binding.b.domain."a.EXAMPLE"]',
            "[binding.b.domain.'/a/']",
            '[binding_group.g.domain."a.example"]',
            *plain,
            *alone,
        ]
        self.assertEqual(self.around('[binding.b.domain."a.EXAMPLE"]'), inside)
        self.assertEqual(self.around('[binding_group.g.binding.b.domain."a.example"]'), inside)
        self.assertEqual(self.around("[binding.b.domain.'/a/']"), ["[binding.b.domain.'/a/']", *plain, "[global]"])

    def test_bindings(self) -> None:
        """
        Around a binding there are its other table, its group, and everything.
        """
        plain = ["[binding_group.g.binding.b]", "[binding.b]", "[binding_group.g]", "[global]"]
        self.assertEqual(self.around("[binding.b]"), plain)
        self.assertEqual(self.around("[binding_group.g.binding.b]"), plain)
        self.assertEqual(self.around("[binding_group.g]"), plain[2:])
        self.assertEqual(self.around("[global]"), plain[3:])

    def test_hosts(self) -> None:
        """
        Around a host there are hosts alone.
        """
        alone = ['[host."mx.example"]', "[host.'/mx/']"]
        self.assertEqual(self.around('[host."mx.example"]'), alone)
        self.assertEqual(
            self.around('[binding.b.host."mx.example"]'),
            ["[binding_group.g.host.'/mx/']", '[binding.b.host."mx.example"]', *alone],
        )
        self.assertEqual(self.around("[binding_group.g.host.'/mx/']"), ["[binding_group.g.host.'/mx/']"])

    def test_itself(self) -> None:
        """
        Every table is around itself.
        """
        for stanza in self.config.stanzas():
            self.assertIn(stanza, self.config.around(stanza))


class SettledTests(SynchronousTestCase):
    """
    Whether an option is the same wherever a table holds.
    """

    def settled(self, text: str, header: str) -> bool:
        """
        Whether ``tls`` is.
        """
        config: Configuration = parse(text)
        stanza: Stanza = next(each for each in config.stanzas() if each.text == header)
        return Findings(config).settled(stanza, "tls")

    def test_narrower(self) -> None:
        """
        A narrower table may say otherwise; a wider one is already counted in.
        """
        text = "[global]\ntls='no'\n[domain.'a.example']\ntls='no'\n[binding.b]\n"
        self.assertFalse(self.settled(text, "[global]"))
        self.assertTrue(self.settled(text, '[domain."a.example"]'))
        self.assertFalse(self.settled(text, "[binding.b]"))

    def test_strangers(self) -> None:
        """
        Tables of another name, another binding or another group hold for other mail.
        """
        mine = "[binding.b.domain.'a.example']\nidle_timeout=1\n"
        header = '[binding.b.domain."a.example"]'
        for other in ("[domain.'b.example']", "[binding.c]", "[host.'a.example']", "[binding.c.domain.'a.example']"):
            option = "max_outbound_connections=1" if other.startswith("[host") else "tls='no'"
            self.assertTrue(self.settled(f"{mine}{other}\n{option}", header), other)
        # A regex of the group may or may not find the name; one outside does, and is counted in.
        group = "[binding_group.g.binding.b]\n[binding_group.g.domain.'/b/']\ntls='no'"
        self.assertFalse(self.settled(f"{mine}{group}", header))
        self.assertTrue(self.settled(f"{mine}[domain.'/a/']\ntls='no'", header))

    def test_bound(self) -> None:
        """
        A hundred thousand doubts are a hundred, and a word.
        """
        tables = "".join(f"[domain.'d{number}.example']\n" for number in range(MOST_WARNINGS + 3))
        warnings = parse(tables, "x").warnings
        self.assertEqual(len(warnings), MOST_WARNINGS + 1)
        self.assertEqual(warnings[-1], "x: there are more such doubts")
        self.assertTrue(warnings[MOST_WARNINGS - 1].startswith(f"x:{MOST_WARNINGS}: "))
