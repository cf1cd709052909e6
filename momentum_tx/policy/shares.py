"""
What a class of mail weighs when classes share connections: ``share_weights``.

An entry is a trait, its name, and a weight::

    tenant:acme=4
    priority:high=10
    campaign:spring=0.5

A class weighs the product of the entries that suit it, and 1 if none does.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

#: What a tenant, campaign or priority may be called.
TRAIT_NAME: Final = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")
#: The traits, in the order in which a class names them.
TRAITS: Final = ("tenant", "campaign", "priority")
#: Bounds of a weight, and of a product.
LEAST: Final = 0.001
MOST: Final = 1000.0

_WEIGHT: Final = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,3})?")


def parse(text: str) -> tuple[str, str, float]:
    """
    Trait, name and weight of an entry.

    :raises ValueError: *text* is none.
    """
    what, equals, number = text.rpartition("=")
    trait, colon, name = what.partition(":")
    name = name.strip()
    if not equals or not colon or trait not in TRAITS or not TRAIT_NAME.fullmatch(name):
        raise ValueError(
            'is not of the form "trait:name=weight", such as priority:high=10, where the trait is tenant, campaign or'
            " priority"
        )
    number = number.strip()
    if not _WEIGHT.fullmatch(number) or not LEAST <= float(number) <= MOST:
        raise ValueError(f"has no weight from {LEAST:g} to {MOST:g}, with at most three decimals, behind its sign")
    return trait, name, float(number)


@lru_cache(1000)
def _table(entries: tuple[str, ...]) -> dict[tuple[str, str], float]:
    table: dict[tuple[str, str], float] = {}
    for entry in entries:
        trait, name, weight = parse(entry)
        table.setdefault((trait, name), weight)
    return table


def weight_of(entries: tuple[str, ...], names: tuple[str, ...]) -> float:
    """
    What a class weighs.

    :param entries: value of ``share_weights``; of several for one name the first counts.
    :param names: the class: a name for each of :data:`TRAITS`, empty for none.
    """
    weight = 1.0
    if entries:
        table = _table(entries)
        for key in zip(TRAITS, names, strict=True):
            weight *= table.get(key, 1.0)
    return min(max(weight, LEAST), MOST)
