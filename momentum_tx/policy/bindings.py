"""
Which binding a message leaves from.

Source: Momentum, ``ec_message_select_binding_by_group``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random


def choose_from_group(slots: Sequence[int], suspended: Callable[[int], bool], rng: Random) -> int:
    """
    A random member of a group, one that is not suspended if there is any.

    :param slots: members, at least one.
    :param suspended: whether delivery from a slot is suspended.
    """
    ready = [slot for slot in slots if not suspended(slot)]
    return rng.choice(ready or list(slots))
