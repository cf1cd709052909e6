"""
A plan is plain data: it can be written down, read again, and played again.
"""

from __future__ import annotations

import json
from typing import Any

from momentum_tx.config.load import parse
from momentum_tx.testing.fuzz.plan import Domain, Host, Part, Plan, Step
from momentum_tx.testing.fuzz.play import play

from .stories import DOMAIN, StoryCase, broken_at, mail, small_plan


def full_plan() -> Plan:
    """
    A plan with something in every field.
    """
    plan = small_plan(
        mail(1, to=(DOMAIN, "d1.example"), binding="b0"),
        mail(2, at=2.0, how="smtp"),
        Step(3.0, "kill", {"operations": 1, "garbage": False, "down": 1.0}),
        Step(9.0, "reload", {"header": "global", "options": {"max_outbound_connections": 2}}),
        behaviours=(broken_at("RCPT", "451 4.2.0 Not now", after=0.5), Part("Tarpit", {"seconds": 0.1})),
        providers=(Part("throttle", {"most": 1, "seconds": 5.0}), Part("choose")),
        settings={"pipelining": False, "ehlo_hostname": "__message__", "max_retries": "none"},
        shuffled=True,
        dns="wire",
        kernel_patience=130.0,
        bindings=[("b0", "192.0.2.2"), ("b1", "")],
        tables={"binding.b1": {"max_outbound_connections": 1}, f'domain."{DOMAIN}"': {"gateway": "198.51.100.2"}},
    )
    plan.hosts.append(Host("mx2.peer.example", "198.51.100.2", line={"jitter": 0.05}, extensions={"starttls": True}))
    plan.domains.append(Domain("d1.example", exchangers=[(10, "mx2.peer.example"), (20, "mx1.peer.example")]))
    plan.domains.append(Domain("d2.example", "null"))
    return plan


class JSONTests(StoryCase):
    """
    Written and read again.
    """

    def test_same(self) -> None:
        """
        A plan that was written down is the same when it is read.
        """
        plan = full_plan()
        self.assertEqual(Plan.from_json(plan.to_json()), plan)
        self.assertEqual(Plan.from_json(plan.to_json()).to_json(), plan.to_json())

    def test_same_story(self) -> None:
        """
        Played again from what was written down it is the same story, to the octet.
        """
        plan = full_plan()
        first = self.innocent(plan)
        again = play(Plan.from_json(plan.to_json()), keep_trace=True)
        self.assertEqual((again.digest, again.steps, again.counts), (first.digest, first.steps, first.counts))
        self.assertEqual(first.counts["kills"], 1)

    def test_defaults(self) -> None:
        """
        What is not said is as in a plan that was made without it.
        """
        text = json.dumps({"seed": 7, "hosts": [], "domains": [], "bindings": [], "providers": [], "steps": []})
        self.assertEqual(Plan.from_json(text), Plan(7))

    def test_no_plan(self) -> None:
        """
        Any other text is refused as what it is.
        """
        whole = json.loads(small_plan().to_json())
        wrong: list[Any] = [None, 5, "text", [], {}, {**whole, "hosts": 3}, {**whole, "weather": "fine"}]
        wrong += [{name: value for name, value in whole.items() if name != missing} for missing in ("seed", "steps")]
        wrong += [{**whole, "steps": [{"at": 1.0}]}, {**whole, "bindings": [["b0"]]}, {**whole, "domains": [{}]}]
        for each in wrong:
            error = self.assertRaises(ValueError, Plan.from_json, json.dumps(each))
            self.assertIn("this is no plan", str(error))
        self.assertRaises(ValueError, Plan.from_json, "{")


class ConfigTests(StoryCase):
    """
    The configuration that a plan has.
    """

    def test_parses(self) -> None:
        """
        The service understands it.
        """
        config = parse(full_plan().config_text(), "plan.toml")
        self.assertEqual(config.path(0, DOMAIN).ehlo_hostname, "__message__")
        self.assertIs(config.path(0, DOMAIN).pipelining, False)
        self.assertEqual([(each.name, each.bind_address) for each in config.bindings[1:]], full_plan().bindings)
        self.assertEqual(config.path(2, "d1.example").max_outbound_connections, 1)
        self.assertEqual(config.path(0, DOMAIN).gateway, "198.51.100.2")

    def test_lists(self) -> None:
        """
        Lists and quotes are spelled as TOML spells them.
        """
        table: Any = {"routes": ["198.51.100.1", "198.51.100.2"]}
        plan = small_plan(tables={f'domain."{DOMAIN}"': table})
        self.assertIn('routes = ["198.51.100.1", "198.51.100.2"]\n', plan.config_text())
        self.assertEqual(parse(plan.config_text(), "plan.toml").domain(DOMAIN).routes, tuple(table["routes"]))

    def test_overrides(self) -> None:
        """
        What an operator has written since counts more, and the plan stays as it is.
        """
        plan = full_plan()
        text = plan.config_text({"global": {"pipelining": True}, 'domain."d1.example"': {"suspend_delivery": True}})
        config = parse(text, "plan.toml")
        self.assertIs(config.path(0, DOMAIN).pipelining, True)
        self.assertEqual(config.path(0, DOMAIN).max_retries, "none")
        self.assertIs(config.path(0, "d1.example").suspend_delivery, True)
        self.assertEqual(plan, full_plan())
