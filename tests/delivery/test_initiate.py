"""
Tests for :mod:`momentum_tx.delivery.initiate`: one attempt, one ending.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.delivery.handle import ConnectionHandle
from momentum_tx.delivery.initiate import (
    connection_address,
    h_to_c,
    initiate_connection,
    open_connection,
)
from momentum_tx.errors import ConnectFailed, ConnectionNotInitiated, ConnectTimedOut, HookReentered, LookupFailed
from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces import hooks as contracts
from momentum_tx.interfaces.records import IConnection, IConnectionHandle
from momentum_tx.interfaces.seams import IConnectedStream, IDial, IDialer
from momentum_tx.interfaces.services import MXKind
from momentum_tx.queues.domain import DomainRecord

from .dialing import BEGIN, KERNEL_TIMEOUT, NO_PORT, ODD, REFUSED, Dial, Stream, ToldDialer, World

A, B, C = "198.51.100.1", "198.51.100.2", "198.51.100.3"
REFUSED_WORD = ConnFlag.ERROR_CONNECT_NETWORK | ConnFlag.ACTION_REQUEUE1
TIMEOUT_WORD = ConnFlag.ERROR_CONNECT_TIMEOUT | ConnFlag.ACTION_REQUEUE1
BIND_WORD = ConnFlag.ERROR_BIND | ConnFlag.ACTION_REQUEUE1
UNREACHABLE_WORD = ConnFlag.ERROR_NO_MXS_REACHABLE | ConnFlag.ACTION_REQUEUE1
TWO_BINDINGS = """
[binding.one]
bind_address = "192.0.2.1"
[binding.six]
bind_address = "2001:db8::1"
"""


class Story(SynchronousTestCase):
    """
    Common to all: a world, and the check that nothing is left of it.
    """

    def make(self, configuration: str = "") -> World:
        """
        A world that must be empty in the end.
        """
        self.world = world = World(configuration)
        self.addCleanup(self.nothing_left)
        return world

    def nothing_left(self) -> None:
        """
        Every counter is back at zero, and the clock has nothing to do once the
        spool has told what it had to tell.
        """
        world = self.world
        for dr in world.records:
            for handles in list(dr.connections.values()):
                for handle in list(handles):
                    handle.close()
        self.assertEqual(world.recount(), (0, 0, 0))
        self.assertEqual([dr.connections for dr in world.records if dr.connections], [])
        # An agenda forgets disarmed alarms when its one timer next fires.
        world.clock.advance(10_000)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def begin(self, dr: DomainRecord, slot: int = 0, now: float | None = None, user: object = None) -> ConnectionHandle:
        """
        Begin an attempt; no callback may have run when it returns.
        """
        world = self.world
        before = len(world.endings())
        handle = initiate_connection(dr, slot, now, world.finished, world.timed_out, user)
        self.assertEqual(len(world.endings()), before, "a callback ran before initiate_connection returned")
        return handle

    def refused(self, dr: DomainRecord, slot: int = 0, now: float | None = None) -> ConnectionNotInitiated:
        """
        Begin an attempt that must raise, and tell nobody but the failure hook.
        """
        world = self.world
        counts, told = world.recount(), len(world.told("failure"))
        error = self.assertRaises(
            ConnectionNotInitiated, initiate_connection, dr, slot, now, world.finished, world.timed_out
        )
        assert isinstance(error, ConnectionNotInitiated)
        self.assertEqual(world.endings(), [])
        self.assertEqual(world.recount(), counts)
        self.assertEqual(len(world.told("failure")), told + 1)
        self.assertEqual(world.told("failure")[-1][2], error.flags)
        return error


class DoubleTests(SynchronousTestCase):
    """
    The doubles keep the contracts they stand for.
    """

    def test_contracts(self) -> None:
        """
        Dialer, dial and stream fulfil their interfaces.
        """
        dialer = ToldDialer()
        verifyObject(IDialer, dialer)
        dial = dialer.dial(A, 25, "", None, lambda stream: None, lambda error: None)
        verifyObject(IDial, dial)
        verifyObject(IConnectedStream, Stream(3, (A, 25)))

    def test_handle(self) -> None:
        """
        Handle and connection fulfil theirs.
        """
        world = World()
        handle = initiate_connection(world.domain("example.com", A), 0, None, world.finished, world.timed_out)
        verifyObject(IConnectionHandle, handle)
        verifyObject(IConnection, handle.connection)
        handle.close()


class EndingTests(Story):
    """
    Exactly one of three endings.
    """

    def test_success(self) -> None:
        """
        The connect succeeds: the success hook, then ``finish_connect_func``
        with zero, each once, and later neither deadline nor anything else.
        """
        world = self.make()
        dr = world.domain("example.com", A)
        mine = object()
        handle = self.begin(dr, user=mine)
        self.assertIs(handle.user_data, mine)
        self.assertIs(handle.dr, dr)
        self.assertEqual(handle.connection.in_use, -1)
        self.assertEqual(world.recount(), (1, 1, 1))
        world.clock.advance(2)
        stream = world.dialer.dials[0].connect()
        now = BEGIN + 2
        self.assertEqual(world.heard, [("success", A, 0, now), ("finished", handle, ConnFlag(0), now)])
        self.assertEqual(handle.error, 0)
        self.assertEqual(handle.connection.in_use, 1)
        self.assertEqual(handle.connection.fileno(), stream.fileno())
        self.assertNotEqual(handle.connection.conn_id, "")
        self.assertEqual(world.recount(), (1, 1, 1))
        world.clock.advance(1000)
        self.assertEqual(len(world.heard), 2)
        self.assertFalse(stream.closed)
        handle.close()
        handle.close()
        self.assertTrue(stream.closed)
        self.assertEqual(len(world.heard), 2)

    def test_refused(self) -> None:
        """
        The only address refuses after EINPROGRESS: the failure hook with the
        full word, then ``finish_connect_func`` with the same word.
        """
        world = self.make()
        handle = self.begin(world.domain("example.com", A))
        world.clock.advance(3)
        world.dialer.dials[0].fail(REFUSED)
        now = BEGIN + 3
        self.assertEqual(world.heard, [("failure", A, REFUSED_WORD, 0, now), ("finished", handle, REFUSED_WORD, now)])
        self.assertEqual(handle.error, REFUSED_WORD)
        self.assertEqual(handle.reason, "Connection refused")
        self.assertEqual(world.recount(), (0, 0, 0))
        world.clock.advance(1000)
        self.assertEqual(len(world.heard), 2)

    def test_deadline(self) -> None:
        """
        Nothing happens for ``connect_timeout``: ``timeout_func``, and the dial
        is cancelled.
        """
        world = self.make("[global]\nconnect_timeout = 7")
        handle = self.begin(world.domain("example.com", A))
        world.clock.advance(6.9)
        self.assertEqual(world.heard, [])
        world.clock.advance(0.1)
        now = BEGIN + 7
        self.assertEqual(world.heard, [("failure", A, TIMEOUT_WORD, 0, now), ("timed out", handle, TIMEOUT_WORD, now)])
        self.assertTrue(world.dialer.dials[0].cancelled)
        self.assertEqual(world.recount(), (0, 0, 0))

    def test_one_deadline(self) -> None:
        """
        A second address gets what the first has left of the time, no more.
        """
        world = self.make("[global]\nconnect_timeout = 10")
        self.begin(world.domain("example.com", A, B))
        world.clock.advance(8)
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(world.dialer.asked, [A, B])
        self.assertEqual(world.heard, [])
        world.clock.advance(2)
        self.assertEqual([entry[0] for entry in world.heard], ["failure", "timed out"])
        self.assertEqual(world.heard[0][1], B)

    def test_kernel_timeout(self) -> None:
        """
        The kernel gives up before the deadline: a timeout too, and not a
        reason to go to the next address.
        """
        world = self.make()
        handle = self.begin(world.domain("example.com", A, B))
        world.clock.advance(130)
        world.dialer.dials[0].fail(KERNEL_TIMEOUT)
        self.assertEqual(world.endings(), [("timed out", handle, TIMEOUT_WORD, BEGIN + 130)])
        self.assertEqual(world.dialer.asked, [A])

    def test_other_error(self) -> None:
        """
        An error without a name of its own ends the attempt at once.
        """
        world = self.make()
        handle = self.begin(world.domain("example.com", A, B))
        world.dialer.dials[0].fail(ODD)
        word = ConnFlag.ERROR_CONNECT | ConnFlag.ACTION_REQUEUE1
        self.assertEqual(world.endings(), [("finished", handle, word, BEGIN)])
        self.assertEqual(world.dialer.asked, [A])

    def test_callback_may_begin_anew(self) -> None:
        """
        State is settled before anyone is told: a callback may begin the next
        attempt, with a limit of one connection.
        """
        world = self.make("[global]\nmax_outbound_connections = 1\nhost_failure_retry = 0")
        dr = world.domain("example.com", A)
        again: list[ConnectionHandle] = []

        def finished(handle: ConnectionHandle, error: ConnFlag, now: float) -> None:
            again.append(initiate_connection(dr, 0, now, world.finished, world.timed_out))

        initiate_connection(dr, 0, None, finished, world.timed_out)
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(len(again), 1)
        self.assertEqual(world.recount(), (1, 1, 1))

    def test_now_given(self) -> None:
        """
        The caller's ``now`` is the time of a synchronous failure and of the
        first try; without one the wall clock is asked.
        """
        world = self.make()
        dr = world.domain("example.com", A)
        world.dialer.at_once[A] = REFUSED
        self.refused(dr, now=BEGIN - 5.5)
        self.assertEqual(world.heard, [("failure", A, REFUSED_WORD, 0, BEGIN - 5.5)])

    def test_wrong_slot(self) -> None:
        """
        A binding slot that does not exist is a programming fault, named so.
        """
        world = self.make()
        dr = world.domain("example.com", A)
        for slot in (-1, 1):
            self.assertRaises(ValueError, initiate_connection, dr, slot, None, world.finished, world.timed_out)
        self.assertEqual(world.heard, [])


class AddressTests(Story):
    """
    Which addresses one attempt goes through.
    """

    def test_synchronous_refusals_are_passed_over(self) -> None:
        """
        Two addresses fail at once, the third is pending: a handle is returned.
        """
        world = self.make()
        world.dialer.at_once = {A: REFUSED, B: REFUSED}
        handle = self.begin(world.domain("example.com", A, B, C))
        self.assertEqual(world.dialer.asked, [A, B, C])
        self.assertEqual([(t.address, t.error) for t in handle.tries[:2]], [(A, REFUSED.flags), (B, REFUSED.flags)])
        self.assertEqual(world.heard, [])
        world.dialer.dials[0].connect()
        self.assertEqual([entry[0] for entry in world.heard], ["success", "finished"])

    def test_none_left_at_once(self) -> None:
        """
        All fail at once: it raises with the last cause, and no callback runs.
        """
        world = self.make()
        world.dialer.at_once = {A: REFUSED, B: REFUSED}
        error = self.refused(world.domain("example.com", A, B))
        self.assertEqual(error.flags, REFUSED_WORD)
        self.assertEqual(error.reason, "Connection refused")
        self.assertEqual(world.heard, [("failure", B, REFUSED_WORD, 0, BEGIN)])
        world.clock.advance(1000)
        self.assertEqual(len(world.heard), 1)

    def test_other_error_at_once_ends_it(self) -> None:
        """
        A local fault at the first address is not tried out on the second.
        """
        for failure in (ODD, NO_PORT, KERNEL_TIMEOUT):
            world = self.make()
            world.dialer.at_once = {A: failure}
            error = self.refused(world.domain("example.com", A, B))
            self.assertEqual(error.flags, failure.flags | ConnFlag.ACTION_REQUEUE1)
            self.assertEqual(world.dialer.asked, [A])

    def test_later_synchronous_failure(self) -> None:
        """
        After the first EINPROGRESS even a bind error that is found at once goes
        to ``finish_connect_func``.
        """
        world = self.make()
        world.dialer.at_once = {B: NO_PORT}
        handle = self.begin(world.domain("example.com", A, B, C))
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(world.dialer.asked, [A, B])
        self.assertEqual(world.endings(), [("finished", handle, BIND_WORD, BEGIN)])
        self.assertEqual(world.told("failure"), [("failure", B, BIND_WORD, 0, BEGIN)])

    def test_later_kernel_timeout_at_once(self) -> None:
        """
        A timeout that a later address reports at once is told as one.
        """
        world = self.make()
        world.dialer.at_once = {B: KERNEL_TIMEOUT}
        handle = self.begin(world.domain("example.com", A, B))
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(world.endings(), [("timed out", handle, TIMEOUT_WORD, BEGIN)])

    def test_no_address_left(self) -> None:
        """
        The last address refuses too: the failure hook is told once, with the
        address whose failure ended the attempt.
        """
        world = self.make()
        handle = self.begin(world.domain("example.com", A, B))
        world.clock.advance(1)
        world.dialer.dials[0].fail(REFUSED)
        world.clock.advance(1)
        world.dialer.dials[1].fail(REFUSED)
        self.assertEqual(
            world.heard,
            [("failure", B, REFUSED_WORD, 0, BEGIN + 2), ("finished", handle, REFUSED_WORD, BEGIN + 2)],
        )

    def test_success_after_refusals(self) -> None:
        """
        Only the success hook is told; the handle lists the refusals, and the
        addresses that refused are left alone afterwards.
        """
        world = self.make()
        dr = world.domain("example.com", A, B)
        handle = self.begin(dr)
        world.clock.advance(1)
        world.dialer.dials[0].fail(REFUSED)
        world.clock.advance(1)
        world.dialer.dials[1].connect()
        self.assertEqual([entry[:2] for entry in world.heard], [("success", B), ("finished", handle)])
        self.assertEqual(
            [(t.host, t.address, t.port, t.start, t.end, t.error) for t in handle.tries],
            [
                ("mx0.example.com", A, 25, BEGIN, BEGIN + 1, ConnFlag.ERROR_CONNECT_NETWORK),
                ("mx1.example.com", B, 25, BEGIN + 1, BEGIN + 2, 0),
            ],
        )
        self.begin(dr)
        self.assertEqual(world.dialer.asked, [A, B, B])

    def test_failed_addresses_are_marked(self) -> None:
        """
        An address that failed is left alone for ``host_failure_retry`` from
        this binding, and from this binding only.
        """
        world = self.make("[global]\nhost_failure_retry = 60\n" + TWO_BINDINGS)
        dr = world.domain("example.com", A)
        self.begin(dr)
        world.dialer.dials[0].fail(REFUSED)
        world.heard.clear()
        self.assertEqual(self.refused(dr).flags, UNREACHABLE_WORD)
        self.assertEqual(world.told("failure"), [("failure", None, UNREACHABLE_WORD, 0, BEGIN)])
        self.begin(dr, 1).close()
        world.clock.advance(59)
        self.refused(dr)
        world.clock.advance(1)
        self.begin(dr)

    def test_local_failures_mark_nobody(self) -> None:
        """
        No port left on our side says nothing about the peer.
        """
        world = self.make()
        dr = world.domain("example.com", A)
        self.begin(dr)
        world.dialer.dials[0].fail(NO_PORT)
        self.assertEqual(world.endings()[0][2], BIND_WORD)
        self.assertEqual(world.records.failures((A, 25)), 0)
        self.begin(dr)

    def test_success_clears(self) -> None:
        """
        A success clears what was counted against the address.
        """
        world = self.make("[global]\nhost_failure_retry = 0")
        dr = world.domain("example.com", A)
        for _ in range(3):
            self.begin(dr)
            world.dialer.dials[-1].fail(REFUSED)
        self.assertEqual(world.records.failures((A, 25)), 3)
        self.begin(dr)
        world.dialer.dials[-1].connect()
        self.assertEqual(world.records.failures((A, 25)), 0)

    def test_at_most_five(self) -> None:
        """
        ``max_addresses_per_attempt`` is five unless it is configured.
        """
        for configuration, most in (("", 5), ("[global]\nmax_addresses_per_attempt = 2", 2)):
            world = self.make(configuration)
            addresses = [f"198.51.100.{n}" for n in range(10, 19)]
            world.dialer.at_once = dict.fromkeys(addresses, REFUSED)
            self.refused(world.domain("example.com", *addresses))
            self.assertEqual(world.dialer.asked, addresses[:most])

    def test_source_and_port(self) -> None:
        """
        The binding's address is the source, ``remote_smtp_port`` the port, and
        an address of the other family is not tried.
        """
        world = self.make("[global]\nremote_smtp_port = 2600\nuse_ipv6 = true\n" + TWO_BINDINGS)
        dr = world.domain("example.com", A, "2001:db8::25")
        for slot, source, host in ((1, "192.0.2.1", A), (2, "2001:db8::1", "2001:db8::25"), (0, "", A)):
            handle = self.begin(dr, slot)
            dial = world.dialer.dials[-1]
            self.assertEqual((dial.source, dial.host, dial.port), (source, host, 2600))
            self.assertEqual(handle.binding_slot, slot)

    def test_wrong_family_only(self) -> None:
        """
        A binding that cannot reach any address says so.
        """
        world = self.make("[global]\nuse_ipv6 = true\n" + TWO_BINDINGS)
        self.assertEqual(self.refused(world.domain("example.com", A), 2).flags, UNREACHABLE_WORD)

    def test_unexpected_exception(self) -> None:
        """
        A dialer with a fault of its own ends the attempt like any failure, at
        once or later; the fault is logged and no connection stays counted.
        """
        word = ConnFlag.ERROR_CONNECT | ConnFlag.ACTION_REQUEUE1
        world = self.make()
        world.dialer.at_once[A] = RuntimeError("a fault")
        self.assertEqual(self.refused(world.domain("example.com", A)).flags, word)
        world = self.make()
        world.dialer.at_once[B] = RuntimeError("a fault")
        handle = self.begin(world.domain("example.com", A, B))
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(world.endings(), [("finished", handle, word, BEGIN)])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)


class RefusalTests(Story):
    """
    Attempts that end before an address is dialled.
    """

    def test_lookup_pending(self) -> None:
        """
        DNS has not answered: PENDING without any action; when it has, the next
        attempt goes on.
        """
        world = self.make()
        world.resolver.delay = 2
        dr = world.domain("example.com", A)
        self.assertEqual(self.refused(dr).flags, ConnFlag.ERROR_MX_LOOKUP_PENDING)
        self.assertEqual(world.told("failure"), [("failure", None, ConnFlag.ERROR_MX_LOOKUP_PENDING, 0, BEGIN)])
        self.refused(dr)
        self.assertEqual(world.resolver.mx_asked, ["example.com"])
        world.clock.advance(2)
        world.clock.advance(2)
        self.begin(dr)

    def test_answer_at_once(self) -> None:
        """
        An answer that the resolver has at hand serves the very call that asked.
        """
        world = self.make()
        self.begin(world.domain("example.com", A))
        self.assertEqual(world.dialer.asked, [A])

    def test_lookup_failed(self) -> None:
        """
        A look-up that failed for now carries no action; a name that does not
        exist carries PURGE_DOMAIN.
        """
        world = self.make()
        world.resolver.mx["broken.example"] = LookupFailed("SERVFAIL")
        error = self.refused(world.domain("broken.example"))
        self.assertEqual(error.flags, ConnFlag.ERROR_MX_LOOKUP_FAILED)
        self.assertIn("SERVFAIL", error.reason)
        error = self.refused(world.domain("nowhere.example"))
        self.assertEqual(error.flags, ConnFlag.ERROR_MX_LOOKUP_FAILED | ConnFlag.ACTION_PURGE_DOMAIN)

    def test_null_mx(self) -> None:
        """
        A domain that accepts no mail: PURGE_DOMAIN.
        """
        world = self.make()
        world.resolver.mx["nomail.example"] = MXKind.NULL
        error = self.refused(world.domain("nomail.example"))
        self.assertEqual(error.flags, ConnFlag.ERROR_SMTP_NULL_MX | ConnFlag.ACTION_PURGE_DOMAIN)

    def test_prohibited(self) -> None:
        """
        Prohibited addresses are dropped; only when that leaves none at all the
        domain is to be purged.
        """
        world = self.make()
        error = self.refused(world.domain("inside.example", "127.0.0.1", "10.0.0.1"))
        self.assertEqual(error.flags, ConnFlag.ERROR_PROHIBITED_IP | ConnFlag.ACTION_PURGE_DOMAIN)
        self.begin(world.domain("half.example", "127.0.0.1", B))
        self.assertEqual(world.dialer.asked, [B])

    def test_prohibited_beside_a_failed_lookup(self) -> None:
        """
        One exchanger is prohibited, the other has no answer yet: nothing is
        final, so nothing may be purged.
        """
        world = self.make()
        world.domain("mixed.example", "127.0.0.1", B)
        world.resolver.addresses["mx1.mixed.example"] = LookupFailed("no reply")
        error = self.refused(world.domain("mixed.example"))
        self.assertFalse(error.flags & ConnFlag.ACTION_PURGE_DOMAIN, error)

    def test_routes_beside_a_failed_lookup(self) -> None:
        """
        One of an operator's routes cannot be looked up: the others serve, and
        only when none is left the domain has to wait.
        """
        for route in ("__mx__", "relay.example:25"):
            world = self.make(f'[domain."example.com"]\nroutes = ["{route}", "{B}:2525"]')
            world.resolver.mx["example.com"] = LookupFailed("SERVFAIL")
            world.resolver.addresses["relay.example"] = LookupFailed("SERVFAIL")
            handle = self.begin(world.domain("example.com"))
            self.assertEqual((handle.connection.address, handle.connection.port), (B, 2525))
            world = self.make(f'[domain."example.com"]\nroutes = ["{route}"]')
            world.resolver.mx["example.com"] = LookupFailed("SERVFAIL")
            world.resolver.addresses["relay.example"] = LookupFailed("SERVFAIL")
            self.assertEqual(self.refused(world.domain("example.com")).flags, ConnFlag.ERROR_MX_LOOKUP_FAILED)

    def test_limits(self) -> None:
        """
        Each of the three limits is HOST_MAX_REACHED without an action, and a
        connection given back makes room again.
        """
        for configuration in (
            "[global]\nmax_outbound_connections = 2",
            "[global]\nserver_max_outbound_connections = 2",
            '[host."mx0.example.com"]\nmax_outbound_connections = 2',
        ):
            world = self.make(configuration)
            dr = world.domain("example.com", A)
            first, _ = self.begin(dr), self.begin(dr)
            error = self.refused(dr)
            self.assertEqual(error.flags, ConnFlag.ERROR_HOST_MAX_REACHED, configuration)
            self.assertEqual(world.records.failures((A, 25)), 0)
            first.close()
            self.begin(dr)
            self.assertEqual(world.recount(), (2, 2, 2))

    def test_failed_attempt_gives_room_back(self) -> None:
        """
        An attempt that fails or times out no longer counts against the host.
        """
        world = self.make('[global]\nhost_failure_retry = 0\n[host."mx0.example.com"]\nmax_outbound_connections = 1')
        dr = world.domain("example.com", A)
        self.begin(dr)
        world.dialer.dials[-1].fail(REFUSED)
        self.begin(dr)
        world.clock.advance(300)
        self.assertEqual(len(world.endings()), 2)
        self.begin(dr)

    def test_full_host_is_passed_over(self) -> None:
        """
        The best host is full: the next one is used.
        """
        world = self.make('[host."mx0.example.com"]\nmax_outbound_connections = 1')
        dr = world.domain("example.com", A, B)
        self.begin(dr)
        self.begin(dr)
        self.assertEqual(world.dialer.asked, [A, B])
        self.assertEqual([mx.host.connections for mx in dr.mxlist], [1, 1])

    def test_host_shared_by_domains(self) -> None:
        """
        A host's limit counts the connections of every domain it serves.
        """
        world = self.make('[host."mx.example"]\nmax_outbound_connections = 1')
        world.resolver.addresses["mx.example"] = [A]
        for name in ("one.example", "two.example"):
            world.resolver.mx[name] = [(10, "mx.example")]
        self.begin(world.domain("one.example"))
        self.assertEqual(self.refused(world.domain("two.example")).flags, ConnFlag.ERROR_HOST_MAX_REACHED)

    def test_counts_move_with_the_address(self) -> None:
        """
        While the second host is tried the first is free again.
        """
        world = self.make()
        dr = world.domain("example.com", A, B)
        self.begin(dr)
        self.assertEqual([mx.host.connections for mx in dr.mxlist], [1, 0])
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual([mx.host.connections for mx in dr.mxlist], [0, 1])


@implementer(contracts.IConnectionPostBind, contracts.IVetoHostConnection)
class Asked:
    """
    Answers the two questions of an attempt.
    """

    def __init__(self) -> None:
        self.binds: list[tuple[int, int, Any]] = []
        self.hosts: list[tuple[str, int, int, int]] = []
        self.forbid_bind: set[str] = set()
        self.forbid_host: set[str] = set()
        self.meanwhile: Any = None

    def connection_post_bind(self, dr: Any, binding_slot: int, fd: int, addr: Any) -> bool:
        self.binds.append((binding_slot, fd, addr))
        if self.meanwhile is not None:
            self.meanwhile(dr)
        return addr.host in self.forbid_bind

    def veto_host_connection(self, host: str, dr: Any, binding_slot: int, max_conns: int, cur_conns: int) -> bool:
        self.hosts.append((host, binding_slot, max_conns, cur_conns))
        return host in self.forbid_host


class HookTests(Story):
    """
    The hooks of an attempt.
    """

    def asked(self, configuration: str = "") -> tuple[World, Asked]:
        """
        A world with a provider of both questions.
        """
        world = self.make(configuration)
        asked = Asked()
        verifyObject(contracts.IConnectionPostBind, asked)
        world.hooks.register_last(asked)
        return world, asked

    def test_post_bind_per_address(self) -> None:
        """
        ``connection_post_bind`` is asked for each address, with its descriptor.
        """
        world, asked = self.asked()
        handle = self.begin(world.domain("example.com", A, B))
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(asked.binds, [(0, 101, IPv4Address("TCP", A, 25)), (0, 102, IPv4Address("TCP", B, 25))])
        self.assertEqual(handle.connection.fileno(), 102)

    def test_post_bind_forbids(self) -> None:
        """
        "No" aborts the whole attempt as ``ERROR_BIND``; the second address is
        not tried, and nobody is marked.
        """
        world, asked = self.asked()
        asked.forbid_bind = {A}
        dr = world.domain("example.com", A, B)
        self.assertEqual(self.refused(dr).flags, BIND_WORD)
        self.assertEqual(world.dialer.asked, [A])
        self.assertEqual(world.records.failures((A, 25)), 0)

    def test_post_bind_forbids_the_second(self) -> None:
        """
        "No" at a later address goes to ``finish_connect_func``.
        """
        world, asked = self.asked()
        asked.forbid_bind = {B}
        handle = self.begin(world.domain("example.com", A, B, C))
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(world.endings(), [("finished", handle, BIND_WORD, BEGIN)])

    def test_veto(self) -> None:
        """
        A vetoed host is passed over; all vetoed is NO_MXS_REACHABLE with no
        address.  A host is asked about once per attempt.
        """
        world, asked = self.asked()
        asked.forbid_host = {"mx0.example.com"}
        dr = world.domain("example.com", A, B)
        world.resolver.addresses["mx0.example.com"] = [A, C]
        self.begin(dr)
        self.assertEqual(world.dialer.asked, [B])
        self.assertEqual(asked.hosts, [("mx0.example.com", 0, -1, 0), ("mx1.example.com", 0, -1, 0)])
        asked.forbid_host.add("mx1.example.com")
        self.assertEqual(self.refused(dr).flags, UNREACHABLE_WORD)
        self.assertEqual(world.told("failure"), [("failure", None, UNREACHABLE_WORD, 0, BEGIN)])

    def test_veto_after_a_refusal(self) -> None:
        """
        The first host refused and the second is vetoed: the refusal ended the
        attempt, and its address is told.
        """
        world, asked = self.asked()
        asked.forbid_host = {"mx1.example.com"}
        handle = self.begin(world.domain("example.com", A, B))
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(world.told("failure"), [("failure", A, REFUSED_WORD, 0, BEGIN)])
        self.assertEqual(world.endings(), [("finished", handle, REFUSED_WORD, BEGIN)])

    def test_reentered(self) -> None:
        """
        Calling ``initiate_connection`` inside an asked hook raises there; the
        hook that lets it through counts as a "no", and nothing is counted twice.
        """
        world, asked = self.asked()
        caught: list[Exception] = []

        def call(dr: Any) -> None:
            try:
                initiate_connection(dr, 0, None, world.finished, world.timed_out)
            except HookReentered as error:
                caught.append(error)
                raise

        asked.meanwhile = call
        dr = world.domain("example.com", A)
        self.assertEqual(self.refused(dr).flags, BIND_WORD)
        self.assertEqual(len(caught), 1)
        self.assertEqual(len(self.flushLoggedErrors(HookReentered)), 1)

    def test_reentered_deferred(self) -> None:
        """
        The Deferred form fails with the same error there.
        """
        world, asked = self.asked()
        failures: list[Any] = []

        def call(dr: Any) -> None:
            failures.append(self.failureResultOf(open_connection(dr, 0), HookReentered))

        asked.meanwhile = call
        self.begin(world.domain("example.com", A))
        self.assertEqual(len(failures), 1)
        self.assertEqual(world.recount(), (1, 1, 1))

    def test_notice_inside_a_provider_waits(self) -> None:
        """
        A provider that is being told something may begin an attempt; what that
        attempt has to tell is told after the provider has returned.
        """
        world = self.make()
        dr = world.domain("example.com", A)
        order: list[str] = []

        @implementer(contracts.ILogClientConnectionFailure)
        class Eager:
            def log_client_connection_failure(
                self, addr: Any, err: ConnFlag, dr: Any, binding_slot: int, now: float | None
            ) -> None:
                order.append("in")
                if len(order) == 1:
                    try:
                        initiate_connection(dr, 0, now, world.finished, world.timed_out)
                    except ConnectionNotInitiated as error:
                        order.append(str(error.flags & ConnFlag.ERRORS))
                order.append("out")

        world.hooks.log_client_connection_failure.register_last(Eager())
        self.begin(dr)
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(order, ["in", "CONN_ERROR_NO_MXS_REACHABLE", "out", "in", "out"])

    def test_settled_before_told(self) -> None:
        """
        When the failure hook is told, the connection no longer counts.
        """
        world = self.make()
        counts: list[tuple[int, int, int]] = []

        @implementer(contracts.ILogClientConnectionFailure)
        class Counts:
            def log_client_connection_failure(
                self, addr: Any, err: ConnFlag, dr: Any, binding_slot: int, now: float | None
            ) -> None:
                counts.append(world.recount())

        world.hooks.log_client_connection_failure.register_last(Counts())
        self.begin(world.domain("example.com", A))
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(counts, [(0, 0, 0)])

    def test_raising_logger(self) -> None:
        """
        A failure hook that raises does not take the ending away.
        """
        world = self.make()

        @implementer(contracts.ILogClientConnectionFailure)
        class Broken:
            def log_client_connection_failure(
                self, addr: Any, err: ConnFlag, dr: Any, binding_slot: int, now: float | None
            ) -> None:
                raise RuntimeError("a fault")

        world.hooks.log_client_connection_failure.register_first(Broken())
        handle = self.begin(world.domain("example.com", A))
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(world.endings(), [("finished", handle, REFUSED_WORD, BEGIN)])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class CancelTests(Story):
    """
    ``handle.close()`` on an attempt that is under way.
    """

    def test_nobody_hears(self) -> None:
        """
        The dial is cancelled; no callback, no hook, nobody is marked.
        """
        world = self.make()
        dr = world.domain("example.com", A)
        handle = self.begin(dr)
        world.clock.advance(4)
        handle.close()
        handle.close()
        self.assertTrue(world.dialer.dials[0].cancelled)
        self.assertEqual(world.recount(), (0, 0, 0))
        world.clock.advance(1000)
        self.assertEqual(world.heard, [])
        self.assertEqual(world.records.failures((A, 25)), 0)
        self.assertEqual(handle.error, 0)
        self.assertEqual(handle.tries[0].end, BEGIN + 4)
        self.begin(dr)

    def test_between_two_addresses(self) -> None:
        """
        A hook that is asked about the second address gives the attempt up: the
        address is not dialled for good, and nobody hears of it.
        """
        for forbid in (set(), {B}):
            world = self.make()
            asked = Asked()
            asked.forbid_bind = forbid
            world.hooks.register_last(asked)
            handle = self.begin(world.domain("example.com", A, B, C))
            asked.meanwhile = lambda dr, handle=handle: handle.close()
            world.dialer.dials[0].fail(REFUSED)
            self.assertEqual(world.recount(), (0, 0, 0))
            self.assertNotIn(C, world.dialer.asked)
            self.assertNotIn("mx2.example.com", [entry[0] for entry in asked.hosts])
            self.assertTrue(all(dial.cancelled for dial in world.dialer.dials[1:]))
            world.clock.advance(1000)
            self.assertEqual(world.heard, [])

    def test_by_a_veto_provider(self) -> None:
        """
        The same from a hook that is asked about the second host.
        """
        world = self.make()

        @implementer(contracts.IVetoHostConnection)
        class Gives:
            up: ConnectionHandle | None = None

            def veto_host_connection(
                self, host: str, dr: Any, binding_slot: int, max_conns: int, cur_conns: int
            ) -> bool:
                if self.up is not None:
                    self.up.close()
                return False

        provider = Gives()
        world.hooks.register_last(provider)
        provider.up = self.begin(world.domain("example.com", A, B))
        world.dialer.dials[0].fail(REFUSED)
        self.assertEqual(world.dialer.asked, [A])
        self.assertEqual(world.recount(), (0, 0, 0))
        self.assertEqual(world.heard, [])


class DeferredTests(Story):
    """
    ``open_connection``: the same rules as a Deferred.
    """

    def test_success(self) -> None:
        """
        It fires with the handle, after the success hook.
        """
        world = self.make()
        opening = open_connection(world.domain("example.com", A), 0, user_data="mine")
        self.assertNoResult(opening)
        world.dialer.dials[0].connect()
        handle = self.successResultOf(opening)
        self.assertEqual(handle.user_data, "mine")
        self.assertEqual([entry[0] for entry in world.heard], ["success"])

    def test_not_initiated(self) -> None:
        """
        What would raise is a failure at once, of its own class.
        """
        world = self.make()
        world.dialer.at_once[A] = REFUSED
        failure = self.failureResultOf(open_connection(world.domain("example.com", A), 0), ConnectionNotInitiated)
        self.assertEqual(failure.value.flags, REFUSED_WORD)
        self.assertEqual(len(world.told("failure")), 1)

    def test_failed(self) -> None:
        """
        A failure after EINPROGRESS is ``ConnectFailed`` with the full word.
        """
        world = self.make()
        opening = open_connection(world.domain("example.com", A), 0)
        world.dialer.dials[0].fail(REFUSED)
        failure = self.failureResultOf(opening, ConnectFailed)
        self.assertEqual(failure.value.flags, REFUSED_WORD)
        self.assertIn("Connection refused", str(failure.value))

    def test_timed_out(self) -> None:
        """
        A timeout is ``ConnectTimedOut``, whoever ran out of patience.
        """
        for late in (300, 0):
            world = self.make()
            opening = open_connection(world.domain("example.com", A), 0)
            world.clock.advance(late)
            if not late:
                world.dialer.dials[0].fail(KERNEL_TIMEOUT)
            failure = self.failureResultOf(opening, ConnectTimedOut)
            self.assertEqual(failure.value.flags, TIMEOUT_WORD)

    def test_cancelled(self) -> None:
        """
        Cancelling is Twisted's ``CancelledError``; no hook hears of it.
        """
        world = self.make()
        opening = open_connection(world.domain("example.com", A), 0)
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        self.assertTrue(world.dialer.dials[0].cancelled)
        self.assertEqual(world.recount(), (0, 0, 0))
        world.clock.advance(1000)
        self.assertEqual(world.heard, [])

    def test_closed_by_another(self) -> None:
        """
        Whoever else closes the handle, such as a service that stops, does not
        leave the caller waiting.
        """
        world = self.make()
        dr = world.domain("example.com", A)
        opening = open_connection(dr, 0)
        dr.connections[0][0].close()
        self.failureResultOf(opening, CancelledError)
        self.assertEqual(world.heard, [])


class FamilyTests(Story):
    """
    The source of an attempt, by the family of where it leads.
    """

    SIX = "2001:db8::7"

    def sources(self, binding: str) -> list[tuple[str, str]]:
        """
        Source and destination of everything that one attempt dials, to a host
        with an address of each family that refuses.
        """
        world = self.make(f"[global]\nuse_ipv6 = true\n[binding.b]\n{binding}")
        self.begin(world.domain("example.com", A, self.SIX), slot=1)
        # The list grows while it is gone through: what fails is followed by the next.
        for dial in world.dialer.dials:
            dial.fail(REFUSED)
        return sorted((dial.source, dial.host) for dial in world.dialer.dials)

    def test_one_family(self) -> None:
        """
        A binding with one address does not try hosts of the other family.
        """
        self.assertEqual(self.sources('bind_address = "192.0.2.1"'), [("192.0.2.1", A)])

    def test_secondary(self) -> None:
        """
        With ``bind_address_secondary`` it tries both, each from its own address.
        """
        both = 'bind_address = "192.0.2.1"\nbind_address_secondary = "2001:db8::1"'
        self.assertEqual(self.sources(both), [("192.0.2.1", A), ("2001:db8::1", self.SIX)])

    def test_secondary_alone(self) -> None:
        """
        Where only that is written, the kernel chooses for the other family.
        """
        self.assertEqual(self.sources('bind_address_secondary = "2001:db8::1"'), [("", A), ("2001:db8::1", self.SIX)])


class AccessorTests(Story):
    """
    ``h_to_c`` and ``connection_address``.
    """

    def test_address(self) -> None:
        """
        They tell where a connection leads to, in the family of its address.
        """
        world = self.make("[global]\nuse_ipv6 = true")
        handle = self.begin(world.domain("example.com", A))
        connection = h_to_c(handle)
        self.assertIs(connection, handle.connection)
        self.assertEqual(connection_address(connection), IPv4Address("TCP", A, 25))
        handle = self.begin(world.domain("six.example", "2001:db8::7"))
        self.assertEqual(connection_address(h_to_c(handle)), IPv6Address("TCP", "2001:db8::7", 25))

    def test_no_address(self) -> None:
        """
        Before an address was chosen there is none.
        """
        world = self.make()
        handle = ConnectionHandle(world.domain("example.com"), 0, None)
        self.assertIsNone(connection_address(h_to_c(handle)))

    def test_dial_double(self) -> None:
        """
        The double's dial remembers what it was asked for.
        """
        dial = Dial(A, 25, "", 5, lambda stream: None, lambda error: None)
        dial.cancel()
        self.assertTrue(dial.cancelled)
