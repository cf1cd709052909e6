"""
The thread executor without threads.
"""

import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import SpoolError
from momentum_tx.interfaces.seams import IThreadExecutor
from momentum_tx.testing.threads import InlineThreads


class InlineThreadsTests(SynchronousTestCase):
    """
    Behaves as the real one does, on a clock.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.threads = InlineThreads(self.clock)

    def test_provides(self) -> None:
        """
        It has all that its contract asks for.
        """
        self.assertTrue(verifyObject(IThreadExecutor, self.threads))

    def test_later(self) -> None:
        """
        A call runs in a later turn, never at once; a slow one takes its time.
        """
        self.threads.delay = 2.0
        result = self.threads.run(int, "7")
        self.assertNoResult(result)
        self.assertEqual(self.threads.running, 1)
        self.clock.advance(1.9)
        self.assertNoResult(result)
        self.clock.advance(0.1)
        self.assertEqual(self.successResultOf(result), 7)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_exception(self) -> None:
        """
        What the function raises becomes the Deferred's failure.
        """
        result = self.threads.run(int, "x")
        self.clock.advance(0)
        self.failureResultOf(result, ValueError)

    def test_order(self) -> None:
        """
        In order without a random source, in the source's order with one.
        """
        orders = set()
        for seed in range(20):
            threads = InlineThreads(self.clock, random.Random(seed))
            ran: list[int] = []
            for number in range(3):
                threads.run(ran.append, number)
                self.threads.run(ran.append, 10 + number)
            self.clock.advance(0)
            self.assertEqual([number for number in ran if number >= 10], [10, 11, 12])
            orders.add(tuple(number for number in ran if number < 10))
        self.assertGreater(len(orders), 3)

    def test_stop(self) -> None:
        """
        A stop runs what waits, and refuses more.
        """
        result = self.threads.run(int, "7")
        self.threads.stop()
        self.assertEqual(self.successResultOf(result), 7)
        self.failureResultOf(self.threads.run(int), SpoolError)
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
