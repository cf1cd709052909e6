"""
Reads a segment back, in slices, whatever state it is in.

Every call blocks and belongs in a worker.  Bodies are skipped unless they are
to be verified.  Damage is never skipped silently: it is listed with its place.
"""

import zlib
from typing import Final, NamedTuple

from ..interfaces.seams import IJournalFile
from .records import (
    RECEPTION,
    RECORD_HEADER,
    RECORD_MAGIC,
    SEGMENT_HEADER,
    RecordError,
    UnknownFormat,
    decode,
    decode_head,
)
from .records import check as check_record
from .replay import Found

#: Octets read at once: small bodies are read through, large ones skipped.
WINDOW: Final = 256 << 10
#: Records per slice; the reactor takes one slice per turn, at some 10 us a record.
SLICE: Final = 1000
#: Octets that may be checksummed in search of a whole record behind damage, as a multiple of the
#: segment's size; a body full of false beginnings cannot hold up the start for ever.
_SEARCH_EFFORT: Final = 4


class Damage(NamedTuple):
    """
    A stretch of a segment that is no record.

    :ivar torn: it looks like what a crash leaves at the end of a segment: expected, not alarming.
    """

    offset: int
    length: int
    torn: bool


class SegmentScan:
    """
    One pass over one segment, from its header to its end.
    """

    def __init__(self, file: IJournalFile, salt: int, verify: bool) -> None:
        self._file = file
        self._salt = salt
        self._verify = verify
        self._size = file.size()
        self._at = SEGMENT_HEADER
        self._window = b""
        self._base = 0
        self._effort = _SEARCH_EFFORT * self._size
        #: Whether the end is reached.
        self.done = False
        #: Stretches that were passed over, in order; the last one may be the tail.
        self.damage: list[Damage] = []
        #: Keys of receptions whose body is damaged, with the place of the whole record.
        self.spoilt: list[tuple[int, Damage]] = []
        #: Where the last whole record ends, when something follows it; else ``None``.
        self.cut: int | None = None

    def slice(self) -> list[Found]:
        """
        The next records, at most :data:`SLICE`; may be none before the end.

        :raises UnknownFormat: a whole record of a newer version.
        :raises OSError: the segment cannot be read.
        """
        found: list[Found] = []
        while len(found) < SLICE and not self.done:
            if self._at >= self._size:
                self.done = True
                break
            try:
                record = self._record(self._at)
            except UnknownFormat:
                raise
            except RecordError:
                self._pass_damage()
                continue
            end = record.body_offset + record.body_length
            if end > self._size:
                # The meta is whole, so the lengths are true: the body was never written to its end.
                self._tail(torn=True)
                break
            if self._verify and record.kind == RECEPTION and not self._body_is_whole(record):
                self.spoilt.append((record.key, Damage(self._at, end - self._at, False)))
            found.append(record)
            self._at = end
        return found

    def _record(self, at: int) -> Found:
        head = decode_head(self._get(at, RECORD_HEADER))
        length = RECORD_HEADER + head.meta_length
        if at + length > self._size:
            raise RecordError("beyond the end")
        octets = self._get(at, length)
        check_record(octets, head, self._salt)
        return Found(
            head.kind,
            head.key,
            decode(head.kind, octets[RECORD_HEADER:]),
            at,
            at + length,
            head.body_length,
            head.body_checksum,
        )

    def _get(self, at: int, length: int) -> bytes:
        start = at - self._base
        if start < 0 or start + length > len(self._window):
            self._window = self._file.read(at, max(length, WINDOW))
            self._base = at
            start = 0
        return self._window[start : start + length]

    def _pass_damage(self) -> None:
        following = self._search(self._at + 1)
        if following is None:
            self._tail(torn=self._looks_torn())
        else:
            self.damage.append(Damage(self._at, following - self._at, False))
            self._at = following

    def _tail(self, torn: bool) -> None:
        self.cut = self._at
        self.damage.append(Damage(self._at, self._size - self._at, torn))
        self.done = True

    def _looks_torn(self) -> bool:
        """
        Whether what is left is shorter than it says, or empty blocks: what a
        crash leaves.  A record that is complete in length and wrong in content
        may have been a confirmed one.
        """
        left = self._size - self._at
        octets = self._get(self._at, min(left, RECORD_HEADER))
        if not octets.strip(b"\0"):
            return True
        if len(octets) < RECORD_HEADER:
            return RECORD_MAGIC.startswith(octets[:4]) or octets.startswith(RECORD_MAGIC)
        try:
            head = decode_head(octets)
        except RecordError:
            return False
        return RECORD_HEADER + head.meta_length + head.body_length > left

    def _search(self, at: int) -> int | None:
        while at < self._size:
            octets = self._file.read(at, WINDOW)
            if not octets:
                return None
            start = octets.find(RECORD_MAGIC)
            while start >= 0:
                if self._begins(at + start):
                    return at + start
                start = octets.find(RECORD_MAGIC, start + 1)
            # The magic may lie across the border of two windows.
            at += max(1, len(octets) - len(RECORD_MAGIC) + 1)
        return None

    def _begins(self, at: int) -> bool:
        if self._effort <= 0:
            return False
        try:
            head = decode_head(self._file.read(at, RECORD_HEADER))
            length = RECORD_HEADER + head.meta_length
            if at + length + head.body_length > self._size:
                return False
            self._effort -= length
            check_record(self._file.read(at, length), head, self._salt)
        except UnknownFormat:
            return True
        except RecordError:
            return False
        return True

    def _body_is_whole(self, record: Found) -> bool:
        checksum, at, left = 0, record.body_offset, record.body_length
        while left:
            octets = self._file.read(at, min(left, WINDOW))
            if not octets:
                return False
            checksum = zlib.crc32(octets, checksum)
            at += len(octets)
            left -= len(octets)
        return checksum == record.body_checksum
