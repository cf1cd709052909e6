"""
The summary: what it counts, and how it reads.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.interfaces.services import MXKind
from momentum_tx.testing.behaviours import ConnectionCap, Greylisting, RefuseRecipients, Tarpit
from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.dns import Fault
from momentum_tx.testing.logs import parse_mainlog
from momentum_tx.testing.network import VirtualNetwork
from momentum_tx.testing.summary import MOST_SHOWN, Delays, Share, Summary, summarize
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

TWO_BINDINGS = """
[binding.first]
bind_address = "192.0.2.1"
[binding.second]
bind_address = "192.0.2.2"
"""


class StoryTests(WorldCase):
    """
    Numbers of whole stories.
    """

    def send(self, world: World, count: int, domain: str = "example.com", **fields: str) -> None:
        """
        Submit messages, each to a recipient of its own.
        """
        for number in range(count):
            world.send(SENDER, [f"user{number}@{domain}"], world.message(**fields))

    def test_nothing(self) -> None:
        """
        Of a world in which nothing has happened everything is zero, whether its
        service was started or not.
        """
        for world in (World(start=False), self.world()):
            summary = world.summary()
            self.assertEqual((summary.received, summary.waiting, summary.failed, summary.attempts), (0, 0, 0, 0))
            self.assertEqual((summary.connects, summary.connections, summary.most_connections), (0, 0, 0))
            self.assertIsNone(summary.delays)
            self.assertEqual((summary.domains, summary.bindings), ({}, {}))
            self.assertNotIn("median", str(summary))

    def test_greylisting(self) -> None:
        """
        Who is greylisted needs two attempts, and as long as it waits between them.
        """
        world = self.world()
        world.exchanger("example.com").add(Greylisting(300))
        self.send(world, 20)
        world.advance(10)
        before = world.summary()
        self.assertEqual((before.received, before.delivered, before.attempts), (20, 0, 20))
        self.assertEqual((before.active, before.delayed, before.in_delivery, before.waiting), (0, 20, 0, 20))
        self.assertIsNone(before.delays)
        world.advance(1300)
        after = world.summary()
        self.assertEqual(after.seconds, world.clock.seconds())
        self.assertEqual((after.delivered, after.delivered_at_first, after.waiting), (20, 0, 0))
        self.assertEqual((after.attempts, after.failed), (40, 0))
        self.assertEqual(after.transients, {"451 4.7.1 Greylisted, come back later": 20})
        assert after.delays is not None
        self.assertTrue(1200 <= after.delays.median <= after.delays.slow <= after.delays.most < 1300)

    def test_first_attempt(self) -> None:
        """
        Delivered at the first attempt is what needed one, while the others needed more.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.refuse["user1@example.com"] = b"451 4.3.0 Not now"
        self.send(world, 3)
        world.advance(10)
        mx.refuse.clear()
        world.advance(1300)
        summary = world.summary()
        self.assertEqual((summary.delivered, summary.delivered_at_first, summary.attempts), (3, 2, 4))

    def test_failed_for_ever(self) -> None:
        """
        What a peer refuses for ever has failed at an attempt, by its note.
        """
        world = self.world()
        behaviour = RefuseRecipients(0.5)
        world.exchanger("example.com").add(behaviour)
        self.send(world, 40)
        world.advance(10)
        refused = sum(behaviour.refuses(b"user%d@example.com" % number) for number in range(40))
        summary = world.summary()
        self.assertEqual(summary.failures, {"550 5.1.1 No such user here": refused})
        self.assertEqual((summary.failed, summary.delivered, summary.waiting), (refused, 40 - refused, 0))
        self.assertEqual((summary.attempts, summary.transients), (40, {}))

    def test_given_up(self) -> None:
        """
        That a message is given up is no attempt of its own, nor that mail for a
        domain that takes none is.
        """
        world = self.world("[global]\nmax_retries = 1\n")
        world.exchanger("example.com").on("RCPT", b"451 4.2.1 Not now")
        world.resolver.mx["null.example"] = MXKind.NULL
        self.accept(world, [BOB, "bob@null.example"])
        world.advance(3000)
        summary = world.summary()
        self.assertEqual(
            list(summary.failures),
            [
                "550 5.4.4 [internal] NULL MX domain does not accept mail",
                "554 5.4.7 [internal] exceeded max retries without delivery",
            ],
        )
        self.assertEqual((summary.attempts, summary.transients), (2, {"451 4.2.1 Not now": 2}))
        self.assertEqual(summary.domains["null.example"], Share(0, 0, 1, 0, 0))
        self.assertEqual(summary.domains["example.com"].attempts, 2)

    def test_down(self) -> None:
        """
        Connects that are refused are no connections, and mail waits.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.network.refuse(mx.address)
        self.accept(world)
        world.advance(10)
        summary = world.summary()
        self.assertEqual((summary.connects, summary.connections, summary.most_connections), (1, 0, 0))
        self.assertEqual((summary.waiting, summary.delayed, summary.attempts), (1, 1, 1))
        self.assertEqual(summary.domains["example.com"], Share(0, 1, 0, 1, 0))

    def test_connections(self) -> None:
        """
        Connections are counted at the exchangers; the most at once is that of one of them.
        """
        world = self.world("[domain.'example.com']\nmax_outbound_connections = 3\n")
        one = world.exchanger("example.com")
        one.add(Tarpit(1.0))
        other = world.exchanger("other.example")
        self.send(world, 50)
        self.send(world, 1, "other.example")
        world.advance(300)
        summary = world.summary()
        self.assertEqual(summary.connections, one.connections + other.connections)
        self.assertEqual(summary.connects, summary.connections)
        self.assertEqual(summary.most_connections, 3)
        self.assertEqual(summary.domains["example.com"].connections, one.connections)
        self.assertEqual(summary.domains["other.example"].connections, 1)

    def test_refused_greeting(self) -> None:
        """
        A connection that was greeted with 421 was accepted, though no mail was
        ever tried on it.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.add(ConnectionCap(1), Tarpit(0.5))
        self.send(world, 30)
        world.advance(120)
        summary = world.summary()
        self.assertEqual(summary.connections, mx.connections)
        self.assertGreater(summary.connections, summary.domains["example.com"].connections)

    def test_other_connects(self) -> None:
        """
        Clients who inject, and questions to name servers over TCP, are not
        connects of the mail.
        """
        world = World(dns="wire")
        self.addCleanup(self.finish, world)
        world.exchanger("example.com")
        world.resolver.fault = Fault.TRUNCATED
        self.accept(world)
        world.advance(10)
        self.assertGreater(len(world.network.dialled), 3)
        self.assertEqual((world.summary().connects, world.summary().connections), (1, 1))

    def test_at_work(self) -> None:
        """
        What a session has is in delivery, what finds no session is active, and
        nothing is counted twice or lost in between.
        """
        world = self.world("[global]\nmax_outbound_connections = 1\nmax_recipients_per_batch = 1\n")
        world.exchanger("example.com").add(Tarpit(5.0))
        self.send(world, 5)
        world.advance(12)
        summary = world.summary()
        self.assertEqual((summary.active, summary.delayed, summary.in_delivery), (4, 0, 1))
        self.assertEqual(summary.domains["example.com"].waiting, 5)

    def test_bindings(self) -> None:
        """
        Each binding has its share.
        """
        world = self.world(TWO_BINDINGS)
        world.exchanger("example.com")
        self.send(world, 2, X_Binding="first")
        self.send(world, 3, X_Binding="second")
        world.advance(10)
        bindings = world.summary().bindings
        self.assertEqual(list(bindings), ["first", "second"])
        self.assertEqual([share.delivered for share in bindings.values()], [2, 3])
        self.assertEqual([share.attempts for share in bindings.values()], [2, 3])

    def test_crash(self) -> None:
        """
        A crash between the peer's reply and the sync has a message delivered
        twice; it is one message all the same, and late only once.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        self.accept(world)
        world.threads.delay = 60.0
        world.until(lambda: bool(world.mainlog("D")))
        world.crash()
        world.advance(10)
        self.assertEqual(len(mx.ledger), 2)
        summary = world.summary()
        self.assertEqual((summary.received, summary.delivered, summary.waiting), (1, 1, 0))
        self.assertEqual((summary.attempts, summary.connections), (2, 2))

    def test_after_a_stop(self) -> None:
        """
        A world that has stopped is summed up as before.
        """
        world = self.world()
        world.exchanger("example.com")
        self.accept(world)
        world.advance(10)
        before = world.summary()
        world.stop()
        self.assertEqual(str(world.summary()).splitlines()[1:], str(before).splitlines()[1:])

    def test_same_seed(self) -> None:
        """
        The same seed gives the same summary; it cannot be changed, and compares by value.
        """

        def summary() -> Summary:
            world = self.world(seed=3)
            world.exchanger("example.com").add(Greylisting())
            self.send(world, 10)
            world.advance(1500)
            return world.summary()

        one, other = summary(), summary()
        self.assertEqual((one, str(one)), (other, str(other)))
        with self.assertRaises(FrozenInstanceError):
            one.received = 3  # type: ignore[misc]


def record(kind: str, number: int, domain: str = "a.example", **fields: str) -> str:
    """
    A line of mainlog.
    """
    head = f"1700000000@m{number}@b{number}@c{number}@{kind}"
    age, retries, stage = fields.get("age", "1.000"), fields.get("retries", "0"), fields.get("stage", "5")
    binding = fields.get("binding", "default")
    if kind == "R":
        return f"{head}@user@{domain}@a@sender.example@unknown@100@internal@default@{binding}\n"
    if kind == "D":
        return f"{head}@{domain}@100@default@{binding}@{retries}@{age}@198.51.100.1\n"
    note = fields.get("note", "451 4.2.1 Not now")
    return f"{head}@{domain}@0@default@{binding}@{stage}@{retries}@{age}@198.51.100.1@{note}\n"


def of(*lines: str) -> Summary:
    """
    The summary of these lines alone.
    """
    network = VirtualNetwork(VirtualClock(), Random(1))
    return summarize(60.0, parse_mainlog("".join(lines).encode()), [], network, [])


class CountingTests(SynchronousTestCase):
    """
    What is made of single records.
    """

    def test_delays(self) -> None:
        """
        Of half and of 95 % of the messages, to the millisecond; one more, or one
        less, and it is the next.
        """
        self.assertEqual(of(record("D", 1, age="0.250")).delays, Delays(0.25, 0.25, 0.25))
        ages = [f"{number}.001" for number in range(1, 101)]
        lines = [record("D", number, age=age) for number, age in enumerate(ages)]
        self.assertEqual(of(*lines).delays, Delays(50.001, 95.001, 100.001))
        self.assertEqual(of(*lines, record("D", 100, age="200.000")).delays, Delays(51.001, 96.001, 200.0))
        self.assertEqual(of(*reversed(lines)).delays, Delays(50.001, 95.001, 100.001))

    def test_most_frequent_first(self) -> None:
        """
        Notes are sorted by frequency, and equals by who came first.
        """
        lines = [record("T", number, note=note) for number, note in enumerate(["421 b", "450 a", "451 c", "451 c"])]
        self.assertEqual(list(of(*lines).transients), ["451 c", "421 b", "450 a"])

    def test_delivered_stays_delivered(self) -> None:
        """
        A record that a crash has had repeated changes nothing: the first delivery counts.
        """
        again = of(
            record("R", 1), record("D", 1, age="1.000"), record("T", 1), record("D", 1, age="9.000", retries="1")
        )
        self.assertEqual((again.received, again.delivered, again.delivered_at_first), (1, 1, 1))
        self.assertEqual(again.delays, Delays(1.0, 1.0, 1.0))
        failed = of(record("R", 1), record("D", 1), record("P", 1, note="550 No"))
        self.assertEqual((failed.delivered, failed.failed), (1, 0))

    def test_connections_of_a_share(self) -> None:
        """
        Connections that never came about are not counted among a domain's.
        """
        summary = of(record("T", 1, stage="0"), record("T", 2, stage="1"), record("D", 3), record("D", 3))
        self.assertEqual(summary.domains["a.example"].connections, 2)
        self.assertEqual(summary.attempts, 4)

    def test_moved(self) -> None:
        """
        A message counts for the domain and binding of its last record.
        """
        summary = of(record("R", 1, binding=""), record("T", 1, "gateway.example", binding="out"))
        self.assertEqual(summary.domains, {"gateway.example": Share(0, 1, 0, 1, 1)})
        self.assertEqual(summary.bindings, {"out": Share(0, 1, 0, 1, 1)})
        self.assertEqual(of(record("R", 1, binding="")).bindings, {"": Share(0, 1, 0, 0, 0)})


class TextTests(SynchronousTestCase):
    """
    How it reads.
    """

    def test_table(self) -> None:
        """
        A line for each number; the parts are shown where there is more than one.
        """
        lines = [record("R", 1), record("D", 1, age="1234.567"), record("R", 2), record("T", 2)]
        self.assertEqual(
            str(of(*lines)).splitlines(),
            [
                "         2  messages received in 60 s",
                "         1  delivered, 1 of them at the first attempt",
                "            after 1,234.567 s (median), 1,234.567 (95 %), 1,234.567 (most)",
                "         0  waiting: 0 active, 0 delayed, 0 in delivery",
                "         0  failed for ever",
                "         2  attempts",
                "         1  failed for now",
                "                 1  451 4.2.1 Not now",
                "         0  connects, 0 accepted, at most 0 at once",
            ],
        )

    def test_parts(self) -> None:
        """
        With two domains and two bindings there are two tables more.
        """
        lines = [record("D", 1), record("P", 2, "long-name.example", binding="other", note="550 No")]
        self.assertEqual(
            str(of(*lines)).splitlines()[-8:],
            [
                "",
                "domain             delivered    waiting     failed   attempts  connections",
                "a.example                  1          0          0          1            1",
                "long-name.example          0          0          1          1            1",
                "",
                "binding  delivered    waiting     failed   attempts  connections",
                "default          1          0          0          1            1",
                "other            0          0          1          1            1",
            ],
        )

    def test_many_notes(self) -> None:
        """
        Ten notes are shown, and what eleven and more come to.
        """
        lines = [record("T", number, note=f"451 {number}") for number in range(MOST_SHOWN)]
        self.assertNotIn("other notes", str(of(*lines)))
        more = [record("T", 50, note="451 x"), record("T", 51, note="451 y")]
        self.assertIn("                 2  of 2 other notes\n", str(of(*lines, *more)))
        self.assertNotIn("451 x", str(of(*lines, *more)))

    def test_many_domains(self) -> None:
        """
        Ten domains are shown, and how many there are more.
        """
        lines = [record("D", number, f"d{number:02}.example") for number in range(MOST_SHOWN)]
        self.assertNotIn("more", str(of(*lines)))
        text = str(of(*lines, record("D", 50, "z.example")))
        self.assertIn("and 1 more", text)
        self.assertNotIn("z.example", text)
