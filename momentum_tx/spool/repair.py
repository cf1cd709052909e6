"""
The journal's writer when the disk is full or fails.

Two troubles, two answers.  A *full* disk refuses receptions; intents and
outcomes go on from a reserve that is given up for them.  A *failing* disk (a
write that fails otherwise, any failed sync) abandons the segment: all that was
not synced is moved to a new one.  While that does not succeed nothing is
written: receptions are refused, intents fail, outcomes wait in memory.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from ..errors import SpoolError
from ..interfaces.seams import IJournalFile
from . import jobs
from .entries import FLUSH, MOVED, Entry, lay_out
from .records import (
    DELIVERED,
    FAILED,
    HELD,
    INTENT,
    RECEPTION,
    REQUEUED,
    SEGMENT_HEADER,
    WITHDRAWN,
    encode_withdrawn,
    frame,
)
from .segments import Segment, depend, offset_in
from .writer import Writer, WriterSetup

#: Kinds of records that nobody would write again for us.
_OUTCOMES: Final = (DELIVERED, FAILED, REQUEUED, HELD)
#: Seconds between two tries of a repair: the first, and the most they double to.
RETRY_FIRST: Final = 1.0
RETRY_MOST: Final = 30.0


class JournalWriter(Writer):
    """
    The writer, complete.
    """

    def __init__(self, setup: WriterSetup) -> None:
        super().__init__(setup)
        self._reserve = setup.reserve
        self._reserved = False
        #: Whether receptions are refused because the reserve is not whole.
        self.full = False
        self._taking = False
        self._retry: IDelayedCall | None = None
        self._retry_delay = RETRY_FIRST
        self._reserve_retry: IDelayedCall | None = None
        self._reserve_delay = RETRY_FIRST
        self._repairing = False
        self._backlog: list[Entry] = []
        # Segments left behind while there is no new one that could depend on them.
        self._stale: list[Segment] = []
        # The file of the last of them, its synced length and its salt: a disk that does not sync may still
        # take octets, which outlive us.
        self._shelter: tuple[IJournalFile, int, int] | None = None
        # Outcomes that are in memory only.
        self._exposed: list[Entry] = []
        self._closed: list[Deferred[None]] | None = None
        self._has_closed = False

    # Life.

    def open(self, number: int) -> Deferred[None]:
        """
        Make the segment *number* and append to it from now on; a reserve left
        by the last run gives way if there is no space.

        :returns: fails with :class:`OSError`.
        """
        self._number = number

        def make(_: object = None) -> Deferred[None]:
            segment = self.new_segment()
            making = self.run(jobs.make_segment, self._files, segment)
            return making.addCallbacks(opened, failed, (segment,), errbackArgs=(segment,))

        def opened(file: IJournalFile, segment: Segment) -> None:
            self.adopt(segment, file)
            self._take_reserve()

        def failed(failure: Failure, segment: Segment) -> Any:
            self._discard(segment)
            if not tried and isinstance(failure.value, OSError) and jobs.is_full(failure.value):
                tried.append(True)
                return self.run(self._files.reserve, 0).addCallback(make)
            return failure

        tried: list[bool] = []
        return make()

    def close(self) -> Deferred[None]:
        """
        Write what can be written, then close the files.  Fires always, and as
        often as it is called.
        """
        if self._has_closed:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        if self._closed is not None:
            self._closed.append(closed)
            return closed
        self._closed = [closed]
        if self._current is None:
            self.closing = True
            self._close_when_idle()
            return closed
        if self._retry is not None:
            # The last chance for what waits in memory.
            self._retry.cancel()
            self._retry = None
            self._repair()
        flushing = self.flush()
        self.closing = True
        flushing.addErrback(self._not_flushed).addCallback(self._close_when_idle)
        return closed

    def _not_flushed(self, failure: Failure) -> None:
        self._log.error("the journal was closed unsynced: {reason}", reason=failure.getErrorMessage())

    def _close_when_idle(self, _: object = None) -> None:
        if self._appended and self._syncing is None and self.error is None:
            self._sync()
        if self._jobs or self._turn is not None:
            # A worker cannot be interrupted; the shortest pause on a real reactor is one turn.
            self._clock.callLater(0.01, self._close_when_idle)
            return
        if self._backlog:
            self._log.error("{count} records were lost with the disk that refused them", count=len(self._backlog))
        for call in (self._sync_timer, self._retry, self._reserve_retry):
            if call is not None:
                call.cancel()
        self._sync_timer = self._retry = self._reserve_retry = None
        for segment in self._open:
            if segment.file is not None:
                segment.file.close()
        self._open.clear()
        if self._shelter is not None:
            self._shelter[0].close()
            self._shelter = None
        if self.error is None:
            self.error = SpoolError("the spool is closed")
        self._has_closed = True
        waiting, self._closed = self._closed or [], []
        for closed in waiting:
            closed.callback(None)

    # A write failed.

    def _append_or_mend(self, entries: list[Entry]) -> SpoolError | None:
        try:
            self._append(entries)
        except OSError as error:
            if not jobs.is_full(error) or _torn(error):
                return self._break_off(error, entries)
            return self._append_when_full(entries, error)
        return None

    def _append_when_full(self, entries: list[Entry], error: OSError) -> SpoolError | None:
        """
        Intents and outcomes first; then each reception for itself, since a
        small one may fit where a large one did not.
        """
        # What was only to be moved has its place, and is given up.
        _give_up(entry for entry in entries if entry.kind == MOVED)
        entries = [entry for entry in entries if entry.kind != MOVED]
        needed = [entry for entry in entries if entry.kind != RECEPTION]
        try:
            if needed:
                self._append_from_reserve(needed)
        except OSError as broken:
            self._refuse_all(entries, SpoolError(jobs.explain(broken)))
            return self._break_off(broken, needed)
        refused: list[Entry] = []
        for entry in entries:
            if entry.kind != RECEPTION:
                continue
            if self.full or self.error is not None:
                refused.append(entry)
                continue
            try:
                self._append([entry])
            except OSError as again:
                if _torn(again):
                    self._break_off(again, [entry])
                else:
                    refused.append(entry)
        self._refuse_all(refused, SpoolError(jobs.explain(error)))
        return None

    def _append_from_reserve(self, entries: list[Entry]) -> None:
        try:
            self._append(entries)
        except OSError as error:
            if not jobs.is_full(error) or _torn(error) or not self._give_up_reserve():
                raise
            self._append(entries)

    def _break_off(self, error: OSError, entries: Sequence[Entry]) -> SpoolError:
        """
        The present segment cannot be written to: what is in it unsynced, and
        *entries* without their intents, move elsewhere.
        """
        broken = SpoolError(jobs.explain(error))
        if _torn(error) and self._current is not None:
            for entry in entries:
                if entry.kind == RECEPTION and entry.reception is not None:
                    # Some of it may be on disk: it will have to be withdrawn if it is refused.
                    self._segments.settle(self._current, entry.reception, 0)
        self._expose(self._without_intents(entries, broken))
        self._broke(broken)
        if self._syncing is None:
            self._repair()
        return broken

    def _broke(self, error: SpoolError) -> None:
        if self.error is None:
            self._log.critical("the spool cannot be written, delivery pauses: {reason}", reason=str(error))
        self.error = error
        self._urgent = self._wanted = False
        if self._sync_timer is not None:
            self._sync_timer.cancel()
            self._sync_timer = None

    def _hold(self, entries: Sequence[Entry], error: SpoolError) -> None:
        for entry in entries:
            if entry.kind == FLUSH:
                entry.extra.errback(SpoolError(str(error)))
        self._expose(
            [entry for entry in self._without_intents(entries, error) if entry.kind not in (FLUSH, RECEPTION, MOVED)]
        )
        _give_up(entry for entry in entries if entry.kind == MOVED)
        self._refuse_all(entries, error)

    def _expose(self, entries: Sequence[Entry]) -> None:
        """
        *entries* wait for a segment; outcomes among them go into the last one meanwhile.
        """
        self._backlog += entries
        self._exposed += [entry for entry in entries if entry.kind in _OUTCOMES]
        self._take_shelter()

    def _take_shelter(self) -> None:
        # While a repair is under way the worker has the file.
        if self._shelter is None or self._repairing or not self._exposed:
            return
        file, salt = self._shelter[0], self._shelter[2]
        try:
            file.append([frame(entry.payload, salt) for entry in self._exposed])
        except OSError:
            # They are in memory still, which is all that can be had of this disk.
            self._exposed = _latest(self._exposed)
        else:
            self._exposed.clear()

    def _without_intents(self, entries: Sequence[Entry], error: SpoolError) -> list[Entry]:
        """
        *entries* without the intents, which are refused: nobody waits for a dot that long.
        """
        kept = []
        for entry in entries:
            if entry.kind != INTENT:
                kept.append(entry)
            elif entry.extra is not None:
                self._clock.callLater(0, entry.extra, error)
        return kept

    def _refuse_all(self, entries: Sequence[Entry], error: SpoolError) -> None:
        for entry in entries:
            if entry.kind == RECEPTION:
                self.waiting -= len(entry.extra.body)
                entry.extra.answer.errback(SpoolError(str(error)))

    # Repair.

    def _repair(self) -> None:
        self._retry = None
        if self._repairing or self._syncing is not None:
            return
        self._repairing = True
        entries = _latest(self._appended + self._backlog)
        self._appended, self._backlog = [], []
        segment = self.new_segment()
        buffers, offsets = lay_out(entries, segment.salt)
        left = [old for old in self._open if old.file is not None]
        self._open.clear()
        self._current = None
        abandoned = []
        if self._shelter is not None and not left:
            abandoned.append((self._shelter[0], self._shelter[1], 0, b""))
        for old in left:
            assert old.file is not None
            abandoned.append((old.file, old.synced, *self._withdrawals(old, entries)))
            self._shelter = (old.file, old.synced, old.salt)
            old.file, old.sealed = None, True
            self._stale.append(old)
        rebuilding = self.run(jobs.rebuild, self._files, segment, buffers, abandoned)
        rebuilding.addCallbacks(
            self._repaired, self._not_repaired, (segment, entries, buffers, offsets), errbackArgs=(segment, entries)
        )

    def _withdrawals(self, segment: Segment, entries: Sequence[Entry]) -> tuple[int, bytes]:
        """
        Where the first reception among *entries* that lies in *segment* begins
        there, and the octets that withdraw all such.
        """
        start = segment.size
        octets = []
        for entry in entries:
            if entry.kind == RECEPTION and entry.reception is not None:
                place = entry.reception.spool
                if self._segments.at(place) is segment:
                    if offset_in(place):
                        start = min(start, offset_in(place))
                    octets.append(frame(encode_withdrawn(entry.reception.key), segment.salt))
        return start, b"".join(octets)

    def _repaired(
        self,
        file: IJournalFile,
        segment: Segment,
        entries: list[Entry],
        buffers: list[bytes],
        offsets: list[int],
    ) -> None:
        self._repairing = False
        self._retry_delay = RETRY_FIRST
        self.error = None
        self._shelter = None
        self._exposed.clear()
        self._log.info("the spool can be written again")
        self.adopt(segment, file)
        segment.size = segment.synced = SEGMENT_HEADER + sum(map(len, buffers))
        self._settle(segment, entries, offsets, SEGMENT_HEADER)
        self._urgent = self._wanted = False
        # What was left behind may hold copies of these records, so the new segment must outlive it.
        for old in self._stale:
            depend(segment, old)
        self._stale.clear()
        self._gathered = self._backlog + self._gathered
        self._backlog = []
        if self._gathered and self._turn is None:
            self._turn = self._clock.callLater(0, self._write)
        self._confirm(entries)
        self.reap()

    def _not_repaired(self, failure: Failure, segment: Segment, entries: list[Entry]) -> None:
        self._repairing = False
        error = SpoolError(jobs.explain_failure(failure))
        self.error = error
        self._discard(segment)
        self._stale.append(segment)
        kept: list[Entry] = []
        refused: list[Entry] = []
        for entry in entries:
            if entry.kind == RECEPTION and entry.reception is not None:
                # The segment that failed may hold it too, and is the youngest that does.
                self._segments.settle(segment, entry.reception, 0)
                kept.append(Entry(WITHDRAWN, encode_withdrawn(entry.reception.key), entry.reception, None))
                refused.append(entry)
            elif entry.kind == FLUSH:
                entry.extra.errback(SpoolError(str(error)))
            elif entry.kind == INTENT and entry.extra is not None:
                self._clock.callLater(0, entry.extra, error)
            else:
                kept.append(entry)
        self._backlog = kept + self._backlog
        self._take_shelter()
        delay = self._retry_delay
        if isinstance(failure.value, OSError) and jobs.is_full(failure.value) and self._give_up_reserve():
            delay = 0.0
        else:
            self._retry_delay = min(2 * delay, RETRY_MOST)
        if not self.closing:
            self._log.error("the spool still cannot be written: {reason}", reason=str(error))
            self._retry = self._clock.callLater(delay, self._repair)
        self._refuse_all(refused, error)

    # The reserve.

    def _give_up_reserve(self) -> bool:
        """
        Use the reserve; false if there is none.
        """
        if not self._reserved:
            return False
        self._reserved = False
        self._become_full()
        try:
            self._files.reserve(0)
        except OSError as error:
            self._log.error("the reserve cannot be given up: {reason}", reason=jobs.explain(error))
            return False
        finally:
            self._await_space()
        return True

    def _become_full(self) -> None:
        if not self.full:
            self.full = True
            self._log.error(
                "the disk of the spool is full: no mail is taken, delivery goes on, and mail is taken again by itself"
                " when there is space"
            )

    def _await_space(self) -> None:
        if self._reserve_retry is None and not self.closing:
            self._reserve_retry = self._clock.callLater(self._reserve_delay, self._take_reserve)
            self._reserve_delay = min(2 * self._reserve_delay, RETRY_MOST)

    def _take_reserve(self) -> None:
        self._reserve_retry = None
        if self._taking or self.closing or not self._reserve:
            return
        self._taking = True
        self.run(self._files.reserve, self._reserve).addCallbacks(self._taken, self._not_taken)

    def _taken(self, _: None) -> None:
        self._taking = False
        self._reserved = True
        self._reserve_delay = RETRY_FIRST
        if self.full:
            self.full = False
            self._log.info("there is space for mail again")

    def _not_taken(self, failure: Failure) -> None:
        self._taking = False
        error = failure.value
        if isinstance(error, OSError) and jobs.is_full(error):
            self._become_full()
            self._await_space()
        else:
            # Some file systems cannot preallocate; a full disk then pauses delivery, and nothing is lost.
            self._log.warn("no space can be reserved: {reason}", reason=jobs.explain_failure(failure))


def _give_up(entries: Iterable[Entry]) -> None:
    for entry in entries:
        entry.extra.done.callback(False)


def _torn(error: OSError) -> bool:
    return bool(getattr(error, "torn", False))


def _latest(entries: list[Entry]) -> list[Entry]:
    """
    *entries* with only the last requeue, or hold, of each message: what waits in memory
    is thereby bounded by the mail there is.
    """
    seen: set[int] = set()
    kept: list[Entry] = []
    for entry in reversed(entries):
        if entry.kind in (REQUEUED, HELD):
            if id(entry.extra) in seen:
                continue
            seen.add(id(entry.extra))
        kept.append(entry)
    kept.reverse()
    return kept
