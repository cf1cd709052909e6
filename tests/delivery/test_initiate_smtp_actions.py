"""
Tests for :mod:`momentum_tx.delivery.initiate_smtp`, on its own: the caller that pays what
``initiate_connection`` leaves it to pay.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.delivery.initiate_smtp import initiate_connection_smtp
from momentum_tx.errors import HookReentered, LookupFailed
from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces import hooks as contracts
from momentum_tx.interfaces.services import IConnectionInitiator, MXKind
from momentum_tx.queues.domain import DomainRecord

from .dialing import BEGIN, KERNEL_TIMEOUT, NO_PORT, REFUSED, World

A, B = "198.51.100.1", "198.51.100.2"
TWO_BINDINGS = """
[binding.one]
[binding.two]
"""


class Story(SynchronousTestCase):
    """
    Common to all: a world, and the check that nothing is left of it.
    """

    def make(self, configuration: str = "") -> World:
        """
        A world whose connections must be given back in the end.
        """
        self.world = world = World(configuration)
        self.addCleanup(self.nothing_left)
        return world

    def nothing_left(self) -> None:
        """
        Counters are back at zero, and the clock has nothing to do.
        """
        world = self.world
        for dr in world.records:
            for handles in list(dr.connections.values()):
                for handle in list(handles):
                    handle.close()
        self.assertEqual(world.recount(), (0, 0, 0))
        world.clock.advance(10_000)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def sizes(self, dr: DomainRecord, slot: int = 0) -> tuple[int, int]:
        """
        Messages in the active queue of *slot*, and in the delayed queue.
        """
        return dr.mail_queue.active_size(slot), dr.mail_queue.delayed_size()

    def fail_async(self, dr: DomainRecord, slot: int = 0) -> None:
        """
        One attempt that is refused after EINPROGRESS.
        """
        self.assertEqual(initiate_connection_smtp(dr, slot, None), 0)
        self.world.dialer.dials[-1].fail(REFUSED)


class ActionTests(Story):
    """
    The obligations are performed, and only the bare error comes back.
    """

    def test_contract(self) -> None:
        """
        What serves a domain record fulfils the contract.
        """
        verifyObject(IConnectionInitiator, self.make().connections)

    def test_success(self) -> None:
        """
        Zero, the descriptor to the hook, a session on the connection, and no
        message is touched.
        """
        world = self.make()
        dr = world.domain("example.com", A)
        world.message(dr)
        self.assertEqual(initiate_connection_smtp(dr, 0, BEGIN - 1), 0)
        self.assertEqual(world.heard, [("post", 0, BEGIN - 1, 101)])
        self.assertEqual(world.opened, [])
        world.dialer.dials[0].connect()
        self.assertEqual([handle.dr for handle in world.opened], [dr])
        self.assertEqual(self.sizes(dr), (1, 0))

    def test_requeue_one(self) -> None:
        """
        A synchronous REQUEUE1 requeues the first active message of this binding
        and no other; the hook gets the negative of the bare error.
        """
        world = self.make(TWO_BINDINGS)
        dr = world.domain("example.com", A)
        world.dialer.at_once[A] = NO_PORT
        first = world.message(dr, 1)
        world.message(dr, 1)
        world.message(dr, 2)
        self.assertEqual(initiate_connection_smtp(dr, 1, None), ConnFlag.ERROR_BIND)
        self.assertEqual((self.sizes(dr, 1), self.sizes(dr, 2)), ((1, 1), (1, 1)))
        self.assertEqual(
            [entry[0] for entry in world.heard],
            ["failure", "transient", "post"],
        )
        self.assertEqual(world.heard[0][2], ConnFlag.ERROR_BIND | ConnFlag.ACTION_REQUEUE1)
        self.assertEqual(world.heard[1][1], first.id)
        self.assertTrue(world.heard[1][2].startswith(b"451 4.4.1 [internal] No valid hosts"))
        self.assertEqual(ConnFlag(-world.heard[2][3]), ConnFlag.ERROR_BIND)
        self.assertEqual(first.num_retries, 1)
        self.assertGreater(first.next_attempt, BEGIN)

    def test_requeue_one_later(self) -> None:
        """
        A refusal after EINPROGRESS requeues one message too; so does a timeout.
        """
        world = self.make("[global]\nhost_failure_retry = 0\nconnect_timeout = 30")
        dr = world.domain("example.com", A)
        for _ in range(3):
            world.message(dr)
        self.fail_async(dr)
        self.assertEqual(self.sizes(dr), (2, 1))
        self.assertEqual(initiate_connection_smtp(dr, 0, None), 0)
        world.clock.advance(30)
        self.assertEqual(self.sizes(dr), (1, 2))
        self.assertEqual(world.told("transient")[-1][2], b"450 4.4.1 [internal] Connection Timed Out")
        self.assertEqual(initiate_connection_smtp(dr, 0, None), 0)
        world.dialer.dials[-1].fail(KERNEL_TIMEOUT)
        self.assertEqual(self.sizes(dr), (0, 3))

    def test_requeue_one_without_mail(self) -> None:
        """
        With no active message the obligation is void.
        """
        world = self.make()
        dr = world.domain("example.com", A)
        self.fail_async(dr)
        self.assertEqual(world.told("transient"), [])

    def test_unreachable(self) -> None:
        """
        The address is left alone after its failure: NO_MXS_REACHABLE, whose
        message has a text of its own.
        """
        world = self.make()
        dr = world.domain("example.com", A)
        for _ in range(3):
            world.message(dr)
        self.fail_async(dr)
        self.assertEqual(initiate_connection_smtp(dr, 0, None), ConnFlag.ERROR_NO_MXS_REACHABLE)
        self.assertEqual(self.sizes(dr), (1, 2))
        self.assertIn(b"no MXs for this domain could be reached", world.told("transient")[-1][2])

    def purged(self, world: World, dr: DomainRecord, word: ConnFlag, note: bytes) -> None:
        """
        *dr* must be purged on every binding, active and delayed.
        """
        for slot in (0, 1, 2):
            world.message(dr, slot)
        waiting = world.message(dr, 2)
        dr.mail_queue.remove(waiting)
        waiting.next_attempt = BEGIN + 500
        dr.mail_queue.insert_delayed(waiting)
        self.assertEqual(initiate_connection_smtp(dr, 1, None), word)
        world.clock.advance(1)
        self.assertEqual(dr.mail_queue.size(), 0)
        permanent = world.told("permanent")
        self.assertEqual(len(permanent), 4)
        self.assertEqual({entry[2] for entry in permanent}, {note})
        self.assertEqual(world.told("transient"), [])
        self.assertEqual(world.told("post")[-1][3], -int(word))
        self.assertEqual(world.told("failure")[-1][2], word | ConnFlag.ACTION_PURGE_DOMAIN)

    def test_purge_null_mx(self) -> None:
        """
        A null MX fails everything for the domain, on all bindings.
        """
        world = self.make(TWO_BINDINGS)
        world.resolver.mx["nomail.example"] = MXKind.NULL
        self.purged(
            world,
            world.domain("nomail.example"),
            ConnFlag.ERROR_SMTP_NULL_MX,
            b"550 5.4.4 [internal] NULL MX domain does not accept mail",
        )

    def test_purge_nonexistent(self) -> None:
        """
        So does a name that does not exist.
        """
        world = self.make(TWO_BINDINGS)
        self.purged(
            world,
            world.domain("nowhere.example"),
            ConnFlag.ERROR_MX_LOOKUP_FAILED,
            b"554 5.4.4 [internal] Domain Lookup Failed",
        )

    def test_purge_prohibited(self) -> None:
        """
        So does a domain whose every address is prohibited.
        """
        world = self.make(TWO_BINDINGS)
        self.purged(
            world,
            world.domain("inside.example", "127.0.0.1"),
            ConnFlag.ERROR_PROHIBITED_IP,
            b"551 5.4.6 [internal] Private/Loopback Address",
        )

    def test_purge_of_many(self) -> None:
        """
        A purge of more mail than one turn handles ends all the same, and no
        connection is opened meanwhile.
        """
        world = self.make()
        dr = world.domain("nowhere.example")
        for _ in range(450):
            world.message(dr)
        initiate_connection_smtp(dr, 0, None)
        self.assertTrue(world.settlement.busy(dr))
        for _ in range(5):
            world.clock.advance(0)
        self.assertFalse(world.settlement.busy(dr))
        self.assertEqual(len(world.told("permanent")), 450)

    def test_lookup_failed(self) -> None:
        """
        A look-up that failed for now delays the domain's mail; nothing is lost.
        """
        world = self.make(TWO_BINDINGS)
        world.resolver.mx["broken.example"] = LookupFailed("SERVFAIL")
        dr = world.domain("broken.example")
        for slot in (0, 1):
            world.message(dr, slot)
        self.assertEqual(initiate_connection_smtp(dr, 0, None), ConnFlag.ERROR_MX_LOOKUP_FAILED)
        world.clock.advance(0)
        self.assertEqual((dr.mail_queue.active_size(), dr.mail_queue.delayed_size()), (0, 2))
        self.assertIn(b"454 4.4.4 [internal] no MX or A for domain", world.told("transient")[0][2])

    def test_pending(self) -> None:
        """
        While DNS is asked nothing is touched and nothing counted.
        """
        world = self.make("[global]\nmx_failures_to_delay = 1")
        world.resolver.silent = True
        dr = world.domain("example.com", A)
        world.message(dr)
        self.assertEqual(initiate_connection_smtp(dr, 0, None), ConnFlag.ERROR_MX_LOOKUP_PENDING)
        self.assertEqual(self.sizes(dr), (1, 0))
        self.assertEqual(world.told("post"), [("post", 0, BEGIN, -int(ConnFlag.ERROR_MX_LOOKUP_PENDING))])
        self.assertEqual(dr.contact_failing_since, 0)
        world.resolver.close()

    def test_reentered(self) -> None:
        """
        Inside an asked hook it raises before anything happens.
        """
        world = self.make()
        dr = world.domain("example.com", A)
        caught: list[Exception] = []

        @implementer(contracts.IVetoHostConnection)
        class Calls:
            def veto_host_connection(
                self, host: str, dr: Any, binding_slot: int, max_conns: int, cur_conns: int
            ) -> bool:
                try:
                    initiate_connection_smtp(dr, 0, None)
                except HookReentered as error:
                    caught.append(error)
                return False

        world.hooks.register_last(Calls())
        self.assertEqual(initiate_connection_smtp(dr, 0, None), 0)
        self.assertEqual(len(caught), 1)
        self.assertEqual(world.recount(), (1, 1, 1))


class FailureCountTests(Story):
    """
    ``mx_failures_to_delay`` and ``connect_timeout_to_delay``.
    """

    CONFIGURATION = "[global]\nmx_failures_to_delay = 3\nhost_failure_retry = 0\n"

    def test_trips(self) -> None:
        """
        The third failure in a row delays all the domain's active mail.
        """
        world = self.make(self.CONFIGURATION)
        dr = world.domain("example.com", A)
        for _ in range(10):
            world.message(dr)
        for waiting in (1, 2):
            self.fail_async(dr)
            self.assertEqual(self.sizes(dr), (10 - waiting, waiting))
        self.fail_async(dr)
        world.clock.advance(0)
        self.assertEqual(self.sizes(dr), (0, 10))
        self.assertEqual(
            world.told("transient")[-1][2], b"451 4.4.1 [internal] No valid hosts (too many connection failures)"
        )

    def test_per_address(self) -> None:
        """
        It trips when every address has failed so often: one that is dead is not
        enough while the other was not found wanting.
        """
        world = self.make(self.CONFIGURATION)
        dr = world.domain("example.com", A, B)
        for _ in range(20):
            world.message(dr)
        for _ in range(5):
            # The second address ends the attempt with a fault of our own.
            world.dialer.at_once[B] = NO_PORT
            self.fail_async(dr)
        self.assertEqual((world.records.failures((A, 25)), world.records.failures((B, 25))), (5, 0))
        self.assertEqual(self.sizes(dr), (15, 5))
        world.dialer.at_once[B] = REFUSED
        for waiting in (6, 7):
            self.fail_async(dr)
            self.assertEqual(self.sizes(dr), (20 - waiting, waiting))
        self.fail_async(dr)
        world.clock.advance(0)
        self.assertEqual(self.sizes(dr), (0, 20))

    def test_success_clears(self) -> None:
        """
        A session that becomes ready in between starts the count anew; a
        connection alone, to a host that may yet refuse us, does not.
        """
        world = self.make(self.CONFIGURATION)
        dr = world.domain("example.com", A)
        for _ in range(10):
            world.message(dr)
        for _ in range(2):
            self.fail_async(dr)
        initiate_connection_smtp(dr, 0, None)
        world.dialer.dials[-1].connect()
        self.assertEqual(world.records.failures((A, 25)), 2)
        world.connections.contacted(world.opened[-1])
        self.assertEqual(world.records.failures((A, 25)), 0)
        for _ in range(2):
            self.fail_async(dr)
        world.clock.advance(0)
        self.assertEqual(self.sizes(dr), (6, 4))

    def test_off(self) -> None:
        """
        Zero never delays the domain.
        """
        world = self.make("[global]\nmx_failures_to_delay = 0\nhost_failure_retry = 0\n")
        dr = world.domain("example.com", A)
        for _ in range(100):
            world.message(dr)
        for _ in range(60):
            self.fail_async(dr)
        self.assertEqual(self.sizes(dr), (40, 60))

    def test_nothing_counted(self) -> None:
        """
        A full host and a fault of our own count nothing.
        """
        world = self.make(self.CONFIGURATION + "max_outbound_connections = 1\n")
        dr = world.domain("example.com", A)
        for _ in range(10):
            world.message(dr)
        initiate_connection_smtp(dr, 0, None)
        for _ in range(5):
            self.assertEqual(initiate_connection_smtp(dr, 0, None), ConnFlag.ERROR_HOST_MAX_REACHED)
        self.assertEqual(self.sizes(dr), (10, 0))
        world.dialer.dials[-1].fail(NO_PORT)
        self.assertEqual(world.records.failures((A, 25)), 0)
        self.assertEqual(dr.contact_failing_since, 0)
        self.assertEqual(self.sizes(dr), (9, 1))

    def test_unreachable_counts(self) -> None:
        """
        Attempts that find every address down count, so that the domain's mail
        is delayed and not taken off one by one for ever.
        """
        world = self.make("[global]\nmx_failures_to_delay = 3\n")
        dr = world.domain("example.com", A)
        for _ in range(10):
            world.message(dr)
        self.fail_async(dr)
        for _ in range(2):
            initiate_connection_smtp(dr, 0, None)
        world.clock.advance(0)
        self.assertEqual(self.sizes(dr), (0, 10))

    def test_bindings_together(self) -> None:
        """
        The count is the address's: failures from two bindings add up.
        """
        world = self.make(self.CONFIGURATION + TWO_BINDINGS)
        dr = world.domain("example.com", A)
        for slot in (1, 2):
            for _ in range(5):
                world.message(dr, slot)
        for slot in (1, 1, 2):
            self.assertGreater(dr.mail_queue.active_size(), 0)
            self.fail_async(dr, slot)
        world.clock.advance(0)
        self.assertEqual((dr.mail_queue.active_size(), dr.mail_queue.delayed_size()), (0, 10))

    def test_contact_elsewhere(self) -> None:
        """
        While one exchanger takes connections the dead one delays nothing, and
        its failures are not in a row.
        """
        world = self.make(self.CONFIGURATION)
        dr = world.domain("example.com", A, B)
        for _ in range(10):
            world.message(dr)
        for _ in range(5):
            self.fail_async(dr)
            world.dialer.dials[-1].connect()
        for _ in range(2):
            self.fail_async(dr)
            world.dialer.dials[-1].fail(REFUSED)
        world.clock.advance(0)
        self.assertEqual(self.sizes(dr), (8, 2))

    def test_long_time_without_contact(self) -> None:
        """
        Past ``connect_timeout_to_delay`` without any contact the active mail is
        delayed; a contact in between starts the time anew.
        """
        world = self.make("[global]\nmx_failures_to_delay = 0\nhost_failure_retry = 0\nretry_interval = 5000\n")
        dr = world.domain("example.com", A)
        for _ in range(10):
            world.message(dr)
        self.fail_async(dr)
        world.clock.advance(600)
        initiate_connection_smtp(dr, 0, None)
        world.dialer.dials[-1].connect()
        world.connections.contacted(world.opened[-1])
        self.fail_async(dr)
        world.clock.advance(600)
        self.fail_async(dr)
        self.assertEqual(self.sizes(dr), (7, 3))
        world.clock.advance(300)
        self.fail_async(dr)
        world.clock.advance(0)
        self.assertEqual(self.sizes(dr), (0, 10))
