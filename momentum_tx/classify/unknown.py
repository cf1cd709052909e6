"""
What no rule knows: counted by shape, so that an operator sees what to write a rule
for, and not a million texts that differ in a number.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

#: Shapes that are kept; the one that was seen longest ago goes.
MOST_SHAPES: Final = 1000
#: Characters of a text that make its shape.
MOST_TEXT: Final = 300

#: From what is sure to what is a guess; each in its place.
_PARTS: Final = (
    (re.compile(r"<?[^\s<>@]+@[^\s<>@,;]+>?"), "<address>"),
    (re.compile(r"https?://\S+"), "<link>"),
    (re.compile(r"\[?\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b\]?"), "<ip>"),
    (re.compile(r"\[?\b(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}\b\]?"), "<ip>"),
    (re.compile(r"\b(?:[a-zA-Z0-9_-]+\.)+[a-zA-Z]{2,}\b\.?"), "<host>"),
    (re.compile(r"\b(?=[A-Za-z]*[0-9])[A-Za-z0-9_+/=-]{8,}\b"), "<id>"),
    (re.compile(r"(?<![0-9.])[0-9]+(?![0-9.]*[0-9])"), "<n>"),
)
_CODES: Final = re.compile(r"[2-5][0-9]{2}[ -](?:[245]\.[0-9]{1,3}\.[0-9]{1,3} )?")


def shape_of(text: str) -> str:
    """
    *text* with what differs from one message to the next left out; its codes stay.
    """
    text = " ".join(text[:MOST_TEXT].split())
    codes = _CODES.match(text)
    head = codes[0] if codes else ""
    rest = text[len(head) :]
    for pattern, name in _PARTS:
        rest = pattern.sub(name, rest)
    return head + rest


@dataclass(slots=True)
class Shape:
    """
    One shape of unknown texts.

    :ivar count: how many had it.
    :ivar sample: the first of them.
    :ivar domain: the domain that one was about.
    :ivar last: wall time of the last one.
    """

    count: int
    sample: str
    domain: str
    last: float


class Unknown:
    """
    Counts unknown texts.

    :ivar shapes: by shape, the one that was seen last at the end.
    :ivar total: how many there were, of all shapes, those forgotten included.
    """

    def __init__(self) -> None:
        self.shapes: OrderedDict[str, Shape] = OrderedDict()
        self.total = 0

    def add(self, text: str, domain: str, now: float) -> None:
        """
        One more.
        """
        self.total += 1
        shape = shape_of(text)
        known = self.shapes.get(shape)
        if known is None:
            self.shapes[shape] = Shape(1, text[:MOST_TEXT], domain, now)
            if len(self.shapes) > MOST_SHAPES:
                self.shapes.popitem(last=False)
            return
        known.count += 1
        known.last = now
        self.shapes.move_to_end(shape)

    def most(self, limit: int = 50) -> list[tuple[str, Shape]]:
        """
        The commonest shapes.
        """
        return sorted(self.shapes.items(), key=lambda each: -each[1].count)[:limit]
