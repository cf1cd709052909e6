"""
How long mail is on its way: from the 250 until the next hop hears of it on an
idle system, from the source to the receiver under load; and how many messages a
second are made durable.

``doc/reference/benchmarks.md`` says what each column means.  Run it on a machine
that has nothing else to do::

    python benchmarks/latency.py
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import isolation
from harness import LONGEST, ROOT, Unusable, conclude, percentile, rest, running_ours, source
from machine import heading, machine

#: Seconds without any mail before each message of the idle rows.
PAUSE: Final = 0.02
#: Messages of an idle row that do not count: code is cold.
COLD: Final = 20
#: Domains of the rows under load, and seconds; no more than :mod:`isolation` can have.
DOMAINS: Final = 100
#: Parallel sessions, and octets of a message, of the rows of acceptance.
ACCEPT_SESSIONS: Final = 50
ACCEPT_SIZE: Final = 1024
#: Messages of a row of acceptance that do not count.
ACCEPT_COLD: Final = 500


@dataclass(frozen=True)
class Row:
    """
    One idle system.

    :ivar name: as printed.
    :ivar more: lines of configuration.
    :ivar domain: of the message of a number.
    """

    name: str
    more: str
    domain: Callable[[int], str]


IDLE: Final = (
    Row("a session is open", "", lambda number: "reader.example"),
    Row("a connection is needed", "max_deliveries_per_connection = 1", lambda number: "reader.example"),
    Row("a domain never seen before", "", lambda number: f"reader{number}.example"),
)


@dataclass
class Times:
    """
    Of each message, milliseconds.

    :ivar answer: from the final dot until the 250 is here: the sync.
    :ivar first: from the 250 until the first octet at the next hop: of MAIL, or
        of EHLO where a connection is needed.
    :ivar content: from the 250 until the first octet of the content there.
    """

    answer: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    content: list[float] = field(default_factory=list)


class NextHop(asyncio.Protocol):
    """
    A session of the receiver, which takes the time of what it hears.
    """

    _transport: asyncio.Transport

    def __init__(self, heard: dict[str, float], taken: asyncio.Event) -> None:
        self._heard = heard
        self._taken = taken
        self._received = b""
        self._in_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if self._in_content:
            self._heard.setdefault("content", now)
        elif not data.startswith(b"QUIT"):
            self._heard.setdefault("first", now)
        self._received += data
        while True:
            line, newline, rest = self._received.partition(b"\r\n.\r\n" if self._in_content else b"\r\n")
            if not newline:
                return
            self._received = rest
            if self._in_content:
                self._in_content = False
                self._transport.write(b"250 taken\r\n")
                self._taken.set()
            elif line[:4].upper() == b"DATA":
                self._in_content = True
                self._transport.write(b"354 go on\r\n")
            elif line[:4].upper() == b"EHLO":
                self._transport.write(b"250-sink.example\r\n250 PIPELINING\r\n")
            elif line[:4].upper() == b"QUIT":
                self._transport.write(b"221 bye\r\n")
                self._transport.close()
            else:
                self._transport.write(b"250 ok\r\n")


async def converse(reader: asyncio.StreamReader, expected: bytes) -> None:
    """
    Read a reply.

    :raises Unusable: it is another.
    """
    while True:
        line = await reader.readline()
        if not line.startswith(expected):
            raise Unusable(f"the service says {line!r}")
        if line[3:4] != b"-":
            return


async def idle(row: Row, directory: Path, messages: int) -> Times:
    """
    Send messages one at a time; source and receiver are this very process, so that one clock does.
    """
    heard: dict[str, float] = {}
    taken = asyncio.Event()
    server = await asyncio.get_running_loop().create_server(lambda: NextHop(heard, taken), "127.0.0.1", 0)
    times = Times()
    with running_ours(directory, server.sockets[0].getsockname()[1], f"{row.more}\n") as ours:
        reader, writer = await asyncio.open_connection("127.0.0.1", ours.port)
        await converse(reader, b"220")
        writer.write(b"EHLO source.example\r\n")
        await converse(reader, b"250")
        body = b"From: news@sender.example\r\nSubject: news\r\n\r\n" + (b"0123456789abcdef" * 4 + b"\r\n") * 60
        for number in range(messages + COLD):
            await asyncio.sleep(PAUSE)
            taken.clear()
            heard.clear()
            to = row.domain(number)
            writer.write(f"MAIL FROM:<news@sender.example>\r\nRCPT TO:<you@{to}>\r\nDATA\r\n".encode())
            for expected in (b"250", b"250", b"354"):
                await converse(reader, expected)
            writer.write(body + b".\r\n")
            sent = time.monotonic()
            await converse(reader, b"250")
            answered = time.monotonic()
            try:
                await asyncio.wait_for(taken.wait(), 30)
            except TimeoutError:
                raise Unusable(f"message {number} has not reached the next hop in 30 s") from None
            if number >= COLD:
                # Where both came at once it may have been the later that was read first.
                times.answer.append(1000 * (answered - sent))
                times.first.append(1000 * max(0.0, heard["first"] - answered))
                times.content.append(1000 * max(0.0, heard["content"] - answered))
        writer.close()
    server.close()
    return times


def accept(directory: Path, messages: int, reused: bool) -> dict[str, float]:
    """
    Mail that is kept and not delivered.
    """
    # Where the sink would be nobody listens: nothing is attempted.
    with running_ours(directory, 9, "suspend_delivery = true\n") as ours:

        def send(count: int) -> None:
            command = source(ours.port, count, ACCEPT_SIZE, ACCEPT_SESSIONS, reused)
            subprocess.run(command, check=True, cwd="/", timeout=LONGEST)

        send(ACCEPT_COLD)
        before = rest(ours)
        start = time.monotonic()
        send(messages)
        seconds = time.monotonic() - start
        return {"rate": messages / seconds, "cpu": (rest(ours) - before) * 1000 / messages}


def summary(values: list[float]) -> dict[str, float]:
    """
    Percentiles.
    """
    return {"p50": percentile(values, 50), "p99": percentile(values, 99), "max": max(values)}


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    All parts that are asked for.
    """
    parts = arguments.part or PARTS
    with tempfile.TemporaryDirectory(prefix="latency-", dir=arguments.directory) as name:
        directory = Path(name)
        report: dict[str, Any] = {"machine": machine(directory), "runs": arguments.runs}
        if "idle" in parts:
            report["idle"] = {}
            for number, row in enumerate(IDLE):
                times = asyncio.run(idle(row, directory / f"idle{number}", arguments.messages))
                report["idle"][row.name] = {key: summary(values) for key, values in vars(times).items()}
                print(f"{row.name}: {report['idle'][row.name]['first']}", file=sys.stderr)
        if "load" in parts:
            report["load"] = {}
            program = [sys.executable, str(ROOT / "benchmarks" / "sink.py")]
            for rate in arguments.rate or RATES:
                load = isolation.Load(DOMAINS, rate, arguments.seconds, 4096)
                run = isolation.measure(program, directory / "load", load, isolation.Scenario(), 0)
                delays = [1000 * delay for each in run.delays for delay in each]
                report["load"][f"{rate:g}"] = {**summary(delays), "late": 1000 * run.late, "cpu": run.cpu}
                print(f"{rate:g}/s: {report['load'][f'{rate:g}']}", file=sys.stderr)
        if "accept" in parts:
            report["accept"] = {}
            for reused in (True, False):
                found: list[dict[str, float]] = []
                for number in range(arguments.runs):
                    found.append(accept(directory / f"accept{reused}{number}", arguments.accepted, reused))
                    print(f"accept, {'reused' if reused else 'anew'}: {found[-1]}", file=sys.stderr)
                name = "connections reused" if reused else "one message per connection"
                report["accept"][name] = {key: [each[key] for each in found] for key in ("rate", "cpu")}
    return report


def table(report: dict[str, Any]) -> str:
    """
    The report for people.
    """
    lines = [heading(report["machine"])]
    if "idle" in report:
        lines += [
            "",
            "| idle, ms | dot to 250, p50 | p99 | 250 to first octet, p50 | p99 | 250 to content, p50 | p99 |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for name, row in report["idle"].items():
            cells = [f"{row[key][which]:.1f}" for key in ("answer", "first", "content") for which in ("p50", "p99")]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    if "load" in report:
        lines += [
            "",
            "| messages/s | source to receiver, ms, p50 | p99 | max | source late, ms |",
            "| ---: | ---: | ---: | ---: | ---: |",
        ]
        for name, row in report["load"].items():
            lines.append(f"| {name} | {row['p50']:.1f} | {row['p99']:.1f} | {row['max']:.1f} | {row['late']:.1f} |")
    if "accept" in report:
        lines += [
            "",
            f"| {ACCEPT_SIZE:,} octets over {ACCEPT_SESSIONS} connections | accepted/s | CPU s per 1,000 |",
            "| --- | ---: | ---: |",
        ]
        for name, row in report["accept"].items():
            lines.append(f"| {name} | {statistics.median(row['rate']):,.0f} | {statistics.median(row['cpu']):.2f} |")
    return "\n".join(lines)


PARTS: Final = ("idle", "load", "accept")
RATES: Final = (200.0, 500.0)


def main() -> None:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(description="How long mail is on its way, and how fast it is made durable.")
    parser.add_argument("--messages", type=int, default=500, help="messages of an idle row (default 500)")
    parser.add_argument("--rate", type=float, action="append", help="messages/s under load; may be repeated (200, 500)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each rate (default 20)")
    parser.add_argument("--accepted", type=int, default=20_000, help="messages of acceptance (default 20,000)")
    parser.add_argument("--runs", type=int, default=3, help="how often acceptance is measured (default 3)")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--directory", help="where the spool is (default: the system's temporary directory)")
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    conclude(parser.parse_args(), benchmark, table)


if __name__ == "__main__":
    main()
