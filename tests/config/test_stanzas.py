"""
Tests for the mistakes in a file: each is found, at its line, in one pass.
"""

import tomllib
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.lines import Lines
from momentum_tx.config.stanzas import Reader, nearest

#: Text of a file, then per mistake its line, its key path, and a part of what is said.
CASES: Sequence[tuple[str, str, tuple[tuple[int, str, str], ...]]] = (
    ("wrong type", "[global]\n\nretry_interval = '5'", ((3, "global.retry_interval", 'expected a number, not "5"'),)),
    ("true for 1", "[global]\nremote_smtp_port = true", ((2, "global.remote_smtp_port", "not true"),)),
    ("1 for true", "[global]\nuse_ipv6 = 1", ((2, "global.use_ipv6", "expected true or false"),)),
    ("not finite", "[global]\nretry_interval = inf", ((2, "global.retry_interval", "finite"),)),
    ("below", "[global]\nremote_smtp_port = 0", ((2, "global.remote_smtp_port", "at least 1, not 0"),)),
    ("above", "[global]\nremote_smtp_port = 70000", ((2, "global.remote_smtp_port", "at most 65535"),)),
    ("choice", "[global]\ntls = 'maybe'", ((2, "global.tls", '"ifavailable", "required" or "implicit"'),)),
    ("misspelt", "[global]\nretry_intervall = 1", ((2, "global.retry_intervall", "(nearest: retry_interval)"),)),
    ("upper case", "[global]\nRetry-Interval = 1", ((2, "global.Retry-Interval", "(nearest: retry_interval)"),)),
    ("unknown", "[global]\nzzz = 1", ((2, "global.zzz", "unknown option"),)),
    ("unknown table", "[domian.'a.b']\n", ((1, "domian", "unknown table (nearest: domain)"),)),
    ("no table", "retry_interval = 1", ((1, "retry_interval", "outside every table; it may stand in [global]"),)),
    ("no table, unknown", "retry_intervall = 1", ((1, "retry_intervall", "(nearest: retry_interval)"),)),
    ("table wanted", "global = 1\n[binding]\nb = 2", ((1, "global", "expected a table"), (3, "binding.b", "a table"))),
    ("array of tables", "[[binding.b]]\n", ((1, "binding.b", "expected a table, not a list"),)),
    ("list for domain", "[binding.b]\ndomain = 3", ((2, "binding.b.domain", "expected a table"),)),
    ("no name", "[domain]\nretry_interval = 1", ((2, "domain.retry_interval", 'under a name: [domain."..."]'),)),
    (
        "not there: service option in a domain",
        "[domain.'a.b']\nstate_dir = 'x'",
        ((2, 'domain."a.b".state_dir', 'may not stand in [domain."..."]; it may stand in [global]'),),
    ),
    (
        "not there: domain-wide option in a binding",
        "[binding.b]\nroutes = []",
        ((2, "binding.b.routes", 'it may stand in [global], [domain."..."]'),),
    ),
    (
        "not there: bind_address in a domain",
        "[domain.'a.b']\nbind_address = '192.0.2.1'",
        ((2, 'domain."a.b".bind_address', "it may stand in [global], [binding.NAME], [binding_group.NAME]"),),
    ),
    (
        "not there: delivery option in a host",
        "[host.'mx.a.b']\ntls = 'no'",
        ((2, 'host."mx.a.b".tls', 'may not stand in [host."..."]'),),
    ),
    ("table in global", "[global.domain.'a.b']", ((1, "global.domain", "[global] holds no tables"),)),
    (
        "limit of a host in a binding",
        "[binding.b.host.'a.b']\nmax_outbound_connections = 1",
        ((2, 'binding.b.host."a.b".max_outbound_connections', "it may stand in"),),
    ),
    ("host in domain", "[domain.'a.b'.host.'c.d']", ((1, 'domain."a.b".host."c.d"', "must be quoted"),)),
    (
        "unquoted name",
        "[domain.mx.example.com]\nretry_intervall = 1",
        (
            (1, "domain.mx.example.com", 'must be quoted: [domain."mx.example.com"]'),
            (2, "domain.mx.example.com.retry_intervall", "(nearest: retry_interval)"),
        ),
    ),
    (
        "unquoted names beside one without dots",
        "[domain.localhost]\ntls='no'\n[domain.localhost.com]\n[domain.localhost.com.au]\n[host.mx.example]",
        (
            (4, "domain.localhost.com.au", '[domain."localhost.com.au"]'),
            (5, "host.mx.example", '[host."mx.example"]'),
        ),
    ),
    (
        "unquoted name inside a binding, with the word domain in it",
        "[binding_group.g.binding.b.domain.domain.com]",
        ((1, "binding_group.g.binding.b.domain.domain.com", '[binding_group.g.binding.b.domain."domain.com"]'),),
    ),
    ("unquoted binding", "[binding.a.b]", ((1, "binding.a.b", '[binding."a.b"]'),)),
    ("misspelt inner table", "[binding.a.domains.'x.y']", ((1, "binding.a.domains", "(nearest: domain)"),)),
    ("unsafe", "[global]\ndurability = 'unsafe'", ((2, "global.durability", "i_accept_loss = true"),)),
    (
        "unsafe, not accepted",
        "[global]\ni_accept_loss = false\ndurability = 'unsafe'",
        ((3, "global.durability", "loses accepted mail"),),
    ),
    (
        "TTL limits crossed",
        "[global]\nmin_dns_ttl = 600\nmax_dns_ttl = 300",
        ((2, "global.min_dns_ttl", "must not be above max_dns_ttl, which is 300"),),
    ),
    (
        "networks, each in its list",
        "[global]\nprohibited_hosts = [\n'10.0.0.0/8',\n'x']\nrelay_hosts = ['10.0.0.1/8']\ntrusted_hosts = ['']",
        (
            (2, "global.prohibited_hosts", 'element 2: "x" is not a network'),
            (5, "global.relay_hosts", "(nearest: 10.0.0.0/8)"),
            (6, "global.trusted_hosts", "element 1"),
        ),
    ),
    (
        "bind_address wherever it may stand",
        "[global]\nbind_address='x'\n[binding.b]\nbind_address='mx.a.b'\n[binding_group.g]\nbind_address='1.2.3'\n"
        "[binding_group.g.binding.c]\nbind_address='ff02::1'",
        (
            (2, "global.bind_address", "numeric"),
            (4, "binding.b.bind_address", "numeric"),
            (6, "binding_group.g.bind_address", "numeric"),
            (8, "binding_group.g.binding.c.bind_address", "multicast"),
        ),
    ),
    ("nameserver", "[global]\nnameservers=['1.2.3.4:99999']", ((2, "global.nameservers", "1 to 65535"),)),
    (
        "own names",
        '[global]\nhostname="localhost"\nehlo_hostname=""\n[domain."a.b"]\nehlo_hostname="a.b\\r\\nQUIT"',
        (
            (2, "global.hostname", "fully qualified"),
            (3, "global.ehlo_hostname", "is empty"),
            (5, 'domain."a.b".ehlo_hostname', "control character U+000D"),
        ),
    ),
    ("regex", "[domain.'/(a/']", ((1, "domain.'/(a/'", "does not compile"),)),
    ("regex without end", "[host.'/a']", ((1, "host.'/a'", "between two slashes"),)),
    ("empty regex", "[domain.'//']", ((1, "domain.'//'", "not empty"),)),
    ("wildcard", "[domain.'*.a.b']", ((1, 'domain."*.a.b"', r"'/\.a\.b$/'"),)),
    ("bad domain", "[domain.'a..b']", ((1, 'domain."a..b"', "is not a domain name"),)),
    ("max_retries", "[global]\nmax_retries = -1", ((2, "global.max_retries", "at least 0"),)),
    (
        "one name twice",
        "[domain.'Example.com']\n[domain.'bücher.de']\n[domain.'example.com.']\n[domain.'xn--bcher-kva.de']",
        (
            (3, 'domain."example.com."', 'means the same name as f.toml:1: domain."Example.com"'),
            (4, 'domain."xn--bcher-kva.de"', "f.toml:2"),
        ),
    ),
    ("binding with a space", "[binding.'a b']", ((1, 'binding."a b"', "no white space"),)),
    ("binding with a colon", "[binding_group.g.binding.'a:b']", ((1, 'binding_group.g.binding."a:b"', "no colon"),)),
    (
        "binding in two groups",
        "[binding_group.g.binding.b]\n\n[binding_group.h.binding.b.domain.'x.y']",
        (
            (
                3,
                "binding_group.h.binding.b",
                "at most one group; this one is also at f.toml:1: binding_group.g.binding.b",
            ),
        ),
    ),
    ("empty group", "[binding_group.g]", ((1, "binding_group.g", "[binding_group.g.binding.NAME]"),)),
    (
        "inline tables",
        "[domain]\n'a.b' = { retry_interval = 1,\u0020tls = 2 }\n'c.d'.tls = 3",
        ((2, 'domain."a.b".tls', "expected"), (3, 'domain."c.d".tls', "expected")),
    ),
    ("dates", "[global]\nlog_dir = 1979-05-27", ((2, "global.log_dir", "not a date or time"),)),
)

#: Files in which nothing is wrong.
GOOD = (
    "",
    "[global]\nhostname = ''\nehlo_hostname = '__message__'\nprohibited_hosts = []",
    "[global]\ndurability = 'unsafe'\ni_accept_loss = true",
    "[global]\nmin_dns_ttl = 300\nmax_dns_ttl = 300",
    "[binding.default]\n[binding_group.default]\nretry_interval = 1",
    "[binding_group.g.binding.default]",
    "[binding.b]\n[binding_group.g.binding.b]",
    "[binding.B]\n[binding.b]",
    "[domain.localhost]\n[domain.'[192.0.2.1]']\n[domain.'/./']\n[host.'192.0.2.1']",
    "[domain]\n[host]\n[binding]\n[binding_group]\n[global]",
)


class MistakeTests(SynchronousTestCase):
    """
    A bad file tells everything that is wrong with it.
    """

    def mistakes(self, text: str) -> list[str]:
        """
        What is wrong with *text*.
        """
        reader = Reader("f.toml", Lines(text))
        reader.read(tomllib.loads(text))
        return reader.mistakes

    def test_each(self) -> None:
        """
        Every kind of mistake has its line, its key path, and says what is wrong.
        """
        for name, text, expected in CASES:
            mistakes = self.mistakes(text)
            self.assertEqual(len(mistakes), len(expected), (name, mistakes))
            for mistake, (line, key, said) in zip(mistakes, expected, strict=True):
                self.assertTrue(mistake.startswith(f"f.toml:{line}: {key}: "), (name, mistake))
                self.assertIn(said, mistake, name)
                self.assertNotIn("\n", mistake)

    def test_all_in_one_pass(self) -> None:
        """
        All mistakes of a file come together, in the order of its lines.
        """
        text = (
            "[binding.b]\nx=1\n[domain.'a.b']\ny=2\n[global]\nz=3\n[binding_group.g.binding.b]\nw=4\n[binding.c]\nv=5"
        )
        mistakes = self.mistakes(text)
        self.assertEqual([mistake.split(":")[1] for mistake in mistakes], ["2", "4", "6", "8", "10"])

    def test_nothing_wrong(self) -> None:
        """
        What may be written is not complained about.
        """
        for text in GOOD:
            self.assertEqual(self.mistakes(text), [], text)

    def test_nearest(self) -> None:
        """
        A name that is like no other gets no suggestion.
        """
        self.assertEqual(nearest("qqqq", ["retry_interval"]), "")
        self.assertEqual(nearest("RETRY-INTERVAL", ["retry_interval"]), " (nearest: retry_interval)")
