"""
Reads a log record by record, from file to file, and knows where it was after a
restart.

It waits for nothing and holds nothing up: whoever follows a log asks again.  Any
process that may read the files can use it, beside a service that runs or where
there is none.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from .files import CUT
from .names import aside

#: Octets at the beginning of a file by which it is known again.
_SPAN: Final = 4096
#: Octets of a record; what is longer is none of a log and is passed over.
LONGEST: Final = 16 << 20
#: Octets at the end of a file that are searched for the end of its last record.
_TAIL: Final = 1 << 20
#: What reading a compressed file may end with.
_DAMAGE: Final = (EOFError, zlib.error, gzip.BadGzipFile)
#: Looks at files that are being renamed; the next call looks again.
_TRIES: Final = 5
#: How other programs name the files they set aside: ``.1``, ``.2.gz``, ``-20261127.gz``.
_FOREIGN: Final = re.compile(r"(\.\d{1,5}|-\d{8}(-\d+)?)(\.gz)?").fullmatch
_CURSOR: Final = re.compile(r"(\d{1,12})-([0-9a-f]{1,16})-([0-9a-f]{1,16})-([0-9a-f]{16})").fullmatch


class BadCursor(ValueError):
    """
    A text is no cursor; it says so.
    """


@dataclass(frozen=True, slots=True)
class Cursor:
    """
    Behind which record a reader is.  Its text form is good for a file or a table; what is
    in it is nobody's business.

    :ivar number: the number that the file has, or is going to have, when it is set aside.
    :ivar inode: of the file.
    :ivar offset: octets of the file that were read; at least one.
    :ivar digest: of the file's beginning, as far as it was read.
    """

    number: int
    inode: int
    offset: int
    digest: str

    def __str__(self) -> str:
        return f"{self.number}-{self.inode:x}-{self.offset:x}-{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """
        A cursor from its text form.

        :raises BadCursor: it is none.
        """
        match = _CURSOR(text)
        if match is None or not int(match[3], 16):
            raise BadCursor(f"{text!r} is no cursor")
        return cls(int(match[1]), int(match[2], 16), int(match[3], 16), match[4])


@dataclass(frozen=True, slots=True)
class Line:
    """
    One record.

    :ivar content: its octets, without the line's end.
    :ivar cursor: behind it.
    """

    content: bytes
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class _Named:
    """
    A file of the log.

    :ivar number: as of :class:`Cursor`; 0 where another program has named it.
    """

    number: int
    path: str
    packed: bool
    inode: int


class _Moved(Exception):
    """
    Files were renamed meanwhile; what was found has to be looked for again.
    """


class LogReader:
    """
    One reader of one log.

    A file is known again by what it begins with, whatever it is called and whether it is
    compressed by now.  Records come in the order in which they were written, each once, as
    long as the files are there.

    :param path: of the log, as the service writes it.
    :param since: goes on behind this record; without it with the oldest file there is.
    :ivar gaps: how often the place was not to be found, since a file was removed or cut
        off; the reader went on with the oldest record that it cannot have read.
    :ivar damaged: files and records that were passed over since they could not be read.
    """

    def __init__(self, path: str, since: Cursor | None = None) -> None:
        self.path = path
        self.gaps = 0
        self.damaged = 0
        self._cursor = since
        self._stream: IO[bytes] | None = None
        self._file: _Named | None = None
        self._offset = 0
        #: The beginning of the file, as far as it was read.
        self._head = b""
        #: The least number of a file that may hold what was not read.
        self._least = 0
        #: Whether the present file was read to its end after the next one was begun.
        self._drained = False
        self._skipping = False
        self._broken = False

    @property
    def cursor(self) -> Cursor | None:
        """
        Behind which record it is; ``None`` before the first.
        """
        return self._cursor

    def skip(self) -> None:
        """
        Go behind the last record that is there now.

        :raises OSError: the log cannot be read.
        """
        self.close()
        self._cursor = None
        for _ in range(_TRIES):
            files = self._files()
            last = files[-1] if files else None
            try:
                if last is None or last.path != self.path:
                    self._least = last.number + 1 if last is not None else 0
                else:
                    self._least = last.number
                    self._open(last, files)
                    self._skip()
                return
            except _Moved:
                continue

    def _skip(self) -> None:
        stream = self._present()
        start = max(0, os.fstat(stream.fileno()).st_size - _TAIL)
        stream.seek(start)
        found = stream.read(_TAIL).rfind(b"\n")
        self._offset = start + found + 1
        # One record fills all of what was searched: the next one is behind its end.
        self._skipping = found < 0 < start
        stream.seek(0)
        self._head = stream.read(min(self._offset, _SPAN))
        stream.seek(self._offset)
        if self._offset:
            self._cursor = self._here()

    def read(self, most: int = 1000) -> Sequence[Line]:
        """
        The next records that are there now; none where there are none yet.

        :param most: how many.
        :raises OSError: the log cannot be read.
        """
        lines: list[Line] = []
        if not (self._begin() if self._stream is None else self._is_whole()):
            return lines
        while len(lines) < most:
            content = self._next()
            if content is None:
                if not self._go_on():
                    break
            elif not content.endswith(CUT):
                self._cursor = self._here()
                lines.append(Line(content[:-1], self._cursor))
        return lines

    def close(self) -> None:
        """
        Let the file go; harmless twice.  The reader may be asked again.
        """
        stream, self._stream, self._file = self._stream, None, None
        if stream is not None:
            stream.close()

    # Where it is.

    def _here(self) -> Cursor:
        assert self._file is not None
        return Cursor(self._file.number, self._file.inode, self._offset, _digest(self._head))

    def _present(self) -> IO[bytes]:
        assert self._stream is not None
        return self._stream

    def _files(self) -> list[_Named]:
        """
        All files of the log, the oldest first.
        """
        directory, base = os.path.split(self.path)
        names = set(os.listdir(directory or "."))
        foreign: list[tuple[float, _Named]] = []
        for name in names:
            match = _FOREIGN(name[len(base) :]) if name.startswith(base) else None
            # A file that is being compressed is there until it is done.
            if match is None or name.removesuffix(".gz") in names - {name}:
                continue
            path = os.path.join(directory, name)
            status = _status(path)
            if status is not None:
                foreign.append((status.st_mtime, _Named(0, path, bool(match[3]), status.st_ino)))
        files = [file for _, file in sorted(foreign, key=lambda each: (each[0], each[1].path))]
        own = aside(self.path)
        for number in sorted(own):
            # Of two that say the same the plain one is the quicker.
            for suffix in ("", ".gz"):
                status = _status(own[number][suffix]) if suffix in own[number] else None
                if status is not None:
                    files.append(_Named(number, own[number][suffix], bool(suffix), status.st_ino))
                    break
        status = _status(self.path)
        if status is not None:
            files.append(_Named(max(own, default=0) + 1, self.path, False, status.st_ino))
        return files

    def _begin(self) -> bool:
        """
        Open the file that is next to be read; false if there is none.
        """
        for _ in range(_TRIES):
            files = self._files()
            cursor = self._cursor
            try:
                found = self._found(files, cursor) if cursor is not None else None
                if cursor is not None and found is not None:
                    self._open(found, files, cursor.offset)
                    return True
                least = self._least if cursor is None else cursor.number
                for file in files:
                    if file.number >= least:
                        self._open(file, files)
                        self.gaps += cursor is not None
                        return True
                return False
            except _Moved:
                continue
        return False

    def _found(self, files: Sequence[_Named], cursor: Cursor) -> _Named | None:
        """
        The file that *cursor* is in.
        """
        matching = []
        for file in files:
            try:
                with _opened(file) as stream:
                    if _digest(stream.read(min(cursor.offset, _SPAN))) != cursor.digest:
                        continue
                    stream.seek(cursor.offset - 1)
                    if stream.read(1) == b"\n":
                        matching.append((file.inode != cursor.inode, file.number != cursor.number, file))
            except FileNotFoundError:
                raise _Moved() from None
            except _DAMAGE:
                # Whoever gets to this file will count it.
                continue
        return min(matching, key=lambda each: each[:2])[2] if matching else None

    def _open(self, file: _Named, files: Sequence[_Named], offset: int = 0) -> None:
        """
        Go on with *file*, at *offset*.

        :param files: among which it was found.
        """
        try:
            stream = _opened(file)
        except FileNotFoundError:
            raise _Moved() from None
        broken = False
        try:
            head = stream.read(min(offset, _SPAN))
            stream.seek(offset)
        except _DAMAGE:
            head, broken = b"", True
        # Was the name still that of the file meant?  Then nothing between the two was passed over.
        if os.fstat(stream.fileno()).st_ino != file.inode or self._files() != files:
            stream.close()
            raise _Moved()
        self.close()
        self._stream, self._file, self._offset, self._head = stream, file, offset, head
        self._drained = self._skipping = False
        self._broken = broken
        self.damaged += broken

    def _next(self) -> bytes | None:
        """
        The next record of the file, with its end; ``None`` if there is none yet.
        """
        stream = self._present()
        while not self._broken:
            try:
                line = stream.readline(LONGEST)
            except _DAMAGE:
                self.damaged += 1
                self._broken = True
                break
            whole = line.endswith(b"\n")
            if not whole and len(line) < LONGEST:
                # Its end is not written yet.
                if line:
                    stream.seek(self._offset)
                break
            if len(self._head) < _SPAN:
                self._head += line[: _SPAN - len(self._head)]
            self._offset += len(line)
            passed, self._skipping = self._skipping, not whole
            if whole and not passed:
                return line
            self.damaged += whole
        return None

    def _is_whole(self) -> bool:
        """
        Begin anew with a file that was cut off, or written anew from its beginning; false if
        there is nothing to begin with.
        """
        stream, file = self._present(), self._file
        if file is None or file.packed or not self._offset:
            return True
        begins = os.pread(stream.fileno(), len(self._head), 0)
        if begins == self._head and os.fstat(stream.fileno()).st_size >= self._offset:
            return True
        self.close()
        # Somebody may have made a copy before.
        return self._begin()

    def _go_on(self) -> bool:
        """
        At the end of a file: go on with the next one, if it is begun; false if not.
        """
        files = self._files()
        try:
            following = self._following(files)
            if following is None:
                return False
            if self._drained:
                self._open(following, files)
        except _Moved:
            return False
        # Whoever writes the next file writes this one no more; what came before that is still to be read.
        self._drained = not self._drained
        return True

    def _following(self, files: Sequence[_Named]) -> _Named | None:
        """
        The file behind the present one, once there is a record in it.
        """
        file = self._file
        assert file is not None
        inode = os.fstat(self._present().fileno()).st_ino
        at = next((at for at, each in enumerate(files) if each.inode == inode), None)
        if at is None and self._offset:
            # It was compressed while it was read.
            found = self._found(files, self._here())
            at = files.index(found) if found is not None else None
        younger = files[at + 1 :] if at is not None else [each for each in files if each.number > file.number]
        for each in younger:
            try:
                with _opened(each) as stream:
                    if stream.readline(LONGEST).endswith(b"\n"):
                        return each
            except FileNotFoundError:
                raise _Moved() from None
            except _DAMAGE:
                self.damaged += 1
        return None


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _opened(file: _Named) -> Any:
    return gzip.open(file.path, "rb") if file.packed else open(file.path, "rb")


def _digest(beginning: bytes) -> str:
    return hashlib.sha256(beginning).hexdigest()[:16]
