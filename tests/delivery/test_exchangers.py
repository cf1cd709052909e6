"""
Which exchangers are found for a domain: what an operator writes in ``routes``,
and what DNS says.  What follows from it for mail is tested in
``test_routing``.
"""

from momentum_tx.errors import LookupFailed
from momentum_tx.interfaces.services import MXKind
from momentum_tx.queues.domain import MXType
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, WorldCase

#: What the service calls itself.
OURS = "mail.sender.example"
PROHIBITED = "551 5.4.6 [internal] Private/Loopback Address"


class RoutesTests(WorldCase):
    """
    The option ``routes``.
    """

    def routed(self, *routes: str, more: str = "") -> World:
        """
        A world in which mail for example.com has these routes.
        """
        return self.world(f'[domain."example.com"]\nroutes = {list(routes)!r}\n{more}'.replace("'", '"'))

    def host(self, world: World, name: str, address: str = "") -> Receiver:
        """
        A receiver that DNS knows by name.
        """
        receiver = world.receiver(address)
        world.resolver.addresses[name] = [receiver.address]
        return receiver

    def list_of(self, world: World) -> list[tuple[int, str, int]]:
        """
        The exchangers that were found: preference, host and port.
        """
        return [(mx.preference, mx.host.name, mx.port) for mx in world.domain("example.com").mxlist]

    def test_first_is_used_alone(self) -> None:
        """
        Without preferences the first route gets everything as long as it can be
        reached; then the second does.
        """
        world = self.routed("one.example.org", "two.example.org", more="retry_interval = 10\n")
        one, two = self.host(world, "one.example.org"), self.host(world, "two.example.org")
        for number in range(5):
            self.accept(world, subject=str(number))
            world.advance(10)
        self.assertEqual((len(one.ledger), len(two.ledger)), (5, 0))
        world.network.refuse(one.address)
        self.accept(world, subject="more")
        world.advance(1)
        self.assertEqual((len(one.ledger), len(two.ledger)), (5, 1))

    def test_equal_preferences_share(self) -> None:
        """
        Routes of the same preference share the mail.
        """
        world = self.routed("smtp://10.0.0.7?pref=10", "smtp://10.0.0.8?pref=10", "smtp://10.0.0.9?pref=20")
        receivers = [world.receiver(f"10.0.0.{number}") for number in (7, 8, 9)]
        for number in range(30):
            self.accept(world, subject=str(number))
            world.advance(10)
        one, two, worse = (len(receiver.ledger) for receiver in receivers)
        self.assertGreater(min(one, two), 5)
        self.assertEqual((one + two, worse), (30, 0))

    def test_preference_beats_order(self) -> None:
        """
        A written preference counts, wherever the route stands; one without comes
        after all that stand before it.
        """
        world = self.routed("smtp://10.0.0.7?pref=10", "10.0.0.8", "smtp://10.0.0.9?pref=5")
        receivers = [world.receiver(f"10.0.0.{number}") for number in (7, 8, 9)]
        self.accept(world)
        world.advance(1)
        self.assertEqual([len(receiver.ledger) for receiver in receivers], [0, 0, 1])
        self.assertEqual(self.list_of(world), [(0, "10.0.0.9", 0), (1, "10.0.0.7", 0), (2, "10.0.0.8", 0)])

    def test_port(self) -> None:
        """
        A port is that of the one route, in either spelling.
        """
        world = self.routed("smtp://10.0.0.7?port=2525", "esmtp://[2001:db8::7]:26", "10.0.0.8")
        receiver = world.receiver("10.0.0.8")
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.list_of(world), [(0, "10.0.0.7", 2525), (1, "2001:db8::7", 26), (2, "10.0.0.8", 0)])
        self.assertEqual(self.taken(receiver), [BOB.encode()])
        self.assertIn(("192.0.2.1", "10.0.0.7", 2525), world.network.dialled)

    def test_own_exchangers_keep_their_order(self) -> None:
        """
        ``__mx__`` stands for the exchangers of the domain, which keep the order
        that DNS gives them.
        """
        world = self.routed("10.0.0.7", "__mx__", "10.0.0.9")
        worse, best = world.exchanger("example.com", 20), world.exchanger("example.com", 10)
        world.exchanger("example.com", 10)
        self.accept(world)
        world.advance(1)
        self.assertEqual(
            self.list_of(world),
            [
                (0, "10.0.0.7", 0),
                (1, "mx2.example.com", 0),
                (1, "mx3.example.com", 0),
                (2, "mx1.example.com", 0),
                (3, "10.0.0.9", 0),
            ],
        )
        self.assertEqual(len(worse.ledger), 0)
        self.assertLessEqual(len(best.ledger), 1)

    def test_only_own_exchangers(self) -> None:
        """
        A domain whose only route is ``__mx__`` is left out of routes for all: its
        mail goes where DNS says, and fails where DNS says that none is taken.
        """
        world = self.world('[global]\nroutes = ["10.0.0.9"]\n[domain."example.com"]\nroutes = ["__mx__"]\n')
        mx, hub = world.exchanger("example.com"), world.receiver("10.0.0.9")
        self.accept(world)
        self.accept(world, ["eve@example.net"])
        world.advance(1)
        self.assertEqual((self.taken(mx), self.taken(hub)), ([BOB.encode()], [b"eve@example.net"]))
        self.assertIs(world.domain("example.com").mx_type, MXType.MX)
        other = self.routed("__mx__")
        other.resolver.mx["example.com"] = MXKind.NULL
        self.accept(other)
        other.advance(1)
        self.assertEqual(self.kinds(other), "RP")

    def test_exchangers_of_a_host(self) -> None:
        """
        ``type=mx`` asks for the exchangers of the named host, ``type=a`` for its
        addresses; a host without MX is its own exchanger.
        """
        for route, expected in (
            ("smtp://hub.example.org?type=mx", [(0, "mx1.hub.example.org", 0), (1, "mx2.hub.example.org", 0)]),
            (
                "smtp://hub.example.org?type=mx&port=26",
                [(0, "mx1.hub.example.org", 26), (1, "mx2.hub.example.org", 26)],
            ),
            ("smtp://hub.example.org?type=a", [(0, "hub.example.org", 0)]),
            ("hub.example.org", [(0, "hub.example.org", 0)]),
            ("smtp://plain.example.org?type=mx", [(0, "plain.example.org", 0)]),
            ("smtp://10.0.0.7?type=mx", [(0, "10.0.0.7", 0)]),
        ):
            world = self.routed(route)
            # The machines of an operator may have private addresses.
            world.exchanger("hub.example.org", 10, "10.0.0.1")
            world.exchanger("hub.example.org", 20, "10.0.0.2")
            self.host(world, "hub.example.org", "10.0.0.3")
            self.host(world, "plain.example.org", "10.0.0.4")
            world.receiver("10.0.0.7")
            self.accept(world)
            world.advance(1)
            self.assertEqual(self.list_of(world), expected, route)

    def test_lifetime(self) -> None:
        """
        What a route leads to is kept as long as its ttl says, or else DNS, and
        for an hour if that was not asked; the shortest of all counts.
        """
        for routes, life in (
            (("hub.example.org",), 300),
            (("smtp://hub.example.org?ttl=40",), 40),
            (("smtp://hub.example.org?ttl=900",), 900),
            (("10.0.0.7",), 3600),
            (("smtp://10.0.0.7?ttl=77", "hub.example.org"), 77),
        ):
            world = self.routed(*routes)
            self.host(world, "hub.example.org")
            world.receiver("10.0.0.7")
            self.accept(world)
            world.advance(1)
            self.assertEqual(round(world.domain("example.com").expiry - world.wall() + 1), life)

    def test_some_unknown(self) -> None:
        """
        Routes of which DNS says nothing do not keep mail from the others, and are
        asked for again soon.
        """
        world = self.routed("lame.example.org", "smtp://hub.example.org?type=mx", "__mx__", "10.0.0.9")
        world.resolver.addresses["lame.example.org"] = LookupFailed("SERVFAIL")
        world.resolver.mx["hub.example.org"] = LookupFailed("SERVFAIL")
        world.resolver.mx["example.com"] = LookupFailed("SERVFAIL")
        last = world.receiver("10.0.0.9")
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.taken(last), [BOB.encode()])
        self.assertLess(world.domain("example.com").expiry - world.wall(), 31)

    def test_asked_together(self) -> None:
        """
        All routes are asked for at once: many slow answers take no longer than one.
        """
        world = self.routed("one.example.org", "two.example.org", "__mx__")
        one = self.host(world, "one.example.org")
        self.host(world, "two.example.org")
        world.exchanger("example.com")
        world.resolver.delay = 3.0
        self.accept(world)
        world.advance(6.5)
        self.assertEqual(self.taken(one), [BOB.encode()])

    def test_private_exchangers_of_strangers(self) -> None:
        """
        What DNS says of the recipient's domain stays a stranger's word also
        beside routes an operator wrote.
        """
        world = self.routed("__mx__", "10.0.0.9")
        world.resolver.mx["example.com"] = [(10, "private.example.com")]
        world.resolver.addresses["private.example.com"] = ["10.0.0.1"]
        last = world.receiver("10.0.0.9")
        self.accept(world)
        world.advance(1)
        self.assertEqual(self.taken(last), [BOB.encode()])
        self.assertNotIn("10.0.0.1", [address for _, address, _ in world.network.dialled])


class DNSTests(WorldCase):
    """
    Domains without routes.
    """

    def test_ourselves(self) -> None:
        """
        Where we are an exchanger of the domain, mail goes to a better one or to none:
        from a worse one it would come back.
        """
        world = self.world()
        best, worst = world.exchanger("example.com", 10), world.exchanger("example.com", 30)
        world.resolver.mx["example.com"] = [(10, "mx1.example.com"), (20, OURS), (30, "mx2.example.com")]
        world.resolver.addresses[OURS] = ["198.51.100.77"]
        world.network.refuse(best.address)
        self.accept(world)
        world.advance(60)
        self.assertEqual([mx.host.name for mx in world.domain("example.com").mxlist], ["mx1.example.com"])
        self.assertEqual((worst.connections, self.kinds(world)), (0, "RT"))

    def test_many_exchangers(self) -> None:
        """
        Of a domain with hundreds of exchangers only the twenty best are asked for.
        """
        world = self.world()
        mx = world.receiver()
        names = [f"mx{number}.example.com" for number in range(300)]
        world.resolver.mx["example.com"] = [(number, name) for number, name in enumerate(names)]
        for name in names:
            world.resolver.addresses[name] = [mx.address]
        self.accept(world)
        world.advance(1)
        self.assertEqual(world.resolver.addresses_asked, names[:20])
        self.assertEqual(self.taken(mx), [BOB.encode()])

    def test_shared_exchanger_is_asked_once(self) -> None:
        """
        A host that stands twice in a list is asked for once.
        """
        world = self.world()
        mx = world.exchanger("example.com", 10)
        world.resolver.mx["example.com"] = [(10, "mx1.example.com"), (20, "mx1.example.com")]
        self.accept(world)
        world.advance(1)
        self.assertEqual(world.resolver.addresses_asked, ["mx1.example.com"])
        self.assertEqual(self.taken(mx), [BOB.encode()])


class FullyResolveTests(WorldCase):
    """
    ``fully_resolve_before_smtp``.
    """

    def slow_best(self, config: str) -> tuple[World, Receiver, Receiver]:
        """
        A domain whose best exchanger's address takes DNS half a minute.
        """
        world = self.world(config)
        best, worse = world.exchanger("example.com", 10), world.exchanger("example.com", 20)
        world.resolver.delays["mx1.example.com"] = 30.0
        self.accept(world)
        return world, best, worse

    def test_all(self) -> None:
        """
        As a rule nothing begins before every address is known, and the best
        exchanger is used.
        """
        world, best, worse = self.slow_best("")
        world.advance(25)
        self.assertEqual((len(best.ledger), len(worse.ledger)), (0, 0))
        world.advance(10)
        self.assertEqual((len(best.ledger), len(worse.ledger)), (1, 0))

    def test_first(self) -> None:
        """
        Without it mail leaves by the first exchanger that has an address; the
        best one is used when its address is known.
        """
        world, best, worse = self.slow_best('[domain."example.com"]\nfully_resolve_before_smtp = false\n')
        world.advance(10)
        self.assertEqual((len(best.ledger), len(worse.ledger)), (0, 1))
        world.advance(30)
        self.accept(world)
        world.advance(5)
        self.assertEqual((len(best.ledger), len(worse.ledger)), (1, 1))

    def test_none(self) -> None:
        """
        Where no exchanger has an address, all of them have been asked.
        """
        world = self.world("[global]\nfully_resolve_before_smtp = false\n")
        world.resolver.mx["example.com"] = [(10, "a.example.com"), (20, "b.example.com")]
        world.resolver.addresses["a.example.com"] = LookupFailed("SERVFAIL")
        world.resolver.addresses["b.example.com"] = []
        self.accept(world)
        world.advance(5)
        self.assertIn("no mail exchanger has a known address", self.last(world, "T")["note"])


class SkipTests(WorldCase):
    """
    ``skip_hosts``.
    """

    def test_others_are_used(self) -> None:
        """
        An address, a host or all hosts of a kind are left out, and others of the
        domain get the mail, worse as they may be.
        """
        for entry in ("198.51.100.1", "198.51.100.1/32", "mx1.example.com", r"/^mx1\\./"):
            world = self.world(f'[global]\nskip_hosts = ["{entry}"]\n')
            best, worse = world.exchanger("example.com", 10), world.exchanger("example.com", 20)
            self.accept(world)
            world.advance(1)
            self.assertEqual((best.connections, len(worse.ledger)), (0, 1), entry)

    def test_all(self) -> None:
        """
        If all are, the mail waits, and goes when that is over; nothing is given up.
        """
        world = self.world('[global]\nskip_hosts = ["/example/"]\nretry_interval = 60\n')
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(50)
        self.assertEqual(self.kinds(world), "RT")
        self.assertIn("no MXs for this domain could be reached", self.last(world, "T")["note"])
        world.reload("[global]\nretry_interval = 60\n")
        world.advance(30)
        self.assertEqual(self.taken(mx), [BOB.encode()])

    def test_operators_hosts(self) -> None:
        """
        It applies to routes and gateways as well, for that is how a machine of
        one's own is taken out of service.
        """
        for option in ('routes = ["10.0.0.8", "10.0.0.9"]', 'gateway = "hub.internal"'):
            world = self.world(f'[global]\nskip_hosts = ["10.0.0.8"]\n[domain."example.com"]\n{option}\n')
            one, other = world.receiver("10.0.0.8"), world.receiver("10.0.0.9")
            world.resolver.mx["hub.internal"] = []
            world.resolver.addresses["hub.internal"] = ["10.0.0.8", "10.0.0.9"]
            self.accept(world)
            world.advance(1)
            self.assertEqual((one.connections, len(other.ledger)), (0, 1), option)

    def test_reload(self) -> None:
        """
        It holds at once: sessions end after their transaction, and a connection
        that was to go on to a host that is left out now does not.
        """
        world = self.world("[global]\nmax_outbound_connections = 1\nmax_recipients_per_batch = 1\n")
        best, worse = world.exchanger("example.com", 10), world.exchanger("example.com", 20)
        world.network.line(best.address).latency = 0.2
        self.accept(world, [f"b{number}@example.com" for number in range(10)])
        world.until(lambda: len(best.ledger) == 2)
        world.reload(world.config_text + 'skip_hosts = ["mx1.example.com"]\n')
        world.advance(60)
        self.assertLessEqual(len(best.ledger), 3)
        self.assertEqual(len(best.ledger) + len(worse.ledger), 10)

    def test_before_the_dial(self) -> None:
        """
        An address that comes to be left out while another one is being tried is
        not tried any more.
        """
        world = self.world()
        first = world.exchanger("example.com", 10)
        second = world.exchanger("example.com", 20)
        world.network.line(first.address).latency = 1.0
        world.network.refuse(first.address)
        self.accept(world)
        world.advance(0.5)
        world.reload('[global]\nskip_hosts = ["mx2.example.com"]\n')
        world.advance(10)
        self.assertEqual(second.connections, 0)


class AddressAsNameTests(WorldCase):
    """
    ``mxip``.
    """

    def given(self, exchanger: str, config: str = "") -> World:
        """
        A world in which a domain has an address for an exchanger.
        """
        world = self.world(f"[global]\nmxip = true\n{config}")
        world.resolver.mx["example.com"] = [(10, exchanger)]
        self.mx = world.receiver(exchanger)
        self.accept(world)
        world.advance(1)
        return world

    def test_used(self) -> None:
        """
        With it the address is connected to; DNS is not asked for its address.
        """
        world = self.given("198.51.100.77")
        self.assertEqual((self.taken(self.mx), world.resolver.addresses_asked), ([BOB.encode()], []))

    def test_ipv6(self) -> None:
        """
        An IPv6 address needs ``use_ipv6``.
        """
        for use, kinds in (("true", "RD"), ("false", "RT")):
            world = self.given("2001:db8:1::77", f"use_ipv6 = {use}\n")
            self.assertEqual(self.kinds(world), kinds)

    def test_prohibited(self) -> None:
        """
        It is a stranger's word: a private address is not connected to.
        """
        world = self.given("10.0.0.1")
        self.assertEqual((self.kinds(world), self.last(world, "P")["note"]), ("RP", PROHIBITED))
