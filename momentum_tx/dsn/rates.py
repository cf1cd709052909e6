"""
A bound on what the senders of one domain are told, so that a storm of failures, or
of forged senders, is not answered by a storm.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

#: Seconds in which so many are told.
WINDOW: Final = 60.0
#: Domains that are counted at once; the one that was told of longest ago is forgotten.
MOST_DOMAINS: Final = 10_000


class SenderRates:
    """
    Counts by domain of the sender.

    :param monotonic: seconds of a steady clock.
    :ivar dropped: how many were above the limit, of all domains.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        #: When the window began, how many it has, how many of those were above the limit.
        self._counts: OrderedDict[str, list[float]] = OrderedDict()
        self.dropped = 0

    def admits(self, domain: str, limit: int) -> bool:
        """
        Whether one more may be told.

        :param limit: most in :data:`WINDOW`; 0 is no limit.
        """
        if not limit:
            return True
        now = self._monotonic()
        count = self._counts.get(domain)
        if count is None or now - count[0] >= WINDOW:
            count = self._counts[domain] = [now, 0, 0]
            if len(self._counts) > MOST_DOMAINS:
                self._counts.popitem(last=False)
        self._counts.move_to_end(domain)
        if count[1] >= limit:
            count[2] += 1
            self.dropped += 1
            return False
        count[1] += 1
        return True

    def first_dropped(self, domain: str) -> bool:
        """
        Whether what was just refused was the first in its window, so that people hear of it once.
        """
        count = self._counts.get(domain)
        return count is not None and count[2] == 1
