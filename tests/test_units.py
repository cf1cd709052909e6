"""
Tests of :mod:`momentum_tx.units`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.units import duration, rate, windows


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


class RateTests(SynchronousTestCase):
    """
    How often something may happen, as people write it.
    """

    def test_read(self) -> None:
        """
        Momentum's two forms, and periods by name or as a time.
        """
        for text, expected in (
            ("5", (5, 1.0)),
            ("10/60", (10, 60.0)),
            ("3/s", (3, 1.0)),
            ("3/second", (3, 1.0)),
            ("100/min", (100, 60.0)),
            ("100 / min", (100, 60.0)),
            ("5000/hour", (5000, 3600.0)),
            ("100000/day", (100_000, 86400.0)),
            ("7/1.5h", (7, 5400.0)),
            ("0", (0, 1.0)),
            ("1/365d", (1, 31_536_000.0)),
        ):
            self.assertEqual(rate(text), expected, text)

    def test_refused(self) -> None:
        """
        Anything else is refused, with what was expected.
        """
        for text in ("", "-1", "1.5", "ten", "5/", "/min", "5/0", "5/week", "5/min/s", "5\n", "9" * 30, "1/366d"):
            error = self.assertRaises(ValueError, rate, text)
            self.assertIn("100/min", str(error), text)


class WindowsTests(SynchronousTestCase):
    """
    Windows to count in.
    """

    def test_read(self) -> None:
        """
        Size and count, with or without a space.
        """
        self.assertEqual(windows("60,15"), (60, 15))
        self.assertEqual(windows(" 3600, 24 "), (3600, 24))

    def test_refused(self) -> None:
        """
        Anything else is refused.
        """
        for text in ("", "60", "60,", ",15", "0,5", "60,0", "-60,5", "60,15,3", "1.5,3", "9" * 40 + ",1", "60,100000"):
            self.assertRaises(ValueError, windows, text)
