"""
Keeps what was counted in one small file, so that a restart loses a minute of it
at most.

The file is lines: each is all that is known of one domain and day, with a
checksum in front, and the last one counts.  A line that was torn, or spoilt, is
passed over; nothing depends on it but a report.  Written and read by workers,
one after the other, never in the reactor's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import SpoolError
from ..interfaces.seams import IJournalFiles, IThreadExecutor
from ..spool.line_file import LineFile, parse_line
from ..spool.side_files import SideFiles

T = TypeVar("T")

#: The file.
NAME: Final = "counts"
#: Octets that are read of a file; what is behind them is as if it were not there.
MOST_OCTETS: Final = 256 * 1024 * 1024
#: Octets that may be appended before the file is written anew, if they are more than twice what it had then.
SLACK: Final = 1 << 20

#: Day, domain, and what is known; ``None``: nothing any more.
Entry = tuple[int, str, dict[str, Any] | None]


class CountStore:
    """
    The file.  What goes wrong with it is logged, and told to nobody.

    :param files: its directory.
    :param threads: do the work.
    """

    _log = Logger()

    def __init__(self, files: IJournalFiles, threads: IThreadExecutor) -> None:
        self._side = SideFiles(files, "counts of TLS sessions")
        self._file = LineFile(self._side, NAME)
        self._threads = threads
        #: Octets that were in the file when it was written anew, and those that came since.
        self._size = 0
        self._appended = 0
        #: Fires when everything that was asked for so far is done.
        self._last: Deferred[Any] = succeed(None)

    def load(self) -> Deferred[list[Entry]]:
        """
        What is kept, and the file written anew without what is over.  Never fails.
        """
        return self._next([], self._load)

    def save(self, entries: Sequence[Entry]) -> Deferred[None]:
        """
        Keep *entries* besides what is there.  Never fails.
        """
        return self._next(None, self._append, entries)

    def close(self) -> None:
        """
        Let go of the directory; what is under way has ended by now.
        """
        self._side.close()

    def _next(self, instead: T, work: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        Have a worker do something, when the one before has done.
        """
        done: Deferred[T] = Deferred()

        def begin(_: object) -> Deferred[Any]:
            return self._threads.run(work, *args)

        def ended(result: T | Failure) -> None:
            if isinstance(result, Failure):
                if not result.check(SpoolError):
                    self._log.failure("counts of TLS sessions are not kept", result)
                result = instead
            done.callback(result)

        self._last.addCallback(begin)
        self._last.addBoth(ended)
        return done

    # What workers do.

    def _load(self) -> list[Entry]:
        if not self._side.ready():
            return []
        found: dict[tuple[int, str], dict[str, Any]] = {}
        try:
            lines = self._file.read(MOST_OCTETS)
        except OSError as error:
            self._side.complain(error)
            return []
        bad = 0
        for line in lines:
            entry = parse_entry(line)
            if entry is None:
                bad += 1
                continue
            day, domain, data = entry
            found.pop((day, domain), None)
            if data is not None:
                found[day, domain] = data
        if bad:
            self._log.warn("{bad} lines of the counts of TLS sessions cannot be read, and are left out", bad=bad)
        entries: list[Entry] = [(day, domain, data) for (day, domain), data in found.items()]
        if lines:
            self._rewrite(entries)
        return entries

    def _append(self, entries: Sequence[Entry]) -> None:
        if not self._side.ready():
            return
        try:
            self._appended += self._file.append(entries)
        except OSError as error:
            self._side.complain(error)
            return
        if self._appended > max(SLACK, 2 * self._size):
            self._load()

    def _rewrite(self, entries: Sequence[Entry]) -> None:
        try:
            self._size, self._appended = self._file.replace(entries), 0
        except OSError as error:
            self._side.complain(error)


def parse_entry(line: bytes) -> Entry | None:
    """
    The entry that stands in *line*; ``None`` if it was spoilt.
    """
    try:
        day, domain, data = parse_line(line)
    except (ValueError, TypeError):
        return None
    if type(day) is not int or type(domain) is not str or not (data is None or type(data) is dict):
        return None
    return day, domain, data
