"""
What lies between the two ends of a virtual connection.
"""

from collections.abc import Callable
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.line import Cut, Line, Way, octet_by_octet, random_split, whole


class SplitterTests(SynchronousTestCase):
    """
    How reads are cut.
    """

    def test_plain(self) -> None:
        """
        One leaves everything together, the other leaves nothing together.
        """
        self.assertEqual(list(whole(b"abc")), [b"abc"])
        self.assertEqual(list(octet_by_octet(b"abc")), [b"a", b"b", b"c"])

    def test_random(self) -> None:
        """
        Random reads are of every size up to the most, lose nothing, and are the
        same with the same seed.
        """
        data = bytes(range(256)) * 4
        pieces = list(random_split(Random(1), 7)(data))
        self.assertEqual(b"".join(pieces), data)
        self.assertEqual({len(piece) for piece in pieces[:-1]}, set(range(1, 8)))
        self.assertEqual(pieces, list(random_split(Random(1), 7)(data)))
        self.assertNotEqual(pieces, list(random_split(Random(2), 7)(data)))
        self.assertEqual(list(random_split(Random(1), 1)(b"abc")), [b"a", b"b", b"c"])


class Arrivals:
    """
    Remembers what arrived, and when.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.log: list[tuple[float, bytes | str]] = []
        #: Called whenever octets arrive.
        self.then: Callable[[], object] = list

    def note(self, what: bytes | str) -> None:
        self.log.append((round(self.clock.seconds(), 9), what))

    def arrived(self, data: bytes) -> None:
        self.note(data)
        self.then()

    def all_arrived(self) -> None:
        """
        Not noted.
        """

    def input_ended(self) -> None:
        self.note("end")

    def broken_off(self) -> None:
        self.note("break")


class WayTests(SynchronousTestCase):
    """
    One direction.
    """

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.receiver = Arrivals(self.clock)
        self.line = Line(latency=1.0)
        self.way = Way(self.clock, self.line, None, Random(3), self.receiver)

    def seen(self) -> list[tuple[float, bytes | str]]:
        """
        Everything that arrives, when nothing more is sent.
        """
        while self.clock.step():
            pass
        return self.receiver.log

    def test_latency(self) -> None:
        """
        Without a bandwidth everything takes the latency, however long it is.
        """
        self.way.send(b"x" * 5000)
        self.way.carry(self.receiver.input_ended)
        self.assertEqual(self.way.busy(), 0.0)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(self.seen(), [(1.0, b"x" * 5000), (1.0, "end")])

    def test_bandwidth(self) -> None:
        """
        Octets follow one another: what is sent later waits for what was sent
        before, and so does the news of the end.
        """
        self.line.bandwidth = 100.0
        self.way.send(b"a" * 10)
        self.way.send(b"b" * 5)
        self.way.carry(self.receiver.input_ended)
        self.assertAlmostEqual(self.way.busy(), 0.15)
        parts = [(1.05, b"aaaaa"), (1.1, b"aaaaa"), (1.15, b"bbbbb"), (1.15, "end")]
        self.assertEqual(self.seen(), parts)
        # A line that had a rest is free.
        self.clock.advance(10 - self.clock.seconds())
        self.way.send(b"c" * 5)
        self.assertEqual(self.seen()[4:], [(11.05, b"ccccc")])

    def test_window_in_parts(self) -> None:
        """
        However fast a line is, a window takes it several parts; however slow,
        a part has an octet.
        """
        self.line.window = 800
        for bandwidth, size in ((1e9, 100), (1.0, 1)):
            self.line.bandwidth = bandwidth
            self.receiver.log.clear()
            self.way.send(b"x" * 800)
            self.assertEqual({len(data) for _, data in self.seen()}, {size})

    def test_jitter(self) -> None:
        """
        Jitter delays by so much at most, nothing overtakes, and chance alone
        decides.
        """
        self.line.jitter = 0.5

        def times(seed: int) -> list[float]:
            self.clock = VirtualClock()
            self.receiver = Arrivals(self.clock)
            self.way = Way(self.clock, self.line, None, Random(seed), self.receiver)
            for number in range(50):
                self.way.send(b"%d" % number)
                self.clock.advance(0.1)
            seen = self.seen()
            self.assertEqual([data for _, data in seen], [b"%d" % number for number in range(50)])
            return [time - 0.1 * number for number, (time, _) in enumerate(seen)]

        late = times(1)
        self.assertTrue(all(0.999 < time < 1.501 for time in late))
        self.assertGreater(max(late) - min(late), 0.3)
        self.assertEqual(late, times(1))
        self.assertNotEqual(late, times(2))

    def test_jitter_without_chance(self) -> None:
        """
        Jitter is not made up.
        """
        self.line.jitter = 0.5
        way = Way(self.clock, self.line, None, None, self.receiver)
        self.assertRaises(ValueError, way.send, b"x")

    def test_change(self) -> None:
        """
        A line may change while something is under way; order and what was begun
        stay.
        """
        self.line.bandwidth = 100.0
        self.way.send(b"a" * 10)
        self.line.bandwidth, self.line.latency = 0.0, 0.25
        self.way.send(b"b" * 10)
        self.assertEqual(self.seen(), [(1.05, b"aaaaa"), (1.1, b"aaaaa"), (1.1, b"b" * 10)])

    def test_cut(self) -> None:
        """
        The octets before a cut arrive, over a slow line in their time; then a
        break, after which nothing is carried, or an end.
        """
        self.line.bandwidth = 100.0
        for reset, last in ((True, "break"), (False, "end")):
            cut = Cut(12, reset)
            self.clock = VirtualClock()
            self.receiver = Arrivals(self.clock)
            way = Way(self.clock, self.line, cut, None, self.receiver)
            self.assertTrue(way.send(b"x" * 5))
            self.assertTrue(way.send(b"y" * 7))
            self.assertFalse(way.send(b"z"))
            self.assertAlmostEqual(way.busy(), 0.12)
            self.assertEqual(self.seen(), [(1.05, b"x" * 5), (1.1, b"y" * 5), (1.12, b"yy"), (1.12, last)])
            way.carry(self.receiver.input_ended)
            self.assertEqual(self.seen()[4:], [] if reset else [(2.12, "end")])
            self.assertEqual(cut.after, 12)

    def test_recall(self) -> None:
        """
        What has not begun to leave can be called back; what has arrives.
        """
        self.line.bandwidth = 100.0
        self.way.send(b"a" * 20)
        self.clock.advance(0.07)
        self.way.recall()
        self.way.carry(self.receiver.broken_off)
        self.assertEqual(self.seen(), [(1.05, b"aaaaa"), (1.1, b"aaaaa"), (1.1, "break")])
        self.way.send(b"b" * 5)
        self.way.carry(self.receiver.input_ended)
        self.way.recall()
        self.assertEqual(self.seen()[3:], [(2.15, b"bbbbb")])

    def test_recall_of_everything(self) -> None:
        """
        A way that has nothing to carry has nothing in the clock.
        """
        self.line.bandwidth = 100.0
        self.way.send(b"a" * 5)
        self.seen()
        self.way.send(b"b" * 5)
        self.way.send(b"c" * 5)
        self.receiver.log.clear()
        self.clock.advance(0.02)
        self.way.recall()
        self.assertEqual(self.seen(), [(2.1, b"bbbbb")])
        self.way.recall()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_sever(self) -> None:
        """
        A severed way loses what is under way, brings one piece of news, and
        nothing after it.
        """
        self.way.send(b"lost")
        self.clock.advance(0.5)
        self.way.sever(self.receiver.broken_off)
        self.way.send(b"never sent")
        self.way.carry(self.receiver.input_ended)
        self.assertEqual(self.seen(), [(1.5, "break")])

    def test_sever_after_a_cut(self) -> None:
        """
        The news arrive also where a cut had broken the way before.
        """
        way = Way(self.clock, self.line, Cut(2), None, self.receiver)
        way.send(b"lost")
        self.clock.advance(0.5)
        way.sever(self.receiver.input_ended)
        self.assertEqual(self.seen(), [(1.5, "end")])

    def test_sent_within_an_arrival(self) -> None:
        """
        What is sent while something arrives takes its own time, and what was
        sent before comes first.
        """
        self.line.bandwidth = 100.0
        self.receiver.then = lambda: self.way.send(b"more") if len(self.receiver.log) < 3 else None
        self.way.send(b"a" * 10)
        self.assertEqual(self.seen(), [(1.05, b"aaaaa"), (1.1, b"aaaaa"), (2.09, b"more"), (2.14, b"more")])

    def test_error_at_an_arrival(self) -> None:
        """
        A receiver that raises loses nothing that comes later.
        """
        self.receiver.then = lambda: 1 // 0
        self.way.send(b"a")
        self.way.send(b"b")
        self.clock.advance(0.5)
        self.way.send(b"c")
        self.assertEqual([data for _, data in self.seen()], [b"a", b"b", b"c"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
