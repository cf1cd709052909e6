"""
Connections through proxies on the real reactor: small servers of both kinds, and
sessions with TLS behind them.
"""

from __future__ import annotations

import ipaddress
import struct
import subprocess
from pathlib import Path
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from momentum_tx.errors import DialFailed
from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces.seams import IConnectedStream
from momentum_tx.net.dialer import SocketDialer
from momentum_tx.net.handshakes import Handshake, ProxyHeader, SocksHandshake
from momentum_tx.net.proxied import ProxiedDialer
from momentum_tx.net.tls import OpenSSLUpgrade
from momentum_tx.policy.tls import TLSParameters
from tests.net.certificates import server_context
from tests.net.test_dialer import open_sockets

from .needs import require
from .running import free_port, until
from .test_service import SHORT, ServiceCase

HERE = "127.0.0.1"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def any_reactor() -> Any:
    """
    The reactor, of which only its kind knows all it can do.
    """
    return reactor


class Relay(Protocol):
    """
    A proxy's client: a header or a dialogue first, then octets both ways.
    """

    transport: Any

    def __init__(self, proxy: Proxies) -> None:
        self.proxy = proxy
        self.held = b""
        self.beyond: Any = None
        self.state = "header" if proxy.header else "greeting"

    def dataReceived(self, data: bytes) -> None:
        self.held += data
        if self.beyond is not None:
            self.flush()
        elif self.state == "greeting" and len(self.held) >= 3:
            self.held = self.held[2 + self.held[1] :]
            self.state = "password"
            self.transport.write(b"\x05\x02")
        elif self.state == "password" and self.held:
            assert self.held == b"\x01\x03mta\x06secret", self.held
            self.held = b""
            self.state = "request"
            self.transport.write(b"\x01\x00")
        elif self.state == "request" and len(self.held) >= 10:
            assert self.held[:4] == b"\x05\x01\x00\x01"
            self.connect(self.held[4:8], self.held[8:10], b"\x05\x00\x00\x01" + bytes(6))
        elif self.state == "header" and len(self.held) >= 28:
            assert self.held.startswith(SIGNATURE + b"\x21\x11\x00\x0c")
            header, self.held = self.held[:28], self.held[28:]
            self.proxy.sources.append(str(ipaddress.ip_address(header[16:20])))
            self.connect(header[20:24], header[26:28], b"")

    def connect(self, address: bytes, port: bytes, reply: bytes) -> None:
        """
        Connect on.
        """
        if not self.proxy.header:
            self.held = b""
        self.state = "connecting"
        place = str(ipaddress.ip_address(address)), struct.unpack(">H", port)[0]
        endpoint = HostnameEndpoint(reactor, *place)
        connecting = connectProtocol(endpoint, Beyond(self))

        def connected(beyond: Any) -> None:
            self.transport.write(reply)
            self.beyond = beyond
            self.flush()
            beyond.flush()

        def refused(failure: Any) -> None:
            if reply:
                self.transport.write(b"\x05\x05\x00\x01" + bytes(6))
            self.transport.loseConnection()

        connecting.addCallbacks(connected, refused)

    def flush(self) -> None:
        """
        Pass on what was held.
        """
        held, self.held = self.held, b""
        self.beyond.transport.write(held)

    def connectionLost(self, reason: Any = None) -> None:
        if self.beyond is not None:
            self.beyond.transport.loseConnection()
        self.proxy.left -= 1


class Beyond(Protocol):
    """
    The other half.
    """

    transport: Any

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.held = b""

    def dataReceived(self, data: bytes) -> None:
        self.held += data
        if self.relay.beyond is not None:
            self.flush()

    def flush(self) -> None:
        """
        Pass on what was held.
        """
        held, self.held = self.held, b""
        self.relay.transport.write(held)

    def connectionLost(self, reason: Any = None) -> None:
        self.relay.transport.loseConnection()


class Proxies(Factory):
    """
    A proxy of either kind.
    """

    noisy = False

    def __init__(self, header: bool) -> None:
        self.header = header
        self.sources: list[str] = []
        self.left = 0

    def buildProtocol(self, addr: Any) -> Relay:
        self.left += 1
        return Relay(self)


class Server(LineReceiver):
    """
    Greets, takes STARTTLS, and says back what it hears.
    """

    transport: Any

    def connectionMade(self) -> None:
        self.sendLine(b"220 hello")

    def lineReceived(self, line: bytes) -> None:
        if line == b"STARTTLS":
            self.sendLine(b"220 go ahead")
            self.transport.startTLS(Contexts())
        else:
            self.sendLine(line[::-1])


class Contexts(ssl.ContextFactory):
    """
    The server's side of TLS.
    """

    def getContext(self) -> Any:
        return server_context()


class Servers(Factory):
    """
    Makes them.
    """

    noisy = False
    protocol = Server


@implementer(IHandshakeListener)
class Client(LineReceiver):
    """
    Asks for TLS, and for one line.
    """

    transport: Any

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.done: Deferred[list[bytes]] = Deferred()
        self.upgrade = OpenSSLUpgrade()

    def lineReceived(self, line: bytes) -> None:
        self.lines.append(line)
        if line == b"220 hello":
            self.sendLine(b"STARTTLS")
        elif line == b"220 go ahead":
            self.upgrade.upgrade(self.transport, TLSParameters(use="required", sni="localhost"))
        else:
            self.transport.loseConnection()

    def handshakeCompleted(self) -> None:
        self.lines.append(self.upgrade.facts(self.transport).version.encode())
        self.sendLine(b"esrever")

    def connectionLost(self, reason: Any = None) -> None:
        self.done.callback(self.lines)


class ProxyTests(TestCase):
    """
    Through real sockets.
    """

    timeout = 20

    async def listen(self, factory: Factory) -> int:
        """
        A free port.
        """
        port = await TCP4ServerEndpoint(reactor, 0, interface=HERE).listen(factory)
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    async def dialer(self, header: bool) -> ProxiedDialer:
        """
        A dialer through a proxy.
        """
        self.proxy = Proxies(header)
        place = HERE, await self.listen(self.proxy)

        def handshake(host: str, port: int) -> Handshake:
            return ProxyHeader(host, port, "203.0.113.9") if header else SocksHandshake(host, port, b"mta", b"secret")

        self.doubts: list[str] = []
        self.before = open_sockets()
        return ProxiedDialer(SocketDialer(any_reactor()), place, "proxy", handshake, self.doubts.append)

    async def at_rest(self) -> None:
        """
        Every socket is closed again.
        """
        while self.proxy.left or open_sockets() - self.before:
            await deferLater(reactor, 0.01)

    async def through(self, header: bool) -> None:
        """
        A session with TLS whose protocol knows nothing of proxies.
        """
        dialer = await self.dialer(header)
        port = await self.listen(Servers())
        self.before = open_sockets()
        client = Client()
        dialer.dial(HERE, port, "", None, lambda stream: stream.start(client), client.done.errback)
        lines = await client.done
        self.assertEqual([lines[0], lines[1], lines[3]], [b"220 hello", b"220 go ahead", b"reverse"])
        self.assertTrue(lines[2].startswith(b"TLSv1"))
        await self.at_rest()

    async def test_header(self) -> None:
        """
        A PROXY header: the server's greeting, TLS and a line, both ways.
        """
        await self.through(True)
        self.assertEqual(self.proxy.sources, ["203.0.113.9"])

    async def test_socks(self) -> None:
        """
        SOCKS with a password: the same.
        """
        await self.through(False)

    async def test_nobody_there(self) -> None:
        """
        What a SOCKS proxy says of a closed port is the destination's failure; a proxy that is gone is not.
        """
        dialer = await self.dialer(False)
        gone = await TCP4ServerEndpoint(reactor, 0, interface=HERE).listen(Servers())
        port = gone.getHost().port
        await gone.stopListening()
        for use, flags, doubts in (
            (dialer, ConnFlag.ERROR_CONNECT_NETWORK, 0),
            (
                ProxiedDialer(
                    SocketDialer(any_reactor()),
                    (HERE, port),
                    "proxy",
                    SocksHandshake,
                    self.doubts.append,
                ),
                ConnFlag.ERROR_BIND,
                1,
            ),
        ):
            ended: Deferred[Any] = Deferred()

            def connected(stream: IConnectedStream, ended: Deferred[Any] = ended) -> None:
                stream.close()
                ended.callback(None)

            try:
                use.dial(HERE, port, "", None, connected, ended.callback)
                failure = await ended
            except DialFailed as error:
                failure = error
            assert isinstance(failure, DialFailed)
            self.assertEqual((failure.flags, len(self.doubts)), (flags, doubts), failure.reason)
        await self.at_rest()


class ForeignProxyTests(ServiceCase):
    """
    A service behind proxies that others have written.
    """

    async def through(self, options: str, program: list[str], heard: bytes) -> None:
        """
        Deliver three messages by way of a program.

        :param heard: what the program says of a connection.
        """
        sink, port = await self.sink()
        log = Path(self.directory, "proxy.log")
        with log.open("wb") as out, subprocess.Popen(program, stdout=out, stderr=subprocess.STDOUT) as process:
            try:
                self.configure(f'[domain."proxied.test"]\nroutes = ["127.0.0.1:{port}"]\n', SHORT + options)
                await self.start()
                await self.inject_all([(f"u{number}@proxied.test", b"Subject: x\n\nx\n") for number in range(3)])
                await until(lambda: len(self.records("D")) == 3, f"three D records: {log.read_bytes()!r}")
                await self.stop()
            finally:
                process.terminate()
        self.assertEqual(len(sink.arrived), 3)
        self.assertIn(heard, log.read_bytes())
        self.assertEqual((self.records("T"), self.records("P")), ([], []))

    async def test_haproxy(self) -> None:
        """
        HAProxy, which connects to where the header says.
        """
        program, port = require("haproxy"), free_port()
        config = Path(self.directory, "haproxy.cfg")
        config.write_text(
            "global\n  log stdout format raw local0\ndefaults\n  mode tcp\n  log global\n  option tcplog\n"
            "  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
            f"listen mail_out\n  bind 127.0.0.1:{port} accept-proxy\n  server out 0.0.0.0\n"
        )
        options = f'ha_proxy_server = "127.0.0.1:{port}"\nha_proxy_src_addr = "127.0.0.1"\n'
        await self.through(options, [program, "-db", "-f", str(config)], b"mail_out/out")

    async def test_microsocks(self) -> None:
        """
        microsocks, which wants a user name and a password.
        """
        program, port = require("microsocks"), free_port()
        secret = Path(self.directory, "secret")
        secret.write_text("s3cret\n")
        secret.chmod(0o600)
        options = (
            f'socks_proxy_server = "127.0.0.1:{port}"\nsocks_proxy_user = "mta"\nsocks_proxy_pass_file = "{secret}"\n'
        )
        arguments = ["-i", "127.0.0.1", "-p", str(port), "-u", "mta", "-P", "s3cret"]
        await self.through(options, [program, *arguments], b"connected to 127.0.0.1")
