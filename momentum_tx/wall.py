"""
Wall time that steps when everything that depends on it can follow.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from .timers import Agenda

#: Seconds of the steady clock between two looks at the system's wall clock.
LOOK_INTERVAL: Final = 1.0
#: What it is put forward or back by, in seconds, before anybody is told: less is
#: followed in silence, as are the small corrections that every clock needs.
STEP: Final = 5.0
#: Less than this, in seconds, is not worth following.
_NOISE: Final = 1e-3


class WallClock:
    """
    The time of the service.  It runs with the steady clock, so that between two
    turns of the reactor nothing is due earlier or later because somebody set the
    system's clock.  A step of that is found at a look, and followed in a turn of
    its own, in which :attr:`followers` put right whatever they keep.

    :param clock: the steady clock; if it steps with the system's, no step is ever found.
    :param wall: the system's wall clock, epoch seconds.
    :param agenda: alarms on *clock*.
    :ivar stepped: sum of the steps that were followed, seconds.
    :ivar followers: called with each step, seconds, when it has been followed.
    """

    __slots__ = ("_alarm", "_clock", "_look_at", "_offset", "_wall", "followers", "stepped")

    def __init__(self, clock: IReactorTime, wall: Callable[[], float], agenda: Agenda) -> None:
        self._clock = clock
        self._wall = wall
        seconds = clock.seconds()
        self._offset = wall() - seconds
        self._look_at = seconds + LOOK_INTERVAL
        self._alarm = agenda.alarm(self._follow)
        self.stepped = 0.0
        self.followers: list[Callable[[float], object]] = []

    def __call__(self) -> float:
        """
        Wall time, epoch seconds.
        """
        seconds = self._clock.seconds()
        if seconds >= self._look_at:
            self._look(seconds)
        return seconds + self._offset

    def at(self, seconds: float) -> float:
        """
        Wall time at a time of the steady clock, as far as is known; no look.
        """
        return seconds + self._offset

    def stop(self) -> None:
        """
        Look no more.
        """
        self._look_at = inf
        self._alarm.disarm()

    def _look(self, seconds: float) -> None:
        self._look_at = seconds + LOOK_INTERVAL
        off = self._wall() - seconds - self._offset
        if abs(off) >= STEP:
            # Not here: whoever asks may have asked before in the same turn, and must not see two times.
            self._alarm.arm(0.0)
        elif abs(off) >= _NOISE:
            self._offset += off

    def _follow(self) -> None:
        step = self._wall() - self._clock.seconds() - self._offset
        if abs(step) < STEP:
            return
        self._offset += step
        self.stepped += step
        for follower in self.followers:
            follower(step)
