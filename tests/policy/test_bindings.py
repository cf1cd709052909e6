"""
Tests of :mod:`momentum_tx.policy.bindings`.
"""

import random
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.bindings import choose_from_group


class GroupTests(SynchronousTestCase):
    """
    The member of a group a message leaves from.
    """

    def choices(self, slots: tuple[int, ...], suspended: set[int]) -> Counter[int]:
        source = random.Random(11)
        return Counter(choose_from_group(slots, suspended.__contains__, source) for _ in range(3000))

    def test_fair(self) -> None:
        """
        Every member is as likely as the other.
        """
        counts = self.choices((3, 5, 9), set())
        self.assertEqual(set(counts), {3, 5, 9})
        for count in counts.values():
            self.assertApproximates(count, 1000, 100)

    def test_suspended(self) -> None:
        """
        A suspended member is passed over while there is another; the rest share its mail.
        """
        counts = self.choices((3, 5, 9), {5})
        self.assertEqual(set(counts), {3, 9})
        self.assertApproximates(counts[3], 1500, 100)

    def test_all_suspended(self) -> None:
        """
        Where all are suspended, the mail waits on any of them.
        """
        self.assertEqual(set(self.choices((3, 5, 9), {3, 5, 9})), {3, 5, 9})

    def test_one(self) -> None:
        """
        A group of one has no choice, suspended or not.
        """
        self.assertEqual(set(self.choices((4,), set())), {4})
        self.assertEqual(set(self.choices((4,), {4})), {4})
