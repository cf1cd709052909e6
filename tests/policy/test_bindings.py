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

    def choices(
        self, slots: tuple[int, ...], suspended: set[int], weights: tuple[int, ...] = ()
    ) -> Counter[int | None]:
        source = random.Random(11)
        weighed = dict(zip(slots, weights or (1,) * len(slots), strict=True))
        return Counter(choose_from_group(weighed, suspended.__contains__, source) for _ in range(3000))

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

    def test_weights(self) -> None:
        """
        A member is chosen as often as its weight says, among those that are not suspended.
        """
        counts = self.choices((3, 5, 9), set(), (1, 2, 7))
        for slot, share in ((3, 300), (5, 600), (9, 2100)):
            self.assertApproximates(counts[slot], share, 100)
        counts = self.choices((3, 5, 9), {9}, (1, 2, 7))
        self.assertEqual(set(counts), {3, 5})
        self.assertApproximates(counts[3], 1000, 100)

    def test_weightless(self) -> None:
        """
        Weight 0 is never chosen, not even where all others are suspended; where
        nobody has weight, nobody is.
        """
        self.assertEqual(set(self.choices((3, 5, 9), {5, 9}, (0, 1, 1))), {5, 9})
        self.assertEqual(set(self.choices((3, 5), set(), (0, 0))), {None})
        self.assertEqual(set(self.choices((), set())), {None})

    def test_one(self) -> None:
        """
        A group of one has no choice, suspended or not.
        """
        self.assertEqual(set(self.choices((4,), set())), {4})
        self.assertEqual(set(self.choices((4,), {4})), {4})
