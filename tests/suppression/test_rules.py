"""
Tests of :mod:`momentum_tx.suppression.rules`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.suppression import rules as module
from momentum_tx.suppression.rules import Bounces, Rule


class RuleTests(SynchronousTestCase):
    """
    What puts somebody on the list.
    """

    def test_parse(self) -> None:
        """
        A rule in words, and what is none.
        """
        self.assertEqual(Rule.parse("10, 30: 1"), Rule(frozenset({10, 30}), 1, 0.0, 0.0))
        self.assertEqual(Rule.parse("22: 5 in 864000 for 2592000"), Rule(frozenset({22}), 5, 864_000.0, 2_592_000.0))
        for text in ("", "10", "10: 0", "ten: 1", "22: 5", "22: 5 in a week", "10: 1 for"):
            self.assertRaises(ValueError, Rule.parse, text)

    def test_once(self) -> None:
        """
        One bounce is enough where the rule says so, of its classes alone.
        """
        rule = Rule.parse("10: 1")
        self.assertIs(Bounces().decided("a", 10, (rule,), 0.0), rule)
        self.assertIsNone(Bounces().decided("a", 22, (rule,), 0.0))

    def test_several(self) -> None:
        """
        So many within the time, of one address; and from there anew.
        """
        rules, bounces = (Rule.parse("22: 3 in 100"),), Bounces()
        decided = [bounces.decided("a", 22, rules, now) is not None for now in (0.0, 50.0, 120.0, 140.0, 150.0, 160.0)]
        self.assertEqual(decided, [False, False, False, True, False, False])
        self.assertIsNone(bounces.decided("b", 22, rules, 150.0))

    def test_bounded(self) -> None:
        """
        Who bounced longest ago is forgotten.
        """
        self.patch(module, "MOST_COUNTED", 2)
        rules, bounces = (Rule.parse("22: 2 in 100"),), Bounces()
        for key in "abca":
            self.assertIsNone(bounces.decided(key, 22, rules, 1.0), key)
