"""
Journal files in memory that fail when told to, and lose what a power cut loses.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Sequence

from zope.interface import implementer

from ..errors import StartupError
from ..interfaces.seams import IJournalFile, IJournalFiles


class _Inode:
    """
    The octets behind a name.
    """

    __slots__ = ("octets", "suspect", "synced_size", "synced_tail")

    def __init__(self, octets: bytes = b"") -> None:
        self.octets = bytearray(octets)
        #: So many of the octets are on disk as they are here.
        self.synced_size = len(octets)
        #: What the disk has behind those: the file was cut, and that was not synced yet.
        self.synced_tail = b""
        #: A sync has failed: what was not synced then never will be.
        self.suspect = False

    @property
    def synced(self) -> bytes:
        """
        What the disk holds for certain.
        """
        return bytes(self.octets[: self.synced_size]) + self.synced_tail

    def truncate(self, length: int) -> None:
        """
        Cut the file.
        """
        if length < self.synced_size:
            self.synced_tail = bytes(self.octets[length : self.synced_size]) + self.synced_tail
            self.synced_size = length
        del self.octets[length:]

    def sync(self) -> None:
        """
        Bring everything to disk.
        """
        self.synced_size = len(self.octets)
        self.synced_tail = b""

    def copy(self) -> _Inode:
        """
        Another one with the same octets and the same disk.
        """
        copy = _Inode(bytes(self.octets))
        copy.synced_size, copy.synced_tail = self.synced_size, self.synced_tail
        return copy


@implementer(IJournalFile)
class MemoryFile:
    """
    One open file of :class:`MemoryFiles`.
    """

    def __init__(self, files: MemoryFiles, name: str, inode: _Inode) -> None:
        self.name = name
        self._files = files
        self._inode = inode
        self._closed = False

    def size(self) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        return len(self._inode.octets)

    def append(self, buffers: Sequence[bytes]) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        start = len(self._inode.octets)
        octets = b"".join(buffers)
        try:
            self._act("append")
            if len(octets) > self._files.free():
                raise _os_error(errno.ENOSPC, self.name)
        except OSError as error:
            if self._files.torn:
                self._inode.octets += octets[: len(octets) // 2]
                error.torn = True  # type: ignore[attr-defined]
            raise
        self._inode.octets += octets
        appended = self._files.appended
        if appended is not None:
            appended(self.name, start, octets)
        return start

    def read(self, offset: int, length: int) -> bytes:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        self._act("read")
        return bytes(self._inode.octets[offset : offset + length])

    def truncate(self, length: int) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        self._act("truncate")
        self._inode.truncate(length)

    def sync(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.  After a
        failure what was not synced never will be, whatever a later call says.
        """
        try:
            self._act("sync")
            if not self._files.has(self._inode):
                raise _os_error(errno.ENOENT, self.name)
        except OSError:
            self._inode.suspect = True
            raise
        if not self._inode.suspect:
            self._inode.sync()

    def close(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        if not self._closed:
            self._closed = True
            self._files.opened -= 1

    def _act(self, operation: str) -> None:
        if self._closed:
            raise _os_error(errno.EBADF, self.name)
        self._files.act(operation, self.name)


@implementer(IJournalFiles)
class MemoryFiles:
    """
    A directory in memory.

    :ivar calls: every operation so far, ``(operation, name)``.
    :ivar opened: files open at the moment.
    :ivar torn: whether a failing append leaves half of its octets behind.
    :ivar reserved: octets held back.
    :ivar watch: called with (operation, name) before every operation that
        changes something: a place to take pictures of crash points.
    :ivar appended: called with (name, offset, octets) when octets were appended whole.
    """

    def __init__(self, capacity: int | None = None) -> None:
        """
        :param capacity: octets of the disk; ``None`` for no end of them.
        """
        self.capacity = capacity
        self.calls: list[tuple[str, str]] = []
        self.opened = 0
        self.torn = False
        self.watch: Callable[[str, str], object] | None = None
        self.appended: Callable[[str, int, bytes], object] | None = None
        self.reserved = 0
        self._names: dict[str, _Inode] = {}
        self._synced_names: dict[str, _Inode] = {}
        self._failures: list[list[object]] = []
        self._locked = False

    # What a test does.

    def fail(self, operation: str, number: int, times: int = 1, skip: int = 0) -> None:
        """
        Let *operation* (a method's name) fail with errno *number*.

        :param times: how often; negative for ever.
        :param skip: how many calls succeed before the first failure.
        """
        self._failures.append([operation, number, times, skip])

    def heal(self) -> None:
        """
        Nothing fails any more.
        """
        self._failures.clear()

    def free(self) -> int:
        """
        Octets left on the disk.
        """
        return 1 << 62 if self.capacity is None else self.capacity - self.used()

    def used(self) -> int:
        """
        Octets that are taken, those held back included.
        """
        return sum(len(inode.octets) for inode in self._names.values()) + self.reserved

    def octets(self, name: str) -> bytes:
        """
        What a file holds.
        """
        return bytes(self._names[name].octets)

    def synced_size(self, name: str) -> int | None:
        """
        How much of a file's beginning survives a power cut for certain;
        ``None`` if there is no such file.
        """
        inode = self._names.get(name)
        return inode.synced_size if inode is not None else None

    def put(self, name: str, octets: bytes) -> None:
        """
        Make or replace a file, durably.
        """
        self._names[name] = self._synced_names[name] = _Inode(octets)

    def has(self, inode: _Inode) -> bool:
        """
        Whether a file has a name still.
        """
        return any(each is inode for each in self._names.values())

    def kill(self) -> MemoryFiles:
        """
        The directory as the next process finds it when this one is killed:
        all that the kernel was given.
        """
        after = MemoryFiles(self.capacity)
        after.reserved = self.reserved
        for name, inode in self._names.items():
            after._names[name] = copy = inode.copy()
            if name in self._synced_names:
                after._synced_names[name] = copy
        return after

    def power_cut(self, rng: random.Random, garbage: bool = False) -> MemoryFiles:
        """
        The directory as the next boot finds it: what was synced, and of what
        was not, per file, any prefix.  Names that were not synced may be gone,
        and removed ones may be back.

        :param garbage: whether octets that were never written may follow.
        """
        after = MemoryFiles(self.capacity)
        after.reserved = self.reserved
        for name in sorted(self._names.keys() | self._synced_names.keys()):
            now, before = self._names.get(name), self._synced_names.get(name)
            inode = now if now is before or rng.random() < 0.5 else before
            if inode is not None:
                after.put(name, _cut(inode, rng, garbage))
        return after

    # What the journal does.

    def lock(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        if self._locked:
            raise StartupError("memory: another running instance has this spool")
        self._locked = True

    def unlock(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self._locked = False

    def names(self) -> list[str]:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self.act("names", "")
        return sorted(self._names)

    def create(self, name: str) -> IJournalFile:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self.act("create", name)
        if name in self._names:
            raise _os_error(errno.EEXIST, name)
        self._names[name] = _Inode()
        return self._opened(name)

    def open(self, name: str) -> IJournalFile:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self.act("open", name)
        if name not in self._names:
            raise _os_error(errno.ENOENT, name)
        return self._opened(name)

    def rename(self, name: str, new: str) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self.act("rename", name)
        if name not in self._names:
            raise _os_error(errno.ENOENT, name)
        self._names[new] = self._names.pop(name)

    def unlink(self, name: str) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self.act("unlink", name)
        if name not in self._names:
            raise _os_error(errno.ENOENT, name)
        del self._names[name]

    def sync_names(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self.act("sync_names", "")
        self._synced_names = dict(self._names)

    def reserve(self, octets: int) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFiles`.
        """
        self.reserved = 0
        if octets:
            self.act("reserve", "")
            if octets > self.free():
                raise _os_error(errno.ENOSPC, "reserve")
            self.reserved = octets

    def act(self, operation: str, name: str) -> None:
        """
        Note an operation, and fail it if a test asked for that.
        """
        self.calls.append((operation, name))
        if self.watch is not None and operation not in ("read", "names", "open"):
            self.watch(operation, name)
        for failure in self._failures:
            wanted, number, times, skip = failure
            assert isinstance(number, int) and isinstance(times, int) and isinstance(skip, int)
            if wanted != operation or times == 0:
                continue
            if skip:
                failure[3] = skip - 1
                continue
            failure[2] = times - 1
            raise _os_error(number, name)

    def _opened(self, name: str) -> IJournalFile:
        self.opened += 1
        return MemoryFile(self, name, self._names[name])


def _cut(inode: _Inode, rng: random.Random, garbage: bool) -> bytes:
    octets, synced = bytes(inode.octets), inode.synced
    if len(octets) < len(synced):
        # A cut that was not synced may or may not have happened.
        return octets if rng.random() < 0.5 else synced
    left = octets[: rng.randint(len(synced), len(octets))]
    if garbage and len(left) < len(octets) and rng.random() < 0.5:
        left += rng.randbytes(rng.randint(1, len(octets) - len(left)))
    return left


def _os_error(number: int, name: str) -> OSError:
    return OSError(number, os.strerror(number), name)
