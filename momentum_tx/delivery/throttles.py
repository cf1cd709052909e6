"""
The throttles of one service, and the domains that wait for them.

Source: Momentum, ``outbound_throttle_connections`` and ``outbound_throttle_messages``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..policy.throttle import Window
from ..queues.domain import DomainRecord

if TYPE_CHECKING:
    from ..settings.limits import Throttle as Measure
    from .facilities import Facilities

#: What :meth:`Throttle.free` says where nothing limits.
PLENTY: Final = 1 << 30


class Throttle:
    """
    One throttle, with those who wait for it.

    When something may happen again, those who have waited longest are called
    first, one for each event; until they have looked, it is kept for them.

    :param facilities: clock and alarms.
    :param measure: what was written.
    :param call: told of a domain whose turn it is.
    """

    __slots__ = ("_alarm", "_call", "_called", "_f", "_measure", "_waiting", "window")

    def __init__(
        self, facilities: Facilities, measure: Measure, call: Callable[[DomainRecord, Throttle], object]
    ) -> None:
        self._f = facilities
        self._measure = measure
        self._call = call
        self._waiting: OrderedDict[DomainRecord, None] = OrderedDict()
        self._called: dict[DomainRecord, None] = {}
        self._alarm = facilities.agenda.alarm(self._ring)
        self.window = Window(measure.count, measure.period)

    def follow(self, measure: Measure) -> None:
        """
        Go on with what is written now.
        """
        if measure is not self._measure:
            if (measure.count, measure.period) != (self._measure.count, self._measure.period):
                self.window.configure(measure.count, measure.period)
                self._alarm.arm(0.0)
            self._measure = measure

    def free(self, dr: DomainRecord, called: bool = False) -> int:
        """
        How many events *dr* may have now.

        :param called: whether it is its turn in another line; see
            :meth:`~momentum_tx.queues.places.Places.open_to`.
        """
        free = self.window.free(self._f.clock.seconds())
        if called:
            return free
        if dr in self._called:
            return free - len(self._called) + 1
        return 0 if self._waiting else free - len(self._called)

    def take(self, dr: DomainRecord) -> None:
        """
        One event happens.
        """
        self._called.pop(dr, None)
        self.window.take(1, self._f.clock.seconds())
        if self._waiting:
            self._arm()

    def promise(self, dr: DomainRecord, events: int) -> None:
        """
        *events* will happen: :meth:`keep` or :meth:`withdraw` follows.
        """
        self._called.pop(dr, None)
        self.window.promise(events)
        if self._waiting:
            self._arm()

    def keep(self, events: int) -> None:
        """
        Promised *events* happen.
        """
        self.window.keep(events, self._f.clock.seconds())
        if self._waiting:
            self._arm()

    def withdraw(self, events: int) -> None:
        """
        Promised *events* do not happen; they are for those who wait.
        """
        self.window.withdraw(events)
        if self._waiting:
            self._alarm.arm(0.0)

    def wait(self, dr: DomainRecord) -> None:
        """
        Call *dr* when it is its turn; harmless twice.
        """
        self._called.pop(dr, None)
        self._waiting[dr] = None
        self._arm()

    def answer(self, dr: DomainRecord) -> None:
        """
        *dr* has looked; what it left is for the next.
        """
        if dr in self._called:
            del self._called[dr]
            if self._waiting:
                self._alarm.arm(0.0)

    def __contains__(self, dr: object) -> bool:
        return dr in self._waiting or dr in self._called

    def until(self) -> float:
        """
        Seconds until the next event may happen, as far as the past decides.
        """
        now = self._f.clock.seconds()
        return self.window.until(now) - now

    def _arm(self) -> None:
        # With nothing in the past to wait for, the room is promised: whoever holds the promise arms it.
        if self._alarm.when is None and (self.until() > 0.0 or self.window.free(self._f.clock.seconds())):
            self._alarm.arm(self.until())

    def _ring(self) -> None:
        room = self.window.free(self._f.clock.seconds()) - len(self._called)
        while room > 0 and self._waiting:
            dr, _ = self._waiting.popitem(last=False)
            self._called[dr] = None
            self._call(dr, self)
            room -= 1
        if self._waiting and not self._called:
            # Else whoever was called arms it again, by what it takes or with its answer.
            self._arm()


class Throttles:
    """
    Every throttle by what it counts and the table that wrote it.

    :param facilities: clock and alarms.
    :param call: told of a domain whose turn it is.
    """

    __slots__ = ("_call", "_f", "_made")

    def __init__(self, facilities: Facilities, call: Callable[[DomainRecord, Throttle], object]) -> None:
        self._f = facilities
        self._call = call
        self._made: dict[tuple[str, str], Throttle] = {}

    def of(self, what: str, measure: Measure) -> Throttle:
        """
        The one throttle of a table, whoever comes to it.

        :param what: what it counts.
        :param measure: as it is written now.
        """
        key = (what, measure.owner)
        throttle = self._made.get(key)
        if throttle is None:
            throttle = self._made[key] = Throttle(self._f, measure, self._call)
        else:
            throttle.follow(measure)
        return throttle
