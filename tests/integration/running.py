"""
``twistd momentum-tx`` as a process of its own, and what it takes to talk to it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

#: The checkout: a bare one has the plugin of twistd only with it in PYTHONPATH.
ROOT = Path(__file__).parents[2]
#: Seconds until something that must happen counts as missing.
PATIENCE = 20.0


def free_port(host: str = "127.0.0.1") -> int:
    """
    A TCP port that nobody has.
    """
    with socket.socket() as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
    return port


async def until(true: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    """
    Wait until *true()* is.
    """
    real: Any = reactor
    end = real.seconds() + patience
    while not true():
        if real.seconds() > end:
            raise AssertionError(f"not within {patience} s: {what}")
        await deferLater(reactor, 0.02)


class Program(ProcessProtocol):
    """
    A process, what it said, and how it ended.
    """

    def __init__(self, arguments: Sequence[str], directory: str | None = None) -> None:
        self.out, self.err = b"", b""
        #: Exit status; negative is the number of a signal.
        self.status: int | None = None
        self.ended: Deferred[int] = Deferred()
        environment = dict(os.environ, PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1")
        real: Any = reactor
        self._process = real.spawnProcess(self, arguments[0], arguments, environment, directory)

    def outReceived(self, data: bytes) -> None:
        self.out += data

    def errReceived(self, data: bytes) -> None:
        self.err += data

    def processEnded(self, reason: Failure) -> None:
        if reason.check(ProcessDone):
            self.status = 0
        else:
            end: Any = reason.value
            self.status = -end.signal if end.signal else end.exitCode
        assert self.status is not None
        self.ended.callback(self.status)

    def signal(self, name: str) -> None:
        """
        Send a signal; harmless when the process is gone.
        """
        try:
            self._process.signalProcess(name)
        except ProcessExitedAlready:
            pass

    async def kill(self) -> None:
        """
        End it, whatever it does.
        """
        self.signal("KILL")
        if self.status is None:
            await self.ended


class Twistd(Program):
    """
    The service as an operator starts it.

    :param arguments: what follows ``momentum-tx``.
    :param daemon: whether it goes to the background.
    """

    def __init__(self, directory: str, *arguments: str, daemon: bool = False) -> None:
        mode = ["--logfile", f"{directory}/twistd.log"] if daemon else ["-n"]
        start = "from twisted.scripts.twistd import run; run()"
        pidfile = f"{directory}/twistd.pid" if daemon else ""
        super().__init__(
            [sys.executable, "-c", start, *mode, f"--pidfile={pidfile}", "momentum-tx", *arguments], directory
        )

    async def ready(self, port: int) -> None:
        """
        Wait until it takes mail on *port*.
        """

        def greets() -> bool:
            if self.status is not None:
                raise AssertionError(f"it ended with {self.status}: {self.out!r} {self.err!r}")
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as sock:
                    sock.settimeout(1)
                    return sock.recv(4) == b"220 "
            except OSError:
                return False

        await until(greets, "a greeting")


class SinkProtocol(LineReceiver):
    """
    Takes every message at once and notes where it came from.
    """

    MAX_LENGTH = 1 << 20
    transport: Any
    factory: Sink

    def __init__(self) -> None:
        self.in_data = False
        self.recipients: list[str] = []
        self.content: list[bytes] = []

    def connectionMade(self) -> None:
        self.factory.connections += 1
        self.sendLine(b"220 sink ESMTP")

    def lineReceived(self, line: bytes) -> None:
        if self.in_data:
            if line == b".":
                self.in_data = False
                peer = self.transport.getPeer().host
                content = b"".join(line + b"\n" for line in self.content)
                for recipient in self.recipients:
                    self.factory.arrived.append((recipient, peer, content))
                self.recipients, self.content = [], []
                self.sendLine(b"250 2.0.0 kept")
            else:
                self.content.append(line.removeprefix(b"."))
            return
        verb = line[:4].upper()
        if verb == b"EHLO":
            self.transport.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        elif verb == b"RCPT":
            self.recipients.append(line.decode().partition("<")[2].partition(">")[0])
            self.sendLine(b"250 2.1.5 ok")
        elif verb == b"DATA":
            self.in_data = True
            self.sendLine(b"354 go on")
        elif verb == b"QUIT":
            self.sendLine(b"221 bye")
            self.transport.loseConnection()
        else:
            if verb == b"RSET":
                self.recipients = []
            self.sendLine(b"250 ok")


class Sink(Factory):
    """
    A server that keeps (recipient, peer's address, content) of all it got.
    """

    noisy = False
    protocol = SinkProtocol  # type: ignore[assignment]

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str, bytes]] = []
        self.connections = 0


class Injector(LineReceiver):
    """
    Sends messages one after the other, on one connection.

    :param messages: (recipient, content) pairs; several recipients with commas, content of
        whole lines with LF line ends.
    """

    transport: Any

    def __init__(self, messages: Sequence[tuple[str, bytes]]) -> None:
        self._messages = list(messages)
        self._queue: list[bytes] = []
        #: Recipients whose message was answered 250 after the dot.
        self.accepted: list[str] = []
        #: Fires when the connection has ended, with whether all were accepted.
        self.done: Deferred[bool] = Deferred()
        self._recipient = ""
        self._steps = self._dialogue()

    def _dialogue(self) -> Any:
        yield b"EHLO injector.example\r\n"
        for recipient, content in self._messages:
            self._recipient = recipient
            yield b"MAIL FROM:<a@sender.example>\r\n"
            for each in recipient.split(","):
                yield b"RCPT TO:<" + each.encode() + b">\r\n"
            yield b"DATA\r\n"
            yield content.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n") + b".\r\n"
            self.accepted.append(recipient)
        yield b"QUIT\r\n"

    def lineReceived(self, line: bytes) -> None:
        if line[3:4] == b"-":
            return
        if line[:1] not in b"23":
            self.transport.loseConnection()
            return
        try:
            self.transport.write(next(self._steps))
        except StopIteration:
            self.transport.loseConnection()

    def connectionLost(self, reason: Any = ConnectionDone) -> None:
        self.done.callback(len(self.accepted) == len(self._messages))


def mainlog(directory: str) -> list[list[str]]:
    """
    The records of mainlog, split into fields; heartbeats left out.
    """
    try:
        text = Path(directory, "state", "log", "mainlog").read_text()
    except FileNotFoundError:
        return []
    return [fields for fields in (line.split("@") for line in text.splitlines()) if fields[4:5] != ["M"]]
