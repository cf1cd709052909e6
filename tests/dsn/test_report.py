"""
Tests of :mod:`momentum_tx.dsn.report`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.dsn.report import Action, Report, Told


class ReportTests(SynchronousTestCase):
    """
    What a report tells.
    """

    def test_worst(self) -> None:
        """
        Of several the worst stands in front.
        """
        told = [Told(b"a@b.example", action, "2.0.0") for action in reversed(Action)]
        for count, action in enumerate(reversed(Action), 1):
            report = Report(b"", "", "", "", 0.0, 0.0, "", tuple(told[:count]))
            self.assertIs(report.action, action)
