"""
Tests of :mod:`momentum_tx.classify.unknown`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.classify import unknown as module
from momentum_tx.classify.unknown import Unknown, shape_of


class ShapeTests(SynchronousTestCase):
    """
    What texts have in common.
    """

    def test_shapes(self) -> None:
        """
        Codes and words stay; what is of one message alone does not.
        """
        for text, shape in (
            (
                "554 5.7.1 Xyzzy <lea@shop.example> from 192.0.2.17 id 4711",
                "554 5.7.1 Xyzzy <address> from <ip> id <n>",
            ),
            ("451 queue 4BxYz12Q9z at mx3.shop.example", "451 queue <id> at <host>"),
            ("550 see https://shop.example/x?y=1 [2001:db8::1]", "550 see <link> <ip>"),
            ("no code 5", "no code <n>"),
        ):
            self.assertEqual(shape_of(text), shape)


class UnknownTests(SynchronousTestCase):
    """
    Counting.
    """

    def test_counted(self) -> None:
        """
        By shape, commonest first, with a sample.
        """
        unknown = Unknown()
        for number in range(3):
            unknown.add(f"554 rare {number}", "a.example", float(number))
        unknown.add("554 other", "b.example", 9.0)
        (first, shape), (second, _) = unknown.most()
        self.assertEqual((first, shape.count, shape.sample, shape.last), ("554 rare <n>", 3, "554 rare 0", 2.0))
        self.assertEqual((second, unknown.total), ("554 other", 4))
        self.assertEqual(len(unknown.most(1)), 1)

    def test_bounded(self) -> None:
        """
        The shape that was seen longest ago is forgotten.
        """
        self.patch(module, "MOST_SHAPES", 2)
        unknown = Unknown()
        for text in ("a", "b", "a", "c"):
            unknown.add(text, "", 0.0)
        self.assertEqual((list(unknown.shapes), unknown.total), (["a", "c"], 4))
