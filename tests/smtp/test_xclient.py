"""
What is said of a client by XCLIENT.
"""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.smtp.xclient import arguments, xtext

ALL = (b"NAME", b"ADDR", b"PORT", b"PROTO", b"HELO", b"LOGIN", b"DESTADDR", b"DESTPORT")


class XtextTests(SynchronousTestCase):
    """
    xtext (RFC 3461 4).
    """

    def test_characters(self) -> None:
        """
        Blanks, controls, octets above 127, plus and equals are written in hexadecimal.
        """
        self.assertEqual(xtext(b"a b+c=d\r\n~!\xfc\x7f"), b"a+20b+2Bc+3Dd+0D+0A~!+FC+7F")
        self.assertEqual(xtext(b"[192.0.2.1]"), b"[192.0.2.1]")
        self.assertEqual(xtext(b""), b"")

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(st.binary(max_size=300))
    def test_back(self, text: bytes) -> None:
        """
        Whatever it was can be read again, and nothing of it ends a value or a command.
        """
        made = xtext(text)
        self.assertTrue(re.fullmatch(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", made), made)
        self.assertEqual(re.sub(rb"\+(..)", lambda found: bytes([int(found[1], 16)]), made), text)


class ArgumentsTests(SynchronousTestCase):
    """
    The attributes of a client.
    """

    def test_all(self) -> None:
        """
        Everything we know and the peer wants, and nothing else it may know.
        """
        self.assertEqual(
            arguments(ALL, "192.0.2.7", "smtp", "client.example"),
            b"NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=[UNAVAILABLE] PROTO=SMTP HELO=client.example",
        )

    def test_some(self) -> None:
        """
        Only what is offered is told, in whatever order it was offered.
        """
        self.assertEqual(arguments((b"PROTO", b"ADDR"), "192.0.2.7", "esmtp", "x"), b"ADDR=192.0.2.7 PROTO=ESMTP")
        self.assertEqual(arguments((b"LOGIN",), "192.0.2.7", "esmtp", "x"), b"")
        self.assertEqual(arguments((), "192.0.2.7", "esmtp", "x"), b"")

    def test_ipv6(self) -> None:
        """
        An IPv6 address has Postfix's prefix.
        """
        self.assertEqual(arguments((b"ADDR",), "2001:db8::1", "esmtp", ""), b"ADDR=IPV6:2001:db8::1")

    def test_in_process(self) -> None:
        """
        Of mail that an application handed over in process nothing is known.
        """
        self.assertEqual(
            arguments(ALL, "", "internal", ""),
            b"NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] PROTO=ESMTP HELO=[UNAVAILABLE]",
        )

    def test_long_name(self) -> None:
        """
        The command line stays within its bound.
        """
        self.assertLess(len(arguments(ALL, "2001:db8::1", "esmtp", "x" * 1000)), 512 - len(b"XCLIENT \r\n"))
