"""
Where an operator of a plan sends mail.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery.settle import Settlement
from momentum_tx.testing.fuzz.making import make_plan
from momentum_tx.testing.fuzz.plan import Plan, Step
from momentum_tx.testing.fuzz.ways import write_ways

from .stories import DOMAIN, StoryCase, mail, small_plan


class WriteWaysTests(SynchronousTestCase):
    """
    What is drawn.
    """

    def test_blackhole(self) -> None:
        """
        Some plans have a blackhole for a while, and it ends; none has in the calm.
        """
        scopes = set()
        for seed in range(300):
            plan = make_plan(seed)
            holes = [step.args for step in plan.steps if "blackhole" in step.args.get("options", ())]
            self.assertIn(len(holes), (0, 2))
            if holes:
                self.assertFalse(plan.calm)
                self.assertIs(holes[1]["options"]["blackhole"], False)
                scopes.add(holes[0]["header"].partition(".")[0])
        self.assertEqual(scopes, {"global", "domain", "binding"})

    def test_other_way(self) -> None:
        """
        Some plans send mail another way for a while, by routes or a gateway.
        """
        options = set()
        for seed in range(300):
            for step in make_plan(seed).steps:
                options |= {"gateway", "routes"} & set(step.args.get("options", ()))
        self.assertEqual(options, {"gateway", "routes"})

    def test_hooks(self) -> None:
        """
        Some plans have providers that come and go, all combinations of them.
        """
        named = {
            tuple(step.args["options"]["hooks"])
            for seed in range(300)
            for step in make_plan(seed).steps
            if "hooks" in step.args.get("options", ())
        }
        self.assertEqual(len(named), 5)

    def test_same(self) -> None:
        """
        A seed draws the same each time.
        """
        for seed in range(50):
            one, other = Plan(seed), Plan(seed)
            write_ways(one, Random(seed))
            write_ways(other, Random(seed))
            self.assertEqual(one, other)


class BlackholeTests(StoryCase):
    """
    The judge and a blackhole.
    """

    def reload(self, at: float, value: object) -> Step:
        """
        The operator changes his mind.
        """
        return Step(at, "reload", {"header": f'domain."{DOMAIN}"', "options": {"blackhole": value}})

    def test_right(self) -> None:
        """
        Mail that waits, and mail that comes, ends without a fault.
        """
        for value in (True, "internal"):
            self.innocent(
                small_plan(
                    mail(at=1.0),
                    self.reload(5.0, value),
                    mail(2, at=6.0),
                    self.reload(9.0, False),
                    settings={"suspend_delivery": True},
                )
            )

    def test_kept(self) -> None:
        """
        Mail that is kept in a blackhole stands still without a reason.
        """
        self.patch(Settlement, "blackhole", lambda self, dr: None)
        self.patch(Settlement, "purge_binding", lambda self, dr, slot, note: None)
        plan = small_plan(mail(at=1.0), self.reload(5.0, "internal"), settings={"suspend_delivery": True})
        self.guilty(plan, "standstill")
