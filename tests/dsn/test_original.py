"""
Tests of :mod:`momentum_tx.dsn.original`.
"""

from __future__ import annotations

import email
import email.policy
from email.message import Message
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.dsn.original import LONGEST_LINE, MOST_HEADER, MOST_WHOLE, Extent, original_part, quoted_printable

HEAD = b"From: a@b.example\r\nSubject: lunch\r\n"
PLAIN = HEAD + b"\r\nSee you.\r\n"
EIGHT_BIT = HEAD + b"\r\nGr\xfc\xdfe\r\n"
INTERNATIONAL = HEAD + "To: lärm@b.example\r\n".encode() + b"\r\nSee you.\r\n"


def parsed(part: bytes) -> Message[Any, Any]:
    return email.message_from_bytes(part, policy=email.policy.compat32)


class OriginalPartTests(SynchronousTestCase):
    """
    What goes back.
    """

    def test_extent(self) -> None:
        """
        Nothing, the header, or all of it, as it was.
        """
        self.assertEqual(original_part(PLAIN, Extent.NONE), b"")
        head = parsed(original_part(PLAIN, Extent.HEADERS))
        self.assertEqual(head.get_content_type(), "text/rfc822-headers")
        self.assertEqual(head.get_payload(decode=True), HEAD)
        whole = original_part(PLAIN, Extent.ALL)
        self.assertTrue(whole.startswith(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"))
        self.assertTrue(whole.endswith(b"\r\n\r\n" + PLAIN))

    def test_eight_bit(self) -> None:
        """
        A message of octets that are no international header goes back as it is, marked as such;
        its header alone is ASCII.
        """
        whole = original_part(EIGHT_BIT, Extent.ALL)
        self.assertIn(b"Content-Transfer-Encoding: 8bit\r\n", whole)
        self.assertTrue(whole.endswith(EIGHT_BIT))
        strange = b"Subject: \xfc\xdf\r\n\r\nHello\r\n"
        part = original_part(strange, Extent.HEADERS)
        self.assertTrue(part.isascii())
        self.assertEqual(parsed(part).get_payload(decode=True), b"Subject: \xfc\xdf\r\n")

    def test_international(self) -> None:
        """
        An international header goes back as such, encoded so that it goes everywhere.
        """
        part = original_part(INTERNATIONAL, Extent.HEADERS)
        self.assertTrue(part.startswith(b"Content-Type: message/global-headers\r\n"))
        self.assertTrue(part.isascii())
        self.assertIn(b"l=C3=A4rm@b.example", part)
        whole = original_part(INTERNATIONAL, Extent.ALL)
        self.assertTrue(whole.startswith(b"Content-Type: message/global\r\n"))
        self.assertTrue(whole.isascii())

    def test_bounds(self) -> None:
        """
        A large message, or one with lines that must not travel, sends its header; a large header is
        cut behind a line.
        """
        for content in (
            PLAIN + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * (MOST_WHOLE // 72),
            PLAIN + b"x" * (LONGEST_LINE + 1) + b"\r\n",
        ):
            self.assertTrue(original_part(content, Extent.ALL).startswith(b"Content-Type: text/rfc822-headers"))
        limit = PLAIN + b"x" * LONGEST_LINE + b"\r\n"
        self.assertTrue(original_part(limit, Extent.ALL).endswith(limit))
        fields = b"".join(b"X-%d: %s\r\n" % (number, b"v" * 60) for number in range(2000))
        part = original_part(HEAD + fields + b"\r\n", Extent.HEADERS)
        self.assertLess(len(part), MOST_HEADER + 200)
        self.assertTrue(part.endswith(b"v\r\n"))

    def test_no_header(self) -> None:
        """
        A message without a header, or without a line end, makes a part all the same.
        """
        self.assertTrue(original_part(b" odd", Extent.HEADERS).endswith(b"\r\n\r\n\r\n"))
        self.assertTrue(original_part(b"Subject: x", Extent.ALL).endswith(b"Subject: x\r\n"))

    def test_quoted_printable(self) -> None:
        """
        Lines keep their ends, and none is too long.
        """
        text = "ä".encode() * 500 + b"\r\nend \r\n"
        encoded = quoted_printable(text)
        self.assertTrue(all(len(line) <= 76 for line in encoded.split(b"\r\n")))
        self.assertNotIn(b"\n", encoded.replace(b"\r\n", b""))
