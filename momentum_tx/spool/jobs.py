"""
The blocking calls of the journal, as its worker makes them.

Plain functions on the files seam: they know no Deferred, touch nothing that the
reactor thread is using at the time, and raise :class:`OSError`.
"""

import errno
import zlib
from collections.abc import Sequence
from typing import Final

from twisted.python.failure import Failure

from ..errors import SpoolError
from ..interfaces.seams import IJournalFile, IJournalFiles
from .records import (
    RECEPTION,
    RECORD_HEADER,
    SEGMENT_HEADER,
    RecordError,
    SegmentHeader,
    check,
    decode_head,
    encode_segment_header,
)
from .scan import Damage
from .segments import Segment

#: Octets copied at once when damaged stretches are set aside.
_COPY: Final = 1 << 20

#: What a file is called, behind its name, that is no segment before it is whole.
UNFINISHED: Final = ".new"

#: Errors that mean that the disk is full, not broken.
FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))


def is_full(error: OSError) -> bool:
    """
    Whether *error* only says that there is no space.
    """
    return error.errno in FULL


def explain(error: OSError, name: str = "") -> str:
    """
    File name and text of *error*, for a :class:`~momentum_tx.errors.SpoolError`.
    """
    return f"{error.filename or name or 'spool'}: {error.strerror or error}"


def explain_failure(failure: Failure) -> str:
    """
    What went wrong in the worker, for people.
    """
    error = failure.value
    return explain(error) if isinstance(error, OSError) else failure.getErrorMessage()


def make_segment(files: IJournalFiles, segment: Segment) -> IJournalFile:
    """
    A new, empty segment on disk, name and all.
    """
    file = files.create(segment.name)
    try:
        file.append([encode_segment_header(SegmentHeader(segment.number, segment.salt))])
        file.sync()
        files.sync_names()
    except OSError:
        # It is left to be removed.
        _cut(file, 0)
        file.close()
        raise
    return file


def make_filled(files: IJournalFiles, segment: Segment, buffers: Sequence[bytes]) -> IJournalFile:
    """
    A new segment that holds *buffers* from the moment on when it has its name: a
    start takes the youngest copy of a reception for all there is to know of it, so that
    there must never be one without the records behind it.
    """
    unfinished = segment.name + UNFINISHED
    file = files.create(unfinished)
    try:
        try:
            file.append([encode_segment_header(SegmentHeader(segment.number, segment.salt)), *buffers])
            file.sync()
        finally:
            file.close()
        files.rename(unfinished, segment.name)
    except OSError:
        _unlink(files, unfinished)
        raise
    try:
        files.sync_names()
        return files.open(segment.name)
    except OSError:
        # It is left to be removed; until then nothing in it may count.
        if not _unlink(files, segment.name):
            _empty(files, segment.name)
        raise


def rebuild(
    files: IJournalFiles,
    segment: Segment,
    buffers: Sequence[bytes],
    abandoned: Sequence[tuple[IJournalFile, int, int, bytes]],
) -> IJournalFile:
    """
    Move what was not synced to a new segment and leave the old ones behind.

    :param abandoned: per old segment its file, its synced length, where the
        first reception begins that will be refused, and the records that
        withdraw those.
    :raises OSError: the new segment could not be made durable.  The records of
        withdrawal are then in the kernel's hands, or failing that the old
        segments are cut back, if the disk does either.  The last of the old files
        stays open: outcomes may still be written to it.
    """
    try:
        file = make_filled(files, segment, buffers)
    except OSError:
        for old, _, refused, withdrawals in abandoned:
            if withdrawals:
                _withdraw(old, refused, withdrawals)
        for old, *_ in abandoned[:-1]:
            old.close()
        raise
    for old, synced, _, _ in abandoned:
        _cut(old, synced)
        old.close()
    return file


def sync(files: Sequence[IJournalFile]) -> None:
    """
    Make what was appended durable, oldest segment first.
    """
    for file in files:
        file.sync()


def remove(files: IJournalFiles, names: Sequence[str]) -> None:
    """
    Remove segments, durably.
    """
    for name in names:
        try:
            files.unlink(name)
        except FileNotFoundError:
            pass
    files.sync_names()


def read_header(files: IJournalFiles, name: str) -> tuple[int, bytes]:
    """
    Length and first octets of a segment.
    """
    file = files.open(name)
    try:
        return file.size(), file.read(0, SEGMENT_HEADER)
    finally:
        file.close()


def set_aside(files: IJournalFiles, file: IJournalFile, damages: Sequence[Damage]) -> list[str]:
    """
    Copy damaged stretches of a segment to files of their own.

    :returns: names of the files made; a stretch set aside before, or of
        nothing but zeros, makes none.
    """
    made = []
    present = set(files.names())
    for damage in damages:
        pieces = range(0, damage.length, _COPY)
        if not any(_piece(file, damage, at).strip(b"\0") for at in pieces):
            continue
        name, number = f"{file.name}-{damage.offset}.bad", 0
        while name in present and not _is_copy(files, name, file, damage):
            # Part of a copy, since the process was killed, or something else: what follows is cut off, so there must be
            # a whole one.
            number += 1
            name = f"{file.name}-{damage.offset}.{number}.bad"
        if name in present:
            continue
        aside = files.create(name)
        try:
            for at in pieces:
                aside.append([_piece(file, damage, at)])
            aside.sync()
        except OSError:
            # The next start makes another one, and space may be what there is none of.
            _unlink(files, name)
            raise
        finally:
            aside.close()
        made.append(name)
    if made:
        files.sync_names()
    return made


def _is_copy(files: IJournalFiles, name: str, file: IJournalFile, damage: Damage) -> bool:
    copy = files.open(name)
    try:
        return copy.size() == damage.length and all(
            copy.read(at, _COPY) == _piece(file, damage, at) for at in range(0, damage.length, _COPY)
        )
    finally:
        copy.close()


def read_body(files: IJournalFiles, name: str, salt: int, offset: int, key: int) -> bytes:
    """
    The body of the reception *key*, whose record begins at *offset* of the
    segment *name*.  How long it is and what its checksum is the record says.

    :raises SpoolError: it cannot be read, or is not what was written.
    """
    try:
        file = files.open(name)
        try:
            return _read_reception(file, name, salt, offset, key)[1]
        finally:
            file.close()
    except OSError as error:
        raise SpoolError(explain(error, name)) from error


def read_receptions(
    files: IJournalFiles, name: str, salt: int, places: Sequence[tuple[int, int]]
) -> list[tuple[bytes, bytes] | None]:
    """
    Metas and bodies of receptions of one segment.

    :param places: where the record of each begins, and its key.
    :returns: ``None`` for one that is not what was written.
    :raises OSError: they cannot be read.
    """
    found: list[tuple[bytes, bytes] | None] = []
    file = files.open(name)
    try:
        for offset, key in places:
            try:
                found.append(_read_reception(file, name, salt, offset, key))
            except SpoolError:
                found.append(None)
    finally:
        file.close()
    return found


def _read_reception(file: IJournalFile, name: str, salt: int, offset: int, key: int) -> tuple[bytes, bytes]:
    try:
        octets = file.read(offset, RECORD_HEADER)
        head = decode_head(octets)
        octets += file.read(offset + RECORD_HEADER, head.meta_length)
        body = file.read(offset + RECORD_HEADER + head.meta_length, head.body_length)
        check(octets, head, salt)
    except RecordError as error:
        raise SpoolError(f"{name}: the record at {offset} is damaged: {error}") from error
    if head.kind != RECEPTION or head.key != key:
        raise SpoolError(f"{name}: the record at {offset} is of another reception")
    if len(body) != head.body_length or zlib.crc32(body) != head.body_checksum:
        raise SpoolError(f"{name}: the body at {offset} is damaged: checksum or length differs")
    return octets[RECORD_HEADER:], body


def _piece(file: IJournalFile, damage: Damage, at: int) -> bytes:
    return file.read(damage.offset + at, min(_COPY, damage.length - at))


def _withdraw(file: IJournalFile, start: int, withdrawals: bytes) -> None:
    # In the kernel's hands they outlive us, which is all that can be had of a disk that does not sync.
    try:
        file.append([withdrawals])
    except OSError:
        # Intents and outcomes behind that point are in memory still, but would not outlive us.
        _cut(file, start)


def _cut(file: IJournalFile, length: int) -> None:
    try:
        file.truncate(length)
    except OSError:
        # What stays behind are copies of records, which are harmless when read again.
        pass


def _unlink(files: IJournalFiles, name: str) -> bool:
    try:
        files.unlink(name)
    except OSError:
        return False
    return True


def _empty(files: IJournalFiles, name: str) -> None:
    try:
        file = files.open(name)
    except OSError:
        return
    _cut(file, 0)
    file.close()
