"""
The list on disk: one file of lines, each an entry or the end of one, with a checksum in
front; the last one of an address counts.

Read and written by workers, never in the reactor's thread.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from ..interfaces.seams import IJournalFiles, IThreadExecutor
from ..spool.side_files import SideFiles
from .entries import Suppressed

NAME: Final = "addresses"
NEW: Final = "addresses.new"
#: Lines that may be appended before the file is written anew, if they are more than it had entries then.
SLACK: Final = 100_000
_PIECE: Final = 1 << 20

#: Key and entry; ``None``: it is on the list no more.
Change = tuple[str, Suppressed | None]


class SuppressionStore:
    """
    The file.

    :param files: its directory.
    :param threads: do the work.
    :ivar writable: whether the last change is on disk, as far as is known.
    """

    _log = Logger()

    def __init__(self, files: IJournalFiles, threads: IThreadExecutor) -> None:
        self._side = SideFiles(files, "the suppression list")
        self._threads = threads
        self._entries = self._lines = 0
        self._last: Deferred[Any] = succeed(None)
        self.writable = True

    def load(self) -> Deferred[dict[str, Suppressed]]:
        """
        All entries.  Fails with ``OSError`` where the file cannot be read.
        """
        return self._next(self._load)

    def save(self, changes: Sequence[Change]) -> Deferred[bool]:
        """
        Keep *changes*.

        :returns: fires with whether they are on disk; never fails.
        """
        return self._next(self._append, changes)

    def close(self) -> None:
        """
        Let go of the directory; what is under way has ended by now.
        """
        self._side.close()

    def _next(self, work: Any, *args: Any) -> Deferred[Any]:
        """
        Have a worker do something, when the one before has done.
        """
        done: Deferred[Any] = Deferred()
        self._last.addBoth(lambda _: self._threads.run(work, *args))
        self._last.addCallbacks(done.callback, done.errback)
        return done

    # What workers do.

    def _load(self) -> dict[str, Suppressed]:
        if not self._side.ready():
            raise OSError("its directory cannot be used")
        found: dict[str, Suppressed] = {}
        bad = self._lines = 0
        for line in self._read().split(b"\n"):
            change = parse_line(line)
            if change is None:
                bad += bool(line)
                continue
            self._lines += 1
            key, entry = change
            if entry is None:
                found.pop(key, None)
            else:
                found[key] = entry
        if bad:
            self._log.error("{bad} lines of the suppression list cannot be read, and are left out", bad=bad)
        self._entries = len(found)
        if self._lines > self._entries + SLACK:
            self._rewrite(found)
        return found

    def _read(self) -> bytes:
        try:
            file = self._side.files.open(NAME)
        except FileNotFoundError:
            return b""
        pieces: list[bytes] = []
        try:
            at = 0
            while piece := file.read(at, _PIECE):
                pieces.append(piece)
                at += len(piece)
        finally:
            file.close()
        return b"".join(pieces)

    def _append(self, changes: Sequence[Change]) -> bool:
        if not self._side.ready():
            return False
        lines = [make_line(change) for change in changes]
        try:
            try:
                file = self._side.files.open(NAME)
            except FileNotFoundError:
                self._side.replace(NAME, NEW, [b"", *lines])
            else:
                try:
                    # What was torn before stays a line of its own.
                    file.append([b"\n", *lines])
                    file.sync()
                finally:
                    file.close()
        except OSError as error:
            self._side.complain(error)
            self.writable = False
            return False
        self._side.kept()
        self.writable = True
        self._lines += len(lines)
        return True

    def _rewrite(self, entries: dict[str, Suppressed]) -> None:
        try:
            self._side.replace(NAME, NEW, [b"", *(make_line(each) for each in entries.items())])
        except OSError as error:
            self._side.complain(error)
        else:
            self._lines = len(entries)


def make_line(change: Change) -> bytes:
    """
    A change as a line, with its checksum and its end.
    """
    key, entry = change
    text = json.dumps([key, None if entry is None else list(entry)], separators=(",", ":")).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def parse_line(line: bytes) -> Change | None:
    """
    What :func:`make_line` made; ``None`` if it was not that.
    """
    checksum, _, text = line.partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(text):
            return None
        key, entry = json.loads(text)
        return key, None if entry is None else Suppressed(*entry)
    except (ValueError, TypeError, RecursionError):
        return None
