"""
What the benchmarks have in common: programs that run for as long as a block,
the service among them, what processor time they took, and how a report ends.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol

ROOT: Final = Path(__file__).resolve().parent.parent
#: Where programs of mail servers live that are not in everybody's PATH.
SEARCHED: Final = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))
#: Clock ticks per second, in which the kernel counts processor time.
TICKS: Final = os.sysconf("SC_CLK_TCK")
#: The longest one measurement may take, seconds.
LONGEST: Final = 300.0
#: The longest wait for a server to come to rest, seconds.
LONGEST_REST: Final = 10.0
#: Envelope of the source's mail.
SENDER: Final = "news@sender.example"
RECIPIENT: Final = "you@reader.example"


class Unusable(Exception):
    """
    A server cannot be measured here; the text says why.
    """


class Server(Protocol):
    """
    A mail server that relays whatever it gets to the sink.
    """

    name: str
    port: int

    @property
    def settings(self) -> str:
        """
        Its configuration.
        """

    def pid(self) -> int:
        """
        The process all its processes descend from.
        """


def program(name: str) -> str:
    """
    The path of a program.

    :raises Unusable: it is not installed.
    """
    path = shutil.which(name, path=SEARCHED)
    if path is None:
        raise Unusable(f"{name} is not installed")
    return path


def free_port() -> int:
    """
    A loopback port nobody listens on.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, log: Path | None = None, address: str = "127.0.0.1") -> None:
    """
    Return once somebody listens on a loopback port.

    :raises Unusable: nobody does within half a minute.
    """
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.1)
    said = log.read_text(errors="replace")[-2000:] if log is not None and log.exists() else ""
    raise Unusable(f"nobody listens on port {port}\n{said}")


def processor_time(root: int) -> float:
    """
    Seconds of processor time of a process and all its descendants, those that
    have ended included.

    A process that ends hands its time to the one that waits for it, so that the
    sum over the living never loses any.
    """
    own: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                # The name in the second field may hold spaces and parentheses.
                fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            own[int(entry)] = sum(map(int, fields[11:15]))
            children.setdefault(int(fields[1]), []).append(int(entry))
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        total += own.get(pid, 0)
        waiting += children.get(pid, [])
    return total / TICKS


def rest(server: Server) -> float:
    """
    Wait until the server has tidied up behind the last message.

    :returns: its processor time then.
    """
    until = time.monotonic() + LONGEST_REST
    before = processor_time(server.pid())
    while time.monotonic() < until:
        time.sleep(0.5)
        now = processor_time(server.pid())
        if now - before <= 0.02:
            return now
        before = now
    return before


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """
    End a process with the block.
    """
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Sink:
    """
    ``smtp-sink -c``: takes every message and says how many it has.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, command: list[str]) -> None:
        self.port = port
        #: What was started.
        self.command = command
        self._process = process
        self._counted = 0
        self._changed = threading.Condition()
        assert process.stdout is not None
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def _read(self, output: IO[bytes]) -> None:
        # Lines end in CR: sess=1 quit=1 mesg=1.  A read may end amid one.
        rest = b""
        while chunk := os.read(output.fileno(), 65536):
            whole, mark, tail = (rest + chunk).rpartition(b"\r")
            rest = tail if mark else rest + chunk
            _, mark, number = whole.rpartition(b"mesg=")
            if mark:
                with self._changed:
                    self._counted = int(number)
                    self._changed.notify_all()

    @property
    def counted(self) -> int:
        """
        Messages taken so far.
        """
        return self._counted

    def wait(self, count: int) -> float:
        """
        Wait for the message of that number.

        :returns: when it was there, by the monotonic clock.
        :raises Unusable: it never came.
        """
        until = time.monotonic() + LONGEST
        with self._changed:
            while not self._changed.wait_for(lambda: self._counted >= count, 1.0):
                missing = count - self._counted
                if self._process.poll() is not None:
                    raise Unusable(f"the sink has ended with status {self._process.returncode}, {missing} are missing")
                if time.monotonic() > until:
                    raise Unusable(f"{missing} messages have not reached the sink in {LONGEST:g} s")
        return time.monotonic()


@contextmanager
def running_sink() -> Iterator[Sink]:
    """
    A sink on a free port.
    """
    port = free_port()
    # Started by root it insists on a user to become.
    drop = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = [program("smtp-sink"), *drop, "-c", f"127.0.0.1:{port}", "512"]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/")) as process:
        wait_for_port(port)
        yield Sink(process, port, command)


@contextmanager
def running_service(
    directory: Path, configuration: str, port: int, descriptors: int = 0
) -> Iterator[subprocess.Popen[bytes]]:
    """
    ``twistd momentum-tx`` of the checkout this file is in.

    :param directory: where its configuration and its log go, and where it runs.
    :param configuration: TOML.
    :param port: where it will listen.
    :param descriptors: how many it may have; 0 for as many as we.
    :raises Unusable: it does not start.
    """

    def limit() -> None:
        if descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    (directory / "relay.toml").write_text(configuration)
    command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
    command += ["-n", "--pidfile=", "momentum-tx", "--config", str(directory / "relay.toml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = directory / "twistd.log"
    with (
        log.open("wb") as output,
        ended(
            subprocess.Popen(
                command, cwd=directory, env=environment, stdout=output, stderr=subprocess.STDOUT, preexec_fn=limit
            )
        ) as process,
    ):
        wait_for_port(port, log)
        yield process


@dataclass
class Ours:
    """
    The service.
    """

    port: int
    process: subprocess.Popen[bytes]
    configuration: str
    name: str = "momentum_tx"

    def pid(self) -> int:
        return self.process.pid

    @property
    def settings(self) -> str:
        return self.configuration


@contextmanager
def running_ours(directory: Path, sink_port: int, more: str = "") -> Iterator[Ours]:
    """
    Ours with every default but where it listens, keeps its mail and sends it.

    :param directory: of its own; it is made.
    :param more: further lines of ``[global]``.
    """
    port = free_port()
    directory.mkdir()
    configuration = f"""\
[global]
state_dir = "{directory / "state"}"
hostname = "relay.example"
smtp_listen = ["tcp:{port}:interface=127.0.0.1"]
routes = ["127.0.0.1:{sink_port}"]
{more}"""
    with running_service(directory, configuration, port) as process:
        yield Ours(port, process, configuration)


def source(port: int, count: int, size: int, sessions: int, reused: bool, recipient: str = RECIPIENT) -> list[str]:
    """
    The command that sends *count* messages.
    """
    command = [program("smtp-source"), *(["-d"] if reused else []), "-s", str(sessions), "-m", str(count)]
    command += ["-l", str(size), "-M", "source.example", "-f", SENDER, "-t", recipient]
    return [*command, f"127.0.0.1:{port}"]


def percentile(values: Sequence[float], which: float) -> float:
    """
    The value that so many percent of *values* do not exceed; infinity if there are none.
    """
    if not values:
        return float("inf")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * which / 100))]


def spread(values: Sequence[float]) -> float:
    """
    How far apart the runs are: largest less smallest, in percent of the median.
    """
    middle = statistics.median(values)
    return 100 * (max(values) - min(values)) / middle if middle else 0.0


def conclude(
    arguments: argparse.Namespace,
    benchmark: Callable[[argparse.Namespace], dict[str, Any]],
    table: Callable[[dict[str, Any]], str],
) -> dict[str, Any]:
    """
    Measure and print, as JSON with ``--json``.  However it ends, what it started ends with it.

    :returns: the report.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    try:
        report = benchmark(arguments)
    except Unusable as reason:
        sys.exit(f"{Path(sys.argv[0]).stem}: {reason}")
    print(json.dumps(report, indent=2) if arguments.json else table(report))
    return report
