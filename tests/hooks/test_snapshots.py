"""
Tests of :mod:`momentum_tx.hooks.snapshots`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.hooks.snapshots import Capture, snapshot
from momentum_tx.testing.bench import Bench


class SnapshotTests(SynchronousTestCase):
    """
    Copies.
    """

    def test_message(self) -> None:
        """
        A copy has what the contract names, keeps it, and is one object where the original is.
        """
        bench = Bench()
        message = bench.message("lea@shop.example", num_retries=1, tenant="acme")
        handle = bench.handle(message.domain)
        message.connection = handle.connection
        copy, dr, other = snapshot((message, message.domain, handle))
        message.num_retries = 2
        message.pack()
        self.assertEqual((copy.num_retries, copy.recipient, copy.reception.tenant), (1, b"lea@shop.example", "acme"))
        self.assertIs(copy.domain, dr)
        self.assertIs(copy.connection, other.connection)
        self.assertFalse(hasattr(dr, "mail_queue"))

    def test_plain(self) -> None:
        """
        What is no record is itself.
        """
        about = {"reason": "x"}
        for value in (None, 1, "a", b"a", about):
            self.assertIs(snapshot(value), value)

    def test_capture(self) -> None:
        """
        A call is kept.
        """
        capture = Capture()
        capture.log_reopen(1, 2)
        self.assertEqual((capture.name, capture.arguments), ("log_reopen", (1, 2)))
