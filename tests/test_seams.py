"""
Tests of :mod:`momentum_tx.seams`.
"""

from collections.abc import Callable
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.config import load
from momentum_tx.config.configuration import Configuration
from momentum_tx.errors import StartupError
from momentum_tx.interfaces.seams import IDialer, IListener, IOnlooker, IThreadExecutor, ITLSUpgrade
from momentum_tx.net.https import HTTPSFetch
from momentum_tx.net.resolver import DNSResolver
from momentum_tx.seams import Seams, https_of, real_seams, resolver_of
from momentum_tx.settings import GlobalSettings

from .net.certificates import self_signed


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
        verifyObject(IOnlooker, seams.onlooker)
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


class MadeForTests(SynchronousTestCase):
    """
    What is made for a configuration, and mistakes in that.
    """

    def refused(self, make: Callable[[Seams, Configuration], object], text: str) -> str:
        """
        How a configuration with this line is refused.
        """
        config = load.parse(f"[global]\n{text}\n", "our.toml")
        return str(self.assertRaises(StartupError, make, real_seams(MemoryReactorClock()), config))

    def test_resolver(self) -> None:
        """
        A file of name servers that cannot be read is named with the line it stands in.
        """
        refusal = self.refused(resolver_of, f'resolv_conf = "{self.mktemp()}"')
        self.assertRegex(refusal, r"^our\.toml:2: global\.resolv_conf: .* cannot be read: No such file")

    def test_dnssec(self) -> None:
        """
        Where ``use_dane`` is written, also since a reload, only name servers are asked that are believed
        about DNSSEC, if there are any.
        """
        text = '[global]\nnameservers = ["192.0.2.53", "127.0.0.1"]\n'
        without, dane = load.parse(text, "a.toml"), load.parse(text + "use_dane = true\n", "b.toml")

        def force(config: Configuration | None) -> Callable[[], Configuration] | None:
            return None if config is None else lambda: config

        for begun, current, asked in ((without, None, 2), (dane, None, 1), (without, dane, 1), (dane, without, 2)):
            made = resolver_of(real_seams(MemoryReactorClock()), begun, force(current))
            self.addCleanup(made.close)
            assert isinstance(made, DNSResolver)
            servers = [str(server) for server in made._upstream.order()]
            self.assertEqual(servers, ["192.0.2.53:53", "127.0.0.1:53"][-asked:])

    def https(self, seams: Seams, config: Configuration) -> object:
        """
        What fetches documents.
        """
        return https_of(seams, config, resolver_of(seams, config), lambda address: False)

    def test_issuers(self) -> None:
        """
        So is a file of issuers: one that is missing, or has none in it.
        """
        refusal = self.refused(self.https, f'mta_sts_ca = "{self.mktemp()}"')
        self.assertRegex(refusal, r"^our\.toml:2: global\.mta_sts_ca: .* cannot be used: No such file")
        path = self.mktemp()
        Path(path).write_text("nothing", "utf-8")
        self.assertIn("cannot be used: ", self.refused(self.https, f'mta_sts_ca = "{path}"'))

    def test_good(self) -> None:
        """
        With issuers in it, and without any being named, there is no reason to refuse.
        """
        path = self.mktemp()
        Path(path).write_bytes(self_signed()[0])
        for text in (f'mta_sts_ca = "{path}"', ""):
            config = load.parse(f"[global]\n{text}\n")
            self.assertIsInstance(self.https(real_seams(MemoryReactorClock()), config), HTTPSFetch)
