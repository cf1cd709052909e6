"""
Tests for :mod:`momentum_tx.net.dns_question`.
"""

from random import Random

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import LookupFailed, LookupHindered
from momentum_tx.net.dns_question import DEMOTION, Question, Upstream
from momentum_tx.net.dns_transport import Nameserver
from momentum_tx.net.dns_wire import Records
from momentum_tx.timers import Agenda

from .dns_doubles import SECOND, SERVER, DNSReactor, FakePort, raw_record, reply, rrset, soa

MX_RECORD = rrset("example.com. MX", "10 mx.example.com.")
FORMERR, SERVFAIL, NOTIMP, REFUSED = 1, 2, 4, 5


class QuestionTests(SynchronousTestCase):
    """
    One question, two servers.
    """

    def setUp(self) -> None:
        self.reactor = DNSReactor()
        self.agenda = Agenda(self.reactor)
        self.outcomes: list[Records | LookupFailed] = []
        self.configure(SERVER, SECOND)

    def configure(self, *servers: tuple[str, int]) -> None:
        """
        Use these servers.
        """
        nameservers = tuple(Nameserver(*server) for server in servers)
        self.upstream = Upstream(self.reactor, self.agenda, nameservers, Random(1), 5.0)

    def ask(self, name: str = "example.com") -> Question:
        """
        Ask for the exchangers of *name*.
        """
        question = Question(
            self.upstream,
            dns.name.from_text(name),
            dns.rdatatype.MX,
            lambda question, outcome: self.outcomes.append(outcome),
        )
        question.start()
        return question

    def port(self) -> FakePort:
        """
        The one port that waits for an answer.
        """
        (port,) = self.reactor.open_ports
        return port

    def refuse(self, rcode: int) -> None:
        """
        Let the server that is asked decline.
        """
        port = self.port()
        port.receive(reply(port.sent[0], rcode=rcode))
        self.reactor.advance(0)

    def answered(self) -> None:
        """
        Let the server that is asked answer, and see that it counts.
        """
        port = self.port()
        port.receive(reply(port.sent[0], MX_RECORD))
        (records,) = self.outcomes
        assert isinstance(records, Records)
        self.assertEqual(len(records.rdatas), 1)
        self.assert_idle()

    def failed(self, *words: str) -> None:
        """
        See that it has failed, for these reasons.
        """
        (failure,) = self.outcomes
        assert isinstance(failure, LookupFailed)
        for word in ("MX example.com", *words):
            self.assertIn(word, str(failure))
        self.assert_idle()

    def assert_idle(self) -> None:
        """
        See that nothing is left open or ticking.
        """
        self.assertEqual(self.reactor.open_ports, [])
        self.agenda.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_answer(self) -> None:
        """
        The first server is asked first, and its answer is told.
        """
        self.ask()
        self.assertEqual(self.port().peer, SERVER)
        self.answered()

    def test_fresh_ids(self) -> None:
        """
        Every query has a port and an id of its own.
        """
        for _ in range(50):
            self.ask()
        ids = {port.sent[0][:2] for port in self.reactor.ports}
        self.assertEqual(len(self.reactor.ports), 50)
        self.assertGreater(len(ids), 45)

    def test_declined(self) -> None:
        """
        SERVFAIL, REFUSED and NOTIMP send the question to the next server; when
        all declined, the failure names each with its reason, and none is
        bothered twice.
        """
        for rcode in (SERVFAIL, REFUSED, NOTIMP):
            self.outcomes.clear()
            self.ask()
            self.refuse(rcode)
            self.assertEqual(self.port().peer, SECOND)
            self.answered()
        self.outcomes.clear()
        self.ask()
        asked = len(self.reactor.ports)
        self.refuse(SERVFAIL)
        self.refuse(REFUSED)
        self.failed("192.0.2.53:53: SERVFAIL", "192.0.2.54:53: REFUSED")
        self.assertEqual(len(self.reactor.ports), asked + 1)

    def test_lame(self) -> None:
        """
        An empty answer that no zone vouches for sends the question to the next
        server, and fails the lookup at last: it is no word on the domain.
        """
        self.ask()
        self.refuse(0)
        self.assertEqual(self.port().peer, SECOND)
        self.answered()
        self.outcomes.clear()
        self.ask()
        self.refuse(0)
        self.refuse(0)
        self.failed("192.0.2.53:53: a lame answer", "192.0.2.54:53: a lame answer")

    def test_silence(self) -> None:
        """
        Each server has its five seconds, twice; then it is a failure, and no
        server was asked a third time.
        """
        self.ask()
        peers = []
        for _ in range(4):
            peers.append(self.port().peer)
            self.reactor.advance(4.9)
            self.assertEqual(self.port().peer, peers[-1])
            self.reactor.advance(0.1)
        self.assertEqual(peers, [SERVER, SECOND, SERVER, SECOND])
        self.failed("192.0.2.53:53: no answer in 5 s", "192.0.2.54:53: no answer in 5 s")

    def test_one_round(self) -> None:
        """
        Where a server shall be asked once, a silent one is not asked again.
        """
        servers = tuple(Nameserver(*server) for server in (SERVER, SECOND))
        self.upstream = Upstream(self.reactor, self.agenda, servers, Random(1), 2.0, 1)
        self.ask()
        peers = []
        for _ in range(2):
            peers.append(self.port().peer)
            self.reactor.advance(2.0)
        self.assertEqual(peers, [SERVER, SECOND])
        self.failed("192.0.2.53:53: no answer in 2 s", "192.0.2.54:53: no answer in 2 s")

    def test_late(self) -> None:
        """
        An answer that takes 4.9 seconds is in time.
        """
        self.ask()
        self.reactor.advance(4.9)
        self.answered()

    def test_silent_server_is_last(self) -> None:
        """
        After a timeout others are spared the wait for a while, then the first
        server gets its place back.
        """
        self.ask()
        self.reactor.advance(5)
        self.answered()
        self.outcomes.clear()
        self.ask()
        self.assertEqual(self.port().peer, SECOND)
        self.answered()
        self.outcomes.clear()
        self.reactor.advance(DEMOTION)
        self.ask()
        self.assertEqual(self.port().peer, SERVER)
        self.answered()

    def test_nobody_listens(self) -> None:
        """
        A server whose port is closed costs no wait.
        """
        self.ask()
        for _ in range(2):
            self.port().protocol.connectionRefused()
            self.reactor.advance(0)
        self.failed("nothing listens there")
        self.assertEqual(self.reactor.seconds(), 0)

    def test_without_edns(self) -> None:
        """
        A server that says FORMERR is asked again without EDNS, once.
        """
        self.ask()
        self.refuse(FORMERR)
        self.assertEqual(self.port().peer, SERVER)
        self.assertEqual(dns.message.from_wire(self.port().sent[0]).edns, -1)
        self.refuse(FORMERR)
        self.assertEqual(self.port().peer, SECOND)
        self.assertEqual(dns.message.from_wire(self.port().sent[0]).edns, 0)
        self.answered()

    def truncate(self) -> None:
        """
        Let the server say that the answer does not fit.
        """
        port = self.port()
        port.receive(reply(port.sent[0], flags=dns.flags.TC | dns.flags.RA))

    def test_truncated(self) -> None:
        """
        What does not fit into a datagram is asked for over TCP, from the same
        server under a new id.
        """
        self.ask()
        first = self.port().sent[0]
        self.truncate()
        self.assertEqual(self.reactor.open_ports, [])
        self.assertEqual(self.reactor.tcpClients[0][:2], SERVER)
        protocol, transport = self.reactor.stream()
        wire = transport.value()[2:]
        self.assertNotEqual(wire[:2], first[:2])
        answer = reply(wire, *(rrset("example.com. MX", f"{n} m{n}.example.") for n in range(500)))
        protocol.dataReceived(len(answer).to_bytes(2) + answer)
        (records,) = self.outcomes
        assert isinstance(records, Records)
        self.assertEqual(len(records.rdatas), 500)
        self.assert_idle()

    def test_truncated_without_tcp(self) -> None:
        """
        A server that truncates and is silent over TCP is a silent server: the
        question ends with a failure, in bounded time.
        """
        self.configure(SERVER)
        self.ask()
        for _ in range(2):
            self.truncate()
            self.reactor.stream()
            self.reactor.advance(5)
        self.failed("no answer in 5 s")

    def test_truncated_twice(self) -> None:
        """
        An answer truncated over TCP too is none.
        """
        self.configure(SERVER)
        self.ask()
        self.truncate()
        protocol, transport = self.reactor.stream()
        answer = reply(transport.value()[2:], flags=dns.flags.TC)
        protocol.dataReceived(len(answer).to_bytes(2) + answer)
        self.reactor.advance(0)
        self.failed("truncated over TCP")

    def test_malformed(self) -> None:
        """
        MX data of two octets is no null MX but an unreliable answer: the next
        server is asked, and then it is a failure.
        """
        self.ask()
        for _ in range(2):
            port = self.port()
            port.receive(raw_record(port.sent[0], 15, b"\x00\x0a"))
            self.reactor.advance(0)
        self.failed("unreadable")

    def test_wrong_answers(self) -> None:
        """
        Answers to something else are ignored until the time is over.
        """
        self.configure(SERVER)
        self.ask()
        for _ in range(2):
            port = self.port()
            right = reply(port.sent[0], MX_RECORD)
            port.receive(bytes([right[0] ^ 1]) + right[1:])
            port.receive(right.replace(b"example", b"another"))
            self.assertEqual(self.outcomes, [])
            self.reactor.advance(5)
        self.failed("no answer")

    def test_alias_elsewhere(self) -> None:
        """
        An alias whose end the server did not look for is asked for, and its
        records are the answer.
        """
        self.ask()
        port = self.port()
        port.receive(reply(port.sent[0], rrset("example.com. CNAME", "x.example.", ttl=7)))
        port = self.port()
        self.assertEqual(dns.message.from_wire(port.sent[0]).question[0].to_text(), "x.example. IN MX")
        port.receive(reply(port.sent[0], rrset("x.example. MX", "10 mx.example.")))
        (records,) = self.outcomes
        assert isinstance(records, Records)
        self.assertEqual((len(records.rdatas), records.ttl), (1, 7))
        self.assert_idle()

    def test_alias_loop_elsewhere(self) -> None:
        """
        Aliases that lead in a circle over several answers are found out.
        """
        self.ask()
        for name, target in (("example.com.", "x.example."), ("x.example.", "example.com.")):
            port = self.port()
            port.receive(reply(port.sent[0], rrset(f"{name} CNAME", target)))
        self.failed("loop")

    def test_endless_aliases(self) -> None:
        """
        A server that invents a new alias each time is left after eight.
        """
        self.ask()
        name, asked = "example.com.", 0
        while self.reactor.open_ports and asked < 50:
            port = self.port()
            port.receive(reply(port.sent[0], rrset(f"{name} CNAME", f"x{asked}.example.")))
            name = f"x{asked}.example."
            asked += 1
        self.assertEqual(asked, 9)
        self.failed("aliases")

    def test_overall_bound(self) -> None:
        """
        Aliases do not add up: a chain over slow answers ends with the bound
        of one question.
        """
        self.configure(SERVER)
        self.ask()
        name = "example.com."
        for link in range(3):
            self.reactor.advance(3)
            port = self.port()
            port.receive(reply(port.sent[0], rrset(f"{name} CNAME", f"x{link}.example.")))
            name = f"x{link}.example."
        self.reactor.advance(1)
        self.failed("no answer")
        self.assertEqual(self.reactor.seconds(), self.upstream.bound)

    def test_negative(self) -> None:
        """
        "No such name" is an answer; nobody else is asked.
        """
        self.ask()
        port = self.port()
        port.receive(reply(port.sent[0], rcode=3, authority=(soa("com."),)))
        self.assertEqual(self.outcomes, [Records(False, (), 30)])
        self.assert_idle()

    def test_no_port(self) -> None:
        """
        A machine out of descriptors asks nobody and fails nothing, however long that takes:
        when it has one again the question is asked, and has all its time.
        """
        self.reactor.exhausted = True
        self.ask()
        self.reactor.pump([1.0] * 100)
        self.assertEqual((self.outcomes, self.reactor.ports), ([], []))
        self.reactor.exhausted = False
        self.reactor.pump([1.0] * 4)
        self.assertEqual(self.outcomes, [])
        port = self.port()
        port.receive(reply(port.sent[0], rcode=3, authority=(soa("com."),)))
        self.assertEqual(self.outcomes, [Records(False, (), 30)])
        self.assert_idle()

    def test_no_port_given_up(self) -> None:
        """
        Whoever waits for a descriptor can be cancelled.
        """
        self.reactor.exhausted = True
        question = self.ask()
        self.reactor.advance(1)
        question.cancel()
        self.assert_idle()

    def test_no_route(self) -> None:
        """
        So is a network that is down.
        """
        self.reactor.unreachable = True
        self.ask()
        self.reactor.advance(0)
        self.reactor.advance(0)
        self.failed("cannot send", "unreachable")
        self.assertIsInstance(self.outcomes[0], LookupHindered)

    def test_no_route_to_one(self) -> None:
        """
        With one server that declines and one that cannot be reached, somebody was asked.
        """
        self.ask()
        self.reactor.unreachable = True
        self.refuse(SERVFAIL)
        self.reactor.advance(0)
        self.failed("cannot send", "SERVFAIL")
        self.assertNotIsInstance(self.outcomes[0], LookupHindered)

    def test_cancel(self) -> None:
        """
        A cancelled question closes its port and tells nothing, at any stage.
        """
        self.ask().cancel()
        self.assert_idle()
        question = self.ask()
        self.truncate()
        _, transport = self.reactor.stream()
        question.cancel()
        question.cancel()
        self.assertTrue(transport.disconnected)
        self.reactor.advance(100)
        self.assertEqual(self.outcomes, [])
        self.assert_idle()
