"""
Tests for :mod:`momentum_tx.net.body_writer`: what leaves, in which pieces, and how
long a peer may take for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IPushProducer
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.net.body_writer import BODY_SLICE, BodyWriter, Pace
from momentum_tx.net.smtp_client import ISMTPClientListener, SMTPClientProtocol
from momentum_tx.settings import PathSettings
from momentum_tx.smtp.body import END_OF_DATA, end_line, stuff
from momentum_tx.smtp.client import SMTPClientMachine
from momentum_tx.stages import Stage
from momentum_tx.testing.clock import VirtualClock
from momentum_tx.timers import Agenda

from .certificates import server_context

EHLO = b"250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"


class Transport:
    """
    Takes what it is given; pauses its producer when *room* octets wait.
    """

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.written = b""
        self.waiting = 0
        self.most_waiting = 0
        self.producer: BodyWriter | None = None

    def write(self, data: bytes) -> None:
        self.written += data
        self.waiting += len(data)
        self.most_waiting = max(self.most_waiting, self.waiting)
        if self.producer is not None and self.waiting >= self.room:
            self.producer.pauseProducing()

    def writeSequence(self, data: list[bytes]) -> None:
        self.write(b"".join(data))

    def registerProducer(self, producer: BodyWriter, streaming: bool) -> None:
        assert streaming and self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def drain(self) -> None:
        """
        The peer has read everything.
        """
        self.waiting = 0
        if self.producer is not None:
            self.producer.resumeProducing()


class WriterCase(SynchronousTestCase):
    """
    A machine at the point where the content is wanted.
    """

    def setUp(self) -> None:
        self.transport = Transport()
        self.waits = 0
        self.told: list[tuple[bytes, int]] = []

    def writer(self, content: bytes, chunk_size: int = 0) -> BodyWriter:
        """
        A writer of *content*.
        """
        self.machine = machine = SMTPClientMachine()
        machine.start()
        machine.receive_data(b"220 hello\r\n")
        machine.hello(b"me.example")
        machine.receive_data(EHLO)
        machine.transaction(b"a@b.example", [b"c@d.example"], chunked=chunk_size > 0)
        machine.receive_data(b"250 ok\r\n250 ok\r\n" + (b"" if chunk_size else b"354 go\r\n"))
        machine.sending_body()

        def wait() -> None:
            self.waits += 1

        def tell(command: bytes, octets: int) -> None:
            self.told.append((command, octets))

        return BodyWriter(self.transport, machine, content, chunk_size, wait, tell)

    def all_of(self, content: bytes, chunk_size: int) -> list[bytes]:
        """
        What leaves for *content* in chunks, as parts, each taken before the next.
        """
        self.transport.written = b""
        writer = self.writer(content, chunk_size)
        parts = []
        writer.send()
        while True:
            while self.transport.producer is not None:
                self.transport.drain()
            parts.append(self.transport.written)
            self.transport.written = b""
            if not [each for each in self.machine.receive_data(b"250 ok\r\n") if "Chunk" in type(each).__name__]:
                return parts
            writer.send()


class WriterTests(WriterCase):
    """
    Parts, slices and ends.
    """

    def test_provides(self) -> None:
        """
        It keeps the contract of a push producer.
        """
        self.assertTrue(verifyObject(IPushProducer, self.writer(b"x\r\n")))

    def test_data(self) -> None:
        """
        Behind DATA dots are doubled, and the final one follows.
        """
        content = b".one\r\n..\r\n" * 20_000
        self.transport.room = 1
        writer = self.writer(content)
        writer.send()
        while self.transport.producer is not None:
            self.transport.drain()
        self.assertEqual(self.transport.written, stuff(content) + END_OF_DATA)
        self.assertEqual((writer.size, self.machine.owed), (len(stuff(content)), 1))

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.sampled_from([b".", b"\r\n", b"a", b".\r\n", b"\r\n.\r\n"]), max_size=40).map(b"".join),
        st.integers(1, 12),
    )
    def test_octets(self, content: bytes, chunk_size: int) -> None:
        """
        In chunks every octet travels as it is, dots at line starts included; only the
        last command says LAST, and no chunk is larger than it may be.
        """
        parts = self.all_of(content, chunk_size)
        arrived = b""
        for part in parts:
            command, _, octets = part.partition(b"\r\n")
            words = command.split()
            self.assertEqual((words[0], int(words[1])), (b"BDAT", len(octets)))
            self.assertLessEqual(len(octets), chunk_size)
            self.assertEqual(words[2:], [b"LAST"] if part is parts[-1] else [])
            arrived += octets
        self.assertEqual(arrived, end_line(content))

    def test_empty(self) -> None:
        """
        A message without a single octet is one chunk of none.
        """
        self.assertEqual(self.all_of(b"", 100), [b"BDAT 0 LAST\r\n"])

    def test_last_line_not_ended(self) -> None:
        """
        The line end that lacks at the end is added, as it is behind DATA.
        """
        self.assertEqual(self.all_of(b"x", 100), [b"BDAT 3 LAST\r\nx\r\n"])

    def test_large_chunks(self) -> None:
        """
        A chunk larger than a slice leaves slice by slice, and its command comes once.
        """
        content = b"0123456789\r\n" * 20_000
        self.transport.room = 1
        parts = self.all_of(content, 150_000)
        self.assertEqual([part.partition(b"\r\n")[0] for part in parts], [b"BDAT 150000", b"BDAT 90000 LAST"])
        self.assertEqual(b"".join(part.partition(b"\r\n")[2] for part in parts), content)
        self.assertGreaterEqual(self.waits, 4)
        self.assertEqual(self.told, [(b"BDAT 150000\r\n", 150_000), (b"BDAT 90000 LAST\r\n", 90_000)])

    def test_memory(self) -> None:
        """
        However large the message, what waits for a peer that reads nothing is a slice and a command.
        """
        content = b"0123456789\r\n" * (20_000_000 // 12)
        for chunk_size in (0, 4 << 20):
            self.transport = Transport(1)
            self.writer(content, chunk_size).send()
            self.assertLessEqual(self.transport.most_waiting, BODY_SLICE + 100)
            self.assertGreaterEqual(self.transport.most_waiting, BODY_SLICE)

    def test_stopped(self) -> None:
        """
        Once it was stopped nothing leaves any more, whoever asks.
        """
        for chunk_size in (0, 200_000):
            self.transport = Transport(1)
            writer = self.writer(b"0123456789\r\n" * 30_000, chunk_size)
            writer.send()
            before = self.transport.written
            writer.stop()
            self.assertIsNone(self.transport.producer)
            writer.resumeProducing()
            writer.send()
            self.assertEqual((self.transport.written, self.machine.owed), (before, 0))


class Socket:
    """
    A transport under TLS, whose peer reads when a test says so.
    """

    disconnecting = False

    def __init__(self) -> None:
        self.out = b""
        self.most = 0
        self.aborted = False
        self.producer: Any = None

    def write(self, data: bytes) -> None:
        self.out += data
        self.most = max(self.most, len(self.out))
        # As the abstract transport of Twisted does it: at 64 KiB.
        if self.producer is not None and len(self.out) > BODY_SLICE:
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def read(self) -> bytes:
        """
        All that waits, as the peer reads it.
        """
        out, self.out = self.out, b""
        if self.producer is not None:
            self.producer.resumeProducing()
        return out

    def abortConnection(self) -> None:
        self.aborted = True


@implementer(IOpenSSLClientConnectionCreator)
class Creator:
    """
    Verifies nothing.
    """

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)


class EncryptedFromTheStart(SMTPClientProtocol):
    """
    Needs no STARTTLS.
    """

    def handshakeCompleted(self) -> None:
        """
        What is learnt from now on counts; nothing was before.
        """


class RealTLSTests(SynchronousTestCase):
    """
    A large message through Twisted's TLS, which has buffers and producers of its own.
    """

    SETTINGS = PathSettings(body_block_timeout=100.0, body_minimum_rate=2000.0)
    CONTENT = b"0123456789abcdef0123456789abcdef\r\n" * 600_000

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.socket = Socket()
        self.listener = Listener()
        self.machine = SMTPClientMachine()
        self.protocol = EncryptedFromTheStart(self.machine, Agenda(self.clock), self.SETTINGS, self.listener)
        wrapped = Factory.forProtocol(lambda: self.protocol)
        self.tls = TLSMemoryBIOFactory(Creator(), True, wrapped, self.clock).buildProtocol(None)
        self.server = SSL.Connection(server_context(), None)
        self.server.set_accept_state()
        self.heard = b""
        self.tls.makeConnection(self.socket)
        self.carry()

    def carry(self) -> None:
        """
        Let the peer read all there is, and answer.
        """
        for _ in range(10):
            out = self.socket.read()
            self.clock.advance(0)
            if out:
                self.server.bio_write(out)
            try:
                while True:
                    self.heard += self.server.recv(1 << 20)
            except SSL.WantReadError:
                pass
            try:
                self.tls.dataReceived(self.server.bio_read(1 << 20))
            except SSL.WantReadError:
                if not self.socket.out:
                    return

    def reply(self, line: bytes) -> None:
        """
        The peer says something.
        """
        self.server.send(line)
        self.carry()

    def begin(self, chunk_size: int, content: bytes) -> None:
        """
        Come to where the content leaves.
        """
        self.reply(b"220 hello\r\n")
        self.machine.hello(b"me.example")
        self.protocol.flush()
        self.carry()
        self.reply(EHLO)
        self.machine.transaction(b"a@b.example", [b"c@d.example"], chunked=chunk_size > 0)
        self.protocol.flush()
        self.carry()
        self.reply(b"250 ok\r\n250 ok\r\n" + (b"" if chunk_size else b"354 go\r\n"))
        self.assertIs(self.protocol.stage, Stage.AFTER_DATA)
        self.heard, self.socket.most = b"", 0
        self.protocol.send_body(content, chunk_size)
        self.clock.advance(0)

    def test_memory(self) -> None:
        """
        Twenty megabytes for a peer that reads nothing keep a few slices in memory; it is ended when
        nothing was taken for as long as may be.
        """
        for chunk_size in (0, 4 << 20):
            self.setUp()
            self.begin(chunk_size, self.CONTENT)
            self.assertLess(self.socket.most, 4 * BODY_SLICE)
            self.clock.advance(99)
            self.assertFalse(self.socket.aborted)
            self.clock.advance(2)
            self.assertTrue(self.socket.aborted)
            self.assertEqual(self.listener.timed_out, [Stage.SENDING_BODY])

    def test_too_slow(self) -> None:
        """
        One that reads just before each deadline is ended as well, when it is behind the minimum.
        """
        self.begin(0, self.CONTENT)
        rounds = 0
        while not self.socket.aborted and rounds < 20:
            self.clock.advance(95)
            if not self.socket.aborted:
                out = self.socket.read()
                self.assertGreater(len(out), 0)
                self.clock.advance(0)
            rounds += 1
        self.assertTrue(self.socket.aborted)
        self.assertGreater(rounds, 1)
        self.assertLess(rounds, 4)

    def test_all_arrives(self) -> None:
        """
        One that reads gets every octet, to the end.
        """
        content = self.CONTENT[: 34 * 40_000]
        self.begin(0, content)
        for _ in range(2000):
            if self.heard.endswith(b"\r\n.\r\n"):
                break
            self.carry()
        self.assertEqual(self.heard, content + END_OF_DATA)
        self.assertLess(self.socket.most, 4 * BODY_SLICE)
        self.assertIs(self.protocol.stage, Stage.READING_CONFIRMATION)


@implementer(ISMTPClientListener)
class Listener:
    """
    Remembers what took too long.
    """

    def __init__(self) -> None:
        self.timed_out: list[Stage] = []

    def machine_event(self, event: object) -> None:
        """
        Nothing follows from it here.
        """

    def tls_established(self) -> None:
        """
        It was from the beginning.
        """

    def idle_timed_out(self) -> None:
        """
        Nothing follows from it here.
        """

    def stage_timed_out(self, stage: Stage) -> None:
        self.timed_out.append(stage)

    def connection_ended(self, stage: Stage) -> None:
        """
        Nothing follows from it here.
        """


class PaceTests(SynchronousTestCase):
    """
    How slow is too slow.
    """

    def test_no_rate(self) -> None:
        """
        Without a minimum only a step that takes too long counts.
        """
        self.assertEqual(Pace(180.0, 0, 100.0).patience(1000, 1_000_000.0), 180.0)

    def test_steps(self) -> None:
        """
        No step may take longer than the block timeout, however far ahead the peer is.
        """
        self.assertEqual(Pace(180.0, 1000, 0.0).patience(1_000_000, 5.0), 180.0)

    def test_rate(self) -> None:
        """
        The first octets must be gone when the timeout granted once and the time they
        take at that rate are over; then there is no patience left.
        """
        pace = Pace(180.0, 1000, 50.0)
        self.assertEqual(pace.patience(100_000, 50.0), 180.0)
        self.assertEqual(pace.patience(100_000, 300.0), 30.0)
        self.assertEqual(pace.patience(100_000, 400.0), 0.0)
