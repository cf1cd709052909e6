"""
Places for connections under one limit: who has them, and who is next.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Final, Generic, TypeVar

WhoT = TypeVar("WhoT")
#: How many places there are where no limit is set.
UNLIMITED: Final = sys.maxsize


class Places(Generic[WhoT]):
    """
    Connections counted against one limit, and those who wait for one.

    A place that becomes free is offered to whoever has the fewest
    connections, and among equals to whoever waits longest: so a large backlog
    starves nobody, and the small ones take turns.

    :param most: how many places there are; may be changed at any time.
    """

    __slots__ = ("_offered", "_waiting", "line", "most", "taken", "unproven")

    def __init__(self, most: int = UNLIMITED) -> None:
        self.most = most
        #: Connections open or being opened.
        self.taken = 0
        #: Those of them of which nobody knows yet whether they serve.
        self.unproven = 0
        #: Who waits, by the number of connections they had when they began to.  Ordered dicts: to find the first key
        #: of a plain one takes long where many have gone before it.
        self._waiting: dict[int, OrderedDict[WhoT, None]] = {}
        #: The same by who: what each had.  Whoever only wants to know whether anybody waits asks this, since it is
        #: asked before every message.
        self.line: dict[WhoT, int] = {}
        #: Who was offered a place and has not answered.
        self._offered: dict[WhoT, None] = {}

    def open_to(self, who: WhoT, reserve: int = 0, called: bool = False) -> bool:
        """
        Whether *who* may take a place now.  One that is offered to somebody
        else is not free.

        :param reserve: places beyond the limit for those who were offered one.
        :param called: whether it is the turn of *who* in another line: then what is
            offered here keeps it from nothing, or two that were each offered one of
            the two places they need would wait for each other.
        """
        if who in self._offered:
            return self.taken < self.most + reserve
        if called:
            return self.taken < self.most
        return self.taken + len(self._offered) < self.most

    def take(self, who: WhoT) -> None:
        """
        *who* has a connection more.
        """
        self.taken += 1
        self._offered.pop(who, None)

    def leave(self) -> None:
        """
        A connection is gone; its place is not offered yet.
        """
        self.taken -= 1

    def wait(self, who: WhoT, connections: int) -> bool:
        """
        *who* wants a place when there is one; harmless twice.

        :param connections: how many it has already.
        :returns: whether it did not wait yet.
        """
        self._offered.pop(who, None)
        before = self.line.get(who)
        if before != connections:
            self.forget(who)
            self.line[who] = connections
            self._waiting.setdefault(connections, OrderedDict())[who] = None
        return before is None

    def forget(self, who: WhoT) -> None:
        """
        *who* wants no place any more.
        """
        rank = self.line.pop(who, None)
        if rank is not None:
            waiting = self._waiting[rank]
            del waiting[who]
            if not waiting:
                del self._waiting[rank]

    def next(self) -> tuple[WhoT, int] | None:
        """
        Who is next, and how many connections it had when it began to wait.
        """
        if not self.line:
            return None
        rank = min(self._waiting)
        return next(iter(self._waiting[rank])), rank

    def offer(self, reserve: int = 0, rank: int | None = None) -> list[WhoT]:
        """
        Offer what is free to those who are next.

        :param reserve: places beyond the limit that are offered too.
        :param rank: only to those with so many connections at most; ``None`` to all.
        :returns: whom; each shall look whether it still wants the place, and
            :meth:`answer`.
        """
        called: list[WhoT] = []
        while self.taken + len(self._offered) < self.most + reserve:
            first = self.next()
            if first is None or (rank is not None and first[1] > rank):
                break
            self.forget(first[0])
            self._offered[first[0]] = None
            called.append(first[0])
        return called

    def answer(self, who: WhoT) -> bool:
        """
        *who* has looked at what it was offered.

        :returns: whether a place is left, for the next one.
        """
        if who not in self._offered:
            return False
        del self._offered[who]
        return True

    def __contains__(self, who: object) -> bool:
        return who in self.line or who in self._offered

    @property
    def waiting(self) -> int:
        """
        How many wait.
        """
        return len(self.line)
