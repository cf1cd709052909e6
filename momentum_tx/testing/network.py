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


class VirtualNetwork:
    """
    The network of a virtual world.

    :param clock: times everything on it.
    :param random: varies ports; the source of chance of later refinements.
    :param latency: seconds of one direction where nothing else is said.
    """

    def __init__(self, clock: IReactorTime, random: Random, latency: float = 0.001) -> None:
        self.clock = clock
        self.random = random
        #: How connections behave where :meth:`line` was not asked for.
        self.default_line = Line(latency)
        #: Connects so far: (source address, destination address, port).
        self.dialled: list[tuple[str, str, int]] = []
        self._lines: dict[tuple[str, int | None], Line] = {}
        self._reaches: dict[tuple[str, int | None], Reach] = {}
        self._ports: dict[tuple[str, int], VirtualPort] = {}
        self._plumbed: set[str] = set()
        self._open: dict[VirtualTransport, None] = {}
        self._next_port = FIRST_PORT + random.randrange(1000)
        self._next_descriptor = FIRST_DESCRIPTOR

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
        somebody listens.
        """
        self._reaches[address, port] = Reach.REFUSED

    def unreachable(self, address: str, port: int | None = None) -> None:
        """
        No route leads to the address: a connect fails at once.
        """
        self._reaches[address, port] = Reach.UNREACHABLE

    def black_hole(self, address: str, port: int | None = None) -> None:
        """
        Connects to the address are never answered.
        """
        self._reaches[address, port] = Reach.SILENT

    def restore(self, address: str, port: int | None = None) -> None:
        """
        Take back what :meth:`refuse`, :meth:`unreachable` or :meth:`black_hole` said.
        """
        self._reaches.pop((address, port), None)

    def line(self, address: str, port: int | None = None) -> Line:
        """
        How connections to an address, or to one port of it, behave; change what
        it says at will.
        """
        line = self._lines.get((address, port))
        if line is None:
            d = self.default_line
            line = self._lines[address, port] = Line(d.latency, d.window, d.split, d.to_listener, d.to_dialer)
        return line

    # Parties.

    def host(self, *addresses: str) -> VirtualHost:
        """
        A party with addresses of its own, which are plumbed.
        """
        return VirtualHost(self, addresses)

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

    def opened(self, transport: VirtualTransport) -> None:
        """
        Keep account of *transport* until it is gone.
        """
        self._open[transport] = None
        before = transport.on_gone

        def gone(transport: VirtualTransport) -> None:
            self._open.pop(transport, None)
            if before is not None:
                before(transport)

        transport.on_gone = gone
