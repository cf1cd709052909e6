"""
The bindings of a plan, and what an operator does with them.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from .plan import Options, Plan

#: The service's own addresses that bindings may use.
SOURCES: Final = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
SOURCE_6: Final = "2001:db8::1"
#: The one binding group of a plan.
GROUP: Final = "g"


def draw_bindings(dice: Random, plan: Plan) -> None:
    """
    Give *plan* its bindings, some of them in a group.
    """
    if dice.random() < 0.3:
        plan.settings["binding_auto_replumb_interval"] = dice.choice((1.0, 10.0, 300.0))
    if dice.random() < 0.1:
        plan.settings["binding_auto_replumb"] = False
    for number in range(dice.choice((0, 0, 1, 2, 3))):
        mixed = bool(plan.settings.get("use_ipv6"))
        name, source = f"b{number}", dice.choice((*SOURCES, SOURCE_6, "") if mixed else (*SOURCES, ""))
        plan.bindings.append((name, source))
        # A source of the one family cannot reach hosts of the other: in the calm that is not to be tried.
        if mixed and source and (plan.calm or dice.random() < 0.5):
            second = dice.choice(SOURCES) if source == SOURCE_6 else SOURCE_6
            plan.tables[f"binding.{name}"] = {"bind_address_secondary": second}
        if dice.random() < 0.3:
            table: Options = {}
            if dice.random() < 0.5:
                table["group_weight"] = dice.choice((1, 5) if plan.calm else (0, 1, 5))
            plan.tables[f"binding_group.{GROUP}.binding.{name}"] = table
    if has_group(plan) and dice.random() < 0.4:
        plan.tables[f"binding_group.{GROUP}"] = {"rebind_on_retry": True}


def has_group(plan: Plan) -> bool:
    """
    Whether a plan has bindings in its group.
    """
    return any(header.startswith(f"binding_group.{GROUP}.") for header in plan.tables)


def draw_binding_steps(dice: Random, plan: Plan, moment: Callable[[], float], step: Callable[..., object]) -> None:
    """
    Let an operator do something about the bindings of *plan*.

    :param moment: draws a time in the storm.
    :param step: adds a step: its time, its kind, its arguments.
    """
    for _ in range(dice.choice((1, 2, 4))):
        draw = dice.choice((_default_binding, _plumbing, _plumbing, _rebinding, _rebinding, _rebinding))
        draw(dice, plan, moment(), step)


def _rebinding(dice: Random, plan: Plan, at: float, step: Callable[..., Any]) -> None:
    names = ["default", *(name for name, _ in plan.bindings)]
    how = dice.choice(("binding", "binding", "group", "anew"))
    step(
        at,
        "rebind",
        domain=dice.choice(("", dice.choice(plan.domains).name)),
        source=dice.choice(("", dice.choice(names))),
        binding=dice.choice(names) if how == "binding" else "",
        group=dice.choice((GROUP, "default")) if how == "group" and has_group(plan) else "",
    )


def _plumbing(dice: Random, plan: Plan, at: float, step: Callable[..., Any]) -> None:
    used = [address for _, address in plan.bindings if address]
    address = dice.choice((*used, *used, *SOURCES, SOURCE_6))
    step(at, "unplumb", address=address)
    step(at + dice.choice((0.5, 10.0, 60.0, plan.storm * 0.3)), "plumb", address=address)


def _default_binding(dice: Random, plan: Plan, at: float, step: Callable[..., Any]) -> None:
    step(at, "reload", header="global", options={"default_binding": dice.choice(("suspended", "none"))})
    again = at + dice.choice((1.0, 30.0, plan.storm * 0.2))
    step(again, "reload", header="global", options={"default_binding": "normal"})
