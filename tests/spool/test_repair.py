"""
The journal on a disk that is full, or fails.
"""

import errno
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import SpoolError
from momentum_tx.policy.lost_reply import LostReply
from momentum_tx.queues.message import HELD, Reception
from momentum_tx.spool import journal
from momentum_tx.testing.files import MemoryFiles

from . import contract
from .test_journal import JournalCase


class FullDiskTests(JournalCase, SynchronousTestCase):
    """
    A disk of limited size.
    """

    reserve = 4096

    def setUp(self) -> None:
        super().setUp()
        self.files = MemoryFiles(20000)

    def _fill(self) -> int:
        count = 0
        while True:
            made: list[object] = []
            self.spool.receive(contract.reception(b"u%d" % count), bytes(1000)).addBoth(made.append)
            contract.settle(self.clock)
            if made != [None]:
                return count
            count += 1

    def test_reception_refused(self) -> None:
        """
        What does not fit is refused and never comes back; the spool stays in
        service, and a smaller message may still fit.
        """
        self.open()
        kept = self._fill()
        self.assertGreater(kept, 8)
        self.assertTrue(self.spool.healthy())
        self.keep(contract.reception(b"small"), b"x")
        self.assertEqual(len(self.restart()), kept + 1)
        self.stop()

    def test_one_too_large(self) -> None:
        """
        Of two receptions of one turn the one that fits is kept.
        """
        self.open()
        large = self.spool.receive(contract.reception(b"large"), bytes(30000))
        small = self.spool.receive(contract.reception(b"small"), bytes(100))
        contract.settle(self.clock)
        self.assertIn("No space left", str(self.failureResultOf(large, SpoolError).value))
        self.successResultOf(small)
        self.assertEqual([message.recipient for message in self.restart()], [b"small"])
        self.stop()

    def test_delivery_goes_on(self) -> None:
        """
        Intents and outcomes are written from the reserve; meanwhile no mail is
        taken, and when deliveries have made space it is taken again by itself.
        """
        self.open()
        self._fill()
        found = self.restart()
        self.assertFalse(self.files.free() > 1200)
        answers: list[Exception | None] = []
        told: list[int] = []
        for message in found:
            self.spool.intent([message], answers.append)
            self.clock.advance(0)
            self.spool.delivered(message, b"250 " + b"x" * 120, lambda: told.append(1))
            self.clock.advance(0)
        contract.settle(self.clock)
        self.assertEqual(answers, [None] * len(found))
        self.clock.advance(0.1)
        self.assertEqual(len(told), len(found))
        contract.settle(self.clock, step=0.5, turns=80)
        self.assertTrue(self.spool.healthy())
        self.assertEqual(self.files.reserved, self.reserve)
        self.keep(contract.reception(), bytes(5000))
        self.stop()

    def test_refused_while_reserve_is_used(self) -> None:
        """
        As long as the reserve is not whole no reception may eat from it.
        """
        self.open()
        (first, *_) = self._fill_and_reopen()
        self.files.capacity = self._used()
        answers: list[Exception | None] = []
        self.spool.intent([contract.first(first)], answers.append)
        contract.settle(self.clock)
        self.assertEqual(answers, [None])
        self.assertFalse(self.spool.healthy())
        # Delivery goes on all the same.
        self.assertTrue(self.spool.writable())
        self.failureResultOf(self.spool.receive(contract.reception(), b""), SpoolError)
        self.files.capacity = None
        self.clock.advance(1)
        self.assertTrue(self.spool.healthy())
        self.keep(contract.reception())
        self.stop()

    def test_reserve_is_for_no_reception(self) -> None:
        """
        A reception of the very turn that takes the reserve is refused, though it
        would fit there.
        """
        self.open()
        (first, *_) = self._fill_and_reopen()
        self.files.capacity = self._used()
        answers: list[Exception | None] = []
        self.spool.intent([contract.first(first)], answers.append)
        refused = self.spool.receive(contract.reception(b"small"), b"x")
        contract.settle(self.clock)
        self.assertEqual(answers, [None])
        self.failureResultOf(refused, SpoolError)
        self.files.capacity = None
        self.assertNotIn(b"small", [message.recipient for message in self.restart()])
        self.stop()

    def test_reserve_used_up(self) -> None:
        """
        With no octet left no dot may leave; outcomes wait in memory, and all
        of it goes on by itself when there is space.
        """
        self.open()
        (first, second, *_) = self._fill_and_reopen()
        self.files.capacity = 0
        answers: list[Exception | None] = []
        told: list[int] = []
        self.spool.intent([contract.first(first)], answers.append)
        self.spool.delivered(contract.first(second), b"250 ok", lambda: told.append(1))
        contract.settle(self.clock)
        self.assertIsInstance(answers[0], SpoolError)
        contract.settle(self.clock, step=1, turns=100)
        self.assertEqual(told, [])
        self.files.capacity = None
        contract.settle(self.clock, step=1, turns=31)
        self.assertEqual(told, [1])
        self.assertTrue(self.spool.healthy())
        self.assertNotIn(second.messages, [[message] for message in self.restart()])
        self.stop()

    def _fill_and_reopen(self) -> list[Reception]:
        self._fill()
        return [message.reception for message in self.restart()]

    def _used(self) -> int:
        return sum(len(self.files.octets(name)) for name in self.files.names()) + self.files.reserved


class FailingDiskTests(JournalCase, SynchronousTestCase):
    """
    Writes and syncs that fail for other reasons.
    """

    def test_failed_sync(self) -> None:
        """
        A sync that fails once costs the injector nothing: all that was not
        synced is moved to another segment, and the old one is cut back.
        """
        self.open()
        self.keep(contract.reception(b"before"))
        length = len(self.files.octets("000000000001.seg"))
        self.files.fail("sync", errno.EIO)
        self.keep(contract.reception(b"during"))
        self.assertEqual(len(self.files.octets("000000000001.seg")), length)
        syncs = [name for operation, name in self.files.calls if operation == "sync"]
        # The segment whose sync has failed is never asked again.
        self.assertEqual(syncs[-2:], ["000000000001.seg", "000000000002.seg.new"])
        self.assertTrue(self.spool.healthy())
        self.files = self.files.power_cut(self.rng)
        self.assertEqual([message.recipient for message in self.open()], [b"during", b"before"])
        self.stop()

    def test_syncs_fail_for_long(self) -> None:
        """
        When nothing can be synced, receptions are refused and never come back;
        outcomes wait and are recorded when the disk recovers.
        """
        self.open()
        self.keep(contract.reception(b"stays"))
        kept = self.keep(contract.reception(b"before"))
        told: list[int] = []
        self.spool.delivered(contract.first(kept), b"250 ok", lambda: told.append(1))
        self.files.fail("sync", errno.EIO, -1)
        refused = self.spool.receive(contract.reception(b"refused"), b"x")
        contract.settle(self.clock)
        self.assertIn("Input/output error", str(self.failureResultOf(refused, SpoolError).value))
        self.assertFalse(self.spool.healthy())
        self.assertFalse(self.spool.writable())
        self.failureResultOf(self.spool.receive(contract.reception(), b"x"), SpoolError)
        answers: list[Exception | None] = []
        self.spool.intent([contract.first(contract.reception())], answers.append)
        self.failureResultOf(self._settled(self.spool.flush()), SpoolError)
        self.assertIsInstance(answers[0], SpoolError)
        retries = len([1 for operation, _ in self.files.calls if operation == "create"])
        contract.settle(self.clock, step=1, turns=100)
        # 1, 2, 4, 8, 16, 30, 30 seconds.
        self.assertLess(len([1 for operation, _ in self.files.calls if operation == "create"]) - retries, 9)
        self.assertEqual(told, [])
        self.files.heal()
        contract.settle(self.clock, step=1, turns=31)
        self.assertEqual(told, [1])
        self.assertTrue(self.spool.healthy())
        self.keep(contract.reception(b"after"))
        for files in (self.files.kill(), *(self.files.power_cut(self.rng) for _ in range(20))):
            self.files = files
            self.assertEqual([message.recipient for message in self.open()], [b"after", b"stays"])
        self.stop()

    def test_refused_then_killed(self) -> None:
        """
        Mail that was refused because of a failed sync does not come back when
        the process is killed before the disk has recovered.
        """
        for also in ("", "append", "append later", "truncate"):
            self.setUp()
            self.open()
            self.files.fail("sync", errno.EIO, -1)
            refused = self.spool.receive(contract.reception(b"refused"), b"x")
            if also.startswith("append"):
                self.files.fail("append", errno.EIO, -1, skip=2 if also.endswith("later") else 1)
            elif also:
                self.files.fail(also, errno.EIO, -1)
            contract.settle(self.clock)
            self.failureResultOf(refused, SpoolError)
            self.files = self.files.kill()
            self.clock = type(self.clock)()
            self.assertEqual(self.open(), [], also)
            self.assertEqual(self.restart(), [], also)
            self.assertEqual(self.restart(), [], also)
            contract.settle(self.clock, step=0.1, turns=5)
            # Nothing lives, so that nothing but the present segment is left.
            segments = [name for name in self.files.names() if name.endswith(".seg")]
            self.assertEqual(len(segments), 1, also)
            self.stop()

    def test_outcome_of_a_broken_disk_outlives_a_kill(self) -> None:
        """
        While nothing can be synced an outcome is written all the same, so that a kill has no mail sent
        again which was delivered since: at once, after a repair that failed, and while one is under way.
        """
        self.open()
        sent = [self.keep(contract.reception(name)) for name in (b"first", b"second", b"third")]
        self.keep(contract.reception(b"stays"))
        self.files.fail("sync", errno.EIO, -1)
        self.failureResultOf(self._settled(self.spool.receive(contract.reception(), b"x")), SpoolError)
        told: list[int] = []
        self.spool.delivered(contract.first(sent[0]), b"250 ok", lambda: told.append(1))
        contract.settle(self.clock)
        contract.settle(self.clock, step=1, turns=4)
        self.threads.delay = 0.5
        contract.settle(self.clock, step=0.25, turns=13)
        self.spool.delivered(contract.first(sent[1]), b"250 ok", lambda: told.append(2))
        contract.settle(self.clock, step=0.25, turns=20)
        self.spool.delivered(contract.first(sent[2]), b"250 ok", lambda: told.append(3))
        self.clock.advance(0)
        files, self.threads.delay = self.files.kill(), 0.0
        self.files.heal()
        contract.settle(self.clock, step=1, turns=31)
        self.assertEqual(told, [1, 2, 3])
        for killed in (self.files.kill(), files):
            self.files = killed
            self.clock = type(self.clock)()
            self.assertEqual([message.recipient for message in self.open()], [b"stays"])

    def test_outcome_of_a_dead_disk_waits(self) -> None:
        """
        Where nothing can be written either, outcomes wait in memory, and are recorded when that is over.
        """
        self.open()
        kept = self.keep(contract.reception(b"sent"))
        self.files.fail("sync", errno.EIO, -1)
        self.files.fail("append", errno.EIO, -1)
        self.failureResultOf(self._settled(self.spool.receive(contract.reception(), b"x")), SpoolError)
        told: list[int] = []
        self.spool.delivered(contract.first(kept), b"250 ok", lambda: told.append(1))
        contract.settle(self.clock, step=1, turns=4)
        self.assertEqual(told, [])
        self.files.heal()
        contract.settle(self.clock, step=1, turns=31)
        self.assertEqual(told, [1])
        self.assertEqual(self.restart(), [])
        self.stop()

    def test_copy_left_behind(self) -> None:
        """
        Mail that was moved after a failed sync, and delivered, does not come back
        from the copy in an old segment that could not be cut: the record of its
        end stays as long as that.
        """
        self.open()
        self.keep(contract.reception(b"stays"))
        self.files.fail("truncate", errno.EIO, -1)
        self.files.fail("sync", errno.EIO)
        moved = self.keep(contract.reception(b"moved"))
        self.assertIn(b"moved", self.files.octets("000000000001.seg"))
        self.spool.delivered(contract.first(moved), b"250 ok")
        for _ in range(12):
            kept = self.keep(contract.reception(), bytes(1000))
            self.spool.delivered(contract.first(kept), b"250 ok")
            self.clock.advance(0.1)
        self.assertEqual([message.recipient for message in self.restart()], [b"stays"])
        self.stop()

    def test_torn_write_refused_then_killed(self) -> None:
        """
        A reception that a torn write left whole on disk does not come back when
        it was refused: the injector sends it again.
        """
        self.open()
        self.keep(contract.reception(b"before"))
        self.files.fail("append", errno.EIO, -1)
        self.files.torn = True
        small = self.spool.receive(contract.reception(b"small"), b"x")
        large = self.spool.receive(contract.reception(b"large"), bytes(3000))
        contract.settle(self.clock)
        self.failureResultOf(small, SpoolError)
        self.failureResultOf(large, SpoolError)
        self.files = self.files.kill()
        self.clock = type(self.clock)()
        self.assertEqual([message.recipient for message in self.open()], [b"before"])
        self.stop()

    def test_latest_requeue_counts(self) -> None:
        """
        Of two requeues that waited for the disk the later one is kept, though
        the earlier was on its way to a segment that could not be made either.
        """
        self.open()
        message = contract.first(self.keep(contract.reception()))
        self.files.fail("append", errno.EIO, 2)
        self.threads.delay = 0.5
        for message.num_retries in (1, 2):
            self.spool.requeued(message)
            self.clock.advance(0)
        contract.settle(self.clock, step=0.5, turns=10)
        self.assertTrue(self.spool.healthy())
        self.threads.delay = 0.0
        (found,) = self.restart()
        self.assertEqual(found.num_retries, 2)
        self.stop()

    def test_synced_intents(self) -> None:
        """
        An intent that must be synced is refused where it cannot be written, or nothing can be synced for
        long, and never answered twice; where a sync fails once it is moved and answered.
        """
        for operation, times, refused in (("append", 1, True), ("sync", -1, True), ("sync", 1, False)):
            with self.subTest(operation=operation, times=times):
                self.setUp()
                self.open()
                kept = self.keep(contract.reception())
                answers: list[Exception | None] = []
                self.files.fail(operation, errno.EIO, times)
                if times < 0:
                    self.files.fail("create", errno.EIO, -1)
                self.spool.intent([contract.first(kept)], answers.append, LostReply.HOLD)
                contract.settle(self.clock, step=0.01, turns=20)
                self.assertEqual([error is not None for error in answers], [refused])
                self.files.heal()
                contract.settle(self.clock, step=1.0, turns=60)
                self.assertTrue(self.spool.writable())
                self.assertEqual(len(answers), 1)
                (found,) = self.restart()
                if refused and operation == "append":
                    self.assertEqual(found.ambiguous, 0)
                if not refused:
                    self.assertEqual(found.next_attempt, HELD)
                self.stop()

    def test_failed_write(self) -> None:
        """
        A write that fails pauses delivery for a moment: the intent fails, and
        reception and outcome of that turn go to another segment.
        """
        for torn in (False, True):
            self.setUp()
            self.open()
            one, two = self.keep(contract.reception(b"one")), self.keep(contract.reception(b"two"))
            self.files.fail("append", errno.EIO)
            self.files.torn = torn
            answers: list[Exception | None] = []
            waiting = self.spool.receive(contract.reception(b"three"), b"x")
            self.spool.intent([contract.first(one)], answers.append)
            self.spool.delivered(contract.first(two), b"250 ok")
            contract.settle(self.clock)
            self.assertIsInstance(answers[0], SpoolError)
            self.successResultOf(waiting)
            self.assertTrue(self.spool.healthy())
            found = self.restart()
            self.assertEqual(
                [(message.recipient, message.ambiguous) for message in found], [(b"three", 0), (b"one", 0)]
            )
            self.stop()

    def test_read_only(self) -> None:
        """
        A file system gone read-only stops reception and delivery until it is
        writable again; requeues meanwhile do not pile up.
        """
        self.open()
        kept = self.keep(contract.reception())
        message = contract.first(kept)
        for operation in ("append", "create", "sync", "unlink", "truncate"):
            self.files.fail(operation, errno.EROFS, -1)
        for retries in range(1, 500):
            message.num_retries = retries
            self.spool.requeued(message)
            self.clock.advance(1)
        self.assertLess(len(self.spool._writer._backlog), 40)
        self.files.heal()
        contract.settle(self.clock, step=1, turns=31)
        self.assertTrue(self.spool.healthy())
        (found,) = self.restart()
        self.assertEqual(found.num_retries, 499)
        self.stop()

    def test_stop_with_a_dead_disk(self) -> None:
        """
        A stop ends though nothing can be written any more; what was not
        recorded is repeated after the restart.
        """
        self.open()
        kept = self.keep(contract.reception())
        for operation in ("append", "create", "sync"):
            self.files.fail(operation, errno.EIO, -1)
        self.spool.delivered(contract.first(kept), b"250 ok")
        contract.settle(self.clock)
        self.stop()
        self.files.heal()
        self.assertEqual(len(self.open()), 1)
        self.stop()

    def test_no_segment_after_the_first(self) -> None:
        """
        When new segments cannot be made the old one grows, and mail flows.
        """
        self.settings = replace(self.settings, segment_live_share=0)
        self.open()
        self.files.fail("create", errno.ENOSPC, -1)
        for _ in range(30):
            self.keep(contract.reception(), bytes(1000))
        self.assertEqual(self.files.names(), ["000000000001.seg"])
        self.files.heal()
        self.clock.advance(1.1)
        self.keep(contract.reception())
        self.assertEqual(len(self.files.names()), 2)
        self.stop()

    def test_segment_cannot_be_removed(self) -> None:
        """
        A segment that cannot be removed stays; the next occasion takes it.
        """
        self.open()
        self.files.fail("unlink", errno.EIO)
        for _ in range(12):
            kept = self.keep(contract.reception(), bytes(1000))
            self.spool.delivered(contract.first(kept), b"250 ok")
            self.clock.advance(0.1)
        self.assertLessEqual(len(self.files.names()), 2)
        self.stop()

    def _settled(self, waiting: object) -> object:
        contract.settle(self.clock)
        return waiting


class SlowDiskTests(JournalCase, SynchronousTestCase):
    """
    Syncs that take long.
    """

    def test_group_commit(self) -> None:
        """
        One sync confirms all that was appended before it began, and while it
        runs the next group gathers.
        """
        self.open()
        self.threads.delay = 0.5
        first = [self.spool.receive(contract.reception(), b"x") for _ in range(5)]
        self.clock.advance(0)
        second = [self.spool.receive(contract.reception(), b"x") for _ in range(5)]
        self.clock.advance(0.25)
        answers: list[Exception | None] = []
        self.spool.intent([contract.first(self.spool_message())], answers.append)
        self.clock.advance(0)
        # An intent waits for no sync.
        self.assertEqual(answers, [None])
        self.clock.advance(0.25)
        for waiting in first:
            self.successResultOf(waiting)
        for waiting in second:
            self.assertNoResult(waiting)
        self.clock.advance(0.5)
        for waiting in second:
            self.successResultOf(waiting)
        self.assertEqual(len([1 for operation, _ in self.files.calls if operation == "sync"]), 3)
        self.threads.delay = 0.0
        self.stop()

    def spool_message(self) -> Reception:
        """
        A reception that is being kept.
        """
        made = contract.reception()
        self.spool.receive(made, b"y")
        return made

    def test_outcomes_wait_a_tenth_of_a_second(self) -> None:
        """
        Outcomes alone are synced at most 100 ms after the first of them.
        """
        self.open()
        kept = self.keep(contract.reception(b"a", b"b"))
        told: list[float] = []
        self.spool.delivered(contract.first(kept), b"", lambda: told.append(self.clock.seconds()))
        self.clock.advance(0)
        self.clock.advance(0.06)
        self.spool.delivered(contract.first(kept, 1), b"", lambda: told.append(self.clock.seconds()))
        self.clock.advance(0.039)
        self.assertEqual(told, [])
        self.clock.advance(0.002)
        self.assertEqual(len(told), 2)
        self.stop()

    def test_outcomes_wait_no_longer_for_a_sync(self) -> None:
        """
        The tenth of a second of an outcome that comes while a sync runs begins with it: it is over when a slow
        sync ends, and goes on when a fast one does.
        """
        for delay, left in ((0.5, 0.0), (0.04, 0.06)):
            self.open()
            kept = self.keep(contract.reception())
            self.threads.delay = delay
            self.spool.receive(contract.reception(), b"x")
            self.clock.advance(0)
            told: list[float] = []
            began = self.clock.seconds()
            self.spool.delivered(contract.first(kept), b"", lambda told=told: told.append(self.clock.seconds()))
            self.clock.advance(0)
            for _ in range(1200):
                self.clock.advance(0.001)
            self.assertEqual(len(told), 1)
            self.assertApproximates(told[0] - began, delay + left + delay, 0.005)
            self.threads.delay = 0.0
            self.stop()

    def test_bound_of_what_waits(self) -> None:
        """
        A disk that does not keep up fills no memory: at the bound mail is
        refused, delivery goes on, and mail is taken again when it has caught up.
        """
        self.patch(journal, "MOST_WAITING", 2000)
        self.open()
        message = contract.first(self.keep(contract.reception()))
        self.threads.delay = 0.5
        waiting = [self.spool.receive(contract.reception(), bytes(1000)) for _ in range(2)]
        self.assertFalse(self.spool.healthy())
        refused = self.spool.receive(contract.reception(), b"x")
        self.assertIn("too slow", str(self.failureResultOf(refused, SpoolError).value))
        answers: list[Exception | None] = []
        self.spool.intent([message], answers.append)
        self.clock.advance(0)
        self.assertEqual((answers, self.spool.writable()), ([None], True))
        self.clock.advance(0.5)
        for answer in waiting:
            self.successResultOf(answer)
        self.assertTrue(self.spool.healthy())
        # What is refused does not count any more either.
        self.threads.delay = 0.0
        for _ in range(2):
            self.files.fail("append", errno.EIO, 2)
            refused = self.spool.receive(contract.reception(), bytes(1900))
            contract.settle(self.clock)
            self.failureResultOf(refused, SpoolError)
            contract.settle(self.clock, step=1, turns=10)
            self.assertTrue(self.spool.healthy())
        self.stop()

    def test_intent_alone_is_not_synced(self) -> None:
        """
        An intent costs no sync: it need not survive a power cut.
        """
        self.open()
        message = contract.first(self.keep(contract.reception()))
        before = [operation for operation, _ in self.files.calls].count("sync")
        self.spool.intent([message], lambda error: None)
        contract.settle(self.clock, step=0.1, turns=5)
        self.assertEqual([operation for operation, _ in self.files.calls].count("sync"), before)
        self.stop()

    def test_two_unsynced_segments_at_most(self) -> None:
        """
        However slow the disk, no more than two segments are unsynced at a
        time: the start after a power cut verifies the bodies of two.
        """
        self.open()
        most = 0
        for number in range(200):
            # New segments are made quickly, syncs take their time.
            self.threads.delay = 2.0 if number % 10 == 0 else 0.01
            self.spool.receive(contract.reception(), bytes(1500))
            self.clock.advance(0.05)
            most = max(most, len([1 for segment in self.spool._segments if segment.size > segment.synced]))
        self.assertEqual(most, 2)
        self.threads.delay = 0.0
        contract.settle(self.clock, step=0.5, turns=20)
        self.stop()
