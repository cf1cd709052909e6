"""
Addresses that may go onto the wire, and those that may not.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.smtp.addresses import canonical_domain, check_address, parse_parameters, parse_path, split_address


class PathTests(SynchronousTestCase):
    """
    Arguments of MAIL FROM and RCPT TO.
    """

    def test_paths(self) -> None:
        """
        What comes out is the address as written, and the parameters behind it.
        """
        for argument, expected in (
            (b"<a@example.com>", (b"a@example.com", b"")),
            (b"<A.b+c@Example.COM> SIZE=10  BODY=8BITMIME ", (b"A.b+c@Example.COM", b"SIZE=10  BODY=8BITMIME")),
            (b" <a@example.com>", (b"a@example.com", b"")),
            (b"<>", (b"", b"")),
            (b"<> SIZE=1", (b"", b"SIZE=1")),
            (b"<Postmaster>", (b"Postmaster", b"")),
            (b'<"a b"@example.com>', (b'"a b"@example.com', b"")),
            (b'<"a>b@c"@example.com> X', (b'"a>b@c"@example.com', b"X")),
            (b'<"a\\"<b"@example.com>', (b'"a\\"<b"@example.com', b"")),
            (b"<a@[192.0.2.1]>", (b"a@[192.0.2.1]", b"")),
            (b"<a@[IPv6:2001:db8::1]>", (b"a@[IPv6:2001:db8::1]", b"")),
            (b"<@one.example,@two.example:a@example.com>", (b"a@example.com", b"")),
            (b"<@one.example:postmaster>", (b"postmaster", b"")),
        ):
            self.assertEqual(parse_path(argument), expected, argument)

    def test_malformed_paths(self) -> None:
        """
        What is no path is refused with a sentence for the client.
        """
        for argument in (
            b"",
            b"a@example.com",
            b"<a@example.com",
            b"a@example.com>",
            b"<a@example.com>SIZE=1",
            b"<<a@example.com>>",
            b"<a b@example.com>",
            b"<a@exa mple.com>",
            b"<@one.example:>",
            b"<@one.example>",
            b"<a>",
            b"<@example.com>",
            b"<a@>",
            b"<a@b@example.com>",
            b"<a\r@example.com>",
            b"<a\n@example.com>",
            b"<a\0@example.com>",
            b'<"a\r"@example.com>',
            b"<a@example.com>\0",
            b"<a@example.com\r\n> X",
        ):
            with self.assertRaises(ValueError, msg=repr(argument)) as caught:
                parse_path(argument, True)
            self.assertTrue(str(caught.exception).isprintable())

    def test_long_paths(self) -> None:
        """
        The limits of RFC 5321 4.5.3.1 hold for paths as for addresses.
        """
        fine = b"x" * 64 + b"@" + b"y" * 63 + b"." + b"z" * 63
        self.assertEqual(parse_path(b"<" + fine + b">"), (fine, b""))
        for address in (b"x" * 65 + b"@y.example", b"x@" + b"y" * 64, fine + b"." + b"y" * 63):
            self.assertRaises(ValueError, parse_path, b"<" + address + b">")

    def test_parameters(self) -> None:
        """
        Keywords are upper-cased, values are not; a malformed or repeated one is refused.
        """
        self.assertEqual(
            parse_parameters(b"size=10 BODY=8bitmime  SMTPUTF8"),
            {b"SIZE": b"10", b"BODY": b"8bitmime", b"SMTPUTF8": b""},
        )
        for text in (b"=1", b"SIZE=", b"A=1 a=2", b"A=b=c", b"-A", b"A=\x01", b"A\0"):
            self.assertRaises(ValueError, parse_parameters, text)


class AddressTests(SynchronousTestCase):
    """
    Mailboxes.
    """

    def refused(self, address: bytes, smtputf8: bool = False) -> str:
        """
        The reason *address* is refused with.
        """
        with self.assertRaises(ValueError, msg=repr(address)) as caught:
            check_address(address, smtputf8)
        return str(caught.exception)

    def test_limits(self) -> None:
        """
        64 octets of local part, 63 of label, 254 in all pass; one more does not.
        """
        check_address(b"x" * 64 + b"@example.com")
        self.refused(b"x" * 65 + b"@example.com")
        check_address(b'"' + b"x" * 62 + b'"@example.com')
        self.refused(b'"' + b"x" * 63 + b'"@example.com')
        check_address(b"a@" + b"x" * 63 + b".example")
        self.refused(b"a@" + b"x" * 64 + b".example")
        longest = b"a@" + b"x" * 50 + b"." + b".".join([b"y" * 49] * 4) + b"z"
        self.assertEqual(len(longest), 253)
        check_address(longest + b"z")
        self.refused(longest + b"zz")

    def test_syntax(self) -> None:
        """
        Dots and hyphens have their places.
        """
        for address in (b".a@example.com", b"a.@example.com", b"a..b@example.com", b"a,b@example.com", b"a@.example"):
            self.refused(address)
        for domain in (b"-a.example", b"a-.example", b"a..example", b"example.", b"exa$mple", b"[", b"[]"):
            self.refused(b"a@" + domain)
        check_address(b"a!#$%&'*+-/=?^_`{|}~@xn--bcher-kva.example")

    def test_literals(self) -> None:
        """
        An address literal is one address in one notation.
        """
        check_address(b"a@[127.0.0.1]")
        check_address(b"a@[IPv6:::1]")
        for literal in (
            b"[1]",
            b"[0x7f.1]",
            b"[127.0.0.01]",
            b"[1.2.3.4",
            b"[::1]",
            b"[IPv6:::1%eth0]",
            b"[IPv6:1.2.3.4]",
            b"[tag:content]",
            b"[1.2.3.256]",
        ):
            self.refused(b"a@" + literal)

    def test_utf8(self) -> None:
        """
        Letters beyond ASCII pass only where SMTPUTF8 was asked for, and only as UTF-8.
        """
        local, domain = "jörg@example.com".encode(), "a@bücher.example".encode()
        for address in (local, domain, '"ö ö"@example.com'.encode()):
            check_address(address, True)
            self.assertIn("SMTPUTF8", self.refused(address))
        self.refused(b"j\xf6rg@example.com", True)
        self.refused(b"\xed\xa0\x80@example.com", True)

    def test_hidden_controls(self) -> None:
        """
        Line ends and controls that only Unicode knows do not pass either.
        """
        for character in "\x80\x85\u2028\u2029":
            self.refused(f"a{character}b@example.com".encode(), True)

    def test_split(self) -> None:
        """
        The last at sign divides.
        """
        self.assertEqual(split_address(b'"a@b"@example.com'), (b'"a@b"', b"example.com"))
        self.assertEqual(split_address(b"postmaster"), (b"postmaster", b""))
        self.assertEqual(split_address(b""), (b"", b""))

    @settings(derandomize=True, max_examples=400, deadline=None)
    @given(st.binary(max_size=40) | st.text(alphabet='a.@"<>[]:\\ \r\n\0é', max_size=20).map(str.encode), st.booleans())
    def test_nothing_dangerous_passes(self, argument: bytes, smtputf8: bool) -> None:
        """
        Whatever passes has no control character, and ValueError is all that is raised.
        """
        try:
            address, _ = parse_path(b"<" + argument + b"@example.com>", smtputf8)
        except ValueError:
            return
        self.assertFalse(set(address) & {*range(32), 127})
        self.assertTrue(smtputf8 or address.isascii())
        self.assertLessEqual(len(address), 254)


class DomainTests(SynchronousTestCase):
    """
    The one form of a domain.
    """

    def test_canonical(self) -> None:
        """
        Case, Unicode spelling and a final dot make no difference.
        """
        for domain, expected in (
            (b"Example.COM", "example.com"),
            (b"example.com.", "example.com"),
            ("Bücher.Example".encode(), "xn--bcher-kva.example"),
            ("bücher。example".encode(), "xn--bcher-kva.example"),
            (b"XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            (b"_dmarc.a_b.example", "_dmarc.a_b.example"),
            (b"[192.0.2.1]", "[192.0.2.1]"),
            (b"[ipv6:2001:DB8:0::1]", "[IPv6:2001:db8::1]"),
            (b"localhost", "localhost"),
        ):
            self.assertEqual(canonical_domain(domain), expected)

    def test_malformed(self) -> None:
        """
        What is no domain has no form.
        """
        for domain in (
            b"",
            b".",
            b"a..b",
            b"a..",
            b"-a",
            b"a b",
            b"\xff.example",
            "\u2028.example".encode(),
            "ü".encode() * 80,
            b"x" * 64,
            b".".join([b"x" * 60] * 5),
            b"a\r\nb",
            b"a\n",
            b"[1.2.3.4]\n",
            "[\uff11.2.3.4]".encode(),
        ):
            self.assertRaises(ValueError, canonical_domain, domain)
