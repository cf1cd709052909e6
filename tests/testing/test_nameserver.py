"""
Tests for :mod:`momentum_tx.testing.nameserver`: the resolver of production asks.
"""

from random import Random
from typing import Any

import dns.message
import dns.rcode
import dns.rdatatype
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import LookupFailed
from momentum_tx.interfaces.services import AddressAnswer, MXAnswer, MXKind
from momentum_tx.net.dns_answers import MAX_EXCHANGERS
from momentum_tx.net.dns_wire import DEFAULT_NEGATIVE_TTL, MAX_NEGATIVE_TTL, Query, dns_name
from momentum_tx.net.resolver import FAILURE_LIFETIME, DNSResolver
from momentum_tx.settings import GlobalSettings
from momentum_tx.testing import nameserver
from momentum_tx.testing.clock import ProcessClock, VirtualClock
from momentum_tx.testing.datagrams import Datagrams
from momentum_tx.testing.dns import Fault, ScriptedResolver, Zone
from momentum_tx.testing.nameserver import NAMESERVERS, Asked, NameServer, wire_resolver
from momentum_tx.testing.network import VirtualNetwork
from momentum_tx.testing.reactor import VirtualReactor

#: Seconds that one server has.
TIMEOUT = 5.0


class NameServerCase(SynchronousTestCase):
    """
    A resolver and one name server, half a second apart.
    """

    #: Whether the resolver knows the second server too.
    both = False

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.network = VirtualNetwork(self.clock, Random(1), latency=0.5)
        self.datagrams = Datagrams(self.network, Random(1))
        self.zone = Zone()
        self.servers = [NameServer(self.datagrams, self.zone, address) for address in NAMESERVERS[: 1 + self.both]]
        self.server = self.servers[0]
        self.process = ProcessClock(self.clock)
        self.host = self.network.host("192.0.2.1")
        self.reactor = VirtualReactor(self.process, self.host, self.datagrams)
        self.resolver = self.make()

    def make(self, **settings: Any) -> DNSResolver:
        """
        A resolver with these settings.
        """
        return wire_resolver(self.reactor, self.servers, GlobalSettings(**settings), Random(1))

    def after(self, lookup: Deferred[Any], seconds: float) -> None:
        """
        See that *lookup* ends after so many seconds, and not a quarter of one before.
        """
        self.clock.advance(seconds - 0.25)
        self.assertNoResult(lookup)
        self.clock.advance(0.25)

    def mx(self, domain: str, after: float = 1.0) -> MXAnswer:
        """
        What is found of *domain* after so many seconds.
        """
        lookup = self.resolver.lookup_mx(domain)
        self.after(lookup, after)
        return self.successResultOf(lookup)

    def addresses(self, host: str, ipv6: bool = False, after: float = 1.0) -> AddressAnswer:
        """
        The same of a host.
        """
        lookup = self.resolver.lookup_addresses(host, ipv6)
        self.after(lookup, after)
        return self.successResultOf(lookup)

    def failure(self, domain: str, word: str, after: float) -> None:
        """
        See the lookup of *domain* fail after so many seconds, for this reason.
        """
        lookup = self.resolver.lookup_mx(domain)
        self.after(lookup, after)
        self.assertIn(word, str(self.failureResultOf(lookup, LookupFailed).value))

    def assert_idle(self) -> None:
        """
        See that nothing is left open or ticking.
        """
        self.assertEqual(self.reactor.open_ports + self.reactor.connectors, [])
        self.assertEqual(self.network.open_transports(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AnswerTests(NameServerCase):
    """
    What the tables say, over the wire.
    """

    def test_exchangers(self) -> None:
        """
        Records arrive with their preferences and their life, after a round trip.
        """
        self.zone.ttl = 77
        self.zone.mx["example.com"] = [(20, "b.example"), (10, "a.example"), (10, "c.example")]
        expected = ((10, "a.example"), (10, "c.example"), (20, "b.example"))
        self.assertEqual(self.mx("example.com"), MXAnswer(MXKind.RECORDS, expected, 77))
        self.assertEqual(self.server.asked, [Asked("example.com", "MX", False)])
        self.assertEqual(self.zone.mx_asked, ["example.com"])
        self.assert_idle()

    def test_addresses(self) -> None:
        """
        Those with a colon are AAAA records, the others A.
        """
        self.zone.addresses["mx.example"] = ["2001:db8::7", "198.51.100.7", "198.51.100.8"]
        self.assertEqual(self.addresses("mx.example").addresses, ("198.51.100.7", "198.51.100.8"))
        self.assertEqual(
            self.addresses("mx.example", ipv6=True).addresses, ("198.51.100.7", "198.51.100.8", "2001:db8::7")
        )
        self.assertEqual([asked.kind for asked in self.server.asked], ["A", "A", "AAAA"])

    def test_other_types(self) -> None:
        """
        Of types no table is about there are no records; a query that is none is
        dropped.
        """
        self.zone.mx["example.com"] = [(10, "mx.example.com")]
        name = dns_name("example.com")
        assert name is not None
        heard: list[bytes] = []
        self.server.ask(Query(name, dns.rdatatype.TXT, 7, False).wire, False, heard.append)
        self.server.ask(b"\x00\x07 nonsense", False, heard.append)
        (answer,) = map(dns.message.from_wire, heard)
        self.assertEqual((answer.id, answer.rcode(), answer.answer), (7, dns.rcode.NOERROR, []))
        self.assertEqual(answer.edns, -1)

    def test_spelling(self) -> None:
        """
        Names are found whatever their case, and repeated as they were asked for.
        """
        self.zone.addresses["mx.example"] = ["198.51.100.7"]
        self.assertEqual(self.addresses("MX.example").addresses, ("198.51.100.7",))

    def test_negative(self) -> None:
        """
        Negative answers carry a SOA, whose minimum is the time they may be kept.
        """
        self.zone.negative_ttl = 33
        self.assertEqual(self.mx("nowhere.example"), MXAnswer(MXKind.NXDOMAIN, (), 33))
        self.zone.negative_ttl = None
        self.zone.ttl = 3600
        self.assertEqual(self.mx("nobody.example"), MXAnswer(MXKind.NXDOMAIN, (), MAX_NEGATIVE_TTL))

    def test_change(self) -> None:
        """
        A table may change at any time, in place as well.
        """
        records = [(10, "a.example")]
        self.zone.mx["example.com"] = records
        self.mx("example.com")
        records.append((20, "b.example"))
        self.clock.advance(300)
        self.assertEqual(self.mx("example.com").records, ((10, "a.example"), (20, "b.example")))

    def test_encoded_once(self) -> None:
        """
        The same answer is encoded once, up to a bound, and bears each query's id.
        """
        self.patch(nameserver, "MOST_ENCODED", 4)
        encoded: list[object] = []
        encode = nameserver._encode

        def count(said: Any) -> bytes:
            encoded.append(said)
            return encode(said)

        self.patch(nameserver, "_encode", count)
        for number in range(10):
            self.resolver = DNSResolver(self.reactor, [(self.server.address, 53)], Random(number))
            self.zone.addresses["mx.example"] = ["198.51.100.7"]
            self.assertEqual(self.addresses("mx.example").addresses, ("198.51.100.7",))
        self.assertEqual(len(encoded), 1)
        for number in range(10):
            self.addresses(f"mx{number}.example")
        self.assertEqual(len(encoded), 11)
        self.assertLessEqual(len(self.server._encoded), 4)

    def test_large(self) -> None:
        """
        What does not fit into a datagram comes over TCP.
        """
        self.zone.mx["example.com"] = [(number, f"mx{number}.example.com") for number in range(120)]
        # Two round trips more: one for the connect.
        self.assertEqual(len(self.mx("example.com", after=3.0).records), MAX_EXCHANGERS)
        self.assertEqual([asked.stream for asked in self.server.asked], [False, True])
        self.clock.advance(1)
        self.assert_idle()

    def test_large_without_edns(self) -> None:
        """
        Without EDNS half as much fits.
        """
        self.zone.mx["example.com"] = [(number, f"mx{number}.example.com") for number in range(40)]
        self.assertEqual(len(self.mx("example.com").records), 40)
        self.zone.fault = Fault.NO_EDNS
        self.clock.advance(300)
        self.mx("example.com", after=4.0)
        self.assertEqual([asked.stream for asked in self.server.asked], [False, False, False, True])

    def test_same_as_scripted(self) -> None:
        """
        The resolver of production finds on the wire what the scripted one reads
        in the tables.
        """
        zone = self.zone
        zone.mx["many.example"] = [(20, "b.example"), (10, "a.example")]
        zone.mx["null.example"] = MXKind.NULL
        zone.mx["none.example"] = MXKind.NONE
        zone.mx["nx.example"] = MXKind.NXDOMAIN
        zone.mx["empty.example"] = []
        zone.mx["broken.example"] = LookupFailed("SERVFAIL")
        zone.addresses["broken.example"] = LookupFailed("SERVFAIL")
        zone.addresses["host.example"] = ["198.51.100.7", "2001:db8::7"]
        zone.addresses["six.example"] = ["2001:db8::7"]
        zone.addresses["none.example"] = []
        zone.aliases["many-alias.example"] = "many.example"
        zone.aliases["host-alias.example"] = "other-alias.example"
        zone.aliases["other-alias.example"] = "host.example"
        zone.aliases["dangling.example"] = "nowhere.example"
        zone.aliases["round.example"] = "and-round.example"
        zone.aliases["and-round.example"] = "round.example"
        for fault in Fault:
            name = f"{fault.name.lower().replace('_', '-')}.example"
            zone.mx[name], zone.addresses[name] = [(10, "a.example")], ["198.51.100.9"]
            zone.faults[name] = fault
        # What is said without a SOA the resolver keeps for a time of its own.
        zone.negative_ttl = DEFAULT_NEGATIVE_TTL
        # Whatever takes a timeout is to be seen.
        zone.faults["silent.example"] = Fault.SERVFAIL
        scripted = ScriptedResolver(self.clock, zone)
        names = dict.fromkeys([*zone.mx, *zone.addresses, *zone.aliases, "nowhere.example"])
        for name in names:
            lookups: list[Deferred[Any]] = []
            for ipv6 in (False, True):
                for resolver in (scripted, self.resolver):
                    lookups += [resolver.lookup_mx(name), resolver.lookup_addresses(name, ipv6)]
            self.clock.advance(60)
            found = []
            for lookup in lookups:
                lookup.addErrback(lambda failure: failure.trap(LookupFailed))
                found.append(self.successResultOf(lookup))
            self.assertEqual(found[:2] + found[4:6], found[2:4] + found[6:], name)
        self.assertGreater(len(names), 25)

    def test_settings(self) -> None:
        """
        The resolver is made for the settings; servers that they name are asked
        instead of ours.
        """
        self.resolver = self.make(dns_timeout=2.0, nameservers=("192.0.2.77",))
        self.failure("example.com", "192.0.2.77:53: nothing listens there", 1.0)
        self.network.black_hole("192.0.2.77")
        self.clock.advance(FAILURE_LIFETIME)
        self.failure("example.com", "no answer in 2 s", 4.0)


class FaultTests(NameServerCase):
    """
    What may be wrong, and what becomes of it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.zone.mx["example.com"] = [(10, "mx.example.com")]
        self.zone.mx["well.example"] = [(10, "mx.well.example")]

    def fail_with(self, fault: Fault, word: str, after: float) -> None:
        """
        See what *fault* makes of a lookup, and that other names are well.
        """
        self.zone.faults["example.com"] = fault
        self.failure("example.com", word, after)
        self.clock.advance(FAILURE_LIFETIME)
        self.mx("well.example")
        self.clock.advance(self.zone.ttl)
        self.assert_idle()

    def test_silent(self) -> None:
        """
        A silent server is asked twice, and has its time each time.
        """
        self.fail_with(Fault.SILENT, "no answer in 5 s", 2 * TIMEOUT)
        self.assertEqual(self.zone.mx_asked, ["example.com", "example.com", "well.example"])

    def test_codes(self) -> None:
        """
        A code of refusal ends the question; FORMERR is first answered by asking
        without EDNS.
        """
        self.fail_with(Fault.SERVFAIL, "SERVFAIL", 1.0)
        self.fail_with(Fault.REFUSED, "REFUSED", 1.0)
        self.fail_with(Fault.FORMERR, "FORMERR", 2.0)

    def test_no_edns(self) -> None:
        """
        A server that does not know EDNS is asked without.
        """
        self.zone.faults["example.com"] = Fault.NO_EDNS
        self.assertEqual(self.mx("example.com", after=2.0).kind, MXKind.RECORDS)

    def test_truncated(self) -> None:
        """
        A truncated answer costs a connection.
        """
        self.zone.faults["example.com"] = Fault.TRUNCATED
        self.assertEqual(self.mx("example.com", after=3.0).kind, MXKind.RECORDS)
        self.assertEqual([asked.stream for asked in self.server.asked], [False, True])
        self.clock.advance(1)
        self.assert_idle()

    def test_truncated_only(self) -> None:
        """
        A server whose TCP hangs up has no answer.
        """
        self.fail_with(Fault.TRUNCATED_ONLY, "connection closed without an answer", 3.0)

    def test_tcp_refused(self) -> None:
        """
        A server without TCP refuses the connect; it may be given TCP again.
        """
        self.server.start(stream=False)
        self.fail_with(Fault.TRUNCATED, "TCP: Connection was refused", 2.0)
        self.server.start()
        self.mx("example.com", after=3.0)

    def test_silent_over_tcp(self) -> None:
        """
        A connection without an answer is dropped when the time is up.
        """
        self.zone.faults["example.com"] = Fault.TRUNCATED
        lookup = self.resolver.lookup_mx("example.com")
        self.clock.advance(1.5)
        self.zone.silent = True
        self.clock.advance(60)
        self.assertIn("no answer", str(self.failureResultOf(lookup, LookupFailed).value))
        self.assert_idle()

    def test_garbage(self) -> None:
        """
        Rubbish behind the question is an answer that nobody can read.
        """
        self.fail_with(Fault.GARBAGE, "unreadable answer", 1.0)

    def test_strangers(self) -> None:
        """
        What does not answer our question is not heard at all.
        """
        self.fail_with(Fault.WRONG_ID, "no answer in 5 s", 2 * TIMEOUT)
        self.fail_with(Fault.WRONG_QUESTION, "no answer in 5 s", 2 * TIMEOUT)

    def test_lame(self) -> None:
        """
        An empty answer that nobody answers for is no answer.
        """
        self.fail_with(Fault.LAME, "a lame answer", 1.0)

    def test_referral(self) -> None:
        """
        A server that names others does not recurse, which is no answer.
        """
        self.fail_with(Fault.REFERRAL, "does not recurse", 1.0)

    def test_loop(self) -> None:
        """
        Aliases that lead to each other lead nowhere, made up or in the table.
        """
        self.fail_with(Fault.LOOP, "alias loop", 1.0)
        self.zone.aliases["a.example"], self.zone.aliases["b.example"] = "b.example", "a.example"
        self.failure("a.example", "alias loop", 1.0)

    def test_one_link(self) -> None:
        """
        Aliases are followed by whom we ask, or else by us.
        """
        self.zone.aliases["a.example"], self.zone.aliases["b.example"] = "b.example", "example.com"
        self.assertEqual(self.mx("a.example").kind, MXKind.RECORDS)
        self.zone.fault = Fault.ONE_LINK
        self.clock.advance(300)
        self.assertEqual(self.mx("a.example", after=3.0).kind, MXKind.RECORDS)
        self.assertEqual(self.zone.mx_asked, ["a.example", "a.example", "b.example", "example.com"])

    def test_delay(self) -> None:
        """
        Answers take their time, single names another; a server that is stopped
        meanwhile says nothing any more.
        """
        self.zone.delay, self.zone.delays["well.example"] = 2.0, 3.0
        self.mx("example.com", after=3.0)
        self.mx("well.example", after=4.0)
        lookup = self.resolver.lookup_mx("nowhere.example")
        self.clock.advance(1)
        self.server.stop()
        self.clock.advance(60)
        self.failureResultOf(lookup, LookupFailed)

    def test_late(self) -> None:
        """
        An answer to a question that was given up finds nobody.
        """
        self.zone.delays["example.com"] = TIMEOUT
        self.failure("example.com", "no answer", 2 * TIMEOUT)
        self.clock.advance(TIMEOUT)
        self.assert_idle()

    def test_lost(self) -> None:
        """
        A lost datagram, question or answer, costs a timeout.
        """
        self.datagrams.dropping = 1
        self.mx("example.com", after=TIMEOUT + 1)
        lookup = self.resolver.lookup_mx("well.example")
        self.clock.advance(0.25)
        self.datagrams.dropping = 1
        self.after(lookup, TIMEOUT - 0.25 + 1)
        self.successResultOf(lookup)
        self.assertEqual(self.zone.mx_asked, ["example.com", "well.example", "well.example"])

    def test_twice(self) -> None:
        """
        Datagrams that come twice do no harm.
        """
        self.datagrams.duplication = 1.0
        self.mx("example.com")
        self.clock.advance(1)
        self.assertEqual(self.zone.mx_asked, ["example.com"] * 2)
        self.assert_idle()


class SecondServerTests(NameServerCase):
    """
    Two servers.
    """

    both = True

    def setUp(self) -> None:
        super().setUp()
        self.second = self.servers[1]
        self.zone.mx["example.com"] = [(10, "mx.example.com")]

    def test_first_stopped(self) -> None:
        """
        A server that is not there, over UDP or TCP, is found out in a round
        trip; it may come back.
        """
        self.server.stop()
        self.server.stop()
        self.assertIsNone(self.network.listening_at((self.server.address, 53)))
        self.mx("example.com", after=2.0)
        self.assertEqual((self.server.asked, len(self.second.asked)), ([], 1))
        self.server.start()
        self.mx("nowhere.example")
        self.assertEqual((len(self.server.asked), len(self.second.asked)), (1, 1))

    def test_first_silent(self) -> None:
        """
        A silent one costs its timeout once, then it is asked last for a while.
        """
        self.server.fault = Fault.SILENT
        self.mx("example.com", after=TIMEOUT + 1)
        self.mx("nowhere.example")
        self.assertEqual((len(self.server.asked), len(self.second.asked)), (1, 2))

    def test_faults_are_theirs(self) -> None:
        """
        What is wrong with one server is not wrong with the other.
        """
        self.server.fault = Fault.SERVFAIL
        self.mx("example.com", after=2.0)
        self.second.fault = Fault.REFUSED
        self.failure("nowhere.example", "SERVFAIL; 192.0.2.54:53: REFUSED", 2.0)


class SignedTests(NameServerCase):
    """
    Signed and broken zones, asked over the wire and of the scripted resolver.
    """

    def setUp(self) -> None:
        super().setUp()
        self.resolver = self.make(trust_ad=True)
        self.scripted = ScriptedResolver(zone=self.zone)

    def both_say(self, method: str, *arguments: Any) -> Any:
        """
        What both resolvers say, the same.
        """
        lookup = getattr(self.resolver, method)(*arguments)
        self.clock.advance(5)
        found = self.successResultOf(lookup)
        self.assertEqual(found, self.successResultOf(getattr(self.scripted, method)(*arguments)))
        return found

    def test_signed(self) -> None:
        """
        What is at or below a signed name is secure, an alias out of it is not.
        """
        self.zone.signed.add("example.com")
        self.zone.mx["example.com"] = [(10, "mx.example.com")]
        self.zone.addresses["mx.example.com"] = ["198.51.100.7"]
        self.zone.aliases["alias.example.com"] = "elsewhere.example"
        self.zone.addresses["elsewhere.example"] = ["198.51.100.8"]
        self.assertTrue(self.both_say("lookup_mx", "example.com").secure)
        self.assertTrue(self.both_say("lookup_addresses", "mx.example.com", False).secure)
        self.assertTrue(self.both_say("lookup_mx", "nothing.example.com").secure)
        self.assertFalse(self.both_say("lookup_addresses", "alias.example.com", False).secure)
        self.assertTrue(self.both_say("lookup_alias", "alias.example.com").secure)
        self.assertEqual(self.both_say("lookup_alias", "mx.example.com").target, "")
        self.assertFalse(self.both_say("lookup_mx", "example.org").secure)

    def test_tlsa_and_texts(self) -> None:
        """
        TLSA records and texts of any length arrive as they are in the tables.
        """
        self.zone.signed.add("example.com")
        self.zone.tlsa["_25._tcp.mx.example.com"] = [(3, 1, 1, b"x" * 32)]
        self.zone.texts["_mta-sts.example.com"] = [b"v=STSv1; id=" + b"1" * 300]
        self.zone.aliases["_mta-sts.example.org"] = "_mta-sts.example.com"
        found = self.both_say("lookup_tlsa", "_25._tcp.mx.example.com")
        self.assertEqual((found.records, found.secure), (((3, 1, 1, b"x" * 32),), True))
        self.assertTrue(self.both_say("lookup_tlsa", "_25._tcp.none.example.com").secure)
        self.assertEqual(len(self.both_say("lookup_txt", "_mta-sts.example.com").records[0]), 312)
        self.assertEqual(self.both_say("lookup_txt", "_mta-sts.example.org").links, 1)
        self.assertEqual(self.zone.others_asked.count("TXT _mta-sts.example.org"), 2)

    def test_bogus(self) -> None:
        """
        Below a name with bad signatures nothing can be had.
        """
        self.zone.signed.add("example.com")
        self.zone.bogus.add("_tcp.mx.example.com")
        self.zone.tlsa["_25._tcp.mx.example.com"] = [(3, 1, 1, b"x" * 32)]
        for resolver in (self.resolver, self.scripted):
            lookup = resolver.lookup_tlsa("_25._tcp.mx.example.com")
            self.clock.advance(5)
            self.assertIn("SERVFAIL", str(self.failureResultOf(lookup, LookupFailed).value))
