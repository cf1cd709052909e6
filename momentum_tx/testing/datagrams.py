"""
UDP on a virtual network: datagrams that take their time, get lost, come twice or
in another order::

    datagrams = Datagrams(network, random.Random(1))
    port = datagrams.listen("192.0.2.53", 53, protocol)
    datagrams.loss = 0.1
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from zope.interface import implementer

from .wire import Reach

if TYPE_CHECKING:
    from .network import VirtualNetwork

#: Largest datagram a port takes where nothing else is said, as in Twisted.
MAX_DATAGRAM: Final = 8192


class Datagrams:
    """
    What lies between the UDP ports of a virtual network.  Latency and jitter of
    its lines count, and what was said of places; the rest may change at any time.

    :ivar loss: share of the datagrams that never arrive, 0 to 1.
    :ivar duplication: share of those that arrive twice.
    :ivar jitter: most seconds a datagram takes besides, with that of the line; so
        they overtake each other.
    :ivar straggling: share of those that arrive :attr:`late`.
    :ivar late: seconds those take more.
    :ivar dropping: how many of the next datagrams are lost, whatever the shares.
    :ivar sent: datagrams sent so far.
    :ivar lost: datagrams lost so far, on the way or in a black hole.
    """

    def __init__(self, network: VirtualNetwork, rng: Random) -> None:
        """
        :param rng: decides what becomes of each datagram.
        """
        self.network = network
        self.rng = rng
        self.loss = 0.0
        self.duplication = 0.0
        self.jitter = 0.0
        self.straggling = 0.0
        self.late = 10.0
        self.dropping = 0
        self.sent = 0
        self.lost = 0
        self._ports: dict[tuple[str, int], DatagramPort] = {}

    def listen(
        self,
        address: str,
        port: int,
        protocol: Any,
        size: int = MAX_DATAGRAM,
        closed: Callable[[DatagramPort], object] | None = None,
    ) -> DatagramPort:
        """
        Open a port for *protocol*.

        :param port: 0 for any that is free.
        :param size: octets of a datagram that the protocol gets; the rest is cut off.
        :param closed: told when the port is closed.
        :raises CannotListenError: the address is not there, or the port is taken.
        """
        number = 0
        if not self.network.plumbed(address):
            number = errno.EADDRNOTAVAIL
        elif (address, port) in self._ports:
            number = errno.EADDRINUSE
        if number:
            raise CannotListenError(address, port, OSError(number, os.strerror(number)))
        place = (address, port or self._free_port(address))
        opened = self._ports[place] = DatagramPort(self, place, protocol, size, closed)
        protocol.makeConnection(opened)
        return opened

    def _free_port(self, address: str) -> int:
        number = self.network.free_port()
        while (address, number) in self._ports:
            number = self.network.free_port()
        return number

    def open_ports(self) -> list[DatagramPort]:
        """
        Every port that is open, oldest first.
        """
        return list(self._ports.values())

    def forget(self, place: tuple[str, int]) -> None:
        """
        Nobody listens at *place* any more.
        """
        self._ports.pop(place, None)

    def send(self, sender: DatagramPort, place: tuple[str, int], data: bytes) -> None:
        """
        Let *data* go its way.

        :raises OSError: no route leads there.
        """
        network = self.network
        reach = network.reach(*place)
        if reach is Reach.UNREACHABLE:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        self.sent += 1
        if self.dropping > 0 or reach is Reach.SILENT or self._happens(self.loss):
            self.dropping -= self.dropping > 0
            self.lost += 1
            return
        # One end or the other is the place that something was said of.
        line = network.line_to(*place)
        if line is network.default_line:
            line = network.line_to(*sender.place)
        for _ in range(1 + self._happens(self.duplication)):
            delay = line.latency
            if self.jitter or line.jitter:
                delay += self.rng.uniform(0, self.jitter + line.jitter)
            if self._happens(self.straggling):
                delay += self.late
            network.clock.callLater(delay, self._arrive, sender, place, data, line.latency)

    def _happens(self, share: float) -> bool:
        return share > 0 and self.rng.random() < share

    def _arrive(self, sender: DatagramPort, place: tuple[str, int], data: bytes, latency: float) -> None:
        port = self._ports.get(place)
        if port is None or self.network.reach(*place) is Reach.REFUSED:
            self.network.clock.callLater(latency, sender.unreachable, place)
        else:
            port.receive(data, sender.place)


@implementer(IUDPTransport, IListeningPort)
class DatagramPort:
    """
    One open port: the transport of its protocol.

    :ivar place: its address and number.
    """

    def __init__(
        self,
        datagrams: Datagrams,
        place: tuple[str, int],
        protocol: Any,
        size: int,
        closed: Callable[[DatagramPort], object] | None,
    ) -> None:
        self.place = place
        self._datagrams = datagrams
        self._protocol = protocol
        self._size = size
        self._closed = closed
        self._peer: tuple[str, int] | None = None

    @property
    def open(self) -> bool:
        """
        Whether it was not closed yet.
        """
        return self._protocol is not None

    def connect(self, host: str, port: int) -> None:
        """
        See ``IUDPTransport``: hear nobody but this peer, and learn when nobody
        listens there.
        """
        self._peer = (host, port)

    def write(self, packet: bytes, addr: tuple[str, int] | None = None) -> None:
        """
        See ``IUDPTransport``; what a closed port writes is lost.

        :raises OSError: no route leads there.
        """
        place = addr or self._peer
        if place is None:
            raise ValueError("a port that is not connected needs to be told where to send")
        if self.open:
            self._datagrams.send(self, place, packet)

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        """
        A datagram has arrived.
        """
        if self._protocol is not None and self._peer in (None, source):
            self._protocol.datagramReceived(data[: self._size], source)

    def unreachable(self, place: tuple[str, int]) -> None:
        """
        The host of *place* says that nobody listens there.
        """
        # The kernel tells it to connected sockets alone.
        if self._protocol is not None and self._peer == place:
            self._protocol.connectionRefused()

    def startListening(self) -> None:
        """
        It listens from the start.
        """

    def stopListening(self) -> Deferred[None]:
        """
        See ``IListeningPort``; harmless twice.
        """
        protocol = self._protocol
        self.vanish()
        if protocol is not None:
            protocol.doStop()
        return succeed(None)

    def vanish(self) -> None:
        """
        The process was killed: the port is closed and its protocol hears nothing.
        """
        if self._protocol is None:
            return
        self._protocol = None
        self._datagrams.forget(self.place)
        if self._closed is not None:
            self._closed(self)

    def getHost(self) -> IPv4Address | IPv6Address:
        """
        See ``IUDPTransport``.
        """
        return (IPv6Address if ":" in self.place[0] else IPv4Address)("UDP", *self.place)

    def setBroadcastAllowed(self, enabled: bool) -> None:
        """
        See ``IUDPTransport``; there is no broadcast.
        """

    def getBroadcastAllowed(self) -> bool:
        """
        See ``IUDPTransport``.
        """
        return False
