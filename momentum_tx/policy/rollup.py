"""
Which queue domains behind the same exchangers share.

Source: Momentum, ``rollup_mx`` and ``rollup_mx_name``; the queue of a set of
exchangers is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

#: Exchangers by name, each with its place: 0 for the best, 1 for the next.
Ranked = tuple[tuple[int, str], ...]
#: The last label of the queues of sets: no top-level domain has an underscore.
SET_LABEL = "_mx"
#: RFC 1035 2.3.4, less the root label and its length octet.
_LONGEST = 253


class Rollup(NamedTuple):
    """
    Where the mail of a domain is queued instead of under its own name.

    :ivar name: the routing domain.
    :ivar exchangers: its exchangers, if it stands for a set of them; else it has those that
        routes or DNS give its name.
    """

    name: str
    exchangers: Ranked = ()


def ranked(exchangers: Iterable[tuple[int, str]]) -> Ranked:
    """
    A set of exchangers in its one form: what a preference is counts only
    beside the others.

    :param exchangers: preference and name of each.
    """
    best: dict[str, int] = {}
    for preference, name in exchangers:
        best[name] = min(preference, best.get(name, preference))
    levels = sorted(set(best.values()))
    return tuple(sorted((levels.index(preference), name) for name, preference in best.items()))


def set_name(exchangers: Sequence[tuple[int, str]]) -> str:
    """
    The routing domain of a set: the name of its best exchanger, so that options
    can be written for it, and a digest of the whole.

    :param exchangers: as :func:`ranked` gives them.
    """
    digest = sha256("\n".join(f"{rank} {name}" for rank, name in exchangers).encode()).hexdigest()[:16]
    name = f"{exchangers[0][1]}.{digest}.{SET_LABEL}"
    return name if len(name) <= _LONGEST else f"{digest}.{SET_LABEL}"
