"""
Tests for :mod:`momentum_tx.testing.dns`.
"""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import LookupFailed
from momentum_tx.interfaces.services import AddressAnswer, IResolver, MXAnswer, MXKind
from momentum_tx.testing.dns import Fault, ScriptedResolver, Zone


class ZoneTests(SynchronousTestCase):
    """
    What DNS says.
    """

    def test_shared(self) -> None:
        """
        Whatever is set on a resolver is set in its zone, and the next resolver
        of the zone has it: nothing is forgotten when a process dies.
        """
        zone, clock = Zone(), Clock()
        before, after = ScriptedResolver(clock, zone), ScriptedResolver(clock, zone)
        for name in vars(zone):
            self.assertEqual(getattr(before, name), getattr(zone, name), name)
            value = object()
            setattr(before, name, value)
            self.assertIs(getattr(after, name), value, name)
            self.assertIs(getattr(zone, name), value, name)

    def test_fault_of(self) -> None:
        """
        What is wrong with everything comes before what is wrong with one name.
        """
        zone = Zone()
        zone.faults["a.example"] = Fault.LAME
        self.assertEqual((zone.fault_of("a.example"), zone.fault_of("b.example")), (Fault.LAME, None))
        zone.fault = Fault.REFUSED
        self.assertIs(zone.fault_of("a.example"), Fault.REFUSED)
        zone.silent = True
        self.assertIs(zone.fault_of("b.example"), Fault.SILENT)

    def test_links(self) -> None:
        """
        Aliases are followed to their end, or around once.
        """
        zone = Zone()
        zone.aliases.update({"a": "b", "b": "c", "x": "y", "y": "x"})
        self.assertEqual(zone.links("a"), [("a", "b"), ("b", "c")])
        self.assertEqual(zone.links("c"), [])
        self.assertEqual(zone.links("x"), [("x", "y"), ("y", "x")])


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

    def test_aliases(self) -> None:
        """
        An alias has what its target has; aliases without an end fail.
        """
        self.resolver.mx["example.com"] = [(10, "mx.example.com")]
        self.resolver.addresses["example.com"] = ["198.51.100.7"]
        self.resolver.aliases.update({"a.example": "b.example", "b.example": "example.com", "c.example": "c.example"})
        self.assertEqual(self.successResultOf(self.resolver.lookup_mx("a.example")).records, ((10, "mx.example.com"),))
        found = self.successResultOf(self.resolver.lookup_addresses("a.example", False))
        self.assertEqual(found.addresses, ("198.51.100.7",))
        self.failureResultOf(self.resolver.lookup_mx("c.example"), LookupFailed)
        self.failureResultOf(self.resolver.lookup_addresses("c.example", False), LookupFailed)

    def test_faults(self) -> None:
        """
        A silent name is not answered; other faults fail the lookup, but for
        those that a resolver copes with.
        """
        failing = set(Fault) - {Fault.SILENT, Fault.NO_EDNS, Fault.TRUNCATED, Fault.ONE_LINK}
        for fault in Fault:
            self.resolver.mx["example.com"] = [(10, "mx.example.com")]
            self.resolver.addresses["example.com"] = ["198.51.100.7"]
            self.resolver.faults["example.com"] = fault
            mx = self.resolver.lookup_mx("example.com")
            addresses = self.resolver.lookup_addresses("example.com", True)
            lookups: list[Deferred[Any]] = [mx, addresses]
            if fault is Fault.SILENT:
                for lookup in lookups:
                    self.assertNoResult(lookup)
                    lookup.cancel()
                    self.failureResultOf(lookup, CancelledError)
            elif fault in failing:
                for lookup in lookups:
                    self.assertIn(fault.value, str(self.failureResultOf(lookup, LookupFailed).value))
            else:
                self.assertEqual(len(self.successResultOf(mx).records), 1, fault)
                self.assertEqual(len(self.successResultOf(addresses).addresses), 1, fault)
        self.assertIs(self.successResultOf(self.resolver.lookup_mx("other.example")).kind, MXKind.NXDOMAIN)
        self.assertEqual(self.resolver.pending, 0)

    def test_delays(self) -> None:
        """
        A name may have a delay of its own, longer or shorter.
        """
        self.resolver.delay, self.resolver.delays["a.example"], self.resolver.delays["b.example"] = 4, 6, 0
        longer, usual, at_once = (self.resolver.lookup_mx(f"{name}.example") for name in "acb")
        self.successResultOf(at_once)
        self.clock.advance(3.9)
        self.assertNoResult(usual)
        self.clock.advance(0.1)
        self.successResultOf(usual)
        self.clock.advance(1.9)
        self.assertNoResult(longer)
        self.clock.advance(0.1)
        self.successResultOf(longer)

    def test_negative_ttl(self) -> None:
        """
        What is not there may be kept for another time than what is.
        """
        self.resolver.negative_ttl = 20
        self.resolver.mx["example.com"] = [(10, "mx.example.com")]
        for domain, ttl in (("example.com", 300), ("nowhere.example", 20)):
            self.assertEqual(self.successResultOf(self.resolver.lookup_mx(domain)).ttl, ttl)
        self.assertEqual(self.successResultOf(self.resolver.lookup_addresses("nowhere.example", False)).ttl, 20)

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
