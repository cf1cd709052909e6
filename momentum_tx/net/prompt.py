"""
TCP connections that send at once.

Twisted's own transports keep what is written until the reactor finds the socket writable,
which costs two changes of what epoll watches and an event of the reactor for each command
and each reply.  A socket that waits for nothing takes them there and then; only what it
does not take goes the long way round.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.main import CONNECTION_DONE
from twisted.internet.tcp import Port, Server
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort, IProtocol

#: Why a connection ended that we have closed.
_CLOSED: Final = Failure(CONNECTION_DONE)
#: Buffers handed to the kernel in one call; the system's own bound is far above.
_MOST_BUFFERS: Final = 64


class PromptServer(Server):
    """
    A connection whose :meth:`write` is a ``send``, as long as nothing waits to be sent.

    It never calls its protocol from within a write: an error of the socket is met again,
    and told, by the reactor.  Two writes in one turn are two packets, so that what belongs
    together is one ``write`` or one ``writeSequence``.
    """

    if TYPE_CHECKING:
        reactor: Any
        socket: socket.socket
        producer: Any
        producerPaused: bool
        streamingProducer: bool
        _tempDataBuffer: list[bytes]
        _tempDataLen: int

    #: Whether the reactor watches for room.
    _watched = False
    #: Nobody else has the descriptor, so that closing it ends the connection.
    _shouldShutdown = False

    def startWriting(self) -> None:
        """
        What is to be written was buffered, or the connection is to end when it is written.
        """
        if self._watched:
            return
        if (
            self._tempDataLen
            and not self.dataBuffer
            and not self._aborting
            # One that was paused is resumed by the reactor, which must have something to do for that.
            and (self.producer is None or (self.streamingProducer and not self.producerPaused))
            and self._send()
        ):
            return
        self._watched = True
        self.reactor.addWriter(self)

    def _send(self) -> bool:
        """
        Give the socket what is buffered; true if it took all of it.
        """
        buffers = self._tempDataBuffer
        try:
            if len(buffers) == 1:
                sent = self.socket.send(buffers[0])
            elif len(buffers) <= _MOST_BUFFERS:
                sent = self.socket.sendmsg(buffers)
            else:
                return False
        except OSError:
            # No room; or a connection that is broken, as which the reactor will find it.
            return False
        length = self._tempDataLen
        self._tempDataBuffer = []
        self._tempDataLen = 0
        if sent == length:
            return True
        self.dataBuffer = b"".join(buffers)
        self.offset = sent
        return False

    def loseConnection(self) -> None:
        """
        Close when all is written, which most often it is already: then in the next turn,
        without asking the reactor for room to write nothing.
        """
        if (
            not self.connected
            or self.TLS
            or self.disconnecting
            or self._writeDisconnecting
            or self._watched
            or self._aborting
            or self.producer is not None
        ):
            super().loseConnection()
            return
        self.stopReading()
        self.disconnecting = True
        self.reactor.callLater(0, self._close)

    def _close(self) -> None:
        # What was written meanwhile and had no room goes first: the end follows it as anywhere else.
        if self.connected and not self._watched and not self._aborting:
            self.connectionLost(_CLOSED)

    def stopWriting(self) -> None:
        """
        All is written, or nobody wants it any more.
        """
        if self._watched:
            self._watched = False
            self.reactor.removeWriter(self)


def adopt(reactor: Any, sock: socket.socket, peer: tuple[Any, ...], protocol: IProtocol) -> None:
    """
    Give a connected socket, and the descriptor with it, to a protocol.

    :param sock: not blocking; not to be used by the caller any more.
    :param peer: its ``getpeername()``.
    """
    # There is no port that it was accepted at, which is what a server without one says.
    transport = PromptServer(sock, protocol, peer, None, peer[1], reactor)  # type: ignore[arg-type]
    transport.repstr = f"<{protocol.__class__.__name__} to {peer[0]} port {peer[1]}>"
    protocol.makeConnection(transport)


def hasten(port: IListeningPort) -> IListeningPort:
    """
    Have what *port* accepts from now on send at once, if it is a TCP port of Twisted's own.
    """
    if isinstance(port, Port) and port.transport is Server:
        vars(port)["transport"] = PromptServer
    return port
