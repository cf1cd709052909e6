"""
Tests of :mod:`momentum_tx.policy.lookup_failures`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.lookup_failures import DNSHealth, LookupFailures

NOW = 1_700_000_000.0


class LookupFailuresTests(SynchronousTestCase):
    """
    Which failures count.
    """

    def setUp(self) -> None:
        self.health = DNSHealth()
        self.failures = LookupFailures()

    def fails(self, at: float, answered: int = 1, troubled: int = 0) -> bool:
        """
        The look-up fails again, after so much has happened to other domains:
        whether that counts.
        """
        self.health.answered += answered
        self.health.troubled += troubled
        return self.failures.count(self.health, NOW + at, 600.0)

    def test_apart(self) -> None:
        """
        The first failure is none yet; then one counts in each interval.
        """
        times = (0, 1, 599.9, 600, 601, 1199, 1200, 5000, 5001, 5600)
        counted = [at for at in times if self.fails(at)]
        self.assertEqual(counted, [600, 1200, 5000, 5600])

    def test_nobody_is_answered(self) -> None:
        """
        While DNS answers nobody, or fails for as many as it answers for, no
        failure counts; what happened before the interval is no evidence.
        """
        self.assertFalse(self.fails(0, answered=1000))
        self.assertFalse(self.fails(600, answered=0))
        self.assertFalse(self.fails(1200, answered=5, troubled=5))
        self.assertTrue(self.fails(1800, answered=5, troubled=4))
        self.assertFalse(self.fails(2400, answered=0))

    def test_clock_put_back(self) -> None:
        """
        A wall clock that was put back begins a new interval.
        """
        self.fails(0)
        self.assertFalse(self.fails(-3600))
        self.assertFalse(self.fails(-3001))
        self.assertTrue(self.fails(-3000))

    def test_clock_was_set(self) -> None:
        """
        When everything is told that the clock was set, the interval is as long as before.
        """
        self.failures.shift(100.0)
        self.fails(0)
        self.failures.shift(3600.0)
        self.assertFalse(self.fails(3600 + 599.9))
        self.assertTrue(self.fails(3600 + 600))
        self.failures.shift(-7200.0)
        self.assertFalse(self.fails(-3000.1))
        self.assertTrue(self.fails(-2400))

    def test_no_interval(self) -> None:
        """
        Without an interval every failure but the first counts.
        """
        found = [self.failures.count(self.health, NOW, 0.0) for self.health.answered in range(3)]
        self.assertEqual(found, [False, True, True])
