"""
Tests of :mod:`momentum_tx.seams`.
"""

from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.seams import IDialer, IListener, IThreadExecutor, ITLSUpgrade
from momentum_tx.net.resolver import DNSResolver
from momentum_tx.seams import real_seams
from momentum_tx.settings import GlobalSettings


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

    def resolver(self, text: str, **settings: object) -> DNSResolver:
        """
        The resolver for these settings and a ``resolv_conf`` with this text.
        """
        path = self.mktemp()
        Path(path).write_text(text, "utf-8")
        made = real_seams(MemoryReactorClock()).resolver(GlobalSettings(resolv_conf=path, **settings))  # type: ignore[arg-type]
        self.addCleanup(made.close)
        assert isinstance(made, DNSResolver)
        return made

    def test_resolvConf(self) -> None:
        """
        The resolver asks the servers of ``resolv_conf``, as long and as often as
        the file says; ``nameservers`` and ``dns_timeout`` go before it.
        """
        text = "nameserver 192.0.2.53\nnameserver 192.0.2.54\noptions timeout:3 attempts:4\n"
        upstream = self.resolver(text)._upstream
        self.assertEqual([str(server) for server in upstream.servers], ["192.0.2.53:53", "192.0.2.54:53"])
        self.assertEqual((upstream.timeout, upstream.rounds), (3.0, 4))
        upstream = self.resolver(text, nameservers=("192.0.2.55:5353",), dns_timeout=1.5)._upstream
        self.assertEqual([str(server) for server in upstream.servers], ["192.0.2.55:5353"])
        self.assertEqual((upstream.timeout, upstream.rounds), (1.5, 4))

    def test_noResolvConf(self) -> None:
        """
        A file that is named and is not there is no reason to ask somebody else.
        """
        seams = real_seams(MemoryReactorClock())
        self.assertRaises(OSError, seams.resolver, GlobalSettings(resolv_conf=self.mktemp()))
