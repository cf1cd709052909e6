"""
Tests of :mod:`momentum_tx.dsn.schedule`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.dsn.schedule import next_notice

HOUR = 3600.0


def notices(interval: float, longest: float, count: int, began: float = 0.0) -> list[float]:
    """
    The first so many, in seconds from the reception.
    """
    found, now = [], began
    for _ in range(count):
        now = next_notice(began, now, interval, longest)
        found.append(now - began)
    return found


class NextNoticeTests(SynchronousTestCase):
    """
    When senders are told of a delay.
    """

    def test_published(self) -> None:
        """
        The example of Momentum's module: 3, 9, 21, 45 hours, then every 24.
        """
        hours = [when / HOUR for when in notices(3 * HOUR, 24 * HOUR, 7)]
        self.assertEqual(hours, [3, 9, 21, 45, 69, 93, 117])

    def test_defaults(self) -> None:
        """
        With an hour and half a day: 1, 3, 7, 15, then every 12.
        """
        self.assertEqual([when / HOUR for when in notices(HOUR, 12 * HOUR, 6)], [1, 3, 7, 15, 27, 39])

    def test_short_longest(self) -> None:
        """
        A longest interval below the first one is no reason to hurry.
        """
        self.assertEqual(notices(100, 10, 3), [100, 200, 300])

    @given(st.floats(1, 1e5), st.floats(1, 1e6), st.floats(0, 1e8))
    def test_anytime(self, interval: float, longest: float, age: float) -> None:
        """
        Whenever it is asked, it is the next one of the same row, and to come.
        """
        when = next_notice(1e9, 1e9 + age, interval, longest)
        self.assertGreater(when, 1e9 + age)
        self.assertLessEqual(when - (1e9 + age), max(interval, longest, interval * 2) + 1)
