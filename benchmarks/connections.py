"""
What a new outbound connection costs: processor time of a message that has one of its own,
beside that of a message on a connection that is there already.

``doc/reference/benchmarks.md`` says what each column means::

    python benchmarks/connections.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from client import ours, running_sink
from harness import conclude
from machine import heading, machine

#: Connections at a time.
CONNECTIONS: Final = 20


@dataclass(frozen=True)
class Row:
    """
    :ivar name: as printed.
    :ivar tls: whether STARTTLS is used.
    :ivar more: lines of configuration.
    """

    name: str
    tls: bool
    more: str


_NEW: Final = "max_deliveries_per_connection = 1\n"
_BOUND: Final = '[binding.default]\nbind_address = "127.0.0.1"\n'

ROWS: Final = (
    Row("reused, plain", False, ""),
    Row("new, plain", False, _NEW),
    Row("new, bound source, plain", False, _NEW + _BOUND),
    Row("new, bound source, TLS", True, _NEW + _BOUND),
)


def run(row: Row, port: int, messages: int, size: int) -> float:
    """
    Microseconds of processor time of a message, in a process of its own.
    """
    told = json.dumps([port, messages, row.tls, size, row.more])
    done = subprocess.run([sys.executable, __file__, "--measure", told], capture_output=True, text=True, timeout=600)
    if done.returncode:
        sys.exit(f"connections: {row.name}: {done.stderr[-2000:]}")
    return float(done.stdout) / messages * 1e6


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    All rows, all runs.
    """
    about = machine()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="connections-") as directory:
        for row in ROWS:
            if arguments.row and not any(word in row.name for word in arguments.row):
                continue
            for _ in range(arguments.runs):
                with running_sink(Path(directory), row.tls) as port:
                    microseconds = run(row, port, arguments.messages, arguments.size)
                found.setdefault(row.name, []).append(round(microseconds, 1))
                print(f"{row.name}: {microseconds:.0f} us", file=sys.stderr)
    return {"machine": about, "size": arguments.size, "messages": arguments.messages, "rows": found}


def table(report: dict[str, Any]) -> str:
    """
    Medians, for people.
    """
    lines = [heading(report["machine"]), "", "| connection | CPU us per message |", "| --- | ---: |"]
    lines += [f"| {name} | {statistics.median(values):.0f} |" for name, values in report["rows"].items()]
    return "\n".join(lines)


def main() -> None:
    """
    The command.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=3, help="how often each row is measured (3)")
    parser.add_argument("--messages", type=int, default=4000, help="messages of each measurement (4,000)")
    parser.add_argument("--size", type=int, default=4096, help="octets of a message (4,096)")
    parser.add_argument("--row", action="append", help="only rows whose name holds this; may be repeated")
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        port, messages, tls, size, more = json.loads(arguments.measure)
        print(ours(port, messages, CONNECTIONS, tls, size, more))
    else:
        conclude(arguments, benchmark, table)


if __name__ == "__main__":
    main()
