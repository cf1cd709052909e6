"""
A shape of hooks besides those of :mod:`momentum_tx.hooks.points`: one
whose providers may take their time.

==========  ===========================  ========================  =====================================
shape       the caller asks              the chain ends when       a provider that raises
==========  ===========================  ========================  =====================================
Inquiry     for another way than ours,   one offers something      has failed the whole question; its
            and can wait                                           caller decides, no mail fails for ever
==========  ===========================  ========================  =====================================

A provider may answer with a Deferred or be ``async def``.  The whole chain has a
time budget; when it is used up the provider that is waited for is cancelled and
counts as one that raised.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import isawaitable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface.interface import InterfaceClass

from ..errors import HookFailed
from .points import P, _Question
from .providers import Provided
from .turn import Turn

V = TypeVar("V")


class Inquiry(_Question[P], Generic[P, V]):
    """
    Instead of the default?  The first answer that is not ``None`` decides, and
    the question may take some time.
    """

    __slots__ = ("_kinds",)
    may_be_threaded = True

    def __init__(self, interface: InterfaceClass, turn: Turn, *kinds: type[V]) -> None:
        super().__init__(interface, turn)
        self._kinds = kinds

    def inquire(self, ask: Callable[[P], Any], clock: IReactorTime, patience: float) -> V | Deferred[V | None] | None:
        """
        Ask the providers one after the other.

        :param clock: times them.
        :param patience: seconds they have together.
        :returns: the answer, ``None`` for the default; at once where nobody waits,
            else a Deferred.  It fails with :class:`~momentum_tx.errors.HookFailed`.
        :raises HookFailed: a provider raised, or talked nonsense, at once.
        """
        chain = iter(self.provided)
        clock_now = self._turn.rules.clock
        for each in chain:
            if each.left_alone:
                raise HookFailed(f"hook {self.name}: a provider is not called, after many failures")
            before = clock_now()
            try:
                answer = self._asked(each, ask)
            except Exception:
                raise self._failed(each, clock_now() - before) from None
            if isawaitable(answer):
                # Whom the question is with, which changes while it is waited.
                asked = [each]
                waiting = Deferred.fromCoroutine(self._wait(asked, answer, [*chain], ask))
                return waiting.addTimeout(patience, clock, partial(self._late, asked))
            if answer is None:
                each.went_well(clock_now() - before)
                continue
            return self._checked(each, answer, clock_now() - before)
        return None

    def _asked(self, each: Provided[P], ask: Callable[[P], Any]) -> Any:
        threads = self._turn.threads
        if each.threaded and threads is not None:
            return threads.run(ask, each.provider)
        return self._ask(each, ask)

    async def _wait(
        self, asked: list[Provided[P]], answer: Any, others: list[Provided[P]], ask: Callable[[P], Any]
    ) -> V | None:
        """
        As :meth:`inquire`, from a provider on that waits.  What it waited counts for nobody's
        slowness, since nothing stood still.
        """
        while True:
            each = asked[0]
            if isawaitable(answer):
                try:
                    answer = await answer
                except CancelledError:
                    # The time is over, or nobody wants to know any more.
                    raise
                except Exception:
                    raise self._failed(each, 0.0) from None
            if answer is not None:
                return self._checked(each, answer, 0.0)
            each.went_well(0.0)
            if not others:
                return None
            each = asked[0] = others.pop(0)
            if each.left_alone:
                raise HookFailed(f"hook {self.name}: a provider is not called, after many failures")
            try:
                answer = self._asked(each, ask)
            except Exception:
                raise self._failed(each, 0.0) from None

    def _checked(self, each: Provided[P], answer: Any, seconds: float) -> V:
        if not isinstance(answer, self._kinds):
            self._report_answer(each, answer, seconds)
            raise HookFailed(f"hook {self.name}: a provider gave no answer to this question")
        each.went_well(seconds)
        return answer

    def _failed(self, each: Provided[P], seconds: float) -> HookFailed:
        self._report(each, seconds)
        return HookFailed(f"hook {self.name}: a provider raised")

    def _late(self, asked: list[Provided[P]], _: object, seconds: float) -> V:
        asked[0].spoilt(0.0, f"it did not answer within {seconds:g} s")
        raise HookFailed(f"hook {self.name}: no answer within {seconds:g} s")
