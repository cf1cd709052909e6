"""
Work on many messages of a domain, in slices: the reactor never waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from ..queues.domain import DomainRecord
from ..queues.message import Message

if TYPE_CHECKING:
    from .facilities import Facilities

#: Messages a bulk operation handles in one turn of the reactor.
BULK_SLICE: Final = 200

#: Messages that were taken out of their queue, and ``None`` for each that was merely looked at.
Source = Iterator[Message | None]
Settle = Callable[[Message, float], object]


def active_of(dr: DomainRecord, slot: int | None = None) -> Source:
    """
    Take the active messages of *dr*, one by one.

    :param slot: of this binding slot alone.
    """
    queue = dr.mail_queue
    while True:
        slots = queue.active_slots() if slot is None else [slot]
        message = queue.next_active(slots[0]) if slots else None
        if message is None:
            return
        yield message


def all_of(dr: DomainRecord, slot: int | None = None) -> Source:
    """
    Take the messages of *dr*, one by one: first those that wait for their time.

    :param slot: of this binding slot alone.
    """
    queue = dr.mail_queue
    if slot is None:
        while (first := queue.first_delayed()) is not None:
            queue.remove(first)
            yield first
    else:
        for message in queue.delayed():
            if message.binding_slot == slot:
                queue.remove(message)
                yield message
            else:
                yield None
    yield from active_of(dr, slot)


class Bulk:
    """
    The bulk operations of one service, at most one at a time for a domain.

    :param facilities: clocks.
    :param keep: given a message that could not be settled.
    :param finished: told of a domain whose operations have ended.
    """

    _log = Logger()

    def __init__(
        self,
        facilities: Facilities,
        keep: Callable[[Message, float], object],
        finished: Callable[[DomainRecord], object],
    ) -> None:
        self._f = facilities
        self._keep = keep
        self._finished = finished
        self._jobs: dict[DomainRecord, deque[tuple[Source, Settle]]] = {}
        self._stopped = False

    def stop(self) -> None:
        """
        Begin nothing any more; what is at work ends after its slice.
        """
        self._stopped = True

    def busy(self, dr: DomainRecord) -> bool:
        """
        Whether an operation is at work on *dr*.
        """
        return dr in self._jobs

    def begin(self, dr: DomainRecord, source: Source, settle: Settle, waits: bool = False) -> None:
        """
        Take messages from *source* until there are none, and settle each; the
        first slice at once.

        :param settle: given a message that is in no queue, and wall time.
        :param waits: whether this follows an operation that is at work; else it
            is not begun then, for what made it necessary will come again.
        """
        if self._stopped:
            return
        jobs = self._jobs.get(dr)
        if jobs is not None:
            if waits:
                jobs.append((source, settle))
            return
        self._jobs[dr] = deque([(source, settle)])
        self._work(dr)

    def _work(self, dr: DomainRecord) -> None:
        if self._stopped:
            return
        jobs = self._jobs[dr]
        now = self._f.wall()
        source, settle = jobs[0]
        for _ in range(BULK_SLICE):
            try:
                message = next(source)
            except Exception as error:
                if not isinstance(error, StopIteration):
                    # A domain that stays busy would never deliver again.
                    self._log.failure("work on the queue of {domain} is given up", domain=dr.domain)
                jobs.popleft()
                if not jobs:
                    del self._jobs[dr]
                    self._finished(dr)
                    return
                break
            if message is None:
                continue
            message.connection = None
            try:
                settle(message, now)
            except Exception:
                self._log.failure("settling {id} failed", id=message.id)
                self._keep(message, now)
        self._f.clock.callLater(0, self._work, dr)
