"""
Starting on damaged, foreign and unfinished segments.
"""

import errno
import struct
import zlib
from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import SpoolError, StartupError
from momentum_tx.interfaces.seams import IJournalFile
from momentum_tx.queues.message import Message
from momentum_tx.spool import records
from momentum_tx.spool.recovery import AGAIN, BATCH, Recovery
from momentum_tx.spool.repair import JournalWriter
from momentum_tx.testing.files import MemoryFiles

from ..logs.doubles import Told
from . import contract
from .test_journal import JournalCase


class DamageTests(JournalCase, SynchronousTestCase):
    """
    One segment with three receptions and the end of the first, then damage.
    """

    def _written(self) -> bytes:
        self.open()
        for number in range(3):
            kept = self.keep(contract.reception(b"u%d" % number), b"body %d" % number)
            if not number:
                self.spool.delivered(contract.first(kept), b"250 ok")
        self.stop()
        return self.files.octets("000000000001.seg")

    def _reopen(self, octets: bytes, name: str = "000000000001.seg") -> list[bytes]:
        self.clock = Clock()
        self.files = MemoryFiles()
        self.files.put(name, octets)
        found = self.open()
        names = [message.recipient for message in found]
        for message in found:
            self.assertEqual(self.read(message.reception), b"body " + message.recipient[1:])
        again = self.restart()
        self.assertEqual([message.recipient for message in again], names)
        self.stop()
        self.assertEqual(self.files.opened, 0)
        return names

    def _bad(self) -> list[str]:
        return [name for name in self.files.names() if name.endswith(".bad")]

    def test_torn_at_every_octet(self) -> None:
        """
        Wherever the last record is torn, all before it load and the file is cut.
        """
        octets = self._written()
        last = octets.rindex(records.RECORD_MAGIC)
        self.assertEqual(self._reopen(octets), [b"u1", b"u2"])
        for length in range(last, len(octets)):
            self.assertEqual(self._reopen(octets[:length]), [b"u1"])
            self.assertEqual(len(self.files.octets("000000000001.seg")), last)
            self.assertEqual(len(self._bad()), int(length > last))

    def test_report_without_its_body(self) -> None:
        """
        A report whose body never came to the disk has ended nothing, at this start and all later ones;
        nor has one that was withdrawn.
        """
        for withdrawn in (False, True):
            self.clock = Clock()
            self.files = MemoryFiles()
            self.open()
            kept = self.keep(contract.reception(b"u0"), b"body 0")
            report = contract.reception(b"sender")
            self.spool.receive(report, b"body of the report", [contract.first(kept)])
            contract.settle(self.clock)
            self.stop()
            octets = self.files.octets("000000000001.seg")
            self.assertIn(b"body of the report", octets)
            if withdrawn:
                salt = records.decode_segment_header(octets).salt
                octets += records.frame(records.encode_withdrawn(report.key), salt)
            else:
                octets = octets.replace(b"body of the report", b"\0" * 18)
            self.assertEqual(self._reopen(octets), [b"u0"])
        self.flushLoggedErrors()

    def test_torn_to_nothing(self) -> None:
        """
        A segment of any length starts; one shorter than its header is removed.
        """
        octets = self._written()
        for length in range(len(octets)):
            self._reopen(octets[:length])
            if length <= records.SEGMENT_HEADER:
                self.assertNotIn("000000000001.seg", self.files.names())

    def test_zeros_behind(self) -> None:
        """
        Blocks that were never written are cut off without a word.
        """
        octets = self._written()
        self.assertEqual(self._reopen(octets + bytes(5000)), [b"u1", b"u2"])
        self.assertEqual(self._bad(), [])
        self.assertEqual(self.files.octets("000000000001.seg"), octets)

    def test_every_octet_damaged(self) -> None:
        """
        Any damaged octet costs at most the record it is in; its octets are set
        aside and reported, and the rest loads.
        """
        octets = self._written()
        for at in range(records.SEGMENT_HEADER, len(octets)):
            broken = bytearray(octets)
            broken[at] ^= 0xFF
            names = self._reopen(bytes(broken))
            # Losing the record of the end brings the finished one back: that is a second copy, not a loss.
            self.assertIn(names, ([b"u0", b"u1", b"u2"], [b"u1", b"u2"], [b"u1"], [b"u2"]))
            if names != [b"u1", b"u2"]:
                self.assertEqual(len(self._bad()), 1)

    def test_bytes_set_aside(self) -> None:
        """
        What is set aside is exactly what was damaged.
        """
        octets = bytearray(self._written())
        starts = [at for at in range(len(octets)) if octets.startswith(records.RECORD_MAGIC, at)]
        octets[starts[2] + 40] ^= 1
        self.assertEqual(self._reopen(bytes(octets)), [b"u2"])
        self.assertEqual(self._bad(), [f"000000000001.seg-{starts[2]}.bad"])
        self.assertEqual(self.files.octets(self._bad()[0]), bytes(octets[starts[2] : starts[3]]))

    def test_part_of_a_copy(self) -> None:
        """
        A copy that was cut short by the end of a process, or another file of its name, does
        not count: what is cut off is somewhere else whole.
        """
        octets = self._written()
        last = octets.rindex(records.RECORD_MAGIC)
        name = f"000000000001.seg-{last}"
        for there in (octets[last:-9], b"other", octets[last:-1]):
            self.files = MemoryFiles()
            self.clock = Clock()
            self.files.put("000000000001.seg", octets[:-1])
            self.files.put(f"{name}.bad", there)
            self.open()
            self.stop()
            self.assertEqual(self.files.octets(f"{name}.bad"), there)
            copies = [self.files.octets(each) for each in self._bad()]
            self.assertEqual(copies.count(octets[last:-1]), 1)
            self.assertEqual(len(copies), 1 + (there != octets[last:-1]))

    def test_number_of_what_was_set_aside(self) -> None:
        """
        Neither the number nor the keys of a segment that was set aside are given again.
        """
        for name in ("000000000005.seg.bad", "000000000005.seg-64.bad", "000000000005.seg"):
            self.files = MemoryFiles()
            self.clock = Clock()
            self.files.put(name, b"x" * 100)
            self.open()
            kept = self.keep(contract.reception())
            self.assertIn("000000000006.seg", self.files.names())
            self.assertEqual(kept.key >> 32, 6)
            self.stop()

    def test_record_inside_a_body(self) -> None:
        """
        A mail that holds a record of another mail's end does no harm, even
        where damage makes the journal search for records.
        """
        self.open()
        victim = self.keep(contract.reception(b"victim"))
        forged = b"".join(
            records.frame(records.encode_ended(records.DELIVERED, victim.key, 0, b"250 ok"), salt) for salt in range(50)
        )
        self.keep(contract.reception(b"forger"), forged)
        self.stop()
        octets = bytearray(self.files.octets("000000000001.seg"))
        octets[octets.index(b"forger")] ^= 1
        self.files.put("000000000001.seg", bytes(octets))
        self.assertEqual([message.recipient for message in self.open()], [b"victim"])
        self.stop()

    def test_unreadable_header(self) -> None:
        """
        A segment whose header is lost in both copies is put away whole.
        """
        octets = self._written()
        self.assertEqual(self._reopen(bytes(56) + octets[56:]), [])
        self.assertEqual(self._bad(), ["000000000001.seg.bad"])

    def _spoil_body(self, settle: bool) -> list[Message]:
        self.open()
        kept = self.keep(contract.reception(b"u1"), b"body 1")
        if settle:
            contract.first(kept).code = b"451 later"
            self.spool.requeued(contract.first(kept))
        self.stop()
        octets = self.files.octets("000000000001.seg")
        self.files.put("000000000001.seg", octets.replace(b"body 1", b"body 2"))
        return self.open()

    def test_spoilt_body(self) -> None:
        """
        A body that a power cut left incomplete takes its reception with it:
        nobody was told that it was accepted.  Its octets are kept, and it does
        not come back either.
        """
        self.assertEqual(self._spoil_body(False), [])
        self.assertEqual(len(self._bad()), 1)
        contract.settle(self.clock, step=0.1, turns=5)
        # What was withdrawn needs no segment any more.
        self.assertNotIn("000000000001.seg", self.files.names())
        for number in range(3):
            self.keep(contract.reception(b"later %d" % number))
            self.assertEqual(len(self.restart()), number + 1)
        self.stop()

    def test_spoilt_body_behind_empty_segments(self) -> None:
        """
        Starts that were killed before they wrote anything do not hide it: their
        empty segments are not counted among the youngest.
        """
        self.open()
        self.keep(contract.reception(b"u1"), b"body 1")
        self.stop()
        octets = self.files.octets("000000000001.seg")
        self.files.put("000000000001.seg", octets.replace(b"body 1", b"body 2"))
        for number in (2, 3):
            header = records.encode_segment_header(records.SegmentHeader(number, number))
            self.files.put(records.segment_name(number), header)
        self.assertEqual(self.open(), [])
        self.stop()

    def test_spoilt_body_of_confirmed_mail(self) -> None:
        """
        Mail that was attempted had been accepted: it is kept whatever became
        of its body, and reading that fails by name.
        """
        (found,) = self._spoil_body(True)
        body = self.spool.body(found.reception)
        contract.settle(self.clock)
        self.assertIn("000000000001.seg", str(self.failureResultOf(body, SpoolError).value))
        self.assertEqual(len(self.restart()), 1)
        self.stop()

    def test_spoilt_body_of_mail_in_delivery(self) -> None:
        """
        An intent shows as well that mail had been accepted: it is kept.
        """
        self.open()
        kept = self.keep(contract.reception(b"u1"), b"body 1")
        self.spool.intent([contract.first(kept)], lambda error: None)
        self.stop()
        octets = self.files.octets("000000000001.seg")
        self.files.put("000000000001.seg", octets.replace(b"body 1", b"body 2"))
        (found,) = self.open()
        self.assertEqual(found.ambiguous, 1)
        self.stop()

    def test_unreadable_body(self) -> None:
        """
        An I/O error while a body is read is a SpoolError; the next try may do.
        """
        self._written()
        (one, _) = self.open()
        self.files.fail("read", errno.EIO)
        waiting = [self.spool.body(one.reception), self.spool.body(one.reception)]
        contract.settle(self.clock)
        for body in waiting:
            self.failureResultOf(body, SpoolError)
        self.assertEqual(self.read(one.reception), b"body 1")
        self.stop()

    def test_unreadable_segment(self) -> None:
        """
        A segment that cannot be read is reported and left; what is younger loads.
        """
        self._written()
        self.open()
        self.keep(contract.reception(b"later"))
        self.stop()
        # Of each the header, of the younger one records and body, of this one the records.
        self.files.fail("read", errno.EIO, times=-1, skip=5)
        self.assertEqual([message.recipient for message in self._open_in_time()], [b"later"])
        self.stop()
        self.assertIn("000000000001.seg", self.files.names())
        self.assertEqual(len(self.open()), 3)
        self.stop()

    def test_end_of_what_could_not_be_read(self) -> None:
        """
        Mail that was delivered stays delivered though its segment could not be
        read for once: the record of its end, in a younger segment, is kept as
        long.
        """
        self.open()
        self.keep(contract.reception(b"u0"))
        (found,) = self.restart()
        self.spool.delivered(found, b"250 ok")
        self.stop()
        for segments in (2, 3):
            # The headers of all, and the one younger segment that has records.
            self.files.fail("read", errno.EIO, times=-1, skip=segments + 1)
            self.assertEqual(self._open_in_time(), [])
            contract.settle(self.clock, step=0.1, turns=5)
            self.stop()
        self.assertEqual(self.open(), [])
        self.stop()

    def test_read_after_all(self) -> None:
        """
        What can be read a moment later is read: nothing is held back.
        """
        self._written()
        self.files.fail("read", errno.EIO, times=len(AGAIN), skip=2)
        self.assertEqual([message.recipient for message in self._open_in_time()], [b"u1", b"u2"])
        self.stop()

    def test_older_than_what_cannot_be_read(self) -> None:
        """
        Mail is held back that is older than what cannot be read, which may hold its end:
        it is not sent twice, nor lost.
        """
        self.open()
        self.keep(contract.reception(b"ended"))
        self.keep(contract.reception(b"waits"))
        (ended, _) = self.restart()
        self.spool.delivered(ended, b"250 ok")
        self.restart()
        self.keep(contract.reception(b"younger"))
        for _ in range(2):
            self.stop()
            opened: list[str] = []

            def open_file(name: str, opened: list[str] = opened) -> IJournalFile:
                # Of the one with the end the header can be read, and nothing behind it.
                opened.append(name)
                if name == "000000000002.seg" and opened.count(name) > 1:
                    raise OSError(errno.EIO, "Input/output error", name)
                return MemoryFiles.open(self.files, name)

            patch = self.patch(self.files, "open", open_file)
            self.assertEqual([message.recipient for message in self._open_in_time()], [b"younger"])
            patch.restore()
            contract.settle(self.clock, step=0.1, turns=5)
            self.assertIn("000000000001.seg", self.files.names())
            self.assertIn("000000000002.seg", self.files.names())
        found = self.restart()
        self.assertEqual([message.recipient for message in found], [b"younger", b"waits"])
        for message in found:
            self.spool.delivered(message, b"250 ok")
        contract.settle(self.clock, step=0.1, turns=5)
        self.assertNotIn("000000000001.seg", self.files.names())
        self.stop()

    def test_damage_without_space(self) -> None:
        """
        A segment that was read and cannot be mended holds back nothing.  No part of a copy
        stays that takes up the little space there is, at every start once more.
        """
        octets = self._written()
        self.files.put("000000000001.seg", octets + b"damage")
        # The new segment is made before, and the old one synced.
        for operation, skip in ("create", 1), ("append", 1), ("sync", 2):
            self.files.fail(operation, errno.ENOSPC, skip=skip)
            self.assertEqual([message.recipient for message in self.open()], [b"u1", b"u2"])
            self.stop()
            self.files.heal()
            self.assertEqual(self._bad(), [])
            self.assertEqual(self.files.octets("000000000001.seg"), octets + b"damage")
        self.open()
        self.stop()
        self.assertEqual(len(self._bad()), 1)

    def test_stopped_while_it_cannot_be_read(self) -> None:
        """
        A stop need not wait for the last try.
        """
        self._written()
        self.files.fail("read", errno.EIO, times=-1, skip=2)
        self.spool = self.make_spool()
        starting = self.spool.start(lambda found: None)
        contract.settle(self.clock)
        stopping = self.spool.stop()
        contract.settle(self.clock, step=0.1, turns=15)
        self.failureResultOf(starting, StartupError)
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def _open_in_time(self) -> list[Message]:
        # As often as a segment is tried.
        self.spool = self.make_spool()
        found: list[Message] = []
        starting = self.spool.start(found.extend)
        for pause in (0.0, *AGAIN):
            self.clock.advance(pause)
            contract.settle(self.clock)
        self.files.heal()
        self.assertEqual(self.successResultOf(starting), len(found))
        return found


class RefusalTests(JournalCase, SynchronousTestCase):
    """
    When the spool had better not start.
    """

    def _refused(self) -> str:
        self.spool = self.make_spool()
        starting = self.spool.start(lambda found: None)
        contract.settle(self.clock, step=0.01, turns=20)
        error = self.failureResultOf(starting, StartupError).value
        self.assertFalse(self.spool.healthy())
        self.assertEqual(self.files.opened, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return str(error)

    def test_newer_segment(self) -> None:
        """
        A segment of a newer format is refused with advice, and left alone.
        """
        prefix = struct.pack("<6sH", records.SEGMENT_MAGIC, 2)
        octets = prefix + struct.pack("<I", zlib.crc32(prefix)) + bytes(100)
        self.files.put("000000000004.seg", octets)
        text = self._refused()
        self.assertIn("000000000004.seg: format version 2", text)
        self.assertIn("newer version", text)
        self.assertEqual(self.files.octets("000000000004.seg"), octets)
        # The directory is free again.
        self.files.lock()

    def test_newer_record(self) -> None:
        """
        So is a record of an unknown kind.
        """
        header = records.encode_segment_header(records.SegmentHeader(1, 5))
        payload = bytes([99]) + records.encode_withdrawn(1)[1:]
        self.files.put("000000000001.seg", header + records.frame(payload, 5))
        self.assertIn("record kind 99", self._refused())

    def test_two_instances(self) -> None:
        """
        The second one on a spool refuses to start, the first goes on.
        """
        self.open()
        running = self.spool
        self.spool = self.make_spool()
        starting = self.spool.start(lambda found: None)
        self.assertIn("another running instance", str(self.failureResultOf(starting, StartupError).value))
        self.spool = running
        self.keep(contract.reception())
        self.stop()

    def test_twice(self) -> None:
        """
        A spool is started once.
        """
        self.open()
        self.failureResultOf(self.spool.start(lambda found: None), StartupError)
        self.stop()

    def test_no_segment_can_be_made(self) -> None:
        """
        A directory in which nothing can be made is an error at start.
        """
        self.files.fail("create", errno.EROFS, -1)
        self.assertIn("Read-only", self._refused())

    def test_full_at_start(self) -> None:
        """
        On a full disk it starts from the reserve the last run held.
        """
        self.open()
        self.keep(contract.reception())
        self.stop()
        self.assertEqual(self.files.reserved, 65536)
        self.files.capacity = 65536 + len(self.files.octets("000000000001.seg"))
        told = Told()
        self.patch(JournalWriter, "_log", Logger(observer=told))
        self.assertEqual(len(self.open()), 1)
        self.assertFalse(self.spool.healthy())
        self.clock.advance(10)
        # The operator learns of it, once.
        self.assertEqual([event["log_level"].name for event in told.events], ["error"])
        self.assertIn("the disk of the spool is full: no mail is taken", str(told.events[0]["log_format"]))
        self.stop()

    def test_stopped_while_starting(self) -> None:
        """
        A stop during the start ends both.
        """
        self.open()
        self.keep(contract.reception(*[b"u%d" % number for number in range(3000)]))
        self.stop()
        self.spool = self.make_spool()
        self.threads.delay = 0.001
        starting = self.spool.start(lambda found: None)
        while not self.spool.healthy():
            self.clock.advance(0.001)
        stopping = self.spool.stop()
        contract.settle(self.clock, step=0.01, turns=30)
        self.successResultOf(stopping)
        self.failureResultOf(starting, StartupError)
        self.assertEqual(self.files.opened, 0)
        self.assertEqual(len(self.open()), 3000)
        self.stop()

    def test_stopped_while_handing_over(self) -> None:
        """
        Who stops the spool in the middle of its start is given no more mail.
        """
        self.open()
        self.keep(contract.reception(*[b"u%d" % number for number in range(3000)]))
        self.stop()
        self.spool = self.make_spool()
        found: list[int] = []
        stopping: list[object] = []

        def take(messages: Sequence[Message]) -> None:
            found.append(len(messages))
            stopping.append(self.spool.stop())

        starting = self.spool.start(take)
        contract.settle(self.clock, step=0.01, turns=30)
        self.failureResultOf(starting, StartupError)
        self.assertEqual(found, [BATCH])
        self.assertEqual(len(self.open()), 3000)
        self.stop()

    def test_stopped_at_the_end_of_reading(self) -> None:
        """
        A stop while the last segment is synced comes before any mail is given.
        """
        self.open()
        self.keep(contract.reception())
        self.stop()
        self.spool = self.make_spool()
        found: list[int] = []
        stopping: list[object] = []

        def watch(operation: str, name: str) -> None:
            if (operation, name) == ("sync", "000000000001.seg"):
                stopping.append(self.spool.stop())

        self.files.watch = watch
        starting = self.spool.start(lambda messages: found.append(len(messages)))
        contract.settle(self.clock, step=0.01, turns=30)
        self.files.watch = None
        self.assertEqual(len(stopping), 1)
        self.failureResultOf(starting, StartupError)
        self.assertEqual(found, [])
        self.assertEqual(len(self.open()), 1)
        self.stop()

    def test_mail_while_starting(self) -> None:
        """
        Mail is taken while old segments are still read.
        """
        self.open()
        self.keep(contract.reception(*[b"u%d" % number for number in range(3000)]))
        self.stop()
        self.spool = self.make_spool()
        self.threads.delay = 0.001
        starting = self.spool.start(lambda found: None)
        while not self.spool.healthy():
            self.clock.advance(0.001)
        new = self.spool.receive(contract.reception(b"new"), b"x")
        self.clock.advance(0)
        self.assertNoResult(starting)
        contract.settle(self.clock, step=0.001, turns=100)
        self.assertEqual(self.successResultOf(starting), 3000)
        self.successResultOf(new)
        self.assertEqual(len(self.restart()), 3001)
        self.stop()


class YoungestFirstTests(JournalCase, SynchronousTestCase):
    """
    The order in which mail comes back.
    """

    def _three(self) -> None:
        # In each of three segments two receptions.
        for number in range(3):
            self.open()
            for name in (b"a%d", b"b%d"):
                self.keep(contract.reception(name % number))
            self.stop()

    def test_before_the_rest_is_read(self) -> None:
        """
        What lives in a segment is handed over before an older one is opened, and
        clients are greeted behind the youngest.
        """
        self._three()
        self.spool = self.make_spool()
        told: list[object] = []
        self.files.calls.clear()

        def found(messages: Sequence[Message]) -> None:
            opened = [name for operation, name in self.files.calls if (operation, name[:1]) == ("sync", "0")]
            told.append((opened[-1], [message.recipient for message in messages]))

        starting = self.spool.start(found, lambda: told.append(self.spool.progress < 1))
        contract.settle(self.clock)
        self.assertEqual(self.successResultOf(starting), 6)
        self.assertEqual(
            told,
            [
                ("000000000003.seg", [b"a2", b"b2"]),
                True,
                ("000000000002.seg", [b"a1", b"b1"]),
                ("000000000001.seg", [b"a0", b"b0"]),
            ],
        )
        self.assertEqual(self.spool.progress, 1)
        self.stop()

    def test_nothing_to_read(self) -> None:
        """
        A new spool takes mail at once.
        """
        self.spool = self.make_spool()
        told: list[int] = []
        self.spool.start(lambda messages: None, lambda: told.append(1))
        contract.settle(self.clock)
        self.assertEqual(told, [1])
        self.stop()

    def test_due_first(self) -> None:
        """
        Of one segment mail that waits comes last, in the order of its times.
        """
        self.open()
        kept = [self.keep(contract.reception(name)) for name in (b"late", b"soon", b"now")]
        for reception, time in zip(kept, (9000.0, 5000.0), strict=False):
            message = contract.first(reception)
            message.next_attempt = time
            self.spool.requeued(message)
        self.assertEqual([message.recipient for message in self.restart()], [b"now", b"soon", b"late"])
        self.stop()

    def test_told_before(self) -> None:
        """
        What younger segments say counts: the last requeue, an intent behind it, the
        end, of each recipient its own.
        """
        self.open()
        self.keep(contract.reception(*[b"u%d" % number for number in range(5)]))
        for retries in (1, 2):
            found = {message.recipient: message for message in self.restart()}
            for name in (b"u0", b"u1"):
                found[name].num_retries = retries
                self.spool.requeued(found[name])
        self.spool.intent([found[b"u1"], found[b"u2"]], lambda error: None)
        self.spool.delivered(found[b"u3"], b"250 ok")
        for _ in range(2):
            back = [(each.recipient, each.num_retries, each.ambiguous) for each in self.restart()]
            self.assertEqual(sorted(back), [(b"u0", 2, 0), (b"u1", 2, 1), (b"u2", 0, 1), (b"u4", 0, 0)])
        self.stop()

    def test_segments_are_bound_by_what_counts(self) -> None:
        """
        After a start the segment that holds the end of what lies in another one
        outlives it, and one that was overtaken goes.
        """
        self.open()
        self.keep(contract.reception(b"lasts"))
        self.keep(contract.reception(b"ends"))
        for retries in (1, 2):
            found = {message.recipient: message for message in self.restart()}
            found[b"lasts"].num_retries = retries
            self.spool.requeued(found[b"lasts"])
        self.spool.delivered(found[b"ends"], b"250 ok")
        self.restart()
        contract.settle(self.clock, step=0.1, turns=5)
        self.assertEqual(self.files.names(), [f"00000000000{number}.seg" for number in (1, 3, 4)])
        self.assertEqual([message.num_retries for message in self.restart()], [2])
        self.stop()

    def test_unfinished_segment(self) -> None:
        """
        A segment that never got its name is none, and is removed.
        """
        self._three()
        self.files.put("000000000009.seg.new", self.files.octets("000000000001.seg"))
        self.assertEqual(len(self.open()), 6)
        self.assertNotIn("000000000009.seg.new", self.files.names())
        self.stop()

    def test_how_far_it_is(self) -> None:
        """
        A start that takes long says how far it is.
        """
        self._three()
        told = Told()
        self.patch(Recovery, "_log", Logger(observer=told))
        self.spool = self.make_spool()
        self.threads.delay = 2.0
        starting = self.spool.start(lambda messages: None)
        contract.settle(self.clock, step=1.0, turns=100)
        self.successResultOf(starting)
        texts = [formatEvent(event) for event in told.events]
        self.assertEqual(
            texts,
            [
                "33 % of the spool is read, 2 messages were found so far",
                "66 % of the spool is read, 4 messages were found so far",
            ],
        )
        self.threads.delay = 0.0
        self.stop()
