"""
Tests of :mod:`momentum_tx.logs.files`.
"""

import errno
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.logs import files
from momentum_tx.logs.files import ILogFile, LogFile, NoFile

from ..worlds import BOB, SENDER, WorldCase


class _Disk:
    """
    The system's calls, but a disk that has room for so many octets.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.truncates = True

    def write(self, fd: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = os.write(fd, memoryview(data)[: self.room])
        self.room -= count
        return count

    def ftruncate(self, fd: int, length: int) -> None:
        if not self.truncates:
            raise OSError(errno.EPERM, "Operation not permitted")
        os.ftruncate(fd, length)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


class _Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()
        self.file = LogFile(self.path)
        self.file.open()
        self.addCleanup(self.file.close)

    def content(self, path: str = "") -> bytes:
        with open(path or self.path, "rb") as stream:
            return stream.read()


class LogFileTests(_Base):
    """
    A log on a healthy disk.
    """

    def test_provides(self) -> None:
        """
        It has all that its contract asks for.
        """
        self.assertTrue(verifyObject(ILogFile, self.file))

    def test_appends(self) -> None:
        """
        Lines are added to what an earlier run has left.
        """
        self.assertEqual(self.file.write(b"one\n"), 4)
        self.file.close()
        again = LogFile(self.path)
        again.open()
        self.addCleanup(again.close)
        self.assertEqual(again.write(b"two\nthree\n"), 10)
        self.assertIsNone(again.error)
        self.assertEqual(self.content(), b"one\ntwo\nthree\n")

    def test_mode(self) -> None:
        """
        A new log has the permissions asked for.
        """
        path = self.mktemp()
        file = LogFile(path, 0o600)
        file.open()
        self.addCleanup(file.close)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_reopen(self) -> None:
        """
        After rotation lines go to a new file of the old name, and the descriptor of the old one is given back.
        """
        self.file.write(b"old\n")
        os.rename(self.path, self.path + ".1")
        self.file.write(b"still old\n")
        before = len(os.listdir("/proc/self/fd"))
        self.file.reopen()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.file.write(b"new\n")
        self.assertEqual(self.content(self.path + ".1"), b"old\nstill old\n")
        self.assertEqual(self.content(), b"new\n")

    def test_reopen_fails(self) -> None:
        """
        When the new file cannot be opened, lines go on into the old one.
        """
        os.rename(self.path, self.path + ".1")
        os.mkdir(self.path)
        self.assertRaises(OSError, self.file.reopen)
        self.assertEqual(self.file.write(b"kept\n"), 5)
        self.assertEqual(self.content(self.path + ".1"), b"kept\n")

    def test_open_fails(self) -> None:
        """
        A log in a directory that does not exist is an error at once.
        """
        self.assertRaises(OSError, LogFile(os.path.join(self.path, "no", "such")).open)

    def test_open_twice(self) -> None:
        """
        Opening an open log changes nothing.
        """
        before = len(os.listdir("/proc/self/fd"))
        self.file.open()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_closed(self) -> None:
        """
        A line for a closed log is lost, and said to be; closing twice is harmless.
        """
        self.file.close()
        self.file.close()
        self.assertEqual(self.file.write(b"late\n"), 0)
        self.assertIsNotNone(self.file.error)
        self.assertEqual(self.content(), b"")


class FullDiskTests(_Base):
    """
    A log on a disk without room.
    """

    def setUp(self) -> None:
        super().setUp()
        self.disk = _Disk(0)
        self.patch(files, "os", self.disk)

    def test_nothing_fits(self) -> None:
        """
        A full disk loses lines, says why, and is written again when there is room.
        """
        self.assertEqual(self.file.write(b"lost\n"), 0)
        assert self.file.error is not None
        self.assertEqual(self.file.error.errno, errno.ENOSPC)
        self.disk.room = 100
        self.assertEqual(self.file.write(b"kept\n"), 5)
        self.assertIsNone(self.file.error)
        self.assertEqual(self.content(), b"kept\n")

    def test_piece_is_taken_back(self) -> None:
        """
        Wherever the disk becomes full, only whole lines are in the file, then and afterwards.
        """
        data = b"1@a\n22@bb\n333@ccc\n"
        for room in range(len(data)):
            os.truncate(self.path, 0)
            self.disk.room = room
            kept = self.file.write(data)
            self.assertEqual(self.content(), data[:kept])
            self.assertEqual(kept, data.rfind(b"\n", 0, room) + 1)
            self.disk.room = 100
            self.assertEqual(self.file.write(b"next\n"), 5)
            self.assertEqual(self.content(), data[:kept] + b"next\n")

    def test_piece_that_stays(self) -> None:
        """
        A piece that cannot be taken back is ended by a mark no record contains
        before the next record, however often that fails too.
        """
        self.disk.truncates = False
        data = b"1@a\n22@bb\n"
        for room in range(len(data)):
            for second in range(9):
                self.disk.room = 100
                self.file.reopen()
                os.truncate(self.path, 0)
                self.disk.room = room
                kept = self.file.write(data)
                self.disk.room = second
                kept_then = self.file.write(b"again\n")
                self.disk.room = 100
                self.assertEqual(self.file.write(b"last\n"), 5)
                lines = self.content().split(b"\n")
                whole = [line for line in lines[:-1] if b"\x18" not in line]
                expected = data[:kept] + b"again\n"[:kept_then] + b"last\n"
                self.assertEqual(b"\n".join(whole) + b"\n", expected, (room, second))

    def test_line_of_somebody_else(self) -> None:
        """
        A piece behind which another process has written is not taken back: nobody else's line is lost.
        """
        other = LogFile(self.path)
        other.open()
        self.addCleanup(other.close)
        disk = self.disk

        class Shared(_Disk):
            def write(self, fd: int, data: bytes) -> int:
                if not self.room:
                    with open(path, "ab") as stream:
                        stream.write(b"other\n")
                return super().write(fd, data)

        path = self.path
        self.patch(files, "os", Shared(5))
        self.assertEqual(self.file.write(b"1@a\n22@bb\n"), 4)
        disk.room = 100
        self.patch(files, "os", disk)
        self.assertEqual(self.file.write(b"3@c\n"), 4)
        self.assertEqual(self.content(), b"1@a\n2other\n\x18\n3@c\n")

    def test_writes_nothing(self) -> None:
        """
        A system that takes no octet and gives no error does not hold the process.
        """

        class Stuck(_Disk):
            def write(self, fd: int, data: bytes) -> int:
                return 0

        self.patch(files, "os", Stuck(0))
        self.assertEqual(self.file.write(b"lost\n"), 0)
        assert self.file.error is not None
        self.assertEqual(self.file.error.errno, errno.EIO)


class PipeTests(SynchronousTestCase):
    """
    A log that is a pipe.
    """

    def test_slow_reader(self) -> None:
        """
        A reader that does not read loses lines and never stops the writer;
        what it reads later are whole lines and marked pieces.
        """
        path = self.mktemp()
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        file = LogFile(path)
        file.open()
        self.addCleanup(file.close)
        line = b"x" * 999 + b"\n"
        kept = file.write(line * 1000)
        self.assertGreater(kept, 0)
        self.assertLess(kept, 1000 * len(line))
        assert file.error is not None
        self.assertEqual(file.error.errno, errno.EAGAIN)
        read = os.read(reader, 1 << 20)
        self.assertEqual(file.write(line), len(line))
        lines = (read + os.read(reader, 1 << 20)).split(b"\n")[:-1]
        self.assertEqual({found for found in lines if b"\x18" not in found}, {line[:-1]})

    def test_no_reader(self) -> None:
        """
        A pipe without a reader is an error at once, not a wait.
        """
        path = self.mktemp()
        os.mkfifo(path)
        self.assertRaises(OSError, LogFile(path).open)


class NoFileTests(WorldCase):
    """
    A log that is not wanted.
    """

    def test_nowhere(self) -> None:
        """
        It takes everything and complains of nothing.
        """
        file = NoFile()
        self.assertTrue(verifyObject(ILogFile, file))
        file.open()
        self.assertEqual((file.write(b"one\n"), file.error), (4, None))
        file.reopen()
        file.close()

    def test_no_mainlog(self) -> None:
        """
        A service whose mainlog has no name delivers mail and writes none.
        """
        world = self.world('[global]\nmainlog = ""\n')
        mx = world.exchanger("example.com")
        self.assertTrue(world.inject(SENDER, [BOB], world.message()).startswith(b"250"))
        world.advance(10)
        self.assertEqual((len(mx.ledger), world.log.content, world.service.mainlog.lost), (1, b"", 0))
        self.assertEqual([path for path in world.logs if path.endswith("/")], [])
