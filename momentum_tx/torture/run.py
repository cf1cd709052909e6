"""
The whole torture: count the steps of every story, kill at each kind of them,
then at moments that chance gives, and add up.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults

from .lane import SCENARIOS, Cycle, Lane
from .points import ANYWHERE, Moment, Point, enumerate_points

#: Share of the cycles that is killed at moments of chance, if it is not said how many.
RANDOM_SHARE: Final = 0.2
#: Milliseconds within which chance kills, from the start of a life and from that of the mail.
_SPAN: Final = 250


@dataclass(frozen=True, slots=True)
class Wishes:
    """
    What is wanted.

    :ivar points: how many cycles; 0 for all points there are.
    :ivar minutes: after how long no cycle is begun any more, and until when chance goes on
        if there are more minutes than points; 0 for neither.
    :ivar seed: of everything that chance decides.
    :ivar only: the one point to be killed at, or ``None``.
    :ivar cycle_seed: the seed of that one cycle.
    """

    points: int
    minutes: float
    seed: int
    only: Point | None = None
    cycle_seed: int = 0


@dataclass(slots=True)
class Row:
    """
    What came of all cycles killed at one kind of point.

    :ivar step: kind of the step.
    :ivar cycles: how many there were.
    :ivar hit: in how many the process came to the point.
    :ivar found: what was found, by the names of :class:`~momentum_tx.torture.judge.Verdict`.
    """

    scenario: str
    step: str
    cycles: int = 0
    hit: int = 0
    found: Counter[str] = field(default_factory=Counter)

    @property
    def bad(self) -> int:
        """
        Promises that were not kept.
        """
        return sum(count for name, count in self.found.items() if name != "in_window")


@dataclass(slots=True)
class Result:
    """
    What came of it all.

    :ivar counts: how many steps of each kind each story takes.
    :ivar failing: the cycles that went wrong.
    :ivar in_window_most: the most second copies of one cycle.
    """

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    failing: list[Cycle] = field(default_factory=list)
    cycles: int = 0
    kills: int = 0
    injected: int = 0
    accepted: int = 0
    in_window_most: int = 0

    @property
    def good(self) -> bool:
        """
        Whether there were promises, and every one was kept.
        """
        return not self.failing and not self.vain

    @property
    def vain(self) -> bool:
        """
        Whether no message was accepted, so that none could be lost: on a disk that is full, for instance.

        One kill alone may well come before the first message.
        """
        return not self.accepted and (bool(self.counts) or not self.kills)

    def total(self) -> Counter[str]:
        """
        All that was found.
        """
        return sum((row.found for row in self.rows.values()), Counter())

    def enter(self, cycle: Cycle) -> None:
        """
        Add one cycle.
        """
        step = "no kill" if cycle.point is None else cycle.point.step
        row = self.rows.setdefault((cycle.scenario, step), Row(cycle.scenario, step))
        row.cycles += 1
        row.hit += cycle.hit
        for name, found in cycle.verdict.findings():
            row.found[name] += len(found)
        self.cycles += 1
        self.kills += cycle.hit
        self.injected += cycle.injected
        self.accepted += cycle.accepted
        self.in_window_most = max(self.in_window_most, len(cycle.verdict.in_window))
        if not cycle.verdict.good:
            self.failing.append(cycle)


class Torture:
    """
    One run.

    :param reactor: the real one.
    :param directory: an empty directory on the storage that is tried.
    :param nursery: command line of a nursery, see :mod:`momentum_tx.torture.nursery`.
    :param lanes: cycles at a time.
    :param wishes: what is wanted.
    :param progress: told after every cycle, with how many are planned.
    """

    def __init__(
        self,
        reactor: Any,
        directory: str,
        nursery: Sequence[str],
        lanes: int,
        wishes: Wishes,
        progress: Callable[[Result, int], object],
    ) -> None:
        self._reactor = reactor
        self._wishes = wishes
        self._progress = progress
        self._rng = Random(wishes.seed)
        self._lanes = [Lane(reactor, directory, nursery) for _ in range(1 if wishes.only is not None else lanes)]
        self._waiting: deque[Cycle] = deque()
        self._planned = 0
        self._until = 0.0
        self.result = Result()

    async def run(self) -> Result:
        """
        Run, once.
        """
        wishes = self._wishes
        if wishes.minutes:
            self._until = self._reactor.seconds() + 60 * wishes.minutes
        for lane in self._lanes:
            lane.start()
        try:
            if wishes.only is not None:
                await self._work([Cycle(wishes.only.scenario, wishes.only, wishes.cycle_seed)])
            else:
                counting = [Cycle(name, None, wishes.seed) for name in SCENARIOS]
                await self._work(counting)
                self.result.counts = {cycle.scenario: dict(cycle.kinds) for cycle in counting}
                await self._work(self._plan())
                while wishes.minutes and not wishes.points and not self._late():
                    await self._work(self._chance(50))
        finally:
            await gatherResults([lane.stop() for lane in self._lanes])
        return self.result

    def _plan(self) -> list[Cycle]:
        points = list(enumerate_points(self.result.counts))
        most = self._wishes.points
        chance = int(most * RANDOM_SHARE) if most else len(points) // 4
        if most:
            points = points[: max(0, most - chance)]
        cycles = [Cycle(point.scenario, point, self._wishes.seed) for point in points]
        cycles += self._chance(chance)
        # Those that only wait, for a disk that is tried again after a second, are spread.
        self._rng.shuffle(cycles)
        return cycles

    def _chance(self, count: int) -> list[Cycle]:
        names = ("traffic", "recovery")
        cycles = []
        for _ in range(count):
            name = self._rng.choice(names)
            moment = self._rng.choice((Moment.BEFORE, Moment.AFTER))
            point = Point(name, ANYWHERE, moment, self._rng.randrange(1, _SPAN))
            cycles.append(Cycle(name, point, self._rng.randrange(1 << 31)))
        return cycles

    async def _work(self, cycles: Sequence[Cycle]) -> None:
        self._waiting.extend(cycles)
        self._planned += len(cycles)
        await gatherResults([Deferred.fromCoroutine(self._work_in(lane)) for lane in self._lanes], consumeErrors=True)

    async def _work_in(self, lane: Lane) -> None:
        while self._waiting:
            if self._late():
                self._waiting.clear()
                return
            self.result.enter(await lane.run(self._waiting.popleft()))
            self._progress(self.result, self._planned)

    def _late(self) -> bool:
        return bool(self._until) and self._reactor.seconds() >= self._until
