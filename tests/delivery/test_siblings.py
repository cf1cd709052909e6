"""
Tests of :mod:`momentum_tx.delivery.siblings`: domains behind the same exchanger
go on with each other's connections.
"""

from __future__ import annotations

from zope.interface import implementer

from momentum_tx.delivery.siblings import LOOKS
from momentum_tx.interfaces.hooks import (
    IConnectionGoal,
    IDecOutboundConnections,
    IIncOutboundConnections,
    IPremigrateOutboundConnection,
    IVetoHostConnection,
)
from momentum_tx.interfaces.records import IConnectionHandle, IDomainRecord
from momentum_tx.testing.behaviours import Tarpit
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.tls import ModelledCertificate
from momentum_tx.testing.world import World

from ..worlds import SENDER, WorldCase

ONE, TWO, THREE = "one.example", "two.example", "three.example"
SHARED = "mx.shared.example"
#: One connection for everybody.
TIGHT = "[global]\nserver_max_outbound_connections = 1\nserver_reserve_outbound_connections = 0\n"


class SiblingCase(WorldCase):
    """
    Domains that one exchanger serves.
    """

    def shared(self, world: World, *domains: str, name: str = SHARED) -> Receiver:
        """
        The one exchanger of these domains.
        """
        mx = world.receiver()
        world.resolver.addresses[name] = [mx.address]
        for domain in domains or (ONE, TWO):
            world.resolver.mx[domain] = [(10, name)]
        return mx

    def mail(self, world: World, domain: str, count: int = 1) -> None:
        """
        Messages for a domain, at once, each a reception of its own.
        """
        for number in range(count):
            world.send(SENDER, [f"r{number}@{domain}"], world.message()).addErrback(lambda _: None)

    def follow(self, world: World, mx: Receiver) -> int:
        """
        A message for the first domain, and when its connection is idle one for
        the second.

        :returns: connections that this took.
        """
        self.mail(world, ONE)
        world.advance(1)
        self.mail(world, TWO)
        world.advance(2)
        return mx.connections


class IdleTests(SiblingCase):
    """
    Mail that comes while a sibling's connection is idle.
    """

    def test_taken_over(self) -> None:
        """
        It goes on that connection at once, and the log names the domain that the
        message was for and the connection it went on.
        """
        world = self.world()
        mx = self.shared(world)
        self.assertEqual(self.follow(world, mx), 1)
        first, second = world.mainlog("D")
        self.assertEqual((first["domain"], second["domain"]), (ONE, TWO))
        self.assertEqual(first["conn_id"], second["conn_id"])
        self.assertEqual(world.domain(ONE).connections, {})
        self.assertEqual(world.domain(TWO).connection_count(0), 1)
        self.assertEqual(len(mx.ledger), 2)
        self.assertEqual(world.service.delivery.records.connections, 1)
        world.advance(10)
        self.assertEqual(world.service.delivery.records.connections, 0)

    def test_off(self) -> None:
        """
        Not where ``migrate_connections_between_sibling_domains`` is false.
        """
        world = self.world("[global]\nmigrate_connections_between_sibling_domains = false\n")
        self.assertEqual(self.follow(world, self.shared(world)), 2)

    def test_binding(self) -> None:
        """
        Not from another binding.
        """
        world = self.world('[binding.b1]\nbind_address = "192.0.2.2"\n')
        mx = self.shared(world)
        self.mail(world, ONE)
        world.advance(1)
        self.accept(world, [f"r@{TWO}"], X_Binding="b1")
        world.advance(2)
        self.assertEqual(mx.connections, 2)

    def test_same_tls(self) -> None:
        """
        Where a certificate is verified, only if it is good for the other domain as well,
        under a name that one would have looked for.
        """
        options = '[global]\ntls = "required"\ntls_verify = "{}"\n'
        for verify, names, expected in (
            ("no", (ONE,), 1),
            ("ca", (ONE,), 1),
            ("host", (SHARED,), 1),
            ("host", (ONE, TWO), 2),
            ("optional", (SHARED,), 1),
            ("optional", ("other.example",), 2),
        ):
            world = self.world(options.format(verify))
            mx = self.shared(world)
            mx.starttls, mx.certificate = True, ModelledCertificate(names=names)
            self.assertEqual(self.follow(world, mx), expected, (verify, names))
            self.assertEqual([taken.encrypted for taken in mx.ledger], [True, True])

    def test_settled_when_opened(self) -> None:
        """
        Not where the second domain would have opened another connection.
        """
        for option in ('ehlo_hostname = "other.sender.example"', 'tls = "ifavailable"', "remote_smtp_port = 2525"):
            world = self.world(f'[domain."{TWO}"]\n{option}\n')
            mx = self.shared(world)
            other = world.receiver(mx.address, 2525)
            self.assertEqual(self.follow(world, mx) + other.connections, 2, option)

    def test_asked_anew(self) -> None:
        """
        Options that concern the queue may differ; from then on those of the
        second domain hold, such as its ``idle_timeout``.
        """
        world = self.world(f'[domain."{TWO}"]\nretry_interval = 7\nidle_timeout = 40\n')
        self.assertEqual(self.follow(world, self.shared(world)), 1)
        world.advance(30)
        self.assertEqual(world.domain(TWO).connection_count(0), 1)
        world.advance(20)
        self.assertEqual(world.domain(TWO).connection_count(0), 0)

    def test_deliveries(self) -> None:
        """
        ``max_deliveries_per_connection`` of the second domain counts what the
        connection has delivered for the first.
        """
        for most, connections in ((1, 2), (2, 1)):
            world = self.world(f'[domain."{TWO}"]\nmax_deliveries_per_connection = {most}\n')
            self.assertEqual(self.follow(world, self.shared(world)), connections)

    def test_recipients(self) -> None:
        """
        So does ``max_recipients_per_connection``.
        """
        for most, connections in ((1, 2), (2, 1)):
            world = self.world(f'[domain."{TWO}"]\nmax_recipients_per_connection = {most}\n')
            self.assertEqual(self.follow(world, self.shared(world)), connections)

    def test_maximum(self) -> None:
        """
        A domain that has as many connections as it may takes none over, also
        none that counts against a total of a table.
        """
        for option in ("max_outbound_connections", "scope_max_outbound_connections"):
            world = self.world(f'[domain."{TWO}"]\n{option} = 1\nconnection_allocation_aggressiveness = "high"\n')
            mx = self.shared(world)
            mx.add(Tarpit(0.5, "dot"))
            self.mail(world, ONE, 3)
            world.advance(0.1)
            self.assertEqual(world.domain(ONE).total_connections(), 1)
            self.mail(world, TWO, 8)
            while len(mx.ledger) < 11:
                world.advance(0.05)
                self.assertLessEqual(world.domain(TWO).total_connections(), 1)
            self.assertLessEqual(mx.connections, 2)

    def test_message_throttle(self) -> None:
        """
        A domain that may send nothing at the moment takes no connection over.
        """
        world = self.world(f'[domain."{TWO}"]\noutbound_throttle_messages = "1/60"\n[global]\nidle_timeout = 20\n')
        mx = self.shared(world)
        self.mail(world, TWO)
        world.advance(1)
        self.assertEqual(self.follow(world, mx), 1)
        self.assertEqual(world.domain(ONE).connection_count(0), 1)
        self.assertEqual(len(mx.ledger), 2)
        world.advance(60)
        self.assertEqual(len(mx.ledger), 3)

    def test_own_throttle(self) -> None:
        """
        The connection of a domain that waits for its own throttle stays its own.
        """
        world = self.world(f'[domain."{ONE}"]\noutbound_throttle_messages = "1/3"\nmax_outbound_connections = 1\n')
        mx = self.shared(world)
        self.mail(world, ONE, 2)
        world.advance(1)
        self.mail(world, TWO)
        world.advance(1)
        self.assertEqual(mx.connections, 2)
        world.advance(5)
        self.assertEqual(len(mx.ledger), 3)
        self.assertEqual(mx.connections, 2)

    def test_suspended(self) -> None:
        """
        Suspended mail stays where it is.
        """
        world = self.world(f'[domain."{TWO}"]\nsuspend_delivery = true\n')
        mx = self.shared(world)
        self.assertEqual(self.follow(world, mx), 1)
        self.assertEqual(len(mx.ledger), 1)

    def test_of_suspended(self) -> None:
        """
        The connection of a domain that was suspended is free for others, whatever
        mail it has.
        """
        world = self.world(TIGHT)
        mx = self.shared(world)
        mx.add(Tarpit(1.0, "dot"))
        self.mail(world, ONE, 3)
        self.mail(world, TWO)
        world.advance(0.5)
        world.reload(f'{TIGHT}[domain."{ONE}"]\nsuspend_delivery = true\n')
        world.advance(5)
        self.assertEqual(mx.connections, 1)
        self.assertEqual(self.taken(mx), [b"r0@one.example", b"r0@two.example"])

    def test_better_exchanger(self) -> None:
        """
        A domain for which the peer is second choice connects to its first, as
        long as that can be reached.
        """
        for reachable, connections in ((True, 2), (False, 1)):
            world = self.world()
            mx = self.shared(world)
            better = world.exchanger(TWO, 5)
            world.resolver.mx[TWO] = [(5, f"mx2.{TWO}"), (10, SHARED)]
            if not reachable:
                world.network.refuse(better.address)
                # It is known to be down when the second message comes.
                self.mail(world, TWO)
                world.advance(1)
            self.mail(world, ONE)
            world.advance(1)
            self.mail(world, TWO)
            world.advance(2)
            self.assertEqual(mx.connections + better.connections, connections)

    def test_equal_exchangers(self) -> None:
        """
        Of two exchangers that a domain likes equally, the one with an idle
        connection is as good.
        """
        world = self.world()
        mx = self.shared(world)
        equal = world.exchanger(TWO, 10)
        world.resolver.mx[TWO] = [(10, f"mx2.{TWO}"), (10, SHARED)]
        self.assertEqual(self.follow(world, mx), 1)
        self.assertEqual(equal.connections, 0)

    def test_prohibited(self) -> None:
        """
        An address that has become prohibited is used by no further domain.
        """
        world = self.world()
        mx = self.shared(world)
        self.mail(world, ONE)
        self.mail(world, TWO)
        world.advance(10)
        self.mail(world, ONE)
        world.advance(1)
        before = mx.connections
        world.reload(f'[global]\nprohibited_hosts = ["{mx.address}/32"]\n')
        self.mail(world, TWO)
        world.advance(2)
        self.assertEqual(len(mx.ledger), 3)
        self.assertEqual(mx.connections, before)

    def test_closed_under_way(self) -> None:
        """
        A connection that the peer closes while it changes hands costs no
        message a retry.
        """
        world = self.world()
        mx = self.shared(world)
        self.mail(world, ONE)
        world.advance(1)
        world.network.sever(mx.address, 25)
        self.mail(world, TWO)
        world.advance(2)
        self.assertEqual(world.mainlog("T"), [])
        self.assertEqual(len(mx.ledger), 2)

    def test_failing_domain(self) -> None:
        """
        A domain that could not reach its exchanger goes on when a sibling has,
        and counts as reached.
        """
        world = self.world("[global]\nhost_failure_retry = 1\nretry_interval = 30\nidle_timeout = 60\n")
        mx = self.shared(world)
        world.network.refuse(mx.address)
        self.mail(world, TWO)
        world.advance(5)
        self.assertTrue(world.domain(TWO).contact_failing_since)
        world.network.restore(mx.address)
        self.mail(world, ONE)
        world.advance(30)
        self.assertEqual(mx.connections, 1)
        self.assertEqual(len(mx.ledger), 2)
        self.assertFalse(world.domain(TWO).contact_failing_since)


class WaitingTests(SiblingCase):
    """
    Mail that waits for a connection while siblings have some.
    """

    def test_goes_on(self) -> None:
        """
        Where there may be one connection, it serves one domain after the other,
        the one that has waited longest first, and is never opened anew.
        """
        world = self.world(TIGHT)
        mx = self.shared(world, ONE, TWO, THREE)
        mx.add(Tarpit(0.1, "dot"))
        for domain in (ONE, TWO, THREE):
            self.mail(world, domain, 3)
            world.advance(0.05)
        world.until(lambda: len(world.mainlog("D")) == 9)
        self.assertEqual(mx.connections, 1)
        self.assertEqual([record["domain"] for record in world.mainlog("D")], [ONE] * 3 + [TWO] * 3 + [THREE] * 3)
        self.assertEqual(world.mainlog("T"), [])

    def test_stranger_has_its_turn(self) -> None:
        """
        Siblings that hand a connection on to each other keep nobody else from
        having one.
        """
        world = self.world(TIGHT)
        mx = self.shared(world, ONE, TWO)
        other = world.exchanger(THREE)
        for each in (mx, other):
            each.add(Tarpit(0.1, "dot"))
        self.mail(world, ONE, 5)
        self.mail(world, TWO, 100)
        world.advance(0.2)
        self.mail(world, THREE)
        world.until(lambda: bool(other.ledger))
        self.assertLess(len(mx.ledger), 25)

    def test_more_than_are_looked_at(self) -> None:
        """
        Any number of domains that cannot use the connection are in nobody's way
        for long.
        """
        names = [f"d{number}.example" for number in range(3 * LOOKS)]
        suspended = "".join(f'[domain."{name}"]\nsuspend_delivery = true\n' for name in names)
        world = self.world(TIGHT + "idle_timeout = 1\n" + suspended)
        mx = self.shared(world, ONE, TWO, *names)
        mx.add(Tarpit(0.5, "dot"))
        for name in names:
            self.mail(world, name)
        world.advance(1)
        self.mail(world, ONE, 5)
        world.advance(0.1)
        self.mail(world, TWO)
        world.advance(20)
        self.assertEqual(len(mx.ledger), 6)


@implementer(IPremigrateOutboundConnection, IIncOutboundConnections, IDecOutboundConnections)
class Accountant:
    """
    Counts connections by domain.
    """

    def __init__(self) -> None:
        self.open: dict[str, int] = {}
        self.moves: list[tuple[str, str, str]] = []

    def inc_outbound_connections(self, handle: IConnectionHandle) -> None:
        self._count(handle.dr, 1)

    def dec_outbound_connections(self, handle: IConnectionHandle) -> None:
        self._count(handle.dr, -1)

    def premigrate_outbound_connection(
        self, handle: IConnectionHandle, src: IDomainRecord, dest: IDomainRecord
    ) -> None:
        self.moves.append((src.domain, dest.domain, handle.dr.domain))
        self._count(src, -1)
        self._count(dest, 1)

    def _count(self, dr: IDomainRecord, change: int) -> None:
        self.open[dr.domain] = self.open.get(dr.domain, 0) + change


class HookTests(SiblingCase):
    """
    What hooks have to do with it.
    """

    def test_told(self) -> None:
        """
        ``premigrate_outbound_connection`` is told once, and whoever counts by it
        counts right.
        """
        accountant = Accountant()
        world = self.world(providers=[accountant])
        mx = self.shared(world)
        self.follow(world, mx)
        self.assertEqual(accountant.moves, [(ONE, TWO, TWO)])
        self.assertEqual(accountant.open, {ONE: 0, TWO: 1})
        world.advance(10)
        self.assertEqual(accountant.open, {ONE: 0, TWO: 0})

    def test_raising(self) -> None:
        """
        A provider that raises is logged, and the mail goes.
        """

        @implementer(IPremigrateOutboundConnection)
        class Broken:
            """
            Raises.
            """

            def premigrate_outbound_connection(
                self, handle: IConnectionHandle, src: IDomainRecord, dest: IDomainRecord
            ) -> None:
                raise RuntimeError("premigrate")

        world = self.world(providers=[Broken()])
        mx = self.shared(world)
        self.assertEqual(self.follow(world, mx), 1)
        self.assertEqual(len(mx.ledger), 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_veto(self) -> None:
        """
        A host that ``veto_host_connection`` forbids a domain gets none of its mail
        by migration; the connection itself is none of those counted.
        """
        asked: list[tuple[str, str, int]] = []

        @implementer(IVetoHostConnection)
        class NotTwo:
            """
            Forbids one domain the host, for a while.
            """

            vetoes = True

            def veto_host_connection(
                self, host: str, dr: IDomainRecord, binding_slot: int, max_conns: int, cur_conns: int
            ) -> bool:
                asked.append((host, dr.domain, cur_conns))
                return self.vetoes and dr.domain == TWO

        provider = NotTwo()
        world = self.world("[global]\nidle_timeout = 60\n", providers=[provider])
        mx = self.shared(world)
        self.assertEqual(self.follow(world, mx), 1)
        self.assertEqual(len(mx.ledger), 1)
        self.assertIn((SHARED, TWO, 0), asked)
        provider.vetoes = False
        self.mail(world, TWO)
        world.advance(1)
        self.assertEqual(mx.connections, 1)
        # The first one as well: its domain has been reached now.
        self.assertEqual(len(mx.ledger), 3)

    def test_goal(self) -> None:
        """
        A domain that is to have no connections gets none by migration.
        """

        @implementer(IConnectionGoal)
        class NoneForTwo:
            """
            Wants none for one domain.
            """

            def connection_goal(self, dr: IDomainRecord, binding_slot: int, queued: int, goal: int) -> int:
                return 0 if dr.domain == TWO else goal

        world = self.world(providers=[NoneForTwo()])
        mx = self.shared(world)
        self.assertEqual(self.follow(world, mx), 1)
        self.assertEqual(len(mx.ledger), 1)


class MemoryTests(SiblingCase):
    """
    What is known of siblings goes with them.
    """

    def test_forgotten(self) -> None:
        """
        When all mail has gone nobody stands in line, and a host that serves no
        known domain is not counted for any.
        """
        world = self.world(TIGHT)
        mx = self.shared(world)
        mx.add(Tarpit(0.1, "dot"))
        self.mail(world, ONE, 20)
        self.mail(world, TWO, 20)
        world.advance(0.5)
        siblings = world.service.delivery.sessions.siblings
        self.assertTrue(siblings._lines)
        host = world.domain(ONE).mxlist[0].host
        self.assertEqual(host.domains, 2)
        world.advance(60)
        self.assertEqual((siblings._lines, siblings._places, siblings._idle, siblings._ways), ({}, {}, {}, {}))
        world.advance(7200)
        self.assertEqual(len(world.service.delivery.records), 0)
        self.assertEqual(host.domains, 0)

    def test_last_message_on_idle_session(self) -> None:
        """
        A domain leaves the line with its last message, also where only the slot of that was looked at.
        """
        world = self.world("[global]\nmax_outbound_connections = 1\n")
        mx = self.shared(world)
        mx.add(Tarpit(0.1, "dot"))
        self.mail(world, ONE, 20)
        self.mail(world, TWO, 20)
        world.advance(0.5)
        world.until(lambda: not any(world.domain(each).mail_queue.size() for each in (ONE, TWO)))
        world.advance(0.3)
        siblings = world.service.delivery.sessions.siblings
        self.assertTrue(siblings._lines)
        self.mail(world, ONE)
        self.mail(world, TWO)
        world.advance(3600)
        self.assertEqual((siblings._lines, siblings._places), ({}, {}))
