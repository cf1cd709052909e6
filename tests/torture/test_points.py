"""
Which points there are, and in which order.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.torture.points import Moment, Point, enumerate_points, moments


class PointTests(SynchronousTestCase):
    """
    A point is written as people type it.
    """

    def test_thereAndBack(self) -> None:
        """
        What a report prints is what the command takes.
        """
        point = Point("traffic", "append intent in append", Moment.AMID, 3)
        self.assertEqual(str(point), "traffic: append intent in append: amid: 3")
        self.assertEqual(Point.parse(str(point)), point)

    def test_nonsense(self) -> None:
        """
        Anything else is refused.
        """
        for text in ("", "traffic: sync: amid", "a: b: during: 1", "a: b: amid: 0", "a: b: amid: x", "a: : amid: 1"):
            self.assertRaises(ValueError, Point.parse, text)

    def test_moments(self) -> None:
        """
        Only a write has a middle; a kill after what changes nothing is one before the next step.
        """
        self.assertEqual(moments("append reception in append"), tuple(Moment))
        self.assertEqual(moments("sync in sync"), (Moment.BEFORE, Moment.AFTER))
        self.assertEqual(moments("read in get"), (Moment.BEFORE,))


class EnumerationTests(SynchronousTestCase):
    """
    A bound on their number takes the first of each kind first.
    """

    def numbers(self, counts: dict[str, dict[str, int]]) -> list[tuple[str, int]]:
        """
        Story, step and number of each point in turn, each once.
        """
        points = enumerate_points(counts)
        return list(dict.fromkeys((f"{point.scenario} {point.step}", point.nth) for point in points))

    def test_order(self) -> None:
        """
        The first, the last, the one in the middle, the rest; all stories in turn.
        """
        self.assertEqual(
            self.numbers({"a": {"sync": 5, "lock": 1}, "b": {"sync": 2}}),
            [
                ("a lock", 1),
                ("a sync", 1),
                ("b sync", 1),
                ("a sync", 5),
                ("b sync", 2),
                ("a sync", 3),
                ("a sync", 2),
                ("a sync", 4),
            ],
        )

    def test_all(self) -> None:
        """
        Every step at every moment, none twice.
        """
        points = list(enumerate_points({"a": {"append x": 7, "read": 4}}))
        self.assertEqual(len(points), 7 * 3 + 4)
        self.assertEqual(len(set(points)), len(points))
