"""
Virtual time.
"""

from twisted.internet.interfaces import IReactorTime
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
