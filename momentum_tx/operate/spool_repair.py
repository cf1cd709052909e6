"""
``momentum-tx spool repair``: what a start does about damage, without a start, and more.

Every step is told first and asked for, each for itself.  No octets are ever removed that
are nowhere else: what is cut off was set aside before, and what was set aside stays,
under another name once its mail is in the spool.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from ..errors import StartupError
from ..interfaces.seams import IJournalFile, IJournalFiles
from ..spool import jobs
from ..spool.records import (
    RECEPTION,
    SEGMENT_HEADER,
    RecordError,
    SegmentHeader,
    decode_segment_header,
    segment_name,
)
from ..spool.replay import Found
from ..spool.scan import Damage, SegmentScan
from .spool_files import USED, open_aside, printable
from .spool_reading import Reading, SegmentReport, scanned
from .spool_salvage import find_salt, missing, whole_records
from .spool_state import SpoolState
from .spool_writing import NewSegment, following

#: Octets that are copied at once.
_COPY: Final = 1 << 20
_SEGMENT_ASIDE: Final = re.compile(r"([0-9]{12})\.seg(?:\.[0-9]+)?\.bad", re.ASCII)
_STRETCH: Final = re.compile(r"([0-9]{12})\.seg-[0-9.]+\.bad", re.ASCII)


@dataclass(frozen=True, slots=True)
class Step:
    """
    One thing that can be done.

    :ivar text: what, as it can be shown.
    :ivar act: does it; returns what was done.
    """

    text: str
    act: Callable[[], str]


class Repair:
    """
    Finds out what can be done for a spool that is ours meanwhile.
    """

    def __init__(self, files: IJournalFiles, path: str, reading: Reading, random: Random) -> None:
        """
        :param path: of the spool.
        :param reading: all that is in it, bodies verified; its segments are open.
        :param random: source of the salts of new segments.
        """
        self._files = files
        self._path = path
        self._reading = reading
        self._random = random
        #: What cannot be done, and why.
        self.left: list[str] = []

    def steps(self) -> Iterator[Step]:
        """
        What can be done, one after the other: each is looked for when the one before is done.
        """
        for report in self._reading.segments:
            if not report.usable:
                reason = report.unknown or f"cannot be read: {report.unread}"
                self.left.append(f"{report.name}: {reason}")
            elif report.headless:
                yield from self._headless(report)
            else:
                yield from self._damaged(report)
        for name in self._reading.look.aside:
            yield from self._aside(name)

    # Segments.

    def _headless(self, report: SegmentReport) -> Iterator[Step]:
        file = self._reading.look.segments[report.number]
        salt = find_salt(file)
        if salt is not None:
            kept = f"{self._free(report.name)}{USED}"
            text = f"{report.name}: write it anew with the header it has lost; the old one stays as {kept}"
            yield Step(text, lambda: self._with_header(file, report.number, salt, report.name))
            return
        text = f"{report.name}: nothing in it can be read without its header; set all of it aside, as a start does"

        def act() -> str:
            aside = self._free(report.name)
            self._files.rename(report.name, aside)
            self._files.sync_names()
            return f"it is {aside} now"

        yield Step(text, act)

    def _with_header(self, file: IJournalFile, number: int, salt: int, name: str) -> str:
        segment = NewSegment(self._files, SegmentHeader(number, salt))
        try:
            segment.put_octets(_pieces(file, SEGMENT_HEADER, file.size() - SEGMENT_HEADER))
            segment.sync()
        except BaseException:
            segment.give_up()
            raise
        # Wherever this ends: what is whole has a name by which it is found, and offered again.
        aside = name
        if name == segment_name(number):
            aside = self._free(name)
            self._files.rename(name, aside)
        segment.finish()
        self._use(aside)
        return f"{segment_name(number)} can be read again"

    def _use(self, name: str) -> None:
        self._files.rename(name, f"{name}{USED}")
        self._files.sync_names()

    def _damaged(self, report: SegmentReport) -> Iterator[Step]:
        file = self._reading.look.segments[report.number]
        damages = [*report.damage, *self._spoilt(report)]
        aside = [damage for damage in damages if not self._has_copy(file, damage)]
        if aside:
            places = ", ".join(f"{damage.length} octets at {damage.offset}" for damage in aside)
            yield Step(f"{report.name}: set aside what is no record: {places}", lambda: self._set_aside(report, aside))
        tail = report.damage[-1] if report.damage else None
        if tail is None or tail.offset + tail.length < report.size:
            return
        if not self._has_copy(file, tail):
            self.left.append(f"{report.name} is not cut at {tail.offset}: what follows is nowhere else")
            return
        text = f"{report.name}: cut it where its last record ends, at {tail.offset}"
        yield Step(f"{text}; what follows has a copy, or is nothing but zeros", lambda: self._cut(report, tail))

    def _spoilt(self, report: SegmentReport) -> list[Damage]:
        """
        Receptions whose body is damaged; of those whose mail waits there is more to say.
        """
        for key, _ in report.spoilt:
            kept = self._reading.state.receptions.get(key)
            if kept is not None and kept.segment == report.number:
                self.left.append(
                    f"{report.name}: the body of reception {key} is damaged. If it was never attempted and is of the"
                    " youngest mail, it was never confirmed, and a start withdraws it; else its mail waits, and every"
                    " attempt fails"
                )
        return [damage for _, damage in report.spoilt]

    def _set_aside(self, report: SegmentReport, damages: list[Damage]) -> str:
        file = self._files.open(report.name)
        try:
            made = jobs.set_aside(self._files, file, damages)
        finally:
            file.close()
        return f"made {', '.join(made)}"

    def _cut(self, report: SegmentReport, tail: Damage) -> str:
        file = self._files.open(report.name)
        try:
            if file.size() != report.size or not self._has_copy(file, tail):
                raise StartupError(f"{report.name} has changed meanwhile")
            file.truncate(tail.offset)
            file.sync()
        finally:
            file.close()
        return f"it has {tail.offset} octets now"

    def _has_copy(self, file: IJournalFile, damage: Damage) -> bool:
        """
        Whether a stretch is on disk a second time, or nothing but zeros.
        """
        if not any(octets.strip(b"\0") for octets in _pieces(file, damage.offset, damage.length)):
            return True
        stem = f"{file.name}-{damage.offset}."
        return any(name.startswith(stem) and self._is_copy(name, file, damage) for name in self._files.names())

    def _is_copy(self, name: str, file: IJournalFile, damage: Damage) -> bool:
        copy = open_aside(self._path, name)
        try:
            return copy.size() == damage.length and all(
                octets == copy.read(number * _COPY, _COPY)
                for number, octets in enumerate(_pieces(file, damage.offset, damage.length))
            )
        finally:
            copy.close()

    def _free(self, name: str) -> str:
        """
        A name that nothing has, for what was the segment *name*.
        """
        present, aside, number = set(self._files.names()), f"{name}.bad", 0
        while aside in present or f"{aside}{USED}" in present:
            number += 1
            aside = f"{name}.{number}.bad"
        return aside

    # What was set aside.

    def _aside(self, name: str) -> Iterator[Step]:
        try:
            file = open_aside(self._path, name)
        except FileNotFoundError:
            return
        except OSError as error:
            self.left.append(f"{printable(name)}: cannot be read: {error.strerror}")
            return
        try:
            whole, stretch = _SEGMENT_ASIDE.fullmatch(name), _STRETCH.fullmatch(name)
            if whole is not None:
                yield from self._segment_aside(name, file, int(whole[1]))
            elif stretch is not None:
                yield from self._stretch(name, file, int(stretch[1]))
        finally:
            file.close()

    def _segment_aside(self, name: str, file: IJournalFile, number: int) -> Iterator[Step]:
        salt = find_salt(file)
        if salt is None:
            self.left.append(f"{name}: nothing in it can be read without the header it has lost")
            return
        if number in self._reading.look.segments:
            self.left.append(f"{name}: there is another {segment_name(number)}, with the same keys; it stays aside")
            return
        state = SpoolState()
        report = SegmentReport(number, name, file.size())
        for found in _records(file, salt, report):
            state.apply(found, number)
        state.conclude()
        count = sum(1 for _ in state.messages())
        text = (
            f"{name}: take its mail back into the spool: up to {count} messages. Those of them that ended after it was"
            f" set aside, or whose ends were in segments that are gone, are delivered again"
        )
        yield Step(text, lambda: self._with_header(file, number, salt, name))

    def _stretch(self, name: str, file: IJournalFile, number: int) -> Iterator[Step]:
        segment = self._reading.look.segments.get(number)
        try:
            if segment is None:
                raise RecordError("is gone")
            salt = decode_segment_header(segment.read(0, SEGMENT_HEADER)).salt
        except RecordError:
            self.left.append(
                f"{name}: {segment_name(number)} is gone or unreadable, without which nothing in it is known"
            )
            return
        wanted = missing(whole_records(file, salt), self._reading.state)
        count = sum(record.kind == RECEPTION for record in wanted)
        if not count:
            self.left.append(f"{name}: no mail in it that is whole and not in the spool")
            return
        if not all(report.usable for report in self._reading.segments):
            # It would be in the youngest segment, and be delivered.
            self.left.append(f"{name}: its mail may have ended in what cannot be read; mend that first")
            return

        def act() -> str:
            made = NewSegment(self._files, SegmentHeader(following(self._path), self._random.getrandbits(32)))
            try:
                for record in wanted:
                    made.put(record.payload, record.body)
                new = made.finish()
            except BaseException:
                made.give_up()
                raise
            self._use(name)
            return f"they are in {new}"

        yield Step(f"{name}: take {count} whole receptions back into the spool that are not in it", act)


def _records(file: IJournalFile, salt: int, report: SegmentReport) -> Iterator[Found]:
    return scanned(SegmentScan(file, salt, False), report)


def _pieces(file: IJournalFile, start: int, length: int) -> Iterator[bytes]:
    end = start + length
    for at in range(start, end, _COPY):
        yield file.read(at, min(_COPY, end - at))
