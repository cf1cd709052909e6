"""
What a lost reply to a final dot may mean.
"""

from dataclasses import fields

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.lost_reply import POLICIES, LostReply, assumed
from momentum_tx.settings import PathSettings


class LostReplyTests(SynchronousTestCase):
    """
    The policies.
    """

    def test_words(self) -> None:
        """
        The option takes every policy by its name, and nothing else; the default retries.
        """
        (option,) = [field for field in fields(PathSettings) if field.name == "lost_final_reply"]
        self.assertEqual(set(POLICIES), set(option.metadata["choices"]))
        self.assertIs(POLICIES[PathSettings().lost_final_reply], LostReply.RETRY)

    def test_numbers(self) -> None:
        """
        What is on record in journals means the same for ever.
        """
        self.assertEqual(
            {policy.name: int(policy) for policy in LostReply}, {"RETRY": 0, "ASSUME_DELIVERED": 1, "HOLD": 2}
        )

    def test_assumed(self) -> None:
        """
        What is assumed says so, and why.
        """
        note = assumed(b"451 4.4.2 [internal] no BODY response")
        self.assertTrue(note.startswith(b"250 2.0.0 [internal] assumed delivered"))
        self.assertTrue(note.endswith(b"no BODY response"))
