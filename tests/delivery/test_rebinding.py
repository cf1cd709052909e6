"""
Tests of :mod:`momentum_tx.delivery.rebinding`: mail that changes its binding.
"""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from momentum_tx.delivery.bulk import BULK_SLICE
from momentum_tx.interfaces.hooks import IBindingGroupChooseBinding
from momentum_tx.interfaces.records import IMessage
from momentum_tx.settings import DEFAULT_SLOT
from momentum_tx.testing.peer_session import Answer
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, WorldCase

CONFIG = """
[binding.b1]
bind_address = "192.0.2.2"
[binding_group.g.binding.b2]
bind_address = "192.0.2.3"
[binding_group.g.binding.b3]
bind_address = "2001:db8::1"
"""
B1, B2, B3 = 1, 2, 3


@implementer(IBindingGroupChooseBinding)
class Chooser:
    """
    Answers with one slot, or with none.
    """

    def __init__(self, answer: int | None = None) -> None:
        self.answer = answer
        self.asked = 0

    def binding_group_choose_binding(self, msg: IMessage, group: str) -> int | None:
        self.asked += 1
        return self.answer


class RebindingCase(WorldCase):
    """
    Mail that waits on its bindings.
    """

    def slots(self, world: World) -> list[int]:
        """
        The slots of all queued messages, in order.
        """
        return sorted(
            message.binding_slot for dr in world.service.delivery.records for message in dr.mail_queue.messages()
        )

    def waiting(self, *bindings: str, config: str = CONFIG, **fields: str) -> tuple[World, Receiver]:
        """
        A world in which a message of each binding is active, and one delayed.
        """
        world = self.world("[global]\nsuspend_delivery = true\nretry_interval = 60\n" + config)
        mx = world.exchanger("example.com")
        for binding in bindings:
            self.accept(world, X_Binding=binding)
        mx.on("RCPT", b"451 4.2.1 Not now", times=len(bindings))
        world.reload("[global]\nretry_interval = 60\n" + config)
        world.advance(5)
        world.reload("[global]\nsuspend_delivery = true\nretry_interval = 60\n" + config)
        for binding in bindings:
            self.accept(world, X_Binding=binding)
        queue = world.domain("example.com").mail_queue
        self.assertEqual((queue.active_size(), queue.delayed_size()), (len(bindings), len(bindings)))
        return world, mx

    def rebound(self, rebinding: "Deferred[int]") -> int:
        """
        How many messages were moved, once that is known.
        """
        return self.successResultOf(rebinding)


class RebindTests(RebindingCase):
    """
    ``rebind``, as an operator asks for it.
    """

    def test_toBinding(self) -> None:
        """
        Active and delayed mail of one binding goes to another, and leaves from
        there in its time; that of other bindings stays.
        """
        world, mx = self.waiting("b1", "b2")
        self.assertEqual(self.rebound(world.service.rebind(from_binding="b1", to_binding="default")), 2)
        self.assertEqual(self.slots(world), [DEFAULT_SLOT, DEFAULT_SLOT, B2, B2])
        world.reload("[global]\nretry_interval = 60\n" + CONFIG)
        world.advance(1)
        self.assertEqual(sorted(taken.source for taken in mx.ledger), ["192.0.2.1", "192.0.2.3"])
        world.advance(70)
        self.assertEqual(sorted(taken.source for taken in mx.ledger[2:]), ["192.0.2.1", "192.0.2.3"])
        self.assertEqual(sorted(record["binding"] for record in world.mainlog("D")), ["b2", "b2", "default", "default"])

    def test_oneDomain(self) -> None:
        """
        Mail of other domains stays where it is; a domain that nobody knows has none.
        """
        world, _ = self.waiting("b1")
        self.accept(world, ["eve@example.net"], X_Binding="b1")
        self.assertEqual(self.rebound(world.service.rebind(domain="example.net", to_binding="b2")), 1)
        self.assertEqual(self.slots(world), [B1, B1, B2])
        self.assertEqual(self.rebound(world.service.rebind(domain="example.org", to_binding="b2")), 0)
        self.assertEqual(self.rebound(world.service.rebind(to_binding="b2")), 2)
        self.assertEqual(self.slots(world), [B2, B2, B2])

    def test_toGroup(self) -> None:
        """
        Each message gets a member of the group, by weight and by what is suspended.
        """
        world, _ = self.waiting(*["b1"] * 10)
        self.assertEqual(self.rebound(world.service.rebind(from_binding="b1", to_group="g")), 20)
        self.assertEqual(set(self.slots(world)), {B2, B3})
        config = CONFIG + "group_weight = 0\n"
        world, _ = self.waiting(*["b1"] * 4, config=config)
        self.assertEqual(self.rebound(world.service.rebind(to_group="g")), 8)
        self.assertEqual(self.slots(world), [B2] * 8)

    def test_anew(self) -> None:
        """
        Without a goal each message gets a member of the group it is in, and one
        that is in none stays.
        """
        world, _ = self.waiting(*["b2"] * 10, "b1", "default")
        moved = self.rebound(world.service.rebind())
        slots = self.slots(world)
        self.assertEqual(slots[:4], [DEFAULT_SLOT, DEFAULT_SLOT, B1, B1])
        self.assertEqual(slots.count(B3), moved)
        self.assertApproximates(moved, 10, 7)

    def test_awayFromTheSuspended(self) -> None:
        """
        A binding that is suspended loses its mail to the other members of its group.
        """
        config = CONFIG + "suspend_delivery = true\n"
        world, mx = self.waiting("b2")
        self.assertEqual(self.rebound(world.service.rebind(to_binding="b3")), 2)
        world.reload("[global]\nretry_interval = 60\n" + config)
        world.advance(100)
        self.assertEqual(len(mx.ledger), 0)
        self.assertEqual(self.rebound(world.service.rebind(from_binding="b3")), 2)
        world.advance(100)
        self.assertEqual([taken.source for taken in mx.ledger], ["192.0.2.3"] * 2)

    def test_hook(self) -> None:
        """
        ``binding_group_choose_binding`` is asked for each message that goes to a
        group, and for none that goes to a binding.
        """
        chooser = Chooser(B2)
        world = self.world("[global]\nsuspend_delivery = true\n" + CONFIG, providers=[chooser])
        world.exchanger("example.com")
        self.accept(world, X_Binding="b3")
        self.accept(world, X_Binding="b3")
        self.assertEqual(self.rebound(world.service.rebind(to_binding="b1")), 2)
        self.assertEqual(chooser.asked, 0)
        self.assertEqual(self.rebound(world.service.rebind(to_group="g")), 2)
        self.assertEqual((chooser.asked, self.slots(world)), (2, [B2, B2]))

    def test_mistakes(self) -> None:
        """
        A name that is none, or two goals, are refused, and nothing is moved.
        """
        world, _ = self.waiting("b1")
        rebind = world.service.rebind
        for named, wrong in (
            ({"to_binding": "nobody"}, "there is no binding 'nobody'"),
            ({"from_binding": "nobody", "to_binding": "b2"}, "there is no binding 'nobody'"),
            ({"to_group": "nobody"}, "there is no binding group 'nobody'"),
            ({"to_binding": "b2", "to_group": "g"}, "not to both"),
        ):
            error = self.assertRaises(ValueError, lambda named=named: rebind(**named))
            self.assertIn(wrong, str(error))
        self.assertEqual(self.slots(world), [B1, B1])

    def test_slices(self) -> None:
        """
        Much mail is moved in slices, so that others are served between two of
        them; what is swept into another queue meanwhile is moved all the same.
        """
        world = self.world("[global]\nsuspend_delivery = true\n" + CONFIG)
        world.exchanger("example.com")
        count = 2 * BULK_SLICE + 50
        self.accept(world, [f"u{number}@example.com" for number in range(count)], X_Binding="b1")
        queue = world.domain("example.com").mail_queue
        for message in queue.messages()[BULK_SLICE + 10 :]:
            queue.remove(message)
            message.next_attempt = world.wall() + 5.0
            queue.insert_delayed(message)
        rebinding = world.service.rebind(to_binding="b2")
        self.assertEqual(self.slots(world).count(B2), BULK_SLICE)
        self.assertNoResult(rebinding)
        self.assertEqual(queue.flush(), count - BULK_SLICE - 10)
        queue.sweep(world.wall(), 10_000)
        world.advance(1)
        self.assertEqual(self.rebound(rebinding), count)
        self.assertEqual(self.slots(world), [B2] * count)

    def test_stop(self) -> None:
        """
        A service that stops ends it, and says how much was moved.
        """
        world = self.world("[global]\nsuspend_delivery = true\n" + CONFIG)
        self.accept(world, [f"u{number}@example.com" for number in range(BULK_SLICE + 1)], X_Binding="b1")
        rebinding = world.service.rebind(to_binding="b2")
        world.stop()
        self.assertEqual(self.rebound(rebinding), BULK_SLICE)

    def test_kept(self) -> None:
        """
        The new binding outlives the process, of mail that was tried and of mail
        that was not.
        """
        for end in ("crash", "power_cut"):
            world, _ = self.waiting("b1")
            retries = sorted(message.num_retries for message in world.domain("example.com").mail_queue.messages())
            self.rebound(world.service.rebind(to_binding="b2"))
            world.advance(1)
            getattr(world, end)()
            self.assertEqual(self.slots(world), [B2, B2])
            found = sorted(message.num_retries for message in world.domain("example.com").mail_queue.messages())
            self.assertEqual((retries, found), ([0, 1], [0, 1]))

    def test_inDelivery(self) -> None:
        """
        A message that is being delivered stays, and is what it was if it fails.
        """
        world = self.world("[global]\nretry_interval = 60\n" + CONFIG)
        mx = world.exchanger("example.com")
        mx.on("DATA", Answer(b"451 4.2.1 Not now", after=5.0), times=1)
        self.accept(world, X_Binding="b1")
        world.advance(1)
        self.assertEqual(self.rebound(world.service.rebind(to_binding="b2")), 0)
        world.advance(10)
        self.assertEqual(self.slots(world), [B1])

    def test_siblings(self) -> None:
        """
        Recipients of one message that are on another binding now share a
        transaction there.
        """
        world = self.world("[global]\nsuspend_delivery = true\n" + CONFIG)
        mx = world.exchanger("example.com")
        self.accept(world, [f"u{number}@example.com" for number in range(5)], X_Binding="b1")
        self.rebound(world.service.rebind(to_binding="b2"))
        world.reload(CONFIG)
        world.advance(1)
        self.assertEqual([(taken.source, len(taken.recipients)) for taken in mx.ledger], [("192.0.2.3", 5)])

    def test_gateway(self) -> None:
        """
        The new binding's gateway takes the mail, active and delayed, and the old
        domain has none of it.
        """
        config = CONFIG + 'gateway = "198.51.100.77"\n'
        world, mx = self.waiting("b1", config=config)
        self.accept(world, ["a@example.com", "b@example.com"], X_Binding="b1")
        self.assertEqual(self.rebound(world.service.rebind(to_binding="b3")), 4)
        there = world.domain("198.51.100.77").mail_queue
        self.assertEqual((there.active_size(), there.delayed_size()), (3, 1))
        self.assertEqual(world.domain("example.com").mail_queue.size(), 0)
        self.assertEqual(self.rebound(world.service.rebind(to_binding="b1")), 4)
        self.assertEqual((there.size(), world.domain("example.com").mail_queue.size()), (0, 4))
        world.reload(config)
        world.advance(100)
        self.assertEqual(sorted(len(taken.recipients) for taken in mx.ledger), [1, 1, 2])

    def test_siblingsTogether(self) -> None:
        """
        A recipient that went to a gateway is apart from those of its message that
        did not; when the gateway is gone and they are on the same binding again,
        they go together.
        """

        @implementer(IBindingGroupChooseBinding)
        class Apart:
            """
            Sends bob away, and has eve stay.
            """

            def binding_group_choose_binding(self, msg: IMessage, group: str) -> int | None:
                return B3 if msg.recipient.startswith(b"bob") else B2

        suspended = "[global]\nsuspend_delivery = true\n"
        world = self.world(suspended + CONFIG + 'gateway = "198.51.100.77"\n', providers=[Apart()])
        mx, gateway = world.exchanger("example.com"), world.receiver("198.51.100.77")
        self.accept(world, [BOB, "eve@example.com"], X_Binding="b1")
        self.assertEqual(self.rebound(world.service.rebind(to_group="g")), 2)
        config = CONFIG.replace('bind_address = "2001:db8::1"', "")
        world.reload(suspended + config)
        self.assertEqual(self.rebound(world.service.rebind(from_binding="b2", to_binding="b3")), 1)
        world.reload(config)
        world.advance(1)
        self.assertEqual(gateway.ledger, [])
        (taken,) = mx.ledger
        self.assertEqual(sorted(taken.recipients), [BOB.encode(), b"eve@example.com"])

    def test_blackhole(self) -> None:
        """
        Mail is not moved to where it would be swallowed.
        """
        world, _ = self.waiting("b1", "b2")
        world.reload("[global]\nsuspend_delivery = true\n" + CONFIG + "blackhole = 'internal'\n")
        self.assertEqual(self.rebound(world.service.rebind(to_binding="b3")), 0)
        self.assertEqual(self.slots(world), [B1, B1, B2, B2])

    def test_idleSession(self) -> None:
        """
        An open session of the new binding takes the mail at once.
        """
        world = self.world("[global]\nidle_timeout = 100\n[binding.b0]\nsuspend_delivery = true\n" + CONFIG)
        mx = world.exchanger("example.com")
        self.accept(world, X_Binding="b1")
        self.accept(world, X_Binding="b0")
        world.advance(5)
        self.rebound(world.service.rebind(from_binding="b0", to_binding="b1"))
        world.advance(1)
        self.assertEqual([taken.connection for taken in mx.ledger], [1, 1])


class RetryTests(RebindingCase):
    """
    ``rebind_on_retry``.
    """

    CONFIG = (
        "[global]\nretry_interval = 60\n"
        "[binding_group.g]\nrebind_on_retry = true\n"
        '[binding_group.g.binding.b1]\nbind_address = "192.0.2.2"\n'
        '[binding_group.g.binding.b2]\nbind_address = "192.0.2.3"\n'
    )

    def test_another(self) -> None:
        """
        A message that failed for now is tried from the other member; what was
        delivered, and what was logged of the attempt, is of the one it was tried from.
        """
        world = self.world(self.CONFIG)
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not from you", times=2)
        self.accept(world, X_Binding="b1")
        world.advance(300)
        self.assertEqual([record["binding"] for record in world.mainlog("RTD")], ["b1", "b1", "b2", "b1"])
        self.assertEqual([taken.source for taken in mx.ledger], ["192.0.2.2"])

    def test_off(self) -> None:
        """
        Without the option it stays; so it does where it is in no group, or alone in it.
        """
        for config in (
            self.CONFIG.replace("true", "false"),
            "[global]\nretry_interval = 60\nrebind_on_retry = true\n[binding.b1]\n[binding.b2]\n",
            "[global]\nretry_interval = 60\nrebind_on_retry = true\n[binding_group.g.binding.b1]\n",
        ):
            world = self.world(config)
            mx = world.exchanger("example.com")
            mx.on("RCPT", b"451 4.2.1 Not from you", times=1)
            self.accept(world, X_Binding="b1")
            world.advance(100)
            self.assertEqual({record["binding"] for record in world.mainlog("RTD")}, {"b1"})

    def test_suspended(self) -> None:
        """
        It does not go to a member that is suspended, or that has no weight.
        """
        for option in ("suspend_delivery = true\n", "group_weight = 0\n"):
            world = self.world(self.CONFIG + option)
            mx = world.exchanger("example.com")
            mx.on("RCPT", b"451 4.2.1 Not from you", times=1)
            self.accept(world, X_Binding="b1")
            world.advance(100)
            self.assertEqual([record["binding"] for record in world.mainlog("RTD")], ["b1", "b1", "b1"])

    def test_hook(self) -> None:
        """
        The hook is asked first, and may have it stay.
        """
        chooser = Chooser(1)
        world = self.world(self.CONFIG, providers=[chooser])
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not from you", times=2)
        self.accept(world, X_Binding="b1")
        world.advance(300)
        self.assertEqual(chooser.asked, 2)
        self.assertEqual({record["binding"] for record in world.mainlog("RTD")}, {"b1"})

    def test_kept(self) -> None:
        """
        The binding of the next attempt outlives the process.
        """
        world = self.world(self.CONFIG)
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not from you", times=1)
        self.accept(world, X_Binding="b1")
        world.advance(10)
        world.crash()
        self.assertEqual(self.slots(world), [2])
        world.advance(100)
        self.assertEqual([taken.source for taken in mx.ledger], ["192.0.2.3"])

    def test_gateway(self) -> None:
        """
        The other member's gateway takes it.
        """
        world = self.world(self.CONFIG + 'gateway = "[198.51.100.77]"\n')
        mx, gateway = world.exchanger("example.com"), world.receiver("198.51.100.77")
        mx.on("RCPT", b"451 4.2.1 Not from you", times=2)
        self.accept(world, [BOB, "eve@example.com"], X_Binding="b1")
        world.advance(100)
        self.assertEqual((len(mx.ledger), [len(taken.recipients) for taken in gateway.ledger]), (0, [2]))
        self.assertEqual(world.queued(), 0)

    def test_blackhole(self) -> None:
        """
        It does not go to a member that swallows its mail.
        """
        world = self.world(self.CONFIG + "blackhole = 'internal'\n")
        mx = world.exchanger("example.com")
        mx.on("RCPT", b"451 4.2.1 Not from you", times=1)
        self.accept(world, X_Binding="b1")
        world.advance(100)
        self.assertEqual([record["binding"] for record in world.mainlog("RTDP")], ["b1", "b1", "b1"])

    def test_connectionFailures(self) -> None:
        """
        So it does when no connection came about: one source that is blocked does
        not keep its group's mail.
        """
        world = self.world(self.CONFIG)
        mx = world.exchanger("example.com")
        world.network.refuse(mx.address)
        self.accept(world, X_Binding="b1")
        world.advance(1)
        self.assertEqual(self.slots(world), [2])
