"""
What happens between taking the lock and the last old message: every segment is
read, the youngest first, and what lives in it is handed over before the next one
is read.

Blocking calls and decoding are the worker's, in slices between which syncs have
their turn; the reactor takes one bounded batch per turn.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..errors import SpoolError, StartupError
from ..interfaces.seams import IJournalFile, IJournalFiles
from ..queues.message import Message
from . import jobs
from .records import SEGMENT_HEADER, RecordError, UnknownFormat, decode_segment_header, number_in, segment_number
from .replay import Batch, Chapter, Left, Replay
from .scan import Damage, SegmentScan
from .segments import Segment, Segments, depend, place_of

#: Messages handed over in one turn, at some 10 us each.
BATCH: Final = 500
#: Seconds between two words about how far the start is.
PROGRESS: Final = 5.0
#: Seconds until a segment is tried again that could not be read; after the last try older mail is held back.
AGAIN: Final = (1.0, 2.0, 4.0)
#: The youngest segments that hold records, of which this many may have been unsynced when the power
#: went (the writer sees to that): their bodies are verified.
_VERIFIED: Final = 2


class Run(Protocol):
    """
    Calls a blocking function in the worker.
    """

    def __call__(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]: ...


class Recovery:
    """
    Reads the journal once; made and dropped by the start of the spool.
    """

    _log = Logger()

    def __init__(
        self,
        files: IJournalFiles,
        run: Run,
        clock: IReactorTime,
        segments: Segments,
        binding_slot: Callable[[str], int],
    ) -> None:
        self._files = files
        self._run = run
        self._clock = clock
        self._segments = segments
        self._replay = Replay(binding_slot)
        self._old: list[Segment] = []
        # Those read so far, all younger than what follows.
        self._younger: list[Segment] = []
        self._total = self._done = 0
        self._told = 0.0
        #: Messages handed over.
        self.count = 0
        #: Whether to give up between two slices.
        self.cancelled = False

    @property
    def progress(self) -> float:
        """
        What part of the octets that were found has been read, from 0 to 1.
        """
        return self._done / self._total if self._total else 1.0

    async def look(self) -> int:
        """
        Find the segments and read their headers.

        :returns: the first number that is free.
        :raises StartupError: a segment is of another version.
        """
        following = 1
        for name in await self._run(self._files.names):
            # One that was set aside has its number still: another one would have the same keys.
            following = max(following, number_in(name) + 1)
            number = segment_number(name)
            if number is None:
                if name.endswith(jobs.UNFINISHED):
                    # What was to be in it is elsewhere still.
                    await self._run(self._files.unlink, name)
                continue
            size, header = await self._run(jobs.read_header, self._files, name)
            try:
                # Shorter than its header it never held a record.
                salt = decode_segment_header(header).salt if size >= SEGMENT_HEADER else 0
            except UnknownFormat as error:
                raise _unknown(name, error) from None
            except RecordError:
                await self._run(_put_away, self._files, name)
                self._log.critical("{name}: no readable header; set aside as {name}.bad", name=name)
                continue
            segment = Segment(number, salt)
            segment.size = segment.synced = size
            self._old.append(segment)
            self._segments.add(segment)
        self._total = sum(segment.size for segment in self._old)
        self._told = self._clock.seconds()
        return following

    async def read(
        self,
        mend: Callable[[Batch], object],
        found: Callable[[list[Message]], object],
        taking: Callable[[], object],
    ) -> None:
        """
        Read every segment :meth:`look` has found.

        :param mend: told what is to be recorded of a batch, before its messages are given to
        :param found: which is given the live ones, at most :data:`BATCH` per turn.
        :param taking: called when the youngest segment that holds records is read: the ids of the last
            life's last messages are known then, and new ones are made.
        :raises StartupError: a record is of another version.
        """
        filled = [segment.number for segment in self._old if segment.size > SEGMENT_HEADER]
        verified = set(filled[-_VERIFIED:])
        whole = True
        for segment in reversed(self._old):
            if not whole:
                self._hold_back(segment)
            elif segment.size > SEGMENT_HEADER:
                whole = await self._read_segment(segment, segment.number in verified, mend, found)
            segment.sealed = True
            self._younger.append(segment)
            if filled and segment.number == filled[-1]:
                taking()
        if whole:
            for chapter, left in self._replay.doubtful():
                await self._hand_over(chapter, left, mend, found)
        self._check()
        if not filled:
            taking()

    async def _read_segment(
        self,
        segment: Segment,
        verify: bool,
        mend: Callable[[Batch], object],
        found: Callable[[list[Message]], object],
    ) -> bool:
        size = segment.size
        chapter = await self._chapter(segment, verify)
        if chapter is None:
            return False
        left = await self._run(self._replay.close, chapter)
        segment.starts, segment.mail = chapter.starts, [None] * len(chapter.starts)
        for helper in self._younger if chapter.stale else chapter.helpers:
            depend(helper, segment)
        await self._hand_over(chapter, left, mend, found)
        if chapter.senseless:
            segment.stays = True
            self._log.critical(
                "{name}: {count} records are whole and make no sense", name=segment.name, count=chapter.senseless
            )
        self._done += size
        self._tell()
        return True

    async def _chapter(self, segment: Segment, verify: bool) -> Chapter | None:
        """
        What a segment says; ``None`` if it cannot be read to its end.
        """
        for pause in (*AGAIN, None):
            chapter = Chapter(segment)
            try:
                await self._scan(segment, chapter, verify)
            except OSError as error:
                reason = jobs.explain(error)
                if chapter.whole:
                    # All that it says is known.  It is mended by the next start.
                    self._stay(segment)
                    self._log.critical("{name}: cannot be mended: {reason}", name=segment.name, reason=reason)
                    return chapter
                if pause is not None:
                    self._log.error(
                        "{name}: cannot be read: {reason}; it is tried again", name=segment.name, reason=reason
                    )
                    await self._next_turn(pause)
                    self._check()
                    continue
                self._hold_back(segment)
                self._log.critical(
                    "{name}: cannot be read: {reason}. The mail in it and in {count} older segments is held back until"
                    " a start can read it, since it may say that they were delivered",
                    name=segment.name,
                    reason=reason,
                    count=sum(old.number < segment.number for old in self._old),
                )
            else:
                return chapter
        return None

    def _hold_back(self, segment: Segment) -> None:
        # What was written after its receptions is not all known.
        self._done += segment.size
        self._stay(segment)

    def _stay(self, segment: Segment) -> None:
        # What is in it is read again at the next start.  The younger ones may hold the end of that, which must not come
        # back without it.
        segment.stays = True
        for younger in self._younger:
            depend(younger, segment)

    async def _hand_over(
        self,
        chapter: Chapter,
        left: Sequence[Left],
        mend: Callable[[Batch], object],
        found: Callable[[list[Message]], object],
    ) -> None:
        segment = chapter.segment
        for start in range(0, len(left), BATCH):
            batch = await self._run(self._replay.batch, chapter, left[start : start + BATCH])
            # Whoever has stopped the spool wants no more mail.
            self._check()
            self._settle(segment, batch)
            mend(batch)
            # One reception may have any number of messages.
            for first in range(0, len(batch.messages), BATCH):
                if first:
                    await self._next_turn()
                    self._check()
                messages = batch.messages[first : first + BATCH]
                self.count += len(messages)
                found(messages)

    def _settle(self, segment: Segment, batch: Batch) -> None:
        for reception, offset in batch.receptions:
            self._segments.settle(segment, reception, offset)
        for reception, offset in batch.withdrawn:
            # The segment stays until that is durable.
            segment.live += 1
            reception.spool = place_of(segment, offset)

    async def _scan(self, segment: Segment, chapter: Chapter, verify: bool) -> None:
        file = await self._run(self._files.open, segment.name)
        try:
            scan = SegmentScan(file, segment.salt, verify)
            while not scan.done:
                try:
                    await self._run(_slice, scan, chapter)
                except UnknownFormat as error:
                    raise _unknown(segment.name, error) from None
                self._check()
            chapter.whole = True
            # A killed process leaves records that only the kernel has; what we go by must not be lost later.
            await self._run(file.sync)
            if scan.damage or scan.spoilt:
                await self._keep_damage(segment, file, scan)
                chapter.spoilt.update(key for key, _ in scan.spoilt)
        finally:
            file.close()

    async def _keep_damage(self, segment: Segment, file: IJournalFile, scan: SegmentScan) -> None:
        spoilt = [damage for _, damage in scan.spoilt]
        made = await self._run(jobs.set_aside, self._files, file, [*scan.damage, *spoilt])
        for damage in [*scan.damage, *spoilt]:
            self._report(segment, damage)
        if made:
            self._log.error("damaged octets were set aside in {names}", names=", ".join(made))
        if scan.cut is not None:
            await self._run(file.truncate, scan.cut)
            segment.size = segment.synced = scan.cut

    def _report(self, segment: Segment, damage: Damage) -> None:
        report = self._log.warn if damage.torn else self._log.critical
        report(
            "{name}: {length} octets at {offset} are no record{torn}",
            name=segment.name,
            length=damage.length,
            offset=damage.offset,
            torn=": what a crash leaves" if damage.torn else "",
        )

    def _tell(self) -> None:
        now = self._clock.seconds()
        if now >= self._told + PROGRESS and self._done < self._total:
            self._told = now
            self._log.info(
                "{percent} % of the spool is read, {count} messages were found so far",
                percent=100 * self._done // self._total,
                count=self.count,
            )

    def _next_turn(self, seconds: float = 0) -> Deferred[None]:
        turn: Deferred[None] = Deferred()
        self._clock.callLater(seconds, turn.callback, None)
        return turn

    def _check(self) -> None:
        if self.cancelled:
            raise StartupError("the spool was stopped before it was read")


def _slice(scan: SegmentScan, chapter: Chapter) -> None:
    chapter.take(scan.raw())


def _put_away(files: IJournalFiles, name: str) -> None:
    files.rename(name, f"{name}.bad")
    files.sync_names()


def _unknown(name: str, error: SpoolError) -> StartupError:
    return StartupError(
        f"{name}: {error}. It was written by a newer version of this program: start that version, or move the"
        " spool away and start with an empty one"
    )
