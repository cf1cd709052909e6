"""
The mail that is tortured.
"""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.torture import mail
from momentum_tx.torture.judge import Fate


class BatchTests(SynchronousTestCase):
    """
    A batch.
    """

    def setUp(self) -> None:
        self.batch = mail.batch("a", Random(1))

    def test_repeated(self) -> None:
        """
        The same seed gives the same mail, another one another.
        """
        self.assertEqual(self.batch, mail.batch("a", Random(1)))
        self.assertNotEqual(self.batch, mail.batch("a", Random(2)))

    def test_unique(self) -> None:
        """
        Nobody gets two messages, in this batch or another.
        """
        batches = self.batch + mail.batch("b", Random(1))
        recipients = [recipient for each in batches for recipient in each.recipients]
        self.assertEqual(len(recipients), len(set(recipients)))

    def test_kinds(self) -> None:
        """
        Every kind of end occurs, and one message has several recipients.
        """
        self.assertEqual({each.fate for each in self.batch}, set(Fate))
        self.assertEqual(sorted(len(each.recipients) for each in self.batch)[-2:], [1, 3])
        self.assertEqual(self.batch[-1].fate, Fate.HELD)

    def test_digest(self) -> None:
        """
        A header that is added changes nothing, an octet of the body does.
        """
        content = self.batch[0].content
        self.assertEqual(mail.digest(content), mail.digest(b"Received: x\r\n" + content))
        self.assertNotEqual(mail.digest(content), mail.digest(content[:-3] + b"!\r\n"))
