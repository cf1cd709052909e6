"""
The judge's own account of all mail, rule by rule, and stories in which the
service deals wrongly with somebody's mail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery import transaction
from momentum_tx.delivery.settle import Settlement
from momentum_tx.delivery.transaction import Transaction
from momentum_tx.errors import MessageRefused
from momentum_tx.inject.in_process import InProcess
from momentum_tx.inject.receiver import Receiver
from momentum_tx.message.eight_bit import encode
from momentum_tx.net import smtp_client
from momentum_tx.outcomes import Outcome, Scope, Verdict
from momentum_tx.policy.retry import End
from momentum_tx.spool.journal import JournalSpool
from momentum_tx.spool.replay import Replay
from momentum_tx.stages import Stage
from momentum_tx.testing.fuzz.books import DELIVERED, FAILED, SYNC_WINDOW, Books, Letter, Parcel
from momentum_tx.testing.fuzz.plan import Part, Step
from momentum_tx.testing.peers import Taken

from .stories import DOMAIN, StoryCase, broken_at, mail, small_plan

BOB = b"bob@d.example"
EVE = b"eve@d.example"
CONTENT = b"Subject: hello\r\n\r\nHello.\r\n"


class BooksCase(SynchronousTestCase):
    """
    A letter to Bob and Eve.
    """

    def setUp(self) -> None:
        self.faults: list[tuple[str, str]] = []
        self.now = 100.0
        self.books = Books(lambda rule, text: self.faults.append((rule, text)), lambda: self.now)
        self.letter = Letter(1, b"a@sender.example", CONTENT, (BOB, EVE))
        self.books.offered(self.letter)
        self.bob, self.eve = (self.books.parcels[recipient] for recipient in (BOB, EVE))

    @property
    def rules(self) -> list[str]:
        """
        Rules that were broken so far, which are forgotten.
        """
        rules = [rule for rule, _ in self.faults]
        self.faults.clear()
        return rules

    def receive(self) -> None:
        """
        The service tells of the reception, and the client is told as well.
        """
        for recipient in (BOB, EVE):
            self.books.received(recipient)
        self.books.accepted(self.letter)

    def take(self, *recipients: bytes, content: bytes = b"Received: by us\r\n" + CONTENT, **fields: Any) -> Taken:
        """
        A receiver takes the letter, and says so.
        """
        given: dict[str, Any] = {"sender": self.letter.sender, "reply": b"250 2.0.0 Taken", "said": True, **fields}
        taken = Taken(
            recipients=recipients or (BOB,),
            content=content,
            source="192.0.2.1",
            at=self.now,
            connection=1,
            helo=b"us.example",
            encrypted=False,
            **given,
        )
        self.books.taken("198.51.100.1", taken)
        return taken

    def deliver(self) -> None:
        """
        Bob's share is delivered.
        """
        self.receive()
        self.books.attempted(BOB)
        self.take()
        self.books.delivered(BOB, b"250 2.0.0 Taken")
        self.assertEqual(self.rules, [])


class OrdinaryTests(BooksCase):
    """
    What is as it should be.
    """

    def test_delivery(self) -> None:
        """
        A letter that is received, attempted, taken and delivered breaks no rule.
        """
        self.receive()
        self.assertEqual((self.books.live, self.bob.accepted), (2, True))
        for recipient in (BOB, EVE):
            self.books.attempted(recipient)
        self.take(BOB, EVE)
        self.now += 1.0
        for recipient in (BOB, EVE):
            self.books.delivered(recipient, b"250 2.0.0 Taken")
        self.assertEqual((self.rules, self.books.live, list(self.books.living())), ([], 0, []))
        self.assertEqual((self.bob.ended, self.bob.ended_at, self.bob.copies[0].at), (DELIVERED, 101.0, 100.0))
        self.assertEqual(self.books.counts, {"accepted": 1, "attempts": 2, "taken": 1, "delivered": 2})

    def test_transient(self) -> None:
        """
        An attempt that failed for now is followed by another, and by a permanent failure.
        """
        self.receive()
        for _ in range(2):
            self.books.attempted(BOB)
            self.books.failed_for_now(BOB, b"451 4.2.0 Not now", 0)
        self.assertIs(self.books.failed(BOB, b"554 5.4.7 Too late"), self.bob)
        self.assertEqual((self.rules, self.books.live), ([], 1))
        self.assertEqual((self.bob.attempts, self.bob.transients, self.bob.ended), (2, 2, FAILED))
        self.assertEqual(list(self.books.living()), [self.eve])

    def test_given_back(self) -> None:
        """
        An attempt that is given back needs no outcome.
        """
        self.receive()
        self.books.attempted(BOB)
        self.books.given_back(BOB)
        self.books.attempted(BOB)
        self.assertEqual(self.rules, [])

    def test_refusal(self) -> None:
        """
        A letter that is refused is nobody's.
        """
        self.books.refused(self.letter)
        self.assertEqual((self.rules, self.books.live, self.bob.accepted), ([], 0, False))

    def test_said_later(self) -> None:
        """
        A receiver that takes a message and says so later has said so then.
        """
        self.receive()
        self.books.attempted(BOB)
        taken = self.take(said=False)
        self.assertFalse(self.bob.copies[0].said)
        taken.said = True
        self.assertTrue(self.bob.copies[0].said)
        self.books.delivered(BOB, b"250 2.0.0 Taken")
        self.assertEqual(self.rules, [])

    def test_parcel_in_words(self) -> None:
        """
        A parcel tells its story.
        """
        self.deliver()
        self.assertEqual(
            str(self.bob),
            "bob@d.example (letter 1, accepted, 1 attempts, 0 transient, 0 in doubt, ended delivered;"
            " copies: 198.51.100.1 at 100.000)",
        )
        self.assertTrue(str(self.eve).endswith("ended not; copies: none)"), str(self.eve))


class RuleTests(BooksCase):
    """
    One breach each.
    """

    def test_accepted_unknown(self) -> None:
        """
        A client is told 250 for mail of which no hook was told.
        """
        self.books.received(BOB)
        self.books.accepted(self.letter)
        self.assertEqual(self.rules, ["accepted unknown"])

    def test_refused_and_kept(self) -> None:
        """
        A client is told that its mail is not ours, before or after hooks are told
        that it is.
        """
        self.books.received(BOB)
        self.books.refused(self.letter)
        self.books.received(EVE)
        self.assertEqual(self.rules, ["refused and kept", "refused and kept"])

    def test_foreign_mail(self) -> None:
        """
        Mail to somebody to whom nobody has sent any.
        """
        stranger = b"stranger@d.example"
        for tell in (
            self.books.received,
            self.books.attempted,
            self.books.given_back,
            lambda recipient: self.books.failed_for_now(recipient, b"", 0),
            lambda recipient: self.books.delivered(recipient, b""),
            lambda recipient: self.books.failed(recipient, b""),
            lambda recipient: self.books.dot([recipient]),
            self.take,
        ):
            tell(stranger)
            self.assertEqual(self.rules, ["foreign mail"])
        self.books.restored({stranger: (0, 0)})
        self.assertEqual(self.rules, ["foreign mail"])

    def test_received_twice(self) -> None:
        """
        One reception is told of once.
        """
        self.books.received(BOB)
        self.books.received(BOB)
        self.assertEqual((self.rules, self.books.live), (["received twice"], 1))

    def test_unknown_mail(self) -> None:
        """
        Mail is attempted of whose reception nobody was told.
        """
        self.books.attempted(BOB)
        self.assertEqual(self.rules, ["unknown mail"])
        self.books.failed(EVE, b"550 5.1.1 Nobody")
        self.assertEqual(self.rules, ["unknown mail"])

    def test_unknown_mail_of_a_life_before(self) -> None:
        """
        A process that died before it could tell has kept it all the same; not
        what was refused.
        """
        self.books.restored({})
        self.books.attempted(BOB)
        self.assertEqual((self.rules, self.books.live), ([], 1))
        self.books.refused(self.letter)
        self.faults.clear()
        self.books.attempted(EVE)
        self.assertEqual(self.rules, ["unknown mail"])

    def test_attempt_without_outcome(self) -> None:
        """
        A message is attempted while its attempt before has no outcome.
        """
        self.receive()
        self.books.attempted(BOB)
        self.books.attempted(BOB)
        self.assertEqual(self.rules, ["attempt without outcome"])

    def test_after_its_end(self) -> None:
        """
        Nothing happens to a message that has ended.
        """
        self.deliver()
        self.books.attempted(BOB)
        self.assertEqual(self.rules, ["attempted after its end"])
        self.books.failed_for_now(BOB, b"451 4.2.0 Not now", 0)
        self.assertEqual(self.rules, ["told after its end"])
        self.books.failed(BOB, b"550 5.1.1 Nobody")
        self.assertEqual((self.rules, self.bob.ended), (["ended twice"], DELIVERED))

    def test_delivered_unattempted(self) -> None:
        """
        A delivery of which no attempt was told.
        """
        self.receive()
        self.take()
        self.books.delivered(BOB, b"250 2.0.0 Taken")
        self.assertEqual(self.rules, ["delivered unattempted"])

    def test_falsely_delivered(self) -> None:
        """
        A delivery that no receiver has confirmed: none took it, or the one that
        did said something else, or nothing yet.
        """
        self.receive()
        self.books.attempted(BOB)
        self.books.delivered(BOB, b"250 2.0.0 Taken")
        self.assertEqual(self.rules, ["falsely delivered"])
        for fields in ({"reply": b"451 4.3.0 Not now"}, {"said": False}, {"reply": b""}):
            self.setUp()
            self.receive()
            self.books.attempted(BOB)
            self.take(**fields)
            self.books.delivered(BOB, b"250 2.0.0 Taken")
            self.assertEqual(self.rules, ["falsely delivered"], fields)

    def test_dot_without_intent(self) -> None:
        """
        Each dot needs an intent on record.
        """
        self.receive()
        self.bob.intents = 1
        self.books.dot([BOB])
        self.assertEqual(self.rules, [])
        self.books.dot([BOB])
        self.assertEqual(self.rules, ["dot without intent"])

    def test_refused_and_delivered(self) -> None:
        """
        A receiver takes what had been refused.
        """
        self.books.refused(self.letter)
        self.take()
        self.assertEqual(self.rules, ["refused and delivered"])

    def test_corrupted(self) -> None:
        """
        A receiver takes other octets, or from somebody else.
        """
        for fields in (
            {"content": CONTENT[:-1]},
            {"content": CONTENT + b"\r\n"},
            {"content": CONTENT.upper()},
            {"sender": b"b@sender.example"},
        ):
            self.setUp()
            self.receive()
            self.take(**fields)
            self.assertEqual(self.rules, ["corrupted"], fields)

    def test_duplicates(self) -> None:
        """
        A second copy is allowed for each attempt of which nobody knows how it ended.
        """
        self.receive()
        self.books.attempted(BOB)
        self.take()
        self.books.failed_for_now(BOB, b"450 4.4.2 No answer", 1)
        self.books.attempted(BOB)
        self.take()
        self.assertEqual((self.rules, self.books.counts["allowed duplicates"]), ([], 1))
        self.books.failed_for_now(BOB, b"451 4.3.0 Not now", 1)
        self.take()
        self.assertEqual(self.rules, ["forbidden duplicate"])

    def test_delivered_after_its_end(self) -> None:
        """
        A receiver takes what was given up, unless an attempt had been in doubt.
        """
        self.receive()
        self.books.failed(BOB, b"550 5.1.1 Nobody")
        self.take()
        self.assertEqual(self.rules, ["delivered after its end"])
        self.books.attempted(EVE)
        self.books.failed_for_now(EVE, b"450 4.4.2 No answer", 1)
        self.books.failed(EVE, b"554 5.4.7 Too late")
        self.take(EVE)
        self.assertEqual(self.rules, [])

    def test_wrong_outcome(self) -> None:
        """
        Who sent it is told what has become of it, recipient by recipient.
        """

        def outcome(recipient: bytes, verdict: Verdict) -> Outcome:
            return Outcome(recipient, verdict, Scope.RECIPIENT, b"", Stage.IDLE, False)

        self.deliver()
        self.books.failed(EVE, b"550 5.1.1 Nobody")
        right = [outcome(BOB, Verdict.DELIVERED), outcome(EVE, Verdict.PERMANENT)]
        self.books.sent(self.letter, right)
        self.assertEqual(self.rules, [])
        self.books.sent(self.letter, [outcome(BOB, Verdict.PERMANENT), right[1]])
        self.assertEqual(self.rules, ["wrong outcome"])
        self.books.sent(self.letter, [right[0], outcome(BOB, Verdict.PERMANENT)])
        self.assertEqual(self.rules, ["wrong outcome"])


class CrashTests(BooksCase):
    """
    The end of one process and the beginning of the next.
    """

    def interrupt(self, survived: bool = False, window: float = 0.0, **named: Any) -> None:
        """
        The process dies, and no end is on record, or every.
        """

        def on_record(parcel: Parcel) -> bool:
            return survived

        self.books.interrupted(on_record, window, **named)

    def test_attempt_under_way(self) -> None:
        """
        An attempt under way is in doubt; the next process may repeat it.
        """
        self.receive()
        self.books.attempted(BOB)
        self.take()
        self.interrupt()
        self.books.restored({BOB: (1, 0), EVE: (0, 0)})
        self.books.attempted(BOB)
        self.take()
        self.assertEqual((self.rules, self.bob.doubts, self.bob.ambiguous), ([], 1, 1))

    def test_end_on_record(self) -> None:
        """
        An end that is on record has happened: the message does not come back.
        """
        self.deliver()
        self.interrupt(survived=True)
        self.books.restored({EVE: (0, 0)})
        self.assertEqual((self.rules, self.books.live), ([], 1))
        self.books.restored({BOB: (0, 0), EVE: (0, 0)})
        self.assertEqual(self.rules, ["came back"])

    def test_end_not_on_record(self) -> None:
        """
        An end may be undone by a crash for a moment, while its record is not
        synced; not any later.
        """
        for age, rules in ((SYNC_WINDOW, []), (SYNC_WINDOW + 0.001, ["outcome not on record"])):
            self.setUp()
            self.now = 0.0
            self.deliver()
            self.now = age
            self.interrupt(window=SYNC_WINDOW)
            self.assertEqual(self.rules, rules)
            self.assertEqual((self.bob.ended, self.books.live, self.bob.doubts), ("", 2, 1))
            self.books.restored({BOB: (0, 0), EVE: (0, 0)})
            self.assertEqual(self.rules, [])

    def test_end_in_trouble(self) -> None:
        """
        While the disk fails nothing is promised of what ended meanwhile, or a
        moment before.
        """
        for before, rules in ((SYNC_WINDOW, []), (SYNC_WINDOW + 0.001, ["outcome not on record"])):
            self.setUp()
            self.now = 0.0
            self.deliver()
            self.now = before
            self.books.trouble_begins(SYNC_WINDOW)
            self.books.attempted(EVE)
            self.take(EVE)
            self.books.delivered(EVE, b"250 2.0.0 Taken")
            self.books.trouble = False
            self.now = 1000.0
            self.interrupt()
            self.assertEqual(self.rules, rules)

    def test_lost(self) -> None:
        """
        What was received and has not ended is there after a start.
        """
        self.receive()
        self.interrupt()
        self.books.restored({BOB: (0, 0)})
        self.assertEqual(self.rules, ["lost"])

    def test_kept_untold(self) -> None:
        """
        What the dead process could not tell of any more may be there, or not; not
        what it had refused.
        """
        self.interrupt()
        self.books.restored({BOB: (0, 0)})
        self.assertEqual((self.rules, self.books.live), ([], 1))
        self.books.refused(self.letter)
        self.faults.clear()
        self.books.restored({BOB: (0, 0)})
        self.assertEqual(self.rules, ["refused and kept"])

    def test_history(self) -> None:
        """
        What a message has counted, some time ago, it still counts after a crash.
        """
        for age, rules in ((SYNC_WINDOW, []), (SYNC_WINDOW + 0.001, ["history lost"])):
            for counts in ((0, 2), (1, 1)):
                self.setUp()
                self.now = 0.0
                self.receive()
                for _ in range(2):
                    self.books.attempted(BOB)
                    self.books.failed_for_now(BOB, b"450 4.4.2 No answer", 1)
                self.now = age
                self.interrupt(window=SYNC_WINDOW)
                self.books.restored({BOB: (1, 2), EVE: (0, 0)})
                self.assertEqual(self.rules, [])
                self.books.restored({BOB: counts, EVE: (0, 0)})
                self.assertEqual(self.rules, rules, counts)

    def test_intent_of_the_last_attempt(self) -> None:
        """
        An intent that the kernel had outlives a kill, so that the attempt counts as
        ambiguous; of a power cut that is not promised.
        """
        for power, rules in ((False, ["history lost"]), (True, [])):
            self.setUp()
            self.receive()
            self.books.attempted(BOB)
            self.bob.intents += 1
            self.now += 10.0
            self.interrupt(power=power)
            self.books.restored({BOB: (0, 0), EVE: (0, 0)})
            self.assertEqual(self.rules, rules)


class StoryTests(StoryCase):
    """
    Services that deal wrongly with mail.
    """

    def pass_on_as(self, verdict: Verdict) -> Callable[..., None]:
        """
        A transaction that takes every result for another one.
        """
        pass_on = Transaction._pass_on

        def wrong(transaction: Any, message: Any, result: Any, now: float, ambiguous: bool) -> None:
            pass_on(
                transaction, message, type(result)(verdict, result.scope, result.note, result.stage), now, ambiguous
            )

        return wrong

    def test_falsely_delivered(self) -> None:
        """
        A delivery is logged that the receiver did not confirm.
        """
        for point in ("RCPT", "dot"):
            plan = small_plan(behaviours=(broken_at(point, "451 4.3.0 Not now"),))
            fault = self.planted(plan, "falsely delivered", Transaction, "_pass_on", self.pass_on_as(Verdict.DELIVERED))
            self.assertIn("451 4.3.0 Not now", fault.text)

    def test_corrupted(self) -> None:
        """
        A content is changed on its way: dots are not doubled, or the last line is lost.
        """
        self.planted(small_plan(), "corrupted", smtp_client, "stuff", lambda content: content)
        body = JournalSpool.body

        def shorter(spool: Any, reception: Any) -> Any:
            content = body(spool, reception)
            return content[:-3] if isinstance(content, bytes) else content

        self.planted(small_plan(), "corrupted", JournalSpool, "body", shorter)

    def test_encoded(self) -> None:
        """
        A content that was encoded for its receiver is not corrupted, unless it says
        something else then.
        """
        plan = small_plan(mail(eight=True), settings={"transform_8bitmime_content": "strict"})
        plan.hosts[0].extensions["plain"] = True
        self.innocent(plan)

        def wrongly(body: bytes) -> bytes:
            return encode(body.replace(b"\xfc", b"\xe4"))

        self.planted(plan, "corrupted", transaction, "encode", wrongly)

    def test_refused_and_kept(self) -> None:
        """
        A client is told that its mail is not ours, and it is delivered.
        """
        durable = Receiver._durable

        def confused(receiver: Any, _: None, reception: Any) -> Any:
            durable(receiver, _, reception)
            raise MessageRefused(452, "4.3.1 The message could not be stored, try again later")

        for how in ("smtp", "call"):
            self.planted(small_plan(mail(how=how)), "refused and kept", Receiver, "_durable", confused)

    def test_accepted_and_forgotten(self) -> None:
        """
        A client is told that its mail is ours, and nobody else is.
        """

        def forgetful(receiver: Any, _: None, reception: Any) -> Any:
            return reception

        self.planted(small_plan(), "accepted unknown", Receiver, "_durable", forgetful)

    def test_duplicate(self) -> None:
        """
        A message whose delivery was confirmed is delivered again.
        """
        delivered = Settlement.delivered

        def unsure(settlement: Any, message: Any, note: bytes, now: float) -> None:
            if message.num_retries:
                delivered(settlement, message, note, now)
            else:
                settlement.transient(message, note, Stage.READING_CONFIRMATION, now)

        fault = self.planted(small_plan(), "forbidden duplicate", Settlement, "delivered", unsure)
        self.assertIn("and nothing was ambiguous", fault.text)

    def test_allowed_duplicate(self) -> None:
        """
        A receiver that takes a message and does not say so gets it again.
        """
        plan = small_plan(mail(how="smtp"), behaviours=(Part("CloseAtDot", {"take": True}),))
        result = self.innocent(plan)
        self.assertEqual(result.counts["allowed duplicates"], result.counts["ambiguous"])
        self.assertGreater(result.counts["ambiguous"], 0)

    def test_doubt_not_counted(self) -> None:
        """
        A message whose attempt was in doubt does not say so, and is taken again.
        """
        transient = Settlement.transient

        def sure(settlement: Any, message: Any, note: bytes, stage: Stage, now: float, ambiguous: bool = False) -> None:
            transient(settlement, message, note, stage, now)

        plan = small_plan(behaviours=(Part("CloseAtDot", {"take": True}),))
        self.planted(plan, "forbidden duplicate", Settlement, "transient", sure)

    def test_history_lost(self) -> None:
        """
        A message that was tried before a crash begins anew after it.
        """
        plan = small_plan(
            mail(),
            Step(30.0, "kill", {"operations": 0, "garbage": False, "down": 1.0}),
            behaviours=(broken_at("RCPT", "451 4.2.0 Not now"),),
        )
        fault = self.planted(plan, "history lost", Replay, "_requeue", lambda replay, message, meta: None)
        self.assertIn("it counts (0, 0), and before (0, ", fault.text)

    def test_wrong_outcome(self) -> None:
        """
        Who sent a message is told that it failed, and it was delivered.
        """
        when_ended = InProcess._admitted

        def pessimistic(in_process: Any, reception: Any, sending: Any, waited: Any) -> None:
            when_ended(in_process, reception, sending, waited)
            sending.addCallback(
                lambda outcomes: [
                    Outcome(each.recipient, Verdict.PERMANENT, each.scope, End.TIME.value, each.stage, False)
                    for each in outcomes
                ]
            )

        fault = self.planted(small_plan(), "wrong outcome", InProcess, "_admitted", pessimistic)
        self.assertIn("told PERMANENT of b'r1x0@d0.example'", fault.text)

    def test_delivered_to_others(self) -> None:
        """
        Mail goes to somebody who is no recipient of it.
        """
        take = Receiver.take

        def forward(receiver: Any, submission: Any, *more: Any) -> Any:
            return take(receiver, submission._replace(recipients=(b"eve@" + DOMAIN.encode(),)), *more)

        self.innocent(small_plan())
        self.patch(Receiver, "take", forward)
        self.guilty(small_plan(), "foreign mail")

    def test_client_never_learns(self) -> None:
        """
        A client that is hung up on does not know; its mail may be kept or not.
        """
        for at in (1.0055, 1.0105, 1.0115):
            player = self.player(small_plan(mail(how="smtp"), Step(at, "hang_up")))
            (letter,) = player.stage.books.letters.values()
            self.assertEqual(letter.state, "unknown", at)
            self.assertFalse(player.stage.clients.waiting)
