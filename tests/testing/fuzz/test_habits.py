"""
What the receivers of a plan are to do.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.testing.fuzz.habits import BREAKS, POINTS, Habits
from momentum_tx.testing.fuzz.plan import Part


class HabitsTests(SynchronousTestCase):
    """
    Habits by the thousand; that all kinds are drawn is seen in the plans
    (``test_making``).
    """

    def setUp(self) -> None:
        habits = Habits(Random(1), 600.0)
        self.drawn = [habits.draw() for _ in range(5000)]

    def broken(self) -> list[Part]:
        """
        Those that break at a point.
        """
        return [part for part in self.drawn if part.kind == "BrokenAt"]

    def test_same(self) -> None:
        """
        The same dice draw the same habits.
        """
        again = Habits(Random(1), 600.0)
        self.assertEqual([again.draw() for _ in range(100)], self.drawn[:100])

    def test_everything_breaks(self) -> None:
        """
        Every point breaks, and in every way.
        """
        self.assertEqual({part.args["point"] for part in self.broken()}, set(POINTS))
        ways = [{key: value for key, value in part.args["answer"].items() if key != "after"} for part in self.broken()]
        for way in BREAKS:
            self.assertIn(way, ways)

    def test_no_liars(self) -> None:
        """
        No receiver says that it has taken a message before it has.
        """
        for part in self.broken():
            if part.args["point"] == "body":
                self.assertNotEqual(part.args["answer"].get("reply", "")[:1], "2")

    def test_outages_end(self) -> None:
        """
        An outage is over before the next one, and begins before the storm is over.
        """
        for part in self.drawn:
            if part.kind == "OutageSchedule":
                self.assertLess(part.args["lasts"], part.args["every"])
                self.assertLess(part.args["first"], 600.0)
