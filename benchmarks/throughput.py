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
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final, Protocol

ROOT: Final = Path(__file__).resolve().parent.parent
#: Where programs of mail servers live that are not in everybody's PATH.
SEARCHED: Final = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))
#: Clock ticks per second, in which the kernel counts processor time.
TICKS: Final = os.sysconf("SC_CLK_TCK")
#: Parallel sessions of the source.
SESSIONS: Final = 20
#: Messages sent before anything is measured, so that processes are running and code is warm.
WARM_UP: Final = 500
#: The longest one measurement may take, seconds.
LONGEST: Final = 300.0
#: The longest wait for a server to come to rest, seconds.
LONGEST_REST: Final = 10.0


@dataclass(frozen=True)
class Row:
    """
    One kind of load.

    :ivar name: as printed.
    :ivar size: octets of a message.
    :ivar reused: whether a session of the source sends message after message.
    :ivar share: messages sent, as a part of ``--messages``.
    """

    name: str
    size: int
    reused: bool
    share: float


ROWS: Final = (
    Row("4 KiB, one message per connection", 4096, False, 1.0),
    Row("4 KiB, connections reused", 4096, True, 1.0),
    Row("100 KiB, one message per connection", 102400, False, 0.2),
)


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


def wait_for_port(port: int, log: Path | None = None) -> None:
    """
    Return once somebody listens on a loopback port.

    :raises Unusable: nobody does within half a minute.
    """
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
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


class Sink:
    """
    ``smtp-sink -c``: takes every message and says how many it has.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
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
        yield Sink(process, port)


@dataclass
class Ours:
    """
    ``twistd momentum-tx`` of the checkout this file is in.
    """

    port: int
    process: subprocess.Popen[bytes]
    name: str = "momentum_tx"

    def pid(self) -> int:
        return self.process.pid


@contextmanager
def running_ours(directory: Path, sink_port: int) -> Iterator[Ours]:
    """
    Ours with every default but where it listens, keeps its mail and sends it.
    """
    port = free_port()
    directory.mkdir()
    (directory / "relay.toml").write_text(
        f"""\
[global]
state_dir = "{directory / "state"}"
hostname = "relay.example"
smtp_listen = ["tcp:{port}:interface=127.0.0.1"]
routes = ["127.0.0.1:{sink_port}"]
"""
    )
    log = directory / "twistd.log"
    command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
    command += ["-n", "--pidfile=", "momentum-tx", "--config", str(directory / "relay.toml")]
    with (
        log.open("wb") as output,
        ended(
            subprocess.Popen(
                command,
                cwd=directory,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        ) as process,
    ):
        wait_for_port(port, log)
        yield Ours(port, process)


@dataclass
class Postfix:
    """
    A Postfix of its own: own configuration, queue and port.
    """

    port: int
    directory: Path
    name: str = "Postfix"

    def pid(self) -> int:
        return int((self.directory / "queue" / "pid" / "master.pid").read_text())


#: Services of a relay; nothing runs in a chroot, since the queue is a new directory.
MASTER_CF: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

#: Durability, process limit and everything else not named here are Postfix's defaults.
#: Input is not slowed down where the queue manager lags, and the next hop gets as many
#: connections as ours opens by default.
MAIN_CF: Final = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/maillog
maillog_file_prefixes = {directory}
daemon_directory = {daemon_directory}
command_directory = {command_directory}
shlib_directory = {shlib_directory}
meta_directory = {meta_directory}
myhostname = relay.example
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink_port}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
initial_destination_concurrency = 20
default_destination_concurrency_limit = 32
"""


@contextmanager
def running_postfix(directory: Path, sink_port: int) -> Iterator[Postfix]:
    """
    A Postfix with its default durability, started and stopped.

    :raises Unusable: it is not installed, or we are not root.
    """
    postfix, postconf = program("postfix"), program("postconf")
    if os.geteuid() != 0:
        raise Unusable("only root can start it")
    port = free_port()
    config = directory / "etc"
    for path in (directory, config, directory / "queue", directory / "data"):
        path.mkdir()
    shutil.chown(directory / "data", "postfix")
    installed = {
        name: subprocess.run([postconf, "-dh", name], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("daemon_directory", "command_directory", "shlib_directory", "meta_directory")
    }
    (config / "main.cf").write_text(MAIN_CF.format(directory=directory, sink_port=sink_port, **installed))
    (config / "master.cf").write_text(MASTER_CF.format(port=port))
    started = subprocess.run([postfix, "-c", str(config), "start"], capture_output=True, text=True, check=False)
    if started.returncode:
        raise Unusable(f"postfix start: {started.stderr.strip()}")
    try:
        wait_for_port(port, directory / "maillog")
        yield Postfix(port, directory)
    finally:
        subprocess.run([postfix, "-c", str(config), "stop"], capture_output=True, check=False)


def send(port: int, row: Row, count: int) -> None:
    """
    Let the source send *count* messages, and wait until they are accepted.
    """
    command = [program("smtp-source"), *(["-d"] if row.reused else []), "-s", str(SESSIONS), "-m", str(count)]
    command += ["-l", str(row.size), "-M", "source.example", "-f", "news@sender.example", "-t", "you@reader.example"]
    subprocess.run([*command, f"127.0.0.1:{port}"], check=True, cwd="/", timeout=LONGEST)


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


def machine(directory: Path) -> dict[str, Any]:
    """
    What must be known to read the figures.
    """
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, found, *_ = line.split()
        if directory.resolve().is_relative_to(where) and len(where) >= len(best):
            best, kind = where, found
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    postconf = shutil.which("postconf", path=SEARCHED)
    return {
        "processors": os.cpu_count(),
        "model": model[1] if model else platform.machine(),
        "kernel": platform.release(),
        "file_system": kind,
        "python": platform.python_version(),
        "twisted": version("twisted"),
        "postfix": subprocess.run([postconf, "-dh", "mail_version"], capture_output=True, text=True).stdout.strip()
        if postconf
        else None,
        "load_before": round(os.getloadavg()[0], 2),
    }


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    All rows, all runs.

    :returns: the machine, and figures by row and server.
    """
    results: dict[str, dict[str, Figures]] = {row.name: {} for row in ROWS}
    with ExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="throughput-", dir=arguments.directory))
        )
        # Postfix's processes are not root's.
        directory.chmod(0o755)
        about = machine(directory)
        sink = stack.enter_context(running_sink())
        servers: list[Server] = [stack.enter_context(running_ours(directory / "ours", sink.port))]
        if not arguments.ours_only:
            try:
                servers.append(stack.enter_context(running_postfix(directory / "postfix", sink.port)))
            except Unusable as reason:
                print(f"Postfix is left out: {reason}", file=sys.stderr)
        for server in servers:
            measure(server.port, server, sink, ROWS[0], WARM_UP)
        for run in range(arguments.runs):
            for row in ROWS:
                if arguments.row and not any(word in row.name for word in arguments.row):
                    continue
                count = max(1, int(arguments.messages * row.share))
                for server in servers:
                    rate, cpu = measure(server.port, server, sink, row, count)
                    figures = results[row.name].setdefault(server.name, Figures())
                    figures.rate.append(round(rate, 1))
                    figures.cpu.append(round(cpu, 4))
                    print(f"run {run + 1}: {row.name}: {server.name}: {rate:.0f}/s, {cpu:.2f} s", file=sys.stderr)
                if arguments.ceiling:
                    rate, _ = measure(sink.port, None, sink, row, count)
                    results[row.name].setdefault("source to sink", Figures()).rate.append(round(rate, 1))
    return {
        "machine": about,
        "runs": arguments.runs,
        "rows": {name: {server: asdict(figures) for server, figures in row.items()} for name, row in results.items()},
    }


def table(report: dict[str, Any]) -> str:
    """
    The report for people: medians.
    """
    about = report["machine"]
    lines = [
        f"{about['processors']} processors ({about['model']}), Linux {about['kernel']}, {about['file_system']}, "
        f"Python {about['python']}, Twisted {about['twisted']}, Postfix {about['postfix'] or 'not installed'}, "
        f"load before {about['load_before']}; medians of {report['runs']}",
        "",
        "| load | server | messages/s | ratio | CPU s per 1,000 | ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, servers in report["rows"].items():
        medians = {
            server: (statistics.median(figures["rate"]), statistics.median(figures["cpu"] or [0.0]))
            for server, figures in servers.items()
        }
        reference = medians.get("Postfix")
        for server, (rate, cpu) in medians.items():
            ratios = ("", "")
            if server == "momentum_tx" and reference is not None and cpu:
                ratios = (f"{rate / reference[0]:.1f}", f"1/{reference[1] / cpu:.1f}")
            lines.append(
                f"| {name} | {server} | {rate:,.0f} | {ratios[0]} | {f'{cpu:.2f}' if cpu else ''} | {ratios[1]} |"
            )
    return "\n".join(lines)


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
    parser.add_argument("--json", action="store_true", help="print every single figure as JSON")
    arguments = parser.parse_args()
    # However it ends, the servers end with it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    try:
        report = benchmark(arguments)
    except Unusable as reason:
        sys.exit(f"throughput: {reason}")
    print(json.dumps(report, indent=2) if arguments.json else table(report))


if __name__ == "__main__":
    main()
