"""
Virtual time: a clock that runs from event to event, and the share of it that
belongs to one process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from math import inf
from typing import TYPE_CHECKING, Final

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

if TYPE_CHECKING:
    from random import Random

#: Calls at one instant after which the virtual world is taken for stuck: whole bulk
#: operations of ten thousands of messages need less.
STUCK: Final = 1_000_000
#: Calls without a use that are kept besides as many as are live.
_SLACK: Final = 64


@implementer(IDelayedCall)
class VirtualCall:
    """
    One call that a :class:`VirtualClock` is to make.
    """

    __slots__ = ("_args", "_call", "_clock", "_entry", "_kw", "_over", "_time", "_turn")

    def __init__(
        self,
        clock: VirtualClock,
        time: float,
        turn: tuple[float, int],
        call: Callable[..., object],
        args: tuple[object, ...],
        kw: dict[str, object],
    ) -> None:
        self._clock = clock
        self._time = time
        #: Its place among the calls of one instant.
        self._turn = turn
        #: ``None`` once it is cancelled, so that nothing is kept alive by it.
        self._call: Callable[..., object] | None = call
        self._args = args
        self._kw = kw
        #: Made or cancelled.
        self._over = False
        #: The one entry of the clock's heap that counts; its time may be too early.
        self._entry: Entry | None = None

    def getTime(self) -> float:
        """
        See ``IDelayedCall``.
        """
        return self._time

    def active(self) -> bool:
        """
        See ``IDelayedCall``.
        """
        return not self._over

    def cancel(self) -> None:
        """
        See ``IDelayedCall``.
        """
        self._check()
        self._over = True
        self._call, self._args, self._kw = None, (), {}
        self._clock.forget(self)

    def reset(self, secondsFromNow: float) -> None:
        """
        See ``IDelayedCall``.
        """
        self._check()
        self._clock.move(self, self._clock.seconds() + secondsFromNow)

    def delay(self, secondsLater: float) -> None:
        """
        See ``IDelayedCall``.
        """
        self._check()
        self._clock.move(self, self._time + secondsLater)

    def _check(self) -> None:
        if self._over:
            raise AlreadyCancelled if self._call is None else AlreadyCalled

    def __repr__(self) -> str:
        call = self._call
        if call is None:
            return f"<cancelled call at {self._time:g}>"
        state = "call made" if self._over else "call"
        return f"<{state} at {self._time:g}: {getattr(call, '__qualname__', None) or repr(call)}>"


#: Time, place among those of one instant (chance, then number), and the call.
Entry = tuple[float, float, int, VirtualCall]


@implementer(IReactorTime)
class VirtualClock:
    """
    A clock whose :meth:`advance` stands still at the time of every call it
    makes, so that what is set for 10:00 sees 10:00, however far the step goes.

    Like the reactor it logs an exception and goes on.  Calls that beget one
    another without time passing end in :class:`RuntimeError`.

    :ivar steps: calls made so far.
    """

    _log = Logger()

    def __init__(self, chance: Random | None = None) -> None:
        """
        :param chance: decides in what order the calls of one instant are made,
            as no reactor promises any; without it first come, first served.
        """
        self.steps = 0
        self._draw = chance.random if chance is not None else None
        self._now = 0.0
        self._at_once = 0
        self._heap: list[Entry] = []
        #: Entries of the heap that count no more.
        self._stale = 0
        self._numbers = 0

    def seconds(self) -> float:
        """
        See ``IReactorTime``; it begins with 0.
        """
        return self._now

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> VirtualCall:
        """
        See ``IReactorTime``.

        :raises AssertionError: *delay* is negative, as by the reactor.
        """
        if not delay >= 0:
            raise AssertionError(f"a call in {delay} seconds: {callable!r}")
        time = self._now + delay
        self._numbers = number = self._numbers + 1
        tie = 0.0 if self._draw is None else self._draw()
        call = VirtualCall(self, time, (tie, number), callable, args, kw)
        call._entry = entry = (time, tie, number, call)
        heappush(self._heap, entry)
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """
        The calls that are still to come, in the order of their times.
        """
        calls = [entry[3] for entry in self._heap if entry[3]._entry is entry]
        return sorted(calls, key=lambda call: (call._time, call._turn))

    def next_time(self) -> float | None:
        """
        When the next call is due; ``None`` if none is planned.
        """
        call = self._next(inf)
        return None if call is None else call._time

    def advance(self, amount: float) -> None:
        """
        Move on by *amount* seconds and make every call that falls due, those
        included that come up on the way.
        """
        target = self._now + amount
        while (call := self._next(target)) is not None:
            self._make(call)
        self._now = max(self._now, target)

    def step(self) -> bool:
        """
        Move on to the next call and make it; false if none is planned.
        """
        call = self._next(inf)
        if call is None:
            return False
        self._make(call)
        return True

    def _next(self, until: float) -> VirtualCall | None:
        """
        The call at the top of the heap, if it is due by *until*.
        """
        heap = self._heap
        while heap:
            entry = heap[0]
            if entry[0] > until:
                break
            call = entry[3]
            if call._entry is not entry:
                heappop(heap)
                self._stale -= 1
            elif call._time > entry[0]:
                # It was put off; only now it matters.
                call._entry = entry = (call._time, *call._turn, call)
                heapreplace(heap, entry)
            else:
                return call
        return None

    def _make(self, call: VirtualCall) -> None:
        """
        Make the *call* that is at the top of the heap.
        """
        heappop(self._heap)
        when = call._time
        if when > self._now:
            self._now = when
            self._at_once = 0
        else:
            self._at_once += 1
            if self._at_once > STUCK:
                raise RuntimeError(f"time stands still: {call} and others call one another without end")
        self.steps += 1
        call._over = True
        call._entry = None
        function, args, kw = call._call, call._args, call._kw
        assert function is not None
        # Who keeps the call need not keep what it was about.
        call._args, call._kw = (), {}
        try:
            function(*args, **kw)
        except Exception:
            self._log.failure("a delayed call raised")

    # What a call asks for.

    def forget(self, call: VirtualCall) -> None:
        """
        *call* was cancelled.
        """
        call._entry = None
        self._stale += 1
        self._tidy()

    def move(self, call: VirtualCall, time: float) -> None:
        """
        Make *call* at another time, after those that were set for it before.
        """
        assert call._entry is not None
        self._numbers += 1
        call._turn = (call._turn[0], self._numbers)
        call._time = time
        # What is put off stays where it is until that comes up: deadlines are moved with every reply.
        if time < call._entry[0]:
            call._entry = entry = (time, *call._turn, call)
            heappush(self._heap, entry)
            self._stale += 1
            self._tidy()

    def _tidy(self) -> None:
        heap = self._heap
        if 2 * self._stale > len(heap) + _SLACK:
            heap[:] = [entry for entry in heap if entry[3]._entry is entry]
            heapify(heap)
            self._stale = 0


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
        #: Length of the list at which those that are over are taken out.
        self._full = _SLACK
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
        calls = self._calls
        calls.append(call)
        if len(calls) > self._full:
            calls[:] = [each for each in calls if each.active()]
            # As many again may come before it is looked through once more.
            self._full = 2 * len(calls) + _SLACK
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
