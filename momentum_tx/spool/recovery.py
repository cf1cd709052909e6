"""
What happens between taking the lock and the first message: every segment is
read, and what lives in them is handed over.

Blocking calls are the worker's; the reactor takes one bounded slice per turn.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..errors import SpoolError, StartupError
from ..interfaces.seams import IJournalFile, IJournalFiles
from ..queues.message import Message, Reception
from . import jobs
from .records import SEGMENT_HEADER, RecordError, UnknownFormat, decode_segment_header, number_in, segment_number
from .replay import Replay
from .scan import Damage, SegmentScan
from .segments import Segment, Segments, depend

#: Messages handed over in one turn.
BATCH: Final = 1000
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
        self._replay = Replay(segments, binding_slot)
        self._old: list[Segment] = []
        self._spoilt: list[tuple[int, Segment]] = []
        #: Receptions that must not come back: a body never written to its end, or a copy of what is finished.
        self.withdrawn: list[Reception] = []
        #: Whether to give up between two slices.
        self.cancelled = False

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
        return following

    async def read(self) -> list[Message]:
        """
        Read every segment :meth:`look` has found.

        :returns: the messages whose last attempt was interrupted.
        :raises StartupError: a record is of another version.
        """
        filled = [segment.number for segment in self._old if segment.size > SEGMENT_HEADER]
        verified = set(filled[-_VERIFIED:])
        unread: list[Segment] = []
        for segment in self._old:
            for older in unread:
                # It may hold the end of what lies there, which must not come back without it.
                depend(segment, older)
            if segment.size > SEGMENT_HEADER:
                try:
                    await self._read_segment(segment, segment.number in verified)
                except OSError as error:
                    # What could not be read may live: the segment stays, and is read again at the next start.
                    segment.live += 1
                    unread.append(segment)
                    self._log.critical(
                        "{name}: cannot be read further: {reason}", name=segment.name, reason=jobs.explain(error)
                    )
            segment.sealed = True
        for key, segment in self._spoilt:
            # Mail that was ever attempted was confirmed: it is kept, and every attempt fails while its body does.
            reception = self._replay.drop(key, segment)
            if reception is not None:
                self.withdrawn.append(reception)
        self.withdrawn += self._replay.revenants
        return self._replay.interrupted()

    async def hand_over(self, found: Callable[[Sequence[Message]], object]) -> int:
        """
        Give the live messages to *found*, one batch per turn.

        :returns: how many there were.
        """
        count = 0
        for batch in self._replay.batches(BATCH):
            # Whoever has stopped the spool wants no more mail.
            self._check()
            count += len(batch)
            found(batch)
            await self._next_turn()
        self._check()
        return count

    async def _read_segment(self, segment: Segment, verify: bool) -> None:
        file = await self._run(self._files.open, segment.name)
        try:
            scan = SegmentScan(file, segment.salt, verify)
            while not scan.done:
                try:
                    records = await self._run(scan.slice)
                except UnknownFormat as error:
                    raise _unknown(segment.name, error) from None
                self._check()
                for record in records:
                    self._replay.apply(record, segment)
            # A killed process leaves records that only the kernel has; what we go by must not be lost later.
            await self._run(file.sync)
            if scan.damage or scan.spoilt:
                await self._keep_damage(segment, file, scan)
        finally:
            file.close()

    async def _keep_damage(self, segment: Segment, file: IJournalFile, scan: SegmentScan) -> None:
        spoilt = [damage for _, damage in scan.spoilt]
        made = await self._run(jobs.set_aside, self._files, file, [*scan.damage, *spoilt])
        for damage in [*scan.damage, *spoilt]:
            self._report(segment, damage)
        if made:
            self._log.error("damaged octets were set aside in {names}", names=", ".join(made))
        self._spoilt += [(key, segment) for key, _ in scan.spoilt]
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

    def _next_turn(self) -> Deferred[None]:
        turn: Deferred[None] = Deferred()
        self._clock.callLater(0, turn.callback, None)
        return turn

    def _check(self) -> None:
        if self.cancelled:
            raise StartupError("the spool was stopped before it was read")


def _put_away(files: IJournalFiles, name: str) -> None:
    files.rename(name, f"{name}.bad")
    files.sync_names()


def _unknown(name: str, error: SpoolError) -> StartupError:
    return StartupError(
        f"{name}: {error}. It was written by a newer version of this program: start that version, or move the"
        " spool away and start with an empty one"
    )
