"""
Counts the TLS sessions of each domain and day.

Bounded: so many domains a day, policies a domain, and kinds of failures a policy.
Beyond the first a domain is not counted, beyond the others a failure is counted
with less detail.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..policy.tls_report import AppliedPolicy, TLSOutcome, day_of

#: Policies of one domain and day: its exchangers' TLSA records, and its MTA-STS policy as it changes.
MOST_POLICIES: Final = 50
#: Kinds of failures under one policy that are told apart by who met whom, and how.
MOST_DETAILS: Final = 100
#: Characters of a reason.
MOST_REASON: Final = 200

#: Result type, sending address, exchanger, its greeting, its address, reason.
Detail = tuple[str, str, str, str, str, str]


class PolicyCounts:
    """
    Sessions under one policy.

    :ivar good: successes.
    :ivar details: failures by kind.
    """

    __slots__ = ("details", "good", "policy")

    def __init__(self, policy: AppliedPolicy) -> None:
        self.policy = policy
        self.good = 0
        self.details: dict[Detail, int] = {}

    @property
    def bad(self) -> int:
        """
        Failures.
        """
        return sum(self.details.values())

    def count(self, outcome: TLSOutcome) -> None:
        """
        One more.
        """
        if not outcome.failure:
            self.good += 1
            return
        detail = (
            outcome.failure,
            outcome.sending_ip,
            outcome.mx_host,
            outcome.mx_helo[:MOST_REASON],
            outcome.receiving_ip,
            outcome.reason[:MOST_REASON],
        )
        if detail not in self.details and len(self.details) >= MOST_DETAILS:
            # There are eleven result types: this bound holds.
            detail = (outcome.failure, "", "", "", "", "")
        self.details[detail] = self.details.get(detail, 0) + 1


class DomainCounts:
    """
    Sessions with one domain on one day, and what has become of the report on them.

    :ivar policies: by policy.
    :ivar done: addresses that need not be told again: they were, or refused it for ever.
    :ivar tries: how often it was tried to tell the others.
    :ivar next: wall time before which nothing is tried.
    """

    __slots__ = ("done", "next", "policies", "tries")

    def __init__(self) -> None:
        self.policies: dict[AppliedPolicy, PolicyCounts] = {}
        self.done: list[str] = []
        self.tries = 0
        self.next = 0.0

    def count(self, outcome: TLSOutcome) -> None:
        """
        One more session.
        """
        counts = self.policies.get(outcome.policy)
        if counts is None:
            policy = outcome.policy
            if len(self.policies) >= MOST_POLICIES:
                policy = AppliedPolicy(policy.kind, outcome.domain)
            counts = self.policies.get(policy)
            if counts is None:
                counts = self.policies[policy] = PolicyCounts(policy)
        counts.count(outcome)

    def merge(self, other: DomainCounts) -> None:
        """
        Add what *other* has counted.
        """
        for policy, counts in other.policies.items():
            own = self.policies.setdefault(policy, PolicyCounts(policy))
            own.good += counts.good
            for detail, count in counts.details.items():
                own.details[detail] = own.details.get(detail, 0) + count

    def exported(self) -> dict[str, Any]:
        """
        All of it, as JSON has it; nothing in it changes any more.
        """
        return {
            "policies": [
                {
                    "policy": [each.policy.kind, each.policy.domain, each.policy.strings, each.policy.mx_hosts],
                    "good": each.good,
                    "bad": [[*detail, count] for detail, count in each.details.items()],
                }
                for each in self.policies.values()
            ],
            "done": [*self.done],
            "tries": self.tries,
            "next": self.next,
        }

    @classmethod
    def imported(cls, data: dict[str, Any]) -> DomainCounts:
        """
        What :meth:`exported` made.

        :raises ValueError: it is something else.
        """
        made = cls()
        try:
            for each in data["policies"]:
                kind, domain, strings, mx_hosts = each["policy"]
                policy = AppliedPolicy(str(kind), str(domain), tuple(map(str, strings)), tuple(map(str, mx_hosts)))
                counts = made.policies[policy] = PolicyCounts(policy)
                counts.good = int(each["good"])
                for *detail, count in each["bad"]:
                    failure, sending, host, helo, receiving, reason = map(str, detail)
                    counts.details[failure, sending, host, helo, receiving, reason] = int(count)
            made.done = [str(each) for each in data["done"]]
            made.tries = int(data["tries"])
            made.next = float(data["next"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no counts: {error}") from None
        return made


class TLSCounts:
    """
    All of it.

    :ivar days: by day and domain.
    :ivar dirty: what has changed since somebody emptied it.
    """

    def __init__(self) -> None:
        self.days: dict[int, dict[str, DomainCounts]] = {}
        self.dirty: set[tuple[int, str]] = set()
        self._full: int | None = None

    def count(self, outcome: TLSOutcome, now: float, most_domains: int) -> bool:
        """
        One more session.

        :param now: wall time.
        :param most_domains: how many are counted on one day.
        :returns: false the first time on a day that a domain is left out.
        """
        day = day_of(now)
        domains = self.days.setdefault(day, {})
        counts = domains.get(outcome.domain)
        if counts is None:
            if len(domains) >= most_domains:
                first = self._full != day
                self._full = day
                return not first
            counts = domains[outcome.domain] = DomainCounts()
        counts.count(outcome)
        self.dirty.add((day, outcome.domain))
        return True

    def find(self, day: int, domain: str) -> DomainCounts | None:
        """
        Those of a domain and day; ``None`` if there are none.
        """
        return self.days.get(day, {}).get(domain)

    def put(self, day: int, domain: str, counts: DomainCounts) -> None:
        """
        Counts that were kept.
        """
        self.days.setdefault(day, {})[domain] = counts

    def forget(self, day: int, domain: str) -> None:
        """
        The report is sent, or nobody wants it.
        """
        domains = self.days.get(day, {})
        if domains.pop(domain, None) is not None:
            self.dirty.add((day, domain))
        if not domains:
            self.days.pop(day, None)

    def before(self, day: int) -> Iterator[tuple[int, str, DomainCounts]]:
        """
        What there is of days before *day*, the oldest first.
        """
        for each in sorted(self.days):
            if each < day:
                for domain, counts in list(self.days[each].items()):
                    yield each, domain, counts

    def __len__(self) -> int:
        return sum(map(len, self.days.values()))
