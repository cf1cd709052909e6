"""
Reads a whole spool: every segment from its header to its end, and what lives in it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..interfaces.seams import IJournalFile
from ..spool.records import (
    RECEPTION,
    RECORD_HEADER,
    SEGMENT_HEADER,
    Envelope,
    RecordError,
    UnknownFormat,
    check,
    decode,
    decode_head,
    decode_segment_header,
    segment_name,
)
from ..spool.replay import Found
from ..spool.scan import Damage, SegmentScan
from .spool_files import Look, ReadOnlyFile
from .spool_state import SpoolState


@dataclass(slots=True)
class SegmentReport:
    """
    What was found in one segment.

    :ivar number: its number.
    :ivar name: its name.
    :ivar size: octets, header included.
    :ivar salt: what its checksums begin with; 0 if it has no readable header.
    :ivar records: how many whole ones.
    :ivar by_kind: of these, by kind.
    :ivar damage: stretches that are no record.
    :ivar spoilt: receptions whose body is not what was written: key and place.
    :ivar open_end: the last stretch of damage is what somebody is writing at this moment.
    :ivar headless: it is long enough for a header, and has none that can be read.
    :ivar unknown: of which version it, or something in it, is; empty if that is known.
    :ivar unread: why it could not be read to its end; empty if it was.
    """

    number: int
    name: str
    size: int = 0
    salt: int = 0
    records: int = 0
    by_kind: dict[int, int] = field(default_factory=dict)
    damage: list[Damage] = field(default_factory=list)
    spoilt: list[tuple[int, Damage]] = field(default_factory=list)
    open_end: bool = False
    headless: bool = False
    unknown: str = ""
    unread: str = ""

    @property
    def usable(self) -> bool:
        """
        Whether all that is in it was read, or is damage that a start knows what to do with.
        """
        return not self.unknown and not self.unread


@dataclass(slots=True)
class Reading:
    """
    All that was read.

    :ivar look: the directory.
    :ivar segments: one report each, oldest first.
    :ivar state: what lives.
    :ivar running: whether a service has the spool.
    """

    look: Look
    segments: list[SegmentReport]
    state: SpoolState
    running: bool

    @property
    def octets(self) -> int:
        """
        Of all segments.
        """
        return sum(report.size for report in self.segments)


#: Told how many octets were read, and of how many.
Progress = Callable[[int, int], object]


def read(look: Look, verify: bool, progress: Progress) -> Reading:
    """
    Read the segments of a look; they stay open.

    :param verify: whether the checksums of bodies are compared, which reads all of them.
    """
    state = SpoolState()
    total = sum(file.size() for file in look.segments.values())
    reports = []
    before = 0
    for number, file in sorted(look.segments.items()):
        report = SegmentReport(number, file.name, file.size())
        for found in records(file, report, verify):
            state.apply(found, number)
            progress(before + found.offset, total)
        for key, _ in report.spoilt:
            kept = state.receptions.get(key)
            if kept is not None and kept.segment == number:
                kept.spoilt = True
        before += report.size
        progress(before, total)
        reports.append(report)
    state.conclude({(key, report.number) for report in reports for key, _ in report.spoilt})
    for name, error in look.unopened.items():
        number = int(name.partition(".")[0])
        reports.append(SegmentReport(number, name, unread=error.strerror or str(error)))
    reports.sort(key=lambda report: report.number)
    running = look.holder != 0 or any(file.grown() for file in look.segments.values())
    if running:
        _open_ends(reports)
    return Reading(look, reports, state, running)


def records(file: IJournalFile, report: SegmentReport, verify: bool) -> Iterator[Found]:
    """
    The whole records of a segment; what else is found there is noted in *report*.
    """
    try:
        header = file.read(0, SEGMENT_HEADER)
        report.salt = decode_segment_header(header).salt
    except UnknownFormat as error:
        report.unknown = str(error)
        return
    except RecordError:
        # Shorter than its header it never held a record.
        report.headless = report.size >= SEGMENT_HEADER
        return
    except OSError as error:
        report.unread = error.strerror or str(error)
        return
    yield from scanned(SegmentScan(file, report.salt, verify), report)


def scanned(scan: SegmentScan, report: SegmentReport) -> Iterator[Found]:
    """
    The records that *scan* finds.
    """
    while not scan.done:
        try:
            found = scan.slice()
        except UnknownFormat as error:
            report.unknown = str(error)
            break
        except OSError as error:
            report.unread = error.strerror or str(error)
            break
        report.records += len(found)
        for record in found:
            report.by_kind[record.kind] = report.by_kind.get(record.kind, 0) + 1
        yield from found
    report.damage = list(scan.damage)
    report.spoilt = list(scan.spoilt)


def _open_ends(reports: list[SegmentReport]) -> None:
    """
    A service appends to the youngest segment that holds records, and for a short
    time to the one before: what is no whole record at their ends is not damage.
    """
    filled = [report for report in reports if report.size > SEGMENT_HEADER]
    for report in filled[-2:]:
        if (
            report.damage
            and report.damage[-1].torn
            and report.damage[-1].offset + report.damage[-1].length >= report.size
        ):
            report.open_end = True


def read_reception(file: ReadOnlyFile, salt: int, offset: int, key: int) -> tuple[Envelope, bytes]:
    """
    The reception whose record begins at *offset*.

    :raises RecordError: it is damaged, its body included.
    :raises OSError: it cannot be read.
    """
    octets = file.read(offset, RECORD_HEADER)
    head = decode_head(octets)
    meta = file.read(offset + RECORD_HEADER, head.meta_length)
    check(octets + meta, head, salt)
    if head.kind != RECEPTION or head.key != key:
        raise RecordError("the record there is of another reception")
    body = file.read(offset + RECORD_HEADER + head.meta_length, head.body_length)
    if len(body) != head.body_length or zlib.crc32(body) != head.body_checksum:
        raise RecordError("its body is damaged: checksum or length differs")
    envelope = decode(RECEPTION, meta)
    assert isinstance(envelope, Envelope)
    return envelope, body


def segment_names(numbers: set[int]) -> list[str]:
    """
    File names of segments, in their order.
    """
    return [segment_name(number) for number in sorted(numbers)]
