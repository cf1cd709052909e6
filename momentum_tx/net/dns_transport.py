"""
One question to one DNS server, over UDP or over TCP.

An exchange carries octets and checks whose they are; it has no timer and tries
nothing twice.  Both kinds tell the same two callbacks, at most one of them,
at most once, never before ``start`` has returned and never after ``close``.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.protocol import ClientFactory, DatagramProtocol, Protocol, connectionDone
from twisted.python.failure import Failure

from .dns_wire import Query

if TYPE_CHECKING:
    from twisted.internet.interfaces import (
        IAddress,
        IConnector,
        IListeningPort,
        IReactorTCP,
        IReactorUDP,
        ITCPTransport,
        IUDPTransport,
    )

#: Datagrams that are no answer to our query; beyond that somebody is guessing
#: ids, and reading on would only help him.
MAX_STRAYS: Final = 64
#: Largest message read over TCP.  Parsing costs 1.5 ms per KiB at worst, and
#: the reactor waits for it; 500 exchangers fit.
MAX_MESSAGE: Final = 32768
#: Larger than we announce, since a server may not know EDNS's limit; what is
#: cut off here would be malformed.
_MAX_DATAGRAM = 8192


class Nameserver:
    """
    Address and port of a server, in one spelling.
    """

    __slots__ = ("address", "host", "port", "trusted")

    def __init__(self, address: str, port: int = 53, trusted: bool = False) -> None:
        """
        :param address: numeric; a link-local one may carry a scope.
        :param trusted: whether its word counts that it has validated an answer (the
            AD bit).  Without that only a server on this host is believed: anybody
            on the way to another could set the bit (RFC 7672 section 2.2).
        :raises ValueError: it is not an address.
        """
        plain, percent, scope = address.partition("%")
        #: Address without scope, for comparison.
        numeric = ip_address(plain)
        self.address = str(numeric)
        #: Whether an answer that it calls validated is one.
        self.trusted = trusted or numeric.is_loopback
        #: What is connected to.
        self.host = self.address + percent + scope
        self.port = port

    @property
    def is_ipv6(self) -> bool:
        """
        Whether it is an IPv6 address.
        """
        return ":" in self.address

    def sent(self, peer: tuple[Any, ...]) -> bool:
        """
        Whether a datagram from *peer* is from this server.
        """
        if peer[1] != self.port:
            return False
        host = peer[0].partition("%")[0]
        return host == self.address or str(ip_address(host)) == self.address

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.is_ipv6 else f"{self.host}:{self.port}"


class DatagramExchange(DatagramProtocol):
    """
    A query in one datagram, from a port of its own that the kernel chooses at
    random (RFC 5452 section 9.2).
    """

    #: Twisted would write a line for each of them.
    noisy = False

    def __init__(
        self,
        reactor: IReactorUDP,
        server: Nameserver,
        query: Query,
        answered: Callable[[bytes], object],
        failed: Callable[[str], object],
    ) -> None:
        """
        :param answered: gets the first datagram that answers the query.
        :param failed: gets the reason, if there will be none.
        """
        self._reactor = reactor
        self._server = server
        self._query = query
        self._answered = answered
        self._failed = failed
        self._port: IListeningPort | None = None
        self._strays = 0

    def start(self) -> None:
        """
        Send the query.

        :raises OSError: it could not be sent.
        :raises twisted.internet.error.CannotListenError: there is no port.
        """
        interface = "::" if self._server.is_ipv6 else ""
        self._port = self._reactor.listenUDP(0, self, interface, _MAX_DATAGRAM)
        transport = cast("IUDPTransport", self.transport)
        # Connected, the socket hears nobody else, and learns at once that
        # nothing listens there.
        transport.connect(self._server.host, self._server.port)
        transport.write(self._query.wire, (self._server.host, self._server.port))

    def close(self) -> None:
        """
        Give the port back; harmless twice.
        """
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if self._port is None:
            return
        if self._server.sent(addr) and self._query.answered_by(datagram):
            self.close()
            self._answered(datagram)
            return
        self._strays += 1
        if self._strays >= MAX_STRAYS:
            self.close()
            self._failed(f"{self._strays} datagrams that answer nothing we asked")

    def connectionRefused(self) -> None:
        if self._port is not None:
            self.close()
            self._failed("nothing listens there")


class _Stream(Protocol):
    """
    Sends one message and collects the one that comes back.
    """

    def __init__(self, exchange: StreamExchange) -> None:
        self._exchange = exchange
        self._received = bytearray()

    def connectionMade(self) -> None:
        wire = self._exchange.query.wire
        assert self.transport is not None
        self.transport.write(len(wire).to_bytes(2) + wire)

    def dataReceived(self, data: bytes) -> None:
        received = self._received
        received += data
        if len(received) < 2:
            return
        size = int.from_bytes(received[:2])
        if size > MAX_MESSAGE:
            self._exchange.fail(f"an answer of {size} octets")
        elif len(received) >= 2 + size:
            self._exchange.answer(bytes(received[2 : 2 + size]))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._exchange.fail("connection closed without an answer")

    def abort(self) -> None:
        """
        Be gone without waiting for the server.
        """
        cast("ITCPTransport", self.transport).abortConnection()


class StreamExchange(ClientFactory):
    """
    A query over a TCP connection of its own (RFC 7766).
    """

    noisy = False

    def __init__(
        self,
        reactor: IReactorTCP,
        server: Nameserver,
        query: Query,
        timeout: float,
        answered: Callable[[bytes], object],
        failed: Callable[[str], object],
    ) -> None:
        """
        :param timeout: seconds after which the reactor may give up connecting.
        :param answered: gets the message, without its length prefix.
        :param failed: gets the reason, if there will be none.
        """
        #: What is asked.
        self.query = query
        self._reactor = reactor
        self._server = server
        self._timeout = timeout
        self._answered = answered
        self._failed = failed
        self._connector: IConnector | None = None
        self._stream: _Stream | None = None
        self._over = False

    def start(self) -> None:
        """
        Connect, then send.
        """
        self._connector = self._reactor.connectTCP(self._server.host, self._server.port, self, self._timeout, None)

    def close(self) -> None:
        """
        Drop the connection, established or not; harmless twice.
        """
        if self._over:
            return
        self._over = True
        if self._stream is not None:
            self._stream.abort()
        elif self._connector is not None:
            self._connector.disconnect()

    def answer(self, message: bytes) -> None:
        """
        The stream has a message.
        """
        if self._over:
            return
        self.close()
        if self.query.answered_by(message):
            self._answered(message)
        else:
            self._failed("an answer to something else")

    def fail(self, reason: str) -> None:
        """
        The stream has ended, or must.
        """
        if not self._over:
            self.close()
            self._failed(reason)

    def buildProtocol(self, addr: IAddress | None) -> _Stream | None:
        if self._over:
            return None
        self._stream = _Stream(self)
        return self._stream

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        self.fail(f"TCP: {reason.getErrorMessage()}")
