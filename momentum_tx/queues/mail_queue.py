"""
The queues of one domain: active per binding slot, delayed for all together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

from zope.interface import implementer

from ..interfaces.records import IMailQueue
from .fair_queue import FairQueue
from .message import Message, Traits
from .message_heap import MessageHeap

#: Tickets, multiples of four.  No two queues give the same: a message that has moved to
#: another domain must not pass for the stale entry it left behind.
_tickets = count(4, 4)
#: What is added to the ticket of a delayed message, and of one that is delayed because
#: its domain could not be reached.
_DELAYED, _UNREACHED = 1, 3


def alike(slot: int, key: Traits) -> float:
    """
    The weight of every class, where nobody says another.
    """
    return 1.0


def _never_tried(message: Message) -> bool:
    # Without a look at its reception, which may be put away.
    return not message.num_retries


@implementer(IMailQueue)
class MailQueue:
    """
    Active and delayed messages of one domain (Momentum: ``mail_queue``).

    A message is in at most one place; putting a queued one anywhere raises
    :class:`ValueError`, which in Momentum aborts the process.

    Where the active mail of a slot is of several classes, these take turns by
    their weights (:mod:`momentum_tx.queues.fair_queue`).

    :param weigh: weight of a class of mail in a slot; all weigh the same without it.
    """

    __slots__ = ("_active", "_active_total", "_delayed", "_flushed", "_unreached", "_weigh")

    def __init__(self, weigh: Callable[[int, Traits], float] = alike) -> None:
        self._weigh = weigh
        #: As long as all mail of a slot is of one class it is a plain heap.
        self._active: dict[int, MessageHeap | FairQueue] = {}
        self._active_total = 0
        self._delayed = MessageHeap()
        #: Delayed mail that waits for nothing but that its domain can be reached.
        self._unreached = MessageHeap()
        #: Delayed mail that is to be tried now, with its kind and the ticket that all of it is below.
        self._flushed: list[tuple[int, int, MessageHeap]] = []

    def insert_active(self, message: Message) -> None:
        """
        Queue *message* as due, in the order of ``next_attempt`` within its class.
        """
        if message.place:
            raise ValueError(f"{message.id} is queued already")
        slot = message.binding_slot
        key = message.share
        heap = self._active.get(slot)
        if heap is None:
            heap = self._active[slot] = MessageHeap(key)
        elif heap.key is not key:
            heap = self._shared(slot, heap, key)
        heap.push(next(_tickets), message)
        self._active_total += 1

    def _shared(self, slot: int, heap: MessageHeap | FairQueue, key: Traits) -> MessageHeap | FairQueue:
        """
        The queue of *slot*, which takes a class of mail that *heap* may have to share with another.
        """
        if isinstance(heap, FairQueue) or heap.key == key:
            return heap
        shared = self._active[slot] = FairQueue(partial(self._weigh, slot), heap)
        return shared

    def insert_delayed(self, message: Message, unreached: bool = False) -> None:
        """
        Queue *message* until its ``next_attempt``.

        :param unreached: whether all that is wrong is that the domain could not
            be reached: then :meth:`release` takes it too.
        """
        if message.place:
            raise ValueError(f"{message.id} is queued already")
        if unreached:
            self._unreached.push(next(_tickets) + _UNREACHED, message)
        else:
            self._delayed.push(next(_tickets) + _DELAYED, message)

    def next_active(self, slot: int) -> Message | None:
        """
        Take the active message of *slot* whose turn it is; it is in no queue
        afterwards.
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
        The active message of *slot* whose turn is next; it stays queued.
        """
        heap = self._active.get(slot)
        return heap.first() if heap is not None else None

    def first_delayed(self) -> Message | None:
        """
        The delayed message that is due first; it stays queued.
        """
        for _, _, heap in self._flushed:
            message = heap.first()
            if message is not None:
                return message
        return self._heap_due_first().first()

    def _heap_due_first(self) -> MessageHeap:
        unreached = self._unreached.first()
        if unreached is None:
            return self._delayed
        delayed = self._delayed.first()
        return self._delayed if delayed and delayed.next_attempt <= unreached.next_attempt else self._unreached

    def sweep(
        self,
        now: float,
        limit: int,
        slots: set[int] | None = None,
        due_from: Callable[[Message], float] | None = None,
    ) -> int:
        """
        Move delayed messages that are due to the active queues.

        :param limit: the most to move at once.
        :param slots: takes the slots they are moved to.
        :param due_from: says of a message from which wall time on it may be moved; until then it
            stays.
        :returns: how many were looked at.
        """
        moved = self._sweep_flushed(now, limit, slots)
        while moved < limit:
            heap = self._heap_due_first()
            message = heap.first()
            if message is None or message.next_attempt > now:
                break
            heap.pop()
            moved += 1
            if due_from is not None and (when := due_from(message)) > now:
                message.next_attempt = when
                self.insert_delayed(message)
                continue
            self.insert_active(message)
            if slots is not None:
                slots.add(message.binding_slot)
        return moved

    def _sweep_flushed(self, now: float, limit: int, slots: set[int] | None) -> int:
        moved = 0
        while self._flushed and moved < limit:
            message = self._flushed[0][2].pop()
            if message is None:
                del self._flushed[0]
                continue
            message.next_attempt = min(message.next_attempt, now)
            self.insert_active(message)
            if slots is not None:
                slots.add(message.binding_slot)
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
            self._flushed.append((next(_tickets), _DELAYED, self._delayed))
            self._delayed = MessageHeap()
        return count + self.release()

    def release(self) -> int:
        """
        The domain can be reached again: as :meth:`flush`, but only of the mail
        that is delayed because it could not.

        :returns: how much there is.
        """
        count = self._unreached.live
        if count:
            self._flushed.append((next(_tickets), _UNREACHED, self._unreached))
            self._unreached = MessageHeap()
        return count

    def shift(self, seconds: float) -> None:
        """
        The wall clock was set: what waits does so as long as it would have.  Only
        what is delayed and has never been tried waits for a time that was named.

        :param seconds: what the clock was put forward by; negative if back.
        """
        for heap in self._active.values():
            heap.shift(seconds)
        for _, _, flushed in self._flushed:
            flushed.shift(seconds)
        self._unreached.shift(seconds)
        self._delayed.shift(seconds, _never_tried)

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
        self._left(message, heap)
        return True

    def take(self, message: Message) -> None:
        """
        Take a certain active message out of its turn; its class pays for it as
        if the turn had been its.
        """
        heap = self._active[message.binding_slot]
        heap.take(message)
        self._left(message, heap)

    def _left(self, message: Message, heap: MessageHeap | FairQueue) -> None:
        self._active_total -= 1
        if not heap.live:
            del self._active[message.binding_slot]

    def reweigh(self) -> None:
        """
        The weights of classes may have changed.
        """
        for heap in self._active.values():
            if isinstance(heap, FairQueue):
                heap.reweigh()

    def _delayed_heap(self, message: Message) -> MessageHeap:
        kind = message.place & 3
        for ticket, flushed, heap in self._flushed:
            if flushed == kind and message.place < ticket:
                return heap
        return self._delayed if kind == _DELAYED else self._unreached

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
        for _, _, heap in self._flushed:
            found.extend(heap)
        found += sorted((*self._delayed, *self._unreached), key=lambda message: message.next_attempt)
        return found

    def delayed(self) -> Iterator[Message]:
        """
        The messages that are delayed now and still are when their turn comes, in
        no order; the queue may change in between.
        """
        heaps = [*[heap for _, _, heap in self._flushed], self._delayed, self._unreached]
        for entries in [heap.entries() for heap in heaps]:
            for _, ticket, message in entries:
                if message.place == ticket:
                    yield message

    def walk(self) -> Iterator[Message]:
        """
        Every message that is queued now, once, by slot and then delayed, in no
        order of time.  Messages may move on the way, and come up all the same; one that
        has left by then does not.
        """
        begin = next(_tickets)
        heaps: list[MessageHeap | FairQueue] = [self._active[slot] for slot in self.active_slots()]
        heaps += [*(heap for _, _, heap in self._flushed), self._delayed, self._unreached]
        # Copied here, so that it is known what was queued; sorted nowhere, since there may be millions.
        return self._walk([heap.entries() for heap in heaps], begin)

    @staticmethod
    def _walk(copies: list[list[tuple[float, int, Message]]], begin: int) -> Iterator[Message]:
        moved: set[Message] = set()
        for entries in copies:
            for _, ticket, message in entries:
                if message.place == ticket or (message.place > begin and message not in moved):
                    yield message
                    if message.place > begin:
                        # What it has left behind is stale, and may come up again.
                        moved.add(message)

    def active_size(self, slot: int | None = None) -> int:
        if slot is None:
            return self._active_total
        heap = self._active.get(slot)
        return heap.live if heap is not None else 0

    def delayed_size(self) -> int:
        return self._delayed.live + self._unreached.live + sum(heap.live for _, _, heap in self._flushed)

    def size(self) -> int:
        return self._active_total + self.delayed_size()
