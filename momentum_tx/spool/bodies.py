"""
Which bodies are held in memory, and reading back the others.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..queues.message import Reception


class Resident(NamedTuple):
    """
    How much of the mail is in memory.

    :ivar bodies: receptions whose body is held.
    :ivar octets: of these bodies.
    """

    bodies: int
    octets: int


class Bodies:
    """
    The bodies of live receptions: the least recently used leave memory first
    when there are more octets than allowed.
    """

    def __init__(self, limit: int, read: Callable[[Reception], Deferred[bytes]]) -> None:
        """
        :param limit: most octets held.
        :param read: fetches a body from disk.
        """
        self._limit = limit
        self._read = read
        # By the reception's key, least recently used first.
        self._held: OrderedDict[int, bytes] = OrderedDict()
        self._octets = 0
        self._reading: dict[int, list[Deferred[bytes]]] = {}

    @property
    def resident(self) -> Resident:
        """
        What is held at the moment.
        """
        return Resident(len(self._held), self._octets)

    def holds(self, reception: Reception) -> bool:
        """
        Whether the body of *reception* is in memory.
        """
        return reception.key in self._held

    def hold(self, reception: Reception, body: bytes) -> None:
        """
        Keep *body* in memory while there is room.
        """
        if reception.key in self._held or not reception.live:
            return
        self._held[reception.key] = body
        self._octets += len(body)
        while self._octets > self._limit:
            self._octets -= len(self._held.popitem(last=False)[1])

    def get(self, reception: Reception) -> bytes | Deferred[bytes]:
        """
        See ``ISpool.body``; one read serves all who ask meanwhile.
        """
        body = self._held.get(reception.key)
        if body is not None:
            self._held.move_to_end(reception.key)
            return body
        waiter: Deferred[bytes] = Deferred()
        waiting = self._reading.get(reception.key)
        if waiting is not None:
            waiting.append(waiter)
            return waiter
        self._reading[reception.key] = [waiter]
        self._read(reception).addBoth(self._have_read, reception)
        return waiter

    def drop(self, reception: Reception) -> None:
        """
        The body is not wanted any more.
        """
        self._octets -= len(self._held.pop(reception.key, b""))

    def _have_read(self, result: bytes | Failure, reception: Reception) -> None:
        waiting = self._reading.pop(reception.key)
        if isinstance(result, Failure):
            for waiter in waiting:
                waiter.errback(result)
            return
        self.hold(reception, result)
        for waiter in waiting:
            waiter.callback(result)
