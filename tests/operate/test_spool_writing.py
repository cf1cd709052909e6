"""
Tests of :mod:`momentum_tx.operate.spool_writing`.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import StartupError
from momentum_tx.operate.spool_writing import UNFINISHED, NewSegment, discard, following, taken
from momentum_tx.spool.records import SegmentHeader, decode_segment_header, encode_withdrawn
from momentum_tx.testing.files import MemoryFiles


class TakenTests(SynchronousTestCase):
    """
    Whose a spool is.
    """

    def test_made(self) -> None:
        """
        A spool is made only where that is wanted.
        """
        path = self.mktemp()
        with self.assertRaises(StartupError) as caught, taken(path):
            pass
        self.assertIn("there is no spool", str(caught.exception))
        with taken(path, make=True):
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o700)

    def test_exclusive(self) -> None:
        """
        Two do not have it, and one gives it back.
        """
        path = self.mktemp()
        for _ in range(2):
            with taken(path, make=True), self.assertRaises(StartupError), taken(path):
                pass

    def test_other(self) -> None:
        """
        Somebody else's spool is not touched: its service could not read what we make.
        """
        path = self.mktemp()
        os.mkdir(path)
        self.patch(os, "geteuid", lambda: os.stat(path).st_uid + 1)
        with self.assertRaises(StartupError) as caught, taken(path):
            pass
        self.assertIn("change it as that user", str(caught.exception))
        self.assertEqual(os.listdir(path), [])

    def test_link(self) -> None:
        """
        A link in a segment's place is for an operator to look at.
        """
        path = self.mktemp()
        os.mkdir(path)
        os.symlink("x", os.path.join(path, "000000000001.seg"))
        with self.assertRaises(StartupError), taken(path):
            pass

    def test_following(self) -> None:
        """
        What was set aside had its number, too.
        """
        path = self.mktemp()
        os.mkdir(path)
        self.assertEqual(following(path), 1)
        for name, number in (("000000000003.seg", 4), ("000000000007.seg-12.bad", 8), ("x000000000009.seg", 8)):
            Path(path, name).write_bytes(b"")
            self.assertEqual(following(path), number)


class NewSegmentTests(SynchronousTestCase):
    """
    A segment that appears whole.
    """

    def setUp(self) -> None:
        self.files = MemoryFiles()
        self.header = SegmentHeader(3, 99)

    def test_whole(self) -> None:
        """
        It has its name when it is durable.
        """
        segment = NewSegment(self.files, self.header)
        segment.put(encode_withdrawn(5))
        self.assertEqual(self.files.names(), [UNFINISHED])
        self.assertEqual(segment.finish(), "000000000003.seg")
        self.assertEqual(self.files.calls[-1], ("sync_names", ""))
        self.assertEqual(self.files.names(), ["000000000003.seg"])
        octets = self.files.octets("000000000003.seg")
        self.assertEqual(decode_segment_header(octets), self.header)
        self.assertEqual(self.files.synced_size("000000000003.seg"), len(octets))
        self.assertEqual(self.files.opened, 0)

    def test_octets(self) -> None:
        """
        What was framed already is written as it is.
        """
        segment = NewSegment(self.files, self.header)
        segment.put_octets([b"a", b"b"])
        segment.sync()
        self.assertEqual(self.files.synced_size(UNFINISHED), segment.size)
        segment.finish()
        self.assertTrue(self.files.octets("000000000003.seg").endswith(b"ab"))

    def test_givenUp(self) -> None:
        """
        One that cannot be written leaves nothing; what another has left is replaced.
        """
        self.files.put(UNFINISHED, b"rest")
        segment = NewSegment(self.files, self.header)
        self.assertNotIn(b"rest", self.files.octets(UNFINISHED))
        self.files.fail("append", errno.ENOSPC)
        self.assertRaises(OSError, segment.put, b"x")
        segment.give_up()
        self.assertEqual((self.files.names(), self.files.opened), ([], 0))
        discard(self.files)
