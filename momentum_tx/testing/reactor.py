"""
The reactor of one process of a virtual world, for code of ours that asks a
reactor for sockets: the resolver.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.error import CannotListenError, ConnectError, NotConnectingError, UserError, getConnectError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IConnector, IReactorTime, IReactorUDP
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import DialFailed
from ..net.endpoint import address_of
from .datagrams import MAX_DATAGRAM, DatagramPort, Datagrams

if TYPE_CHECKING:
    from twisted.internet.address import IPv4Address, IPv6Address
    from twisted.internet.interfaces import IDelayedCall

    from ..interfaces.seams import IConnectedStream, IDial
    from .clock import ProcessClock
    from .host import VirtualHost

#: What the dialer of a virtual host says of the kernel's errors, and their numbers.
_NUMBERS: Final = {
    os.strerror(number): number
    for number in (errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)
}


def _connect_error(failed: DialFailed) -> ConnectError:
    """
    *failed* in the words of Twisted.
    """
    number = _NUMBERS.get(failed.reason)
    found: ConnectError = ConnectError(string=failed.reason)
    if number is not None:
        found = getConnectError((number, failed.reason))
    return found


class _Introduced:
    """
    A protocol with its connection, as the connector sees it end.
    """

    def __init__(self, protocol: Any, connector: VirtualConnector) -> None:
        self._protocol = protocol
        self._connector = connector

    def makeConnection(self, transport: Any) -> None:
        self._connector.connected(transport)
        if self._protocol is None:
            transport.loseConnection()
        else:
            self._protocol.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        if self._protocol is not None:
            self._protocol.dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:
        if self._protocol is not None:
            self._protocol.connectionLost(reason)
        self._connector.lost(reason)


@implementer(IConnector)
class VirtualConnector:
    """
    A TCP connect and what comes of it, told to a client factory as Twisted
    tells it.  Closing one direction is not modelled.
    """

    def __init__(
        self, reactor: VirtualReactor, place: tuple[str, int], factory: Any, timeout: float, source: str
    ) -> None:
        self._reactor = reactor
        self._place = place
        self._factory = factory
        self._timeout = timeout
        self._source = source
        #: What it is: ``connecting``, ``connected`` or ``disconnected``.
        self.state = "disconnected"
        #: The connection there is.
        self.transport: Any = None
        self._dial: IDial | None = None
        self._deadline: IDelayedCall | None = None

    def connect(self) -> None:
        """
        See ``IConnector``.
        """
        if self.state != "disconnected":
            raise RuntimeError("can't connect in this state")
        self.state = "connecting"
        reactor = self._reactor
        reactor.keep(self)
        self._factory.doStart()
        self._factory.startedConnecting(self)
        host, port = self._place
        try:
            self._dial = reactor.host.dial(host, port, self._source, None, self._established, self._refused)
        except DialFailed as failed:
            self._deadline = reactor.callLater(0, self._failed, _connect_error(failed))
        else:
            self._deadline = reactor.callLater(self._timeout, self._failed, ConnectTimeout())

    def stopConnecting(self) -> None:
        """
        See ``IConnector``.
        """
        if self.state != "connecting":
            raise NotConnectingError("we're not trying to connect")
        self._failed(UserError())

    def disconnect(self) -> None:
        """
        See ``IConnector``.
        """
        if self.state == "connecting":
            self.stopConnecting()
        elif self.state == "connected":
            self.transport.loseConnection()

    def getDestination(self) -> IPv4Address | IPv6Address:
        """
        See ``IConnector``.
        """
        return address_of(*self._place)

    def _established(self, stream: IConnectedStream) -> None:
        self._give_up_waiting()
        protocol = self._factory.buildProtocol(address_of(*stream.peer))
        stream.start(_Introduced(protocol, self))  # type: ignore[arg-type]

    def _refused(self, failed: DialFailed) -> None:
        self._failed(_connect_error(failed))

    def _failed(self, error: Exception) -> None:
        self._give_up_waiting()
        self.state = "disconnected"
        self._reactor.forget(self)
        self._factory.clientConnectionFailed(self, Failure(error))
        if self.state == "disconnected":
            self._factory.doStop()

    def _give_up_waiting(self) -> None:
        dial, self._dial = self._dial, None
        if dial is not None:
            dial.cancel()
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def connected(self, transport: Any) -> None:
        """
        There is a connection.
        """
        self.state = "connected"
        self.transport = transport

    def lost(self, reason: Failure) -> None:
        """
        The connection has ended.
        """
        self.state = "disconnected"
        self.transport = None
        self._reactor.forget(self)
        self._factory.clientConnectionLost(self, reason)
        if self.state == "disconnected":
            self._factory.doStop()


@implementer(IReactorTime, IReactorUDP)
class VirtualReactor:
    """
    Time, UDP ports and TCP connections of one process on one host; of
    ``IReactorTCP`` it has :meth:`connectTCP`.

    :ivar host: where the process runs.
    """

    def __init__(self, clock: ProcessClock, host: VirtualHost, datagrams: Datagrams) -> None:
        """
        :param clock: of the process.
        """
        self.host = host
        self._clock = clock
        self._datagrams = datagrams
        # Dicts for their order.
        self._ports: dict[DatagramPort, None] = {}
        self._connectors: dict[VirtualConnector, None] = {}
        self._dead = False

    def seconds(self) -> float:
        """
        See ``IReactorTime``.
        """
        return self._clock.seconds()

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> IDelayedCall:
        """
        See ``IReactorTime``.
        """
        return self._clock.callLater(delay, callable, *args, **kw)

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """
        See ``IReactorTime``.
        """
        return self._clock.getDelayedCalls()

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = MAX_DATAGRAM) -> Any:
        """
        See ``IReactorUDP``; a port on all interfaces is one on the first address
        of the family that is plumbed.

        :raises CannotListenError: the address is not ours, the port is taken, or
            the process is dead.
        """
        if self._dead:
            # Whatever was under way when it was killed runs on to its end.
            raise CannotListenError(interface, port, OSError(errno.EBADF, os.strerror(errno.EBADF)))
        address = interface
        if interface in ("", "0.0.0.0", "::"):
            address = self._usual_address(interface == "::") or interface
        opened = self._datagrams.listen(address, port, protocol, maxPacketSize, lambda port: self._ports.pop(port))
        self._ports[opened] = None
        return opened

    def _usual_address(self, ipv6: bool) -> str:
        plumbed = self._datagrams.network.plumbed
        return next((each for each in self.host.addresses if (":" in each) == ipv6 and plumbed(each)), "")

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30.0,
        bindAddress: tuple[str, int] | None = None,
    ) -> VirtualConnector:
        """
        See ``IReactorTCP``; of a dead process nothing comes of it.
        """
        connector = VirtualConnector(self, (host, port), factory, timeout, bindAddress[0] if bindAddress else "")
        if not self._dead:
            connector.connect()
        return connector

    def keep(self, connector: VirtualConnector) -> None:
        """
        *connector* has begun.
        """
        self._connectors[connector] = None

    def forget(self, connector: VirtualConnector) -> None:
        """
        *connector* has ended.
        """
        self._connectors.pop(connector, None)

    @property
    def open_ports(self) -> list[DatagramPort]:
        """
        UDP ports that are open, oldest first.
        """
        return list(self._ports)

    @property
    def connectors(self) -> list[VirtualConnector]:
        """
        Connects under way and connections, oldest first.
        """
        return list(self._connectors)

    def die(self) -> None:
        """
        The process is killed: its ports are closed and nobody is told.  Its
        connections are the host's.
        """
        self._dead = True
        for port in self.open_ports:
            port.vanish()
        self._connectors.clear()
