"""
What lives in a spool, from its records alone.

Pure.  The service makes queues of the same records
(:mod:`momentum_tx.spool.replay`); here is only what can be shown, written out and
counted, and no more of each message than that takes.

A reception is known by its key, which is never given twice.  So the order counts
for one thing only, which attempt of a message was the last one: an end is an end
wherever it stands, and a second copy of a reception says nothing new, unless it was moved:
then it says how its messages stood by then.  A reception that ends messages of others does so
if it was not withdrawn, which is known when all is read.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from enum import Enum
from math import inf

from ..smtp.addresses import canonical_domain, split_address
from ..spool.ends import End
from ..spool.moved import State
from ..spool.records import DELIVERED, FAILED, RECEPTION, WITHDRAWN, Ended, Envelope, Intent, Requeued
from ..spool.replay import Found
from ..stages import Stage

#: In place of a message that has ended.
_ENDED = None


class Stand(Enum):
    """
    How a message stands.
    """

    #: It may be tried now.
    ACTIVE = "active"
    #: It waits for its time.
    DELAYED = "delayed"
    #: It waits for an operator.
    HELD = "held"
    #: The last that is on record is that its final dot was to leave: it is being
    #: delivered, or that attempt was interrupted.
    IN_FLIGHT = "in flight"


class Waiting:
    """
    A message that has not ended.

    :ivar id: its id.
    :ivar recipient: its address.
    :ivar binding: name of its binding; empty if none was chosen yet.
    :ivar next_attempt: wall time; infinity if it is held.
    :ivar retries: attempts that were made, as they are counted for its schedule.
    :ivar stage: of the last attempt.
    :ivar ambiguous: attempts of which nobody knows whether they succeeded.
    :ivar code: text of the last attempt.
    :ivar intent: the intent that nothing follows; ``None`` if there is none.
    """

    __slots__ = ("ambiguous", "binding", "code", "id", "intent", "next_attempt", "recipient", "retries", "stage")

    def __init__(self, id: str, recipient: bytes, binding: str, next_attempt: float) -> None:
        self.id = id
        self.recipient = recipient
        self.binding = binding
        self.next_attempt = next_attempt
        self.retries = 0
        self.stage = int(Stage.UNKNOWN)
        self.ambiguous = 0
        self.code = b""
        self.intent: Intent | None = None

    @property
    def domain(self) -> str:
        """
        The domain of its recipient as queues know it; as it is written if that is no domain.
        """
        domain = split_address(self.recipient)[1]
        try:
            return canonical_domain(domain)
        except ValueError:
            return domain.decode("utf-8", "backslashreplace")

    @property
    def held(self) -> bool:
        """
        Whether it waits for an operator.
        """
        return self.next_attempt == inf

    def stand(self, now: float) -> Stand:
        """
        How it stands at *now*, wall time.
        """
        if self.intent is not None:
            return Stand.IN_FLIGHT
        if self.held:
            return Stand.HELD
        return Stand.ACTIVE if self.next_attempt <= now else Stand.DELAYED


class Kept:
    """
    A reception that lives.

    :ivar segment: number of the segment in which it was read first.
    :ivar offset: where its record begins there.
    :ivar octets: of its record, body and all.
    :ivar created: when it was received, wall time.
    :ivar messages: by index; ``None`` for one that has ended.
    :ivar spoilt: its body is not what was written.
    """

    __slots__ = ("created", "messages", "octets", "offset", "segment", "spoilt")

    def __init__(self, segment: int, found: Found, envelope: Envelope) -> None:
        self.segment = segment
        self.offset = found.offset
        self.octets = found.body_offset + found.body_length - found.offset
        self.created = envelope.creation_time
        self.spoilt = False
        self.messages: list[Waiting | None] = [
            Waiting(each.id, each.recipient, each.binding, each.next_attempt) for each in envelope.recipients
        ]

    def live(self) -> Iterator[tuple[int, Waiting]]:
        """
        The messages that have not ended, with their index.
        """
        for index, message in enumerate(self.messages):
            if message is not None:
                yield index, message


class SpoolState:
    """
    Fed every record of every segment, oldest segment first; then asked.

    :ivar receptions: those that live, by key, in the order they were read.
    :ivar ended: receptions that have ended or were withdrawn, and in which segment each lies.
    :ivar needs: by number, the segments about whose receptions a segment holds records.
    """

    def __init__(self) -> None:
        self.receptions: dict[int, Kept] = {}
        self.ended: dict[int, int] = {}
        self.needs: dict[int, set[int]] = {}
        # What was said of receptions that were not read yet.
        self._early: dict[int, set[int] | None] = {}
        # Receptions that end others, each with the segments it lies in, and those that were withdrawn.
        self._reports: dict[int, tuple[tuple[End, ...], list[int]]] = {}
        self._withdrawn: set[int] = set()

    def apply(self, found: Found, segment: int) -> None:
        """
        Take in one record of the segment *segment*.
        """
        key, meta = found.key, found.meta
        kept = self.receptions.get(key)
        if found.kind == RECEPTION:
            assert isinstance(meta, Envelope)
            if meta.ends:
                self._reports.setdefault(key, (meta.ends, []))[1].append(segment)
            if key in self.ended:
                return
            if meta.states is not None:
                self._moved(found, meta, meta.states, segment)
            elif kept is None:
                self._received(key, Kept(segment, found, meta), segment)
            return
        if found.kind == WITHDRAWN:
            self._withdrawn.add(key)
        if kept is None:
            home = self.ended.get(key)
            if home is not None:
                self._need(segment, home)
            elif found.kind == WITHDRAWN:
                self._early[key] = None
            elif found.kind in (DELIVERED, FAILED):
                assert isinstance(meta, Ended)
                early = self._early.setdefault(key, set())
                if early is not None:
                    early.add(meta.position)
            return
        self._need(segment, kept.segment)
        if isinstance(meta, Intent):
            for position in meta.positions:
                message = _at(kept, position)
                if message is not None:
                    message.intent = meta
        elif isinstance(meta, Requeued):
            message = _at(kept, meta.position)
            if message is not None:
                _requeue(message, meta)
        elif isinstance(meta, Ended):
            self._end(key, kept, meta.position)
        else:
            self._forget(key, kept)

    def conclude(self, spoilt: Container[tuple[int, int]] = ()) -> None:
        """
        All is read: what receptions end of others is over.

        :param spoilt: key and segment of each whose body is not what was written, so that it ends nothing.
        """
        for key, (ends, segments) in self._reports.items():
            for segment in segments:
                if key not in self._withdrawn and (key, segment) not in spoilt:
                    for of, position in ends:
                        self.apply(Found(FAILED, of, Ended(position, b""), 0, 0, 0, 0), segment)
        self._reports.clear()

    def ends_of(self, key: int) -> set[int] | None:
        """
        Of a reception that was not read: which of its messages have ended.  ``None``
        if it was read, or withdrawn.
        """
        if key in self.receptions or key in self.ended:
            return None
        return self._early.get(key, set())

    def messages(self) -> Iterator[tuple[int, Kept, int, Waiting]]:
        """
        Every message that lives: key, reception, index, message.
        """
        for key, kept in self.receptions.items():
            for index, message in kept.live():
                yield key, kept, index, message

    def _received(self, key: int, kept: Kept, segment: int) -> None:
        self.receptions[key] = kept
        if not kept.messages:
            self._forget(key, kept)
        if key in self._early:
            early = self._early.pop(key)
            if early is None:
                self._forget(key, kept)
            else:
                for position in early:
                    self._end(key, kept, position)

    def _moved(self, found: Found, meta: Envelope, states: tuple[State, ...], segment: int) -> None:
        # It says all that was known by then, and lies here from then on.
        before = self.receptions.get(found.key)
        if before is not None:
            self._need(segment, before.segment)
        kept = Kept(segment, found, meta)
        standing = {state.position: Requeued(*state) for state in states}
        for index, message in list(kept.live()):
            if index in standing:
                _requeue(message, standing[index])
            else:
                kept.messages[index] = _ENDED
        self._received(found.key, kept, segment)

    def _end(self, key: int, kept: Kept, position: int) -> None:
        if position < len(kept.messages):
            kept.messages[position] = _ENDED
            if not any(message is not None for message in kept.messages):
                self._forget(key, kept)

    def _forget(self, key: int, kept: Kept) -> None:
        if self.receptions.pop(key, None) is not None:
            self.ended[key] = kept.segment

    def _need(self, segment: int, other: int) -> None:
        if segment != other:
            self.needs.setdefault(segment, set()).add(other)


def _at(kept: Kept, position: int) -> Waiting | None:
    return kept.messages[position] if position < len(kept.messages) else None


def _requeue(message: Waiting, meta: Requeued) -> None:
    message.retries = meta.num_retries
    message.next_attempt = meta.next_attempt
    message.ambiguous = meta.ambiguous
    message.stage = meta.stage
    message.code = meta.code
    message.binding = meta.binding
    message.intent = None
