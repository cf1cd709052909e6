"""
Tests of :mod:`momentum_tx.seams`.
"""

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.seams import IDialer, IListener, IThreadExecutor, ITLSUpgrade
from momentum_tx.seams import real_seams


class RealSeamsTests(SynchronousTestCase):
    """
    The seams of the real world.
    """

    def test_contracts(self) -> None:
        """
        Each seam keeps its contract; making them touches nothing.
        """
        reactor = MemoryReactorClock()
        seams = real_seams(reactor)
        verifyObject(IDialer, seams.dialer)
        verifyObject(IListener, seams.listener)
        verifyObject(IThreadExecutor, seams.threads)
        verifyObject(ITLSUpgrade, seams.tls)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_thisHost(self) -> None:
        """
        The loopback address is configured here, one of the documentation's
        networks is not.
        """
        seams = real_seams(MemoryReactorClock())
        self.assertTrue(seams.plumbed("127.0.0.1"))
        self.assertFalse(seams.plumbed("203.0.113.77"))
