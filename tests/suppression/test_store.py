"""
Tests of :mod:`momentum_tx.suppression.store`.
"""

import errno
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.spool.line_file import make_line
from momentum_tx.suppression import store as module
from momentum_tx.suppression.entries import Suppressed
from momentum_tx.suppression.store import SuppressionStore, parse_change
from momentum_tx.testing.files import MemoryFiles
from momentum_tx.testing.threads import InlineThreads

ENTRY = Suppressed("bounce", 10, 5.0, 0.0, "550 5.1.1 gone")


class SuppressionStoreTests(SynchronousTestCase):
    """
    One file.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.files = MemoryFiles()
        self.store = self.open()

    def open(self) -> SuppressionStore:
        return SuppressionStore(self.files, InlineThreads(self.clock, Random(1)))

    def result(self, waiting: object) -> object:
        self.clock.pump([0.1] * 5)
        return self.successResultOf(waiting)  # type: ignore[arg-type]

    def again(self) -> dict[str, Suppressed]:
        self.store.close()
        self.store = self.open()
        found = self.result(self.store.load())
        assert isinstance(found, dict)
        return found

    def test_kept(self) -> None:
        """
        What is entered is there after a restart, and what was taken off is not.
        """
        self.assertEqual(self.result(self.store.load()), {})
        self.assertIs(self.result(self.store.save([("a@b.example", ENTRY), ("c@d.example", ENTRY)])), True)
        self.assertIs(self.result(self.store.save([("a@b.example", None)])), True)
        self.assertEqual(self.again(), {"c@d.example": ENTRY})

    def test_damage(self) -> None:
        """
        A line that is spoilt is left out, and no other.
        """
        self.result(self.store.load())
        self.result(self.store.save([("a@b.example", ENTRY), ("c@d.example", ENTRY)]))
        self.files.put("addresses", self.files.octets("addresses").replace(b"a@b", b"a@x"))
        self.assertEqual(self.again(), {"c@d.example": ENTRY})

    def test_full(self) -> None:
        """
        A full disk is told, and what comes after it is kept.
        """
        self.result(self.store.load())
        self.result(self.store.save([("a@b.example", ENTRY)]))
        self.files.fail("append", errno.ENOSPC, times=1)
        self.assertIs(self.result(self.store.save([("c@d.example", ENTRY)])), False)
        self.assertFalse(self.store.writable)
        self.assertIs(self.result(self.store.save([("e@f.example", ENTRY)])), True)
        self.assertEqual(set(self.again()), {"a@b.example", "e@f.example"})

    def test_written_anew(self) -> None:
        """
        A file of much that is over is written anew at the start.
        """
        self.patch(module, "SLACK", 5)
        self.result(self.store.load())
        for _ in range(10):
            self.result(self.store.save([("a@b.example", ENTRY)]))
        self.assertEqual(self.again(), {"a@b.example": ENTRY})
        self.assertEqual(self.again(), {"a@b.example": ENTRY})

    def test_bound(self) -> None:
        """
        While the service runs the file does not grow for ever either, and nothing that counts is lost.
        """
        self.patch(module, "SLACK", 20)
        self.result(self.store.load())
        largest = 0
        for number in range(200):
            self.result(self.store.save([("a@b.example", ENTRY._replace(code=number))]))
            largest = max(largest, len(self.files.octets("addresses")))
        self.assertLess(largest, 25 * len(make_line(("a@b.example", ENTRY._replace(code=199)))))
        self.assertEqual(self.again(), {"a@b.example": ENTRY._replace(code=199)})

    def test_lines(self) -> None:
        """
        A line is what it was, or none.
        """
        line = make_line(("lärm@b.example", ENTRY))
        self.assertEqual(parse_change(line.rstrip(b"\n")), ("lärm@b.example", ENTRY))
        for bad in (b"", b"x", line[:-4], b"00000000 []", line.replace(b"10", b"11")):
            self.assertIsNone(parse_change(bad))
