"""
The battery for every provider of ISpool.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.envelope import Notify, RecipientTerms, Terms
from momentum_tx.errors import SpoolError
from momentum_tx.interfaces.services import ISpool
from momentum_tx.policy.lost_reply import INTERRUPTED, LostReply
from momentum_tx.queues.message import ASSUMED, HELD, Message, Reception, Traits
from momentum_tx.stages import Stage

if TYPE_CHECKING:
    _Case = SynchronousTestCase
else:
    _Case = object

#: Names of the slots the tests know.
BINDINGS = ("default", "b1", "b2")
BODY = b"Subject: x\r\n\r\nHello\r\n.\r\n"


def binding_name(slot: int) -> str:
    """
    Name of a slot.
    """
    return BINDINGS[slot]


def binding_slot(name: str) -> int:
    """
    Slot of a name, the default for an unknown one.
    """
    return BINDINGS.index(name) if name in BINDINGS else 0


def reception(*recipients: bytes, size: int = 24, batch: str = "00/00-00001-00000001") -> Reception:
    """
    A reception with a message per recipient, on binding ``b1``.
    """
    made = Reception(b"from@example.org", 1000.5, size, batch, "00/01-00001-00000001", "esmtp", "127.0.0.1", True)
    for number, recipient in enumerate(recipients or (b"to@example.com",)):
        message = made.add(f"00/{number:02d}-00001-0000000A", recipient)
        message.binding_slot = 1
    return made


def first(of: Reception, index: int = 0) -> Message:
    """
    A live message of a reception.
    """
    message = of.messages[index]
    assert message is not None
    return message


def settle(clock: Clock, turns: int = 400, step: float = 0.0) -> None:
    """
    Let the clock turn until nothing is due any more.
    """
    for _ in range(turns):
        due = [call for call in clock.getDelayedCalls() if call.getTime() <= clock.seconds()]
        if not due and not step:
            break
        clock.advance(step)


def state(message: Message) -> tuple[object, ...]:
    """
    All of a message that must outlive a restart.
    """
    of = message.reception
    return (
        of.key,
        of.sender,
        of.creation_time,
        of.size,
        of.batch_id,
        of.conn_id,
        of.recv_method,
        of.recv_from,
        of.eight_bit,
        of.smtputf8,
        of.traits,
        of.terms.put_away(message.index),
        message.id,
        message.index,
        message.recipient,
        message.binding_slot,
        message.num_retries,
        message.next_attempt,
        message.code,
        message.stage,
        message.ambiguous,
    )


class SpoolCase(_Case):
    """
    Opens, feeds and restarts a spool; a subclass says how one is made.
    """

    clock: Clock
    spool: Any

    def make_spool(self) -> Any:
        """
        A spool over what the last one has kept.
        """
        raise NotImplementedError

    def open(self) -> list[Message]:
        """
        Make and start a spool; what it found.
        """
        self.spool = self.make_spool()
        found: list[Message] = []
        sizes: list[int] = []

        def take(messages: Sequence[Message]) -> None:
            sizes.append(len(messages))
            found.extend(messages)

        starting = self.spool.start(take)
        settle(self.clock)
        self.assertEqual(self.successResultOf(starting), len(found))
        self.assertLessEqual(max(sizes, default=0), 1000)
        return found

    def restart(self) -> list[Message]:
        """
        Stop in good order and start again.
        """
        self.stop()
        return self.open()

    def stop(self) -> None:
        """
        Stop in good order.
        """
        stopping = self.spool.stop()
        settle(self.clock, step=0.01, turns=20)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def keep(self, what: Reception, body: bytes = BODY) -> Reception:
        """
        Receive and wait until it is durable.
        """
        kept = self.spool.receive(what, body)
        self.assertNoResult(kept)
        settle(self.clock)
        self.assertIsNone(self.successResultOf(kept))
        return what

    def read(self, what: Reception) -> bytes:
        """
        The body, wherever it is.
        """
        body = self.spool.body(what)
        if isinstance(body, Deferred):
            settle(self.clock)
            return self.successResultOf(body)
        assert isinstance(body, bytes)
        return body


class SpoolContract(SpoolCase):
    """
    Mix into a case that says how a spool is made.
    """

    def test_stopped_twice(self) -> None:
        """
        Stopping what has stopped is done at once.
        """
        self.open()
        for _ in range(2):
            stopped = self.spool.stop()
            settle(self.clock)
            self.assertIsNone(self.successResultOf(stopped))

    def test_provides(self) -> None:
        """
        It has all that its contract asks for.
        """
        self.open()
        self.assertTrue(verifyObject(ISpool, self.spool))
        self.stop()

    def test_empty(self) -> None:
        """
        A new spool finds nothing and takes mail.
        """
        self.assertEqual(self.open(), [])
        self.assertTrue(self.spool.healthy())
        self.assertTrue(self.spool.writable())
        self.stop()
        self.assertFalse(self.spool.healthy())
        self.assertFalse(self.spool.writable())

    def test_restored(self) -> None:
        """
        Everything of a message and its body is as it was after a restart.
        """
        self.open()
        kept = self.keep(reception(b"a@example.com", b"b@example.com"))
        first(kept, 1).binding_slot = 1
        before = [state(message) for message in kept.messages if message is not None]
        found = self.restart()
        self.assertEqual([state(message) for message in found], before)
        self.assertEqual(self.read(found[0].reception), BODY)
        self.assertIs(found[0].reception, found[1].reception)
        self.assertEqual(found[0].reception.live, 2)
        self.stop()

    def test_traits(self) -> None:
        """
        Traits and times of a reception are as they were after a restart, beside one that has none.
        """
        self.open()
        made = Reception(
            b"from@example.org", 1000.5, 24, "b1", traits=Traits("acme", "", "high"), terms=Terms(2000.25, 3000.5)
        )
        made.add("m1", b"a@example.com")
        plain = self.keep(reception())
        before = [state(first(self.keep(made))), state(first(plain))]
        for _ in range(2):
            found = self.restart()
            self.assertEqual(sorted((state(message) for message in found), key=repr), sorted(before, key=repr))
        (held,) = [message for message in found if message.reception.tenant]
        self.assertEqual((held.reception.priority, held.next_attempt), ("high", 2000.25))
        self.stop()

    def test_terms(self) -> None:
        """
        What an envelope says of reports and of safety is as it was after a restart, of a
        reception whose first message is done, and after a requeue.
        """
        self.open()
        of = {0: RecipientTerms(Notify.NEVER), 1: RecipientTerms(Notify(6), b"rfc822;A+B@example.com")}
        made = Reception(b"from@example.org", 1000.5, 24, "b1", terms=Terms(0, 0, b"Q 1", "FULL", True, recipients=of))
        for id in ("m1", "m2"):
            made.add(id, id.encode() + b"@example.com")
        kept = self.keep(made)
        done, last = kept.messages
        assert done is not None and last is not None
        self.spool.delivered(done, b"250 2.0.0 Ok")
        kept.done(done)
        last.num_retries = 1
        self.spool.requeued(last)
        before = state(last)
        for _ in range(2):
            (found,) = self.restart()
            self.assertEqual(state(found), before)
            self.assertEqual((found.notify, found.orcpt), (Notify(6), b"rfc822;A+B@example.com"))
            self.assertEqual((found.reception.envid, found.reception.require_tls), (b"Q 1", True))
        self.stop()

    def _report(self, *ends: Message) -> Reception:
        made = reception(b"sender@example.com", batch="report")
        kept = self.spool.receive(made, BODY, ends)
        settle(self.clock)
        self.assertIsNone(self.successResultOf(kept))
        return made

    def test_ends(self) -> None:
        """
        Where a report is, the messages it is about have ended, also when nothing else says so;
        others of their receptions have not, and the report stays when it is done with no less.
        """
        self.open()
        one, two = self.keep(reception(b"a@example.com", b"b@example.com")), self.keep(reception(b"c@example.com"))
        self._report(first(one, 1), first(two))
        for _ in range(3):
            found = {message.recipient: message for message in self.restart()}
            self.assertEqual(sorted(found), [b"a@example.com", b"sender@example.com"])
        self.spool.delivered(found[b"sender@example.com"], b"250 ok")
        for _ in range(2):
            (left,) = self.restart()
            self.assertEqual(left.recipient, b"a@example.com")
        self.stop()

    def test_ends_and_is_told(self) -> None:
        """
        The end is told as well, as of any message, and then is no other.
        """
        self.open()
        kept = self.keep(reception())
        self._report(first(kept))
        synced: list[bool] = []
        self.spool.failed(first(kept), b"550 no", lambda: synced.append(True))
        self.spool.flush()
        settle(self.clock)
        self.assertEqual((synced, kept.live, kept.unfinished), ([True], 0, 0))
        self.assertEqual([message.recipient for message in self.restart()], [b"sender@example.com"])
        self.stop()

    def test_refused_ends_nothing(self) -> None:
        """
        A report that is refused has ended nothing.
        """
        self.open()
        kept = self.keep(reception())
        made = reception()
        made.done(first(made))
        self.failureResultOf(self.spool.receive(made, BODY, [first(kept)]), SpoolError)
        self.assertEqual([message.recipient for message in self.restart()], [b"to@example.com"])
        self.stop()

    def test_no_binding(self) -> None:
        """
        A message without a binding has none after a restart; one on a binding
        that is gone is on the default.
        """
        self.open()
        kept = reception(b"a@example.com", b"b@example.com")
        first(kept).binding_slot = -1
        self.keep(kept)
        BINDINGS_BEFORE = BINDINGS
        try:
            globals()["BINDINGS"] = ("default",)
            found = self.restart()
        finally:
            globals()["BINDINGS"] = BINDINGS_BEFORE
        self.assertEqual([message.binding_slot for message in found], [-1, 0])
        self.stop()

    def test_keys_grow(self) -> None:
        """
        Every reception has a key of its own, higher than all before, also
        after a restart.
        """
        self.open()
        one, two = self.keep(reception()), self.keep(reception())
        self.assertGreater(two.key, one.key)
        self.restart()
        self.assertGreater(self.keep(reception()).key, two.key)
        self.stop()

    def test_delivered(self) -> None:
        """
        What was delivered does not come back; the other recipient does.
        """
        self.open()
        kept = self.keep(reception(b"a@example.com", b"b@example.com"))
        told: list[int] = []
        self.spool.delivered(first(kept), b"250 ok", lambda: told.append(1))
        self.assertEqual(told, [])
        self.assertIsNone(kept.messages[0])
        settle(self.clock, step=0.05, turns=5)
        self.assertEqual(told, [1])
        found = self.restart()
        self.assertEqual([message.recipient for message in found], [b"b@example.com"])
        self.assertEqual(found[0].index, 1)
        self.stop()

    def test_failed(self) -> None:
        """
        What failed for ever does not come back, and nothing is left of it.
        """
        self.open()
        kept = self.keep(reception())
        told: list[int] = []
        message = first(kept)
        self.spool.failed(message, b"550 no" * 1000, lambda: told.append(1))
        self.spool.failed(message, b"550 no", lambda: told.append(2))
        settle(self.clock, step=0.05, turns=5)
        self.assertEqual(told, [1])
        self.assertEqual(self.restart(), [])
        self.stop()

    def test_requeued(self) -> None:
        """
        Retries, next attempt, code, stage and binding are as last told.
        """
        self.open()
        message = first(self.keep(reception()))
        for retries in (1, 2):
            message.num_retries = retries
            message.next_attempt = 5000.25 * retries
            message.code = b"451 later " + b"x" * 600
            message.stage = Stage.AFTER_RCPT_TO
            message.ambiguous = 7
            message.binding_slot = 2
            self.spool.requeued(message)
        message.code = message.code[:512]
        (found,) = self.restart()
        self.assertEqual(state(found), state(message))
        self.assertIs(found.stage, Stage.AFTER_RCPT_TO)
        self.stop()

    def test_intent_alone(self) -> None:
        """
        An attempt without an end counts as ambiguous, once, however often one
        restarts; the next one counts again.
        """
        self.open()
        kept = self.keep(reception(b"a@example.com", b"b@example.com"))
        answers: list[Exception | None] = []
        self.spool.intent([first(kept), first(kept, 1)], answers.append)
        self.assertEqual(answers, [])
        settle(self.clock)
        self.assertEqual(answers, [None])
        self.spool.requeued(first(kept, 1))
        self.assertEqual([message.ambiguous for message in self.restart()], [1, 0])
        found = self.restart()
        self.assertEqual([message.ambiguous for message in found], [1, 0])
        self.spool.intent(found[:1], answers.append)
        settle(self.clock)
        self.assertEqual([message.ambiguous for message in self.restart()], [2, 0])
        self.stop()

    def test_intent_and_policy(self) -> None:
        """
        What the intent said is to become of a message, becomes of it if nothing follows: it is held,
        and stays so, or is to be taken for delivered until that is on record.
        """
        self.open()
        kept = self.keep(reception(b"a@example.com", b"b@example.com", b"c@example.com"))
        messages = [first(kept, index) for index in range(3)]
        answers: list[Exception | None] = []
        for message, lost_reply in zip(messages, LostReply, strict=True):
            self.spool.intent([message], answers.append, lost_reply)
        settle(self.clock)
        self.assertEqual(answers, [None] * 3)
        for count in range(2):
            found = self.restart()
            self.assertEqual([message.next_attempt for message in found], [1000.5, ASSUMED, HELD])
            # Of what is taken for delivered nothing is on record but the intent.
            self.assertEqual([message.ambiguous for message in found], [1, 1, 1], count)
            self.assertEqual((found[2].code, found[2].stage), (INTERRUPTED, Stage.READING_CONFIRMATION))
        self.spool.delivered(found[1], b"250 assumed")
        found[2].next_attempt = 7.0
        self.spool.requeued(found[2])
        self.assertEqual([message.next_attempt for message in self.restart()], [1000.5, 7.0])
        self.stop()

    def test_policy_is_settled(self) -> None:
        """
        A requeue or an end settles an intent, whatever it said.
        """
        self.open()
        kept = self.keep(reception(b"a@example.com", b"b@example.com"))
        self.spool.intent([first(kept), first(kept, 1)], lambda error: None, LostReply.ASSUME_DELIVERED)
        settle(self.clock)
        self.spool.requeued(first(kept))
        self.spool.failed(first(kept, 1), b"554 no")
        (found,) = self.restart()
        self.assertEqual((found.next_attempt, found.ambiguous), (1000.5, 0))
        self.stop()

    def test_held(self) -> None:
        """
        A message that waits for an operator does so after a restart, with its history.
        """
        self.open()
        message = first(self.keep(reception()))
        message.next_attempt, message.ambiguous, message.code = HELD, 2, b"451 what"
        self.spool.requeued(message)
        for _ in range(2):
            (found,) = self.restart()
            self.assertEqual(state(found), state(message))
        self.stop()

    def test_intents_of_two_receptions(self) -> None:
        """
        One intent may cover messages of several receptions.
        """
        self.open()
        one, two = self.keep(reception()), self.keep(reception())
        answers: list[Exception | None] = []
        self.spool.intent([first(one), first(two)], answers.append)
        settle(self.clock)
        self.assertEqual(answers, [None])
        self.assertEqual([message.ambiguous for message in self.restart()], [1, 1])
        self.stop()

    def test_many(self) -> None:
        """
        Thousands of messages come back in bounded batches.
        """
        self.open()
        names = [b"u%d@example.com" % number for number in range(2500)]
        self.keep(reception(*names))
        self.keep(reception(b"last@example.com"))
        found = self.restart()
        self.assertCountEqual([message.recipient for message in found], [*names, b"last@example.com"])
        self.stop()

    def test_closed(self) -> None:
        """
        A spool that is not open takes nothing, and says so.
        """
        self.spool = self.make_spool()
        self.failureResultOf(self.spool.receive(reception(), BODY), SpoolError)
        self.open()
        kept = self.keep(reception())
        self.stop()
        self.failureResultOf(self.spool.receive(reception(), BODY), SpoolError)
        self.failureResultOf(self.spool.flush(), SpoolError)
        answers: list[Exception | None] = []
        self.spool.intent([first(kept)], answers.append)
        settle(self.clock)
        self.assertIsInstance(answers[0], SpoolError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cannot_be_coded(self) -> None:
        """
        A reception beyond the format's bounds is refused and nothing is kept.
        """
        self.open()
        self.failureResultOf(self.spool.receive(reception(b"x" * 70000), BODY), SpoolError)
        self.failureResultOf(self.spool.receive(Reception(b"", 0.0, 0, "b"), BODY), SpoolError)
        self.assertEqual(self.restart(), [])
        self.stop()

    def test_flush(self) -> None:
        """
        After a flush everything told before it is durable.
        """
        self.open()
        kept = self.keep(reception())
        told: list[str] = []
        self.spool.delivered(first(kept), b"250 ok", lambda: told.append("synced"))
        self.spool.flush().addCallback(lambda _: told.append("flushed"))
        settle(self.clock)
        self.assertEqual(told, ["synced", "flushed"])
        self.stop()

    def test_cancelled_receive(self) -> None:
        """
        Who stops waiting for a reception does not take it back.
        """
        self.open()
        waiting = self.spool.receive(reception(), BODY)
        waiting.addErrback(lambda _: None)
        waiting.cancel()
        settle(self.clock)
        self.assertEqual(len(self.restart()), 1)
        self.stop()
