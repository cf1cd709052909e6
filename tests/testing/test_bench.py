"""
Tests of :mod:`momentum_tx.testing.bench`.  Its makers are used by every example
of ``examples/hooks``.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.errors import HookFailed, StartupError
from momentum_tx.interfaces.hooks import IConnectionGoal, ILogReopen, IOutboundSmtpAuthConfig, IVetoHostConnection
from momentum_tx.interfaces.records import IClientSession, IConnectionHandle, IDomainRecord, IMessage, IReception
from momentum_tx.policy.credentials import Credentials
from momentum_tx.testing.bench import BEGINNING, Bench, PolicyFailed, result_of


@implementer(IConnectionGoal, IVetoHostConnection)
class Policy:
    """
    Answers with what it is told to.
    """

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def connection_goal(self, dr: Any, binding_slot: int, queued: int, goal: int) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def veto_host_connection(self, host: str, dr: Any, binding_slot: int, max_conns: int, cur_conns: int) -> Any:
        return self.answer


@implementer(IOutboundSmtpAuthConfig)
class Waiting:
    """
    Fetches credentials that come when they want to.
    """

    def __init__(self) -> None:
        self.coming: Deferred[Credentials | None] = Deferred()

    def outbound_smtp_auth_config(self, dr: Any, binding_slot: int, host: str, refused: bytes) -> Any:
        return self.coming


@implementer(ILogReopen)
class Broken:
    """
    Fails when it is told.
    """

    def log_reopen(self) -> None:
        raise OSError("no such directory")


class BenchTests(SynchronousTestCase):
    """
    One policy.
    """

    def test_records(self) -> None:
        """
        What it makes is what the service would show.
        """
        bench = Bench()
        dr = bench.domain("shop.example", deliveries=3)
        message = bench.message("lea@shop.example", dr, num_retries=2, tenant="letters", expires=BEGINNING + 60)
        handle = bench.handle(dr, 1, "mx2.shop.example")
        session = bench.session(handle, "SIZE 1000\nDSN", message=message)
        verifyObject(IDomainRecord, dr)
        verifyObject(IMessage, message)
        verifyObject(IReception, message.reception)
        verifyObject(IConnectionHandle, handle)
        verifyObject(IClientSession, session)
        self.assertEqual((dr.deliveries, message.num_retries, message.reception.tenant), (3, 2, "letters"))
        self.assertEqual((message.reception.expires, handle.connection.host_name), (BEGINNING + 60, "mx2.shop.example"))
        self.assertEqual((session.extensions.size_limit, session.extensions.dsn), (1000, True))
        with self.assertRaises(AttributeError):
            bench.domain("shop.example", deliverys=3)

    def test_answers(self) -> None:
        """
        A chain answers as it does in the service.
        """
        bench = Bench(Policy(4), Policy(6))
        self.assertEqual(bench.call("connection_goal", bench.domain(), 0, 40, 9), 6)
        self.assertIs(bench.call("veto_host_connection", "mx", bench.domain(), 0, -1, 2), True)

    def test_complaints(self) -> None:
        """
        What the service would only log fails here: an exception, an answer that is none.
        """
        for answer, words in ((ValueError("no such tenant"), "no such tenant"), ("many", "'many'")):
            bench = Bench(Policy(answer))
            with self.assertRaises(PolicyFailed) as caught:
                bench.call("connection_goal", bench.domain(), 0, 40, 9)
            self.assertIn(words, str(caught.exception))
            self.assertIn("connection_goal", str(caught.exception))
            self.flushLoggedErrors()
        with self.assertRaises(PolicyFailed):
            Bench(Broken()).call("log_reopen")
        self.flushLoggedErrors()

    def test_waiting(self) -> None:
        """
        Whoever may wait is waited for on the bench's own clock, as long as there is patience.
        """
        provider = Waiting()
        bench = Bench(provider)
        answer = bench.call("outbound_smtp_auth_config", bench.domain(), 0, "mx", b"", patience=10)
        with self.assertRaises(PolicyFailed):
            result_of(answer)
        bench.advance(9)
        provider.coming.callback(Credentials("me", "secret"))
        self.assertEqual(result_of(answer).user, "me")
        bench = Bench(Waiting())
        answer = bench.call("outbound_smtp_auth_config", bench.domain(), 0, "mx", b"", patience=10)
        bench.advance(11)
        self.assertRaises(HookFailed, result_of, answer)

    def test_no_provider(self) -> None:
        """
        What provides nothing is refused, as by the service.
        """
        self.assertRaises(StartupError, Bench, object())
