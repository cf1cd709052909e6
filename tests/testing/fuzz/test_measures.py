"""
Limits and rates that are not kept are noticed at our end of the wire.
"""

from __future__ import annotations

from typing import Any

from momentum_tx.delivery.limits import Limits
from momentum_tx.delivery.throttles import Throttle
from momentum_tx.testing.fuzz.plan import Options

from .stories import DOMAIN, NAME, OTHER_DOMAIN, StoryCase, mail, small_plan

MANY = [mail(number, to=(DOMAIN, OTHER_DOMAIN)) for number in range(1, 9)]
BOTH = (DOMAIN, OTHER_DOMAIN)


class MeasureTests(StoryCase):
    """
    Each kind of limit, broken by one.
    """

    def lax(self) -> None:
        """
        Limits that a connection is opened in spite of.
        """
        self.patch(Limits, "refuses", lambda limits, dr, slot: False)
        self.patch(Limits, "host_full", lambda limits, host, dr, slot: False)

    def test_totals(self) -> None:
        """
        A total of a table, of a binding, of hosts.
        """
        for table, option in (
            ("domain.'/example/'", "scope_max_outbound_connections"),
            ("host.'/peer/'", "scope_max_outbound_connections"),
            ("binding.default", "server_max_outbound_connections"),
        ):
            plan = small_plan(*MANY, domains=BOTH, tables={table: {option: 1}})
            self.innocent(plan)
        self.lax()
        for table, option in (
            ("domain.'/example/'", "scope_max_outbound_connections"),
            ("host.'/peer/'", "scope_max_outbound_connections"),
            ("binding.default", "server_max_outbound_connections"),
        ):
            fault = self.guilty(small_plan(*MANY, domains=BOTH, tables={table: {option: 1}}), "limit exceeded")
            self.assertIn(f"2 connections, {option} of", fault.text)

    def test_reserve(self) -> None:
        """
        The reserve is not for a domain that has a connection.
        """
        settings: Options = {"server_max_outbound_connections": 1, "server_reserve_outbound_connections": 5}
        self.lax()
        fault = self.guilty(small_plan(*[mail(number) for number in range(1, 9)], settings=settings), "limit exceeded")
        self.assertIn("2 connections, server_max_outbound_connections allows 1", fault.text)

    def test_greedy(self) -> None:
        """
        A connection that goes on while a domain that has none waits for its place.
        """
        letters = [mail(number) for number in range(1, 30)]
        plan = small_plan(
            *letters,
            mail(30, at=1.02, to=(OTHER_DOMAIN,)),
            domains=BOTH,
            settings={"server_max_outbound_connections": 1, "server_reserve_outbound_connections": 0},
        )
        fault = self.planted(plan, "place not given up", Limits, "claimed", lambda limits, handle: False)
        self.assertIn(f"while {OTHER_DOMAIN} has no connection", fault.text)

    def test_rates(self) -> None:
        """
        A message, or a connection, that comes before its time.
        """
        for table, what in (("domain.'/example/'", "messages"), (f'host."{NAME}"', "connections")):
            plan = small_plan(*MANY, domains=BOTH, tables={table: {f"outbound_throttle_{what}": "2/50"}})
            self.innocent(plan)
        free: Any = Throttle.free
        self.patch(Throttle, "free", lambda throttle, dr, called=False: free(throttle, dr, called) + 1)
        for table, what in (("domain.'/example/'", "messages"), (f'host."{NAME}"', "connections")):
            plan = small_plan(*MANY, domains=BOTH, tables={table: {f"outbound_throttle_{what}": "2/50"}})
            fault = self.guilty(plan, "rate exceeded")
            self.assertIn(f"3 {what} since", fault.text)
            self.assertIn("allows 2 in 50 s", fault.text)
