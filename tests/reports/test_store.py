"""
Tests of :mod:`momentum_tx.reports.store`.
"""

from __future__ import annotations

import errno
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.reports import store
from momentum_tx.reports.store import NAME, CountStore, Entry, parse_entry
from momentum_tx.spool.line_file import make_line
from momentum_tx.testing.files import MemoryFiles
from momentum_tx.testing.threads import InlineThreads

ONE: Entry = (5, "a.example", {"policies": [], "tries": 1})
TWO: Entry = (5, "b.example", {"tries": 2})


class StoreTests(SynchronousTestCase):
    """
    What outlives the process.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.files = MemoryFiles()
        self.open()

    def open(self) -> None:
        """
        A new process on the same disk.
        """
        self.threads = InlineThreads(self.clock, Random(1))
        self.store = CountStore(self.files, self.threads)

    def done(self, work: Any) -> Any:
        """
        What comes of some work.
        """
        for _ in range(10):
            self.clock.advance(0)
        return self.successResultOf(work)

    def restart(self) -> list[Entry]:
        """
        What a new process finds.
        """
        self.store.close()
        self.open()
        found: list[Entry] = self.done(self.store.load())
        return found

    def test_nothing(self) -> None:
        """
        A new directory has nothing.
        """
        self.assertEqual(self.done(self.store.load()), [])

    def test_kept(self) -> None:
        """
        The last that was said of a domain and day counts, ``None`` takes it away.
        """
        self.done(self.store.save([ONE, TWO]))
        self.done(self.store.save([(5, "a.example", {"tries": 7})]))
        self.done(self.store.save([(6, "a.example", {"tries": 1}), (5, "b.example", None)]))
        self.assertEqual(self.restart(), [(5, "a.example", {"tries": 7}), (6, "a.example", {"tries": 1})])

    def test_rewritten(self) -> None:
        """
        A start leaves no line in the file that says nothing any more.
        """
        for number in range(50):
            self.done(self.store.save([(5, "a.example", {"tries": number})]))
        before = self.files.open(NAME).size()
        self.restart()
        self.assertLess(self.files.open(NAME).size() * 20, before)
        self.assertEqual(self.files.names(), [NAME])

    def test_bound(self) -> None:
        """
        While the process runs the file does not grow for ever either.
        """
        self.patch(store, "SLACK", 2000)
        self.done(self.store.save([ONE]))
        largest = 0
        for number in range(1000):
            self.done(self.store.save([(5, "b.example", {"tries": number})]))
            largest = max(largest, self.files.open(NAME).size())
        self.assertLess(largest, 5000)
        self.assertEqual(self.restart(), [ONE, (5, "b.example", {"tries": 999})])

    def test_in_order(self) -> None:
        """
        Whatever threads do first, what was said last counts.
        """
        for number in range(20):
            self.store.save([(5, "a.example", {"tries": number})])
        self.assertEqual(self.restart_when_done(), [(5, "a.example", {"tries": 19})])

    def restart_when_done(self) -> list[Entry]:
        """
        As :meth:`restart`, after all that was asked for.
        """
        for _ in range(100):
            self.clock.advance(0)
        return self.restart()

    def test_torn(self) -> None:
        """
        A line that was torn, or spoilt, is passed over; what was written before and after it counts.
        """
        self.done(self.store.save([ONE]))
        file = self.files.open(NAME)
        line = make_line(TWO)
        file.append([line[: len(line) // 2]])
        file.close()
        self.done(self.store.save([(6, "c.example", {})]))
        self.assertEqual(self.restart(), [ONE, (6, "c.example", {})])

    def test_power_cut(self) -> None:
        """
        What was saved survives a power cut, in the middle of a rewriting as well.
        """
        self.done(self.store.save([ONE]))
        self.done(self.store.save([TWO]))
        file = self.files.create(f"{NAME}.new")
        file.append([b"half"])
        self.files = self.files.power_cut(Random(2), True)
        self.open()
        self.assertEqual(self.done(self.store.load()), [ONE, TWO])

    def test_broken_disk(self) -> None:
        """
        A disk that fails costs what was counted, and nothing else; when it is whole again so are we.
        """
        self.done(self.store.save([ONE]))
        self.files.fail("append", errno.ENOSPC)
        self.assertIsNone(self.done(self.store.save([TWO])))
        self.files.heal()
        self.done(self.store.save([(6, "c.example", {})]))
        self.assertEqual(self.restart(), [ONE, (6, "c.example", {})])

    def test_stopped(self) -> None:
        """
        Without threads nothing is kept, and nobody is told.
        """
        self.threads.stop()
        self.assertIsNone(self.done(self.store.save([ONE])))
        self.assertEqual(self.done(self.store.load()), [])

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(st.binary(max_size=80))
    def test_any_line(self, line: bytes) -> None:
        """
        Whatever stands in the file is an entry or nothing.
        """
        self.assertIsNone(parse_entry(line))

    def test_lines(self) -> None:
        """
        An entry survives its line; one octet less, or another one, and it is none.
        """
        for entry in (ONE, TWO, (7, "c.example", None)):
            line = make_line(entry).removesuffix(b"\n")
            self.assertEqual(parse_entry(line), entry)
            self.assertIsNone(parse_entry(line[:-1]))
            self.assertIsNone(parse_entry(line.replace(b"example", b"exbmple")))
