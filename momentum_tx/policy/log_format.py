"""
The formats of custom logs: text with macros such as ``%r`` or ``%t{%H:%M}``.

Source: Momentum's page of the module custom_logger.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

#: Every macro, with what its braces hold: nothing, a number of decimals, a form of time, a name.
MACROS: Final[dict[str, str]] = {
    **dict.fromkeys((*"AbgBcCdHimMnNpPrRsSU", "BI", "CI", "mx", "OC", "PG"), ""),
    "t": "time",
    "T": "decimals",
    "us": "decimals",
    "vctx_conn": "name",
    "vctx_mess": "name",
}

#: What ``%vctx_conn`` and ``%vctx_mess`` can name.
VALUES: Final[tuple[str, ...]] = (
    "campaign",
    "envid",
    "outbound_tls",
    "outbound_tls_cipher",
    "outbound_tls_issuer",
    "outbound_tls_protocol",
    "outbound_tls_subject",
    "outbound_tls_verified",
    "priority",
    "tenant",
)

#: More digits than a float has say nothing.
_MOST_DECIMALS: Final = 9

#: The longest name comes first; of time forms only the first brace that closes counts.
_MACRO: Final = re.compile(
    "%(?:(%)|(" + "|".join(sorted(MACROS, key=lambda name: (-len(name), name))) + r"|h)(?:\{([^{}]*)\})?)"
)


class Piece(NamedTuple):
    """
    A part of a format.

    :ivar macro: its name without the percent sign; empty for text that stands for itself.
    :ivar text: that text, or what the braces hold; empty without them.
    """

    macro: str
    text: str


def parse(text: str) -> list[Piece]:
    """
    The parts of the format *text*.

    :raises ValueError: it is none; the text says which part is not understood.
    """
    if not text.isprintable():
        raise ValueError(f"{text!r} holds a character that would break a line; a record is one line")
    pieces: list[Piece] = []
    at = 0
    while at < len(text):
        begin = text.find("%", at)
        if begin < 0:
            pieces.append(Piece("", text[at:]))
            break
        if begin > at:
            pieces.append(Piece("", text[at:begin]))
        found = _MACRO.match(text, begin)
        if found is None:
            raise ValueError(f"{text[begin : begin + 12]!r} begins with no macro; a percent sign itself is %%")
        at = found.end()
        if found[1]:
            pieces.append(Piece("", "%"))
            continue
        name, argument = found[2], found[3]
        _check(name, argument)
        if argument is None and text[at : at + 1] and (text[at].isalpha() or text[at] in "_{"):
            raise ValueError(f"%{name} is followed by {text[at]!r}; a letter, _ or {{ cannot follow a macro")
        pieces.append(Piece(name, argument or ""))
    return pieces


def _check(name: str, argument: str | None) -> None:
    kind = MACROS.get(name)
    if kind is None:
        raise ValueError("%h: header fields are not at hand when a record is written; log them when they are received")
    if argument is None:
        if kind == "name":
            raise ValueError(f"%{name} needs a name in braces: one of {', '.join(VALUES)}")
    elif kind == "":
        raise ValueError(f"%{name} takes nothing in braces")
    elif kind == "decimals" and not (argument.isascii() and argument.isdigit() and int(argument) <= _MOST_DECIMALS):
        raise ValueError(f"%{name}{{{argument}}}: it takes 0 to {_MOST_DECIMALS} decimals")
    elif kind == "name" and argument not in VALUES:
        raise ValueError(f"%{name}{{{argument}}}: it is one of {', '.join(VALUES)}")
    elif kind == "time":
        datetime.fromtimestamp(0, UTC).strftime(argument)
