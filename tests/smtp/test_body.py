"""
Dots, line ends, and the end of the data.
"""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.smtp import body as body_module
from momentum_tx.smtp.body import (
    BARE_CR,
    BARE_LF,
    END_OF_DATA,
    LONG_LINE,
    NUL,
    ContentReader,
    Stuffer,
    check_content,
    stuff,
)

#: Content made of what matters.
_CONTENT = st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"a", b"\r\n.", b".\r\n"]), max_size=30).map(b"".join)
#: Content with nothing but whole lines.
_LINES = st.lists(st.sampled_from([b"", b".", b"..", b".a", b"a", b"a.", b"..a"]), max_size=12).map(
    lambda lines: b"".join(line + b"\r\n" for line in lines)
)

#: Content in which much may be wrong.
_FAULTY = st.lists(
    st.sampled_from([b"\r\n"] * 6 + [b".", b"\r", b"\n", b"\0", b"\xff", b"a" * 300, b"b" * 998, b"c" * 999]),
    max_size=30,
).map(b"".join)


def naive_stuff(body: bytes) -> bytes:
    """
    The rule of RFC 5321 4.5.2, line by line.
    """
    if not body:
        return body
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    lines = body[:-2].split(b"\r\n")
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)


def cut(text: bytes, cuts: list[int]) -> list[bytes]:
    """
    *text* in pieces, cut at the given places.
    """
    places = sorted(place % (len(text) + 1) for place in cuts)
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


class StuffTests(SynchronousTestCase):
    """
    Content on its way out.
    """

    def test_untouched(self) -> None:
        """
        An ordinary body is not copied.
        """
        body = b"Subject: x\r\n\r\na.b\r\n"
        self.assertIs(stuff(body), body)

    def test_dots(self) -> None:
        """
        A dot is doubled wherever it begins a line, the first one too.
        """
        self.assertEqual(stuff(b".\r\n"), b"..\r\n")
        self.assertEqual(stuff(b".a\r\n..\r\n.\r\n"), b"..a\r\n...\r\n..\r\n")
        self.assertEqual(stuff(b"a\n.b\r\n"), b"a\n.b\r\n")

    def test_end(self) -> None:
        """
        The last line ends with CRLF; an empty body has no line.
        """
        self.assertEqual(stuff(b"a"), b"a\r\n")
        self.assertEqual(stuff(b"."), b"..\r\n")
        self.assertEqual(stuff(b"a\n"), b"a\n\r\n")
        self.assertEqual(stuff(b""), b"")

    def test_every_short_content(self) -> None:
        """
        Every sequence of CR, LF, dot and letter up to six octets, in every two chunks.
        """
        for size in range(7):
            for octets in itertools.product(b"\r\n.a", repeat=size):
                body = bytes(octets)
                expected = naive_stuff(body)
                self.assertEqual(stuff(body), expected)
                for middle in range(size + 1):
                    stuffer = Stuffer()
                    sent = stuffer.feed(body[:middle]) + stuffer.feed(body[middle:])
                    self.assertEqual(sent + stuffer.finish(), expected)

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(_CONTENT, st.lists(st.integers(0, 1000), max_size=10))
    def test_any_chunking(self, body: bytes, cuts: list[int]) -> None:
        """
        However a body is cut, it travels the same.
        """
        stuffer = Stuffer()
        sent = b"".join(stuffer.feed(chunk) for chunk in cut(body, cuts))
        self.assertEqual(sent + stuffer.finish(), naive_stuff(body))


class CheckTests(SynchronousTestCase):
    """
    Content that may not be sent.
    """

    def test_good(self) -> None:
        """
        Whole lines up to 998 octets pass, with or without a last line end.
        """
        for data in (b"", b"\r\n", b"a", b"a\r\nb", b"x" * 998, b"x" * 998 + b"\r\n" + b"y" * 998, b"\xff\xfe\r\n"):
            self.assertIsNone(check_content(data))
        self.assertIsNone(check_content((b"x" * 998 + b"\r\n") * 50))
        self.assertIsNone(check_content((b"x" * 70 + b"\r\n") * 5000))

    def test_bare(self) -> None:
        """
        Every sequence of CR, LF, NUL and dot up to six octets is judged rightly.
        """
        for size in range(7):
            for octets in itertools.product(b"\r\n\0.", repeat=size):
                data = bytes(octets)
                rest = data.replace(b"\r\n", b"")
                found = check_content(data)
                if b"\n" in rest or b"\r" in rest:
                    # CR CR LF LF: either word is right, silence is not.
                    self.assertIn(found, (BARE_CR, BARE_LF))
                    if b"\r" not in rest:
                        self.assertEqual(found, BARE_LF)
                    if b"\n" not in rest:
                        self.assertEqual(found, BARE_CR)
                else:
                    self.assertEqual(found, NUL if b"\0" in rest else None)

    def test_long_line(self) -> None:
        """
        999 octets are too long, wherever the line is.
        """
        long = b"x" * 999
        fine = b"y" * 997 + b"\r\n"
        for data in (long, long + b"\r\n", fine + long, long + b"\r\n" + fine, fine * 7 + long + b"\r\n" + fine * 7):
            self.assertEqual(check_content(data), LONG_LINE)

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(st.lists(st.integers(990, 1002), max_size=8), st.integers(0, 1002))
    def test_long_line_anywhere(self, lengths: list[int], last: int) -> None:
        """
        The strides over the lines miss no long one and invent none.
        """
        data = b"".join(b"x" * length + b"\r\n" for length in lengths) + b"x" * last
        expected = LONG_LINE if max([*lengths, last]) > 998 else None
        self.assertEqual(check_content(data), expected)


class ContentReaderTests(SynchronousTestCase):
    """
    Content on its way in.
    """

    def read(self, chunks: list[bytes], limit: int = 100_000) -> tuple[ContentReader, bytes | None]:
        """
        Feed *chunks*; the reader, and what came behind the end or ``None`` if
        there was no end.  It is the same where a message is looked at in slices.
        """
        reader, behind = self.read_once(chunks, limit)
        before, body_module.SLICE = body_module.SLICE, 5  # type: ignore[misc]
        try:
            sliced, behind_sliced = self.read_once(chunks, limit)
        finally:
            body_module.SLICE = before  # type: ignore[misc]
        self.assertEqual(
            (sliced.content, sliced.fault, sliced.oversize, behind_sliced),
            (reader.content, reader.fault, reader.oversize, behind),
        )
        return reader, behind

    def read_once(self, chunks: list[bytes], limit: int) -> tuple[ContentReader, bytes | None]:
        """
        See :meth:`read`.
        """
        reader = ContentReader(limit)
        for number, chunk in enumerate(chunks):
            end = reader.take(chunk, 0)
            if end >= 0:
                return reader, chunk[end:] + b"".join(chunks[number + 1 :])
        return reader, None

    def test_only_crlf_dot_crlf(self) -> None:
        """
        Nothing but CRLF dot CRLF ends the data, in any chunking by two.
        """
        for size in range(8):
            for octets in itertools.product(b"\r\n.", repeat=size):
                text = bytes(octets)
                end = (b"\r\n" + text).find(b"\r\n.\r\n")
                for middle in range(1, max(2, size)):
                    reader, behind = self.read([text[:middle], text[middle:]])
                    if end < 0:
                        self.assertIsNone(behind)
                        continue
                    self.assertEqual(behind, text[end + 3 :])
                    lines = text[:end]
                    self.assertEqual(naive_stuff(reader.content) if reader.content else b"", _canonical(lines))

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(_LINES, st.lists(st.integers(0, 1000), max_size=10), st.sampled_from([b"", b"QUIT\r\n", b"\r\n.\r\n"]))
    def test_any_chunking(self, body: bytes, cuts: list[int], behind: bytes) -> None:
        """
        What was stuffed comes back byte for byte, however it is cut.
        """
        reader, rest = self.read(cut(stuff(body) + END_OF_DATA + behind, cuts))
        self.assertEqual((reader.content, rest), (body, behind))
        self.assertFalse(reader.oversize)

    def test_empty(self) -> None:
        """
        A dot right after DATA is an empty message.
        """
        reader, behind = self.read([b".\r\nQUIT"])
        self.assertEqual((reader.content, behind), (b"", b"QUIT"))

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(_FAULTY, st.lists(st.integers(0, 4000), max_size=10))
    def test_faults(self, body: bytes, cuts: list[int]) -> None:
        """
        What is wrong with it is the same however it is cut: what a look at the whole says.
        """
        body += b"\r\n"
        reader, behind = self.read(cut(stuff(body) + END_OF_DATA, cuts))
        if behind == b"":
            self.assertEqual((reader.content, reader.fault), (body, check_content(body)))

    def test_long_lines(self) -> None:
        """
        The longest line that is allowed is, and one octet more is not, wherever it is cut
        and whether dots are doubled.
        """
        for size, fault in ((998, None), (999, LONG_LINE), (2500, LONG_LINE)):
            for first in (b"x", b"."):
                body = b"short\r\n" + first + b"x" * (size - 1) + b"\r\nshort\r\n"
                wire = stuff(body) + END_OF_DATA
                self.assertEqual(check_content(body), fault)
                for at in range(len(wire) + 1):
                    reader, behind = self.read(cut(wire, [at]))
                    self.assertEqual((reader.fault, behind), (fault, b""), at)

    def test_limit(self) -> None:
        """
        Content up to the limit is kept, doubled dots not counted; above it is not.
        """
        for body in (b".\r\n" * 40, b"a" * 118 + b"\r\n"):
            wire = stuff(body) + END_OF_DATA
            for chunks in ([wire], [wire[at : at + 1] for at in range(len(wire))]):
                reader, behind = self.read(chunks, 120)
                self.assertEqual((reader.content, reader.oversize, behind), (body, False, b""))
                reader, behind = self.read(chunks, 119)
                self.assertEqual((reader.content, reader.oversize, behind), (b"", True, b""))

    def test_memory(self) -> None:
        """
        Content far beyond the limit is not kept, and its end is still found.
        """
        reader = ContentReader(1000)
        for _ in range(10_000):
            self.assertEqual(reader.take(b"x" * 1000 + b"\r\n", 0), -1)
            self.assertLessEqual(len(reader._kept or b""), 1600)
        self.assertEqual(reader.take(b".\r\nNOOP\r\n", 0), 3)
        self.assertTrue(reader.oversize)

    def test_sliced(self) -> None:
        """
        What was looked at is not looked at again, and all of it is there in the end.
        """
        self.patch(body_module, "SLICE", 5)
        wire = b"".join(b"%05d\r\n" % number for number in range(200))
        reader = ContentReader(100_000)
        for at in range(0, len(wire), 10):
            self.assertEqual(reader.take(wire[at : at + 10], 0), -1)
            self.assertLess(len(reader._kept or b""), 16)
        self.assertEqual(reader.take(b".\r\n", 0), 3)
        self.assertEqual((reader.content, reader.fault), (wire, None))


def _canonical(lines: bytes) -> bytes:
    """
    What re-stuffing the content of *lines* gives: a dot that was not doubled is
    taken off all the same (RFC 5321 4.5.2), so only such content may differ.
    """
    content = lines.replace(b"\r\n.", b"\r\n")
    content = content[1:] if content.startswith(b".") else content
    return naive_stuff(content)
