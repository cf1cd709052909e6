"""
The policies that are drawn for a plan.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.testing.fuzz.making import make_plan
from momentum_tx.testing.fuzz.operator import write_policy
from momentum_tx.testing.fuzz.plan import Plan


class WritePolicyTests(SynchronousTestCase):
    """
    What an operator may have written.
    """

    def test_same(self) -> None:
        """
        A seed has the same policies each time.
        """
        for seed in range(1, 40):
            one, other = Plan(seed), Plan(seed)
            write_policy(one, True)
            write_policy(other, True)
            self.assertEqual(one, other)

    def test_limits(self) -> None:
        """
        Limits are written where they are asked for, and some plans have each.
        """
        plain, limited = Plan(1), [Plan(seed) for seed in range(1, 60)]
        write_policy(plain, False)
        self.assertNotIn("max_outbound_connections", plain.settings)
        for plan in limited:
            write_policy(plan, True)
        written = {name for plan in limited for name in plan.settings}
        self.assertLessEqual(
            {"server_max_outbound_connections", "max_outbound_connections", "max_recipients_per_batch"}, written
        )

    def test_tables(self) -> None:
        """
        Some plans limit a host, a domain or a binding of their own.
        """
        tables = {
            table.partition(".")[0]
            for seed in range(1, 200)
            for table, options in make_plan(seed).tables.items()
            if "max_outbound_connections" in options
        }
        self.assertEqual(tables, {"host", "domain", "binding"})
