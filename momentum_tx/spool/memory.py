"""
A spool that outlives nothing: for tests and for trying things out.
"""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from ..errors import SpoolError
from ..interfaces.services import ISpool
from ..policy.lost_reply import LostReply
from ..queues.message import ASSUMED, Message, Reception
from ..settings import UNBOUND
from . import records
from .recovery import BATCH
from .replay import Chapter, Replay
from .segments import Segment


class MemoryRecords:
    """
    What a :class:`MemorySpool` has kept; give it to the next one to play a restart.
    """

    def __init__(self) -> None:
        #: Per reception its records in order: kind, payload, body.
        self.written: dict[int, list[tuple[int, bytes, bytes]]] = {}
        #: Last key given out.
        self.key = 0

    def write(self, kind: int, key: int, payload: bytes, body: bytes = b"") -> None:
        """
        Keep a record.
        """
        self.written.setdefault(key, []).append((kind, payload, body))


@implementer(ISpool)
class MemorySpool:
    """
    Keeps records in memory, by the rules of the journal and in its coding.

    Everything that is told later is told in a later turn of *clock*.
    """

    def __init__(
        self,
        clock: IReactorTime,
        binding_names: Callable[[int], str],
        binding_slot: Callable[[str], int],
        kept: MemoryRecords | None = None,
    ) -> None:
        """
        :param binding_names: name of a slot.
        :param binding_slot: slot of a name, 0 for an unknown one.
        :param kept: what an earlier spool has kept.
        """
        self._clock = clock
        self._binding_names = binding_names
        self._binding_slot = binding_slot
        self._kept = MemoryRecords() if kept is None else kept
        self._open = False

    def start(
        self, found: Callable[[Sequence[Any]], object], taking: Callable[[], object] | None = None
    ) -> Deferred[int]:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        self._open = True
        replay = Replay(self._binding_slot)
        chapter = Chapter(Segment(0, 0))
        for key, written in self._kept.written.items():
            chapter.take(
                (kind, key, payload[records.PAYLOAD_HEADER :], 0, len(body), 0) for kind, payload, body in written
            )
        left = replay.close(chapter)
        count = 0
        for start in range(0, len(left), BATCH):
            batch = replay.batch(chapter, left[start : start + BATCH])
            for message in batch.interrupted:
                if message.next_attempt != ASSUMED:
                    self.requeued(message)
            count += len(batch.messages)
            # One reception may have any number of messages.
            for first in range(0, len(batch.messages), BATCH):
                found(batch.messages[first : first + BATCH])
        if taking is not None:
            taking()
        return self._later(count)

    def receive(self, reception: Reception, body: bytes, ends: Sequence[Message] = ()) -> Deferred[None]:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        if not self._open:
            return fail(SpoolError("the spool is not open"))
        if not reception.live:
            return fail(SpoolError("a reception without recipients"))
        key = self._kept.key + 1
        try:
            names = [self._name(message) for message in reception.messages]
            over = [(message.reception.key, message.index) for message in ends]
            payload = records.encode_reception(key, reception, names, body, over)
        except SpoolError as error:
            return fail(error)
        self._kept.key = reception.key = key
        reception.unfinished = len(names)
        self._kept.write(records.RECEPTION, key, payload, body)
        for of, position in over:
            if of in self._kept.written:
                # This reception leaves nothing behind when it is done.
                self._kept.write(records.FAILED, of, records.encode_ended(records.FAILED, of, position, b""))
        return self._later(None)

    def body(self, reception: Reception) -> bytes | Deferred[bytes]:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        written = self._kept.written.get(reception.key)
        if written is None:
            return fail(SpoolError(f"reception {reception.key} has no body"))
        return written[0][2]

    def queued(self, message: Message, waits: bool, let_go: bool) -> None:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`; bodies stay.
        """
        if let_go:
            message.pack()

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
            self._clock.callLater(0, then, SpoolError("the spool is not open"))
            return
        for message in messages:
            key = message.reception.key
            self._kept.write(records.INTENT, key, records.encode_intent(key, [message.index], lost_reply))
        self._clock.callLater(0, then, None)

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

    def requeued(self, message: Message) -> None:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        if self._open and message.reception.has(message):
            payload = records.encode_requeued(message, self._name(message))
            self._kept.write(records.requeued_kind(message), message.reception.key, payload)

    def flush(self) -> Deferred[None]:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        return self._later(None) if self._open else fail(SpoolError("the spool is not open"))

    def stop(self) -> Deferred[None]:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        self._open = False
        return self._later(None)

    def healthy(self) -> bool:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        return self._open

    def writable(self) -> bool:
        """
        See :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        return self._open

    def _end(self, kind: int, message: Message, note: bytes, synced: Callable[[], object] | None) -> None:
        reception = message.reception
        if not self._open or not reception.has(message):
            return
        key = reception.key
        self._kept.write(kind, key, records.encode_ended(kind, key, message.index, note))
        reception.unfinished -= 1
        reception.done(message)
        if not reception.live:
            self._kept.written.pop(key, None)
        if synced is not None:
            self._clock.callLater(0, synced)

    def _name(self, message: Message | None) -> str:
        if message is None or message.binding_slot == UNBOUND:
            return ""
        return self._binding_names(message.binding_slot)

    def _later(self, value: Any) -> Deferred[Any]:
        later: Deferred[Any] = Deferred()
        self._clock.callLater(0, later.callback, value)
        return later
