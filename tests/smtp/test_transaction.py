"""
How the commands of a transaction are grouped.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.smtp.replies import Reply
from momentum_tx.smtp.transaction import MAX_GROUP, MAX_GROUP_OCTETS, Transaction
from momentum_tx.stages import Stage


class GroupTests(SynchronousTestCase):
    """
    Large transactions with a peer that pipelines.
    """

    def groups(self, transaction: Transaction) -> list[tuple[bytes, tuple[Stage, ...]]]:
        """
        Every group, all recipients accepted.
        """
        groups = []
        while not transaction.exhausted:
            groups.append(transaction.next_group())
            transaction.accepted.append(0)
        return groups

    def test_one_group(self) -> None:
        """
        Ninety-eight recipients, MAIL and DATA go in one write.
        """
        transaction = Transaction(b"a@x.example", (b"b@x.example",) * 98, b"", True)
        ((text, stages),) = self.groups(transaction)
        self.assertTrue(text.startswith(b"MAIL") and text.endswith(b"DATA\r\n"))
        self.assertEqual((len(stages), stages[0], stages[-1]), (100, Stage.AFTER_MAIL_FROM, Stage.AFTER_DATA))

    def test_bounds(self) -> None:
        """
        No group has more than a hundred commands or sixteen kilobytes, none is
        lost, and DATA is the last of the last.
        """
        for length, count in ((10, 1000), (230, 500), (490, 300), (20, 99)):
            recipients = tuple(b"%d" % number + b"x" * length for number in range(count))
            groups = self.groups(Transaction(b"a@x.example", recipients, b"", True))
            self.assertGreater(len(groups), 1)
            for text, stages in groups:
                self.assertLessEqual(len(text), MAX_GROUP_OCTETS)
                self.assertLessEqual(len(stages), MAX_GROUP)
                self.assertEqual(text.count(b"\r\n"), len(stages))
            whole = b"".join(text for text, _ in groups)
            expected = [b"MAIL FROM:<a@x.example>", *[b"RCPT TO:<%b>" % recipient for recipient in recipients], b"DATA"]
            self.assertEqual(whole, b"".join(line + b"\r\n" for line in expected))

    def test_nothing_after_refused_sender(self) -> None:
        """
        Later groups are not sent when MAIL was refused in the first.
        """
        transaction = Transaction(b"a@x.example", (b"b@x.example",) * 500, b"", True)
        transaction.next_group()
        self.assertFalse(transaction.exhausted)
        transaction.refuse_sender(Reply(550, (b"no",)))
        self.assertTrue(transaction.exhausted)

    def test_no_data_for_nobody(self) -> None:
        """
        A group of DATA alone is not sent when everybody was refused.
        """
        transaction = Transaction(b"a@x.example", (b"b@x.example",) * 99, b"", True)
        transaction.next_group()
        self.assertTrue(transaction.exhausted)
        transaction.accepted.append(0)
        self.assertFalse(transaction.exhausted)
