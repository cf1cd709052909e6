"""
Tests of :mod:`momentum_tx.usage`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.usage import more_than_nothing, whole_number, worded


class NumberTests(SynchronousTestCase):
    """
    What is taken, and what is said of the rest.
    """

    def refused(self, read: Callable[[str], float], text: str) -> str:
        """
        What is said.
        """
        return str(self.assertRaises(argparse.ArgumentTypeError, read, text))

    def test_wholeNumber(self) -> None:
        """
        Both bounds are in it.
        """
        self.assertEqual([whole_number(1, 3)(text) for text in ("1", "3")], [1, 3])
        self.assertEqual(whole_number(1)("1000000"), 1000000)
        for text in ("0", "4"):
            self.assertEqual(self.refused(whole_number(1, 3), text), "between 1 and 3")
        self.assertEqual(self.refused(whole_number(1), "-1"), "at least 1")
        for text in ("x", "1.5", ""):
            self.assertEqual(self.refused(whole_number(1), text), f"{text!r} is no whole number")

    def test_worded(self) -> None:
        """
        What a reader says of nonsense is what is said.
        """

        def read(text: str) -> int:
            if text == "one":
                return 1
            raise ValueError("only one is known")

        self.assertEqual(worded(read)("one"), 1)
        self.assertEqual(self.refused(worded(read), "two"), "only one is known")

    def test_moreThanNothing(self) -> None:
        """
        Neither nothing nor without end.
        """
        self.assertEqual(more_than_nothing("0.5"), 0.5)
        for text in ("0", "-1", "inf", "nan"):
            self.assertEqual(self.refused(more_than_nothing, text), "must be more than 0")
        self.assertEqual(self.refused(more_than_nothing, "soon"), "'soon' is no number")
