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
from inspect import isawaitable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface.interface import InterfaceClass

from ..errors import HookFailed
from .points import P, Turn, _Question

V = TypeVar("V")


class Inquiry(_Question[P], Generic[P, V]):
    """
    Instead of the default?  The first answer that is not ``None`` decides, and
    the question may take some time.
    """

    __slots__ = ("_kinds",)

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
        providers = iter(self.providers)
        for provider in providers:
            try:
                answer = self._ask(provider, ask)
            except Exception:
                raise self._failed(provider) from None
            if answer is None:
                continue
            if isawaitable(answer):
                waiting = Deferred.fromCoroutine(self._wait(provider, answer, [*providers], ask))
                return waiting.addTimeout(patience, clock, lambda _, seconds: self._late(seconds))
            return self._checked(provider, answer)
        return None

    async def _wait(self, provider: P, answer: Any, others: list[P], ask: Callable[[P], Any]) -> V | None:
        """
        As :meth:`inquire`, from a provider on that waits.
        """
        while True:
            if isawaitable(answer):
                try:
                    answer = await answer
                except CancelledError:
                    # The time is over, or nobody wants to know any more.
                    raise
                except Exception:
                    raise self._failed(provider) from None
            if answer is not None:
                return self._checked(provider, answer)
            if not others:
                return None
            provider = others.pop(0)
            try:
                answer = self._ask(provider, ask)
            except Exception:
                raise self._failed(provider) from None

    def _checked(self, provider: P, answer: Any) -> V:
        if not isinstance(answer, self._kinds):
            self._report_answer(provider, answer)
            raise HookFailed(f"hook {self.name}: a provider gave no answer to this question")
        return answer

    def _failed(self, provider: P) -> HookFailed:
        self._report(provider)
        return HookFailed(f"hook {self.name}: a provider raised")

    def _late(self, seconds: float) -> V:
        raise HookFailed(f"hook {self.name}: no answer within {seconds:g} s")
