"""
Wrong books must be seen.
"""

import json
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.demo.accounting import Fate, Injected, Ledger, Records, Report, fate, judge

#: Taken, recorded as delivered, recorded as failed: what became of the message.
FATES = {
    (1, 1, 0): Fate.DELIVERED,
    (0, 0, 1): Fate.FAILED,
    (0, 0, 0): Fate.LOST,
    (0, 1, 0): Fate.LOST,
    (0, 1, 1): Fate.LOST,
    (0, 0, 2): Fate.LOST,
    (2, 1, 0): Fate.DOUBLED,
    (2, 0, 1): Fate.DOUBLED,
    (3, 3, 0): Fate.DOUBLED,
    (1, 0, 0): Fate.UNCLEAR,
    (1, 0, 1): Fate.UNCLEAR,
    (1, 1, 1): Fate.UNCLEAR,
    (1, 2, 0): Fate.UNCLEAR,
}


class FateTests(SynchronousTestCase):
    """
    One message.
    """

    def test_table(self) -> None:
        """
        A message counts as delivered or failed only if both books agree on it, exactly once.
        """
        self.assertEqual({books: fate(*books) for books in FATES}, FATES)


class JudgeTests(SynchronousTestCase):
    """
    All messages: two for ``a``, one of which it refuses, and two for ``b``.
    """

    def setUp(self) -> None:
        self.injected = {
            b"1@a": Injected("a", 11, Fate.DELIVERED),
            b"2@a": Injected("a", 22, Fate.FAILED),
            b"3@b": Injected("b", 33, Fate.DELIVERED),
            b"4@b": Injected("b", 44, Fate.DELIVERED),
        }
        self.ledgers = {"a": Ledger(), "b": Ledger()}
        self.ledgers["a"].enter(b"1@a", 11, 10.0)
        self.ledgers["b"].enter(b"3@b", 33, 10.5)
        self.ledgers["b"].enter(b"4@b", 44, 12.0)
        self.records = Records(Counter([b"1@a", b"3@b", b"4@b"]), Counter([b"3@b", b"3@b"]), Counter([b"2@a"]))

    def judge(self, logged: dict[str, int] | None = None) -> Report:
        """
        The judgement on the books as they are.
        """
        return judge(self.injected, self.ledgers, self.records, logged)

    def problem(self) -> str:
        """
        The only problem that is seen.
        """
        report = self.judge()
        self.assertFalse(report.good)
        (problem,) = report.problems
        return problem

    def test_good(self) -> None:
        """
        Books that agree make a table without a problem.
        """
        report = self.judge({"R": 4, "D": 3, "T": 2, "P": 1, "M": 7})
        self.assertEqual(report.problems, ())
        self.assertTrue(report.good)
        a, b = report.rows
        self.assertEqual((a.name, a.injected, a.delivered, a.retried, a.failed, a.rate), ("a", 2, 1, 0, 1, None))
        self.assertEqual((b.name, b.injected, b.delivered, b.retried, b.failed, b.rate), ("b", 2, 2, 1, 0, 0.7))
        total = report.total
        self.assertEqual((total.injected, total.delivered, total.retried, total.failed), (4, 3, 1, 1))
        self.assertEqual((total.lost, total.doubled, total.unclear, total.rate), (0, 0, 0, 1.0))

    def test_silently_dropped(self) -> None:
        """
        A receiver that says 250 and has no message makes it lost.
        """
        del self.ledgers["b"].taken[b"4@b"]
        self.assertEqual(self.problem(), "1 lost: recorded as delivered, but the receiver does not have it: 4@b")
        self.assertEqual(self.judge().rows[1].lost, 1)

    def test_unfinished(self) -> None:
        """
        A message without an end is lost too.
        """
        del self.ledgers["b"].taken[b"4@b"]
        del self.records.delivered[b"4@b"]
        self.assertEqual(self.problem(), "1 lost: neither delivered nor failed when the demo ended: 4@b")

    def test_failed_twice(self) -> None:
        """
        A failure that is recorded twice is a mistake in the books.
        """
        self.records.failed[b"2@a"] += 1
        self.assertEqual(self.problem(), "1 lost: recorded as failed more than once: 2@a")

    def test_doubled(self) -> None:
        """
        A message that arrived twice is seen, whatever the service recorded.
        """
        self.ledgers["b"].enter(b"4@b", 44, 12.5)
        self.assertEqual(self.problem(), "1 doubled: the receiver has it more than once: 4@b")
        self.assertEqual(self.judge().total.doubled, 1)

    def test_unclear(self) -> None:
        """
        A message that arrived and is recorded as failed is neither.
        """
        self.records.failed[b"4@b"] = self.records.delivered.pop(b"4@b")
        self.assertEqual(
            self.problem(),
            "1 unclear: the receiver has it, the service recorded 0 deliveries and 1 failures: 4@b",
        )
        self.assertEqual(self.judge().total.unclear, 1)

    def test_unexpected(self) -> None:
        """
        Giving up mail that its receiver takes is no success, however well it is recorded.
        """
        del self.ledgers["b"].taken[b"4@b"]
        self.records.failed[b"4@b"] = self.records.delivered.pop(b"4@b")
        self.assertEqual(self.problem(), "1 failed where it should have been delivered: 4@b")

    def test_altered(self) -> None:
        """
        A body that arrives altered is seen.
        """
        self.ledgers["b"].taken[b"4@b"] = [45]
        self.assertEqual(self.problem(), "1 altered: the body is not what was injected: 4@b")

    def test_stranger(self) -> None:
        """
        A receiver that has what was not injected for it is seen.
        """
        self.ledgers["a"].enter(b"5@a", 55, 11.0)
        self.ledgers["a"].enter(b"3@b", 33, 11.0)
        self.assertEqual(self.problem(), "2 strange: a took it, and it was not injected for it: 5@a, 3@b")

    def test_log_disagrees(self) -> None:
        """
        A mainlog that lacks a record is seen.
        """
        self.assertEqual(
            self.judge({"R": 4, "D": 2, "T": 2}).problems,
            ("mainlog has 2 deliveries, there were 3", "mainlog has 0 permanent failures, there were 1"),
        )

    def test_other_problems(self) -> None:
        """
        What went wrong elsewhere keeps the demo from being good.
        """
        report = judge(self.injected, self.ledgers, self.records, None, ["3 messages were not injected"])
        self.assertEqual((report.good, report.problems), (False, ("3 messages were not injected",)))

    def test_many(self) -> None:
        """
        Of many messages with the same problem a few are named.
        """
        self.ledgers["a"].taken.clear()
        self.ledgers["b"].taken.clear()
        for number in range(5, 9):
            self.injected[b"%d@b" % number] = Injected("b", 0, Fate.DELIVERED)
        self.assertEqual(
            self.judge().problems[1],
            "4 lost: neither delivered nor failed when the demo ended: 5@b, 6@b, 7@b, ...",
        )

    def test_json(self) -> None:
        """
        The judgement can be read by programs.
        """
        found = json.loads(json.dumps(self.judge().as_json()))
        self.assertEqual(set(found), {"ok", "receivers", "total", "problems"})
        self.assertIs(found["ok"], True)
        self.assertEqual([row["name"] for row in found["receivers"]], ["a", "b"])
