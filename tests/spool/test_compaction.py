"""
Tests of :mod:`momentum_tx.spool.compaction`: what is left in mostly dead segments, and
sudden ends while it is moved.
"""

import errno
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.envelope import Notify, RecipientTerms, Terms
from momentum_tx.errors import SpoolError
from momentum_tx.interfaces.seams import IJournalFile
from momentum_tx.policy.lost_reply import LostReply
from momentum_tx.queues.message import HELD, Message, Packed, Reception, traits_of
from momentum_tx.spool.compaction import AGAIN, Compaction
from momentum_tx.spool.recovery import AGAIN as AGAIN_READ
from momentum_tx.stages import Stage
from momentum_tx.testing.files import MemoryFiles

from ..logs.doubles import Told
from . import contract, test_crash
from .model import Model
from .test_journal import JournalCase

FIRST = "000000000001.seg"


class CompactionCase(JournalCase):
    """
    Segments of some eight receptions.
    """

    settings = replace(JournalCase.settings, body_cache_size=0, compaction_rate=1 << 20)

    def _keep(self, *names: bytes, **more: Any) -> Reception:
        made = contract.reception(*names, size=420, **more)
        return self.keep(made, b"body of %s" % names[0] + b"." * 400)

    def _end(self, kept: Reception, index: int = 0) -> None:
        self.spool.delivered(contract.first(kept, index), b"250 ok")

    def _turn(self, seconds: float = 1.0) -> None:
        contract.settle(self.clock, step=0.05, turns=int(seconds / 0.05))

    def _pass_by(self, count: int) -> None:
        # Mail that comes and goes.
        for number in range(count):
            self._end(self._keep(b"passes%d" % number))
        self._turn()

    def _segments(self) -> list[str]:
        return [name for name in self.files.names() if name.endswith(".seg")]

    def _bodies(self, found: list[Message]) -> list[bytes]:
        return sorted(self.read(message.reception).partition(b".")[0] for message in found)


class MovedTests(CompactionCase, SynchronousTestCase):
    """
    When nothing fails.
    """

    def test_one_that_waits(self) -> None:
        """
        One message that waits keeps no segment but the one it is moved to, however much
        mail goes by; what is known of it goes with it.
        """
        self.open()
        kept = self._keep(b"waits")
        message = contract.first(kept)
        message.num_retries, message.ambiguous, message.next_attempt = 3, 1, 7777.0
        message.code, message.stage, message.binding_slot = b"451 later", Stage.AFTER_DATA, 2
        self.spool.requeued(message)
        state = contract.state(message)
        for _ in range(4):
            self._pass_by(20)
            self.assertLessEqual(len(self._segments()), 3)
        self.assertNotIn(FIRST, self._segments())
        self.assertEqual(self.read(kept)[:13], b"body of waits")
        for _ in range(3):
            (found,) = self.restart()
            self.assertEqual(contract.state(found), state)
            self.assertEqual(self._bodies([found]), [b"body of waits"])
        self._end(found.reception)
        self.assertEqual(self.restart(), [])
        self.stop()

    def test_packed(self) -> None:
        """
        Mail that is packed is moved, and packed again.
        """
        self.open()
        message = contract.first(self._keep(b"waits"))
        message.place = 1
        message.pack()
        self._pass_by(20)
        self.assertIs(type(message), Packed)
        self.assertNotIn(FIRST, self._segments())
        self.assertEqual(self.read(message.reception)[:13], b"body of waits")
        self.stop()

    def test_some_have_ended(self) -> None:
        """
        Of several recipients those that are done stay done, and each keeps its own state
        and terms.
        """
        self.open()
        made = contract.reception(b"a", b"b", b"c", b"d", size=420)
        made.terms = Terms(5.0, 9000.0, b"env", "HDRS", True, False, {3: RecipientTerms(Notify.NEVER, b"rfc822;d")})
        made.traits = made.share = traits_of("t", "", "high")
        kept = self.keep(made, b"body of a" + b"." * 400)
        self._end(kept, 0)
        self.spool.failed(contract.first(kept, 2), b"550 no")
        late = contract.first(kept, 3)
        late.num_retries, late.code = 1, b"451 later"
        self.spool.requeued(late)
        states = [contract.state(contract.first(kept, index)) for index in (1, 3)]
        self._pass_by(20)
        self.assertNotIn(FIRST, self._segments())
        found = self.restart()
        self.assertEqual([contract.state(message) for message in found], states)
        self._end(found[0].reception, 1)
        self._pass_by(20)
        found = self.restart()
        self.assertEqual([contract.state(message) for message in found], states[1:])
        self._end(found[0].reception, 3)
        self.assertEqual(self.restart(), [])
        self.stop()

    def test_all_but_one_ended(self) -> None:
        """
        A reception is found by its last message, which is another object's by then.
        """
        self.open()
        kept = self._keep(b"a", b"b")
        self._end(kept, 0)
        self._turn(0.2)
        last = contract.first(kept, 1)
        # What the reception was must not be held for the sake of that.
        self.assertIs(self.spool._segments.at(kept.spool).mail[0], last)
        last.place = 1
        self.assertTrue(last.pack())
        self._pass_by(20)
        self.assertNotIn(FIRST, self._segments())
        (found,) = self.restart()
        self.assertEqual((found.recipient, found.index), (b"b", 1))
        self.stop()

    def test_held(self) -> None:
        """
        Mail that waits for an operator does so behind the move.
        """
        self.open()
        message = contract.first(self._keep(b"held"))
        self.spool.intent([message], lambda error: None, LostReply.HOLD)
        contract.settle(self.clock)
        message.next_attempt = HELD
        self.spool.requeued(message)
        self._pass_by(20)
        self.assertNotIn(FIRST, self._segments())
        (found,) = self.restart()
        self.assertEqual((found.next_attempt, found.ambiguous), (HELD, 0))
        self.stop()

    def test_under_way(self) -> None:
        """
        Mail whose intent is open stays where it is until that is settled: the intent is
        not among what is moved.
        """
        self.open()
        message = contract.first(self._keep(b"tried"))
        self.spool.intent([message], lambda error: None)
        self._pass_by(20)
        self.assertIn(FIRST, self._segments())
        files = self.files
        self.files = files.kill()
        spool = self.spool
        self.assertEqual([found.ambiguous for found in self.open()], [1])
        self.stop()
        self.files, self.spool = files, spool
        self.spool.requeued(message)
        self.clock.advance(AGAIN)
        self._pass_by(20)
        self.assertNotIn(FIRST, self._segments())
        self.stop()

    def test_ends_while_it_is_moved(self) -> None:
        """
        A message that ends between the copy and its sync does not come back.
        """
        for delay in (0.0, 0.3, 1.0):
            self.setUp()
            self.open()
            kept = self._keep(b"ends")
            self.threads.delay = delay
            ending: list[str] = []

            def watch(operation: str, name: str, kept: Reception = kept, ending: list[str] = ending) -> None:
                if self.spool._segments.moving and not ending:
                    ending.append(name)
                    self.clock.callLater(0, self._end, kept)

            self.files.watch = watch
            for _ in range(15):
                self._end(self._keep_slowly(b"more"))
            self._turn(10)
            self.assertEqual(len(ending), 1)
            self.threads.delay = 0.0
            self.files.watch = None
            killed = self.files.kill()
            self.stop()
            self.files = killed
            self.assertEqual(self.open(), [])
            self._turn()
            self.assertEqual(len(self._segments()), 1)
            self.stop()

    def _keep_slowly(self, name: bytes) -> Reception:
        made = contract.reception(name, size=420)
        kept = self.spool.receive(made, b"." * 420)
        self._turn(5)
        self.successResultOf(kept)
        return made

    def test_read_while_it_is_moved(self) -> None:
        """
        A body that is being read when its segment goes is read where it is now.
        """
        self.open()
        kept = self._keep(b"waits")
        origin = kept.spool
        reading: list[Deferred[bytes]] = []

        def watch(operation: str, name: str) -> None:
            if operation == "unlink" and not reading:
                # In the same turn as the segment goes; the file is opened after that.
                kept.spool, now = origin, kept.spool
                reading.append(self.spool.body(kept))
                kept.spool = now

        self.files.watch = watch
        self._pass_by(20)
        self.files.watch = None
        self.assertEqual(len(reading), 1)
        contract.settle(self.clock)
        self.assertEqual(self.successResultOf(reading[0])[:13], b"body of waits")
        self.stop()

    def test_marks_alone(self) -> None:
        """
        Segments that hold nothing but what became of mail elsewhere do not pile up behind
        one that lives.
        """
        self.open()
        kept = [self._keep(b"waits%d" % number) for number in range(7)]
        self._pass_by(3)
        for retries in range(1, 200):
            for reception in kept:
                contract.first(reception).num_retries = retries
                self.spool.requeued(contract.first(reception))
            self._turn(0.2)
        self._turn()
        self.assertLess(self.files.used() - self.reserve, 4 * 7 * 800 + 3 * 4096)
        found = self.restart()
        self.assertEqual([message.num_retries for message in found], [199] * 7)
        self.assertEqual(self._bodies(found), [b"body of waits%d" % number for number in range(7)])
        self.stop()

    def test_off(self) -> None:
        """
        With a share of 0 nothing is moved, which can be said while it runs.
        """
        self.open()
        self.spool.configure(replace(self.settings, segment_live_share=0))
        self._keep(b"waits")
        self._pass_by(40)
        self.assertIn(FIRST, self._segments())
        self.spool.configure(self.settings)
        self._pass_by(20)
        self.assertNotIn(FIRST, self._segments())
        self.stop()

    def test_what_stays_is_no_reason(self) -> None:
        """
        A segment that could not be read stays, and what must outlive it: nothing is moved again
        and again for the sake of those.
        """
        self.open()
        self._keep(b"older")
        self.restart()
        for number in range(7):
            self._keep(b"younger%d" % number)
        self.stop()
        opened: list[str] = []

        def open_file(name: str) -> IJournalFile:
            # The header of the oldest can be read, and nothing behind it.
            opened.append(name)
            if opened.count(FIRST) > 1:
                raise OSError(errno.EIO, "Input/output error", name)
            return MemoryFiles.open(self.files, name)

        patch = self.patch(self.files, "open", open_file)
        self.spool = self.make_spool()
        found: list[Message] = []
        starting = self.spool.start(found.extend)
        for pause in (0.0, *AGAIN_READ):
            self.clock.advance(pause)
            contract.settle(self.clock)
        patch.restore()
        self.assertEqual(self.successResultOf(starting), 7)
        for message in found[1:]:
            self.spool.delivered(message, b"250 ok")
        self._pass_by(60)
        self.clock.advance(AGAIN)
        self._pass_by(60)
        self.assertEqual(self.spool._compaction.moved, 0)
        # When it can be read again, all go that were kept for it.
        self.assertEqual(len(self.restart()), 2)
        self._pass_by(20)
        self.assertLessEqual(len(self._segments()), 4)
        self.stop()

    def test_rate(self) -> None:
        """
        No more is moved per second than may be.
        """
        self.settings = replace(self.settings, compaction_rate=100, segment_live_share=90)
        self.open()
        for number in range(7):
            self._keep(b"waits%d" % number)
        self._pass_by(8)
        self._keep(b"last")
        self.spool._compaction.share = 90
        before = self.clock.seconds()
        self._pass_by(20)
        self.assertGreater(self.spool._compaction.moved, 0)
        (pause,) = self.clock.getDelayedCalls()
        self.assertGreater(pause.getTime() - before, 4)
        self.stop()


class ReportTests(CompactionCase, SynchronousTestCase):
    """
    Reports that end their messages.
    """

    def _report(self, message: Message) -> Reception:
        made = contract.reception(b"sender", size=420)
        kept = self.spool.receive(made, b"body of sender" + b"." * 400, [message])
        self._turn()
        self.assertIsNone(self.successResultOf(kept))
        return made

    def test_under_way(self) -> None:
        """
        What is being reported on stays where it is: a copy that is younger than the report would not
        know that it has ended.
        """
        self.open()
        kept = self._keep(b"fails")
        place = kept.spool
        self._pass_by(20)
        self.assertNotEqual(kept.spool, place)
        place = kept.spool
        self._report(contract.first(kept))
        self._pass_by(40)
        self.assertEqual(kept.spool, place)
        self.files = self.files.kill()
        self.clock = Clock()
        self.assertEqual(self._bodies(self.open()), [b"body of sender"])
        self.stop()

    def test_moved(self) -> None:
        """
        A report is moved away from where it says that its message has ended; that stays said as long
        as the message could come back, whose reception has another recipient who waits.
        """
        self.open()
        kept = self._keep(b"waits", b"fails")
        self._pass_by(8)
        self._report(contract.first(kept, 1))
        self.files = self.files.kill()
        self.clock = Clock()
        found = self.open()
        for _ in range(3):
            self.assertEqual(self._bodies(found), [b"body of sender", b"body of waits"])
            self.assertEqual(sorted(message.recipient for message in found), [b"sender", b"waits"])
            self._pass_by(30)
            self.assertNotIn(FIRST, self._segments())
            found = self.restart()
        self.stop()


class TroubleTests(CompactionCase, SynchronousTestCase):
    """
    When the disk is full or fails.
    """

    def setUp(self) -> None:
        super().setUp()
        self.told = Told()
        self.patch(Compaction, "_log", Logger(observer=self.told))

    def test_no_space(self) -> None:
        """
        What does not fit is not moved: nothing held back is used for it, and mail is taken
        as before.
        """
        self.open()
        self._keep(b"waits")
        self.spool.configure(replace(self.settings, segment_live_share=0))
        self._pass_by(15)
        self.files.capacity = self.files.used() + 100
        self.spool.configure(self.settings)
        self.spool._compaction.look()
        self._turn()
        self.files.capacity = None
        self.assertEqual(self.files.reserved, self.reserve)
        self.assertTrue(self.spool.healthy())
        self.assertIn("not emptied for now: there is no space", formatEvent(self.told.events[0]))
        self.clock.advance(AGAIN)
        self._pass_by(20)
        self.assertNotIn(FIRST, self._segments())
        self.assertEqual(len(self.restart()), 1)
        self.stop()

    def test_cannot_be_read(self) -> None:
        """
        A segment that cannot be read is left, said so, and tried again later.
        """
        self.open()
        self._keep(b"waits")
        self.files.fail("read", errno.EIO)
        self._pass_by(20)
        self.assertIn(FIRST, self._segments())
        self.assertIn("000000000001.seg is not emptied for now: ", formatEvent(self.told.events[0]))
        self.assertIn("Input/output error", formatEvent(self.told.events[0]))
        self._pass_by(20)
        self.assertIn(FIRST, self._segments())
        self.clock.advance(AGAIN)
        self._pass_by(20)
        self.assertNotIn(FIRST, self._segments())
        self.assertEqual(len(self.restart()), 1)
        self.stop()

    def test_damaged(self) -> None:
        """
        What is not what was written is not moved; what lies beside it is.
        """
        self.open()
        kept = [self._keep(b"waits%d" % number) for number in range(2)]
        octets = self.files.octets(FIRST)
        self.files.put(FIRST, octets.replace(b"body of waits0", b"body of waitsX"))
        self.spool._writer._current.file.close()
        self.spool._writer._current.file = self.files.open(FIRST)
        self._pass_by(20)
        self.assertIn(FIRST, self._segments())
        self.assertEqual(kept[0].spool >> 40, 1)
        self.assertGreater(kept[1].spool >> 40, 1)
        reading = self.spool.body(kept[0])
        contract.settle(self.clock)
        self.failureResultOf(reading, SpoolError)
        self.stop()


class CompactionCrashTests(test_crash.CrashPointTests):
    """
    The fixed story, with a second half in which what is left is moved: ended before every
    single operation on the disk.
    """

    settings = replace(
        test_crash.CrashPointTests.settings, segment_live_share=80, compaction_rate=1 << 20, body_cache_size=0
    )

    def _tell(self, model: Model) -> None:
        super()._tell(model)
        for number in range(10):
            model.requeue()
            model.receive(2, 300)
            self.clock.advance(0.1)
            contract.settle(self.clock)
            for _ in range(2):
                model.end(failed=bool(number % 2))
            for _ in range(12):
                model.requeue()
            contract.settle(self.clock)
        # Octets as the receptions of the model give them: 24 each.
        self.assertGreater(self.spool._compaction.moved, 10 * 24)


class RandomCompactionTests(test_crash.RandomCrashTests):
    """
    Random lives in which nearly everything is moved, again and again.
    """

    settings = replace(
        test_crash.RandomCrashTests.settings, segment_size=500, segment_live_share=90, compaction_rate=4096
    )


class ReportCompactionCrashTests(CompactionCrashTests):
    """
    The same with failures that end by their reports.
    """

    reporting = True


class RandomReportCompactionTests(RandomCompactionTests):
    """
    Random lives in which reports, and what they are about, are moved.
    """

    reporting = True
