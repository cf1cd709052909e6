"""
A smaller plan with the same fault: what is left is what it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from .plan import Plan
from .play import play


def shrink(plan: Plan, rule: str, most: int = 400, told: Callable[[str], object] | None = None) -> Plan:
    """
    Leave out what the fault does not need.

    :param plan: one with a fault.
    :param rule: the rule its first fault breaks; a smaller plan must break the same.
    :param most: stories played at the most.
    :param told: told of every success.
    """
    return _Shrinking(plan, rule, most, told).run()


class _Shrinking:
    def __init__(self, plan: Plan, rule: str, most: int, told: Callable[[str], object] | None) -> None:
        self.plan = plan
        self.rule = rule
        self.left = most
        self.told = told

    def run(self) -> Plan:
        progress = True
        while progress and self.left > 0:
            progress = False
            for name in ("steps", "providers", "hosts", "domains", "bindings"):
                progress = self._fewer(name) or progress
            for candidate in self._simpler():
                progress = self._try(candidate) or progress
        return self.plan

    def _try(self, candidate: Plan) -> bool:
        if self.left <= 0 or candidate == self.plan:
            return False
        self.left -= 1
        try:
            faults = play(candidate).faults
        except Exception:
            # A part is missing that another one needs.
            return False
        if not faults or faults[0].rule != self.rule:
            return False
        self.plan = candidate
        if self.told is not None:
            self.told(f"{len(candidate.steps)} steps, {len(candidate.hosts)} hosts, {len(candidate.domains)} domains")
        return True

    def _fewer(self, name: str) -> bool:
        """
        Leave out runs of a list, long ones first (delta debugging).
        """
        progress = False
        size = max(1, len(getattr(self.plan, name)) // 2)
        while size >= 1:
            at = 0
            while at < len(getattr(self.plan, name)) and self.left > 0:
                candidate = deepcopy(self.plan)
                del getattr(candidate, name)[at : at + size]
                if self._try(candidate):
                    progress = True
                else:
                    at += size
            size //= 2
        return progress

    def _simpler(self) -> Iterator[Plan]:
        for change in self._changes():
            candidate = deepcopy(self.plan)
            try:
                change(candidate)
            except (KeyError, IndexError):
                # A change before it has taken that away.
                continue
            yield candidate

    def _changes(self) -> Iterator[Callable[[Plan], object]]:
        plan = self.plan
        yield lambda plan: setattr(plan, "shuffled", False)
        yield lambda plan: setattr(plan, "dns", "scripted")
        last = max([step.at for step in plan.steps], default=0.0)
        yield lambda plan: setattr(plan, "storm", min(plan.storm, last + 1.0))
        for name in list(plan.settings):
            yield lambda plan, name=name: plan.settings.pop(name)  # type: ignore[misc]
        for name in list(plan.demands):
            yield lambda plan, name=name: plan.demands.pop(name)  # type: ignore[misc]
        for header in list(plan.tables):
            yield lambda plan, header=header: plan.tables.pop(header)  # type: ignore[misc]
        for index, host in enumerate(plan.hosts):
            yield lambda plan, index=index: setattr(plan.hosts[index], "line", {})  # type: ignore[misc]
            for name in host.extensions:
                yield lambda plan, index=index, name=name: plan.hosts[index].extensions.pop(name)  # type: ignore[misc]
            for number in range(len(host.behaviours)):
                yield lambda plan, index=index, number=number: plan.hosts[index].behaviours.pop(number)  # type: ignore[misc]
        for index, step in enumerate(plan.steps):
            if step.kind != "mail":
                continue
            yield lambda plan, index=index: _fewer_recipients(plan.steps[index].args)  # type: ignore[misc]
            for number in range(len(step.args["to"])):
                yield lambda plan, index=index, number=number: plan.steps[index].args["to"].pop(number)  # type: ignore[misc]
            yield lambda plan, index=index: plan.steps[index].args.update(size=10)  # type: ignore[misc]


def _fewer_recipients(args: dict[str, Any]) -> None:
    del args["to"][1:]
