"""
What sending one message costs: processor time of the client side alone, for
ours, aiosmtplib and twisted.mail, to the same sink.

``doc/reference/benchmarks.md`` says what each column means.  Run it on a machine
that has nothing else to do::

    python benchmarks/client.py
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from harness import conclude, ended, free_port
from machine import heading, machine
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from momentum_tx.interfaces.services import ISpool

CLIENTS: Final = ("momentum_tx", "aiosmtplib", "twisted.mail", "sockets")
CONNECTIONS: Final = (1, 20, 200)
#: Messages that are sent before the clock runs: code is cold, and connections have to be made.
WARM_UP: Final = 500
SENDER: Final = "news@sender.example"
RECIPIENT: Final = "reader@client.example"

_END: Final = b"\r\n.\r\n"
_TAKEN: Final = b"250 2.0.0 taken\r\n"
_ANSWERS: Final = {
    b"HELO": b"250 sink.example\r\n",
    b"MAIL": b"250 2.1.0 ok\r\n",
    b"RCPT": b"250 2.1.5 ok\r\n",
    b"DATA": b"354 go on\r\n",
    b"RSET": b"250 2.0.0 ok\r\n",
    b"NOOP": b"250 2.0.0 ok\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}


# The sink, a process of its own.


class Sink(asyncio.Protocol):
    """
    Takes everything and keeps nothing.
    """

    #: Messages taken by all of them.
    taken = 0

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._encrypted = self._shaking_hands = False
        self._buffer = b""
        self._content = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if not self._encrypted:
            transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._shaking_hands:
            self._answer()

    def _answer(self) -> None:
        answers = []
        while True:
            if self._content:
                end = self._buffer.find(_END)
                if end < 0:
                    break
                self._buffer = self._buffer[end + len(_END) :]
                self._content = False
                Sink.taken += 1
                answers.append(_TAKEN)
                continue
            line, crlf, rest = self._buffer.partition(b"\r\n")
            if not crlf:
                break
            self._buffer = rest
            verb = line[:4].upper()
            if verb == b"STAR" and self._context is not None:
                # Before the answer: the handshake may be here before the task is.
                self._transport.pause_reading()
                self._transport.write(b"220 2.0.0 go on\r\n")
                asyncio.get_running_loop().create_task(self._encrypt(self._context))
                return
            if verb == b"EHLO":
                offer = b"250-STARTTLS\r\n" if self._context is not None and not self._encrypted else b""
                answers.append(b"250-sink.example\r\n250-PIPELINING\r\n%b250 8BITMIME\r\n" % offer)
            else:
                answers.append(_ANSWERS.get(verb, b"500 5.5.2 what\r\n"))
            self._content = verb == b"DATA"
        if answers:
            self._transport.write(b"".join(answers))

    async def _encrypt(self, context: ssl.SSLContext) -> None:
        self._encrypted = self._shaking_hands = True
        transport = self._transport
        self._transport = await asyncio.get_running_loop().start_tls(transport, self, context, server_side=True)
        # The first command may be here already.
        self._shaking_hands = False
        self._answer()


async def sink(port: int, certificate: str, count: bool) -> None:
    """
    Serve until the process is ended.

    :param count: whether to say how many messages were taken, as ``smtp-sink -c`` does, and
        to leave the processor to others meanwhile.
    """
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()

    def spin() -> None:
        # It never sleeps: to wake a process on another processor can cost whoever sends to it
        # more than all the rest of a message, and says nothing about the client.
        loop.call_soon(spin)

    def tell() -> None:
        print(f"mesg={Sink.taken}", end="\r", flush=True)
        loop.call_later(0.01, tell)

    (tell if count else spin)()
    server = await loop.create_server(lambda: Sink(context), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def make_certificate(path: Path) -> None:
    """
    A certificate nobody knows, with its key.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )


@contextmanager
def running_sink(directory: Path, tls: bool) -> Iterator[int]:
    """
    A sink on a free port.
    """
    port = free_port()
    certificate = directory / "sink.pem"
    if tls and not certificate.exists():
        make_certificate(certificate)
    command = [sys.executable, __file__, "--sink", str(port), "--certificate", str(certificate) if tls else ""]
    with ended(subprocess.Popen(command)) as process:
        until = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the sink does not listen")
            time.sleep(0.05)
        yield port


# The clients, each a process of its own.


def content(size: int) -> bytes:
    """
    A message of *size* octets, CRLF line ends.
    """
    head = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nSubject: news\r\n\r\n".encode()
    line = b"The quick brown fox jumps over the lazy dog, and back again.\r\n"
    body = line * (size // len(line) + 1)
    return head + body[: max(0, size - len(head) - 2)] + b"\r\n"


class Meter:
    """
    Counts messages, and reads the processor's clock when the first and the last
    of those that count are done.
    """

    def __init__(self, messages: int, done: Callable[[], object]) -> None:
        self._left = messages + WARM_UP
        self._counting = messages
        self._done = done
        self._began = 0.0
        self.seconds = 0.0

    def one(self) -> None:
        """
        One more message was taken.
        """
        self._left -= 1
        if self._left == self._counting:
            self._began = time.process_time()
        elif not self._left:
            self.seconds = time.process_time() - self._began
            self._done()


def ours(port: int, messages: int, connections: int, tls: bool, size: int, more: str = "") -> float:
    """
    The whole of delivery, from the active queue to the outcome: maintainer,
    sessions, settlement, hooks without providers, no spool and no log.

    :param more: lines of configuration besides.
    """
    import resource
    from random import Random

    from twisted.internet import epollreactor

    # What ``twistd`` would choose, with a descriptor for every connection.
    epollreactor.install()
    from twisted.internet import reactor as global_reactor

    from momentum_tx.config import load as config_load
    from momentum_tx.delivery.delivery import Delivery
    from momentum_tx.delivery.facilities import Facilities
    from momentum_tx.hooks.outbound import OutboundHooks
    from momentum_tx.message.ids import MessageIds
    from momentum_tx.policy.prohibited import ProhibitedHosts
    from momentum_tx.queues.message import Reception
    from momentum_tx.seams import real_seams
    from momentum_tx.timers import Agenda
    from momentum_tx.wall import WallClock

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    reactor: Any = global_reactor
    reactor.seconds = time.monotonic
    config = config_load.parse(
        f'[global]\nmax_outbound_connections = {connections}\nroutes = ["127.0.0.1:{port}"]\n'
        f'hostname = "mta.sender.example"\ntls = "{"required" if tls else "no"}"\n'
        f"connection_allocation_aggressiveness = 'high'\nhost_failure_retry = 1.0\n{more}"
    )
    meter = Meter(messages, reactor.stop)
    seams = real_seams(reactor)
    agenda = Agenda(reactor)
    wall = WallClock(reactor, time.time, agenda)
    spool = NoSpool(reactor, content(size), meter.one)
    facilities = Facilities(
        clock=reactor,
        wall=wall,
        rng=Random(1),
        agenda=agenda,
        dialer=seams.dialer,
        tls=seams.tls,
        resolver=seams.resolver(config.global_settings),
        spool=spool,
        hooks=OutboundHooks(),
        ids=MessageIds(wall, os.getpid()),
        config=config,
        prohibited=ProhibitedHosts(()),
        hostname="mta.sender.example",
        plumbed=seams.plumbed,
        threads=seams.threads,
    )
    delivery = Delivery(facilities)
    mail = []
    for number in range(messages + WARM_UP):
        reception = Reception(SENDER.encode(), time.time(), size, f"batch{number}")
        message = reception.add(f"id{number}", RECIPIENT.encode())
        message.binding_slot = 0
        mail.append(message)

    def begin() -> None:
        delivery.start()
        delivery.enqueue(mail)

    reactor.callWhenRunning(begin)
    reactor.run()
    return meter.seconds


@implementer(ISpool)
class NoSpool:
    """
    Keeps nothing: what a spool costs is not what is asked here.
    """

    def __init__(self, reactor: Any, body: bytes, delivered: Callable[[], object]) -> None:
        self._reactor = reactor
        self._body = body
        self._delivered = delivered
        self._waiting: list[Callable[[None], object]] = []

    def start(self, found: object, taking: object = None) -> Deferred[int]:
        """
        There is nothing.
        """
        return succeed(0)

    def receive(self, reception: object, body: bytes, ends: Sequence[object] = ()) -> Deferred[None]:
        """
        Mail is there already.
        """
        return succeed(None)

    def flush(self) -> Deferred[None]:
        """
        Nothing is owed to a disk.
        """
        return succeed(None)

    stop = flush

    def body(self, reception: object) -> bytes:
        """
        The same for all.
        """
        return self._body

    def queued(self, message: object, waits: bool, let_go: bool) -> None:
        """
        Nothing is kept.
        """

    def intent(self, messages: Sequence[object], then: Callable[[None], object], lost_reply: object = None) -> None:
        """
        As a spool does: once per turn.
        """
        if not self._waiting:
            self._reactor.callLater(0, self._tell)
        self._waiting.append(then)

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then(None)

    def delivered(self, message: object, note: bytes, synced: object = None) -> None:
        """
        One more.
        """
        self._delivered()

    def failed(self, message: object, note: bytes, synced: object = None) -> None:
        """
        The sink refuses nothing.
        """
        raise SystemExit(f"the sink refused a message: {note!r}")

    def requeued(self, message: Any) -> None:
        """
        Nor does it fail.
        """
        raise SystemExit(f"a message failed: {message.code!r}")

    def healthy(self) -> bool:
        """
        Always.
        """
        return True

    writable = healthy


def aiosmtplib(port: int, messages: int, connections: int, tls: bool, size: int) -> float:
    """
    ``aiosmtplib.SMTP``: so many clients, each sending message after message.
    """
    # Nobody has it for anything else, so that type checkers need not either.
    library: Any = import_module("aiosmtplib")

    body = content(size)
    left = messages + WARM_UP

    async def worker(meter: Meter) -> None:
        nonlocal left
        client = library.SMTP(hostname="127.0.0.1", port=port, start_tls=tls, validate_certs=False, use_tls=False)
        await client.connect()
        while left > 0:
            left -= 1
            await client.sendmail(SENDER, [RECIPIENT], body)
            meter.one()
        await client.quit()

    async def run() -> float:
        meter = Meter(messages, lambda: None)
        await asyncio.gather(*[worker(meter) for _ in range(connections)])
        return meter.seconds

    return asyncio.run(run())


def twisted_mail(port: int, messages: int, connections: int, tls: bool, size: int) -> float:
    """
    ``twisted.mail.smtp.ESMTPClient``, made to send message after message.
    """
    from io import BytesIO

    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor as global_reactor
    from twisted.internet.protocol import ClientFactory
    from twisted.internet.ssl import CertificateOptions
    from twisted.mail.smtp import ESMTPClient

    reactor: Any = global_reactor
    meter = Meter(messages, reactor.stop)
    body = content(size).replace(b"\r\n", b"\n")
    left = messages + WARM_UP

    class Client(ESMTPClient):
        """
        One connection.
        """

        requireTransportSecurity = tls

        def getMailFrom(self) -> str | None:
            nonlocal left
            if not left:
                return None
            left -= 1
            return SENDER

        def getMailTo(self) -> list[str]:
            return [RECIPIENT]

        def getMailData(self) -> BytesIO:
            return BytesIO(body)

        def sentMail(self, code: int, resp: bytes, numOk: int, addresses: object, log: object) -> None:
            if code != 250:
                raise SystemExit(f"the sink refused a message: {resp!r}")
            meter.one()

    class Clients(ClientFactory):
        """
        Makes them.
        """

        noisy = False

        def buildProtocol(self, addr: object) -> Client:
            return Client(None, CertificateOptions() if tls else None, b"mta.sender.example")

    for _ in range(connections):
        reactor.connectTCP("127.0.0.1", port, Clients())
    reactor.run()
    return meter.seconds


def sockets(port: int, messages: int, connections: int, tls: bool, size: int) -> float:
    """
    Bare sockets that say the same octets and look at nothing: what the system alone
    takes, in clear.
    """
    import select

    envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode()
    whole = content(size) + b".\r\n"
    meter = Meter(messages, lambda: None)
    poll = select.epoll()
    open_sockets: dict[int, socket.socket] = {}
    heard: dict[int, bytes] = {}
    for _ in range(connections):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.recv(1024)
        sock.sendall(b"EHLO mta.sender.example\r\n")
        sock.recv(1024)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(envelope)
        open_sockets[sock.fileno()] = sock
        heard[sock.fileno()] = b""
        poll.register(sock.fileno(), select.EPOLLIN)
    while not meter.seconds:
        for number, _ in poll.poll():
            sock = open_sockets[number]
            heard[number] += sock.recv(65536)
            if heard[number].endswith(_ANSWERS[b"DATA"]):
                heard[number] = b""
                sock.sendall(whole)
            elif heard[number].endswith(_TAKEN):
                heard[number] = b""
                meter.one()
                sock.sendall(envelope)
    return meter.seconds


RUN: Final = {"momentum_tx": ours, "aiosmtplib": aiosmtplib, "twisted.mail": twisted_mail, "sockets": sockets}


# The benchmark.


def measure(client: str, port: int, messages: int, connections: int, tls: bool, size: int) -> float:
    """
    Microseconds of processor time per message.
    """
    command = [sys.executable, __file__, "--client", client, "--port", str(port), "--messages", str(messages)]
    command += ["--connections", str(connections), "--size", str(size), *["--tls"] * tls]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise SystemExit(f"{client} failed:\n{done.stderr[-3000:]}")
    return float(done.stdout) / messages * 1e6


def available(client: str) -> bool:
    """
    Whether a client is installed.
    """
    if client != "aiosmtplib":
        return True
    return subprocess.run([sys.executable, "-c", "import aiosmtplib"], capture_output=True).returncode == 0


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """
    All rows, all clients, all runs.
    """
    clients = [client for client in options.only or CLIENTS if available(client)]
    before = machine()
    figures: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for tls in (False, True):
            with running_sink(Path(directory), tls) as port:
                for connections in CONNECTIONS:
                    row = f"{connections} {'TLS' if tls else 'plain'}"
                    for client in clients:
                        if tls and client == "sockets":
                            continue
                        for _ in range(options.runs):
                            figure = measure(client, port, options.messages, connections, tls, options.size)
                            figures.setdefault(row, {}).setdefault(client, []).append(figure)
                            print(f"{row}: {client} {figure:.0f}", file=sys.stderr)
    return {
        "machine": before,
        "runs": options.runs,
        "size": options.size,
        "missing": [client for client in options.only or CLIENTS if client not in clients],
        "microseconds per message": figures,
    }


def table(report: dict[str, Any]) -> str:
    """
    The report for people: medians.
    """
    figures = report["microseconds per message"]
    clients = list(dict.fromkeys(client for of_row in figures.values() for client in of_row))
    size, runs = report["size"], report["runs"]
    lines = [
        heading(
            report["machine"],
            f"microseconds of processor time per message of {size:,} octets",
            f"medians of {runs}",
        ),
        "",
        f"| connections | {' | '.join(clients)} |",
        f"| --- |{' ---: |' * len(clients)}",
    ]
    for row, of_row in figures.items():
        cells = [f"{statistics.median(of_row[client]):,.0f}" if client in of_row else "" for client in clients]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    lines += [f"\n{client} is not installed and was left out" for client in report["missing"]]
    return "\n".join(lines)


def main() -> None:
    """
    Measure, and print a table.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="how often each figure is measured (3)")
    parser.add_argument("--messages", type=int, default=4000, help="messages per figure (4,000)")
    parser.add_argument("--size", type=int, default=4096, help="octets of a message (4,096)")
    parser.add_argument("--only", action="append", choices=CLIENTS, help="only this client; may be repeated")
    parser.add_argument("--json", action="store_true", help="every single figure")
    parser.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--certificate", default="", help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--connections", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--tls", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sink:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        asyncio.run(sink(options.sink, options.certificate, options.count))
        return
    if options.client:
        print(RUN[options.client](options.port, options.messages, options.connections, options.tls, options.size))
        return
    conclude(options, benchmark, table)


if __name__ == "__main__":
    main()
