"""
Logs that begin a new file when theirs is large or old enough.

Writing goes on without a gap: a file is renamed while it is open, and the next
record opens another.  What was set aside is compressed and thinned out in a
worker, one log at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger
from zope.interface import implementer

from .files import ILogFile

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from ..interfaces.seams import IThreadExecutor
    from ..settings import GlobalSettings
    from .names import ILogNames

#: Seconds after a failure for which nothing is renamed or opened: what was wrong is seldom mended sooner.
PAUSE: Final = 60.0


class Rotation:
    """
    The rotation of all logs of one service.

    :param names: gives files other names.
    :param executor: where files are compressed.
    :param settings: gives ``log_rotate_size`` and its siblings as they are in force.
    :param wall: wall time, epoch seconds.
    """

    _log = Logger()

    def __init__(
        self,
        names: ILogNames,
        executor: IThreadExecutor,
        settings: Callable[[], GlobalSettings],
        wall: Callable[[], float],
    ) -> None:
        self.names = names
        self.wall = wall
        self._settings = settings
        self._executor = executor
        self._open: dict[RotatedFile, None] = {}
        #: Logs that have something to tidy; the first one is being tidied.
        self._untidy: dict[str, None] = {}
        self._tidying = False
        self._running = False

    def file(self, file: ILogFile, path: str) -> ILogFile:
        """
        The log *file*, whose path is *path*, as one that rotates.
        """
        return RotatedFile(file, path, self)

    def begin(self) -> None:
        """
        Rotate from now on.  Until then nothing is renamed: whoever only checks a configuration
        opens the same files as the service that runs.
        """
        self._running = True

    def stop(self) -> None:
        """
        Rotate no more; a worker leaves what it is doing.  Harmless twice.
        """
        self._running = False

    def rotate(self) -> int:
        """
        Begin new files for all logs that have anything in theirs.

        :returns: how many were begun.
        """
        return sum(file.rotate() for file in list(self._open))

    def opened(self, file: RotatedFile) -> None:
        """
        A log is written from now on.
        """
        self._open[file] = None

    def closed(self, file: RotatedFile) -> None:
        """
        It is no longer.
        """
        self._open.pop(file, None)

    def due(self, size: int, written: float, more: int) -> bool:
        """
        Whether a file is large or old enough.

        :param size: its octets.
        :param written: when it was last written.
        :param more: octets that are to be added.
        """
        settings = self._settings()
        largest, interval = settings.log_rotate_size, settings.log_rotate_interval
        if not self._running or not size or not (largest or interval):
            return False
        if largest and size + more > largest:
            return True
        return bool(interval) and self.wall() // interval != written // interval

    @property
    def running(self) -> bool:
        """
        Whether anything is renamed.
        """
        return self._running

    def set_aside(self, path: str) -> None:
        """
        A file of the log *path* was set aside, and nobody writes it any more.
        """
        self._untidy[path] = None
        self._tidy()

    def _tidy(self) -> None:
        if self._tidying or not self._untidy or not self._running:
            return
        self._tidying = True
        path = next(iter(self._untidy))
        del self._untidy[path]
        settings = self._settings()
        tidying = self._executor.run(
            self.names.tidy, path, settings.log_rotate_keep, settings.log_rotate_compress, lambda: not self._running
        )
        tidying.addCallbacks(self._tidied, self._not_tidied, callbackArgs=(path,), errbackArgs=(path,))
        tidying.addBoth(self._next)

    def _tidied(self, removed: int, path: str) -> None:
        if removed:
            self._log.info("{path}: {count} old files were removed (log_rotate_keep)", path=path, count=removed)

    def _not_tidied(self, failure: Failure, path: str) -> None:
        self._log.error(
            "{path}: what was set aside could not be compressed or removed and is left for the next time: {reason}",
            path=path,
            reason=failure.getErrorMessage(),
        )

    def _next(self, _: object) -> None:
        self._tidying = False
        self._tidy()

    def complain(self, path: str, error: OSError) -> None:
        """
        A log goes on in the file it has.
        """
        self._log.error("{path} cannot be rotated and goes on in the old file: {error}", path=path, error=error)


@implementer(ILogFile)
class RotatedFile:
    """
    A log file that is renamed when it is large or old enough.

    :param file: the file as it is.
    :param path: its path.
    :param rotation: says when.
    """

    __slots__ = ("_failed_at", "_file", "_halfway", "_path", "_rotation", "_size", "_written")

    def __init__(self, file: ILogFile, path: str, rotation: Rotation) -> None:
        self._file = file
        self._path = path
        self._rotation = rotation
        self._size = 0
        self._written = 0.0
        #: Whether the file was renamed and no other could be opened.
        self._halfway = False
        self._failed_at: float | None = None

    @property
    def error(self) -> OSError | None:
        """
        See :class:`~momentum_tx.logs.files.ILogFile`.
        """
        return self._file.error

    def open(self) -> None:
        self._file.open()
        self._look()
        self._rotation.opened(self)

    def write(self, data: bytes) -> int:
        rotation = self._rotation
        if self._halfway or rotation.due(self._size, self._written, len(data)):
            now = rotation.wall()
            # The absolute difference, since a clock that was set back must not keep us from it.
            if self._failed_at is None or abs(now - self._failed_at) >= PAUSE:
                self.rotate()
        kept = self._file.write(data)
        self._size += kept
        self._written = rotation.wall()
        return kept

    def rotate(self) -> bool:
        """
        Go on in a new file, if there is anything in this one; false if not, or if it cannot be done.
        """
        rotation = self._rotation
        if not rotation.running or not (self._size or self._halfway):
            return False
        try:
            renamed = rotation.names.set_aside(self._path)
            self._halfway = self._halfway or renamed
            if not self._halfway:
                # A pipe, or moved away by somebody who will say so.
                self._look()
                return False
            self._file.reopen()
        except OSError as error:
            self._failed_at = rotation.wall()
            rotation.complain(self._path, error)
            return False
        self._halfway = False
        self._failed_at = None
        self._look()
        rotation.set_aside(self._path)
        return True

    def reopen(self) -> None:
        self._file.reopen()
        self._halfway = False
        self._look()

    def close(self) -> None:
        self._rotation.closed(self)
        self._file.close()

    def _look(self) -> None:
        self._size, self._written = self._rotation.names.state(self._path)
