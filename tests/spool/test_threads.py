"""
The real worker threads.
"""

import threading
import weakref
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import SpoolError
from momentum_tx.interfaces.seams import IThreadExecutor
from momentum_tx.spool.threads import ReactorThreads


class QueueingReactor:
    """
    Keeps what threads hand over, for the test to run.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Any, tuple[Any, ...]]] = []
        self.came = threading.Semaphore(0)

    def callFromThread(self, callable: Any, *args: Any) -> None:
        self.calls.append((callable, args))
        self.came.release()

    def run_one(self) -> None:
        """
        Wait for a call and make it.
        """
        assert self.came.acquire(timeout=10)
        callable, args = self.calls.pop(0)
        callable(*args)


class ReactorThreadsTests(SynchronousTestCase):
    """
    Calls run in a worker, results come back in the reactor's thread.
    """

    def setUp(self) -> None:
        self.reactor = QueueingReactor()
        self.threads = ReactorThreads(self.reactor, 1)  # type: ignore[arg-type]
        self.addCleanup(self.threads.stop)

    def test_provides(self) -> None:
        """
        It has all that its contract asks for.
        """
        self.assertTrue(verifyObject(IThreadExecutor, self.threads))

    def test_lazy(self) -> None:
        """
        No thread exists before there is work, and none after the stop.
        """
        before = threading.active_count()
        threads = ReactorThreads(self.reactor, 3)  # type: ignore[arg-type]
        self.assertEqual(threading.active_count(), before)
        threads.run(int)
        self.reactor.run_one()
        threads.stop()
        threads.stop()
        self.assertEqual(threading.active_count(), before)
        self.failureResultOf(threads.run(int), SpoolError)

    def test_result(self) -> None:
        """
        The function runs elsewhere; its value is delivered by the reactor.
        """

        def work(one: int, two: int) -> tuple[int, int]:
            return threading.get_ident(), one + two

        result: Deferred[tuple[int, int]] = self.threads.run(work, 1, 2)
        self.assertNoResult(result)
        self.reactor.run_one()
        ident, total = self.successResultOf(result)
        self.assertEqual(total, 3)
        self.assertNotEqual(ident, threading.get_ident())

    def test_exception(self) -> None:
        """
        What the function raises becomes the Deferred's failure.
        """
        result = self.threads.run(int, "x")
        self.reactor.run_one()
        self.failureResultOf(result, ValueError)

    def test_cancelled(self) -> None:
        """
        Cancelling drops the result; the worker is not stopped.
        """
        ran: list[int] = []
        result = self.threads.run(ran.append, 1)
        result.addErrback(lambda _: None)
        result.cancel()
        self.reactor.run_one()
        self.assertEqual(ran, [1])

    def test_one_at_a_time(self) -> None:
        """
        With one worker calls run in order, and their results come in order.
        """
        ran: list[int] = []
        told: list[int] = []

        def work(number: int) -> int:
            ran.append(number)
            return number

        for number in range(5):
            self.threads.run(work, number).addCallback(told.append)
        while len(told) < 5:
            self.reactor.run_one()
        self.assertEqual(ran, [0, 1, 2, 3, 4])
        self.assertEqual(told, ran)

    def test_one_wake_up(self) -> None:
        """
        Results that come while the reactor is busy wake it up once, and are delivered together.
        """
        ends = [self.threads.run(int, number) for number in range(3)]
        self.threads.stop()
        self.assertEqual(len(self.reactor.calls), 1)
        self.reactor.run_one()
        self.assertEqual([self.successResultOf(end) for end in ends], [0, 1, 2])

    def test_more_hands(self) -> None:
        """
        Calls that wait for one another run at the same time, up to the number of threads.
        """
        threads = ReactorThreads(self.reactor, 2)  # type: ignore[arg-type]
        self.addCleanup(threads.stop)
        before = threading.active_count()
        barrier = threading.Barrier(2, timeout=10)
        ends = [threads.run(barrier.wait) for _ in range(4)]
        self.assertLessEqual(threading.active_count() - before, 2)
        while not all(end.called for end in ends):
            self.reactor.run_one()
        self.assertEqual(sorted(self.successResultOf(end) for end in ends), [0, 0, 1, 1])

    def test_one_hand_is_enough(self) -> None:
        """
        A call that comes when all before are answered takes no other thread.
        """
        threads = ReactorThreads(self.reactor, 3)  # type: ignore[arg-type]
        self.addCleanup(threads.stop)
        before = threading.active_count()
        for _ in range(4):
            threads.run(int)
            self.reactor.run_one()
        self.assertEqual(threading.active_count() - before, 1)

    def test_nothing_kept(self) -> None:
        """
        What a call was about is let go of when it is answered, not when the next one comes.
        """

        class Large:
            pass

        large = Large()
        there = weakref.ref(large)
        self.threads.run(id, large)
        del large
        self.reactor.run_one()
        self.threads.stop()
        self.assertIsNone(there())
