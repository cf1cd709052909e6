"""
Message content on the wire: dots, line ends, and the end of the data
(RFC 5321 2.3.8, 4.1.1.4, 4.5.2).

No line is ever looked at alone: each question is one search over the whole.
"""

import re
from io import IncrementalNewlineDecoder
from typing import Final

#: What follows the content, which ends with CRLF.
END_OF_DATA: Final = b".\r\n"
#: A line that begins with a dot.  The search of an expression that is mere octets is twice as fast as that of bytes
#: where the first of them is rare and what follows it is not.
_DOT_LINE: Final = re.compile(rb"\r\n\.")
#: What can continue CRLF dot CRLF.
_JOINTS: Final = (b".", b"\r", b"\n")
#: RFC 5321 4.5.3.1.6: 1000 octets with CRLF.
MAX_TEXT_LINE: Final = 998


def stuff(body: bytes) -> bytes:
    """
    *body* as it travels before :data:`END_OF_DATA`: a dot at the start of a line
    is doubled, and a CRLF that lacks at the end is added.

    An empty body stays empty: it has no line.  The same object comes back when
    nothing needs to change.
    """
    if body[-2:] != b"\r\n" and body:
        body += b"\r\n"
    if _DOT_LINE.search(body) is not None:
        body = body.replace(b"\r\n.", b"\r\n..")
    if body[:1] == b".":
        body = b"." + body
    return body


def end_line(body: bytes) -> bytes:
    """
    *body* as it travels in chunks (RFC 3030), which need no dots doubled: a CRLF
    that lacks at the end is added, so that every peer gets the same octets.
    """
    return body + b"\r\n" if body[-2:] != b"\r\n" and body else body


class Stuffer:
    """
    :func:`stuff` for a body that comes in chunks, cut anywhere.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        # The end of the DATA command's own line: the first octet begins a line too.
        self._tail = b"\r\n"

    def feed(self, chunk: bytes) -> bytes:
        """
        What to send for *chunk*.
        """
        tail = self._tail
        if len(chunk) > 1:
            self._tail = chunk[-2:]
        else:
            self._tail = (tail + chunk)[-2:]
        # Only a chunk that begins with one of these can complete CRLF-dot with what was before it.
        if chunk[:1] == b"." or chunk[:2] == b"\n.":
            return (tail + chunk).replace(b"\r\n.", b"\r\n..")[len(tail) :]
        if b"\r\n." in chunk:
            return chunk.replace(b"\r\n.", b"\r\n..")
        return chunk

    def finish(self) -> bytes:
        """
        What lacks until the content ends with CRLF: nothing, or CRLF.
        """
        return b"" if self._tail == b"\r\n" else b"\r\n"


#: Octets of a message that comes in pieces that are looked at together.
SLICE: Final = 1 << 18
#: Words for what :func:`check_content` finds.
BARE_CR: Final = "bare CR"
BARE_LF: Final = "bare LF"
NUL: Final = "NUL octet"
LONG_LINE: Final = "line too long"


def check_content(data: bytes) -> str | None:
    """
    What forbids sending *data* as the content of a message, or ``None``.

    A carriage return or line feed that is not part of CRLF is how one message
    is smuggled inside another, because servers disagree on it.

    :returns: the first that applies of :data:`BARE_LF`, :data:`BARE_CR`,
        :data:`NUL` and :data:`LONG_LINE` (more than 998 octets before CRLF).
    """
    # Text reading's own bookkeeping of the line ends it has seen is three times as fast as counting
    # them, and it knows the three kinds apart.  Latin-1 makes one character of every octet.
    decoder = IncrementalNewlineDecoder(None, False)
    decoder.decode(data.decode("latin-1"), True)
    seen = decoder.newlines
    if seen is not None and seen != "\r\n":
        return BARE_LF if "\n" in seen else BARE_CR
    if b"\0" in data:
        return NUL
    # From line end to line end in strides of the longest line allowed: a few steps per 4 KiB.
    start, size = 0, len(data)
    while size - start > MAX_TEXT_LINE:
        end = data.rfind(b"\n", start, start + MAX_TEXT_LINE + 2)
        if end < 0:
            return LONG_LINE
        start = end + 1
    return None


class _Checker:
    """
    :func:`check_content` for content that comes in pieces: a large message must not be
    looked at all at once when it has come.
    """

    __slots__ = ("_decoder", "_line", "_long", "_nul")

    def __init__(self) -> None:
        self._decoder = IncrementalNewlineDecoder(None, False)
        self._nul = False
        self._long = False
        #: Octets of the line that has not ended.
        self._line = 0

    def feed(self, piece: bytes) -> None:
        """
        Look at the next piece.
        """
        self._decoder.decode(piece.decode("latin-1"))
        self._nul = self._nul or b"\0" in piece
        first = piece.find(b"\n")
        if first < 0:
            self._line += len(piece)
            return
        self._long = self._long or self._line + first > MAX_TEXT_LINE + 1
        start, last = first + 1, piece.rfind(b"\n")
        while last + 1 - start > MAX_TEXT_LINE + 2 and not self._long:
            end = piece.rfind(b"\n", start, start + MAX_TEXT_LINE + 2)
            self._long = end < 0
            start = end + 1
        self._line = len(piece) - last - 1

    def fault(self) -> str | None:
        """
        What is wrong with it, when its last line has ended.
        """
        seen = self._decoder.newlines
        if seen is not None and seen != "\r\n":
            return BARE_LF if "\n" in seen else BARE_CR
        if self._nul:
            return NUL
        return LONG_LINE if self._long else None


class ContentReader:
    """
    Collects the content of one received message up to CRLF dot CRLF, and
    nothing else ends it.

    Every octet is looked at once, however the input is cut, unless a line begins
    with a dot; a large message in slices, while it comes, so that its end is no more
    work than its middle.  Content that exceeds the limit is thrown away as it comes,
    up to its end.

    :param limit: octets of the largest content kept.
    """

    __slots__ = (
        "_before",
        "_checker",
        "_dots",
        "_kept",
        "_limit",
        "_ripe",
        "_size",
        "_tail",
        "content",
        "fault",
        "oversize",
    )

    def __init__(self, limit: int) -> None:
        self._limit = limit
        #: What was not looked at; ``None`` as long as nothing has come.
        self._kept: bytearray | None = None
        #: What was, in a large message; the two octets that were before the next slice, as
        #: they came; and what looks at it.
        self._ripe = bytearray()
        self._before = b"\r\n"
        self._checker: _Checker | None = None
        self._size = 0
        # The end of the DATA command's own line: a dot alone may be the first line.
        self._tail = b"\r\n"
        #: A line may begin with a dot, besides the last.
        self._dots = False
        #: The content, dots no longer doubled; once :meth:`take` has found the end.
        self.content = b""
        #: What :func:`check_content` says of it.
        self.fault: str | None = None
        #: The content exceeded the limit, and is not kept.
        self.oversize = False

    def take(self, buffer: bytes, at: int) -> int:
        """
        Read *buffer* from *at* on.

        :returns: where the command after the content begins, or -1 when all was
            content and more is to come.
        """
        end = self._end(buffer, at)
        if end >= 0 and self._kept is None:
            # The usual case: all in one chunk.
            self._finish(buffer[at : end - 3])
            return end
        kept = self._kept
        if kept is None:
            kept = self._kept = bytearray()
        piece = buffer[at:end] if end >= 0 else buffer[at:]
        self._size += len(piece)
        # Doubled dots and the final one are not content; a third is the most they can add.
        if self._size > self._limit + self._limit // 2 + 8:
            self.oversize = True
            kept.clear()
            self._ripe.clear()
        else:
            kept += piece
        if end >= 0:
            if not self.oversize:
                del kept[-3:]
            self._finish(bytes(kept))
        else:
            if len(kept) > SLICE:
                # The last of it may be the beginning of the end.
                ripe, kept = bytes(kept[:-4]), kept[-4:]
                self._kept = kept
                self._ripen(ripe)
            self._tail = piece[-4:] if len(piece) > 3 else (self._tail + piece)[-4:]
        return end

    def _end(self, buffer: bytes, at: int) -> int:
        """
        Where the end of the data ends in *buffer*, or -1 if it is not there.
        """
        if buffer[at : at + 1] in _JOINTS:
            # Only these continue what the last chunk may have begun.
            tail = self._tail
            joint = (tail + buffer[at : at + 4]).find(b"\r\n.\r\n")
            if joint >= 0:
                return at + joint + 5 - len(tail)
            if b"\r\n." in tail + buffer[at : at + 2]:
                self._dots = True
        # In nearly all mail the first line that begins with a dot is the last.
        found = _DOT_LINE.search(buffer, at)
        if found is None:
            return -1
        start = found.start()
        if buffer[start + 3 : start + 5] == b"\r\n":
            return start + 5
        self._dots = True
        start = buffer.find(b"\r\n.\r\n", start)
        return start + 5 if start >= 0 else -1

    def _ripen(self, piece: bytes) -> None:
        """
        Look at a slice of a large message.
        """
        if self._checker is None:
            self._checker = _Checker()
        before, self._before = self._before, piece[-2:]
        if self._dots:
            piece = (before + piece).replace(b"\r\n.", b"\r\n")[len(before) :]
        self._checker.feed(piece)
        self._ripe += piece

    def _finish(self, content: bytes) -> None:
        if self._checker is not None and not self.oversize:
            self._ripen(content)
            content, self._ripe = bytes(self._ripe), bytearray()
        elif self._dots:
            content = content.replace(b"\r\n.", b"\r\n")
            if content[:1] == b".":
                content = content[1:]
        if len(content) > self._limit:
            self.oversize = True
            content = b""
        elif not self.oversize:
            self.fault = self._checker.fault() if self._checker is not None else check_content(content)
        self.content = content
        self._kept = None
