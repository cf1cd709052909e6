"""
Tests of :mod:`momentum_tx.hooks.providers`: breakers, numbers, and threads.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from momentum_tx import OutboundHooks
from momentum_tx.errors import HookFailed, StartupError
from momentum_tx.interfaces.hooks import (
    IBindingGroupChooseBinding,
    IConnectionGoal,
    ILogDeliveryV1,
    ILogReopen,
    IOutboundSmtpAuthConfig,
    IVetoHostConnection,
)
from momentum_tx.testing.bench import Bench


@implementer(ILogReopen, IConnectionGoal, IVetoHostConnection, IBindingGroupChooseBinding, IOutboundSmtpAuthConfig)
class Moody:
    """
    Does what it is told to, and takes as long.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.takes = 0.0
        self.wrong = False
        self.called = 0

    def _act(self, answer: Any) -> Any:
        self.called += 1
        self.clock.advance(self.takes)
        if self.wrong:
            raise ValueError("in a bad mood")
        return answer

    def log_reopen(self) -> None:
        self._act(None)

    def connection_goal(self, dr: Any, binding_slot: int, queued: int, goal: int) -> Any:
        return self._act(3)

    def veto_host_connection(self, host: str, dr: Any, binding_slot: int, max_conns: int, cur_conns: int) -> Any:
        return self._act(False)

    def binding_group_choose_binding(self, msg: Any, group: str) -> Any:
        return self._act(1)

    def outbound_smtp_auth_config(self, dr: Any, binding_slot: int, host: str, refused: bytes) -> Any:
        return self._act(None)


class BreakerTests(SynchronousTestCase):
    """
    A provider that spoils things is left alone for a while.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.hooks = OutboundHooks()
        rules = self.hooks.turn.rules
        rules.clock, rules.slow, rules.failures, rules.pause = self.clock.seconds, 0.1, 3, 60.0
        self.provider = Moody(self.clock)
        self.hooks.register_last(self.provider)

    def reopen(self) -> None:
        self.hooks.log_reopen.notify(lambda hook: hook.log_reopen())

    def state(self) -> str:
        return self.hooks.log_reopen.provided[0].state

    def test_opens(self) -> None:
        """
        After so many failures in a row it is not called; after the pause once, and again if that goes well.
        """
        self.provider.wrong = True
        for _ in range(10):
            self.reopen()
        self.assertEqual((self.provider.called, self.state()), (3, "open"))
        self.clock.advance(60)
        self.assertEqual(self.state(), "half-open")
        self.reopen()
        self.reopen()
        self.assertEqual((self.provider.called, self.state()), (4, "open"))
        self.provider.wrong = False
        self.clock.advance(60)
        self.reopen()
        self.reopen()
        self.assertEqual((self.provider.called, self.state()), (6, "closed"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 4)

    def test_in_a_row(self) -> None:
        """
        A call that goes well in between is a new beginning; another hook's failures do not count.
        """
        for wrong in (True, True, False, True, True, False):
            self.provider.wrong = wrong
            self.reopen()
        self.assertEqual(self.state(), "closed")
        self.provider.wrong = True
        dr: Any = None
        for _ in range(3):
            self.hooks.connection_goal.fold(9, lambda hook, goal: hook.connection_goal(dr, 0, 0, goal))
        self.assertEqual((self.state(), self.hooks.connection_goal.provided[0].state), ("closed", "open"))
        self.flushLoggedErrors(ValueError)

    def test_slow(self) -> None:
        """
        One that takes too long is found out when it returns.
        """
        self.provider.takes = 0.2
        for _ in range(5):
            self.reopen()
        each = self.hooks.log_reopen.provided[0]
        self.assertEqual((self.provider.called, each.slow, each.state), (3, 3, "open"))
        self.assertAlmostEqual(each.longest, 0.2)
        self.assertAlmostEqual(each.seconds, 0.6)

    def test_what_follows(self) -> None:
        """
        What an open breaker means: a veto says no, all others count as if nobody had been there.
        """
        self.provider.wrong = True
        dr: Any = None
        hooks = self.hooks
        goals, vetoes, slots = [], [], []
        for _ in range(5):
            goals.append(hooks.connection_goal.fold(9, lambda hook, goal: hook.connection_goal(dr, 0, 0, goal)))
            vetoes.append(hooks.veto_host_connection.vetoed(lambda hook: hook.veto_host_connection("mx", dr, 0, -1, 0)))
            slots.append(
                hooks.binding_group_choose_binding.override(lambda hook: hook.binding_group_choose_binding(dr, "g"))
            )
            self.assertRaises(
                HookFailed,
                hooks.outbound_smtp_auth_config.inquire,
                lambda hook: hook.outbound_smtp_auth_config(dr, 0, "mx", b""),
                self.clock,
                10.0,
            )
        self.assertEqual((goals, vetoes, slots), ([9] * 5, [True] * 5, [None] * 5))
        self.assertEqual(self.provider.called, 3 * 4)
        self.flushLoggedErrors(ValueError)

    def test_never_answers(self) -> None:
        """
        One that never answers counts as failed when its time is over.
        """

        @implementer(IOutboundSmtpAuthConfig)
        class Silent:
            def outbound_smtp_auth_config(self, dr: Any, binding_slot: int, host: str, refused: bytes) -> Any:
                return Deferred()

        hooks = OutboundHooks()
        hooks.register_last(Silent())
        hooks.turn.rules.failures = 1
        hooks.turn.rules.clock = self.clock.seconds
        answer: Any = hooks.outbound_smtp_auth_config.inquire(
            lambda hook: hook.outbound_smtp_auth_config(None, 0, "mx", b""),  # type: ignore[arg-type]
            self.clock,
            10.0,
        )
        self.clock.advance(11)
        self.failureResultOf(answer, HookFailed)
        self.assertEqual(hooks.outbound_smtp_auth_config.provided[0].state, "open")

    def test_never(self) -> None:
        """
        Without a number of failures nobody is left alone, and a part of the service never is.
        """
        self.hooks.turn.rules.failures = 0
        self.provider.wrong = True
        for _ in range(10):
            self.reopen()
        self.assertEqual(self.provider.called, 10)
        hooks = OutboundHooks()
        hooks.turn.rules.failures = 1
        self.provider.part_of_service = True  # type: ignore[attr-defined]
        hooks.register_last(self.provider)
        for _ in range(10):
            hooks.log_reopen.notify(lambda hook: hook.log_reopen())
        self.assertEqual(self.provider.called, 20)
        self.flushLoggedErrors(ValueError)

    def test_told(self) -> None:
        """
        How it does is told in numbers.
        """
        self.reopen()
        told = self.hooks.log_reopen.provided[0].told()
        self.assertEqual((told["calls"], told["failed"], told["breaker"]), (1, 0, "closed"))

    def test_named_keeps(self) -> None:
        """
        A provider that stays through a new configuration keeps its numbers.
        """
        hooks = OutboundHooks()
        hooks.set_named([self.provider])
        hooks.log_reopen.notify(lambda hook: hook.log_reopen())
        hooks.set_named([self.provider])
        self.assertEqual(hooks.log_reopen.provided[0].calls, 1)


class Pool:
    """
    A thread that works when it is let.
    """

    def __init__(self) -> None:
        self.jobs: list[tuple[Deferred[Any], Any, tuple[Any, ...]]] = []

    def run(self, function: Any, *args: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.jobs.append((done, function, args))
        return done

    def work(self) -> None:
        done, function, args = self.jobs.pop(0)
        try:
            result = function(*args)
        except Exception:
            done.errback()
        else:
            done.callback(result)


@implementer(ILogDeliveryV1)
class Slow:
    """
    Writes to a database, say.
    """

    threaded = True

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def log_delivery_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self.heard.append((msg.recipient, msg.num_retries, dr.domain))
        if len(self.heard) == 2:
            raise ValueError("deadlock")


class ThreadedTests(SynchronousTestCase):
    """
    Providers that block.
    """

    def test_aside(self) -> None:
        """
        They hear of everything in its order, one after the other, with what was true when it happened.
        """
        provider = Slow()
        bench = Bench(provider)
        pool = Pool()
        bench.hooks.turn.threads = pool  # type: ignore[assignment]
        for number in range(3):
            message = bench.message(f"u{number}@shop.example")
            bench.call("log_delivery_v1", message, message.domain, bench.now, b"250")
            message.num_retries = 7
        self.assertEqual((provider.heard, len(pool.jobs)), ([], 1))
        for _ in range(3):
            pool.work()
        self.assertEqual([each[:2] for each in provider.heard], [(b"u%d@shop.example" % n, 0) for n in range(3)])
        self.assertEqual(pool.jobs, [])
        each = bench.hooks.log_delivery_v1.provided[0]
        self.assertEqual((each.calls, each.failed), (3, 1))
        self.flushLoggedErrors(ValueError)

    def test_refused(self) -> None:
        """
        Where an answer is needed at once nobody can be threaded.
        """

        @implementer(IConnectionGoal)
        class Threaded:
            threaded = True

            def connection_goal(self, dr: Any, binding_slot: int, queued: int, goal: int) -> int:
                return goal

        with self.assertRaises(StartupError) as caught:
            OutboundHooks().register_last(Threaded())
        self.assertIn("cannot be waited for", str(caught.exception))
