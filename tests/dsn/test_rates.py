"""
Tests of :mod:`momentum_tx.dsn.rates`.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.dsn import rates as module
from momentum_tx.dsn.rates import WINDOW, SenderRates


class SenderRatesTests(SynchronousTestCase):
    """
    One bound for each domain.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.rates = SenderRates(self.clock.seconds)

    def test_limit(self) -> None:
        """
        So many in a window; the first that is too many is known as such; other domains have their own.
        """
        self.assertEqual([self.rates.admits("a.example", 2) for _ in range(2)], [True, True])
        self.assertFalse(self.rates.first_dropped("a.example"))
        firsts = []
        for _ in range(3):
            self.assertFalse(self.rates.admits("a.example", 2))
            firsts.append(self.rates.first_dropped("a.example"))
        self.assertEqual(firsts, [True, False, False])
        self.assertTrue(self.rates.admits("b.example", 2))
        self.clock.advance(WINDOW)
        self.assertTrue(self.rates.admits("a.example", 2))
        self.assertEqual(self.rates.dropped, 3)

    def test_none(self) -> None:
        """
        Zero is no limit.
        """
        self.assertTrue(all(self.rates.admits("a.example", 0) for _ in range(1000)))

    def test_bounded(self) -> None:
        """
        Of many domains the last ones are counted.
        """
        self.patch(module, "MOST_DOMAINS", 3)
        for name in "abcd":
            self.rates.admits(name, 1)
        self.assertEqual([self.rates.admits(name, 1) for name in "bcd"], [False] * 3)
        self.assertTrue(self.rates.admits("a", 1))
