"""
The real thread executor: threads of its own, so that no other library's blocking
calls delay a sync.

Twisted's thread pool would do, at three times the price of a hand-over while several
calls are under way: it keeps a coordinator, a log context and a wake-up of the reactor for each call.  The journal
hands over hundreds of syncs a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import SpoolError
from ..interfaces.seams import IThreadExecutor

T = TypeVar("T")


@implementer(IThreadExecutor)
class ReactorThreads:
    """
    Worker threads whose results come back in the thread of *reactor*.

    Threads start with the first calls.  :meth:`stop` waits for the calls that
    were made; results that come after it are delivered if the reactor still runs.
    """

    def __init__(self, reactor: IReactorFromThreads, size: int) -> None:
        """
        :param size: most threads at once; further calls wait their turn.
        """
        self._reactor = reactor
        self._size = size
        self._threads: list[Thread] = []
        self._calls: SimpleQueue[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        # Calls that were made and whose result is not delivered.
        self._unanswered = 0
        self._results: deque[tuple[Deferred[Any], Any]] = deque()
        # Whether the reactor was asked to deliver and has not begun to.
        self._asked = False
        self._stopped = False

    def run(self, function: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        See :class:`~momentum_tx.interfaces.seams.IThreadExecutor`; fails with
        :class:`~momentum_tx.errors.SpoolError` after :meth:`stop`.
        """
        if self._stopped:
            return fail(SpoolError("the worker threads have been stopped"))
        self._unanswered += 1
        if len(self._threads) < min(self._unanswered, self._size):
            thread = Thread(target=self._work, name=f"momentum-tx-{len(self._threads)}")
            self._threads.append(thread)
            thread.start()
        # No canceller: a worker cannot be interrupted, its result is dropped.
        result: Deferred[T] = Deferred()
        self._calls.put((result, function, args))
        return result

    def stop(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IThreadExecutor`.
        """
        self._stopped = True
        threads, self._threads = self._threads, []
        for _ in threads:
            self._calls.put(None)
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        """
        What each thread does.
        """
        while (call := self._calls.get()) is not None:
            result, function, args = call
            try:
                value: Any = function(*args)
            except BaseException:
                value = Failure()
            self._results.append((result, value))
            # First the result, then the look: whoever has not begun to deliver will find it.
            if not self._asked:
                self._asked = True
                self._reactor.callFromThread(self._deliver)
            # Not kept until the next call comes: it may hold a body.
            del call, result, function, args, value

    def _deliver(self) -> None:
        self._asked = False
        results = self._results
        while results:
            result, value = results.popleft()
            self._unanswered -= 1
            result.callback(value)
