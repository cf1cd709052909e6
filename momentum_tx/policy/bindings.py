"""
Which binding a message leaves from.

Source: Momentum, ``ec_message_select_binding_by_group``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random


def choose_from_group(weights: Mapping[int, int], suspended: Callable[[int], bool], rng: Random) -> int | None:
    """
    A random member of a group, one that is not suspended if there is any; one
    is chosen the more often, the more weight it has.

    :param weights: of each member, by slot; 0 for one that is not chosen at random.
    :param suspended: whether delivery from a slot is suspended.
    :returns: its slot; ``None`` if no member has weight.
    """
    able = [slot for slot, weight in weights.items() if weight > 0]
    if not able:
        return None
    ready = [slot for slot in able if not suspended(slot)] or able
    return rng.choices(ready, [weights[slot] for slot in ready])[0]
