"""
The real thread executor: a pool of its own, so that no other library's blocking
calls delay a sync.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from ..errors import SpoolError
from ..interfaces.seams import IThreadExecutor

T = TypeVar("T")


@implementer(IThreadExecutor)
class ReactorThreads:
    """
    Worker threads whose results come back in the thread of *reactor*.

    Threads start with the first call.  :meth:`stop` waits for the calls that
    run; results that come after it are delivered if the reactor still runs.
    """

    def __init__(self, reactor: IReactorFromThreads, size: int) -> None:
        """
        :param size: most threads at once; further calls wait their turn.
        """
        self._reactor = reactor
        self._size = size
        self._pool: ThreadPool | None = None
        self._stopped = False

    def run(self, function: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        See :class:`~momentum_tx.interfaces.seams.IThreadExecutor`; fails with
        :class:`~momentum_tx.errors.SpoolError` after :meth:`stop`.
        """
        if self._stopped:
            return fail(SpoolError("the worker threads have been stopped"))
        if self._pool is None:
            self._pool = ThreadPool(0, self._size, "momentum-tx")
            self._pool.start()
        # No canceller: a worker cannot be interrupted, its result is dropped.
        result: Deferred[T] = Deferred()

        def finished(success: bool, value: Any) -> None:
            # In the worker's thread still.
            self._reactor.callFromThread(_deliver, result, success, value)

        self._pool.callInThreadWithCallback(finished, function, *args)
        return result

    def stop(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IThreadExecutor`.
        """
        self._stopped = True
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()


def _deliver(result: Deferred[Any], success: bool, value: Any) -> None:
    if success:
        result.callback(value)
    else:
        assert isinstance(value, Failure)
        result.errback(value)
