"""
What the tools that change a spool share: its lock, and segments that appear whole or not
at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import StartupError
from ..interfaces.seams import IJournalFiles
from ..spool.files import DirectoryFiles
from ..spool.records import SegmentHeader, encode_segment_header, frame, number_in, segment_name

#: A segment under this name is not finished, and nobody reads it.
UNFINISHED: Final = "unfinished.tmp"


@contextmanager
def taken(path: str, make: bool = False) -> Iterator[DirectoryFiles]:
    """
    Have the spool *path* for oneself.

    :param make: whether it is made if it is not there.
    :raises StartupError: a service has it, it is somebody else's, or it holds links in
        place of segments.
    """
    try:
        owner = os.stat(path).st_uid
    except FileNotFoundError:
        if not make:
            raise StartupError(f"{path}: there is no spool") from None
        owner = os.geteuid()
    except OSError as error:
        raise StartupError(f"{path}: cannot be used as spool: {error.strerror}") from None
    if owner != os.geteuid():
        # What we make there its service could not read.
        raise StartupError(f"{path}: belongs to user {owner}; change it as that user")
    files = DirectoryFiles(path)
    files.lock()
    try:
        files.names()
        yield files
    finally:
        files.unlock()


def following(path: str) -> int:
    """
    The first number that no segment has had: those that were set aside count.
    """
    return max(map(number_in, os.listdir(path)), default=0) + 1


class NewSegment:
    """
    A segment that is being written; it has no name that counts before it is whole.
    """

    def __init__(self, files: IJournalFiles, header: SegmentHeader) -> None:
        """
        :raises OSError: it cannot be made.
        """
        self._files = files
        self._header = header
        discard(files)
        self._file = files.create(UNFINISHED)
        try:
            self._file.append([encode_segment_header(header)])
        except OSError:
            self.give_up()
            raise

    @property
    def size(self) -> int:
        """
        Octets written.
        """
        return self._file.size()

    def put(self, payload: bytes, body: bytes = b"") -> None:
        """
        Write a record, and the body that follows it.
        """
        self._file.append([frame(payload, self._header.salt), body])

    def put_octets(self, octets: Iterable[bytes]) -> None:
        """
        Write what was framed already, with the salt of this segment.
        """
        for piece in octets:
            self._file.append([piece])

    def sync(self) -> None:
        """
        Make it durable; it still has no name that counts.
        """
        self._file.sync()

    def finish(self) -> str:
        """
        Make it durable, then give it its name.

        :returns: its name.
        """
        name = segment_name(self._header.number)
        self._file.sync()
        self._file.close()
        self._files.rename(UNFINISHED, name)
        self._files.sync_names()
        return name

    def give_up(self) -> None:
        """
        Leave nothing behind.
        """
        self._file.close()
        discard(self._files)


def discard(files: IJournalFiles) -> None:
    """
    Remove what an earlier tool left unfinished; all that is in it is elsewhere.
    """
    try:
        files.unlink(UNFINISHED)
    except FileNotFoundError:
        pass
