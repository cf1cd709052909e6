"""
What is said of mail is kept and obeyed, and that it is noticed when it is not.
"""

from __future__ import annotations

from typing import Any

from momentum_tx.config.load import parse
from momentum_tx.delivery.settle import Settlement
from momentum_tx.envelope import NO_TERMS, Terms
from momentum_tx.inject import receiver
from momentum_tx.interfaces.services import Submission
from momentum_tx.message import headers
from momentum_tx.policy.retry import End, RetrySchedule
from momentum_tx.queues.message import NO_TRAITS
from momentum_tx.spool.replay import Replay
from momentum_tx.testing.fuzz.making import make_plan
from momentum_tx.testing.fuzz.plan import Step
from momentum_tx.testing.fuzz.said import longest, parameters, settled, written

from .stories import DOMAIN, StoryCase, broken_at, mail, small_plan

NOT_NOW = broken_at("RCPT", "451 4.2.0 Not now")
ALL = {"tenant": "t1", "campaign": "c1", "priority": "p1"}


def suspended(since: float, until: float) -> tuple[Step, Step]:
    """
    Delivery of the domain is suspended for a while.
    """
    return (
        Step(since, "reload", {"header": f'domain."{DOMAIN}"', "options": {"suspend_delivery": True}}),
        Step(until, "reload", {"header": f'domain."{DOMAIN}"', "options": {"suspend_delivery": False}}),
    )


class DrawTests(StoryCase):
    """
    What senders say in the plans of many seeds.
    """

    def test_drawn(self) -> None:
        """
        Some stories have traits, times, weights and changes of weights, and some nothing; in the calm nothing expires.
        """
        seen: set[str] = set()
        for seed in range(1, 200):
            plan = make_plan(seed)
            parse(plan.config_text(), "x")
            seen |= {name for name in ("share_weights", "share_by") if name in plan.settings}
            said = [step.args["said"] for step in plan.steps if "said" in step.args]
            if not said:
                seen.add("nothing")
            for each in said:
                seen.update(each)
                self.assertFalse(plan.calm and "expires" in each)
                self.assertLess(each.get("not_before", 0.0), each.get("expires", 1e9))
            for step in plan.steps:
                if step.kind == "reload" and "share_weights" in step.args["options"]:
                    seen.add("reload")
                    parse(plan.config_text({"global": step.args["options"]}), "x")
        reports = {"envid", "notify"}
        self.assertEqual(
            seen, {*ALL, *reports, "not_before", "expires", "share_weights", "share_by", "reload", "nothing"}
        )

    def test_written(self) -> None:
        """
        Times count from the moment at which something is said; as header fields they are the same.
        """
        said = settled({**ALL, "not_before": 5.0, "expires": 60.25}, 1000.0002)
        self.assertEqual(said, {**ALL, "not_before": 1005.0, "expires": 1060.25})
        fields = b"X-Tenant: t1\r\nX-Campaign: c1\r\nX-Priority-Class: p1\r\n"
        self.assertEqual(written(said), fields + b"X-Not-Before: 1005.0\r\nX-Expires: 1060.25\r\n")
        self.assertEqual((settled({}, 5.0), written({})), ({}, b""))

    def test_reports(self) -> None:
        """
        What reports are wanted is said by the envelope, not by fields.
        """
        said = {"envid": "a b", "notify": "NEVER"}
        self.assertEqual(parameters(said, 2), ["ENVID=a+20b", "NOTIFY=NEVER", "NOTIFY=NEVER"])
        self.assertEqual(parameters({}, 1), ["", ""])
        self.assertEqual(written(said), b"")

    def test_longest(self) -> None:
        """
        The quiet lasts as long as mail that was told to wait, and to live.
        """
        plan = small_plan(mail(1), mail(2, said={"not_before": 100.0, "expires": 500.0}))
        self.assertEqual((longest(small_plan()), longest(plan)), (0.0, 600.0))


class SaidWatchTests(StoryCase):
    """
    Heard, kept, obeyed.
    """

    def test_innocent(self) -> None:
        """
        Whoever says it, in whatever way, at whatever time, over a crash.
        """
        for how in ("call", "smtp"):
            said = {**ALL, "not_before": 10.0, "expires": 100.0}
            kill = Step(5.0, "kill", {"operations": 0, "garbage": False, "down": 1.0})
            result = self.innocent(small_plan(mail(how=how, said=said), kill))
            self.assertEqual(result.counts["delivered"], 1)

    def test_forgotten(self) -> None:
        """
        A start that does not know the traits any more.
        """
        make = Replay._reception

        def forgetful(replay: Any, *args: Any) -> Any:
            made = make(replay, *args)
            made.traits = NO_TRAITS
            return made

        kill = Step(5.0, "kill", {"operations": 0, "garbage": False, "down": 1.0})
        plan = small_plan(mail(said={"campaign": "c1"}), kill, behaviours=(NOT_NOW,))
        fault = self.planted(plan, "forgotten", Replay, "_reception", forgetful)
        self.assertIn("was sent with campaign 'c1', and has ''", fault.text)

    def test_reports_forgotten(self) -> None:
        """
        A restart that forgets what reports are wanted.
        """
        make = Replay._reception

        def forgetful(replay: Any, *args: Any) -> Any:
            made = make(replay, *args)
            made.terms = NO_TERMS
            return made

        kill = Step(5.0, "kill", {"operations": 0, "garbage": False, "down": 1.0})
        plan = small_plan(mail(said={"notify": "NEVER"}), kill, behaviours=(NOT_NOW,))
        fault = self.planted(plan, "forgotten", Replay, "_reception", forgetful)
        self.assertIn("was sent with notify 'NEVER', and has ''", fault.text)

    def test_invented(self) -> None:
        """
        Mail that has what nobody said of it.
        """
        make = Replay._reception

        def inventive(replay: Any, *args: Any) -> Any:
            made = make(replay, *args)
            made.terms = Terms(expires=2e9)
            return made

        kill = Step(5.0, "kill", {"operations": 0, "garbage": False, "down": 1.0})
        fault = self.planted(
            small_plan(mail(), kill, behaviours=(NOT_NOW,)), "forgotten", Replay, "_reception", inventive
        )
        self.assertIn("has ['expires'], which nobody said", fault.text)

    def test_too_soon(self) -> None:
        """
        Mail that was to wait does not.
        """

        def hasty(submission: Submission, now: float) -> Submission:
            return submission._replace(not_before=0.0)

        plan = small_plan(mail(said={"not_before": 20.0}))
        self.planted(plan, "attempted before its time", receiver, "check", hasty)

    def test_too_late(self) -> None:
        """
        Mail whose life is over is attempted.
        """
        plan = small_plan(mail(said={"expires": 5.0}), *suspended(0.5, 10.0))
        self.planted(
            plan, "attempted after its time", Settlement, "expired_unattempted", lambda settlement, message, now: False
        )

    def test_given_up_too_early(self) -> None:
        """
        Mail is given up while there is time for another attempt; when there is none, it may be.
        """
        decide = RetrySchedule.next_attempt

        def hopeless(schedule: Any, *args: Any, **named: Any) -> Any:
            return End.TIME if args[6] else decide(schedule, *args, **named)

        plan = small_plan(mail(said={"expires": 40.0}), behaviours=(NOT_NOW,))
        self.planted(plan, "failed too early", RetrySchedule, "next_attempt", hopeless)

    def test_unattempted_too_early(self) -> None:
        """
        Mail is not attempted although its life is not over.
        """

        def hasty(settlement: Any, message: Any, now: float) -> bool:
            settlement.permanent(message, End.EXPIRED.value, message.stage, now)
            return True

        plan = small_plan(mail(said={"expires": 3.0}))
        self.planted(plan, "failed too early", Settlement, "expired_unattempted", hasty)

    def test_not_taken_away(self) -> None:
        """
        Fields that were meant for us leave with the message.
        """
        take = headers.take_fields

        def careless(content: bytes, names: frozenset[bytes], head: bytes) -> tuple[dict[bytes, bytes], bytes]:
            return take(content, names, head)[0], content

        plan = small_plan(mail(how="smtp", said=ALL))
        fault = self.planted(plan, "corrupted", receiver, "take_fields", careless)
        self.assertIn("fields that were meant for us", fault.text)

    def test_flush(self) -> None:
        """
        Whoever flushes means mail that waits for its time, too.
        """
        result = self.innocent(
            small_plan(mail(said={"not_before": 50.0}), Step(5.0, "flush", {"domain": ""}), storm=20.0)
        )
        self.assertEqual(result.counts["delivered"], 1)
