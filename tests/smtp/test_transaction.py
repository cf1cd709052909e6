"""
How the commands of a transaction are grouped.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.outcomes import Scope, Verdict
from momentum_tx.smtp.events import RecipientResult
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


class BeyondTests(SynchronousTestCase):
    """
    More recipients than the peer takes in one transaction (RFC 5321 4.5.3.1.10).
    """

    REST = RecipientResult(Verdict.DELIVERED, Scope.RECIPIENT, b"250 taken", Stage.READING_CONFIRMATION)

    def beyond(self, *replies: str) -> list[int]:
        """
        Indices of the recipients about whom nothing was decided.
        """
        transaction = Transaction(b"a@x.example", (b"b@x.example",) * len(replies), b"", True)
        for text in replies:
            reply = Reply(int(text[:3]), (text[4:].encode(),))
            if text[0] == "2":
                transaction.accept_recipient()
            else:
                transaction.refuse_recipient(reply)
        results = transaction.results(self.REST)
        for result in results:
            self.assertTrue(not result.beyond or result.verdict is Verdict.TRANSIENT)
        return [index for index, result in enumerate(results) if result.beyond]

    def test_signs(self) -> None:
        """
        452 and 552 without an enhanced code mean the number, and so does x.5.3 with
        any code of class 4; another enhanced code says what else is meant.
        """
        for reply, meant in (
            ("452 Too many recipients", True),
            ("452 4.5.3 Too many recipients", True),
            ("451 4.5.3 Too many recipients", True),
            ("552 Too many recipients", True),
            ("552 5.5.3 Too many recipients", True),
            ("452 4.2.2 Mailbox full", False),
            ("452 4.3.1 Disk full", False),
            ("552 5.2.2 Mailbox full", False),
            ("451 Greylisted", False),
            ("450 4.2.1 Later", False),
            ("550 5.5.3 Too many recipients", False),
        ):
            self.assertEqual(self.beyond("250 Ok", reply), [1] if meant else [], reply)

    def test_none_accepted(self) -> None:
        """
        Where nobody was accepted the number cannot be what was too much.
        """
        self.assertEqual(self.beyond("452 4.5.3 Too many"), [])
        self.assertEqual(self.beyond("452 4.5.3 Too many", "550 No", "452 4.5.3 Too many"), [])

    def test_accepted_afterwards(self) -> None:
        """
        Where somebody is accepted behind it there was room: it was refused for
        itself; those behind the last one accepted were too many.
        """
        self.assertEqual(self.beyond("250 Ok", "452 Full", "250 Ok"), [])
        self.assertEqual(self.beyond("250 Ok", "452 Full", "250 Ok", "452 Many", "550 No", "452 Many"), [3, 5])
        self.assertEqual(self.beyond("452 Full", "250 Ok", "452 Many"), [2])

    def test_sender_refused(self) -> None:
        """
        A refusal of the sender is everybody's result.
        """
        transaction = Transaction(b"a@x.example", (b"b@x.example",) * 2, b"", True)
        transaction.refuse_sender(Reply(451, (b"later",)))
        transaction.refuse_recipient(Reply(503, (b"what?",)))
        transaction.refuse_recipient(Reply(452, (b"what?",)))
        self.assertEqual({result.note for result in transaction.results(self.REST)}, {b"451 later"})
        self.assertFalse(any(result.beyond for result in transaction.results(self.REST)))
