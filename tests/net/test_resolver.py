"""
Tests for :mod:`momentum_tx.net.resolver`.
"""

from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import dns.flags
import dns.message
import dns.rrset
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import LookupFailed, LookupHindered
from momentum_tx.interfaces.services import (
    AddressAnswer,
    AliasAnswer,
    IResolver,
    MXAnswer,
    MXKind,
    TLSAAnswer,
    TLSARecord,
    TXTAnswer,
)
from momentum_tx.net.dns_answers import MAX_TLSA
from momentum_tx.net.resolver import FAILURE_LIFETIME, LOCAL_SERVER, DNSResolver, ResolvConf, read_resolv_conf

from .dns_doubles import SERVER, DNSReactor, raw_record, reply, rrset, soa


class ResolverCase(SynchronousTestCase):
    """
    A resolver with one scripted server.
    """

    def setUp(self) -> None:
        self.reactor = DNSReactor()
        self.resolver = self.make()

    def make(self, **options: Any) -> DNSResolver:
        """
        A resolver with these options.
        """
        return DNSResolver(self.reactor, [SERVER], Random(1), **options)

    def mx(self, domain: str) -> MXAnswer:
        """
        What the server makes us believe of *domain*.
        """
        lookup = self.resolver.lookup_mx(domain)
        self.reactor.serve()
        return self.successResultOf(lookup)

    def addresses(self, host: str, ipv6: bool = False) -> AddressAnswer:
        """
        What the server makes us believe of *host*.
        """
        lookup = self.resolver.lookup_addresses(host, ipv6)
        self.reactor.serve()
        return self.successResultOf(lookup)

    def failure(self, lookup: Deferred[Any], *words: str) -> LookupFailed:
        """
        See that *lookup* fails, for these reasons.
        """
        found = self.failureResultOf(lookup, LookupFailed).value
        for word in words:
            self.assertIn(word, str(found))
        assert isinstance(found, LookupFailed)
        return found

    def assert_idle(self) -> None:
        """
        See that nothing is left open or ticking.
        """
        self.assertEqual(self.reactor.open_ports, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class AnswerTests(ResolverCase):
    """
    What DNS may say, honest or not.
    """

    def test_provides(self) -> None:
        """
        It has all that its contract asks for.
        """
        verifyObject(IResolver, self.resolver)

    def test_exchangers(self) -> None:
        """
        A domain's exchangers come in order of preference, and nothing is left
        running once they are there.
        """
        self.reactor.add(rrset("example.com. MX", "20 b.example.", "10 A.example."))
        self.assertEqual(self.mx("example.com"), MXAnswer(MXKind.RECORDS, ((10, "a.example"), (20, "b.example")), 300))
        self.assert_idle()

    def test_only_an_address(self) -> None:
        """
        A domain without MX is known to exist, and has its own address (N01).
        """
        self.reactor.add(rrset("a-only.example. A", "198.51.100.7"))
        self.assertIs(self.mx("a-only.example").kind, MXKind.NONE)
        self.assertEqual(self.addresses("a-only.example"), AddressAnswer(("198.51.100.7",), 300))
        self.assert_idle()

    def test_no_such_domain(self) -> None:
        """
        A domain that does not exist is an answer, not a failure (N02).
        """
        self.assertEqual(self.mx("nowhere.example"), MXAnswer(MXKind.NXDOMAIN, (), 30))
        self.assertEqual(self.addresses("nowhere.example"), AddressAnswer((), 30))

    def test_nothing_there(self) -> None:
        """
        A domain with neither MX nor address is an answer too (N03).
        """
        self.reactor.zone["empty.example", "TXT"] = bytes
        self.assertIs(self.mx("empty.example").kind, MXKind.NONE)
        self.assertEqual(self.addresses("empty.example", ipv6=True).addresses, ())

    def test_null_mx(self) -> None:
        """
        A null MX alone says no mail; beside others it is dropped (N04, N05).
        """
        self.reactor.add(rrset("nomail.example. MX", "0 ."))
        self.reactor.add(rrset("half.example. MX", "0 .", "10 mx.example."))
        self.assertIs(self.mx("nomail.example").kind, MXKind.NULL)
        self.assertEqual(self.mx("half.example").records, ((10, "mx.example"),))

    def test_unreliable(self) -> None:
        """
        SERVFAIL, REFUSED, NOTIMP and FORMERR are failures that name the server
        and the code (N06).
        """
        for rcode, word in ((1, "FORMERR"), (2, "SERVFAIL"), (4, "NOTIMP"), (5, "REFUSED")):
            domain = f"{word.lower()}.example"
            self.reactor.zone[domain, "MX"] = lambda wire, rcode=rcode: reply(wire, rcode=rcode)  # type: ignore[misc]
            lookup = self.resolver.lookup_mx(domain)
            self.reactor.serve()
            self.failure(lookup, domain, "192.0.2.53:53", word)
        self.assert_idle()

    def test_silence_is_isolated(self) -> None:
        """
        A domain whose question nobody answers fails after its time; others
        are answered meanwhile (N07).
        """
        self.reactor.zone["silent.example", "MX"] = lambda wire: b""
        self.reactor.add(rrset("example.com. MX", "10 mx.example."))
        silent = self.resolver.lookup_mx("silent.example")
        self.assertIs(self.mx("example.com").kind, MXKind.RECORDS)
        self.assertNoResult(silent)
        for _ in range(2):
            self.reactor.serve()
            self.reactor.advance(5)
        self.failure(silent, "no answer in 5 s")
        self.assert_idle()

    def test_truncated(self) -> None:
        """
        An answer too large for a datagram comes over TCP (N08).
        """
        record = rrset("big.example. MX", "10 mx.example.")
        self.reactor.zone["big.example", "MX"] = lambda wire: reply(wire, flags=dns.flags.TC)
        lookup = self.resolver.lookup_mx("big.example")
        self.reactor.serve()
        protocol, transport = self.reactor.stream()
        answer = reply(transport.value()[2:], record)
        for octet in len(answer).to_bytes(2) + answer:
            protocol.dataReceived(bytes([octet]))
        self.assertEqual(self.successResultOf(lookup).records, ((10, "mx.example"),))
        self.assert_idle()

    def test_misleading(self) -> None:
        """
        Wrong id, wrong question and garbage do not count; when nothing else
        comes it is a failure (N09).
        """

        def wrong_id(wire: bytes) -> bytes:
            return bytes([wire[0] ^ 0x55]) + reply(wire, rcode=3)[1:]

        def wrong_question(wire: bytes) -> bytes:
            return reply(wire, rcode=3).replace(b"wrong", b"right")

        def garbage(wire: bytes) -> bytes:
            return wire[:2] + bytes(range(200))

        for number, answering in enumerate((wrong_id, wrong_question, garbage)):
            domain = f"wrong{number}.example"
            self.reactor.zone[domain, "MX"] = answering
            lookup = self.resolver.lookup_mx(domain)
            for _ in range(2):
                self.reactor.serve()
                self.assertNoResult(lookup)
                self.reactor.advance(5)
            self.failure(lookup, domain, "no answer")

    def test_short_mx(self) -> None:
        """
        MX data of 0 to 2 octets never passes for a null MX, which would bounce
        the mail (N10).
        """
        for rdata in (b"", b"\0", b"\0\x0a"):
            domain = f"short{len(rdata)}.example"
            self.reactor.zone[domain, "MX"] = lambda wire, rdata=rdata: raw_record(wire, 15, rdata)  # type: ignore[misc]
            lookup = self.resolver.lookup_mx(domain)
            self.reactor.serve()
            self.failure(lookup, "unreadable")

    def test_short_a(self) -> None:
        """
        An address of three octets is a failure, not a host without address (N11).
        """
        self.reactor.zone["short.example", "A"] = lambda wire: raw_record(wire, 1, b"\x7f\0\0")
        lookup = self.resolver.lookup_addresses("short.example", False)
        self.reactor.serve()
        self.failure(lookup, "unreadable")

    def test_very_many(self) -> None:
        """
        Of 500 exchangers a hundred are used, of 500 addresses twenty (N12).
        """
        self.reactor.add(rrset("many.example. MX", *(f"{n} m{n}.example." for n in range(500))))
        self.reactor.add(rrset("mx.example. A", *(f"198.51.{n // 250}.{n % 250}" for n in range(500))))
        self.assertEqual(len(self.mx("many.example").records), 100)
        self.assertEqual(len(self.addresses("mx.example").addresses), 20)

    def test_aliases(self) -> None:
        """
        A domain or an exchanger that is an alias is followed, a long chain or
        a loop is a failure (N13).
        """
        self.reactor.add(rrset("alias.example. CNAME", "example.com."), rrset("example.com. MX", "10 mx.example."))
        self.reactor.add(rrset("mx.example. CNAME", "host.example."), rrset("host.example. A", "198.51.100.7"))
        self.assertEqual(self.mx("alias.example").records, ((10, "mx.example"),))
        self.assertEqual(self.addresses("mx.example").addresses, ("198.51.100.7",))
        chain = [rrset("chain.example. CNAME", "x0.example.")]
        chain += [rrset(f"x{n}.example. CNAME", f"x{n + 1}.example.") for n in range(20)]
        loop = [rrset("loop.example. CNAME", "l.example."), rrset("l.example. CNAME", "loop.example.")]
        self.reactor.zone["chain.example", "MX"] = lambda wire: reply(wire, *chain)
        self.reactor.zone["loop.example", "MX"] = lambda wire: reply(wire, *loop)
        for domain, word in (("chain.example", "aliases in a row"), ("loop.example", "loop")):
            lookup = self.resolver.lookup_mx(domain)
            self.reactor.serve()
            self.failure(lookup, f"MX {domain}", word)

    def test_alias_to_a_missing_name(self) -> None:
        """
        An alias whose target does not exist is a name that does not exist (N13).
        """
        alias = rrset("alias.example. CNAME", "gone.example.")
        self.reactor.zone["alias.example", "MX"] = lambda wire: reply(
            wire, alias, rcode=3, authority=(soa("example."),)
        )
        self.assertIs(self.mx("alias.example").kind, MXKind.NXDOMAIN)

    def test_address_as_exchanger(self) -> None:
        """
        An exchanger spelled like an address has none, and nobody is asked (N16).
        """
        self.reactor.add(rrset("literal.example. MX", "10 127.0.0.1."))
        self.assertEqual(self.mx("literal.example").records, ((10, "127.0.0.1"),))
        self.reactor.add(rrset("127.0.0.1. A", "127.0.0.1"))
        asked = len(self.reactor.ports)
        for host in ("127.0.0.1", "::1"):
            self.assertEqual(self.addresses(host, ipv6=True).addresses, ())
        self.assertEqual(len(self.reactor.ports), asked)

    def test_exchanger_without_address(self) -> None:
        """
        An exchanger that has no address is an answer, with a short life (N17).
        """
        self.reactor.zone["mx.example", "TXT"] = bytes
        self.assertEqual(self.addresses("mx.example"), AddressAnswer((), 30))

    def test_poison(self) -> None:
        """
        What a server adds unasked is neither used nor remembered (N19).
        """
        good = rrset("example.com. MX", "10 mx.example.")
        evil = (rrset("mx.example. A", "192.0.2.66"), rrset("victim.example. MX", "1 evil.example."))
        self.reactor.zone["example.com", "MX"] = lambda wire: reply(wire, good, *evil, additional=evil)
        self.reactor.add(rrset("mx.example. A", "198.51.100.7"))
        self.assertEqual(self.mx("example.com").records, ((10, "mx.example"),))
        self.assertEqual(self.addresses("mx.example").addresses, ("198.51.100.7",))
        self.assertIs(self.mx("victim.example").kind, MXKind.NXDOMAIN)

    def test_equal_preference(self) -> None:
        """
        Exchangers of one preference stay in the order received; spreading is
        for whoever connects (N21).
        """
        self.reactor.add(rrset("equal.example. MX", *(f"10 m{n}.example." for n in (3, 1, 4, 0, 2))))
        self.assertEqual([name[1] for _, name in self.mx("equal.example").records], ["3", "1", "4", "0", "2"])

    def test_impossible_names(self) -> None:
        """
        A name that DNS cannot carry does not exist, and nobody is asked;
        the longest that it can carry is asked for (N23).
        """
        for name in ("a" * 64 + ".example", "a..example", "", ".".join(["a" * 63] * 4)):
            self.assertIs(self.mx(name).kind, MXKind.NXDOMAIN)
            self.assertEqual(self.addresses(name).addresses, ())
        self.assertEqual(self.reactor.ports, [])
        longest = ".".join(["a" * 63] * 3 + ["b" * 61])
        self.reactor.add(rrset(f"{longest}. MX", "10 mx.example."))
        self.assertEqual(len(self.mx(longest).records), 1)
        self.failure(self.resolver.lookup_mx("bücher.example"), "ASCII")


class FamilyTests(ResolverCase):
    """
    IPv4 and IPv6 addresses of a host.
    """

    def setUp(self) -> None:
        super().setUp()
        self.reactor.add(rrset("mx.example. A", "198.51.100.7"))
        self.reactor.add(rrset("mx.example. AAAA", "2001:db8::7"))

    def test_both(self) -> None:
        """
        AAAA records are asked for only if wanted, at the same time as A.
        """
        self.assertEqual(self.addresses("mx.example").addresses, ("198.51.100.7",))
        self.assertEqual(self.reactor.asked, [("mx.example", "A")])
        self.assertEqual(self.addresses("mx.example", ipv6=True).addresses, ("198.51.100.7", "2001:db8::7"))
        self.assert_idle()

    def test_one_fails(self) -> None:
        """
        A family that cannot be asked for does not hide the other's addresses,
        in either direction.
        """
        for broken, left in (("A", "2001:db8::7"), ("AAAA", "198.51.100.7")):
            self.resolver = self.make()
            kept = self.reactor.zone["mx.example", broken]
            self.reactor.zone["mx.example", broken] = lambda wire: reply(wire, rcode=2)
            self.assertEqual(self.addresses("mx.example", ipv6=True).addresses, (left,))
            self.reactor.zone["mx.example", broken] = kept

    def test_one_fails_and_the_other_is_empty(self) -> None:
        """
        No address in one family says nothing while the other is unknown.
        """
        self.reactor.zone["mx.example", "A"] = lambda wire: reply(wire, authority=(soa("example."),))
        self.reactor.zone["mx.example", "AAAA"] = lambda wire: reply(wire, rcode=2)
        lookup = self.resolver.lookup_addresses("mx.example", True)
        self.reactor.serve()
        self.failure(lookup, "AAAA mx.example", "SERVFAIL")


class CacheTests(ResolverCase):
    """
    How long an answer lives.
    """

    def asked_again(self, after: float) -> bool:
        """
        Whether the server is asked once more after so many seconds.
        """
        self.reactor.advance(after)
        before = len(self.reactor.asked)
        self.resolver.lookup_mx("example.com").addErrback(lambda failure: None)
        self.reactor.serve()
        return len(self.reactor.asked) > before

    def test_ttl(self) -> None:
        """
        An answer lives for its TTL, and says how much of it is left.
        """
        self.reactor.add(rrset("example.com. MX", "10 mx.example.", ttl=100))
        self.assertEqual(self.mx("example.com").ttl, 100)
        self.reactor.advance(60)
        self.assertEqual(self.mx("example.com").ttl, 40)
        self.assertFalse(self.asked_again(39.9))
        self.assertTrue(self.asked_again(0.1))
        self.assert_idle()

    def test_change(self) -> None:
        """
        After its TTL a changed answer is seen (N20).
        """
        self.reactor.add(rrset("mx.example. A", "198.51.100.7", ttl=5))
        self.assertEqual(self.addresses("mx.example").addresses, ("198.51.100.7",))
        self.reactor.add(rrset("mx.example. A", "198.51.100.8", ttl=5))
        self.assertEqual(self.addresses("mx.example").addresses, ("198.51.100.7",))
        self.reactor.advance(5)
        self.assertEqual(self.addresses("mx.example").addresses, ("198.51.100.8",))

    def test_ttl_zero(self) -> None:
        """
        TTL 0 does not make a storm of questions: an answer serves for a second (N18).
        """
        self.reactor.add(rrset("example.com. MX", "10 mx.example.", ttl=0))
        for _ in range(1000):
            self.mx("example.com")
        self.assertEqual(len(self.reactor.asked), 1)
        self.assertTrue(self.asked_again(1))

    def test_ttl_huge(self) -> None:
        """
        A TTL of a hundred years is a week (N18).
        """
        self.reactor.add(rrset("example.com. MX", "10 mx.example.", ttl=2**31 - 1))
        self.assertEqual(self.mx("example.com").ttl, 7 * 86400)
        self.assertFalse(self.asked_again(7 * 86400 - 1))
        self.assertTrue(self.asked_again(1))

    def test_bounds(self) -> None:
        """
        ``min_dns_ttl`` and ``max_dns_ttl`` bound the life of positive answers.
        """
        self.resolver = self.make(min_ttl=60, max_ttl=600)
        self.reactor.add(rrset("example.com. MX", "10 mx.example.", ttl=5))
        self.mx("example.com")
        self.assertFalse(self.asked_again(59))
        self.reactor.add(rrset("example.com. MX", "10 mx.example.", ttl=3600))
        self.assertTrue(self.asked_again(1))
        self.assertFalse(self.asked_again(599))
        self.assertTrue(self.asked_again(1))

    def test_negative(self) -> None:
        """
        "There is none" lives as long as the zone says.
        """
        self.resolver = self.make(min_ttl=3600)
        self.mx("example.com")
        self.assertFalse(self.asked_again(29))
        self.assertTrue(self.asked_again(1))

    def test_failure(self) -> None:
        """
        A failure is repeated for a moment without asking again, then the
        server has another chance.
        """
        self.reactor.zone["example.com", "MX"] = lambda wire: reply(wire, rcode=2)
        self.assertTrue(self.asked_again(0))
        self.reactor.advance(FAILURE_LIFETIME - 0.1)
        self.failure(self.resolver.lookup_mx("example.com"), "SERVFAIL")
        self.reactor.add(rrset("example.com. MX", "10 mx.example."))
        self.assertFalse(self.asked_again(0))
        self.assertTrue(self.asked_again(0.1))
        self.assertEqual(len(self.mx("example.com").records), 1)

    def test_size(self) -> None:
        """
        The cache has a bound; the oldest answers are asked for again.
        """
        self.resolver = self.make(cache_size=10)
        for number in range(11):
            self.reactor.add(rrset(f"d{number}.example. MX", "10 mx.example."))
            self.mx(f"d{number}.example")
        asked = len(self.reactor.asked)
        self.mx("d1.example")
        self.assertEqual(len(self.reactor.asked), asked)
        self.mx("d0.example")
        self.assertEqual(len(self.reactor.asked), asked + 1)


class WaitingTests(ResolverCase):
    """
    Many who ask.
    """

    def setUp(self) -> None:
        super().setUp()
        self.reactor.add(rrset("example.com. MX", "10 mx.example."))

    def test_coalescing(self) -> None:
        """
        Equal questions are asked once, and all who wait get the answer.
        """
        lookups = [self.resolver.lookup_mx("example.com") for _ in range(100)]
        self.assertEqual(len(self.reactor.ports), 1)
        self.reactor.serve()
        self.assertEqual({self.successResultOf(lookup).kind for lookup in lookups}, {MXKind.RECORDS})

    def test_coalesced_failure(self) -> None:
        """
        All who wait get the failure, each one of its own.
        """
        self.reactor.zone["example.com", "MX"] = lambda wire: reply(wire, rcode=2)
        lookups = [self.resolver.lookup_mx("example.com") for _ in range(3)]
        self.reactor.serve()
        errors = {id(self.failureResultOf(lookup, LookupFailed).value) for lookup in lookups}
        self.assertEqual(len(errors), 3)

    def test_cancel_one(self) -> None:
        """
        One who stops waiting does not hurt the others.
        """
        first, second = (self.resolver.lookup_mx("example.com") for _ in range(2))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.reactor.serve()
        self.assertEqual(self.successResultOf(second).kind, MXKind.RECORDS)

    def test_cancel_last(self) -> None:
        """
        When nobody waits any more the question is dropped, and may be asked anew.
        """
        for _ in range(2):
            lookup = self.resolver.lookup_addresses("mx.example", True)
            self.assertEqual(len(self.reactor.open_ports), 2)
            lookup.cancel()
            self.failureResultOf(lookup, CancelledError)
            self.assert_idle()
        self.assertEqual(len(self.mx("example.com").records), 1)

    def test_cancel_each_other(self) -> None:
        """
        A callback may cancel another one who waits for the same answer.
        """
        first = self.resolver.lookup_mx("example.com")
        second = self.resolver.lookup_mx("example.com")
        first.addCallback(lambda answer: second.cancel())
        self.reactor.serve()
        self.failureResultOf(second, CancelledError)
        self.assertIsNone(self.successResultOf(first))

    def test_ask_in_callback(self) -> None:
        """
        A callback may ask the next question, and the same again.
        """
        self.reactor.add(rrset("mx.example. A", "198.51.100.7"))
        lookup: Deferred[Any] = self.resolver.lookup_mx("example.com")
        lookup.addCallback(lambda answer: self.resolver.lookup_mx("example.com"))
        lookup.addCallback(lambda answer: self.resolver.lookup_addresses(answer.records[0][1], False))
        self.reactor.serve()
        self.assertEqual(self.successResultOf(lookup).addresses, ("198.51.100.7",))
        self.assert_idle()

    def test_in_flight_bound(self) -> None:
        """
        No more than so many questions are asked at once; the others follow in
        order as answers come (N07, N22).
        """
        self.resolver = self.make(max_in_flight=3)
        lookups = [self.resolver.lookup_mx(f"d{number}.example") for number in range(10)]
        self.assertEqual(len(self.reactor.open_ports), 3)
        port = self.reactor.open_ports[0]
        port.receive(self.reactor.answer(port.sent.pop()))
        self.successResultOf(lookups[0])
        self.assertEqual(len(self.reactor.open_ports), 3)
        self.reactor.serve()
        for lookup in lookups[1:]:
            self.successResultOf(lookup)
        self.assertEqual([name for name, _ in self.reactor.asked], [f"d{number}.example" for number in range(10)])
        self.assert_idle()

    def test_waiting_bound(self) -> None:
        """
        When too many wait, the next is told so at once; room makes it possible again.
        """
        self.resolver = self.make(max_in_flight=1, max_waiting=2)
        lookups = [self.resolver.lookup_mx(f"d{number}.example") for number in range(4)]
        self.assertIsInstance(self.failure(lookups[3], "wait already"), LookupHindered)
        self.assertEqual(len(self.reactor.ports), 1)
        self.reactor.serve()
        for lookup in lookups[:3]:
            self.successResultOf(lookup)
        again = self.resolver.lookup_mx("d3.example")
        self.reactor.serve()
        self.successResultOf(again)
        self.assert_idle()

    def test_cancel_waiting(self) -> None:
        """
        A question that waits for its turn is dropped before it is ever asked.
        """
        self.resolver = self.make(max_in_flight=1)
        self.resolver.lookup_mx("d0.example")
        waiting = self.resolver.lookup_mx("d1.example")
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.reactor.serve()
        self.assertEqual(self.reactor.asked, [("d0.example", "MX")])
        self.assert_idle()

    def test_server_down(self) -> None:
        """
        With the server down many domains fail in small turns, at one timer, and
        when it is back everything is answered (N22).
        """
        self.resolver = self.make(max_in_flight=50)
        lookups = [self.resolver.lookup_mx(f"d{number}.example") for number in range(500)]
        failed = 0
        for lookup in lookups:
            lookup.addErrback(lambda failure: failure.trap(LookupFailed) and None)
        for _ in range(20):
            self.assertEqual(len(self.reactor.open_ports), 50)
            self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
            self.reactor.advance(5)
        failed = sum(lookup.called for lookup in lookups)
        self.assertEqual(failed, 500)
        self.assert_idle()
        self.assertEqual(len(self.mx("example.com").records), 1)

    def test_no_descriptors(self) -> None:
        """
        On a machine out of descriptors questions wait, whatever their number, and are
        asked when there is one.
        """
        self.reactor.exhausted = True
        self.resolver = self.make(max_in_flight=2)
        lookups = [self.resolver.lookup_mx(f"d{number}.example") for number in range(3000)]
        self.reactor.pump([1.0] * 100)
        for lookup in lookups:
            self.assertNoResult(lookup)
        self.reactor.exhausted = False
        self.reactor.advance(1)
        self.reactor.serve()
        for lookup in lookups:
            self.successResultOf(lookup)
        self.assert_idle()

    def test_no_route(self) -> None:
        """
        A network that is down fails what waits, turn by turn, without deep recursion.
        """
        self.reactor.unreachable = True
        self.resolver = self.make(max_in_flight=2)
        lookups = [self.resolver.lookup_mx(f"d{number}.example") for number in range(3000)]
        self.assertNoResult(lookups[0])
        while self.reactor.getDelayedCalls():
            self.reactor.advance(0)
        for lookup in lookups:
            self.assertIsInstance(self.failure(lookup, "cannot send"), LookupHindered)
        # So says the answer that is kept for a while.
        self.assertIsInstance(self.failure(self.resolver.lookup_mx("d2999.example"), "cannot send"), LookupHindered)

    def test_close(self) -> None:
        """
        Closing fails what is under way and what comes later, and leaves
        nothing open; twice is harmless.
        """
        self.resolver = self.make(max_in_flight=1)
        lookups = [self.resolver.lookup_mx(f"d{number}.example") for number in range(3)]
        later: list[Deferred[Any]] = []
        lookups[0].addBoth(lambda result: later.append(self.resolver.lookup_mx("later.example")))
        self.resolver.close()
        self.resolver.close()
        for lookup in (*lookups[1:], *later, self.resolver.lookup_mx("example.com")):
            self.assertIsInstance(self.failure(lookup, "closed"), LookupHindered)
        self.assertEqual(len(later), 1)
        self.assert_idle()


class ConfigurationTests(SynchronousTestCase):
    """
    Which servers are asked.
    """

    def test_resolv_conf(self) -> None:
        """
        The servers of resolv.conf are used in their order; what is not
        understood is passed over.
        """
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as lines:
            lines.write(
                "# comment\nsearch example.com\nnameserver 192.0.2.1\n  nameserver\t2001:db8::1  # second\n"
                "nameserver\nnameserver not-an-address\nnameserver fe80::1%eth0\n;nameserver 192.0.2.9\n"
            )
        self.assertEqual(read_resolv_conf(path).servers, [("192.0.2.1", 53), ("2001:db8::1", 53), ("fe80::1%eth0", 53)])

    def test_no_resolv_conf(self) -> None:
        """
        Without the file, or with nothing in it, the local server is asked.
        """
        path = self.mktemp()
        Path(path).write_text("search example.com\n", "utf-8")
        self.assertEqual(read_resolv_conf(path), ResolvConf([LOCAL_SERVER], 5.0, 2))
        self.assertRaises(OSError, read_resolv_conf, self.mktemp())

    def test_options(self) -> None:
        """
        ``timeout`` and ``attempts`` are obeyed within the bounds of the C library,
        by Momentum's names for them too; everything else means nothing.
        """
        for text, timeout, attempts in (
            ("options timeout:3 attempts:4", 3.0, 4),
            ("options retrans:2\noptions retry:1", 2.0, 1),
            ("options timeout:0 attempts:0", 1.0, 1),
            ("options timeout:99 attempts:99", 30.0, 5),
            ("options timeout: attempts:x rotate ndots:3 timeout:-1", 5.0, 2),
            ("timeout:3", 5.0, 2),
            ("options trust-ad", 5.0, 2),
        ):
            path = self.mktemp()
            Path(path).write_text(text + "\n", "utf-8")
            found = read_resolv_conf(path)
            self.assertEqual((found.timeout, found.attempts), (timeout, attempts), text)
            self.assertIs(found.trust_ad, text == "options trust-ad")

    def test_mistakes(self) -> None:
        """
        No server at all, or one that is not an address, is refused at once.
        """
        self.assertRaises(ValueError, DNSResolver, DNSReactor(), [], Random(1))
        self.assertRaises(ValueError, DNSResolver, DNSReactor(), [("ns.example", 53)], Random(1))


class SecurityTests(ResolverCase):
    """
    Whether an answer was validated, and who is believed about it (RFC 7672 section 2.2).
    """

    MX = rrset("example.com. MX", "10 mx.example.com.")
    AD = dns.flags.RA | dns.flags.AD

    def setUp(self) -> None:
        super().setUp()
        self.resolver = self.make(trust_ad=True)

    def say(self, name: str, kind: str, *answer: dns.rrset.RRset, flags: int = AD, rcode: int = 0) -> None:
        """
        Answer *name* and *kind* so from now on.
        """
        authority = () if answer or rcode == 2 else (soa("example.com."),)
        self.reactor.zone[name, kind] = lambda wire: reply(wire, *answer, flags=flags, rcode=rcode, authority=authority)

    def tlsa(self, name: str) -> TLSAAnswer:
        """
        What the server makes us believe of the TLSA records of *name*.
        """
        lookup = self.resolver.lookup_tlsa(name)
        self.reactor.serve()
        return self.successResultOf(lookup)

    def test_asked(self) -> None:
        """
        Whether it validates is asked of the server with each question (RFC 6840 5.7).
        """
        self.resolver.lookup_mx("example.com")
        (port,) = self.reactor.open_ports
        message = dns.message.from_wire(port.sent[0])
        self.assertTrue(message.flags & dns.flags.AD)
        self.assertEqual(message.edns, 0)

    def test_believed(self) -> None:
        """
        A trusted server is believed, also from the cache; without its word nothing is secure.
        """
        self.say("example.com", "MX", self.MX)
        self.say("other.example", "MX", rrset("other.example. MX", "10 mx.example.com."), flags=dns.flags.RA)
        self.assertTrue(self.mx("example.com").secure)
        self.reactor.advance(10)
        self.assertTrue(self.mx("example.com").secure)
        self.assertFalse(self.mx("other.example").secure)

    def test_stranger(self) -> None:
        """
        The word of a server across a network does not count, unless an operator says so.
        """
        self.resolver = self.make()
        self.say("example.com", "MX", self.MX)
        self.assertFalse(self.mx("example.com").secure)

    def test_loopback(self) -> None:
        """
        A server on this host is believed without further ado.
        """
        for address, believed in (("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("192.0.2.1", False)):
            self.resolver = DNSResolver(self.reactor, [(address, 53)], Random(1))
            self.say("example.com", "MX", self.MX)
            self.assertIs(self.mx("example.com").secure, believed, address)

    def test_heeded(self) -> None:
        """
        While somebody wants to know what is signed, a server that is believed is not replaced by one that
        is not, whether it declines or keeps silent: the one would make of a bogus zone an unsigned one.
        """
        servers = [("127.0.0.1", 53), ("192.0.2.54", 53), ("::1", 53)]
        self.resolver = DNSResolver(self.reactor, servers, Random(1))
        wanted = True
        self.resolver.heed_dnssec(lambda: wanted)
        self.say("example.com", "MX", rcode=2)
        lookup = self.resolver.lookup_mx("example.com")
        self.reactor.serve()
        text = str(self.failure(lookup, "127.0.0.1:53: SERVFAIL", "[::1]:53: SERVFAIL"))
        self.assertNotIn("192.0.2.54", text)
        lookup = self.resolver.lookup_mx("silent.example")
        for _ in range(10):
            self.reactor.advance(5)
        self.assertNotIn("192.0.2.54", str(self.failure(lookup, "no answer in")))
        wanted = False
        lookup = self.resolver.lookup_mx("example.com")
        self.reactor.serve()
        self.failure(lookup, "192.0.2.54:53: SERVFAIL")

    def test_heeded_by_none(self) -> None:
        """
        Where none is believed all are asked.
        """
        self.resolver = self.make()
        self.resolver.heed_dnssec(lambda: True)
        self.say("example.com", "MX", self.MX)
        self.assertFalse(self.mx("example.com").secure)

    def test_addresses(self) -> None:
        """
        Addresses are secure if those of every family are.
        """
        self.say("mx.example.com", "A", rrset("mx.example.com. A", "198.51.100.7"))
        self.say("mx.example.com", "AAAA", rrset("mx.example.com. AAAA", "2001:db8::7"), flags=dns.flags.RA)
        self.assertTrue(self.addresses("mx.example.com").secure)
        self.assertFalse(self.addresses("mx.example.com", ipv6=True).secure)

    def test_chain(self) -> None:
        """
        Where an alias leads is told; a chain over two messages is secure only if both are.
        """
        alias = rrset("mx.example.com. CNAME", "real.example.net.")
        plain = dns.flags.RA
        for first, second in ((self.AD, self.AD), (self.AD, plain), (plain, self.AD)):
            self.resolver = self.make(trust_ad=True)
            self.reactor.zone["mx.example.com", "A"] = partial(self.only, alias, first)
            self.say("real.example.net", "A", rrset("real.example.net. A", "198.51.100.7"), flags=second)
            secure = first == second
            expected = AddressAnswer(("198.51.100.7",), 300, secure, "real.example.net")
            self.assertEqual(self.addresses("mx.example.com"), expected)

    @staticmethod
    def only(records: dns.rrset.RRset, flags: int, wire: bytes) -> bytes:
        """
        Nothing but these records.
        """
        return reply(wire, records, flags=flags)

    def test_alias(self) -> None:
        """
        An alias itself can be asked for, and is judged without what it leads to.
        """
        self.say("mx.example.com", "CNAME", rrset("mx.example.com. CNAME", "real.example.net."))
        self.say("real.example.net", "CNAME")
        for name, expected in (
            ("mx.example.com", AliasAnswer("real.example.net", 300, True)),
            ("real.example.net", AliasAnswer("", 30, True)),
        ):
            lookup = self.resolver.lookup_alias(name)
            self.reactor.serve()
            self.assertEqual(self.successResultOf(lookup), expected)

    def test_tlsa(self) -> None:
        """
        TLSA records come as they are, whatever their numbers mean.
        """
        name = "_25._tcp.mx.example.com"
        self.say(name, "TLSA", rrset(f"{name}. TLSA", "3 1 1 " + "ab" * 32, "9 8 7 00"))
        records = {TLSARecord(3, 1, 1, b"\xab" * 32), TLSARecord(9, 8, 7, b"\x00")}
        answer = self.tlsa(name)
        self.assertEqual((set(answer.records), answer.ttl, answer.secure), (records, 300, True))

    def test_no_tlsa(self) -> None:
        """
        That there are none is an answer, and secure if its proof is; of a name that
        cannot be it is never secure.
        """
        self.say("_25._tcp.a.example.com", "TLSA")
        self.say("_25._tcp.b.example.com", "TLSA", rcode=3)
        self.assertEqual(self.tlsa("_25._tcp.a.example.com"), TLSAAnswer((), 30, True))
        self.assertEqual(self.tlsa("_25._tcp.b.example.com"), TLSAAnswer((), 30, True))
        self.assertFalse(self.tlsa("x" * 64 + ".example.com").secure)

    def test_tlsa_unknown(self) -> None:
        """
        SERVFAIL, as of a bogus zone, is a failure and never "there are none" (T11).
        """
        self.say("_25._tcp.mx.example.com", "TLSA", rcode=2)
        lookup = self.resolver.lookup_tlsa("_25._tcp.mx.example.com")
        self.reactor.serve()
        self.failure(lookup, "TLSA _25._tcp.mx.example.com", "SERVFAIL")

    def test_many_tlsa(self) -> None:
        """
        Five hundred are taken, over TCP; with more the set counts as not known (T13).
        """
        for count in (MAX_TLSA, MAX_TLSA + 1):
            name = f"_{count}._tcp.mx.example.com"
            records = rrset(f"{name}. TLSA", *("3 1 1 " + index.to_bytes(32).hex() for index in range(count)))
            self.say(name, "TLSA", records)
            lookup = self.resolver.lookup_tlsa(name)
            self.reactor.serve()
            if count == MAX_TLSA:
                self.assertEqual(len(self.successResultOf(lookup).records), count)
            else:
                self.failure(lookup, "more than 500")

    def test_texts(self) -> None:
        """
        The strings of a text are joined, and the aliases on the way counted.
        """
        self.say(
            "_mta-sts.example.com",
            "TXT",
            rrset("_mta-sts.example.com. CNAME", "sts.example.net."),
            rrset("sts.example.net. TXT", '"v=STSv1;" " id=1;"', '"spf"'),
        )
        lookup = self.resolver.lookup_txt("_mta-sts.example.com")
        self.reactor.serve()
        answer = self.successResultOf(lookup)
        self.assertEqual((sorted(answer.records), answer.links), ([b"spf", b"v=STSv1; id=1;"], 1))
        self.say("none.example.com", "TXT")
        lookup = self.resolver.lookup_txt("none.example.com")
        self.reactor.serve()
        self.assertEqual(self.successResultOf(lookup), TXTAnswer((), 30))
