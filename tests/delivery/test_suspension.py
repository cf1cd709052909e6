"""
Tests of :mod:`momentum_tx.delivery.suspension`.
"""

from math import inf
from types import SimpleNamespace
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config.load import parse
from momentum_tx.delivery.suspension import Suspension
from momentum_tx.settings import DEFAULT_SLOT, UNBOUND

NOW = 1_700_000_000.0


class SuspensionTests(SynchronousTestCase):
    """
    Where mail waits without an attempt.
    """

    def suspension(self, text: str) -> tuple[Suspension, Any]:
        """
        A suspension under a configuration, and what it is asked through.
        """
        facilities = SimpleNamespace(config=parse(text))
        return Suspension(cast(Any, facilities)), facilities

    def test_nothingIsSuspended(self) -> None:
        """
        Without a reason mail goes out.
        """
        suspension, _ = self.suspension("")
        self.assertEqual(suspension.until(0, "example.com", NOW), 0.0)
        self.assertEqual(suspension.reason(0, "example.com", NOW), "")

    def test_suspendDelivery(self) -> None:
        """
        ``suspend_delivery`` holds one domain until somebody takes it away, and
        says so.
        """
        suspension, _ = self.suspension('[domain."example.com"]\nsuspend_delivery = true\n')
        self.assertEqual(suspension.until(0, "example.com", NOW), inf)
        self.assertIn("suspend_delivery", suspension.reason(0, "example.com", NOW))
        self.assertEqual(suspension.until(0, "example.net", NOW), 0.0)

    def test_defaultBinding(self) -> None:
        """
        ``default_binding`` holds what has no binding of its own, and says so.
        """
        suspension, _ = self.suspension('[global]\ndefault_binding = "suspended"\n[binding.b1]\n')
        for slot in (UNBOUND, DEFAULT_SLOT):
            self.assertEqual(suspension.until(slot, "example.com", NOW), inf)
            self.assertIn("default_binding", suspension.reason(slot, "example.com", NOW))
        self.assertEqual(suspension.until(1, "example.com", NOW), 0.0)
        self.assertEqual(suspension.reason(1, "example.com", NOW), "")

    def test_configurationInForce(self) -> None:
        """
        A reload counts at once.
        """
        suspension, facilities = self.suspension("[global]\nsuspend_delivery = true\n")
        facilities.config = parse("")
        self.assertEqual(suspension.until(0, "example.com", NOW), 0.0)
