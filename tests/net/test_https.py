"""
Tests for :mod:`momentum_tx.net.https`.

TLS is real, over memory: certificates are made here, and octets are carried
from one side to the other without a socket.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, PrivateCertificate, trustRootFromCertificates
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import FakeTransport, IOPump
from twisted.test.iosim import connect as join
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.errors import DeliveryError, LookupFailed
from momentum_tx.interfaces.seams import IHTTPSFetch
from momentum_tx.net.https import HEADER_ALLOWANCE, HTTPSFetch
from momentum_tx.policy.prohibited import ProhibitedHosts
from momentum_tx.settings import DEFAULT_PROHIBITED_HOSTS
from momentum_tx.testing.dns import ScriptedResolver

HOST = "mta-sts.example.com"
URL = f"https://{HOST}/.well-known/mta-sts.txt"
PUBLIC = "198.51.100.7"


def make_certificate(host: str) -> PrivateCertificate:
    """
    A self-signed certificate for *host*, valid as long as these tests are.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2001, 1, 1))
        .not_valid_after(datetime.datetime(2101, 1, 1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return PrivateCertificate.loadPEM(pem)


class ScriptedServer(Protocol):
    """
    Answers whatever it is asked with the octets given.
    """

    def __init__(self, network: Network) -> None:
        self.network = network

    def dataReceived(self, data: bytes) -> None:
        self.network.requests.append(data)
        assert self.transport is not None
        for piece in self.network.response:
            self.transport.write(piece)
        if self.network.closes:
            self.transport.loseConnection()
        if self.network.deaf:
            tls: Any = self.transport
            tls.dataReceived = lambda data: None


class Network:
    """
    The addresses at which something listens, and what it says.
    """

    def __init__(self, clock: Any, certificate: PrivateCertificate) -> None:
        self.clock = clock
        self.certificate = certificate
        #: Addresses that accept; all others refuse.
        self.listening = {PUBLIC}
        #: Addresses whose connects hang.
        self.silent: set[str] = set()
        self.response: list[bytes] = []
        self.closes = False
        #: Whether it hears nothing any more once it has answered, not even the end of TLS.
        self.deaf = False
        #: Endpoints asked for, in order.
        self.tried: list[tuple[str, int]] = []
        self.requests: list[bytes] = []
        self.cancelled = 0
        self.pumps: list[IOPump] = []
        self.transports: list[Any] = []

    def endpoint(self, address: str, port: int) -> IStreamClientEndpoint:
        """
        The endpoint for one address.
        """
        self.tried.append((address, port))
        return _Endpoint(self, address)

    def flush(self) -> None:
        """
        Carry octets until nobody has any left.
        """
        # TLS gathers small writes for a turn, on either side.
        for _ in range(6):
            for pump in self.pumps:
                pump.flush()
            self.clock.advance(0)


@implementer(IStreamClientEndpoint)
class _Endpoint:
    def __init__(self, network: Network, address: str) -> None:
        self._network = network
        self._address = address

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        network = self._network
        connecting: Deferred[Any] = Deferred(self._cancelled)
        if self._address in network.silent:
            return connecting
        if self._address not in network.listening:
            connecting.errback(ConnectionRefusedError())
            return connecting
        server_factory = TLSMemoryBIOFactory(
            network.certificate.options(), False, Factory.forProtocol(lambda: ScriptedServer(network)), network.clock
        )
        client, server = protocolFactory.buildProtocol(None), server_factory.buildProtocol(None)
        transports = FakeTransport(server, True), FakeTransport(client, False)
        network.transports.append(transports[1])
        network.pumps.append(join(server, transports[0], client, transports[1], greet=False))
        connecting.callback(client)
        return connecting

    def _cancelled(self, connecting: object) -> None:
        self._network.cancelled += 1


def response(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    """
    A response with its length.
    """
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body


class HTTPSFetchTests(SynchronousTestCase):
    """
    Fetching from a server that means well or not.
    """

    certificate = make_certificate(HOST)

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.resolver = ScriptedResolver(self.reactor)
        self.resolver.addresses[HOST] = [PUBLIC]
        self.network = Network(self.reactor, self.certificate)
        self.prohibited: Callable[[str], bool] = ProhibitedHosts(DEFAULT_PROHIBITED_HOSTS).prohibits

    def fetch(
        self,
        url: str = URL,
        timeout: float = 60.0,
        max_size: int = 1000,
        document: tuple[bytes, str] | None = None,
        **options: Any,
    ) -> Deferred[Any]:
        """
        Fetch, or deliver a document, and carry what there is to carry.
        """
        self.fetcher = HTTPSFetch(
            self.reactor,
            self.resolver,
            self.prohibited,
            endpoint=self.network.endpoint,
            trust_root=trustRootFromCertificates([Certificate.loadPEM(self.certificate.dumpPEM())]),
            **options,
        )
        if document is None:
            fetching = self.fetcher.fetch(url, timeout, max_size)
        else:
            fetching = self.fetcher.post(url, *document, timeout, max_size)
        self.network.flush()
        return fetching

    def failed(self, fetching: Deferred[Any], *words: str) -> None:
        """
        See that it failed with our own error, for these reasons.
        """
        text = str(self.failureResultOf(fetching, DeliveryError).value)
        for word in words:
            self.assertIn(word, text)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_provides(self) -> None:
        """
        It has all that its contract asks for.
        """
        self.failureResultOf(self.fetch("https://nowhere.example/"), DeliveryError)
        verifyObject(IHTTPSFetch, self.fetcher)

    def test_document(self) -> None:
        """
        Status, fields and body arrive; the request names the host, and no
        timer is left.
        """
        self.network.response = [response(b"version: STSv1\r\n", "X-A: 1", "X-A: 2", "Content-Type: text/plain")]
        status, fields, body = self.successResultOf(self.fetch())
        self.assertEqual((status, body), (200, b"version: STSv1\r\n"))
        self.assertEqual((fields["x-a"], fields["content-type"]), ("1, 2", "text/plain"))
        (request,) = self.network.requests
        self.assertTrue(request.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n"))
        self.assertIn(f"Host: {HOST}\r\n".encode(), request)
        self.assertEqual(self.network.tried, [(PUBLIC, 443)])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_deaf_server(self) -> None:
        """
        A server that never agrees to the end of TLS keeps no connection of ours open,
        whether its answer was one or not.
        """
        self.network.deaf = True
        for octets in (response(b"version: STSv1\r\n"), b"garbage\r\n\r\n"):
            self.network.response = [octets]
            fetching = self.fetch()
            self.network.flush()
            fetching.addErrback(lambda failure: failure.trap(DeliveryError))
            self.successResultOf(fetching)
            self.assertTrue(self.network.transports[-1].disconnected, octets)

    def test_post(self) -> None:
        """
        A document is delivered with its type and length, and the answer is told.
        """
        self.network.response = [response(b"thanks", status="201 Created")]
        posting = self.fetch(document=(b"\x1f\x8bpacked", "application/tlsrpt+gzip"))
        self.network.flush()
        status, _, body = self.successResultOf(posting)
        self.assertEqual((status, body), (201, b"thanks"))
        request = b"".join(self.network.requests)
        head, _, sent = request.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"POST /.well-known/mta-sts.txt HTTP/1.1\r\n"), head)
        self.assertIn(b"\r\nContent-Type: application/tlsrpt+gzip", head)
        self.assertIn(b"\r\nContent-Length: 8", head)
        self.assertEqual(sent, b"\x1f\x8bpacked")

    def test_post_to_prohibited(self) -> None:
        """
        Nothing is delivered to an address that is prohibited, nor over anything but HTTPS.
        """
        self.resolver.addresses[HOST] = ["127.0.0.1"]
        self.failed(self.fetch(document=(b"x", "text/plain")), "prohibited")
        self.failed(self.fetch("http://example.com/", document=(b"x", "text/plain")), "not an https URL")
        self.assertEqual(self.network.tried, [])

    def test_one_octet_at_a_time(self) -> None:
        """
        A slow, chunked response is the same document.
        """
        octets = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        self.network.response = [octets[start : start + 1] for start in range(len(octets))]
        self.assertEqual(self.successResultOf(self.fetch())[2], b"abcde")

    def test_redirect(self) -> None:
        """
        A redirect is an answer like any other; nobody follows it.
        """
        self.network.response = [response(b"", "Location: https://evil.example/", status="302 Found")]
        status, fields, _ = self.successResultOf(self.fetch())
        self.assertEqual((status, fields["location"]), (302, "https://evil.example/"))
        self.assertEqual(self.resolver.addresses_asked, [HOST])

    def test_wrong_name(self) -> None:
        """
        A certificate for another name is refused, and the server hears no request.
        """
        self.resolver.addresses["other.example"] = [PUBLIC]
        self.network.response = [response(b"")]
        self.failed(self.fetch("https://other.example/"), "other.example", "Verification")
        self.assertEqual(self.network.requests, [])

    def test_unknown_issuer(self) -> None:
        """
        A certificate that nobody vouches for is refused.
        """
        self.network.certificate = make_certificate(HOST)
        self.network.response = [response(b"")]
        self.failed(self.fetch(), "certificate")
        self.assertEqual(self.network.requests, [])

    def test_prohibited(self) -> None:
        """
        A name that leads to our own machine or network is not connected to.
        """
        for address in ("127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1"):
            self.resolver.addresses[HOST] = [address]
            self.failed(self.fetch(ipv6=True), "prohibited")
            self.failed(self.fetch(f"https://[{address}]/" if ":" in address else f"https://{address}/"), "prohibited")
        self.assertEqual(self.network.tried, [])

    def test_mixed(self) -> None:
        """
        Of good and prohibited addresses the good are used.
        """
        self.resolver.addresses[HOST] = ["127.0.0.1", PUBLIC]
        self.network.response = [response(b"x")]
        self.successResultOf(self.fetch())
        self.assertEqual(self.network.tried, [(PUBLIC, 443)])

    def test_rebinding(self) -> None:
        """
        The address that was checked is the address connected to: DNS is asked
        once, and what it says afterwards does not matter.
        """

        def prohibited(address: str) -> bool:
            self.resolver.addresses[HOST] = ["127.0.0.1"]
            return address == "127.0.0.1"

        self.prohibited = prohibited
        self.network.response = [response(b"x")]
        self.successResultOf(self.fetch())
        self.assertEqual(self.network.tried, [(PUBLIC, 443)])
        self.assertEqual(self.resolver.addresses_asked, [HOST])

    def test_next_address(self) -> None:
        """
        An address that refuses is passed over, at most five in all.
        """
        self.resolver.addresses[HOST] = ["198.51.100.1", "198.51.100.2", PUBLIC]
        self.network.response = [response(b"x")]
        self.successResultOf(self.fetch("https://MTA-STS.example.com:8443/"))
        self.assertEqual(self.network.tried[-1], (PUBLIC, 8443))
        self.resolver.addresses[HOST] = [f"198.51.100.{number}" for number in range(100, 120)]
        self.network.tried.clear()
        self.failed(self.fetch(), "refused")
        self.assertEqual(len(self.network.tried), 5)

    def test_no_address(self) -> None:
        """
        A host without address, and a lookup that fails, are failures by name.
        """
        self.resolver.addresses[HOST] = []
        self.failed(self.fetch(), HOST, "no address")
        self.resolver.addresses[HOST] = LookupFailed("SERVFAIL")
        self.failed(self.fetch(), "SERVFAIL")

    def test_not_https(self) -> None:
        """
        Only https with a plain host is fetched at all.
        """
        for url in (
            "http://example.com/",
            "ftp://example.com/",
            "example.com",
            "",
            "https://",
            "https:///path",
            "https://user@example.com/",
            "https://example.com:port/",
            "https://example.com:70000/",
            "https://example.com/a b",
            "https://example.com/\r\nHost: evil",
            "https://b\u00fccher.example/",
        ):
            self.failed(self.fetch(url))
        self.assertEqual(self.resolver.addresses_asked, [])

    def test_too_large(self) -> None:
        """
        A body above the bound fails as soon as it is known to be, whether its
        length was announced, chunked, or a lie; one of exactly the bound passes.
        """
        self.network.response = [response(b"x" * 1000)]
        self.assertEqual(len(self.successResultOf(self.fetch())[2]), 1000)
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for answer in (
            [response(b"x" * 1001)],
            [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"],
            [chunked, *[b"100\r\n" + b"x" * 256 + b"\r\n"] * 4],
        ):
            self.network.response = answer
            self.failed(self.fetch(), "more than 1000 octets")
            self.assertTrue(self.network.transports[-1].disconnected)

    def test_endless_header(self) -> None:
        """
        A header without end is cut off, not collected.
        """
        self.network.response = [b"HTTP/1.1 200 OK\r\n", *[b"X-Filler: " + b"x" * 990 + b"\r\n"] * 100]
        self.failed(self.fetch(), "more than 1000 octets")
        self.assertLess(HEADER_ALLOWANCE, 100 * 1000)

    def test_cut_off(self) -> None:
        """
        A document that may be incomplete is a failure: half a policy may say
        the opposite of the whole.
        """
        self.network.closes = True
        for octets in (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            b"HTTP/1.1 2",
            b"garbage\r\n\r\n",
            b"",
        ):
            self.network.response = [octets]
            self.failed(self.fetch())

    def test_timeout(self) -> None:
        """
        The time for everything runs out at the same moment wherever the fetch
        stands: name, connect, reply, body.
        """

        def name() -> None:
            self.resolver.silent = True

        def connect() -> None:
            self.resolver.silent = False
            self.network.silent = {PUBLIC}

        def reply() -> None:
            self.network.silent = set()

        def body() -> None:
            self.network.response = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"]

        for stage in (name, connect, reply, body):
            stage()
            fetching = self.fetch(timeout=30.0)
            self.reactor.advance(29.9)
            self.network.flush()
            self.assertNoResult(fetching)
            self.reactor.advance(0.1)
            self.network.flush()
            self.failed(fetching, "not done in 30 s")
        self.assertEqual((self.resolver.pending, self.network.cancelled), (0, 1))
        self.assertTrue(all(transport.disconnected for transport in self.network.transports))

    def test_cancel(self) -> None:
        """
        A fetch that is not wanted any more stops, wherever it stands, and says
        that it was cancelled, not that the server failed.
        """
        self.resolver.silent = True
        fetchings = [self.fetch()]
        self.resolver.silent = False
        self.network.silent = {PUBLIC}
        fetchings.append(self.fetch())
        self.network.silent = set()
        fetchings.append(self.fetch())
        self.network.response = [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"]
        fetchings.append(self.fetch())
        for fetching in fetchings:
            self.assertNoResult(fetching)
            fetching.cancel()
            self.failureResultOf(fetching, CancelledError)
        self.network.flush()
        self.assertEqual((self.resolver.pending, self.network.cancelled), (0, 1))
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(len(self.network.tried), 3)

    def test_cancelled_for_good(self) -> None:
        """
        A fetch that is cancelled, or out of time, while it connects does not
        go on to the next address.
        """
        self.resolver.addresses[HOST] = ["198.51.100.1", "198.51.100.2"]
        self.network.silent = {"198.51.100.1", "198.51.100.2"}
        cancelled = self.fetch()
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        late = self.fetch(timeout=30.0)
        self.reactor.advance(30)
        self.failed(late, "not done in 30 s")
        self.assertEqual(self.network.tried, [("198.51.100.1", 443)] * 2)

    def test_default_endpoint(self) -> None:
        """
        Without an endpoint of the caller's it connects from anywhere, to the
        numeric address.
        """
        self.resolver.addresses[HOST] = [PUBLIC]
        fetcher = HTTPSFetch(self.reactor, self.resolver, self.prohibited)
        fetching = fetcher.fetch(URL, 60, 1000)
        self.assertEqual(self.reactor.tcpClients[0][:2], (PUBLIC, 443))
        fetching.cancel()
        self.failureResultOf(fetching, CancelledError)

    def test_no_global_reactor(self) -> None:
        """
        Importing the module leaves the choice of a reactor to the application.
        """
        code = "import sys, momentum_tx.net.https; print('twisted.internet.reactor' in sys.modules)"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.assertEqual(subprocess.check_output([sys.executable, "-c", code], env=environment).strip(), b"False")
