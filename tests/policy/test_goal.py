"""
Tests of :mod:`momentum_tx.policy.goal`.
"""

from math import ceil

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.goal import default_connection_goal


class GoalTests(SynchronousTestCase):
    """
    How many connections a queue deserves.
    """

    def test_figure(self) -> None:
        """
        The goals of Momentum's figure, at its limit of 32 connections, rounded up.
        """
        for queued, normal, high in (
            (10, 2.9, 6.7),
            (50, 12.0, 22.1),
            (100, 19.5, 28.9),
            (200, 27.1, 31.7),
            (400, 31.2, 32.0),
        ):
            self.assertEqual(default_connection_goal(queued, 32), ceil(normal), queued)
            self.assertEqual(default_connection_goal(queued, 32, "normal"), ceil(normal), queued)
            self.assertEqual(default_connection_goal(queued, 32, "high"), ceil(high), queued)

    def test_first_messages(self) -> None:
        """
        One message makes one connection; the next share it, fewer where growth is fast.
        """
        self.assertEqual([default_connection_goal(n, 32) for n in range(9)], [0, 1, 1, 1, 2, 2, 2, 3, 3])
        self.assertEqual([default_connection_goal(n, 32, "high") for n in range(9)], [0, 1, 2, 3, 3, 4, 5, 5, 6])

    def test_no_mail(self) -> None:
        """
        Without mail, or where none may be opened, no connection is wanted.
        """
        for queued, limit in ((0, 32), (-1, 32), (5, 0), (5, -1), (0, 0)):
            self.assertEqual(default_connection_goal(queued, limit), 0)

    def test_bounds(self) -> None:
        """
        The goal grows with the queue and the limit, and exceeds neither.
        """
        for aggressiveness in ("normal", "high"):
            for limit in (1, 2, 5, 32, 1000):
                before = 0
                for queued in (1, 2, 3, 10, 100, 1000, 10**6, 10**12):
                    goal = default_connection_goal(queued, limit, aggressiveness)
                    self.assertGreaterEqual(goal, max(1, before))
                    self.assertLessEqual(goal, min(queued, limit))
                    before = goal
                self.assertEqual(before, limit)

    def test_small_limit(self) -> None:
        """
        The first message's share does not depend on the limit.
        """
        for limit in (10, 32, 100, 10000):
            self.assertIn(default_connection_goal(10, limit), (3,))
