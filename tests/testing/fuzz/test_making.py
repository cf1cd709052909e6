"""
Every seed has its plan, and the plans together have everything in them.
"""

from __future__ import annotations

from functools import cache

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.load import parse
from momentum_tx.testing import behaviours
from momentum_tx.testing.behaviours import Behaviour
from momentum_tx.testing.fuzz import misbehaviour
from momentum_tx.testing.fuzz.events import Events
from momentum_tx.testing.fuzz.making import make_plan
from momentum_tx.testing.fuzz.plan import Plan

#: How many seeds are looked at: even what is rare is in some.
SEEDS = 600


@cache
def plans() -> tuple[Plan, ...]:
    """
    The plans; nobody changes them.
    """
    return tuple(make_plan(seed) for seed in range(1, SEEDS + 1))


class MakePlanTests(SynchronousTestCase):
    """
    Plans of many seeds.
    """

    def setUp(self) -> None:
        self.plans = plans()

    def test_same(self) -> None:
        """
        A seed has the same plan each time, and no other seed has it.
        """
        for plan in self.plans[:50]:
            self.assertEqual(make_plan(plan.seed), plan)
        self.assertEqual(len({plan.to_json().partition("\n")[2] for plan in self.plans}), SEEDS)

    def test_json(self) -> None:
        """
        Every plan can be written down and read again.
        """
        for plan in self.plans[:200]:
            self.assertEqual(Plan.from_json(plan.to_json()), plan)

    def test_configuration(self) -> None:
        """
        Every plan has a configuration that the service understands.
        """
        for plan in self.plans[:200]:
            parse(plan.config_text(), f"seed {plan.seed}")

    def test_order(self) -> None:
        """
        Steps are in the order of time, and none is before the beginning.
        """
        for plan in self.plans:
            times = [step.at for step in plan.steps]
            self.assertEqual(times, sorted(times), plan.seed)
            self.assertGreaterEqual(times[0], 0.0)

    def test_references(self) -> None:
        """
        What a part of a plan names is in the plan.
        """
        for plan in self.plans:
            hosts = {host.name for host in plan.hosts}
            domains = {domain.name for domain in plan.domains}
            bindings = {name for name, _ in plan.bindings}
            for domain in plan.domains:
                self.assertLessEqual({name for _, name in domain.exchangers}, hosts)
            letters = [step.args for step in plan.steps if step.kind == "mail"]
            self.assertEqual(len({letter["number"] for letter in letters}), len(letters))
            for letter in letters:
                self.assertLessEqual(set(letter["to"]), domains)
                self.assertIn(letter.get("binding", ""), bindings | {""})

    def test_every_event(self) -> None:
        """
        Everything that can happen happens in some plan, and nothing else.
        """
        known = {name.removeprefix("_do_") for name in dir(Events) if name.startswith("_do_")}
        self.assertEqual({step.kind for plan in self.plans for step in plan.steps}, known)

    def test_every_trouble(self) -> None:
        """
        Every kind of receiver, domain and hook provider is in some plan; so are
        plans with shuffled ties, DNS over the wire, and a kernel that loses patience.
        """
        habits = {part.kind for plan in self.plans for host in plan.hosts for part in host.behaviours}
        known = {
            name
            for name, each in vars(behaviours).items()
            if isinstance(each, type) and issubclass(each, Behaviour) and each is not Behaviour
        }
        self.assertEqual(habits, known)
        kinds = {domain.kind for plan in self.plans for domain in plan.domains}
        self.assertEqual(kinds, {"mx", "null", "nxdomain", "address", "prohibited", "routes", "gateway"})
        providers = {part.kind for plan in self.plans for part in plan.providers}
        self.assertEqual(providers, set(misbehaviour._KINDS))
        for field in ("shuffled", "dns", "kernel_patience"):
            self.assertGreater(len({getattr(plan, field) for plan in self.plans}), 1, field)

    def test_when_mail_is_tried_again(self) -> None:
        """
        Some plans bend the schedule of retries, say other words for replies, and have quiet hours.
        """
        for name in (
            "curfew",
            "delayed_binding_domain_fuzz",
            "response_transcode_pattern",
            "retry_by_reply",
            "retry_intervals",
            "retry_jitter",
        ):
            self.assertTrue(any(name in plan.settings for plan in self.plans), name)

    def test_carriage(self) -> None:
        """
        Content goes in chunks in some plans, to receivers that take them and to some that do not.
        """
        hosts = [host for plan in self.plans for host in plan.hosts if plan.settings.get("chunk_size")]
        self.assertEqual({host.extensions.get("chunking", False) for host in hosts}, {True, False})
        points = {part.args.get("point") for host in hosts for part in host.behaviours}
        self.assertIn("BDAT", points)
        self.assertTrue(any("overlap_transactions" in plan.settings for plan in self.plans))
        policies = {plan.settings.get("lost_final_reply") for plan in self.plans}
        self.assertEqual(policies, {None, "assume_delivered", "hold"})
        self.assertTrue(any("body_minimum_rate" in plan.settings for plan in self.plans))

    def test_methods(self) -> None:
        """
        Most plans speak ESMTP; where another method is configured the receivers speak it too.
        """
        methods = [plan.settings.get("delivery_method", "ESMTP") for plan in self.plans]
        self.assertEqual(set(methods), {"ESMTP", "SMTP", "LMTP"})
        self.assertGreater(methods.count("ESMTP"), SEEDS * 0.8)
        for plan, method in zip(self.plans, methods, strict=True):
            for host in plan.hosts:
                self.assertIs(host.extensions.get("lmtp", False), method == "LMTP", plan.seed)
