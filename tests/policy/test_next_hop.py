"""
Tests of :mod:`momentum_tx.policy.next_hop`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.next_hop import Route, before_ourselves, is_address, parse_next_hop, parse_route, preferences


class NextHopTests(SynchronousTestCase):
    """
    Next hops as operators write them.
    """

    def test_understood(self) -> None:
        """
        A name or an address, with or without a port.
        """
        for text, hop in (
            ("mx.example.com", ("mx.example.com", 0)),
            ("mx.example.com:2525", ("mx.example.com", 2525)),
            ("MX.Example.COM.", ("mx.example.com", 0)),
            ("MX.Example.COM.:25", ("mx.example.com", 25)),
            ("localhost", ("localhost", 0)),
            ("192.0.2.1", ("192.0.2.1", 0)),
            ("192.0.2.1:1", ("192.0.2.1", 1)),
            ("192.0.2.1:65535", ("192.0.2.1", 65535)),
            ("[192.0.2.1]", ("192.0.2.1", 0)),
            ("[192.0.2.1]:26", ("192.0.2.1", 26)),
            ("::1", ("::1", 0)),
            ("2001:db8::25", ("2001:db8::25", 0)),
            ("[2001:db8::1]", ("2001:db8::1", 0)),
            ("[2001:db8::1]:2525", ("2001:db8::1", 2525)),
            ("[IPv6:2001:db8::1]", ("2001:db8::1", 0)),
        ):
            self.assertEqual(parse_next_hop(text), hop, text)

    def test_refused(self) -> None:
        """
        Anything else is refused with a text that names it.
        """
        for text in (
            "",
            ".",
            "..",
            ".:25",
            ":25",
            " mx.example.com",
            "mx example.com",
            "mx.example.com\n",
            "postmaster@example.com",
            "smtp://mx.example.com",
            "<mx.example.com>",
            "mx.example.com:",
            "mx.example.com:0",
            "mx.example.com:65536",
            "mx.example.com:-25",
            "mx.example.com:+25",
            "mx.example.com: 25",
            "mx.example.com:smtp",
            "mx.example.com:2_5",
            "mx.example.com:\u0662\u0665",
            "mx.example.com:\u00b2",
            "mx.example.com:" + "9" * 5000,
            "mx.example.com:25:26",
            "2001:db8::1:port",
            "[2001:db8::1",
            "[2001:db8::1]25",
            "[2001:db8::1]:",
            "[2001:db8::1]:0",
            "[2001:db8::1]x:25",
            "[]",
            "[]:25",
            "[mx.example.com]",
            "[mx.example.com]:25",
            "1.2.3.4:5:6",
        ):
            error = self.assertRaises(ValueError, parse_next_hop, text)
            self.assertIn(repr(text), str(error))

    def test_is_address(self) -> None:
        """
        Numeric addresses are told from names that look like them.
        """
        for text, answer in (
            ("192.0.2.1", True),
            ("2001:db8::1", True),
            ("::ffff:192.0.2.1", True),
            ("192.0.2", False),
            ("192.0.2.256", False),
            ("192.0.2.1.example.com", False),
            ("mx.example.com", False),
            ("[192.0.2.1]", False),
            ("192.0.2.1:25", False),
            ("192.0.2.0/24", False),
            ("", False),
        ):
            self.assertIs(is_address(text), answer, text)


class RouteTests(SynchronousTestCase):
    """
    Entries of ``routes``, as the configuration settles them.
    """

    def test_understood(self) -> None:
        """
        A next hop, the word for the domain's own exchangers, or a host with parameters.
        """
        for text, route in (
            ("__mx__", Route("__mx__")),
            ("mx.example.com", Route("mx.example.com")),
            ("[2001:db8::1]:26", Route("2001:db8::1", 26)),
            ("smtp://192.0.2.1", Route("192.0.2.1")),
            ("smtp://mx.example.com?pref=0", Route("mx.example.com", 0, 0)),
            ("lmtp://[2001:db8::1]?port=26", Route("2001:db8::1", 26)),
            ("smtp://a.example?pref=10&ttl=300&port=26&type=mx", Route("a.example", 26, 10, 300.0, True)),
            ("smtp://a.example?type=a", Route("a.example")),
        ):
            self.assertEqual(parse_route(text), route, text)

    def test_preferences(self) -> None:
        """
        A route without a preference comes after all before it.
        """
        for written, counted in (
            ((), []),
            ((None, None, None), [0, 1, 2]),
            ((10, 10, None, None), [10, 10, 11, 12]),
            ((None, 10, 5, None), [0, 10, 5, 11]),
            ((0, None), [0, 1]),
        ):
            routes = [Route("mx.example", 0, preference) for preference in written]
            self.assertEqual(preferences(routes), counted)


class OurselvesTests(SynchronousTestCase):
    """
    Domains whose exchanger we are.
    """

    def test_table(self) -> None:
        """
        We and all that are no better than we are left out, unless nobody is better.
        """
        own = "Mail.Example."
        for exchangers, left in (
            ([], []),
            ([(10, "a"), (20, "b")], [(10, "a"), (20, "b")]),
            ([(10, "a"), (20, "mail.example"), (20, "b"), (30, "c")], [(10, "a")]),
            ([(30, "c"), (20, "MAIL.example."), (10, "a"), (5, "b")], [(10, "a"), (5, "b")]),
            ([(10, "mail.example"), (20, "b")], [(10, "mail.example"), (20, "b")]),
        ):
            self.assertEqual(before_ourselves(exchangers, own), left)
