"""
How often something may happen: the one arithmetic of every throttle.

Source: Momentum, ``outbound_throttle_connections`` and ``outbound_throttle_messages``:
``N/T`` is N events in T seconds.  Ours holds in *any* half-open window of T
seconds, not only in those that begin with a tick of some clock.
"""

from __future__ import annotations

from collections import deque
from math import inf, nextafter
from typing import Final

#: Most moments one window remembers.  A larger count is held in several shorter windows,
#: each with its share: that is stricter, and costs at most a permille of the rate.
MOST_REMEMBERED: Final = 1000


class Window:
    """
    At most *count* events in any window of *period* seconds.

    It remembers when the last events were.  There is no burst above the rate,
    and none of the rate is lost when somebody comes late: what was not used in
    the last *period* seconds can be used at once.

    :param count: events, one or more.
    :param period: seconds.
    """

    __slots__ = ("_moments", "_pending", "_slots", "_width")

    def __init__(self, count: int, period: float) -> None:
        self._moments: deque[float] = deque()
        self._pending = 0
        self.configure(count, period)

    def configure(self, count: int, period: float) -> None:
        """
        Go on with another measure; what has happened still counts.
        """
        parts = -(-count // MOST_REMEMBERED)
        self._slots = count // parts
        self._width = period / parts

    def free(self, now: float) -> int:
        """
        How many events may happen at *now*, those left out that others have
        been promised.
        """
        return max(0, self._slots - len(self._past(now)) - self._pending)

    def until(self, now: float) -> float:
        """
        When the next event may happen, as far as the past decides; *now* if
        nothing forbids it.
        """
        moments = self._past(now)
        over = len(moments) + self._pending - self._slots
        if over < 0 or not moments:
            return now
        first = moments[min(over, len(moments) - 1)]
        due = first + self._width
        # The sum may be rounded to a moment at which the difference is not yet the width.
        while due - first < self._width:
            due = nextafter(due, inf)
        return due

    def promise(self, events: int) -> None:
        """
        Keep room for *events* that will happen soon.
        """
        self._pending += events

    def withdraw(self, events: int) -> None:
        """
        Promised *events* do not happen.
        """
        self._pending -= events

    def keep(self, events: int, now: float) -> None:
        """
        Promised *events* happen at *now*.
        """
        self._pending -= events
        self.take(events, now)

    def take(self, events: int, now: float) -> None:
        """
        *events* happen at *now*; :meth:`free` said that they may.
        """
        self._past(now).extend([now] * events)

    def _past(self, now: float) -> deque[float]:
        moments, width = self._moments, self._width
        if moments and moments[-1] > now:
            # The clock went back.  What it calls the future has happened: at the latest now.
            self._moments = moments = deque(min(moment, now) for moment in moments)
        while moments and now - moments[0] >= width:
            moments.popleft()
        return moments
