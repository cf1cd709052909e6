"""
Tests for :mod:`momentum_tx.net.body_writer`: what leaves, in which pieces, and how
long a peer may take for it.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.net.body_writer import BODY_SLICE, BodyWriter, Pace
from momentum_tx.smtp.body import END_OF_DATA, end_line, stuff
from momentum_tx.smtp.client import SMTPClientMachine

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
