"""
When a sender is told that mail is late.

Source: Momentum, module ``delay_dsn``: the first time after an interval, which doubles
from one report to the next, up to a longest one: with three hours and a day, at
3, 9, 21, 45 hours and then every 24.  The times follow from the reception alone, and
so nothing about them has to be kept.
"""

from __future__ import annotations


def next_notice(began: float, now: float, interval: float, longest: float) -> float:
    """
    The first time after *now*.

    :param began: when the message was received, wall time.
    :param interval: seconds from then to the first report.
    :param longest: most seconds between two.
    """
    when, step = began + interval, interval
    while when <= now:
        step = min(step * 2, max(longest, interval))
        if step >= longest:
            # From here on they are as far apart as ever: no need to count through a year of them.
            missed = max(0, int((now - when) // step))
            when += missed * step
        when += step
    return when
