"""
A log file in memory, and mainlog read back.
"""

from __future__ import annotations

import errno
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from zope.interface import implementer

from ..logs.files import ILogFile
from ..logs.names import ILogNames

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

    def take(self) -> bytes:
        """
        Take everything out of it.
        """
        content, self._pieces = self.content, []
        return content

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


@implementer(ILogNames)
class MemoryLogNames:
    """
    The names of log files in memory.

    :param find: the file of a path.
    :param wall: wall time.
    :ivar aside: what was set aside, by name; compressed where the name says so.
    """

    def __init__(self, find: Callable[[str], MemoryLogFile | None], wall: Callable[[], float]) -> None:
        self._find = find
        self._wall = wall
        self.aside: dict[str, bytes] = {}

    def state(self, path: str) -> tuple[int, float]:
        """
        See :class:`~momentum_tx.logs.names.ILogNames`.
        """
        file = self._find(path)
        return (len(file.content), self._wall()) if file is not None else (0, 0.0)

    def set_aside(self, path: str) -> bool:
        """
        See :class:`~momentum_tx.logs.names.ILogNames`.
        """
        file = self._find(path)
        if file is None:
            return False
        last = max((int(name.split(".")[-1]) for name in self._of(path)), default=0)
        self.aside[f"{path}.{last + 1:06d}"] = file.take()
        return True

    def tidy(self, path: str, keep: int, compress: bool, unwanted: Callable[[], bool]) -> int:
        """
        See :class:`~momentum_tx.logs.names.ILogNames`.
        """
        names = sorted(self._of(path))
        removed = names[: max(0, len(names) - keep)]
        for name in names:
            content = self.aside.pop(name, None)
            if content is None:
                content = gzip.decompress(self.aside.pop(f"{name}.gz"))
            if name not in removed and compress:
                self.aside[f"{name}.gz"] = gzip.compress(content, mtime=0)
            elif name not in removed:
                self.aside[name] = content
        return len(removed)

    def _of(self, path: str) -> list[str]:
        """
        What was set aside of a log, without what says that it is compressed.
        """
        return [name.removesuffix(".gz") for name in self.aside if name.rpartition(".0")[0] == path]


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
