"""
Answers of DNS, kept for their lifetime and never more than so many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class DNSCache(Generic[T]):
    """
    A bounded table of answers with an end.  At the bound the oldest goes,
    however much life it has left.

    Nothing is thrown out by time alone: an answer that is over is dropped when
    it is asked for, or when its turn comes as the oldest.
    """

    __slots__ = ("_answers", "_size")

    def __init__(self, size: int) -> None:
        """
        :param size: most answers kept; at least one.
        """
        self._size = max(1, size)
        # An OrderedDict takes its oldest out at constant cost; a dict that
        # lost many of its first entries does not.
        self._answers: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: Hashable, now: float) -> tuple[float, T] | None:
        """
        The answer kept under *key* and the seconds it has left, or ``None``.

        :param now: time of the reactor's clock.
        """
        kept = self._answers.get(key)
        if kept is None:
            return None
        left = kept[0] - now
        if left > 0:
            return left, kept[1]
        del self._answers[key]
        return None

    def put(self, key: Hashable, answer: T, lifetime: float, now: float) -> None:
        """
        Keep *answer* under *key* for *lifetime* seconds.
        """
        answers = self._answers
        answers.pop(key, None)
        if len(answers) >= self._size:
            answers.popitem(last=False)
        answers[key] = (now + lifetime, answer)

    def clear(self) -> None:
        """
        Forget everything.
        """
        self._answers.clear()
