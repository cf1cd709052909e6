"""
``momentum-tx spool check``: is a spool as its service left it?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from ..spool.journal import RESERVE
from ..spool.records import FORMAT_VERSION
from ..spool.scan import Damage
from .spool_files import USED, Look, printable
from .spool_reading import Reading, SegmentReport

#: Octets of the disk below which a warning is given: what a service holds back, four times.
_LITTLE: Final = 4 * RESERVE
#: Files that may still be made, below which a warning is given.
_FEW: Final = 100
#: Files that somebody was writing when his process ended, by the end of their names; all that is in them is elsewhere.
_LEFT: Final = {
    "seg.new": "a segment that was never finished: a start removes it",
    "tmp": "a segment that an import or a repair never finished: the next one removes it",
}
#: What to do about records or segments of an unknown version.
NEWER: Final = (
    "It was written by a newer version of this program: use that version, or move the spool away and start with an"
    " empty one"
)


class Weight(IntEnum):
    """
    How grave a finding is; the gravest one is the exit status.
    """

    #: Worth knowing.
    NOTE = 0
    #: A start mends it, or goes on beside it.
    DAMAGE = 1
    #: A start is refused, or cannot tell what is there.
    UNUSABLE = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that was found.

    :ivar weight: how grave it is.
    :ivar file: name of the file, as it can be shown; empty for the directory.
    :ivar text: what it is.
    :ivar offset: of the first octet; ``None`` if it is no stretch of the file.
    :ivar length: of the stretch.
    """

    weight: Weight
    file: str
    text: str
    offset: int | None = None
    length: int | None = None

    def line(self) -> str:
        """
        The finding as a line.
        """
        return f"{self.weight.name.lower()}: {self.file or 'the directory'}: {self.text}"

    def values(self) -> dict[str, Any]:
        """
        The finding, for JSON.
        """
        found: dict[str, Any] = {"weight": self.weight.name.lower(), "file": self.file, "text": self.text}
        if self.offset is not None:
            found.update(offset=self.offset, length=self.length)
        return found


def findings(reading: Reading) -> list[Finding]:
    """
    Everything there is to say, in the order of the files.
    """
    found = list(_of_directory(reading))
    for report in reading.segments:
        found += _of_segment(report, reading)
    return found


def status(found: list[Finding]) -> int:
    """
    The exit status.
    """
    return max((finding.weight for finding in found), default=Weight.NOTE).value


def values(reading: Reading, found: list[Finding]) -> dict[str, Any]:
    """
    All of it, for JSON.
    """
    look = reading.look
    return {
        "spool": printable(look.path),
        "running": reading.running,
        "holder": look.holder,
        "format": FORMAT_VERSION,
        "segments": len(reading.segments),
        "octets": reading.octets,
        "records": sum(report.records for report in reading.segments),
        "receptions": len(reading.state.receptions),
        "messages": sum(1 for _ in reading.state.messages()),
        "free": look.free,
        "free_inodes": look.free_inodes,
        "reserve": look.reserve,
        "set_aside": [printable(name) for name in look.aside],
        "findings": [finding.values() for finding in found],
        "status": status(found),
    }


def text(reading: Reading, found: list[Finding]) -> str:
    """
    All of it, for people.
    """
    told = values(reading, found)
    lines = [f"spool: {told['spool']}"]
    if reading.running:
        holder = f" (process {reading.look.holder})" if reading.look.holder > 1 else ""
        lines.append(f"a service is running on it{holder}: this is what was there at one moment")
    lines.append(
        f"segments: {told['segments']}, {told['octets']} octets, {told['records']} records, format {told['format']}"
    )
    lines.append(f"mail: {told['messages']} messages of {told['receptions']} receptions")
    free = "unknown" if told["free"] is None else f"{told['free']} octets"
    files = "" if told["free_inodes"] is None else f", {told['free_inodes']} files"
    lines.append(f"disk: {free}{files} free, {told['reserve']} octets in reserve")
    lines += [finding.line() for finding in found]
    lines.append(("clean", "damaged: a start mends it", "unusable as it is")[told["status"]])
    return "\n".join(lines) + "\n"


def _of_directory(reading: Reading) -> Iterator[Finding]:
    look = reading.look
    if look.mode & 0o077:
        yield Finding(Weight.NOTE, "", f"others may look into it (mode {look.mode:o}); 700 is what it is made with")
    for foreign in look.foreign:
        if foreign.refused:
            text = f"{foreign.what}, and named as a segment: a start is refused until that is mended"
            yield Finding(Weight.UNUSABLE, printable(foreign.name), text)
        else:
            yield Finding(Weight.NOTE, printable(foreign.name), f"{foreign.what}: never opened")
    for name in look.others:
        yield Finding(
            Weight.NOTE, printable(name), _LEFT.get(name.partition(".")[2], "nothing of the spool's: ignored")
        )
    for name in look.aside:
        yield Finding(Weight.NOTE, printable(name), "was set aside earlier; `spool repair` looks for mail in it")
    for name in look.used:
        yield Finding(Weight.NOTE, printable(name), "was set aside once, and its mail is in the spool again")
    yield from _of_disk(look, reading.running)


def _of_disk(look: Look, running: bool) -> Iterator[Finding]:
    if look.free is not None and look.free < _LITTLE:
        yield Finding(Weight.NOTE, "", f"only {look.free} octets of the disk are free")
    if look.free_inodes is not None and look.free_inodes < _FEW:
        yield Finding(Weight.NOTE, "", f"only {look.free_inodes} more files can be made on the disk")
    if running and not look.reserve:
        yield Finding(Weight.NOTE, "", "no space is held back for outcomes: the disk is full, or cannot preallocate")


def _of_segment(report: SegmentReport, reading: Reading) -> Iterator[Finding]:
    name = report.name
    if report.unread:
        text = f"cannot be read: {report.unread}. A start holds back the mail in it and in all older segments"
        yield Finding(Weight.UNUSABLE, name, f"{text} until one can read it")
    if report.unknown:
        yield Finding(Weight.UNUSABLE, name, f"{report.unknown}. {NEWER}")
    if report.headless:
        text = "no readable header, so that nothing else in it can be read; a start sets all of it aside"
        yield Finding(Weight.DAMAGE, name, text, 0, report.size)
    for damage in report.damage:
        offset, length = damage.offset, damage.length
        where = f"{length} octets at {offset}"
        if report.open_end and damage is report.damage[-1]:
            yield Finding(Weight.NOTE, name, f"{where} are being written at this moment", offset, length)
        elif offset + length < report.size and _set_aside(reading, name, damage):
            yield Finding(Weight.NOTE, name, f"{where} are no record, and were set aside earlier", offset, length)
        elif offset + length < report.size:
            yield Finding(Weight.DAMAGE, name, f"{where} are no record; a start sets them aside", offset, length)
        elif damage.torn:
            text = f"{where} are a record that was never written to its end, as a crash leaves; a start cuts them off"
            yield Finding(Weight.DAMAGE, name, text, offset, length)
        else:
            text = f"{where} are no record; a start sets them aside and cuts them off"
            yield Finding(Weight.DAMAGE, name, text, offset, length)
    for key, damage in report.spoilt:
        kept = reading.state.receptions.get(key)
        if kept is None or kept.segment != report.number:
            continue
        count = sum(1 for _ in kept.live())
        text = f"the body of reception {key} at {damage.offset} is damaged: {count} messages cannot be delivered"
        yield Finding(Weight.DAMAGE, name, text, damage.offset, damage.length)


def _set_aside(reading: Reading, name: str, damage: Damage) -> bool:
    aside = f"{name}-{damage.offset}.bad"
    return aside in reading.look.aside or f"{aside}{USED}" in reading.look.used
