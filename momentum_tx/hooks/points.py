"""
A hook point and its five shapes.

Momentum's chains of providers differ in what stops them and what counts as
"no".  Here there are five ways, and a hook point's class says which is its:

==========  ===========================  ========================  =====================================
shape       the caller asks              the chain ends when       a provider that raises
==========  ===========================  ========================  =====================================
Notice      nothing, it tells            everybody has heard       is logged and passed over
Veto        whether to go on             one forbids it            has forbidden it; no mail fails
Override    for another way than ours    one offers something      is logged and passed over
Fold        for a value                  everybody had a say       is logged and has had no say
Exchange    for words to the peer        everybody has spoken      is logged; the session ends
==========  ===========================  ========================  =====================================

An answer of the wrong type counts as raising; so does a coroutine, whatever the
shape, because no hook waits.  What an exchange answers with is a generator, and
waits as often as it likes.  A provider whose breaker is open
(:mod:`momentum_tx.hooks.providers`) is not called, and what follows is the same as if
it had raised: what it wanted to look at does not go past it unseen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from types import CoroutineType, GeneratorType
from typing import Any, Generic, TypeVar

from twisted.logger import Logger
from zope.interface.exceptions import Invalid
from zope.interface.interface import InterfaceClass
from zope.interface.verify import verifyObject

from ..errors import StartupError
from .providers import Provided
from .turn import MAX_WAITING_NOTICES, Turn

P = TypeVar("P")
V = TypeVar("V")

_log = Logger()


class HookPoint(Generic[P]):
    """
    The chain of providers of one hook.  True when it has any.
    """

    __slots__ = ("_frozen", "_named", "_provided", "_turn", "interface", "name")
    #: Whether providers may run in a thread: nobody waits for what they answer.
    may_be_threaded = False

    def __init__(self, interface: InterfaceClass, turn: Turn) -> None:
        self.interface = interface
        (self.name,) = interface.names()
        self._turn = turn
        self._provided: list[Provided[P]] = []
        #: Where in the chain the providers stand that a configuration names, and how many they are.
        self._named: tuple[int, int] | None = None
        self._frozen = False

    def __bool__(self) -> bool:
        return bool(self._provided)

    @property
    def providers(self) -> tuple[P, ...]:
        """
        The chain, in the order of calling.
        """
        return tuple(each.provider for each in self._provided)

    @property
    def provided(self) -> tuple[Provided[P], ...]:
        """
        The chain, each with how it does.
        """
        return tuple(self._provided)

    def register_first(self, provider: P) -> None:
        """
        Put *provider* before all others.

        :raises StartupError: it does not fulfil the contract, or the service
            has started.
        """
        self._still_open(provider)
        self.verify(provider)
        self._provided.insert(0, Provided(self.name, provider, self._turn.rules))
        if self._named is not None:
            self._named = self._named[0] + 1, self._named[1]

    def register_last(self, provider: P) -> None:
        """
        Put *provider* after all others; errors as :meth:`register_first`.
        """
        self._still_open(provider)
        self.verify(provider)
        self._provided.append(Provided(self.name, provider, self._turn.rules))

    def set_named(self, providers: Sequence[P]) -> None:
        """
        Have *providers*, which were verified, stand where those stood that a
        configuration named before; the first time last of all.  Possible at any
        time: a chain that is being gone through is gone through to its old end.
        """
        start, count = self._named if self._named is not None else (len(self._provided), 0)
        before = self._provided[start : start + count]
        # What stays keeps its numbers.
        known = {id(each.provider): each for each in before}
        entries = [known.get(id(provider)) or Provided(self.name, provider, self._turn.rules) for provider in providers]
        self._provided = [*self._provided[:start], *entries, *self._provided[start + count :]]
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
        if getattr(provider, "threaded", False) and not self.may_be_threaded:
            raise StartupError(
                f"hook {self.name}: {provider!r} says it is threaded, but what it answers cannot be waited for"
            )

    def _report(self, each: Provided[P], seconds: float) -> None:
        """
        A provider raised; call where that is caught.
        """
        _log.failure("hook {hook}: provider {provider!r} raised", hook=self.name, provider=each.provider)
        each.spoilt(seconds, f"it raised {sys.exc_info()[1]!r}")

    def _report_answer(self, each: Provided[P], answer: object, seconds: float) -> None:
        """
        A provider gave an answer that is none.
        """
        each.spoilt(seconds, f"it answered {answer!r:.80}")
        provider = each.provider
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
    may_be_threaded = True

    def notify(self, tell: Callable[[P], object]) -> None:
        """
        Tell every provider, or queue the notice while a provider runs.
        """
        if not self._provided:
            return
        turn = self._turn
        if turn.running:
            if len(turn.waiting) < MAX_WAITING_NOTICES:
                turn.waiting.append((self, tell))
            else:
                _log.error("hook {hook}: a notice was dropped, a running provider causes too many", hook=self.name)
            return
        turn.running += 1
        clock = turn.rules.clock
        before = clock()
        try:
            for each in self._provided:
                if each.open_until and each.left_alone:
                    continue
                if each.threaded and turn.threads is not None:
                    turn.aside(each, tell)
                    continue
                try:
                    answer = tell(each.provider)
                except Exception:
                    self._report(each, clock() - before)
                    before = clock()
                    continue
                after = clock()
                if answer is not None and isinstance(answer, CoroutineType):
                    self._report_answer(each, answer, after - before)
                else:
                    each.calls += 1
                    each.seconds += (seconds := after - before)
                    if seconds > each.notable or each.row:
                        each.took(seconds)
                before = after
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
        clock = turn.rules.clock
        before = clock()
        try:
            for each in self._provided:
                if each.open_until and each.left_alone:
                    continue
                if each.threaded and turn.threads is not None:
                    turn.aside(each, lambda provider: getattr(provider, self.name)(*arguments))
                    continue
                try:
                    answer = each.method(*arguments)
                except Exception:
                    self._report(each, clock() - before)
                    before = clock()
                    continue
                after = clock()
                if answer is not None and isinstance(answer, CoroutineType):
                    self._report_answer(each, answer, after - before)
                else:
                    each.calls += 1
                    each.seconds += (seconds := after - before)
                    if seconds > each.notable or each.row:
                        each.took(seconds)
                before = after
        finally:
            turn.returned()


class _Question(HookPoint[P]):
    """
    A hook that is asked something.
    """

    __slots__ = ()

    def _ask(self, each: Provided[P], ask: Callable[[P], V]) -> V:
        turn = self._turn
        turn.asking += 1
        turn.running += 1
        try:
            return ask(each.provider)
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
        Whether a provider said no (answered true), raised, talked nonsense, or is left alone because
        it did.
        """
        if not self._provided:
            return False
        turn = self._turn
        clock = turn.rules.clock
        turn.asking += 1
        turn.running += 1
        before = clock()
        try:
            for each in self._provided:
                if each.open_until and each.left_alone:
                    return True
                try:
                    answer = ask(each.provider)
                except Exception:
                    self._report(each, clock() - before)
                    return True
                after = clock()
                if answer is not None and not isinstance(answer, int):
                    self._report_answer(each, answer, after - before)
                    return True
                each.calls += 1
                each.seconds += (seconds := after - before)
                if seconds > each.notable or each.row:
                    each.took(seconds)
                if answer:
                    return True
                before = after
        finally:
            turn.asking -= 1
            turn.returned()
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
        if not self._provided:
            return None
        turn, kinds = self._turn, self._kinds
        clock = turn.rules.clock
        turn.asking += 1
        turn.running += 1
        before = clock()
        try:
            for each in self._provided:
                if each.open_until and each.left_alone:
                    continue
                try:
                    answer = ask(each.provider)
                except Exception:
                    self._report(each, clock() - before)
                    before = clock()
                    continue
                after = clock()
                if answer is not None and not isinstance(answer, kinds):
                    self._report_answer(each, answer, after - before)
                    before = after
                    continue
                each.calls += 1
                each.seconds += (seconds := after - before)
                if seconds > each.notable or each.row:
                    each.took(seconds)
                if answer is not None:
                    return answer
                before = after
        finally:
            turn.asking -= 1
            turn.returned()
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
        if not self._provided:
            return value
        turn, kinds = self._turn, self._kinds
        clock = turn.rules.clock
        turn.asking += 1
        turn.running += 1
        before = clock()
        try:
            for each in self._provided:
                if each.open_until and each.left_alone:
                    continue
                try:
                    answer = ask(each.provider, value)
                except Exception:
                    self._report(each, clock() - before)
                    before = clock()
                    continue
                after = clock()
                if isinstance(answer, kinds) and answer == answer:
                    each.calls += 1
                    each.seconds += (seconds := after - before)
                    if seconds > each.notable or each.row:
                        each.took(seconds)
                    value = answer
                else:
                    self._report_answer(each, answer, after - before)
                before = after
        finally:
            turn.asking -= 1
            turn.returned()
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
        clock = self._turn.rules.clock
        for each in self.provided:
            if each.left_alone:
                yield None
                continue
            before = clock()
            try:
                answer = self._ask(each, ask)
            except Exception:
                self._report(each, clock() - before)
                yield None
                continue
            if answer is not None and not isinstance(answer, GeneratorType):
                self._report_answer(each, answer, clock() - before)
                yield None
                continue
            each.went_well(clock() - before)
            if answer is not None:
                yield answer

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
