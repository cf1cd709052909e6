"""
The virtual network: places, parties and what the seams promise.
"""

import errno
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import DialFailed
from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces.seams import IConnectedStream, IDial, IDialer, IListener
from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.network import VirtualNetwork

US, THEM = "192.0.2.1", "198.51.100.7"


class Side(Protocol):
    """
    Remembers what happened to it.
    """

    transport: Any

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.ends: list[type[BaseException] | type[None]] = []

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        assert reason is not None
        self.ends.append(type(reason.value))


class Sides(Factory):
    """
    Makes sides and keeps them.
    """

    noisy = False

    def __init__(self) -> None:
        self.made: list[Side] = []

    def buildProtocol(self, addr: object) -> Side:
        self.made.append(Side())
        return self.made[-1]


class NetworkCase(SynchronousTestCase):
    """
    A network with one host of ours and somebody who listens.
    """

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.network = VirtualNetwork(self.clock, Random(1), latency=0.5)
        self.host = self.network.host(US, "192.0.2.2", "2001:db8::1")
        self.factory = Sides()
        self.network.listen(THEM, 25, self.factory)
        self.streams: list[IConnectedStream] = []
        self.failures: list[DialFailed] = []

    def dial(self, host: str = THEM, port: int = 25, source: str = "", **kwargs: Any) -> IDial:
        """
        Dial, and remember the answer.
        """
        post_bind = kwargs.get("post_bind")
        return self.host.dial(host, port, source, post_bind, self.streams.append, self.failures.append)

    def refused(self, host: str, source: str = "", **kwargs: Any) -> ConnFlag:
        """
        The flags of a dial that fails at once.
        """
        return self.assertRaises(DialFailed, self.dial, host, 25, source, **kwargs).flags

    def connected(self) -> tuple[Side, Side]:
        """
        Our side and theirs of a new connection.
        """
        self.dial()
        self.clock.advance(1)
        ours = Side()
        self.streams.pop().start(ours)
        return ours, self.factory.made[-1]


class DialTests(NetworkCase):
    """
    The dialer's promises.
    """

    def test_contracts(self) -> None:
        """
        Everything provides its interface.
        """
        self.assertTrue(verifyObject(IDialer, self.host))
        self.assertTrue(verifyObject(IListener, self.host))
        self.assertTrue(verifyObject(IDial, self.dial()))
        self.clock.advance(2)
        (stream,) = self.streams
        self.assertTrue(verifyObject(IConnectedStream, stream))
        stream.close()
        self.assertTrue(verifyObject(IListeningPort, self.network.listen(THEM, 26, self.factory)))

    def test_connected(self) -> None:
        """
        The answer comes after two latencies, once, never inside the call; the
        stream knows both ends.
        """
        self.dial()
        self.assertEqual(self.streams, [])
        self.clock.advance(0.99)
        self.assertEqual(self.streams, [])
        self.clock.advance(10)
        (stream,) = self.streams
        self.assertEqual((stream.local[0], stream.peer), (US, (THEM, 25)))
        self.assertGreater(stream.fileno(), 0)
        (theirs,) = self.factory.made
        self.assertEqual(theirs.transport.getPeer(), IPv4Address("TCP", *stream.local))
        self.assertEqual(self.failures, [])
        stream.start(Side())
        self.assertRaises(RuntimeError, stream.start, Side())
        stream.close()
        self.clock.advance(2)
        self.assertEqual(theirs.ends, [])

    def test_stream_closed(self) -> None:
        """
        A stream that nobody starts can be closed, and the peer sees it.
        """
        self.dial()
        self.clock.advance(1)
        self.streams[0].close()
        self.clock.advance(5)
        self.assertEqual(self.factory.made[0].ends, [ConnectionDone])
        self.assertEqual(self.network.open_transports(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_greeting_before_start(self) -> None:
        """
        What the peer says before anybody has the stream is kept.
        """
        self.dial()
        self.clock.advance(0.6)
        self.factory.made[0].transport.write(b"hello")
        self.clock.advance(5)
        ours = Side()
        self.streams[0].start(ours)
        self.assertEqual(ours.heard, [])
        self.clock.advance(0)
        self.assertEqual(ours.heard, [b"hello"])

    def test_refused(self) -> None:
        """
        Where nobody listens, and where a test says so, connects are refused
        after two latencies.
        """
        self.dial("203.0.113.1")
        self.network.refuse(THEM)
        self.dial()
        self.clock.advance(0.9)
        self.assertEqual(self.failures, [])
        self.clock.advance(1)
        self.assertEqual([error.flags for error in self.failures], [ConnFlag.ERROR_CONNECT_NETWORK] * 2)
        self.network.restore(THEM)
        self.dial()
        self.clock.advance(1)
        self.assertEqual(len(self.streams), 1)

    def test_unreachable(self) -> None:
        """
        No route is told at once.
        """
        self.network.unreachable(THEM)
        self.assertEqual(self.refused(THEM), ConnFlag.ERROR_CONNECT_NETWORK)

    def test_black_hole(self) -> None:
        """
        A black hole never answers, and leaves nothing in the clock.
        """
        self.network.black_hole(THEM, 25)
        self.dial()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.streams, self.failures), ([], []))

    def test_bind(self) -> None:
        """
        A source must be plumbed, ours, and of the family of the destination.
        """
        self.assertEqual(self.refused(THEM, "203.0.113.50"), ConnFlag.ERROR_BIND)
        self.assertEqual(self.refused(THEM, "2001:db8::1"), ConnFlag.ERROR_BIND)
        self.network.unplumb("192.0.2.2")
        self.assertEqual(self.refused(THEM, "192.0.2.2"), ConnFlag.ERROR_BIND)
        self.network.plumb("192.0.2.2")
        self.dial(source="192.0.2.2")
        self.clock.advance(1)
        self.assertEqual(self.streams[0].local[0], "192.0.2.2")

    def test_post_bind(self) -> None:
        """
        ``post_bind`` sees a number, before anything is sent; false forbids.
        """
        asked: list[int] = []

        def forbid(fd: int) -> bool:
            asked.append(fd)
            return False

        self.assertEqual(self.refused(THEM, post_bind=forbid), ConnFlag.ERROR_BIND)
        self.assertEqual(len(asked), 1)
        self.assertEqual(self.network.dialled, [])

    def test_cancel(self) -> None:
        """
        After a cancel no callback runs, whenever it comes; the peer sees at
        most a connection that is dropped.
        """
        for moment in (0.0, 0.7):
            dial = self.dial()
            self.clock.advance(moment)
            dial.cancel()
            self.clock.advance(5)
        self.assertEqual((self.streams, self.failures), ([], []))
        self.assertEqual([side.ends for side in self.factory.made], [[ConnectionLost]] * 2)
        self.assertEqual(self.network.open_transports(), [])

    def test_no_address_of_the_family(self) -> None:
        """
        A host without IPv6 has no route to it.
        """
        lonely = self.network.host("192.0.2.77")
        self.assertRaises(
            DialFailed, lonely.dial, "2001:db8::2", 25, "", None, self.streams.append, self.failures.append
        )


class ListenTests(NetworkCase):
    """
    The listener's promises.
    """

    def listen(self, description: str) -> Any:
        """
        The port of an endpoint string.
        """
        return self.successResultOf(self.host.listen(description, self.factory))

    def test_endpoint_strings(self) -> None:
        """
        TCP with and without interface, IPv6, port 0.
        """
        self.assertEqual(self.listen("tcp:2525:interface=192.0.2.1").getHost(), IPv4Address("TCP", US, 2525))
        self.assertEqual(self.listen("tcp:port=2526").getHost().port, 2526)
        self.assertGreater(self.listen("tcp:0:backlog=5").getHost().port, 0)
        six = self.listen("tcp6:2525:interface=2001\\:db8\\:\\:1").getHost()
        self.assertEqual(six, IPv6Address("TCP", "2001:db8::1", 2525))

    def test_every_interface(self) -> None:
        """
        Without an interface it listens on every address of the host.
        """
        port = self.listen("tcp:2525")
        for address in (US, "192.0.2.2"):
            self.dial(address, 2525)
        self.clock.advance(2)
        self.assertEqual(len(self.streams), 2)
        port.stopListening()
        self.dial(US, 2525)
        self.clock.advance(2)
        self.assertEqual(len(self.failures), 1)

    def test_errors(self) -> None:
        """
        A port that is taken, an address we have not, and what is no endpoint.
        """
        self.listen("tcp:2525:interface=192.0.2.1")
        for description, number in (
            ("tcp:2525:interface=192.0.2.1", errno.EADDRINUSE),
            ("tcp:2527:interface=203.0.113.1", errno.EADDRNOTAVAIL),
        ):
            error = self.failureResultOf(self.host.listen(description, self.factory), CannotListenError).value
            assert isinstance(error, CannotListenError)
            self.assertEqual(error.socketError.errno, number)
        self.assertRaises(CannotListenError, self.network.listen, THEM, 25, self.factory)
        for text in ("unix:/tmp/x", "tcp", "tcp:twenty", "tcp:25:colour=blue"):
            self.assertRaises(ValueError, self.host.listen, text, self.factory)

    def test_nobody_wanted(self) -> None:
        """
        A factory without a protocol closes the connection.
        """
        self.factory.buildProtocol = lambda addr: None  # type: ignore[method-assign,assignment,return-value]
        self.dial()
        self.clock.advance(1)
        ours = Side()
        self.streams[0].start(ours)
        self.clock.advance(2)
        self.assertEqual(ours.ends, [ConnectionDone])


class KillTests(NetworkCase):
    """
    A host that is killed.
    """

    def test_kill(self) -> None:
        """
        Its protocols hear nothing any more, its peers see the end, its dials
        and ports are gone, and nothing stays in the clock.
        """
        ours, theirs = self.connected()
        self.successResultOf(self.host.listen("tcp:2525", self.factory))
        self.dial()
        theirs.transport.write(b"too late")
        self.host.kill()
        self.clock.advance(10)
        self.assertEqual((ours.heard, ours.ends), ([], []))
        self.assertEqual(len(theirs.ends), 1)
        self.assertEqual(self.host.open_transports(), [])
        self.assertIsNone(self.network.listening_at((US, 2525)))
        self.assertEqual(self.streams, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
