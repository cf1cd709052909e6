"""
Of a story with a fault there remains what the fault takes.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from momentum_tx.delivery.initiate import _Attempt
from momentum_tx.queues.mail_queue import MailQueue
from momentum_tx.testing.fuzz import shrink as shrinking
from momentum_tx.testing.fuzz.making import make_plan
from momentum_tx.testing.fuzz.plan import Domain, Host, Part, Plan, Step
from momentum_tx.testing.fuzz.play import Result, play
from momentum_tx.testing.fuzz.shrink import shrink

from .stories import ADDRESS, DOMAIN, NAME, StoryCase, broken_at, mail, small_plan

RULE = "lost or doubled"


def forget_third_retry(case: StoryCase) -> None:
    """
    Plant a bug: a message is dropped when it waits for its third retry.
    """
    insert = MailQueue.insert_delayed

    def forgetful(queue: Any, message: Any, *more: Any) -> None:
        if message.num_retries != 3:
            insert(queue, message, *more)

    case.patch(MailQueue, "insert_delayed", forgetful)


class ShrinkTests(StoryCase):
    """
    Plans that become smaller.
    """

    def setUp(self) -> None:
        self.played: list[Plan] = []

        def counted(plan: Plan) -> Result:
            self.played.append(plan)
            return play(plan)

        self.patch(shrinking, "play", counted)
        self.addCleanup(self.flushLoggedErrors)
        self.addCleanup(self.flushWarnings)

    def crowded(self) -> Plan:
        """
        A plan in which one letter to one receiver fails, and much else goes on.
        """
        plan = small_plan(
            *[mail(number, at=float(number), to=(DOMAIN, "d1.example")) for number in range(1, 9)],
            Step(10.0, "flush", {"domain": ""}),
            Step(11.0, "clock", {"seconds": 1.0}),
            behaviours=(broken_at("RCPT", "451 4.2.0 Not now"), Part("Tarpit", {"seconds": 0.1})),
            providers=(Part("goal"), Part("choose")),
            bindings=[("b0", "192.0.2.2"), ("b1", "")],
            tables={"binding.b1": {"max_outbound_connections": 1}},
            shuffled=True,
            dns="wire",
        )
        plan.hosts[0].extensions["starttls"] = True
        for number in (2, 3):
            plan.hosts.append(Host(f"mx{number}.peer.example", f"198.51.100.{number}", line={"jitter": 0.05}))
        plan.domains.append(Domain("d1.example", exchangers=[(10, "mx2.peer.example"), (20, "mx3.peer.example")]))
        return plan

    def test_smallest(self) -> None:
        """
        What the fault does not need is gone, and the plan that was given is as it was.
        """
        forget_third_retry(self)
        plan = self.crowded()
        before = deepcopy(plan)
        small = shrink(plan, RULE)
        self.assertEqual(plan, before)
        self.assertEqual(play(small).faults[0].rule, RULE)
        self.assertEqual([step.kind for step in small.steps], ["mail"])
        self.assertEqual(len(small.steps[0].args["to"]), 1)
        self.assertLessEqual(len(small.hosts), 1)
        self.assertEqual(len(small.domains), 1)
        self.assertEqual((small.providers, small.bindings, small.tables), ([], [], {}))
        self.assertEqual((small.shuffled, small.dns), (False, "scripted"))

    def test_what_it_takes(self) -> None:
        """
        A part that the fault needs stays.
        """
        tell = _Attempt._tell_failure

        def twice(attempt: Any, now: float) -> None:
            tell(attempt, now)
            if attempt.handle.connection.address == ADDRESS:
                tell(attempt, now)

        self.patch(_Attempt, "_tell_failure", twice)
        plan = self.crowded()
        plan.steps.insert(0, Step(0.5, "refuse", {"host": ADDRESS}))
        small = shrink(plan, "flags")
        self.assertEqual([step.kind for step in small.steps], ["refuse", "mail"])
        self.assertEqual([(host.name, host.behaviours, host.extensions) for host in small.hosts], [(NAME, [], {})])

    def test_one_of_many_recipients(self) -> None:
        """
        The recipient that it takes need not be the first one.
        """
        insert = MailQueue.insert_active

        def forgetful(queue: Any, message: Any) -> None:
            if not message.recipient.endswith(b"@d1.example"):
                insert(queue, message)

        self.patch(MailQueue, "insert_active", forgetful)
        plan = self.crowded()
        plan.steps[0].args["to"] = [DOMAIN, DOMAIN, "d1.example", DOMAIN]
        small = shrink(plan, RULE)
        self.assertEqual([step.args["to"] for step in small.steps], [["d1.example"]])

    def test_big_seed(self) -> None:
        """
        The plan of a seed with much in it becomes one that can be read.
        """
        forget_third_retry(self)
        big = (plan for plan in map(make_plan, range(1, 100)) if len(plan.steps) >= 40 and len(plan.hosts) >= 2)
        plan = next(plan for plan in big if [fault.rule for fault in play(plan).faults[:1]] == [RULE])
        told: list[str] = []
        small = shrink(plan, RULE, told=told.append)
        self.assertEqual(play(small).faults[0].rule, RULE)
        self.assertLessEqual(len(small.steps), 5)
        self.assertLess(len(small.to_json()), len(plan.to_json()) / 5)
        self.assertEqual(told[-1], f"{len(small.steps)} steps, {len(small.hosts)} hosts, {len(small.domains)} domains")
        self.assertEqual(Plan.from_json(small.to_json()), small)

    def test_most(self) -> None:
        """
        It plays so many stories and no more; what it has found by then still has the fault.
        """
        forget_third_retry(self)
        plan = self.crowded()
        for most in (0, 1, 10):
            self.played.clear()
            small = shrink(plan, RULE, most)
            self.assertEqual(len(self.played), most)
            self.assertEqual(play(small).faults[0].rule, RULE)
        self.assertEqual(shrink(plan, RULE, 0), plan)
        self.played.clear()
        shrink(plan, RULE)
        self.assertLess(len(self.played), 200)

    def test_other_fault(self) -> None:
        """
        A smaller plan with another fault is not what was looked for.
        """
        forget_third_retry(self)
        plan = self.crowded()
        self.assertEqual(shrink(plan, "another rule", 40), plan)

    def test_missing_part(self) -> None:
        """
        A plan that cannot be played, because it lacks a part that another one
        needs, is no smaller story.
        """
        forget_third_retry(self)

        def brittle(plan: Plan) -> Result:
            if not plan.hosts:
                raise KeyError(ADDRESS)
            return play(plan)

        self.patch(shrinking, "play", brittle)
        self.assertEqual(len(shrink(self.crowded(), RULE).hosts), 1)
