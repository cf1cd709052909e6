"""
Connections through a proxy, as those above see them.
"""

from random import Random
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import DialFailed
from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces.seams import IConnectedStream, IDial, IDialer
from momentum_tx.net.handshakes import Handshake, ProxyHeader, SocksHandshake
from momentum_tx.net.proxied import ProxiedDialer
from momentum_tx.testing.network import VirtualNetwork
from momentum_tx.testing.proxies import HeaderProxy, ModelledProxy, SocksProxy

US, PROXY, SEEN, THEM = "192.0.2.1", "10.0.0.1", "203.0.113.9", "198.51.100.7"


class Speaker(Protocol):
    """
    A server that speaks first, and says back what it hears.
    """

    transport: Any

    def connectionMade(self) -> None:
        self.transport.write(b"220 hello\r\n")

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class Speakers(Factory):
    """
    Makes them, and knows from where they were called.
    """

    noisy = False

    def __init__(self) -> None:
        self.callers: list[str] = []

    def buildProtocol(self, addr: Any) -> Any:
        self.callers.append(addr.host)
        return Speaker()


class Client(Protocol):
    """
    Whoever wants the connection.
    """

    transport: Any

    def __init__(self) -> None:
        self.heard = b""
        self.lost = 0

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: object = None) -> None:
        self.lost += 1


class ProxiedCase(SynchronousTestCase):
    """
    A network with us, a proxy, and a server.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = VirtualNetwork(self.clock, Random(1))
        self.us = self.network.host(US)
        self.server = Speakers()
        self.network.listen(THEM, 25, self.server)
        self.streams: list[IConnectedStream] = []
        self.failures: list[DialFailed] = []
        self.doubts: list[str] = []

    def advance(self, seconds: float = 1.0) -> None:
        """
        Let time pass.
        """
        for _ in range(100):
            self.clock.advance(seconds / 100)

    def dialer(self, kind: type[ModelledProxy], **options: bytes) -> ProxiedDialer:
        """
        One through a proxy.
        """
        self.proxy = kind(self.network, PROXY, 1080, SEEN, **options)

        def handshake(host: str, port: int) -> Handshake:
            return SocksHandshake(host, port, **options) if kind is SocksProxy else ProxyHeader(host, port, SEEN)

        return ProxiedDialer(self.us, (PROXY, 1080), "10.0.0.1:1080", handshake, self.doubts.append)

    def dial(self, dialer: ProxiedDialer, host: str = THEM, **options: Any) -> IDial:
        """
        Begin to connect.
        """
        return dialer.dial(
            host, 25, options.get("source", ""), options.get("post_bind"), self.streams.append, self.failures.append
        )

    def failed(self, flags: ConnFlag, text: str, doubted: bool) -> None:
        """
        The one connect failed like that, and nothing of it is left.
        """
        self.assertEqual(self.streams, [])
        (failure,) = self.failures
        self.assertEqual(failure.flags, flags, failure.reason)
        self.assertIn(text, failure.reason)
        self.assertIn("proxy 10.0.0.1:1080", failure.reason)
        self.assertEqual(self.doubts, [failure.reason] * doubted)
        self.advance()
        self.assertEqual(self.us.open_transports(), [])


class ThroughTests(ProxiedCase):
    """
    Connections that come about.
    """

    def through(self, kind: type[ModelledProxy], **options: bytes) -> None:
        """
        A connection, from end to end.
        """
        dialer = self.dialer(kind, **options)
        bound: list[int] = []
        dial = self.dial(dialer, post_bind=lambda fd: bound.append(fd) or True, source=US)  # type: ignore[func-returns-value]
        verifyObject(IDialer, dialer)
        verifyObject(IDial, dial)
        self.assertEqual(self.streams, [])
        self.advance()
        (stream,) = self.streams
        verifyObject(IConnectedStream, stream)
        self.assertEqual((stream.peer, stream.local[0], len(bound)), ((THEM, 25), US, 1))
        # Nobody has it for a while; the server has spoken meanwhile.
        self.advance(20)
        client = Client()
        stream.start(client)
        self.assertIs(client.transport.protocol, client)
        self.advance()
        self.assertEqual(client.heard, b"220 hello\r\n")
        client.transport.write(b"x" * 100_000)
        self.advance(5)
        self.assertEqual(len(client.heard), 11 + 100_000)
        self.assertEqual(self.server.callers, [SEEN])
        self.assertRaises(RuntimeError, stream.start, Client())
        client.transport.loseConnection()
        self.advance()
        self.assertEqual((client.lost, self.network.open_transports()), (1, []))

    def test_header(self) -> None:
        """
        By a PROXY header: the server sees the address that stands there.
        """
        self.through(HeaderProxy)
        self.assertEqual(self.proxy.asked, [(THEM, 25, SEEN)])

    def test_socks(self) -> None:
        """
        By SOCKS.
        """
        self.through(SocksProxy)

    def test_socks_with_password(self) -> None:
        """
        By SOCKS with a name and a password.
        """
        self.through(SocksProxy, user=b"mta", password=b"secret")
        assert isinstance(self.proxy, SocksProxy)
        self.assertEqual(self.proxy.known, [b"mta\0secret"])

    def test_in_one_piece(self) -> None:
        """
        The server's first words in one piece with the proxy's last reach whoever takes the connection.
        """
        dialer = self.dialer(SocksProxy)
        self.proxy.instead["request"] = b"\x05\x00\x00\x01" + bytes(6) + b"220 early\r\n"
        self.dial(dialer)
        self.advance()
        client = Client()
        self.streams[0].start(client)
        self.advance()
        self.assertEqual(client.heard, b"220 early\r\n")

    def test_not_wanted(self) -> None:
        """
        A connection that nobody takes is closed; one that ended meanwhile ends for whoever takes it.
        """
        dialer = self.dialer(SocksProxy)
        self.dial(dialer)
        self.dial(dialer)
        self.advance()
        one, other = self.streams
        one.close()
        one.close()
        self.network.sever(PROXY)
        self.advance()
        client = Client()
        other.start(client)
        self.advance()
        self.assertEqual((client.lost, self.us.open_transports()), (1, []))


class FailureTests(ProxiedCase):
    """
    Connections that do not.
    """

    def test_proxy_refuses_us(self) -> None:
        """
        A proxy that is not there is our fault, not the destination's.
        """
        dialer = self.dialer(SocksProxy)
        self.network.refuse(PROXY)
        self.dial(dialer)
        self.advance()
        self.failed(ConnFlag.ERROR_BIND, "refused", True)

    def test_at_once(self) -> None:
        """
        What fails at once is raised, as by every dialer.
        """
        dialer = self.dialer(SocksProxy)
        self.network.unreachable(PROXY)
        error = self.assertRaises(DialFailed, self.dial, dialer)
        assert isinstance(error, DialFailed)
        self.assertEqual((error.flags, self.doubts), (ConnFlag.ERROR_BIND, [error.reason]))
        self.assertEqual(self.failures, [])

    def test_our_own_address(self) -> None:
        """
        Where our own host lacks the source the proxy is not in doubt.
        """
        dialer = self.dialer(SocksProxy)
        error = self.assertRaises(DialFailed, self.dial, dialer, source="192.0.2.99")
        assert isinstance(error, DialFailed)
        self.assertEqual((error.flags, self.doubts), (ConnFlag.ERROR_BIND, []))

    def test_destination_refuses(self) -> None:
        """
        What a SOCKS proxy says of the destination is said of it.
        """
        dialer = self.dialer(SocksProxy)
        self.dial(dialer, "198.51.100.99")
        self.advance()
        self.failed(ConnFlag.ERROR_CONNECT_NETWORK, "connection refused", False)

    def test_its_own_reasons(self) -> None:
        """
        Other refusals of one request are nobody's but the proxy's, which may serve others.
        """
        dialer = self.dialer(SocksProxy)
        self.proxy.instead["request"] = b"\x05\x01\x00\x01" + bytes(6)
        self.dial(dialer)
        self.advance()
        self.failed(ConnFlag.ERROR_BIND, "general failure", False)

    def test_bad_password(self) -> None:
        """
        A proxy that does not know us is of no use, and no secret is told.
        """
        dialer = self.dialer(SocksProxy, user=b"mta", password=b"secret")
        self.proxy.instead["password"] = b"\x01\x01"
        self.dial(dialer)
        self.advance()
        self.assertNotIn("secret", self.failures[0].reason)
        self.failed(ConnFlag.ERROR_BIND, "refused our user name", True)

    def test_garbage(self) -> None:
        """
        Nonsense at any point ends the connect, and no more is read of it.
        """
        for point, doubted in (("greeting", True), ("request", False)):
            self.setUp()
            dialer = self.dialer(SocksProxy)
            self.proxy.instead[point] = b"\xff" * 1_000_000
            self.dial(dialer)
            self.advance()
            self.failed(ConnFlag.ERROR_BIND, "SOCKS 5", doubted)

    def test_closed(self) -> None:
        """
        So does a proxy that hangs up; before the request that is meant for everybody.
        """
        for point, doubted in (("greeting", True), ("request", False)):
            self.setUp()
            dialer = self.dialer(SocksProxy)
            self.proxy.instead[point] = b""
            self.dial(dialer)
            self.advance()
            self.failed(ConnFlag.ERROR_BIND, "closed the connection", doubted)

    def test_time_out(self) -> None:
        """
        Who keeps us waiting is to blame: the proxy until it was asked for the destination.
        """
        for silent, flags, doubted in (
            (PROXY, ConnFlag.ERROR_BIND, True),
            ("greeting", ConnFlag.ERROR_BIND, True),
            (THEM, ConnFlag.ERROR_CONNECT_TIMEOUT, False),
        ):
            self.setUp()
            dialer = self.dialer(SocksProxy)
            if silent == "greeting":
                self.proxy.instead[silent] = b"\x05"
            else:
                self.network.black_hole(silent)
            dial = self.dial(dialer)
            self.advance(10)
            self.assertEqual((self.failures, self.streams), ([], []))
            self.failures.append(dial.time_out(10))
            self.failed(flags, "no connection within 10 s", doubted)

    def test_cancel(self) -> None:
        """
        A connect that is cancelled at any moment leaves nothing, and nobody hears of it.
        """
        for after in (0.0, 0.0015, 0.0035, 0.0055, 0.1):
            self.setUp()
            dial = self.dial(self.dialer(SocksProxy))
            self.clock.advance(0)
            for _ in range(round(after / 0.0005)):
                self.clock.advance(0.0005)
            for stream in self.streams:
                stream.close()
            dial.cancel()
            dial.cancel()
            self.advance()
            self.assertEqual((self.failures, self.doubts, self.us.open_transports(), self.us.dials()), ([], [], [], []))
