"""
``momentum-tx torture``: its options, what it says, and its exit status.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, Final, TextIO

from twisted.internet.defer import Deferred, FirstError
from twisted.python.failure import Failure

from ..usage import more_than_nothing, whole_number
from .lane import SCENARIOS, Cycle
from .nursery import Nursery
from .points import Point
from .run import Result, Torture, Wishes

HELP: Final = (
    "kill the service at every kind of step of its journal, on this machine's storage, and see that no mail is lost"
    " and none is sent twice that need not be"
)
#: Cycles if nobody says how many: every kind of step at its first, last and middle one takes about as many.
POINTS: Final = 400
#: Cycles at a time: the processes wait for the disk, and for nothing else.
LANES: Final = 4
#: What is found, and what stands above its column.
_COLUMNS: Final = {
    "lost": "lost",
    "in_window": "in window",
    "outside": "outside",
    "refused": "refused",
    "corrupted": "corrupted",
    "alien": "alien",
    "early": "early",
    "stuck": "stuck",
}
#: Cycles between two lines of progress.
_STEP: Final = 25


def arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add the options.
    """
    parser.add_argument(
        "--directory",
        metavar="DIR",
        help="a new directory is made in it, on the storage that is to be tried (default: the present one)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--points",
        type=whole_number(1),
        default=POINTS,
        metavar="N",
        help=f"how many kills to plan (default: {POINTS})",
    )
    which.add_argument("--long", action="store_true", help="kill at every single step, before, amid and after it")
    parser.add_argument(
        "--minutes",
        type=more_than_nothing,
        default=0.0,
        metavar="M",
        help="begin nothing after so many minutes; with --long, go on with moments of chance until then",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="seed of all that chance decides (default: 1)")
    parser.add_argument("--json", action="store_true", help="print nothing but one JSON object, at the end")
    parser.add_argument("--only", metavar="POINT", help="kill at this one point, as a report names it, with that seed")
    parser.add_argument("--nursery", action="store_true", help=argparse.SUPPRESS)


def run(options: argparse.Namespace, reactor: Callable[[], Any]) -> int:
    """
    Run the command; the exit status.

    :param reactor: gives the real reactor; not called before it is wanted.
    """
    if options.nursery:
        Nursery(sys.stdin.fileno(), sys.stdout.fileno(), reactor).serve()
        return 0
    try:
        only = Point.parse(options.only) if options.only else None
    except ValueError as error:
        sys.stderr.write(f"momentum-tx: {error}\n")
        return 2
    if only is not None and only.scenario not in SCENARIOS:
        sys.stderr.write(f"momentum-tx: there is no {only.scenario!r}, only {', '.join(SCENARIOS)}\n")
        return 2
    parent = options.directory or "."
    try:
        directory = tempfile.mkdtemp(prefix="momentum-tx-torture-", dir=parent)
    except OSError as error:
        sys.stderr.write(f"momentum-tx: {parent}: no directory can be made in it: {error.strerror}\n")
        return 1
    wishes = Wishes(
        points=0 if options.long else options.points,
        minutes=options.minutes,
        seed=options.seed,
        only=only,
        cycle_seed=options.seed,
    )
    out = sys.stdout
    try:
        told = None if options.json else out
        result = perform(reactor(), os.path.abspath(directory), nursery_command(), wishes, told)
    except BrokenPipeError:
        # Nobody reads what it finds.
        shutil.rmtree(directory, ignore_errors=True)
        raise
    if result is None:
        shutil.rmtree(directory, ignore_errors=True)
        return 130
    if options.json:
        out.write(json.dumps(as_json(result)) + "\n")
    else:
        out.write(report(result, parent))
    out.flush()
    if not result.failing:
        shutil.rmtree(directory, ignore_errors=True)
    return 0 if result.good else 1


def nursery_command() -> list[str]:
    """
    The command line of a process in which lives begin.
    """
    return [
        sys.executable,
        "-c",
        "import sys; from momentum_tx.cli import main; sys.exit(main())",
        "torture",
        "--nursery",
    ]


def perform(
    reactor: Any, directory: str, nursery: Sequence[str], wishes: Wishes, out: TextIO | None, lanes: int = LANES
) -> Result | None:
    """
    Run it on a reactor that does not run yet.

    :param out: where it is said how it goes, or ``None``.
    :returns: the result; ``None`` if it was interrupted.
    """

    def progress(result: Result, planned: int) -> None:
        if out is not None and (result.cycles % _STEP == 0 or result.cycles == planned):
            found = result.total()
            out.write(
                f"{result.cycles:5} of {planned}: {result.kills} killed, {found['lost']} lost, second copies:"
                f" {found['in_window']} in the window, {found['outside']} outside\n"
            )
            out.flush()

    torture = Torture(reactor, directory, nursery, lanes, wishes, progress)
    results: list[Result | Failure] = []

    def ended(result: Result | Failure) -> None:
        results.append(result)
        if reactor.running:
            reactor.stop()

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(torture.run()).addBoth(ended))
    reactor.run()
    if not results:
        return None
    result = results[0]
    if isinstance(result, Failure):
        if isinstance(result.value, FirstError):
            # What went wrong in one lane.
            result = result.value.subFailure
        result.raiseException()
    return result


# What is said.


def repetition(cycle: Cycle, directory: str) -> str:
    """
    The command that tells a cycle again.
    """
    if cycle.point is None:
        return f"momentum-tx torture --directory {directory} --points 1 --seed {cycle.seed}"
    return f"momentum-tx torture --directory {directory} --seed {cycle.seed} --only '{cycle.point}'"


def report(result: Result, directory: str) -> str:
    """
    The table, and what went wrong.

    :param directory: in which it was tried.
    """
    lines = [""]
    for scenario, counts in result.counts.items():
        lines.append(f"{scenario}: {SCENARIOS[scenario].about}; {sum(counts.values())} steps of {len(counts)} kinds")
    head = ("killed at", "cycles", "hit", *_COLUMNS.values())
    table = [head]
    for (scenario, step), row in sorted(result.rows.items()):
        table.append(
            (f"{scenario}: {step}", str(row.cycles), str(row.hit), *(str(row.found[name]) for name in _COLUMNS))
        )
    total = result.total()
    table.append(("total", str(result.cycles), str(result.kills), *(str(total[name]) for name in _COLUMNS)))
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines.append("")
    for line in table:
        first, *others = line
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    lines.append("")
    if result.good:
        lines.append(
            f"{result.accepted} of {result.injected} messages were accepted, {result.kills} processes killed:"
            f" none lost, none sent twice outside the window; at most {result.in_window_most} in it after one kill."
        )
    elif result.vain:
        lines.append(
            f"Nothing was tried: of {result.injected} messages none was accepted."
            f" Has {directory} space, and was there time for more than nothing?"
        )
    for cycle in result.failing:
        lines.append(f"WRONG: {cycle.point or cycle.scenario}")
        for name, found in cycle.verdict.findings():
            if found and name != "in_window":
                lines.append(f"  {_COLUMNS[name]}: {', '.join(found[:3])}{', ...' if len(found) > 3 else ''}")
        lines.append(f"  kept in {cycle.directory}")
        lines.append(f"  again: {repetition(cycle, directory)}")
    return "".join(f"{line}\n" for line in lines)


def as_json(result: Result) -> dict[str, Any]:
    """
    For ``json.dumps``.
    """
    total = result.total()
    return {
        "ok": result.good,
        "cycles": result.cycles,
        "kills": result.kills,
        "injected": result.injected,
        "accepted": result.accepted,
        "in_window_most": result.in_window_most,
        "steps": result.counts,
        "total": {name: total[name] for name in _COLUMNS},
        "points": [
            {"scenario": row.scenario, "step": row.step, "cycles": row.cycles, "hit": row.hit, **row.found}
            for _, row in sorted(result.rows.items())
        ],
        "failing": [
            {"point": str(cycle.point or ""), "seed": cycle.seed, "directory": cycle.directory}
            | {name: found for name, found in cycle.verdict.findings() if found}
            for cycle in result.failing
        ],
    }
