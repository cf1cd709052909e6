"""
Quiet hours that come again: whether it is quiet now, and until when.

Source: Momentum, module ``curfew``, whose schedule is a file of its own.  Here it
is a list of texts such as ``mon-fri 22:00-07:00 Europe/Berlin``: days, hours and
a time zone, of which days and zone may be left out.

Hours are those a clock on the wall of that zone shows.  When it is put forward
over the beginning or the end of quiet hours, that comes at the moment it is put
forward; when it is put back and shows a time twice, quiet hours begin at the first
and end at the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from math import inf
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY: Final = timedelta(days=1)
_TIME: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)", re.ASCII)
_MIDNIGHT: Final = 24 * 60
#: Seconds after which quiet hours that always meet the next ones are taken never to
#: end: whatever comes in eight days has come before, as the days of the week do.
_ALWAYS: Final = 8 * 86400.0
#: Days ahead in which the next quiet hours are looked for.
_AHEAD: Final = 9
_EXPECTED: Final = "is not of the form [days] HH:MM-HH:MM [zone], as in mon-fri 22:00-07:00 Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Phase:
    """
    What holds at a moment, and how long.

    :ivar quiet: whether it is quiet.
    :ivar until: wall time up to which that holds at least; infinity if it is always quiet.
    """

    quiet: bool
    until: float


@dataclass(frozen=True, slots=True)
class QuietHours:
    """
    Hours that come again on certain days of the week.

    :ivar days: for each day, Monday first, whether hours begin on it.
    :ivar begin: minutes after midnight.
    :ivar end: the same; if not later than *begin*, on the day after.
    :ivar zone: where the clock hangs.
    """

    days: tuple[bool, ...]
    begin: int
    end: int
    zone: tzinfo

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """
        The hours that *text* means.

        :raises ValueError: it means none.
        """
        words = text.split()
        position = next((index for index, word in enumerate(words) if ":" in word), -1)
        if position not in (0, 1) or len(words) - position > 2:
            raise ValueError(_EXPECTED)
        days = _days(words[0].lower()) if position else (True,) * 7
        begin, dash, end = words[position].partition("-")
        if not dash:
            raise ValueError(_EXPECTED)
        zone = _zone(words[position + 1]) if len(words) > position + 1 else UTC
        if begin == "24:00":
            raise ValueError("begins at 24:00, which is 00:00 of the next day")
        return cls(days, _minutes(begin), _minutes(end), zone)

    def around(self, now: float) -> Iterator[tuple[float, float]]:
        """
        The quiet hours that *now* may lie in, and those of the days to come, as
        pairs of wall times, in order.
        """
        first = datetime.fromtimestamp(now, self.zone).date() - 2 * _DAY
        for number in range(_AHEAD + 2):
            day = first + number * _DAY
            if self.days[day.weekday()]:
                begin = self._at(day, self.begin, last=False)
                end = self._at(day if self.end > self.begin else day + _DAY, self.end, last=True)
                if begin < end:
                    yield begin, end

    def _at(self, day: date, minute: int, last: bool) -> float:
        """
        The wall time at which the clock shows *minute* of *day*.

        :param last: which of two moments, where it shows it twice.
        """
        if minute == _MIDNIGHT:
            day, minute = day + _DAY, 0
        shown = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=self.zone)
        one, other = shown.timestamp(), shown.replace(fold=1).timestamp()
        if one > other:
            return self._jump(other, one)
        return other if last else one

    def _jump(self, before: float, after: float) -> float:
        """
        The moment between two at which the clock is put forward.
        """
        offset = datetime.fromtimestamp(before, self.zone).utcoffset()
        while after - before > 1.0:
            middle = (before + after) // 2
            if datetime.fromtimestamp(middle, self.zone).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after


def phase(hours: Sequence[QuietHours], now: float) -> Phase:
    """
    Whether it is quiet, and until when; hours that meet are one.

    :param now: wall time.
    """
    until = now
    while True:
        ends = [end for begin, end in _around(hours, until) if begin <= until < end]
        if not ends:
            break
        until = max(ends)
        if until - now > _ALWAYS:
            return Phase(True, inf)
    if until > now:
        return Phase(True, until)
    return Phase(False, min((begin for begin, _ in _around(hours, now) if begin > now), default=now + _ALWAYS))


def _around(hours: Iterable[QuietHours], now: float) -> Iterator[tuple[float, float]]:
    for each in hours:
        yield from each.around(now)


def _days(text: str) -> tuple[bool, ...]:
    meant = [False] * 7
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"names days that are none of {', '.join(DAYS)}: {part}")
        day, end = DAYS.index(first), DAYS.index(last or first)
        meant[day] = True
        while day != end:
            day = (day + 1) % 7
            meant[day] = True
    return tuple(meant)


def _minutes(text: str) -> int:
    found = _TIME.fullmatch(text)
    minutes = int(found[1]) * 60 + int(found[2]) if found is not None else _MIDNIGHT + 1
    if minutes > _MIDNIGHT:
        raise ValueError(f"holds no time of day from 00:00 to 24:00: {text}")
    return minutes


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"names no time zone that this machine knows: {name} (is its tz database installed?)"
        ) from None
