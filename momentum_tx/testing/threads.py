"""
A thread executor without threads.
"""

import random
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import SpoolError
from ..interfaces.seams import IThreadExecutor

T = TypeVar("T")


@implementer(IThreadExecutor)
class InlineThreads:
    """
    Runs each call in a later turn of the clock; which of the waiting calls is
    next is the random source's choice, as it is the kernel's with real threads.

    :ivar delay: seconds of the clock a call takes (a slow disk).
    :ivar running: calls whose turn has not come.
    """

    def __init__(self, clock: IReactorTime, rng: random.Random | None = None) -> None:
        """
        :param rng: chooses among the waiting calls; without it they run in order.
        """
        self._clock = clock
        self._rng = rng
        self._waiting: list[Callable[[], None]] = []
        self._stopped = False
        self.delay = 0.0

    @property
    def running(self) -> int:
        """
        Calls whose turn has not come.
        """
        return len(self._waiting)

    def run(self, function: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        See :class:`~momentum_tx.interfaces.seams.IThreadExecutor`.
        """
        result: Deferred[T] = Deferred()
        if self._stopped:
            result.errback(SpoolError("the worker threads have been stopped"))
            return result

        def work() -> None:
            try:
                value = function(*args)
            except Exception:
                result.errback(Failure())
            else:
                result.callback(value)

        self._waiting.append(work)
        self._clock.callLater(self.delay, self._turn)
        return result

    def stop(self) -> None:
        """
        Run what waits, at once, and take no more.
        """
        self._stopped = True
        while self._waiting:
            self._next()

    def _turn(self) -> None:
        if self._waiting:
            self._next()

    def _next(self) -> None:
        index = self._rng.randrange(len(self._waiting)) if self._rng is not None else 0
        self._waiting.pop(index)()
