"""
Tests for :mod:`momentum_tx.delivery.tls_memory`.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery import tls_memory
from momentum_tx.delivery.tls_memory import BROKEN_TLS_MEMORY, TLSMemory
from momentum_tx.policy.tls import TLSParameters
from momentum_tx.stages import Stage

PEER = ("198.51.100.1", 25)
MAYBE = TLSParameters(use="ifavailable")
MUST = TLSParameters(use="required")


class MemoryTests(SynchronousTestCase):
    """
    What a failed handshake leads to.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.memory = TLSMemory(self.clock)

    def known(self) -> tuple[bool, bool]:
        """
        Whether a small hello is used, and whether the peer is spoken to in clear.
        """
        return self.memory.small_hello(PEER), self.memory.is_broken(PEER, MAYBE)

    def test_in_turn(self) -> None:
        """
        First it is tried with a small hello, and if that is not it, in clear; after an hour it begins anew.
        """
        self.assertEqual(self.known(), (False, False))
        self.assertTrue(self.memory.failed(PEER, MAYBE, Stage.TLS_HANDSHAKE, False))
        self.assertEqual(self.known(), (True, False))
        self.assertTrue(self.memory.failed(PEER, MAYBE, Stage.TLS_HANDSHAKE, True))
        self.assertEqual(self.known(), (False, True))
        self.clock.advance(BROKEN_TLS_MEMORY - 1)
        self.assertEqual(self.known(), (False, True))
        self.clock.advance(1)
        self.assertEqual(self.known(), (False, False))

    def test_small_helps(self) -> None:
        """
        A peer that a small hello helped gets one for an hour.
        """
        self.memory.failed(PEER, MUST, Stage.TLS_HANDSHAKE, False)
        self.clock.advance(BROKEN_TLS_MEMORY - 1)
        self.assertTrue(self.memory.small_hello(PEER))
        self.clock.advance(1)
        self.assertFalse(self.memory.small_hello(PEER))

    def test_never_clear(self) -> None:
        """
        Where mail must not go in clear the second failure ends it, and what is known of
        the peer on behalf of others does not count.
        """
        for wanted in (MUST, TLSParameters(use="ifavailable", fallback=False), TLSParameters("ifavailable", "host")):
            self.assertTrue(self.memory.failed(PEER, wanted, Stage.TLS_HANDSHAKE, False))
            self.assertFalse(self.memory.failed(PEER, wanted, Stage.TLS_HANDSHAKE, True))
            self.assertEqual(self.known(), (False, False))
            self.memory.failed(PEER, MAYBE, Stage.TLS_HANDSHAKE, True)
            self.assertFalse(self.memory.is_broken(PEER, wanted))
            self.memory = TLSMemory(self.clock)

    def test_before_the_handshake(self) -> None:
        """
        A peer that hangs up on STARTTLS has not seen our hello; one that does so anywhere
        else has not failed of TLS.
        """
        self.assertFalse(self.memory.failed(PEER, MAYBE, Stage.AFTER_EHLO, False))
        self.assertFalse(self.memory.failed(PEER, MUST, Stage.AFTER_STARTTLS, False))
        self.assertEqual(self.known(), (False, False))
        self.assertTrue(self.memory.failed(PEER, MAYBE, Stage.AFTER_STARTTLS, False))
        self.assertEqual(self.known(), (False, True))

    def test_bounded(self) -> None:
        """
        Only so many are remembered, the last ones.
        """
        self.patch(tls_memory, "BROKEN_TLS_SIZE", 3)
        peers = [(f"198.51.100.{number}", 25) for number in range(5)]
        for peer in (*peers, peers[2]):
            self.memory.failed(peer, MAYBE, Stage.TLS_HANDSHAKE, False)
            self.memory.failed(peer, MAYBE, Stage.AFTER_STARTTLS, False)
        self.assertEqual([self.memory.small_hello(peer) for peer in peers], [False, False, True, True, True])
        self.assertEqual([self.memory.is_broken(peer, MAYBE) for peer in peers], [False, False, True, True, True])
