"""
Domains of a plan that share exchangers, and connections that migrate wrongly.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery.limits import Limits
from momentum_tx.delivery.maintainer import Maintainer
from momentum_tx.delivery.siblings import Siblings
from momentum_tx.testing.fuzz.making import make_plan
from momentum_tx.testing.fuzz.plan import Domain, Plan, Step
from momentum_tx.testing.fuzz.sharing import write_sharing

from .stories import DOMAIN, NAME, OTHER_DOMAIN, StoryCase, mail, small_plan

BOTH = (DOMAIN, OTHER_DOMAIN)
#: A message for the one domain, and one for the other while the connection is idle.
FOLLOWING = (mail(1), mail(2, at=3.0, to=(OTHER_DOMAIN,)))


class WriteSharingTests(SynchronousTestCase):
    """
    What is drawn.
    """

    def test_drawn(self) -> None:
        """
        Many plans have domains with the same exchangers, and most let connections migrate.
        """
        plans = [make_plan(seed) for seed in range(200)]
        same = [plan for plan in plans if len({str(each.exchangers) for each in plan.domains}) < len(plan.domains)]
        self.assertGreater(len(same), 30)
        off = [plan for plan in plans if "migrate_connections_between_sibling_domains" in plan.settings]
        self.assertTrue(10 < len(off) < 60, len(off))

    def test_rollups(self) -> None:
        """
        Some plans have a table of a host that rolls domains up, under each kind
        of name, and some do so by sets.
        """
        names = set()
        by_set = 0
        for seed in range(200):
            plan = make_plan(seed)
            by_set += "rollup_by_mx_set" in plan.settings
            for table in plan.tables.values():
                if "rollup_mx" in table:
                    names.add(table.get("rollup_mx_name", ""))
        self.assertGreater(by_set, 10)
        self.assertTrue({"", "queue.example", "d0.example"} <= names, names)

    def test_same(self) -> None:
        """
        A seed draws the same each time.
        """
        for seed in range(50):
            one, other = [Plan(seed, domains=[Domain(f"d{number}.example") for number in range(3)]) for _ in "12"]
            write_sharing(one, Random(seed))
            write_sharing(other, Random(seed))
            self.assertEqual(one, other)


class MigrationTests(StoryCase):
    """
    The judge and connections that migrate.
    """

    def test_right(self) -> None:
        """
        A connection that migrates is no fault, and is counted.
        """
        result = self.innocent(small_plan(*FOLLOWING, domains=BOTH))
        self.assertEqual((result.counts["migrations"], result.counts["connections"]), (1, 1))

    def test_off(self) -> None:
        """
        It is where no connection is to migrate.
        """
        plan = small_plan(*FOLLOWING, domains=BOTH, settings={"migrate_connections_between_sibling_domains": False})
        self.planted(plan, "wrong migration", Siblings, "_enabled", True)

    def test_stranger(self) -> None:
        """
        It is to a domain that the peer does not serve.
        """
        plan = small_plan(*FOLLOWING, domains=BOTH)
        plan.domains[1].exchangers = [(10, f"other.{NAME}")]

        def lender(siblings: Siblings, dr: Any, slot: int) -> Any:
            return next((each for each in siblings._ways if each.dr is not dr), None)

        self.patch(Siblings, "lender", lender)
        self.guilty(plan, "wrong migration")

    def test_suspended(self) -> None:
        """
        It is to a domain whose delivery is suspended.
        """
        header = f'domain."{OTHER_DOMAIN}"'
        plan = small_plan(
            mail(1, at=0.5, to=(OTHER_DOMAIN,)),
            mail(2, at=12.0),
            mail(3, at=14.0, to=(OTHER_DOMAIN,)),
            *[
                Step(at, "reload", {"header": header, "options": {"suspend_delivery": suspended}})
                for at, suspended in ((11.0, True), (30.0, False))
            ],
            domains=BOTH,
        )
        self.innocent(plan)
        self.patch(Siblings, "_suits", lambda siblings, session, dr: True)
        self.patch(Siblings, "_free", lambda siblings, session: True)
        # The other half of the pass does not care for a domain that is suspended.
        maintain = Maintainer._connect

        def connect(maintainer: Maintainer, dr: Any, now: float, slots: Any) -> None:
            maintain(maintainer, dr, now, slots)
            if dr.mail_queue.active_size(0):
                maintainer._sessions.borrow(dr, 0)

        self.patch(Maintainer, "_connect", connect)
        self.guilty(plan, "connection while suspended")

    def test_limits(self) -> None:
        """
        It is where the domain has as many connections as it may already, by
        itself or with others.
        """
        for table, option in (
            (f'domain."{OTHER_DOMAIN}"', "max_outbound_connections"),
            (f'domain."{OTHER_DOMAIN}"', "scope_max_outbound_connections"),
        ):
            plan = small_plan(
                *[mail(number) for number in range(1, 5)],
                *[mail(number, at=1.5, to=(OTHER_DOMAIN,)) for number in range(5, 10)],
                domains=BOTH,
                tables={table: {option: 1}},
                settings={"connection_allocation_aggressiveness": "high"},
            )
            self.innocent(plan)
            patches = [
                self.patch(Limits, "admits", lambda limits, handle, dr: True),
                self.patch(Maintainer, "wants", lambda maintainer, dr, slot: True),
            ]
            self.guilty(plan, "limit exceeded")
            for patch in patches:
                patch.restore()
