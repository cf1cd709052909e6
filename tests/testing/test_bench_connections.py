"""
Tests of :mod:`momentum_tx.testing.bench_connections`.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx import ConnFlag, initiate_connection, initiate_connection_smtp, open_connection
from momentum_tx.errors import ConnectFailed, ConnectionNotInitiated, ConnectTimedOut, HookReentered
from momentum_tx.interfaces.hooks import IConnectionGoal, ILogClientConnectionFailure
from momentum_tx.interfaces.services import IConnectionInitiator
from momentum_tx.testing.bench import Bench, PolicyFailed


@implementer(ILogClientConnectionFailure)
class SecondWay:
    """
    Tries a domain from the next binding when one was refused, and counts what came of it.
    """

    def __init__(self) -> None:
        self.ends: list[tuple[str, int, object, float]] = []

    def log_client_connection_failure(self, addr: Any, err: ConnFlag, dr: Any, binding_slot: int, now: Any) -> None:
        initiate_connection(
            dr,
            binding_slot + 1,
            now,
            lambda handle, error, at: self.ends.append(("finished", int(error), handle.user_data, at)),
            lambda handle, at: self.ends.append(("timed out", int(handle.error), handle.user_data, at)),
            "again",
        )


@implementer(IConnectionGoal)
class Reentering:
    """
    Connects while it is being asked.
    """

    def connection_goal(self, dr: Any, binding_slot: int, queued: int, goal: int) -> int:
        initiate_connection_smtp(dr, binding_slot, None)
        return goal


class BenchConnectionsTests(SynchronousTestCase):
    """
    A policy that connects.
    """

    def setUp(self) -> None:
        self.policy = SecondWay()
        self.bench = Bench(self.policy)
        self.dr = self.bench.domain()

    def fail_once(self) -> Any:
        error = ConnFlag.ERROR_CONNECT_NETWORK
        self.bench.call("log_client_connection_failure", self.bench.address(), error, self.dr, 3, self.bench.now)
        return self.bench.attempts[-1]

    def test_ends(self) -> None:
        """
        Each attempt ends as its author says, with one callback.
        """
        verifyObject(IConnectionInitiator, self.bench.connections)
        began = self.bench.now
        first, second, third = self.fail_once(), self.fail_once(), self.fail_once()
        self.assertEqual((first.dr, first.binding_slot, first.now, first.ended), (self.dr, 4, began, False))
        self.assertEqual(self.policy.ends, [])
        self.bench.advance(7)
        first.connected(address="192.0.2.9")
        second.failed()
        third.timed_out()
        timed_out = int(ConnFlag.ERROR_CONNECT_TIMEOUT)
        refused = int(ConnFlag.ERROR_CONNECT_NETWORK)
        self.assertEqual(
            self.policy.ends,
            [
                ("finished", 0, "again", began + 7),
                ("finished", refused, "again", began + 7),
                ("timed out", timed_out, "again", began + 7),
            ],
        )
        self.assertEqual(first.handle.connection.address, "192.0.2.9")
        for attempt in (first, second, third):
            self.assertRaises(ValueError, attempt.timed_out)

    def test_deferred(self) -> None:
        """
        The Deferred of an attempt fires by the same rules.
        """
        opened, failed, late, closed = (open_connection(self.dr, 0) for _ in range(4))
        one, two, three, four = self.bench.attempts
        one.connected()
        self.assertIs(self.successResultOf(opened), one.handle)
        two.failed()
        self.failureResultOf(failed, ConnectFailed)
        three.timed_out()
        self.failureResultOf(late, ConnectTimedOut)
        closed.addErrback(lambda _: None)
        closed.cancel()
        self.assertTrue(four.ended)

    def test_refused(self) -> None:
        """
        A refusal is an error, and for mail its bare cause.
        """
        self.bench.connections.refusal = ConnFlag.ERROR_SMTP_NULL_MX | ConnFlag.ACTION_PURGE_DOMAIN
        failure = self.failureResultOf(open_connection(self.dr, 0), ConnectionNotInitiated)
        self.assertEqual(failure.value.flags, self.bench.connections.refusal)
        self.assertEqual(initiate_connection_smtp(self.dr, 0, None), ConnFlag.ERROR_SMTP_NULL_MX)
        self.assertEqual(self.bench.attempts, [])

    def test_for_mail(self) -> None:
        """
        An attempt for mail is on record; nobody waits for its end here.
        """
        self.assertEqual(initiate_connection_smtp(self.dr, 2, 5.0), 0)
        (attempt,) = self.bench.attempts
        self.assertEqual((attempt.binding_slot, attempt.now, attempt.handle), (2, 5.0, None))
        self.assertRaises(ValueError, attempt.connected)

    def test_reentered(self) -> None:
        """
        Who is asked must not connect, as in the service.
        """
        bench = Bench(Reentering())
        error = self.assertRaises(PolicyFailed, bench.call, "connection_goal", bench.domain(), 0, 5, 1)
        self.assertIn("initiate_connection_smtp was called by a hook that was asked", str(error))
        self.assertEqual(len(self.flushLoggedErrors(HookReentered)), 1)
        self.assertEqual(bench.attempts, [])
