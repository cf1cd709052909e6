"""
Tests of :mod:`momentum_tx.operate.spool_files`.
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import StartupError
from momentum_tx.interfaces.seams import IJournalFile
from momentum_tx.operate import spool_files
from momentum_tx.operate.spool_files import holder, look, open_aside, printable

FIRST, SECOND = "000000000001.seg", "000000000002.seg"


class LookTests(SynchronousTestCase):
    """
    What is in a directory, without a hand laid on it.
    """

    def setUp(self) -> None:
        self.path = self.mktemp()
        os.mkdir(self.path, 0o700)

    def put(self, name: str, octets: bytes = b"x") -> Path:
        """
        Make a file.
        """
        path = Path(self.path, name)
        path.write_bytes(octets)
        return path

    def look(self) -> spool_files.Look:
        """
        A look that is closed when the test ends.
        """
        found = look(self.path)
        self.addCleanup(found.close)
        return found

    def test_sorted(self) -> None:
        """
        Every kind of file is told from the others, and nothing is made, changed or removed.
        """
        for name in (SECOND, FIRST, f"{FIRST}-64.bad", f"{FIRST}.bad.used", "lock", "notes"):
            self.put(name)
        self.put("reserve", bytes(100))
        before = {name: os.stat(os.path.join(self.path, name)).st_mtime_ns for name in os.listdir(self.path)}
        found = self.look()
        self.assertEqual([file.name for file in found.segments.values()], [FIRST, SECOND])
        self.assertEqual((found.aside, found.used), ([f"{FIRST}-64.bad"], [f"{FIRST}.bad.used"]))
        self.assertEqual(found.others, ["notes"])
        self.assertEqual((found.reserve, found.holder, found.mode), (100, 0, 0o700))
        after = {name: os.stat(os.path.join(self.path, name)).st_mtime_ns for name in os.listdir(self.path)}
        self.assertEqual(after, before)
        assert found.free is not None
        self.assertGreater(found.free, 0)

    def test_foreign(self) -> None:
        """
        Links, second names, directories, pipes and sockets are told, and never opened.
        """
        outside = Path(self.mktemp())
        outside.write_bytes(b"secret")
        os.symlink(outside.absolute(), os.path.join(self.path, FIRST))
        os.link(self.put("a"), os.path.join(self.path, "b"))
        os.mkdir(os.path.join(self.path, "inner"))
        os.mkfifo(os.path.join(self.path, SECOND))
        with socket.socket(socket.AF_UNIX) as sock:
            here = os.getcwd()
            os.chdir(self.path)
            try:
                sock.bind("talk")
            finally:
                os.chdir(here)
        found = self.look()
        self.assertEqual(found.segments, {})
        told = {each.name: (each.what.split()[1], each.refused) for each in found.foreign}
        self.assertEqual(
            told,
            {
                FIRST: ("symbolic", True),
                SECOND: ("device,", True),
                "a": ("file", False),
                "b": ("file", False),
                "inner": ("directory", False),
                "talk": ("device,", False),
            },
        )
        self.assertRaises(OSError, open_aside, self.path, FIRST)

    def test_foreignOwner(self) -> None:
        """
        The owner of the directory is to own what is in it.
        """
        self.put(FIRST)
        self.patch(spool_files, "_foreign", lambda entry, owner: f"owned by {entry.st_uid - owner}")
        (foreign,) = self.look().foreign
        self.assertEqual((foreign.what, foreign.refused), ("owned by 0", True))

    def test_owners(self) -> None:
        """
        A file of another user is nothing of the spool's.
        """
        status = os.stat(self.put(FIRST))
        self.assertEqual(spool_files._foreign(status, status.st_uid), "")
        self.assertIn("owned by user", spool_files._foreign(status, status.st_uid + 1))

    def test_removedMeanwhile(self) -> None:
        """
        A segment that is gone before it is opened begins the look anew, so that no
        younger one is read without it.
        """
        self.put(FIRST)
        self.put(SECOND)
        opened: list[str] = []
        really = os.open

        def racing(path: str, flags: int, *args: object, **more: object) -> int:
            if path == SECOND and FIRST not in opened[:-1] and os.path.exists(os.path.join(self.path, FIRST)):
                os.unlink(os.path.join(self.path, FIRST))
                os.unlink(os.path.join(self.path, SECOND))
                self.put("000000000003.seg")
            opened.append(path)
            return really(path, flags, *args, **more)  # type: ignore[arg-type]

        self.patch(os, "open", racing)
        found = self.look()
        self.assertEqual(list(found.segments), [3])

    def test_missing(self) -> None:
        """
        No directory, or a file in its place, is said so.
        """
        for path in (os.path.join(self.path, "none"), str(self.put("file"))):
            error = self.assertRaises(StartupError, look, path)
            self.assertIn(path, str(error))

    def test_unreadable(self) -> None:
        """
        A segment that cannot be opened is kept with the reason.
        """
        self.put(FIRST)
        really = os.open

        def refuse(path: str, flags: int, *args: object, **more: object) -> int:
            if path == FIRST:
                raise PermissionError(13, "Permission denied", path)
            return really(path, flags, *args, **more)  # type: ignore[arg-type]

        self.patch(os, "open", refuse)
        self.assertEqual(list(self.look().unopened), [FIRST])

    def test_holder(self) -> None:
        """
        Who has the spool locked is told, and the lock is not tried for that.
        """
        lock = self.put("lock")
        with open(lock, "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.assertEqual(self.look().holder, os.getpid())
        self.assertEqual(self.look().holder, 0)

    def test_listOfLocks(self) -> None:
        """
        Only a lock of that kind on that file counts; who only waits for it has another form.
        """
        status = os.stat(self.put("lock"))
        place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
        for line, expected in (
            (f"1: FLOCK  ADVISORY  WRITE 4711 {place}:{status.st_ino} 0 EOF", 4711),
            (f"1: POSIX  ADVISORY  WRITE 4711 {place}:{status.st_ino} 0 EOF", 0),
            (f"1: -> FLOCK  ADVISORY  WRITE 4711 {place}:{status.st_ino} 0 EOF", 0),
            (f"1: FLOCK  ADVISORY  WRITE 4711 {place}:{status.st_ino + 1} 0 EOF", 0),
            ("", 0),
        ):
            self.assertEqual(holder(status, lambda line=line: line), expected, line)  # type: ignore[misc]

        def none() -> str:
            raise FileNotFoundError(2, "no list")

        self.assertEqual(holder(status, none), 0)

    def test_holderWithoutDevice(self) -> None:
        """
        Where the file system has no device of its own the list has another number than
        the file: the inode is enough.
        """
        status = os.stat_result((0o100600, 77, 0x2B, 1, 0, 0, 0, 0, 0, 0))
        self.assertEqual(os.major(status.st_dev), 0)
        self.assertEqual(holder(status, lambda: "1: FLOCK ADVISORY WRITE 4711 00:1f:77 0 EOF"), 4711)


class ReadOnlyFileTests(SynchronousTestCase):
    """
    A file that can only be read.
    """

    def setUp(self) -> None:
        self.path = self.mktemp()
        os.mkdir(self.path)
        Path(self.path, "a").write_bytes(b"0123456789")
        self.file = open_aside(self.path, "a")
        self.addCleanup(self.file.close)

    def test_provides(self) -> None:
        """
        It keeps its contract, as far as that is about reading.
        """
        self.assertTrue(verifyObject(IJournalFile, self.file))
        self.assertEqual((self.file.size(), self.file.read(3, 4), self.file.read(8, 9)), (10, b"3456", b"89"))
        self.assertEqual(self.file.read(12, 3), b"")
        self.file.sync()
        self.assertRaises(OSError, self.file.append, [b"x"])
        self.assertRaises(OSError, self.file.truncate, 1)
        self.assertEqual(Path(self.path, "a").read_bytes(), b"0123456789")

    def test_grown(self) -> None:
        """
        What is appended meanwhile is not looked at, but noticed.
        """
        self.assertFalse(self.file.grown())
        with open(os.path.join(self.path, "a"), "ab") as more:
            more.write(b"abc")
        self.assertTrue(self.file.grown())
        self.assertEqual(self.file.read(8, 9), b"89")


class PrintableTests(SynchronousTestCase):
    """
    Names that would move the cursor.
    """

    def test_escaped(self) -> None:
        """
        Line ends, escapes, direction marks and octets that are no text come out as plain signs.
        """
        name = os.fsdecode(b"a\nb\x1b[2J\xff\\\xe2\x80\xae\xc3\xa4")
        self.assertEqual(printable(name), "a\\x0ab\\x1b[2J\\xff\\\\\\xe2\\x80\\xae\u00e4")
