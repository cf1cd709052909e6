"""
Tests of :mod:`momentum_tx.dsn.notifier` and :mod:`momentum_tx.dsn.writer`: stories of
senders who are told.
"""

from __future__ import annotations

import email
import email.policy
import errno
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

from flufl.bounce import all_failures
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from momentum_tx.dsn.notifier import MOST_AT_ONCE
from momentum_tx.errors import MessageRefused
from momentum_tx.interfaces import bounce_hooks as contracts
from momentum_tx.interfaces.services import Submission
from momentum_tx.queues.message import Message, Reception
from momentum_tx.testing.peers import Receiver
from momentum_tx.testing.world import World

from ..worlds import BOB, SENDER, WorldCase

NO_SUCH_USER = b"550 5.1.1 No such user here"


class ReportCase(WorldCase):
    """
    A world in which the sender has a mail exchanger as well.
    """

    def open(self, config: str = "", **more: Any) -> World:
        world = self.world(config, reports=True, **more)
        self.mx = world.exchanger("example.com")
        self.home = world.exchanger("sender.example")
        return world

    def reports(self, receiver: Receiver | None = None) -> list[EmailMessage]:
        """
        What the sender got.
        """
        found = []
        for taken in (receiver or self.home).ledger:
            self.assertEqual(taken.sender, b"")
            message = email.message_from_bytes(taken.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.assertEqual(message.get_content_type(), "multipart/report")
            found.append(message)
        return found

    def failed(self, report: EmailMessage) -> set[bytes]:
        """
        Whom an independent program finds in it.
        """
        return set(all_failures(email.message_from_bytes(report.as_bytes()))[1])


class Unwilling:
    """
    A receiver that takes nothing.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error or MessageRefused(452, "4.3.1 later")

    def take(self, submission: Submission, ends: Sequence[Message] = ()) -> Deferred[Reception]:
        return fail(self.error)


class FailureTests(ReportCase):
    """
    Failures for ever.
    """

    def test_refused(self) -> None:
        """
        Whoever sent it is told, with the peer's words, by mail from nobody that is received,
        queued and logged like any other.
        """
        world = self.open()
        self.mx.refuse["bob@example.com"] = NO_SUCH_USER
        self.accept(world)
        world.advance(30)
        (report,) = self.reports()
        self.assertEqual(self.failed(report), {b"bob@example.com"})
        self.assertEqual(report["To"], SENDER)
        self.assertEqual(report["From"], "Mail Delivery System <mailer-daemon@mail.sender.example>")
        text = report.as_string()
        self.assertIn("Diagnostic-Code: smtp; 550 5.1.1 No such user here", text)
        self.assertIn("Remote-MTA: dns; ", text)
        self.assertIn("Subject: hello", text)
        self.assertNotIn("Hello.", text)
        self.assertEqual(self.kinds(world), "RPRD")
        received = world.mainlog("R")[1]
        self.assertEqual((received["method"], received["local"]), ("internal", "a"))
        self.assertEqual(world.service.notifier.written, 1)

    def test_together(self) -> None:
        """
        Recipients of one message that fail together are told of together; others are not waited for.
        """
        world = self.open()
        for name in ("bob", "max"):
            self.mx.refuse[f"{name}@example.com"] = NO_SUCH_USER
        self.accept(world, ["bob@example.com", "lea@example.com", "max@example.com"])
        world.advance(30)
        (report,) = self.reports()
        self.assertEqual(self.failed(report), {b"bob@example.com", b"max@example.com"})

    def test_expired(self) -> None:
        """
        Mail that is given up is told of in our own words, which no peer has said.
        """
        world = self.open("[global]\nmessage_expiration = 3600\n")
        self.mx.refuse["bob@example.com"] = b"450 4.2.0 later"
        self.accept(world)
        world.advance(3 * 3600)
        (report,) = self.reports()
        self.assertIn("Diagnostic-Code: X-Momentum-TX; 554 5.4.7 [internal] exceeded max time", report.as_string())
        self.assertNotIn("Remote-MTA", report.as_string())

    def test_options(self) -> None:
        """
        The options say whether, from whom, and with how much of the message.
        """
        world = self.open(
            '[global]\nmailerdaemon = "post@letters.example"\nbounces_inline_original = "all"\n'
            '[domain."quiet.example"]\ngenerate_bounces = false\n'
        )
        quiet = world.exchanger("quiet.example")
        self.mx.refuse["bob@example.com"] = quiet.refuse["lea@quiet.example"] = NO_SUCH_USER
        self.accept(world, ["bob@example.com", "lea@quiet.example"])
        world.advance(30)
        (report,) = self.reports()
        self.assertEqual(self.failed(report), {b"bob@example.com"})
        self.assertIn("post@letters.example", report["From"])
        self.assertIn("Hello.", report.as_string())

    def test_in_process(self) -> None:
        """
        An application that waits for the outcome has its report; one that asks for mail gets it too,
        and after a crash, when nobody waits any more, mail is sent.
        """
        world = self.open()
        self.mx.refuse["bob@example.com"] = NO_SUCH_USER
        world.send(SENDER, [BOB], world.message())
        world.advance(30)
        self.assertEqual(self.reports(), [])
        world.send(SENDER, [BOB], world.message(), notify="FAILURE")
        world.advance(30)
        self.assertEqual(len(self.reports()), 1)
        world.network.black_hole(self.mx.address)
        world.send(SENDER, [BOB], world.message())
        world.advance(1)
        world.crash()
        world.network.restore(self.mx.address)
        world.advance(7200)
        self.assertEqual(len(self.reports()), 2)

    def test_null_sender(self) -> None:
        """
        A failure of mail from nobody is told to nobody, or to the operator's mailbox; and that
        a report could not be delivered there is not told again.
        """
        world = self.open()
        self.mx.refuse["bob@example.com"] = NO_SUCH_USER
        world.inject("", [BOB], world.message())
        world.advance(30)
        self.assertEqual(self.kinds(world), "RP")
        world = self.open('[global]\nmdn_failures_notify = "ops@sender.example"\n')
        self.mx.refuse["bob@example.com"] = self.home.refuse["a@sender.example"] = NO_SUCH_USER
        self.accept(world)
        world.advance(30)
        self.assertEqual(self.failed(self.reports()[0]), {b"a@sender.example"})
        self.home.refuse["ops@sender.example"] = NO_SUCH_USER
        self.accept(world)
        world.advance(60)
        self.assertEqual((len(self.reports()), world.queued(), len(world.service.notifier)), (1, 0, 0))

    def test_storm(self) -> None:
        """
        The senders of one domain are told so many a minute; the rest fails without a report, is
        counted, and said once.
        """
        world = self.open("[global]\nbounce_rate_limit = 3\n")
        for number in range(10):
            self.mx.refuse[f"u{number}@example.com"] = NO_SUCH_USER
            world.inject(f"s{number}@sender.example", [f"u{number}@example.com"], world.message())
        world.advance(30)
        self.assertEqual(len(self.reports()), 3)
        self.assertEqual((world.service.notifier.rates.dropped, len(world.mainlog("P")), world.queued()), (7, 10, 0))

    def test_no_room(self) -> None:
        """
        While the disk takes no report its message is not done with; then it is told.
        """
        world = self.open()
        self.mx.refuse["bob@example.com"] = b"450 4.2.0 later"
        self.accept(world)
        world.advance(5)
        self.mx.refuse["bob@example.com"] = NO_SUCH_USER
        for operation in ("append", "create"):
            world.files.fail(operation, errno.ENOSPC, times=-1)
        world.service.flush()
        world.advance(60)
        self.assertEqual((self.reports(), len(world.mainlog("P")), len(world.service.notifier)), ([], 1, 1))
        world.files.heal()
        world.advance(120)
        self.assertEqual((len(self.reports()), len(world.mainlog("P")), len(world.service.notifier)), (1, 1, 0))

    def test_killed(self) -> None:
        """
        Whenever the machine dies, a failure is told at least once, and the message ends. What was
        delivered a moment before is delivered anew, as any mail.
        """
        for steps in range(1, 40, 3):
            world = self.open(seed=steps)
            self.mx.refuse["bob@example.com"] = NO_SUCH_USER
            self.accept(world)
            world.advance(steps / 50)
            world.power_cut()
            world.advance(7200)
            self.assertIn(len(self.reports()), (1, 2, 3), steps)
            self.assertEqual(world.queued(), 0)

    def _until_failed(self, world: World) -> None:
        world.until(lambda: bool(world.mainlog("P")))

    def test_told_once(self) -> None:
        """
        Whenever the machine dies, one report is written: where it is, the message has ended.
        """
        for step in range(60):
            world = self.open(seed=step)
            self.mx.refuse["bob@example.com"] = NO_SUCH_USER
            self.accept(world)
            world.threads.delay = 0.004
            self._until_failed(world)
            world.advance(step / 1000)
            world.power_cut()
            world.advance(7200)
            written = {report["Message-ID"] for report in self.reports()}
            self.assertEqual((len(written), world.queued()), (1, 0), step)

    def test_moved_meanwhile(self) -> None:
        """
        A message whose report cannot be kept for now is mail that waits, to the spool: it is moved with its
        state, and the next service tries and tells, and does not wait for an operator.
        """
        world = self.open("[global]\nsegment_size = 4096\nsegment_live_share = 90\n")
        self.mx.refuse["bob@example.com"] = NO_SUCH_USER
        world.service.notifier._receiver = Unwilling()  # type: ignore[assignment]
        self.accept(world)
        world.advance(30)
        before = len(world.files.calls)
        for _ in range(20):
            self.accept(world, ["lea@example.com"], filler="x" * 900)
            world.advance(5)
        self.assertIn("unlink", [operation for operation, _ in world.files.calls[before:]])
        self.assertEqual(len(world.service.notifier), 1)
        world.crash()
        world.advance(7200)
        self.assertEqual((len(self.reports()), world.queued(), len(world.service.delivery.held)), (1, 0, 0))

    def test_nobody_to_keep_it(self) -> None:
        """
        While reports are refused no more are put together than wait anyway; whatever else goes wrong with
        one is logged, and its message is done.
        """
        world = self.open()
        recipients = [f"u{number}@example.com" for number in range(3 * MOST_AT_ONCE)]
        self.mx.refuse.update(dict.fromkeys(recipients, NO_SUCH_USER))
        notifier = world.service.notifier
        receiver, notifier._receiver = notifier._receiver, Unwilling()  # type: ignore[assignment]
        for recipient in recipients:
            self.accept(world, [recipient])
        world.advance(60)
        self.assertEqual((len(notifier), len(notifier._refused)), (len(recipients), MOST_AT_ONCE))
        notifier._receiver = receiver
        world.advance(60)
        self.assertEqual((len(notifier), len(self.reports()), world.queued()), (0, len(recipients), 0))
        notifier._receiver = Unwilling(ValueError("unheard of"))  # type: ignore[assignment]
        self.accept(world, [recipients[0]])
        world.advance(60)
        self.assertEqual((len(notifier), len(self.flushLoggedErrors(ValueError)), world.queued()), (0, 1, 0))

    def test_after_the_end(self) -> None:
        """
        What fails when no report is begun any more is not done: the next service tries and tells.
        """
        world = self.open()
        self.mx.refuse["bob@example.com"] = NO_SUCH_USER
        world.service.notifier.stop()
        self.accept(world)
        world.advance(30)
        self.assertEqual((len(world.mainlog("P")), self.reports()), (1, []))
        world.stop()
        world.build()
        world.start()
        world.advance(60)
        self.assertEqual((len(self.reports()), world.queued()), (1, 0))

    def test_cannot_be_asked(self) -> None:
        """
        If whoever tells senders breaks, the message is tried again.
        """
        world = self.open()
        self.mx.refuse["bob@example.com"] = NO_SUCH_USER
        rates, world.service.notifier.rates = world.service.notifier.rates, None  # type: ignore[assignment]
        self.accept(world)
        world.advance(30)
        self.assertEqual((world.queued(), len(self.flushLoggedErrors(AttributeError))), (1, 1))
        world.service.notifier.rates = rates
        world.advance(7200)
        self.assertEqual((world.queued(), len(self.reports())), (0, 1))

    def test_stopped(self) -> None:
        """
        What is not told at a stop waits in the spool, and is tried and told by the next service.
        """
        world = self.open("[global]\nasync_bounce_rendering = true\n")
        self.mx.refuse["bob@example.com"] = NO_SUCH_USER
        self.accept(world)
        world.threads.delay = 5.0
        world.until(lambda: bool(world.mainlog("P")))
        world.stop()
        world.threads.delay = 0.0
        world.build()
        world.start()
        world.advance(60)
        self.assertGreaterEqual(len(self.reports()), 1)
        self.assertEqual(world.queued(), 0)


class SuccessTests(ReportCase):
    """
    RFC 3461 5.2.2: a peer without DSN.
    """

    def test_relayed(self) -> None:
        """
        Who wants to hear of the delivery is told that the message was passed on, if the peer
        does not know DSN; who did not ask is not.
        """
        world = self.open()
        self.accept(world)
        world.send(SENDER, ["lea@example.com"], world.message(), notify="SUCCESS,FAILURE", envid="my id")
        world.advance(30)
        (report,) = self.reports()
        text = report.as_string()
        self.assertIn("Action: relayed", text)
        self.assertIn("Original-Envelope-Id: my id", text)
        self.assertIn("Final-Recipient: rfc822; lea@example.com", text)
        self.assertEqual(report["Subject"], "Mail passed on")
        self.assertEqual(len(self.mx.ledger), 2)

    def test_passed_on(self) -> None:
        """
        A peer that knows DSN tells itself.
        """
        world = self.open()
        self.mx.extensions = [*self.mx.extensions, b"DSN"]
        world.send(SENDER, ["lea@example.com"], world.message(), notify="SUCCESS")
        world.advance(30)
        self.assertEqual((len(self.mx.ledger), self.reports()), (1, []))


@implementer(
    contracts.IGenerateBounces,
    contracts.IGenerateRfc3464Message,
    contracts.IGenerateRfc3464MessagePreamble,
    contracts.IRfc3464InlineMessageFragment,
    contracts.IPostGenerateRfc3464Message,
)
class Opinions:
    """
    Answers with what a test wants, and notes who asked.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def _answer(self, name: str) -> Any:
        self.asked.append(name)
        answer = self.answers.get(name)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def generate_bounces(self, msg: Any, enabled: bool) -> Any:
        return self._answer("generate_bounces")

    def generate_rfc3464_message(self, msg: Any, action: str) -> Any:
        return self._answer("generate_rfc3464_message")

    def generate_rfc3464_message_preamble(self, msg: Any, action: str, draft: Any) -> Any:
        draft.headers.append(("X-Seen", "yes"))
        return self._answer("generate_rfc3464_message_preamble")

    def rfc3464_inline_message_fragment(self, msg: Any, action: str) -> Any:
        return self._answer("rfc3464_inline_message_fragment")

    def post_generate_rfc3464_message(self, orig: Any, bounce: Any, action: str) -> None:
        self.bounce = bounce
        self._answer("post_generate_rfc3464_message")


class HookTests(ReportCase):
    """
    Everybody who may want it otherwise.
    """

    def told(self, **answers: Any) -> Opinions:
        opinions = Opinions(**answers)
        world = self.open(providers=[opinions])
        self.mx.refuse["bob@example.com"] = NO_SUCH_USER
        self.accept(world)
        world.advance(30)
        self.assertEqual((world.queued(), len(world.service.notifier)), (0, 0))
        return opinions

    def test_order(self) -> None:
        """
        All are asked, in Momentum's order but that what goes back is asked for before the preamble.
        """
        opinions = self.told()
        self.assertEqual(
            opinions.asked,
            [
                "generate_bounces",
                "generate_rfc3464_message",
                "rfc3464_inline_message_fragment",
                "generate_rfc3464_message_preamble",
                "post_generate_rfc3464_message",
            ],
        )
        (report,) = self.reports()
        self.assertEqual(report["X-Seen"], "yes")
        self.assertEqual(opinions.bounce.sender, b"")

    def test_none(self) -> None:
        """
        A hook may say that there is no report, or that nobody is told.
        """
        self.assertEqual(self.told(generate_bounces=False).asked, ["generate_bounces"])
        self.assertEqual(self.reports(), [])
        self.told(generate_rfc3464_message=b"")
        self.assertEqual(self.reports(), [])

    def test_another(self) -> None:
        """
        A hook may write it itself, or what goes back.
        """
        self.told(generate_rfc3464_message=b"Subject: sorry\r\nContent-Type: multipart/report\r\n\r\n--\r\n")
        self.assertEqual(self.reports()[0]["Subject"], "sorry")
        self.told(rfc3464_inline_message_fragment=b"Content-Type: text/plain\r\n\r\nGone.\r\n")
        (report,) = self.reports()
        self.assertEqual([part.get_content_type() for part in report.iter_parts()][2], "text/plain")
        self.assertNotIn("Subject: hello", report.as_string())

    def test_broken(self) -> None:
        """
        Whoever raises, or answers nonsense, keeps no sender from being told.
        """
        names = (
            "generate_bounces",
            "generate_rfc3464_message",
            "generate_rfc3464_message_preamble",
            "rfc3464_inline_message_fragment",
            "post_generate_rfc3464_message",
        )
        for answer in (ValueError("no"), 17.5):
            self.told(**dict.fromkeys(names, answer))
            self.assertEqual(len(self.reports()), 1)
            self.flushLoggedErrors(ValueError)
