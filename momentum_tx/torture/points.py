"""
Where a process can be killed: at the n-th step of a kind, before it, in the
middle of it, or after it.

Pure: no file, no clock.  Which kinds there are is not written down anywhere: a
run without a kill counts the steps it takes.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

#: The kind of a kill at a moment instead of a step; the number is in milliseconds.
ANYWHERE: Final = "anywhere"
#: Steps that change nothing: a kill after one is a kill before the next.
HARMLESS: Final = ("open", "names", "read", "close", "unlock")


class Moment(enum.Enum):
    """
    When it happens, seen from the step.
    """

    BEFORE = "before"
    #: Half of the octets are in the kernel's hands.
    AMID = "amid"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Point:
    """
    One place to die at.

    :ivar scenario: name of the story in which it lies.
    :ivar step: kind of the step, such as ``append reception in append``.
    :ivar moment: when.
    :ivar nth: which step of this kind, the first being 1; at :data:`ANYWHERE` milliseconds.
    """

    scenario: str
    step: str
    moment: Moment
    nth: int

    def __str__(self) -> str:
        return f"{self.scenario}: {self.step}: {self.moment.value}: {self.nth}"

    @classmethod
    def parse(cls, text: str) -> Point:
        """
        Read what ``str`` wrote.

        :raises ValueError: it is no point.
        """
        parts = [part.strip() for part in text.split(":")]
        if len(parts) != 4 or not all(parts):
            raise ValueError(f"{text!r} is no point; write scenario: step: before, amid or after: number")
        scenario, step, moment, number = parts
        nth = int(number)
        if nth < 1:
            raise ValueError("steps are counted from 1")
        return cls(scenario, step, Moment(moment), nth)


def moments(step: str) -> Sequence[Moment]:
    """
    When a process can die at a step of this kind so that it makes a difference.
    """
    operation = step.partition(" ")[0]
    if operation in HARMLESS:
        return (Moment.BEFORE,)
    if operation == "append":
        return tuple(Moment)
    return (Moment.BEFORE, Moment.AFTER)


def enumerate_points(counts: Mapping[str, Mapping[str, int]]) -> Iterator[Point]:
    """
    Every point there is: first one of each kind in every story, then the last
    ones, those in the middle, and the rest.

    :param counts: by scenario and kind, how many steps it takes.
    """
    given: set[tuple[str, str, int]] = set()

    def fresh(scenario: str, step: str, nth: int) -> Iterator[Point]:
        if (scenario, step, nth) not in given:
            given.add((scenario, step, nth))
            for moment in moments(step):
                yield Point(scenario, step, moment, nth)

    kinds = [(scenario, step, count) for scenario, steps in counts.items() for step, count in sorted(steps.items())]
    for pick in (_first, _last, _middle):
        for scenario, step, count in kinds:
            yield from fresh(scenario, step, pick(count))
    for nth in range(2, max((count for _, _, count in kinds), default=0)):
        for scenario, step, count in kinds:
            if nth < count:
                yield from fresh(scenario, step, nth)


def _first(count: int) -> int:
    return 1


def _last(count: int) -> int:
    return count


def _middle(count: int) -> int:
    return (count + 1) // 2
