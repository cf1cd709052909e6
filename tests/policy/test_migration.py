"""
Which options may differ where a connection goes on with another domain's mail.
"""

from __future__ import annotations

from dataclasses import fields, replace

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.migration import MAY_DIFFER, interchangeable
from momentum_tx.settings import PathSettings


class InterchangeableTests(SynchronousTestCase):
    """
    Settings side by side.
    """

    def test_same(self) -> None:
        """
        Equal settings are interchangeable, whether or not they are one object.
        """
        self.assertTrue(interchangeable(PathSettings(), PathSettings()))

    def test_may_differ(self) -> None:
        """
        Options of the queue, of waits and of single messages may differ.
        """
        mine = PathSettings()
        for theirs in (
            replace(mine, retry_interval=7.0, idle_timeout=1.0, max_outbound_connections=1),
            replace(mine, suspend_delivery=True, gateway="relay.example", remote_smtp_port=2525),
        ):
            self.assertTrue(interchangeable(mine, theirs))

    def test_must_not(self) -> None:
        """
        What the connection was opened with may not.
        """
        mine = PathSettings()
        for theirs in (
            replace(mine, tls="required"),
            replace(mine, ehlo_hostname="a.example"),
            replace(mine, delivery_method="LMTP"),
        ):
            self.assertFalse(interchangeable(mine, theirs))

    def test_list(self) -> None:
        """
        Every option that may differ exists.
        """
        self.assertEqual(MAY_DIFFER - {field.name for field in fields(PathSettings)}, frozenset())
