"""
Domains of a plan that share exchangers, and what follows from it.
"""

from __future__ import annotations

from random import Random

from .plan import Plan


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
