"""
Tests for :mod:`momentum_tx.net.datagram`.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import IListeningPort, IReactorUDP
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.net.datagram import QuietDatagrams


class Readers:
    """
    As much of a reactor as a datagram socket needs.
    """

    def __init__(self) -> None:
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.remove(reader)

    def marker(self) -> str:
        return "the reactor's own"


class Recorder:
    """
    A protocol that keeps what it is told.
    """

    transport: Any = None

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.refused = 0

    def datagramReceived(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))

    def connectionRefused(self) -> None:
        self.refused += 1


class QuietDatagramsTests(SynchronousTestCase):
    """
    A question and its answer over a socket that logs nothing.
    """

    def setUp(self) -> None:
        self.reactor = Readers()
        self.quiet = QuietDatagrams(self.reactor)
        self.protocol = Recorder()
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.settimeout(5)
        self.peer.bind(("127.0.0.1", 0))
        self.addCleanup(self.peer.close)

    def open(self) -> Any:
        port: Any = self.quiet.listenUDP(0, self.protocol, "")
        self.addCleanup(port.stopListening)
        return port

    def test_contracts(self) -> None:
        """
        It is a reactor for datagrams, and everything else is the reactor's.
        """
        verifyObject(IReactorUDP, self.quiet)
        verifyObject(IListeningPort, self.open())
        self.assertEqual(self.quiet.marker(), "the reactor's own")

    def test_question_and_answer(self) -> None:
        """
        What is written arrives, and what comes back is read.
        """
        port = self.open()
        address = self.peer.getsockname()
        self.protocol.transport.connect(*address)
        self.protocol.transport.write(b"question", address)
        data, source = self.peer.recvfrom(100)
        self.assertEqual(data, b"question")
        self.peer.sendto(b"answer", source)
        port.doRead()
        self.assertEqual(self.protocol.received, [(b"answer", address)])

    def test_nobody_there(self) -> None:
        """
        A port where nothing listens is told once, by the read or the next write.
        """
        port = self.open()
        address = self.peer.getsockname()
        self.peer.close()
        self.protocol.transport.connect(*address)
        self.protocol.transport.write(b"question", address)
        port.doRead()
        self.assertEqual(self.protocol.refused, 1)

    def test_closed(self) -> None:
        """
        After it is closed the reactor has nothing of it, and writing does no harm.
        """
        port = self.open()
        self.successResultOf(port.stopListening())
        self.successResultOf(port.stopListening())
        self.assertEqual(self.reactor.readers, [])
        self.assertEqual(port.fileno(), -1)
        port.write(b"late", self.peer.getsockname())
        port.doRead()
        self.assertEqual(self.protocol.received, [])
