"""
Tests of :mod:`momentum_tx.delivery.limits`: stories of a whole service.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery.handle import ConnectionHandle
from momentum_tx.delivery.initiate import initiate_connection
from momentum_tx.delivery.initiate_smtp import initiate_connection_smtp
from momentum_tx.testing.behaviours import Tarpit
from momentum_tx.testing.peers import SILENCE, Receiver
from momentum_tx.testing.world import World

from ..worlds import WorldCase
from . import dialing

#: Big backlogs, and one small domain.
BIG = ("big1.example", "big2.example", "big3.example")
SMALL = "small.example"


class PlacesCase(WorldCase):
    """
    Domains that want more connections than there may be.
    """

    def receivers(self, world: World, *domains: str) -> dict[str, Receiver]:
        """
        One receiver for each domain; a transaction takes it some time.
        """
        mxs = {domain: world.exchanger(domain) for domain in domains}
        for mx in mxs.values():
            mx.add(Tarpit(0.05, "dot"))
        return mxs

    def backlog(self, world: World, domain: str, count: int) -> None:
        """
        *count* messages for *domain*, each a reception of its own, at once.
        """
        for number in range(count):
            world.send("a@sender.example", [f"r{number}@{domain}"], world.message()).addErrback(lambda _: None)


class ServerTests(PlacesCase):
    """
    ``server_max_outbound_connections``, its reserve, and who comes next.
    """

    NO_RESERVE = "[global]\nserver_max_outbound_connections = {}\nserver_reserve_outbound_connections = 0\n"

    def test_smallDomainIsServed(self) -> None:
        """
        With every place taken by backlogs, a message to another domain waits
        for the end of a few transactions, not of a backlog.
        """
        world = self.world(self.NO_RESERVE.format(6))
        mxs = self.receivers(world, *BIG, SMALL)
        for domain in BIG:
            self.backlog(world, domain, 400)
        world.until(lambda: all(mxs[domain].ledger for domain in BIG))
        world.until(lambda: world.service.delivery.records.connections == 6)
        self.accept(world, [f"r@{SMALL}"])
        before = sum(len(mxs[domain].ledger) for domain in BIG)
        world.until(lambda: bool(mxs[SMALL].ledger))
        self.assertLess(sum(len(mxs[domain].ledger) for domain in BIG) - before, 60)

    def test_oneEachByTurns(self) -> None:
        """
        With fewer places than domains, each domain gets its turn after some
        messages of the others.
        """
        world = self.world(self.NO_RESERVE.format(1))
        mxs = self.receivers(world, *BIG)
        for domain in BIG:
            self.backlog(world, domain, 60)
        seen: set[tuple[int, ...]] = set()
        while sum(len(mx.ledger) for mx in mxs.values()) < 180:
            world.advance(0.5)
            seen.add(tuple(len(mxs[domain].ledger) for domain in BIG))
            for counts in seen:
                self.assertLessEqual(max(counts) - min(counts), 25 if min(counts) < 40 else 60)
        self.assertEqual([len(mxs[domain].ledger) for domain in BIG], [60, 60, 60])
        self.assertEqual(world.mainlog("T"), [])

    def test_equalShares(self) -> None:
        """
        A backlog that comes later gets as many connections as the one that has
        them all, and then both keep theirs.
        """
        world = self.world(self.NO_RESERVE.format(8))
        mxs = self.receivers(world, *BIG[:2])
        self.backlog(world, BIG[0], 2000)
        world.until(lambda: len(mxs[BIG[0]].ledger) > 100)
        self.backlog(world, BIG[1], 2000)
        world.until(lambda: len(mxs[BIG[1]].ledger) > 200)
        shares = [world.domain(domain).connection_count(0) for domain in BIG[:2]]
        self.assertEqual(sorted(shares), [4, 4])
        opened = [mxs[domain].connections for domain in BIG[:2]]
        world.advance(3)
        self.assertEqual([mxs[domain].connections for domain in BIG[:2]], opened)

    def test_not_all_give_way(self) -> None:
        """
        Where two domains begin at the same moment, the one that has all places
        gives back as many as the other lacks, and not all of them time and again.
        """
        world = self.world(self.NO_RESERVE.format(2))
        mxs = self.receivers(world, *BIG[:2])
        for domain in BIG[:2]:
            self.backlog(world, domain, 20)
        world.until(lambda: all(len(mxs[domain].ledger) == 20 for domain in BIG[:2]), 60)
        self.assertLessEqual(sum(mxs[domain].connections for domain in BIG[:2]), 4)

    def test_reserve(self) -> None:
        """
        A domain without any connection is given one of the reserve within
        ``reserve_maintenance_interval``, though nobody gives way; one that has
        some is not.
        """
        world = self.world(
            "[global]\nserver_max_outbound_connections = 1\nserver_reserve_outbound_connections = 1\n"
            "reserve_maintenance_interval = 20\nmailfrom_timeout = 300\n"
        )
        mxs = self.receivers(world, *BIG, SMALL)
        mxs[BIG[0]].add(Tarpit(200.0))
        self.accept(world, [f"r@{BIG[0]}"])
        self.accept(world, [f"s@{BIG[0]}"])
        world.advance(1)
        self.accept(world, [f"r@{SMALL}"])
        world.advance(18)
        self.assertEqual(mxs[SMALL].connections, 0)
        world.advance(3)
        self.assertEqual(len(mxs[SMALL].ledger), 1)
        self.assertEqual(mxs[BIG[0]].connections, 1)


class UnprovenTests(PlacesCase):
    """
    Connections of which nobody knows yet whether they serve have half of a limit.
    """

    TEN = "[global]\nserver_max_outbound_connections = 10\nserver_reserve_outbound_connections = 0\n"

    def hung(self, world: World, domain: str) -> Receiver:
        """
        The exchanger of a domain with a backlog, which never greets.
        """
        mx = world.exchanger(domain)
        mx.on("connect", SILENCE)
        self.backlog(world, domain, 100)
        world.advance(100)
        return mx

    def test_half(self) -> None:
        """
        A backlog whose host hangs has half of the places and no more.
        """
        world = self.world(self.TEN)
        self.assertEqual(self.hung(world, BIG[0]).most_open, 5)

    def test_oneMayAlwaysBeTried(self) -> None:
        """
        Another domain is tried by one connection all the same; as soon as it has
        served, others follow, and they have what is left.
        """
        world = self.world(self.TEN)
        self.hung(world, BIG[0])
        second = self.hung(world, BIG[1])
        self.assertEqual(second.most_open, 1)
        mx = self.receivers(world, SMALL)[SMALL]
        self.backlog(world, SMALL, 200)
        world.until(lambda: len(mx.ledger) == 1)
        self.assertEqual(mx.most_open, 1)
        world.until(lambda: len(mx.ledger) == 20)
        self.assertEqual(mx.most_open, 4)

    def test_hungAfterItServed(self) -> None:
        """
        A domain that has served is not held back when its host begins to hang:
        what waits there is bounded by its own limit.
        """
        world = self.world(self.TEN)
        mx = self.receivers(world, SMALL)[SMALL]
        self.backlog(world, SMALL, 200)
        world.until(lambda: len(mx.ledger) == 50)
        mx.on("dot", SILENCE)
        world.advance(20)
        self.assertEqual(len(mx.open), 10)

    def test_ended(self) -> None:
        """
        When those that hang are given up, their half is free for the next.
        """
        world = self.world(self.TEN + "ehlo_timeout = 200\n")
        self.hung(world, BIG[0])
        world.advance(150)
        self.assertLessEqual(world.domain(BIG[0]).total_connections(), 1)
        self.assertGreaterEqual(self.hung(world, BIG[1]).most_open, 4)

    def test_reload(self) -> None:
        """
        A limit that is written while connections hang counts them.
        """
        world = self.world()
        mx = world.exchanger(BIG[0])
        mx.on("connect", SILENCE)
        self.backlog(world, BIG[0], 3)
        world.advance(1)
        self.assertEqual(mx.most_open, 1)
        world.reload("[binding.default]\nserver_max_outbound_connections = 8\n")
        self.backlog(world, BIG[0], 100)
        world.advance(100)
        self.assertEqual(mx.most_open, 4)

    def test_ownConnection(self) -> None:
        """
        A connection of somebody's own counts as one that serves once it is there.
        """
        world = self.world(self.TEN)
        self.receivers(world, *BIG)
        self.accept(world, [f"r@{BIG[0]}"])
        world.advance(20)
        server = world.service.delivery.records.server
        dr = world.domain(BIG[0])
        handle = initiate_connection(dr, 0, None, lambda *_: None, lambda *_: None)
        self.assertEqual((server.taken, server.unproven), (1, 1))
        world.advance(1)
        self.assertEqual((server.taken, server.unproven), (1, 0))
        handle.close()
        self.assertEqual((server.taken, server.unproven), (0, 0))


class ScopeTests(PlacesCase):
    """
    Totals of a binding, a domain, a host.
    """

    def most(self, config: str, domains: tuple[str, ...], count: int = 40) -> dict[str, int]:
        """
        The most connections at once to each domain's exchanger, while *count*
        messages go to each.
        """
        world = self.world(config)
        mxs = self.receivers(world, *domains)
        for domain in domains:
            self.backlog(world, domain, count)
        most = dict.fromkeys((*domains, "all"), 0)
        while sum(len(mx.ledger) for mx in mxs.values()) < count * len(domains):
            world.advance(0.02)
            open_now = {domain: world.domain(domain).total_connections() for domain in domains}
            open_now["all"] = sum(open_now.values())
            most = {name: max(most[name], number) for name, number in open_now.items()}
        self.assertEqual([len(mxs[domain].ledger) for domain in domains], [count] * len(domains))
        world.advance(1)
        self.assertEqual(world.mainlog("TP"), [])
        return most

    def test_binding(self) -> None:
        """
        A binding has no more connections than its ``server_max_outbound_connections``.
        """
        most = self.most("[binding.default]\nserver_max_outbound_connections = 3\n", BIG)
        self.assertEqual(most["all"], 3)

    def test_global_total(self) -> None:
        """
        ``scope_max_outbound_connections`` of everything.
        """
        self.assertEqual(self.most("[global]\nscope_max_outbound_connections = 4\n", BIG)["all"], 4)

    def test_regex_total(self) -> None:
        """
        One total for all domains that a regex matches, and none for the others.
        """
        most = self.most("[domain.'/^big[12]/']\nscope_max_outbound_connections = 2\n", BIG)
        self.assertLessEqual(most[BIG[0]] + most[BIG[1]], 4)
        self.assertGreater(most[BIG[2]], 2)
        self.assertGreater(most["all"], 4)

    def test_smaller_total_inside(self) -> None:
        """
        The narrow total and the wide one are both held.
        """
        text = (
            "[global]\nscope_max_outbound_connections = 5\n"
            "[domain.'big1.example']\nscope_max_outbound_connections = 2\n"
        )
        most = self.most(text, BIG)
        self.assertEqual((most[BIG[0]], most["all"]), (2, 5))

    def test_host_total(self) -> None:
        """
        A regex over hosts is one total for them.
        """
        self.assertEqual(self.most("[host.'/^mx1/']\nscope_max_outbound_connections = 2\n", BIG)["all"], 2)

    def test_zero(self) -> None:
        """
        A total of none keeps mail waiting without failures, until a reload gives
        room: then it goes at once.
        """
        world = self.world("[domain.'big1.example']\nscope_max_outbound_connections = 0\n")
        mxs = self.receivers(world, BIG[0])
        self.backlog(world, BIG[0], 3)
        world.advance(100)
        self.assertEqual((self.kinds(world), mxs[BIG[0]].connections), ("RRR", 0))
        world.reload("[domain.'big1.example']\nscope_max_outbound_connections = 1\n")
        world.advance(1)
        self.assertEqual(len(mxs[BIG[0]].ledger), 3)

    def test_reload_counts_anew(self) -> None:
        """
        A total that a reload brings counts the connections there are.
        """
        world = self.world()
        mxs = self.receivers(world, BIG[0])
        self.backlog(world, BIG[0], 200)
        world.until(lambda: len(mxs[BIG[0]].ledger) > 20)
        before = mxs[BIG[0]].connections
        self.assertGreater(before, 5)
        world.reload("[domain.'big1.example']\nscope_max_outbound_connections = 2\n")
        world.advance(10)
        self.assertEqual(len(mxs[BIG[0]].ledger), 200)
        self.backlog(world, BIG[0], 30)
        world.advance(0.02)
        self.assertLessEqual(world.domain(BIG[0]).total_connections(), before)
        world.advance(30)
        self.backlog(world, BIG[0], 30)
        world.until(lambda: len(mxs[BIG[0]].ledger) > 240)
        self.assertLessEqual(world.domain(BIG[0]).total_connections(), 2)

    def test_two_lines(self) -> None:
        """
        Where each connection needs a place under two limits of one, nobody who is
        offered the one waits for ever for somebody who is offered the other.
        """
        world = self.world(
            ServerTests.NO_RESERVE.format(1)
            + "scope_max_outbound_connections = 1\nmax_deliveries_per_connection = 1\n"
            + "[host.'/^mx1/']\nscope_max_outbound_connections = 1\noutbound_throttle_messages = \"5\"\n"
        )
        domains = (*BIG, SMALL)
        mxs = self.receivers(world, *domains)
        for domain in domains:
            self.backlog(world, domain, 15)
        world.advance(60)
        self.assertEqual([len(mxs[domain].ledger) for domain in domains], [15] * 4)
        self.assertEqual(world.mainlog("TP"), [])

    def test_idle_gives_way(self) -> None:
        """
        A connection that waits for mail leaves its place to a domain that needs
        one.
        """
        world = self.world(ServerTests.NO_RESERVE.format(1) + "idle_timeout = 600\n")
        mxs = self.receivers(world, *BIG[:2])
        self.backlog(world, BIG[0], 1)
        world.advance(1)
        self.assertEqual(world.domain(BIG[0]).connection_count(0), 1)
        self.backlog(world, BIG[1], 1)
        world.advance(1)
        self.assertEqual(len(mxs[BIG[1]].ledger), 1)

    def test_slots_take_turns(self) -> None:
        """
        Where a domain's own bindings compete for one place, none is left out.
        """
        world = self.world(ServerTests.NO_RESERVE.format(1) + "[binding.b]\n")
        mxs = self.receivers(world, BIG[0])
        self.backlog(world, BIG[0], 60)
        world.until(lambda: bool(mxs[BIG[0]].ledger))
        for _ in range(3):
            self.accept(world, [f"s@{BIG[0]}"], **{"X-Binding": "b"})
        world.until(lambda: not world.domain(BIG[0]).mail_queue.active_size(1))
        self.assertGreater(world.domain(BIG[0]).mail_queue.active_size(0), 5)


class ThrottleTests(PlacesCase):
    """
    ``outbound_throttle_connections`` and ``outbound_throttle_messages``.
    """

    def times(self, world: World) -> list[float]:
        """
        When each delivery was logged, in seconds since the start.
        """
        return [float(record["event_time"]) - world.wall() + world.clock.seconds() for record in world.mainlog("D")]

    def test_messages(self) -> None:
        """
        Two in any ten seconds, on whatever connection; the others wait without
        a failure, and go when their time has come.
        """
        world = self.world('[global]\noutbound_throttle_messages = "2/10"\n')
        mx = world.exchanger("example.com")
        begin = world.clock.seconds()
        for number in range(5):
            self.accept(world, [f"r{number}@example.com"])
        for after, count in ((1.0, 2), (9.5, 2), (11.0, 4), (19.5, 4), (21.0, 5)):
            world.advance(begin + after - world.clock.seconds())
            self.assertEqual(len(mx.ledger), count, after)
        self.assertEqual(self.kinds(world).strip("RD"), "")
        self.assertEqual(world.mainlog("TP"), [])

    def test_messages_few_connections(self) -> None:
        """
        No more connections are opened than messages may be sent.
        """
        world = self.world('[global]\noutbound_throttle_messages = "1/60"\n')
        mx = world.exchanger("example.com")
        for number in range(100):
            self.accept(world, [f"r{number}@example.com"])
        world.advance(50)
        self.assertEqual((len(mx.ledger), mx.connections), (1, 1))

    def test_recipients_count(self) -> None:
        """
        Each recipient of a transaction is a message to the throttle, and a batch
        is no larger than the room there is.
        """
        world = self.world('[global]\noutbound_throttle_messages = "3/10"\n')
        mx = world.exchanger("example.com")
        self.accept(world, [f"r{number}@example.com" for number in range(5)])
        world.advance(5)
        self.assertEqual([len(taken.recipients) for taken in mx.ledger], [3])
        world.advance(10)
        self.assertEqual([len(taken.recipients) for taken in mx.ledger], [3, 2])

    def test_shared(self) -> None:
        """
        Domains that have the rate from one table share it; a domain with a rate
        of its own does not.
        """
        world = self.world(
            '[global]\noutbound_throttle_messages = "2/10"\n'
            '[domain."big3.example"]\noutbound_throttle_messages = "100"\n'
        )
        mxs = self.receivers(world, *BIG)
        for domain in BIG:
            self.backlog(world, domain, 10)
        world.advance(5)
        counts = [len(mxs[domain].ledger) for domain in BIG]
        self.assertEqual((counts[0] + counts[1], counts[2]), (2, 10))
        world.advance(100)
        counts = [len(mxs[domain].ledger) for domain in BIG]
        self.assertEqual(counts[0] + counts[1], 20)

    def test_shared_by_turns(self) -> None:
        """
        Domains that wait for one throttle are served by turns.
        """
        world = self.world('[global]\noutbound_throttle_messages = "1/10"\n')
        mxs = self.receivers(world, *BIG)
        for domain in BIG:
            self.backlog(world, domain, 10)
        world.advance(125)
        counts = [len(mxs[domain].ledger) for domain in BIG]
        self.assertLessEqual(max(counts) - min(counts), 1)

    def test_connections(self) -> None:
        """
        One connection in any five seconds.
        """
        world = self.world('[global]\noutbound_throttle_connections = "1/5"\nmax_deliveries_per_connection = 1\n')
        mx = world.exchanger("example.com")
        for number in range(4):
            self.accept(world, [f"r{number}@example.com"])
        for count in (1, 2, 3, 4):
            world.advance(4.9 if count == 1 else 5.0)
            self.assertEqual((mx.connections, len(mx.ledger)), (count, count))
        self.assertEqual(world.mainlog("TP"), [])

    def test_every_address_counts(self) -> None:
        """
        Each address that is tried is a connection to the throttle; the attempt
        that finds no room for the next one ends without a failure of the mail.
        """
        world = self.world('[global]\noutbound_throttle_connections = "1/5"\n')
        world.exchanger("example.com", 10).down()
        good = world.exchanger("example.com", 20)
        self.accept(world, ["r@example.com"])
        world.advance(4)
        self.assertEqual(good.connections, 0)
        world.advance(3)
        self.assertEqual(len(good.ledger), 1)
        self.assertEqual(self.kinds(world), "RD")

    def test_saturated_host(self) -> None:
        """
        A host that may not be connected to now has no weight: its sibling takes
        the mail, and a worse one only when both are saturated.
        """
        world = self.world(
            "[host.'/^mx[12]\\.example/']\noutbound_throttle_connections = \"1/60\"\n"
            "[global]\nmax_deliveries_per_connection = 1\n"
        )
        one = world.exchanger("example.com", 10)
        two = world.exchanger("example.com", 10)
        worse = world.exchanger("example.com", 20)
        for number in range(3):
            self.accept(world, [f"r{number}@example.com"])
        world.advance(1)
        self.assertEqual((one.connections + two.connections, worse.connections), (1, 2))

    def test_all_hosts_saturated(self) -> None:
        """
        With every host saturated the mail stays active, without a failure, and
        goes at the first moment one of them may be used.
        """
        world = self.world(
            '[host."mx1.example.com"]\noutbound_throttle_messages = "1/40"\n'
            '[host."mx2.example.com"]\noutbound_throttle_messages = "1/25"\n'
        )
        one, two = world.exchanger("example.com", 10), world.exchanger("example.com", 20)
        self.backlog(world, "example.com", 3)
        world.advance(24)
        self.assertEqual((len(one.ledger), len(two.ledger)), (1, 1))
        world.advance(3)
        self.assertEqual((len(one.ledger), len(two.ledger)), (1, 2))
        self.assertEqual(world.mainlog("TP"), [])

    def test_reload(self) -> None:
        """
        A stricter rate counts what was sent under the old one; a looser one
        gives room at once.
        """
        world = self.world('[global]\noutbound_throttle_messages = "2/100"\n')
        mx = world.exchanger("example.com")
        for number in range(10):
            self.accept(world, [f"r{number}@example.com"])
        world.advance(5)
        self.assertEqual(len(mx.ledger), 2)
        world.reload('[global]\noutbound_throttle_messages = "1/100"\n')
        world.advance(90)
        self.assertEqual(len(mx.ledger), 2)
        world.reload('[global]\noutbound_throttle_messages = "6/100"\n')
        world.advance(1)
        self.assertEqual(len(mx.ledger), 6)


class TurnTests(SynchronousTestCase):
    """
    Whose turn it is where a connection needs places under two limits.
    """

    def test_otherLine(self) -> None:
        """
        A domain that is offered a place of the one limit has that of the other,
        though it is offered to somebody else: for one connection, and not beyond
        what is free.
        """
        world = dialing.World(ServerTests.NO_RESERVE.format(1) + "scope_max_outbound_connections = 1\n")
        first, one, other = (world.domain(f"{name}.example", "198.51.100.1") for name in ("first", "one", "other"))
        for _ in range(2):
            # The look-up, and then the connection.
            initiate_connection_smtp(first, 0, None)
        handle = first.connections[0][0]
        assert isinstance(handle, ConnectionHandle)
        self.assertTrue(world.limits.refuses(one, 0))
        handle.places[1].wait(other, 0)
        handle.close()
        self.assertTrue(world.limits.refuses(first, 0))
        self.assertFalse(world.limits.refuses(one, 0))
        world.limits.answered(one)
        self.assertFalse(world.limits.refuses(other, 0))
