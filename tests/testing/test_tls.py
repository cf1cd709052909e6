"""
The modelled TLS.
"""

from typing import Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IHandshakeListener
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.seams import ITLSFacts, ITLSUpgrade
from momentum_tx.policy.tls import TLSParameters
from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.tls import ModelledFacts, ModelledTLS
from momentum_tx.testing.wire import Line, VirtualTransport, connect

from .test_network import Side


@implementer(IHandshakeListener)
class TLSSide(Side):
    """
    Remembers the handshake as well.
    """

    done = False

    def handshakeCompleted(self) -> None:
        self.done = True


class ModelledTLSTests(SynchronousTestCase):
    """
    Handshakes that work, fail, and never end.
    """

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.tls = ModelledTLS(self.clock)
        self.tls.delay = 2.0
        self.side = TLSSide()

    def upgraded(self, **kwargs: Any) -> VirtualTransport:
        """
        A transport whose handshake has begun.
        """
        ours, _ = connect(self.clock, Line(), ("192.0.2.1", 1), ("198.51.100.7", 25))
        ours.start(self.side)
        self.tls.upgrade(ours, TLSParameters(use="required", sni="mx.example.com"))
        return ours

    def test_done(self) -> None:
        """
        After the delay the protocol is told, and the facts can be asked for.
        """
        self.assertTrue(verifyObject(ITLSUpgrade, self.tls))
        self.tls.negotiated["mx.example.com"] = ModelledFacts(version="TLSv1.2")
        transport = self.upgraded()
        self.clock.advance(1.9)
        self.assertFalse(self.side.done)
        self.clock.advance(0.2)
        self.assertTrue(self.side.done)
        facts = self.tls.facts(transport)
        self.assertTrue(verifyObject(ITLSFacts, facts))
        self.assertEqual(facts.version, "TLSv1.2")
        self.assertEqual(self.tls.upgrades, [("mx.example.com", "198.51.100.7", "required")])

    def test_fails(self) -> None:
        """
        A failing server, known by name or address, costs the connection.
        """
        for key in ("mx.example.com", "198.51.100.7"):
            self.side = TLSSide()
            self.tls.failing = {key}
            self.upgraded()
            self.clock.advance(3)
            self.assertEqual((self.side.done, self.side.ends), (False, [ConnectionAborted]))

    def test_silent(self) -> None:
        """
        A silent server leaves the protocol waiting, and nothing in the clock.
        """
        self.tls.silent.add("mx.example.com")
        self.upgraded()
        self.clock.advance(100)
        self.assertEqual((self.side.done, self.side.ends), (False, []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_meanwhile(self) -> None:
        """
        A connection that ended during the handshake is not told of its success.
        """
        transport = self.upgraded()
        transport.abortConnection()
        self.clock.advance(3)
        self.assertFalse(self.side.done)

    def test_policies(self) -> None:
        """
        TLS that is not wanted is not begun, as with the real one.
        """
        ours, _ = connect(self.clock, Line(), ("192.0.2.1", 1), ("198.51.100.7", 25))
        self.assertRaises(ValueError, self.tls.upgrade, ours, TLSParameters(use="no"))
