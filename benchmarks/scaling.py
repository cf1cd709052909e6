"""
Whether a message costs more where there is more of everything else: processor
time per message with growing queues, domains, bindings and connections.

``doc/reference/benchmarks.md`` says what is shown.  The committed data and picture
are made, and the picture alone made again, by::

    python benchmarks/scaling.py --save doc/reference/scaling.json --draw doc/reference/scaling.svg
    python benchmarks/scaling.py --from doc/reference/scaling.json --draw doc/reference/scaling.svg
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from curves import Curve, draw
from embedded import running_embedded
from harness import ROOT, conclude, ended, free_port, spread, wait_for_port
from machine import heading, machine

#: First address of the sink, and how many it has; connections are spread over them.
FIRST: Final = IPv4Address("127.71.0.1")
ADDRESSES: Final = 20
#: First address that mail of a binding leaves from.
SOURCES: Final = IPv4Address("127.72.0.1")
#: Messages under way at once, and the domains that they are for.
WINDOW: Final = 100
DOMAINS: Final = 20
#: Octets of a message that is delivered, and of one that waits.
SIZE: Final = 4096
WAITING_SIZE: Final = 1024
#: Domains of waiting mail where it is its number that grows.
WAITING_DOMAINS: Final = 1000
#: Messages that do not count.
WARM_UP: Final = 300


@dataclass(frozen=True)
class Axis:
    """
    One thing that grows.

    :ivar name: as printed, and of the axis of the picture.
    :ivar sizes: how much of it.
    """

    name: str
    sizes: tuple[int, ...]


QUEUED: Final = Axis("messages queued", (1, 1_000, 10_000, 100_000, 1_000_000))
KNOWN: Final = Axis("domains", (1, 10, 100, 1_000, 10_000, 100_000))
BINDINGS: Final = Axis("bindings", (1, 10, 100, 1_000))
CONNECTIONS: Final = Axis("connections", (1, 10, 100, 1_000, 10_000))
AXES: Final = (QUEUED, KNOWN, BINDINGS, CONNECTIONS)


@contextmanager
def running_sinks(directory: Path) -> Iterator[int]:
    """
    Receivers on all addresses.

    :returns: their port.
    """
    port = free_port()
    command = [sys.executable, str(ROOT / "benchmarks" / "sink.py"), "--ledger", "/dev/null"]
    command += ["--listen", f"{FIRST}-{FIRST + ADDRESSES - 1}:{port}"]
    with (directory / "sink.log").open("wb") as output, ended(subprocess.Popen(command, stderr=output)):
        wait_for_port(port, directory / "sink.log", str(FIRST + ADDRESSES - 1))
        yield port


def configuration(directory: Path, axis: Axis, size: int, port: int) -> str:
    """
    As TOML: mail for ``load*`` and ``open*`` is delivered; any other is not to be tried.
    """
    lines = [
        "[global]",
        f'state_dir = "{directory / "state"}"',
        'hostname = "relay.example"',
        "smtp_listen = []",
        'routes = ["127.0.0.1:9"]',
        # What waits goes on waiting, and what is open stays open.
        "message_expiration = 10_000_000",
        "idle_timeout = 3600",
        "migrate_connections_between_sibling_domains = false",
    ]
    if axis is BINDINGS:
        for number in range(size):
            lines += [f"[binding.b{number:04}]", f'bind_address = "{SOURCES + number}"']
    served = [f"load{number:06}" for number in range(DOMAINS)]
    served += [f"open{number:06}" for number in range(size)] if axis is CONNECTIONS else []
    for number, name in enumerate(served):
        lines += [f'[domain."{name}.example"]', f'routes = ["{FIRST + number % ADDRESSES}:{port}"]']
    return "\n".join(lines) + "\n"


def measure(directory: Path, axis: Axis, size: int, messages: int, idle: float) -> dict[str, float]:
    """
    One point, with a service and a spool of its own.

    :returns: microseconds per message, and of idle time the part that is worked, in percent.
    """
    directory.mkdir()
    load: dict[str, Any] = {"size": SIZE, "window": WINDOW, "name": "load", "domains": DOMAINS, "bindings": 0}
    if axis is BINDINGS:
        # One connection of each binding.
        load |= {"bindings": size, "domains": 1}
    with (
        running_sinks(directory) as port,
        running_embedded(directory, configuration(directory, axis, size, port)) as service,
    ):
        service.do("start")
        waiting = {"size": WAITING_SIZE, "name": "queue", "delayed": True, "later": True}
        if axis is QUEUED:
            service.do("fill", messages=size, domains=min(size, WAITING_DOMAINS), **waiting)
        elif axis is KNOWN:
            service.do("fill", messages=size, domains=size, **waiting)
        elif axis is CONNECTIONS:
            service.do("deliver", messages=size, **{**load, "name": "open", "domains": size})
        service.do("deliver", messages=max(WARM_UP, 2 * load["bindings"]), **load)
        quiet = service.do("idle", seconds=idle)
        found = service.do("deliver", messages=messages, **load)
        if axis is CONNECTIONS and found["connections"] < size:
            raise AssertionError(f"{found['connections']} connections are open, not {size}")
        # Nothing of what waits is wanted any more.
        service.process.kill()
    return {"cpu_us": 1e6 * found["cpu"] / messages, "idle_percent": 100 * quiet["cpu"]}


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    All axes that are asked for, or what an earlier run has saved.
    """
    if arguments.of:
        saved: dict[str, Any] = json.loads(Path(arguments.of).read_text())
        return saved
    with tempfile.TemporaryDirectory(prefix="scaling-", dir=arguments.directory) as name:
        directory = Path(name)
        report: dict[str, Any] = {
            "machine": machine(directory),
            "runs": arguments.runs,
            "messages": arguments.messages,
            "axes": {},
        }
        for run in range(arguments.runs):
            for axis in AXES:
                if arguments.axis and axis.name not in arguments.axis:
                    continue
                points = report["axes"].setdefault(axis.name, {})
                for size in (size for size in axis.sizes if size <= arguments.limit):
                    where = directory / f"{AXES.index(axis)}-{size}-{run}"
                    found = measure(where, axis, size, arguments.messages, arguments.idle)
                    of_size = points.setdefault(str(size), {})
                    for key, value in found.items():
                        of_size.setdefault(key, []).append(round(value, 2))
                    print(f"run {run + 1}: {size:,} {axis.name}: {json.dumps(found)}", file=sys.stderr)
    return report


def table(report: dict[str, Any]) -> str:
    """
    The report for people: medians.
    """
    lines = [
        heading(report["machine"], f"medians of {report['runs']}, of {report['messages']:,} messages each"),
        "",
        "| what grows | how many | CPU us per message | ± | to the smallest | idle, % |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, points in report["axes"].items():
        smallest = 0.0
        for size, found in points.items():
            cpu, idle = statistics.median(found["cpu_us"]), statistics.median(found["idle_percent"])
            smallest = smallest or cpu
            lines.append(
                f"| {name} | {int(size):,} | {cpu:,.0f} | {spread(found['cpu_us']):.0f} | {cpu / smallest:.2f} "
                f"| {idle:.2f} |"
            )
    return "\n".join(lines)


def picture(report: dict[str, Any]) -> str:
    """
    The report as SVG.
    """
    curves = [
        Curve(name, [(int(size), found["cpu_us"]) for size, found in points.items()])
        for name, points in report["axes"].items()
    ]
    about = report["machine"]
    return draw(
        "Processor time per message, from its reception in process to its delivery",
        f"{about['processors']} processors ({about['model']}), Python {about['python']}, load before "
        f"{about['load_before']}; runs of {report['messages']:,} messages of {SIZE:,} octets: {report['runs']} "
        "(dots; the line: medians)",
        "microseconds per message",
        curves,
    )


def main() -> None:
    """
    Measure, print, save and draw.
    """
    names = [axis.name for axis in AXES]
    parser = argparse.ArgumentParser(description="The cost of a message where there is more of everything else.")
    parser.add_argument("--runs", type=int, default=3, help="how often each point is measured (default 3)")
    parser.add_argument("--messages", type=int, default=5000, help="messages per point (default 5,000)")
    parser.add_argument("--idle", type=float, default=5.0, help="seconds of idle time before them (default 5)")
    parser.add_argument("--limit", type=int, default=1_000_000, help="the largest point (default: all)")
    parser.add_argument("--axis", action="append", choices=names, help="only this; may be repeated")
    parser.add_argument("--directory", help="where the spool is (default: the system's temporary directory)")
    parser.add_argument("--from", dest="of", metavar="FILE", help="measure nothing: take what was saved there")
    parser.add_argument("--save", metavar="FILE", help="write every single figure there, too")
    parser.add_argument("--draw", metavar="FILE", help="write a picture there (SVG)")
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    arguments = parser.parse_args()
    report = conclude(arguments, benchmark, table)
    if arguments.save:
        Path(arguments.save).write_text(json.dumps(report, indent=1) + "\n")
    if arguments.draw:
        Path(arguments.draw).write_text(picture(report))


if __name__ == "__main__":
    main()
