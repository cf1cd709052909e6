"""
Tests of :mod:`momentum_tx.queues.message`.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.records import IMessage, IReception
from momentum_tx.queues.message import NO_TRAITS, Reception, Traits, traits_of
from momentum_tx.settings import UNBOUND
from momentum_tx.stages import Stage


class ReceptionTests(SynchronousTestCase):
    """
    A reception and its messages.
    """

    def setUp(self) -> None:
        self.reception = Reception(b"alice@example.com", 1700000000.5, 4096, "b1")

    def test_contracts(self) -> None:
        """
        Hooks find every field the contracts promise.
        """
        verifyObject(IReception, self.reception)
        verifyObject(IMessage, self.reception.add("m1", b"bob@example.com"))

    def test_in_process(self) -> None:
        """
        A reception nobody says more about came from within, over no connection, in seven bits.
        """
        self.assertEqual(self.reception.conn_id, "00/00-00000-00000000")
        self.assertEqual((self.reception.recv_method, self.reception.recv_from), ("internal", ""))
        self.assertFalse(self.reception.eight_bit)
        self.assertFalse(self.reception.smtputf8)

    def test_fresh_message(self) -> None:
        """
        A new message is due since its reception, unbound, never tried, and in no queue.
        """
        message = self.reception.add("m1", b"bob@example.com")
        self.assertEqual((message.id, message.recipient, message.index), ("m1", b"bob@example.com", 0))
        self.assertIs(message.reception, self.reception)
        self.assertEqual(message.next_attempt, 1700000000.5)
        self.assertEqual(message.binding_slot, UNBOUND)
        self.assertEqual((message.num_retries, message.code, message.ambiguous), (0, b"", 0))
        self.assertIs(message.stage, Stage.UNKNOWN)
        self.assertIs(message.domain, None)
        self.assertIs(message.connection, None)
        self.assertEqual((message.place, message.transferred), (0, 0))

    def test_traits(self) -> None:
        """
        A reception has the traits it was given; nobody's mail has none.
        """
        self.assertIs(self.reception.traits, NO_TRAITS)
        self.assertEqual((self.reception.tenant, self.reception.campaign, self.reception.priority), ("", "", ""))
        made = Reception(b"", 0.0, 1, "b", traits=Traits("acme", "spring", "high"))
        self.assertEqual((made.tenant, made.campaign, made.priority), ("acme", "spring", "high"))

    def test_shared_traits(self) -> None:
        """
        Mail of one class shares one object.
        """
        self.assertIs(traits_of("acme", "", "".join(("hi", "gh"))), traits_of("acme", "", "high"))
        self.assertIs(traits_of("", "", ""), NO_TRAITS)

    def test_held(self) -> None:
        """
        A reception that is to wait begins its life when that is over, and its messages are due then.
        """
        self.assertEqual((self.reception.began, self.reception.expires), (1700000000.5, 0.0))
        held = Reception(b"", 1700000000.5, 1, "b", not_before=1700000100.0)
        self.assertEqual((held.began, held.add("m1", b"r").next_attempt), (1700000100.0, 1700000100.0))

    def test_life(self) -> None:
        """
        A reception lives as long as one of its messages; finishing one twice counts once.
        """
        messages = [self.reception.add(f"m{index}", b"r%d@example.com" % index) for index in range(3)]
        self.assertEqual([message.index for message in messages], [0, 1, 2])
        self.assertEqual(self.reception.live, 3)
        self.reception.done(messages[1])
        self.reception.done(messages[1])
        self.assertEqual(self.reception.live, 2)
        self.assertEqual(self.reception.messages, [messages[0], None, messages[2]])
        self.reception.done(messages[2])
        self.reception.done(messages[0])
        self.assertEqual(self.reception.live, 0)
        self.assertEqual(self.reception.messages, [None, None, None])

    def test_slim(self) -> None:
        """
        A million waiting messages are affordable: none has a dictionary.
        """
        for record in (self.reception, self.reception.add("m1", b"bob@example.com")):
            self.assertFalse(hasattr(record, "__dict__"))
