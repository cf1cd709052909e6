"""
UDP sockets for questions of a millisecond.

Twisted's own UDP port writes two lines to the log each time one is opened and
closed; a resolver that takes a fresh port for every question would fill the log
with them.  This one says nothing, and does only what a resolver needs.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IReactorUDP, IReadDescriptor
from zope.interface import implementer

#: Datagrams read in one turn of the reactor from one socket.
_READS: Final = 16


@implementer(IReactorUDP)
class QuietDatagrams:
    """
    A reactor whose UDP ports are silent; everything else is the reactor's own.

    :param reactor: provides ``IReactorFDSet``.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> IListeningPort:
        """
        Open a socket for *protocol*; see ``IReactorUDP``.

        :raises OSError: there is none to be had.
        """
        return _Datagrams(self._reactor, port, protocol, interface, maxPacketSize)


@implementer(IListeningPort, IReadDescriptor)
class _Datagrams:
    """
    One socket: port and transport of its protocol.
    """

    def __init__(self, reactor: Any, port: int, protocol: Any, interface: str, size: int) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._size = size
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.bind((interface, port))
        except OSError:
            sock.close()
            raise
        self._socket: socket.socket | None = sock
        self._fileno = sock.fileno()
        protocol.transport = self
        reactor.addReader(self)

    def logPrefix(self) -> str:
        return "momentum_tx datagrams"

    def fileno(self) -> int:
        return self._fileno

    def connect(self, host: str, port: int) -> None:
        """
        Hear nobody but this peer, and learn when nothing listens there.
        """
        assert self._socket is not None
        self._socket.connect((host, port))

    def write(self, data: bytes, addr: tuple[str, int]) -> None:
        """
        Send to the peer connected to; a full socket buffer loses it, as the
        network may.
        """
        if self._socket is None:
            return
        try:
            self._socket.send(data)
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            self._protocol.connectionRefused()

    def doRead(self) -> None:
        for _ in range(_READS):
            if self._socket is None:
                return
            try:
                data, peer = self._socket.recvfrom(self._size)
            except BlockingIOError:
                return
            except OSError:
                self._protocol.connectionRefused()
                return
            self._protocol.datagramReceived(data, peer[:2])

    def connectionLost(self, reason: object) -> None:
        self.stopListening()

    def startListening(self) -> None:
        """
        It listens from the start.
        """

    def stopListening(self) -> Deferred[None]:
        """
        Give the socket back; harmless twice.
        """
        sock, self._socket = self._socket, None
        if sock is not None:
            self._reactor.removeReader(self)
            self._fileno = -1
            sock.close()
        return succeed(None)

    def getHost(self) -> Any:
        """
        Our address and port, as the socket tells them.
        """
        assert self._socket is not None
        return self._socket.getsockname()
