"""
A bound client endpoint for any Twisted protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    ISSLTransport,
    IStreamClientEndpoint,
    ITLSTransport,
)
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

from ..errors import ConnectFailed, ConnectionNotInitiated, ConnectTimedOut, DialFailed
from ..flags import ConnFlag
from ..interfaces.seams import IConnectedStream, IDialer
from .dialer import SocketDialer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

#: Momentum's default for ``connect_timeout``, seconds.
CONNECT_TIMEOUT = 300.0


def address_of(host: str, port: int) -> IPv4Address | IPv6Address:
    """
    The Twisted address of a numeric TCP host.
    """
    if ":" in host:
        return IPv6Address("TCP", host, port)
    return IPv4Address("TCP", host, port)


class _ClientSide(proxyForInterface(ITLSTransport, "_transport")):  # type: ignore[misc]
    """
    An adopted connection whose ``startTLS`` takes the client's side.

    The reactor takes what it adopts for an accepted connection, and a foreign
    client protocol calls ``startTLS(context)`` in the belief that it is the
    client.
    """

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        self._transport.startTLS(contextFactory, not normal)
        # What the transport provides by itself is not always seen through a proxy.
        directlyProvides(self, ISSLTransport)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Introducer:
    """
    Stands in for a client protocol until the transport is there, so that it
    can be given the client's side of it.
    """

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def makeConnection(self, transport: Any) -> None:
        # From here on the transport speaks to the protocol itself.
        transport.protocol = self._protocol
        self._protocol.makeConnection(_ClientSide(transport) if hasattr(transport, "startTLS") else transport)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)


@implementer(IStreamClientEndpoint)
class BoundClientEndpoint:
    """
    Connects to one numeric address, from one source address, within one
    deadline.  Usable alone, with any Twisted protocol.

    :param reactor: the real reactor; its clock times the deadline.
    :param address: numeric IPv4 or IPv6 address.
    :param port: TCP port.
    :param timeout: seconds for the whole connect.
    :param bind_address: numeric source address; empty lets the kernel choose.
    :param post_bind: asked with the descriptor's number between bind and
        connect; false forbids the connection.
    :param dialer: another provider of the dialer seam, such as a virtual network's.
    """

    def __init__(
        self,
        reactor: Any,
        address: str,
        port: int,
        timeout: float = CONNECT_TIMEOUT,
        bind_address: str = "",
        post_bind: Callable[[int], bool] | None = None,
        dialer: IDialer | None = None,
    ) -> None:
        self._clock: IReactorTime = reactor
        self._dialer = dialer if dialer is not None else SocketDialer(reactor)
        self._address = address
        self._port = port
        self._timeout = timeout
        self._bind_address = bind_address
        self._post_bind = post_bind

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect and give the connection to a protocol of *protocolFactory*,
        which is only asked for it: ``doStart`` and ``doStop`` are not called.

        :returns: fires with the protocol; fails with
            :class:`~momentum_tx.errors.ConnectionNotInitiated`,
            :class:`~momentum_tx.errors.ConnectFailed`,
            :class:`~momentum_tx.errors.ConnectTimedOut`, or, when it is
            cancelled, ``CancelledError``.
        """

        def cancel(connecting: Deferred[IProtocol]) -> None:
            stop()
            connecting.errback(Failure(CancelledError()))

        def stop() -> None:
            dial.cancel()
            if deadline.active():
                deadline.cancel()

        def connected(stream: IConnectedStream) -> None:
            stop()
            try:
                protocol = protocolFactory.buildProtocol(address_of(*stream.peer))
                if protocol is None:
                    raise ConnectFailed(ConnFlag.ERROR_CONNECT, "the factory wants no protocol for this address")
                stream.start(_Introducer(protocol))  # type: ignore[arg-type]
            except BaseException:
                stream.close()
                connecting.errback(Failure())
                return
            connecting.callback(protocol)

        def failed(error: DialFailed) -> None:
            stop()
            kind = ConnectTimedOut if error.flags & ConnFlag.ERROR_CONNECT_TIMEOUT else ConnectFailed
            connecting.errback(Failure(kind(error.flags, error.reason)))

        def timed_out() -> None:
            dial.cancel()
            connecting.errback(
                Failure(ConnectTimedOut(ConnFlag.ERROR_CONNECT_TIMEOUT, f"no connection within {self._timeout:g} s"))
            )

        connecting: Deferred[IProtocol] = Deferred(cancel)
        try:
            dial = self._dialer.dial(self._address, self._port, self._bind_address, self._post_bind, connected, failed)
        except DialFailed as error:
            # There is no deadline yet and the dialer will not call.
            not_initiated = ConnectionNotInitiated(error.flags, error.reason)
            unhappy: Deferred[IProtocol] = Deferred()
            unhappy.errback(Failure(not_initiated))
            return unhappy
        deadline = self._clock.callLater(self._timeout, timed_out)
        return connecting
