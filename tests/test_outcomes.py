"""
Tests of :mod:`momentum_tx.outcomes`.
"""

from dataclasses import FrozenInstanceError

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.outcomes import Outcome, Scope, Verdict
from momentum_tx.stages import Stage


class OutcomeTests(SynchronousTestCase):
    """
    What an attempt says of one recipient.
    """

    def test_defaults(self) -> None:
        """
        An outcome nobody says more about is unambiguous and at no stage.
        """
        outcome = Outcome(b"bob@example.com", Verdict.TRANSIENT, Scope.HOST, b"421 4.3.2 closing")
        self.assertIs(outcome.stage, Stage.UNKNOWN)
        self.assertFalse(outcome.ambiguous)

    def test_is_a_value(self) -> None:
        """
        Equal outcomes are equal and may be kept in sets; none can be changed afterwards.
        """
        one, two = (
            Outcome(b"bob@example.com", Verdict.DELIVERED, Scope.RECIPIENT, b"250 ok", Stage.READING_CONFIRMATION)
            for _ in range(2)
        )
        self.assertEqual(one, two)
        self.assertEqual(len({one, two}), 1)
        with self.assertRaises(FrozenInstanceError):
            one.verdict = Verdict.PERMANENT  # type: ignore[misc]

    def test_scopes(self) -> None:
        """
        Scopes are ordered from narrow to wide, so that the widest of several refusals is their maximum.
        """
        self.assertEqual(sorted(Scope), list(Scope))
        self.assertIs(max(Scope.RECIPIENT, Scope.DOMAIN, Scope.CONNECTION), Scope.DOMAIN)

    def test_verdicts(self) -> None:
        """
        There are three verdicts and no fourth.
        """
        self.assertEqual([verdict.value for verdict in Verdict], ["delivered", "transient", "permanent"])
