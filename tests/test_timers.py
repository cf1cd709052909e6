"""
Tests of :mod:`momentum_tx.timers`.
"""

import gc
import random
import weakref
from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.timers import Agenda, Alarm


class Bell:
    """
    Notes when its alarm rings.
    """

    def __init__(self, agenda: Agenda, then: Callable[[], object] | None = None) -> None:
        self.rung: list[float] = []
        self._clock = agenda.clock
        self._then = then
        self.alarm = agenda.alarm(self.ring)

    def ring(self) -> None:
        self.rung.append(self._clock.seconds())
        if self._then is not None:
            self._then()


class AgendaTests(SynchronousTestCase):
    """
    Alarms on one clock.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.agenda = Agenda(self.clock)

    def bell(self, then: Callable[[], object] | None = None) -> Bell:
        return Bell(self.agenda, then)

    def assertSilent(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_rings_once(self) -> None:
        """
        An alarm rings at its time, once, and is disarmed by then.
        """
        seen: list[float | None] = []
        bell = self.bell(lambda: seen.append(bell.alarm.when))
        bell.alarm.arm(5)
        self.assertEqual(bell.alarm.when, 1005)
        self.clock.advance(4.999)
        self.assertEqual(bell.rung, [])
        self.clock.advance(0.001)
        self.clock.advance(100)
        self.assertEqual(bell.rung, [1005])
        self.assertEqual(seen, [None])
        self.assertSilent()

    def test_one_call(self) -> None:
        """
        However many alarms wait, the clock has one delayed call: that of the nearest.
        """
        bells = [self.bell() for _ in range(100)]
        for wait, bell in zip(range(100, 0, -1), bells, strict=True):
            bell.alarm.arm(wait)
            (call,) = self.clock.getDelayedCalls()
            self.assertEqual(call.getTime(), 1000 + wait)
        for _ in range(100):
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
            self.clock.advance(1)
        self.assertEqual([bell.rung for bell in bells], [[1000 + wait] for wait in range(100, 0, -1)])
        self.assertSilent()

    def test_in_order(self) -> None:
        """
        Alarms that are due together ring by time, and first armed first among equals.
        """
        order: list[str] = []
        for name, wait in (("c", 2), ("a", 1), ("d", 2), ("b", 1)):
            self.bell(lambda name=name: order.append(name)).alarm.arm(wait)  # type: ignore[misc]
        self.clock.advance(10)
        self.assertEqual(order, ["a", "b", "c", "d"])
        self.assertSilent()

    def test_moved(self) -> None:
        """
        Arming again moves an alarm, to later or to earlier; only the last word counts.
        """
        later, earlier = self.bell(), self.bell()
        later.alarm.arm(5)
        later.alarm.arm(20)
        earlier.alarm.arm(20)
        earlier.alarm.arm(5)
        earlier.alarm.arm(6)
        self.clock.pump([1] * 30)
        self.assertEqual((later.rung, earlier.rung), ([1020], [1006]))
        self.assertSilent()

    def test_moved_while_others_ring(self) -> None:
        """
        A deadline that is moved with every reply, as a session's is, rings only when the replies stop.
        """
        ticker = self.bell()
        session = self.bell()
        for _ in range(50):
            session.alarm.arm(10)
            ticker.alarm.arm(1)
            self.clock.advance(3)
        self.assertEqual(session.rung, [])
        self.clock.advance(7)
        self.assertEqual(session.rung, [1157])
        self.assertEqual(len(ticker.rung), 50)
        self.assertSilent()

    def test_disarmed(self) -> None:
        """
        A disarmed alarm never rings, may be disarmed again, and leaves nothing in the clock.
        """
        bell = self.bell()
        bell.alarm.disarm()
        bell.alarm.arm(5)
        bell.alarm.disarm()
        bell.alarm.disarm()
        self.assertIs(bell.alarm.when, None)
        self.assertSilent()
        self.clock.advance(10)
        self.assertEqual(bell.rung, [])

    def test_armed_after_disarming(self) -> None:
        """
        A disarmed alarm can be armed again, for sooner, later, or the same time.
        """
        for wait in (2, 5, 9):
            bell, other = self.bell(), self.bell()
            other.alarm.arm(20)
            bell.alarm.arm(5)
            bell.alarm.disarm()
            bell.alarm.arm(wait)
            started = self.clock.seconds()
            self.clock.pump([1] * 20)
            self.assertEqual(bell.rung, [started + wait])
            self.assertSilent()

    def test_armed_while_ringing(self) -> None:
        """
        An alarm may arm itself when it rings, as a heartbeat does.
        """
        bell = self.bell(lambda: bell.alarm.arm(10) if len(bell.rung) < 3 else None)
        bell.alarm.arm(10)
        self.clock.pump([10] * 5)
        self.assertEqual(bell.rung, [1010, 1020, 1030])
        self.assertSilent()

    def test_zero_delay(self) -> None:
        """
        An alarm that arms itself for now lets the reactor turn in between.
        """
        order: list[str] = []

        def again() -> None:
            order.append("alarm")
            self.clock.callLater(0, order.append, "turn")
            if len(bell.rung) < 3:
                bell.alarm.arm(0)

        bell = self.bell(again)
        bell.alarm.arm(0)
        self.assertEqual(order, [])
        self.clock.advance(0)
        self.assertEqual(order, ["alarm", "turn"] * 3)
        self.assertSilent()

    def test_past(self) -> None:
        """
        A time that is over means now.
        """
        bell = self.bell()
        bell.alarm.at(3)
        self.clock.advance(0)
        self.assertEqual(bell.rung, [1000])
        self.assertSilent()

    def test_disarmed_by_another(self) -> None:
        """
        What rings first may disarm or move what is due at the same moment.
        """

        def change() -> None:
            gone.alarm.disarm()
            moved.alarm.arm(7)
            again.alarm.arm(0)

        first = self.bell(change)
        gone, moved, again, untouched = (self.bell() for _ in range(4))
        for bell in (first, gone, moved, again, untouched):
            bell.alarm.arm(1)
        self.clock.advance(1)
        self.assertEqual([len(bell.rung) for bell in (first, gone, moved, again, untouched)], [1, 0, 0, 1, 1])
        self.clock.advance(7)
        self.assertEqual((gone.rung, moved.rung), ([], [1008]))
        self.assertSilent()

    def test_raising(self) -> None:
        """
        An alarm that raises does not silence those that are due with it, nor later ones.
        """

        def fail() -> None:
            raise RuntimeError("boom")

        before, bad, after, later = self.bell(), self.bell(fail), self.bell(), self.bell()
        for bell in (before, bad, after):
            bell.alarm.arm(1)
        later.alarm.arm(2)
        self.assertRaises(RuntimeError, self.clock.advance, 1)
        self.clock.advance(0)
        self.assertEqual((before.rung, bad.rung, after.rung), ([1001], [1001], [1001]))
        self.clock.advance(1)
        self.assertEqual(later.rung, [1002])
        self.assertSilent()

    def test_stop(self) -> None:
        """
        A stopped agenda rings nothing and has no timer; it can be used again.
        """
        bells = [self.bell() for _ in range(5)]
        for wait, bell in enumerate(bells):
            bell.alarm.arm(wait)
        bells[0].alarm.arm(9)
        self.agenda.stop()
        self.agenda.stop()
        self.assertSilent()
        self.clock.advance(100)
        self.assertEqual([bell.rung for bell in bells], [[]] * 5)
        self.assertEqual([bell.alarm.when for bell in bells], [None] * 5)
        bells[0].alarm.arm(1)
        self.clock.advance(1)
        self.assertEqual(bells[0].rung, [1101])
        self.assertSilent()

    def test_stop_while_ringing(self) -> None:
        """
        Once an alarm has stopped the agenda, nothing rings that was due with it.
        """
        stopper = self.bell(self.agenda.stop)
        other, later = self.bell(), self.bell()
        stopper.alarm.arm(1)
        other.alarm.arm(1)
        later.alarm.arm(2)
        self.clock.advance(1)
        self.clock.advance(10)
        self.assertEqual((stopper.rung, other.rung, later.rung), ([1001], [], []))
        self.assertIs(other.alarm.when, None)
        self.assertSilent()

    def test_forgets_disarmed(self) -> None:
        """
        A thousand sessions that are over do not stay in memory until the deadlines they had.
        """
        waiting = self.bell()
        waiting.alarm.arm(1)
        gone: list[weakref.ref[Bell]] = []
        for _ in range(1000):
            bell = self.bell()
            bell.alarm.arm(600)
            bell.alarm.disarm()
            gone.append(weakref.ref(bell))
        del bell
        gc.collect()
        self.assertLess(sum(bell() is not None for bell in gone), 100)
        self.clock.advance(1)
        self.assertEqual(waiting.rung, [1001])
        gc.collect()
        self.assertEqual([bell for bell in gone if bell() is not None], [])
        self.assertSilent()

    def test_often_moved(self) -> None:
        """
        An alarm that is moved ten thousand times to earlier takes no more room than one.
        """
        bell = self.bell()
        for step in range(10_000):
            bell.alarm.arm(20_000 - step)
        self.assertLess(len(self.agenda._heap), 100)
        self.clock.advance(10_001)
        self.assertEqual(bell.rung, [11_001])
        self.assertSilent()

    def test_like_a_list(self) -> None:
        """
        Whatever is armed, moved and disarmed, each alarm rings exactly when a plain list of times says,
        and the clock has at most one delayed call, none when nothing is armed.
        """
        for seed in range(20):
            self.check_like_a_list(random.Random(seed))

    def check_like_a_list(self, source: random.Random) -> None:
        clock = Clock()
        agenda = Agenda(clock)
        rung: list[tuple[float, int]] = []
        alarms: list[Alarm] = []
        for number in range(12):
            alarms.append(agenda.alarm(lambda number=number: rung.append((clock.seconds(), number))))  # type: ignore[misc]
        times: dict[int, float] = {}
        expected: list[tuple[float, int]] = []
        for _ in range(1000):
            number = source.randrange(len(alarms))
            choice = source.random()
            if choice < 0.5:
                wait = source.choice((0, 1, 1, 2, 5, 30))
                alarms[number].arm(wait)
                times[number] = clock.seconds() + wait
            elif choice < 0.7:
                alarms[number].disarm()
                times.pop(number, None)
            else:
                clock.advance(source.choice((0, 0, 1, 3)))
                now = clock.seconds()
                due = [number for number, when in times.items() if when <= now]
                expected.extend((now, number) for number in due)
                for number in due:
                    del times[number]
            self.assertEqual(sorted(rung), sorted(expected))
            self.assertEqual([alarm.when for alarm in alarms], [times.get(number) for number in range(len(alarms))])
            self.assertEqual(agenda.armed, len(times))
            self.assertLessEqual(len(clock.getDelayedCalls()), 1)
            self.assertEqual(bool(clock.getDelayedCalls()), bool(times))
        clock.advance(100)
        self.assertEqual(len(rung), len(expected) + len(times))
        self.assertEqual(clock.getDelayedCalls(), [])
