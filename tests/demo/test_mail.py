"""
What the demo sends.
"""

from collections import Counter
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.demo import mail
from momentum_tx.demo.accounting import Fate
from momentum_tx.smtp.body import check_content


class MessagesTests(SynchronousTestCase):
    """
    The supply of messages.
    """

    def test_every_kind(self) -> None:
        """
        Every receiver gets its share, and no recipient comes twice.
        """
        messages = list(mail.messages(1000, Random(1), ()))
        self.assertEqual(len({message.recipient for message in messages}), 1000)
        counts = Counter(message.entry.receiver for message in messages)
        for kind in mail.KINDS:
            self.assertLess(abs(counts[kind.domain] - kind.share * 10), 60)
        self.assertEqual(sum(kind.share for kind in mail.KINDS), 100)

    def test_expectation(self) -> None:
        """
        Mail for the receiver that is down and for unknown mailboxes must fail, all other must arrive.
        """
        for message in mail.messages(500, Random(2), ()):
            fails = message.recipient.endswith(b"@down.demo") or message.recipient.startswith(mail.UNKNOWN)
            self.assertIs(message.entry.expected, Fate.FAILED if fails else Fate.DELIVERED)

    def test_content(self) -> None:
        """
        Each is a message that may be sent, names its binding, and is known by its body.
        """
        messages = list(mail.messages(20, Random(3), ("one", "two")))
        for number, message in enumerate(messages):
            self.assertIsNone(check_content(message.content))
            self.assertTrue(message.content.startswith(b"X-Binding: %b\r\n" % (b"one", b"two")[number % 2]))
            self.assertEqual(mail.digest(mail.body_of(message.content)), message.entry.digest)
            self.assertIn(b"\r\n.\r\n", mail.body_of(message.content))
        self.assertEqual(len({message.entry.digest for message in messages}), 20)

    def test_seed(self) -> None:
        """
        The same seed makes the same messages.
        """
        self.assertEqual(list(mail.messages(50, Random(4), ())), list(mail.messages(50, Random(4), ())))
