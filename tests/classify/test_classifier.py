"""
Tests of :mod:`momentum_tx.classify.classifier`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.classify import classifier as module
from momentum_tx.classify.classifier import Classifier
from momentum_tx.classify.rules import Reply, Rule


class CountingRule(Rule):
    """
    Counts how often it was asked.
    """

    asked = 0

    def decides(self, reply: Reply, domain: str) -> bool:
        type(self).asked += 1
        return "yes" in reply.text


class ClassifierTests(SynchronousTestCase):
    """
    Answers.
    """

    def test_undetermined(self) -> None:
        """
        What no rule knows is code 1, and no rule's.
        """
        told = Classifier().classify(b"554 xyzzy")
        self.assertEqual((told.code, told.rule, told.bounce_class.name), (1, "", "Undetermined"))

    def test_remembered(self) -> None:
        """
        A text is looked at once, for each domain; the memory is bounded.
        """
        CountingRule.asked = 0
        classifier = Classifier(rules=[CountingRule("c", 22)])
        for _ in range(3):
            self.assertEqual(classifier.classify("yes", "a.example").code, 22)
        classifier.classify("yes", "b.example")
        self.assertEqual(CountingRule.asked, 2)
        self.patch(module, "REMEMBERED", 2)
        for text in ("1", "2", "3", "4"):
            classifier.classify(text)
        self.assertLessEqual(len(classifier._known), 5)

    def test_octets(self) -> None:
        """
        Notes are octets, which need not be text.
        """
        self.assertEqual(Classifier().classify(b"550 5.1.1 User \xff unknown").code, 10)
