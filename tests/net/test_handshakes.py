"""
What is said to a proxy, octet by octet.
"""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.flags import ConnFlag
from momentum_tx.net.handshakes import HandshakeFailed, ProxyHeader, SocksHandshake

LOCAL = ("10.0.0.5", 40000)
OK = b"\x05\x00\x00\x01\x0a\x00\x00\x01\x04\x38"


class HeaderTests(SynchronousTestCase):
    """
    The header of the PROXY protocol, version 2.
    """

    def test_ipv4(self) -> None:
        """
        Signature, version and command, family, length, and both ends.
        """
        header = ProxyHeader("198.51.100.7", 25, "203.0.113.9")
        self.assertEqual(
            header.begin(LOCAL),
            bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c cb007109 c6336407 9c40 0019"),
        )
        self.assertTrue(header.done)
        self.assertEqual(header.rest(), b"")

    def test_ipv6(self) -> None:
        """
        The other family has longer addresses.
        """
        header = ProxyHeader("2001:db8::7", 2525, "2001:db8::9").begin(LOCAL)
        self.assertEqual(header[12:16], bytes.fromhex("21 21 0024"))
        self.assertEqual(header[16:32], bytes.fromhex("20010db8" + "00" * 11 + "09"))
        self.assertEqual(header[32:48], bytes.fromhex("20010db8" + "00" * 11 + "07"))
        self.assertEqual(header[48:], bytes.fromhex("9c40 09dd"))

    def test_families(self) -> None:
        """
        Source and destination are of one family.
        """
        self.assertRaises(ValueError, ProxyHeader, "2001:db8::7", 25, "203.0.113.9")


class SocksTests(SynchronousTestCase):
    """
    SOCKS version 5.
    """

    def handshake(self, password: bool = False, host: str = "198.51.100.7") -> SocksHandshake:
        """
        One that begins.
        """
        made = SocksHandshake(host, 25, b"mta", b"pass word") if password else SocksHandshake(host, 25)
        self.assertEqual(made.begin(LOCAL), b"\x05\x02\x00\x02" if password else b"\x05\x01\x00")
        return made

    def failed(self, made: SocksHandshake, *said: bytes) -> HandshakeFailed:
        """
        It fails of the last thing the proxy says.
        """
        for each in said[:-1]:
            made.receive(each)
        error = self.assertRaises(HandshakeFailed, made.receive, said[-1])
        assert isinstance(error, HandshakeFailed)
        self.assertFalse(made.done)
        return error

    def test_dialogue(self) -> None:
        """
        Without a name: the method, the request, the reply.
        """
        made = self.handshake()
        self.assertFalse(made.asked)
        self.assertEqual(made.receive(b"\x05\x00"), bytes.fromhex("05 01 00 01 c6336407 0019"))
        self.assertTrue(made.asked)
        self.assertEqual(made.receive(OK), b"")
        self.assertTrue(made.done)

    def test_password(self) -> None:
        """
        With a name, which is said if the proxy wants it, and not if it does not.
        """
        made = self.handshake(True)
        self.assertEqual(made.receive(b"\x05\x02"), b"\x01\x03mta\x09pass word")
        self.assertFalse(made.asked)
        self.assertEqual(made.receive(b"\x01\x00")[:4], bytes.fromhex("05010001"))
        made = self.handshake(True)
        self.assertEqual(made.receive(b"\x05\x00")[:4], bytes.fromhex("05010001"))

    def test_ipv6(self) -> None:
        """
        A destination of the other family.
        """
        made = self.handshake(host="2001:db8::7")
        said = made.receive(b"\x05\x00")
        self.assertEqual(said, bytes.fromhex("05 01 00 04 20010db8" + "00" * 11 + "07 0019"))

    def test_introduction_only(self) -> None:
        """
        Without a destination it is done when the proxy knows us.
        """
        made = SocksHandshake("", 0, b"mta", b"x")
        made.begin(LOCAL)
        made.receive(b"\x05\x02")
        self.assertFalse(made.done)
        self.assertEqual(made.receive(b"\x01\x00"), b"")
        self.assertTrue(made.done)

    def test_every_split(self) -> None:
        """
        However what the proxy says is cut, the same is said.
        """
        for address in (b"\x01" + bytes(4), b"\x04" + bytes(16), b"\x03\x00", b"\x03\x09localhost"):
            turns = (b"\x05\x02", b"\x01\x00", b"\x05\x00\x00" + address + b"\x00\x19")
            for cuts in itertools.product(*(range(1, len(turn) + 1) for turn in turns)):
                made = self.handshake(True)
                said = b""
                for turn, cut in zip(turns, cuts, strict=True):
                    self.assertFalse(made.done)
                    said += made.receive(turn[:cut])
                    if turn[cut:]:
                        self.assertFalse(made.done)
                        said += made.receive(turn[cut:])
                self.assertTrue(made.done)
                self.assertEqual(said[:15], b"\x01\x03mta\x09pass word")
                self.assertEqual(len(said), 15 + 10)

    def test_rest(self) -> None:
        """
        The destination's first octets may come in one piece with the reply.
        """
        made = self.handshake()
        made.receive(b"\x05\x00")
        made.receive(OK + b"220 mx\r\n")
        self.assertEqual(made.rest(), b"220 mx\r\n")
        self.assertEqual(made.rest(), b"")

    def test_proxys_own_reasons(self) -> None:
        """
        What is wrong before the request is wrong for every destination.
        """
        cases: tuple[tuple[tuple[bytes, ...], str], ...] = (
            ((b"HTTP/1.0 400 Bad\r\n",), "does not speak SOCKS 5"),
            ((b"\x04\x00",), "does not speak SOCKS 5"),
            ((b"\x05\xff",), "wants a user name"),
            ((b"\x05\x02",), "wants a user name"),
            ((b"\x05\x00\x05",), "not asked"),
        )
        for said, text in cases:
            error = self.failed(self.handshake(), *said)
            self.assertIn(text, error.reason)
            self.assertEqual((error.flags, error.proxy), (ConnFlag.ERROR_BIND, True))
        refusals: tuple[tuple[bytes, ...], ...] = (
            (b"\x05\x02", b"\x01\x01"),
            (b"\x05\x02", b"\x05\x00"),
            (b"\x05\xff",),
        )
        for said in refusals:
            error = self.failed(self.handshake(True), *said)
            self.assertEqual((error.flags, error.proxy), (ConnFlag.ERROR_BIND, True))
            self.assertNotIn("pass word", error.reason)

    def test_replies(self) -> None:
        """
        Some replies to the request say something of the destination, others of the proxy and of it alone.
        """
        for code in range(1, 256):
            error = self.failed(self.handshake(), b"\x05\x00", bytes((5, code)))
            theirs = code in (3, 4, 5, 6)
            self.assertEqual(error.flags, ConnFlag.ERROR_CONNECT_NETWORK if theirs else ConnFlag.ERROR_BIND)
            self.assertFalse(error.proxy)
        for reply in (b"\x04\x00", b"\x05\x00\x00\x02\x00", b"220 mx.example.com ESMTP\r\n"):
            self.assertEqual(self.failed(self.handshake(), b"\x05\x00", reply).flags, ConnFlag.ERROR_BIND)

    @given(st.lists(st.binary(max_size=300), max_size=6), st.booleans())
    def test_any_octets(self, pieces: list[bytes], password: bool) -> None:
        """
        Whatever a proxy says ends in one of three ways, and it is told no more than four things.
        """
        made = self.handshake(password)
        said = b""
        for piece in pieces:
            if made.done:
                break
            try:
                said += made.receive(piece)
            except HandshakeFailed as error:
                self.assertTrue(error.reason.isprintable())
                break
        self.assertLess(len(said), 60)
