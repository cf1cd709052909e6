"""
Connections for mail that do not come about, and what the queue suffers.
"""

from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.delivery.initiate import open_connection
from momentum_tx.delivery.initiate_smtp import MailConnections, initiate_connection_smtp
from momentum_tx.errors import HookReentered
from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces.hooks import (
    ICheckOutboundConnThrottle,
    IConnectionGoal,
    IConnectionPostBind,
    ILogClientConnectionFailure,
    IPostInitiateConnectionSmtp,
)
from momentum_tx.interfaces.records import IDomainRecord
from momentum_tx.interfaces.services import IConnectionInitiator

from ..worlds import BOB, SENDER, WorldCase

NO_MXS = "421 4.4.0 [internal] no MXs for this domain could be reached at this time"
NO_HOSTS = "451 4.4.1 [internal] No valid hosts (unable to make any connections)"
TIMED_OUT = "450 4.4.1 [internal] Connection Timed Out"
TOO_MANY = "451 4.4.1 [internal] No valid hosts (too many connection failures)"


@implementer(ILogClientConnectionFailure, IPostInitiateConnectionSmtp)
class Watcher:
    """
    Remembers the failures it was told of.
    """

    def __init__(self) -> None:
        self.failures: list[tuple[str | None, ConnFlag]] = []
        self.begun: list[int] = []

    def log_client_connection_failure(
        self, addr: object, err: int, dr: IDomainRecord, binding_slot: int, now: float | None
    ) -> None:
        self.failures.append((getattr(addr, "host", None), ConnFlag(err)))

    def post_initiate_connection_smtp(
        self, dr: IDomainRecord, binding_slot: int, now: float | None, conn_fd: int
    ) -> None:
        self.begun.append(conn_fd)


class DeadHostTests(WorldCase):
    """
    Exchangers that cannot be connected to.
    """

    def test_next_exchanger_in_the_same_attempt(self) -> None:
        """
        A refused connect, or no route, leads to the next exchanger at once; the
        message has no failure.
        """
        for spoil in ("refuse", "unreachable"):
            watcher = Watcher()
            world = self.world(providers=[watcher])
            first, second = world.exchanger("example.com", 5), world.exchanger("example.com", 10)
            getattr(world.network, spoil)(first.address)
            self.accept(world)
            world.advance(1)
            self.assertEqual(self.kinds(world), "RD")
            self.assertEqual(self.taken(second), [BOB.encode()])
            self.assertEqual(watcher.failures, [])

    def test_secondary_address(self) -> None:
        """
        With ``bind_address_secondary`` a binding fails over from a host of the
        one family to one of the other, each from its own address.
        """
        world = self.world(
            "[global]\nuse_ipv6 = true\nprefer_ipv6_mxs = true\n"
            '[binding.b1]\nbind_address = "192.0.2.2"\nbind_address_secondary = "2001:db8::1"\n'
        )
        four, six = world.exchanger("example.com"), world.exchanger("example.com", address="2001:db8:7::1")
        self.accept(world, X_Binding="b1")
        world.advance(1)
        world.network.refuse(six.address)
        world.advance(10)
        self.accept(world, X_Binding="b1")
        world.advance(1)
        self.assertEqual([taken.source for taken in six.ledger], ["2001:db8::1"])
        self.assertEqual([taken.source for taken in four.ledger], ["192.0.2.2"])
        self.assertEqual(self.kinds(world), "RDRD")

    def test_out_of_reach_is_not_counted(self) -> None:
        """
        An exchanger of a family the binding has no address of does not keep the
        others' failures from ``mx_failures_to_delay``; with a second address it does.
        """
        for second, delayed in (("", 3), ('bind_address_secondary = "2001:db8::1"\n', 1)):
            world = self.world(
                "[global]\nuse_ipv6 = true\nmx_failures_to_delay = 1\nmax_addresses_per_attempt = 1\n"
                f'[binding.b1]\nbind_address = "192.0.2.2"\nmax_outbound_connections = 1\n{second}'
            )
            four, six = world.exchanger("example.com", 5), world.exchanger("example.com", 10, "2001:db8:7::1")
            world.network.refuse(four.address)
            world.network.black_hole(six.address)
            self.accept(world, ["a@example.com", "b@example.com", "c@example.com"], X_Binding="b1")
            world.advance(1)
            self.assertEqual(len(world.mainlog("T")), delayed, second)

    def test_all_refused(self) -> None:
        """
        No exchanger takes connections: the message is requeued by the schedule,
        and the hook hears one failure with the last address.
        """
        watcher = Watcher()
        world = self.world(providers=[watcher])
        first, second = world.exchanger("example.com", 5), world.exchanger("example.com", 10)
        world.network.refuse(first.address)
        world.network.refuse(second.address)
        self.accept(world)
        world.advance(10)
        self.assertEqual(self.last(world, "T")["note"], NO_HOSTS)
        self.assertEqual(self.last(world, "T")["stage"], "0")
        self.assertEqual(
            watcher.failures,
            [(second.address, ConnFlag.ERROR_CONNECT_NETWORK | ConnFlag.ACTION_REQUEUE1)],
        )
        world.network.restore(first.address)
        world.advance(1200)
        self.assertEqual(self.kinds(world), "RTD")

    def test_black_hole(self) -> None:
        """
        No answer within ``connect_timeout`` ends the attempt, and the note says
        so; the next exchanger has its turn in the next attempt.
        """
        world = self.world("[global]\nconnect_timeout = 20\nhost_failure_retry = 3600\n")
        first, second = world.exchanger("example.com", 5), world.exchanger("example.com", 10)
        world.network.black_hole(first.address)
        self.accept(world)
        world.advance(19.9)
        self.assertEqual(self.kinds(world), "R")
        world.advance(0.2)
        self.assertEqual(self.last(world, "T")["note"], TIMED_OUT)
        world.advance(1300)
        self.assertEqual(self.kinds(world), "RTD")
        self.assertEqual(self.taken(second), [BOB.encode()])

    def test_left_alone(self) -> None:
        """
        A host that failed is not tried again for ``host_failure_retry``; mail
        that comes meanwhile is told that nothing can be reached.
        """
        world = self.world("[global]\nhost_failure_retry = 600\n")
        mx = world.exchanger("example.com")
        world.network.refuse(mx.address)
        self.accept(world, subject="one")
        world.advance(10)
        tries = world.network.dialled.count(("192.0.2.1", mx.address, 25))
        self.accept(world, subject="two")
        world.advance(10)
        self.assertEqual(self.last(world, "T")["note"], NO_MXS)
        self.assertEqual(world.network.dialled.count(("192.0.2.1", mx.address, 25)), tries)
        self.assertEqual(tries, 1)

    def test_reset_while_connecting(self) -> None:
        """
        A peer that accepts and resets at once is like one that will not have us.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.on("connect", lambda session, line: session.transport.abortConnection() or b"", times=1)
        self.accept(world)
        world.advance(10)
        self.assertEqual(self.kinds(world), "RT")
        world.advance(1300)
        self.assertEqual(self.kinds(world), "RTD")


class SuspendedTests(WorldCase):
    """
    Delivery is suspended while an address is being tried.
    """

    def test_next_address(self) -> None:
        """
        The attempt ends with the address that is being tried.
        """
        world = self.world()
        for _ in range(2):
            mx = world.exchanger("example.com")
            world.network.refuse(mx.address)
            world.network.line(mx.address).latency = 1.0
        self.accept(world)
        world.advance(0.5)
        world.reload('[global]\nmax_retries = 0\n[domain."example.com"]\nsuspend_delivery = true\n')
        world.advance(3600)
        self.assertEqual(len([place for _, place, port in world.network.dialled if port == 25]), 1)
        # No message has suffered for it.
        self.assertEqual(self.kinds(world), "R")

    def test_own_connection(self) -> None:
        """
        Who opens a connection of his own where delivery is suspended tries every
        address, as anywhere.
        """
        world = self.world('[domain."example.com"]\nsuspend_delivery = true\n')
        first = world.exchanger("example.com")
        world.exchanger("example.com", 20)
        world.network.refuse(first.address)
        opening = open_connection(world.service.delivery.domain_record("example.com"), 0)
        world.advance(1)
        handle = self.successResultOf(opening)
        self.assertEqual(len(handle.tries), 2)
        handle.close()


class LastTryTests(WorldCase):
    """
    A failed connection costs a message its last try.
    """

    def test_others_go_on(self) -> None:
        """
        The others of the domain are looked after at once, as if it had been
        requeued.
        """
        world = self.world("[global]\nnever_retry = true\nconnect_timeout = 5\ndelayed_queue_scan_interval = 3600\n")
        mx = world.exchanger("example.com")
        world.network.black_hole(mx.address)
        for number in range(3):
            self.accept(world, subject=str(number))
        world.advance(4.9)
        self.assertEqual(self.kinds(world), "RRR")
        world.advance(1)
        # The others find no host left to try, one after the other.
        self.assertEqual(self.kinds(world), "RRRTPTPTP")


class AskedTests(WorldCase):
    """
    A hook that is asked something initiates a connection.
    """

    def test_throttle_grants_nothing(self) -> None:
        """
        It is refused before the throttle is asked: what that would have granted
        is not lost on it.
        """
        asked: list[str] = []

        @implementer(IConnectionGoal, ICheckOutboundConnThrottle)
        class Greedy:
            def connection_goal(self, dr: IDomainRecord, binding_slot: int, queued: int, goal: int) -> int:
                try:
                    initiate_connection_smtp(dr, binding_slot, None)  # type: ignore[arg-type]
                except HookReentered:
                    asked.append("refused")
                return goal

            def check_outbound_conn_throttle(
                self, binding_id: int, dr: IDomainRecord, now: float | None, later: float
            ) -> float:
                asked.append("throttle")
                return later

        world = self.world(providers=[Greedy()])
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(1)
        self.assertEqual((asked[:2], asked.count("throttle"), len(mx.ledger)), (["refused", "throttle"], 1, 1))


class DelayTests(WorldCase):
    """
    When a whole domain is delayed.
    """

    def test_mx_failures_to_delay(self) -> None:
        """
        With ``mx_failures_to_delay = 3`` the third failure of the only host
        delays all active mail, which is then told why.
        """
        world = self.world("[global]\nmx_failures_to_delay = 3\nhost_failure_retry = 0\nmax_outbound_connections = 1\n")
        mx = world.exchanger("example.com")
        world.network.refuse(mx.address)
        for number in range(8):
            world.send(SENDER, [BOB], world.message(str(number)))
        world.advance(120)
        notes = [record["note"] for record in world.mainlog("T")]
        self.assertEqual(notes.count(TOO_MANY), 5)
        self.assertEqual(notes.count(NO_HOSTS), 3)
        self.assertEqual(world.domain("example.com").mail_queue.active_size(), 0)
        world.network.restore(mx.address)
        world.advance(1300)
        self.assertEqual(len(mx.ledger), 8)

    def test_success_clears_the_count(self) -> None:
        """
        A connection that comes about clears the count.
        """
        world = self.world("[global]\nmx_failures_to_delay = 3\nhost_failure_retry = 0\nmax_outbound_connections = 1\n")
        mx = world.exchanger("example.com")
        for number in range(6):
            world.network.refuse(mx.address)
            self.accept(world, subject=str(number))
            world.advance(1)
            world.network.restore(mx.address)
            self.accept(world, subject="good")
            world.advance(1)
        self.assertNotIn(TOO_MANY, [record["note"] for record in world.mainlog("T")])

    def test_connect_timeout_to_delay(self) -> None:
        """
        A domain that could not be contacted for ``connect_timeout_to_delay``
        has all its active mail delayed.
        """
        world = self.world(
            "[global]\nconnect_timeout_to_delay = 100\nhost_failure_retry = 0\nmax_outbound_connections = 1\n"
            "mx_failures_to_delay = 0\ndelayed_queue_scan_interval = 30\n"
        )
        mx = world.exchanger("example.com")
        world.network.refuse(mx.address)
        for number in range(10):
            self.accept(world, subject=str(number))
        world.advance(300)
        self.assertEqual(len(world.mainlog("T")), 10)
        times = [int(record["time"]) for record in world.mainlog("T")]
        # One by one until the limit, then all that was left at the same moment.
        self.assertGreater(times.count(times[-1]), 2)
        self.assertEqual(world.domain("example.com").mail_queue.active_size(), 0)


class BindTests(WorldCase):
    """
    Source addresses.
    """

    def test_unplumbed(self) -> None:
        """
        An address that was taken away from the machine is our trouble: no host
        is blamed, no message fails, and mail waits for it.
        """
        watcher = Watcher()
        world = self.world('[binding.b1]\nbind_address = "192.0.2.2"\n', providers=[watcher])
        mx = world.exchanger("example.com")
        world.network.unplumb("192.0.2.2")
        self.accept(world, X_Binding="b1")
        self.accept(world, X_Binding="b1")
        world.advance(10)
        self.assertEqual(watcher.failures, [("198.51.100.1", ConnFlag.ERROR_BIND | ConnFlag.ACTION_REQUEUE1)])
        self.accept(world, subject="other binding, same host")
        world.advance(10)
        self.assertEqual(len(mx.ledger), 1)
        world.network.plumb("192.0.2.2")
        world.advance(60)
        self.assertEqual([taken.source for taken in mx.ledger], ["192.0.2.1", "192.0.2.2", "192.0.2.2"])
        self.assertEqual((world.mainlog("TP"), len(watcher.failures)), ([], 1))

    def test_no_port_left(self) -> None:
        """
        A bind that fails though the machine has the address is an attempt like
        any other: the message is tried later.
        """
        world = self.world('[binding.b1]\nbind_address = "192.0.2.2"\n')
        world.exchanger("example.com")
        self.patch(world.host, "addresses", ("192.0.2.1",))
        self.accept(world, X_Binding="b1")
        world.advance(10)
        self.assertEqual(self.last(world, "T")["note"], NO_HOSTS)

    def test_post_bind_forbids(self) -> None:
        """
        ``connection_post_bind`` that aborts, or raises, ends the attempt;
        the mail is kept.
        """

        @implementer(IConnectionPostBind)
        class Forbids:
            """
            Aborts the first attempt, raises at the second, and lets the third go on.
            """

            def __init__(self) -> None:
                self.asked = 0

            def connection_post_bind(self, dr: IDomainRecord, binding_slot: int, fd: int, addr: object) -> bool:
                self.asked += 1
                if self.asked == 2:
                    raise RuntimeError("a provider that fails")
                return self.asked == 1

        world = self.world("[global]\nmax_retry_interval = 60\n", providers=[Forbids()])
        mx = world.exchanger("example.com")
        self.accept(world)
        world.advance(130)
        self.assertEqual(self.kinds(world), "RTTD")
        self.assertEqual(len(mx.ledger), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class CallTests(WorldCase):
    """
    The function itself.
    """

    def test_contract(self) -> None:
        """
        The service's connection functions provide their interface.
        """
        world = self.world()
        connections = world.service.delivery.connections
        self.assertIsInstance(connections, MailConnections)
        self.assertTrue(verifyObject(IConnectionInitiator, connections))

    def test_returns_the_bare_error(self) -> None:
        """
        The return value has no action bits: the actions were performed.
        """
        watcher = Watcher()
        world = self.world(providers=[watcher])
        mx = world.exchanger("example.com")
        world.network.unreachable(mx.address)
        dr = world.service.delivery.domain_record("example.com")
        self.assertEqual(initiate_connection_smtp(dr, 0, None), ConnFlag.ERROR_CONNECT_NETWORK)
        self.assertEqual(watcher.begun, [-int(ConnFlag.ERROR_CONNECT_NETWORK)])
        world.network.restore(mx.address)
        world.advance(200)
        self.assertEqual(initiate_connection_smtp(dr, 0, None), 0)
        world.advance(1)
        self.assertEqual(mx.connections, 1)
        self.assertGreater(watcher.begun[-1], 0)
