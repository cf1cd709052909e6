"""
A spool's directory as its tools see it: nothing in it is made, changed or locked.

Another process may have the spool meanwhile, append to its segments and remove
them; a *look* therefore opens every segment there is before the first is read,
and what is open can be read to its end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from zope.interface import implementer

from ..errors import StartupError
from ..interfaces.seams import IJournalFile
from ..spool.records import segment_number

#: Names in the directory that are no mail.
LOCK: Final = "lock"
RESERVE: Final = "reserve"
#: What a name ends in of which the mail was taken back into the spool.
USED: Final = ".used"
#: How often a look begins anew because a segment was removed before it was opened.
_LOOKS: Final = 100
#: Where Linux lists the locks there are.
_LOCKS: Final = "/proc/locks"
#: Not to follow a link, nor to wait for the other end of a pipe.
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def printable(name: str) -> str:
    """
    A file name that can be shown: what is no printable character is escaped, so that
    no name moves the cursor or ends the line.
    """
    return "".join(
        char
        if char.isprintable() and char != "\\"
        else "\\\\"
        if char == "\\"
        else "".join(f"\\x{octet:02x}" for octet in char.encode("utf-8", "surrogateescape"))
        for char in name
    )


@implementer(IJournalFile)
class ReadOnlyFile:
    """
    One open file, for reading alone.

    :ivar name: its name in the directory.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self._descriptor = descriptor
        #: Its length when it was opened: what is appended later is not looked at.
        self._size = os.fstat(descriptor).st_size

    def size(self) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        return self._size

    def grown(self) -> bool:
        """
        Whether somebody has changed its length since it was opened.
        """
        return os.fstat(self._descriptor).st_size != self._size

    def read(self, offset: int, length: int) -> bytes:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        octets = b""
        length = min(length, self._size - offset)
        while len(octets) < length:
            try:
                more = os.pread(self._descriptor, length - len(octets), offset + len(octets))
            except OSError as error:
                error.filename = self.name
                raise
            if not more:
                break
            octets += more
        return octets

    def append(self, buffers: Sequence[bytes]) -> int:
        """
        Refused, as is whatever else would change the file.
        """
        raise self._refusal()

    def truncate(self, length: int) -> None:
        """
        Refused.
        """
        raise self._refusal()

    def sync(self) -> None:
        """
        Nothing was written.
        """

    def close(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _refusal(self) -> OSError:
        return OSError(errno.EROFS, os.strerror(errno.EROFS), self.name)


@dataclass(frozen=True, slots=True)
class Foreign:
    """
    Something in the directory that the journal does not touch.

    :ivar name: its name.
    :ivar what: why it is not touched.
    :ivar refused: whether a start is refused because of it: it is named as a segment.
    """

    name: str
    what: str
    refused: bool


@dataclass(slots=True)
class Look:
    """
    What was in the directory at one moment.

    :ivar path: of the directory.
    :ivar owner: user id of its owner, who is to own all that is in it.
    :ivar mode: its permissions.
    :ivar holder: process id of who has the spool locked; 0 if nobody has.
    :ivar segments: by number; open.
    :ivar unopened: segments that could not be opened, with the reason.
    :ivar aside: names of what was set aside (``.bad``).
    :ivar used: names of what was set aside and whose mail is in the spool again.
    :ivar others: names of regular files that are nothing of the journal's.
    :ivar foreign: what is no regular file of the owner's alone.
    :ivar reserve: octets that are held back.
    :ivar free: octets of the disk that the owner may still use; ``None`` if that cannot be told.
    :ivar free_inodes: files that may still be made, likewise.
    """

    path: str
    owner: int
    mode: int
    holder: int = 0
    segments: dict[int, ReadOnlyFile] = field(default_factory=dict)
    unopened: dict[str, OSError] = field(default_factory=dict)
    aside: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    foreign: list[Foreign] = field(default_factory=list)
    reserve: int = 0
    free: int | None = None
    free_inodes: int | None = None

    def close(self) -> None:
        """
        Close every file.
        """
        for file in self.segments.values():
            file.close()


def look(path: str) -> Look:
    """
    Open all that can be read in the spool *path*.

    :raises StartupError: there is no such directory, or it may not be read.
    """
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StartupError(f"{path}: cannot be read as spool: {error.strerror}") from None
    try:
        for _ in range(_LOOKS):
            found = _look_once(path, directory)
            if found is not None:
                return found
    except OSError as error:
        raise StartupError(f"{path}: cannot be read as spool: {error.strerror}") from None
    finally:
        os.close(directory)
    raise StartupError(f"{path}: segments vanish faster than they can be opened; try again")


def _look_once(path: str, directory: int) -> Look | None:
    """
    One try; ``None`` if a segment was removed before it was opened: what is in the
    younger ones would not make sense without it.
    """
    status = os.fstat(directory)
    found = Look(path, status.st_uid, stat.S_IMODE(status.st_mode))
    segments = []
    for name in sorted(os.listdir(directory)):
        try:
            entry = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            if segment_number(name) is None:
                continue
            return None
        what = _foreign(entry, status.st_uid)
        number = segment_number(name)
        if what:
            found.foreign.append(Foreign(name, what, number is not None))
        elif number is not None:
            segments.append((number, name))
        elif name == LOCK:
            found.holder = holder(entry)
        elif name == RESERVE:
            found.reserve = entry.st_size
        elif name.endswith(".bad"):
            found.aside.append(name)
        elif name.endswith(f".bad{USED}"):
            found.used.append(name)
        else:
            found.others.append(name)
    for number, name in segments:
        try:
            found.segments[number] = ReadOnlyFile(name, os.open(name, _FLAGS, dir_fd=directory))
        except FileNotFoundError:
            found.close()
            return None
        except OSError as error:
            found.unopened[name] = error
    try:
        disk = os.fstatvfs(directory)
    except OSError:
        return found
    found.free = disk.f_bavail * disk.f_frsize
    # Some file systems make inodes as they are wanted, and have none to count.
    found.free_inodes = disk.f_favail if disk.f_files else None
    return found


def open_aside(path: str, name: str) -> ReadOnlyFile:
    """
    Open what was set aside in the spool *path*.

    :raises OSError: it cannot be read, or is a link.
    """
    return ReadOnlyFile(name, os.open(os.path.join(path, name), _FLAGS))


def _foreign(entry: os.stat_result, owner: int) -> str:
    if stat.S_ISLNK(entry.st_mode):
        return "a symbolic link"
    if stat.S_ISDIR(entry.st_mode):
        return "a directory"
    if not stat.S_ISREG(entry.st_mode):
        return "a device, pipe or socket"
    if entry.st_uid != owner:
        return f"owned by user {entry.st_uid}, not by user {owner}"
    if entry.st_nlink > 1:
        return "a file with a second name (a hard link)"
    return ""


def holder(lock: os.stat_result, read: Callable[[], str] | None = None) -> int:
    """
    Who holds the lock file *lock*, as the system's list of locks says.  It is not tried:
    a service that starts in that instant would be refused.

    :param read: the list; the system's own by default.
    :returns: a process id; 0 for nobody, or if there is no list.
    """
    try:
        text = _read_locks() if read is None else read()
    except OSError:
        return 0
    major = os.major(lock.st_dev)
    device, inode = f"{major:02x}:{os.minor(lock.st_dev):02x}", str(lock.st_ino)
    for line in text.splitlines():
        fields = line.split()
        # 1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF; who waits has an arrow behind the number.
        if len(fields) >= 6 and fields[1] == "FLOCK":
            there, _, number = fields[5].rpartition(":")
            # File systems without a device of their own (btrfs, overlayfs) are told by two numbers.
            if number == inode and (there == device or not major):
                return max(1, int(fields[4]))
    return 0


def _read_locks() -> str:
    with open(_LOCKS, encoding="ascii", errors="replace") as file:
        return file.read()
