"""
The two ends of a virtual connection, which behave as Twisted's.
"""

from random import Random
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IHalfCloseableProtocol, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.wire import Cut, Line, VirtualTransport, connect, octet_by_octet, random_split, whole

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

    def join(self, ours: Side, theirs: Side, seed: int = 0) -> tuple[VirtualTransport, VirtualTransport]:
        """
        Connect two sides by :attr:`line`.
        """
        self.ours, self.theirs = ours, theirs
        ends = connect(self.clock, self.line, ("192.0.2.1", 40000), ("198.51.100.7", 25), Random(seed))
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

    def test_slow_line(self) -> None:
        """
        Over a slow line a reader sees more and more of what was sent at once.
        """
        self.line.bandwidth = 1000.0
        self.ours.transport.write(b"x" * 2000)
        self.clock.advance(0.01)
        seen = []
        for _ in range(5):
            self.clock.advance(0.5)
            seen.append(sum(map(len, self.theirs.heard)))
        self.assertEqual(seen, [400, 900, 1400, 1900, 2000])

    def test_slow_line_and_window(self) -> None:
        """
        The window does not let more be under way, however long the line takes.
        """
        self.line.bandwidth, self.line.window = 1000.0, 100
        self.theirs.transport.pauseProducing()
        self.ours.transport.write(b"x" * 400)
        self.clock.advance(10)
        self.theirs.transport.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(sum(map(len, self.theirs.heard)), 100)
        self.clock.advance(10)
        self.assertEqual(sum(map(len, self.theirs.heard)), 400)

    def test_linger(self) -> None:
        """
        A reader that lingers reads in one go what came meanwhile.
        """
        self.line.linger = 0.5
        for word in (b"one ", b"two ", b"three "):
            self.ours.transport.write(word)
            self.clock.advance(0.15)
        self.assertEqual(self.theirs.heard, [])
        self.clock.advance(0.14)
        self.assertEqual(self.theirs.heard, [])
        self.clock.advance(0.02)
        self.assertEqual(self.theirs.heard, [b"one two three "])
        self.ours.transport.write(b"four")
        self.ours.transport.loseConnection()
        self.clock.advance(0.59)
        self.assertEqual((self.theirs.heard[1:], self.theirs.ends), ([], []))
        self.clock.advance(0.02)
        self.assertEqual((self.theirs.heard[1:], self.theirs.ends), ([b"four"], [ConnectionDone]))

    def test_jitter(self) -> None:
        """
        Chance delays, and never turns round, what is sent.
        """
        self.line.jitter = 1.0
        for number in range(20):
            self.ours.transport.write(b"%d " % number)
            self.clock.advance(0.2)
        self.clock.advance(2)
        self.assertEqual(b"".join(self.theirs.heard).split(), [b"%d" % number for number in range(20)])

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

    def test_abort_on_a_slow_line(self) -> None:
        """
        What was sent, and did not leave before the reset, never arrives.
        """
        self.line.bandwidth = 1000.0
        self.ours.transport.write(b"x" * 1000)
        self.clock.advance(0.52)
        self.ours.transport.abortConnection()
        self.clock.advance(5)
        self.assertEqual(sum(map(len, self.theirs.heard)), 550)
        self.assertEqual((self.ours.ends, self.theirs.ends), ([ConnectionAborted], [ConnectionLost]))

    def test_close_on_a_slow_line(self) -> None:
        """
        Who closes and is sent more all the same resets the connection, and what
        did not leave before never arrives.
        """
        self.line.bandwidth = 1000.0
        self.ours.transport.write(b"x" * 1000)
        self.ours.transport.loseConnection()
        self.clock.advance(0.42)
        self.assertEqual(self.ours.ends, [ConnectionDone])
        self.theirs.transport.write(b"y")
        self.clock.advance(5)
        self.assertEqual(sum(map(len, self.theirs.heard)), 550)
        self.assertEqual(self.theirs.ends, [ConnectionLost])

    def test_abort_before_the_cut(self) -> None:
        """
        An end that closes while its octets are on their way to a cut takes back
        none of those before it.
        """
        self.line.bandwidth = 1000.0
        for reset, answer, end in (
            (True, b"", ConnectionLost),
            (True, b"y", ConnectionLost),
            (False, b"", ConnectionDone),
            (False, b"y", ConnectionLost),
        ):
            self.line.to_listener = Cut(500, reset)
            self.join(Side(), Side())
            self.ours.transport.write(b"x" * 1000)
            self.clock.advance(0.2)
            self.ours.transport.abortConnection()
            self.theirs.transport.write(answer)
            self.clock.advance(5)
            self.assertEqual(sum(map(len, self.theirs.heard)), 500)
            self.assertEqual(self.theirs.ends, [end])

    def test_closed_unread(self) -> None:
        """
        Who closes without having read everything resets the connection, as the
        kernel does; the peer still reads what was said before.
        """
        self.theirs.transport.pauseProducing()
        self.ours.transport.write(b"unread")
        self.clock.advance(1)
        self.theirs.transport.write(b"421 Go away")
        self.theirs.transport.loseConnection()
        self.clock.advance(1)
        self.assertEqual((self.ours.heard, self.ours.ends), ([b"421 Go away"], [ConnectionLost]))

    def test_writer_whose_peer_is_gone(self) -> None:
        """
        A close that waits for a reader who is gone comes to an end.
        """
        self.line.window = 10
        for reset in (True, False):
            self.join(Side(), Side())
            self.theirs.transport.pauseProducing()
            self.ours.transport.write(b"x" * 100)
            self.ours.transport.loseConnection()
            self.clock.advance(1)
            self.assertEqual(self.ours.ends, [])
            if reset:
                self.theirs.transport.abortConnection()
            else:
                self.theirs.transport.loseConnection()
            self.clock.advance(1)
            self.assertEqual(self.ours.ends, [ConnectionLost])

    def test_paused_writer_whose_peer_is_gone(self) -> None:
        """
        Who neither reads nor can write learns of the end all the same.
        """
        self.line.window = 10
        for reset in (True, False):
            self.line.to_dialer = Cut(3, reset)
            self.join(Side(), Side())
            for side in (self.ours, self.theirs):
                side.transport.pauseProducing()
            self.ours.transport.write(b"x" * 100)
            self.clock.advance(1)
            self.theirs.transport.write(b"more than three")
            self.clock.advance(1)
            self.assertEqual((self.ours.ends, self.theirs.ends), ([ConnectionLost], [ConnectionLost]))

    def test_half_open_writer_whose_peer_is_gone(self) -> None:
        """
        So does who goes on writing when the peer is done.
        """
        self.line.window, self.line.linger, self.line.to_dialer = 10, 0.2, Cut(0, False)
        self.join(HalfSide(), Side())
        assert isinstance(self.ours, HalfSide)
        self.theirs.transport.pauseProducing()
        self.ours.transport.write(b"x" * 100)
        self.clock.advance(1)
        self.theirs.transport.write(b"cut")
        self.clock.advance(1)
        self.assertTrue(self.ours.read_closed)
        self.assertEqual((self.ours.ends, self.theirs.ends), ([ConnectionLost], [ConnectionLost]))

    def test_paused_at_the_last_moment(self) -> None:
        """
        So does who stops reading when the end was there already.
        """
        self.line.window, self.line.linger = 10, 1.0
        self.theirs.transport.pauseProducing()
        self.ours.transport.write(b"x" * 100)
        self.clock.advance(1)
        self.theirs.transport.loseConnection()
        self.clock.advance(0.5)
        self.ours.transport.pauseProducing()
        self.clock.advance(1)
        self.assertEqual(self.ours.ends, [ConnectionLost])

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


class WeatherTests(WireCase):
    """
    Everything that can happen to a connection, all at once.
    """

    def setUp(self) -> None:
        super().setUp()
        self.line = Line()

    def pair(self, seed: int, cut: int, to_listener: bool, reset: bool = True) -> tuple[Side, Side]:
        """
        Who writes and who reads over a line that breaks after *cut* octets;
        calls of one instant come in any order.
        """
        chance = Random(seed)
        self.clock = VirtualClock(chance)
        self.line = Line(
            latency=chance.choice((0.0, 0.01)),
            window=chance.choice((3, 50, 65536)),
            split=chance.choice((whole, octet_by_octet, random_split(Random(seed), 5))),
            bandwidth=chance.choice((0.0, 100.0, 1e6)),
            jitter=chance.choice((0.0, 0.1)),
            linger=chance.choice((0.0, 0.2)),
        )
        if to_listener:
            self.line.to_listener = Cut(cut, reset)
        else:
            self.line.to_dialer = Cut(cut, reset)
        ours, theirs = Side(), Side()
        self.join(ours, theirs, seed)
        return (ours, theirs) if to_listener else (theirs, ours)

    def test_cut_at_any_octet(self) -> None:
        """
        Exactly the octets before the cut are read, in order, in either
        direction and in any weather; each end is told once, and nothing stays
        in the clock.
        """
        data = bytes(range(40))
        for seed in range(160):
            cut, to_listener, reset = seed % 40, seed % 80 < 40, seed % 2 == 0
            writer, reader = self.pair(seed, cut, to_listener, reset)
            for at in range(0, 40, 8):
                writer.transport.write(data[at : at + 8])
                self.clock.advance(0.005)
            self.clock.advance(60)
            self.assertEqual(b"".join(reader.heard), data[:cut], seed)
            self.assertEqual(writer.ends, [ConnectionLost], seed)
            self.assertEqual(reader.ends, [ConnectionLost if reset else ConnectionDone], seed)
            self.assertEqual(self.clock.getDelayedCalls(), [], seed)

    def test_both_directions(self) -> None:
        """
        While one direction breaks the other brings its octets in order, and a
        prefix of them at least.
        """
        data = bytes(range(100))
        for seed in range(60):
            writer, reader = self.pair(seed, 20, seed % 2 == 0)
            for at in range(0, 100, 10):
                writer.transport.write(data[at : at + 10])
                reader.transport.write(data[at : at + 10])
                self.clock.advance(0.02)
            self.clock.advance(60)
            self.assertEqual(b"".join(reader.heard), data[:20], seed)
            self.assertTrue(data.startswith(b"".join(writer.heard)), seed)
            self.assertEqual((writer.ends, reader.ends), ([ConnectionLost], [ConnectionLost]), seed)
            self.assertEqual(self.clock.getDelayedCalls(), [], seed)

    def test_in_order(self) -> None:
        """
        Whatever the order of simultaneous calls, octets arrive in order, the
        end after them, and once.
        """
        data = bytes(range(200))
        for seed in range(60):
            writer, reader = self.pair(seed, 10_000, seed % 2 == 0)
            chance = Random(-seed)
            at = 0
            while at < len(data):
                size = chance.randint(1, 30)
                writer.transport.write(data[at : at + size])
                at += size
                self.clock.advance(chance.choice((0.0, 0.0, 0.01)))
                if chance.random() < 0.2:
                    reader.transport.pauseProducing()
                    self.clock.callLater(0, reader.transport.resumeProducing)
            writer.transport.loseConnection()
            self.clock.advance(60)
            self.assertEqual(b"".join(reader.heard), data, seed)
            self.assertEqual((writer.ends, reader.ends), ([ConnectionDone], [ConnectionDone]), seed)
            self.assertEqual(self.clock.getDelayedCalls(), [], seed)

    def test_same_story(self) -> None:
        """
        The same seed gives the same reads at the same times.
        """

        def story() -> list[tuple[float, bytes]]:
            log: list[tuple[float, bytes]] = []
            for seed in range(20):
                writer, reader = self.pair(seed, 90, True)
                reader.dataReceived = lambda data: log.append((self.clock.seconds(), data))  # type: ignore[method-assign]
                for _ in range(10):
                    writer.transport.write(b"0123456789")
                    self.clock.advance(0.01)
                self.clock.advance(60)
            return log

        self.assertEqual(story(), story())


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
