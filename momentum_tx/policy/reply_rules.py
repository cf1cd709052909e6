"""
Which list of delays a failure takes, by what was said: ``retry_by_reply``.

A rule is a class of replies, a colon, and delays::

    421: 5m 10m
    45x 4.7.x: 5m 5m 30m
    4.2.2: 6h
    /grey.?list/: 5m 10m
    no_reply: 2m 15m

Codes, and enhanced status codes after them, are those of a reply; ``x`` is any
number.  What stands between slashes is a regex, searched for in the whole status
text, whoever said it, in whatever case.  The words are for failures that no
reply explains.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..stages import Stage
from ..units import duration

_CODE: Final = re.compile(r"4[0-9x][0-9x]", re.ASCII)
_ENHANCED: Final = re.compile(r"4\.(?:\d{1,3}|x)\.(?:\d{1,3}|x)", re.ASCII)
#: What we say when no peer said anything.
_INTERNAL: Final = re.compile(rb"\d{3}(?: (\d\.\d{1,3}\.\d{1,3}))? \[internal\]")

INTERNAL: Final = "internal"
NO_CONNECTION: Final = "no_connection"
NO_REPLY: Final = "no_reply"
_WORDS: Final = (INTERNAL, NO_CONNECTION, NO_REPLY)
_EXPECTED: Final = (
    'is not of the form "class: delays", where the class is a code such as 421 or 45x, a status such as 4.2.2 or'
    " 4.7.x, both, a /regex/, internal, no_connection or no_reply"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """
    What is known of a transient failure.

    :ivar note: its status text.
    :ivar word: the most exact of the three words; empty for a peer's reply.
    """

    note: bytes
    word: str

    @classmethod
    def of(cls, note: bytes, stage: Stage) -> Failure:
        """
        The failure that *note* tells of.

        :param stage: where the attempt stood.
        """
        found = _INTERNAL.match(note)
        if found is None:
            return cls(note, "")
        if stage is Stage.NOT_CONNECTED:
            return cls(note, NO_CONNECTION)
        # Momentum's enhanced code of a peer that kept silent or hung up.
        return cls(note, NO_REPLY if found[1] == b"4.4.2" else INTERNAL)


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """
    One rule.

    :ivar intervals: delays after the first, second and further failures of a
        message, seconds; the last one repeats.
    """

    intervals: tuple[float, ...]
    _pattern: re.Pattern[bytes] | None
    _said: bool
    _word: str

    @classmethod
    def parse(cls, text: str) -> ReplyRule:
        """
        The rule that *text* is.

        :raises ValueError: it is none.
        """
        which, colon, delays = text.rpartition(":")
        which = which.strip()
        if not colon:
            raise ValueError(_EXPECTED)
        intervals = tuple(duration(each) for each in delays.split())
        if not intervals:
            raise ValueError("has no delay after its colon")
        if which in _WORDS:
            return cls(intervals, None, False, which)
        if len(which) > 2 and which.startswith("/") and which.endswith("/"):
            try:
                pattern = re.compile(which[1:-1].encode(), re.IGNORECASE)
            except re.error as error:
                raise ValueError(f"holds no regex: {error}") from None
            return cls(intervals, pattern, False, "")
        return cls(intervals, _codes(which), True, "")

    def suits(self, failure: Failure) -> bool:
        """
        Whether the rule is for *failure*.
        """
        if self._pattern is None:
            return bool(failure.word) and self._word in (failure.word, INTERNAL)
        if self._said:
            return not failure.word and self._pattern.match(failure.note) is not None
        return self._pattern.search(failure.note) is not None


def _codes(which: str) -> re.Pattern[bytes]:
    parts = which.split()
    code = parts.pop(0) if parts and _CODE.fullmatch(parts[0]) else "xxx"
    enhanced = parts.pop(0) if parts and _ENHANCED.fullmatch(parts[0]) else ""
    if parts or (code == "xxx" and not enhanced):
        raise ValueError(_EXPECTED)
    pattern = code.replace("x", r"\d")
    if enhanced:
        pattern += r"[ -]" + enhanced.replace(".", r"\.").replace("x", r"\d{1,3}")
    return re.compile(pattern.encode() + rb"(?![\w.])")
