"""
The queues of one domain: active per binding slot, delayed for all together.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count

from zope.interface import implementer

from ..interfaces.records import IMailQueue
from .message import Message

#: Stale entries a heap may carry before it is rebuilt, besides as many live ones.
_SLACK = 64
#: Tickets, even ones.  No two queues give the same: a message that has moved to another
#: domain must not pass for the stale entry it left behind.
_tickets = count(2, 2)


class _Heap:
    """
    Messages by ``next_attempt``, first come first out among equals.  A removed
    message leaves a stale entry behind, known by its ticket.
    """

    __slots__ = ("_entries", "live")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Message]] = []
        self.live = 0

    def push(self, ticket: int, message: Message) -> None:
        message.place = ticket
        self.live += 1
        heappush(self._entries, (message.next_attempt, ticket, message))

    def first(self) -> Message | None:
        entries = self._entries
        while entries:
            _, ticket, message = entries[0]
            if message.place == ticket:
                return message
            heappop(entries)
        return None

    def pop(self) -> Message | None:
        message = self.first()
        if message is not None:
            heappop(self._entries)
            self._left(message)
        return message

    def drop(self, message: Message) -> None:
        self._left(message)
        if len(self._entries) > 2 * self.live + _SLACK:
            self._entries = [entry for entry in self._entries if entry[2].place == entry[1]]
            heapify(self._entries)

    def _left(self, message: Message) -> None:
        message.place = 0
        self.live -= 1

    def __iter__(self) -> Iterator[Message]:
        for _, ticket, message in sorted(self._entries, key=lambda entry: entry[:2]):
            if message.place == ticket:
                yield message


@implementer(IMailQueue)
class MailQueue:
    """
    Active and delayed messages of one domain (Momentum: ``mail_queue``).

    A message is in at most one place; putting a queued one anywhere raises
    :class:`ValueError`, which in Momentum aborts the process.
    """

    __slots__ = ("_active", "_active_total", "_delayed", "_flushed")

    def __init__(self) -> None:
        self._active: dict[int, _Heap] = {}
        self._active_total = 0
        self._delayed = _Heap()
        #: Delayed mail that is to be tried now, and the ticket that all of it is below.
        self._flushed: list[tuple[int, _Heap]] = []

    def insert_active(self, message: Message) -> None:
        """
        Queue *message* as due, in the order of ``next_attempt``.
        """
        if message.place:
            raise ValueError(f"{message.id} is queued already")
        heap = self._active.get(message.binding_slot)
        if heap is None:
            heap = self._active[message.binding_slot] = _Heap()
        heap.push(next(_tickets), message)
        self._active_total += 1

    def insert_delayed(self, message: Message) -> None:
        """
        Queue *message* until its ``next_attempt``.
        """
        if message.place:
            raise ValueError(f"{message.id} is queued already")
        # Even tickets are active places, odd ones delayed.
        self._delayed.push(next(_tickets) + 1, message)

    def next_active(self, slot: int) -> Message | None:
        """
        Take the first active message of *slot*; it is in no queue afterwards.
        """
        heap = self._active.get(slot)
        if heap is None:
            return None
        message = heap.pop()
        if message is not None:
            self._active_total -= 1
        if not heap.live:
            del self._active[slot]
        return message

    def peek_active(self, slot: int) -> Message | None:
        """
        The first active message of *slot*; it stays queued.
        """
        heap = self._active.get(slot)
        return heap.first() if heap is not None else None

    def first_delayed(self) -> Message | None:
        """
        The delayed message that is due first; it stays queued.
        """
        for _, heap in self._flushed:
            message = heap.first()
            if message is not None:
                return message
        return self._delayed.first()

    def sweep(self, now: float, limit: int) -> int:
        """
        Move delayed messages that are due to the active queues.

        :param limit: the most to move at once.
        :returns: how many were moved.
        """
        moved = self._sweep_flushed(now, limit)
        while moved < limit:
            message = self._delayed.first()
            if message is None or message.next_attempt > now:
                break
            self._delayed.pop()
            self.insert_active(message)
            moved += 1
        return moved

    def _sweep_flushed(self, now: float, limit: int) -> int:
        moved = 0
        while self._flushed and moved < limit:
            message = self._flushed[0][1].pop()
            if message is None:
                del self._flushed[0]
                continue
            message.next_attempt = min(message.next_attempt, now)
            self.insert_active(message)
            moved += 1
        return moved

    def flush(self) -> int:
        """
        Have the next sweeps take all mail that is delayed now, due or not; what
        is delayed from now on keeps its time.

        :returns: how much there is.
        """
        count = self._delayed.live
        if count:
            self._flushed.append((next(_tickets), self._delayed))
            self._delayed = _Heap()
        return count

    def remove(self, message: Message) -> bool:
        """
        Take *message* out of wherever it is queued; false if it is nowhere.
        """
        if not message.place:
            return False
        if message.place & 1:
            self._delayed_heap(message).drop(message)
            return True
        heap = self._active[message.binding_slot]
        heap.drop(message)
        self._active_total -= 1
        if not heap.live:
            del self._active[message.binding_slot]
        return True

    def _delayed_heap(self, message: Message) -> _Heap:
        for ticket, heap in self._flushed:
            if message.place < ticket:
                return heap
        return self._delayed

    def is_active(self, message: Message) -> bool:
        """
        Whether *message* waits in an active queue.
        """
        return message.place > 0 and not message.place & 1

    def active_slots(self) -> list[int]:
        """
        Slots with active mail, in ascending order.
        """
        return sorted(self._active)

    def messages(self) -> list[Message]:
        """
        Every queued message: active by slot, then delayed, each by time.
        """
        found: list[Message] = []
        for slot in self.active_slots():
            found.extend(self._active[slot])
        for _, heap in self._flushed:
            found.extend(heap)
        found.extend(self._delayed)
        return found

    def active_size(self, slot: int | None = None) -> int:
        if slot is None:
            return self._active_total
        heap = self._active.get(slot)
        return heap.live if heap is not None else 0

    def delayed_size(self) -> int:
        return self._delayed.live + sum(heap.live for _, heap in self._flushed)

    def size(self) -> int:
        return self._active_total + self.delayed_size()
