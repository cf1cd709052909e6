"""
The virtual network: places, parties and what the seams promise.
"""

import errno
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError, ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import DialFailed
from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces.seams import IConnectedStream, IDial, IDialer, IListener
from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.host import VirtualHost
from momentum_tx.testing.line import Cut, octet_by_octet
from momentum_tx.testing.network import NetworkWatch, VirtualNetwork
from momentum_tx.testing.wire import VirtualTransport

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

    def test_changes_under_way(self) -> None:
        """
        What is true when the connect arrives counts, not what was true when it
        was begun.
        """
        for change in (self.network.refuse, self.network.unreachable, self.network.black_hole):
            self.dial()
            self.clock.advance(0.4)
            change(THEM)
            self.clock.advance(0.59)
            self.assertEqual(self.failures, [])
            self.clock.advance(5)
            if change == self.network.black_hole:
                self.assertEqual((self.failures, len(self.host.dials())), ([], 1))
            else:
                self.assertEqual(self.failures.pop().flags, ConnFlag.ERROR_CONNECT_NETWORK)
            self.network.restore(THEM)
        self.network.refuse(THEM)
        self.dial()
        self.clock.advance(0.4)
        self.network.restore(THEM)
        self.clock.advance(5)
        self.assertEqual((len(self.streams), len(self.factory.made)), (1, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_dials(self) -> None:
        """
        A host knows its connects until they are answered or cancelled.
        """
        self.network.black_hole("203.0.113.1")
        first, second = self.dial(), self.dial()
        third = self.dial("203.0.113.1")
        self.assertEqual(self.host.dials(), [first, second, third])
        second.cancel()
        self.assertEqual(self.host.dials(), [first, third])
        self.clock.advance(2)
        self.assertEqual(self.host.dials(), [third])
        third.cancel()
        third.cancel()
        self.dial("203.0.113.2")
        self.dial().cancel()
        self.clock.advance(2)
        self.assertEqual(self.host.dials(), [])

    def test_jitter(self) -> None:
        """
        Connects over a line with jitter are answered out of turn, as the
        network's chance has it.
        """

        def answered(seed: int) -> list[int]:
            self.clock = VirtualClock()
            self.network = VirtualNetwork(self.clock, Random(seed))
            self.network.default_line.jitter = 1.0
            self.network.listen(THEM, 25, self.factory)
            host = self.network.host(US)
            order: list[int] = []
            for number in range(10):
                host.dial(THEM, 25, "", None, lambda stream, number=number: order.append(number), self.fail)  # type: ignore[misc]
            self.clock.advance(5)
            accepted = [side.transport.peer[1] for side in self.factory.made[-10:]]
            self.assertNotEqual(accepted, sorted(accepted))
            return order

        self.assertEqual(sorted(answered(1)), list(range(10)))
        self.assertNotEqual(answered(1), list(range(10)))
        self.assertEqual(answered(1), answered(1))

    def test_new_lines(self) -> None:
        """
        The line to a place begins as the default one, and is that of the
        connections that exist, the line to a port before that to an address.
        """
        ours, theirs = self.connected()
        self.network.default_line.window = 100
        line = self.network.line(THEM)
        self.assertEqual((line.latency, line.window), (0.5, 100))
        line.latency, line.split = 0.2, octet_by_octet
        self.assertEqual(self.network.default_line.latency, 0.5)
        ours.transport.write(b"ab")
        self.clock.advance(0.3)
        self.assertEqual(theirs.heard, [b"a", b"b"])
        self.network.line(THEM, 25).latency = 0.1
        self.network.line(THEM, 26)
        self.network.line(US)
        theirs.transport.write(b"cd")
        self.clock.advance(0.15)
        self.assertEqual(ours.heard, [b"cd"])

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

    def test_nothing_left(self) -> None:
        """
        Of connects in whatever state nothing is left with the host; what is on
        the wire arrives, and finds nobody.
        """
        self.network.black_hole("203.0.113.1")
        self.dial("203.0.113.1")
        self.dial()
        self.dial().cancel()
        self.dial("203.0.113.2")
        self.host.kill()
        self.assertEqual((self.host.dials(), self.network.open_transports()), ([], []))
        self.clock.advance(0.6)
        self.assertEqual(self.host.open_transports(), [])
        self.clock.advance(5)
        self.assertEqual([side.ends for side in self.factory.made], [[ConnectionLost]] * 2)
        self.assertEqual((self.streams, self.failures), ([], []))
        self.assertEqual((self.network.open_transports(), self.clock.getDelayedCalls()), ([], []))

    def test_between_connect_and_answer(self) -> None:
        """
        A peer whose answer finds nobody sees the connection end.
        """
        self.dial()
        self.dial().cancel()
        self.clock.advance(0.6)
        self.assertEqual(len(self.host.open_transports()), 1)
        self.host.kill()
        self.assertEqual(self.host.open_transports(), [])
        self.clock.advance(5)
        self.assertEqual([side.ends for side in self.factory.made], [[ConnectionDone], [ConnectionLost]])
        self.assertEqual((self.streams, self.failures), ([], []))
        self.assertEqual((self.network.open_transports(), self.clock.getDelayedCalls()), ([], []))


class SeverTests(NetworkCase):
    """
    Lines that break.
    """

    def test_sever(self) -> None:
        """
        What is under way is lost and both ends see a reset, or an orderly end;
        other connections to the place go on, and new ones come about.
        """
        for reset, end in ((True, ConnectionLost), (False, ConnectionDone)):
            ours, theirs = self.connected()
            ours.transport.write(b"never heard")
            theirs.transport.write(b"neither")
            self.clock.advance(0.3)
            self.network.sever(THEM, 26)
            self.network.sever(US)
            self.network.sever(THEM, 25, reset)
            ours.transport.write(b"nor this")
            self.clock.advance(0.4)
            self.assertEqual((ours.ends, theirs.ends), ([], []))
            self.clock.advance(5)
            self.assertEqual((ours.ends, theirs.ends), ([end], [end]))
            self.assertEqual((ours.heard, theirs.heard), ([], []))
            self.assertEqual((self.network.open_transports(), self.clock.getDelayedCalls()), ([], []))

    def test_only_there(self) -> None:
        """
        Connections of the same host to other places stay.
        """
        other = Sides()
        self.network.listen("198.51.100.8", 25, other)
        self.dial("198.51.100.8")
        ours, theirs = self.connected()
        spared = Side()
        self.streams.pop().start(spared)
        self.network.sever(THEM)
        self.clock.advance(5)
        self.assertEqual([ours.ends, theirs.ends, spared.ends, other.made[0].ends], [[ConnectionLost]] * 2 + [[]] * 2)

    def test_writers_that_wait(self) -> None:
        """
        Ends that are closing, and wait for each other to read, are not
        forgotten.
        """
        for reset in (True, False):
            self.network.line(THEM).window = 10
            ours, theirs = self.connected()
            for side in (ours, theirs):
                side.transport.pauseProducing()
                side.transport.write(b"x" * 100)
            self.clock.advance(5)
            for side in (ours, theirs):
                side.transport.loseConnection()
            self.network.sever(THEM, None, reset)
            self.clock.advance(5)
            self.assertEqual((ours.ends, theirs.ends), ([ConnectionLost], [ConnectionLost]))
            self.assertEqual((self.network.open_transports(), self.clock.getDelayedCalls()), ([], []))

    def test_one_end_left(self) -> None:
        """
        An end whose peer has closed already is severed too.
        """
        ours, theirs = self.connected()
        ours.transport.loseConnection()
        self.clock.advance(0.2)
        self.assertEqual(ours.ends, [ConnectionDone])
        self.network.sever(THEM)
        self.clock.advance(5)
        self.assertEqual((ours.ends, theirs.ends), ([ConnectionDone], [ConnectionLost]))


class Recorder(NetworkWatch):
    """
    Writes down what it is told.
    """

    def __init__(self) -> None:
        self.log: list[tuple[object, ...]] = []

    def dialled(self, host: VirtualHost, fd: int, source: str, destination: tuple[str, int]) -> None:
        self.log.append(("dialled", fd, source, destination))

    def released(self, host: VirtualHost, fd: int) -> None:
        self.log.append(("released", fd))

    def established(self, host: VirtualHost, fd: int, transport: VirtualTransport) -> None:
        self.log.append(("established", fd, transport.peer))

    def sent(self, transport: VirtualTransport, data: bytes) -> None:
        self.log.append(("sent", transport.local[0], data))

    def read(self, transport: VirtualTransport, data: bytes) -> None:
        self.log.append(("read", transport.local[0], data))

    def gone(self, transport: VirtualTransport, reason: Exception) -> None:
        self.log.append(("gone", transport.local[0], type(reason)))

    def take(self, *kinds: str) -> list[tuple[object, ...]]:
        """
        What was told since the last time, of some kinds or of all.
        """
        taken, self.log = self.log, []
        return [entry for entry in taken if not kinds or entry[0] in kinds]


class WatchTests(NetworkCase):
    """
    Who watches the network.
    """

    def setUp(self) -> None:
        super().setUp()
        self.watch = Recorder()
        self.network.watch = self.watch

    def descriptors(self) -> list[object]:
        """
        What became of descriptors: a number when it was dialled, and the
        negative one when it was released.
        """
        sign = {"dialled": 1, "released": -1}
        return [sign[str(kind)] * fd for kind, fd, *_ in self.watch.take(*sign)]  # type: ignore[operator]

    def test_story(self) -> None:
        """
        It is told of everything in order, each time before those concerned.
        """
        ours, theirs = self.connected()
        (dialled, established) = self.watch.take()
        fd = dialled[1]
        self.assertEqual(dialled, ("dialled", fd, US, (THEM, 25)))
        self.assertEqual(established, ("established", fd, (THEM, 25)))
        self.network.line(THEM).split = octet_by_octet
        ours.transport.write(b"a")
        ours.transport.write(b"b")
        self.clock.advance(1)
        self.assertEqual(self.watch.take(), [("sent", US, b"ab"), ("read", THEM, b"a"), ("read", THEM, b"b")])
        theirs.connectionLost = lambda reason=None: self.watch.log.append(("told",))  # type: ignore[method-assign]
        ours.transport.loseConnection()
        self.clock.advance(5)
        ends: list[tuple[object, ...]] = [("gone", US, ConnectionDone), ("gone", THEM, ConnectionDone), ("told",)]
        self.assertEqual(self.watch.take(), [("released", fd), *ends])

    def test_nothing_dialled(self) -> None:
        """
        What fails before the connect is not told.
        """
        self.refused(THEM, "203.0.113.50")
        self.refused(THEM, post_bind=lambda fd: False)
        self.assertEqual(self.watch.take(), [])

    def test_accepted(self) -> None:
        """
        Connections that a host accepted are told of as far as octets go.
        """
        self.successResultOf(self.host.listen("tcp:2525:interface=192.0.2.1", self.factory))
        other = self.network.host("192.0.2.50")
        other.dial(US, 2525, "", None, self.streams.append, self.fail)
        self.clock.advance(1)
        (fd,) = self.descriptors()
        self.factory.made[-1].transport.write(b"220 Hello")
        self.factory.made[-1].transport.loseConnection()
        self.clock.advance(0)
        self.assertEqual(self.watch.take(), [("sent", US, b"220 Hello"), ("gone", US, ConnectionDone)])
        self.streams[0].close()
        self.assertEqual(self.watch.take(), [("released", fd)])

    def test_failed(self) -> None:
        """
        A descriptor is released when its connect fails, at once or later, before
        anybody is told.
        """
        self.network.unreachable("203.0.113.9")
        self.refused("203.0.113.9")
        fd, again = self.descriptors()
        self.assertEqual(fd, -again)  # type: ignore[operator]
        self.dial("203.0.113.1")
        (fd,) = self.descriptors()
        self.failures = []
        self.host.dial("203.0.113.1", 25, "", None, self.fail, lambda error: self.failures.append(self.descriptors()))  # type: ignore[arg-type]
        self.clock.advance(5)
        self.assertEqual(self.failures[0][1:], [-fd, -self.failures[0][0]])  # type: ignore[index,operator]

    def test_cancelled(self) -> None:
        """
        A cancelled connect releases its descriptor at once, and not again when
        the answer comes.
        """
        for moment in (0.0, 0.7):
            dial = self.dial()
            self.clock.advance(moment)
            dial.cancel()
            fd, again = self.descriptors()
            self.assertEqual(fd, -again)  # type: ignore[operator]
            dial.cancel()
            self.clock.advance(5)
            self.assertEqual(self.watch.take("dialled", "released", "established"), [])

    def test_reset_before_the_answer(self) -> None:
        """
        So does one whose peer resets before its answer has come, when the
        answer is known.
        """
        self.dial()
        self.clock.advance(0.6)
        (ours,) = self.host.open_transports()
        ours.abortConnection()
        self.clock.advance(0.1)
        self.assertEqual(self.descriptors()[1:], [])
        self.clock.advance(5)
        self.assertEqual((len(self.descriptors()), len(self.failures)), (1, 1))

    def test_closed(self) -> None:
        """
        A connection holds its descriptor until our end is closed, whoever
        began.
        """
        for close in (
            lambda ours, theirs: ours.transport.abortConnection(),
            lambda ours, theirs: theirs.transport.abortConnection(),
            lambda ours, theirs: theirs.transport.loseConnection(),
            lambda ours, theirs: self.network.sever(THEM),
        ):
            ours, theirs = self.connected()
            (fd,) = self.descriptors()
            close(ours, theirs)
            self.assertEqual((ours.ends, self.descriptors()), ([], []))
            self.clock.advance(5)
            self.assertEqual((len(ours.ends), self.descriptors()), (1, [-fd]))  # type: ignore[operator]

    def test_streams(self) -> None:
        """
        Who has a stream and no protocol for it holds the descriptor until it is
        closed or started, even if the peer is gone.
        """
        for reset in (False, True):
            for use in (lambda stream: stream.close(), lambda stream: stream.start(Side())):
                self.dial()
                self.clock.advance(1)
                if reset:
                    self.factory.made[-1].transport.abortConnection()
                self.clock.advance(5)
                (fd,) = self.descriptors()
                use(self.streams.pop())
                self.clock.advance(5)
                started = not reset and self.host.open_transports() != []
                self.assertEqual(self.descriptors(), [] if started else [-fd])  # type: ignore[operator]
                self.network.sever(THEM)
                self.clock.advance(5)
                self.assertEqual(self.descriptors(), [-fd] if started else [])  # type: ignore[operator]

    def test_killed(self) -> None:
        """
        A host that is killed releases every descriptor, once.
        """
        self.network.black_hole("203.0.113.1")
        self.connected()
        self.dial()
        self.clock.advance(1)
        self.factory.made[-1].transport.abortConnection()
        self.dial()
        self.clock.advance(0.6)
        for host in (THEM, "203.0.113.1", "203.0.113.2"):
            self.dial(host)
        self.dial().cancel()
        before = self.descriptors()
        self.host.kill()
        after = self.descriptors()
        self.clock.advance(10)
        self.assertEqual(self.descriptors(), [])
        self.assertEqual((len(before), len(after)), (8, 6))
        self.assertEqual(sum(before + after), 0)

    def test_lost(self) -> None:
        """
        What is sent into a line that breaks was sent all the same; each end is
        gone for its own reason.
        """
        self.network.line(THEM).to_listener = Cut(2, False)
        ours, _theirs = self.connected()
        self.watch.take()
        ours.transport.write(b"abcd")
        self.clock.advance(5)
        self.assertEqual(
            self.watch.take("sent", "read", "gone"),
            [
                ("sent", US, b"abcd"),
                ("gone", US, ConnectionLost),
                ("read", THEM, b"ab"),
                ("gone", THEM, ConnectionDone),
            ],
        )

    def test_came_late(self) -> None:
        """
        It may come and leave at any time, and is told of connections that are
        older than itself.
        """
        self.network.watch = None
        ours, theirs = self.connected()
        self.assertEqual(self.watch.take(), [])
        self.network.watch = self.watch
        ours.transport.abortConnection()
        self.clock.advance(0.1)
        self.assertEqual(self.watch.take("gone"), [("gone", US, ConnectionAborted)])
        self.network.watch = None
        self.clock.advance(5)
        self.assertEqual((self.watch.take(), theirs.ends), ([], [ConnectionLost]))

    def test_default(self) -> None:
        """
        By itself it does nothing.
        """
        self.network.watch = NetworkWatch()
        ours, theirs = self.connected()
        ours.transport.write(b"hello")
        ours.transport.loseConnection()
        self.clock.advance(5)
        self.assertEqual((theirs.heard, theirs.ends), ([b"hello"], [ConnectionDone]))
