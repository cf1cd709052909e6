"""
Tests for :mod:`momentum_tx.delivery.dane`.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery.dane import DANE, TLSAFound, tlsa_name
from momentum_tx.errors import LookupFailed
from momentum_tx.policy.tls import TLSAssociation
from momentum_tx.testing.dns import Fault, ScriptedResolver

HOST = "mx.example.com"
GOOD = (3, 1, 1, b"x" * 32)
ASSOCIATION = TLSAssociation(*GOOD)


class DANETests(SynchronousTestCase):
    """
    The way to the TLSA records of an exchanger.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.resolver = ScriptedResolver(self.clock)
        self.resolver.signed.add("example.com")
        self.resolver.addresses[HOST] = ["198.51.100.7"]
        self.dane = DANE(self.clock, self.resolver, lambda: False)

    def found(self, port: int = 25) -> TLSAFound:
        """
        What is found of the exchanger.
        """
        return self.successResultOf(self.dane.lookup(HOST, port))

    def test_records(self) -> None:
        """
        Validated records of its port are what counts, and the name they stand under.
        """
        self.resolver.tlsa[tlsa_name(HOST, 25)] = [GOOD]
        self.assertEqual(self.found(), TLSAFound(1, (ASSOCIATION,), HOST))
        self.assertIn("no validated TLSA records at _26._tcp.mx.example.com", self.found(26).reason)

    def test_unusable(self) -> None:
        """
        Records that mean nothing to us are counted, for TLS is demanded all the same (T10).
        """
        self.resolver.tlsa[tlsa_name(HOST, 25)] = [(1, 1, 1, b"x" * 32), (3, 7, 9, b"x")]
        self.assertEqual(self.found(), TLSAFound(2, (), HOST))

    def test_unsigned(self) -> None:
        """
        Of a host that is not signed nothing is asked for: anybody could have said it (T12).
        """
        self.resolver.signed.clear()
        self.resolver.tlsa[tlsa_name(HOST, 25)] = [GOOD]
        self.assertIn("not validated", self.found().reason)
        self.assertEqual(self.resolver.others_asked, [])

    def test_unsigned_records(self) -> None:
        """
        Records below an unsigned delegation do not count either.
        """
        self.resolver.signed.clear()
        self.resolver.signed.add(HOST)
        self.resolver.aliases[tlsa_name(HOST, 25)] = "tlsa.elsewhere.example"
        self.resolver.tlsa["tlsa.elsewhere.example"] = [GOOD]
        self.assertIn("no validated", self.found().reason)

    def test_failure(self) -> None:
        """
        What cannot be looked up is not known, and nobody may go on as if there were
        nothing (T11): bad signatures, silence, or addresses that cannot be had.
        """
        self.resolver.tlsa[tlsa_name(HOST, 25)] = [GOOD]
        self.resolver.bogus.add(f"_tcp.{HOST}")
        self.failureResultOf(self.dane.lookup(HOST, 25), LookupFailed)
        self.resolver.bogus.clear()
        self.resolver.faults[HOST] = Fault.SERVFAIL
        self.failureResultOf(self.dane.lookup(HOST, 25), LookupFailed)
        self.assertIsNone(self.dane.known(HOST, 25))

    def test_alias(self) -> None:
        """
        Records of the name that its aliases end at go before its own (RFC 7672 2.2.2).
        """
        self.resolver.aliases[HOST] = "real.example.com"
        self.resolver.addresses["real.example.com"] = ["198.51.100.8"]
        self.resolver.tlsa[tlsa_name(HOST, 25)] = [GOOD]
        self.assertEqual(self.found().base, HOST)
        self.resolver.tlsa[tlsa_name("real.example.com", 25)] = [GOOD]
        self.assertEqual(self.found().base, "real.example.com")
        self.resolver.bogus.add("_tcp.real.example.com")
        self.failureResultOf(self.dane.lookup(HOST, 25), LookupFailed)

    def test_alias_out_of_the_zone(self) -> None:
        """
        Where a signed alias leads to a host that is not signed, records of its own count
        (RFC 7672 section 2.1.3); where the alias is not signed none do.
        """
        self.resolver.aliases[HOST] = "mx.provider.example"
        self.resolver.addresses["mx.provider.example"] = ["198.51.100.8"]
        self.resolver.tlsa[tlsa_name(HOST, 25)] = [GOOD]
        self.resolver.tlsa[tlsa_name("mx.provider.example", 25)] = [(3, 1, 1, b"y" * 32)]
        self.assertEqual(self.found(), TLSAFound(1, (ASSOCIATION,), HOST))
        self.resolver.signed.clear()
        self.assertIn("not validated", self.found().reason)

    def test_known(self) -> None:
        """
        What was found is known for as long as DNS allows, to be told at once.
        """
        self.resolver.ttl = 60
        self.resolver.tlsa[tlsa_name(HOST, 25)] = [GOOD]
        self.dane.prepare(HOST, 25)
        self.clock.advance(59)
        self.assertEqual(self.dane.known(HOST, 25), TLSAFound(1, (ASSOCIATION,), HOST))
        self.assertIsNone(self.dane.known(HOST, 26))
        self.clock.advance(2)
        self.assertIsNone(self.dane.known(HOST, 25))

    def test_prepare_fails(self) -> None:
        """
        What cannot be prepared is nobody's error yet.
        """
        self.resolver.faults[HOST] = Fault.SERVFAIL
        self.dane.prepare(HOST, 25)
        self.assertIsNone(self.dane.known(HOST, 25))

    def test_bounded(self) -> None:
        """
        No more than so many exchangers are remembered; the oldest are forgotten.
        """
        self.patch(__import__("momentum_tx.delivery.dane", fromlist=["x"]), "MOST_REMEMBERED", 2)
        for port in (1, 2, 3):
            self.found(port)
        self.assertEqual([self.dane.known(HOST, port) is None for port in (1, 2, 3)], [True, False, False])
