"""
Mail of several classes that shares the connections of one (domain, binding).

A *turn* is one message taken.  Every class has a weight, and its share of the
turns is its weight's share of *W*, the sum of all weights in the reckoning.
What the queue promises, whatever comes, goes and changes its weight:

* The k-th message taken of a class that has had mail without a break is at the
  latest the turn number ``ceil(k * W / weight) + 1`` since that mail came, and
  no earlier than its share allows while others wait.
* So two turns of one class are less than ``2 * W / weight + 1`` apart.

Messages that go along with another are turns that nobody could foresee: where up
to B go at once, ``B - 1`` turns for every class are to be added.

It is worst-case fair queueing (WF2Q; EEVDF is the same for messages of one
size).  An ideal server would serve all classes at once, each at the speed of
its weight.  *Virtual time* says how far it is: it grows by ``1 / W`` in a turn.
The next message of a class has a *start*, the virtual time at which the ideal
server would begin with it, and a *deadline*, one turn of the class later.  Of
the classes whose start has come the one with the first deadline is next.

A class without mail stays in the reckoning until virtual time has reached its
start: the ideal server is still busy with what was taken.  Were it forgotten at
once, whoever sends one message after the other would have every second turn.

Every step costs the logarithm of the number of classes, of which there are at
most as many as messages.  Pure: no clock and no chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Final

from .message import Message, Traits
from .message_heap import MessageHeap

#: Weights are kept as whole thousandths, so that their sum is exact.
_ONE: Final = 1000
#: Far below the smallest step of virtual time, far above what rounding adds up to.
_TOLERANCE: Final = 1e-9
_DIGITS: Final = 9
#: Virtual time begins anew here, before it grows coarse.
_HORIZON: Final = 65536.0


class _Class:
    """
    One class: its mail, and where it stands.
    """

    __slots__ = ("entry", "mail", "start", "weight")

    def __init__(self, mail: MessageHeap, weight: int, start: float) -> None:
        self.mail = mail
        self.weight = weight
        #: Virtual time at which the next message may be taken.
        self.start = start
        #: Number of its entry among the ready or the waiting; others of it are stale.
        self.entry = 0


class FairQueue:
    """
    Messages of several classes.  Within a class they go by ``next_attempt``,
    first come first out.

    :param weigh: weight of a class.
    :param mail: the mail there is, of one class; taken over.
    """

    #: Where a :class:`MessageHeap` has the class of its mail.
    key: Final = None

    __slots__ = ("_classes", "_entries", "_ready", "_virtual", "_waiting", "_weigh", "_weight", "live")

    def __init__(self, weigh: Callable[[Traits], float], mail: MessageHeap) -> None:
        self._weigh = weigh
        self._classes: dict[Traits, _Class] = {}
        #: (deadline, less its weight, entry, class) of those whose start has come; they have mail.
        self._ready: list[tuple[float, int, int, _Class]] = []
        #: (start, entry, class) of the others.
        self._waiting: list[tuple[float, int, _Class]] = []
        self._entries = 0
        self._virtual = 0.0
        #: Sum of the weights of all classes in the reckoning.
        self._weight = 0
        self.live = mail.live
        self._begin(mail)

    def push(self, ticket: int, message: Message) -> None:
        """
        Queue *message*, which is to be known by *ticket*.
        """
        self.live += 1
        key = message.share
        found = self._classes.get(key)
        if found is not None:
            found.mail.push(ticket, message)
            return
        mail = MessageHeap(key)
        mail.push(ticket, message)
        self._begin(mail)

    def first(self) -> Message | None:
        """
        The message that is next; it stays.
        """
        found = self._next()
        return found.mail.first() if found is not None else None

    def pop(self) -> Message | None:
        """
        Take the message that is next: one turn.
        """
        found = self._next()
        if found is None:
            return None
        message = found.mail.pop()
        self.live -= 1
        self._turn(found)
        return message

    def take(self, message: Message) -> None:
        """
        Take *message* out of its turn, for which its class pays: one turn.
        """
        found = self._classes[message.share]
        found.mail.drop(message)
        self.live -= 1
        self._turn(found)

    def drop(self, message: Message) -> None:
        """
        Take *message* away; no turn.
        """
        found = self._classes[message.share]
        found.mail.drop(message)
        self.live -= 1
        if not found.mail.live and found.start <= self._virtual + _TOLERANCE:
            self._end(found)

    def shift(self, seconds: float) -> None:
        """
        Have all messages be due so much later; whose turn it is stays the same.
        """
        for found in self._classes.values():
            found.mail.shift(seconds)

    def reweigh(self) -> None:
        """
        Ask for every weight anew; what a class has had stays counted in turns.
        """
        changed = False
        for found in self._classes.values():
            weight = self._weight_of(found.mail)
            if weight != found.weight:
                changed = True
                if found.start > self._virtual:
                    found.start = self._virtual + (found.start - self._virtual) * found.weight / weight
                self._weight += weight - found.weight
                found.weight = weight
        if changed:
            self._file_all()

    def entries(self) -> list[tuple[float, int, Message]]:
        """
        See :meth:`~momentum_tx.queues.message_heap.MessageHeap.entries`.
        """
        return [entry for each in self._classes.values() for entry in each.mail.entries()]

    def __len__(self) -> int:
        """
        Classes in the reckoning.
        """
        return len(self._classes)

    def __iter__(self) -> Iterator[Message]:
        """
        All mail by time, whatever its class; nothing changes.
        """
        found = [message for each in self._classes.values() for message in each.mail]
        return iter(sorted(found, key=lambda message: (message.next_attempt, message.place)))

    def _weight_of(self, mail: MessageHeap) -> int:
        assert mail.key is not None
        return max(1, round(self._weigh(mail.key) * _ONE))

    def _begin(self, mail: MessageHeap) -> None:
        assert mail.key is not None
        made = self._classes[mail.key] = _Class(mail, self._weight_of(mail), self._virtual)
        self._weight += made.weight
        self._file(made)

    def _end(self, gone: _Class) -> None:
        assert gone.mail.key is not None
        del self._classes[gone.mail.key]
        self._weight -= gone.weight
        gone.entry = 0

    def _file(self, moved: _Class) -> None:
        """
        Enter a class where it belongs now; one that has neither mail nor had
        more than its share leaves the reckoning.
        """
        self._entries += 1
        if moved.start > self._virtual + _TOLERANCE:
            moved.entry = self._entries
            heappush(self._waiting, (moved.start, moved.entry, moved))
        elif moved.mail.live:
            moved.entry = self._entries
            # Of equal deadlines the heavier goes first, so that it keeps its pace.
            deadline = round(moved.start + _ONE / moved.weight, _DIGITS)
            heappush(self._ready, (deadline, -moved.weight, moved.entry, moved))
        else:
            self._end(moved)

    def _next(self) -> _Class | None:
        """
        The class whose turn is next, if any has mail.
        """
        while self.live:
            ready = self._ready
            while ready:
                _, _, entry, found = ready[0]
                if found.entry == entry:
                    return found
                heappop(ready)
            # Nobody's start has come, after mail was taken away or out of its turn: nobody is kept waiting for that.
            self._reach(self._waiting[0][0])
        return None

    def _turn(self, served: _Class) -> None:
        """
        One message of *served* was taken: the ideal server works for one turn.
        """
        served.start += _ONE / served.weight
        self._file(served)
        left = 1.0
        while self._weight:
            reached = self._virtual + max(left, 0.0) * _ONE / self._weight
            waiting = self._waiting
            if not waiting or waiting[0][0] > reached:
                self._reach(reached)
                break
            # It may be a class that leaves the reckoning there: from then on the others are served faster.
            start = max(waiting[0][0], self._virtual)
            left -= (start - self._virtual) * self._weight / _ONE
            self._reach(start)
        if self._virtual > _HORIZON:
            self._begin_anew()

    def _reach(self, virtual: float) -> None:
        """
        Let virtual time be *virtual* if it is not later already.
        """
        if virtual > self._virtual:
            self._virtual = virtual
        waiting = self._waiting
        while waiting and waiting[0][0] <= self._virtual + _TOLERANCE:
            _, entry, found = heappop(waiting)
            if found.entry == entry:
                self._file(found)

    def _begin_anew(self) -> None:
        passed, self._virtual = self._virtual, 0.0
        for found in self._classes.values():
            found.start -= passed
        self._file_all()

    def _file_all(self) -> None:
        self._ready = []
        self._waiting = []
        for found in list(self._classes.values()):
            self._file(found)
