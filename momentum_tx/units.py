"""
Times as people write them.
"""

import re
from typing import Final

_SECONDS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
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
