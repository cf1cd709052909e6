"""
Records in the order they were written, back into receptions and messages.

Pure but for the two callables that turn binding names into slots.  The same
record may come twice (a segment that could not be cut back after a failed sync
leaves copies), and records may speak of receptions that are gone: both are
harmless.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..policy.lost_reply import INTERRUPTED, LostReply
from ..queues.message import ASSUMED, HELD, Message, Reception
from ..settings import UNBOUND
from ..stages import Stage
from . import records
from .records import Ended, Envelope, Intent, Meta, Requeued
from .segments import Segment, Segments, depend, place_of


class Found(NamedTuple):
    """
    A whole record, read back.

    :ivar offset: where it begins in its segment.
    :ivar body_offset: where its body begins there.
    """

    kind: int
    key: int
    meta: Meta
    offset: int
    body_offset: int
    body_length: int
    body_checksum: int


class Replay:
    """
    Made at start, fed every record of every segment, asked for what lives, and
    dropped.
    """

    def __init__(self, segments: Segments, binding_slot: Callable[[str], int]) -> None:
        self._segments = segments
        self._binding_slot = binding_slot
        self._slots: dict[str, int] = {"": UNBOUND}
        # By key; in place of a reception with one message the message, packed: all mail there is is here at once.
        self._live: dict[int, Reception | Message] = {}
        # Where a finished reception lies: a record about it still binds segments, and a copy must not revive it.
        self._ended: dict[int, int] = {}
        self._open: dict[Message, LostReply] = {}
        #: Copies of finished receptions; they must be withdrawn before any segment goes.
        self.revenants: list[Reception] = []

    def apply(self, found: Found, segment: Segment) -> None:
        """
        Take in one record of *segment*.
        """
        kind, key, meta = found[0], found[1], found[2]
        if kind == records.RECEPTION:
            assert isinstance(meta, Envelope)
            self._received(found, meta, segment)
            return
        live = self._live.get(key)
        if live is None:
            ended = self._segments.at(self._ended.get(key, 0))
            if ended is not None:
                depend(segment, ended)
            return
        reception = _reception_of(live)
        self._segments.depend(segment, reception)
        self._take(reception, meta)
        if isinstance(live, Message) and reception.has(live):
            live.pack()

    def _take(self, reception: Reception, meta: Meta) -> None:
        if isinstance(meta, Ended):
            message = self._message(reception, meta.position)
            if message is not None:
                self._done(reception, message)
        elif isinstance(meta, Requeued):
            message = self._message(reception, meta.position)
            if message is not None:
                self._requeue(message, meta)
                self._pack(message)
        elif isinstance(meta, Intent):
            for index in meta.positions:
                message = self._message(reception, index)
                if message is not None:
                    self._open[message] = meta.lost_reply
        else:
            for message in list(reception.messages):
                if message is not None:
                    self._done(reception, message)

    def interrupted(self) -> list[Message]:
        """
        Messages whose last record is an intent; each has had one ambiguous
        attempt more than was counted, and has now.  What their intent says is to
        become of them is in their ``next_attempt``.
        """
        messages = list(self._open)
        for message, lost_reply in self._open.items():
            message.ambiguous += 1
            if lost_reply is LostReply.ASSUME_DELIVERED:
                message.next_attempt = ASSUMED
            elif lost_reply is LostReply.HOLD:
                message.next_attempt = HELD
                message.code = INTERRUPTED
                message.stage = Stage.READING_CONFIRMATION
        self._open.clear()
        return messages

    def batches(self, size: int) -> Iterator[list[Message]]:
        """
        The live messages, oldest reception first, in lists of at most *size*.
        """
        batch: list[Message] = []
        for live in self._live.values():
            for message in [live] if isinstance(live, Message) else live.messages:
                if message is not None:
                    batch.append(message)
                    if len(batch) == size:
                        yield batch
                        batch = []
        if batch:
            yield batch

    def drop(self, key: int, segment: Segment) -> Reception | None:
        """
        Forget the reception *key* if what counts of it lies in *segment*,
        unless there is a sign that it was once confirmed.  The segment stays
        until the reception is withdrawn.

        :returns: the reception if it was forgotten.
        """
        live = self._live.get(key)
        reception = None if live is None else _reception_of(live)
        if reception is not None:
            if any(message is None or message.code or message in self._open for message in reception.messages):
                return None
            if self._segments.at(reception.spool) is not segment:
                return None
            segment.live += 1
            for message in list(reception.messages):
                if message is not None:
                    self._done(reception, message)
        return reception

    def _received(self, found: Found, envelope: Envelope, segment: Segment) -> None:
        key = found.key
        if key in self._ended:
            # A copy of what is finished.  The record of the end may go with its segment before this one does: the
            # reception is withdrawn anew, and the segment stays until that is durable.
            segment.live += 1
            revenant = self._reception(key, envelope)
            revenant.spool = place_of(segment, found.offset)
            self.revenants.append(revenant)
            return
        live = self._live.get(key)
        if live is None:
            live = self._live[key] = self._reception(key, envelope)
        reception = _reception_of(live)
        self._segments.settle(segment, reception, found.offset)
        if not envelope.recipients:
            self._finish(reception)
        for message in reception.messages:
            if message is not None:
                self._pack(message)

    def _pack(self, message: Message) -> None:
        key = message.reception.key
        if message.pack():
            self._live[key] = message

    def _reception(self, key: int, envelope: Envelope) -> Reception:
        reception = Reception(
            envelope.sender,
            envelope.creation_time,
            envelope.size,
            envelope.batch_id,
            envelope.conn_id,
            envelope.recv_method,
            envelope.recv_from,
            envelope.eight_bit,
            envelope.smtputf8,
            envelope.traits,
            envelope.terms,
        )
        reception.key = key
        reception.unfinished = len(envelope.recipients)
        for id, recipient, binding, next_attempt in envelope.recipients:
            message = reception.add(id, recipient)
            message.next_attempt = next_attempt
            message.binding_slot = self._slot(binding)
        return reception

    def _message(self, reception: Reception, index: int) -> Message | None:
        return reception.messages[index] if index < len(reception.messages) else None

    def _requeue(self, message: Message, meta: Requeued) -> None:
        message.num_retries = meta.num_retries
        message.next_attempt = meta.next_attempt
        message.ambiguous = meta.ambiguous
        message.code = meta.code
        message.binding_slot = self._slot(meta.binding)
        try:
            message.stage = Stage(meta.stage)
        except ValueError:
            message.stage = Stage.UNKNOWN
        self._open.pop(message, None)

    def _done(self, reception: Reception, message: Message) -> None:
        self._open.pop(message, None)
        reception.done(message)
        reception.unfinished -= 1
        if not reception.unfinished:
            self._finish(reception)

    def _finish(self, reception: Reception) -> None:
        del self._live[reception.key]
        self._ended[reception.key] = reception.spool
        self._segments.leave(reception)

    def _slot(self, binding: str) -> int:
        slot = self._slots.get(binding)
        if slot is None:
            slot = self._slots[binding] = self._binding_slot(binding)
        return slot


def _reception_of(live: Reception | Message) -> Reception:
    return live.reception if isinstance(live, Message) else live
