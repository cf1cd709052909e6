"""
Tests of :mod:`momentum_tx.logs.rotation`.
"""

import errno
import gzip
import os
from dataclasses import replace
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.logs.files import ILogFile, LogFile
from momentum_tx.logs.names import DirectoryLogNames
from momentum_tx.logs.rotation import PAUSE, Rotation
from momentum_tx.settings import GlobalSettings
from momentum_tx.testing.threads import InlineThreads

from ..worlds import BOB, SENDER, WorldCase
from .doubles import Told


class _Names(DirectoryLogNames):
    """
    Those of the system, which may refuse.
    """

    __slots__ = ("refuses",)

    def __init__(self) -> None:
        self.refuses = False

    def set_aside(self, path: str) -> bool:
        if self.refuses:
            raise OSError(errno.EACCES, "Permission denied")
        return super().set_aside(path)


class _File(LogFile):
    """
    A file that may not be opened anew.
    """

    __slots__ = ("refuses",)

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.refuses = False

    def reopen(self) -> None:
        if self.refuses:
            raise OSError(errno.EMFILE, "Too many open files")
        super().reopen()


class RotationTests(SynchronousTestCase):
    """
    When a log begins a new file.
    """

    def setUp(self) -> None:
        observer = Told()
        self.told = observer.events
        self.patch(Rotation, "_log", Logger(observer=observer))
        directory = Path(self.mktemp())
        directory.mkdir()
        self.path = str(directory / "mainlog")
        self.directory = directory
        self.clock = Clock()
        self.now = 1700000000.0
        self.settings = GlobalSettings(log_rotate_size=20, log_rotate_compress=False)
        self.names = _Names()
        self.rotation = Rotation(self.names, InlineThreads(self.clock), lambda: self.settings, lambda: self.now)
        self.inner = _File(self.path)
        self.file = self.rotation.file(self.inner, self.path)
        self.file.open()
        self.addCleanup(self.file.close)
        self.rotation.begin()

    def files(self) -> dict[str, bytes]:
        self.clock.advance(1)
        found = {}
        for path in self.directory.iterdir():
            content = path.read_bytes()
            found[path.name] = gzip.decompress(content) if path.suffix == ".gz" else content
        return found

    def diagnostics(self) -> list[str]:
        return [str(event["log_format"]).format(**event) for event in self.told]

    def test_provides(self) -> None:
        """
        It is a log file like any other.
        """
        self.assertTrue(verifyObject(ILogFile, self.file))

    def test_size(self) -> None:
        """
        A file may be as large as ``log_rotate_size``, and no larger; what would make it so is in the next one.
        """
        self.file.write(b"123456789\n")
        self.file.write(b"abcdefghi\n")
        self.assertEqual(set(self.files()), {"mainlog"})
        self.assertEqual(self.file.write(b"x\n"), 2)
        self.assertEqual(self.files(), {"mainlog.000001": b"123456789\nabcdefghi\n", "mainlog": b"x\n"})

    def test_large_record(self) -> None:
        """
        What is larger itself has a file of its own, and an empty file is never set aside.
        """
        self.file.write(b"x" * 50 + b"\n")
        self.file.write(b"y" * 50 + b"\n")
        self.assertEqual(self.files(), {"mainlog.000001": b"x" * 50 + b"\n", "mainlog": b"y" * 50 + b"\n"})

    def test_interval(self) -> None:
        """
        Each period has files of its own, and a restart does not matter.
        """
        self.settings = replace(self.settings, log_rotate_size=0, log_rotate_interval=86400)
        self.now = 1700006399.0
        self.file.write(b"yesterday\n")
        os.utime(self.path, (self.now, self.now))
        self.file.close()
        self.file = self.rotation.file(self.inner, self.path)
        self.file.open()
        self.file.write(b"still\n")
        self.assertEqual(set(self.files()), {"mainlog"})
        self.now = 1700006400.0
        self.file.write(b"today\n")
        self.assertEqual(self.files(), {"mainlog.000001": b"yesterday\nstill\n", "mainlog": b"today\n"})

    def test_found(self) -> None:
        """
        What an earlier run has left in the file counts.
        """
        self.file.write(b"123456789\nabcdefghi\n")
        self.file.close()
        self.file = self.rotation.file(self.inner, self.path)
        self.file.open()
        self.file.write(b"x\n")
        self.assertEqual(set(self.files()), {"mainlog.000001", "mainlog"})

    def test_off(self) -> None:
        """
        Without options, and before the service has begun, nothing is renamed.
        """
        self.settings = GlobalSettings()
        for _ in range(10):
            self.file.write(b"123456789\n")
        self.assertEqual(set(self.files()), {"mainlog"})
        self.settings = replace(self.settings, log_rotate_size=20)
        self.rotation.stop()
        self.file.write(b"123456789\n")
        self.assertEqual(self.rotation.rotate(), 0)
        self.assertEqual(set(self.files()), {"mainlog"})

    def test_keep(self) -> None:
        """
        So many old files stay as ``log_rotate_keep`` says, compressed; who goes is told.
        """
        self.settings = replace(self.settings, log_rotate_keep=2, log_rotate_compress=True)
        for number in range(5):
            self.file.write(b"line number %d of it\n" % number)
            self.clock.advance(1)
        self.assertEqual(
            self.files(),
            {
                "mainlog.000003.gz": b"line number 2 of it\n",
                "mainlog.000004.gz": b"line number 3 of it\n",
                "mainlog": b"line number 4 of it\n",
            },
        )
        self.assertEqual(self.diagnostics(), [f"{self.path}: 1 old files were removed (log_rotate_keep)"] * 2)

    def test_cannot_rename(self) -> None:
        """
        A log that cannot be renamed goes on in its file, is complained of, and is not tried again at once.
        """
        self.names.refuses = True
        for _ in range(5):
            self.file.write(b"123456789\n")
        self.assertEqual(len(self.files()["mainlog"]), 50)
        self.assertEqual(len(self.told), 1)
        self.names.refuses = False
        self.now += PAUSE - 0.1
        self.file.write(b"123456789\n")
        self.assertEqual(set(self.files()), {"mainlog"})
        self.now += 0.1
        self.file.write(b"123456789\n")
        self.assertEqual(len(self.files()["mainlog.000001"]), 60)

    def test_cannot_open(self) -> None:
        """
        Where no other file can be opened the log goes on in the renamed one, which nobody compresses meanwhile.
        """
        self.settings = replace(self.settings, log_rotate_compress=True)
        self.inner.refuses = True
        for _ in range(5):
            self.file.write(b"123456789\n")
        self.assertEqual({name: len(content) for name, content in self.files().items()}, {"mainlog.000001": 50})
        self.inner.refuses = False
        self.now += PAUSE
        self.file.write(b"x\n")
        self.assertEqual(
            {name: len(content) for name, content in self.files().items()}, {"mainlog.000001.gz": 50, "mainlog": 2}
        )

    def test_moved_away(self) -> None:
        """
        Whoever moves files away themselves is not interfered with.
        """
        self.file.write(b"123456789\n")
        os.rename(self.path, f"{self.path}.mine")
        self.file.write(b"123456789\nabc\n")
        self.assertEqual(set(self.files()), {"mainlog.mine"})
        self.file.reopen()
        self.file.write(b"x\n")
        self.assertEqual(self.files()["mainlog"], b"x\n")

    def test_cannot_tidy(self) -> None:
        """
        What cannot be compressed is complained of and left for the next time.
        """
        self.settings = replace(self.settings, log_rotate_compress=True)
        blocked = self.directory / "mainlog.000001.gz.tmp"
        blocked.mkdir()
        (blocked / "x").touch()
        self.file.write(b"123456789\n")
        self.assertEqual(self.rotation.rotate(), 1)
        self.clock.advance(1)
        self.assertIn("could not be compressed or removed", self.diagnostics()[0])
        (blocked / "x").unlink()
        blocked.rmdir()
        self.file.write(b"y\n")
        self.assertEqual(self.rotation.rotate(), 1)
        self.assertIn("mainlog.000002.gz", self.files())


class RotationStories(WorldCase):
    """
    A service whose logs rotate.
    """

    def test_by_size(self) -> None:
        """
        All records of a day of mail are in some file, in order, and mail takes no notice.
        """
        world = self.world("[global]\nlog_rotate_size = 4096\nlog_rotate_keep = 1000\n")
        mx = world.exchanger("example.com")
        for _ in range(40):
            world.inject(SENDER, [BOB], world.message())
        world.advance(600)
        self.assertEqual(len(mx.ledger), 40)
        old = [name for name in world.log_names.aside if "/mainlog." in name]
        self.assertGreater(len(old), 1)
        content = b"".join(gzip.decompress(world.log_names.aside[name]) for name in sorted(old)) + world.log.content
        self.assertEqual((content.count(b"@R@"), content.count(b"@D@")), (40, 40))
        times = [int(line.split(b"@")[0]) for line in content.splitlines()]
        self.assertEqual(times, sorted(times))

    def test_by_hand(self) -> None:
        """
        An operator may have all logs rotated; what has nothing in it stays.
        """
        world = self.world()
        world.exchanger("example.com")
        world.inject(SENDER, [BOB], world.message())
        world.advance(1)
        self.assertEqual(world.service.rotate_logs(), 1)
        self.assertEqual(world.log.content, b"")
        world.stop()
        self.assertEqual(world.service.rotate_logs(), 0)
