"""
One timer for many deadlines.

A session moves its deadline with every reply; a ``callLater`` each would cost
more than the reply.  An :class:`Agenda` keeps one timer of the clock for the
nearest of all its alarms, and moving an alarm to later is a store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Entries the heap may hold without a use, besides as many as there are armed alarms.
_SLACK = 64


class Alarm:
    """
    One deadline, armed and disarmed any number of times.  Made by
    :meth:`Agenda.alarm`.
    """

    __slots__ = ("_agenda", "_queued", "_ring", "_ticket", "when")

    def __init__(self, agenda: Agenda, ring: Callable[[], object]) -> None:
        self._agenda = agenda
        self._ring = ring
        #: Time of the clock at which it rings; ``None`` while disarmed.
        self.when: float | None = None
        #: Time of its valid heap entry; ``None`` without one.
        self._queued: float | None = None
        self._ticket = 0

    def arm(self, seconds: float) -> None:
        """
        Ring in *seconds* from now, whatever was set before.
        """
        self.at(self._agenda.clock.seconds() + seconds)

    def at(self, when: float) -> None:
        """
        Ring at *when*, a time of the agenda's clock.
        """
        if self.when is None:
            self._agenda.armed += 1
        self.when = when
        queued = self._queued
        if queued is None or queued > when:
            self._agenda.push(self, when)

    def disarm(self) -> None:
        """
        Do not ring; harmless twice.
        """
        if self.when is not None:
            self.when = None
            self._agenda.armed -= 1
            self._agenda.tidy()


class Agenda:
    """
    Alarms on one clock.  It has at most one delayed call pending, and none
    when no alarm is armed.
    """

    __slots__ = ("_call", "_call_at", "_heap", "_ringing", "_tickets", "armed", "clock")

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        #: Alarms that are armed.
        self.armed = 0
        self._heap: list[tuple[float, int, Alarm]] = []
        #: Alarms that are due and did not ring yet.
        self._ringing: deque[Alarm] = deque()
        self._tickets = 0
        self._call: IDelayedCall | None = None
        self._call_at = 0.0

    def alarm(self, ring: Callable[[], object]) -> Alarm:
        """
        A new alarm, disarmed.

        :param ring: called without arguments when the alarm is due; the alarm
            is disarmed by then.
        """
        return Alarm(self, ring)

    def push(self, alarm: Alarm, when: float) -> None:
        """
        Queue *alarm* for *when*; an entry it had before no longer counts.
        """
        self._tickets += 1
        alarm._ticket = self._tickets
        alarm._queued = when
        heappush(self._heap, (when, self._tickets, alarm))
        if self._call is None:
            self._schedule(when)
        elif when < self._call_at:
            self._call.cancel()
            self._schedule(when)
        self.tidy()

    def tidy(self) -> None:
        """
        Let go of entries that are of no use, and of what their alarms would
        ring, when they outnumber the armed alarms.
        """
        heap = self._heap
        if len(heap) <= 2 * self.armed + (_SLACK if self.armed else 0):
            return
        kept = []
        for entry in heap:
            alarm = entry[2]
            if alarm._ticket == entry[1]:
                if alarm.when is not None:
                    kept.append(entry)
                else:
                    alarm._queued = None
        heap[:] = kept
        heapify(heap)
        if not heap and self._call is not None:
            self._call.cancel()
            self._call = None

    def _schedule(self, when: float) -> None:
        self._call_at = when
        self._call = self.clock.callLater(max(0.0, when - self.clock.seconds()), self._due)

    def _due(self) -> None:
        self._call = None
        # An alarm may be armed again by what it rings; those wait for the next
        # call, so that a zero delay cannot keep this loop for itself.
        now = self.clock.seconds()
        heap = self._heap
        ringing = self._ringing
        while heap and heap[0][0] <= now:
            _, ticket, alarm = heappop(heap)
            if alarm._ticket != ticket:
                continue
            alarm._queued = None
            if alarm.when is None:
                continue
            if alarm.when > now:
                self._requeue(alarm)
                continue
            ringing.append(alarm)
        self._drop_idle()
        if heap:
            self._schedule(heap[0][0])
        try:
            while ringing:
                alarm = ringing.popleft()
                # It may have been disarmed or moved by one that rang before it.
                if alarm.when is not None and alarm._queued is None:
                    alarm.when = None
                    self.armed -= 1
                    alarm._ring()
        finally:
            # One that raises does not silence the others: they ring in the next call.
            while ringing:
                alarm = ringing.popleft()
                if alarm.when is not None and alarm._queued is None:
                    self.push(alarm, alarm.when)

    def _requeue(self, alarm: Alarm) -> None:
        assert alarm.when is not None
        self._tickets += 1
        alarm._ticket = self._tickets
        alarm._queued = alarm.when
        heappush(self._heap, (alarm.when, self._tickets, alarm))

    def _drop_idle(self) -> None:
        heap = self._heap
        while heap and (heap[0][2]._ticket != heap[0][1] or heap[0][2].when is None):
            _, ticket, alarm = heappop(heap)
            if alarm._ticket == ticket:
                alarm._queued = None

    def stop(self) -> None:
        """
        Forget every alarm and give the clock back its timer.
        """
        for alarm in (*self._ringing, *(entry[2] for entry in self._heap)):
            alarm.when = None
            alarm._queued = None
        self._ringing.clear()
        self._heap.clear()
        self.armed = 0
        if self._call is not None:
            self._call.cancel()
            self._call = None
