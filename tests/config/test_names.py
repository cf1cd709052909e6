"""
Tests for names, addresses and networks as values.
"""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config import names

Check = Callable[[str], str]


class NamesTests(SynchronousTestCase):
    """
    What an operator may write, and what becomes of it.
    """

    def settles(self, check: Check, *cases: tuple[str, str]) -> None:
        """
        Each first settles to its second.
        """
        for written, settled in cases:
            self.assertEqual(check(written), settled, written)

    def refuses(self, check: Check, *cases: str) -> None:
        """
        Each is refused with a text.
        """
        for written in cases:
            error = self.assertRaises(ValueError, check, written)
            self.assertNotEqual(str(error), "", written)

    def test_domain(self) -> None:
        """
        Names become lower-case A-labels without a final dot; address literals stay.
        """
        self.settles(
            names.domain,
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("localhost", "localhost"),
            ("_dmarc.a-b.example", "_dmarc.a-b.example"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("faß.de", "xn--fa-hia.de"),
            ("192.0.2.1", "192.0.2.1"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"),
            ("2001:DB8::1", "2001:db8::1"),
        )
        self.refuses(
            names.domain, "", ".", "a..b", "-a.b", "a-.b", "a b", "a/b", "a@b", "x" * 64, "a." * 127 + "com", "[foo]"
        )

    def test_delivery_method(self) -> None:
        """
        A method is known in any case of letters; one of Momentum's that is not here
        is refused with the reason.
        """
        self.settles(names.delivery_method, ("ESMTP", "ESMTP"), ("lmtp", "LMTP"), ("Smtp", "SMTP"))
        self.refuses(names.delivery_method, "", "smtps", "XFER", " LMTP")
        for method in ("ecstream", "APN", "GCM", "MM7"):
            error = self.assertRaises(ValueError, names.delivery_method, method)
            self.assertIn("this server speaks nothing else", str(error))

    def test_wildcard(self) -> None:
        """
        Who writes a wildcard is shown the regex that means it.
        """
        error = self.assertRaises(ValueError, names.domain, "*.example.com")
        self.assertIn(r"'/\.example\.com$/'", str(error))

    def test_rollup_name(self) -> None:
        """
        A routing domain is a name, and no address.
        """
        self.settles(names.rollup_name, ("", ""), ("Provider.Example.", "provider.example"))
        self.refuses(names.rollup_name, "192.0.2.1:25", "[192.0.2.1]", "2001:db8::1", "*.example")

    def test_looked_up(self) -> None:
        """
        Looking a name up never fails, whatever name a message brought along.
        """
        self.settles(names.looked_up, ("Bücher.EXAMPLE", "xn--bcher-kva.example"), ("A..B", "a..b"), ("", ""))

    def test_full_names(self) -> None:
        """
        Our own name must be one a peer can look up (RFC 5321 2.3.5).
        """
        self.settles(names.full_name, ("MX1.Example.com", "mx1.example.com"))
        bad = ("localhost", "", "192.0.2.1", "a_b.example.com", "[192.0.2.1]", "a.example.com\r\nMAIL", "2001:db8::1")
        self.refuses(names.full_name, *bad)
        self.settles(names.host_name, ("", ""), ("a.example", "a.example"))
        self.settles(
            names.ehlo_name,
            ("__hostname__", "__hostname__"),
            ("__message__", "__message__"),
            ("A.example", "a.example"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[ipv6:2001:DB8::1]", "[IPv6:2001:db8::1]"),
        )
        self.refuses(names.ehlo_name, "", "localhost", "__other__", "[x]", "a.example\r\n")

    def test_address(self) -> None:
        """
        A source address is numeric and unicast.
        """
        self.settles(names.address, ("", ""), ("192.0.2.1", "192.0.2.1"), ("2001:DB8:0::1", "2001:db8::1"))
        self.refuses(names.address, "mx.example.com", "192.0.2", "192.0.2.1:25", "[2001:db8::1]", "224.0.0.1", "*")

    def test_network(self) -> None:
        """
        A network is in CIDR form; a slip in the prefix is shown what it may have meant.
        """
        self.settles(
            names.network,
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:DB8::/32", "2001:db8::/32"),
        )
        self.refuses(names.network, "", "10/8", "10.0.0.0/33", "example.com")
        error = self.assertRaises(ValueError, names.network, "10.1.2.3/8")
        self.assertIn("nearest: 10.0.0.0/8", str(error))

    def test_skipped(self) -> None:
        """
        What is left out is a network, an address, a host name or a regex.
        """
        self.settles(
            names.skipped,
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1", "10.0.0.1/32"),
            ("MX.example", "mx.example"),
            ("/^mx/", "/^mx/"),
        )
        self.refuses(names.skipped, "", "10.0.0.1/8", "10.0.0.0/40", "/[/", "*.example", "mx..example")

    def test_nameserver(self) -> None:
        """
        A nameserver is an address with or without a port.
        """
        for good in ("1.2.3.4", "1.2.3.4:53", "[::1]:53", "[::1]", "::1"):
            self.assertEqual(names.nameserver(good), good)
        self.refuses(
            names.nameserver,
            "",
            "ns.example",
            "1.2.3.4:0",
            "1.2.3.4:65536",
            "1.2.3.4:x",
            "1.2.3.4:",
            "[::1",
            "[1.2.3.4]:53",
        )
        self.refuses(names.nameserver, "[::1]53", "1.2.3.4:٥٣")

    def test_gateway_and_route(self) -> None:
        """
        A next hop is a name or an address; only a route has a port of its own.
        """
        self.settles(
            names.gateway, ("", ""), ("Relay", "relay"), ("192.0.2.1", "192.0.2.1"), ("[2001:DB8::1]", "[2001:db8::1]")
        )
        self.refuses(names.gateway, "a b", "[x]", "relay:25")
        for text, instead in (
            ("relay:25", '[domain."relay"], or routes = ["smtp://relay/?port=25"]'),
            ("[2001:db8::1]:2525", 'write remote_smtp_port = 2525 into [domain."[2001:db8::1]"]'),
        ):
            self.assertIn(instead, str(self.assertRaises(ValueError, names.gateway, text)))
        self.settles(
            names.route,
            ("__mx__", "__mx__"),
            ("MX.example:2525", "mx.example:2525"),
            ("192.0.2.1:25", "192.0.2.1:25"),
            ("[2001:DB8::1]:25", "[2001:db8::1]:25"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
        )
        self.refuses(names.route, "", "mx.example:", "mx.example:99999", "[mx.example]:25", ":25")

    def test_route_with_parameters(self) -> None:
        """
        A route may say its preference, lifetime, port and what is looked up, in
        any order; it settles to one spelling.
        """
        self.settles(
            names.route,
            ("smtp://MX.example", "smtp://mx.example"),
            ("ESMTP://mx.example/", "esmtp://mx.example"),
            ("lmtp://192.0.2.1?", "lmtp://192.0.2.1"),
            ("smtp://[2001:DB8::1]?pref=0", "smtp://[2001:db8::1]?pref=0"),
            ("smtp://2001:DB8::1", "smtp://[2001:db8::1]"),
            ("smtp://mx.example:26/?pref=7", "smtp://mx.example?pref=7&port=26"),
            (
                "smtp://mx.example?type=mx&port=26&ttl=300&pref=65535",
                "smtp://mx.example?pref=65535&ttl=300&port=26&type=mx",
            ),
        )
        for text, reason in (
            ("http://mx.example", "is not a route"),
            ("smtp://", "is empty"),
            ("smtp://mx.example/inbox", "is not a route"),
            ("mx.example?pref=1", "is not a route"),
            ("smtp://__mx__?pref=1", "stands alone"),
            ("smtp://mx.example?weight=1", "'weight'"),
            ("smtp://mx.example?PREF=1", "'PREF'"),
            ("smtp://mx.example?pref", "pref that is no whole number"),
            ("smtp://mx.example?pref=65536", "from 0 to 65535"),
            ("smtp://mx.example?pref=-1", "pref that is no whole number"),
            ("smtp://mx.example?ttl=0", "from 1 to 31536000"),
            ("smtp://mx.example?ttl=5m", "ttl that is no whole number"),
            ("smtp://mx.example?port=99999", "from 1 to 65535"),
            ("smtp://mx.example?port=\u0662\u0665", "port that is no whole number"),
            ("smtp://mx.example:25?port=26", "two ports"),
            ("smtp://mx.example?type=cname", "neither mx nor a"),
            ("smtp://mx.example?pref=1&pref=2", "twice"),
            ("smtp://mx.example?pref=1&", "''"),
        ):
            error = self.assertRaises(ValueError, names.route, text)
            self.assertIn(reason, str(error), text)

    def test_others(self) -> None:
        """
        Endpoint strings and directories are not empty; a hook names module and object.
        """
        self.refuses(names.listener, "")
        self.refuses(names.directory, "")
        self.settles(names.listener, ("tcp:25", "tcp:25"))
        self.settles(names.directory, ("/var/spool/x", "/var/spool/x"))
        self.settles(names.provider, ("a.b:c.d", "a.b:c.d"))
        self.refuses(names.provider, "", "a.b", "a.b:", ":c", "a b:c", "a.1b:c", "a..b:c")

    def test_bindings(self) -> None:
        """
        Names of bindings separate words in commands and logs, hence neither spaces nor colons.
        """
        self.settles(names.binding, ("B-1.x", "B-1.x"))
        self.refuses(names.binding, "", "a b", "a:b", "a\tb", "a\u00a0b", "a\x00")
        self.settles(names.binding_group, ("a:b", "a:b"))
        self.refuses(names.binding_group, "", "a b")
