"""
Tests of :mod:`momentum_tx.policy.credentials`.
"""

import copy
import pickle

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.credentials import LONGEST_SECRET, LONGEST_USER, Credentials


class CredentialsTests(SynchronousTestCase):
    """
    A user and a secret.
    """

    def test_value(self) -> None:
        """
        Equal ones are equal, and nothing that differs is.
        """
        one = Credentials("lea", "pass word")
        self.assertEqual({one, Credentials("lea", "pass word")}, {one})
        self.assertEqual(one.reveal(), "pass word")
        for other in (
            Credentials("leo", "pass word"),
            Credentials("lea", "password"),
            Credentials("lea", "pass word", authzid="boss"),
            "lea",
        ):
            self.assertNotEqual(one, other)
        self.assertNotEqual(Credentials("lea", "x"), Credentials("lea", "x", token=True))

    def test_secret(self) -> None:
        """
        The secret is in no text made of it, and it is not written down.
        """
        for token in (False, True):
            one = Credentials("lea", "hunter2", token)
            self.assertNotIn("hunter2", f"{one} {one!r} {[one]}")
            self.assertIn("lea", repr(one))
            self.assertRaises(TypeError, pickle.dumps, one)
            self.assertRaises(TypeError, copy.copy, one)

    def test_impossible(self) -> None:
        """
        What no server could be told is refused, without the secret in the refusal.
        """
        for arguments in (
            ("", "hunter2"),
            ("lea", ""),
            ("l\0a", "hunter2"),
            ("lea", "hunter2\0"),
            ("lea", "hunter2" * LONGEST_SECRET),
            ("l" * (LONGEST_USER + 1), "hunter2"),
            ("lea", "hunter2\ud800"),
            ("lea", b"hunter2"),
            ("lea", "hunter2 ", True),
            ("lea", "hunter2\1", True),
            ("lea", "hunter2é", True),
            ("lea", "hunter2", False, "\0"),
        ):
            error = self.assertRaises(ValueError, Credentials, *arguments)
            self.assertNotIn("hunter2", str(error))
        Credentials("lea", "ü" * (LONGEST_SECRET // 2))
