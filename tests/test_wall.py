"""
Tests of :mod:`momentum_tx.wall`.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.timers import Agenda
from momentum_tx.wall import LOOK_INTERVAL, STEP, WallClock

EPOCH = 1_700_000_000.0


class WallClockTests(SynchronousTestCase):
    """
    A system whose wall clock is set while the service runs.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.offset = EPOCH
        self.agenda = Agenda(self.clock)
        self.wall = WallClock(self.clock, lambda: self.clock.seconds() + self.offset, self.agenda)
        self.steps: list[float] = []
        self.wall.followers.append(self.steps.append)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def look(self) -> float:
        """
        The time after a look, and after what follows from it.
        """
        self.clock.advance(LOOK_INTERVAL)
        self.wall()
        self.clock.advance(0)
        return self.wall() - EPOCH - self.clock.seconds()

    def test_time(self) -> None:
        """
        It is the system's time, and nobody is told anything while nothing is set.
        """
        for _ in range(5):
            self.assertEqual(self.wall(), EPOCH + self.clock.seconds())
            self.clock.advance(0.7)
        self.assertEqual((self.steps, self.wall.stepped), ([], 0.0))

    def test_step(self) -> None:
        """
        A step in either direction is followed, told to everybody once, and summed up.
        """
        for step, off in ((10_800.0, 10_800.0), (-10_000.0, 800.0), (-STEP, 795.0), (STEP, 800.0)):
            self.offset += step
            self.assertEqual(self.look(), off)
            self.assertEqual(self.look(), off)
        self.assertEqual(self.steps, [10_800.0, -10_000.0, -STEP, STEP])
        self.assertEqual(self.wall.stepped, 800.0)

    def test_one_turn_one_time(self) -> None:
        """
        Whoever asks twice in one turn sees one time; the step comes in a turn of its own.
        """
        self.offset += 3600.0
        self.clock.advance(LOOK_INTERVAL)
        for _ in range(3):
            self.assertEqual(self.wall(), EPOCH + LOOK_INTERVAL)
        self.assertEqual(self.steps, [])
        self.clock.advance(0)
        self.assertEqual(self.wall(), EPOCH + LOOK_INTERVAL + 3600.0)

    def test_between_looks(self) -> None:
        """
        The system is asked once in a while and not each time.
        """
        self.offset += 3600.0
        self.clock.advance(0.9 * LOOK_INTERVAL)
        self.wall()
        self.clock.advance(0)
        self.assertEqual(self.steps, [])

    def test_small_corrections(self) -> None:
        """
        A clock that is corrected little by little, or by less than a step, is followed in silence.
        """
        for correction in (0.1, -0.3, 0.999 * STEP, -0.999 * STEP):
            before, self.offset = self.offset, self.offset + correction
            self.assertAlmostEqual(self.look(), before + correction - EPOCH, places=5)
        for _ in range(100):
            self.offset += 0.2
            self.look()
        self.assertAlmostEqual(self.look(), 20.0 - 0.2, places=4)
        self.assertEqual((self.steps, self.wall.stepped), ([], 0.0))

    def test_taken_back_at_once(self) -> None:
        """
        A step that is taken back before it was followed has not been.
        """
        self.offset += 3600.0
        self.clock.advance(LOOK_INTERVAL)
        self.wall()
        self.offset -= 3600.0
        self.clock.advance(0)
        self.assertEqual(self.steps, [])
        self.assertEqual(self.look(), 0.0)

    def test_stop(self) -> None:
        """
        When it is stopped it runs on with the steady clock and sets no alarm.
        """
        self.offset += 3600.0
        self.clock.advance(LOOK_INTERVAL)
        self.wall()
        self.wall.stop()
        self.clock.advance(100)
        self.assertEqual(self.wall(), EPOCH + 100 + LOOK_INTERVAL)
        self.assertEqual(self.agenda.armed, 0)
        self.agenda.stop()
