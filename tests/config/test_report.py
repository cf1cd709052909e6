"""
A configuration told to people.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.configuration import Configuration
from momentum_tx.config.load import default, parse
from momentum_tx.config.options import BY_CLASS, CLASSES, Table
from momentum_tx.config.report import dump, explanation, toml_value

TEXT = r"""
[global]
state_dir = "/var/lib/\u00fcber"
nameservers = ["192.0.2.53", "192.0.2.54:5353"]
banner_timeout = 7
[domain."example.com"]
max_outbound_connections = 50
routes = ["mx.example.net:2525", "__mx__"]
[domain.'/\.example\.org$/']
retry_interval = 900
[host."mx1.example.net"]
max_outbound_connections = 3
[binding.b1]
bind_address = "127.0.0.1"
[binding.b1.domain."example.com"]
tls = "required"
[binding_group.g]
retry_interval = 30.5
[binding_group.g.domain.'/x/']
suspend_delivery = true
[binding_group.g.binding.b2]
ehlo_hostname = "b2.example"
[binding_group.g.binding.b2.domain."example.com"]
pipelining = false
"""


def settled(config: Configuration) -> list[object]:
    """
    Everything a service reads of a configuration.
    """
    domains = ("example.com", "a.example.org", "x.example", "other.example")
    found: list[object] = [config.global_settings, config.bindings, config.groups]
    found += [config.path(slot, domain) for slot in range(len(config.bindings)) for domain in domains]
    found += [config.domain(domain) for domain in domains]
    return found + [config.host(host) for host in ("mx1.example.net", "mx2.example.net")]


class DumpTests(SynchronousTestCase):
    """
    All that is in force.
    """

    def test_says_the_same(self) -> None:
        """
        What was dumped is a file that says the same, table by table.
        """
        for config in (parse(TEXT, "mx.toml"), default()):
            again = parse(dump(config))
            self.assertEqual(settled(again), settled(config))
            self.assertEqual(dump(again).count("["), dump(config).count("["))

    def test_everything_is_named(self) -> None:
        """
        Every option that may stand in ``[global]`` is there, written or not, and
        what was written says where.
        """
        text = dump(parse(TEXT, "mx.toml"))
        lines = text.partition("\n\n")[0].splitlines()
        named = [line.removeprefix("# ").split(" ")[0] for line in lines[2:]]
        everywhere = [name for owner in CLASSES for name, each in BY_CLASS[owner].items() if each.allowed(Table.GLOBAL)]
        self.assertEqual(named, everywhere)
        self.assertIn("# prohibited_hosts is unset", lines)
        self.assertIn("banner_timeout = 7.0  # mx.toml:5", text)
        self.assertIn("retry_interval = 1200.0\n", text)
        self.assertIn("[domain.'/\\.example\\.org$/']\nretry_interval = 900.0  # mx.toml:10", text)

    def test_values(self) -> None:
        """
        Every kind of value is spelled as TOML wants it.
        """
        spelled = [toml_value(value) for value in (True, 3, 0.5, 'say "ü"\x7f\n', ("a", "b"), ())]
        self.assertEqual(spelled, ["true", "3", "0.5", '"say \\"ü\\"\\u007f\\n"', '["a", "b"]', "[]"])


class ExplanationTests(SynchronousTestCase):
    """
    Where a value comes from.
    """

    def test_written(self) -> None:
        """
        The value stands first, then its place, then who was asked before.
        """
        config = parse(TEXT, "mx.toml")
        slot = config.binding_slot("b2")
        assert slot is not None
        lines = explanation("retry_interval", config.explain("retry_interval", slot, "example.com")).splitlines()
        self.assertEqual(lines[:2], ["30.5", "set in [binding_group.g] at mx.toml:18"])
        self.assertEqual(lines[-1], "  [binding_group.g]")
        self.assertEqual(len(lines), 10)

    def test_built_in(self) -> None:
        """
        What nobody wrote says so; what has no value is unset.
        """
        origin = default().explain("retry_interval", 0, "example.com")
        lines = explanation("retry_interval", origin).splitlines()
        self.assertEqual(lines[:2], ["1200.0", "built-in, nobody has written retry_interval"])
        self.assertEqual(explanation("banner_timeout", default().explain("banner_timeout")).splitlines()[0], "unset")
