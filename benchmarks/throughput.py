"""
How many messages a second, and at what price in processor time: ours and
Postfix on the same machine, in the same run, from the same source and to the
same sink.

``doc/reference/benchmarks.md`` says what each column means.  Run it on a machine
that has nothing else to do::

    python benchmarks/throughput.py --runs 3
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import client
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from harness import (
    LONGEST,
    SEARCHED,
    SENDER,
    Server,
    Sink,
    Unusable,
    conclude,
    ended,
    free_port,
    rest,
    running_ours,
    running_sink,
    source,
    spread,
    wait_for_port,
)
from machine import heading, machine, mail_version
from postfix import running_postfix

#: Parallel sessions of the source.
SESSIONS: Final = 20
#: Messages sent before anything is measured, so that processes are running and code is warm.
WARM_UP: Final = 500


@dataclass(frozen=True)
class Row:
    """
    One kind of load.

    :ivar name: as printed.
    :ivar size: octets of a message.
    :ivar reused: whether a session of the source sends message after message.
    :ivar share: messages sent, as a part of ``--messages``.
    :ivar key: key that ours signs with by DKIM, of :data:`KEYS`; empty for none.  Of Postfix such
        a row says nothing, as it does not sign.
    :ivar tls: whether the sink wants TLS.
    """

    name: str
    size: int
    reused: bool
    share: float
    key: str = ""
    tls: bool = False


ROWS: Final = (
    Row("4 KiB, one message per connection", 4096, False, 1.0),
    Row("4 KiB, connections reused", 4096, True, 1.0),
    Row("100 KiB, one message per connection", 102400, False, 0.2),
    Row("4 KiB, signed with RSA-2048", 4096, True, 1.0, "rsa-2048"),
    Row("4 KiB, signed with Ed25519, TLS to the next hop", 4096, True, 1.0, "ed25519", True),
)
KEYS: Final[dict[str, Callable[[], Any]]] = {
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@dataclass
class Figures:
    """
    What one server did under one load, run by run.

    :ivar rate: messages per second, from the start of the source until the
        sink has the last one.
    :ivar cpu: seconds of processor time of the server's own processes per
        1,000 messages, user and system.
    """

    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def send(port: int, row: Row, count: int) -> None:
    """
    Let the source send *count* messages, and wait until they are accepted.
    """
    subprocess.run(source(port, count, row.size, SESSIONS, row.reused), check=True, cwd="/", timeout=LONGEST)


def measure(port: int, server: Server | None, sink: Sink, row: Row, count: int) -> tuple[float, float]:
    """
    One measurement.

    :returns: messages per second, and seconds of processor time per 1,000.
    """
    spent = rest(server) if server is not None else 0.0
    target = sink.counted + count
    start = time.monotonic()
    send(port, row, count)
    rate = count / (sink.wait(target) - start)
    cpu = (rest(server) - spent) * 1000 / count if server is not None else 0.0
    return rate, cpu


@contextmanager
def running_tls_sink(directory: Path) -> Iterator[Sink]:
    """
    A sink on a free port that offers STARTTLS, with a certificate nobody knows.
    """
    port, certificate = free_port(), directory / "sink.pem"
    client.make_certificate(certificate)
    command = [sys.executable, client.__file__, "--sink", str(port), "--certificate", str(certificate), "--count"]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
        wait_for_port(port)
        yield Sink(process, port, command)


def more_settings(row: Row, directory: Path) -> str:
    """
    What the configuration of ours has besides for a row.
    """
    more = 'tls = "required"\ntls_verify = "no"\n' if row.tls else ""
    if row.key:
        path = directory / f"{row.key}.pem"
        path.write_bytes(KEYS[row.key]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        path.chmod(0o600)
        more += f'[dkim."{SENDER.partition("@")[2]}".selector.s]\nkeyfile = "{path}"\n'
    return more


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    All rows, all runs.

    :returns: the machine, and figures by row and server.
    """
    rows = [row for row in ROWS if not arguments.row or any(word in row.name for word in arguments.row)]
    results: dict[str, dict[str, Figures]] = {row.name: {} for row in ROWS}
    with ExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="throughput-", dir=arguments.directory))
        )
        # Postfix's processes are not root's.
        directory.chmod(0o755)
        about = {**machine(directory), "postfix": mail_version(SEARCHED)}
        sinks: dict[bool, Sink] = {}
        servers: dict[tuple[str, bool], list[Server]] = {}
        settings: dict[str, str] = {}
        for row in rows:
            kind = row.key, row.tls
            if kind in servers:
                continue
            if row.tls not in sinks:
                sinks[row.tls] = stack.enter_context(running_tls_sink(directory) if row.tls else running_sink())
            where = directory / f"ours{len(servers)}"
            ours = stack.enter_context(running_ours(where, sinks[row.tls].port, more_settings(row, directory)))
            servers[kind] = [ours]
            settings[", ".join([ours.name, *[row.name] * any(kind)])] = ours.settings
            if not (arguments.ours_only or any(kind)):
                try:
                    postfix = stack.enter_context(running_postfix(directory / "postfix", sinks[False].port))
                except Unusable as reason:
                    print(f"Postfix is left out: {reason}", file=sys.stderr)
                else:
                    servers[kind].append(postfix)
                    settings[postfix.name] = postfix.settings
            for server in servers[kind]:
                measure(server.port, server, sinks[row.tls], ROWS[0], WARM_UP)
        for run in range(arguments.runs):
            for row in rows:
                sink = sinks[row.tls]
                count = max(1, int(arguments.messages * row.share))
                for server in servers[row.key, row.tls]:
                    rate, cpu = measure(server.port, server, sink, row, count)
                    figures = results[row.name].setdefault(server.name, Figures())
                    figures.rate.append(round(rate, 1))
                    figures.cpu.append(round(cpu, 4))
                    print(f"run {run + 1}: {row.name}: {server.name}: {rate:.0f}/s, {cpu:.2f} s", file=sys.stderr)
                # The source speaks no TLS.
                if arguments.ceiling and not row.tls:
                    rate, _ = measure(sink.port, None, sink, row, count)
                    results[row.name].setdefault("source to sink", Figures()).rate.append(round(rate, 1))
    return {
        "machine": about,
        "runs": arguments.runs,
        "messages": arguments.messages,
        "settings": settings,
        "commands": {
            **{f"sink{' with TLS' * tls}": shlex.join(sink.command) for tls, sink in sinks.items()},
            **{
                row.name: shlex.join(
                    source(0, max(1, int(arguments.messages * row.share)), row.size, SESSIONS, row.reused)
                )
                for row in rows
            },
        },
        "rows": {
            name: {server: asdict(figures) for server, figures in row.items()} for name, row in results.items() if row
        },
    }


def table(report: dict[str, Any]) -> str:
    """
    The report for people: medians, and how far apart the runs are.
    """
    lines = [
        heading(report["machine"], f"medians of {report['runs']}, ± is the largest less the smallest, in percent"),
        "",
        "| load | server | messages/s | ± | ratio | CPU s per 1,000 | ± | ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, servers in report["rows"].items():
        postfix = servers.get("Postfix")
        for server, figures in servers.items():
            rate, cpu = statistics.median(figures["rate"]), statistics.median(figures["cpu"] or [0.0])
            ratios = ("", "")
            if server == "momentum_tx" and postfix is not None and cpu:
                times = rate / statistics.median(postfix["rate"])
                ratios = (f"{times:.1f}", f"1/{statistics.median(postfix['cpu']) / cpu:.1f}")
            paid = (f"{cpu:.2f}", f"{spread(figures['cpu']):.0f}") if cpu else ("", "")
            lines.append(
                f"| {name} | {server} | {rate:,.0f} | {spread(figures['rate']):.0f} | {ratios[0]} "
                f"| {paid[0]} | {paid[1]} | {ratios[1]} |"
            )
    return "\n".join(lines)


def settings(report: dict[str, Any]) -> str:
    """
    What ran: configurations and commands, where port 0 stands for the server's.
    """
    parts = [f"--- {server}\n{text}" for server, text in report["settings"].items()]
    parts += ["--- commands\n" + "\n".join(f"{name}: {text}" for name, text in report["commands"].items())]
    return "\n".join(parts)


def main() -> None:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(description="Throughput of momentum_tx beside Postfix.")
    parser.add_argument("--runs", type=int, default=3, help="how often each row is measured (default 3)")
    parser.add_argument("--messages", type=int, default=10_000, help="messages per measurement (default 10,000)")
    parser.add_argument("--directory", help="where both keep their queues: a directory on the disk to be measured")
    parser.add_argument("--row", action="append", help="only rows whose name holds this; may be repeated")
    parser.add_argument("--ours-only", action="store_true", help="leave Postfix out")
    parser.add_argument("--ceiling", action="store_true", help="also measure the source sending straight to the sink")
    parser.add_argument("--settings", action="store_true", help="print both configurations and all commands, too")
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    arguments = parser.parse_args()
    report = conclude(arguments, benchmark, table)
    if arguments.settings and not arguments.json:
        print(f"\n{settings(report)}")


if __name__ == "__main__":
    main()
