"""
A party on the virtual network: it dials, listens, and may be killed.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionLost
from twisted.internet.interfaces import IListeningPort, IProtocol, IProtocolFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import DialFailed
from ..flags import ConnFlag
from ..interfaces.seams import IConnectedStream, IDial, IDialer, IListener
from ..net.endpoint import address_of
from ..net.failures import connect_failure, local_failure, timed_out
from .local import LocalPort
from .wire import Reach, VirtualTransport, connect

if TYPE_CHECKING:
    from twisted.internet.address import IPv4Address, IPv6Address

    from .network import VirtualNetwork

_COLON: Final = re.compile(r"(?<!\\):")


@implementer(IListeningPort)
class VirtualPort:
    """
    A listening port.
    """

    def __init__(
        self,
        network: VirtualNetwork,
        places: list[tuple[str, int]],
        factory: IProtocolFactory,
        host: VirtualHost | None = None,
    ) -> None:
        self._network = network
        self._places = places
        self._host = host
        self._listening = False
        #: Makes the protocols.
        self.factory = factory

    def startListening(self) -> None:
        """
        See ``IListeningPort``.
        """
        if not self._listening:
            self._listening = True
            self.factory.doStart()
            for place in self._places:
                self._network.bind_port(place, self)

    def stopListening(self) -> Deferred[None]:
        """
        See ``IListeningPort``.
        """
        if self._listening:
            self._listening = False
            for place in self._places:
                self._network.unbind_port(place)
            self.factory.doStop()
        return succeed(None)

    def getHost(self) -> IPv4Address | IPv6Address:
        """
        See ``IListeningPort``.
        """
        return address_of(*self._places[0])

    def accept(self, transport: VirtualTransport) -> None:
        """
        Somebody has connected; *transport* is our end.
        """
        if self._host is not None:
            self._host.own(transport)
        else:
            self._network.opened(transport)
        protocol: Any = self.factory.buildProtocol(transport.getPeer())
        if protocol is None:
            transport.loseConnection()
        else:
            transport.start(protocol)


@implementer(IConnectedStream)
class VirtualStream:
    """
    A connection that no protocol has yet.
    """

    __slots__ = ("_fd", "_host", "_transport", "local", "peer")

    def __init__(self, transport: VirtualTransport, host: VirtualHost, fd: int) -> None:
        self.local = transport.local
        self.peer = transport.peer
        self._transport: VirtualTransport | None = transport
        self._host = host
        self._fd = fd

    def fileno(self) -> int:
        """
        See :class:`~momentum_tx.interfaces.seams.IConnectedStream`.
        """
        return self._fd

    def start(self, protocol: IProtocol) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IConnectedStream`.
        """
        transport, self._transport = self._transport, None
        if transport is None:
            raise RuntimeError("this connection was started or closed already")
        if not transport.connected:
            # It was reset while nobody had it; the protocol learns it the usual way.
            self._host.release(self._fd)
            protocol.makeConnection(transport)
            protocol.connectionLost(Failure(ConnectionLost()))
            return
        transport.start(protocol)

    def close(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IConnectedStream`.
        """
        transport, self._transport = self._transport, None
        if transport is not None:
            self._host.release(self._fd)
            transport.loseConnection()


@implementer(IDial)
class VirtualDial:
    """
    A connect that is under way.

    :ivar over: it was answered or cancelled.
    """

    __slots__ = ("_connected", "_failed", "_fd", "_host", "over")

    def __init__(
        self,
        host: VirtualHost,
        fd: int,
        connected: Callable[[IConnectedStream], object],
        failed: Callable[[DialFailed], object],
    ) -> None:
        self._host = host
        self._fd = fd
        self._connected = connected
        self._failed = failed
        self.over = False

    def cancel(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IDial`.
        """
        if not self.over:
            self._end()
            self._host.release(self._fd)

    def time_out(self, seconds: float) -> DialFailed:
        """
        See :class:`~momentum_tx.interfaces.seams.IDial`.
        """
        self.cancel()
        return timed_out(seconds)

    def refused(self, number: int = errno.ECONNREFUSED) -> None:
        """
        The answer is no.

        :param number: the errno that says why.
        """
        if not self.over:
            self._end()
            self._host.release(self._fd)
            self._failed(connect_failure(number))

    def established(self, transport: VirtualTransport) -> None:
        """
        The answer is yes; *transport* is our end.
        """
        if self.over:
            transport.abortConnection()
        elif not transport.connected:
            self.refused(errno.ECONNRESET)
        else:
            self._end()
            if transport.watch is not None:
                transport.watch.established(self._host, self._fd, transport)
            self._connected(VirtualStream(transport, self._host, self._fd))

    def _end(self) -> None:
        self.over = True
        self._host.answered(self)


@implementer(IDialer, IListener)
class VirtualHost:
    """
    A party: it dials and listens, and may be killed.

    :ivar addresses: its addresses; the first of a family is its usual source.
    :ivar lacking: what its kernel cannot do for any connect: ``ERROR_SOCKET``
        (no descriptor is left) or ``ERROR_IOCTL``; 0 for nothing.
    :ivar most_descriptors: most connections it may have dialled at once; ``None`` for any number.
    :ivar local: who listens at its sockets, by path.
    :ivar tuned: what its connections are to be opened with; nothing is slower or
        faster for it.
    """

    def __init__(self, network: VirtualNetwork, addresses: Iterable[str], plumb: bool = True) -> None:
        """
        :param plumb: whether its addresses are configured with it; else they are as
            somebody has left them.
        """
        self._network = network
        self.lacking = ConnFlag(0)
        self.most_descriptors: int | None = None
        self.tuned: tuple[bool, int] | None = None
        self.addresses = tuple(addresses)
        if plumb:
            network.plumb(*self.addresses)
        #: Open ends, and the descriptors of those that were dialled.
        self._own: dict[VirtualTransport, int] = {}
        self._ports: list[VirtualPort] = []
        #: Sockets in its file system, by path.
        self.local: dict[str, LocalPort] = {}
        #: Connects that are under way.
        self._dials: dict[VirtualDial, None] = {}
        #: Descriptors that were dialled and are not released.
        self._descriptors: dict[int, None] = {}

    def own(self, transport: VirtualTransport, fd: int = 0) -> None:
        """
        *transport* belongs to this host.

        :param fd: the descriptor that stands for it; 0 if it was not dialled.
        """
        self._own[transport] = fd
        self._network.opened(transport, self)

    def gone(self, transport: VirtualTransport) -> None:
        """
        *transport* is gone.
        """
        fd = self._own.pop(transport)
        # Where no protocol has it yet, whoever has the stream or the dial still holds the descriptor.
        if transport.protocol is not None:
            self.release(fd)

    def release(self, fd: int) -> None:
        """
        The descriptor *fd*, if it was dialled, is closed; harmless twice.
        """
        if fd in self._descriptors:
            del self._descriptors[fd]
            watch = self._network.watch
            if watch is not None:
                watch.released(self, fd)

    def answered(self, dial: VirtualDial) -> None:
        """
        *dial* is no longer under way.
        """
        del self._dials[dial]

    def open_transports(self) -> list[VirtualTransport]:
        """
        Open ends of this host.
        """
        return list(self._own)

    def dials(self) -> list[VirtualDial]:
        """
        Connects of this host that are under way, oldest first.
        """
        return list(self._dials)

    def tune(self, nodelay: bool, buffer_size: int) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IDialer`.
        """
        self.tuned = nodelay, buffer_size

    def dial(
        self,
        host: str,
        port: int,
        source: str,
        post_bind: Callable[[int], bool] | None,
        connected: Callable[[IConnectedStream], object],
        failed: Callable[[DialFailed], object],
    ) -> IDial:
        """
        See :class:`~momentum_tx.interfaces.seams.IDialer`.
        """
        network = self._network
        lacking = self.lacking
        if self.most_descriptors is not None and len(self._descriptors) >= self.most_descriptors:
            lacking = ConnFlag.ERROR_SOCKET
        if lacking:
            raise local_failure(lacking, "socket", OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
        source = self._bind(source, host)
        fd = network.descriptor()
        if post_bind is not None and not post_bind(fd):
            raise DialFailed(ConnFlag.ERROR_BIND, "connection_post_bind forbade the connection")
        place = (host, port)
        self._descriptors[fd] = None
        if network.watch is not None:
            network.watch.dialled(self, fd, source, place)
        reach = network.reach(host, port)
        if reach is Reach.UNREACHABLE or reach is Reach.FORBIDDEN:
            self.release(fd)
            raise connect_failure(errno.ENETUNREACH if reach is Reach.UNREACHABLE else errno.EACCES)
        network.dialled.append((source, host, port))
        dial = VirtualDial(self, fd, connected, failed)
        self._dials[dial] = None
        if network.kernel_patience is not None:
            network.clock.callLater(network.kernel_patience, dial.refused, errno.ETIMEDOUT)
        if reach is not Reach.SILENT:
            delay = network.trip(network.line_to(host, port))
            local = (source, network.free_port())
            network.clock.callLater(delay, self._knock, dial, local, place, fd)
        return dial

    def _bind(self, source: str, host: str) -> str:
        family = ":" in host
        if not source:
            usual = [address for address in self.addresses if (":" in address) == family]
            if not usual:
                raise connect_failure(errno.ENETUNREACH)
            return usual[0]
        number = 0
        if (":" in source) != family:
            number = errno.EINVAL
        elif source not in self.addresses or not self._network.plumbed(source):
            number = errno.EADDRNOTAVAIL
        if number:
            raise local_failure(ConnFlag.ERROR_BIND, f"bind to {source}", OSError(number, os.strerror(number)))
        return source

    def _knock(self, dial: VirtualDial, local: tuple[str, int], place: tuple[str, int], fd: int) -> None:
        """
        The connect has arrived.
        """
        network = self._network
        line = network.line_to(*place)
        reach = network.reach(*place)
        port = network.listening_at(place)
        if reach is Reach.SILENT:
            return
        answer = network.clock.callLater
        if reach is Reach.UNREACHABLE:
            answer(network.trip(line), dial.refused, errno.EHOSTUNREACH)
        elif reach is Reach.REFUSED or port is None:
            answer(network.trip(line), dial.refused)
        else:
            ours, theirs = connect(network.clock, line, local, place, Random(network.chance.getrandbits(64)))
            if dial.over:
                # Nobody is there any more: the peer learns it when its answer arrives.
                network.opened(ours)
            else:
                self.own(ours, fd)
            answer(network.trip(line), dial.established, ours)
            port.accept(theirs)

    def listen(self, description: str, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        See :class:`~momentum_tx.interfaces.seams.IListener`; it understands
        ``tcp:PORT`` and ``tcp:PORT:interface=ADDRESS``, and ``tcp6`` alike.
        """
        number, interface = _parse(description)
        network = self._network
        family = description.startswith("tcp6")
        if interface in ("", "0.0.0.0", "::"):
            addresses = [address for address in self.addresses if (":" in address) == family]
        else:
            addresses = [interface]
        number = number or network.free_port()
        places = [(address, number) for address in addresses]
        error = 0
        if not addresses or not all(network.plumbed(address) for address in addresses):
            error = errno.EADDRNOTAVAIL
        elif any(network.listening_at(place) is not None for place in places):
            error = errno.EADDRINUSE
        if error:
            return fail(CannotListenError(interface, number, OSError(error, os.strerror(error))))
        port = VirtualPort(network, places, factory, self)
        port.startListening()
        self._ports.append(port)
        return succeed(port)

    def listen_local(self, path: str, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        See :class:`~momentum_tx.interfaces.seams.IListener`.  Nothing is in the file
        system: the host itself is asked by :attr:`local`.
        """
        port = LocalPort(path, factory, self.local)
        port.startListening()
        return succeed(port)

    def kill(self) -> None:
        """
        The process is killed: its ports close, its connections close, its
        connects are forgotten, and none of its protocols hears of it.  What is
        on the wire arrives, connects too.
        """
        for dial in self.dials():
            dial.cancel()
        while self._ports:
            self._ports.pop().stopListening()
        for transport in self.open_transports():
            transport.vanish()
        for fd in list(self._descriptors):
            self.release(fd)


def _parse(description: str) -> tuple[int, str]:
    """
    Port and interface of an endpoint string.

    :raises ValueError: it is none, or of a kind that is not modelled.
    """
    kind, *rest = (part.replace("\\:", ":") for part in _COLON.split(description))
    if kind not in ("tcp", "tcp6") or not rest:
        raise ValueError(f"{description!r}: only tcp:PORT and tcp:PORT:interface=ADDRESS are modelled")
    interface = ""
    number = ""
    for index, part in enumerate(rest):
        name, equals, value = part.partition("=")
        if not equals and index == 0:
            number = part
        elif name == "port":
            number = value
        elif name == "interface":
            interface = value
        elif name != "backlog":
            raise ValueError(f"{description!r}: {part!r} is not modelled")
    if not number.isdigit():
        raise ValueError(f"{description!r} names no port")
    return int(number), interface
