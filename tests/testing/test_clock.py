"""
Virtual time.
"""

from collections.abc import Callable
from random import Random

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.testing import clock as clock_module
from momentum_tx.testing.clock import ProcessClock, VirtualClock


class VirtualClockTests(SynchronousTestCase):
    """
    The clock of the world.
    """

    def test_stands_still_at_every_call(self) -> None:
        """
        A call sees the time it was set for, also in the middle of a long step,
        and what it plans is made in the same step.
        """
        clock = VirtualClock()
        self.assertTrue(verifyObject(IReactorTime, clock))
        seen: list[float] = []
        clock.callLater(3, lambda: seen.append(clock.seconds()))
        clock.callLater(1, lambda: clock.callLater(1, lambda: seen.append(clock.seconds())))
        clock.advance(10)
        self.assertEqual((seen, clock.seconds()), ([2.0, 3.0], 10.0))

    def test_step(self) -> None:
        """
        One step is one call.
        """
        clock = VirtualClock()
        made: list[int] = []
        for number in (2, 1):
            clock.callLater(number, made.append, number)
        self.assertTrue(clock.step())
        self.assertEqual(made, [1])
        self.assertTrue(clock.step())
        self.assertFalse(clock.step())

    def test_moved_calls(self) -> None:
        """
        A call that is put off is made at its new time.
        """
        clock = VirtualClock()
        made: list[float] = []
        call = clock.callLater(5, lambda: made.append(clock.seconds()))
        clock.callLater(1, call.reset, 9)
        clock.advance(20)
        self.assertEqual(made, [10.0])

    def test_exception(self) -> None:
        """
        A call that raises is logged, and time goes on.
        """
        clock = VirtualClock()
        made: list[int] = []
        clock.callLater(1, lambda: 1 // 0)
        clock.callLater(2, made.append, 1)
        clock.advance(3)
        self.assertEqual(made, [1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_standstill(self) -> None:
        """
        Calls that beget one another without time passing are found out.
        """
        self.patch(clock_module, "STUCK", 50)
        clock = VirtualClock()

        def again() -> None:
            clock.callLater(0, again)

        again()
        self.assertRaises(RuntimeError, clock.advance, 1)

    def test_first_come_first_served(self) -> None:
        """
        Calls of one instant are made in the order they were set for it, those
        that were moved to it among them.
        """
        clock = VirtualClock()
        made: list[str] = []
        later = clock.callLater(1, made.append, "put off")
        sooner = clock.callLater(9, made.append, "brought forward")
        clock.callLater(5, made.append, "first")
        later.reset(5)
        clock.callLater(5, made.append, "third")
        sooner.delay(-4)
        clock.advance(5)
        self.assertEqual(made, ["first", "put off", "third", "brought forward"])

    def test_chance(self) -> None:
        """
        With chance the calls of one instant come in any order, the same with
        the same seed; those of different instants keep theirs.
        """

        def story(seed: int) -> list[int]:
            clock = VirtualClock(Random(seed))
            made: list[int] = []
            for number in range(20):
                clock.callLater(number // 10, made.append, number)
            clock.advance(5)
            return made

        self.assertEqual(story(1), story(1))
        self.assertNotEqual(story(1), story(2))
        self.assertNotEqual(story(1), list(range(20)))
        self.assertEqual((sorted(story(1)[:10]), sorted(story(1)[10:])), (list(range(10)), list(range(10, 20))))

    def test_what_is_next(self) -> None:
        """
        The clock says when its next call is due, cancelled and moved ones
        considered, and how many it has made.
        """
        clock = VirtualClock()
        self.assertIsNone(clock.next_time())
        one, two, three = (clock.callLater(number, list) for number in (1, 2, 3))
        self.assertEqual(clock.next_time(), 1.0)
        one.cancel()
        two.reset(5)
        self.assertEqual(clock.next_time(), 3.0)
        self.assertEqual(clock.getDelayedCalls(), [three, two])
        self.assertEqual((clock.seconds(), clock.steps), (0.0, 0))
        clock.advance(10)
        self.assertEqual((clock.next_time(), clock.steps, clock.getDelayedCalls()), (None, 2, []))

    def test_no_further_than_told(self) -> None:
        """
        A cancelled call in front does not lead the clock beyond the end of a
        step.
        """
        clock = VirtualClock()
        made: list[int] = []
        clock.callLater(1, list).cancel()
        clock.callLater(1, list).reset(3)
        clock.callLater(3, made.append, 1)
        clock.advance(2)
        self.assertEqual((made, clock.seconds(), clock.steps), ([], 2.0, 0))

    def test_negative_delay(self) -> None:
        """
        Nothing can be planned for the past, as with the reactor.
        """
        clock = VirtualClock()
        for delay in (-1, float("nan")):
            self.assertRaises(AssertionError, clock.callLater, delay, list)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """
        Calls that are cancelled or moved a million times take no room.
        """
        clock = VirtualClock()
        kept = [clock.callLater(1000, list) for _ in range(10)]
        for _ in range(2000):
            clock.callLater(2000, list).cancel()
        self.assertLess(len(clock._heap), 200)
        for number in range(2000):
            kept[number % 10].reset(1000 - number / 10)
            kept[number % 7].reset(3000)
        self.assertLess(len(clock._heap), 200)
        self.assertEqual(len(clock.getDelayedCalls()), 10)
        clock.advance(4000)
        self.assertEqual((clock.steps, len(clock._heap), clock._stale), (10, 0, 0))


class VirtualCallTests(SynchronousTestCase):
    """
    One planned call.
    """

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.made: list[float] = []

    def note(self) -> None:
        """
        Remember when it was called.
        """
        self.made.append(self.clock.seconds())

    def test_contract(self) -> None:
        """
        It provides what Twisted's does.
        """
        call = self.clock.callLater(5, self.note)
        self.assertTrue(verifyObject(IDelayedCall, call))
        self.assertEqual((call.getTime(), call.active()), (5.0, True))

    def test_moved(self) -> None:
        """
        ``reset`` counts from now, ``delay`` from the time it was set for.
        """
        changes: list[tuple[Callable[[IDelayedCall], object], float]] = [
            (lambda call: call.reset(1), 3.0),
            (lambda call: call.reset(8), 10.0),
            (lambda call: call.delay(4), 9.0),
            (lambda call: call.delay(-2), 3.0),
            (lambda call: (call.reset(1), call.reset(6), call.delay(1)), 9.0),  # type: ignore[func-returns-value]
        ]
        for change, when in changes:
            self.clock, self.made = VirtualClock(), []
            call = self.clock.callLater(5, self.note)
            self.clock.advance(2)
            change(call)
            self.assertEqual(call.getTime(), when)
            self.clock.advance(20)
            self.assertEqual(self.made, [when])

    def test_over(self) -> None:
        """
        A call that was made or cancelled can be neither cancelled nor moved,
        and its errors say which it was.
        """
        made, cancelled = self.clock.callLater(1, self.note), self.clock.callLater(1, self.note)
        cancelled.cancel()
        self.clock.advance(2)
        self.assertEqual(self.made, [1.0])
        for call, error in ((made, AlreadyCalled), (cancelled, AlreadyCancelled)):
            self.assertFalse(call.active())
            self.assertRaises(error, call.cancel)
            self.assertRaises(error, call.reset, 1)
            self.assertRaises(error, call.delay, 1)

    def test_within_itself(self) -> None:
        """
        While it is made a call is over already.
        """
        seen: list[bool] = []
        call = self.clock.callLater(1, lambda: seen.append(call.active()))
        self.clock.advance(1)
        self.assertEqual(seen, [False])

    def test_keywords(self) -> None:
        """
        Arguments reach the function, by name too.
        """
        self.clock.callLater(0, lambda one, two: self.made.append(one + two), 1, two=2)
        self.clock.advance(0)
        self.assertEqual(self.made, [3])

    def test_text(self) -> None:
        """
        Its text says what is called, when, and what has become of it.
        """
        call = self.clock.callLater(2.5, self.note)
        self.assertEqual(str(call), "<call at 2.5: VirtualCallTests.note>")
        self.clock.advance(3)
        self.assertEqual(str(call), "<call made at 2.5: VirtualCallTests.note>")
        call = self.clock.callLater(1, self.note)
        call.cancel()
        self.assertEqual(str(call), "<cancelled call at 4>")


class ProcessClockTests(SynchronousTestCase):
    """
    A process's share of it.
    """

    def test_death(self) -> None:
        """
        The calls of a process die with it, others do not.
        """
        world = VirtualClock()
        one, other = ProcessClock(world), ProcessClock(world)
        self.assertTrue(verifyObject(IReactorTime, one))
        made: list[str] = []
        one.callLater(1, made.append, "one")
        other.callLater(1, made.append, "other")
        self.assertEqual((len(one.getDelayedCalls()), len(world.getDelayedCalls())), (1, 2))
        one.die()
        one.callLater(1, made.append, "ghost")
        world.advance(2)
        self.assertEqual(made, ["other"])
        self.assertEqual(one.seconds(), 2.0)

    def test_many_calls(self) -> None:
        """
        Calls that were made are forgotten.
        """
        world = VirtualClock()
        process = ProcessClock(world)
        for _ in range(500):
            process.callLater(0, list)
            world.advance(1)
        self.assertLess(len(process._calls), 100)
        self.assertEqual(process.getDelayedCalls(), [])

    def test_many_live_calls(self) -> None:
        """
        Calls that are still to come are all known, however many there are.
        """
        world = VirtualClock()
        process = ProcessClock(world)
        calls = [process.callLater(1, list) for _ in range(300)]
        calls += [process.callLater(2, list) for _ in range(300)]
        self.assertEqual(process.getDelayedCalls(), calls)
        world.advance(1)
        self.assertEqual(process.getDelayedCalls(), calls[300:])
        process.die()
        self.assertEqual(world.getDelayedCalls(), [])
