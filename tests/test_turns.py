"""
Turns of the reactor that take too long.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.seams import IOnlooker
from momentum_tx.testing.onlooker import ModelledOnlooker
from momentum_tx.turns import MOST_FRAMES, PERIOD, SlowTurns, ThreadOnlooker, lines_of

from .test_service import Reader
from .worlds import WorldCase


class SlowTurnsTests(SynchronousTestCase):
    """
    What is counted and told, on a clock of our own.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.onlooker = ModelledOnlooker(self.clock)
        self.turns = SlowTurns(self.onlooker)
        self.reader = Reader()
        globalLogPublisher.addObserver(self.reader)
        self.addCleanup(globalLogPublisher.removeObserver, self.reader)

    def wait(self, seconds: float) -> None:
        """
        Time passes, in small steps.
        """
        self.clock.pump([0.001] * round(seconds * 1000))

    def turn(self, seconds: float, worked: float = 0.0, where: str = "  here.py:1 here") -> None:
        """
        One turn of that length, and some idle time.
        """
        self.onlooker.block(where)
        self.wait(seconds)
        self.onlooker.processor_time += worked
        self.onlooker.unblock()
        self.wait(0.02)

    def test_off(self) -> None:
        """
        Without the option nobody looks, at nothing.
        """
        self.turns.configure(0)
        self.assertFalse(self.onlooker.looking)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_idle(self) -> None:
        """
        A reactor that waits for something to happen is not blamed.
        """
        self.turns.configure(0.05)
        self.wait(5)
        self.assertEqual((self.turns.count, self.reader.said), (0, []))

    def test_told(self) -> None:
        """
        A turn that is too long is counted and told, with its length, the processor time
        of its thread, and where it was; a shorter one is not.
        """
        self.turns.configure(0.05)
        self.turn(0.03)
        self.assertEqual(self.turns.count, 0)
        self.turn(0.2, worked=0.125, where="  hooks.py:7 look_up: time.sleep(1)")
        self.assertEqual(self.turns.count, 1)
        self.assertApproximates(self.turns.longest, 0.2, 0.006)
        (said,) = self.reader.said
        self.assertRegex(said, r"took 0\.(19|20)\d s .*0\.125 s of processor time")
        self.assertIn("  hooks.py:7 look_up: time.sleep(1)", said)

    def test_none_is_missed(self) -> None:
        """
        Whenever it begins between two questions, a turn of that length is noticed.
        """
        self.turns.configure(0.05)
        for early in range(10):
            self.wait(0.001 * early)
            self.turn(0.052)
            self.assertEqual(self.turns.count, early + 1)

    def test_nobody_could_look(self) -> None:
        """
        Where one call kept every other thread from running, that is what is told.
        """
        self.turns.configure(0.05)
        self.onlooker.block("  here.py:1 here")
        self.wait(0.004)
        self.clock.advance(0)
        asked = self.onlooker
        # The clock jumps: the onlooker did not run, and the reactor answers first.
        self.clock.rightNow += 1.0
        asked.unblock()
        (said,) = self.reader.said
        self.assertIn("nobody could look", said)

    def test_goes_on(self) -> None:
        """
        A turn that does not end is told of while it lasts, ever more seldom.
        """
        self.turns.configure(0.05)
        self.onlooker.block("  here.py:1 stuck")
        self.wait(1.5)
        self.assertEqual(len(self.reader.said), 1)
        self.assertIn("goes on", self.reader.said[0])
        self.assertIn("here.py:1 stuck", self.reader.said[0])
        self.wait(7)
        self.assertEqual(len(self.reader.said), 4)
        self.onlooker.unblock()
        self.assertEqual((len(self.reader.said), self.turns.count), (5, 1))

    def test_many(self) -> None:
        """
        Many are counted, ten of them told in a minute, and of the others their number.
        """
        self.turns.configure(0.05)
        for _ in range(13):
            self.turn(0.1)
        self.assertEqual((self.turns.count, len(self.reader.said)), (13, 10))
        self.wait(PERIOD)
        self.assertEqual(len(self.reader.said), 11)
        self.assertIn("3 more turns", self.reader.said[10])
        self.turn(0.1)
        self.assertEqual(len(self.reader.said), 12)

    def test_reconfigured(self) -> None:
        """
        Another limit counts at once; an answer that was owed under the one before is
        nothing, and with none nobody looks.
        """
        self.turns.configure(0.05)
        self.wait(0.01)
        self.onlooker.block("  here.py:1 here")
        self.wait(0.3)
        self.turns.configure(0.5)
        self.onlooker.unblock()
        self.assertEqual(self.turns.count, 0)
        self.turn(0.3)
        self.assertEqual(self.turns.count, 0)
        self.turn(0.6)
        self.assertEqual(self.turns.count, 1)
        self.turns.configure(0)
        self.assertFalse(self.onlooker.looking)
        self.turn(1)
        self.assertEqual(self.turns.count, 1)


class StoryTests(WorldCase):
    """
    The whole service, with a thread that blocks.
    """

    def test_option(self) -> None:
        """
        The option watches, a reload changes it, and a stop ends it.
        """
        world = self.world("[global]\ndebug_slow_turns = 0.05\n")
        world.onlooker.block("  here.py:1 here")
        world.advance(0.3)
        world.onlooker.unblock()
        self.assertEqual(world.service.slow_turns.count, 1)
        world.reload("[global]\n")
        self.assertFalse(world.onlooker.looking)
        world.reload("[global]\ndebug_slow_turns = 0.2\n")
        self.assertTrue(world.onlooker.looking)
        world.stop()
        self.assertFalse(world.onlooker.looking)

    def test_default(self) -> None:
        """
        By default nobody looks.
        """
        self.assertFalse(self.world().onlooker.looking)


class HandReactor:
    """
    Keeps what other threads want called.
    """

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def callFromThread(self, call: Callable[[], object]) -> None:
        self.calls.append(call)

    def seconds(self) -> float:
        return 17.0


class ThreadOnlookerTests(SynchronousTestCase):
    """
    The real thread.
    """

    def setUp(self) -> None:
        self.reactor = HandReactor()
        self.onlooker = ThreadOnlooker(self.reactor)
        self.addCleanup(self.onlooker.end)

    def test_provides(self) -> None:
        """
        It and its double have all that the contract asks for.
        """
        self.assertTrue(verifyObject(IOnlooker, self.onlooker))
        self.assertTrue(verifyObject(IOnlooker, ModelledOnlooker(Clock())))

    def test_looks(self) -> None:
        """
        It looks in another thread, at the one that began it, until it is ended.
        """
        found: list[Any] = []
        seen = threading.Event()

        def look() -> float:
            found.append((threading.get_ident(), self.onlooker.stack(), self.onlooker.now()))
            self.onlooker.ask(seen.set)
            seen.set()
            return 3600.0

        self.onlooker.begin(look)
        self.assertTrue(seen.wait(10))
        self.onlooker.end()
        self.onlooker.end()
        ((ident, stack, now),) = found
        self.assertNotEqual(ident, threading.get_ident())
        self.assertIn("test_turns.py", "".join(stack))
        self.assertIn("test_looks", "".join(stack))
        self.assertEqual((now, self.reactor.calls), (17.0, [seen.set]))
        self.assertNotIn("momentum-tx onlooker", [thread.name for thread in threading.enumerate()])

    def test_worked(self) -> None:
        """
        The processor time is the calling thread's.
        """
        before = self.onlooker.worked()
        sum(range(100_000))
        self.assertGreater(self.onlooker.worked(), before)


class LinesTests(SynchronousTestCase):
    """
    How a stack is written.
    """

    def test_deep(self) -> None:
        """
        Only the innermost calls of a deep stack are shown, with their source.
        """

        def down(levels: int) -> list[str]:
            if levels:
                return down(levels - 1)
            return lines_of(sys._getframe())

        lines = down(100)
        self.assertEqual(len(lines), MOST_FRAMES)
        self.assertRegex(lines[-1], r"test_turns\.py:\d+ .*down: return lines_of\(sys\._getframe\(\)\)$")
        self.assertEqual(lines_of(None), [])
