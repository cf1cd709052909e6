"""
What an open session costs in memory, in clear and in TLS: while it is idle, while its
peer drips, and while its peer floods.

``doc/reference/benchmarks.md`` says what each column means::

    python benchmarks/sessions.py
    python benchmarks/sessions.py --sessions 50 --json
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gc
import json
import os
import ssl
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from machine import machine

MANNERS: Final = ("idle", "drip", "flood")
#: Seconds between two octets of a dripping peer.
DRIP: Final = 0.2
#: Octets that a flooding peer says in one reply.
FLOOD: Final = 4 << 20
#: Seconds that drip and flood are watched.
WATCHED: Final = 3.0
#: Seconds after which what must have happened has not.
LONGEST: Final = 60.0


@dataclass(frozen=True)
class Row:
    """
    :ivar tls: whether STARTTLS is used.
    :ivar manner: of :data:`MANNERS`.
    """

    tls: bool
    manner: str

    @property
    def name(self) -> str:
        """
        As printed.
        """
        return f"{'TLS' if self.tls else 'clear'}, {self.manner}"


# The peer, a process of its own.


def certificate(directory: Path) -> tuple[str, str]:
    """
    Files with a certificate that nobody else has signed, and its key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths = directory / "peer.pem", directory / "peer.key"
    for path, content in zip(paths, (made.public_bytes(pem), secret), strict=True):
        path.write_bytes(content)
    return str(paths[0]), str(paths[1])


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext | None, manner: str
) -> None:
    """
    One connection.
    """
    writer.write(b"220 peer.example ESMTP\r\n")
    encrypted = not context
    in_data = False
    while line := await reader.readline():
        verb = line[:4].upper()
        if in_data:
            if line == b".\r\n":
                in_data = False
                writer.write(b"250 kept\r\n")
        elif verb == b"EHLO" and not encrypted:
            writer.write(b"250-peer.example\r\n250 STARTTLS\r\n")
        elif verb == b"EHLO" and manner == "drip":
            for octet in b"250-" + b"x" * 10_000:
                if writer.is_closing():
                    return
                writer.write(bytes([octet]))
                await asyncio.sleep(DRIP)
        elif verb == b"EHLO" and manner == "flood":
            for _ in range(FLOOD // 50_600):
                if writer.is_closing():
                    return
                writer.write((b"250-" + b"x" * 500 + b"\r\n") * 100)
                # Whoever does not drain at once must not keep the others waiting.
                await asyncio.sleep(0)
                await writer.drain()
        elif verb == b"STAR" and context is not None:
            writer.write(b"220 go ahead\r\n")
            await writer.start_tls(context)
            encrypted = True
        elif verb == b"DATA":
            in_data = True
            writer.write(b"354 go on\r\n")
        elif verb == b"QUIT":
            writer.write(b"221 bye\r\n")
            break
        else:
            writer.write(b"250 ok\r\n")
        await writer.drain()
    writer.close()


async def serve(directory: str, tls: bool, manner: str, sessions: int) -> None:
    """
    Listen on many addresses, tell the port, and go on for ever.
    """
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(Path(directory)))

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await converse(reader, writer, context, manner)
        except (OSError, ValueError):
            writer.close()

    server = await asyncio.start_server(connected, address(0), 0)
    port = server.sockets[0].getsockname()[1]
    servers = [server]
    for number in range(1, sessions + 1):
        servers.append(await asyncio.start_server(connected, address(number), port))
    print(port, flush=True)
    await asyncio.gather(*(each.serve_forever() for each in servers))


def address(number: int) -> str:
    """
    Every peer has one of its own: an address that misbehaves is left alone.
    """
    return f"127.1.{number // 250}.{number % 250 + 1}"


# The service, another one.


def resident(field: str) -> int:
    """
    KiB of this process: ``VmRSS`` now, ``VmHWM`` at most.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"no {field}")


async def measure(reactor: Any, directory: str, row: Row, port: int, sessions: int) -> float:
    """
    KiB that each of so many sessions costs.
    """
    from twisted.internet.task import deferLater
    from zope.interface import implementer

    from momentum_tx import make_service
    from momentum_tx.interfaces.hooks import ILogTransientFailureV1

    path = Path(directory, "momentum-tx.toml")
    domains = "".join(
        f'[domain."d{number}.test"]\nroutes = ["{address(number)}:{port}"]\n' for number in range(sessions + 1)
    )
    path.write_text(f"""
[global]
state_dir = "{directory}"
hostname = "mail.sender.example"
smtp_listen = []
idle_timeout = 600
server_max_outbound_connections = {sessions + 10}
tls = "{"required" if row.tls else "no"}"
{domains}""")
    service = make_service(reactor, str(path))
    failed: set[bytes] = set()

    @implementer(ILogTransientFailureV1)
    class Ear:
        def log_transient_failure_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
            failed.add(msg.recipient)

    service.hooks.register_last(Ear())
    service.startService()
    await service.when_ready()

    def mail(domain: str) -> None:
        service.send("a@sender.example", [f"b@{domain}"], b"Subject: x\r\n\r\nx\r\n").addErrback(lambda _: None)

    def opened() -> int:
        return sum(session.ready for session in service.delivery.sessions)

    mail("d0.test")
    await deferLater(reactor, 2.0)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    for number in range(1, sessions + 1):
        mail(f"d{number}.test")
    # An idle session is there when it is ready; one that is flooded has been there when it has failed.
    waited = 0.0
    while row.manner != "drip" and (opened() if row.manner == "idle" else len(failed)) <= sessions:
        if waited > LONGEST:
            raise RuntimeError(f"{opened()} of {sessions} sessions are open, {len(failed)} have failed")
        await deferLater(reactor, 0.1)
        waited += 0.1
    await deferLater(reactor, WATCHED)
    gc.collect()
    after = resident("VmHWM" if row.manner == "flood" else "VmRSS")
    await service.stopService()
    return (after - before) / sessions


def run(row: Row, sessions: int) -> float:
    """
    Measure one row, in processes of its own.
    """
    with tempfile.TemporaryDirectory() as directory:
        own = [sys.executable, __file__, "--directory", directory, "--row", json.dumps([row.tls, row.manner])]
        own += ["--sessions", str(sessions)]
        with subprocess.Popen(
            [*own, "--part", "peer"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as peer:
            try:
                assert peer.stdout is not None
                port = peer.stdout.readline().strip()
                command = [*own, "--part", "service", "--port", port]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            finally:
                peer.kill()
    return float(done.stdout)


def main() -> None:
    """
    The command.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--sessions", type=int, default=200, help="how many at once (200)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--part", choices=("peer", "service"), help=argparse.SUPPRESS)
    parser.add_argument("--directory", help=argparse.SUPPRESS)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part == "peer":
        tls, manner = json.loads(given.row)
        asyncio.run(serve(given.directory, tls, manner, given.sessions))
    elif given.part == "service":
        from twisted.internet.task import react

        async def part(reactor: Any) -> None:
            row = Row(*json.loads(given.row))
            try:
                print(await measure(reactor, given.directory, row, given.port, given.sessions), flush=True)
            except Exception:
                traceback.print_exc()
                # The service still runs, and nobody is there to stop it.
                os._exit(1)

        react(part, ())
    else:
        rows = [Row(tls, manner) for tls in (False, True) for manner in MANNERS]
        found = {row.name: round(run(row, given.sessions), 1) for row in rows}
        if given.json:
            print(json.dumps({"machine": machine(), "sessions": given.sessions, "kib_per_session": found}, indent=2))
        else:
            print(machine())
            for name, kib in found.items():
                print(f"{name:<12} {kib:7.1f} KiB per session")


if __name__ == "__main__":
    main()
