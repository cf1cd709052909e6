"""
``send``: what an embedding application sees.
"""

import gc

from twisted.internet.defer import CancelledError

from momentum_tx.errors import MessageRefused
from momentum_tx.outcomes import Outcome, Scope, Verdict
from momentum_tx.stages import Stage

from ..worlds import BOB, SENDER, WorldCase

CAROL = "carol@example.com"


class SendTests(WorldCase):
    """
    Submitting in process.
    """

    def test_outcomes(self) -> None:
        """
        It fires with one outcome per recipient, in their order, when the last
        has ended; before that ``accepted`` has fired with the id.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        mx.refuse[CAROL] = b"550 5.1.1 No such user"
        mx.refuse["dave@example.com"] = b"451 4.2.1 Later"
        sending = world.send(SENDER, [CAROL, "dave@example.com", BOB], world.message())
        self.assertNoResult(sending.accepted)
        self.assertTrue(sending.id)
        world.advance(10)
        self.assertEqual(self.successResultOf(sending.accepted), sending.id)
        self.assertNoResult(sending)
        mx.refuse.clear()
        world.advance(1300)
        carol, dave, bob = self.successResultOf(sending)
        self.assertEqual(
            carol,
            Outcome(CAROL.encode(), Verdict.PERMANENT, Scope.RECIPIENT, b"550 5.1.1 No such user", Stage.AFTER_RCPT_TO),
        )
        self.assertEqual([each.verdict for each in (dave, bob)], [Verdict.DELIVERED] * 2)
        self.assertEqual(bob.note, b"250 2.0.0 Taken")

    def test_durable_first(self) -> None:
        """
        It fires only when the outcome is synced, at most a moment after the
        delivery.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        sending = world.send(SENDER, [BOB], world.message())
        world.until(lambda: bool(mx.ledger))
        world.threads.delay = 3.0
        world.advance(2)
        self.assertNoResult(sending)
        world.advance(5)
        self.successResultOf(sending)

    def test_line_ends(self) -> None:
        """
        LF throughout becomes CRLF, text becomes UTF-8, and a line end that
        lacks at the end is added.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.service.send(SENDER, [BOB], "Subject: grüß\n\nhello")
        world.advance(1)
        self.assertTrue(mx.ledger[0].content.endswith("Subject: grüß\r\n\r\nhello\r\n".encode()))

    def test_refusals(self) -> None:
        """
        What cannot be sent fails at once with the reason, in both Deferreds.
        """
        world = self.world()
        for sender, recipients, message in (
            (SENDER, [], b"x\r\n"),
            (SENDER, ["two words@example.com"], b"x\r\n"),
            (SENDER, ["bob@example.com\r\nRCPT TO:<x@y>"], b"x\r\n"),
            (SENDER, [BOB], b"bare\rreturn\r\n"),
            (SENDER, [BOB], b"x" * 2000 + b"\r\n"),
            (SENDER, [BOB], b"X-Binding: nobody\r\n\r\nx\r\n"),
        ):
            sending = world.send(sender, recipients, message)
            refused = self.failureResultOf(sending, MessageRefused).value
            self.assertIsInstance(refused, MessageRefused)
            self.assertEqual(refused.code, 550)
        world.advance(10)
        self.assertEqual(world.mainlog(), [])

    def test_asked_later(self) -> None:
        """
        Whoever asks after the refusal learns of it all the same, however often;
        whoever does not ask is not bothered.
        """
        world = self.world()
        sending = world.send(SENDER, [BOB], b"bare\rreturn\r\n")
        accepted: list[str] = []
        sending.accepted.addCallback(accepted.append)
        self.assertIs(sending.accepted, sending.accepted)
        self.failureResultOf(sending.accepted, MessageRefused)
        self.failureResultOf(sending, MessageRefused)
        self.assertEqual(accepted, [])
        unasked = world.send(SENDER, [BOB], b"bare\rreturn\r\n")
        self.failureResultOf(unasked, MessageRefused)
        del unasked
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_too_many_recipients(self) -> None:
        """
        ``max_recipients_per_message`` holds in process too.
        """
        world = self.world("[global]\nmax_recipients_per_message = 100\n")
        sending = world.send(SENDER, [f"u{number}@example.com" for number in range(101)], world.message())
        self.assertEqual(self.failureResultOf(sending, MessageRefused).value.code, 550)

    def test_cancelled(self) -> None:
        """
        Cancelling stops the waiting, not the mail.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        sending = world.send(SENDER, [BOB], world.message())
        sending.cancel()
        self.failureResultOf(sending, CancelledError)
        world.advance(1)
        self.assertEqual(len(mx.ledger), 1)
        self.assertEqual(self.kinds(world), "RD")

    def test_not_kept(self) -> None:
        """
        A disk that fails refuses the message with 452.
        """
        world = self.world()
        world.files.fail("append", 5, times=-1)
        world.files.fail("create", 5, times=-1)
        sending = world.send(SENDER, [BOB], world.message())
        world.advance(5)
        self.assertEqual(self.failureResultOf(sending, MessageRefused).value.code, 452)
        world.files.heal()
        world.advance(5)
        self.assertEqual(world.service.delivery.settlement.waiting, {})

    def test_null_sender(self) -> None:
        """
        An empty sender is the null reverse path.
        """
        world = self.world()
        mx = world.exchanger("example.com")
        world.send("", [BOB], world.message())
        world.advance(1)
        self.assertEqual(mx.ledger[0].sender, b"")
