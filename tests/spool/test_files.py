"""
The real files of the journal, in a real directory.
"""

import errno
import os
import random
import stat
import subprocess
import sys

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.errors import StartupError
from momentum_tx.interfaces.seams import IJournalFile, IJournalFiles
from momentum_tx.settings import GlobalSettings
from momentum_tx.spool.files import DirectoryFile, DirectoryFiles
from momentum_tx.spool.jobs import explain
from momentum_tx.spool.journal import JournalSpool
from momentum_tx.testing.files import MemoryFiles
from momentum_tx.testing.threads import InlineThreads

from . import contract


class FilesContract(contract._Case):
    """
    The battery of IJournalFiles: the real ones and the double.
    """

    def make_files(self) -> IJournalFiles:
        """
        An empty directory.
        """
        raise NotImplementedError

    def setUp(self) -> None:
        self.files = self.make_files()
        self.files.lock()
        self.addCleanup(self.files.unlock)

    def test_provides(self) -> None:
        """
        They keep the contract they declare.
        """
        file = self.files.create("a")
        self.assertTrue(verifyObject(IJournalFiles, self.files))
        self.assertTrue(verifyObject(IJournalFile, file))
        self.assertEqual(file.name, "a")
        file.close()
        file.close()

    def test_write_and_read(self) -> None:
        """
        What is appended is read back, from any place, before and after
        reopening.
        """
        file = self.files.create("a")
        self.assertEqual(file.append([b"abc", b"", b"de"]), 0)
        self.assertEqual(file.append([b"fg"]), 5)
        self.assertEqual((file.size(), file.read(0, 99), file.read(4, 2), file.read(9, 5)), (7, b"abcdefg", b"ef", b""))
        file.sync()
        file.truncate(4)
        self.assertEqual(file.append([b"X"]), 4)
        file.close()
        file = self.files.open("a")
        self.assertEqual((file.size(), file.read(0, 99)), (5, b"abcdX"))
        self.assertEqual(file.append([b"!"]), 5)
        file.close()
        self.assertRaises(OSError, file.read, 0, 1)

    def test_many_buffers(self) -> None:
        """
        More buffers than the kernel takes at once are written in order.
        """
        file = self.files.create("a")
        buffers = [b"%d," % number for number in range(5000)]
        file.append(buffers)
        self.assertEqual(file.read(0, 1 << 20), b"".join(buffers))
        file.close()

    def test_removedMeanwhile(self) -> None:
        """
        A file that somebody has removed is not synced as if it were found again.
        """
        file = self.files.create("a")
        self.addCleanup(file.close)
        file.append([b"x"])
        file.sync()
        self.files.rename("a", "b")
        file.sync()
        self.files.unlink("b")
        self.assertEqual(self.assertRaises(OSError, file.sync).errno, errno.ENOENT)

    def test_names(self) -> None:
        """
        Files are created once, renamed and removed.
        """
        for name in ("b", "a"):
            self.files.create(name).close()
        self.assertRaises(FileExistsError, self.files.create, "a")
        self.assertEqual(self.files.names(), ["a", "b"])
        self.files.rename("b", "c")
        self.files.unlink("a")
        self.files.sync_names()
        self.assertEqual(self.files.names(), ["c"])
        self.assertRaises(FileNotFoundError, self.files.unlink, "a")
        self.assertRaises(FileNotFoundError, self.files.open, "a")

    def test_reserve(self) -> None:
        """
        The reserve is no file of the journal's, and is given up at will.
        """
        self.files.reserve(100_000)
        self.files.reserve(100_000)
        self.assertEqual(self.files.names(), [])
        self.files.reserve(0)
        self.files.reserve(0)
        self.assertEqual(self.files.names(), [])


class MemoryFilesContractTests(FilesContract, SynchronousTestCase):
    """
    The battery on the double.
    """

    def make_files(self) -> IJournalFiles:
        return MemoryFiles()


class DirectoryFilesTests(FilesContract, SynchronousTestCase):
    """
    The battery on the real ones, and what only a real directory can do.
    """

    def make_files(self) -> IJournalFiles:
        self.path = self.mktemp()
        return DirectoryFiles(self.path)

    def test_modes(self) -> None:
        """
        Nobody else may read the mail, whatever the umask.
        """
        self.files.create("a").close()
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o700)
        for name in ("a", "lock"):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.path, name)).st_mode), 0o600)

    def test_close_on_exec(self) -> None:
        """
        No descriptor leaks into a program that is started.
        """
        file = self.files.create("a")
        for number in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{number}")
            except OSError:
                continue
            if os.path.abspath(self.path) in target:
                self.assertFalse(os.get_inheritable(int(number)), target)
        file.close()

    def test_reserve_takes_space(self) -> None:
        """
        The reserve is blocks on disk, not a hole.
        """
        self.files.reserve(1 << 20)
        self.assertGreaterEqual(os.stat(os.path.join(self.path, "reserve")).st_blocks * 512, 1 << 20)

    def test_foreign_files(self) -> None:
        """
        Links, directories, pipes and second names are neither listed nor
        opened; whatever a name holds, it does no harm.
        """
        events: list[LogEvent] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            events.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.files.create("good").close()
        join = os.path.join
        os.symlink("good", join(self.path, "link"))
        os.mkdir(join(self.path, "directory"))
        os.mkfifo(join(self.path, "pipe"))
        self.files.create("twice").close()
        os.link(join(self.path, "twice"), join(self.path, "thrice"))
        self.files.create("new\nline\x1b").close()
        self.assertEqual(self.files.names(), ["good", "new\nline\x1b"])
        self.assertEqual(len(events), 5)
        self.assertRaises(OSError, self.files.open, "link")
        self.assertRaises(OSError, self.files.open, "directory")

    def test_segment_of_somebody_else(self) -> None:
        """
        A segment that is not ours alone, such as one a backup has given a second
        name, refuses the start by name: the mail in it would wait unseen.
        """
        self.files.create("000000000001.seg").close()
        path = os.path.join(self.path, "000000000001.seg")
        os.link(path, path + ".backup")
        self.assertIn(f"{path}: this segment", str(self.assertRaises(StartupError, self.files.names)))
        os.unlink(path + ".backup")
        self.assertEqual(self.files.names(), ["000000000001.seg"])
        os.symlink("elsewhere", os.path.join(self.path, "000000000002.seg"))
        self.assertIn("000000000002.seg: this segment", str(self.assertRaises(StartupError, self.files.names)))

    def test_partial_writes(self) -> None:
        """
        A write the kernel takes in pieces is continued where it stopped.
        """
        real = os.pwritev

        def stingy(descriptor: int, buffers: list[bytes], offset: int) -> int:
            return real(descriptor, [bytes(buffers[0])[:3]], offset)

        file = self.files.create("a")
        self.patch(os, "pwritev", stingy)
        file.append([b"abcdefgh", b"ij", b"k"])
        self.assertEqual(file.read(0, 99), b"abcdefghijk")
        file.close()

    def test_failed_write_is_cut_off(self) -> None:
        """
        A write that fails half-way leaves nothing behind; where even that
        fails the error says so.
        """
        real = os.pwritev
        calls: list[int] = []

        def failing(descriptor: int, buffers: list[bytes], offset: int) -> int:
            calls.append(offset)
            if len(calls) % 2:
                return real(descriptor, [bytes(buffers[0])[:3]], offset)
            raise OSError(errno.EIO, "broken")

        def broken(descriptor: int, length: int) -> None:
            raise OSError(errno.EIO, "broken")

        file = self.files.create("a")
        file.append([b"kept"])
        self.patch(os, "pwritev", failing)
        error = self.assertRaises(OSError, file.append, [b"abcdefgh"])
        self.assertFalse(hasattr(error, "torn"))
        self.assertEqual((file.size(), file.read(0, 99)), (4, b"kept"))
        self.patch(os, "ftruncate", broken)
        error = self.assertRaises(OSError, file.append, [b"abcdefgh"])
        self.assertTrue(error.torn)
        file.close()

    def test_errors_name_the_file(self) -> None:
        """
        The operator reads which file could not be written, or synced: the system
        only says what went wrong.
        """

        def broken(*args: object) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        file = self.files.create("a")
        self.patch(os, "pwritev", broken)
        self.patch(os, "fdatasync", broken)
        for failing in (lambda: file.append([b"x"]), file.sync):
            error = self.assertRaises(OSError, failing)
            self.assertEqual(explain(error), f"a: {os.strerror(errno.EIO)}")
        file.close()

    def test_full_disk(self) -> None:
        """
        The kernel's own "no space" comes through, and nothing is left of the write.
        """
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        descriptor = os.open("/dev/full", os.O_RDWR)
        file = DirectoryFile("full", descriptor)
        error = self.assertRaises(OSError, file.append, [b"x"])
        self.assertEqual(error.errno, errno.ENOSPC)
        file.close()

    def test_two_processes(self) -> None:
        """
        A second process is refused while the first holds the directory, and
        let in when that is killed.
        """
        error = self.assertRaises(StartupError, DirectoryFiles(self.path).lock)
        self.assertIn(os.path.abspath(self.path), str(error))
        self.files.unlock()
        code = (
            "import sys, momentum_tx.spool.files as f; d = f.DirectoryFiles(sys.argv[1]); d.lock();"
            "print(1, flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as other:
            assert other.stdout is not None
            self.assertEqual(other.stdout.readline(), b"1\n")
            self.assertRaises(StartupError, self.files.lock)
            other.kill()
        self.files.lock()

    def test_directory_is_a_file(self) -> None:
        """
        A path that is no directory is an error at start that names it.
        """
        path = self.mktemp()
        with open(path, "w"):
            pass
        error = self.assertRaises(StartupError, DirectoryFiles(path).lock)
        self.assertIn(path, str(error))


class RealJournalTests(contract.SpoolContract, SynchronousTestCase):
    """
    The whole battery of the spool on real files.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.path = self.mktemp()

    def make_spool(self) -> JournalSpool:
        return JournalSpool(
            DirectoryFiles(self.path),
            InlineThreads(self.clock),
            self.clock,
            contract.binding_name,
            contract.binding_slot,
            GlobalSettings(segment_size=4096, body_cache_size=100),
            random.Random(4),
            65536,
        )

    def test_no_descriptor_leaks(self) -> None:
        """
        A thousand bodies read and segments come and gone leave no descriptor.
        """
        self.open()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(100):
            kept = self.keep(contract.reception(b"a", b"b"), bytes(200))
            self.read(kept)
            self.spool.delivered(contract.first(kept), b"250 ok")
        self.clock.advance(0.1)
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), before + 1)
        self.stop()

    def test_directory_vanishes(self) -> None:
        """
        A directory that is taken away is an error, not an end: receptions are
        refused when no new segment can be made, and the process lives.
        """
        self.open()
        kept = self.keep(contract.reception())
        os.rename(self.path, self.path + ".gone")
        for name in os.listdir(self.path + ".gone"):
            os.unlink(os.path.join(self.path + ".gone", name))
        os.rmdir(self.path + ".gone")
        body = self.spool.body(kept)
        for _ in range(200):
            self.spool.receive(contract.reception(), bytes(1000)).addErrback(lambda _: None)
            contract.settle(self.clock)
        self.assertEqual(body, contract.BODY)
        self.stop()
