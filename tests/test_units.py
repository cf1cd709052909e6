"""
Tests of :mod:`momentum_tx.units`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.units import duration


class DurationTests(SynchronousTestCase):
    """
    Times as people write them.
    """

    def test_units(self) -> None:
        """
        Seconds, minutes, hours and days; a number alone is seconds.
        """
        texts = ("90", "90s", "5m", "1.5h", "2d", "2 d", "0.5")
        self.assertEqual([duration(text) for text in texts], [90, 90, 300, 5400, 172800, 172800, 0.5])

    def test_nonsense(self) -> None:
        """
        Anything else is refused.
        """
        for text in ("", "m", "-5m", "5 minutes", "5M", "1e3", "nan", "0", "0s", "5m30s", "\u0661m", "5m\n"):
            self.assertRaises(ValueError, duration, text)
