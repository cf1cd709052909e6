"""
A start with a full spool: a journal is written, then the service is started on it in a
process of its own, with a client that waits for its greeting and a receiver of mail.

``doc/reference/benchmarks.md`` says what each line means::

    python benchmarks/recovery.py                        # a million messages: minutes
    python benchmarks/recovery.py --messages 50000
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from harness import free_port, wait_for_port
from machine import heading, machine

#: Octets of a segment, as the service makes them.
SEGMENT: Final = 64 << 20
#: Octets written at once.
PIECE: Final = 4 << 20
#: Seconds between two looks at how long turns are.
TICK: Final = 0.005
#: Longest time, seconds, that a start may take.
LONGEST: Final = 3600.0
ROLLUP: Final = Path("/proc/self/smaps_rollup")


@dataclass(frozen=True)
class Load:
    """
    What a measuring process is told.

    :ivar directory: where the spool is.
    :ivar messages: how many, of one recipient each.
    :ivar domains: over how many domains they are spread.
    :ivar bindings: over how many bindings.
    :ivar size: octets of a message.
    :ivar due: how many of them are due; the rest waits for its time.
    :ivar port: where the service listens.
    :ivar sink: where mail goes.
    :ivar began: when the process was made, by the monotonic clock of the machine.
    """

    directory: str
    messages: int
    domains: int
    bindings: int
    size: int
    due: int
    port: int
    sink: int
    began: float

    def configuration(self) -> str:
        """
        As TOML.
        """
        bindings = "\n".join(f"[binding.b{number}]" for number in range(self.bindings))
        return f"""
[global]
state_dir = "{self.directory}"
hostname = "mail.sender.example"
smtp_listen = ["tcp:{self.port}:interface=127.0.0.1"]
routes = ["127.0.0.1:{self.sink}"]
message_expiration = 10_000_000
prohibited_hosts = []
{bindings}
"""


def write(load: Load) -> int:
    """
    Make the spool.

    :returns: octets of it.
    """
    from momentum_tx.envelope import Terms
    from momentum_tx.queues.message import Reception
    from momentum_tx.spool import records

    spool = Path(load.directory, "spool")
    spool.mkdir(mode=0o700, parents=True)
    now = time.time()
    filling = b"0123456789abcdef" * 4 + b"\r\n"
    head = b"Subject: news\r\n\r\n"
    body = head + filling * max(0, (load.size - len(head)) // len(filling))
    # A message that waits only for its next attempt is brought nearer where the schedule says so.
    later = now + 500_000
    waiting = [Terms(not_before=later + number) for number in range(1000)]
    number, octets, held = 0, 0, 0
    segment = None
    pieces: list[bytes] = []
    for index in range(load.messages):
        if segment is None or segment.tell() + held >= SEGMENT:
            if segment is not None:
                segment.write(b"".join(pieces))
                octets += segment.tell()
                segment.close()
            number, pieces, held = number + 1, [], 0
            segment = (spool / records.segment_name(number)).open("xb")
            segment.write(records.encode_segment_header(records.SegmentHeader(number, number)))
        reception = Reception(
            b"bounces+%07d@news.example" % index,
            now,
            len(body),
            f"{index & 0xFF:02X}/00-10000-{index:08X}",
            f"{index & 0xFF:02X}/01-10000-{index:08X}",
            "esmtp",
            "192.0.2.10",
        )
        domain = index % load.domains
        message = reception.add(
            f"{index & 0xFF:02X}/02-10000-{index:08X}", b"customer%07d@domain%05d.example" % (index, domain)
        )
        if index < load.messages - load.due:
            message.next_attempt = later + index % 1000
            reception.terms = waiting[index % 1000]
        payload = records.encode_reception((1 << 32) + index + 1, reception, [f"b{index % load.bindings}"], body)
        pieces += records.frame(payload, number), body
        held += len(payload) + 8 + len(body)
        if held > PIECE:
            segment.write(b"".join(pieces))
            pieces, held = [], 0
    if segment is not None:
        segment.write(b"".join(pieces))
        octets += segment.tell()
        segment.close()
    for path in spool.iterdir():
        path.chmod(0o600)
    return octets


def measure(load: Load) -> dict[str, float]:
    """
    Start, and look; in a process of its own.
    """
    from twisted.internet import reactor
    from twisted.internet.defer import inlineCallbacks
    from twisted.internet.task import deferLater

    from momentum_tx import tap
    from momentum_tx.config.load import parse
    from momentum_tx.service import OutboundService

    found: dict[str, float] = {}
    failures: list[Any] = []
    clock: Any = reactor
    service = OutboundService(reactor, parse(load.configuration(), "recovery.toml"))
    delivered = service.spool.delivered
    count = 0

    def noted(*arguments: Any) -> None:
        nonlocal count
        count += 1
        found.setdefault("delivery", time.monotonic() - load.began)
        delivered(*arguments)

    spool: Any = service.spool
    spool.delivered = noted
    last = time.monotonic()

    def tick() -> None:
        nonlocal last
        now = time.monotonic()
        found["turn"] = max(found.get("turn", 0.0), 1000 * (now - last - TICK))
        last = now
        if "loaded" not in found:
            clock.callLater(TICK, tick)

    def greeted() -> None:
        while "greeting" not in found:
            try:
                with socket.create_connection(("127.0.0.1", load.port), 60) as client:
                    if client.recv(4).startswith(b"220"):
                        found["greeting"] = time.monotonic() - load.began
            except OSError:
                time.sleep(0.02)

    @inlineCallbacks
    def story() -> Any:
        gc.disable()
        sys.setswitchinterval(tap.SWITCH_INTERVAL)
        service.privilegedStartService()
        service.startService()
        tick()
        yield service.when_ready()
        found["loaded"] = time.monotonic() - load.began
        usage = resource.getrusage(resource.RUSAGE_SELF)
        found["processor"] = usage.ru_utime + usage.ru_stime
        tap._tune_collector()
        until = time.monotonic() + LONGEST
        while count < load.due and time.monotonic() < until:
            yield deferLater(clock, 0.1)
        found["delivered"] = count
        match = re.search(r"^Rss:\s+(\d+) kB", ROLLUP.read_text(), re.MULTILINE)
        found["resident"] = int(match[1]) << 10 if match else 0
        yield service.stopService()

    def run() -> None:
        threading.Thread(target=greeted, daemon=True).start()
        story().addErrback(failures.append).addBoth(lambda _: clock.stop())

    clock.callWhenRunning(run)
    clock.run()
    if failures:
        failures[0].raiseException()
    return found


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    Write a spool, start on it.
    """
    directory = Path(tempfile.mkdtemp(prefix="momentum-tx-recovery-", dir=arguments.directory))
    try:
        sink = free_port()
        load = Load(
            str(directory / "state"),
            arguments.messages,
            arguments.domains,
            arguments.bindings,
            arguments.size,
            min(arguments.due, arguments.messages),
            free_port(),
            sink,
            0.0,
        )
        octets = write(load)
        receiver = [sys.executable, str(Path(__file__).with_name("sink.py")), "--listen", f"127.0.0.1-127.0.0.1:{sink}"]
        with subprocess.Popen([*receiver, "--ledger", str(directory / "taken")]) as taking:
            try:
                wait_for_port(sink)
                told = {**asdict(load), "began": time.monotonic()}
                command = [sys.executable, __file__, "--measure", json.dumps(told)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            finally:
                taking.terminate()
        if done.returncode:
            sys.exit("recovery: the measuring process failed")
        about = {**asdict(load), "octets": octets}
        return {"machine": machine(directory), "load": about, "found": json.loads(done.stdout.splitlines()[-1])}
    finally:
        shutil.rmtree(directory)


def table(report: dict[str, Any]) -> str:
    """
    The report for people.
    """
    found, load = report["found"], report["load"]
    each = 1_000_000 / load["messages"]
    more = (
        f"{load['messages']:,} messages of {load['size']:,} octets for {load['domains']:,} domains from "
        f"{load['bindings']} bindings, {load['octets'] / (1 << 20):,.0f} MiB, {load['due']:,} of them due"
    )
    lines = [
        heading(report["machine"], more),
        "",
        "| since the process was made | |",
        "| --- | ---: |",
        f"| first 220 | {found['greeting']:.1f} s |",
        f"| first delivery | {found.get('delivery', 0.0):.1f} s |",
        f"| all loaded | {found['loaded']:.1f} s |",
        f"| processor time until then | {found['processor']:.1f} s, {found['processor'] * each:.1f} us per message |",
        f"| longest turn until then | {found['turn']:.0f} ms |",
        f"| resident at the end | {found['resident'] / 1e6:,.0f} MB |",
    ]
    return "\n".join(lines)


def main() -> None:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(description="momentum_tx's start with a full spool.")
    parser.add_argument("--messages", type=int, default=1_000_000, help="in the spool (default 1,000,000)")
    parser.add_argument("--domains", type=int, default=50_000, help="they are for (default 50,000)")
    parser.add_argument("--bindings", type=int, default=10, help="they leave from (default 10)")
    parser.add_argument("--size", type=int, default=1024, help="octets of a message (default 1024)")
    parser.add_argument("--due", type=int, default=1000, help="how many are due (default 1000, the last received)")
    parser.add_argument("--directory", help="where the spool is (default: the system's temporary directory)")
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(Load(**json.loads(arguments.measure)))))
        return
    report = benchmark(arguments)
    print(json.dumps(report, indent=2) if arguments.json else table(report))


if __name__ == "__main__":
    main()
