"""
The command line of the fuzz driver.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from twisted.logger import globalLogBeginner

from .making import make_plan
from .plan import Plan
from .play import Result, play
from .shrink import shrink

#: Seeds between two lines of progress.
PROGRESS: int = 100


@dataclass(slots=True)
class Account:
    """
    All stories of one run.

    :ivar failed: seeds with a fault, and the fault.
    """

    seeds: int = 0
    steps: int = 0
    events: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)

    def add(self, seed: int, result: Result) -> None:
        """
        One more story.
        """
        self.seeds += 1
        self.steps += result.steps
        self.events += result.events
        self.seconds += result.seconds
        self.counts.update(result.counts)
        if result.faults:
            self.failed[seed] = str(result.faults[0])

    def as_json(self) -> str:
        """
        The account for scripts.
        """
        return json.dumps(
            {
                "seeds": self.seeds,
                "steps": self.steps,
                "events": self.events,
                "virtual_seconds": round(self.seconds),
                "counts": dict(sorted(self.counts.items())),
                "failed": self.failed,
            }
        )

    def lines(self) -> Iterable[str]:
        """
        The account for people.
        """
        yield f"{self.seeds} seeds, {len(self.failed)} with a fault"
        yield f"{self.steps} steps of the world, {self.events} events, {self.seconds / 86400:.1f} virtual days"
        for what, count in sorted(self.counts.items()):
            yield f"  {count:>9} {what}"


def parser() -> argparse.ArgumentParser:
    """
    What may be said to it.
    """
    said = argparse.ArgumentParser(
        prog="python -m momentum_tx.testing.fuzz",
        description="Play the real service in worlds made from seeds, and judge every step.",
    )
    said.add_argument("--seeds", type=int, default=100, metavar="N", help="how many (100)")
    said.add_argument("--start", type=int, default=1, metavar="S", help="the first one (1)")
    said.add_argument("--plan", type=Path, metavar="FILE", help="play this plan, a JSON file, instead")
    said.add_argument("--shrink", action="store_true", help="leave out of a failing story what its fault does not need")
    said.add_argument("--keep", type=Path, metavar="FILE", help="write the plan of the last failing story there")
    said.add_argument("--trace", action="store_true", help="print everything that happens")
    said.add_argument("--json", action="store_true", help="print the account as JSON")
    said.add_argument("--quiet", action="store_true", help="no progress")
    return said


def run(arguments: Sequence[str], out: TextIO, progress: TextIO) -> int:
    """
    The command.

    :param out: where the account and the traces go.
    :param progress: where progress and failing seeds go.
    :returns: the exit status: 1 if a story had a fault.
    """
    options = parser().parse_args(arguments)
    account = Account()
    stories: Iterable[tuple[int, Plan]]
    if options.plan is not None:
        plan = Plan.from_json(options.plan.read_text(encoding="utf-8"))
        stories = [(plan.seed, plan)]
    else:
        stories = ((seed, make_plan(seed)) for seed in range(options.start, options.start + options.seeds))
    for seed, plan in stories:
        result = play(plan, options.trace)
        account.add(seed, result)
        for line in result.lines:
            print(line, file=out)
        if options.trace:
            print(f"digest {result.digest}", file=out)
        if result.faults:
            _report(seed, plan, result, options, progress)
        if not options.quiet and account.seeds % PROGRESS == 0:
            print(f"{account.seeds} seeds, {len(account.failed)} with a fault", file=progress, flush=True)
    if options.json:
        print(account.as_json(), file=out)
    else:
        for line in account.lines():
            print(line, file=out)
    return 1 if account.failed else 0


def _report(seed: int, plan: Plan, result: Result, options: argparse.Namespace, progress: TextIO) -> None:
    fault = result.faults[0]
    print(f"seed {seed}: {fault}", file=progress)
    again = f"--plan {options.plan}" if options.plan is not None else f"--seeds 1 --start {seed}"
    print(f"  again: python -m momentum_tx.testing.fuzz {again} --trace", file=progress, flush=True)
    if options.shrink:
        plan = shrink(plan, fault.rule, told=lambda text: print(f"  smaller: {text}", file=progress, flush=True))
        smaller = play(plan).faults[0]
        print(f"  the smallest story found: {smaller}", file=progress)
        if options.keep is None:
            print(plan.to_json(), file=progress)
    if options.keep is not None:
        options.keep.write_text(plan.to_json(), encoding="utf-8")


def main() -> int:
    """
    The command with what the process was given.
    """
    # Hooks that raise are logged thousands of times; what matters of it the judge has seen.
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    return run(sys.argv[1:], sys.stdout, sys.stderr)
