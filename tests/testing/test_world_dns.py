"""
The world with the resolver of production: stories of what DNS does to mail.
"""

from __future__ import annotations

from momentum_tx.errors import LookupFailed
from momentum_tx.interfaces.services import MXKind
from momentum_tx.testing.datagrams import DatagramPort
from momentum_tx.testing.dns import Fault
from momentum_tx.testing.nameserver import NAMESERVERS
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, NoReports, WorldCase

#: Seconds that one server has, by default.
TIMEOUT = 5.0
#: Seconds in which mail is delivered when nothing is in its way.
SOON = 0.5


class WireCase(WorldCase):
    """
    A world on whose wires DNS is.
    """

    def wire(self, config: str = "", seed: int = 1) -> World:
        """
        A world that is stopped and checked when the test is over.
        """
        world = World(seed, config, [NoReports()], dns="wire")
        self.addCleanup(self.finish, world)
        return world

    def finish(self, world: World) -> None:
        """
        Stop the service; of its lookups nothing is left either, once answers
        that were under way have arrived.
        """
        super().finish(world)
        world.advance(60)
        self.assertEqual([port for port in world.datagrams.open_ports() if port.place[0] not in NAMESERVERS], [])
        self.assertEqual(world.network.open_transports(), [])
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def delivered(self, world: World, mx: Receiver, after: float) -> None:
        """
        See the mail delivered after so many seconds, and not before.
        """
        world.advance(after)
        self.assertEqual(mx.ledger, [])
        world.advance(SOON)
        self.assertEqual(len(mx.ledger), 1)

    def questions(self, world: World) -> list[tuple[str, str]]:
        """
        What was asked, of whatever server: names and types.
        """
        return [asked[:2] for server in world.nameservers for asked in server.asked]


class StoryTests(WireCase):
    """
    What happens to the mail.
    """

    def test_same_as_scripted(self) -> None:
        """
        A story comes out the same, whoever answers: delivery, a null MX, a
        domain that does not exist, a fallback to the address, a failure that
        passes.
        """
        told = []
        for world in (self.world(), self.wire()):
            mx = world.exchanger("example.com")
            world.resolver.mx["nomail.example"] = MXKind.NULL
            world.resolver.mx["broken.example"] = LookupFailed("SERVFAIL")
            world.resolver.addresses["host.example"] = [world.receiver().address]
            for domain in ("example.com", "nomail.example", "nowhere.example", "host.example", "broken.example"):
                self.accept(world, [f"bob@{domain}"])
                world.advance(60)
            world.resolver.mx["broken.example"] = [(10, "mx1.example.com")]
            world.advance(3600)
            told.append([(record.kind, record["domain"]) for record in world.mainlog()])
            self.assertEqual(self.taken(mx), [b"bob@example.com", b"bob@broken.example"])
        self.assertEqual(told[0], told[1])

    def test_lost_datagram(self) -> None:
        """
        A lost datagram costs the timeout; then the next server is asked.
        """
        world = self.wire()
        mx = world.exchanger("example.com")
        world.datagrams.dropping = 1
        self.accept(world)
        world.until(lambda: world.datagrams.lost == 1)
        self.delivered(world, mx, TIMEOUT - 0.01)
        self.assertEqual([len(server.asked) for server in world.nameservers], [0, 2])

    def test_timeout_is_an_option(self) -> None:
        """
        The timeout is the one that was configured, and so are the servers: one
        alone is asked again.
        """
        world = self.wire(f'[global]\ndns_timeout = 2\nnameservers = ["{NAMESERVERS[1]}"]\n')
        mx = world.exchanger("example.com")
        world.datagrams.dropping = 1
        self.accept(world)
        world.until(lambda: world.datagrams.lost == 1)
        self.delivered(world, mx, 1.99)
        self.assertEqual([len(server.asked) for server in world.nameservers], [0, 2])

    def test_silence(self) -> None:
        """
        While no server answers mail waits, through a crash too; it is delivered
        when they are back.
        """
        world = self.wire()
        mx = world.exchanger("example.com")
        world.resolver.silent = True
        self.accept(world)
        world.advance(1800)
        world.crash()
        world.advance(1800)
        self.assertEqual((mx.ledger, world.queued()), ([], 1))
        self.assertNotIn("P", self.kinds(world))
        world.resolver.silent = False
        world.advance(3600)
        self.assertEqual((self.taken(mx), world.queued()), ([BOB.encode()], 0))

    def test_truncated(self) -> None:
        """
        Answers that do not fit come over TCP.
        """
        world = self.wire()
        mx = world.exchanger("example.com")
        world.resolver.faults["example.com"] = Fault.TRUNCATED
        world.resolver.addresses["mx1.example.com"] = [mx.address, *(f"198.51.101.{n}" for n in range(90))]
        self.accept(world)
        self.delivered(world, mx, 0)
        self.assertEqual([asked.stream for asked in world.nameservers[0].asked], [False, True] * 2)

    def test_aliases(self) -> None:
        """
        A domain that is an alias of an alias gets its mail, whether or not the
        servers follow them for us.
        """
        for fault in (None, Fault.ONE_LINK):
            world = self.wire()
            mx = world.exchanger("example.com")
            world.resolver.aliases.update({"a.example": "b.example", "b.example": "example.com"})
            world.resolver.aliases["mx.example"] = "mx1.example.com"
            world.resolver.mx["example.com"] = [(10, "mx.example")]
            world.resolver.fault = fault
            self.accept(world, ["bob@a.example"])
            self.delivered(world, mx, 0)
            self.assertEqual(len(self.questions(world)), 2 if fault is None else 5)

    def test_lifetime(self) -> None:
        """
        Within its life an answer is not asked for again, beyond it it is.
        """
        world = self.wire()
        world.resolver.ttl = 1000
        mx = world.exchanger("example.com")
        for wait, asked in ((990, 2), (20, 2), (0, 4)):
            self.accept(world)
            world.advance(wait or SOON)
            self.assertEqual(len(self.questions(world)), asked)
        self.assertEqual(len(mx.ledger), 3)

    def test_negative_lifetime(self) -> None:
        """
        A domain that is set up is found when the news of its absence is stale.
        """
        world = self.wire()
        world.resolver.negative_ttl = 100
        self.accept(world)
        world.advance(50)
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(45)
        self.assertEqual((self.kinds(world), len(mx.ledger)), ("RPRP", 0))
        world.advance(5)
        self.accept(world)
        world.advance(SOON)
        self.assertEqual((self.kinds(world), len(mx.ledger)), ("RPRPRD", 1))

    def test_shared_exchanger(self) -> None:
        """
        Ten domains with one exchanger ask for its address once between them.
        """
        world = self.wire()
        mx = world.exchanger("example.com")
        names = [f"d{number}.example" for number in range(10)]
        for name in names:
            world.resolver.mx[name] = [(10, "mx1.example.com")]
        world.resolver.delay = 2.0
        self.accept(world, [f"bob@{name}" for name in names])
        world.advance(30)
        self.assertEqual(sorted(self.taken(mx)), sorted(f"bob@{name}".encode() for name in names))
        self.assertEqual(world.resolver.addresses_asked, ["mx1.example.com"])
        self.assertEqual(sorted(world.resolver.mx_asked), names)

    def test_first_server_dead(self) -> None:
        """
        With the first of two servers gone mail is hardly late; with it silent
        the first lookup costs its timeout, and those of the next minute nothing.
        """
        for gone in (True, False):
            world = self.wire()
            mx, other = world.exchanger("example.com"), world.exchanger("other.example")
            if gone:
                world.nameservers[0].stop()
            else:
                world.nameservers[0].fault = Fault.SILENT
            self.accept(world)
            self.delivered(world, mx, 0 if gone else TIMEOUT - 0.25)
            self.accept(world, ["bob@other.example"])
            self.delivered(world, other, 0)
            self.assertEqual(len(world.nameservers[0].asked), 0 if gone else 1)

    def test_first_server_lame(self) -> None:
        """
        A server that answers with nothing at all costs no domain its mail: the
        next one is asked.
        """
        world = self.wire()
        mx = world.exchanger("example.com")
        world.nameservers[0].fault = Fault.LAME
        self.accept(world)
        self.delivered(world, mx, 0)
        world.nameservers[1].fault = Fault.LAME
        world.exchanger("example.net")
        self.accept(world, ["eve@example.net"])
        world.advance(SOON)
        self.assertEqual(self.kinds(world), "RDRT")
        self.assertIn("lame", self.last(world, "T")["note"])

    def test_weather(self) -> None:
        """
        Where every third datagram is lost, and the rest come late, twice and in
        any order, all mail is delivered within a day, and once.
        """
        world = self.wire()
        exchangers = [world.exchanger(f"d{number}.example") for number in range(20)]
        weather = world.datagrams
        weather.loss, weather.duplication, weather.straggling, weather.jitter = 0.33, 0.33, 0.1, 3.0
        for number in range(20):
            self.accept(world, [f"bob@d{number}.example"])
        world.advance(86400)
        self.assertEqual([len(mx.ledger) for mx in exchangers], [1] * 20)
        self.assertGreater(weather.lost, 5)

    def test_same_seed(self) -> None:
        """
        The same seed gives the same questions and the same mainlog, to the
        octet; another one another.
        """
        stories = []
        for seed in (1, 1, 2):
            world = self.wire(seed=seed)
            world.datagrams.loss, world.datagrams.jitter = 0.5, 1.0
            for number in range(5):
                world.exchanger(f"d{number}.example")
            self.accept(world, [f"bob@d{number}.example" for number in range(5)])
            world.advance(600)
            world.service.mainlog.flush()
            stories.append((world.log.content, self.questions(world), world.datagrams.lost))
        self.assertEqual(stories[0], stories[1])
        self.assertNotEqual(stories[0], stories[2])


class LifeTests(WireCase):
    """
    What the death of a process leaves.
    """

    def test_leftovers_are_seen(self) -> None:
        """
        A question under way is a port that is held, or a connection.
        """
        world = self.wire()
        world.resolver.silent = True
        self.accept(world)
        world.advance(1)
        self.assertEqual([type(held) for held in world.leftovers()].count(DatagramPort), 1)
        world.resolver.silent, world.resolver.fault = False, Fault.TRUNCATED
        world.resolver.delay = 0.5
        world.until(lambda: bool(world.reactor.connectors))
        for held in world.reactor.connectors:
            self.assertIn(held, world.leftovers())

    def test_stop_in_a_lookup(self) -> None:
        """
        A stop does not wait for DNS, and holds nothing of it afterwards.
        """
        world = self.wire()
        world.resolver.silent = True
        self.accept(world)
        world.advance(1)
        began = world.clock.seconds()
        world.stop()
        self.assertLess(world.clock.seconds() - began, 3)
        self.assertEqual(world.leftovers(), [])

    def test_kill_in_a_lookup(self) -> None:
        """
        A process that is killed in the middle of a lookup leaves nothing behind,
        and its answer finds nobody; the next one asks again and delivers.
        """
        for fault in (None, Fault.TRUNCATED):
            world = self.wire()
            mx = world.exchanger("example.com")
            world.resolver.delay, world.resolver.fault = 3.0, fault
            self.accept(world)
            world.advance(1)
            if fault is not None:
                world.until(lambda world=world: world.nameservers[0].asked[-1].stream)  # type: ignore[misc]
            world.kill()
            self.assertEqual(world.leftovers(), [])
            world.advance(10)
            self.assertEqual(len(world.datagrams.open_ports()), len(NAMESERVERS))
            self.assertEqual(world.network.open_transports(), [])
            self.assertEqual(world.clock.getDelayedCalls(), [])
            world.build()
            world.start()
            world.advance(60)
            self.assertEqual(len(mx.ledger), 1)
            self.assertEqual(world.resolver.mx_asked.count("example.com"), 2 if fault is None else 4)

    def test_tables_survive(self) -> None:
        """
        All that is said of DNS outlives a crash and a power cut, on the wire or not.
        """
        for world in (self.wire(), self.world()):
            zone = world.resolver
            mx = world.exchanger("example.com")
            zone.ttl, zone.delay, zone.negative_ttl = 77, 1.0, 30
            zone.delays["example.com"] = 2.0
            zone.aliases["alias.example"] = "example.com"
            zone.faults["broken.example"] = Fault.SERVFAIL
            before = {name: value for name, value in vars(zone).items() if not name.endswith("_asked")}
            for end in (world.crash, world.power_cut):
                end()
                self.assertIs(world.resolver, zone)
                after = {name: value for name, value in vars(zone).items() if not name.endswith("_asked")}
                self.assertEqual(after, before)
                self.accept(world, ["bob@alias.example"])
                world.advance(0.9)
                taken = len(mx.ledger)
                world.advance(60)
                self.assertEqual(len(mx.ledger), taken + 1)
