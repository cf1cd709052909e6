"""
Gathers records, appends them once per turn, syncs them in a worker, and says
when they are durable.

It knows nothing of messages beyond the place a reception lies at.  What it does
when the disk fails is in :mod:`momentum_tx.spool.repair`, of which this is the
healthy half.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import SpoolError
from ..interfaces.seams import IJournalFile, IJournalFiles, IThreadExecutor
from ..queues.message import Reception
from . import jobs
from .entries import FLUSH, MOVED, Entry, lay_out
from .records import DELIVERED, FAILED, INTENT, RECEPTION, SEGMENT_HEADER, WITHDRAWN, encode_withdrawn
from .segments import Segment, Segments

#: Seconds an outcome may wait for a sync (reliability contract: done-marks are synced in groups of 100 ms).
SYNC_DELAY: Final = 0.1
#: Seconds before a segment that could not be made is tried again; the old one grows meanwhile.
_ROTATION_PAUSE: Final = 1.0
#: The arguments of whoever is told that all went well.
_NONE: Final = (None,)


@dataclass(frozen=True, slots=True)
class WriterSetup:
    """
    What a writer is made with.

    :ivar files: the journal's directory.
    :ivar threads: where it is synced.
    :ivar clock: gathers what one turn of it brings.
    :ivar random: source of salts; should not be predictable.
    :ivar segments: the segments there are.
    :ivar segment_size: octets after which a segment is closed.
    :ivar durable: whether anything is synced at all.
    :ivar kept: told when a reception is durable, before its Deferred fires.
    :ivar reserve: octets held back for intents and outcomes; 0 holds none.
    """

    files: IJournalFiles
    threads: IThreadExecutor
    clock: IReactorTime
    random: Random
    segments: Segments
    segment_size: int
    durable: bool
    kept: Callable[[Reception, bytes], object]
    reserve: int


class Writer(ABC):
    """
    The open end of the journal.  Subclassed once, by
    :class:`momentum_tx.spool.repair.JournalWriter`.

    :ivar error: why nothing can be written at the moment, or ``None``.
    :ivar closing: no new work is taken on.
    :ivar waiting: octets of bodies that are neither durable nor refused yet.
    """

    _log = Logger()

    def __init__(self, setup: WriterSetup) -> None:
        self._files = setup.files
        self._threads = setup.threads
        self._clock = setup.clock
        self._random = setup.random
        self._segments = setup.segments
        self._segment_size = setup.segment_size
        self._durable = setup.durable
        self._kept = setup.kept
        self.error: SpoolError | None = None
        self.closing = False
        self.waiting = 0
        self._number = 0
        self._current: Segment | None = None
        # Segments with an open file: the current one, and older ones that are not wholly synced.
        self._open: list[Segment] = []
        self._gathered: list[Entry] = []
        self._thens: list[Callable[[Exception | None], object]] = []
        self._turn: IDelayedCall | None = None
        # Appended, and not covered by a sync that has begun.
        self._appended: list[Entry] = []
        # Covered by the sync that is running; ``None`` while none is.
        self._syncing: list[Entry] | None = None
        self._sync_timer: IDelayedCall | None = None
        self._urgent = False
        self._wanted = False
        self._rotating = False
        self._rotate_at = 0.0
        self._removing = False
        self._holds = 0
        #: Called when a segment was closed or has gone.
        self.changed: Callable[[], object] = lambda: None
        self._jobs = 0

    # What is asked of it.

    def put(self, kind: int, payload: bytes, reception: Reception | None, extra: Any = None) -> None:
        """
        Write a record at the end of this turn.
        """
        if kind == RECEPTION:
            self.waiting += len(extra.body)
        self._gathered.append(Entry(kind, payload, reception, extra))
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._write)

    def after_write(self, then: Callable[[Exception | None], object]) -> None:
        """
        Call *then* when the records of this turn are in the kernel's hands.
        """
        self._thens.append(then)
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._write)

    def flush(self) -> Deferred[None]:
        """
        Fires when all that was put before is durable; fails with
        :class:`~momentum_tx.errors.SpoolError` when that is not to be had now.
        """
        done: Deferred[None] = Deferred()
        self.put(FLUSH, b"", None, done)
        return done

    def new_segment(self) -> Segment:
        """
        A segment that has a number and a salt, and no file yet.
        """
        segment = Segment(self._number, self._random.getrandbits(32))
        self._number += 1
        return segment

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """
        Call a function of :mod:`~momentum_tx.spool.jobs` in the worker.
        """
        self._jobs += 1
        return self._threads.run(function, *args).addBoth(self._job_done)

    def hold(self) -> None:
        """
        Remove no segment until :meth:`release` has been called as often.
        """
        self._holds += 1

    def release(self) -> None:
        """
        See :meth:`hold`.
        """
        self._holds -= 1
        self.reap()

    def withdraw(self, reception: Reception) -> None:
        """
        A reception found at start must not come back; no segment goes before
        that is durable, since the record of its end may be in any of them.
        """
        self.hold()
        self.put(WITHDRAWN, encode_withdrawn(reception.key), reception, self.release)

    @property
    def settled(self) -> bool:
        """Whether segments may go, and none is going at the moment."""
        return not self._removing and not self._holds

    def reap(self) -> None:
        """
        Remove the segments that may go.
        """
        if self._removing or self._holds or self.closing:
            return
        idle = self._segments.take_idle()
        if not idle:
            return
        self._removing = True
        names = [segment.name for segment in idle]
        self.run(jobs.remove, self._files, names).addCallbacks(
            self._removed, self._not_removed, (idle,), errbackArgs=(idle,)
        )

    # One turn: append.

    def _write(self) -> None:
        self._turn = None
        if self._gathered or self._thens:
            self._append_gathered()

    def _append_gathered(self) -> None:
        entries, self._gathered = self._gathered, []
        thens, self._thens = self._thens, []
        error = self.error
        if error is None:
            error = self._append_or_mend(entries)
        else:
            self._hold(entries, error)
        if not self._durable and self._appended:
            self._confirm_unsynced()
        else:
            self._demand_sync()
        for then in thens:
            try:
                then(error)
            except Exception:
                self._log.failure("what waited for an intent failed")

    def _append(self, entries: Sequence[Entry]) -> None:
        """
        :raises OSError: nothing was appended.
        """
        segment = self._current
        assert segment is not None and segment.file is not None
        buffers, offsets = lay_out(entries, segment.salt)
        base = segment.size
        if buffers:
            segment.file.append(buffers)
            segment.size += sum(map(len, buffers))
        self._settle(segment, entries, offsets, base)
        self._appended += entries
        if segment.size >= self._segment_size and not self._rotating:
            self._rotate()

    def _settle(self, segment: Segment, entries: Sequence[Entry], offsets: Sequence[int], base: int) -> None:
        """
        *entries* are in *segment* now: note where, and what depends on what.
        """
        records = iter(offsets)
        for kind, _, reception, extra in entries:
            if kind == FLUSH:
                self._urgent = True
                continue
            if kind == MOVED:
                self._segments.copied(segment, extra, base + next(records))
                self._wanted = True
                continue
            assert reception is not None
            if kind == RECEPTION:
                self._segments.settle(segment, reception, base + next(records))
                for message in extra.ends:
                    # The reception is a record about their end.
                    self._segments.depend(segment, message.reception)
                self._urgent = True
                continue
            if kind != INTENT:
                self._wanted = True
            elif extra is not None:
                self._urgent = True
            self._segments.depend(segment, reception)

    # What a disk in trouble makes of it.

    @abstractmethod
    def _append_or_mend(self, entries: list[Entry]) -> SpoolError | None:
        """
        Append *entries* wherever they can be; the error if they could not.
        """

    @abstractmethod
    def _hold(self, entries: Sequence[Entry], error: SpoolError) -> None:
        """
        Keep in memory what must not be lost, and refuse the rest with *error*.
        """

    @abstractmethod
    def _repair(self) -> None:
        """
        Try to write again what is held.
        """

    @abstractmethod
    def _broke(self, error: SpoolError) -> None:
        """
        A sync has failed with *error*: the segment is not to be trusted.
        """

    # Sync.

    def _demand_sync(self) -> None:
        if self.error is not None:
            return
        if self._urgent:
            # What a sync that is running does not cover is looked at when it ends.
            if self._syncing is None:
                self._sync()
        elif self._wanted and self._sync_timer is None:
            # Also while a sync runs: the wait of what it does not cover begins now, not when it ends.
            self._sync_timer = self._clock.callLater(SYNC_DELAY, self._sync_due)

    def _sync_due(self) -> None:
        self._sync_timer = None
        # If one is running, its end looks at this.
        self._urgent = True
        self._demand_sync()

    def _sync(self) -> None:
        if self._sync_timer is not None:
            self._sync_timer.cancel()
            self._sync_timer = None
        self._syncing, self._appended = self._appended, []
        self._urgent = self._wanted = False
        unsynced = [segment for segment in self._open if segment.size > segment.synced]
        marks = [(segment, segment.size) for segment in unsynced]
        self.run(jobs.sync, [segment.file for segment in unsynced]).addCallbacks(
            self._synced, self._sync_failed, (marks,)
        )

    def _synced(self, _: None, marks: list[tuple[Segment, int]]) -> None:
        entries, self._syncing = self._syncing or [], None
        for segment, size in marks:
            segment.synced = size
        self._close_sealed()
        if self.error is not None:
            self._repair()
        elif self._gathered:
            # What this turn has brought so far need not wait for the sync after the one that begins now.
            self._append_gathered()
        else:
            self._demand_sync()
        self._confirm(entries)

    def _sync_failed(self, failure: Failure) -> None:
        entries, self._syncing = self._syncing or [], None
        self._appended = entries + self._appended
        if self.error is None:
            self._broke(SpoolError(jobs.explain_failure(failure)))
        self._repair()

    def _confirm_unsynced(self) -> None:
        entries, self._appended = self._appended, []
        self._urgent = self._wanted = False
        for segment in self._open:
            segment.synced = segment.size
        self._close_sealed()
        self._confirm(entries)

    def _confirm(self, entries: Sequence[Entry]) -> None:
        """
        *entries* are durable: count first, then tell.
        """
        ended = False
        tell: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        for kind, _, reception, extra in entries:
            if kind == FLUSH:
                tell.append((extra.callback, _NONE))
                continue
            if kind == MOVED:
                self._segments.moved(extra)
                tell.append((extra.done.callback, (True,)))
                ended = True
                continue
            assert reception is not None
            if kind == RECEPTION:
                body, answer, _ = extra
                self.waiting -= len(body)
                self._kept(reception, body)
                tell.append((answer.callback, _NONE))
            elif kind in (DELIVERED, FAILED):
                reception.unfinished -= 1
                if not reception.unfinished and self._segments.leave(reception):
                    ended = True
                if extra is not None:
                    tell.append((extra, ()))
            elif kind == WITHDRAWN:
                if self._segments.leave(reception):
                    ended = True
                if extra is not None:
                    tell.append((extra, ()))
            elif kind == INTENT and extra is not None:
                tell.append((extra, _NONE))
        if ended:
            self.reap()
        for call, arguments in tell:
            try:
                call(*arguments)
            except Exception:
                self._log.failure("what waited for a sync failed")

    # Segments.

    def _close_sealed(self) -> None:
        for segment in list(self._open):
            if segment.sealed and segment.size == segment.synced:
                self._open.remove(segment)
                if segment.file is not None:
                    segment.file.close()
                    segment.file = None

    def adopt(self, segment: Segment, file: IJournalFile) -> None:
        """
        Append to *segment* from now on.
        """
        before = self._current
        segment.file = file
        segment.size = segment.synced = SEGMENT_HEADER
        self._segments.add(segment)
        self._open.append(segment)
        self._current = segment
        if before is not None:
            before.sealed = True
            self._close_sealed()
            self.reap()
            self.changed()

    def _rotate(self) -> None:
        # One unsynced segment behind the current one is enough: the start verifies no more than two.
        if self._clock.seconds() < self._rotate_at or self.closing or len(self._open) > 1:
            return
        self._rotating = True
        segment = self.new_segment()
        self.run(jobs.make_segment, self._files, segment).addCallbacks(
            self._rotated, self._not_rotated, (segment,), errbackArgs=(segment,)
        )

    def _rotated(self, file: IJournalFile, segment: Segment) -> None:
        self._rotating = False
        if self.error is None and self._current is not None and self._current.number < segment.number:
            self.adopt(segment, file)
        else:
            # A repair has made or is making one of its own, and numbers must grow as records do.
            file.close()
            self._discard(segment)

    def _not_rotated(self, failure: Failure, segment: Segment) -> None:
        self._rotating = False
        self._rotate_at = self._clock.seconds() + _ROTATION_PAUSE
        self._log.warn("a new segment cannot be made: {reason}", reason=jobs.explain_failure(failure))
        self._discard(segment)

    def _discard(self, segment: Segment) -> None:
        """
        *segment* may exist on disk, with nothing in it that counts.
        """
        segment.sealed = True
        self._segments.add(segment)

    def _removed(self, _: None, segments: list[Segment]) -> None:
        self._removing = False
        self._segments.removed(segments)
        self.reap()
        self.changed()

    def _not_removed(self, failure: Failure, segments: list[Segment]) -> None:
        self._removing = False
        self._segments.kept(segments)
        self._log.warn("segments cannot be removed: {reason}", reason=jobs.explain_failure(failure))

    def _job_done(self, result: Any) -> Any:
        self._jobs -= 1
        return result
