"""
Tests of :mod:`momentum_tx.delivery.rollups`: domains behind the same exchangers
that share a queue.
"""

from __future__ import annotations

from momentum_tx.errors import LookupFailed
from momentum_tx.interfaces.services import MXKind
from momentum_tx.policy.rollup import ranked, set_name
from momentum_tx.testing.behaviours import Tarpit
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import SENDER, WorldCase

ONE, TWO = "one.example", "two.example"
SHARED = "mx.shared.example"
#: The routing domain that tables name.
ALL = "all.example"
BY_HOST = f'[host."{SHARED}"]\nrollup_mx = true\n'
BY_NAME = f'{BY_HOST}rollup_mx_name = "{ALL}"\n'
BY_SET = "[global]\nrollup_by_mx_set = true\n"
OF_SET = set_name(ranked([(10, SHARED)]))


class RollupCase(WorldCase):
    """
    Domains that one exchanger serves.
    """

    def shared(self, world: World, *domains: str) -> Receiver:
        """
        The one exchanger of these domains.
        """
        mx = world.receiver()
        world.resolver.addresses[SHARED] = [mx.address]
        world.resolver.mx[SHARED] = MXKind.NONE
        for domain in domains or (ONE, TWO, ALL):
            world.resolver.mx[domain] = [(10, SHARED)]
        return mx

    def mail(self, world: World, domain: str, count: int = 1) -> None:
        """
        Messages for a domain, at once, each a reception of its own.
        """
        for number in range(count):
            world.send(SENDER, [f"r{number}@{domain}"], world.message()).addErrback(lambda _: None)

    def queues(self, world: World, kind: str = "D") -> list[str]:
        """
        The routing domains of all records of one type.
        """
        return [record["domain"] for record in world.mainlog(kind)]

    def queued(self, world: World) -> dict[str, int]:
        """
        How much each routing domain has.
        """
        sizes = {dr.domain: dr.mail_queue.size() for dr in world.service.delivery.records}
        return {name: size for name, size in sizes.items() if size}


class ByHostTests(RollupCase):
    """
    ``rollup_mx`` and ``rollup_mx_name``.
    """

    def test_named(self) -> None:
        """
        Mail of the domains is queued under the name, and logged under it; what
        was received is logged under the recipient's domain.
        """
        world = self.world(BY_NAME)
        self.shared(world)
        self.mail(world, ONE)
        self.mail(world, TWO)
        world.advance(2)
        self.assertEqual(self.queues(world), [ALL, ALL])
        self.assertEqual(self.queues(world, "R"), [ONE, TWO])
        self.mail(world, ONE)
        world.advance(2)
        self.assertEqual(self.queues(world), [ALL] * 3)

    def test_unnamed(self) -> None:
        """
        Without a name it is that of the host.
        """
        world = self.world(BY_HOST)
        mx = self.shared(world)
        self.mail(world, ONE)
        self.mail(world, TWO)
        world.advance(2)
        self.assertEqual(self.queues(world), [SHARED, SHARED])
        self.assertEqual(len(mx.ledger), 2)

    def test_off(self) -> None:
        """
        Without ``rollup_mx`` a name does nothing.
        """
        world = self.world(f'[host."{SHARED}"]\nrollup_mx_name = "{ALL}"\n')
        self.shared(world)
        self.mail(world, ONE)
        world.advance(2)
        self.assertEqual(self.queues(world), [ONE])

    def test_options(self) -> None:
        """
        The options of the routing domain apply, and the domains' own do not.
        """
        config = f'[domain."{ALL}"]\nmax_outbound_connections = 2\n[domain."{ONE}"]\nsuspend_delivery = true\n'
        world = self.world(BY_NAME + config)
        mx = self.shared(world)
        mx.add(Tarpit(0.05, "dot"))
        self.mail(world, ONE, 40)
        self.mail(world, TWO, 40)
        most = 0
        while len(mx.ledger) < 80:
            world.advance(0.02)
            most = max(most, world.service.delivery.records.connections)
        self.assertEqual(most, 2)

    def test_one_transaction(self) -> None:
        """
        Recipients of one message in different domains share a transaction.
        """
        world = self.world(BY_NAME)
        mx = self.shared(world)
        self.accept(world, [f"a@{ONE}", f"b@{TWO}"])
        world.advance(2)
        self.assertEqual(sorted(mx.ledger[0].recipients), [b"a@one.example", b"b@two.example"])

    def test_delayed_moves(self) -> None:
        """
        Mail that waits for its time when the exchangers become known moves as
        well, many slices of it, keeps its time, and is tried no sooner.
        """
        world = self.world(BY_NAME)
        self.shared(world)
        later = world.wall() + 3600
        for number in range(500):
            world.send(SENDER, [f"r{number}@{ONE}"], world.message(), not_before=later).addErrback(lambda _: None)
        world.advance(1)
        self.assertEqual(self.queued(world), {ONE: 500})
        self.mail(world, ONE)
        world.advance(2)
        self.assertEqual(self.queued(world), {ALL: 500})
        self.assertEqual(self.queues(world), [ALL])
        world.advance(3700)
        self.assertEqual(self.queues(world), [ALL] * 501)
        self.assertTrue(all(record["retries"] == "0" for record in world.mainlog("D")))
        self.assertEqual(world.mainlog("T"), [])

    def test_restart(self) -> None:
        """
        After a crash everything is there, and finds the queue anew.
        """
        world = self.world(BY_NAME + f'[domain."{ALL}"]\nsuspend_delivery = true\n')
        self.shared(world)
        self.mail(world, ONE)
        self.mail(world, TWO)
        world.advance(2)
        self.assertEqual(self.queued(world), {ALL: 2})
        world.config_text = BY_NAME
        world.crash()
        world.advance(2)
        self.assertEqual(self.queues(world), [ALL, ALL])

    def test_best_host_decides(self) -> None:
        """
        Of several hosts with a table, the one that is preferred decides.
        """
        world = self.world(f'{BY_NAME}[host."mx1.{ONE}"]\nrollup_mx = true\nrollup_mx_name = "other.example"\n')
        self.shared(world)
        world.exchanger("other.example")
        world.exchanger(ONE, 20)
        world.resolver.mx[ONE] = [(20, f"mx1.{ONE}"), (10, SHARED)]
        self.mail(world, ONE)
        world.advance(2)
        self.assertEqual(self.queues(world), [ALL])

    def test_no_way(self) -> None:
        """
        While mail cannot be delivered by way of the name, each domain keeps its
        queue, and an operator is told once.
        """
        for said in (MXKind.NULL, MXKind.NXDOMAIN, LookupFailed("SERVFAIL")):
            world = self.world(BY_NAME)
            self.shared(world)
            world.resolver.mx[ALL] = said
            told: list[str] = []
            self.patch(world.service.hooks, "tell_error", lambda now, level, text, told=told: told.append(text))
            self.mail(world, ONE)
            self.mail(world, TWO)
            world.advance(5)
            self.assertEqual(sorted(self.queues(world)), [ONE, TWO])
            self.assertEqual([text.startswith(f"no domain is rolled up to {ALL}: ") for text in told], [True])

    def test_host_with_mail_elsewhere(self) -> None:
        """
        The name of a host whose own mail goes to others is no routing domain.
        """
        world = self.world(BY_HOST)
        mx = self.shared(world)
        other = world.exchanger("other.example")
        world.resolver.mx[SHARED] = [(10, "mx1.other.example")]
        self.mail(world, ONE)
        world.advance(5)
        self.assertEqual(self.queues(world), [ONE])
        self.assertEqual((len(mx.ledger), len(other.ledger)), (1, 0))

    def test_way_is_lost(self) -> None:
        """
        A name that vanishes fails nobody's mail: it goes by its own domain's
        exchangers after its next attempt, and so does what comes later.
        """
        world = self.world(BY_NAME + "[global]\nretry_interval = 60\nmax_dns_ttl = 30\n")
        mx = self.shared(world)
        mx.on("MAIL", b"450 4.3.2 Later", times=1)
        self.mail(world, ONE)
        world.advance(5)
        self.assertEqual(self.queued(world), {ALL: 1})
        world.resolver.mx[ALL] = MXKind.NXDOMAIN
        self.mail(world, TWO)
        world.advance(600)
        self.mail(world, TWO)
        world.advance(1200)
        self.assertEqual(world.mainlog("P"), [])
        self.assertEqual(self.queued(world), {})
        self.assertEqual(len(mx.ledger), 3)

    def test_no_circle(self) -> None:
        """
        Tables that send mail from name to name and back move none twice.
        """
        other = "mx.other.example"
        world = self.world(f'{BY_NAME}[host."{other}"]\nrollup_mx = true\nrollup_mx_name = "{TWO}"\n')
        mx = self.shared(world, ONE, TWO)
        world.resolver.mx[ALL] = [(10, other)]
        world.resolver.addresses[other] = [mx.address]
        for domain in (ONE, TWO, ALL):
            self.mail(world, domain)
        world.advance(5)
        self.assertEqual(sorted(self.queues(world)), [ALL, ALL, TWO])

    def test_operator_named(self) -> None:
        """
        A domain with routes, or with a gateway, goes where an operator sends it.
        """
        for option in (f'routes = ["{SHARED}"]', f'gateway = "{SHARED}"'):
            world = self.world(f'{BY_NAME}[domain."{ONE}"]\n{option}\n')
            self.shared(world)
            self.mail(world, ONE)
            world.advance(2)
            self.assertNotIn(ALL, self.queues(world))

    def test_other_exchangers(self) -> None:
        """
        When the domain has other exchangers, mail that is queued later follows
        them, and so does mail whose next attempt fails.
        """
        world = self.world(BY_NAME + "[global]\nmax_dns_ttl = 60\nretry_interval = 100\n")
        mx = self.shared(world)
        mx.on("MAIL", b"450 4.3.2 Not here any more")
        self.mail(world, ONE)
        world.advance(5)
        self.assertEqual(self.queued(world), {ALL: 1})
        new = world.exchanger("new.example")
        world.resolver.mx[ONE] = [(10, "mx1.new.example")]
        world.advance(70)
        world.send(SENDER, [f"later@{ONE}"], world.message()).addErrback(lambda _: None)
        world.advance(5)
        self.assertEqual(self.taken(new), [b"later@one.example"])
        world.advance(3600)
        self.assertEqual(self.queued(world), {})
        self.assertEqual(self.taken(new), [b"later@one.example", b"r0@one.example"])

    def test_reload(self) -> None:
        """
        Where a reload takes the table away, mail that comes has the domain's own
        queue at once.
        """
        world = self.world(BY_NAME)
        self.shared(world)
        self.mail(world, ONE)
        world.advance(2)
        world.reload("")
        self.mail(world, ONE)
        world.advance(2)
        self.assertEqual(self.queues(world), [ALL, ONE])


class BySetTests(RollupCase):
    """
    ``rollup_by_mx_set``.
    """

    def test_shared(self) -> None:
        """
        Domains with the same exchangers share a queue, whose name begins with
        that of the best one.
        """
        world = self.world(BY_SET)
        mx = self.shared(world)
        self.mail(world, ONE)
        self.mail(world, TWO)
        world.advance(2)
        self.assertEqual(self.queues(world), [OF_SET, OF_SET])
        self.assertTrue(OF_SET.startswith(f"{SHARED}."))
        self.assertEqual(len(mx.ledger), 2)

    def test_off(self) -> None:
        """
        By default they do not.
        """
        world = self.world()
        self.shared(world)
        self.mail(world, ONE)
        world.advance(2)
        self.assertEqual(self.queues(world), [ONE])

    def test_order_counts(self) -> None:
        """
        What preferences are in numbers is nobody's business, their order is.
        """
        world = self.world(BY_SET)
        first, second = world.exchanger("a.example", 1), world.exchanger("a.example", 5)
        names = ["mx1.a.example", "mx2.a.example"]
        world.resolver.mx[ONE] = [(10, names[0]), (20, names[1])]
        world.resolver.mx[TWO] = [(10, names[1]), (20, names[0])]
        for domain in ("a.example", ONE, TWO):
            self.mail(world, domain)
        world.advance(2)
        queues = dict(zip(self.queues(world, "R"), self.queues(world), strict=True))
        self.assertEqual(len(set(queues.values())), 2)
        self.assertEqual((len(first.ledger), len(second.ledger)), (2, 1))

    def test_options(self) -> None:
        """
        Options may be written for the name, or for a regex that begins like it.
        """
        for table in (f'[domain."{OF_SET}"]', f"[domain.'/^{SHARED}/']"):
            world = self.world(f"{BY_SET}{table}\nmax_outbound_connections = 1\n")
            mx = self.shared(world)
            self.mail(world, ONE, 20)
            self.mail(world, TWO, 20)
            world.until(lambda mx=mx: len(mx.ledger) == 40)  # type: ignore[misc]
            self.assertEqual(mx.most_open, 1)

    def test_own_options(self) -> None:
        """
        A domain of which a table says anything keeps its queue and its options,
        unless that table says that it shall share.
        """
        for said, queue in (("", ONE), ("rollup_by_mx_set = true\n", OF_SET)):
            world = self.world(f'{BY_SET}[domain."{ONE}"]\nretry_interval = 77\n{said}')
            self.shared(world)
            self.mail(world, ONE)
            world.advance(2)
            self.assertEqual(self.queues(world), [queue])

    def test_one_domain(self) -> None:
        """
        It may be written for one domain alone.
        """
        world = self.world(f'[domain."{ONE}"]\nrollup_by_mx_set = true\n')
        self.shared(world)
        self.mail(world, ONE)
        self.mail(world, TWO)
        world.advance(2)
        self.assertEqual(sorted(self.queues(world)), sorted([OF_SET, TWO]))

    def test_stays_out(self) -> None:
        """
        One domain may be left out of what holds for all.
        """
        world = self.world(f'{BY_SET}[domain."{ONE}"]\nrollup_by_mx_set = false\n')
        self.shared(world)
        self.mail(world, ONE)
        world.advance(2)
        self.assertEqual(self.queues(world), [ONE])

    def test_name_is_taken(self) -> None:
        """
        A message to the very name fails by itself and spoils nothing.
        """
        world = self.world(BY_SET)
        self.shared(world)
        world.resolver.mx[OF_SET] = MXKind.NXDOMAIN
        self.mail(world, OF_SET)
        world.advance(2)
        self.assertEqual(len(world.mainlog("P")), 1)
        self.mail(world, ONE)
        world.advance(2)
        self.assertEqual(self.queues(world), [OF_SET])

    def test_all_prohibited(self) -> None:
        """
        Exchangers that may not be connected to get no mail under whatever name;
        nothing of it fails for others' sake.
        """
        world = self.world(BY_SET)
        self.shared(world)
        world.resolver.addresses[SHARED] = ["10.0.0.1"]
        self.mail(world, ONE)
        world.advance(30)
        self.assertEqual(self.queues(world), [])
        self.assertEqual([address for _, address, _ in world.network.dialled if address == "10.0.0.1"], [])
