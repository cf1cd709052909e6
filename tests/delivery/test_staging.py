"""
Tests of :mod:`momentum_tx.delivery.staging`: what of the queues is in memory.
"""

from momentum_tx.queues.message import Message, Packed
from momentum_tx.testing.world import World

from ..worlds import BOB, WorldCase


class StagingCase(WorldCase):
    """
    Mail that waits.
    """

    def resident(self, world: World) -> int:
        """
        How many receptions are in memory with their body.
        """
        return world.service.spool.resident.receptions

    def queued(self, world: World) -> list[Message]:
        """
        The messages for example.com.
        """
        return world.domain("example.com").mail_queue.messages()


class ActiveTests(StagingCase):
    """
    ``max_resident_active_queue``: mail that is due, and whose turn is far.
    """

    def suspended(self, option: str) -> World:
        """
        A world in which five messages are due and none leaves.
        """
        world = self.world(f"[global]\nsuspend_delivery = true\n{option}\n")
        for number in range(5):
            self.accept(world, subject=str(number))
        return world

    def test_bound(self) -> None:
        """
        Only so many of a domain are kept in memory; more mail is taken all the same, and all of it delivered as it
        came.
        """
        world = self.suspended("max_resident_active_queue = 3")
        self.assertEqual(self.resident(world), 3)
        self.assertEqual([isinstance(each, Packed) for each in self.queued(world)], [False] * 3 + [True] * 2)
        self.accept(world, ["bob@example.net"])
        self.assertEqual(self.resident(world), 4)
        mx, _ = world.exchanger("example.com"), world.exchanger("example.net")
        world.reload("")
        world.advance(5)
        self.assertEqual(len(mx.ledger), 5)
        for number, taken in enumerate(sorted(mx.ledger, key=lambda taken: taken.content)):
            self.assertEqual(taken.recipients, (BOB.encode(),))
            self.assertTrue(taken.content.endswith(world.message(str(number))))

    def test_none(self) -> None:
        """
        With 0 none is kept.
        """
        self.assertEqual(self.resident(self.suspended("max_resident_active_queue = 0")), 0)

    def test_unlimited(self) -> None:
        """
        With -1 all are, as far as there is room at all.
        """
        self.assertEqual(self.resident(self.suspended("max_resident_active_queue = -1")), 5)
        self.assertEqual(self.resident(self.suspended("max_resident_active_queue = -1\nmax_resident_messages = 2")), 2)


class RoomTests(StagingCase):
    """
    ``max_resident_messages``: of all mail.
    """

    def test_bound(self) -> None:
        """
        Only so many are in memory, with a reload that says less fewer at once; the mail stays, and is delivered.
        """
        config = "[global]\nsuspend_delivery = {}\nmax_resident_messages = {}\n"
        world = self.world(config.format("true", 3))
        for number in range(5):
            self.accept(world, [f"bob@d{number}.example"])
        self.assertEqual(self.resident(world), 3)
        world.reload(config.format("true", 1))
        self.assertEqual(self.resident(world), 1)
        receivers = [world.exchanger(f"d{number}.example") for number in range(5)]
        world.reload(config.format("false", 0))
        self.assertEqual(self.resident(world), 0)
        world.advance(5)
        self.assertEqual([len(receiver.ledger) for receiver in receivers], [1] * 5)
        self.assertEqual(self.resident(world), 0)

    def test_after_a_restart(self) -> None:
        """
        A new process has all mail in its queues and no body in memory.
        """
        world = self.world("[global]\nsuspend_delivery = true\n")
        self.accept(world)
        self.accept(world, [BOB, "eve@example.com"])
        world.crash()
        self.assertEqual(self.resident(world), 0)
        queued = self.queued(world)
        self.assertEqual([type(message) for message in queued], [Packed] * 3)
        self.assertEqual([message.recipient for message in queued], [BOB.encode(), BOB.encode(), b"eve@example.com"])


class DelayedTests(StagingCase):
    """
    ``drop_body_after_trans_fail``: mail that is refused again and again.
    """

    def test_bound(self) -> None:
        """
        After so many failures a message is not in memory while it waits, before that it is; it is delivered as it came.
        """
        world = self.world('[global]\nretry_intervals = ["1m"]\ndrop_body_after_trans_fail = 2\n')
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not now", times=3)
        self.accept(world)
        for failures, resident in ((1, 1), (2, 0), (3, 0)):
            world.advance(5)
            self.assertEqual((len(world.mainlog("T")), self.resident(world)), (failures, resident))
            (message,) = self.queued(world)
            self.assertEqual(isinstance(message, Packed), not resident)
            world.advance(55)
        world.advance(5)
        (taken,) = mx.ledger
        self.assertTrue(taken.content.endswith(world.message()))
        self.assertEqual(self.kinds(world), "RTTTD")

    def test_at_once(self) -> None:
        """
        With 0 no message that waits is in memory.
        """
        world = self.world("[global]\ndrop_body_after_trans_fail = 0\n")
        world.exchanger("example.com").on("RCPT", b"451 4.2.1 Not now", times=1)
        self.accept(world)
        world.advance(5)
        self.assertEqual((self.kinds(world), self.resident(world)), ("RT", 0))

    def test_first_to_leave(self) -> None:
        """
        What waits for its time makes room for what is due.
        """
        world = self.world('[global]\nmax_resident_messages = 2\n[domain."example.net"]\nsuspend_delivery = true\n')
        world.exchanger("example.com").on("RCPT", b"451 4.2.1 Not now")
        self.accept(world, ["bob@example.net"])
        self.accept(world)
        world.advance(5)
        self.assertEqual((self.kinds(world), self.resident(world)), ("RRT", 2))
        self.accept(world, ["eve@example.net"])
        self.assertEqual(self.resident(world), 2)
        (message,) = self.queued(world)
        self.assertIsInstance(message, Packed)


class LookedAtTests(StagingCase):
    """
    Mail that somebody looks at while it waits.
    """

    def test_rebound(self) -> None:
        """
        Whether an operator moves all mail to another binding or leaves it, it is in memory no more than before.
        """
        world = self.world("[global]\nsuspend_delivery = true\nmax_resident_messages = 0\n[binding.b1]\n[binding.b2]\n")
        for name in ("b1", "b1", "b2"):
            self.accept(world, X_Binding=name)
        rebinding = world.service.delivery.rebinding
        for wanted, moved in ((lambda message: None, 0), (lambda message: 1 + message.recipient.count(b"bob"), 2)):
            done = rebinding.rebind(world.service.delivery.records, None, wanted)
            world.advance(1)
            self.assertEqual(self.successResultOf(done), moved)
            self.assertEqual([type(message) for message in self.queued(world)], [Packed] * 3)
