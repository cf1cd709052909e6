"""
The default spool: an append-only journal with group commit.

The format is in :mod:`momentum_tx.spool.records` and, in prose, with every crash
point, in ``doc/explanation/journal.md``.  This module is the face: it codes what
it is told and leaves the rest to the writer, the bodies and the recovery.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import SpoolError, StartupError
from ..interfaces.seams import IJournalFiles, IThreadExecutor
from ..interfaces.services import ISpool
from ..policy.lost_reply import LostReply
from ..queues.message import ASSUMED, Message, Reception
from ..settings import UNBOUND, GlobalSettings
from . import jobs, records
from .bodies import Bodies, Resident
from .compaction import Compaction
from .entries import Waiting
from .recovery import Recovery
from .repair import JournalWriter
from .replay import Batch
from .segments import Segments, offset_in
from .writer import WriterSetup

#: Octets held back for intents and outcomes on a full disk: some 80,000 records.
RESERVE: Final = 4 << 20
#: Octets of bodies that may wait for the disk; at the bound no mail is taken until it has caught up.
MOST_WAITING: Final = 256 << 20
#: Keys of one run begin at its first segment's number in the upper half: unique and increasing for
#: ever, and known before the old segments are read.
_KEY_BITS: Final = 32


@implementer(ISpool)
class JournalSpool:
    """
    Keeps receptions in segments of one directory.

    Cancelling what :meth:`receive` returned does not take the reception back:
    it is kept, and delivered by the next run if not by this one.
    """

    _log = Logger()

    def __init__(
        self,
        files: IJournalFiles,
        threads: IThreadExecutor,
        clock: IReactorTime,
        binding_names: Callable[[int], str],
        binding_slot: Callable[[str], int],
        settings: GlobalSettings,
        random: Random,
        reserve: int = RESERVE,
    ) -> None:
        """
        :param binding_names: name of a slot; asked when something is written.
        :param binding_slot: slot of a name, 0 for an unknown one; asked at start.
        :param settings: ``segment_size``, ``durability`` and what :meth:`configure`
            takes count.
        :param random: source of the segments' salts; should not be predictable.
        :param reserve: octets held back for a full disk.
        """
        self._files = files
        self._threads = threads
        self._clock = clock
        self._binding_names = binding_names
        self._binding_slot = binding_slot
        self._durable = settings.durability != "unsafe"
        self._segments = Segments()
        self._bodies = Bodies(settings.max_resident_messages, settings.body_cache_size, self._read_body)
        setup = WriterSetup(
            files=files,
            threads=threads,
            clock=clock,
            random=random,
            segments=self._segments,
            segment_size=settings.segment_size,
            durable=self._durable,
            kept=self._bodies.hold,
            reserve=reserve,
        )
        self._writer = JournalWriter(setup)
        # Messages of which an intent is open: what is said of them is not all in their fields.
        self._tried: set[Message] = set()
        self._compaction = Compaction(files, clock, self._writer, self._segments, self._name, self._tried.__contains__)
        self._compaction.share, self._compaction.rate = settings.segment_live_share, settings.compaction_rate
        self._key = 0
        self._open = False
        self._started = False
        self._recovery: Recovery | None = None
        self._starting: Deferred[int] | None = None
        self._stopped: list[Deferred[None]] | None = None
        self._has_stopped = False

    # Life.

    def start(
        self, found: Callable[[Sequence[Any]], object], taking: Callable[[], object] | None = None
    ) -> Deferred[int]:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        if self._started:
            return fail(StartupError("the spool was started before"))
        self._started = True
        return Deferred.fromCoroutine(self._start(found, taking))

    async def _start(self, found: Callable[[Sequence[Any]], object], taking: Callable[[], object] | None) -> int:
        self._files.lock()
        if not self._durable:
            self._log.warn('durability is "unsafe": mail that was accepted is lost if the power fails')
        recovery = self._recovery = Recovery(
            self._files, self._writer.run, self._clock, self._segments, self._binding_slot
        )
        try:
            number = await recovery.look()
            self._writer.hold()
            await self._writer.open(number)
            self._key = number << _KEY_BITS
            self._open = True
            await recovery.read(self._mend, found, taking or (lambda: None))
        except Exception as error:
            self._open = False
            await self._writer.close()
            self._files.unlock()
            if isinstance(error, OSError):
                raise StartupError(f"the spool cannot be opened: {jobs.explain(error)}") from error
            raise
        finally:
            self._recovery = None
        self._writer.release()
        self._writer.changed = self._compaction.look
        self._compaction.look()
        return recovery.count

    def _mend(self, batch: Batch) -> None:
        for reception, _ in batch.withdrawn:
            self._writer.withdraw(reception)
        for message in batch.interrupted:
            # Of what is taken for delivered the next record is its end.
            if message.next_attempt != ASSUMED:
                self.requeued(message)
            else:
                self._tried.add(message)

    @property
    def progress(self) -> float:
        """
        What part of what the start has found is read, from 0 to 1.
        """
        return 1.0 if self._recovery is None else self._recovery.progress

    def stop(self) -> Deferred[None]:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.  With a disk that
        refuses, it tries once more, reports, and closes all the same.
        """
        if self._has_stopped:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        if self._stopped is not None:
            self._stopped.append(stopped)
            return stopped
        self._stopped = [stopped]
        was_open, self._open = self._open, False
        self._compaction.stop()
        if self._recovery is not None:
            self._recovery.cancelled = True
        self._writer.close().addCallback(self._have_stopped, was_open)
        return stopped

    def _have_stopped(self, _: None, was_open: bool) -> None:
        if was_open:
            self._files.unlock()
        self._has_stopped = True
        waiting, self._stopped = self._stopped or [], []
        for stopped in waiting:
            stopped.callback(None)

    def healthy(self) -> bool:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        # Asked three times for every message, so without another call.
        writer = self._writer
        return self._open and writer.error is None and not writer.full and writer.waiting < MOST_WAITING

    def writable(self) -> bool:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        return self._open and self._writer.error is None

    def configure(self, settings: GlobalSettings) -> None:
        """
        Go by other settings from now on: ``max_resident_messages``,
        ``body_cache_size``, ``segment_live_share`` and ``compaction_rate`` count.
        """
        self._compaction.share, self._compaction.rate = settings.segment_live_share, settings.compaction_rate
        bodies = self._bodies
        bodies.most, bodies.limit = settings.max_resident_messages, settings.body_cache_size
        bodies.shrink()

    # Receptions.

    def receive(self, reception: Reception, body: bytes, ends: Sequence[Message] = ()) -> Deferred[None]:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        if not self.healthy():
            return fail(self._refusal())
        if not reception.live:
            return fail(SpoolError("a reception without recipients"))
        key = self._key + 1
        try:
            names = [self._name(message) for message in reception.messages]
            over = [(message.reception.key, message.index) for message in ends]
            payload = records.encode_reception(key, reception, names, body, over)
        except SpoolError as error:
            return fail(error)
        if ends:
            # A copy of them that is younger than this record would not know it.
            self._tried.update(ends)
        self._key = key
        reception.key = key
        reception.unfinished = len(names)
        answer: Deferred[None] = Deferred()
        self._writer.put(records.RECEPTION, payload, reception, Waiting(body, answer, ends))
        return answer

    def body(self, reception: Reception) -> bytes | Deferred[bytes]:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        return self._bodies.get(reception)

    def queued(self, message: Message, waits: bool, let_go: bool) -> None:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        self._bodies.queued(message, waits, let_go)

    @property
    def resident(self) -> Resident:
        """
        The bodies in memory, but for those on their way to the disk.
        """
        return self._bodies.resident

    def _read_body(self, reception: Reception) -> Deferred[bytes]:
        place = reception.spool
        segment = self._segments.at(place)
        if segment is None:
            return fail(SpoolError(f"reception {reception.key} is in no segment"))

        def again(failure: Failure) -> Deferred[bytes]:
            # It may have been moved meanwhile, and where it was is gone.
            return fail(failure) if reception.spool == place else self._read_body(reception)

        reading = self._threads.run(
            jobs.read_body, self._files, segment.name, segment.salt, offset_in(place), reception.key
        )
        return reading.addErrback(again)

    # Messages.

    def intent(
        self,
        messages: Sequence[Message],
        then: Callable[[Exception | None], object],
        lost_reply: LostReply = LostReply.RETRY,
    ) -> None:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        if not self._open:
            self._clock.callLater(0, then, self._refusal())
            return
        self._tried.update(messages)
        writer = self._writer
        if lost_reply is not LostReply.RETRY:
            groups = _by_reception(messages)
            for key, group in groups.items():
                payload = records.encode_intent(key, [message.index for message in group], lost_reply)
                last = next(reversed(groups)) == key
                writer.put(records.INTENT, payload, group[0].reception, then if last else None)
            return
        if len(messages) == 1:
            message = messages[0]
            reception = message.reception
            writer.put(records.INTENT, records.encode_intent(reception.key, [message.index]), reception)
        else:
            for key, group in _by_reception(messages).items():
                indexes = [message.index for message in group]
                writer.put(records.INTENT, records.encode_intent(key, indexes), group[0].reception)
        writer.after_write(then)

    def delivered(self, message: Message, note: bytes, synced: Callable[[], object] | None = None) -> None:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        self._end(records.DELIVERED, message, note, synced)

    def failed(self, message: Message, note: bytes, synced: Callable[[], object] | None = None) -> None:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        self._end(records.FAILED, message, note, synced)

    def _end(self, kind: int, message: Message, note: bytes, synced: Callable[[], object] | None) -> None:
        reception = message.reception
        if not self._takes(message) or not reception.has(message):
            return
        self._writer.put(kind, records.encode_ended(kind, reception.key, message.index, note), reception, synced)
        reception.done(message)
        self._tried.discard(message)
        if not reception.live:
            self._bodies.drop(reception)
        elif reception.live == 1:
            self._segments.repoint(reception)

    def requeued(self, message: Message) -> None:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`; the binding is kept too.
        """
        if not self._takes(message) or not message.reception.has(message):
            return
        try:
            payload = records.encode_requeued(message, self._name(message))
        except SpoolError as error:
            # The mail is kept; only its retry state of this attempt is not.
            self._log.error("{id}: {reason}", id=message.id, reason=str(error))
            return
        self._tried.discard(message)
        self._writer.put(records.requeued_kind(message), payload, message.reception, message)

    def flush(self) -> Deferred[None]:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`; fails with
        :class:`~momentum_tx.errors.SpoolError` while nothing can be written.
        """
        if not self._open:
            return fail(self._refusal())
        return self._writer.flush()

    def _takes(self, message: Message) -> bool:
        if not self._open:
            self._log.error("{id}: its outcome came after the spool was closed", id=message.id)
        return self._open

    def _name(self, message: Message | None) -> str:
        if message is None or message.binding_slot == UNBOUND:
            return ""
        return self._binding_names(message.binding_slot)

    def _refusal(self) -> SpoolError:
        if not self._open:
            return SpoolError("the spool is not open")
        if self._writer.error is not None:
            return SpoolError(str(self._writer.error))
        if self._writer.full:
            return SpoolError("the disk of the spool is full")
        return SpoolError("the disk of the spool is too slow for the mail that comes")


def _by_reception(messages: Sequence[Message]) -> dict[int, list[Message]]:
    groups: dict[int, list[Message]] = {}
    for message in messages:
        groups.setdefault(message.reception.key, []).append(message)
    return groups
