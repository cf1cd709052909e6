"""
Where an operator of a plan sends mail, or that he wants none.
"""

from __future__ import annotations

from random import Random

from .plan import Plan, Step


def write_ways(plan: Plan, dice: Random) -> None:
    """
    Draw what is said of where mail goes.
    """
    if not plan.calm and dice.random() < 0.1:
        _blackhole(plan, dice)
    if dice.random() < 0.3:
        plan.settings["dns_failures_to_purge"] = dice.choice((0, 1, 2))
        plan.settings["mx_failures_fallback_to_a"] = dice.choice((-1, 0, 1))
        plan.settings["dns_failure_interval"] = dice.choice((0.0, 1.0, 30.0, 600.0))


def _blackhole(plan: Plan, dice: Random) -> None:
    """
    Mail of a domain, of a binding or all of it is failed for a while.
    """
    headers = ["global", *[f'domain."{domain.name}"' for domain in plan.domains]]
    headers += [f"binding.{name}" for name, _ in plan.bindings]
    header, value = dice.choice(headers), dice.choice((True, "inline", "internal"))
    begin, lasts = dice.uniform(0.0, plan.storm), dice.choice((0.0, 1.0, 60.0, plan.storm * 0.3))
    for at, said in ((begin, value), (begin + lasts, False)):
        plan.steps.append(Step(round(at, 3), "reload", {"header": header, "options": {"blackhole": said}}))
