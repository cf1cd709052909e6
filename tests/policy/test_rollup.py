"""
Sets of exchangers and their names.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config import names
from momentum_tx.policy.rollup import ranked, set_name


class RankedTests(SynchronousTestCase):
    """
    The one form of a set.
    """

    def test_table(self) -> None:
        """
        Numbers become places; the order of the answer, and a host that comes
        twice, make no difference.
        """
        for exchangers, form in (
            ([], ()),
            ([(10, "a")], ((0, "a"),)),
            ([(20, "b"), (10, "a")], ((0, "a"), (1, "b"))),
            ([(1, "b"), (1, "a"), (5, "c")], ((0, "a"), (0, "b"), (1, "c"))),
            ([(10, "a"), (20, "a"), (30, "b")], ((0, "a"), (1, "b"))),
        ):
            self.assertEqual(ranked(exchangers), form)


class NameTests(SynchronousTestCase):
    """
    The routing domain of a set.
    """

    def test_differs(self) -> None:
        """
        Each set has its own name, which begins with that of its best exchanger.
        """
        sets = [((0, "a.example"),), ((0, "a.example"), (1, "b.example")), ((0, "a.example"), (0, "b.example"))]
        found = [set_name(each) for each in sets]
        self.assertEqual(len(set(found)), 3)
        self.assertTrue(all(name.startswith("a.example.") for name in found))

    def test_may_be_written(self) -> None:
        """
        It is a name under which options can be written, however long the exchanger's.
        """
        longest = ".".join(["x" * 49] * 5)
        for host in ("mx.example", longest):
            name = set_name(((0, host),))
            self.assertEqual(names.domain(name), name)
