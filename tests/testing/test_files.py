"""
The journal files in memory: that they fail and forget as told.  What they share
with the real ones is in the battery of the spool's tests.
"""

import errno
import random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import StartupError
from momentum_tx.testing.files import MemoryFiles


class MemoryFilesTests(SynchronousTestCase):
    """
    Failures, limits, kill and power cut.
    """

    def setUp(self) -> None:
        self.files = MemoryFiles()

    def test_fail(self) -> None:
        """
        The N-th call fails as often as was asked.
        """
        file = self.files.create("a")
        self.files.fail("append", errno.EIO, times=2, skip=1)
        file.append([b"1"])
        for _ in range(2):
            error = self.assertRaises(OSError, file.append, [b"2"])
            self.assertEqual((error.errno, error.filename), (errno.EIO, "a"))
        file.append([b"3"])
        self.assertEqual(self.files.octets("a"), b"13")
        self.files.fail("append", errno.EIO, -1)
        self.files.heal()
        file.append([b"4"])

    def test_capacity(self) -> None:
        """
        A full disk takes nothing more, and the reserve is part of it.
        """
        files = MemoryFiles(10)
        file = files.create("a")
        files.reserve(4)
        file.append([b"123456"])
        self.assertEqual(self.assertRaises(OSError, file.append, [b"7"]).errno, errno.ENOSPC)
        files.reserve(0)
        file.append([b"7"])
        self.assertEqual(self.assertRaises(OSError, files.reserve, 4).errno, errno.ENOSPC)
        self.assertEqual(files.free(), 3)

    def test_torn(self) -> None:
        """
        A failing write may leave a half behind, and says so.
        """
        self.files.torn = True
        file = self.files.create("a")
        self.files.fail("append", errno.EIO)
        error = self.assertRaises(OSError, file.append, [b"1234"])
        self.assertTrue(error.torn)
        self.assertEqual(self.files.octets("a"), b"12")

    def test_kill(self) -> None:
        """
        After a kill everything is there that the kernel had, the lock not.
        """
        self.files.lock()
        self.assertRaises(StartupError, self.files.lock)
        self.files.create("a").append([b"12"])
        after = self.files.kill()
        after.lock()
        self.assertEqual(after.octets("a"), b"12")
        # But it is no more durable than it was.
        self.assertIn([], [after.power_cut(random.Random(seed)).names() for seed in range(20)])

    def test_power_cut(self) -> None:
        """
        What was synced is there; of the rest any prefix; of names that were
        not synced any.
        """
        file = self.files.create("a")
        file.append([b"12"])
        file.sync()
        self.files.sync_names()
        file.append([b"34"])
        self.files.create("b")
        contents, names = set(), set()
        for seed in range(60):
            after = self.files.power_cut(random.Random(seed))
            contents.add(after.octets("a"))
            names.add("b" in after.names())
        self.assertEqual(contents, {b"12", b"123", b"1234"})
        self.assertEqual(names, {False, True})

    def test_removed_names_come_back(self) -> None:
        """
        A removal that was not synced may not have happened.
        """
        self.files.put("a", b"x")
        self.files.unlink("a")
        self.assertEqual({len(self.files.power_cut(random.Random(seed)).names()) for seed in range(20)}, {0, 1})
        self.files.sync_names()
        self.assertEqual({len(self.files.power_cut(random.Random(seed)).names()) for seed in range(20)}, {0})

    def test_garbage(self) -> None:
        """
        A power cut may show octets that were never written, behind what was.
        """
        file = self.files.create("a")
        self.files.sync_names()
        file.append([b"12345678"])
        found = {self.files.power_cut(random.Random(seed), garbage=True).octets("a") for seed in range(60)}
        self.assertTrue(any(not b"12345678".startswith(octets) for octets in found))
        self.assertTrue(all(len(octets) <= 8 for octets in found))

    def test_failed_sync(self) -> None:
        """
        After a sync has failed no later one proves anything.
        """
        file = self.files.create("a")
        self.files.sync_names()
        file.append([b"12"])
        self.files.fail("sync", errno.EIO)
        self.assertRaises(OSError, file.sync)
        file.sync()
        self.assertIn(b"", {self.files.power_cut(random.Random(seed)).octets("a") for seed in range(20)})

    def test_watch(self) -> None:
        """
        A test may look before every operation that changes something.
        """
        seen: list[tuple[str, str]] = []
        self.files.watch = lambda operation, name: seen.append((operation, name))
        file = self.files.create("a")
        file.append([b"x"])
        file.read(0, 1)
        file.sync()
        file.truncate(0)
        self.files.rename("a", "b")
        self.files.unlink("b")
        self.files.sync_names()
        self.assertEqual(
            [operation for operation, _ in seen],
            ["create", "append", "sync", "truncate", "rename", "unlink", "sync_names"],
        )
