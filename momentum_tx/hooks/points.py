"""
A hook point and its five shapes.

Momentum's chains of providers differ in what stops them and what counts as
"no".  Here there are five ways, and a hook point's class says which is its:

==========  ===========================  ========================  =====================================
shape       the caller asks              the chain ends when       a provider that raises
==========  ===========================  ========================  =====================================
Notice      nothing, it tells            everybody has heard       is logged and passed over
Veto        whether to go on             one forbids it            has forbidden it; no mail fails
Override    for another way than ours    one offers something      is logged, our way is taken
Fold        for a value                  everybody had a say       is logged and has had no say
Exchange    for words to the peer        everybody has spoken      is logged; the session ends
==========  ===========================  ========================  =====================================

An answer of the wrong type counts as raising; so does a coroutine, whatever the
shape, because no hook waits.  What an exchange answers with is a generator, and
waits as often as it likes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import CoroutineType, GeneratorType
from typing import Any, Generic, TypeVar

from twisted.logger import Logger
from zope.interface.exceptions import Invalid
from zope.interface.interface import InterfaceClass
from zope.interface.verify import verifyObject

from ..errors import HookReentered, StartupError

P = TypeVar("P")
V = TypeVar("V")

_log = Logger()

#: Notices one provider may cause while it runs; more are dropped and logged, so that
#: a provider that answers every notice with another cannot fill the memory.
MAX_WAITING_NOTICES = 10_000


class Turn:
    """
    What all hook points of a service share: whose turn it is.

    One provider runs at a time.  A notice that arises meanwhile waits until
    that provider has returned, and until all have heard of the notice that
    caused it.
    """

    __slots__ = ("_catching_up", "asking", "running", "waiting")

    def __init__(self) -> None:
        #: Questions that are being put to providers.
        self.asking = 0
        #: Chains that are being gone through, one inside the other.
        self.running = 0
        self.waiting: deque[tuple[Notice[Any], Callable[[Any], object]]] = deque()
        self._catching_up = False

    def refuse_when_asking(self, what: str) -> None:
        """
        Raise :class:`~momentum_tx.errors.HookReentered` inside an asked hook.
        """
        if self.asking:
            raise HookReentered(f"{what} was called by a hook that was asked a question; let the hook return first")

    def returned(self) -> None:
        """
        What :attr:`running` was raised for is over.
        """
        self.running -= 1
        if self.waiting and not self.running and not self._catching_up:
            self._catch_up()

    def _catch_up(self) -> None:
        self._catching_up = True
        told = 0
        try:
            while self.waiting:
                point, tell = self.waiting.popleft()
                if told < MAX_WAITING_NOTICES:
                    point.notify(tell)
                else:
                    _log.error("hook {hook}: a notice was dropped, notices cause notices without end", hook=point.name)
                told += 1
        finally:
            self._catching_up = False


class HookPoint(Generic[P]):
    """
    The chain of providers of one hook.  True when it has any.
    """

    __slots__ = ("_frozen", "_named", "_providers", "_turn", "interface", "name")

    def __init__(self, interface: InterfaceClass, turn: Turn) -> None:
        self.interface = interface
        (self.name,) = interface.names()
        self._turn = turn
        self._providers: list[P] = []
        #: Where in the chain the providers stand that a configuration names, and how many they are.
        self._named: tuple[int, int] | None = None
        self._frozen = False

    def __bool__(self) -> bool:
        return bool(self._providers)

    @property
    def providers(self) -> tuple[P, ...]:
        """
        The chain, in the order of calling.
        """
        return tuple(self._providers)

    def register_first(self, provider: P) -> None:
        """
        Put *provider* before all others.

        :raises StartupError: it does not fulfil the contract, or the service
            has started.
        """
        self._still_open(provider)
        self.verify(provider)
        self._providers.insert(0, provider)
        if self._named is not None:
            self._named = self._named[0] + 1, self._named[1]

    def register_last(self, provider: P) -> None:
        """
        Put *provider* after all others; errors as :meth:`register_first`.
        """
        self._still_open(provider)
        self.verify(provider)
        self._providers.append(provider)

    def set_named(self, providers: Sequence[P]) -> None:
        """
        Have *providers*, which were verified, stand where those stood that a
        configuration named before; the first time last of all.  Possible at any
        time: a chain that is being gone through is gone through to its old end.
        """
        start, count = self._named if self._named is not None else (len(self._providers), 0)
        self._providers = [*self._providers[:start], *providers, *self._providers[start + count :]]
        self._named = start, len(providers)

    def freeze(self) -> None:
        """
        Refuse further registrations.
        """
        self._frozen = True

    def _still_open(self, provider: P) -> None:
        if self._frozen:
            raise StartupError(f"hook {self.name}: {provider!r} comes too late, hooks are registered before the start")

    def verify(self, provider: P) -> None:
        """
        Raise :class:`~momentum_tx.errors.StartupError` if *provider* does not fulfil the contract.
        """
        try:
            verifyObject(self.interface, provider)
        except Invalid as error:
            raise StartupError(f"hook {self.name}: {provider!r} does not fulfil the contract: {error}") from None

    def _report(self, provider: P) -> None:
        _log.failure("hook {hook}: provider {provider!r} raised", hook=self.name, provider=provider)

    def _report_answer(self, provider: P, answer: object) -> None:
        _log.error(
            "hook {hook}: provider {provider!r} answered {answer!r}, which is no answer to this question",
            hook=self.name,
            provider=provider,
            answer=answer,
        )
        if isinstance(answer, CoroutineType):
            # Nobody will await it; the interpreter need not complain of that as well.
            answer.close()


class Notice(HookPoint[P]):
    """
    Everybody hears of it and nobody answers.
    """

    __slots__ = ()

    def notify(self, tell: Callable[[P], object]) -> None:
        """
        Tell every provider, or queue the notice while a provider runs.
        """
        if not self._providers:
            return
        turn = self._turn
        if turn.running:
            if len(turn.waiting) < MAX_WAITING_NOTICES:
                turn.waiting.append((self, tell))
            else:
                _log.error("hook {hook}: a notice was dropped, a running provider causes too many", hook=self.name)
            return
        turn.running += 1
        try:
            for provider in self._providers:
                try:
                    answer = tell(provider)
                except Exception:
                    self._report(provider)
                else:
                    if answer is not None and isinstance(answer, CoroutineType):
                        self._report_answer(provider, answer)
        finally:
            turn.returned()

    def tell(self, *arguments: object) -> None:
        """
        :meth:`notify` with these arguments of the hook's one method, for the notices of
        which every message causes some: nothing is made in order to call it.
        """
        turn = self._turn
        if turn.running:
            self.notify(lambda provider: getattr(provider, self.name)(*arguments))
            return
        turn.running += 1
        try:
            for provider in self._providers:
                try:
                    answer = getattr(provider, self.name)(*arguments)
                except Exception:
                    self._report(provider)
                else:
                    if answer is not None and isinstance(answer, CoroutineType):
                        self._report_answer(provider, answer)
        finally:
            turn.returned()


class _Question(HookPoint[P]):
    """
    A hook that is asked something.
    """

    __slots__ = ()

    def _ask(self, provider: P, ask: Callable[[P], V]) -> V:
        turn = self._turn
        turn.asking += 1
        turn.running += 1
        try:
            return ask(provider)
        finally:
            turn.returned()
            turn.asking -= 1


class Veto(_Question[P]):
    """
    May it happen?  The first "no" decides.
    """

    __slots__ = ()

    def vetoed(self, ask: Callable[[P], object]) -> bool:
        """
        Whether a provider said no (answered true), raised, or talked nonsense.
        """
        for provider in self._providers:
            try:
                answer = self._ask(provider, ask)
            except Exception:
                self._report(provider)
                return True
            if answer is not None and not isinstance(answer, int):
                self._report_answer(provider, answer)
                return True
            if answer:
                return True
        return False


class Override(_Question[P], Generic[P, V]):
    """
    Instead of the default?  The first answer that is not ``None`` decides.
    """

    __slots__ = ("_kinds",)

    def __init__(self, interface: InterfaceClass, turn: Turn, *kinds: type[V]) -> None:
        super().__init__(interface, turn)
        self._kinds = kinds

    def override(self, ask: Callable[[P], V | None]) -> V | None:
        """
        The answer, or ``None`` for the default.
        """
        for provider in self._providers:
            try:
                answer = self._ask(provider, ask)
            except Exception:
                self._report(provider)
                return None
            if answer is None:
                continue
            if not isinstance(answer, self._kinds):
                self._report_answer(provider, answer)
                return None
            return answer
        return None


class Fold(_Question[P], Generic[P, V]):
    """
    What shall the value be?  Each is asked in turn and given the value so far.
    """

    __slots__ = ("_kinds",)

    def __init__(self, interface: InterfaceClass, turn: Turn, *kinds: type[V]) -> None:
        super().__init__(interface, turn)
        self._kinds = kinds

    def fold(self, value: V, ask: Callable[[P, V], V]) -> V:
        """
        *value* after all providers had their say.
        """
        for provider in self._providers:
            before = value
            try:
                answer = self._ask(provider, lambda hook, before=before: ask(hook, before))  # type: ignore[misc]
            except Exception:
                self._report(provider)
                continue
            if isinstance(answer, self._kinds) and answer == answer:
                value = answer
            else:
                self._report_answer(provider, answer)
        return value


class Exchange(_Question[P]):
    """
    What shall be said to the peer?  Each in turn, to its end.
    """

    __slots__ = ()

    def each(self, ask: Callable[[P], object]) -> Iterator[GeneratorType[Any, Any, Any] | None]:
        """
        What the providers want to say, one after the other, each asked when it is its
        turn: a generator, or ``None`` for one that raised or talked nonsense.  Whoever
        has nothing to say is left out.
        """
        for provider in self.providers:
            try:
                answer = self._ask(provider, ask)
            except Exception:
                self._report(provider)
                yield None
                continue
            if isinstance(answer, GeneratorType):
                yield answer
            elif answer is not None:
                self._report_answer(provider, answer)
                yield None

    def step(self, step: Callable[[], V]) -> V:
        """
        Do one step of what a provider has to say; while it runs, notices wait.
        """
        turn = self._turn
        turn.running += 1
        try:
            return step()
        finally:
            turn.returned()
