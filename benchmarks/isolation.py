"""
Whether destinations in trouble cost anybody else's mail: of 100 domains some
are dead, hang, drip, refuse or answer 421, and the others are looked at.

``doc/reference/benchmarks.md`` says what each column means.  Run it on a machine
that has nothing else to do; its exit status says whether the others noticed::

    python benchmarks/isolation.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from harness import ROOT, Unusable, conclude, ended, free_port, percentile, processor_time, running_service
from machine import heading, machine

#: What is promised: the others keep this part of their rate, in percent, and their 99th
#: percentile grows by no more than this factor.
LEAST_RATE: Final = 95.0
MOST_DELAY: Final = 2.0
#: Shortest time that is told apart from nothing, seconds: a percentile below it counts as it.
RESOLUTION: Final = 0.005
#: Address of the first domain's exchanger; the others follow it.
FIRST: Final = IPv4Address("127.70.0.1")
KINDS: Final = ("hang", "drip", "refuse", "421")
SHARES: Final = (10, 30)
#: A third of the domains, of each kind as many: nobody listens, silent, and seconds for each answer.
MIXED: Final = "mixed"
MIXTURE: Final = ("dead", "hang", "slow")
MIXED_SHARE: Final = 33
#: Sessions of the source.
SESSIONS: Final = 20
#: Seconds at the beginning of a run whose messages do not count: code is cold, and trouble has only begun.
WARM_UP: Final = 2.0
HEADER: Final = "From: news@sender.example\r\nSubject: news\r\nX-Ledger-Id: {name}\r\n\r\n"
#: Longest wait for the mail of good domains after the last message was sent, seconds.
LONGEST_REST: Final = 60.0


@dataclass(frozen=True)
class Scenario:
    """
    What is wrong in a run.

    :ivar kind: of trouble; empty if there is none.
    :ivar share: percent of the domains that have it.
    """

    kind: str = ""
    share: int = 0

    @property
    def name(self) -> str:
        """
        As printed.
        """
        return f"{self.share} % {self.kind}" if self.kind else "all good"

    def ranges(self, domains: int) -> list[tuple[int, int, str]]:
        """
        First and last domain that are bad, and how, in ranges.
        """
        bad = domains * self.share // 100
        kinds = MIXTURE if self.kind == MIXED else (self.kind,)
        ends = [bad * number // len(kinds) for number in range(len(kinds) + 1)]
        return [
            (first, after - 1, kind)
            for first, after, kind in zip(ends[:-1], ends[1:], kinds, strict=True)
            if first < after
        ]


@dataclass(frozen=True)
class Load:
    """
    What is sent.

    :ivar domains: over how many domains, in turn.
    :ivar rate: messages per second, whatever becomes of them.
    :ivar seconds: for how long.
    :ivar size: octets of a message.
    """

    domains: int
    rate: float
    seconds: float
    size: int

    @property
    def messages(self) -> int:
        """
        How many.
        """
        return int(self.rate * self.seconds)


@dataclass
class Run:
    """
    What became of one run's mail.

    :ivar delays: seconds from the moment a message was due to be sent until its
        receiver had it, for each domain; without those that were not taken in time.
    :ivar kept: messages of each domain that were taken while the source sent.
    :ivar cpu: processor time of the service, seconds.
    :ivar late: by how much the source itself was late at worst, seconds.
    """

    delays: list[list[float]]
    kept: list[int]
    cpu: float = 0.0
    late: float = 0.0

    def rate(self, first: int, seconds: float) -> float:
        """
        Messages per second that the domains from number *first* on got.
        """
        return sum(self.kept[first:]) / (seconds - WARM_UP)

    def percentile(self, first: int, which: int) -> float:
        """
        A percentile of the delays of the domains from number *first* on.
        """
        return percentile([delay for each in self.delays[first:] for delay in each], which)


@dataclass
class Figures:
    """
    What the good domains of a scenario had, run by run, and what the very same
    domains had when all were good.

    :ivar rate: percent of their rate that they kept.
    :ivar p50: median delay, milliseconds.
    :ivar p99: 99th percentile, milliseconds.
    :ivar ratio: of the 99th percentile to that of the good run.
    :ivar cpu: seconds of the service's processor time.
    :ivar late: how late the source was at worst, milliseconds.
    """

    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)


def domain(number: int) -> str:
    """
    Name of a domain.
    """
    return f"d{number:03}.example"


@contextmanager
def running_sink(program: list[str], directory: Path, load: Load, scenario: Scenario) -> Iterator[tuple[int, Path]]:
    """
    Receivers for all domains, the first of them bad.

    :returns: their port, and the ledger of what they have taken.
    """
    port, ledger = free_port(), directory / "taken.jsonl"
    command = [*program, "--listen", f"{FIRST}-{FIRST + load.domains - 1}:{port}", "--ledger", str(ledger)]
    for first, last, kind in scenario.ranges(load.domains):
        command += ["--bad", f"{FIRST + first}-{FIRST + last}={kind}"]
    log = directory / "sink.log"
    with log.open("wb") as output, ended(subprocess.Popen(command, stdout=output, stderr=output)) as process:
        until = time.monotonic() + 30
        while not reachable(str(FIRST + load.domains - 1), port):
            if process.poll() is not None or time.monotonic() > until:
                raise Unusable(f"the sink does not listen\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield port, ledger


def reachable(address: str, port: int) -> bool:
    """
    Whether somebody listens there.
    """
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


@contextmanager
def running_relay(
    directory: Path, load: Load, sink_port: int, descriptors: int
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """
    The service, with every default but where it listens, keeps its mail and sends it.

    :param descriptors: how many it may have; 0 for as many as we.
    """
    port = free_port()
    lines = [
        "[global]",
        f'state_dir = "{directory / "state"}"',
        'hostname = "relay.example"',
        f'smtp_listen = ["tcp:{port}:interface=127.0.0.1"]',
    ]
    for number in range(load.domains):
        lines += [f'[domain."{domain(number)}"]', f'routes = ["{FIRST + number}:{sink_port}"]']
    with running_service(directory, "\n".join(lines) + "\n", port, descriptors) as process:
        yield process, port


class Source:
    """
    Sends at a fixed rate, whatever comes back: a message that was due while all
    sessions were busy waits for one, and its delay counts from when it was due.

    :param port: where the service listens.
    """

    def __init__(self, port: int, load: Load) -> None:
        self._port = port
        self._load = load
        self._filling = "0123456789abcdef" * 4 + "\r\n"
        self._due: deque[int] = deque()
        self._work = asyncio.Event()
        self._done = False
        #: Wall time at which each message was due.
        self.due = [0.0] * load.messages
        self.late = 0.0

    async def run(self) -> None:
        """
        Send everything.

        :raises Unusable: the service refused a message.
        """
        sessions = [asyncio.create_task(self._session()) for _ in range(SESSIONS)]
        began = time.monotonic() + 0.2
        offset = time.time() - time.monotonic()
        for number in range(self._load.messages):
            when = began + number / self._load.rate
            wait = when - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self.due[number] = when + offset
            self._due.append(number)
            self._work.set()
        self._done = True
        self._work.set()
        await asyncio.gather(*sessions)

    async def _session(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        await self._reply(reader, b"220")
        writer.write(b"EHLO source.example\r\n")
        await self._reply(reader, b"250")
        while True:
            while not self._due:
                if self._done:
                    writer.write(b"QUIT\r\n")
                    await self._reply(reader, b"221")
                    writer.close()
                    return
                self._work.clear()
                await self._work.wait()
            number = self._due.popleft()
            self.late = max(self.late, time.time() - self.due[number])
            to = domain(number % self._load.domains)
            writer.write(f"MAIL FROM:<news@sender.example>\r\nRCPT TO:<user{number}@{to}>\r\nDATA\r\n".encode())
            for expected in (b"250", b"250", b"354"):
                await self._reply(reader, expected)
            head = HEADER.format(name=f"{number}")
            writer.write(f"{head}{self._filling * ((self._load.size - len(head)) // len(self._filling))}.\r\n".encode())
            await self._reply(reader, b"250")

    @staticmethod
    async def _reply(reader: asyncio.StreamReader, expected: bytes) -> None:
        while True:
            line = await reader.readline()
            if not line.startswith(expected):
                raise Unusable(f"the service says {line!r}")
            if line[3:4] != b"-":
                return


def read_ledger(ledger: Path) -> dict[int, float]:
    """
    When each message was taken first, by its number.
    """
    taken: dict[int, float] = {}
    if ledger.exists():
        for line in ledger.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                # The line is being written.
                continue
            if entry.get("ev") == "msg" and str(entry.get("mid")).isdigit():
                taken.setdefault(int(entry["mid"]), entry["t"])
    return taken


def measure(program: list[str], directory: Path, load: Load, scenario: Scenario, descriptors: int) -> Run:
    """
    One run, with a service of its own.

    :param descriptors: how many the service may have; 0 for as many as we.
    :raises Unusable: it could not be done.
    """
    directory.mkdir()
    bad = load.domains * scenario.share // 100
    with (
        running_sink(program, directory, load, scenario) as (sink_port, ledger),
        running_relay(directory, load, sink_port, descriptors) as (service, port),
    ):
        source = Source(port, load)
        spent = processor_time(service.pid)
        asyncio.run(source.run())
        ended_at = source.due[0] + load.seconds
        good = [number for number in range(load.messages) if number % load.domains >= bad]
        until = time.monotonic() + LONGEST_REST
        taken = read_ledger(ledger)
        while not all(number in taken for number in good) and time.monotonic() < until:
            time.sleep(0.5)
            taken = read_ledger(ledger)
        run = Run([[] for _ in range(load.domains)], [0] * load.domains)
        run.cpu = processor_time(service.pid) - spent
        run.late = source.late
        for number, when in taken.items():
            if source.due[number] >= source.due[0] + WARM_UP:
                run.delays[number % load.domains].append(when - source.due[number])
                run.kept[number % load.domains] += when <= ended_at
        if service.poll() is not None:
            raise Unusable(f"the service has ended\n{(directory / 'twistd.log').read_text(errors='replace')[-2000:]}")
        # Nothing of what waits is wanted any more.
        service.kill()
    shutil.rmtree(directory)
    return run


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    All scenarios, all runs.

    :returns: the machine, the load, and figures by scenario.
    """
    load = Load(arguments.domains, arguments.rate, arguments.seconds, arguments.size)
    scenarios = [Scenario(kind, share) for kind in arguments.kind or KINDS for share in arguments.share or SHARES]
    if not arguments.kind and not arguments.share:
        scenarios.append(Scenario(MIXED, MIXED_SHARE))
    program = [sys.executable, arguments.sink or str(ROOT / "benchmarks" / "sink.py")]
    about = machine()
    results = {scenario.name: Figures() for scenario in (Scenario(), *scenarios)}
    with tempfile.TemporaryDirectory(prefix="isolation-", dir=arguments.directory) as directory:
        for number in range(arguments.runs):
            reference: Run | None = None
            for scenario in (Scenario(), *scenarios):
                run = measure(program, Path(directory, "run"), load, scenario, arguments.descriptors)
                reference = reference or run
                first = load.domains * scenario.share // 100
                figures = results[scenario.name]
                p99 = run.percentile(first, 99)
                figures.rate.append(100 * run.rate(first, load.seconds) / reference.rate(first, load.seconds))
                figures.p50.append(1000 * run.percentile(first, 50))
                figures.p99.append(1000 * p99)
                figures.ratio.append(max(p99, RESOLUTION) / max(reference.percentile(first, 99), RESOLUTION))
                figures.cpu.append(run.cpu)
                figures.late.append(1000 * run.late)
                print(
                    f"run {number + 1}: {scenario.name}: {figures.rate[-1]:.1f} %, p99 {figures.p99[-1]:.1f} ms, "
                    f"{figures.cpu[-1]:.1f} s, late {figures.late[-1]:.0f} ms",
                    file=sys.stderr,
                )
    rows = {name: asdict(figures) for name, figures in results.items()}
    return {
        "machine": about,
        "runs": arguments.runs,
        "load": asdict(load),
        "rows": {
            name: {key: [round(value, 3) for value in values] for key, values in row.items()}
            for name, row in rows.items()
        },
        "holds": {name: holds(row) for name, row in rows.items()},
    }


def holds(row: dict[str, list[float]]) -> bool:
    """
    Whether the good domains did not notice.
    """
    return statistics.median(row["rate"]) >= LEAST_RATE and statistics.median(row["ratio"]) <= MOST_DELAY


def table(report: dict[str, Any]) -> str:
    """
    The report for people: medians.
    """
    about, load = report["machine"], report["load"]
    lines = [
        heading(
            about,
            f"{load['rate']:g} messages/s of {load['size']:,} octets for {load['domains']} domains, "
            f"{load['seconds']:g} s",
            f"medians of {report['runs']}",
        ),
        "",
        "| bad | rate kept, % | p50, ms | p99, ms | p99 to all good | CPU s | holds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, row in report["rows"].items():
        middle = {key: statistics.median(values) for key, values in row.items()}
        lines.append(
            f"| {name} | {middle['rate']:.1f} | {middle['p50']:.1f} | {middle['p99']:.1f} | {middle['ratio']:.2f} "
            f"| {middle['cpu']:.1f} | {'yes' if report['holds'][name] else 'NO'} |"
        )
    return "\n".join(lines)


def main() -> None:
    """
    Measure, print, and say by the exit status whether the promise held.
    """
    parser = argparse.ArgumentParser(description="Whether destinations in trouble slow others down.")
    parser.add_argument("--runs", type=int, default=3, help="how often each row is measured (default 3)")
    parser.add_argument("--rate", type=float, default=200.0, help="messages per second (default 200)")
    parser.add_argument("--seconds", type=float, default=30.0, help="for how long they are sent (default 30)")
    parser.add_argument("--domains", type=int, default=100, help="over how many domains (default 100, at most 254)")
    parser.add_argument("--size", type=int, default=4096, help="octets of a message (default 4096)")
    parser.add_argument(
        "--kind", action="append", help=f"only this trouble; may be repeated ({', '.join((*KINDS, MIXED))})"
    )
    parser.add_argument("--share", action="append", type=int, help="only so many percent bad; may be repeated (10, 30)")
    parser.add_argument("--sink", help="another program that takes benchmarks/sink.py's options, run by this Python")
    parser.add_argument("--descriptors", type=int, default=0, help="how many the service may have (default: as given)")
    parser.add_argument("--directory", help="where the spool is (default: the system's temporary directory)")
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    arguments = parser.parse_args()
    report = conclude(arguments, benchmark, table)
    sys.exit(0 if all(report["holds"].values()) else 1)


if __name__ == "__main__":
    main()
