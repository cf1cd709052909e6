"""
The two ends of a virtual connection, which behave as Twisted's.
"""

from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IHalfCloseableProtocol, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.wire import Cut, Line, VirtualTransport, connect, octet_by_octet

from .test_network import Side


@implementer(IHalfCloseableProtocol)
class HalfSide(Side):
    """
    A side that goes on writing when the peer is done.
    """

    read_closed = False

    def readConnectionLost(self) -> None:
        self.read_closed = True

    def writeConnectionLost(self) -> None:
        """
        Never called here.
        """


class Pull:
    """
    A pull producer of numbered slices.
    """

    def __init__(self, transport: Any, slices: list[bytes]) -> None:
        self.transport = transport
        self.slices = slices
        self.inside = False
        self.stopped = False

    def resumeProducing(self) -> None:
        if self.slices:
            self.transport.write(self.slices.pop(0))
        else:
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        self.stopped = True


class Push:
    """
    A push producer that remembers.
    """

    def __init__(self) -> None:
        self.events: list[str] = []

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")

    def stopProducing(self) -> None:
        self.events.append("stop")


class WireCase(SynchronousTestCase):
    """
    One connection.
    """

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.line = Line(latency=0.1)
        self.join(Side(), Side())

    def join(self, ours: Side, theirs: Side) -> tuple[VirtualTransport, VirtualTransport]:
        """
        Connect two sides by :attr:`line`.
        """
        self.ours, self.theirs = ours, theirs
        ends = connect(self.clock, self.line, ("192.0.2.1", 40000), ("198.51.100.7", 25))
        for end, side in zip(ends, (ours, theirs), strict=True):
            end.start(side)
        return ends


class DataTests(WireCase):
    """
    Octets.
    """

    def test_contract(self) -> None:
        """
        A transport provides what Twisted's do.
        """
        for interface in (ITCPTransport, IConsumer, IPushProducer):
            self.assertTrue(verifyObject(interface, self.ours.transport))
        self.ours.transport.setTcpNoDelay(True)
        self.assertTrue(self.ours.transport.getTcpNoDelay())
        self.ours.transport.setTcpKeepAlive(True)
        self.assertTrue(self.ours.transport.getTcpKeepAlive())

    def test_latency_and_order(self) -> None:
        """
        What is written arrives after the latency, in order, never inside
        ``write``; what was written in one turn may come as one read.
        """
        self.ours.transport.write(b"one ")
        self.ours.transport.writeSequence([b"two ", b"three"])
        self.assertEqual(self.theirs.heard, [])
        self.clock.advance(0.05)
        self.ours.transport.write(b" four")
        self.clock.advance(0.04)
        self.assertEqual(self.theirs.heard, [])
        self.clock.advance(1)
        self.assertEqual(b"".join(self.theirs.heard), b"one two three four")
        self.assertRaises(TypeError, self.ours.transport.write, "text")

    def test_change_of_latency_keeps_the_order(self) -> None:
        """
        A line that becomes faster lets nothing overtake.
        """
        self.ours.transport.write(b"slow ")
        self.clock.advance(0)
        self.line.latency = 0.001
        self.ours.transport.write(b"fast")
        self.clock.advance(1)
        self.assertEqual(b"".join(self.theirs.heard), b"slow fast")

    def test_split(self) -> None:
        """
        A splitter cuts reads.
        """
        self.line.split = octet_by_octet
        self.ours.transport.write(b"abc")
        self.clock.advance(1)
        self.assertEqual(self.theirs.heard, [b"a", b"b", b"c"])

    def test_paused_reader(self) -> None:
        """
        A paused reader hears nothing, then everything; the writer waits when
        the window is full.
        """
        self.line.window = 10
        self.theirs.transport.pauseProducing()
        self.ours.transport.write(b"x" * 25)
        self.clock.advance(5)
        self.assertEqual(self.theirs.heard, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.theirs.transport.resumeProducing()
        self.clock.advance(5)
        self.assertEqual(sum(map(len, self.theirs.heard)), 25)
        self.assertLessEqual(max(map(len, self.theirs.heard)), 10)

    def test_raising_protocol(self) -> None:
        """
        A protocol that raises loses its connection, as in the reactor.
        """

        def raises(data: bytes) -> None:
            raise RuntimeError("a protocol that fails")

        self.theirs.dataReceived = raises  # type: ignore[method-assign]
        self.ours.transport.write(b"x")
        self.clock.advance(1)
        self.assertEqual(self.theirs.ends, [RuntimeError])
        self.assertEqual(self.ours.ends, [ConnectionLost])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class ProducerTests(WireCase):
    """
    Producers.
    """

    def test_pull(self) -> None:
        """
        A pull producer is asked again when what it wrote is on its way, and a
        ``loseConnection`` waits for it.
        """
        self.line.window = 10
        pull = Pull(self.ours.transport, [b"%d" % number * 8 for number in range(5)])
        self.ours.transport.registerProducer(pull, False)
        self.assertEqual(len(pull.slices), 4)
        self.assertRaises(RuntimeError, self.ours.transport.registerProducer, pull, False)
        self.theirs.transport.pauseProducing()
        self.ours.transport.loseConnection()
        self.clock.advance(5)
        self.assertGreater(len(pull.slices), 1)
        self.assertEqual(self.ours.ends, [])
        self.theirs.transport.resumeProducing()
        self.clock.advance(5)
        self.assertEqual(len(b"".join(self.theirs.heard)), 40)
        self.assertEqual((self.ours.ends, self.theirs.ends), ([ConnectionDone], [ConnectionDone]))

    def test_push(self) -> None:
        """
        A push producer is paused above 64 KiB and resumed when that is sent.
        """
        push = Push()
        self.theirs.transport.pauseProducing()
        self.ours.transport.registerProducer(push, True)
        self.ours.transport.write(b"x" * 200_000)
        self.clock.advance(1)
        self.assertEqual(push.events, ["pause"])
        self.theirs.transport.resumeProducing()
        self.clock.advance(1)
        self.assertEqual(push.events, ["pause", "resume"])
        self.theirs.transport.abortConnection()
        self.clock.advance(1)
        self.assertEqual(push.events, ["pause", "resume", "stop"])

    def test_too_late(self) -> None:
        """
        A producer that registers with a dead transport is stopped.
        """
        self.ours.transport.abortConnection()
        self.clock.advance(1)
        push = Push()
        self.ours.transport.registerProducer(push, True)
        self.assertEqual(push.events, ["stop"])


class EndTests(WireCase):
    """
    The end of a connection.
    """

    def tearDown(self) -> None:
        """
        Nothing is left in the clock when both sides are gone.
        """
        self.clock.advance(10)
        self.assertEqual((len(self.ours.ends), len(self.theirs.ends)), (1, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lose(self) -> None:
        """
        ``loseConnection`` sends what was written, and reads no more.
        """
        self.ours.transport.write(b"last words")
        self.ours.transport.loseConnection()
        self.theirs.transport.write(b"unheard")
        self.assertEqual(self.ours.ends, [])
        self.clock.advance(1)
        self.assertEqual(self.theirs.heard, [b"last words"])
        self.assertEqual(self.ours.heard, [])
        self.assertEqual((self.ours.ends, self.theirs.ends), ([ConnectionDone], [ConnectionDone]))

    def test_abort(self) -> None:
        """
        ``abortConnection`` drops what was written; our own ``connectionLost``
        comes after its return, the peer sees a reset.
        """
        self.ours.transport.write(b"lost")
        self.ours.transport.abortConnection()
        self.ours.transport.abortConnection()
        self.assertEqual(self.ours.ends, [])
        self.clock.advance(0)
        self.assertEqual(self.ours.ends, [ConnectionAborted])
        self.clock.advance(1)
        self.assertEqual((self.theirs.heard, self.theirs.ends), ([], [ConnectionLost]))

    def test_both_at_once(self) -> None:
        """
        Both sides may close at the same moment.
        """
        self.ours.transport.loseConnection()
        self.theirs.transport.loseConnection()
        self.clock.advance(1)

    def test_write_to_the_gone(self) -> None:
        """
        What is written to a peer that is gone comes back as a reset.
        """
        self.join(HalfSide(), Side())
        assert isinstance(self.ours, HalfSide)
        self.theirs.transport.loseConnection()
        self.clock.advance(1)
        self.assertTrue(self.ours.read_closed)
        self.assertEqual(self.ours.ends, [])
        self.ours.transport.write(b"anybody there?")
        self.clock.advance(1)
        self.assertEqual(self.ours.ends, [ConnectionLost])

    def test_half_close(self) -> None:
        """
        A side that can is told of the peer's end and answers all the same.
        """
        self.join(Side(), HalfSide())
        assert isinstance(self.theirs, HalfSide)
        self.ours.transport.write(b"question")
        self.ours.transport.loseWriteConnection()
        self.clock.advance(1)
        self.assertEqual((self.theirs.heard, self.theirs.read_closed), ([b"question"], True))
        self.theirs.transport.write(b"answer")
        self.theirs.transport.loseConnection()
        self.clock.advance(1)
        self.assertEqual(self.ours.heard, [b"answer"])

    def test_after_the_end(self) -> None:
        """
        Nothing that is called after the end does anything.
        """
        self.ours.transport.abortConnection()
        self.clock.advance(1)
        self.ours.transport.write(b"x")
        self.ours.transport.loseConnection()
        self.ours.transport.abortConnection()
        self.ours.transport.resumeProducing()
        self.clock.advance(1)

    def test_stop_producing(self) -> None:
        """
        ``stopProducing`` closes.
        """
        self.ours.transport.stopProducing()
        self.clock.advance(1)
        self.assertEqual(self.ours.ends, [ConnectionDone])

    def test_cut(self) -> None:
        """
        A cut lets so many octets through; then both ends see a reset, or the
        reader an orderly end.
        """
        for reset, end in ((True, ConnectionLost), (False, ConnectionDone)):
            self.line.to_listener = Cut(4, reset)
            self.join(Side(), Side())
            self.ours.transport.write(b"abc")
            self.ours.transport.write(b"defg")
            self.clock.advance(1)
            self.assertEqual(b"".join(self.theirs.heard), b"abcd")
            self.assertEqual((self.ours.ends, self.theirs.ends), ([ConnectionLost], [end]))

    def test_cut_towards_us(self) -> None:
        """
        The other direction has its own.
        """
        self.line.to_dialer = Cut(0)
        self.join(Side(), Side())
        self.ours.transport.write(b"heard")
        self.theirs.transport.write(b"unheard")
        self.clock.advance(1)
        self.assertEqual(self.ours.heard, [])


class DefaultsTests(SynchronousTestCase):
    """
    A transport without a protocol.
    """

    def test_held_until_started(self) -> None:
        """
        What arrives before a protocol is there waits for it, the end too.
        """
        clock = VirtualClock()
        ours, theirs = connect(clock, Line(), ("192.0.2.1", 1), ("192.0.2.2", 2))
        theirs.start(Protocol())
        theirs.write(b"early")
        theirs.loseConnection()
        clock.advance(1)
        side = Side()
        ours.start(side)
        clock.advance(1)
        self.assertEqual((side.heard, side.ends), ([b"early"], [ConnectionDone]))

    def test_failure_is_one(self) -> None:
        """
        The reason of an end is a ``Failure``, as Twisted's.
        """
        clock = VirtualClock()
        ours, _ = connect(clock, Line(), ("192.0.2.1", 1), ("192.0.2.2", 2))
        reasons: list[Any] = []

        class Keeper(Protocol):
            """
            Keeps the reason.
            """

            def connectionLost(self, reason: Failure | None = None) -> None:
                reasons.append(reason)

        ours.start(Keeper())
        ours.loseConnection()
        clock.advance(1)
        self.assertIsInstance(reasons[0], Failure)
