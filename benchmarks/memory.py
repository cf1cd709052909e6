"""
What a queued message costs in memory: a big queue in the real service, with its
journal on a real disk, before and after a restart.

``doc/reference/benchmarks.md`` says what each column means::

    python benchmarks/memory.py                       # a million messages per row: minutes
    python benchmarks/memory.py --messages 100000
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from machine import machine

#: Receptions that may wait for the disk at once; as many clients inject.
AT_ONCE: Final = 500
#: Longest time, seconds, that the queues may need to come to rest.
LONGEST: Final = 3600.0
#: Octets that a process has in use before it is asked for the first time are not the messages'.
ROLLUP: Final = Path("/proc/self/smaps_rollup")


class Failed(Exception):
    """
    The service did not do what is to be measured; the text says what it did.
    """


@dataclass(frozen=True)
class Row:
    """
    One queue.

    :ivar name: as printed.
    :ivar recipients: per reception.
    :ivar refused: whether the mail is tried, refused by every host, and delayed;
        otherwise delivery is suspended, and it stays active untried.
    """

    name: str
    recipients: int
    refused: bool


ROWS: Final = (
    Row("delayed, one recipient", 1, True),
    Row("delayed, 50 recipients", 50, True),
    Row("suspended, one recipient", 1, False),
)


@dataclass(frozen=True)
class Load:
    """
    What a measuring process is told.

    :ivar directory: where the spool is.
    :ivar messages: how many.
    :ivar recipients: per reception.
    :ivar domains: over how many domains the recipients are spread.
    :ivar size: octets of a message.
    :ivar refused: see :class:`Row`.
    :ivar port: where connections are refused.
    :ivar resident: how many receptions may be in memory with their body.
    :ivar restart: whether the messages are in the spool already.
    """

    directory: str
    messages: int
    recipients: int
    domains: int
    size: int
    refused: bool
    port: int
    resident: int
    restart: bool

    def configuration(self) -> str:
        """
        As TOML: with every default but where the mail goes.
        """
        return f"""
[global]
state_dir = "{self.directory}"
hostname = "mail.sender.example"
smtp_listen = []
routes = ["127.0.0.1:{self.port}"]
max_resident_messages = {self.resident}
suspend_delivery = {str(not self.refused).lower()}
# Nothing comes back while it is counted.
retry_interval = 200_000
max_retry_interval = 200_000
message_expiration = 10_000_000
"""


class Pauses:
    """
    Listens to the garbage collector.
    """

    def __init__(self) -> None:
        #: Longest pause, milliseconds, of each generation.
        self.longest = [0.0, 0.0, 0.0]
        self._began = 0.0
        gc.callbacks.append(self._heard)

    def _heard(self, phase: str, about: dict[str, int]) -> None:
        now = time.thread_time()
        if phase == "start":
            self._began = now
        else:
            generation = about["generation"]
            self.longest[generation] = max(self.longest[generation], 1000 * (now - self._began))

    def full(self) -> float:
        """
        Milliseconds of a full collection now.
        """
        before = time.thread_time()
        gc.collect()
        return 1000 * (time.thread_time() - before)


def resident() -> int:
    """
    Octets of this process in memory.
    """
    return int(re.search(r"^Rss:\s+(\d+) kB", ROLLUP.read_text(), re.MULTILINE)[1]) << 10  # type: ignore[index]


def measure(load: Load) -> dict[str, float]:
    """
    Fill the queues, or read them from the spool, and look; in a process of its own.
    """
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred, inlineCallbacks
    from twisted.internet.task import deferLater

    from momentum_tx import tap
    from momentum_tx.config.load import parse
    from momentum_tx.interfaces.services import Submission
    from momentum_tx.service import OutboundService

    found: dict[str, float] = {}
    failures: list[Any] = []
    clock: Any = reactor
    pauses = Pauses()
    service = OutboundService(reactor, parse(load.configuration(), "memory.toml"))

    def submissions() -> Iterator[Submission]:
        filling = b"0123456789abcdef" * 4
        for first in range(0, load.messages, load.recipients):
            numbers = range(first, min(first + load.recipients, load.messages))
            header = b"Subject: news %d\r\n\r\n" % first
            lines = max(0, load.size - len(header)) // (len(filling) + 2)
            yield Submission(
                b"bounces+%07d@news.example" % first,
                tuple(b"customer%07d@domain%04d.example" % (n, n % load.domains) for n in numbers),
                header + (filling + b"\r\n") * lines,
                recv_method="esmtp",
                recv_from="192.0.2.10",
                helo="client.example",
                # As if every message came over a connection of its own.
                conn_id=f"{first & 0xFF:02X}/{first >> 8 & 0xFF:02X}-10000-{first:08X}",
            )

    def at_rest() -> int:
        queues = [dr.mail_queue for dr in service.delivery.records]
        return sum(queue.delayed_size() if load.refused else queue.active_size() for queue in queues)

    @inlineCallbacks
    def fill() -> Generator[Deferred[Any], Any, None]:
        waiting: list[Deferred[Any]] = []
        for submission in submissions():
            waiting.append(service.receiver.receive(submission))
            if len(waiting) == AT_ONCE:
                for each in waiting:
                    yield each
                waiting.clear()
        for each in waiting:
            yield each

    @inlineCallbacks
    def story() -> Generator[Deferred[Any], Any, None]:
        began = time.monotonic()
        if load.restart:
            gc.disable()
        before = resident()
        service.privilegedStartService()
        service.startService()
        yield service.when_ready()
        if not load.restart:
            before = resident()
        tap._tune_collector()
        found["start"] = time.monotonic() - began
        if not load.restart:
            yield fill()
        until = time.monotonic() + LONGEST
        while at_rest() != load.messages:
            if time.monotonic() > until:
                raise Failed(f"{at_rest():,} messages have come to rest, not {load.messages:,}")
            yield deferLater(clock, 0.5)
        yield service.spool.flush()
        found["seconds"] = time.monotonic() - began
        found["resident"] = resident() - before
        found["bodies"] = service.spool.resident.octets
        found["pause"] = max(pauses.longest)
        found["young"], found["middle"], found["old"] = pauses.longest
        found["full"] = pauses.full()
        yield service.stopService()

    def run() -> None:
        story().addErrback(failures.append).addBoth(lambda _: clock.stop())

    clock.callWhenRunning(run)
    clock.run()
    if failures:
        failures[0].raiseException()
    return found


def in_its_own_process(load: Load) -> dict[str, float]:
    """
    :func:`measure` elsewhere, so that nothing of an earlier queue is in memory.
    """
    command = [sys.executable, __file__, "--measure", json.dumps(asdict(load))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Failed("the measuring process failed")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    All rows that are asked for.
    """
    messages, domains, size, words = arguments.messages, arguments.domains, arguments.size, arguments.row
    report: dict[str, Any] = {"machine": machine(), "messages": messages, "domains": domains, "size": size, "rows": {}}
    with socket.socket() as refusing:
        # Bound and not listening: whoever connects is refused.
        refusing.bind(("127.0.0.1", 0))
        port = refusing.getsockname()[1]
        for row in ROWS:
            if words and not any(word in row.name for word in words):
                continue
            spool = tempfile.mkdtemp(prefix="momentum-tx-memory-", dir=arguments.directory)
            try:
                for restart in (False, True):
                    name = f"{row.name}, after a restart" if restart else row.name
                    found = in_its_own_process(
                        Load(
                            directory=spool,
                            messages=messages,
                            recipients=row.recipients,
                            domains=domains,
                            size=size,
                            refused=row.refused,
                            port=port,
                            resident=arguments.resident,
                            restart=restart,
                        )
                    )
                    report["rows"][name] = found
                    print(f"{name}: {json.dumps(found)}", file=sys.stderr)
            finally:
                shutil.rmtree(spool)
    return report


def table(report: dict[str, Any]) -> str:
    """
    The report for people.
    """
    about, messages = report["machine"], report["messages"]
    lines = [
        f"{about['processors']} processors ({about['model']}), Linux {about['kernel']}, Python {about['python']}, "
        f"Twisted {about['twisted']}, load before {about['load_before']}; {messages:,} messages of "
        f"{report['size']:,} octets for {report['domains']:,} domains",
        "",
        "| queue | octets per message | resident, MiB | of that bodies, MiB | longest pause, ms | seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, found in report["rows"].items():
        share = (found["resident"] - found["bodies"]) / messages
        lines.append(
            f"| {name} | {share:,.0f} | {found['resident'] / (1 << 20):,.0f} | {found['bodies'] / (1 << 20):,.0f} "
            f"| {found['pause']:,.0f} | {found['seconds']:,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(description="Memory of momentum_tx's queues.")
    parser.add_argument("--messages", type=int, default=1_000_000, help="messages per row (default 1,000,000)")
    parser.add_argument("--domains", type=int, default=1000, help="domains they are for (default 1000)")
    parser.add_argument("--size", type=int, default=2048, help="octets of a message (default 2048)")
    parser.add_argument("--resident", type=int, default=32_768, help="max_resident_messages (default 32,768)")
    parser.add_argument("--row", action="append", default=[], help="only rows whose name holds this; may be repeated")
    parser.add_argument("--directory", help="where the spool is (default: the system's temporary directory)")
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(Load(**json.loads(arguments.measure)))))
        return
    try:
        report = benchmark(arguments)
    except Failed as reason:
        sys.exit(f"memory: {reason}")
    print(json.dumps(report, indent=2) if arguments.json else table(report))


if __name__ == "__main__":
    main()
