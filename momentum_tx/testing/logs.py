"""
A log file in memory, and mainlog read back.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Final

from zope.interface import implementer

from ..logs.files import ILogFile

_COMMON: Final = ("time", "id", "batch", "conn_id", "kind")
_FAILURE: Final = (
    *_COMMON,
    "domain",
    "transferred",
    "group",
    "binding",
    "stage",
    "retries",
    "age",
    "peer",
    "note",
)
#: The fields of each kind of record, as on the page ``doc/reference/mainlog``.
FIELDS: Final = {
    "R": (
        *_COMMON,
        "local",
        "domain",
        "sender_local",
        "sender_domain",
        "source",
        "size",
        "method",
        "group",
        "binding",
    ),
    "D": (*_COMMON, "domain", "size", "group", "binding", "retries", "age", "peer"),
    "T": _FAILURE,
    "P": _FAILURE,
}


@implementer(ILogFile)
class MemoryLogFile:
    """
    A log file in memory.

    :ivar reopened: how often it was opened anew.
    :ivar closed: whether it is closed.
    :ivar full: while true nothing is kept.
    """

    def __init__(self) -> None:
        self.error: OSError | None = None
        self._pieces: list[bytes] = []
        self.reopened = 0
        self.closed = True
        self.full = False

    @property
    def content(self) -> bytes:
        """
        What was written.
        """
        # A log is written a thousand times for each time it is read.
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    def open(self) -> None:
        """
        See :class:`~momentum_tx.logs.files.ILogFile`.
        """
        self.closed = False

    def write(self, data: bytes) -> int:
        """
        See :class:`~momentum_tx.logs.files.ILogFile`.
        """
        self.error = None
        if self.closed:
            self.error = OSError(errno.EBADF, "the log is closed")
        elif self.full:
            self.error = OSError(errno.ENOSPC, "the disk is full")
        else:
            self._pieces.append(data)
            return len(data)
        return 0

    def reopen(self) -> None:
        """
        See :class:`~momentum_tx.logs.files.ILogFile`.
        """
        self.reopened += 1
        self.closed = False

    def close(self) -> None:
        """
        See :class:`~momentum_tx.logs.files.ILogFile`.
        """
        self.closed = True


@dataclass(frozen=True, slots=True)
class Record:
    """
    One record of mainlog.

    :ivar kind: its type, one letter.
    :ivar fields: every field by name, as written; see :data:`FIELDS`.
    """

    kind: str
    fields: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.fields[name]


def parse_mainlog(content: bytes) -> list[Record]:
    """
    The records of a mainlog, heartbeats left out.

    :raises ValueError: a line has other fields than it should.
    """
    records = []
    for line in content.decode("utf-8", "surrogateescape").splitlines():
        kind = line.split("@", 5)[4]
        if kind == "M":
            continue
        names = FIELDS[kind]
        values = line.split("@", len(names) - 1)
        records.append(Record(kind, dict(zip(names, values, strict=True))))
    return records
