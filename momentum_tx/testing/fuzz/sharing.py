"""
Domains of a plan that share exchangers, and what follows from it.
"""

from __future__ import annotations

from random import Random

from .plan import Options, Plan

#: A routing domain that is in no DNS.
QUEUE = "queue.example"


def write_sharing(plan: Plan, dice: Random) -> None:
    """
    Draw what domains behind the same exchangers share.
    """
    if dice.random() < 0.15:
        plan.settings["migrate_connections_between_sibling_domains"] = False
    ordinary = [domain for domain in plan.domains if domain.kind == "mx"]
    if len(ordinary) > 1 and dice.random() < 0.4:
        for domain in ordinary[1:]:
            if dice.random() < 0.7:
                domain.exchangers = list(ordinary[0].exchangers)
    if dice.random() < 0.15:
        plan.settings["rollup_by_mx_set"] = True
    if plan.hosts and dice.random() < 0.25:
        _roll_up(plan, dice)


def _roll_up(plan: Plan, dice: Random) -> None:
    """
    Have domains of some hosts queued under the host's name, a domain's, or one that
    only has routes.
    """
    names = list(dict.fromkeys(host.name for host in plan.hosts))
    name = dice.choice(("", QUEUE, *(domain.name for domain in plan.domains)))
    if name == QUEUE:
        routes: Options = {"routes": [host.address for host in plan.hosts]}  # type: ignore[dict-item]
        plan.tables.setdefault(f'domain."{QUEUE}"', {}).update(routes)
    for host in dice.sample(names, dice.randint(1, len(names))):
        table = plan.tables.setdefault(f'host."{host}"', {})
        table["rollup_mx"] = True
        if name:
            table["rollup_mx_name"] = name
