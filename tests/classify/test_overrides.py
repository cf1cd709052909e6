"""
Tests of :mod:`momentum_tx.classify.overrides`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.classify.classifier import Classifier
from momentum_tx.classify.overrides import parse_overrides


class OverridesTests(SynchronousTestCase):
    """
    An operator's file.
    """

    def test_lines(self) -> None:
        """
        A line goes before our rules, for one domain or for all; a bar is a gap; what is a pattern
        elsewhere is a text here.
        """
        rules = parse_overrides("# ours\n\nshop.example,22,User unknown\n*,77,level|reached (.)\n", "/etc/x")
        classifier = Classifier(rules, {77: "Our level"})
        told = classifier.classify("550 5.1.1 user unknown", "shop.example")
        self.assertEqual((told.code, told.rule), (22, "/etc/x:3"))
        self.assertEqual(classifier.classify("550 5.1.1 user unknown", "other.example").code, 10)
        told = classifier.classify("550 Level 5 was reached (.)", "other.example")
        self.assertEqual((told.code, told.bounce_class.name), (77, "Our level"))
        self.assertNotEqual(classifier.classify("550 Level 5 was reached (x)").code, 77)

    def test_wrong(self) -> None:
        """
        A line that is none is named.
        """
        for text, words in (
            ("a,b", "x:1: expected domain,code,text"),
            ("\n*,22,", "x:2: expected domain,code,text"),
            ("*,0,a", "x:1: 0 is no code"),
            ("*,101,a", "x:1: 101 is no code"),
            ("*,hard,a", "x:1: hard is no code"),
        ):
            with self.assertRaises(ValueError) as caught:
                parse_overrides(text, "x")
            self.assertIn(words, str(caught.exception))
