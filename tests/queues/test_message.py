"""
Tests of :mod:`momentum_tx.queues.message`.
"""

import gc
import sys
from dataclasses import replace
from types import NoneType
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.envelope import NO_TERMS, Notify, RecipientTerms, Terms
from momentum_tx.interfaces.records import IMessage, IReception
from momentum_tx.queues.domain import Connection, DomainRecord
from momentum_tx.queues.mail_queue import MailQueue
from momentum_tx.queues.message import NO_TRAITS, Message, Packed, Reception, Traits, traits_of
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
        held = Reception(b"", 1700000000.5, 1, "b", terms=Terms(not_before=1700000100.0))
        self.assertEqual((held.began, held.add("m1", b"r").next_attempt), (1700000100.0, 1700000100.0))

    def test_clock_was_set(self) -> None:
        """
        By a clock that was set a reception has begun as long ago as before; one that had to wait for a time of the
        clock rather later than earlier.
        """
        self.reception.stepped = 100.0
        began = self.reception.creation_time
        found = [self.reception.began_by(stepped) - began for stepped in (100.0, 3700.0, -10.0)]
        self.assertEqual(found, [0.0, 3600.0, -110.0])
        held = Reception(b"", 1700000000.0, 1, "b", terms=Terms(not_before=1700000100.0))
        self.assertEqual(
            [held.began_by(stepped) - 1700000000.0 for stepped in (0.0, 50.0, 3600.0, -50.0, -3600.0)],
            [100.0, 150.0, 3700.0, 100.0, 100.0],
        )

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


def everything(of: Reception) -> dict[str, object]:
    """
    All fields of a reception.
    """
    return {name: getattr(of, name) for name in Reception.__slots__}


def weight(thing: object) -> int:
    """
    Octets of a message and of all that is there for its sake alone.
    """
    seen: dict[int, object] = {}
    waiting = [thing]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, (type, Stage, NoneType)) and each is not NO_TRAITS:
            seen[id(each)] = each
            waiting += gc.get_referents(each)
    return sum(map(sys.getsizeof, seen.values()))


class PackTests(SynchronousTestCase):
    """
    What a message needs only in delivery is put away while it waits.
    """

    def reception(self, recipients: int = 1) -> Reception:
        """
        A durable reception, no field of which is as it was made.
        """
        made = Reception(
            b"a@sender.example",
            1700000000.5,
            2048,
            "01/00-01000-00000000",
            "02/00-01000-00000000",
            "esmtp",
            "192.0.2.10",
            True,
            True,
            Traits("acme", "spring", "high"),
            Terms(
                1700000100.0,
                1700000900.0,
                b"Q 47+11",
                "HDRS",
                True,
                recipients={index: RecipientTerms(Notify.NEVER, b"rfc822;r") for index in range(recipients)},
            ),
        )
        made.key, made.spool, made.share = 1 << 32, 7 << 40 | 4711, traits_of("acme", "", "")
        for index in range(recipients):
            message = made.add(f"A{index}/00-01000-00000000", b"r%d@example.com" % index)
            message.code = b"451 4.2.1 Not now"
        made.unfinished = recipients
        made.stepped = 3600.0
        return made

    def test_comesBack(self) -> None:
        """
        Whoever asks finds everything as it was.
        """
        reception = self.reception()
        (message,) = reception.messages
        assert message is not None
        before = everything(reception)
        for name, value in (("id", "A0/00-01000-00000000"), ("recipient", b"r0@example.com")):
            self.assertTrue(message.pack())
            self.assertFalse(message.pack())
            self.assertEqual(getattr(message, name), value)
        self.assertTrue(message.pack())
        self.assertEqual(message.code, b"451 4.2.1 Not now")
        self.assertTrue(message.pack())
        self.assertEqual(everything(message.reception), before)
        self.assertIsNot(message.reception, reception)
        self.assertTrue(message.reception.has(message))
        self.assertIs(message.reception, message.reception)
        verifyObject(IMessage, message)
        verifyObject(IReception, message.reception)

    def test_without_traits(self) -> None:
        """
        Mail of no class is of no class afterwards.
        """
        message = Reception(b"", 1.0, 1, "b").add("m", b"r")
        message.reception.unfinished = 1
        self.assertTrue(message.pack())
        self.assertIs(message.reception.traits, NO_TRAITS)

    def test_written(self) -> None:
        """
        What is written to a packed message counts.
        """
        (message,) = self.reception().messages
        assert message is not None
        message.pack()
        message.code = b"452 4.2.2 Full"
        message.pack()
        self.assertEqual((message.code, message.recipient), (b"452 4.2.2 Full", b"r0@example.com"))

    def test_queues(self) -> None:
        """
        Nothing that the queues look at brings it back.
        """
        (message,) = self.reception().messages
        assert message is not None
        message.pack()
        queue = MailQueue()
        for tenant in ("acme", "other"):
            queue.insert_active(Reception(b"", 1.0, 1, "b", traits=traits_of(tenant, "", "")).add("m", b"r"))
        for unreached in (False, True):
            queue.insert_delayed(message, unreached)
            message.next_attempt = 5.0
            queue.flush()
            queue.sweep(10.0, 10)
            queue.peek_active(message.binding_slot)
            queue.shift(1.0)
            self.assertEqual(len(list(queue.walk())), 3)
            queue.remove(message)
            queue.insert_active(message)
            queue.take(message)
        self.assertFalse(message.pack())
        self.assertIsInstance(message, Packed)

    def test_several(self) -> None:
        """
        A reception stays for the sake of its other messages, and goes with its last one.
        """
        reception = self.reception(3)
        one, two, three = reception.messages
        assert one is not None and two is not None and three is not None
        self.assertFalse(two.pack())
        self.assertIs(two.reception, reception)
        self.assertEqual((two.id, two.recipient), ("A1/00-01000-00000000", b"r1@example.com"))
        for message in (one, three):
            reception.done(message)
        # That the others have ended is not on the disk yet, and is counted there.
        self.assertFalse(two.pack())
        self.assertIs(two.reception, reception)
        reception.unfinished = 1
        self.assertTrue(two.pack())
        self.assertEqual(two.reception.messages, [None, two, None])
        before, after = everything(reception), everything(two.reception)
        # Nobody asks for the terms of those that have ended.
        self.assertEqual(two.reception.terms, replace(reception.terms, recipients={1: reception.terms.of(1)}))
        self.assertEqual({**after, "terms": None}, {**before, "terms": None})

    def test_terms(self) -> None:
        """
        A packed message still says what reports are wanted of it; one whose envelope says
        nothing of the kind has the terms that all share.
        """
        (message,) = self.reception().messages
        assert message is not None
        message.pack()
        self.assertEqual((message.notify, message.orcpt), (Notify.NEVER, b"rfc822;r"))
        reception = message.reception
        said = (reception.envid, reception.ret, reception.require_tls, reception.tls_optional)
        self.assertEqual(said, (b"Q 47+11", "HDRS", True, False))
        plain = Reception(b"", 1.0, 1, "b").add("m1", b"bob@example.com")
        self.assertEqual((plain.notify, plain.orcpt), (Notify(0), b""))
        plain.pack()
        self.assertIs(plain.reception.terms, NO_TERMS)

    def test_relayed(self) -> None:
        """
        Who wants to hear of a delivery is told by us if the peer was not asked to, and only then.
        """
        reception = Reception(b"", 1.0, 1, "b", terms=Terms(recipients={0: RecipientTerms(Notify(6))}))
        asks, silent = reception.add("m1", b"bob@example.com"), reception.add("m2", b"carol@example.com")
        self.assertFalse(asks.relayed)
        asks.connection = silent.connection = Connection()
        self.assertEqual((asks.relayed, silent.relayed), (True, False))
        asks.connection.dsn = True
        self.assertFalse(asks.relayed)

    def test_weight(self) -> None:
        """
        A packed message takes up less than half.
        """
        (message,) = self.reception().messages
        assert message is not None
        before = weight(message)
        message.pack()
        self.assertLess(weight(message), before / 2)


class SiblingTests(SynchronousTestCase):
    """
    Who may share a transaction.
    """

    def setUp(self) -> None:
        self.reception = Reception(b"", 1.0, 1, "b")
        self.one, self.two = (DomainRecord(name, cast(Any, None)) for name in ("one.example", "two.example"))

    def add(self, dr: DomainRecord) -> Message:
        """
        A message for a domain.
        """
        message = self.reception.add(f"m{len(self.reception.messages)}", b"r")
        message.domain = dr
        return message

    def test_by_domain(self) -> None:
        """
        Those of the same domain that have not ended, in their order, and no others.
        """
        first, other, second, third = (self.add(dr) for dr in (self.one, self.two, self.one, self.one))
        for message in (first, other, second, third):
            self.reception.sort_in(message)
        for message in (first, second, third):
            self.assertEqual(list(self.reception.siblings_of(message)), [first, second, third])
        self.assertEqual(list(self.reception.siblings_of(other)), [other])
        self.reception.done(second)
        self.assertEqual(list(self.reception.siblings_of(first)), [first, third])
        self.reception.done(third)
        self.reception.done(other)
        self.assertEqual(list(self.reception.siblings_of(first)), [first])

    def test_alone(self) -> None:
        """
        The only message of a reception has no sibling, and needs no index.
        """
        message = self.add(self.one)
        self.reception.sort_in(message)
        self.assertEqual(list(self.reception.siblings_of(message)), [message])
        self.assertIs(self.reception.siblings, None)

    def test_nowhere(self) -> None:
        """
        A message that has no domain record yet has no siblings.
        """
        one, two = self.add(self.one), self.reception.add("m", b"r")
        for message in (one, two):
            self.reception.sort_in(message)
            self.assertEqual(list(self.reception.siblings_of(message)), [message])
