"""
The real files of the journal, in one directory.

The only module of the spool that makes system calls.  It raises
:class:`OSError` as the seam says; the journal translates.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Sequence
from typing import Final

from twisted.logger import Logger
from zope.interface import implementer

from ..errors import StartupError
from ..interfaces.seams import IJournalFile, IJournalFiles
from .records import segment_number

#: Linux takes at most 1024 buffers per writev (IOV_MAX).
_BUFFERS: Final = 1024
_LOCK: Final = "lock"
_RESERVE: Final = "reserve"
_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW


@implementer(IJournalFile)
class DirectoryFile:
    """
    One open file; made by :class:`DirectoryFiles`.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    def size(self) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        return self._size

    def append(self, buffers: Sequence[bytes]) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        start = self._size
        try:
            self._write(buffers)
        except OSError as error:
            error.filename = self.name
            try:
                os.ftruncate(self._descriptor, start)
            except OSError:
                error.torn = True  # type: ignore[attr-defined]
            raise
        return start

    def read(self, offset: int, length: int) -> bytes:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        octets = os.pread(self._descriptor, length, offset)
        while 0 < len(octets) < length:
            # Linux ends one read after 2 GiB or at a signal; only an empty one is the end.
            more = os.pread(self._descriptor, length - len(octets), offset + len(octets))
            if not more:
                break
            octets += more
        return octets

    def truncate(self, length: int) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        os.ftruncate(self._descriptor, length)
        self._size = length

    def sync(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        try:
            os.fdatasync(self._descriptor)
            if not os.fstat(self._descriptor).st_nlink:
                # It would be synced well, and be found by nobody.
                raise OSError(errno.ENOENT, "it was removed while it was in use; restart when its directory is back")
        except OSError as error:
            # The system does not say whose descriptor it was.
            error.filename = self.name
            raise

    def close(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _write(self, buffers: Sequence[bytes]) -> None:
        # Positions are explicit: nobody else may move ours, and a cut leaves no hole.
        at = self._size
        for first in range(0, len(buffers), _BUFFERS):
            group: list[bytes] | list[memoryview] = list(buffers[first : first + _BUFFERS])
            left = sum(map(len, group))
            while left:
                written = os.pwritev(self._descriptor, group, at)
                at += written
                left -= written
                if left:
                    if not written:
                        raise OSError(errno.EIO, "write made no progress", self.name)
                    group = _after(group, written)
        self._size = at


def _after(group: Sequence[bytes | memoryview], written: int) -> list[memoryview]:
    """
    What of *group* is left when its first *written* octets are gone.
    """
    rest = []
    for buffer in group:
        if written >= len(buffer):
            written -= len(buffer)
        else:
            rest.append(memoryview(buffer)[written:])
            written = 0
    return rest


@implementer(IJournalFiles)
class DirectoryFiles:
    """
    A directory (mode 0700) with files (mode 0600) of our own.

    Symbolic links, devices, directories, files with a second name and files of
    other owners are never opened and never named; one that has a segment's name
    refuses the start.
    """

    _log = Logger()

    def __init__(self, path: str) -> None:
        """
        :param path: the directory; made by :meth:`lock` if it is missing.
        """
        self.path = os.path.abspath(path)
        self._directory = -1
        self._lock = -1

    def lock(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        try:
            os.makedirs(self.path, 0o700, exist_ok=True)
            self._directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600, dir_fd=self._directory)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.access(self.path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self.path)
        except BlockingIOError:
            self.unlock()
            raise StartupError(
                f"{self.path}: another running instance has this spool; stop it or choose another state_dir"
            ) from None
        except OSError as error:
            self.unlock()
            raise StartupError(f"{self.path}: cannot be used as spool: {error.strerror}") from None

    def unlock(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        lock, self._lock = self._lock, -1
        directory, self._directory = self._directory, -1
        for descriptor in (lock, directory):
            if descriptor >= 0:
                os.close(descriptor)

    def names(self) -> list[str]:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        owner = os.geteuid()
        found = []
        with os.scandir(self._directory) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if entry.name in (_LOCK, _RESERVE):
                    continue
                # A second name for the file, or another owner, means that somebody else has a hand in it.
                if stat.S_ISREG(status.st_mode) and status.st_uid == owner and status.st_nlink == 1:
                    found.append(entry.name)
                elif segment_number(entry.name) is not None:
                    # Without it accepted mail would wait unseen, and the numbering begin anew.
                    raise StartupError(
                        f"{os.path.join(self.path, entry.name)}: this segment of the spool has another owner, a second"
                        " name (a hard link, as some backups make), or is no regular file; mend that and start again"
                    )
                else:
                    self._log.warn(
                        "{path}: {name!r} is no regular file of ours alone and is ignored",
                        path=self.path,
                        name=entry.name,
                    )
        return sorted(found)

    def create(self, name: str) -> IJournalFile:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        return DirectoryFile(name, self._open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL))

    def open(self, name: str) -> IJournalFile:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        return DirectoryFile(name, self._open(name, os.O_RDWR))

    def rename(self, name: str, new: str) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        os.rename(name, new, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def unlink(self, name: str) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        os.unlink(name, dir_fd=self._directory)

    def sync_names(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        os.fsync(self._directory)

    def reserve(self, octets: int) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        if not octets:
            self._give_up_reserve()
            return
        descriptor = self._open(_RESERVE, os.O_RDWR | os.O_CREAT)
        try:
            os.posix_fallocate(descriptor, 0, octets)
            os.ftruncate(descriptor, octets)
        except OSError:
            self._give_up_reserve()
            raise
        finally:
            os.close(descriptor)

    def _give_up_reserve(self) -> None:
        try:
            os.unlink(_RESERVE, dir_fd=self._directory)
        except FileNotFoundError:
            pass

    def _open(self, name: str, flags: int) -> int:
        if self._directory < 0:
            raise OSError(errno.EBADF, "the directory is not open", name)
        descriptor = os.open(name, flags | _FLAGS, 0o600, dir_fd=self._directory)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file", name)
        return descriptor
