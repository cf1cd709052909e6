"""
Those who hand mail to the service, and what they are told.
"""

from __future__ import annotations

from random import Random

from momentum_tx.testing.fuzz.books import Letter
from momentum_tx.testing.fuzz.plan import Step
from momentum_tx.testing.fuzz.play import play
from momentum_tx.testing.fuzz.stage import Stage

from .stories import DOMAIN, OTHER_DOMAIN, Rehearsal, StoryCase, broken_at, mail, small_plan


class ClientsTests(StoryCase):
    """
    Letters and answers.
    """

    def rehearsal(self, *steps: Step) -> Rehearsal:
        """
        A story with mail that is not delivered before its storm is over.
        """
        return Rehearsal(small_plan(*steps, behaviours=(broken_at("RCPT", "451 4.2.0 Not now"),)))

    def letter(self, stage: Stage, number: int = 1) -> Letter:
        """
        A letter of the story.
        """
        return stage.books.letters[number]

    def told(self, *steps: Step) -> list[str]:
        """
        What hooks and the application were told of letter 1 in a quiet story.
        """
        lines = [line.split()[1:] for line in play(small_plan(*steps), keep_trace=True).lines]
        return [
            what
            for what, *values in lines
            if what in ("received", "delivered") or (what in ("accepted", "sent") and values[0] == "1")
        ]

    def test_letter(self) -> None:
        """
        A letter has one recipient per domain that was named, each with an address
        of its own, and a content with dots where they hurt.
        """
        stage = self.rehearsal(mail(7, to=(DOMAIN, OTHER_DOMAIN, DOMAIN), size=3000)).run(2.0)
        letter = self.letter(stage, 7)
        self.assertEqual(letter.sender, b"s7@sender.example")
        self.assertEqual(letter.recipients, (b"r7x0@d0.example", b"r7x1@d1.example", b"r7x2@d0.example"))
        head, _, body = letter.content.partition(b"\r\n\r\n")
        self.assertEqual(head, b"Subject: letter 7")
        self.assertEqual(body.split(b"\r\n")[:3], [b".7", b".", b"..two"])
        self.assertTrue(2900 < len(body) < 3100, len(body))
        self.assertEqual(set(stage.books.parcels), set(letter.recipients))

    def test_eight(self) -> None:
        """
        A letter may have octets above 127, and arrives with them.
        """
        for how in ("smtp", "call"):
            stage = self.player(small_plan(mail(how=how, eight=True))).stage
            self.assertFalse(self.letter(stage).content.isascii())
            self.assertEqual(stage.books.counts["delivered"], 1)

    def test_over_smtp(self) -> None:
        """
        A client over SMTP waits for its answer, and is told once.
        """
        rehearsal = self.rehearsal(mail(how="smtp"))
        stage = rehearsal.run(1.005)
        self.assertEqual((self.letter(stage).state, stage.clients.waiting), ("offered", True))
        rehearsal.run(1.1)
        self.assertEqual((self.letter(stage).state, stage.clients.waiting), ("accepted", False))
        self.assertEqual((rehearsal.faults, stage.books.counts["accepted"]), ([], 1))

    def test_in_process(self) -> None:
        """
        The application is told when the mail is safe, and again when it has ended.
        """
        told = self.told(mail(to=(DOMAIN, DOMAIN)))
        self.assertEqual(told, ["received"] * 2 + ["accepted"] + ["delivered"] * 2 + ["sent"])

    def test_refused(self) -> None:
        """
        Mail for a binding that does not exist is refused, however it came.
        """
        for how in ("smtp", "call"):
            rehearsal = self.rehearsal(mail(how=how, binding="nobody"))
            stage = rehearsal.run(2.0)
            self.assertEqual((self.letter(stage).state, stage.clients.waiting), ("refused", False))
            self.assertEqual((rehearsal.faults, stage.books.live), ([], 0))

    def test_unknown(self) -> None:
        """
        Whoever was hung up on, or found nobody there, does not know.
        """
        kill = Step(0.5, "kill", {"operations": 0, "garbage": False, "down": 100.0})
        for step in (Step(1.005, "hang_up"), kill):
            rehearsal = self.rehearsal(step, mail(how="smtp"))
            stage = rehearsal.run(2.0)
            self.assertEqual((self.letter(stage).state, stage.clients.waiting), ("unknown", False))
            self.assertEqual(rehearsal.faults, [])

    def test_application_has_died_too(self) -> None:
        """
        The application lives in the process: while that is dead it sends nothing.
        """
        kill = Step(0.5, "kill", {"operations": 0, "garbage": False, "down": 100.0})
        stage = self.rehearsal(kill, mail()).run(2.0)
        self.assertEqual(stage.books.letters, {})

    def test_cancelled(self) -> None:
        """
        An application that no longer waits is told nothing, and its mail is
        delivered all the same; to cancel twice, or what has ended, does nothing.
        """
        cancel = Step(1.01, "cancel", {"number": 1})
        unknown = Step(1.01, "cancel", {"number": 99})
        self.assertEqual(self.told(mail(), cancel, cancel, unknown), ["received", "accepted", "delivered"])
        stage = self.player(small_plan(mail(), Step(50.0, "cancel", {"number": 1}))).stage
        self.assertEqual([parcel.ended for parcel in stage.books.parcels.values()], ["delivered"])

    def test_death(self) -> None:
        """
        When the process has died, nobody hears what it was to tell, and nobody complains.
        """
        rehearsal = self.rehearsal(mail(), Step(2.0, "kill", {"operations": 0, "garbage": False, "down": 1.0}))
        stage = rehearsal.run(10.0)
        stage.clients.cancel(1)
        rehearsal.run(20.0)
        self.assertEqual(rehearsal.faults, [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_hooks(self) -> None:
        """
        Mail of hooks has numbers of its own, and goes to some domain of the plan.
        """
        rehearsal = self.rehearsal(mail())
        stage = rehearsal.run(2.0)
        for _ in range(3):
            stage.clients.send_from_hook(10, Random(1))
        rehearsal.run(3.0)
        numbers = sorted(stage.books.letters)
        self.assertEqual((numbers[0], len(numbers)), (1, 4))
        self.assertGreater(numbers[1], 1000)
        self.assertEqual({letter.state for letter in stage.books.letters.values()}, {"accepted"})
        self.assertEqual(rehearsal.faults, [])
