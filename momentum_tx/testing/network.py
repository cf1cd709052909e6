"""
A virtual network: deterministic TCP between parties on a virtual clock::

    network = VirtualNetwork(clock, random.Random(1))
    us = network.host("192.0.2.1", "192.0.2.2")
    network.listen("198.51.100.7", 25, factory)
    us.dial("198.51.100.7", 25, "192.0.2.2", None, connected, failed)
    clock.advance(1)

An address nobody mentioned refuses connections.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

from twisted.internet.error import CannotListenError

from .host import VirtualHost, VirtualPort
from .wire import Line, Reach, VirtualTransport

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocolFactory, IReactorTime

#: Where ports begin that nobody asked for by number.
FIRST_PORT: Final = 32768
#: Where numbers begin that stand for descriptors; higher than any the process has.
FIRST_DESCRIPTOR: Final = 100_000


class NetworkWatch:
    """
    Is told what happens on a :class:`VirtualNetwork`, always before those whom
    it happens to.  It does nothing: subclass it, and override what is to be seen.
    """

    def dialled(self, host: VirtualHost, fd: int, source: str, destination: tuple[str, int]) -> None:
        """
        *host* calls ``connect``: the descriptor is bound, and nobody forbade it.

        :param source: the address it is bound to.
        """

    def released(self, host: VirtualHost, fd: int) -> None:
        """
        A descriptor that was :meth:`dialled` is gone again, for whatever reason;
        once for each.
        """

    def established(self, host: VirtualHost, fd: int, transport: VirtualTransport) -> None:
        """
        A connect has succeeded, and *host* still wanted it.
        """

    def sent(self, transport: VirtualTransport, data: bytes) -> None:
        """
        Octets left a protocol's buffer; whether they arrive is another matter.
        """

    def read(self, transport: VirtualTransport, data: bytes) -> None:
        """
        A protocol is about to be given octets.
        """

    def gone(self, transport: VirtualTransport, reason: Exception) -> None:
        """
        One end of a connection is closed; its protocol is about to hear of it,
        unless its process was killed.
        """


class VirtualNetwork:
    """
    The network of a virtual world.

    :param clock: times everything on it.
    :param random: varies ports and draws jitter.
    :param latency: seconds of one direction where nothing else is said.
    """

    def __init__(self, clock: IReactorTime, random: Random, latency: float = 0.001) -> None:
        self.clock = clock
        self.chance = random
        #: How connections behave where :meth:`line` was not asked for.
        self.default_line = Line(latency)
        #: Connects so far: (source address, destination address, port).  It only grows; who
        #: runs a world for long clears it now and then, or looks at :attr:`watch` instead.
        self.dialled: list[tuple[str, str, int]] = []
        self._lines: dict[tuple[str, int | None], Line] = {}
        self._reaches: dict[tuple[str, int | None], Reach] = {}
        self._ports: dict[tuple[str, int], VirtualPort] = {}
        self._plumbed: set[str] = set()
        self._watch: NetworkWatch | None = None
        #: Open ends, and whose they are.
        self._open: dict[VirtualTransport, VirtualHost | None] = {}
        #: Seconds after which a kernel gives up a connect that nobody answers; ``None`` never.
        self.kernel_patience: float | None = None
        self._next_port = FIRST_PORT + random.randrange(1000)
        self._next_descriptor = FIRST_DESCRIPTOR

    @property
    def watch(self) -> NetworkWatch | None:
        """
        Who is told what happens, on connections that exist already too.
        """
        return self._watch

    @watch.setter
    def watch(self, watch: NetworkWatch | None) -> None:
        self._watch = watch
        for transport in self._open:
            transport.watch = watch

    # What a test says about places.

    def plumb(self, *addresses: str) -> None:
        """
        Configure addresses, so that sockets can be bound to them.
        """
        self._plumbed.update(addresses)

    def unplumb(self, *addresses: str) -> None:
        """
        Take addresses away again; connections that exist stay.
        """
        self._plumbed.difference_update(addresses)

    def plumbed(self, address: str) -> bool:
        """
        Whether sockets can be bound to *address*.
        """
        return address in self._plumbed

    def refuse(self, address: str, port: int | None = None) -> None:
        """
        Connects to the address, or one port of it, are refused, even where
        somebody listens; those under way too, if they have not arrived.
        """
        self._reaches[address, port] = Reach.REFUSED

    def unreachable(self, address: str, port: int | None = None) -> None:
        """
        No route leads to the address: a connect fails at once, and one that is
        under way when it would have arrived.
        """
        self._reaches[address, port] = Reach.UNREACHABLE

    def black_hole(self, address: str, port: int | None = None) -> None:
        """
        Connects to the address are never answered, nor are those under way that
        have not arrived.
        """
        self._reaches[address, port] = Reach.SILENT

    def forbid(self, address: str, port: int | None = None) -> None:
        """
        Our own kernel refuses to connect to the address.
        """
        self._reaches[address, port] = Reach.FORBIDDEN

    def restore(self, address: str, port: int | None = None) -> None:
        """
        Take back what :meth:`refuse`, :meth:`unreachable`, :meth:`black_hole` or
        :meth:`forbid` said.
        """
        self._reaches.pop((address, port), None)

    def line(self, address: str, port: int | None = None) -> Line:
        """
        How connections to an address, or to one port of it, behave; change what
        it says at will.  It begins as the :attr:`default_line`.
        """
        line = self._lines.get((address, port))
        if line is None:
            line = self._lines[address, port] = replace(self.default_line)
            for transport in self._open:
                if transport.place[0] == address:
                    transport.use(self.line_to(*transport.place))
        return line

    def sever(self, address: str, port: int | None = None, reset: bool = True) -> None:
        """
        Break every connection to an address, or to one port of it: what is under
        way is lost, and both ends learn it one latency later.

        :param reset: whether they see a reset; otherwise each sees the other
            close in order.
        """
        for transport in self.open_transports():
            if transport.place[0] == address and port in (None, transport.place[1]):
                transport.sever(reset)

    # Parties.

    def host(self, *addresses: str, plumb: bool = True) -> VirtualHost:
        """
        A party with addresses of its own, which are plumbed.

        :param plumb: see :class:`~momentum_tx.testing.host.VirtualHost`.
        """
        return VirtualHost(self, addresses, plumb)

    def dialer(self, host_addresses: Iterable[str]) -> VirtualHost:
        """
        An ``IDialer`` of a new host.
        """
        return self.host(*host_addresses)

    def listener(self, host_addresses: Iterable[str] = ("127.0.0.1",)) -> VirtualHost:
        """
        An ``IListener`` of a new host.
        """
        return self.host(*host_addresses)

    def listen(self, address: str, port: int, factory: IProtocolFactory) -> VirtualPort:
        """
        Listen on one address.

        :raises CannotListenError: somebody does already.
        """
        if (address, port) in self._ports:
            raise CannotListenError(address, port, OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)))
        found = VirtualPort(self, [(address, port)], factory)
        found.startListening()
        return found

    def open_transports(self) -> list[VirtualTransport]:
        """
        Every end that is still open, oldest first.
        """
        return list(self._open)

    # What the parties use.

    def free_port(self) -> int:
        """
        A port nobody has.
        """
        self._next_port = self._next_port + 1 if self._next_port < 65535 else FIRST_PORT
        return self._next_port

    def descriptor(self) -> int:
        """
        A number that stands for a descriptor.
        """
        self._next_descriptor += 1
        return self._next_descriptor

    def reach(self, address: str, port: int) -> Reach | None:
        """
        What was said about a destination; ``None`` if connects may succeed.
        """
        return self._reaches.get((address, port)) or self._reaches.get((address, None))

    def line_to(self, address: str, port: int) -> Line:
        """
        How a connection to the destination behaves.
        """
        return self._lines.get((address, port)) or self._lines.get((address, None)) or self.default_line

    def bind_port(self, place: tuple[str, int], port: VirtualPort) -> None:
        """
        *port* takes connects to *place*.
        """
        self._ports[place] = port

    def unbind_port(self, place: tuple[str, int]) -> None:
        """
        Nobody takes connects to *place* any more.
        """
        self._ports.pop(place, None)

    def listening_at(self, place: tuple[str, int]) -> VirtualPort | None:
        """
        Who takes connects to *place*.
        """
        return self._ports.get(place)

    def trip(self, line: Line) -> float:
        """
        Seconds that a connect, or its answer, takes over *line*.
        """
        return line.latency + (self.chance.uniform(0.0, line.jitter) if line.jitter else 0.0)

    def opened(self, transport: VirtualTransport, host: VirtualHost | None = None) -> None:
        """
        Keep account of *transport* until it is gone.

        :param host: told of that too.
        """
        self._open[transport] = host
        transport.watch = self._watch
        transport.on_gone = self._gone

    def _gone(self, transport: VirtualTransport) -> None:
        host = self._open.pop(transport)
        if host is not None:
            host.gone(transport)
