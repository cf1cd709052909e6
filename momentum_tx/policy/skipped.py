"""
Which hosts and addresses an operator wants left out, whoever named them.

Source: Momentum, page of ``skip_hosts``; names and patterns are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .prohibited import ProhibitedHosts


class SkippedHosts:
    """
    Addresses and hosts with one question.  Immutable: a new configuration makes
    a new one.
    """

    __slots__ = ("_names", "_networks", "_patterns")

    def __init__(self, entries: Iterable[str]) -> None:
        """
        :param entries: networks, host names, and regexes for host names between slashes.
        """
        networks: list[str] = []
        names: set[str] = set()
        patterns: list[re.Pattern[str]] = []
        for entry in entries:
            if len(entry) > 1 and entry.startswith("/") and entry.endswith("/"):
                patterns.append(re.compile(entry[1:-1], re.IGNORECASE))
            elif "/" in entry:
                networks.append(entry)
            else:
                names.add(entry)
        self._names = frozenset(names)
        self._patterns = tuple(patterns)
        # The same question, with the same answers for addresses within addresses.
        self._networks = ProhibitedHosts(networks) if networks else None

    def __bool__(self) -> bool:
        return bool(self._names or self._patterns or self._networks is not None)

    def skips(self, host: str, address: str) -> bool:
        """
        Whether *address* of *host* is left out.

        :param host: name of the exchanger, lower case.
        :param address: numeric.
        """
        if self._networks is not None and self._networks.prohibits(address):
            return True
        return host in self._names or any(pattern.search(host) for pattern in self._patterns)
