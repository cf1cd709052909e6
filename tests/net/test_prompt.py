"""
Tests for :mod:`momentum_tx.net.prompt`: a pair of real sockets, and a reactor whose turns a
test takes.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.tcp import Port, Server
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer

from momentum_tx.net.prompt import PromptServer, adopt, hasten

#: Far more than the buffers of the pair hold.
LARGE = 4 << 20


class Reactor(Clock):
    """
    Watches, and lets a test say when a socket is served.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []
        self.writers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        if reader not in self.readers:
            self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        if writer not in self.writers:
            self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.writers:
            self.writers.remove(writer)

    def room(self) -> None:
        """
        Say to all who wait that there is room; end the connection of whoever is done.
        """
        for writer in list(self.writers):
            why = writer.doWrite()
            if why is not None:
                self.removeReader(writer)
                self.removeWriter(writer)
                writer.connectionLost(Failure(why))


class Side(Protocol):
    """
    Remembers how its connection ended.
    """

    transport: Any

    def __init__(self) -> None:
        self.ended: list[type[BaseException]] = []

    def connectionLost(self, reason: Failure | None = None) -> None:
        assert reason is not None and reason.type is not None
        self.ended.append(reason.type)


@implementer(IPushProducer)
class Pushing:
    """
    A producer that remembers what it was told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class PromptTests(SynchronousTestCase):
    """
    What leaves when.
    """

    def setUp(self) -> None:
        self.reactor = Reactor()
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        ours = socket.create_connection(listening.getsockname())
        ours.setblocking(False)
        self.peer, _ = listening.accept()
        self.peer.settimeout(5)
        self.addCleanup(self.peer.close)
        self.addCleanup(ours.close)
        self.protocol = Side()
        adopt(self.reactor, ours, ours.getpeername(), self.protocol)
        self.transport: PromptServer = self.protocol.transport
        self.calls: list[str] = []

    def read(self, count: int) -> bytes:
        """
        *count* octets at the peer's; the transport is served meanwhile.
        """
        got = bytearray()
        while len(got) < count:
            self.reactor.room()
            got += self.peer.recv(count - len(got))
        return bytes(got)

    def fill(self) -> bytes:
        """
        Write more than the socket takes.
        """
        content = bytes(range(256)) * (LARGE // 256)
        self.transport.write(content)
        self.assertEqual(self.reactor.writers, [self.transport])
        return content

    def test_at_once(self) -> None:
        """
        What the socket takes has left when the call returns, and nobody watches for room.
        """
        self.transport.write(b"one")
        self.assertEqual(self.peer.recv(10), b"one")
        self.transport.writeSequence([b"t", b"", b"wo"])
        self.assertEqual(self.peer.recv(10), b"two")
        self.transport.writeSequence([b"x"] * 3000)
        self.assertEqual(self.read(3000), b"x" * 3000)
        self.transport.write(b"")
        self.assertEqual(self.reactor.writers, [])

    def test_order(self) -> None:
        """
        While something waits, what is written later waits behind it.
        """
        content = self.fill()
        self.transport.write(b"later")
        self.transport.writeSequence([b"and ", b"last"])
        self.assertEqual(self.read(LARGE + 13), content + b"laterand last")
        self.reactor.room()
        self.assertEqual(self.reactor.writers, [])
        self.transport.write(b"at once again")
        self.assertEqual(self.peer.recv(100), b"at once again")
        self.assertEqual(self.reactor.writers, [])

    def test_pieces(self) -> None:
        """
        A sequence of which the socket takes a part goes on where it stopped.
        """
        pieces = [bytes([number]) * (LARGE // 8) for number in range(8)]
        self.transport.writeSequence(pieces)
        self.assertEqual(self.reactor.writers, [self.transport])
        self.assertEqual(self.read(LARGE), b"".join(pieces))

    def test_end(self) -> None:
        """
        A connection that is closed ends when all was sent, and in a turn of its own.
        """
        self.transport.write(b"goodbye")
        self.transport.loseConnection()
        self.transport.write(b"")
        self.transport.loseConnection()
        self.assertEqual(self.protocol.ended, [])
        self.assertEqual((self.reactor.readers, self.reactor.writers), ([], []))
        self.reactor.advance(0)
        self.assertEqual(self.protocol.ended, [ConnectionDone])
        self.assertEqual(self.peer.recv(100) + self.peer.recv(100), b"goodbye")
        self.assertEqual((self.reactor.readers, self.reactor.writers), ([], []))

    def test_end_behind_what_waits(self) -> None:
        """
        What waits is sent before the end.
        """
        content = self.fill()
        self.transport.loseConnection()
        self.assertEqual(self.read(LARGE), content)
        self.reactor.room()
        self.assertEqual(self.protocol.ended, [ConnectionDone])

    def test_written_when_closing(self) -> None:
        """
        What is written to a connection that is closing is sent, before it ends.
        """
        self.transport.loseConnection()
        content = b"P.S." * (LARGE // 4)
        self.transport.write(content)
        self.reactor.advance(0)
        self.assertEqual(self.protocol.ended, [])
        self.assertEqual(self.read(LARGE), content)
        self.reactor.room()
        self.assertEqual(self.protocol.ended, [ConnectionDone])

    def test_end_overtaken(self) -> None:
        """
        A connection that ends by itself, or is aborted, before it is closed ends once.
        """
        self.transport.loseConnection()
        self.transport.connectionLost(Failure(ConnectionLost()))
        self.reactor.advance(0)
        self.assertEqual(self.protocol.ended, [ConnectionLost])

    def test_aborted_when_closing(self) -> None:
        """
        An abort ends what was closing.
        """
        self.transport.loseConnection()
        self.transport.abortConnection()
        self.reactor.advance(0)
        self.assertEqual(self.protocol.ended, [ConnectionAborted])

    def test_half_closed(self) -> None:
        """
        Our half is closed behind what was written.
        """
        directlyProvides(self.protocol, IHalfCloseableProtocol)
        self.protocol.writeConnectionLost = lambda: self.calls.append("closed")  # type: ignore[attr-defined]
        self.transport.write(b"last words")
        self.transport.loseWriteConnection()
        self.assertEqual(self.calls, [])
        self.reactor.room()
        self.assertEqual(self.calls, ["closed"])
        self.assertEqual(self.peer.recv(100) + self.peer.recv(100), b"last words")
        self.peer.sendall(b"still heard")
        self.transport.write(b"unheard")
        self.assertEqual(self.protocol.ended, [])

    def test_aborted(self) -> None:
        """
        Nothing leaves behind an abort; its end is told in the next turn.
        """
        self.transport.abortConnection()
        self.transport.write(b"too late")
        self.assertEqual(self.protocol.ended, [])
        self.reactor.advance(0)
        self.assertEqual(len(self.protocol.ended), 1)
        self.assertRaises(ConnectionResetError, self.peer.recv, 100)
        self.transport.write(b"later still")
        self.assertEqual(self.reactor.writers, [])

    def test_broken(self) -> None:
        """
        A peer that has gone is no exception for the one who writes: the reactor finds it, and tells it.
        """
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.peer.close()
        self.transport.write(b"one")
        self.transport.write(b"two")
        self.assertEqual(self.protocol.ended, [])
        self.assertEqual(self.reactor.writers, [self.transport])
        self.reactor.room()
        self.assertEqual(self.protocol.ended, [ConnectionLost])

    def test_producer(self) -> None:
        """
        Who pushes is paused when more waits than the buffer is to hold, and resumed once it has left.
        """
        pushing = Pushing()
        self.transport.registerProducer(pushing, True)
        self.transport.write(b"a little")
        self.assertEqual(self.peer.recv(100), b"a little")
        self.assertEqual((pushing.told, self.reactor.writers), ([], []))
        self.transport.write(b"x" * (LARGE // 2))
        self.assertEqual(pushing.told, ["pause"])
        self.read(LARGE // 2)
        self.reactor.room()
        self.assertEqual(pushing.told, ["pause", "resume"])
        self.transport.write(b"more")
        self.assertEqual(self.peer.recv(100), b"more")
        self.transport.loseConnection()
        self.assertEqual(self.protocol.ended, [])
        self.transport.unregisterProducer()
        self.reactor.room()
        self.assertEqual(self.protocol.ended, [ConnectionDone])

    def test_pause_for_a_moment(self) -> None:
        """
        One that was paused is resumed though the socket took everything.
        """
        pushing = Pushing()
        self.transport.bufferSize = 10
        self.transport.registerProducer(pushing, True)
        self.transport.write(b"more than ten octets")
        self.assertEqual(pushing.told, ["pause"])
        self.reactor.room()
        self.assertEqual(pushing.told, ["pause", "resume"])
        self.assertEqual(self.peer.recv(100), b"more than ten octets")

    def test_pulled(self) -> None:
        """
        Who is pulled is asked for more whenever what it gave has left.
        """
        pulled = Pushing()
        self.transport.registerProducer(pulled, False)
        self.transport.write(b"first")
        self.reactor.room()
        self.assertEqual(pulled.told, ["resume", "resume"])
        self.assertEqual(self.peer.recv(100), b"first")


class HastenTests(SynchronousTestCase):
    """
    What a port accepts.
    """

    def test_port(self) -> None:
        """
        A TCP port of Twisted's own makes such connections from then on.
        """
        factory = Factory.forProtocol(Side)
        port = Port(0, factory, interface="127.0.0.1", reactor=Reactor())
        self.assertIs(hasten(port), port)
        self.assertIs(port.transport, PromptServer)
        self.assertIs(Port.transport, Server)

    def test_others(self) -> None:
        """
        Any other is left as it is, as is one that makes connections of its own kind.
        """

        class Foreign:
            pass

        foreign: Any = Foreign()
        self.assertIs(hasten(foreign), foreign)
        self.assertEqual(vars(foreign), {})

        class Own(Server):
            pass

        port = Port(0, Factory(), reactor=Reactor())
        vars(port)["transport"] = Own
        hasten(port)
        self.assertIs(port.transport, Own)
