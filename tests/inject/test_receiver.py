"""
From the door to the queues: bindings, trace fields, addresses.
"""

from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.errors import MessageRefused
from momentum_tx.interfaces.hooks import IBindingGroupChooseBinding, ILogReceptionV1
from momentum_tx.interfaces.records import IMessage, IReception
from momentum_tx.interfaces.services import IReceiver, Submission

from ..worlds import BOB, SENDER, WorldCase

CONFIG = """
[binding.b1]
bind_address = "192.0.2.2"
[binding_group.g]
[binding_group.g.binding.b2]
bind_address = "192.0.2.3"
[binding_group.g.binding.b3]
bind_address = "192.0.2.1"
"""


class BindingTests(WorldCase):
    """
    Choosing the source of a message.
    """

    def test_x_binding(self) -> None:
        """
        ``X-Binding`` chooses the source address, and is removed.
        """
        world = self.world(CONFIG)
        mx = world.exchanger("example.com")
        self.accept(world, X_Binding="b1")
        world.advance(1)
        (taken,) = mx.ledger
        self.assertEqual(taken.source, "192.0.2.2")
        self.assertNotIn(b"binding", taken.content.lower())
        self.assertEqual([record["binding"] for record in world.mainlog()], ["b1", "b1"])

    def test_x_binding_group(self) -> None:
        """
        ``X-Binding-Group`` chooses among the members of a group, at random.
        """
        world = self.world(CONFIG)
        mx = world.exchanger("example.com")
        for number in range(20):
            self.accept(world, subject=str(number), X_Binding_Group="g")
        world.advance(10)
        self.assertEqual({taken.source for taken in mx.ledger}, {"192.0.2.3", "192.0.2.1"})
        self.assertFalse([taken for taken in mx.ledger if b"x-binding" in taken.content.lower()])
        self.assertEqual({record["group"] for record in world.mainlog("D")}, {"g"})

    def test_suspended_members_are_avoided(self) -> None:
        """
        A suspended member of a group is not chosen while another is not.
        """
        world = self.world(CONFIG + "suspend_delivery = true\n")
        mx = world.exchanger("example.com")
        for number in range(10):
            self.accept(world, subject=str(number), X_Binding_Group="g")
        world.advance(10)
        self.assertEqual([taken.source for taken in mx.ledger], ["192.0.2.3"] * 10)

    def test_weights(self) -> None:
        """
        With ``group_weight`` most mail of a group leaves from where most of it
        shall, and none from a member without weight.
        """
        world = self.world(
            '[binding_group.g.binding.b1]\nbind_address = "192.0.2.1"\ngroup_weight = 9\n'
            '[binding_group.g.binding.b2]\nbind_address = "192.0.2.2"\n'
            '[binding_group.g.binding.b3]\nbind_address = "192.0.2.3"\ngroup_weight = 0\n'
        )
        mx = world.exchanger("example.com")
        self.accept(world, [f"u{number}@example.com" for number in range(99)], X_Binding_Group="g")
        world.advance(10)
        sources = [taken.source for taken in mx.ledger for _ in taken.recipients]
        self.assertEqual(set(sources), {"192.0.2.1", "192.0.2.2"})
        self.assertApproximates(sources.count("192.0.2.1"), 89, 9)

    def test_weightless_group(self) -> None:
        """
        A group whose members have no weight is for the hook alone: where that
        has no answer, the message is refused for now.
        """

        @implementer(IBindingGroupChooseBinding)
        class Chooser:
            """
            Chooses the first slot for the recipient named bob.
            """

            def binding_group_choose_binding(self, msg: IMessage, group: str) -> int | None:
                return 1 if msg.recipient.startswith(b"bob") else None

        world = self.world("[binding_group.g.binding.b1]\ngroup_weight = 0\n", providers=[Chooser()])
        world.exchanger("example.com")
        self.accept(world, X_Binding_Group="g")
        reply = world.inject(SENDER, ["eve@example.com"], world.message(X_Binding_Group="g"))
        self.assertEqual(reply[:9], b"451 4.3.5")

    def test_no_default_binding(self) -> None:
        """
        With ``default_binding`` none nothing is received that would leave from
        the binding ``default``, however that was chosen; other bindings serve.
        """
        world = self.world('[global]\ndefault_binding = "none"\n' + CONFIG)
        mx = world.exchanger("example.com")
        self.assertEqual(world.inject(SENDER, [BOB], world.message())[:9], b"451 4.3.5")
        self.assertEqual(world.inject(SENDER, [BOB], world.message(X_Binding="default"))[:9], b"451 4.3.5")
        refused = self.failureResultOf(world.send(SENDER, [BOB], world.message()), MessageRefused).value
        self.assertEqual(refused.code, 451)
        self.accept(world, X_Binding="b1")
        # The group of those that are in no other: b1 is left of it.
        self.accept(world, [f"u{number}@example.com" for number in range(9)], X_Binding_Group="default")
        world.advance(1)
        self.assertEqual({taken.source for taken in mx.ledger}, {"192.0.2.2"})

    def test_default_binding_is_delivered(self) -> None:
        """
        What was received before ``default_binding`` became none is delivered.
        """
        world = self.world("[global]\nsuspend_delivery = true\n")
        mx = world.exchanger("example.com")
        self.accept(world)
        world.reload('[global]\ndefault_binding = "none"\n')
        world.advance(20)
        self.assertEqual(len(mx.ledger), 1)

    def test_suspended_default_binding(self) -> None:
        """
        With ``default_binding`` suspended its mail is received and waits; a
        group passes it over, and other bindings deliver.
        """
        world = self.world('[global]\ndefault_binding = "suspended"\n' + CONFIG)
        mx = world.exchanger("example.com")
        self.accept(world)
        self.accept(world, X_Binding="b1")
        self.accept(world, [f"u{number}@example.com" for number in range(9)], X_Binding_Group="default")
        world.advance(3600)
        self.assertEqual({taken.source for taken in mx.ledger}, {"192.0.2.2"})
        self.assertEqual((len(self.taken(mx)), world.queued(), world.mainlog("TP")), (10, 1, []))
        world.reload('[global]\ndefault_binding = "normal"\n' + CONFIG)
        world.advance(1)
        self.assertEqual((len(self.taken(mx)), world.queued()), (11, 0))

    def test_unknown_names(self) -> None:
        """
        A binding or group that does not exist refuses the message: sending it
        from somewhere else would be worse.
        """
        world = self.world(CONFIG)
        for name, field in (("X-Binding", "X_Binding"), ("X-Binding-Group", "X_Binding_Group")):
            reply = world.inject(SENDER, [BOB], world.message(**{field: "nobody"}))
            self.assertTrue(reply.startswith(b"550 5.6.0 " + name.encode() + b": there is no binding"), reply)

    def test_strangers_choose_nothing(self) -> None:
        """
        From a client that may relay and is not trusted the fields stay where
        they are and choose nothing.
        """
        world = self.world('[global]\nrelay_hosts = ["192.0.2.0/24"]\n' + CONFIG)
        mx = world.exchanger("example.com")
        world.inject(SENDER, [BOB], world.message(X_Binding="b1"), source="192.0.2.3")
        world.advance(1)
        self.assertEqual(mx.ledger[0].source, "192.0.2.1")
        self.assertIn(b"X-Binding: b1", mx.ledger[0].content)

    def test_choosing_hook(self) -> None:
        """
        ``binding_group_choose_binding`` chooses; an answer outside of the group
        does not count.
        """
        answers = [3, 1, None]

        @implementer(IBindingGroupChooseBinding)
        class Chooser:
            """
            Answers from a list.
            """

            def binding_group_choose_binding(self, msg: IMessage, group: str) -> int | None:
                return answers.pop(0)

        world = self.world(CONFIG, providers=[Chooser()])
        world.exchanger("example.com")
        for number in range(3):
            self.accept(world, subject=str(number), X_Binding_Group="g")
        chosen = [record["binding"] for record in world.mainlog("R")]
        self.assertEqual(chosen[0], "b3")
        self.assertTrue({"b2", "b3"}.issuperset(chosen))


class ReceptionTests(WorldCase):
    """
    What else happens to a message at the door.
    """

    def test_kept_is_never_refused(self) -> None:
        """
        Once a message is durable a fault in delivery's queues is logged, not
        answered: the client gets its 250, and the next start delivers.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        service = world.service

        def broken(messages: object) -> None:
            raise RuntimeError("a queue out of order")

        self.patch(service.receiver, "_enqueue", broken)
        self.accept(world)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        world.advance(10)
        self.assertEqual(mx.ledger, [])
        world.crash()
        world.advance(10)
        self.assertEqual(self.taken(mx), [BOB.encode()])

    def test_contract(self) -> None:
        """
        The receiver provides its interface.
        """
        self.assertTrue(verifyObject(IReceiver, self.world().service.receiver))

    def test_batch_id(self) -> None:
        """
        ``receive`` fires with the batch id that mainlog has, too.
        """
        world = self.world()
        world.exchanger("example.com")
        kept = world.service.receiver.receive(Submission(b"", (b"bob@example.com",), b"Subject: x\r\n\r\nx\r\n"))
        self.assertNoResult(kept)
        world.advance(1)
        self.assertEqual(self.successResultOf(kept), self.last(world, "R")["batch"])

    def test_trace_field(self) -> None:
        """
        One ``Received`` field is put in front, which names a single recipient
        and never one of several.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        self.accept(world, [BOB])
        self.accept(world, [BOB, "carol@example.com"])
        world.advance(5)
        self.assertIn(b"for <bob@example.com>", mx.ledger[0].content)
        self.assertNotIn(b"for <", mx.ledger[1].content)

    def test_postmaster(self) -> None:
        """
        ``postmaster`` without a domain is ours.
        """
        world = self.world()
        mx = world.exchanger("mail.sender.example")
        self.accept(world, ["postmaster"])
        world.advance(1)
        self.assertEqual(self.taken(mx), [b"postmaster@mail.sender.example"])

    def test_hook(self) -> None:
        """
        ``log_reception_v1`` hears of every recipient once, when it is durable;
        one that raises does no harm.
        """
        told: list[bytes] = []

        @implementer(ILogReceptionV1)
        class Watcher:
            """
            Remembers, then raises.
            """

            def log_reception_v1(self, ac: IReception, msg: IMessage, now: float | None, note: bytes | None) -> None:
                told.append(msg.recipient)
                raise RuntimeError("a logger that fails")

        world = self.world(providers=[Watcher()])
        mx = world.exchanger("example.com")
        self.accept(world, [BOB, "carol@example.com"])
        world.advance(1)
        self.assertEqual(told, [BOB.encode(), b"carol@example.com"])
        self.assertEqual(self.taken(mx), told)
        self.assertTrue(self.flushLoggedErrors(RuntimeError))
