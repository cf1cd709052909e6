"""
Tests of :mod:`momentum_tx.spool.side_files`; the stores that use it test the rest.
"""

import errno
from random import Random

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.spool.side_files import SideFiles
from momentum_tx.testing.files import MemoryFiles


class SideFilesTests(SynchronousTestCase):
    """
    A directory in memory.
    """

    def setUp(self) -> None:
        self.files = MemoryFiles()
        self.side = SideFiles(self.files, "things")

    def content(self, files: MemoryFiles) -> dict[str, bytes]:
        """
        All files with what is in them.
        """
        found = {}
        for name in files.names():
            file = files.open(name)
            found[name] = file.read(0, 100)
            file.close()
        return found

    def test_replaced(self) -> None:
        """
        A file has its new content as a whole, also after a loss of power; what an earlier
        process has left of one is no matter.
        """
        self.assertTrue(self.side.ready())
        self.files.create("new").close()
        self.side.replace("a", "new", [b"one ", b"two"])
        self.side.replace("a", "new", [b"three"])
        self.assertEqual(self.content(self.files), {"a": b"three"})
        self.side.close()
        self.side.close()
        for seed in range(10):
            self.assertEqual(self.content(self.files.power_cut(Random(seed))), {"a": b"three"})

    def test_complaints(self) -> None:
        """
        The same trouble is told once, until something could be kept again.
        """
        full = OSError(errno.ENOSPC, "full")
        with capturedLogs() as logs:
            self.side.complain(full)
            self.side.complain(full)
            self.side.complain(OSError(errno.EIO, "broken"))
        self.assertEqual(
            [formatEvent(event) for event in logs],
            [
                "things are not kept on disk: [Errno 28] full",
                "things are not kept on disk: [Errno 5] broken",
            ],
        )
        self.side.kept()
        with capturedLogs() as logs:
            self.side.complain(OSError(errno.EIO, "broken"))
        self.assertEqual(len(logs), 1)

    def test_not_ours(self) -> None:
        """
        A directory that another process has is not used, and that is told.
        """
        self.assertTrue(self.side.ready())
        other = SideFiles(self.files, "others")
        with capturedLogs() as logs:
            self.assertFalse(other.ready())
        self.assertEqual(len(logs), 1)
        self.side.close()
        self.assertTrue(other.ready())
        other.close()
