"""
Tests of :mod:`momentum_tx.operate.spool_reading`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from momentum_tx.operate import spool_reading
from momentum_tx.operate.spool_files import ReadOnlyFile, look
from momentum_tx.operate.spool_reading import Reading, SegmentReport, read, read_reception, records
from momentum_tx.queues.message import HELD, Message
from momentum_tx.spool.records import SEGMENT_HEADER, Envelope, RecordError

from ..spool import contract
from .spools import SpoolOnDisk


class ReadingTests(SpoolOnDisk):
    """
    A whole spool.
    """

    def test_asTheServiceSeesIt(self) -> None:
        """
        Any life of a spool is read as the service finds it at its next start.
        """
        for seed in range(12):
            self.rng.seed(seed)
            live = list(self.open())
            for _ in range(60):
                self._do_something(live)
            contract.settle(self.clock, step=0.05, turns=20)
            self.stop()
            ours = {
                (key, index, m.recipient, m.retries, m.next_attempt, m.code, m.ambiguous + (m.intent is not None))
                for key, _, index, m in self.read_all().state.messages()
            }
            found = self.open()
            theirs = {
                (m.reception.key, m.index, m.recipient, m.num_retries, m.next_attempt, m.code, m.ambiguous)
                for m in found
            }
            self.assertEqual(ours, theirs)
            self.assertTrue(found)
            self.stop()

    def test_movedMail(self) -> None:
        """
        So is a spool in which mail was moved out of old segments, all the time.
        """
        self.settings = replace(self.settings, segment_live_share=90, compaction_rate=1 << 30)
        moved = 0
        for seed in range(12):
            self.rng.seed(100 + seed)
            live = list(self.open())
            for _ in range(60):
                self._do_something(live)
                contract.settle(self.clock, step=1.0, turns=20)
            self.stop()
            reading = self.read_all()
            moved += sum(self._moved(reading))
            ours = {
                (key, index, m.recipient, m.retries, m.next_attempt, m.code, m.ambiguous + (m.intent is not None))
                for key, _, index, m in reading.state.messages()
            }
            theirs = {
                (m.reception.key, m.index, m.recipient, m.num_retries, m.next_attempt, m.code, m.ambiguous)
                for m in self.open()
            }
            self.assertEqual(ours, theirs)
            self.stop()
        self.assertGreater(moved, 50)

    def _moved(self, reading: Reading) -> Iterator[int]:
        found = look(self.path)
        self.addCleanup(found.close)
        for report in reading.segments:
            for record in records(found.segments[report.number], SegmentReport(0, "x", report.size), False):
                yield isinstance(record.meta, Envelope) and record.meta.states is not None

    def _do_something(self, live: list[Message]) -> None:
        what = self.rng.randrange(6)
        if what < 2 or not live:
            names = [b"r%d@x.example" % number for number in range(self.rng.randrange(1, 4))]
            kept = self.keep(contract.reception(*names))
            live += [message for message in kept.messages if message is not None]
            return
        message = self.rng.choice(live)
        if what == 2:
            self.spool.intent([message], lambda error: None)
            return
        if what == 3:
            self.spool.delivered(message, b"250")
            live.remove(message)
        else:
            message.num_retries += 1
            message.next_attempt = HELD if what == 5 else float(self.rng.randrange(9999))
            message.code = b"451 %d" % self.rng.randrange(9)
            self.spool.requeued(message)
        contract.settle(self.clock)

    def test_whatAServiceIsWriting(self) -> None:
        """
        An unfinished record at the end is nobody's damage while a service has the spool.
        """
        self.open()
        self.one_of_each()
        with open(self.segment(), "ab") as file:
            file.write(self.segment().read_bytes()[SEGMENT_HEADER : SEGMENT_HEADER + 50])
        reading = self.read_all()
        (report,) = reading.segments
        self.assertTrue(reading.running)
        self.assertTrue(report.open_end)
        self.stop()
        reading = self.read_all()
        self.assertFalse(reading.running)
        self.assertFalse(reading.segments[0].open_end)
        self.assertTrue(reading.segments[0].damage)

    def test_growing(self) -> None:
        """
        Where locks cannot be seen, a service is known by what it appends meanwhile.
        """
        self.open()
        self.one_of_each()
        self.stop()
        found = look(self.path)
        self.addCleanup(found.close)
        self.assertFalse(read(found, False, lambda done, total: None).running)
        with open(self.segment(), "ab") as file:
            file.write(b"x")
        self.assertTrue(read(found, False, lambda done, total: None).running)

    def test_progress(self) -> None:
        """
        What was read grows to what there is.
        """
        self.open()
        self.one_of_each()
        self.stop()
        found = look(self.path)
        self.addCleanup(found.close)
        told: list[tuple[int, int]] = []
        reading = read(found, True, lambda done, total: told.append((done, total)))
        self.assertEqual(told, sorted(told))
        self.assertEqual(told[-1], (reading.octets, reading.octets))

    def test_bodies(self) -> None:
        """
        A reception is read back whole, or not at all.
        """
        self.open()
        self.keep(contract.reception(b"a@a.example"))
        self.stop()
        reading = self.read_all()
        ((key, kept),) = reading.state.receptions.items()
        found = look(self.path)
        self.addCleanup(found.close)
        (file,) = found.segments.values()
        salt = reading.segments[0].salt
        envelope, body = read_reception(file, salt, kept.offset, key)
        self.assertEqual((envelope.recipients[0].recipient, body), (b"a@a.example", contract.BODY))
        self.assertRaises(RecordError, read_reception, file, salt, kept.offset, key + 1)
        self.assertRaises(RecordError, read_reception, file, salt + 1, kept.offset, key)
        octets = bytearray(self.segment().read_bytes())
        octets[-1] ^= 1
        self.segment().write_bytes(octets)
        self.assertRaises(RecordError, read_reception, file, salt, kept.offset, key)
        (again,) = self.read_all().state.receptions.values()
        self.assertTrue(again.spoilt)
        (unverified,) = self.read_all(verify=False).state.receptions.values()
        self.assertFalse(unverified.spoilt)

    def test_failingDisk(self) -> None:
        """
        A segment that cannot be read is reported, at its header and behind it.
        """
        self.open()
        self.one_of_each()
        self.stop()
        really = ReadOnlyFile.read
        for skipped in (0, 1):
            left = [skipped]

            def failing(file: ReadOnlyFile, offset: int, length: int, left: list[int] = left) -> bytes:
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(errno.EIO, os.strerror(errno.EIO), file.name)
                return really(file, offset, length)

            self.patch(ReadOnlyFile, "read", failing)
            (report,) = self.read_all().segments
            self.assertEqual((report.unread, report.usable), (os.strerror(errno.EIO), False))
            self.patch(ReadOnlyFile, "read", really)

    def test_short(self) -> None:
        """
        A segment that never got its header is no damage; one that has lost it is.
        """
        os.makedirs(self.path)
        for size, headless in ((0, False), (SEGMENT_HEADER - 1, False), (SEGMENT_HEADER, True)):
            self.segment().write_bytes(b"\x01" * size)
            (report,) = self.read_all().segments
            self.assertEqual((report.headless, report.usable), (headless, True))

    def test_unopened(self) -> None:
        """
        A segment that could not be opened has a report as well.
        """
        self.open()
        self.one_of_each()
        self.stop()
        found = look(self.path)
        self.addCleanup(found.close)
        found.unopened["000000000007.seg"] = PermissionError(errno.EACCES, "Permission denied")
        reports: Sequence[SegmentReport] = read(found, False, lambda done, total: None).segments
        self.assertEqual([(each.number, each.unread) for each in reports], [(1, ""), (7, "Permission denied")])

    def test_kinds(self) -> None:
        """
        Whole records are counted by kind.
        """
        self.open()
        self.one_of_each()
        self.stop()
        found = look(self.path)
        self.addCleanup(found.close)
        report = SegmentReport(1, "x", found.segments[1].size())
        every = list(records(found.segments[1], report, False))
        self.assertEqual(report.records, len(every))
        self.assertEqual(report.by_kind, {1: 6, 2: 1, 3: 1, 4: 1, 5: 2, 7: 1})
        self.assertEqual(spool_reading.segment_names({2, 1}), ["000000000001.seg", "000000000002.seg"])
