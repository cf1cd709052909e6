"""
Tests for :mod:`momentum_tx.delivery.sts_store`.
"""

from __future__ import annotations

import errno
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery.sts_store import STSStore, file_name
from momentum_tx.policy.mta_sts import KeptPolicy, dump_kept, parse_policy
from momentum_tx.spool.files import DirectoryFiles
from momentum_tx.testing.files import MemoryFiles
from momentum_tx.testing.threads import InlineThreads

TEXT = b"version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 86400\n"


def kept(domain: str = "example.com", record: str = "1", at: float = 1000.0) -> KeptPolicy:
    """
    A policy that was fetched.
    """
    return KeptPolicy(domain, record, at, TEXT, parse_policy(TEXT))


class StoreTests(SynchronousTestCase):
    """
    Policies on a disk in memory.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.files = MemoryFiles()
        self.threads = InlineThreads(self.clock)
        self.store = STSStore(self.files, self.threads)

    def result(self, working: Any) -> Any:
        """
        What a worker has found.
        """
        self.clock.advance(1)
        return self.successResultOf(working)

    def test_round(self) -> None:
        """
        What was saved is found by the next process, also after a loss of power.
        """
        self.result(self.store.save(kept()))
        self.result(self.store.save(kept("example.org")))
        self.result(self.store.save(kept(record="2")))
        for seed in range(20):
            store = STSStore(self.files.power_cut(Random(seed)), self.threads)
            self.assertEqual(self.result(store.load("example.com")), kept(record="2"))
            self.assertIsNone(self.result(store.load("example.net")))

    def test_power_cut(self) -> None:
        """
        Whenever power is lost while a policy is replaced, the old or the new one is there,
        whole.
        """
        self.result(self.store.save(kept()))
        pictures: list[MemoryFiles] = []
        self.files.watch = lambda operation, name: pictures.extend(
            self.files.power_cut(Random(seed), garbage=True) for seed in range(10)
        )
        self.result(self.store.save(kept(record="2")))
        self.assertGreater(len(pictures), 40)
        found = {self.result(STSStore(files, self.threads).load("example.com")).record for files in pictures}
        self.assertEqual(found, {"1", "2"})

    def test_torn(self) -> None:
        """
        Rubbish counts for nothing, is told of, and is gone.
        """
        for rubbish in (b"", b"rubbish", dump_kept(kept())[:-3], dump_kept(kept("example.org"))):
            self.files.put("example.com.sts", rubbish)
            self.assertIsNone(self.result(self.store.load("example.com")))
        self.assertEqual(self.files.octets("example.com.sts"), dump_kept(kept("example.org")))

    def test_sweep(self) -> None:
        """
        What is over, rubbish, or in the wrong place is removed, the rest is told.
        """
        for each in (kept(), kept("old.example", at=-90000.0)):
            self.result(self.store.save(each))
        self.files.put("torn.example.sts", b"rubbish")
        self.files.put("wrong.example.sts", dump_kept(kept("example.org")))
        self.files.put("note.txt", b"somebody's own")
        self.assertEqual(self.result(self.store.sweep(2000.0)), [kept()])
        self.assertEqual(self.files.names(), ["example.com.sts", "note.txt"])

    def test_many(self) -> None:
        """
        Beyond the bound those go that end first.
        """
        self.patch(__import__("momentum_tx.delivery.sts_store", fromlist=["x"]), "MOST_FILES", 2)
        for number in range(4):
            self.result(self.store.save(kept(f"d{number}.example", at=1000.0 - number)))
        self.assertEqual([each.domain for each in self.result(self.store.sweep(2000.0))], ["d1.example", "d0.example"])
        self.assertEqual(self.files.names(), ["d0.example.sts", "d1.example.sts"])

    def test_full(self) -> None:
        """
        A disk that is full is told of once, and loses nothing that was there.
        """
        self.result(self.store.save(kept()))
        self.files.fail("append", errno.ENOSPC, times=2)
        with capturedLogs() as events:
            self.result(self.store.save(kept(record="2")))
            self.result(self.store.save(kept(record="3")))
        self.assertEqual(["not kept on disk" in formatEvent(event) for event in events], [True])
        self.assertEqual(self.result(self.store.load("example.com")), kept())
        self.result(self.store.save(kept(record="4")))
        self.assertEqual(self.result(self.store.load("example.com")), kept(record="4"))

    def test_taken(self) -> None:
        """
        Without the directory there are no kept policies, and mail goes on.
        """
        self.files.lock()
        self.result(self.store.save(kept()))
        self.assertIsNone(self.result(self.store.load("example.com")))
        self.assertEqual(self.result(self.store.sweep(0.0)), [])
        self.files.unlock()
        self.result(self.store.save(kept()))
        self.assertEqual(self.result(self.store.load("example.com")), kept())

    def test_unreadable(self) -> None:
        """
        A file that cannot be read now is not removed.
        """
        self.result(self.store.save(kept()))
        for operation in ("open", "read"):
            self.files.fail(operation, errno.EIO)
            self.assertIsNone(self.result(self.store.load("example.com")))
        self.assertEqual(self.result(self.store.load("example.com")), kept())
        self.assertEqual(self.files.opened, 0)

    def test_stopped(self) -> None:
        """
        When the workers are gone nothing is kept, and nobody fails of that.
        """
        self.threads.stop()
        self.assertIsNone(self.successResultOf(self.store.load("example.com")))
        self.assertIsNone(self.successResultOf(self.store.save(kept())))
        self.assertEqual(self.successResultOf(self.store.sweep(0.0)), [])

    def test_names(self) -> None:
        """
        No domain can name a file anywhere else, or one that has another use.
        """
        self.assertEqual(file_name("example.com"), "example.com.sts")
        self.assertEqual(file_name("lock"), "lock.sts")
        for strange in ("../../etc/passwd", "a/b", ".new-1", "x" * 250, "", "Ex.ample", "a\0b"):
            self.assertRegex(file_name(strange), r"\A[0-9a-f]{64}\.sts\Z")

    def test_directory(self) -> None:
        """
        A real directory does as well, and is free again in the end.
        """
        path = self.mktemp()
        store = STSStore(DirectoryFiles(path), self.threads)
        self.result(store.save(kept()))
        self.result(store.save(kept(record="2")))
        self.assertEqual(self.result(store.load("example.com")), kept(record="2"))
        self.assertIsNone(self.result(store.load("lock")))
        self.assertEqual(self.result(store.sweep(2000.0)), [kept(record="2")])
        store.close()
        store.close()
        self.assertEqual(sorted(each.name for each in Path(path).iterdir()), ["example.com.sts", "lock"])
        again = STSStore(DirectoryFiles(path), self.threads)
        self.assertEqual(self.result(again.load("example.com")), kept(record="2"))
        again.close()
