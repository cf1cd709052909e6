"""
Virtual time: a clock that runs from event to event, and the share of it that
belongs to one process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.logger import Logger
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

#: Calls at one instant after which the virtual world is taken for stuck: whole bulk
#: operations of ten thousands of messages need less.
STUCK: Final = 1_000_000


class VirtualClock(Clock):
    """
    A ``Clock`` whose :meth:`advance` stands still at the time of every call it
    makes, so that what is set for 10:00 sees 10:00, however far the step goes.

    Like the reactor it logs an exception and goes on.  Calls that beget one
    another without time passing end in :class:`RuntimeError`.
    """

    _log = Logger()

    def __init__(self) -> None:
        super().__init__()
        self._at_once = 0

    def advance(self, amount: float) -> None:
        """
        Move on by *amount* seconds and make every call that falls due, those
        included that come up on the way.
        """
        target = self.rightNow + amount
        while self.calls and self.calls[0].getTime() <= target:
            self.step()
        self.rightNow = max(self.rightNow, target)

    def step(self) -> bool:
        """
        Move on to the next call and make it; false if none is planned.
        """
        if not self.calls:
            return False
        call = self.calls.pop(0)
        when = call.getTime()
        self._at_once = self._at_once + 1 if when <= self.rightNow else 0
        if self._at_once > STUCK:
            raise RuntimeError(f"time stands still: {call.func!r} and others call one another without end")
        self.rightNow = max(self.rightNow, when)
        call.called = 1
        try:
            call.func(*call.args, **call.kw)
        except Exception:
            self._log.failure("a delayed call raised")
        # Whoever moved a call did not sort.
        self._sortCalls()
        return True


@implementer(IReactorTime)
class ProcessClock:
    """
    The clock as one process sees it: when the process dies its calls go with
    it, and the clock of the world runs on.

    :param clock: the clock of the world.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: list[IDelayedCall] = []
        self._dead = False

    def seconds(self) -> float:
        """
        The time of the world's clock.
        """
        return self._clock.seconds()

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> IDelayedCall:
        """
        See ``IReactorTime``; after :meth:`die` the call is never made.
        """
        call = self._clock.callLater(delay, callable, *args, **kw)
        if self._dead:
            call.cancel()
            return call
        if len(self._calls) > 64:
            self._calls = [each for each in self._calls if each.active()]
        self._calls.append(call)
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """
        Calls of this process that are still to come.
        """
        return [call for call in self._calls if call.active()]

    def die(self) -> None:
        """
        The process is killed: nothing it planned will happen.
        """
        self._dead = True
        for call in self.getDelayedCalls():
            call.cancel()
        self._calls.clear()
