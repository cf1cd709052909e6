"""
Tests of :mod:`momentum_tx.reports.counts`.
"""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.tls_report import DAY, AppliedPolicy, TLSOutcome
from momentum_tx.reports.counts import MOST_DETAILS, MOST_POLICIES, DomainCounts, TLSCounts

STS = AppliedPolicy("sts", "example.com", ("version: STSv1",), ("mx.example.com",))
GOOD = TLSOutcome("example.com", STS)
BAD = TLSOutcome(
    "example.com", STS, "certificate-expired", "it has", "192.0.2.1", "mx.example.com", "mx", "198.51.100.1"
)


class DomainTests(SynchronousTestCase):
    """
    One domain and day.
    """

    def counted(self, *outcomes: TLSOutcome) -> DomainCounts:
        """
        Some outcomes, counted.
        """
        counts = DomainCounts()
        for outcome in outcomes:
            counts.count(outcome)
        return counts

    def test_by_policy_and_kind(self) -> None:
        """
        Successes and failures are told apart by policy, failures by kind and by who met whom.
        """
        other = TLSOutcome("example.com", STS, "certificate-expired", "it has", "192.0.2.2")
        clear = TLSOutcome("example.com", AppliedPolicy("no-policy-found", "example.com"))
        counts = self.counted(GOOD, BAD, BAD, other, GOOD, clear)
        sts, none = counts.policies.values()
        self.assertEqual((sts.good, sts.bad, none.good, none.bad), (2, 3, 1, 0))
        self.assertEqual(sorted(sts.details.values()), [1, 2])

    def test_bound_of_details(self) -> None:
        """
        Beyond the bound failures are counted by their result alone, and none is lost.
        """
        many = [TLSOutcome("example.com", STS, "validation-failure", f"reason {number}") for number in range(500)]
        (policy,) = self.counted(*many, BAD).policies.values()
        self.assertEqual(policy.bad, 501)
        self.assertLessEqual(len(policy.details), MOST_DETAILS + 11)
        self.assertEqual(policy.details["validation-failure", "", "", "", "", ""], 500 - MOST_DETAILS)

    def test_bound_of_policies(self) -> None:
        """
        Beyond the bound policies of a kind are one.
        """
        many = [TLSOutcome("example.com", AppliedPolicy("tlsa", f"{number}.example")) for number in range(500)]
        counts = self.counted(*many)
        self.assertEqual(sum(each.good for each in counts.policies.values()), 500)
        self.assertLessEqual(len(counts.policies), MOST_POLICIES + 3)

    def test_long_reasons(self) -> None:
        """
        A peer's greeting and a reason have a bound.
        """
        (policy,) = self.counted(TLSOutcome("a", STS, "x", "r" * 5000, mx_helo="h" * 5000)).policies.values()
        self.assertLess(len(str(policy.details)), 1000)

    def test_kept(self) -> None:
        """
        What is exported, as JSON, comes back the same.
        """
        counts = self.counted(GOOD, BAD, BAD)
        counts.done, counts.tries, counts.next = ["mailto:a@b.example"], 3, 1.5
        text = json.dumps(counts.exported())
        again = DomainCounts.imported(json.loads(text))
        self.assertEqual(json.dumps(again.exported()), text)

    def test_spoilt(self) -> None:
        """
        What is no counts is refused as such.
        """
        spoilt: tuple[dict[str, Any], ...] = (
            {},
            {"policies": 1},
            {"policies": [{}]},
            {**DomainCounts().exported(), "tries": "x"},
            {**DomainCounts().exported(), "next": None},
        )
        for data in spoilt:
            self.assertRaises(ValueError, DomainCounts.imported, data)

    def test_merge(self) -> None:
        """
        Counts of before and after a restart are added.
        """
        counts = self.counted(GOOD, BAD)
        counts.merge(self.counted(GOOD, BAD, TLSOutcome("example.com", AppliedPolicy("tlsa", "mx.example.com"))))
        sts, dane = counts.policies.values()
        self.assertEqual((sts.good, sts.bad, dane.good), (2, 2, 1))


class DayTests(SynchronousTestCase):
    """
    Many domains and days.
    """

    def test_days(self) -> None:
        """
        Sessions belong to the day in UTC; days that are over are told oldest first.
        """
        counts = TLSCounts()
        for now in (3 * DAY - 0.1, 3 * DAY, 2 * DAY, 5 * DAY):
            counts.count(GOOD, now, 10)
        self.assertEqual(
            [(day, domain) for day, domain, _ in counts.before(5)], [(2, "example.com"), (3, "example.com")]
        )
        found = counts.find(2, "example.com")
        assert found is not None
        self.assertEqual(next(iter(found.policies.values())).good, 2)
        counts.forget(2, "example.com")
        counts.forget(2, "nobody.example")
        self.assertEqual((len(counts), sorted(counts.days)), (2, [3, 5]))

    def test_bound_of_domains(self) -> None:
        """
        Beyond the bound further domains are left out, which is told once a day; those that are counted go on.
        """
        counts = TLSCounts()
        told = [
            counts.count(TLSOutcome(f"{number % 5}.example", STS), now, 3) for now in (0.0, DAY) for number in range(10)
        ]
        self.assertEqual(told.count(False), 2)
        self.assertEqual((len(counts), counts.find(0, "4.example")), (6, None))
        found = counts.find(0, "2.example")
        assert found is not None
        self.assertEqual(next(iter(found.policies.values())).good, 2)

    def test_dirty(self) -> None:
        """
        What has to be written is what has changed.
        """
        counts = TLSCounts()
        counts.count(GOOD, 0.0, 10)
        self.assertEqual(counts.dirty, {(0, "example.com")})
        counts.dirty = set()
        counts.forget(0, "example.com")
        counts.forget(0, "example.com")
        self.assertEqual(counts.dirty, {(0, "example.com")})
