"""
The watch sees what the kernel gets, and ends the process where it was told.
"""

from __future__ import annotations

import errno
import os
from typing import Any, NoReturn

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.seams import IJournalFile, IJournalFiles
from momentum_tx.queues.message import Reception
from momentum_tx.spool import jobs, records
from momentum_tx.spool.segments import Segment
from momentum_tx.spool.threads import ReactorThreads
from momentum_tx.testing.files import MemoryFiles
from momentum_tx.torture.points import Point
from momentum_tx.torture.watch import Fault, FileTrace, Watch, WatchedFiles, records_in

from ..spool.test_threads import QueueingReactor

#: A segment with an intent and a delivery in it.
INTENT = records.frame(records.encode_intent(5, [1, 2]), 0)
DELIVERED = records.frame(records.encode_ended(records.DELIVERED, 5, 2, b"250 ok"), 0)


class Died(Exception):
    """
    Stands for the end of the process.
    """


class Notes:
    """
    A trace in memory.
    """

    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []

    def note(self, event: str, **facts: Any) -> None:
        """
        See :class:`~momentum_tx.torture.watch.Trace`.
        """
        self.notes.append({"event": event, **facts})


def die() -> NoReturn:
    """
    End.
    """
    raise Died


class RecordsTests(SynchronousTestCase):
    """
    What is in the octets of an append.
    """

    def test_header(self) -> None:
        """
        A new segment's first octets, and what follows them at once.
        """
        header = records.encode_segment_header(records.SegmentHeader(1, 9))
        self.assertEqual([record["kind"] for record in records_in(header + INTENT)], ["header", "intent"])

    def test_no_records(self) -> None:
        """
        Where there is no record whatever follows is octets.
        """
        first, second = records_in(INTENT + b"something else, of some length")
        self.assertEqual((first["kind"], second["kind"], second["start"]), ("intent", "octets", len(INTENT)))

    def test_outcomes(self) -> None:
        """
        Key, indexes and place of each record.
        """
        first, second = records_in(INTENT + DELIVERED)
        self.assertEqual((first["kind"], first["key"], first["indexes"]), ("intent", 5, [1, 2]))
        self.assertEqual((second["kind"], second["key"], second["indexes"]), ("delivered", 5, [2]))
        self.assertEqual((first["start"], first["end"]), (0, len(INTENT)))
        self.assertEqual((second["start"], second["end"]), (len(INTENT), len(INTENT + DELIVERED)))

    def test_reception(self) -> None:
        """
        Its recipients; its body is a part of it.
        """
        reception = Reception(b"s@a.test", 1.0, 10, "batch", "conn", "esmtp", "client")
        reception.add("id1", b"r@b.test")
        payload = records.encode_reception(6, reception, [""], b"body")
        octets = records.frame(payload, 0) + b"body"
        (record,) = records_in(octets)
        self.assertEqual((record["kind"], record["key"], record["recipients"]), ("reception", 6, ["r@b.test"]))
        self.assertEqual(record["end"], len(octets))


class WatchTests(SynchronousTestCase):
    """
    Steps on files in memory.
    """

    def setUp(self) -> None:
        self.inner = MemoryFiles()
        self.trace = Notes()

    def files(self, point: str = "", *faults: Fault) -> WatchedFiles:
        """
        Watched, and locked.
        """
        self.watch = Watch(self.trace, die, Point.parse(point) if point else None, faults)
        files = WatchedFiles(self.inner, self.watch)
        files.lock()
        return files

    def kinds(self) -> list[str]:
        """
        The kind of every step that was begun.
        """
        return [kind for note in self.trace.notes if note["event"] == "begin" for kind in note["kinds"]]

    def test_provides(self) -> None:
        """
        Both keep the contracts of what they wrap.
        """
        files = self.files()
        verifyObject(IJournalFiles, files)
        verifyObject(IJournalFile, files.create("a"))

    def test_handedToAThread(self) -> None:
        """
        A step that a worker was handed as it is bears no function's name: the worker's would say nothing.
        """
        files = self.files()
        reactor: Any = QueueingReactor()
        threads = ReactorThreads(reactor, 1)
        threads.run(files.names)
        threads.stop()
        self.assertEqual(self.kinds()[-1], "names")

    def test_kinds(self) -> None:
        """
        A step is called after what is done, what it is about, and which function of the spool does it.
        """
        file = jobs.make_segment(self.files(), Segment(1, 9))
        file.append([INTENT, DELIVERED])
        file.truncate(3)
        file.read(0, 1)
        file.close()
        self.assertEqual(
            self.kinds(),
            [
                "lock",
                "create in make_segment",
                "append header in make_segment",
                "sync in make_segment",
                "sync_names in make_segment",
                "append intent",
                "append delivered",
                "truncate",
                "read",
                "close",
            ],
        )

    def test_directory(self) -> None:
        """
        What is done to the directory is done.
        """
        files = self.files()
        files.create("a")
        files.rename("a", "b")
        self.assertEqual(files.names(), ["b"])
        files.unlink("b")
        files.sync_names()
        files.reserve(10)
        files.reserve(0)
        files.unlock()
        self.assertEqual(
            self.kinds(),
            ["lock", "create", "rename", "names", "unlink", "sync_names", "reserve", "unreserve", "unlock"],
        )

    def end(self, moment: str, nth: int = 1) -> bytes:
        """
        What is in the file when the process ends at an append of a delivery.
        """
        file = self.files(f"t: append delivered: {moment}: {nth}").create("000000000001.seg")
        file.append([INTENT])
        self.assertRaises(Died, self._twice, file)
        return self.inner.open("000000000001.seg").read(0, 1000)

    def _twice(self, file: IJournalFile) -> None:
        for _ in range(2):
            file.append([INTENT, DELIVERED])

    def test_before(self) -> None:
        """
        Nothing of the append is in the file.
        """
        self.assertEqual(self.end("before"), INTENT)
        self.assertEqual(self.trace.notes[-1]["event"], "begin")

    def test_amid(self) -> None:
        """
        What is before the record is there, and half of it.
        """
        self.assertEqual(self.end("amid"), INTENT + INTENT + DELIVERED[: len(DELIVERED) // 2])

    def test_after(self) -> None:
        """
        All of it is there, and known to be.
        """
        self.assertEqual(self.end("after"), INTENT + INTENT + DELIVERED)
        self.assertEqual(self.trace.notes[-1]["event"], "done")

    def test_nth(self) -> None:
        """
        Not at an earlier one.
        """
        self.assertEqual(self.end("before", 2), INTENT + INTENT + DELIVERED)

    def test_fault(self) -> None:
        """
        Steps fail as they are told, without being made, and it is noted.
        """
        files = self.files("", Fault("sync", 2, 1, errno.EIO))
        file = files.create("000000000001.seg")
        file.sync()
        self.assertFalse(self.watch.failing)
        self.assertEqual(self.assertRaises(OSError, file.sync).errno, errno.EIO)
        self.assertEqual(self.trace.notes[-1]["event"], "failed")
        self.assertTrue(self.watch.failing)
        file.sync()

    def test_faultOfAnyKind(self) -> None:
        """
        A fault may be of all that do the same, whoever does it.
        """
        files = self.files("", Fault("create", 2, 1, errno.EIO))
        files.create("a")
        self.assertRaises(OSError, jobs.make_segment, files, Segment(1, 9))
        files.create("b")

    def test_newName(self) -> None:
        """
        A segment may be made under another name; what is set aside is octets.
        """
        files = self.files()
        header = records.encode_segment_header(records.SegmentHeader(1, 9))
        files.create("000000000001.seg.new").append([header, INTENT])
        files.create("000000000001.seg-56.bad").append([DELIVERED])
        self.assertEqual(self.kinds()[2:4], ["append header", "append intent"])
        self.assertEqual(self.kinds()[-1], "append octets")

    def test_file(self) -> None:
        """
        A trace is in its file when the call returns.
        """
        path = self.mktemp()
        FileTrace(path).note("port", port=25)
        with open(path, encoding="ascii") as trace:
            self.assertEqual(trace.read(), '{"event":"port","port":25}\n')
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
