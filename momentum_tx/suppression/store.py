"""
The list on disk: one file of lines, each an entry or the end of one, with a checksum in
front; the last one of an address counts.

Read and written by workers, never in the reactor's thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from ..interfaces.seams import IJournalFiles, IThreadExecutor
from ..spool.line_file import LineFile, parse_line
from ..spool.side_files import SideFiles
from .entries import Suppressed

NAME: Final = "addresses"
#: Lines that may be appended before the file is written anew, if they are more than it had entries then.
SLACK: Final = 100_000

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
        self._file = LineFile(self._side, NAME)
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
        for line in self._file.read():
            change = parse_change(line)
            if change is None:
                bad += 1
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
            try:
                self._file.replace(found.items())
            except OSError as error:
                self._side.complain(error)
            else:
                self._lines = self._entries
        return found

    def _append(self, changes: Sequence[Change]) -> bool:
        if not self._side.ready():
            return False
        try:
            self._file.append(changes)
        except OSError as error:
            self._side.complain(error)
            self.writable = False
            return False
        self.writable = True
        self._lines += len(changes)
        if self._lines > self._entries + SLACK:
            with suppress(OSError):
                # It finds how many of the lines still count, and writes the file anew if those are few.
                self._load()
        return True


def parse_change(line: bytes) -> Change | None:
    """
    The change that stands in *line*; ``None`` if it was spoilt.
    """
    try:
        key, entry = parse_line(line)
        return key, None if entry is None else Suppressed(*entry)
    except (ValueError, TypeError):
        return None
