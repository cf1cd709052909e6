"""
Tests for :mod:`momentum_tx.testing.reactor`.
"""

from random import Random
from typing import Any

from twisted.internet.error import (
    CannotListenError,
    ConnectError,
    ConnectionDone,
    ConnectionRefusedError,
    NoRouteError,
    NotConnectingError,
    TimeoutError,
    UserError,
)
from twisted.internet.interfaces import IConnector, IReactorTime, IReactorUDP
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.testing.clock import ProcessClock, VirtualClock
from momentum_tx.testing.datagrams import Datagrams
from momentum_tx.testing.network import VirtualNetwork
from momentum_tx.testing.reactor import VirtualReactor

from .test_network import Side, Sides

ADDRESSES = ("192.0.2.1", "192.0.2.2", "2001:db8::1")
SERVER = ("198.51.100.53", 53)


class Client(ClientFactory):
    """
    A factory that keeps what it is told.
    """

    noisy = False

    def __init__(self, protocol: Side | None) -> None:
        self.given = protocol
        self.told: list[str] = []
        self.reasons: list[Failure] = []

    def doStart(self) -> None:
        self.told.append("start")

    def doStop(self) -> None:
        self.told.append("stop")

    def startedConnecting(self, connector: IConnector) -> None:
        self.told.append("connecting")

    def buildProtocol(self, addr: Any) -> Protocol | None:
        self.told.append(f"build {addr.host}")
        return self.given

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self.told.append("failed")
        self.reasons.append(reason)

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        self.told.append("lost")
        self.reasons.append(reason)


class ReactorCase(SynchronousTestCase):
    """
    A process with a reactor, and a server that takes connections.
    """

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.network = VirtualNetwork(self.clock, Random(1), latency=0.5)
        self.host = self.network.host(*ADDRESSES)
        self.process = ProcessClock(self.clock)
        self.datagrams = Datagrams(self.network, Random(1))
        self.reactor = VirtualReactor(self.process, self.host, self.datagrams)
        self.server = Sides()
        self.listening = self.network.listen(*SERVER, self.server)

    def assert_idle(self) -> None:
        """
        See that nothing is left open or ticking.
        """
        self.assertEqual(self.reactor.open_ports, [])
        self.assertEqual(self.reactor.connectors, [])
        self.assertEqual(self.network.open_transports(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ReactorTests(ReactorCase):
    """
    Time and UDP ports.
    """

    def test_provides(self) -> None:
        """
        It has the time and the ports of a reactor.
        """
        self.assertTrue(verifyObject(IReactorTime, self.reactor))
        self.assertTrue(verifyObject(IReactorUDP, self.reactor))

    def test_time(self) -> None:
        """
        Its time and its calls are those of the process.
        """
        rung: list[float] = []
        self.reactor.callLater(2, lambda: rung.append(self.reactor.seconds()))
        self.assertEqual(self.reactor.getDelayedCalls(), self.process.getDelayedCalls())
        self.clock.advance(2)
        self.assertEqual(rung, [2.0])

    def test_listen(self) -> None:
        """
        A port on all interfaces is on the usual address of the family; it is
        counted until it is closed.
        """
        ports = [self.reactor.listenUDP(0, DatagramProtocol(), where) for where in ("", "::", "192.0.2.2")]
        self.assertEqual([port.place[0] for port in ports], ["192.0.2.1", "2001:db8::1", "192.0.2.2"])
        self.assertEqual(self.reactor.open_ports, ports)
        for port in ports:
            port.stopListening()
        self.assert_idle()

    def test_unplumbed(self) -> None:
        """
        When the usual address is taken away, the next one is used.
        """
        self.network.unplumb("192.0.2.1")
        self.assertEqual(self.reactor.listenUDP(0, DatagramProtocol()).place[0], "192.0.2.2")

    def test_no_such_address(self) -> None:
        """
        There is no port on an address that is not ours, or of a family we lack.
        """
        self.assertRaises(CannotListenError, self.reactor.listenUDP, 0, DatagramProtocol(), "192.0.2.99")
        lone = VirtualReactor(self.process, self.network.host("192.0.2.9"), self.datagrams)
        self.assertRaises(CannotListenError, lone.listenUDP, 0, DatagramProtocol(), "::")

    def test_die(self) -> None:
        """
        A killed process has no ports and no connects left, hears nothing more,
        and gets no new ones; the other end sees its connection close.
        """
        self.reactor.listenUDP(0, DatagramProtocol())
        ours, late = Side(), Side()
        self.reactor.connectTCP(*SERVER, Client(ours))
        self.clock.advance(1)
        self.reactor.connectTCP(*SERVER, Client(late))
        self.process.die()
        self.reactor.die()
        self.host.kill()
        self.assertRaises(CannotListenError, self.reactor.listenUDP, 0, DatagramProtocol())
        factory = Client(None)
        self.reactor.connectTCP(*SERVER, factory)
        self.clock.advance(60)
        self.assertEqual((ours.ends, late.transport, factory.told), ([], None, []))
        self.assertEqual([len(side.ends) for side in self.server.made], [1, 1])
        self.assert_idle()


class ConnectorTests(ReactorCase):
    """
    TCP connects, as Twisted tells of them.
    """

    def test_connection(self) -> None:
        """
        A connection is built after the round trip, carries octets both ways,
        and its end is told.
        """
        ours = Side()
        factory = Client(ours)
        connector = self.reactor.connectTCP(*SERVER, factory, 30, None)
        self.assertTrue(verifyObject(IConnector, connector))
        self.assertEqual((connector.state, factory.told), ("connecting", ["start", "connecting"]))
        self.assertEqual(connector.getDestination().port, 53)
        self.clock.advance(1)
        self.assertEqual(connector.state, "connected")
        (theirs,) = self.server.made
        ours.transport.write(b"ping")
        theirs.transport.write(b"pong")
        self.clock.advance(1)
        self.assertEqual((ours.heard, theirs.heard), ([b"pong"], [b"ping"]))
        self.assertEqual(self.network.dialled, [("192.0.2.1", *SERVER)])
        connector.disconnect()
        self.clock.advance(2)
        self.assertEqual(factory.told, ["start", "connecting", f"build {SERVER[0]}", "lost", "stop"])
        factory.reasons[0].trap(ConnectionDone)
        self.assertEqual(len(ours.ends), 1)
        self.assert_idle()

    def test_source(self) -> None:
        """
        A source is bound to; one that is not ours fails the connect, later.
        """
        self.reactor.connectTCP(*SERVER, Client(Side()), bindAddress=("192.0.2.2", 0))
        self.assertEqual(self.network.dialled[0][0], "192.0.2.2")
        factory = Client(None)
        self.reactor.connectTCP(*SERVER, factory, bindAddress=("192.0.2.99", 0))
        self.assertEqual(factory.reasons, [])
        self.clock.advance(0)
        factory.reasons[0].trap(ConnectError)

    def failure(self, error: type[Exception], after: float, timeout: float = 30.0) -> None:
        """
        See a connect fail with *error*, not before *after* seconds.
        """
        factory = Client(None)
        connector = self.reactor.connectTCP(*SERVER, factory, timeout)
        if after:
            self.clock.advance(after - 0.25)
        self.assertEqual(factory.reasons, [])
        self.clock.advance(0.25 if after else 0)
        self.assertEqual(factory.told, ["start", "connecting", "failed", "stop"])
        factory.reasons[0].trap(error)
        self.assertEqual(connector.state, "disconnected")
        self.assert_idle()

    def test_refused(self) -> None:
        """
        Where nobody listens the connect is refused.
        """
        self.listening.stopListening()
        self.failure(ConnectionRefusedError, 1.0)

    def test_unreachable(self) -> None:
        """
        Without a route it fails at once, yet never inside the call.
        """
        self.network.unreachable(*SERVER)
        self.failure(NoRouteError, 0.0)

    def test_timeout(self) -> None:
        """
        Without an answer it fails after the timeout.
        """
        self.network.black_hole(*SERVER)
        self.failure(TimeoutError, 3.0, timeout=3.0)

    def test_stop_connecting(self) -> None:
        """
        A connect that is given up fails at once, and nothing comes of it; giving
        up is for connects alone.
        """
        for give_up in ("stopConnecting", "disconnect"):
            factory = Client(Side())
            connector = self.reactor.connectTCP(*SERVER, factory)
            self.clock.advance(0.7)
            getattr(connector, give_up)()
            self.assertEqual(factory.told, ["start", "connecting", "failed", "stop"])
            factory.reasons[0].trap(UserError)
            self.assertRaises(NotConnectingError, connector.stopConnecting)
            connector.disconnect()
            self.clock.advance(10)
            self.assertEqual(factory.told[4:], [])
            self.assert_idle()

    def test_no_protocol(self) -> None:
        """
        A factory may change its mind.
        """
        factory = Client(None)
        self.reactor.connectTCP(*SERVER, factory)
        self.clock.advance(5)
        self.assertEqual(factory.told[2:], [f"build {SERVER[0]}", "lost", "stop"])
        self.assert_idle()

    def test_again(self) -> None:
        """
        A connector connects again when asked, but not while it is connected.
        """
        factory = Client(Side())
        connector = self.reactor.connectTCP(*SERVER, factory)
        self.clock.advance(1)
        self.assertRaises(RuntimeError, connector.connect)
        connector.disconnect()
        self.clock.advance(2)
        connector.connect()
        self.clock.advance(1)
        self.assertEqual(connector.state, "connected")
        connector.disconnect()
        self.clock.advance(2)
        self.assert_idle()
