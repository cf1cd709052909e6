"""
What domains want of TLS is obeyed, and that it is noticed when it is not.
"""

from __future__ import annotations

from typing import Any

from momentum_tx.delivery.tls_policies import TLSPolicies
from momentum_tx.testing.fuzz.making import make_plan
from momentum_tx.testing.fuzz.plan import Plan, Step

from .stories import DOMAIN, OTHER_DOMAIN, SOON, StoryCase, mail, small_plan

ON: dict[str, Any] = {"use_dane": True, "use_mta_sts": True, "trust_ad": True}


class DrawTests(StoryCase):
    """
    What is drawn.
    """

    def test_drawn(self) -> None:
        """
        Some plans have domains of every kind, in worlds of either DNS; none whose mail goes
        elsewhere, and none where nothing may fail.
        """
        plans = [plan for plan in map(make_plan, range(120)) if plan.demands]
        self.assertGreater(len(plans), 10)
        self.assertEqual({kind for plan in plans for kind in plan.demands.values()}, {"dane", "enforce", "testing"})
        self.assertEqual({plan.dns for plan in plans}, {"scripted", "wire"})
        for plan in plans:
            self.assertFalse(plan.calm)
            for name in plan.demands:
                self.assertNotIn("routes", plan.tables.get(f'domain."{name}"', {}))
            self.assertEqual(Plan.from_json(plan.to_json()), plan)


class JudgeTests(StoryCase):
    """
    Small stories in which a domain wants TLS.
    """

    def plan(self, demand: str, starttls: bool = True, stranger: bool = False, *steps: Step) -> Plan:
        """
        Two domains at one receiver, of which one wants something.
        """
        letters = (mail(1), mail(2, 2.0, (DOMAIN, OTHER_DOMAIN)), mail(3, 3.0, (OTHER_DOMAIN,)))
        plan = small_plan(*letters, *steps, settings={**SOON, **ON}, domains=(DOMAIN, OTHER_DOMAIN))
        plan.demands[DOMAIN] = demand
        if starttls:
            plan.hosts[0].extensions["starttls"] = True
        if stranger:
            plan.hosts[0].extensions["stranger"] = True
        return plan

    def test_obeyed(self) -> None:
        """
        The service does what is wanted, whatever the receiver can.
        """
        for demand in ("dane", "enforce", "testing"):
            for starttls in (True, False):
                for stranger in (True, False):
                    self.innocent(self.plan(demand, starttls, stranger))

    def test_in_clear(self) -> None:
        """
        Mail in clear, or to a stranger, for a domain that does not want that is a fault.
        """
        for demand in ("dane", "enforce"):
            for starttls in (True, False):
                plan = self.plan(demand, starttls, stranger=True)
                self.planted(plan, "demand of TLS", TLSPolicies, "applied", lambda *arguments: arguments[1])

    def test_shared(self) -> None:
        """
        So is mail that goes by the connection of a domain that wants nothing.
        """
        plan = self.plan("enforce", starttls=False)
        plan.settings["idle_timeout"] = 30.0
        plan.steps.sort(key=lambda step: -step.at)
        for number, step in enumerate(plan.steps):
            step.at = float(number + 1)
        self.innocent(plan)

    def test_hidden(self) -> None:
        """
        Where DNS hides a policy nobody can know it, and mail goes; TLSA records are waited for.
        """
        for demand in ("enforce", "dane"):
            fault = {"fault": "servfail", "name": f"_mta-sts.{DOMAIN}"}
            steps = (Step(0.0, "dns", fault), Step(30.0, "mend_dns", fault))
            self.innocent(self.plan(demand, False, False, *steps))
