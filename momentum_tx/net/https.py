"""
Fetching or delivering one document over HTTPS: the real
:class:`~momentum_tx.interfaces.seams.IHTTPSFetch`.

Built on ``twisted.web.client.Agent``, with three things of our own: names are
resolved by our resolver, the address that was checked is the address that is
connected to, and everything has a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from cryptography.x509 import load_pem_x509_certificates
from OpenSSL.crypto import X509
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from ..errors import DeliveryError
from ..interfaces.seams import IHTTPSFetch
from ..interfaces.services import IResolver
from ..policy.next_hop import is_address

if TYPE_CHECKING:
    from twisted.internet.interfaces import IConsumer, IProtocol, IProtocolFactory
    from twisted.web.iweb import IResponse

#: Addresses tried of one host; the total timeout bounds them anyway.
MAX_ADDRESSES: Final = 5
#: Octets a response may have beyond its body: status line, fields, chunk sizes.
#: Twisted bounds the length of a line but not the number of lines.
HEADER_ALLOWANCE: Final = 65536
#: Seconds for one address, of those for all.
CONNECT_TIMEOUT: Final = 15.0
#: Causes named in the text of an error, and characters of each.
_MAX_CAUSES = 4
_MAX_CAUSE = 300

Response = tuple[int, dict[str, str], bytes]


@implementer(IHTTPSFetch)
class HTTPSFetch:
    """
    Fetches documents from names that strangers chose.

    The certificate is verified for the host of the URL.  Redirects, cookies
    and connection reuse do not exist.
    """

    def __init__(
        self,
        reactor: Any,
        resolver: IResolver,
        prohibited: Callable[[str], bool],
        ipv6: bool = False,
        endpoint: Callable[[str, int], IStreamClientEndpoint] | None = None,
        trust_root: Any = None,
        user_agent: str = "momentum-tx",
    ) -> None:
        """
        :param reactor: provides ``IReactorTime``, and ``IReactorTCP`` unless
            *endpoint* is given.
        :param prohibited: whether an address must not be connected to (see
            :meth:`momentum_tx.policy.prohibited.ProhibitedHosts.prohibits`).
        :param ipv6: whether AAAA records are asked for.
        :param endpoint: makes the endpoint for (numeric address, port), so
            that fetches can leave from a bound address.
        :param trust_root: as ``optionsForClientTLS`` takes it; ``None`` is the
            system's certificates.
        :param user_agent: value of that field.
        """
        self._reactor = reactor
        self._resolver = resolver
        self._prohibited = prohibited
        self._ipv6 = ipv6
        self._endpoint = endpoint or self._plain_endpoint
        self._trust_root = trust_root
        self._headers = Headers({b"User-Agent": [user_agent.encode("ascii")], b"Accept-Encoding": [b"identity"]})

    def fetch(self, url: str, timeout: float, max_size: int) -> Deferred[Response]:
        return self._exchange(b"GET", url, self._headers, None, timeout, max_size)

    def post(self, url: str, body: bytes, content_type: str, timeout: float, max_size: int) -> Deferred[Response]:
        headers = self._headers.copy()
        headers.setRawHeaders(b"Content-Type", [content_type.encode("ascii")])
        return self._exchange(b"POST", url, headers, _Document(body), timeout, max_size)

    def _exchange(
        self, method: bytes, url: str, headers: Headers, document: _Document | None, timeout: float, max_size: int
    ) -> Deferred[Response]:
        try:
            target = _checked(url)
        except ValueError as error:
            return fail(DeliveryError(f"{url!r}: {error}"))
        transfer = _Transfer(max_size)
        # An agent of its own, since what may be read is counted per fetch.
        agent = Agent.usingEndpointFactory(self._reactor, _Endpoints(self._connect, transfer))
        fetching = Deferred.fromCoroutine(self._request(agent, method, target, headers, document, transfer))
        # Whatever the agent makes of being cancelled looks like a failure of
        # the server; our caller's wish must not.
        cancelled = False

        def cancel(_: Deferred[Response]) -> None:
            nonlocal cancelled
            cancelled = True
            fetching.cancel()

        def too_late(_: object, seconds: float) -> NoReturn:
            raise DeliveryError(f"not done in {seconds:g} s")

        def told(outcome: Response | Failure) -> None:
            # An orderly end of TLS would wait for the server, for as long as that likes.
            transfer.abort()
            if cancelled:
                return
            if isinstance(outcome, Failure):
                answer.errback(DeliveryError(f"{url}: {transfer.complaint or _reason(outcome)}"))
            else:
                answer.callback(outcome)

        answer: Deferred[Response] = Deferred(cancel)
        fetching.addTimeout(timeout, self._reactor, too_late)
        fetching.addBoth(told)
        return answer

    async def _request(
        self,
        agent: Agent,
        method: bytes,
        target: bytes,
        headers: Headers,
        document: _Document | None,
        transfer: _Transfer,
    ) -> Response:
        response: IResponse = await agent.request(method, target, headers, document)
        length = response.length
        if isinstance(length, int) and length > transfer.max_size:
            transfer.refuse()
        body = _Body(transfer)
        response.deliverBody(body)
        content = await body.finished
        fields = {
            name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        return response.code, fields, content

    async def _connect(self, host: str, port: int, factory: IProtocolFactory, transfer: _Transfer) -> Any:
        """
        Connect to the first address of *host* that takes it.  The certificate
        is still to be verified: if it is wrong the protocol's connection is
        lost before any of its data is sent or heard.
        """
        options = optionsForClientTLS(host, trustRoot=self._trust_root)
        # With a clock of ours, or Twisted would take the global reactor's.
        secured = TLSMemoryBIOFactory(options, True, _BoundedFactory(factory, transfer), clock=self._reactor)
        reason: Exception = DeliveryError("no address")
        for address in await self._addresses(host):
            try:
                tls: Any = await self._endpoint(address, port).connect(secured)
            except (CancelledError, ConnectingCancelledError):
                # Our time or our caller's patience is over, not the address.
                raise
            except Exception as error:
                reason = error
            else:
                return tls.wrappedProtocol.wrappedProtocol
        raise reason

    async def _addresses(self, host: str) -> list[str]:
        """
        Where *host* may be connected to; the check and the connect see the
        same text, so that a second answer of DNS cannot come between them.
        """
        if is_address(host):
            found: tuple[str, ...] = (host,)
        else:
            found = (await self._resolver.lookup_addresses(host.lower().rstrip("."), self._ipv6)).addresses
        if not found:
            raise DeliveryError(f"{host} has no address")
        allowed = [address for address in found if not self._prohibited(address)]
        if not allowed:
            raise DeliveryError(f"every address of {host} is prohibited ({found[0]})")
        return allowed[:MAX_ADDRESSES]

    def _plain_endpoint(self, address: str, port: int) -> IStreamClientEndpoint:
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        return kind(self._reactor, address, port, CONNECT_TIMEOUT)


def trust_root(path: str) -> Any:
    """
    The issuers in a file, as :class:`HTTPSFetch` takes them; ``None`` if *path* is empty.

    :raises OSError: the file cannot be read.
    :raises ValueError: there is no certificate in it.
    """
    if not path:
        return None
    with open(path, "rb") as file:
        found = load_pem_x509_certificates(file.read())
    return trustRootFromCertificates([Certificate(X509.from_cryptography(each)) for each in found])


@implementer(IBodyProducer)
class _Document:
    """
    What a request carries: a few octets, written at once.  Twisted's own producers
    take the global reactor for that.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.length = len(content)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        It has all been written.
        """

    resumeProducing = stopProducing = pauseProducing


class _Transfer:
    """
    What one fetch has read, and how much it may.
    """

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        #: Octets that may still come, header fields and chunk sizes included.
        self.left = max_size + HEADER_ALLOWANCE
        #: Why we ended it ourselves; empty if we did not.
        self.complaint = ""
        self.connection: _Bounded | None = None

    def refuse(self) -> None:
        """
        It is too large: drop the connection.
        """
        self.complaint = f"more than {self.max_size} octets"
        self.abort()

    def abort(self) -> None:
        """
        Drop the connection without waiting for the server; harmless twice.
        """
        if self.connection is not None:
            cast(Any, self.connection).abortConnection()


class _Bounded(ProtocolWrapper):
    """
    Counts what arrives inside TLS.
    """

    factory: _BoundedFactory

    def makeConnection(self, transport: Any) -> None:
        self.factory.transfer.connection = self
        super().makeConnection(transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.transfer.connection = None
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        transfer = self.factory.transfer
        if transfer.complaint:
            return
        transfer.left -= len(data)
        if transfer.left < 0:
            transfer.refuse()
        else:
            super().dataReceived(data)


class _BoundedFactory(WrappingFactory):
    """
    Puts a :class:`_Bounded` around the agent's protocol.
    """

    protocol = _Bounded
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, transfer: _Transfer) -> None:
        super().__init__(wrapped)
        self.transfer = transfer


class _Body(Protocol):
    """
    Collects the body of a response.
    """

    def __init__(self, transfer: _Transfer) -> None:
        self._transfer = transfer
        self._parts: list[bytes] = []
        self._size = 0
        #: Fires with the body, complete.
        self.finished: Deferred[bytes] = Deferred(lambda _: transfer.abort())

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._transfer.max_size:
            self._parts.append(data)
        elif not self._transfer.complaint:
            self._transfer.refuse()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.finished.called:
            return
        if self._transfer.complaint:
            self.finished.errback(DeliveryError(self._transfer.complaint))
        elif reason.check(ResponseDone):
            self.finished.callback(b"".join(self._parts))
        elif reason.check(PotentialDataLoss):
            # Half a policy may say the opposite of the whole.
            self.finished.errback(DeliveryError("no length given, the document may be cut off"))
        else:
            self.finished.errback(reason)


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """
    Makes the endpoint of one fetch.
    """

    def __init__(self, connect: Callable[..., Any], transfer: _Transfer) -> None:
        self._connect = connect
        self._transfer = transfer

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return _CheckedEndpoint(self._connect, uri.host.decode("ascii"), uri.port, self._transfer)


@implementer(IStreamClientEndpoint)
class _CheckedEndpoint:
    """
    A host and a port over TLS, by way of :meth:`HTTPSFetch._connect`.
    """

    def __init__(self, connect: Callable[..., Any], host: str, port: int, transfer: _Transfer) -> None:
        self._connect = connect
        self._host = host
        self._port = port
        self._transfer = transfer

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(self._host, self._port, protocolFactory, self._transfer))


def _checked(url: str) -> bytes:
    """
    *url* as octets.

    :raises ValueError: it is not an https URL with a plain host, or holds
        octets that have no place in a request line.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("only printable ASCII may be in a URL")
    target = url.encode("ascii")
    uri = URI.fromBytes(target)
    if uri.scheme != b"https":
        raise ValueError("not an https URL")
    host = uri.host.decode("ascii")
    # A port that is no number is left in the host by the parser, and so is
    # anything before an @.
    if not is_address(host) and not (host and all(letter.isalnum() or letter in "-._" for letter in host)):
        raise ValueError(f"{host!r} is not a host name")
    if not 0 < uri.port < 65536:
        raise ValueError(f"{uri.port} is not a port")
    return target


def _reason(failure: Failure) -> str:
    """
    The innermost causes in one line; the agent wraps them in lists.
    """
    causes: list[str] = []
    open_failures = [failure]
    while open_failures and len(causes) < _MAX_CAUSES:
        error = open_failures.pop(0).value
        inner = getattr(error, "reasons", None)
        if inner:
            open_failures.extend(item for item in inner if isinstance(item, Failure))
        else:
            text = str(error)[:_MAX_CAUSE]
            causes.append(text if isinstance(error, DeliveryError) else f"{type(error).__name__}: {text}")
    return "; ".join(causes) or type(failure.value).__name__
