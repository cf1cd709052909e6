"""
Tests for :mod:`momentum_tx.testing.datagrams`.
"""

from random import Random

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.datagrams import DatagramPort, Datagrams
from momentum_tx.testing.network import VirtualNetwork

US = "192.0.2.1"
THEM = ("192.0.2.53", 53)


class Ear(DatagramProtocol):
    """
    Keeps what it hears, and when.
    """

    noisy = False

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.heard: list[bytes] = []
        self.times: list[float] = []
        self.sources: list[tuple[str, int]] = []
        self.refusals: list[float] = []
        self.stopped = 0

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(datagram)
        self.times.append(self.clock.seconds())
        self.sources.append(addr)

    def connectionRefused(self) -> None:
        self.refusals.append(self.clock.seconds())

    def stopProtocol(self) -> None:
        self.stopped += 1


class DatagramTests(SynchronousTestCase):
    """
    One of ours and one of theirs.
    """

    def setUp(self) -> None:
        self.start(1)

    def start(self, seed: int) -> None:
        """
        Two ports, and a quarter of a second between them.
        """
        self.clock = VirtualClock()
        self.network = VirtualNetwork(self.clock, Random(1), latency=0.25)
        self.network.plumb(US, THEM[0])
        self.datagrams = Datagrams(self.network, Random(seed))
        self.ours, self.theirs = Ear(self.clock), Ear(self.clock)
        self.port = self.datagrams.listen(US, 0, self.ours)
        self.their_port = self.datagrams.listen(*THEM, self.theirs)

    def say(self, count: int = 1) -> list[bytes]:
        """
        Send numbered datagrams at once: what is heard, in its order.
        """
        for number in range(count):
            self.port.write(b"%d" % number, THEM)
        self.clock.advance(60)
        return self.theirs.heard

    def test_provides(self) -> None:
        """
        A port has all that protocols may call.
        """
        self.assertTrue(verifyObject(IUDPTransport, self.port))
        self.assertTrue(verifyObject(IListeningPort, self.port))
        self.assertEqual((self.port.getHost().type, self.port.getHost().host), ("UDP", US))
        self.assertFalse(self.port.getBroadcastAllowed())
        self.assertIs(self.ours.transport, self.port)

    def test_fair_weather(self) -> None:
        """
        A datagram arrives once, after the latency, and says where it is from.
        """
        self.port.write(b"hello", THEM)
        self.clock.advance(0.24)
        self.assertEqual(self.theirs.heard, [])
        self.clock.advance(0.01)
        self.assertEqual(self.theirs.heard, [b"hello"])
        self.assertEqual(self.theirs.sources, [self.port.place])
        self.assertEqual((self.datagrams.sent, self.datagrams.lost), (1, 0))

    def test_line(self) -> None:
        """
        The latency of a place counts in both directions, and its jitter.
        """
        self.network.line(*THEM).latency = 2.0
        self.port.write(b"there", THEM)
        self.clock.advance(2)
        self.their_port.write(b"and back", self.port.place)
        self.clock.advance(2)
        self.assertEqual(self.theirs.times + self.ours.times, [2.0, 4.0])
        self.network.line(*THEM).jitter = 1.0
        heard = self.say(20)[1:]
        self.assertNotEqual(heard, sorted(heard))
        self.assertTrue(all(6.0 < time < 7.0 for time in self.theirs.times[1:]), self.theirs.times)

    def test_loss(self) -> None:
        """
        A share of the datagrams never arrives.
        """
        self.datagrams.loss = 0.5
        heard = self.say(100)
        self.assertTrue(30 < len(heard) < 70, len(heard))
        self.assertEqual(self.datagrams.lost, 100 - len(heard))

    def test_dropping(self) -> None:
        """
        The next so many are lost for sure, and no more than those.
        """
        self.datagrams.dropping = 2
        self.assertEqual(self.say(4), [b"2", b"3"])
        self.assertEqual(self.datagrams.dropping, 0)

    def test_duplication(self) -> None:
        """
        What comes twice comes twice.
        """
        self.datagrams.duplication = 1.0
        self.assertEqual(self.say(2), [b"0", b"0", b"1", b"1"])

    def test_jitter(self) -> None:
        """
        Datagrams overtake each other, within the bound.
        """
        self.datagrams.jitter = 1.0
        heard = self.say(10)
        self.assertNotEqual(heard, sorted(heard))
        self.assertEqual(sorted(heard), [b"%d" % number for number in range(10)])
        self.assertTrue(all(0.25 <= time <= 1.25 for time in self.theirs.times), self.theirs.times)

    def test_straggling(self) -> None:
        """
        A straggler is late by that much.
        """
        self.datagrams.straggling, self.datagrams.late = 1.0, 7.0
        self.say()
        self.assertEqual(self.theirs.times, [7.25])

    def test_same_seed(self) -> None:
        """
        The same seed gives the same weather, another one another.
        """
        stories = []
        for seed in (1, 1, 2):
            self.start(seed)
            self.datagrams.loss = self.datagrams.duplication = self.datagrams.straggling = 0.3
            self.datagrams.jitter = 1.0
            self.say(20)
            stories.append((self.theirs.heard, self.theirs.times))
        self.assertEqual(stories[0], stories[1])
        self.assertNotEqual(stories[0], stories[2])

    def test_nobody_listens(self) -> None:
        """
        A connected port learns after the round trip that nobody listens; others
        learn nothing, nor does one that was closed meanwhile.
        """
        lone, closed = Ear(self.clock), Ear(self.clock)
        lonely, closing = (self.datagrams.listen(US, 0, ear) for ear in (lone, closed))
        self.port.connect(THEM[0], 54)
        closing.connect(THEM[0], 54)
        for port in (self.port, lonely, closing):
            port.write(b"hello?", (THEM[0], 54))
        self.clock.advance(0.25)
        closing.stopListening()
        self.assertEqual(self.ours.refusals, [])
        self.clock.advance(0.25)
        self.assertEqual((self.ours.refusals, lone.refusals, closed.refusals), ([0.5], [], []))

    def test_reach(self) -> None:
        """
        What was said of a place counts for datagrams: refused, though somebody
        listens; swallowed; without a route.
        """
        self.port.connect(*THEM)
        self.network.refuse(*THEM)
        self.say()
        self.assertEqual((len(self.ours.refusals), self.theirs.heard), (1, []))
        self.network.black_hole(*THEM)
        self.say()
        self.assertEqual((len(self.ours.refusals), self.theirs.heard, self.datagrams.lost), (1, [], 1))
        self.network.unreachable(*THEM)
        self.assertRaises(OSError, self.port.write, b"hello", THEM)

    def test_connected(self) -> None:
        """
        A connected port hears its peer and nobody else.
        """
        stranger = self.datagrams.listen(THEM[0], 54, Ear(self.clock))
        self.port.connect(*THEM)
        self.port.write(b"to the peer")
        stranger.write(b"stranger", self.port.place)
        self.their_port.write(b"peer", self.port.place)
        self.clock.advance(1)
        self.assertEqual((self.ours.heard, self.theirs.heard), ([b"peer"], [b"to the peer"]))

    def test_nowhere(self) -> None:
        """
        Without a peer and a place there is nowhere to send.
        """
        self.assertRaises(ValueError, self.port.write, b"hello")

    def test_size(self) -> None:
        """
        What is too large for the port is cut off.
        """
        small = Ear(self.clock)
        self.datagrams.listen(THEM[0], 54, small, 3)
        self.port.write(b"hello", (THEM[0], 54))
        self.clock.advance(1)
        self.assertEqual(small.heard, [b"hel"])

    def test_close(self) -> None:
        """
        A closed port is forgotten, hears nothing and says nothing; once is enough.
        """
        gone: list[DatagramPort] = []
        ear = Ear(self.clock)
        port = self.datagrams.listen(US, 0, ear, closed=gone.append)
        self.their_port.write(b"too late", port.place)
        port.stopListening()
        port.stopListening()
        port.write(b"from the grave", THEM)
        self.clock.advance(1)
        self.assertEqual((ear.heard, ear.stopped, gone), ([], 1, [port]))
        self.assertEqual(self.theirs.heard, [])
        self.assertEqual(self.datagrams.open_ports(), [self.port, self.their_port])

    def test_vanish(self) -> None:
        """
        The protocol of a killed process hears nothing of it.
        """
        self.port.vanish()
        self.port.vanish()
        self.assertEqual((self.ours.stopped, self.port.open), (0, False))
        self.assertEqual(self.datagrams.open_ports(), [self.their_port])

    def test_places(self) -> None:
        """
        A place is taken once, and only on addresses there are; a free port is
        one that nobody has.
        """
        self.assertRaises(CannotListenError, self.datagrams.listen, *THEM, Ear(self.clock))
        self.assertRaises(CannotListenError, self.datagrams.listen, "192.0.2.99", 0, Ear(self.clock))
        taken = self.port.place[1] + 1
        self.datagrams.listen(US, taken, Ear(self.clock))
        self.assertEqual(self.datagrams.listen(US, 0, Ear(self.clock)).place[1], taken + 1)
