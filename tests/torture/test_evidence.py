"""
What is known of a process that has ended.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.torture.evidence import Evidence
from momentum_tx.torture.watch import FileTrace

NAME = "000000000001.seg"


class EvidenceTests(SynchronousTestCase):
    """
    One segment; its records are ten octets each.
    """

    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, NAME)
        self.evidence = Evidence(os.path.join(self.directory, "trace"), self.directory)
        self.number = 0
        self.at = 0

    def step(self, operation: str, ends: str = "done", **facts: Any) -> None:
        """
        A step, and how it ended; empty if that is not known.
        """
        self.number += 1
        self.evidence.take(
            {
                "event": "begin",
                "number": self.number,
                "operation": operation,
                "kinds": [operation],
                "name": NAME,
                **facts,
            }
        )
        if ends:
            self.evidence.take({"event": ends, "number": self.number})

    def append(self, *kinds: str, ends: str = "done", name: str = NAME) -> None:
        """
        Records about two recipients of the reception 5, the others about the first of them.
        """
        records = []
        for number, kind in enumerate(kinds, 1):
            record: dict[str, Any] = {"kind": kind, "key": 5, "end": 10 * number}
            if kind == "reception":
                record["recipients"] = ["a", "b"]
            else:
                record["indexes"] = [0]
            records.append(record)
        self.step("append", ends, at=self.at, records=records, name=name)
        self.at += 10 * len(kinds)

    def left(self, length: int) -> None:
        """
        The file has *length* octets when the process is gone.
        """
        with open(self.path, "wb") as file:
            file.truncate(length)
        self.evidence.end_life()

    def test_life(self) -> None:
        """
        From the reception to the end of each message.
        """
        self.append("reception")
        self.assertEqual(self.evidence.waiting(), {"a", "b"})
        self.append("intent", "delivered")
        self.assertEqual(self.evidence.waiting(), {"b"})
        self.assertEqual(self.evidence.ended(), {"a"})
        self.assertEqual(self.evidence.of_kind("delivered", "failed"), {"a"})

    def test_held(self) -> None:
        """
        Who is held does not wait, until requeued.
        """
        self.append("reception", "held")
        self.assertEqual(self.evidence.waiting(), {"b"})
        self.append("requeued")
        self.assertEqual(self.evidence.waiting(), {"a", "b"})

    def test_copied(self) -> None:
        """
        A copy of a reception changes nothing for those of its messages that are held or over.
        """
        self.append("reception", "held")
        self.append("reception", name="000000000002.seg")
        self.assertEqual(self.evidence.waiting(), {"b"})

    def test_renamed(self) -> None:
        """
        What was written under another name counts under the segment's; what was put away does not count.
        """
        self.append("reception", name=f"{NAME}.new")
        self.step("sync", length=10, name=f"{NAME}.new")
        self.assertEqual((self.evidence.waiting(), self.evidence.durable("a")), (set(), False))
        self.step("rename", name=f"{NAME}.new", new=NAME)
        self.left(10)
        self.assertEqual((self.evidence.waiting(), self.evidence.durable("a")), ({"a", "b"}, True))
        self.step("rename", new=f"{NAME}.bad")
        self.assertEqual(self.evidence.waiting(), set())

    def test_killedInRename(self) -> None:
        """
        Where the kill came before a renaming was noted as made, the old name says whether it was.
        """
        self.append("reception", name=f"{NAME}.new")
        self.step("rename", "", name=f"{NAME}.new", new=NAME)
        self.left(10)
        self.assertEqual(self.evidence.waiting(), {"a", "b"})

    def test_withdrawn(self) -> None:
        """
        A withdrawal is the end of all its messages.
        """
        self.append("reception", "withdrawn")
        self.assertEqual(self.evidence.waiting(), set())

    def test_durable(self) -> None:
        """
        A reception is durable when a sync that covers it has ended well.
        """
        self.append("reception")
        self.step("sync", "", length=10)
        self.step("sync", "failed", length=10)
        self.step("sync", length=9)
        self.assertFalse(self.evidence.durable("a"))
        self.step("sync", length=10)
        self.assertTrue(self.evidence.durable("a"))
        self.assertTrue(self.evidence.durable("b"))

    def test_intended(self) -> None:
        """
        An intent counts in the life that wrote it.
        """
        self.append("reception", "intent")
        self.assertTrue(self.evidence.intended("a"))
        self.assertFalse(self.evidence.intended("b"))
        self.left(20)
        self.assertFalse(self.evidence.intended("a"))

    def test_failedAppend(self) -> None:
        """
        What could not be appended is not there.
        """
        self.append("reception")
        self.append("delivered", ends="failed")
        self.left(10)
        self.assertEqual(self.evidence.lives[0].ended, frozenset())

    def test_killedInAppend(self) -> None:
        """
        Where the kill came before the append was noted as made, the file says how much of it was.
        """
        self.append("reception")
        self.append("delivered", "intent", ends="")
        self.assertEqual(self.evidence.ended(), set())
        self.left(20)
        self.assertEqual(self.evidence.lives[0].ended, frozenset(["a"]))

    def test_killedAmidAppend(self) -> None:
        """
        Half a record is none.
        """
        self.append("reception")
        self.append("delivered", ends="")
        self.left(19)
        self.assertEqual(self.evidence.lives[0].ended, frozenset())

    def test_cut(self) -> None:
        """
        What was cut off is gone.
        """
        self.append("reception", "delivered")
        self.step("truncate", length=10)
        self.assertEqual(self.evidence.waiting(), {"a", "b"})

    def test_removed(self) -> None:
        """
        What was on record in a segment that was removed was on record all the same.
        """
        self.append("reception", "delivered")
        self.evidence.end_life()
        self.assertEqual(self.evidence.lives[0].ended, frozenset(["a"]))

    def test_settled(self) -> None:
        """
        What was told belongs to the life that told it.
        """
        self.evidence.take({"event": "settled", "recipient": "a"})
        self.left(0)
        self.left(0)
        self.assertEqual([life.settled for life in self.evidence.lives], [frozenset(["a"]), frozenset()])

    def test_poll(self) -> None:
        """
        The trace is read as it grows, from when it exists; a line that is not whole waits.
        """
        self.assertFalse(self.evidence.poll())
        trace = FileTrace(os.path.join(self.directory, "trace"))
        trace.note("port", port=25)
        self.assertTrue(self.evidence.poll())
        self.assertEqual(self.evidence.port, 25)
        self.assertFalse(self.evidence.poll())
        with open(os.path.join(self.directory, "trace"), "ab") as file:
            file.write(b'{"event":"complaint",')
            file.flush()
            self.assertFalse(self.evidence.poll())
            file.write(b'"text":"no"}\n')
        self.evidence.poll()
        self.assertEqual(self.evidence.complaints, ["no"])
        self.evidence.close()
        self.evidence.close()
