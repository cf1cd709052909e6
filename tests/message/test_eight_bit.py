"""
8-bit content that becomes 7-bit.
"""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import Message
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.message.eight_bit import MAX_DEPTH, Unencodable, encode, signed, strip
from momentum_tx.smtp.body import check_content, stuff

PLAIN = "Subject: x\r\n\r\nGrüße\r\n".encode()


def field(name: str, value: str) -> bytes:
    """
    A header field.
    """
    return f"{name}: {value}\r\n".encode()


def part(body: bytes, kind: str = "text/plain; charset=utf-8", encoding: str = "8bit") -> bytes:
    """
    A part, or a message without MIME-Version.
    """
    return field("Content-Type", kind) + field("Content-Transfer-Encoding", encoding) + b"\r\n" + body


def multipart(*parts: bytes, kind: str = "mixed", boundary: str = "=-b", encoding: str = "8bit") -> bytes:
    """
    A multipart of parts that do not end with a line end.
    """
    lines = b"".join(b"--" + boundary.encode() + b"\r\n" + each + b"\r\n" for each in parts)
    whole = lines + b"--" + boundary.encode() + b"--\r\n"
    return part(whole, f'multipart/{kind}; boundary="{boundary}"', encoding)


def leaves(message: Message[str, str]) -> list[tuple[str, bytes]]:
    """
    Type and decoded octets of every part without parts.
    """
    payload: Any = message.get_payload()
    if isinstance(payload, list):
        return [leaf for each in payload for leaf in leaves(each)]
    decoded: Any = message.get_payload(decode=True)
    return [(message.get_content_type(), decoded)]


class EncodeCase(SynchronousTestCase):
    """
    What both kinds of tests ask.
    """

    def same(self, content: bytes) -> bytes:
        """
        Encode *content*; a reader of MIME must find the same in it.
        """
        encoded = encode(content)
        self.assertTrue(encoded.isascii(), encoded)
        self.assertEqual(leaves(message_from_bytes(encoded)), leaves(message_from_bytes(content)), encoded)
        return encoded

    def refused(self, content: bytes, reason: str, prohibited: bool = False) -> None:
        """
        *content* must be refused.
        """
        error = self.assertRaises(Unencodable, encode, content)
        self.assertIn(reason, str(error))
        self.assertIs(error.prohibited, prohibited)


class EncodeTests(EncodeCase):
    """
    Quoted-printable.
    """

    def test_seven_bit(self) -> None:
        """
        What is 7-bit stays the same object, however odd.
        """
        for content in (b"Subject: x\r\n\r\nx\r\n", b"", b"no header", b"DKIM-Signature: x\r\n\r\nx\r\n"):
            self.assertIs(encode(content), content)

    def test_without_mime(self) -> None:
        """
        A message that says nothing of itself becomes one of MIME: of UTF-8 if it is
        that, and else of a character set nobody knows (RFC 1428).
        """
        self.assertEqual(
            encode(PLAIN),
            b"Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"MIME-Version: 1.0\r\n\r\nGr=C3=BC=C3=9Fe\r\n",
        )
        self.assertIn(b"charset=unknown-8bit\r\n", encode(b"Subject: x\r\n\r\nGr\xfc\xdfe\r\n"))

    def test_fields_stay(self) -> None:
        """
        Only the field of the encoding changes, in its place; folding and case of the
        others are as they were.
        """
        content = (
            b"Received: from a\r\n\tby b\r\nCONTENT-transfer-ENCODING:\r\n 8BIT\r\nmime-version: 1.0\r\n"
            b"content-TYPE: text/html;\r\n  charset=latin1\r\nX: =E4\r\n\r\n\xe4=\r\n"
        )
        self.assertEqual(
            self.same(content),
            b"Received: from a\r\n\tby b\r\nContent-Transfer-Encoding: quoted-printable\r\nmime-version: 1.0\r\n"
            b"content-TYPE: text/html;\r\n  charset=latin1\r\nX: =E4\r\n\r\n=E4=3D\r\n",
        )

    def test_parts(self) -> None:
        """
        Of a multipart only the 8-bit parts change; encoded ones stay to the octet.
        """
        base64 = part(b"w7w=", "image/png", "base64")
        ascii_part = part(b"plain = text  ", encoding="7bit")
        quoted = part(b"=C3=BC =\r\nx", encoding="quoted-printable")
        content = b"MIME-Version: 1.0\r\n" + multipart(base64, part("ü".encode()), ascii_part, quoted)
        encoded = self.same(content)
        self.assertEqual(
            encoded,
            b"MIME-Version: 1.0\r\n"
            + multipart(
                base64,
                part(b"=C3=BC", encoding="quoted-printable"),
                ascii_part,
                quoted,
                encoding="7bit",
            ),
        )

    def test_part_without_header(self) -> None:
        """
        A part without a header gets one field, and no type that nobody has written.
        """
        encoded = self.same(b"MIME-Version: 1.0\r\n" + multipart(b"\r\n\xfc"))
        self.assertIn(b"--=-b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=FC\r\n--=-b--", encoded)

    def test_nested(self) -> None:
        """
        Multiparts in multiparts, and messages in messages, down to the text.
        """
        inner = multipart(part("ä".encode()), part("ö".encode(), "text/html"), kind="alternative", boundary="in ner")
        message = b"Subject: y\r\n" + multipart(inner, part("ü".encode()), boundary="b2")
        attached = part(message, "message/rfc822")
        content = b"MIME-Version: 1.0\r\n" + multipart(part("ß".encode()), attached)
        encoded = self.same(content)
        self.assertEqual(encoded.count(b"quoted-printable"), 4)
        self.assertEqual(encoded.count(b"Content-Transfer-Encoding: 7bit\r\n"), 4)
        self.assertEqual(encoded.count(b"MIME-Version: 1.0\r\n"), 2)

    def test_digest(self) -> None:
        """
        Parts of a digest are messages unless they say otherwise.
        """
        content = b"MIME-Version: 1.0\r\n" + multipart(b"\r\n" + PLAIN[:-2], kind="digest")
        encoded = self.same(content)
        self.assertIn(b"--=-b\r\n\r\nSubject: x\r\nContent-Transfer-Encoding: quoted-printable\r\n", encoded)

    def test_around_the_parts(self) -> None:
        """
        What stands before the first part and behind the last is not shown to anybody.
        """
        inner = multipart(part(b"x"))
        head, body = inner.split(b"\r\n\r\n", 1)
        content = b"MIME-Version: 1.0\r\n" + head + b"\r\n\r\nb\xe4fore\r\n" + body + b"b\xe4hind\r\n"
        encoded = self.same(content)
        self.assertIn(b"\r\n\r\nbdfore\r\n--=-b\r\n", encoded)
        self.assertTrue(encoded.endswith(b"--=-b--\r\nbdhind\r\n"), encoded)

    def test_boundaries(self) -> None:
        """
        A boundary is found however it is written, and only where it is one.
        """
        for written, boundary in (
            ("boundary=simple", "simple"),
            ('charset=x; BOUNDARY = "a b\\"c"', 'a b"c'),
            ('name="; boundary=wrong"; boundary="right"', "right"),
            ("boundary=.*;", ".*"),
        ):
            body = f"--{boundary}\r\n\r\nü --{boundary}\r\n--{boundary}x\r\n--{boundary} \t\r\n\r\ny\r\n--{boundary}--"
            content = part(body.encode(), f"multipart/mixed; {written}")
            encoded = encode(b"MIME-Version: 1.0\r\n" + content)
            self.assertEqual(encoded.count(b"quoted-printable"), 1, written)
            self.assertTrue(encoded.isascii())

    def test_last_line(self) -> None:
        """
        Blanks in front of a boundary are encoded, since they are the end of a line.
        """
        encoded = self.same(b"MIME-Version: 1.0\r\n" + multipart(part("ü \t ".encode())))
        self.assertIn(b"=C3=BC \t=20\r\n--=-b--", encoded)

    def test_signed(self) -> None:
        """
        What is signed is not touched: neither under a signature in the header nor
        within a signed part.
        """
        for name in ("DKIM-Signature", "DomainKey-Signature", "ARC-Message-Signature"):
            content = field(name, "v=1; a=x") + PLAIN
            self.assertTrue(signed(content))
            self.refused(content, "signed", prohibited=True)
        text, signature = part("ü".encode()), part(b"x", "application/pgp-signature", "7bit")
        content = multipart(text, signature, kind="signed")
        self.assertTrue(signed(content))
        self.refused(content, "signed", prohibited=True)
        within = multipart(content, text, boundary="outer")
        self.assertFalse(signed(within))
        self.refused(within, "signed", prohibited=True)
        self.assertFalse(signed(PLAIN))

    def test_signed_part_of_seven_bits(self) -> None:
        """
        A signed part that is 7-bit keeps nothing else from being encoded.
        """
        inner = multipart(part(b"x", encoding="7bit"), part(b"y", "application/pgp-signature", "7bit"), kind="signed")
        encoded = self.same(b"MIME-Version: 1.0\r\n" + multipart(inner, part("ü".encode()), boundary="outer"))
        self.assertIn(inner, encoded)

    def test_refused(self) -> None:
        """
        What cannot be encoded is refused as a whole, with the reason.
        """
        text = part("ü".encode())
        cases = (
            ("Subject: ü\r\n\r\nx\r\n".encode(), "header field"),
            ("Subject: ü".encode(), "no header that ends"),
            (" folded\r\n\r\nü\r\n".encode(), "no header that ends"),
            (part("ü".encode(), encoding="base64"), "that is encoded"),
            (part("ü".encode(), encoding="quoted-printable"), "that is encoded"),
            (part("ü".encode(), encoding="x-unknown"), "that is encoded"),
            (multipart(text, encoding="base64"), "that is encoded"),
            (part("ü".encode(), "text"), "malformed"),
            (part("ü".encode(), ""), "malformed"),
            (field("Content-Type", "text/plain") + text, "twice"),
            (field("Content-Transfer-Encoding", "8bit") + text, "twice"),
            (part("ü".encode(), "multipart/mixed"), "no boundary"),
            (part("ü".encode(), 'multipart/mixed; boundary=""'), "no boundary"),
            (part("ü".encode(), "multipart/mixed; boundary=" + "x" * 71), "no boundary"),
            (part("ü".encode(), "multipart/mixed; boundary=x"), "no parts"),
            (part("ü".encode(), "message/partial; id=x"), "of a kind"),
            (part("ü".encode(), "message/delivery-status"), "of a kind"),
            (multipart(field("X", "y") + field("Content-Description", "ü") + b"\r\nx"), "header field"),
        )
        for content, reason in cases:
            self.refused(content, reason)

    def test_depth(self) -> None:
        """
        Nesting has a bound.
        """
        content = PLAIN
        for _ in range(MAX_DEPTH):
            content = part(content, "message/rfc822")
        encode(content)
        self.refused(part(content, "message/rfc822"), "deeply")

    def test_boundary_made_by_a_break(self) -> None:
        """
        A long line that would be broken right before a boundary of its text would end
        its part there: such a message is refused.
        """
        line = "=" * 25 + "--bb"
        self.refused(multipart(part(f"ü\r\n{line}".encode()), boundary="bb"), "boundary")
        self.same(multipart(part(f"ü\r\n{line}".encode()), boundary="other"))


_LINES = st.lists(
    st.one_of(
        st.binary(max_size=90),
        st.lists(st.sampled_from([b"\xfc", b"=", b" ", b"\t", b".", b"ab", b"--", b"=-b"]), max_size=90).map(b"".join),
    ).map(lambda line: re.sub(rb"[\r\n\x00]", b"_", line)),
    max_size=5,
)
_TEXTS = _LINES.map(b"\r\n".join)
_LEAVES = st.builds(
    part,
    _TEXTS,
    st.sampled_from(["text/plain; charset=utf-8", "text/html", "application/octet-stream"]),
    st.sampled_from(["8bit", "binary", "7BIT"]),
)


def _branches(parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    # Boundaries that no text has, and that differ by what is inside.
    several = st.lists(parts, min_size=1, max_size=3).map(
        lambda each: multipart(*each, boundary=f"boundary {sum(map(len, each))} {each[0].count(b'multipart')}")
    )
    return st.one_of(several, parts.map(lambda each: part(b"Subject: x\r\n" + each, "message/rfc822")))


class AnyMessageTests(EncodeCase):
    """
    Messages of any shape.
    """

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(_TEXTS)
    def test_text(self, text: bytes) -> None:
        """
        Whatever is written, decoding gives it back; no line is longer than 76, none
        ends with a blank, and every line end is CRLF.
        """
        content = part(text + "\r\nü\r\n".encode())
        encoded = self.same(content)
        body = encoded.partition(b"\r\n\r\n")[2]
        for line in body.split(b"\r\n"):
            self.assertLessEqual(len(line), 76)
            self.assertNotIn(line[-1:], (b" ", b"\t"))
        self.assertIsNone(check_content(encoded))

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(st.recursive(_LEAVES, _branches, max_leaves=6))
    def test_structure(self, content: bytes) -> None:
        """
        Every part is found again, of the same type, with the same octets.
        """
        self.same(b"MIME-Version: 1.0\r\n" + content)

    @settings(derandomize=True, max_examples=500, deadline=None)
    @given(
        st.lists(
            st.sampled_from(
                [
                    b"Content-Type: multipart/mixed; boundary=b\r\n",
                    b"Content-Type: message/rfc822\r\n",
                    b"Content-Transfer-Encoding: 8bit\r\n",
                    b"\r\n",
                    b"--b\r\n",
                    b"--b--\r\n",
                    b"--b",
                    b"\xfc\r\n",
                    b"\xfc",
                    b"x: y\r\n",
                    b" x\r\n",
                    b"DKIM-Signature: x\r\n",
                ]
            ),
            max_size=20,
        ).map(b"".join)
    )
    def test_rubbish(self, content: bytes) -> None:
        """
        Rubbish is refused or becomes 7-bit, and nothing else happens.
        """
        try:
            encoded = encode(content)
        except Unencodable:
            self.assertFalse(content.isascii())
            return
        self.assertTrue(encoded.isascii())
        self.assertIsNone(check_content(stuff(encoded)))


class StripTests(SynchronousTestCase):
    """
    The eighth bit taken away.
    """

    def test_strip(self) -> None:
        """
        A letter loses its bit, and 7-bit text nothing.
        """
        self.assertEqual(strip(b"Gr\xfc\xdfe\r\n\t."), b"Gr|_e\r\n\t.")
        self.assertEqual(strip(PLAIN[:12]), PLAIN[:12])

    def test_no_controls(self) -> None:
        """
        No octet becomes a line end, NUL, or anything a terminal would obey: one
        message is not smuggled into another that way.
        """
        self.assertEqual(strip(b"\x8d\x8a.\x8d\x8a\x80\x9b\xff\x89"), b"??.??????")
        made = strip(bytes(range(128, 256)))
        self.assertTrue(made.isascii() and made.decode().isprintable(), made)
