"""
The names that the files of a log have over time: ``mainlog`` is written,
``mainlog.000007`` was, and ``mainlog.000006.gz`` long before that.

A number is given once, and a higher one is younger; nothing is ever renamed
twice.  So whoever is interrupted here, at whatever point, leaves every line
behind in one file or in two that are the same.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
from collections.abc import Callable
from typing import Final

from zope.interface import Interface, implementer

#: What is behind the name of a log where a file was set aside.
_ASIDE: Final = re.compile(r"\.(\d{6,12})(\.gz)?(\.tmp)?").fullmatch
#: Octets that are compressed before somebody looks whether that is still wanted.
_PIECE: Final = 1 << 20


class ILogNames(Interface):
    """
    Gives files of logs other names.  Where it is used its process is the only one
    that does.
    """

    def state(path: str) -> tuple[int, float]:
        """
        Size in octets of the file *path*, and when it was last written, seconds since 1970; two
        zeros where there is none.
        """

    def set_aside(path: str) -> bool:
        """
        Give the file *path* the next number.  Whoever has it open goes on in it.

        :param path: of the log; where it is no regular file, nothing is done.
        :returns: whether it was renamed.
        :raises OSError: it could not be.
        """

    def tidy(path: str, keep: int, compress: bool, unwanted: Callable[[], bool]) -> int:
        """
        Remove the oldest files that were set aside, and compress the others; in a worker.
        Nobody may have them open for writing any more.  Harmless twice, and whatever an
        interrupted call has left is taken up.

        :param path: of the log.
        :param keep: how many remain.
        :param compress: whether they are compressed.
        :param unwanted: asked now and then; true ends it early.
        :returns: how many were removed.
        :raises OSError: it could not be done.
        """


def aside(path: str) -> dict[int, dict[str, str]]:
    """
    The files of the log *path* that were set aside: by number, and by what their names end
    in (nothing, ``.gz`` or ``.gz.tmp``), their paths.

    :raises OSError: the directory cannot be read.
    """
    directory, base = os.path.split(path)
    found: dict[int, dict[str, str]] = {}
    for name in os.listdir(directory or "."):
        if not name.startswith(base):
            continue
        match = _ASIDE(name[len(base) :])
        if match is not None:
            suffix = (match[2] or "") + (match[3] or "")
            found.setdefault(int(match[1]), {})[suffix] = os.path.join(directory, name)
    return found


@implementer(ILogNames)
class DirectoryLogNames:
    """
    Those of the system.
    """

    __slots__ = ()

    def state(self, path: str) -> tuple[int, float]:
        try:
            found = os.stat(path)
        except OSError:
            return 0, 0.0
        return found.st_size, found.st_mtime

    def set_aside(self, path: str) -> bool:
        try:
            # Not what a link points to: that may be anywhere, and a link that is renamed keeps nothing.
            regular = stat.S_ISREG(os.lstat(path).st_mode)
        except FileNotFoundError:
            return False
        if regular:
            os.rename(path, f"{path}.{max(aside(path), default=0) + 1:06d}")
        return regular

    def tidy(self, path: str, keep: int, compress: bool, unwanted: Callable[[], bool]) -> int:
        found = aside(path)
        removed = 0
        for number in sorted(found):
            files = found[number]
            if ".gz.tmp" in files:
                os.unlink(files.pop(".gz.tmp"))
            if len(files) == 2:
                # A compressed file has its name when it is complete and on the disk.
                os.unlink(files.pop(""))
            if not files:
                del found[number]
        for number in sorted(found)[: max(0, len(found) - keep)]:
            for name in found.pop(number).values():
                os.unlink(name)
            removed += 1
        for number in sorted(found):
            if compress and "" in found[number] and not _compress(found[number][""], unwanted):
                break
        return removed


def _compress(path: str, unwanted: Callable[[], bool]) -> bool:
    """
    Put a compressed file in the place of *path*, with its times and permissions; false if
    that was not wanted to its end.
    """
    temporary = f"{path}.gz.tmp"
    with open(path, "rb") as source:
        status = os.fstat(source.fileno())
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as target:
            with gzip.GzipFile("", "wb", 6, target, int(status.st_mtime)) as packed:
                while piece := source.read(_PIECE):
                    if unwanted():
                        break
                    packed.write(piece)
            if piece:
                os.unlink(temporary)
                return False
            target.flush()
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(descriptor)
    os.rename(temporary, f"{path}.gz")
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # The new name is on the disk before the old one is taken away.
        os.fsync(directory)
    finally:
        os.close(directory)
    os.unlink(path)
    return True
