"""
When a failed look-up counts against its domain.

A resolver that is down fails the look-ups of every domain, and repeats itself
within seconds.  So that mail is not given up for what no domain can help,
failures that are close to each other are one, and they count only while DNS
answers for others.
"""

from __future__ import annotations


class DNSHealth:
    """
    What DNS has done for all domains together.
    """

    __slots__ = ("answered", "troubled")

    def __init__(self) -> None:
        #: Look-ups that were answered, with whatever answer.
        self.answered = 0
        #: Domains whose look-ups began to fail; further failures of one in a row are no news.
        self.troubled = 0


class LookupFailures:
    """
    The failures in a row of one domain's look-ups, as far as they count.
    """

    __slots__ = ("_answered", "_since", "_troubled", "exchangers", "whole")

    def __init__(self) -> None:
        #: Look-ups that led nowhere.
        self.whole = 0
        #: Look-ups of MX records; addresses may have been found instead.
        self.exchangers = 0
        #: Wall time from which on failures are one, and what DNS had done by then; 0 before the first.
        self._since = 0.0
        self._answered = self._troubled = 0

    def shift(self, seconds: float) -> None:
        """
        The wall clock was put forward by so much: the interval runs on as it did.
        """
        if self._since:
            self._since += seconds

    def count(self, health: DNSHealth, now: float, interval: float) -> bool:
        """
        There was another failure: whether it counts.

        The first one never does, since nobody knows yet whether it is the
        domain's.  A later one does if *interval* has passed since the first, or
        since the last that was looked at, and DNS has answered more often for
        others in between than it began to fail for others.

        :param now: wall time; one that was put back begins a new interval.
        :param interval: seconds.
        """
        counts = False
        if self._since:
            if 0.0 <= now - self._since < interval:
                return False
            answered, troubled = health.answered - self._answered, health.troubled - self._troubled
            counts = now >= self._since and answered > troubled
        self._since, self._answered, self._troubled = now, health.answered, health.troubled
        return counts
