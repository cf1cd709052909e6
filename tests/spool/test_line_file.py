"""
Tests of :mod:`momentum_tx.spool.line_file`; the stores that use it test what they keep in it.
"""

import errno
import zlib
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.spool.line_file import LineFile, make_line, parse_line
from momentum_tx.spool.side_files import SideFiles
from momentum_tx.testing.files import MemoryFiles


class LineFileTests(SynchronousTestCase):
    """
    A file in a directory in memory.
    """

    def setUp(self) -> None:
        self.files = MemoryFiles()
        side = SideFiles(self.files, "things")
        self.assertTrue(side.ready())
        self.file = LineFile(side, "things")

    def values(self) -> list[Any]:
        return [parse_line(line) for line in self.file.read()]

    def test_values(self) -> None:
        """
        What is added stands behind what was there; what is written anew stands alone.
        """
        self.assertEqual(self.values(), [])
        size = self.file.append([["a", 1], "lärm\n"])
        self.assertEqual(size, len(self.files.octets("things")))
        self.file.append([{"b": None}])
        self.assertEqual(self.values(), [["a", 1], "lärm\n", {"b": None}])
        self.assertEqual(self.file.replace([7]), len(make_line(7)))
        self.assertEqual(self.values(), [7])
        self.assertEqual(self.file.replace([]), 0)
        self.assertEqual((self.values(), self.files.names()), ([], ["things"]))

    def test_torn(self) -> None:
        """
        What stands behind a line that was torn is read.
        """
        self.file.append([1])
        self.files.put("things", self.files.octets("things") + make_line("long")[:9])
        self.file.append([2])
        first, torn, last = self.file.read()
        self.assertEqual((parse_line(first), parse_line(last)), (1, 2))
        self.assertRaises(ValueError, parse_line, torn)

    def test_most(self) -> None:
        """
        Of a file that is far too large no more is read than a piece too much.
        """
        self.file.append(["x" * 1000] * 3000)
        self.assertLess(len(self.file.read(1 << 20)), 2000)
        self.assertEqual(len(self.file.read()), 3000)

    def test_refused(self) -> None:
        """
        A disk that fails is the caller's to know of, and the file is as it was.
        """
        self.file.append([1])
        self.files.fail("create", errno.ENOSPC)
        self.assertRaises(OSError, self.file.replace, [2])
        self.files.heal()
        self.assertEqual(self.values(), [1])

    def test_nonsense(self) -> None:
        """
        Nothing but what was made is read, however deep it is.
        """
        deep = b"[" * 100_000
        for line in (b"", b"x", b"00000000 1", make_line(5)[:-2], b"%08x %b" % (zlib.crc32(deep), deep)):
            self.assertRaises(ValueError, parse_line, line)
