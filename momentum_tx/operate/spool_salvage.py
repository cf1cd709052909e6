"""
Looks for mail in octets that no start can read: segments whose header is lost, and
stretches that were set aside.

Without its salt nothing in a segment can be told from what a mail may hold, so the salt
is found again first.  A checksum is begun with it, and can be followed back to where it
began: each record gives the salt it was written with.  A forged record in the body of a
mail gives one as well, but it lies inside a true one, which covers more.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ..interfaces.seams import IJournalFile
from ..spool.records import (
    DELIVERED,
    PAYLOAD_HEADER,
    RECEPTION,
    RECORD_HEADER,
    RECORD_MAGIC,
    SEGMENT_HEADER,
    Envelope,
    RecordError,
    check,
    decode,
    decode_head,
    encode_ended,
)
from ..spool.scan import SegmentScan
from .spool_reading import SegmentReport, scanned
from .spool_state import SpoolState

#: Records whose salt is computed: each takes the time of its meta's length.
_VOTERS: Final = 2000
#: Metas longer than this are not asked for their salt.
_LONG: Final = 64 << 10
#: Salts of which it is looked how much they cover.
_CANDIDATES: Final = 5
#: Octets that may be checksummed in search of records, as a multiple of what is searched.
_EFFORT: Final = 64
#: Of the CRC-32 of zlib, reflected.
_POLYNOMIAL: Final = 0xEDB88320


def _forward() -> list[int]:
    table = []
    for octet in range(256):
        value = octet
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


def _backward() -> list[int]:
    # The upper octets of the entries are all different: each tells which entry was used.
    table = [0] * 256
    for octet, value in enumerate(_forward()):
        table[value >> 24] = (value << 8 ^ octet) & 0xFFFFFFFF
    return table


_BACK: Final = _backward()


def salt_of(octets: bytes, checksum: int) -> int:
    """
    What a checksum was begun with.

    :param octets: those that it is of.
    """
    # The checksum is that of a beginning with 0, plus the salt led through as many zeros.
    value = checksum ^ zlib.crc32(octets)
    for _ in range(len(octets)):
        value = (value << 8 ^ _BACK[value >> 24]) & 0xFFFFFFFF
    return value


def find_salt(file: IJournalFile) -> int | None:
    """
    The salt of a segment whose header is lost; ``None`` if nothing in it says so clearly.

    It must be the one by which more than half of the octets are whole records.
    """
    size = file.size()
    votes: Counter[int] = Counter()
    for at in _magics(file, SEGMENT_HEADER):
        try:
            head = decode_head(file.read(at, RECORD_HEADER))
        except RecordError:
            continue
        length = RECORD_HEADER + head.meta_length
        if head.meta_length > _LONG or at + length + head.body_length > size:
            continue
        # The checksum itself and the magic before it are not in it.
        votes[salt_of(file.read(at, length)[8:], head.checksum)] += 1
        if votes.total() >= _VOTERS:
            break
    best = max(((covered(file, salt), salt) for salt, _ in votes.most_common(_CANDIDATES)), default=(0, 0))
    return best[1] if best[0] and 2 * best[0] > size - SEGMENT_HEADER else None


def covered(file: IJournalFile, salt: int) -> int:
    """
    Octets behind the header that are whole records by a salt.
    """
    report = SegmentReport(0, file.name, file.size())
    for _ in scanned(SegmentScan(file, salt, False), report):
        pass
    if not report.usable:
        return 0
    return max(0, report.size - SEGMENT_HEADER - sum(damage.length for damage in report.damage))


class Whole(NamedTuple):
    """
    A whole record among octets that were set aside.

    :ivar payload: without its frame, which goes by the salt.
    """

    kind: int
    key: int
    payload: bytes
    body: bytes


def whole_records(file: IJournalFile, salt: int) -> Iterator[Whole]:
    """
    The records in a stretch that was set aside whose checksums are right by *salt*, bodies
    included.  One inside another does not count.
    """
    effort = _EFFORT * file.size()
    end = 0
    for at in _magics(file, 0):
        if at < end or effort <= 0:
            continue
        try:
            head = decode_head(file.read(at, RECORD_HEADER))
            length = RECORD_HEADER + head.meta_length
            if at + length + head.body_length > file.size():
                continue
            effort -= length
            octets = file.read(at, length)
            check(octets, head, salt)
            body = file.read(at + length, head.body_length)
        except RecordError:
            continue
        if head.kind == RECEPTION and zlib.crc32(body) != head.body_checksum:
            continue
        end = at + length + head.body_length
        yield Whole(head.kind, head.key, octets[8:], body)


def missing(found: Iterable[Whole], state: SpoolState) -> list[Whole]:
    """
    What is to be written so that the spool has the receptions among *found* that it has
    not: them, and behind each the ends of its messages that are on record elsewhere.
    """
    wanted: dict[int, list[Whole]] = {}
    for record in found:
        if record.kind != RECEPTION or record.key in wanted:
            continue
        ends = state.ends_of(record.key)
        if ends is None:
            continue
        try:
            meta = decode(RECEPTION, record.payload[PAYLOAD_HEADER:])
        except RecordError:
            continue
        if isinstance(meta, Envelope) and not ends.issuperset(range(len(meta.recipients))):
            ended = [encode_ended(DELIVERED, record.key, position, b"") for position in sorted(ends)]
            wanted[record.key] = [record, *(Whole(DELIVERED, record.key, payload, b"") for payload in ended)]
    return [record for records in wanted.values() for record in records]


def _magics(file: IJournalFile, at: int) -> Iterator[int]:
    """
    Every place from *at* on where a record may begin.
    """
    window = 1 << 20
    keep = len(RECORD_MAGIC) - 1
    while at < file.size():
        octets = file.read(at, window)
        if len(octets) <= keep:
            return
        start = octets.find(RECORD_MAGIC)
        while start >= 0:
            yield at + start
            start = octets.find(RECORD_MAGIC, start + 1)
        at += len(octets) - keep
