"""
Tests of :mod:`momentum_tx.delivery.choice`: who is asked, in which order.  What
a client sees of it is in ``tests/inject/test_receiver.py``.
"""

from zope.interface import implementer

from momentum_tx.interfaces.hooks import IBindingGroupChooseBinding
from momentum_tx.interfaces.records import IMessage
from momentum_tx.queues.message import Message, Reception
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
