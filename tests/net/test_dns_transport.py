"""
Tests for :mod:`momentum_tx.net.dns_transport`.
"""

from collections.abc import Callable
from typing import Any

import dns.name
import dns.rdatatype
from twisted.internet.error import CannotListenError, ConnectionRefusedError
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.net.dns_transport import MAX_MESSAGE, MAX_STRAYS, DatagramExchange, Nameserver, StreamExchange
from momentum_tx.net.dns_wire import Query

from .dns_doubles import SERVER, DNSReactor, FakePort, reply, rrset


class NameserverTests(SynchronousTestCase):
    """
    A server's address.
    """

    def test_spelling(self) -> None:
        """
        Every spelling of its address is the same server; another port is not.
        """
        server = Nameserver("2001:DB8:0::53", 5353)
        self.assertTrue(server.is_ipv6)
        self.assertEqual(str(server), "[2001:db8::53]:5353")
        self.assertTrue(server.sent(("2001:db8::53", 5353, 0, 0)))
        self.assertTrue(server.sent(("2001:db8:0:0::53", 5353)))
        self.assertFalse(server.sent(("2001:db8::53", 53)))
        self.assertFalse(server.sent(("2001:db8::54", 5353)))

    def test_scope(self) -> None:
        """
        A link-local server is connected to with its scope and known without.
        """
        server = Nameserver("fe80::1%eth0")
        self.assertEqual((server.host, server.port), ("fe80::1%eth0", 53))
        self.assertTrue(server.sent(("fe80::1%eth0", 53, 0, 2)))
        self.assertTrue(server.sent(("fe80::1", 53)))

    def test_not_an_address(self) -> None:
        """
        A name is not the address of a name server.
        """
        self.assertRaises(ValueError, Nameserver, "ns.example")


class ExchangeCase(SynchronousTestCase):
    """
    One query, and what became of it.
    """

    def setUp(self) -> None:
        self.reactor = DNSReactor()
        self.query = Query(dns.name.from_text("example.com"), dns.rdatatype.MX, 4711, True)
        self.answer = reply(self.query.wire, rrset("example.com. MX", "10 mx.example.com."))
        self.answers: list[bytes] = []
        self.failures: list[str] = []


class DatagramExchangeTests(ExchangeCase):
    """
    Over UDP.
    """

    def start(self, address: str = SERVER[0]) -> FakePort:
        """
        Send the query.
        """
        self.exchange = DatagramExchange(
            self.reactor, Nameserver(address), self.query, self.answers.append, self.failures.append
        )
        self.exchange.start()
        return self.reactor.ports[-1]

    def test_answer(self) -> None:
        """
        The query leaves from a port of its own, connected to the server; the
        answer closes it.
        """
        port = self.start()
        self.assertEqual(port.peer, SERVER)
        self.assertEqual(port.sent, [self.query.wire])
        port.receive(self.answer)
        self.assertEqual(self.answers, [self.answer])
        self.assertFalse(port.open)

    def test_ipv6(self) -> None:
        """
        An IPv6 server is asked from an IPv6 port.
        """
        self.assertEqual(self.start("2001:db8::53").interface, "::")

    def test_strays(self) -> None:
        """
        Wrong id, wrong question, wrong sender and garbage are ignored, and the
        right answer behind them is still heard.
        """
        port = self.start()
        port.receive(bytes([self.answer[0] ^ 0x55]) + self.answer[1:])
        port.receive(self.answer.replace(b"example", b"another"))
        port.receive(self.answer[:2] + b"\xff" * 200)
        port.receive(b"")
        port.receive(self.answer, ("192.0.2.66", 53))
        port.receive(self.answer, (SERVER[0], 5353))
        self.assertEqual((self.answers, self.failures), ([], []))
        port.receive(self.answer)
        self.assertEqual(self.answers, [self.answer])

    def test_flood(self) -> None:
        """
        Somebody who keeps guessing is not listened to for ever.
        """
        port = self.start()
        for _ in range(MAX_STRAYS):
            port.receive(b"guess")
        self.assertEqual(len(self.failures), 1)
        self.assertFalse(port.open)
        port.receive(self.answer)
        self.assertEqual(self.answers, [])

    def test_refused(self) -> None:
        """
        A server that is not there is noticed at once.
        """
        port = self.start()
        port.protocol.connectionRefused()
        self.assertEqual(len(self.failures), 1)
        self.assertFalse(port.open)

    def test_closed(self) -> None:
        """
        After its close nothing is told any more, and closing twice is harmless.
        """
        port = self.start()
        self.exchange.close()
        self.exchange.close()
        port.receive(self.answer)
        port.protocol.connectionRefused()
        self.assertEqual((self.answers, self.failures), ([], []))

    def test_cannot_send(self) -> None:
        """
        No port and no route are raised, and leave nothing open.
        """
        self.reactor.exhausted = True
        self.assertRaises(CannotListenError, self.start)
        self.reactor.exhausted, self.reactor.unreachable = False, True
        self.assertRaises(OSError, self.start)
        self.exchange.close()
        self.assertEqual(self.reactor.open_ports, [])


class StreamExchangeTests(ExchangeCase):
    """
    Over TCP.
    """

    def start(self) -> tuple[Any, StringTransport]:
        """
        Connect, and let the connect succeed.
        """
        self.begin()
        return self.reactor.stream()

    def begin(self) -> None:
        """
        Connect.
        """
        self.exchange = StreamExchange(
            self.reactor, Nameserver(*SERVER), self.query, 5.0, self.answers.append, self.failures.append
        )
        self.exchange.start()

    def framed(self, message: bytes) -> bytes:
        """
        *message* with its length.
        """
        return len(message).to_bytes(2) + message

    def each_way(self, check: Callable[[Callable[[bytes], None]], None]) -> None:
        """
        Run *check* with the octets in one piece, and one at a time.
        """
        for size in (1, 65536):
            self.answers.clear()
            self.failures.clear()
            protocol, self.transport = self.start()

            def feed(data: bytes, size: int = size, protocol: Any = protocol) -> None:
                for start in range(0, len(data), size):
                    protocol.dataReceived(data[start : start + size])

            check(feed)

    def test_answer(self) -> None:
        """
        The answer is told without its length, and the connection dropped.
        """

        def check(feed: Callable[[bytes], None]) -> None:
            self.assertEqual(self.transport.value(), self.framed(self.query.wire))
            feed(self.framed(self.answer))
            self.assertEqual((self.answers, self.failures), ([self.answer], []))
            self.assertTrue(self.transport.disconnected)

        self.each_way(check)

    def test_wrong_answer(self) -> None:
        """
        A stream has no strays: what does not answer the query ends it.
        """

        def check(feed: Callable[[bytes], None]) -> None:
            feed(self.framed(self.answer.replace(b"example", b"another")))
            self.assertEqual((self.answers, len(self.failures)), ([], 1))

        self.each_way(check)

    def test_too_large(self) -> None:
        """
        A message above the bound is refused before it is read.
        """

        def check(feed: Callable[[bytes], None]) -> None:
            feed((MAX_MESSAGE + 1).to_bytes(2))
            self.assertEqual((self.answers, len(self.failures)), ([], 1))
            self.assertTrue(self.transport.disconnected)

        self.each_way(check)

    def test_cut(self) -> None:
        """
        A connection that ends within the answer is no answer.
        """

        def check(feed: Callable[[bytes], None]) -> None:
            feed(self.framed(self.answer)[:-1])
            self.transport.producer = None
            self.reactor.tcpClients[-1][2]._stream.connectionLost()  # type: ignore[attr-defined]
            self.assertEqual((self.answers, len(self.failures)), ([], 1))

        self.each_way(check)

    def test_refused(self) -> None:
        """
        A server without TCP is noticed.
        """
        self.begin()
        factory = self.reactor.tcpClients[-1][2]
        factory.clientConnectionFailed(self.reactor.connectors[-1], Failure(ConnectionRefusedError()))
        self.assertEqual(len(self.failures), 1)
        self.assertIn("refused", self.failures[0])

    def test_closed(self) -> None:
        """
        Closing stops the connect, or drops the connection; nothing is told.
        """
        self.begin()
        self.exchange.close()
        self.exchange.close()
        self.assertTrue(self.reactor.connectors[-1]._disconnected)
        self.assertIsNone(self.exchange.buildProtocol(None))
        protocol, transport = self.start()
        self.exchange.close()
        self.assertTrue(transport.disconnected)
        protocol.dataReceived(self.framed(self.answer))
        protocol.connectionLost()
        self.assertEqual((self.answers, self.failures), ([], []))
