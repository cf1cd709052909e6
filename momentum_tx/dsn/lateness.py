"""
Mail that waits, and the moments at which its senders are told so.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from .schedule import next_notice
from .wishes import to_tell_of_delay

if TYPE_CHECKING:
    from ..delivery.facilities import Facilities
    from ..queues.message import Message
    from .notifier import Notifier


class Lateness:
    """
    Watches mail that failed for now; one alarm for all of it.

    Nothing of it is kept: after a restart a message is watched again when it fails the next
    time, and is told of at the moments that are still to come.

    :param facilities: clocks, hooks, configuration.
    :param notifier: tells senders.
    """

    def __init__(self, facilities: Facilities, notifier: Notifier) -> None:
        self._f = facilities
        self._notifier = notifier
        #: By the wall time at which the sender is told; a number keeps messages from being compared.
        self._heap: list[tuple[float, int, Message]] = []
        self._watched: set[Message] = set()
        self._number = 0
        self._alarm = facilities.agenda.alarm(self._ring)

    def __len__(self) -> int:
        return len(self._watched)

    def failed_for_now(self, message: Message, now: float) -> None:
        """
        *message* is delayed.
        """
        if message in self._watched:
            return
        f = self._f
        dr = message.domain
        assert dr is not None
        to, wanted = to_tell_of_delay(message, f.config.path(message.binding_slot, dr.domain))
        if not to:
            return
        hook = f.hooks.generate_delay_dsn
        if hook:
            answer = hook.override(lambda provider: provider.generate_delay_dsn(message, wanted))
            wanted = wanted if answer is None else answer
        if wanted:
            self._watched.add(message)
            self._watch(message, now)

    def _watch(self, message: Message, now: float) -> None:
        f = self._f
        dr = message.domain
        assert dr is not None
        settings = f.config.path(message.binding_slot, dr.domain)
        began = message.reception.began_by(f.wall.stepped)
        when = next_notice(began, now, settings.delay_dsn_retry_interval, settings.delay_dsn_max_retry_interval)
        hook = f.hooks.next_delay_dsn
        if hook:
            answer = hook.override(lambda provider: provider.next_delay_dsn(message, now, when))
            when = when if answer is None else answer
        self._number += 1
        heappush(self._heap, (when, self._number, message))
        self._arm(now)

    def _arm(self, now: float) -> None:
        if self._heap:
            # The wall clock may be set meanwhile, so it is looked at again within the hour.
            self._alarm.arm(min(max(self._heap[0][0] - now, 0.0), 3600.0))

    def _ring(self) -> None:
        now = self._f.wall()
        due = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heappop(self._heap)[2])
        for message in due:
            # What an operator holds has no domain.  If it is released and fails again it is watched again.
            if message.reception.has(message) and message.domain is not None:
                self._tell(message, now)
                self._watch(message, now)
            else:
                self._watched.discard(message)
        self._arm(now)

    def _tell(self, message: Message, now: float) -> None:
        f = self._f
        hook = f.hooks.send_notification
        if hook and hook.override(lambda provider: provider.send_notification(message) or None):
            return
        dr, reception = message.domain, message.reception
        assert dr is not None
        life = f.config.path(message.binding_slot, dr.domain).message_expiration
        until = reception.expires or reception.began_by(f.wall.stepped) + life
        self._notifier.late(message, reception.sender, now, until)

    def stop(self) -> None:
        """
        Watch nothing any more.
        """
        self._alarm.disarm()
        self._heap.clear()
        self._watched.clear()
