"""
Tests of :mod:`momentum_tx.classify.rules`, and of the rules that come with the
package.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.classify.classifier import Classifier
from momentum_tx.classify.codes import CLASSES
from momentum_tx.classify.rules import own_rules, parse_rules, reply_of


class OwnRulesTests(SynchronousTestCase):
    """
    Our rules.
    """

    def test_samples(self) -> None:
        """
        Each rule has samples, and each of those is decided by it and by no other.
        """
        classifier = Classifier()
        wrong = []
        for rule in own_rules():
            self.assertTrue(rule.samples, rule.id)
            for sample in rule.samples:
                decided = classifier.classify(sample).rule
                if decided != rule.id:
                    wrong.append(f"{rule.id}: {sample!r}: {decided}")
        self.assertEqual(wrong, [])

    def test_sound(self) -> None:
        """
        Names are unique and codes are Momentum's; every code that a reply can mean has a rule.
        """
        rules = own_rules()
        self.assertEqual(len({rule.id for rule in rules}), len(rules))
        codes = {rule.code for rule in rules}
        self.assertEqual(codes - set(CLASSES), set())
        self.assertEqual(set(CLASSES) - codes, {1, 30, 40, 80})

    def test_long_text(self) -> None:
        """
        No pattern gets lost in a long or strange text.
        """
        classifier = Classifier()
        for text in ("550 " + "a" * 5000, "550 " + "user " * 1000, "(" * 3000, "550 " + "x@" * 1500, "\x00" * 2000):
            classifier.classify(text)


class ParseTests(SynchronousTestCase):
    """
    Files of rules.
    """

    def test_decides(self) -> None:
        """
        All that a rule names has to be true.
        """
        (rule,) = parse_rules(
            '[[rule]]\nid = "x"\ncode = 22\nclass = 4\nreply = [452]\nstatus = ["4.2"]\ndomain = ["*.example.com"]\n'
            'text = ["full", "no room"]\n',
            "x.toml",
        )
        good = "452 4.2.2 Mailbox FULL"
        self.assertTrue(rule.decides(reply_of(good), "mx.example.com"))
        for text, domain in (
            ("552 4.2.2 Mailbox full", "mx.example.com"),
            ("451 4.2.2 Mailbox full", "mx.example.com"),
            ("452 4.20.2 Mailbox full", "mx.example.com"),
            ("452 4.2.2 Mailbox empty", "mx.example.com"),
            (good, "example.com"),
            (good, "badexample.com"),
        ):
            self.assertFalse(rule.decides(reply_of(text), domain), (text, domain))

    def test_reply(self) -> None:
        """
        Codes are found where replies have them, and where old servers put them.
        """
        for text, code, status in (
            ("550 5.1.1 no", "550", "5.1.1"),
            ("550-5.1.1 no", "550", "5.1.1"),
            ("550 no mailbox (#5.1.1)", "550", "5.1.1"),
            ("5.7.0 [internal] x", "", "5.7.0"),
            ("550", "550", ""),
            ("5501 x", "", ""),
            ("550 version 5.1.1x", "550", ""),
        ):
            reply = reply_of(text)
            self.assertEqual((reply.code, reply.status), (code, status), text)

    def test_wrong(self) -> None:
        """
        What cannot be used is refused with its place.
        """
        for text, words in (
            ("x", "x.toml"),
            ('[[rule]]\nid = "a"\n', "rule 1: it has no id or no code"),
            ('[[rule]]\nid = "a"\ncode = 1\ntexts = []\n', "rule 1: texts is no part of a rule"),
            ('[[rule]]\nid = "a"\ncode = 1\ntext = ["("]\n', "rule 1: a: text: "),
        ):
            with self.assertRaises(ValueError) as caught:
                parse_rules(text, "x.toml")
            self.assertIn(words, str(caught.exception))
