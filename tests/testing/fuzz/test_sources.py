"""
Tests of :mod:`momentum_tx.testing.fuzz.sources`.
"""

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.load import parse
from momentum_tx.testing.fuzz.plan import Domain, Plan
from momentum_tx.testing.fuzz.sources import draw_binding_steps, draw_bindings


def drawn(seed: int, **fields: Any) -> Plan:
    """
    A plan with bindings and nothing else.
    """
    plan = Plan(seed, domains=[Domain("d0.example")], **fields)
    draw_bindings(Random(seed), plan)
    return plan


class DrawTests(SynchronousTestCase):
    """
    The bindings that stories have.
    """

    def test_weights(self) -> None:
        """
        Members of the group have all kinds of weight, and some have none; in
        the calm every member may be chosen.
        """
        weights: set[object] = set()
        for seed in range(200):
            weights.update(table.get("group_weight") for table in drawn(seed).tables.values())
            for table in drawn(seed, calm=True).tables.values():
                self.assertNotEqual(table.get("group_weight"), 0)
        self.assertEqual(weights, {None, 0, 1, 5})

    def test_secondary(self) -> None:
        """
        Where there is IPv6, bindings have all kinds of sources; in the calm every
        one that has any reaches both families.
        """
        kinds: set[tuple[bool, bool]] = set()
        for seed in range(200):
            for calm in (False, True):
                plan = drawn(seed, calm=calm, settings={"use_ipv6": True})
                for name, source in plan.bindings:
                    second = str(plan.tables.get(f"binding.{name}", {}).get("bind_address_secondary", ""))
                    if calm:
                        self.assertEqual(bool(source), bool(second))
                    elif source:
                        kinds.add((":" in source, bool(second)))
        self.assertEqual(kinds, {(False, False), (False, True), (True, False), (True, True)})

    def test_configuration(self) -> None:
        """
        Whatever is drawn is a configuration, also with what an operator does.
        """
        for seed in range(100):
            plan = drawn(seed)
            steps: list[tuple[float, str, dict[str, Any]]] = []
            dice = Random(seed)
            draw_binding_steps(
                dice, plan, lambda: 1.0, lambda at, kind, steps=steps, **args: steps.append((at, kind, args))
            )
            for _, kind, args in steps:
                if kind == "reload":
                    parse(plan.config_text({args["header"]: args["options"]}))
            self.assertTrue(steps)
