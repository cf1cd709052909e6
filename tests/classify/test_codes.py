"""
Tests of :mod:`momentum_tx.classify.codes`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.classify.codes import CLASSES, Category


class CodesTests(SynchronousTestCase):
    """
    Momentum's table.
    """

    def test_whole(self) -> None:
        """
        Every code, in the category it has there.
        """
        self.assertEqual(
            {code: each.category.value for code, each in CLASSES.items()},
            {
                1: "Undetermined",
                10: "Hard",
                **dict.fromkeys((20, 21, 22, 23, 24), "Soft"),
                25: "Admin",
                30: "Hard",
                40: "Soft",
                **dict.fromkeys((50, 51, 52, 53, 54), "Block"),
                60: "Soft",
                70: "Soft",
                80: "Admin",
                90: "Hard",
                100: "Soft",
            },
        )
        self.assertEqual({each.category for each in CLASSES.values()}, set(Category))
        self.assertEqual(len({each.symbol for each in CLASSES.values()}), len(CLASSES))
