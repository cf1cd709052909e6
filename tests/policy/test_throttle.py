"""
Tests of :mod:`momentum_tx.policy.throttle`.
"""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.throttle import MOST_REMEMBERED, Window


def greedy(window: Window, moments: list[float]) -> list[float]:
    """
    When events happen if somebody asks at *moments* and takes all there is.
    """
    happened = []
    for now in moments:
        free = window.free(now)
        window.take(free, now)
        happened += [now] * free
    return happened


class WindowTests(SynchronousTestCase):
    """
    At most so many events in any window.
    """

    def assertHeld(self, happened: list[float], count: int, period: float) -> None:
        """
        No half-open window of *period* seconds holds more than *count* events.
        """
        for index in range(len(happened) - count):
            self.assertGreaterEqual(happened[index + count] - happened[index], period)

    def test_bothSidesOfTheWindow(self) -> None:
        """
        The event that is one too many has to wait until the first is a whole
        period old, and no longer.
        """
        window = Window(2, 10.0)
        window.take(1, 100.0)
        self.assertEqual(window.free(103.0), 1)
        window.take(1, 103.0)
        self.assertEqual(window.free(109.999), 0)
        self.assertEqual(window.until(109.999), 110.0)
        self.assertEqual(window.free(110.0), 1)
        window.take(1, 110.0)
        self.assertEqual(window.free(112.999), 0)
        self.assertEqual(window.free(113.0), 1)

    def test_nothingHappenedYet(self) -> None:
        """
        A fresh window gives its whole count at once, without waiting.
        """
        window = Window(5, 1.0)
        self.assertEqual(window.free(7.0), 5)
        self.assertEqual(window.until(7.0), 7.0)

    def test_neverExceeded(self) -> None:
        """
        Whoever asks, however often and at whatever moments, no window holds
        more than the count.
        """
        random = Random(11)
        for count, period in ((1, 1.0), (3, 0.7), (10, 1.0), (250, 60.0), (2500, 60.0), (1001, 1.0)):
            now, moments = random.random() * 1e6, []
            for _ in range(3000):
                now += random.expovariate(3 * count / period)
                moments.append(now)
            happened = greedy(Window(count, period), moments)
            self.assertHeld(happened, count, period)

    def test_rateIsReached(self) -> None:
        """
        Somebody who asks at the moments the window names gets all of the rate,
        also when the count is too large to be remembered one by one.
        """
        for count in (1, 7, 1000, 1500, 100_000):
            window, now, total = Window(count, 60.0), 0.0, 0
            while now < 600.0:
                free = window.free(now)
                window.take(free, now)
                total += free
                now = window.until(now)
            self.assertGreaterEqual(total, 10 * count * 0.998)
            self.assertLessEqual(total, 10 * count + count)

    def test_nextMomentIsEnough(self) -> None:
        """
        At the moment the window names there is room, whatever the rounding.
        """
        random = Random(5)
        for _ in range(2000):
            window = Window(1, random.uniform(0.001, 100.0))
            now = random.uniform(0.0, 2e9)
            window.take(1, now)
            self.assertEqual(window.free(window.until(now)), 1)

    def test_promisesCount(self) -> None:
        """
        What was promised is nobody else's until it happens or is withdrawn;
        it counts from when it happens.
        """
        window = Window(2, 10.0)
        window.promise(2)
        self.assertEqual(window.free(0.0), 0)
        window.withdraw(1)
        self.assertEqual(window.free(0.0), 1)
        window.keep(1, 5.0)
        window.take(1, 5.0)
        self.assertEqual(window.free(14.9), 0)
        self.assertEqual(window.free(15.0), 2)

    def test_promiseWithoutPast(self) -> None:
        """
        While only promises fill the window, no moment can be named.
        """
        window = Window(1, 10.0)
        window.promise(1)
        self.assertEqual(window.until(3.0), 3.0)

    def test_anotherMeasure(self) -> None:
        """
        A stricter measure counts what happened before it.
        """
        window = Window(10, 10.0)
        window.take(5, 100.0)
        window.configure(3, 10.0)
        self.assertEqual(window.free(105.0), 0)
        self.assertEqual(window.until(105.0), 110.0)
        self.assertEqual(window.free(110.0), 3)

    def test_clockGoesBack(self) -> None:
        """
        A clock that is put back by a day costs at most one period, and gives
        nothing away.
        """
        window = Window(1, 10.0)
        window.take(1, 100_000.0)
        self.assertEqual(window.free(13_600.0), 0)
        self.assertEqual(window.until(13_600.0), 13_610.0)
        self.assertEqual(window.free(13_610.0), 1)

    def test_memoryIsBounded(self) -> None:
        """
        A million a day does not remember a million moments.
        """
        window = Window(1_000_000, 86_400.0)
        now = 0.0
        for _ in range(3):
            free = window.free(now)
            self.assertLessEqual(free, MOST_REMEMBERED)
            window.take(free, now)
            now = window.until(now)
