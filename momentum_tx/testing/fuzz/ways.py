"""
Where an operator of a plan sends mail, or that he wants none; and whom he has
asked about it.
"""

from __future__ import annotations

from random import Random
from typing import Any

from .plan import Plan, Step


def write_ways(plan: Plan, dice: Random) -> None:
    """
    Draw what is said of where mail goes.
    """
    if not plan.calm and dice.random() < 0.1:
        _blackhole(plan, dice)
    if not plan.calm and dice.random() < 0.2:
        _other_way(plan, dice)
    if not plan.calm and plan.hosts and dice.random() < 0.15:
        host = dice.choice(plan.hosts)
        _for_a_while(plan, dice, "global", {"skip_hosts": [dice.choice((host.name, host.address))]}, {"skip_hosts": []})
    if dice.random() < 0.3:
        plan.settings["dns_failures_to_purge"] = dice.choice((0, 1, 2))
        plan.settings["mx_failures_fallback_to_a"] = dice.choice((-1, 0, 1))
        plan.settings["dns_failure_interval"] = dice.choice((0.0, 1.0, 30.0, 600.0))
    if dice.random() < 0.15:
        _hooks(plan, dice)


def _blackhole(plan: Plan, dice: Random) -> None:
    """
    Mail of a domain, of a binding or all of it is failed for a while.
    """
    headers = ["global", *[f'domain."{domain.name}"' for domain in plan.domains]]
    headers += [f"binding.{name}" for name, _ in plan.bindings]
    header, value = dice.choice(headers), dice.choice((True, "inline", "internal"))
    _for_a_while(plan, dice, header, {"blackhole": value}, {"blackhole": False})


def _other_way(plan: Plan, dice: Random) -> None:
    """
    Mail of a domain is sent another way for a while.
    """
    # Of the others DNS says nothing, or nothing good.
    domains = [domain.name for domain in plan.domains if domain.kind in ("mx", "address", "routes")]
    if not domains:
        return
    header = f'domain."{dice.choice(domains)}"'
    address = dice.choice(plan.hosts).address
    literal = f"[{address}]" if ":" in address else address
    others: Any = dice.choice(
        (
            ({"gateway": literal}, {"gateway": ""}),
            ({"routes": [literal]}, {"routes": []}),
            ({"routes": [f"smtp://{literal}?pref=5&ttl=60", "__mx__"]}, {"routes": ["__mx__"]}),
        )
    )
    _for_a_while(plan, dice, header, *others)


def _for_a_while(plan: Plan, dice: Random, header: str, options: Any, afterwards: Any) -> None:
    """
    The operator writes options into a table, and others later on.
    """
    begin, lasts = dice.uniform(0.0, plan.storm), dice.choice((0.0, 1.0, 60.0, plan.storm * 0.3))
    for at, written in ((begin, options), (begin + lasts, afterwards)):
        plan.steps.append(Step(round(at, 3), "reload", {"header": header, "options": written}))


def _hooks(plan: Plan, dice: Random) -> None:
    """
    Providers that let everything pass come and go.
    """
    names = [f"momentum_tx.testing.fuzz.passing:{name}" for name in ("Passing", "Staying")]
    for _ in range(dice.randrange(1, 4)):
        at, named = dice.uniform(0.0, plan.storm), dice.sample(names, dice.randrange(3))
        plan.steps.append(Step(round(at, 3), "reload", {"header": "global", "options": {"hooks": named}}))
