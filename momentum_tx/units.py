"""
Times and rates as people write them.
"""

import re
from typing import Final

_SECONDS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PERIODS: Final = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "hour": 3600.0,
    "h": 3600.0,
    "day": 86400.0,
    "d": 86400.0,
}
#: A year: what is counted over longer is no rate, and nobody would see the end of it.
LONGEST_PERIOD: Final = 31_536_000.0
_RATE: Final = re.compile(r"(\d{1,9})(?: ?/ ?(.{1,20}))?", re.ASCII)
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?([smhd]?)", re.ASCII)


def duration(text: str) -> float:
    """
    Seconds in ``90``, ``90s``, ``5m``, ``1.5h`` or ``2d``.

    :raises ValueError: it is none of these, or nothing at all.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("is not a time such as 90s, 5m, 2h or 1d")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if not seconds:
        raise ValueError("is no time at all")
    return seconds


def rate(text: str) -> tuple[int, float]:
    """
    Events and the seconds they may come in: ``100`` (in a second), ``100/60``,
    ``100/min``, ``100/5m``; periods are ``s``, ``sec``, ``second``, ``min``,
    ``minute``, ``h``, ``hour``, ``d``, ``day``, or a time as :func:`duration`
    reads it.

    :raises ValueError: it is none of these, or for longer than a year.
    """
    match = _RATE.fullmatch(text)
    wrong = "is not a rate such as 10, 100/60, 100/min, 5000/hour or 100000/day"
    if match is None:
        raise ValueError(wrong)
    period = match[2]
    if period is None:
        return int(match[1]), 1.0
    if period in _PERIODS:
        return int(match[1]), _PERIODS[period]
    try:
        seconds = duration(period)
    except ValueError as error:
        raise ValueError(f"{wrong}: {period!r} {error}") from None
    if seconds > LONGEST_PERIOD:
        raise ValueError(f"{wrong}: {period!r} is more than a year")
    return int(match[1]), seconds


def windows(text: str) -> tuple[int, int]:
    """
    Size in seconds and number of windows in ``60,15``.

    :raises ValueError: it is something else.
    """
    size, comma, count = text.partition(",")
    size, count = size.strip(), count.strip()
    if not (comma and size.isdecimal() and count.isdecimal() and size.isascii() and count.isascii()):
        raise ValueError('is not of the form "size,count", as in "60,15": fifteen windows of 60 seconds')
    if not (1 <= int(size[:9]) <= 31_536_000 and len(size) < 10 and 1 <= int(count[:5]) <= 10_000 and len(count) < 6):
        raise ValueError("must have a size of 1 to 31536000 seconds and a count of 1 to 10000 windows")
    return int(size), int(count)
