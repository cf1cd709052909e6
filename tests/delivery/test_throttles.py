"""
Tests of :mod:`momentum_tx.delivery.throttles`: who waits, and who is called.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery.throttles import Throttle, Throttles
from momentum_tx.queues.domain import DomainRecord
from momentum_tx.settings.limits import Throttle as Measure
from momentum_tx.timers import Agenda


class _Clocks:
    """
    The two things a throttle asks of the facilities.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.agenda = Agenda(self.clock)


class ThrottleTests(SynchronousTestCase):
    """
    A throttle with people who wait.
    """

    def setUp(self) -> None:
        self.f = _Clocks()
        self.called: list[str] = []
        self.records = {name: DomainRecord(name, cast(Any, None)) for name in "abc"}
        self.throttles = Throttles(cast(Any, self.f), lambda dr, throttle: self.called.append(dr.domain))
        self.throttle = self.throttles.of("messages", Measure("[global]", 1, 10.0))

    def wait(self, names: str) -> None:
        """
        Let domains wait, in this order.
        """
        for name in names:
            self.throttle.wait(self.records[name])

    def test_oneAfterTheOther(self) -> None:
        """
        Each is called when it is its turn, in the order in which they came; the
        next one only when the event has happened and its time has passed.
        """
        self.throttle.take(self.records["a"])
        self.wait("bca")
        self.f.clock.advance(9.9)
        self.assertEqual(self.called, [])
        self.f.clock.advance(0.1)
        self.assertEqual(self.called, ["b"])
        self.assertEqual(self.throttle.free(self.records["b"]), 1)
        self.throttle.take(self.records["b"])
        self.throttle.answer(self.records["b"])
        self.f.clock.advance(9.9)
        self.assertEqual(self.called, ["b"])
        self.f.clock.advance(0.1)
        self.assertEqual(self.called, ["b", "c"])

    def test_keptForWhomItCalls(self) -> None:
        """
        Nobody who comes in between takes what is kept for the one called, nor
        goes ahead of those who wait.
        """
        self.throttle.take(self.records["a"])
        self.wait("b")
        self.f.clock.advance(10)
        self.assertEqual(self.throttle.free(self.records["c"]), 0)
        self.assertEqual(self.throttle.free(self.records["b"]), 1)

    def test_notWanted(self) -> None:
        """
        Who is called and wants nothing lets the next one have it.
        """
        self.throttle.take(self.records["a"])
        self.wait("bc")
        self.f.clock.advance(10)
        self.throttle.answer(self.records["b"])
        self.f.clock.advance(0)
        self.assertEqual(self.called, ["b", "c"])

    def test_promised(self) -> None:
        """
        A promise that is kept counts from when it is; one that is withdrawn is
        for those who wait.
        """
        self.throttle.promise(self.records["a"], 1)
        self.wait("b")
        self.f.clock.advance(60)
        self.assertEqual(self.called, [])
        self.throttle.withdraw(1)
        self.f.clock.advance(0)
        self.assertEqual(self.called, ["b"])
        self.throttle.promise(self.records["b"], 1)
        self.wait("c")
        self.f.clock.advance(5)
        self.throttle.keep(1)
        self.f.clock.advance(9.9)
        self.assertEqual(self.called, ["b"])
        self.f.clock.advance(0.1)
        self.assertEqual(self.called, ["b", "c"])

    def test_nothingIsTimedInVain(self) -> None:
        """
        While only a promise is in the way, no timer runs in circles.
        """
        self.throttle.promise(self.records["a"], 1)
        self.wait("b")
        self.assertEqual(self.f.clock.getDelayedCalls(), [])

    def test_another_measure(self) -> None:
        """
        A looser measure is noticed at once by those who wait, a table of its
        own is another throttle.
        """
        self.throttle.take(self.records["a"])
        self.wait("b")
        same = self.throttles.of("messages", Measure("[global]", 2, 10.0))
        self.assertIs(same, self.throttle)
        self.f.clock.advance(0)
        self.assertEqual(self.called, ["b"])
        self.assertIsNot(self.throttles.of("connections", Measure("[global]", 2, 10.0)), self.throttle)
        other = self.throttles.of("messages", Measure("[binding.b]", 1, 10.0))
        self.assertIsInstance(other, Throttle)
        self.assertEqual(other.free(self.records["c"]), 1)
