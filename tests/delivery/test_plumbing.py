"""
Tests of :mod:`momentum_tx.delivery.plumbing`: addresses that come and go.
"""

import errno

from zope.interface import implementer

from momentum_tx.interfaces.hooks import ILogClientConnectionFailure
from momentum_tx.interfaces.records import IDomainRecord
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import SENDER, WorldCase

ONE, TWO, SIX = "192.0.2.2", "192.0.2.3", "2001:db8::1"
CONFIG = f'[binding.b1]\nbind_address = "{ONE}"\n[binding.b2]\nbind_address = "{TWO}"\n'


@implementer(ILogClientConnectionFailure)
class Failures:
    """
    Counts attempts that failed, by slot.
    """

    def __init__(self) -> None:
        self.slots: list[int] = []

    def log_client_connection_failure(
        self, addr: object, err: int, dr: IDomainRecord, binding_slot: int, now: float | None
    ) -> None:
        self.slots.append(binding_slot)


class PlumbingCase(WorldCase):
    """
    A world in which operators are told things.
    """

    def made(self, config: str, start: bool = True, lacks: tuple[str, ...] = ()) -> tuple[World, Receiver]:
        """
        A world, and the receiver of example.com.

        :param lacks: addresses the machine has not when the service starts.
        """
        self.failures = Failures()
        world = self.world(config, providers=[self.failures], start=False)
        self.told: list[tuple[str, str]] = []
        self.patch(world.service.hooks, "tell_error", lambda now, level, text: self.told.append((level, text)))
        world.network.unplumb(*lacks)
        if start:
            world.start()
        return world, world.exchanger("example.com")


class AutoReplumbTests(PlumbingCase):
    """
    ``binding_auto_replumb`` and its interval.
    """

    def test_start(self) -> None:
        """
        A service starts without the address of a binding, and says so; its mail
        waits, that of others does not, and no attempt is wasted.
        """
        world, mx = self.made(CONFIG, lacks=(ONE,))
        self.assertEqual(
            self.told,
            [("error", f"{ONE}, source of binding b1, is not configured on this host; mail waits until it is")],
        )
        self.accept(world, X_Binding="b1")
        self.accept(world, X_Binding="b2")
        world.advance(86400 * 2)
        self.assertEqual([taken.source for taken in mx.ledger], [TWO])
        self.assertEqual((self.failures.slots, world.mainlog("TP"), len(self.told)), ([], [], 1))

    def test_comes_back(self) -> None:
        """
        When the address is there again, its mail leaves at the next look, and
        the operator is told.
        """
        world, mx = self.made("[global]\ndelayed_queue_scan_interval = 3600\n" + CONFIG, lacks=(ONE,))
        self.accept(world, X_Binding="b1")
        world.advance(30)
        world.network.plumb(ONE)
        world.advance(29)
        self.assertEqual((len(mx.ledger), len(self.told)), (0, 1))
        world.advance(2)
        self.assertEqual([taken.source for taken in mx.ledger], [ONE])
        self.assertEqual(
            self.told[1:],
            [("notice", f"{ONE}, source of binding b1, is configured on this host again, and its mail goes on")],
        )

    def test_interval(self) -> None:
        """
        ``binding_auto_replumb_interval`` is how often it is looked.
        """
        world, mx = self.made("[global]\nbinding_auto_replumb_interval = 7\n" + CONFIG, lacks=(ONE,))
        self.accept(world, X_Binding="b1")
        world.network.plumb(ONE)
        world.advance(6)
        self.assertEqual(len(mx.ledger), 0)
        world.advance(1.5)
        self.assertEqual(len(mx.ledger), 1)

    def test_lost_and_noticed(self) -> None:
        """
        An address that goes is noticed at the next look, before any mail needs it.
        """
        world, mx = self.made(CONFIG)
        world.network.unplumb(ONE)
        world.advance(61)
        self.assertEqual([level for level, _ in self.told], ["error"])
        self.accept(world, X_Binding="b1")
        world.advance(600)
        self.assertEqual((self.failures.slots, len(mx.ledger)), ([], 0))

    def test_off(self) -> None:
        """
        Without ``binding_auto_replumb`` a reload finds out, and nothing else.
        """
        config = "[global]\nbinding_auto_replumb = false\n" + CONFIG
        world, mx = self.made(config, lacks=(ONE,))
        self.accept(world, X_Binding="b1")
        world.network.plumb(ONE)
        world.network.unplumb(TWO)
        world.advance(3600)
        self.assertEqual((len(mx.ledger), len(self.told)), (0, 1))
        world.reload(config)
        world.advance(1)
        self.assertEqual([taken.source for taken in mx.ledger], [ONE])
        self.assertEqual([level for level, _ in self.told], ["error", "notice", "error"])

    def test_switched_on(self) -> None:
        """
        A reload that sets ``binding_auto_replumb`` begins to look.
        """
        world, mx = self.made("[global]\nbinding_auto_replumb = false\n" + CONFIG, lacks=(ONE,))
        self.accept(world, X_Binding="b1")
        world.reload(CONFIG)
        world.network.plumb(ONE)
        world.advance(61)
        self.assertEqual(len(mx.ledger), 1)


class FailedBindTests(PlumbingCase):
    """
    An attempt that could not bind.
    """

    def test_looked_at_once(self) -> None:
        """
        The first attempt that cannot bind is the last one; neither its message
        nor any other has a failure.
        """
        world, mx = self.made(CONFIG)
        other = world.exchanger("example.net")
        world.network.unplumb(ONE)
        for _ in range(3):
            self.accept(world, X_Binding="b1")
        self.accept(world, ["bob@example.net"], X_Binding="b1")
        world.advance(50)
        self.assertEqual((self.failures.slots, len(self.told), world.queued()), ([1], 1, 4))
        world.network.plumb(ONE)
        world.advance(11)
        self.assertEqual((len(mx.ledger), len(other.ledger), world.mainlog("TP")), (3, 1, []))

    def test_sessions_take_nothing(self) -> None:
        """
        A session that is open when the address is found absent takes no more mail.
        """
        world, mx = self.made("[global]\nidle_timeout = 100\n" + CONFIG)
        self.accept(world, X_Binding="b1")
        world.advance(1)
        world.network.unplumb(ONE)
        world.advance(60)
        self.accept(world, X_Binding="b1")
        world.advance(5)
        self.assertEqual((len(mx.ledger), world.queued()), (1, 1))

    def test_groups_avoid_it(self) -> None:
        """
        A group gives nothing to a member whose address is absent, while it has another.
        """
        world, mx = self.made(
            f'[binding_group.g.binding.b1]\nbind_address = "{ONE}"\n'
            f'[binding_group.g.binding.b2]\nbind_address = "{TWO}"\n',
            lacks=(ONE,),
        )
        self.accept(world, [f"u{number}@example.com" for number in range(20)], X_Binding_Group="g")
        world.advance(1)
        self.assertEqual({taken.source for taken in mx.ledger}, {TWO})


class KnownTests(PlumbingCase):
    """
    What is known, and what cannot be.
    """

    def test_untold(self) -> None:
        """
        While nobody can tell, for want of descriptors, what was known holds.
        """
        world, mx = self.made(CONFIG, lacks=(ONE,))

        def untold(address: str) -> bool:
            raise OSError(errno.EMFILE, "no descriptor")

        facilities = world.service.delivery.facilities
        self.patch(facilities, "plumbed", untold)
        world.advance(600)
        self.accept(world, X_Binding="b1")
        self.accept(world, X_Binding="b2")
        world.advance(10)
        self.assertEqual(([taken.source for taken in mx.ledger], len(self.told)), ([TWO], 1))

    def test_shared(self) -> None:
        """
        Bindings that share an address share its absence, in one line.
        """
        _, _ = self.made(f'[global]\nbind_address = "{ONE}"\n[binding.b1]\n', lacks=(ONE,))
        ((_, text),) = self.told
        self.assertTrue(text.startswith(f"{ONE}, source of binding default, b1, is not"), text)

    def test_two_families(self) -> None:
        """
        A binding that has one of its two addresses delivers from that one to
        whom it can reach, and nothing is tried from the other.
        """
        for lacking, source in ((SIX, ONE), (ONE, SIX)):
            world, mx = self.made(
                f'[global]\nuse_ipv6 = true\n[binding.b1]\nbind_address = "{ONE}"\nbind_address_secondary = "{SIX}"\n',
                lacks=(lacking,),
            )
            six = world.exchanger("example.com", address="2001:db8:7::1")
            for _ in range(4):
                self.accept(world, X_Binding="b1")
            world.advance(1)
            self.assertEqual([taken.source for taken in (*mx.ledger, *six.ledger)], [source] * 4)
            self.assertEqual(self.failures.slots, [])
            world.network.plumb(lacking)

    def test_neither(self) -> None:
        """
        With none of the two it waits.
        """
        world, mx = self.made(
            f'[binding.b1]\nbind_address = "{ONE}"\nbind_address_secondary = "{SIX}"\n', lacks=(ONE, SIX)
        )
        self.accept(world, X_Binding="b1")
        world.advance(100)
        self.assertEqual((self.failures.slots, len(mx.ledger), world.queued()), ([], 0, 1))
        suspension = world.service.delivery.facilities.suspension
        self.assertEqual(
            suspension.reason(1, "example.com", world.wall()), f"{ONE} and {SIX} is not configured on this host"
        )

    def test_kernel_chooses(self) -> None:
        """
        A binding whose only address is a second one goes on over the other family.
        """
        world, mx = self.made(f'[binding.b1]\nbind_address_secondary = "{SIX}"\n', lacks=(SIX,))
        self.accept(world, X_Binding="b1")
        world.advance(1)
        self.assertEqual(len(mx.ledger), 1)

    def test_removed_address(self) -> None:
        """
        An address no binding has any more is forgotten.
        """
        world, mx = self.made(CONFIG, lacks=(ONE,))
        self.accept(world, X_Binding="b1")
        world.reload(CONFIG.replace(ONE, "192.0.2.1"))
        world.advance(1)
        self.assertEqual([taken.source for taken in mx.ledger], ["192.0.2.1"])
        self.assertFalse(world.service.delivery.facilities.plumbing.lacks(ONE))

    def test_nothing_to_look_for(self) -> None:
        """
        A service whose bindings have no address looks for none.
        """
        world, _ = self.made("[binding.b1]\n")

        def asked(address: str) -> bool:
            raise AssertionError(address)

        self.patch(world.service.delivery.facilities, "plumbed", asked)
        world.advance(1000)
        self.assertEqual(world.inject(SENDER, ["bob@example.com"], world.message())[:3], b"250")
