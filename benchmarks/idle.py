"""
What ten thousand idle connections to next hops cost: memory for each, its domain's record
included, and processor time while nothing happens.

``doc/reference/benchmarks.md`` says what each column means::

    python benchmarks/idle.py
    python benchmarks/idle.py --connections 1000 --json
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, Final

from harness import conclude
from machine import heading, machine
from sessions import address, resident

#: Sessions that are there before anything is counted: code is loaded, pools are filled.
WARM_UP: Final = 20
#: Seconds in which the service may open everything.
LONGEST: Final = 300.0
#: Addresses among which the peers are shared out.
ADDRESSES: Final = 10


async def measure(reactor: Any, directory: str, tls: bool, port: int, connections: int, seconds: float) -> list[float]:
    """
    KiB of each connection; percent of a processor; seconds to open all.
    """
    from twisted.internet.task import deferLater

    from momentum_tx import make_service

    path = Path(directory, "momentum-tx.toml")
    hops = ", ".join(f'"{address(number)}:{port}"' for number in range(ADDRESSES))
    path.write_text(f"""
[global]
state_dir = "{directory}"
hostname = "mail.sender.example"
smtp_listen = []
idle_timeout = 3600
migrate_connections_between_sibling_domains = false
server_max_outbound_connections = {connections + WARM_UP + 100}
tls = "{"required" if tls else "no"}"
routes = [{hops}]
""")
    service = make_service(reactor, str(path))
    service.startService()
    await service.when_ready()

    def opened() -> int:
        return sum(session.ready for session in service.delivery.sessions)

    async def open_up(first: int, last: int) -> None:
        for number in range(first, last):
            service.send("a@sender.example", [f"b@d{number}.test"], b"Subject: x\r\n\r\nx\r\n").addErrback(
                lambda _: None
            )
            if not number % 100:
                # Whoever is asked for all at once would be refused by the peer's backlog.
                await deferLater(reactor, 0.05)
        until = time.monotonic() + LONGEST
        while opened() < last:
            if time.monotonic() > until:
                raise RuntimeError(f"{opened()} of {last} connections are open")
            await deferLater(reactor, 0.1)
        await deferLater(reactor, 2.0)
        gc.collect()

    await open_up(0, WARM_UP)
    before = resident("VmRSS")
    began = time.monotonic()
    await open_up(WARM_UP, WARM_UP + connections)
    took = time.monotonic() - began - 2.0
    after = resident("VmRSS")
    spent, began = time.process_time(), time.monotonic()
    await deferLater(reactor, seconds)
    busy = 100 * (time.process_time() - spent) / (time.monotonic() - began)
    # The peers are gone when it ends; nobody waits for ten thousand farewells.
    return [(after - before) / connections, busy, took]


def run(tls: bool, connections: int, seconds: float) -> list[float]:
    """
    Measure one row, in processes of its own.
    """
    sessions = str(Path(__file__).with_name("sessions.py"))
    with tempfile.TemporaryDirectory() as directory:
        peer_command = [sys.executable, sessions, "--part", "peer", "--directory", directory]
        peer_command += ["--row", json.dumps([tls, "idle"]), "--sessions", str(ADDRESSES)]
        with subprocess.Popen(
            peer_command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=all_descriptors
        ) as peer:
            try:
                assert peer.stdout is not None
                port = int(peer.stdout.readline())
                told = json.dumps([directory, tls, port, connections, seconds])
                done = subprocess.run(
                    [sys.executable, __file__, "--measure", told], stdout=subprocess.PIPE, text=True, check=True
                )
            finally:
                peer.kill()
    found: list[float] = json.loads(done.stdout)
    return found


def all_descriptors() -> None:
    """
    As many as this process may have.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    All rows.
    """
    about = machine()
    rows = {}
    for tls in (False, True):
        name = "TLS" if tls else "plain"
        if arguments.row and name not in arguments.row:
            continue
        kib, busy, took = run(tls, arguments.connections, arguments.seconds)
        rows[name] = {"kib": round(kib, 1), "cpu_percent": round(busy, 2), "opened_in": round(took, 1)}
        print(f"{name}: {rows[name]}", file=sys.stderr)
    return {"machine": about, "connections": arguments.connections, "rows": rows}


def table(report: dict[str, Any]) -> str:
    """
    For people.
    """
    lines = [
        heading(report["machine"], f"{report['connections']:,} connections"),
        "",
        "| connections | KiB each | CPU % while idle | opened in s |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, row in report["rows"].items():
        lines.append(f"| {name} | {row['kib']} | {row['cpu_percent']} | {row['opened_in']} |")
    return "\n".join(lines)


def main() -> None:
    """
    The command.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--connections", type=int, default=10_000, help="how many (10,000)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long nothing happens (20)")
    parser.add_argument("--row", action="append", choices=("plain", "TLS"), help="only this; may be repeated")
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.measure:
        conclude(arguments, benchmark, table)
        return
    from twisted.internet.task import react

    all_descriptors()

    async def part(reactor: Any) -> None:
        status = 0
        try:
            print(json.dumps(await measure(reactor, *json.loads(arguments.measure))), flush=True)
        except Exception:
            traceback.print_exc()
            status = 1
        os._exit(status)

    react(part, ())


if __name__ == "__main__":
    main()
