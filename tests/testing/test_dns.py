"""
Tests for :mod:`momentum_tx.testing.dns`.
"""

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import LookupFailed
from momentum_tx.interfaces.services import AddressAnswer, IResolver, MXAnswer, MXKind
from momentum_tx.testing.dns import ScriptedResolver


class ScriptedResolverTests(SynchronousTestCase):
    """
    A resolver that answers from a table.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.resolver = ScriptedResolver(self.clock)

    def test_provides(self) -> None:
        """
        It keeps the contract of the real one.
        """
        verifyObject(IResolver, self.resolver)

    def test_exchangers(self) -> None:
        """
        Records come in order of preference, kinds as they are.
        """
        self.resolver.mx["example.com"] = [(20, "b.example"), (10, "a.example")]
        self.resolver.mx["nomail.example"] = MXKind.NULL
        self.resolver.addresses["host.example"] = ["198.51.100.7"]
        self.resolver.mx["empty.example"] = []
        self.assertEqual(
            self.successResultOf(self.resolver.lookup_mx("example.com")),
            MXAnswer(MXKind.RECORDS, ((10, "a.example"), (20, "b.example")), 300),
        )
        for domain, kind in (
            ("nomail.example", MXKind.NULL),
            ("host.example", MXKind.NONE),
            ("empty.example", MXKind.NONE),
            ("nowhere.example", MXKind.NXDOMAIN),
        ):
            self.assertIs(self.successResultOf(self.resolver.lookup_mx(domain)).kind, kind)
        self.assertEqual(len(self.resolver.mx_asked), 5)

    def test_addresses(self) -> None:
        """
        IPv4 comes first, IPv6 only if asked for; an unknown host has none.
        """
        self.resolver.ttl = 7
        self.resolver.addresses["mx.example"] = ["2001:db8::7", "198.51.100.7"]
        for ipv6, expected in ((False, ("198.51.100.7",)), (True, ("198.51.100.7", "2001:db8::7"))):
            lookup = self.resolver.lookup_addresses("mx.example", ipv6)
            self.assertEqual(self.successResultOf(lookup), AddressAnswer(expected, 7))
        self.assertEqual(self.successResultOf(self.resolver.lookup_addresses("no.example", True)).addresses, ())
        self.assertEqual(self.resolver.addresses_asked, ["mx.example", "mx.example", "no.example"])

    def test_failures(self) -> None:
        """
        An exception in a table is what the lookup fails with, anew each time.
        """
        self.resolver.mx["broken.example"] = LookupFailed("SERVFAIL")
        self.resolver.addresses["broken.example"] = LookupFailed("timeout")
        first, second = (
            self.failureResultOf(self.resolver.lookup_mx("broken.example"), LookupFailed).value for _ in range(2)
        )
        self.assertEqual(str(first), "SERVFAIL")
        self.assertIsNot(first, second)
        self.failureResultOf(self.resolver.lookup_addresses("broken.example", True), LookupFailed)

    def test_delay(self) -> None:
        """
        A delayed answer comes after its time; a cancelled one not at all.
        """
        self.resolver.delay = 4
        self.resolver.mx["broken.example"] = LookupFailed("SERVFAIL")
        lookup = self.resolver.lookup_mx("example.com")
        failing = self.resolver.lookup_mx("broken.example")
        dropped = self.resolver.lookup_mx("example.com")
        self.clock.advance(3.9)
        self.assertNoResult(lookup)
        dropped.cancel()
        self.failureResultOf(dropped, CancelledError)
        self.assertEqual(self.resolver.pending, 2)
        self.clock.advance(0.1)
        self.assertIs(self.successResultOf(lookup).kind, MXKind.NXDOMAIN)
        self.failureResultOf(failing, LookupFailed)
        self.assertEqual(self.resolver.pending, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_delay_without_clock(self) -> None:
        """
        A delay needs a clock, and says so.
        """
        resolver = ScriptedResolver()
        resolver.delay = 1
        self.assertRaises(ValueError, resolver.lookup_mx, "example.com")

    def test_close(self) -> None:
        """
        Closing fails what is under way, silent or delayed, and what comes later.
        """
        self.resolver.silent = True
        silent = self.resolver.lookup_mx("example.com")
        self.clock.advance(1000)
        self.assertNoResult(silent)
        self.resolver.silent, self.resolver.delay = False, 5
        delayed = self.resolver.lookup_addresses("example.com", False)
        self.resolver.close()
        for lookup in (silent, delayed, self.resolver.lookup_mx("example.com")):
            self.failureResultOf(lookup, LookupFailed)
        self.assertTrue(self.resolver.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
