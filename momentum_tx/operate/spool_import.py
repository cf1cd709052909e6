"""
``momentum-tx spool import``: exported mail, back into a spool that no service has.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from ..errors import StartupError
from ..interfaces.seams import IJournalFiles
from ..spool.records import MAX_BODY, SegmentHeader
from .spool_export import CONTENT, SHEET
from .spool_files import printable
from .spool_reading import Progress, Reading
from .spool_sheet import BadSheet, Restored, UnreadableSheet, restore
from .spool_writing import NewSegment, following

#: What the name of a sheet ends in whose mail is in a spool: it is not imported twice, even if that spool has
#: delivered it meanwhile.
DONE: Final = ".imported"
#: What the hook log_spool_import calls what became of mail.
IMPORTED: Final = 1
SENSELESS: Final = 2
UNREAD: Final = 3
UNWRITTEN: Final = 4
#: Octets at which the next segment is begun.
_SEGMENT_SIZE: Final = 64 << 20
#: Keys of a segment begin at its number in the upper half, as the service has it.
_KEY_BITS: Final = 32
#: More than a sheet of 10,000 recipients has.
_MOST_OF_SHEET: Final = 64 << 20
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Result:
    """
    What became of one exported reception.

    :ivar name: of its files, without suffix; can be shown.
    :ivar result: ``imported``, ``already there``, ``imported earlier`` or ``refused``.
    :ivar text: why, if it was not imported.
    :ivar ids: its messages, as far as they are known.
    :ivar code: what the hook ``log_spool_import`` calls that; 0 where there is nothing to tell.
    """

    name: str
    result: str
    text: str = ""
    ids: tuple[str, ...] = ()
    code: int = 0

    def line(self) -> str:
        """
        As a line.
        """
        return f"{self.name}: {self.result}{': ' if self.text else ''}{self.text}"


class FilesIn:
    """
    A directory with exported mail.
    """

    def __init__(self, path: str) -> None:
        """
        :raises StartupError: it cannot be read.
        """
        self.path = path
        try:
            self._directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StartupError(f"{path}: cannot be read: {error.strerror}") from None

    def close(self) -> None:
        """
        Close the directory.
        """
        os.close(self._directory)

    def names(self) -> tuple[list[str], list[Result]]:
        """
        The receptions that are there, without suffixes, and what cannot be one.
        """
        present = set(os.listdir(self._directory))
        found, results = [], []
        for name in sorted(present):
            stem, suffix = os.path.splitext(name)
            if suffix == SHEET:
                found.append(stem)
            elif suffix == CONTENT and f"{stem}{SHEET}{DONE}" in present:
                results.append(Result(printable(stem), "imported earlier"))
            elif suffix == CONTENT and f"{stem}{SHEET}" not in present:
                results.append(
                    Result(printable(stem), "refused", "there is no sheet beside it: was the export cut short?")
                )
        return found, results

    def restored(self, stem: str) -> Restored:
        """
        Read a reception.

        :raises BadSheet: it makes no sense, or cannot be read.
        """
        text = self._read(f"{stem}{SHEET}", _MOST_OF_SHEET)
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadSheet(f"the sheet is no JSON: {error}") from None
        return restore(values, self._read(f"{stem}{CONTENT}", MAX_BODY))

    def done(self, stem: str) -> None:
        """
        The mail is in a spool.

        :raises OSError: that cannot be noted.
        """
        name = f"{stem}{SHEET}"
        os.rename(name, f"{name}{DONE}", src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def sync(self) -> None:
        """
        What was noted survives a power cut.
        """
        os.fsync(self._directory)

    def _read(self, name: str, most: int) -> bytes:
        try:
            descriptor = os.open(name, _FLAGS, dir_fd=self._directory)
        except OSError as error:
            reason = "a symbolic link" if error.errno == errno.ELOOP else error.strerror
            raise UnreadableSheet(f"{printable(name)}: cannot be read: {reason}") from None
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > most:
                raise UnreadableSheet(f"{printable(name)}: no regular file of at most {most} octets")
            try:
                return file.read()
            except OSError as error:
                raise UnreadableSheet(f"{printable(name)}: cannot be read: {error.strerror}") from None


class Import:
    """
    One import into a spool that is ours meanwhile.
    """

    def __init__(self, files: IJournalFiles, path: str, source: FilesIn, reading: Reading, random: Random) -> None:
        """
        :param path: of the spool.
        :param reading: what is in it already.
        :param random: source of the salts of new segments.
        """
        self._files = files
        self._path = path
        self._source = source
        self._random = random
        self._ids = {message.id for _, _, _, message in reading.state.messages()}
        #: Segments that were made.
        self.segments: list[str] = []
        #: Messages in them.
        self.messages = 0

    def check(self, progress: Progress) -> tuple[list[str], list[Result]]:
        """
        Look at every file before anything is written.

        :returns: the receptions to import, and what is to be said of the others.
        """
        names, results = self._source.names()
        wanted = []
        ids = set(self._ids)
        for number, stem in enumerate(names):
            progress(number, len(names))
            try:
                own = self._source.restored(stem).ids
            except BadSheet as error:
                code = UNREAD if isinstance(error, UnreadableSheet) else SENSELESS
                results.append(Result(printable(stem), "refused", str(error), code=code))
                continue
            there = [id for id in own if id in ids]
            if not there:
                wanted.append(stem)
                ids.update(own)
            elif len(there) == len(own) and all(id in self._ids for id in own):
                results.append(Result(printable(stem), "already there"))
                self._note([stem], lambda text: None)
            else:
                text = f"message {there[0]} is there already, or in another file, and not all of this one are"
                results.append(Result(printable(stem), "refused", text, tuple(own), SENSELESS))
        progress(len(names), len(names))
        return wanted, results

    def write(self, wanted: list[str], progress: Progress, complain: Callable[[str], object]) -> Iterator[Result]:
        """
        Write receptions into new segments.  One that is reported is durable.

        :param complain: told what could not be noted beside the files.
        :raises OSError: the spool cannot be written; what was reported stays.
        :raises StartupError: a file has changed since it was checked.
        """
        total, left = len(wanted), list(wanted)
        while left:
            number = following(self._path)
            segment = NewSegment(self._files, SegmentHeader(number, self._random.getrandbits(32)))
            try:
                written = self._fill(segment, number << _KEY_BITS, left)
                self.segments.append(segment.finish())
            except BaseException:
                segment.give_up()
                raise
            self.messages += sum(len(ids) for _, ids in written)
            left = left[len(written) :]
            self._note([stem for stem, _ in written], complain)
            progress(total - len(left), total)
            for stem, ids in written:
                yield Result(printable(stem), "imported", "", ids, IMPORTED)

    def _fill(self, segment: NewSegment, key: int, stems: list[str]) -> list[tuple[str, tuple[str, ...]]]:
        """
        Write as many as have room; the answer names them, and their messages.
        """
        written: list[tuple[str, tuple[str, ...]]] = []
        for stem in stems:
            if segment.size >= _SEGMENT_SIZE:
                break
            try:
                restored = self._source.restored(stem)
            except BadSheet as error:
                raise StartupError(f"{printable(stem)} was changed while it was imported: {error}") from None
            key += 1
            first, *rest = restored.payloads(key)
            segment.put(first, restored.body)
            for payload in rest:
                segment.put(payload)
            written.append((stem, tuple(restored.ids)))
        return written

    def _note(self, stems: list[str], complain: Callable[[str], object]) -> None:
        try:
            for stem in stems:
                self._source.done(stem)
            self._source.sync()
        except OSError as error:
            complain(
                f"{self._source.path}: cannot be marked as imported ({error.strerror}): do not import it again once a"
                " service has had the spool"
            )
