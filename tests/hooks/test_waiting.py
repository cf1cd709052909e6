"""
Tests of :mod:`momentum_tx.hooks.waiting`.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer

from momentum_tx.errors import HookFailed, HookReentered
from momentum_tx.hooks.turn import Turn
from momentum_tx.hooks.waiting import Inquiry


class IChoose(Interface):
    """
    Hook: which number?
    """

    def choose(number: int) -> Any:
        """
        Asked.

        :param number: one.
        """


@implementer(IChoose)
class Provider:
    """
    Answers as it is told to.
    """

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer
        self.asked = 0

    def choose(self, number: int) -> Any:
        self.asked += 1
        return self.answer()


class InquiryTests(SynchronousTestCase):
    """
    A question that may take some time.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.turn = Turn()
        self.point: Inquiry[Any, int] = Inquiry(IChoose, self.turn, int)

    def ask(self, *answers: Callable[[], Any]) -> Any:
        """
        The answer of providers that answer so.
        """
        self.providers = [Provider(answer) for answer in answers]
        for provider in self.providers:
            self.point.register_last(provider)
        return self.point.inquire(lambda each: each.choose(1), self.clock, 5.0)

    def failed(self, asked: Deferred[Any]) -> str:
        """
        Why a question that was waited for has failed; the timer is gone.
        """
        text = str(self.failureResultOf(asked, HookFailed).value)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return text

    def test_at_once(self) -> None:
        """
        An answer that is there is the answer, and nobody behind is asked.
        """
        self.assertEqual(self.ask(lambda: None, lambda: 7, lambda: 8), 7)
        self.assertEqual([each.asked for each in self.providers], [1, 1, 0])

    def test_default(self) -> None:
        """
        Nobody, or nobody who knows: the default.
        """
        self.assertIsNone(self.ask())
        self.assertIsNone(self.ask(lambda: None, lambda: None))

    def test_waiting(self) -> None:
        """
        A Deferred is waited for, and a ``None`` in it asks the next.
        """
        first: Deferred[Any] = Deferred()

        async def second() -> int:
            return 9

        asked = self.ask(lambda: first, second)
        self.assertNoResult(asked)
        self.assertEqual(self.turn.asking, 0)
        first.callback(None)
        self.assertEqual(self.successResultOf(asked), 9)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waiting_for_nothing(self) -> None:
        """
        Nobody knows, after some time: the default.
        """
        asked = self.ask(lambda: succeed(None), lambda: None)
        self.assertIsNone(self.successResultOf(asked))

    def test_late(self) -> None:
        """
        Whoever is not done in time is cancelled, and the question has failed.
        """
        cancelled: list[object] = []
        asked = self.ask(lambda: Deferred(cancelled.append), lambda: 8)
        self.clock.advance(4.9)
        self.assertNoResult(asked)
        self.clock.advance(0.2)
        self.assertEqual(self.failed(asked), "hook choose: no answer within 5 s")
        self.assertEqual((len(cancelled), self.providers[1].asked), (1, 0))

    def test_raising(self) -> None:
        """
        A provider that raises has failed the question, at once or later; each is logged.
        """

        def broken() -> Any:
            raise RuntimeError("broken")

        self.assertRaises(HookFailed, self.ask, broken, lambda: 8)
        self.assertEqual(self.providers[1].asked, 0)
        self.point.set_named([])
        self.point = Inquiry(IChoose, self.turn, int)
        self.assertEqual(self.failed(self.ask(lambda: fail(RuntimeError("broken")))), "hook choose: a provider raised")
        self.point = Inquiry(IChoose, self.turn, int)
        self.assertEqual(self.failed(self.ask(lambda: succeed(None), broken)), "hook choose: a provider raised")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 3)

    def test_nonsense(self) -> None:
        """
        An answer of the wrong type is none.
        """
        self.assertRaises(HookFailed, self.ask, lambda: "7")
        self.point = Inquiry(IChoose, self.turn, int)
        self.assertIn("no answer", self.failed(self.ask(lambda: succeed("7"))))

    def test_asked(self) -> None:
        """
        While a provider is being asked, connections may not be initiated; while it is waited for they may.
        """
        seen: list[str] = []

        def answer() -> Any:
            try:
                self.turn.refuse_when_asking("it")
            except HookReentered:
                seen.append("refused")
            return Deferred()

        asked = self.ask(answer)
        self.turn.refuse_when_asking("it")
        self.assertEqual(seen, ["refused"])
        asked.cancel()
        self.failureResultOf(asked)
        self.assertEqual(self.clock.getDelayedCalls(), [])
