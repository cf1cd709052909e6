"""
What puts an address on the list by itself: so many bounces of a kind within a time.

A rule is written ``10,30,90: 1`` (one bounce of these classes, for ever) or
``22: 5 in 864000 for 2592000`` (five within ten days, for thirty).
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

#: Addresses whose bounces are counted at once; the one that bounced longest ago is forgotten.
MOST_COUNTED: Final = 100_000
_RULE: Final = re.compile(
    r"\s*(?P<codes>\d+(?:\s*,\s*\d+)*)\s*:\s*(?P<count>[1-9]\d{0,3})"
    r"(?:\s+in\s+(?P<within>[1-9]\d{0,9}))?(?:\s+for\s+(?P<life>[1-9]\d{0,9}))?\s*"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule.

    :ivar codes: classes of bounces.
    :ivar count: how many of them.
    :ivar within: seconds within which; 0 for any time.
    :ivar life: seconds for which the address is left out; 0 for ever.
    """

    codes: frozenset[int]
    count: int
    within: float
    life: float

    @classmethod
    def parse(cls, text: str) -> Rule:
        """
        The rule that *text* says.

        :raises ValueError: it says none.
        """
        found = _RULE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no rule such as 10,30: 1 or 22: 5 in 864000 for 2592000")
        codes = frozenset(int(code) for code in found["codes"].split(","))
        count, within = int(found["count"]), float(found["within"] or 0)
        if count > 1 and not within:
            raise ValueError(f"{text!r}: more than one bounce needs a time, as in: in 864000")
        return cls(codes, count, within, float(found["life"] or 0))


class Bounces:
    """
    Counts bounces by address, for rules that want several.
    """

    def __init__(self) -> None:
        self._counted: OrderedDict[tuple[str, Rule], deque[float]] = OrderedDict()

    def decided(self, key: str, code: int, rules: tuple[Rule, ...], now: float) -> Rule | None:
        """
        The rule that one more bounce fulfils; ``None`` if there is none.
        """
        for rule in rules:
            if code in rule.codes and (rule.count == 1 or self._enough(key, rule, now)):
                return rule
        return None

    def _enough(self, key: str, rule: Rule, now: float) -> bool:
        times = self._counted.setdefault((key, rule), deque(maxlen=rule.count))
        self._counted.move_to_end((key, rule))
        if len(self._counted) > MOST_COUNTED:
            self._counted.popitem(last=False)
        times.append(now)
        if len(times) < rule.count or now - times[0] > rule.within:
            return False
        del self._counted[key, rule]
        return True
