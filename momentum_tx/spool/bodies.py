"""
Which mail is held in memory, and reading back the bodies of the rest.

*Resident* is a reception whose body is in memory.  How many there may be, in
receptions and in octets, has a bound; those whose messages wait for their time
leave first, then those that were not used for longest.  Of a queued message
that is not resident no more is kept at hand than the queues look at: it is
*packed* (:meth:`~momentum_tx.queues.message.Message.pack`).
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..queues.message import Message, Reception


class Resident(NamedTuple):
    """
    How much of the mail is in memory.

    :ivar receptions: how many are resident.
    :ivar octets: of their bodies.
    """

    receptions: int
    octets: int


class Bodies:
    """
    The bodies of live receptions.

    :ivar most: most receptions that are resident.
    :ivar limit: most octets of their bodies.
    """

    def __init__(self, most: int, limit: int, read: Callable[[Reception], Deferred[bytes]]) -> None:
        """
        :param read: fetches a body from disk.
        """
        self.most = most
        self.limit = limit
        self._read = read
        # By key, the next to leave first.
        self._held: OrderedDict[int, tuple[Reception, bytes]] = OrderedDict()
        self._octets = 0
        self._reading: dict[int, list[Deferred[bytes]]] = {}
        # Keys of receptions that have ended while their body was read.
        self._ended: set[int] = set()

    @property
    def resident(self) -> Resident:
        """
        What is held at the moment.
        """
        return Resident(len(self._held), self._octets)

    def holds(self, reception: Reception) -> bool:
        """
        Whether *reception* is resident.
        """
        return reception.key in self._held

    def hold(self, reception: Reception, body: bytes) -> None:
        """
        Keep *body* in memory while there is room.
        """
        if reception.key in self._held or not reception.live or len(body) > self.limit:
            return
        self._held[reception.key] = reception, body
        self._octets += len(body)
        self.shrink()

    def shrink(self) -> None:
        """
        Let go of what exceeds the bounds.
        """
        while self._octets > self.limit or len(self._held) > self.most:
            self._let_go(next(iter(self._held)))

    def queued(self, message: Message, waits: bool, let_go: bool) -> None:
        """
        See ``ISpool.queued``.
        """
        key = message.reception.key
        if key in self._held:
            if let_go:
                self._let_go(key)
            elif waits:
                self._held.move_to_end(key, last=False)
        else:
            message.pack()

    def get(self, reception: Reception) -> bytes | Deferred[bytes]:
        """
        See ``ISpool.body``; one read serves all who ask meanwhile.
        """
        key = reception.key
        held = self._held.get(key)
        if held is not None:
            self._held.move_to_end(key)
            return held[1]
        waiter: Deferred[bytes] = Deferred()
        waiting = self._reading.get(key)
        if waiting is not None:
            waiting.append(waiter)
            return waiter
        self._reading[key] = [waiter]
        self._read(reception).addBoth(self._have_read, reception)
        return waiter

    def drop(self, reception: Reception) -> None:
        """
        The body is not wanted any more.
        """
        key = reception.key
        if key in self._held:
            self._let_go(key)
        elif key in self._reading:
            self._ended.add(key)

    def _have_read(self, result: bytes | Failure, reception: Reception) -> None:
        waiting = self._reading.pop(reception.key)
        ended = reception.key in self._ended
        self._ended.discard(reception.key)
        if isinstance(result, Failure):
            for waiter in waiting:
                waiter.errback(result)
            return
        # Not what the reception says: it may be another object by now.
        if not ended:
            self.hold(reception, result)
        for waiter in waiting:
            waiter.callback(result)

    def _let_go(self, key: int) -> None:
        reception, body = self._held.pop(key)
        self._octets -= len(body)
        for message in reception.messages:
            # One in delivery is packed when it is queued again.
            if message is not None and message.place:
                message.pack()
