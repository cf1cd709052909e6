"""
How long the reactor keeps everybody waiting: a tick that is due every 10 ms, and
how late it comes, under full load, in trouble, and with big queues.

``doc/reference/benchmarks.md`` says what each column means.  Run it on a machine
that has nothing else to do; its exit status says whether the promise held::

    python benchmarks/stall.py                      # a million messages in the queues: half an hour
    python benchmarks/stall.py --queued 10000 --failing 10000 --seconds 10
"""

from __future__ import annotations

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from embedded import Embedded, running_embedded
from harness import ROOT, conclude, ended, free_port, percentile, source, wait_for_port
from machine import heading, machine

#: What is promised, milliseconds.
MOST_OFTEN: Final = 20.0
MOST_EVER: Final = 100.0
#: Upper ends of the histogram's bins, milliseconds; above the last there is one more.
BINS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
FIRST: Final = IPv4Address("127.73.0.1")
#: What the domains' exchangers do: the first is good.
KINDS: Final = ("good", "550", "hang", "421", "refuse", "dead", "slow")
SIZE: Final = 4096
WAITING_SIZE: Final = 1024
WAITING_DOMAINS: Final = 1000
#: Sessions of the source of good mail, and of that of each other domain.
SESSIONS: Final = 20
TROUBLED_SESSIONS: Final = 2
#: More than a source sends before it is ended.
NO_END: Final = 100_000_000
#: Seconds between two reloads.
RELOAD_EVERY: Final = 2.0
#: Seconds of mail before a load is measured, and without any after it.
WARM_UP: Final = 2.0
CALM: Final = 2.0
#: Seconds that a turn may take before the service is asked for a stack.
REPORTED: Final = "0.05"
#: What the service says of such a turn.
REPORT: Final = re.compile(r"a turn of the reactor .*\n(?:\s+(?:\S+:\d+ |nobody could look).*\n)*")


class Stage:
    """
    A service with everything around it.

    :ivar seconds: that each phase takes.
    """

    def __init__(self, directory: Path, port: int, sink_port: int, arguments: argparse.Namespace) -> None:
        self.directory = directory
        self.port = port
        self.seconds: float = arguments.seconds
        self._sink_port = sink_port
        self._stacks: bool = arguments.stacks
        self._refusing = free_port()

    def configuration(self, suspended: bool = True) -> str:
        """
        As TOML.

        :param suspended: whether mail of ``failing*`` waits for the moment at which all of it fails.
        """
        lines = [
            "[global]",
            f'state_dir = "{self.directory / "state"}"',
            'hostname = "relay.example"',
            f'smtp_listen = ["tcp:{self.port}:interface=127.0.0.1"]',
            # What is for nobody else is refused and waits.
            f'routes = ["127.0.0.1:{self._refusing}"]',
            "message_expiration = 10_000_000",
            "shutdown_grace = 2",
            *([f"debug_slow_turns = {REPORTED}"] if self._stacks else []),
        ]
        for number, kind in enumerate(KINDS):
            lines += [f'[domain."{kind}.example"]', f'routes = ["{FIRST + number}:{self._sink_port}"]']
        lines += ['[domain."failing000000.example"]', f'routes = ["{FIRST + KINDS.index("550")}:{self._sink_port}"]']
        lines += [f"suspend_delivery = {str(suspended).lower()}"]
        return "\n".join(lines) + "\n"

    @contextmanager
    def mail(self, kinds: tuple[str, ...]) -> Iterator[None]:
        """
        Mail for these domains as fast as it is taken.
        """
        with ExitStack() as stack:
            for kind in kinds:
                sessions = SESSIONS if kind == "good" else TROUBLED_SESSIONS
                command = source(self.port, NO_END, SIZE, sessions, True, f"you@{kind}.example")
                process = subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL)
                stack.enter_context(ended(process))
            yield

    def phase(self, service: Embedded, kinds: tuple[str, ...] = (), reload: bool = False) -> dict[str, Any]:
        """
        Watch the ticks for a while.

        :param kinds: the domains that get mail.
        :param reload: whether the configuration is read anew again and again.
        """
        with self.mail(kinds):
            time.sleep(min(WARM_UP, self.seconds))
            service.do("ticks")
            until = time.monotonic() + self.seconds
            while (remaining := until - time.monotonic()) > 0:
                time.sleep(min(RELOAD_EVERY, remaining))
                if reload:
                    service.reload(self.configuration())
            found = service.do("ticks")
        time.sleep(min(CALM, self.seconds))
        return found


@contextmanager
def running_sinks(directory: Path) -> Iterator[int]:
    """
    A receiver of each kind, on an address of its own.

    :returns: their port.
    """
    port = free_port()
    command = [sys.executable, str(ROOT / "benchmarks" / "sink.py"), "--ledger", "/dev/null"]
    command += ["--listen", f"{FIRST}-{FIRST + len(KINDS) - 1}:{port}"]
    for number, kind in enumerate(KINDS[1:], 1):
        command += ["--bad", f"{FIRST + number}={kind}"]
    with (directory / "sink.log").open("wb") as output, ended(subprocess.Popen(command, stderr=output)):
        wait_for_port(port, directory / "sink.log", str(FIRST))
        yield port


def phases(stage: Stage, queued: int, failing: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Everything that is measured, one after the other.
    """
    good, all_kinds = ("good",), KINDS
    with running_embedded(stage.directory, stage.configuration()) as service:
        service.do("start", ticks=True)
        yield "idle", stage.phase(service)
        yield "full load", stage.phase(service, good)
        yield "full load, domains in trouble, reloads", stage.phase(service, all_kinds, reload=True)
        if failing:
            filling = {"domains": 1, "size": WAITING_SIZE, "name": "failing", "delayed": False}
            service.do("fill", messages=failing, **filling)
            with stage.mail(good):
                time.sleep(WARM_UP)
                service.do("ticks")
                service.reload(stage.configuration(suspended=False))
                service.do("gone", name="failing", longest=10 * stage.seconds)
                yield f"full load, {failing:,} messages fail at once", service.do("ticks")
        if queued:
            filling = {"domains": WAITING_DOMAINS, "size": WAITING_SIZE, "name": "queue", "delayed": True}
            service.do("ticks")
            service.do("fill", messages=queued, **filling)
            yield f"{queued:,} messages are queued", service.do("ticks")
            yield f"full load, {queued:,} messages queued", stage.phase(service, good)
        service.do("stop")
    if queued:
        with running_embedded(stage.directory, stage.configuration()) as service:
            service.do("start", ticks=True)
            yield f"start with {queued:,} messages queued", service.do("ticks")
            yield f"full load after that start, {queued:,} messages queued", stage.phase(service, good)
            service.process.kill()


def figures(found: dict[str, Any]) -> dict[str, Any]:
    """
    What the ticks of a phase say.
    """
    row: dict[str, Any] = {"ticks": len(found["late"]), "collector": round(found["collector"], 2)}
    for name in ("late", "own"):
        values = found[name]
        row[name] = {
            **{f"p{which:g}": round(percentile(values, which), 2) for which in (50, 99, 99.9)},
            "max": round(max(values, default=0.0), 2),
        }
    ends = (0.0, *map(float, BINS), float("inf"))
    row["histogram"] = [sum(low <= value < high for value in found["late"]) for low, high in itertools.pairwise(ends)]
    return row


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    All phases.
    """
    with tempfile.TemporaryDirectory(prefix="stall-", dir=arguments.directory) as name:
        directory = Path(name)
        report: dict[str, Any] = {"machine": machine(directory), "bins_ms": BINS, "rows": {}}
        with running_sinks(directory) as sink_port:
            stage = Stage(directory, free_port(), sink_port, arguments)
            for phase, found in phases(stage, arguments.queued, arguments.failing):
                report["rows"][phase] = figures(found)
                print(f"{phase}: {report['rows'][phase]}", file=sys.stderr)
        if arguments.stacks:
            said = (directory / "service.log").read_text(errors="replace")
            report["stacks"] = REPORT.findall(said)
    report["holds"] = {phase: holds(row) for phase, row in report["rows"].items()}
    return report


def holds(row: dict[str, Any]) -> bool:
    """
    Whether nobody waited too long.
    """
    late = row["late"]
    return bool(late["p99.9"] <= MOST_OFTEN and late["max"] <= MOST_EVER)


def table(report: dict[str, Any]) -> str:
    """
    The report for people.
    """
    lines = [
        heading(report["machine"], "milliseconds that a tick came too late, and of them the service's own work"),
        "",
        "| load | ticks | p50 | p99 | p99.9 | max | own, p99.9 | own, max | collector | holds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, row in report["rows"].items():
        late, own = row["late"], row["own"]
        cells = [f"{late[key]:.1f}" for key in ("p50", "p99", "p99.9", "max")]
        cells += [f"{own['p99.9']:.1f}", f"{own['max']:.1f}", f"{row['collector']:.1f}"]
        lines.append(
            f"| {name} | {row['ticks']:,} | {' | '.join(cells)} | {'yes' if report['holds'][name] else 'NO'} |"
        )
    edges = [f"< {edge} ms" for edge in report["bins_ms"]] + [f">= {report['bins_ms'][-1]} ms"]
    lines += ["", f"| ticks | {' | '.join(edges)} |", f"| --- |{' ---: |' * len(edges)}"]
    for name, row in report["rows"].items():
        lines.append(f"| {name} | {' | '.join(f'{count:,}' for count in row['histogram'])} |")
    if "stacks" in report:
        lines += ["", *(report["stacks"] or [f"no turn took more than {REPORTED} s"])]
    return "\n".join(lines)


def main() -> None:
    """
    Measure, print, and say by the exit status whether the promise held.
    """
    parser = argparse.ArgumentParser(description="How long the reactor's turns are.")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each phase (default 60)")
    parser.add_argument("--queued", type=int, default=1_000_000, help="messages in the queues; 0: none (1,000,000)")
    parser.add_argument("--failing", type=int, default=100_000, help="messages that fail at once; 0: none (100,000)")
    parser.add_argument("--stacks", action="store_true", help=f"say where turns of more than {REPORTED} s were")
    parser.add_argument("--directory", help="where the spool is (default: the system's temporary directory)")
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    report = conclude(parser.parse_args(), benchmark, table)
    sys.exit(0 if all(report["holds"].values()) else 1)


if __name__ == "__main__":
    main()
