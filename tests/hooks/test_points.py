"""
Tests of :mod:`momentum_tx.hooks.points`.
"""

import gc
import warnings
from collections.abc import Callable
from typing import Any

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer

from momentum_tx.errors import HookReentered, StartupError
from momentum_tx.hooks import points, turn
from momentum_tx.hooks.points import Exchange, Fold, HookPoint, Notice, Override, Veto
from momentum_tx.hooks.turn import Turn


class IPing(Interface):
    """
    A hook for these tests.
    """

    def ping(value: object) -> Any:
        """
        :param value: anything.
        """


@implementer(IPing)
class Provider:
    """
    Keeps what it was told in a list it shares, and does as it was made to.
    """

    def __init__(self, name: str, told: list[tuple[str, object]], act: Callable[[Any], Any] | None = None) -> None:
        self.name = name
        self._told = told
        self._act = act

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def ping(self, value: object) -> Any:
        self._told.append((self.name, value))
        return self._act(value) if self._act is not None else None


def fail(value: object) -> Any:
    """
    What a broken provider does.
    """
    raise RuntimeError("broken")


async def wait(value: object) -> bool:
    """
    What a provider does that takes a hook for one that may wait.
    """
    return False


class ChainCase(SynchronousTestCase):
    """
    A chain of providers and what they were told.
    """

    def setUp(self) -> None:
        self.turn = Turn()
        self.told: list[tuple[str, object]] = []

    def chain(self, point: HookPoint[Any], *acts: Callable[[Any], Any] | None) -> None:
        """
        Register providers ``a``, ``b``, ... that do *acts*.
        """
        for name, act in zip("abcdefgh", acts, strict=False):
            point.register_last(Provider(name, self.told, act))

    def names(self) -> str:
        """
        Who was called, in order.
        """
        return "".join(name for name, _ in self.told)

    def logged(self, call: Callable[[], object]) -> tuple[object, list[str]]:
        """
        The result of *call* and the texts it logged, tracebacks left out.
        """
        with capturedLogs() as events:
            result = call()
        self.flushLoggedErrors(RuntimeError)
        return result, [formatEvent(event) for event in events]

    def assertNeverAwaited(self, call: Callable[[], object]) -> None:
        """
        *call* leaves no coroutine behind for the interpreter to complain of.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
            gc.collect()
        self.assertEqual([str(warning.message) for warning in caught], [])


class NoticeTests(ChainCase):
    """
    All are told.
    """

    def setUp(self) -> None:
        super().setUp()
        self.point: Notice[Any] = Notice(IPing, self.turn)

    def notify(self, value: object = None) -> None:
        self.point.notify(lambda provider: provider.ping(value))

    def test_order(self) -> None:
        """
        All are told, first to last; what they return is nobody's business.
        """
        self.chain(self.point, None, lambda value: True, lambda value: "no")
        self.notify(7)
        self.assertEqual(self.told, [("a", 7), ("b", 7), ("c", 7)])

    def test_empty(self) -> None:
        """
        Without providers nothing is called, nor kept for later while another hook's provider runs.
        """
        other: Notice[Any] = Notice(IPing, self.turn)
        waiting: list[int] = []

        def act(value: object) -> None:
            self.point.notify(fail)
            waiting.append(len(self.turn.waiting))

        self.chain(other, act)
        self.assertFalse(self.point)
        self.point.notify(fail)
        other.notify(lambda provider: provider.ping(0))
        self.assertEqual(waiting, [0])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_raising(self) -> None:
        """
        One that raises is named in the log; the next is told all the same.
        """
        self.chain(self.point, fail, None)
        _, logged = self.logged(self.notify)
        self.assertEqual(self.names(), "ab")
        self.assertEqual(logged, ["hook ping: provider <a> raised"])

    def test_waits_its_turn(self) -> None:
        """
        A notice that a provider causes is told after it has returned, and in the order of causes:
        everybody hears of the cause before its consequence.
        """
        events: list[str] = []

        def act(value: int) -> None:
            events.append(f"begin {value}")
            if value < 2:
                self.notify(value + 1)
            events.append(f"end {value}")

        self.chain(self.point, act, None)
        self.notify(0)
        self.assertEqual(events, ["begin 0", "end 0", "begin 1", "end 1", "begin 2", "end 2"])
        self.assertEqual(self.told, [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)])

    def test_caused_before_raising(self) -> None:
        """
        What a provider caused before it raised is told.
        """

        def act(value: int) -> None:
            if value == 0:
                self.notify(1)
                raise RuntimeError("broken")

        self.chain(self.point, act, None)
        self.logged(lambda: self.notify(0))
        self.assertEqual(self.told, [("a", 0), ("b", 0), ("a", 1), ("b", 1)])

    def test_without_end(self) -> None:
        """
        A provider that answers every notice with another is stopped, and the log names the hook.
        """
        for module in (points, turn):
            self.patch(module, "MAX_WAITING_NOTICES", 50)
        self.chain(self.point, self.notify)
        _, logged = self.logged(lambda: self.notify(1))
        self.assertEqual(len(self.told), 51)
        self.assertEqual(logged, ["hook ping: a notice was dropped, notices cause notices without end"])
        self.assertFalse(self.turn.waiting)
        self.told.clear()
        self.chain(self.point)
        self.logged(lambda: self.notify(2))
        self.assertEqual(len(self.told), 51)

    def test_multiplying(self) -> None:
        """
        A provider that answers every notice with two is stopped as well.
        """
        for module in (points, turn):
            self.patch(module, "MAX_WAITING_NOTICES", 50)

        def two(value: object) -> None:
            self.notify()
            self.notify()

        self.chain(self.point, two)
        _, logged = self.logged(self.notify)
        self.assertEqual(len(self.told), 51)
        self.assertIn("hook ping: a notice was dropped, a running provider causes too many", logged)
        self.assertFalse(self.turn.waiting)

    def test_flood(self) -> None:
        """
        A provider that causes thousands of notices at once fills no memory: what is too much is dropped and logged.
        """
        for module in (points, turn):
            self.patch(module, "MAX_WAITING_NOTICES", 50)

        def flood(value: int) -> None:
            if not value:
                for number in range(1, 61):
                    self.notify(number)

        self.chain(self.point, flood)
        _, logged = self.logged(lambda: self.notify(0))
        self.assertEqual([value for _, value in self.told], list(range(51)))
        self.assertEqual(logged, ["hook ping: a notice was dropped, a running provider causes too many"] * 10)

    def test_bound(self) -> None:
        """
        The bound is wide enough for the largest purge a hook would follow.
        """
        self.assertEqual(turn.MAX_WAITING_NOTICES, 10_000)

    def test_coroutine(self) -> None:
        """
        A notice is not awaited: a provider that is ``async`` by mistake is named in the log, the next is told.
        """
        self.chain(self.point, wait, None)
        _, logged = self.logged(lambda: self.assertNeverAwaited(self.notify))
        self.assertEqual(self.names(), "ab")
        (text,) = logged
        self.assertIn("hook ping: provider <a> answered <coroutine object wait", text)


class TellTests(NoticeTests):
    """
    The shorter way to tell all is the same in everything.
    """

    def notify(self, value: object = None) -> None:
        self.point.tell(value)


class VetoTests(ChainCase):
    """
    The first "no" decides.
    """

    def vetoed(self, *acts: Callable[[Any], Any] | None) -> tuple[object, list[str]]:
        point: Veto[Any] = Veto(IPing, self.turn)
        self.told.clear()
        self.chain(point, *acts)
        result, logged = self.logged(lambda: point.vetoed(lambda provider: provider.ping(None)))
        self.assertEqual((self.turn.asking, self.turn.running), (0, 0))
        return result, logged

    def test_table(self) -> None:
        """
        Who is asked, what comes of it, and how often something is logged.
        """
        no: Callable[[Any], Any] = lambda value: True  # noqa: E731
        one: Callable[[Any], Any] = lambda value: 1  # noqa: E731
        go: Callable[[Any], Any] = lambda value: False  # noqa: E731
        zero: Callable[[Any], Any] = lambda value: 0  # noqa: E731
        word: Callable[[Any], Any] = lambda value: ""  # noqa: E731
        for acts, asked, vetoed, complaints in (
            ((), "", False, 0),
            ((None,), "a", False, 0),
            ((go, None, zero), "abc", False, 0),
            ((no, go), "a", True, 0),
            ((one, go), "a", True, 0),
            ((go, no, go), "ab", True, 0),
            ((go, fail, go), "ab", True, 1),
            ((fail, no), "a", True, 1),
            # Nonsense counts as "no", whatever its truth: the mail waits, and the log says why.
            ((word, go), "a", True, 1),
            ((wait, go), "a", True, 1),
        ):
            result, logged = self.vetoed(*acts)
            self.assertIs(result, vetoed, acts)
            self.assertEqual((self.names(), len(logged)), (asked, complaints), acts)

    def test_complaints(self) -> None:
        """
        The log names the hook, the provider, and what it answered.
        """
        self.assertEqual(self.vetoed(fail)[1], ["hook ping: provider <a> raised"])
        self.assertEqual(
            self.vetoed(lambda value: "maybe")[1],
            ["hook ping: provider <a> answered 'maybe', which is no answer to this question"],
        )

    def test_coroutine(self) -> None:
        """
        A provider that is ``async`` by mistake leaves no warning behind.
        """
        self.assertNeverAwaited(lambda: self.vetoed(wait))


class OverrideTests(ChainCase):
    """
    The first answer decides.
    """

    def override(self, *acts: Callable[[Any], Any] | None) -> tuple[object, list[str]]:
        point: Override[Any, int] = Override(IPing, self.turn, int)
        self.told.clear()
        self.chain(point, *acts)
        result, logged = self.logged(lambda: point.override(lambda provider: provider.ping(None)))
        self.assertEqual((self.turn.asking, self.turn.running), (0, 0))
        return result, logged

    def test_table(self) -> None:
        """
        Who is asked, what is answered (``None`` runs the default), and how often something is logged.
        """
        four: Callable[[Any], Any] = lambda value: 4  # noqa: E731
        zero: Callable[[Any], Any] = lambda value: 0  # noqa: E731
        word: Callable[[Any], Any] = lambda value: "4"  # noqa: E731
        for acts, asked, answer, complaints in (
            ((), "", None, 0),
            ((None, None), "ab", None, 0),
            ((None, four, zero), "ab", 4, 0),
            # Nought is an answer.
            ((zero, four), "a", 0, 0),
            # Who spoils an answer spoils his own.
            ((fail, four), "ab", 4, 1),
            ((None, fail, four), "abc", 4, 1),
            ((word, four), "ab", 4, 1),
            ((wait, four), "ab", 4, 1),
            ((fail, word), "ab", None, 2),
        ):
            result, logged = self.override(*acts)
            self.assertEqual(result, answer, acts)
            self.assertEqual((self.names(), len(logged)), (asked, complaints), acts)

    def test_coroutine(self) -> None:
        """
        A provider that is ``async`` by mistake leaves no warning behind.
        """
        self.assertNeverAwaited(lambda: self.override(wait))


class FoldTests(ChainCase):
    """
    Each has its say.
    """

    def fold(self, *acts: Callable[[Any], Any] | None) -> tuple[object, list[str]]:
        point: Fold[Any, float] = Fold(IPing, self.turn, float, int)
        self.told.clear()
        self.chain(point, *acts)
        result, logged = self.logged(lambda: point.fold(10, lambda provider, value: provider.ping(value)))
        self.assertEqual((self.turn.asking, self.turn.running), (0, 0))
        return result, logged

    def test_table(self) -> None:
        """
        What each was given, what comes of it, and how often something is logged.
        """
        double: Callable[[Any], Any] = lambda value: value * 2  # noqa: E731
        third: Callable[[Any], Any] = lambda value: value + 1 / 4  # noqa: E731
        zero: Callable[[Any], Any] = lambda value: 0  # noqa: E731
        word: Callable[[Any], Any] = lambda value: "20"  # noqa: E731
        nan: Callable[[Any], Any] = lambda value: float("nan")  # noqa: E731
        for acts, given, result, complaints in (
            ((), [], 10, 0),
            ((double,), [10], 20, 0),
            ((double, third), [10, 20], 20.25, 0),
            ((third, double), [10, 10.25], 20.5, 0),
            ((zero, third), [10, 0], 0.25, 0),
            ((double, fail, double), [10, 20, 20], 40, 1),
            # A provider that forgets to return the value has said nothing.
            ((None, double), [10, 10], 20, 1),
            ((word, double), [10, 10], 20, 1),
            ((double, nan, double), [10, 20, 20], 40, 1),
            ((wait, double), [10, 10], 20, 1),
            ((fail, fail), [10, 10], 10, 2),
        ):
            found, logged = self.fold(*acts)
            self.assertEqual(found, result, acts)
            self.assertEqual(([value for _, value in self.told], len(logged)), (given, complaints), acts)

    def test_coroutine(self) -> None:
        """
        A provider that is ``async`` by mistake leaves no warning behind.
        """
        self.assertNeverAwaited(lambda: self.fold(wait))


class TurnTests(ChainCase):
    """
    One provider at a time.
    """

    def test_asked(self) -> None:
        """
        A hook that is asked may not call what asks; one that is told may, as may anybody else.
        """
        refusals: list[str] = []

        def act(value: object) -> None:
            try:
                self.turn.refuse_when_asking("initiate_connection")
            except HookReentered as error:
                refusals.append(str(error))

        act(None)
        notice: Notice[Any] = Notice(IPing, self.turn)
        self.chain(notice, act)
        notice.notify(lambda provider: provider.ping(None))
        self.assertEqual(refusals, [])
        veto: Veto[Any] = Veto(IPing, self.turn)
        override: Override[Any, int] = Override(IPing, self.turn, int)
        for point in (veto, override):
            self.chain(point, act)
        self.assertFalse(veto.vetoed(lambda provider: provider.ping(None)))
        self.assertIs(override.override(lambda provider: provider.ping(None)), None)
        self.assertEqual(len(refusals), 2)
        self.assertIn("initiate_connection was called by a hook", refusals[0])

    def test_refusal_uncaught(self) -> None:
        """
        A provider that does not catch the refusal counts as one that raises, and nothing stays locked.
        """
        veto: Veto[Any] = Veto(IPing, self.turn)
        self.chain(veto, lambda value: self.turn.refuse_when_asking("initiate_connection"))
        self.assertTrue(veto.vetoed(lambda provider: provider.ping(None)))
        self.assertEqual(len(self.flushLoggedErrors(HookReentered)), 1)
        self.turn.refuse_when_asking("initiate_connection")

    def test_notice_while_asked(self) -> None:
        """
        A notice that arises while a provider is asked is told once the whole question is answered.
        """
        notice: Notice[Any] = Notice(IPing, self.turn)
        notice.register_last(Provider("n", self.told))
        veto: Veto[Any] = Veto(IPing, self.turn)

        def act(value: object) -> None:
            notice.notify(lambda provider: provider.ping("news"))
            self.told.append(("answered", None))

        self.chain(veto, act, None)
        self.assertFalse(veto.vetoed(lambda provider: provider.ping("question")))
        self.assertEqual(self.told, [("a", "question"), ("answered", None), ("b", "question"), ("n", "news")])

    def test_question_inside_notice(self) -> None:
        """
        What is caused by a question that a told provider leads to waits until that provider has returned too.
        """
        notice: Notice[Any] = Notice(IPing, self.turn)
        veto: Veto[Any] = Veto(IPing, self.turn)
        veto.register_last(
            Provider("v", self.told, lambda value: notice.notify(lambda provider: provider.ping("news")))
        )

        def act(value: object) -> None:
            if value == "first":
                self.assertFalse(veto.vetoed(lambda provider: provider.ping("question")))
                self.told.append(("returned", None))

        self.chain(notice, act)
        notice.notify(lambda provider: provider.ping("first"))
        self.assertEqual(self.told, [("a", "first"), ("v", "question"), ("returned", None), ("a", "news")])

    def test_shared(self) -> None:
        """
        Two points of one service share the turn; those of two services do not.
        """
        inner: Notice[Any] = Notice(IPing, self.turn)
        inner.register_last(Provider("inner", self.told))
        foreign: Notice[Any] = Notice(IPing, Turn())
        foreign.register_last(Provider("foreign", self.told))
        outer: Notice[Any] = Notice(IPing, self.turn)

        def act(value: object) -> None:
            inner.notify(lambda provider: provider.ping(1))
            foreign.notify(lambda provider: provider.ping(2))

        self.chain(outer, act)
        outer.notify(lambda provider: provider.ping(0))
        self.assertEqual(self.told, [("a", 0), ("foreign", 2), ("inner", 1)])


class RegistrationTests(SynchronousTestCase):
    """
    Who is in a chain.
    """

    def setUp(self) -> None:
        self.point: Notice[Any] = Notice(IPing, Turn())
        self.told: list[tuple[str, object]] = []

    def test_first_and_last(self) -> None:
        """
        Providers go before or after those that are there; a point is true when it has any.
        """
        self.assertFalse(self.point)
        a, b, c, d = (Provider(name, self.told) for name in "abcd")
        self.point.register_last(a)
        self.point.register_first(b)
        self.point.register_last(c)
        self.point.register_first(d)
        self.assertEqual(self.point.providers, (d, b, a, c))
        self.assertTrue(self.point)
        self.point.notify(lambda provider: provider.ping(1))
        self.assertEqual([name for name, _ in self.told], ["d", "b", "a", "c"])

    def test_wrong(self) -> None:
        """
        A provider without the method, with another signature, or without the declaration fails by name.
        """

        @implementer(IPing)
        class Nothing:  # type: ignore[misc]
            def __repr__(self) -> str:
                return "<Nothing>"

        @implementer(IPing)
        class Greedy:
            def ping(self, value: object, more: object) -> None: ...  # type: ignore[override]

        class Undeclared:
            def ping(self, value: object) -> None: ...

        for provider, why in ((Nothing(), "ping"), (Greedy(), "too many"), (Undeclared(), "declar")):
            for register in (self.point.register_first, self.point.register_last):
                error = self.assertRaises(StartupError, register, provider)
                self.assertIn(f"hook ping: {provider!r} does not fulfil the contract", str(error))
                self.assertIn(why, str(error))
        self.assertEqual(self.point.providers, ())

    def test_frozen(self) -> None:
        """
        Once the service has started nobody can be registered.
        """
        provider = Provider("a", self.told)
        self.point.register_last(provider)
        self.point.freeze()
        for register in (self.point.register_first, self.point.register_last):
            error = self.assertRaises(StartupError, register, Provider("late", self.told))
            self.assertIn("hook ping: <late> comes too late", str(error))
        self.assertEqual(self.point.providers, (provider,))


class ExchangeTests(ChainCase):
    """
    Everybody has a say towards the peer.
    """

    def test_each(self) -> None:
        """
        Each is asked when it is its turn; whoever has nothing to say is left out, and whoever raises or talks nonsense
        stands as nothing.
        """
        point = Exchange[Any](IPing, self.turn)

        def words(value: object) -> Any:
            yield value

        self.chain(point, words, None, fail, lambda value: [value], words)
        each = point.each(lambda provider: provider.ping(1))
        first = next(each)
        assert first is not None
        self.assertEqual((list(first), self.names()), ([1], "a"))
        with capturedLogs() as events:
            self.assertEqual([answer is None for answer in each], [True, True, False])
        self.assertEqual(self.names(), "abcde")
        self.assertEqual(len(events), 2)
        self.flushLoggedErrors(RuntimeError)

    def test_asked(self) -> None:
        """
        While it is asked, nothing may be called that asks; while it speaks, notices wait, also when it raises.
        """
        point, notice = Exchange[Any](IPing, self.turn), Notice[Any](IPing, self.turn)
        order: list[str] = []
        self.chain(notice, lambda value: order.append("told"))

        def step() -> None:
            self.turn.refuse_when_asking("it")
            notice.notify(lambda provider: provider.ping(1))
            order.append("said")
            raise KeyError

        self.assertRaises(KeyError, point.step, step)
        self.assertEqual(order, ["said", "told"])
        self.chain(point, lambda value: self.turn.refuse_when_asking("it"))
        self.assertEqual(list(point.each(lambda provider: provider.ping(1))), [None])
        self.flushLoggedErrors(HookReentered)
