"""
An onlooker without threads, and a reactor's thread that blocks when a story says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from ..interfaces.seams import IOnlooker

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall


@implementer(IOnlooker)
class ModelledOnlooker:
    """
    Looks by the clock.  What is asked is answered at once, unless :meth:`block` was
    called.

    :ivar processor_time: what the reactor's thread has had.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._stack: Sequence[str] | None = None
        self._unanswered: list[Callable[[], object]] = []
        self._look: Callable[[], float] | None = None
        self._next: IDelayedCall | None = None
        self.processor_time = 0.0

    def block(self, *stack: str) -> None:
        """
        The reactor's thread does something and answers nothing, until :meth:`unblock`.

        :param stack: where it is.
        """
        self._stack = stack

    def unblock(self) -> None:
        """
        It is done.
        """
        self._stack = None
        unanswered, self._unanswered = self._unanswered, []
        for answer in unanswered:
            answer()

    @property
    def looking(self) -> bool:
        """
        Whether it has begun and not ended.
        """
        return self._look is not None

    def begin(self, look: Callable[[], float]) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        self._look = look
        self._next = self._clock.callLater(0, self._again)

    def _again(self) -> None:
        if self._look is not None:
            self._next = self._clock.callLater(self._look(), self._again)

    def end(self) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        self._look = None
        if self._next is not None and self._next.active():
            self._next.cancel()

    def ask(self, answer: Callable[[], object]) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        if self._stack is None:
            answer()
        else:
            self._unanswered.append(answer)

    def now(self) -> float:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        return self._clock.seconds()

    def worked(self) -> float:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        return self.processor_time

    def stack(self) -> Sequence[str]:
        """
        See :class:`~momentum_tx.interfaces.seams.IOnlooker`.
        """
        return self._stack or ()
