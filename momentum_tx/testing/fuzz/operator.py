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
from .sharing import write_sharing
from .ways import write_ways


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
    if dice.random() < 0.5:
        plan.settings["server_reserve_outbound_connections"] = dice.choice((0, 0, 1, 3))
        plan.settings["reserve_maintenance_interval"] = dice.choice((1.0, 15.0))
    if dice.random() < 0.2:
        plan.settings["scope_max_outbound_connections"] = dice.choice((1, 3, 10))
    for name, _ in plan.bindings:
        if dice.random() < 0.2:
            plan.tables.setdefault(f"binding.{name}", {})["server_max_outbound_connections"] = dice.choice((1, 2, 5))
        if dice.random() < 0.3:
            plan.tables.setdefault(f"binding.{name}", {})["max_outbound_connections"] = dice.choice((1, 2))


def _throttles(plan: Plan, dice: Random) -> None:
    if dice.random() < 0.8:
        return
    tables = ["global", "domain.'/e/'", "host.'/mx/'"]
    tables += [f'domain."{domain.name}"' for domain in plan.domains[:1]]
    tables += [f'host."{host.name}"' for host in plan.hosts[:1]]
    tables += [f"binding.{name}" for name, _ in plan.bindings]
    tables += [f"binding.{name}.host.'/mx/'" for name, _ in plan.bindings]
    for table in dice.sample(tables, dice.choice((1, 1, 2, 3))):
        options = plan.settings if table == "global" else plan.tables.setdefault(table, {})
        for what in dice.choice((("messages",), ("connections",), ("messages", "connections"))):
            options[f"outbound_throttle_{what}"] = dice.choice(("1", "1/5", "2/7", "10/min", "5", "30/60", "100"))
        if dice.random() < 0.3 and ".host." not in table:
            options["scope_max_outbound_connections"] = dice.choice((1, 2, 5))


#: Who writes what.
_POLICIES: Final = {
    "throttles": _throttles,
    "limits": _limits,
    "ways": write_ways,
    "sharing": write_sharing,
}
