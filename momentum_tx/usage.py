"""
Numbers and names on command lines: what is none is refused in words for whoever typed it.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def worded(read: Callable[[str], T]) -> Callable[[str], T]:
    """
    *read* as a ``type`` of :mod:`argparse` that says what its :class:`ValueError` says.
    """

    def worded_read(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return worded_read


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """
    What reads a count, as a ``type`` of :mod:`argparse`.

    :param most: the largest that is taken; ``None``: any.
    """
    bounds = f"at least {least}" if most is None else f"between {least} and {most}"

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(bounds)
        return number

    return read


def more_than_nothing(text: str) -> float:
    """
    A number above zero, as a ``type`` of :mod:`argparse`.
    """
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("must be more than 0")
    return number
