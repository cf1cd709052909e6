"""
A dialer that goes through a proxy.

It wraps another dialer, which leads to the proxy; above it nobody can tell the
difference.  What the proxy says before the connection is the destination's is read
here and goes no further.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import DialFailed
from ..flags import ConnFlag
from ..interfaces.seams import IConnectedStream, IDial, IDialer
from .failures import timed_out
from .handshakes import Handshake, HandshakeFailed

#: Causes that lie on our own host: no socket, no source address.
_OURS: Final = ConnFlag.ERROR_SOCKET | ConnFlag.ERROR_IOCTL | ConnFlag.ERROR_BIND

_log = Logger()


@implementer(IDialer)
class ProxiedDialer:
    """
    Dials by way of one proxy.

    What is wrong with the proxy is ``ERROR_BIND``, as if our own address were, and never
    blames the destination; what the proxy says of the destination does.

    :param dialer: leads to the proxy.
    :param place: address and port of the proxy.
    :param name: what it is called, for people.
    :param handshake: makes what is said to it, for a destination's address and port.
    :param doubted: told why when the proxy is of no use, whatever the destination.
    """

    def __init__(
        self,
        dialer: IDialer,
        place: tuple[str, int],
        name: str,
        handshake: Callable[[str, int], Handshake],
        doubted: Callable[[str], object],
    ) -> None:
        self._dialer = dialer
        self._place = place
        self._name = name
        self._handshake = handshake
        self._doubted = doubted

    def tune(self, nodelay: bool, buffer_size: int) -> None:
        self._dialer.tune(nodelay, buffer_size)

    def dial(
        self,
        host: str,
        port: int,
        source: str,
        post_bind: Callable[[int], bool] | None,
        connected: Callable[[IConnectedStream], object],
        failed: Callable[[DialFailed], object],
    ) -> IDial:
        dial = _ProxiedDial(self, self._handshake(host, port), (host, port), connected, failed)
        try:
            dial.inner = self._dialer.dial(*self._place, source, post_bind, dial.reached, dial.unreached)
        except DialFailed as error:
            raise self.blame(error) from None
        return dial

    def blame(self, error: DialFailed) -> DialFailed:
        """
        The proxy could not be reached: what that means to whoever wanted to go through it.
        """
        if error.flags & _OURS:
            return error
        return self.doubt(error.reason)

    def doubt(self, reason: str) -> DialFailed:
        """
        The proxy is of no use to anybody.
        """
        failure = self.failure(ConnFlag.ERROR_BIND, reason)
        self._doubted(failure.reason)
        return failure

    def failure(self, flags: ConnFlag, reason: str) -> DialFailed:
        """
        A failure that names the proxy.
        """
        return DialFailed(flags, f"proxy {self._name}: {reason}")


@implementer(IDial)
class _ProxiedDial:
    """
    A connect by way of a proxy that is under way: to the proxy first, then beyond.
    """

    def __init__(
        self,
        dialer: ProxiedDialer,
        handshake: Handshake,
        destination: tuple[str, int],
        connected: Callable[[IConnectedStream], object],
        failed: Callable[[DialFailed], object],
    ) -> None:
        self._dialer = dialer
        self._handshake = handshake
        self._destination = destination
        self._connected = connected
        self._failed = failed
        #: The connect to the proxy, while it is under way.
        self.inner: IDial | None = None
        self._negotiation: _Negotiation | None = None
        self._over = False

    def cancel(self) -> None:
        self._over = True
        inner, self.inner = self.inner, None
        if inner is not None:
            inner.cancel()
        negotiation, self._negotiation = self._negotiation, None
        if negotiation is not None:
            negotiation.drop()

    def time_out(self, seconds: float) -> DialFailed:
        waited_for_it = not self._handshake.asked
        self.cancel()
        failure = timed_out(seconds)
        if waited_for_it:
            return self._dialer.doubt(failure.reason)
        return self._dialer.failure(failure.flags, failure.reason)

    def unreached(self, error: DialFailed) -> None:
        """
        The proxy cannot be reached.
        """
        self.inner = None
        self._fail(self._dialer.blame(error))

    def reached(self, stream: IConnectedStream) -> None:
        """
        The proxy is reached.
        """
        self.inner = None
        negotiation = self._negotiation = _Negotiation(self, stream, self._handshake)
        try:
            stream.start(negotiation)
        except Exception:
            _log.failure("a connection to a proxy could not be taken over")
            self._fail(self._dialer.failure(ConnFlag.ERROR_SOCKET, "its connection could not be taken over"))
            return
        self.proceed()

    def proceed(self) -> None:
        """
        Hand the connection over if the handshake is done.
        """
        negotiation = self._negotiation
        if self._over or negotiation is None or not self._handshake.done:
            return
        self._over = True
        self._negotiation = None
        negotiation.settle()
        self._connected(_ProxiedStream(negotiation, self._destination))

    def refused(self, error: HandshakeFailed) -> None:
        """
        The proxy will not.
        """
        negotiation, self._negotiation = self._negotiation, None
        if negotiation is not None:
            negotiation.drop()
        if error.proxy:
            self._fail(self._dialer.doubt(error.reason))
        else:
            self._fail(self._dialer.failure(error.flags, error.reason))

    def _fail(self, failure: DialFailed) -> None:
        if not self._over:
            self._over = True
            self._failed(failure)


class _Negotiation(Protocol):
    """
    The connection to the proxy until it is the destination's, and whoever takes it.
    """

    transport: Any  # ITCPTransport and IPushProducer

    def __init__(self, dial: _ProxiedDial, stream: IConnectedStream, handshake: Handshake) -> None:
        self._dial: _ProxiedDial | None = dial
        self._handshake = handshake
        self.local = stream.local
        self._fileno = stream.fileno()
        self._settled = False
        #: Why the connection ended, once it has.
        self.lost: Failure | None = None

    def connectionMade(self) -> None:
        self.transport.write(self._handshake.begin(self.local))

    def dataReceived(self, data: bytes) -> None:
        dial = self._dial
        if dial is None or self._settled:
            return
        try:
            said = self._handshake.receive(data)
        except HandshakeFailed as error:
            dial.refused(error)
            return
        if said:
            self.transport.write(said)
        dial.proceed()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost = reason if reason is not None else Failure(ConnectionError("connection lost"))
        dial = self._dial
        if dial is not None and not self._settled:
            # Before the request it has turned us away, whoever we wanted; after it, nobody knows for whose sake.
            dial.refused(HandshakeFailed(ConnFlag.ERROR_BIND, "it closed the connection", not self._handshake.asked))

    def settle(self) -> None:
        """
        The handshake is done: read nothing until somebody takes the connection.
        """
        self._settled = True
        if self.lost is None:
            self.transport.pauseProducing()

    def drop(self) -> None:
        """
        End the connection; nobody is told.
        """
        self._dial = None
        if self.lost is None and self.transport is not None:
            self.transport.abortConnection()

    def fileno(self) -> int:
        """
        The descriptor's number.
        """
        number: Any = getattr(self.transport, "fileno", lambda: self._fileno)()
        return int(number)

    def hand_over(self, protocol: Any) -> None:
        """
        Make *protocol* the one whose connection it is.
        """
        transport = self.transport
        if self.lost is not None:
            protocol.makeConnection(transport)
            protocol.connectionLost(self.lost)
            return
        # As Twisted's own startTLS does: the transport asks for its protocol each time.
        transport.protocol = protocol
        transport.resumeProducing()
        protocol.makeConnection(transport)
        rest = self._handshake.rest()
        if rest and not transport.disconnecting:
            # It may have put something in between meanwhile, such as TLS.
            transport.protocol.dataReceived(rest)


@implementer(IConnectedStream)
class _ProxiedStream:
    """
    A connection through a proxy that no protocol has yet.
    """

    def __init__(self, negotiation: _Negotiation, peer: tuple[str, int]) -> None:
        self._negotiation: _Negotiation | None = negotiation
        self._fileno = negotiation.fileno()
        self.local = negotiation.local
        self.peer = peer

    def fileno(self) -> int:
        return self._fileno

    def start(self, protocol: IProtocol) -> None:
        negotiation, self._negotiation = self._negotiation, None
        if negotiation is None:
            raise RuntimeError("this connection was started or closed already")
        negotiation.hand_over(protocol)

    def close(self) -> None:
        negotiation, self._negotiation = self._negotiation, None
        if negotiation is not None:
            negotiation.drop()
