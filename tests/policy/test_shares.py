"""
Tests of :mod:`momentum_tx.policy.shares`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.shares import TRAITS, parse, weight_of
from momentum_tx.queues.message import Traits


class ShareTests(SynchronousTestCase):
    """
    What a class of mail weighs.
    """

    def test_order(self) -> None:
        """
        A class names its traits in the order the weights are looked up by.
        """
        self.assertEqual(Traits._fields, TRAITS)

    def test_parse(self) -> None:
        """
        An entry is a trait, a name that may hold any printable character, and a weight.
        """
        for text, expected in (
            ("tenant:acme=4", ("tenant", "acme", 4.0)),
            ("campaign:spring sale = 0.5", ("campaign", "spring sale", 0.5)),
            ("priority:a:b=c=1000", ("priority", "a:b=c", 1000.0)),
            ("priority: high =0.001", ("priority", "high", 0.001)),
        ):
            self.assertEqual(parse(text), expected)

    def test_mistakes(self) -> None:
        """
        What is no entry is told what one looks like; a weight beyond its bounds, what these are.
        """
        for text in ("", "tenant", "tenant:acme", "tenant=4", "acme=4", "Tenant:acme=4", "tenant:=4", "tenant: =4"):
            error = self.assertRaises(ValueError, parse, text)
            self.assertIn("is not of the form", str(error), text)
        for text in (f"tenant:{'x' * 65}=1", "tenant:gr\xfcn=1"):
            self.assertRaises(ValueError, parse, text)
        for number in (
            "",
            "0",
            "0.0009",
            "0.0001",
            "1000.001",
            "1001",
            "-1",
            "1e3",
            "nan",
            "1.",
            ".5",
            "1,5",
            "\u0661",
        ):
            error = self.assertRaises(ValueError, parse, f"tenant:a={number}")
            self.assertIn("has no weight from 0.001 to 1000", str(error), number)

    def test_product(self) -> None:
        """
        A class weighs the product of what suits it, within the bounds of a weight; one of several for a name counts,
        the first.
        """
        entries = ("tenant:acme=4", "priority:high=10", "campaign:spring=0.5", "tenant:acme=7", "priority:top=1000")
        for traits, expected in (
            (Traits(), 1.0),
            (Traits("other", "other", "other"), 1.0),
            (Traits("acme"), 4.0),
            (Traits("high"), 1.0),
            (Traits("acme", "spring", "high"), 20.0),
            (Traits("acme", "", "top"), 1000.0),
        ):
            self.assertEqual(weight_of(entries, traits), expected, traits)
            self.assertEqual(weight_of((), traits), 1.0)
        self.assertEqual(weight_of(("tenant:a=0.01", "priority:b=0.01"), Traits("a", "", "b")), 0.001)
