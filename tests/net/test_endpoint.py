"""
Tests for :mod:`momentum_tx.net.endpoint`, on a clock; with a real reactor it
is met in the integration tests.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IProtocol, ISSLTransport, IStreamClientEndpoint, ITLSTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides, implementer
from zope.interface.verify import verifyObject

from momentum_tx.errors import ConnectFailed, ConnectionNotInitiated, ConnectTimedOut
from momentum_tx.flags import ConnFlag
from momentum_tx.net.endpoint import CONNECT_TIMEOUT, BoundClientEndpoint, address_of
from tests.delivery.dialing import KERNEL_TIMEOUT, NO_PORT, REFUSED, Dial, Stream, ToldDialer

A = "198.51.100.1"


@implementer(ITLSTransport)
class AdoptedTransport(StringTransport):  # type: ignore[misc]
    """
    A transport that takes itself for the server's side.
    """

    TLS = False

    def __init__(self) -> None:
        super().__init__()
        self.upgrades: list[tuple[Any, bool]] = []
        self.protocol: Any = None

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        self.upgrades.append((contextFactory, normal))
        self.TLS = True
        alsoProvides(self, ISSLTransport)

    def getPeerCertificate(self) -> str:
        return "a certificate"


class StartableStream(Stream):
    """
    A stream that can be given to a protocol.
    """

    def __init__(self, fd: int, peer: tuple[str, int], transport: Any) -> None:
        super().__init__(fd, peer)
        self.transport = transport

    def start(self, protocol: Any) -> None:
        self.transport.protocol = protocol
        protocol.makeConnection(self.transport)


class Quiet(Factory):
    """
    Makes plain protocols, and counts whether it was started.
    """

    noisy = False
    protocol = Protocol

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.started = 0

    def doStart(self) -> None:
        self.started += 1

    def buildProtocol(self, addr: Any) -> Any:
        self.asked.append(addr)
        return super().buildProtocol(addr)


class EndpointTests(SynchronousTestCase):
    """
    One connect, one ending.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.dialer = ToldDialer()
        self.factory = Quiet()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def endpoint(self, **options: Any) -> BoundClientEndpoint:
        """
        An endpoint on the test's dialer.
        """
        return BoundClientEndpoint(self.clock, A, 2500, dialer=self.dialer, **options)

    def connect(self, dial: Dial, transport: Any) -> StartableStream:
        """
        Let *dial* succeed.
        """
        stream = StartableStream(dial.fd, (dial.host, dial.port), transport)
        dial._connected(stream)
        return stream

    def test_contract(self) -> None:
        """
        It is a Twisted endpoint.
        """
        verifyObject(IStreamClientEndpoint, self.endpoint())

    def test_connects(self) -> None:
        """
        The factory's protocol gets the connection and the Deferred fires with
        it; the transport speaks to the protocol itself.
        """
        connecting = self.endpoint(bind_address="192.0.2.9").connect(self.factory)
        self.assertNoResult(connecting)
        (dial,) = self.dialer.dials
        self.assertEqual((dial.host, dial.port, dial.source), (A, 2500, "192.0.2.9"))
        transport: Any = StringTransport()
        transport.protocol = None
        self.connect(dial, transport)
        protocol: Any = self.successResultOf(connecting)
        self.assertTrue(verifyObject(IProtocol, protocol))
        self.assertIs(transport.protocol, protocol)
        protocol.transport.write(b"hello")
        self.assertEqual(transport.value(), b"hello")
        self.assertEqual(self.factory.asked, [IPv4Address("TCP", A, 2500)])
        self.assertEqual(self.factory.started, 0)
        self.clock.advance(1000)

    def test_client_side_of_tls(self) -> None:
        """
        A protocol that calls ``startTLS(context)`` becomes the client, and then
        sees that the transport is encrypted.
        """
        connecting = self.endpoint().connect(self.factory)
        transport = AdoptedTransport()
        self.connect(self.dialer.dials[0], transport)
        protocol: Any = self.successResultOf(connecting)
        self.assertTrue(ITLSTransport.providedBy(protocol.transport))
        self.assertFalse(ISSLTransport.providedBy(protocol.transport))
        protocol.transport.startTLS("context")
        protocol.transport.startTLS("context", False)
        self.assertEqual(transport.upgrades, [("context", False), ("context", True)])
        self.assertTrue(ISSLTransport.providedBy(protocol.transport))
        self.assertEqual(protocol.transport.getPeerCertificate(), "a certificate")
        self.assertTrue(protocol.transport.TLS)

    def test_refused_later(self) -> None:
        """
        A refusal after EINPROGRESS.
        """
        connecting = self.endpoint().connect(self.factory)
        self.dialer.dials[0].fail(REFUSED)
        failure = self.failureResultOf(connecting, ConnectFailed)
        self.assertEqual(failure.value.flags, ConnFlag.ERROR_CONNECT_NETWORK)
        self.assertIn("refused", str(failure.value))

    def test_refused_at_once(self) -> None:
        """
        A failure before a connect was pending has its own exception, and is
        never raised.
        """
        self.dialer.at_once[A] = NO_PORT
        failure = self.failureResultOf(self.endpoint().connect(self.factory), ConnectionNotInitiated)
        self.assertEqual(failure.value.flags, ConnFlag.ERROR_BIND)

    def test_timeout(self) -> None:
        """
        The deadline is over: the dial is cancelled, and nothing else follows.
        """
        connecting = self.endpoint(timeout=12).connect(self.factory)
        self.clock.advance(11.9)
        self.assertNoResult(connecting)
        self.clock.advance(0.1)
        failure = self.failureResultOf(connecting, ConnectTimedOut)
        self.assertEqual(failure.value.flags, ConnFlag.ERROR_CONNECT_TIMEOUT)
        self.assertTrue(self.dialer.dials[0].cancelled)

    def test_default_timeout(self) -> None:
        """
        Without a timeout Momentum's default holds.
        """
        connecting = self.endpoint().connect(self.factory)
        self.clock.advance(CONNECT_TIMEOUT - 1)
        self.assertNoResult(connecting)
        self.clock.advance(1)
        self.failureResultOf(connecting, ConnectTimedOut)

    def test_kernel_timeout(self) -> None:
        """
        The kernel's own timeout is one.
        """
        connecting = self.endpoint().connect(self.factory)
        self.dialer.dials[0].fail(KERNEL_TIMEOUT)
        self.failureResultOf(connecting, ConnectTimedOut)

    def test_cancel(self) -> None:
        """
        Cancelling stops the dial and fails with ``CancelledError``.
        """
        connecting = self.endpoint().connect(self.factory)
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertTrue(self.dialer.dials[0].cancelled)
        self.assertEqual(self.factory.asked, [])

    def test_post_bind(self) -> None:
        """
        The question between bind and connect is put, and a "no" is a bind error.
        """
        asked: list[int] = []

        def post_bind(fd: int) -> bool:
            asked.append(fd)
            return len(asked) == 1

        endpoint = self.endpoint(post_bind=post_bind)
        endpoint.connect(self.factory).addErrback(lambda _: None).cancel()
        failure = self.failureResultOf(endpoint.connect(self.factory), ConnectionNotInitiated)
        self.assertEqual(failure.value.flags, ConnFlag.ERROR_BIND)
        self.assertEqual(len(asked), 2)

    def test_factory_wants_none(self) -> None:
        """
        A factory that gives no protocol: the connection is closed.
        """

        class Unwilling(Quiet):
            def buildProtocol(self, addr: Any) -> Any:
                return None

        connecting = self.endpoint().connect(Unwilling())
        stream = self.connect(self.dialer.dials[0], StringTransport())
        self.failureResultOf(connecting, ConnectFailed)
        self.assertTrue(stream.closed)

    def test_factory_raises(self) -> None:
        """
        What the factory raises fails the Deferred; the connection is closed.
        """

        class Broken(Quiet):
            def buildProtocol(self, addr: Any) -> Any:
                raise RuntimeError("a fault")

        connecting = self.endpoint().connect(Broken())
        stream = self.connect(self.dialer.dials[0], StringTransport())
        self.failureResultOf(connecting, RuntimeError)
        self.assertTrue(stream.closed)

    def test_twice(self) -> None:
        """
        One endpoint connects any number of times, each time on its own.
        """
        endpoint = self.endpoint()
        first, second = endpoint.connect(self.factory), endpoint.connect(self.factory)
        self.dialer.dials[0].fail(REFUSED)
        self.failureResultOf(first, ConnectFailed)
        self.assertNoResult(second)
        self.connect(self.dialer.dials[1], StringTransport())
        self.successResultOf(second)


class AddressTests(SynchronousTestCase):
    """
    ``address_of``.
    """

    def test_families(self) -> None:
        """
        A colon makes it IPv6.
        """
        self.assertEqual(address_of(A, 25), IPv4Address("TCP", A, 25))
        self.assertEqual(address_of("::1", 25), IPv6Address("TCP", "::1", 25))
