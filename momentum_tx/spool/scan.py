"""
Reads a segment back, in slices, whatever state it is in.

Every call blocks and belongs in a worker.  Bodies are skipped unless they are
to be verified.  Damage is never skipped silently: it is listed with its place.
"""

import zlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from ..interfaces.seams import IJournalFile
from .records import (
    KNOWN,
    MAX_BODY,
    RECEPTION,
    RECORD_HEADER,
    RECORD_MAGIC,
    SEGMENT_HEADER,
    WHOLE_HEAD,
    RecordError,
    UnknownFormat,
    decode,
    decode_head,
)
from .records import check as check_record
from .replay import Found

#: A whole record whose meta nobody has looked at: kind, key, meta, where it begins, and of
#: its body the length and the checksum.
Raw: TypeAlias = tuple[int, int, bytes, int, int, int]

#: Octets read at once: small bodies are read through, large ones skipped.
WINDOW: Final = 256 << 10
#: Records per slice: what the worker does at once, so that syncs need not wait long for it.
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
        found: list[Found] = self._slice(_found)
        return found

    def raw(self) -> list[Raw]:
        """
        As :meth:`slice`, with metas as they are written: a meta that is whole and makes no
        sense all the same is not found out here.
        """
        found: list[Raw] = self._slice(None)
        return found

    def _slice(self, make: Callable[[Raw], Found] | None) -> list[Any]:
        found: list[Any] = []
        while len(found) < SLICE and not self.done:
            at = self._at
            if at >= self._size:
                self.done = True
                break
            try:
                record = self._quick(at) or self._careful(at)
                made = record if make is None else make(record)
            except UnknownFormat:
                raise
            except RecordError:
                self._pass_damage()
                continue
            kind, key, meta, _, body_length, body_checksum = record
            body = at + RECORD_HEADER + len(meta)
            end = body + body_length
            if end > self._size:
                # The meta is whole, so the lengths are true: the body was never written to its end.
                self._tail(torn=True)
                break
            if self._verify and kind == RECEPTION and not self._body_is_whole(body, body_length, body_checksum):
                self.spoilt.append((key, Damage(at, end - at, False)))
            found.append(made)
            self._at = end
        return found

    def _quick(self, at: int) -> Raw | None:
        # The record, if it is whole and wholly in the window, as nearly all are; whatever else it may be is found
        # out by the careful way.
        window = self._window
        start = at - self._base
        after = start + RECORD_HEADER
        if start < 0 or after > len(window):
            return None
        magic, checksum, kind, version, length, body_length, key, body_checksum = WHOLE_HEAD.unpack_from(window, start)
        end = after + length
        if magic != RECORD_MAGIC or end > len(window) or body_length > MAX_BODY or (kind, version) not in KNOWN:
            return None
        if zlib.crc32(window[start + 8 : end], self._salt) != checksum:
            return None
        return kind, key, window[after:end], at, body_length, body_checksum

    def _careful(self, at: int) -> Raw:
        head = decode_head(self._get(at, RECORD_HEADER))
        length = RECORD_HEADER + head.meta_length
        if at + length > self._size:
            raise RecordError("beyond the end")
        octets = self._get(at, length)
        check_record(octets, head, self._salt)
        return head.kind, head.key, octets[RECORD_HEADER:], at, head.body_length, head.body_checksum

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

    def _body_is_whole(self, at: int, left: int, expected: int) -> bool:
        checksum = 0
        while left:
            octets = self._file.read(at, min(left, WINDOW))
            if not octets:
                return False
            checksum = zlib.crc32(octets, checksum)
            at += len(octets)
            left -= len(octets)
        return checksum == expected


def _found(record: Raw) -> Found:
    kind, key, meta, at, body_length, body_checksum = record
    return Found(kind, key, decode(kind, meta), at, at + RECORD_HEADER + len(meta), body_length, body_checksum)
