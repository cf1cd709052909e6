"""
Tests of :mod:`momentum_tx.logs.mainlog`: when records are written, and what
becomes of them when they cannot be.
"""

from dataclasses import replace

from momentum_tx.logs.gathered import BUFFER_SIZE, REPORT_INTERVAL
from momentum_tx.settings import GlobalSettings

from .doubles import NOW, MainLogBase


class BufferTests(MainLogBase):
    """
    When records are written.
    """

    def setUp(self) -> None:
        super().setUp()
        self.log.start(self.clock)

    def record(self) -> None:
        self.log.log_delivery(self.message, self.dr, NOW, None)

    def test_once_per_turn(self) -> None:
        """
        All records of one turn of the reactor are one write at its end.
        """
        for _ in range(5):
            self.record()
        self.assertEqual(self.file.writes, 0)
        self.clock.advance(0)
        self.assertEqual((self.file.writes, len(self.lines())), (1, 5))
        self.record()
        self.clock.advance(0)
        self.assertEqual((self.file.writes, len(self.lines())), (2, 6))
        self.log.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bound(self) -> None:
        """
        A turn with more records than the buffer holds writes before it ends, and in order.
        """
        self.message.code = b"x" * 4000
        count = BUFFER_SIZE // 4000
        for index in range(count):
            self.message.num_retries = index
            self.log.log_transient_failure(self.message, self.dr, NOW, None)
        self.assertEqual(self.file.writes, 1)
        self.assertGreaterEqual(len(self.file.content), BUFFER_SIZE)
        self.clock.advance(0)
        self.assertEqual([int(line.split("@")[10]) for line in self.lines()], list(range(count)))
        self.log.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """
        Nothing is lost at the end: what waits is written, and what comes later at once.
        """
        self.record()
        self.log.stop()
        self.assertEqual(len(self.lines()), 1)
        self.record()
        self.assertEqual(len(self.lines()), 2)
        self.log.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_start_twice(self) -> None:
        """
        A log cannot be started twice, but again after it was stopped.
        """
        self.assertRaises(RuntimeError, self.log.start, self.clock)
        self.log.stop()
        self.log.start(self.clock)
        self.log.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """
        The last call writes what waits and gives the file back; a record after it is counted as lost.
        """
        self.record()
        self.log.log_close()
        self.assertEqual((len(self.lines()), self.file.closed), (1, True))
        self.record()
        self.assertEqual((len(self.lines()), self.log.lost), (1, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reopen(self) -> None:
        """
        What happened before the rotation is in the old file.
        """
        self.record()
        self.log.log_reopen()
        self.assertEqual((len(self.lines()), self.file.reopened), (1, 1))
        self.log.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_reopen_fails(self) -> None:
        """
        A log that cannot be opened anew goes on in the old file and says so.
        """
        self.file.refuses_to_reopen = True
        self.log.log_reopen()
        self.record()
        self.log.stop()
        self.assertEqual(len(self.lines()), 1)
        self.assertIn("Permission denied", self.diagnostics()[0])


class HeartbeatTests(MainLogBase):
    """
    Signs of life.
    """

    def test_period(self) -> None:
        """
        A heartbeat is written every period and not before, until the log is stopped.
        """
        self.log.start(self.clock)
        self.clock.advance(59.9)
        self.assertEqual(self.lines(), [])
        self.clock.advance(0.1)
        self.clock.advance(0)
        self.assertEqual(self.lines(), ["1700000010@@@@M"])
        self.clock.pump([60, 0, 60, 0])
        self.assertEqual(len(self.lines()), 3)
        self.log.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_none(self) -> None:
        """
        A period of zero writes none and needs no timer.
        """
        self.log = self.make(replace(GlobalSettings(), heartbeat=0.0))
        self.log.start(self.clock)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.log.stop()

    def test_full_disk(self) -> None:
        """
        Heartbeats go on after a time in which the log could not be written.
        """
        self.file.room = 0
        self.log.start(self.clock)
        self.clock.pump([60, 0])
        self.file.room = None
        self.clock.pump([60, 0])
        self.assertEqual((len(self.lines()), self.log.lost), (1, 1))
        self.log.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LostTests(MainLogBase):
    """
    A disk that takes no more.
    """

    def record(self) -> None:
        self.log.log_delivery(self.message, self.dr, NOW, None)

    def test_counted_and_told_once(self) -> None:
        """
        Records that cannot be written are counted; the operator is told once, and once more when it is over.
        """
        self.file.room = 0
        for _ in range(1000):
            self.record()
        self.wall += 10 * REPORT_INTERVAL
        self.record()
        self.assertEqual(self.log.lost, 1001)
        self.assertEqual(len(self.told), 1)
        self.assertIn("No space left on device", self.diagnostics()[0])
        self.file.room = None
        self.record()
        self.record()
        self.assertEqual(len(self.lines()), 2)
        self.assertEqual(len(self.told), 2)
        self.assertIn("1001 records were lost", self.diagnostics()[1])

    def test_part_of_a_turn(self) -> None:
        """
        When only some records of a turn fit, exactly the others are counted.
        """
        self.log.start(self.clock)
        for _ in range(5):
            self.record()
        self.file.room = 250
        self.clock.advance(0)
        kept = len(self.lines())
        self.assertGreater(kept, 0)
        self.assertEqual(self.log.lost, 5 - kept)
        self.log.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_flapping(self) -> None:
        """
        A disk that fails and recovers all the time does not fill the diagnostics,
        and a failure that lasts is told of in the end.
        """
        for _ in range(100):
            self.file.room = 0
            self.record()
            self.file.room = None
            self.record()
        self.assertEqual(len(self.told), 2)
        self.file.room = 0
        self.record()
        self.assertEqual(len(self.told), 2)
        self.wall += REPORT_INTERVAL
        self.record()
        self.assertEqual(len(self.told), 3)

    def test_clock_set_back(self) -> None:
        """
        A wall clock that is set back does not silence the report.
        """
        self.file.room = 0
        self.record()
        self.file.room = None
        self.record()
        self.wall -= 86400.0
        self.file.room = 0
        self.record()
        self.assertEqual(len(self.told), 3)
