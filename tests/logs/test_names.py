"""
Tests of :mod:`momentum_tx.logs.names`.
"""

import errno
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.logs import names as module
from momentum_tx.logs.names import DirectoryLogNames, ILogNames, aside


class _Killed(BaseException):
    """
    The process ends here.
    """


class _System:
    """
    The system's calls, until the process is killed in front of one of them.
    """

    CHANGES = ("rename", "unlink", "open", "fsync", "utime", "fchmod")

    def __init__(self, calls: int) -> None:
        self.left = calls
        self.path = os.path

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        return self._counted(found) if name in self.CHANGES else found

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if not self.left:
                raise _Killed()
            self.left -= 1
            return call(*arguments, **named)

        return counted


class DirectoryLogNamesTests(SynchronousTestCase):
    """
    Files that are renamed, compressed and removed.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = str(self.directory / "mainlog")
        self.names = DirectoryLogNames()
        #: Lines that were written.
        self.count = 0

    def write(self, lines: int = 3) -> None:
        with open(self.path, "ab") as stream:
            for _ in range(lines):
                self.count += 1
                stream.write(b"line %d\n" % self.count)

    def rotate(self, keep: int = 100, compress: bool = True) -> int:
        self.names.set_aside(self.path)
        return self.names.tidy(self.path, keep, compress, lambda: False)

    def listed(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def lines(self) -> list[bytes]:
        """
        Every line that is kept, in order; files with the same number have the same.
        """
        content = b""
        for _, files in sorted(aside(self.path).items()):
            texts = [gzip.decompress(Path(files[".gz"]).read_bytes())] if ".gz" in files else []
            texts += [Path(files[""]).read_bytes()] if "" in files else []
            self.assertEqual(len(set(texts)), 1)
            content += texts[0]
        if os.path.exists(self.path):
            content += Path(self.path).read_bytes()
        return content.splitlines()

    def test_provides(self) -> None:
        """
        It has all that its contract asks for.
        """
        self.assertTrue(verifyObject(ILogNames, self.names))

    def test_rotates(self) -> None:
        """
        Numbers go up, old files are compressed with their times and permissions, and the oldest are removed.
        """
        for _ in range(3):
            self.write()
            os.chmod(self.path, 0o640)
            os.utime(self.path, (1700000000, 1700000001))
            self.rotate()
        self.assertEqual(self.listed(), ["mainlog.000001.gz", "mainlog.000002.gz", "mainlog.000003.gz"])
        status = os.stat(f"{self.path}.000003.gz")
        self.assertEqual((status.st_mode & 0o777, status.st_mtime), (0o640, 1700000001))
        self.assertEqual(self.lines(), [b"line %d" % number for number in range(1, 10)])
        self.write()
        self.assertEqual(self.rotate(keep=2), 2)
        self.assertEqual(self.listed(), ["mainlog.000003.gz", "mainlog.000004.gz"])

    def test_plain(self) -> None:
        """
        Without compression files stay as they are, and are compressed when that is wanted.
        """
        self.write()
        self.rotate(compress=False)
        self.assertEqual(self.listed(), ["mainlog.000001"])
        self.names.tidy(self.path, 100, True, lambda: False)
        self.assertEqual(self.listed(), ["mainlog.000001.gz"])

    def test_others(self) -> None:
        """
        What only looks like one of the log's files is left alone.
        """
        for name in ("mainlog.1", "mainlog.000001.bz2", "mainlog.bak", "mainlog2.000009", "other.000001"):
            (self.directory / name).write_bytes(b"mine\n")
        self.write()
        self.rotate(keep=1)
        self.write()
        self.rotate(keep=1)
        self.assertEqual(len(self.listed()), 6)
        self.assertIn("mainlog.000002.gz", self.listed())

    def test_no_file(self) -> None:
        """
        Pipes, links and what is not there are not renamed.
        """
        self.assertFalse(self.names.set_aside(self.path))
        self.assertEqual(self.names.state(self.path), (0, 0.0))
        os.mkfifo(self.path)
        self.assertFalse(self.names.set_aside(self.path))
        os.unlink(self.path)
        os.symlink("elsewhere", self.path)
        self.assertFalse(self.names.set_aside(self.path))

    def test_unwanted(self) -> None:
        """
        A service that stops does not wait for a large file; the next rotation compresses it.
        """
        self.patch(module, "_PIECE", 10)
        self.write()
        self.names.set_aside(self.path)
        answers = [False, True]
        self.names.tidy(self.path, 100, True, lambda: answers.pop(0))
        self.assertEqual(self.listed(), ["mainlog.000001"])
        self.rotate()
        self.assertEqual(self.listed(), ["mainlog.000001.gz"])

    def test_killed(self) -> None:
        """
        Wherever the process is killed, no line is lost and none is there twice, and the next rotation leaves nothing
        unfinished.
        """
        calls, killed = 0, True
        while killed:
            killed = False
            for name in self.directory.iterdir():
                name.unlink()
            self.count = 0
            self.write()
            self.rotate(compress=False)
            self.write()
            patch = self.patch(module, "os", _System(calls))
            try:
                self.rotate()
            except _Killed:
                killed = True
            patch.restore()
            self.write()
            wanted = [b"line %d" % number for number in range(1, self.count + 1)]
            self.assertEqual(self.lines(), wanted, calls)
            self.rotate()
            self.assertEqual(self.lines(), wanted, calls)
            self.assertTrue(all(name.endswith(".gz") for name in self.listed()), calls)
            calls += 1
        self.assertGreater(calls, 10)

    def test_full_disk(self) -> None:
        """
        What cannot be compressed stays as it is.
        """
        self.write()
        self.names.set_aside(self.path)

        class _Full(_System):
            def fsync(self, descriptor: int) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

        patch = self.patch(module, "os", _Full(99))
        self.assertRaises(OSError, self.names.tidy, self.path, 100, True, lambda: False)
        patch.restore()
        self.assertEqual(self.lines(), [b"line 1", b"line 2", b"line 3"])
        self.rotate()
        self.assertEqual(self.listed(), ["mainlog.000001.gz"])
