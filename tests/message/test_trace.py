"""
Tests of :mod:`momentum_tx.message.trace`.
"""

from datetime import timedelta
from email.utils import parsedate_to_datetime

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.message.headers import HeaderBlock
from momentum_tx.message.trace import date_text, helo_of, received

ID = "00/00-00777-001F3556"


def _received(
    helo: str = "client.example.org",
    peer: str = "192.0.2.7",
    hostname: str = "mta.example.net",
    protocol: str = "esmtp",
    id: str = ID,
    recipient: bytes | None = b"bob@example.com",
    when: float = 1700000000.9,
) -> bytes:
    return received(helo, peer, hostname, protocol, id, recipient, when)


class HeloTests(SynchronousTestCase):
    """
    What a trace field of ours says of the client.
    """

    def field(self, helo: str, peer: str) -> bytes:
        """
        A message with a field of ours in front.
        """
        return received(helo, peer, "mta.example", "esmtp", "id", b"b@c.example", 0.0) + b"Subject: x\r\n\r\n"

    def test_name(self) -> None:
        """
        A name, or an address literal, is found again.
        """
        for helo in ("client.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "x", "a_b", "x" * 255):
            for peer in ("192.0.2.7", "2001:db8::1", ""):
                self.assertEqual(helo_of(self.field(helo, peer)), helo)

    def test_none(self) -> None:
        """
        Without a name, or with text that is none, there is nothing to be found.
        """
        for helo, peer in (("", "192.0.2.7"), ("", ""), ("no name", "192.0.2.7"), ("x" * 256, "192.0.2.7"), ("(", "")):
            self.assertEqual(helo_of(self.field(helo, peer)), "", helo)

    def test_of_others(self) -> None:
        """
        Only the field in front counts, and only one that looks like ours.
        """
        for content in (
            b"",
            b"Received: from x",
            b"Subject: x\r\n" + self.field("client.example", "192.0.2.7"),
            b"Received: from a (b [192.0.2.7]) by c; date\r\n",
            b"Received: by c; date\r\n",
        ):
            self.assertEqual(helo_of(content), "")


class ReceivedTests(SynchronousTestCase):
    """
    The field itself.
    """

    def test_whole(self) -> None:
        """
        All that is known is told, folded, with the time in UTC.
        """
        self.assertEqual(
            _received(),
            b"Received: from client.example.org ([192.0.2.7])\r\n"
            b"\tby mta.example.net with ESMTP id 00/00-00777-001F3556\r\n"
            b"\tfor <bob@example.com>;\r\n"
            b"\tTue, 14 Nov 2023 22:13:20 +0000\r\n",
        )

    def test_ipv6(self) -> None:
        """
        An IPv6 client is named as RFC 5321 writes such addresses.
        """
        self.assertIn(b"from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])", _received("[IPv6:2001:db8::1]", "2001:db8::1"))

    def test_in_process(self) -> None:
        """
        A submission by the application itself names no client and no protocol.
        """
        self.assertEqual(
            _received(helo="", peer="", protocol="internal", recipient=None),
            b"Received: by mta.example.net id 00/00-00777-001F3556;\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n",
        )

    def test_nameless_client(self) -> None:
        """
        A client that gave no name is known by its address.
        """
        self.assertIn(b"Received: from [192.0.2.7]\r\n\tby ", _received(helo=""))

    def test_forged_helo(self) -> None:
        """
        A client's text cannot end the line, leave the comment, or begin a field.
        """
        field = _received(helo="a\r\nBcc: x@y\0 (b\\)\u2028\udcff\x1b[2J")
        self.assertTrue(field.startswith(b"Received: from [192.0.2.7] (helo a??Bcc: x@y? \\(b\\\\\\)???[2J)\r\n\tby "))

    def test_every_octet_in_helo(self) -> None:
        """
        Whatever single character a client puts into its name, the field stays one field of printable ASCII.
        """
        for number in (*range(300), 0x2028, 0xDC80, 0x10FFFF):
            for helo in (chr(number), f"a{chr(number)}b", f"a.b{chr(number)}"):
                field = _received(helo=helo)
                block = HeaderBlock(field + b"\r\n")
                self.assertEqual([name for name, _ in block], [b"Received"])
                self.assertEqual(field.count(b"\r\n"), 4)
                clear = field.replace(b"\r\n\t", b"")[:-2]
                self.assertTrue(all(32 <= octet < 127 for octet in clear), field)

    def test_hostile_everything(self) -> None:
        """
        Nonsense in any place neither raises nor gets into the field.
        """
        bad = "x\r\nY: z"
        field = _received(bad, bad, bad, bad, bad, bad.encode())
        self.assertEqual(
            field,
            b"Received: from unknown (helo x??Y: z)\r\n\tby localhost;\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n",
        )

    def test_long(self) -> None:
        """
        However long a client's name is, no line exceeds 998 octets.
        """
        for helo in ("a" * 255, "a" * 256, "(" * 100_000):
            field = _received(helo=helo, hostname="h" * 300, recipient=b"r" * 5000 + b"@example.com")
            self.assertLessEqual(max(map(len, field.split(b"\r\n"))), 998)
        self.assertIn(b"from " + b"a" * 255 + b" (", _received(helo="a" * 255))

    def test_recipient(self) -> None:
        """
        A recipient that is plain is named; one that needs quoting, or none, is not.
        """
        self.assertIn(b"for <a+b=c@[192.0.2.1]>;", _received(recipient=b"a+b=c@[192.0.2.1]"))
        for recipient in (None, b"", b'"a b"@x', b"a>@x", b"a(b)@x", "\u00e4@x".encode(), b"a\r\n@x", b"x" * 300):
            self.assertNotIn(b"for <", _received(recipient=recipient))


class DateTests(SynchronousTestCase):
    """
    Date and time.
    """

    def test_known(self) -> None:
        """
        Known seconds give known dates, leap days and century ends included.
        """
        for second, text in (
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951782400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1709251199, "Thu, 29 Feb 2024 23:59:59 +0000"),
            (4107542400, "Mon, 01 Mar 2100 00:00:00 +0000"),
        ):
            self.assertEqual(date_text(second), text)

    def test_read_back(self) -> None:
        """
        The standard library reads every date as the second it was made from, with offset zero.
        """
        for second in range(0, 2**32, 98_765_432):
            at = parsedate_to_datetime(date_text(second))
            self.assertEqual(at.timestamp(), second)
            self.assertEqual(at.utcoffset(), timedelta(0))

    def test_broken_clock(self) -> None:
        """
        A clock that is out of its mind gives the nearest date there is.
        """
        self.assertEqual(date_text(-5), "Thu, 01 Jan 1970 00:00:00 +0000")
        self.assertEqual(date_text(10**18), "Fri, 31 Dec 9999 23:59:59 +0000")
