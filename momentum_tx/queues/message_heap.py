"""
Messages in the order in which they are due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush

from .message import Message, Traits

#: Stale entries a heap may carry before it is rebuilt, besides as many live ones.
_SLACK = 64


class MessageHeap:
    """
    Messages by ``next_attempt``, first come first out among equals.  A removed
    message leaves a stale entry behind, known by its ticket.
    """

    __slots__ = ("_entries", "key", "live")

    def __init__(self, key: Traits | None = None) -> None:
        """
        :param key: the class of the messages, where they are all of one.
        """
        self._entries: list[tuple[float, int, Message]] = []
        self.key = key
        self.live = 0

    def push(self, ticket: int, message: Message) -> None:
        """
        Queue *message*, which is to be known by *ticket*.
        """
        message.place = ticket
        self.live += 1
        heappush(self._entries, (message.next_attempt, ticket, message))

    def first(self) -> Message | None:
        """
        The message that is due first; it stays.
        """
        entries = self._entries
        while entries:
            _, ticket, message = entries[0]
            if message.place == ticket:
                return message
            heappop(entries)
        return None

    def pop(self) -> Message | None:
        """
        Take the message that is due first.
        """
        entries = self._entries
        while entries:
            _, ticket, message = heappop(entries)
            if message.place == ticket:
                message.place = 0
                self.live -= 1
                return message
        return None

    def drop(self, message: Message) -> None:
        """
        Take *message*, wherever it stands.
        """
        self._left(message)
        if len(self._entries) > 2 * self.live + _SLACK:
            self._entries = [entry for entry in self._entries if entry[2].place == entry[1]]
            heapify(self._entries)

    def take(self, message: Message) -> None:
        """
        The same; a :class:`~momentum_tx.queues.fair_queue.FairQueue` counts it as a turn.
        """
        self.drop(message)

    def shift(self, seconds: float, but: Callable[[Message], bool] | None = None) -> None:
        """
        Have all messages be due so much later.

        :param but: those that stay as they are.
        """
        entries: list[tuple[float, int, Message]] = []
        for _, ticket, message in self._entries:
            if message.place == ticket:
                if but is None or not but(message):
                    message.next_attempt += seconds
                entries.append((message.next_attempt, ticket, message))
        heapify(entries)
        self._entries = entries

    def _left(self, message: Message) -> None:
        message.place = 0
        self.live -= 1

    def entries(self) -> list[tuple[float, int, Message]]:
        """
        Times, tickets and messages as they are now, stale ones too, in no order.
        """
        return list(self._entries)

    def __iter__(self) -> Iterator[Message]:
        """
        All of it in order; nothing changes.
        """
        for _, ticket, message in sorted(self._entries, key=lambda entry: entry[:2]):
            if message.place == ticket:
                yield message
