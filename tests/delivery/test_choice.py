"""
Tests of :mod:`momentum_tx.delivery.choice`: who is asked, in which order.  What
a client sees of it is in ``tests/inject/test_receiver.py``.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IBindingGroupChooseBinding
from momentum_tx.interfaces.records import IMessage
from momentum_tx.queues.message import Message, Reception
from momentum_tx.settings import UNBOUND
from momentum_tx.testing.world import World

from ..worlds import WorldCase

GROUP = "[binding_group.g.binding.b1]\n[binding_group.g.binding.b2]\ngroup_weight = 0\n"


@implementer(IBindingGroupChooseBinding)
class Chooser:
    """
    Gives one answer.
    """

    def __init__(self, answer: int | None) -> None:
        self.answer = answer
        self.asked: list[tuple[bytes, str]] = []

    def binding_group_choose_binding(self, msg: IMessage, group: str) -> int | None:
        self.asked.append((msg.recipient, group))
        return self.answer


class AnotherTests(WorldCase):
    """
    Another member for the next attempt of a message.
    """

    TEXT = """
[binding.b0]
[binding_group.g.binding.b1]
[binding_group.g.binding.b2]
group_weight = 3
[binding_group.g.binding.b3]
suspend_delivery = true
[binding_group.g.binding.b4]
group_weight = 0
"""

    def others(self, present: int, answer: int | None = None) -> set[int | None]:
        """
        All that come up for a message on a binding.
        """
        world = self.world(self.TEXT, providers=[Chooser(answer)])
        message = Reception(b"a@sender.example", world.wall(), 10, "b").add("m", b"bob@example.com")
        message.binding_slot = present
        message.domain = world.service.delivery.domain_record("example.com")
        return {world.service.delivery.choice.another(message) for _ in range(50)}

    def test_others(self) -> None:
        """
        Only those come up that are not suspended and have weight, and never the present one.
        """
        self.assertEqual(self.others(2), {3})
        self.assertEqual(self.others(3), {2})
        self.assertEqual(self.others(4), {2, 3})

    def test_noGroup(self) -> None:
        """
        A binding that is in no group has no others; nor has a message without a binding.
        """
        self.assertEqual(self.others(1, 2), {None})
        self.assertEqual(self.others(UNBOUND, 2), {None})

    def test_hook(self) -> None:
        """
        What the hook answers is taken, whatever it is of the group.
        """
        self.assertEqual(self.others(2, 5), {5})
        self.assertEqual(self.others(2, 2), {2})
        self.assertEqual(self.others(2, 0), {3})


class ChoiceTests(WorldCase):
    """
    A member for a message.
    """

    def choose(self, world: World, group: str = "g") -> int | None:
        """
        A slot for a message to example.com.
        """
        reception = Reception(b"a@sender.example", world.wall(), 10, "b")
        message: Message = reception.add("m", b"bob@example.com")
        return world.service.delivery.choice.choose(message, group)

    def test_hookFirst(self) -> None:
        """
        What the hook answers is taken, though it has no weight.
        """
        chooser = Chooser(2)
        self.assertEqual(self.choose(self.world(GROUP, providers=[chooser])), 2)
        self.assertEqual(chooser.asked, [(b"bob@example.com", "g")])

    def test_hookOutsideOfTheGroup(self) -> None:
        """
        An answer that is not in the group is logged, and chance decides.
        """
        world = self.world(GROUP, providers=[Chooser(0)])
        self.assertEqual(self.choose(world), 1)

    def test_weights(self) -> None:
        """
        Without an answer chance decides by weight.
        """
        world = self.world(GROUP, providers=[Chooser(None)])
        self.assertEqual({self.choose(world) for _ in range(50)}, {1})

    def test_noSuchGroup(self) -> None:
        """
        Of a group that does not exist there is no member.
        """
        self.assertIsNone(self.choose(self.world(GROUP), "nobody"))
