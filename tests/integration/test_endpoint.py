"""
:class:`~momentum_tx.net.endpoint.BoundClientEndpoint` on the real reactor, with
protocols that know nothing of us.
"""

from __future__ import annotations

import os
import socket
from io import BytesIO
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor, ssl
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IHandshakeListener, ISSLTransport, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.mail.smtp import ESMTPSender, ESMTPSenderFactory, SMTPClientError
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from momentum_tx.errors import ConnectFailed, ConnectionNotInitiated, ConnectTimedOut
from momentum_tx.flags import ConnFlag
from momentum_tx.net.dialer import IP_BIND_ADDRESS_NO_PORT, SocketDialer
from momentum_tx.net.endpoint import BoundClientEndpoint
from momentum_tx.net.tls import OpenSSLUpgrade
from momentum_tx.policy.tls import TLSParameters
from tests.net.certificates import server_context
from tests.net.test_dialer import open_sockets


class Echo(Protocol):
    """
    Says back what it hears, until it hears a full stop.
    """

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(data)
        if data.endswith(b"."):
            transport.loseConnection()


class Talk(Protocol):
    """
    Says one thing and keeps what it hears.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.lost: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(b"hello.")

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(self.heard)


class ServerContext(ssl.ContextFactory):
    """
    The server's side, with a certificate of its own making.
    """

    def getContext(self) -> SSL.Context:
        return server_context()


class TLSMailServer(LineReceiver):
    """
    The smallest SMTP server that takes a message, after STARTTLS only.
    """

    transport: Any
    factory: Any

    def __init__(self) -> None:
        self.encrypted = False
        self.in_data = False
        self.content: list[bytes] = []

    def connectionMade(self) -> None:
        self.factory.peers.append(self.transport.getPeer().host)
        self.sendLine(b"220 mx.example.test ESMTP")

    def lineReceived(self, line: bytes) -> None:
        if self.in_data:
            if line == b".":
                self.in_data = False
                self.factory.messages.append((self.encrypted, b"\n".join(self.content)))
                self.sendLine(b"250 kept")
            else:
                self.content.append(line)
            return
        verb = line.split(b" ")[0].upper()
        if verb == b"EHLO":
            self.sendLine(b"250-mx.example.test")
            self.sendLine(b"250 8BITMIME" if self.encrypted else b"250 STARTTLS")
        elif verb == b"STARTTLS":
            self.sendLine(b"220 go ahead")
            self.transport.startTLS(ServerContext())
            self.encrypted = True
        elif verb == b"DATA" and self.encrypted:
            self.in_data = True
            self.sendLine(b"354 go on")
        elif verb == b"RSET" or (verb in (b"MAIL", b"RCPT") and self.encrypted):
            self.sendLine(b"250 ok")
        elif verb == b"QUIT":
            self.sendLine(b"221 bye")
            self.transport.loseConnection()
        else:
            self.sendLine(b"530 5.7.0 Must issue a STARTTLS command first")


class EndpointTests(TestCase):
    """
    Real connections over loopback.
    """

    timeout = 20

    def setUp(self) -> None:
        self.before = open_sockets()
        self.addCleanup(self.nothing_left)

    async def nothing_left(self) -> None:
        """
        Every socket is closed.
        """
        for _ in range(100):
            if open_sockets() <= self.before:
                return
            await deferLater(reactor, 0.01)
        self.assertEqual(open_sockets() - self.before, set())

    async def listen(self, factory: Factory, host: str = "127.0.0.1") -> int:
        """
        A server of *factory*; its port.
        """
        real: Any = reactor
        kind = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
        endpoint: IStreamServerEndpoint = kind(real, 0, interface=host)
        factory.noisy = False
        listening: Any = await endpoint.listen(factory)
        self.addCleanup(listening.stopListening)
        port: int = listening.getHost().port
        return port

    def closed_port(self) -> int:
        """
        A port on which nobody listens.
        """
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port: int = sock.getsockname()[1]
        return port

    async def test_any_protocol(self) -> None:
        """
        A plain protocol talks over it, from the address it is bound to.
        """
        for host, source in (("127.0.0.1", "127.0.0.2"), ("::1", "::1"), ("127.0.0.1", "")):
            port = await self.listen(Factory.forProtocol(Echo), host)
            endpoint = BoundClientEndpoint(reactor, host, port, 5, source)
            talk: Any = await endpoint.connect(Factory.forProtocol(Talk))
            self.assertIsInstance(talk, Talk)
            self.assertEqual(talk.transport.getHost().host, source or host)
            self.assertEqual(talk.transport.getPeer().port, port)
            self.assertEqual(await talk.lost, b"hello.")

    async def test_port_left_to_connect(self) -> None:
        """
        ``IP_BIND_ADDRESS_NO_PORT`` is set, so that one source address may have
        the same port towards two destinations.
        """
        seen: list[Any] = []

        def post_bind(fd: int) -> bool:
            with socket.socket(fileno=os.dup(fd)) as sock:
                seen.append((sock.getsockname(), sock.getsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT)))
            return True

        port = await self.listen(Factory.forProtocol(Echo))
        endpoint = BoundClientEndpoint(reactor, "127.0.0.1", port, 5, "127.0.0.2", post_bind)
        talk: Any = await endpoint.connect(Factory.forProtocol(Talk))
        self.assertEqual(seen, [(("127.0.0.2", 0), 1)])
        self.assertNotEqual(talk.transport.getHost().port, 0)
        await talk.lost

    async def test_refused(self) -> None:
        """
        Nobody listens.
        """
        endpoint = BoundClientEndpoint(reactor, "127.0.0.1", self.closed_port(), 5, "127.0.0.2")
        with self.assertRaises(ConnectFailed) as caught:
            await endpoint.connect(Factory.forProtocol(Talk))
        self.assertEqual(caught.exception.flags, ConnFlag.ERROR_CONNECT_NETWORK)

    async def test_unplumbed(self) -> None:
        """
        The source is not configured on this host.
        """
        endpoint = BoundClientEndpoint(reactor, "127.0.0.1", self.closed_port(), 5, "192.0.2.1")
        with self.assertRaises(ConnectionNotInitiated) as caught:
            await endpoint.connect(Factory.forProtocol(Talk))
        self.assertEqual(caught.exception.flags, ConnFlag.ERROR_BIND)

    def full_server(self) -> int:
        """
        A port whose backlog is full: it neither accepts nor refuses.
        """
        server = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(server.close)
        address = server.getsockname()
        for _ in range(4):
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(address)
        port: int = address[1]
        return port

    async def test_timeout(self) -> None:
        """
        The peer says nothing for as long as it may.
        """
        endpoint = BoundClientEndpoint(reactor, "127.0.0.1", self.full_server(), 0.2)
        before = open_sockets()
        with self.assertRaises(ConnectTimedOut) as caught:
            await endpoint.connect(Factory.forProtocol(Talk))
        self.assertEqual(caught.exception.flags, ConnFlag.ERROR_CONNECT_TIMEOUT)
        self.assertEqual(open_sockets(), before)

    async def test_cancel(self) -> None:
        """
        Cancelling closes the descriptor, at once.
        """
        endpoint = BoundClientEndpoint(reactor, "127.0.0.1", self.full_server(), 5)
        before = open_sockets()
        connecting = endpoint.connect(Factory.forProtocol(Talk))
        self.assertEqual(len(open_sockets() - before), 1)
        connecting.cancel()
        self.assertEqual(open_sockets(), before)
        with self.assertRaises(CancelledError):
            await connecting

    async def test_foreign_mail_client(self) -> None:
        """
        Twisted's own ESMTP client sends a message over STARTTLS, from the
        binding's address.
        """
        servers: Any = Factory.forProtocol(TLSMailServer)
        servers.peers, servers.messages = [], []
        port = await self.listen(servers)
        sent: Deferred[Any] = Deferred()
        real: Any = reactor
        content = BytesIO(b"Subject: over TLS\r\n\r\nhello\r\n")
        factory: Any = ESMTPSenderFactory(
            None,
            None,
            "a@sender.example",
            ["b@rcpt.example"],
            content,
            sent,
            retries=0,
            contextFactory=ssl.CertificateOptions(verify=False),
            requireAuthentication=False,
            requireTransportSecurity=True,
            hostname=None,
        )
        endpoint = BoundClientEndpoint(real, "127.0.0.1", port, 5, "127.0.0.4")
        client: Any = await endpoint.connect(factory)
        self.assertIsInstance(client, ESMTPSender)
        count, accepted = await sent
        self.assertEqual((count, accepted[0][:2]), (1, (b"b@rcpt.example", 250)))
        self.assertTrue(ISSLTransport.providedBy(client.transport))
        self.assertEqual(servers.peers, ["127.0.0.4"])
        ((encrypted, message),) = servers.messages
        self.assertTrue(encrypted)
        self.assertIn(b"Subject: over TLS", message)

    async def test_foreign_mail_client_without_tls(self) -> None:
        """
        The same server refuses the client that does not encrypt: the test above
        would see it.
        """
        servers: Any = Factory.forProtocol(TLSMailServer)
        servers.peers, servers.messages = [], []
        port = await self.listen(servers)
        sent: Deferred[Any] = Deferred()
        content = BytesIO(b"Subject: x\r\n\r\n")
        factory: Any = ESMTPSenderFactory(
            None, None, "a@sender.example", ["b@rcpt.example"], content, sent, retries=0,
            requireAuthentication=False, requireTransportSecurity=False,
        )  # fmt: skip
        await BoundClientEndpoint(reactor, "127.0.0.1", port, 5).connect(factory)
        with self.assertRaises(SMTPClientError):
            await sent
        self.assertEqual(servers.messages, [])

    async def test_our_upgrade(self) -> None:
        """
        The TLS seam encrypts an adopted connection and says what came of it;
        the protocol hears when the handshake is done.
        """
        servers: Any = Factory.forProtocol(TLSMailServer)
        servers.peers, servers.messages = [], []
        port = await self.listen(servers)
        upgrade = OpenSSLUpgrade()

        @implementer(IHandshakeListener)
        class Client(LineReceiver):
            transport: Any

            def __init__(self) -> None:
                self.facts: Deferred[Any] = Deferred()
                self.lines: list[bytes] = []

            def lineReceived(self, line: bytes) -> None:
                self.lines.append(line)
                if line == b"220 mx.example.test ESMTP":
                    self.sendLine(b"STARTTLS")
                elif line == b"220 go ahead":
                    upgrade.upgrade(self.transport, TLSParameters(use="required", sni="mx.example.test"))

            def handshakeCompleted(self) -> None:
                self.facts.callback(upgrade.facts(self.transport))
                self.sendLine(b"QUIT")

        client = Client()
        streams: Deferred[Any] = Deferred()
        real: Any = reactor
        SocketDialer(real).dial("127.0.0.1", port, "", None, streams.callback, streams.errback)
        (await streams).start(client)
        facts = await client.facts
        self.assertEqual(facts.version, "TLSv1.3")
        self.assertEqual(len(facts.certificate_digest), 64)
