"""
The file behind a log: opened for appending, never waited for.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from zope.interface import Attribute, Interface, implementer

#: Ends a line that was cut and could not be taken back.  No record contains an
#: octet 24 (CANCEL), so that nobody takes the rest for a record.
CUT: Final = b"\x18\n"


class ILogFile(Interface):
    """
    Where the lines of a log go.
    """

    error: OSError | None = Attribute("Why the last write fell short; ``None`` when it did not.")

    def open() -> None:
        """
        Open for appending, creating the file if there is none.

        :raises OSError: when that fails.
        """

    def write(data: bytes) -> int:
        """
        Append whole lines.  Never raises, never waits for a reader.

        :returns: how many octets are in the file, always whole lines; fewer than
            were given means that the rest is lost and :attr:`error` says why.
        """

    def reopen() -> None:
        """
        Open the file of that name anew and leave the old one, which may have
        been renamed.

        :raises OSError: when that fails; the old file is still in use.
        """

    def close() -> None:
        """
        Close; harmless twice.  What is written afterwards is lost.
        """


@implementer(ILogFile)
class NoFile:
    """
    Nowhere: of a log that is not wanted.  What is written is not lost, for nobody waits for it.
    """

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: OSError | None = None

    def open(self) -> None:
        pass

    def write(self, data: bytes) -> int:
        return len(data)

    def reopen(self) -> None:
        pass

    def close(self) -> None:
        pass


@implementer(ILogFile)
class LogFile:
    """
    A file of the system.

    Writes go to the page cache and are not synced: a log line that a power cut
    takes says nothing that the spool does not know.  The descriptor does not
    block; a pipe whose reader is slow loses lines.
    """

    __slots__ = ("_fd", "_torn", "error", "mode", "path")

    def __init__(self, path: str, mode: int = 0o644) -> None:
        """
        :param path: name of the file; its directory exists.
        :param mode: permissions of a file that is created, before umask.
        """
        self.path = path
        self.mode = mode
        self.error: OSError | None = None
        self._fd = -1
        #: Whether the file ends in a piece of a line that could not be taken back.
        self._torn = False

    def open(self) -> None:
        if self._fd < 0:
            self._fd = self._opened()

    def reopen(self) -> None:
        fd = self._opened()
        self.close()
        self._fd = fd

    def close(self) -> None:
        fd, self._fd, self._torn = self._fd, -1, False
        if fd >= 0:
            try:
                os.close(fd)
            except OSError as error:
                # The descriptor is gone all the same; only lines written before may be, too.
                self.error = error

    def write(self, data: bytes) -> int:
        prefix = len(CUT) if self._torn else 0
        if prefix:
            data = CUT + data
        done = 0
        self.error = None
        try:
            if self._fd < 0:
                raise OSError(errno.EBADF, "the log is closed")
            done = os.write(self._fd, data)
            # A short write is not an error yet; the next one says whether it becomes one.
            while done < len(data):
                written = os.write(self._fd, memoryview(data)[done:])
                if not written:
                    raise OSError(errno.EIO, "nothing was written")
                done += written
        except OSError as error:
            self.error = error
        if done == len(data):
            self._torn = False
            return done - prefix
        return self._settle(data, prefix, done)

    def _settle(self, data: bytes, prefix: int, done: int) -> int:
        """
        Make the file end in a whole line, or remember that it does not.
        """
        whole = data.rfind(b"\n", 0, done) + 1
        if whole:
            self._torn = False
        if done > whole and not self._taken_back(done - whole):
            self._torn = True
        return max(0, whole - prefix)

    def _taken_back(self, count: int) -> bool:
        try:
            end = os.lseek(self._fd, 0, os.SEEK_CUR)
            # Behind our own end somebody else has written: nothing of that may go.
            if os.fstat(self._fd).st_size != end:
                return False
            os.ftruncate(self._fd, end - count)
        except OSError:
            return False
        return True

    def _opened(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        return os.open(self.path, flags, self.mode)
