"""
Holds each process to the bindings that the one before had on record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...queues.message import Message
from .books import Books


class BindingWatch:
    """
    Remembers what was bound to what when a process ended.

    :param books: knows when each message was requeued, and how the disk is.
    :param seconds: the time.
    :param fault: told of (rule, text) when something must not be.
    """

    def __init__(self, books: Books, seconds: Callable[[], float], fault: Callable[[str, str], object]) -> None:
        self._books = books
        self._seconds = seconds
        self._fault = fault
        self._slots: dict[bytes, int] = {}
        #: When mail was moved to other bindings last.
        self.moved_at = -1.0

    def ended(self, messages: Iterable[Message]) -> None:
        """
        A process has ended, all of whose records are in the kernel's hands, but for
        those of this moment.

        :param messages: what it had.
        """
        now = self._seconds()
        self._slots.clear()
        if self._books.trouble or self.moved_at == now:
            return
        for message in messages:
            parcel = self._books.parcels.get(message.recipient)
            if parcel is not None and parcel.retried_at != now and not parcel.lenient:
                self._slots[message.recipient] = message.binding_slot

    def forget(self) -> None:
        """
        A process has ended in a way that promises nothing.
        """
        self._slots.clear()

    def began(self, messages: Iterable[Message]) -> None:
        """
        A process has read its spool.

        :param messages: what it has.
        """
        for message in messages:
            before = self._slots.get(message.recipient, message.binding_slot)
            if message.binding_slot != before:
                self._fault(
                    "binding lost",
                    f"after a start {message.recipient!r} is of slot {message.binding_slot}, and was of {before}",
                )
        self._slots.clear()
