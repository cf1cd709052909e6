"""
What was said on one connection, to be shown when something went wrong.

Kept while the connection lives, within bounds, and turned into text only when
somebody looks: most sessions go well, and nobody does.  Content is never kept,
and of an authentication nothing but that there was one.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from zope.interface import implementer

from ..interfaces.records import ITranscript

#: Octets kept of the beginning of a part, and as many of its end.
KEPT: Final = 4096
#: Octets kept of one write or one read.
PIECE: Final = 2048
#: Octets that an entry counts for besides its words.
OVERHEAD: Final = 32

#: Kinds of entries.
SAID: Final = 0
HEARD: Final = 1
CONTENT: Final = 2
SECRET: Final = 3
EVENT: Final = 4

#: When, what kind, what was said, and how many octets that was in full.
Entry = tuple[float, int, bytes, int]

_MARKS: Final = {SAID: ">", HEARD: "<", CONTENT: ">", SECRET: ">", EVENT: "*"}
_AUTH: Final = b"AUTH "


class TranscriptReader(Protocol):
    """
    Who follows what is said while it is said.
    """

    def told(self, entry: Entry) -> None:
        """
        One more entry.
        """


class _Part:
    """
    A stretch of the dialogue: its beginning and its end; what lies between them
    is counted and forgotten.  One is made for every transaction, and few ever need
    more than a beginning.
    """

    __slots__ = ("_tail", "_tail_octets", "head", "omitted", "room")

    def __init__(self) -> None:
        #: The beginning.
        self.head: list[Entry] = []
        #: Octets that it may still grow by; negative once it is at its end.
        self.room = KEPT
        self._tail: deque[Entry] | None = None
        self._tail_octets = 0
        #: Octets that were forgotten.
        self.omitted = 0

    def overflow(self, entry: Entry) -> None:
        """
        Take what does not fit into the beginning.
        """
        self.room = -1
        tail = self._tail
        if tail is None:
            tail = self._tail = deque()
        tail.append(entry)
        self._tail_octets += len(entry[2]) + OVERHEAD
        while self._tail_octets > KEPT and len(tail) > 1:
            gone = tail.popleft()
            self._tail_octets -= len(gone[2]) + OVERHEAD
            self.omitted += gone[3]

    def lines(self, since: float) -> list[str]:
        lines = [line for entry in self.head for line in render(entry, since)]
        if self.omitted:
            lines.append(f"... {self.omitted} octets left out ...")
        lines += [line for entry in self._tail or () for line in render(entry, since)]
        return lines


@implementer(ITranscript)
class Transcript:
    """
    The dialogue of one connection: its opening, and the transaction it is in.

    :ivar began: when it began, in the seconds that entries are told with.
    :ivar reader: who follows it; ``None`` for nobody.
    """

    __slots__ = ("_opening", "_part", "_secret", "_unended", "began", "reader")

    def __init__(self, now: float, reader: TranscriptReader | None = None) -> None:
        self.began = now
        self.reader = reader
        self._opening = _Part()
        #: What is being said: the opening, or the transaction.
        self._part = self._opening
        #: Whether credentials are being told.
        self._secret = False
        #: The beginning of a line that was heard meanwhile.
        self._unended = b""

    def turn(self) -> None:
        """
        A transaction begins: what was kept of the one before is forgotten.
        """
        self._part = _Part()

    def said(self, now: float, data: bytes, secret: bool = False) -> None:
        """
        We wrote *data*.

        :param secret: it must not be kept, not even in part.
        """
        if secret or self._secret:
            self._add((now, SECRET, b"", len(data)))
        elif data[:5].upper() == _AUTH:
            # The mechanism is worth knowing, what follows it is nobody's business.
            self._secret = True
            mechanism = data[5:].split(maxsplit=1)[:1]
            self._add((now, SECRET, b"AUTH " + b"".join(mechanism)[:20], len(data)))
        else:
            self._add((now, SAID, data if len(data) <= PIECE else data[:PIECE], len(data)))

    def heard(self, now: float, data: bytes) -> None:
        """
        The peer wrote *data*.
        """
        if self._secret:
            data = self._heard_in_secret(now, data)
            if not data:
                return
        self._add((now, HEARD, data if len(data) <= PIECE else data[:PIECE], len(data)))

    def _heard_in_secret(self, now: float, data: bytes) -> bytes:
        """
        What is left of *data* to be kept once the secrets are over.

        A challenge may tell of the answer, so that only its code is kept; whole
        lines are awaited, or the next answer might pass for a command.
        """
        data = self._unended + data
        while data:
            end = data.find(b"\n") + 1
            if not end:
                break
            if not data.startswith(b"3"):
                # Whatever else wants more may be given it.
                self._secret = False
                self._unended = b""
                return data
            self._add((now, HEARD, data[:3], end))
            data = data[end:]
        # What counts is how it begins.
        self._unended = data[:PIECE]
        return b""

    def content(self, now: float, octets: int) -> None:
        """
        The content was written, or the first of its octets.
        """
        self._add((now, CONTENT, b"", octets))

    def event(self, now: float, text: str) -> None:
        """
        Something happened that nobody said.
        """
        self._add((now, EVENT, text.encode("utf-8", "replace")[:PIECE], 0))

    def _add(self, entry: Entry) -> None:
        # Four times for every message that is sent: no call for what fits.
        part = self._part
        room = part.room - len(entry[2]) - OVERHEAD
        if room >= 0:
            part.room = room
            part.head.append(entry)
        else:
            part.overflow(entry)
        if self.reader is not None:
            self.reader.told(entry)

    def snapshot(self) -> Transcript:
        """
        What is kept up to now, for whoever looks when the connection is gone or does something else.
        """
        copy = Transcript(self.began)
        copy._opening, copy._part = self._opening, self._part
        return copy

    def lines(self) -> list[str]:
        """
        What is kept, one line of the dialogue each: seconds since the beginning,
        ``>`` for us, ``<`` for the peer, ``*`` for what happened, and the words.
        """
        lines = self._opening.lines(self.began)
        if self._part is not self._opening:
            lines += self._part.lines(self.began)
        return lines


def render(entry: Entry, since: float) -> list[str]:
    """
    The lines of one entry.

    :param since: the moment that times are told from.
    """
    now, kind, data, octets = entry
    prefix = f"{now - since:.3f} {_MARKS[kind]} "
    if kind == CONTENT:
        return [f"{prefix}[content, {octets} octets]"]
    if kind == SECRET:
        # Not how long it is either: of a password that is a good part.
        return [f"{prefix}{printable(data)}{' ' if data else ''}[secret]"]
    lines = [prefix + printable(line) for line in data.removesuffix(b"\r\n").split(b"\r\n")]
    if octets > len(data):
        lines[-1] += f" [{octets - len(data)} octets more]"
    return lines


def printable(octets: bytes) -> str:
    """
    Octets from a stranger as text that is safe to show: what cannot be printed,
    and the backslash, as ``\\xNN``.
    """
    text = octets.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        char
        if char.isprintable() and char != "\\"
        else "".join(f"\\x{octet:02x}" for octet in char.encode("utf-8", "surrogateescape"))
        for char in text
    )
