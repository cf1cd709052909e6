"""
The strict reader of SMTP replies: bytes in, complete replies out, within bounds.
"""

import enum
import re
from typing import Final

from ..errors import RemoteProtocolError

#: RFC 5321 4.5.3.1.5 allows a reply line 512 octets; peers exceed it, so we keep eight times that.
MAX_LINE: Final = 4096
#: Lines of one reply; real ones to EHLO have a few dozen at most.
MAX_LINES: Final = 1000
#: Octets of one reply, line ends included; where the best of the other servers cut.
MAX_REPLY: Final = 128 * 1024
#: Octets of a reply that logs and queues keep.
MAX_NOTE: Final = 2048

#: Every code with a meaning: RFC 5321 4.2.1 knows the first digits 2 to 5 and tells a client to
#: judge an unknown code by its first digit, so the other two are free (571 and the like exist).
_CODES: Final = {b"%d" % code: code for code in range(200, 600)}
#: What a terminal or a log could trip over becomes a question mark.
_PRINTABLE: Final = bytes(ord("?") if octet < 32 or octet == 127 else octet for octet in range(256))
_ENHANCED: Final = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?: |$)")


class ReplyClass(enum.IntEnum):
    """
    The first digit of a reply code (RFC 5321 4.2.1).
    """

    #: Done.
    OK = 2
    #: Go on with what was announced.
    GO_ON = 3
    #: Not now.
    TRANSIENT = 4
    #: Never.
    PERMANENT = 5


_CLASSES: Final = {each.value: each for each in ReplyClass}


class Reply:
    """
    One complete reply.

    :ivar code: three digits, 200 to 599.
    :ivar reply_class: the first of them.
    :ivar lines: the text of each line, without code, separator and line end.
    :ivar overlong: a line exceeded :data:`MAX_LINE` and was cut there; the code
        still counts, the text may not be complete.
    """

    __slots__ = ("code", "lines", "overlong", "reply_class")

    def __init__(self, code: int, lines: tuple[bytes, ...], overlong: bool = False) -> None:
        self.code = code
        # Of every reply it is asked, so that it is no property.
        self.reply_class = _CLASSES[code // 100]
        self.lines = lines
        self.overlong = overlong

    @property
    def note(self) -> bytes:
        """
        The whole reply as one line, code first, safe to log, at most
        :data:`MAX_NOTE` octets: lines are joined by a space, and every control
        character is a question mark.
        """
        lines = self.lines
        text = lines[0] if len(lines) == 1 else b" ".join(lines)
        if not text:
            return b"%d" % self.code
        return (b"%d %b" % (self.code, text[:MAX_NOTE]))[:MAX_NOTE].translate(_PRINTABLE)

    @property
    def enhanced(self) -> bytes:
        """
        The enhanced status code at the start of the last line (RFC 2034), empty
        if there is none or if its class contradicts the code, which then rules.
        """
        found = _ENHANCED.match(self.lines[-1])
        if found is None or found[1][0] - 48 != self.code // 100:
            return b""
        return found[1]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reply):
            return NotImplemented
        return (self.code, self.lines, self.overlong) == (other.code, other.lines, other.overlong)

    def __hash__(self) -> int:
        return hash((self.code, self.lines))

    def __repr__(self) -> str:
        return f"<Reply {self.note!r}>"


class ReplyReader:
    """
    Cuts received bytes into replies.

    Give it every chunk with :meth:`receive_data`, then call :meth:`next_reply`
    until it answers ``None``, or :attr:`unread` is false.  Replies are handed out one by one so that one
    which came before a malformed one is not lost with it.

    CRLF ends a line; LF alone and CR CR LF are tolerated.  Whatever arrives,
    it holds at most :data:`MAX_REPLY` and one chunk in memory, and raises
    nothing but :class:`~momentum_tx.errors.RemoteProtocolError`; after that it
    must be thrown away.

    :param greeting: the first reply may change its code from line to line and
        is judged on its last one, as Momentum judges a banner.  Elsewhere that
        is an error.
    """

    __slots__ = ("_at", "_buffer", "_code", "_cut", "_greeting", "_lines", "_overlong", "_searched", "_size", "unread")

    def __init__(self, greeting: bool = False) -> None:
        self._buffer = b""
        #: Where the next line begins in the buffer.
        self._at = 0
        #: Up to where the buffer is known to hold no line end.
        self._searched = 0
        self._greeting = greeting
        #: Whether something was received that :meth:`next_reply` has not looked at.
        self.unread = False
        self._start_reply()

    def _start_reply(self) -> None:
        self._code = b""
        self._lines: list[bytes] = []
        self._size = 0
        self._overlong = False
        #: The start of a line whose excess is being thrown away.
        self._cut: bytes | None = None

    @property
    def pending(self) -> bool:
        """
        Whether anything was received beyond the last reply handed out, be it
        half a line.
        """
        return self._at < len(self._buffer) or bool(self._lines) or self._cut is not None

    def receive_data(self, data: bytes) -> None:
        """
        Take the next bytes from the peer.
        """
        if self._at < len(self._buffer):
            self._searched = max(0, self._searched - self._at)
            self._buffer = self._buffer[self._at :] + data
        else:
            self._searched = 0
            self._buffer = data
        self._at = 0
        self.unread = True

    def next_reply(self) -> Reply | None:
        """
        The next complete reply, or ``None`` until more is received.

        :raises RemoteProtocolError: for what cannot be a reply, or exceeds a bound.
        """
        while True:
            buffer, at = self._buffer, self._at
            end = buffer.find(b"\n", self._searched if self._searched > at else at)
            if end < 0:
                self._keep_partial()
                return None
            self._at = end + 1
            self.unread = end + 1 < len(buffer)
            # Nearly every reply is one line: nothing to collect, nothing to bound.
            if not self._lines and self._cut is None and buffer[at + 3 : at + 4] == b" " and end - at <= MAX_LINE:
                code = _CODES.get(buffer[at : at + 3])
                if code is not None:
                    self._greeting = False
                    return Reply(code, (buffer[at + 4 : end].rstrip(b"\r"),))
            line = buffer[at:end]
            self._size += end + 1 - at
            if self._size > MAX_REPLY:
                raise RemoteProtocolError(f"a reply of more than {MAX_REPLY} octets")
            if self._cut is not None:
                line, self._cut = self._cut, None
            elif len(line) > MAX_LINE:
                line, self._overlong = line[:MAX_LINE], True
            reply = self._take_line(line.rstrip(b"\r"))
            if reply is not None:
                return reply

    def _keep_partial(self) -> None:
        self.unread = False
        partial = len(self._buffer) - self._at
        if partial <= MAX_LINE and self._cut is None:
            self._searched = len(self._buffer)
            return
        if self._cut is None:
            self._cut = self._buffer[self._at : self._at + MAX_LINE]
            self._overlong = True
        self._size += partial
        if self._size > MAX_REPLY:
            raise RemoteProtocolError(f"a reply of more than {MAX_REPLY} octets")
        self._buffer = b""
        self._at = self._searched = 0

    def _take_line(self, line: bytes) -> Reply | None:
        code, separator = line[:3], line[3:4]
        if code not in _CODES or separator not in (b"", b" ", b"-"):
            raise RemoteProtocolError(f"malformed reply line {line[:80]!r}")
        if self._code and code != self._code and not self._greeting:
            raise RemoteProtocolError(f"a reply that says {self._code.decode()} and {code.decode()}")
        self._code = code
        self._lines.append(line[4:])
        if separator == b"-":
            if len(self._lines) >= MAX_LINES:
                raise RemoteProtocolError(f"a reply of more than {MAX_LINES} lines")
            return None
        reply = Reply(_CODES[code], tuple(self._lines), self._overlong)
        self._greeting = False
        self._start_reply()
        return reply
