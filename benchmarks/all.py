"""
Every benchmark in turn: their tables, what is promised, and one file with all figures.

Run it as root on an idle machine with Postfix installed; it takes some hours, and
``--quick``, whose figures say little, some minutes::

    python benchmarks/all.py --out figures.json
    python benchmarks/all.py --from figures.json      # the tables again
"""

from __future__ import annotations

import argparse
import importlib
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from harness import ROOT, ended
from targets import targets

HERE: Final = ROOT / "benchmarks"
#: What they are told where little time is to be taken.  They run in this order, those that are not named last.
QUICK: Final[dict[str, tuple[str, ...]]] = {
    "throughput": ("--runs", "1", "--messages", "1000"),
    "client": ("--runs", "1", "--messages", "500"),
    "connections": ("--runs", "1", "--messages", "500"),
    "signing": ("--runs", "1"),
    "hooks": ("--runs", "1", "--calls", "20000"),
    "latency": ("--runs", "1", "--messages", "50", "--seconds", "5", "--accepted", "2000"),
    "isolation": ("--runs", "1", "--seconds", "5", "--kind", "mixed", "--share", "33"),
    "stall": ("--seconds", "5", "--queued", "5000", "--failing", "1000"),
    "scaling": ("--runs", "1", "--messages", "500", "--idle", "1", "--limit", "1000"),
    "memory": ("--messages", "5000", "--domains", "100"),
    "recovery": ("--messages", "5000"),
    "idle": ("--connections", "200", "--seconds", "2"),
    "sessions": ("--sessions", "20"),
    "simulation": ("--runs", "1", "--row", "2,000"),
}
#: What is told those besides that say more when asked.
LONG: Final[dict[str, tuple[str, ...]]] = {"throughput": ("--ceiling",)}


def programs(names: Iterable[str]) -> list[str]:
    """
    The benchmarks there are: programs that know ``--json``.

    :param names: those that are wanted; none: all.
    :raises ValueError: one of them is not there.
    """
    found = {path.stem for path in HERE.glob("*.py") if '"--json"' in path.read_text() and path != Path(__file__)}
    wanted = set(names) or found
    if not wanted <= found:
        raise ValueError(f"{', '.join(sorted(wanted - found))}: not among {', '.join(sorted(found))}")
    order = list(QUICK)
    return sorted(wanted, key=lambda name: (order.index(name) if name in order else len(order), name))


def command_of(name: str, quick: bool, directory: str | None) -> list[str]:
    """
    What is run.
    """
    command = [
        sys.executable,
        str(HERE / f"{name}.py"),
        "--json",
        *(QUICK.get(name, ()) if quick else LONG.get(name, ())),
    ]
    if directory and '"--directory", help="where' in (HERE / f"{name}.py").read_text():
        command += ["--directory", directory]
    return command


def run(command: list[str]) -> dict[str, Any]:
    """
    Run one; what it says of its progress is seen.

    :returns: its command, how long it took, its status and its report, ``None`` if it has none.
    """
    began = time.monotonic()
    # Not killed when we are to end, but asked to: what it started must end as well.
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
        said, _ = process.communicate()
    try:
        report = json.loads(said)
    except ValueError:
        report = None
    shown = ["python", str(Path(command[1]).relative_to(ROOT)), *command[2:]]
    seconds = round(time.monotonic() - began, 1)
    return {"command": shlex.join(shown), "seconds": seconds, "status": process.returncode, "report": report}


def show(name: str, entry: dict[str, Any]) -> str:
    """
    One benchmark for people.
    """
    report = entry["report"]
    if report is None:
        text = f"It failed with status {entry['status']}."
    else:
        tabulate = getattr(importlib.import_module(name), "table", None)
        text = tabulate(report) if tabulate is not None else json.dumps(report, indent=2)
    return f"## {name}\n\n`{entry['command']}`, {entry['seconds']:,.0f} s\n\n{text}\n"


def conclusion(entries: dict[str, dict[str, Any]]) -> str:
    """
    What is promised, and what was found.
    """
    reports = {name: entry["report"] for name, entry in entries.items() if entry["report"] is not None}
    return f"## Targets\n\n{targets(reports)}\n"


def main() -> None:
    """
    Run all, or show what was saved; status 1 if one has failed.
    """
    parser = argparse.ArgumentParser(description="Every benchmark in turn.")
    parser.add_argument("--quick", action="store_true", help="small loads, whose figures say little")
    parser.add_argument("--only", action="append", default=[], help="only this benchmark; may be repeated")
    parser.add_argument("--directory", help="where mail is kept: a directory on the disk to be measured")
    parser.add_argument("--out", default="benchmarks.json", help="the file for all figures (benchmarks.json)")
    parser.add_argument("--from", dest="of", metavar="FILE", help="measure nothing: show what was saved there")
    arguments = parser.parse_args()
    if arguments.of:
        entries = json.loads(Path(arguments.of).read_text())
        print("\n".join((*(show(name, entry) for name, entry in entries.items()), conclusion(entries))))
        return
    # However it ends, the one that runs ends with it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    try:
        names = programs(arguments.only)
    except ValueError as error:
        sys.exit(f"all: {error}")
    entries = {}
    for name in names:
        entries[name] = run(command_of(name, arguments.quick, arguments.directory))
        print(show(name, entries[name]), flush=True)
        # At once: hours of figures are not lost with the last one.
        Path(arguments.out).write_text(json.dumps(entries, indent=1) + "\n")
    print(conclusion(entries))
    sys.exit(any(entry["report"] is None for entry in entries.values()))


if __name__ == "__main__":
    main()
