"""
What the operator of a plan has written into the configuration beyond the
ordinary: limits, and every other policy that may be drawn or left out.

Each kind of policy draws from a source of its own, so that a new one changes
nothing of the plans that do without it.
"""

from __future__ import annotations

from random import Random
from typing import Final

from .plan import Options, Plan


def write_policy(plan: Plan, limited: bool) -> None:
    """
    Draw the policies of *plan*, whose hosts, domains and bindings are there.

    :param limited: whether limits are to be written.
    """
    for name, write in _POLICIES.items():
        if limited or name != "limits":
            write(plan, Random(f"{plan.seed} {name}"))


def _limits(plan: Plan, dice: Random) -> None:
    if dice.random() < 0.5:
        plan.settings["server_max_outbound_connections"] = dice.choice((1, 2, 5, 20))
    if dice.random() < 0.5:
        plan.settings["max_outbound_connections"] = dice.choice((1, 2, 5))
    if dice.random() < 0.4:
        plan.settings["max_deliveries_per_connection"] = dice.choice((1, 2, 10))
    if dice.random() < 0.3:
        plan.settings["max_recipients_per_connection"] = dice.choice((1, 3, 10))
    if dice.random() < 0.4:
        plan.settings["max_recipients_per_batch"] = dice.choice((1, 2, 5))
    if dice.random() < 0.3:
        plan.settings["max_addresses_per_attempt"] = dice.choice((1, 2))
    for host in plan.hosts:
        if dice.random() < 0.3:
            plan.tables[f'host."{host.name}"'] = {"max_outbound_connections": dice.choice((1, 2, 4))}
    for domain in plan.domains:
        if dice.random() < 0.3:
            table: Options = plan.tables.setdefault(f'domain."{domain.name}"', {})
            table["max_outbound_connections"] = dice.choice((1, 2, 3))
    for name, _ in plan.bindings:
        if dice.random() < 0.3:
            plan.tables.setdefault(f"binding.{name}", {})["max_outbound_connections"] = dice.choice((1, 2))


#: Who writes what.
_POLICIES: Final = {
    "limits": _limits,
}
