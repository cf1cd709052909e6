"""
The injecting client.
"""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.injection import Injection, inject
from momentum_tx.testing.network import VirtualNetwork
from momentum_tx.testing.peers import CLOSE, Receiver


class InjectionTests(SynchronousTestCase):
    """
    One message to a receiver.
    """

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.network = VirtualNetwork(self.clock, Random(1))
        self.host = self.network.host("192.0.2.1", "192.0.2.2")
        self.mx = Receiver(self.network, "198.51.100.7", 2525)

    def injected(self, port: int = 2525) -> Injection:
        """
        What became of a message.
        """
        injection = inject(self.host, ("198.51.100.7", port), "a@b.example", ["c@d.example"], b".x", "192.0.2.2")
        self.assertEqual(injection.replies, [])
        self.clock.advance(5)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return injection

    def test_taken(self) -> None:
        """
        It is taken, dots are doubled on the way, and the client leaves.
        """
        injection = self.injected()
        self.assertEqual((injection.reply, injection.over), (b"250 2.0.0 Taken", True))
        self.assertEqual((self.mx.ledger[0].content, self.mx.ledger[0].source), (b".x\r\n", "192.0.2.2"))
        self.assertEqual(injection.replies[-1][:3], b"221")

    def test_refused(self) -> None:
        """
        The first refusal is the reply, and ends it.
        """
        self.mx.on("RCPT", b"550 5.7.1 No")
        self.assertEqual(self.injected().reply, b"550 5.7.1 No")
        self.assertEqual(self.mx.ledger, [])

    def test_nobody(self) -> None:
        """
        A listener that hangs up, or is not there, gives no reply.
        """
        self.mx.on("MAIL", CLOSE)
        for port in (2525, 2526):
            injection = self.injected(port)
            self.assertEqual((injection.reply, injection.over), (b"", True))

    def test_no_way(self) -> None:
        """
        A client whose own kernel lets it connect nowhere gets no reply either.
        """
        self.network.unreachable("198.51.100.7")
        injection = self.injected()
        self.assertEqual((injection.reply, injection.over), (b"", True))
