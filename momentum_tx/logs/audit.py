"""
What became of each domain's mail, window by window.

Source: Momentum, module ``outbound_audit``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from zope.interface import implementer

from ..interfaces import hooks as contracts
from ..settings import GlobalSettings
from ..smtp.addresses import split_address
from ..units import windows

#: Most domains with windows of their own; those heard of longest ago are forgotten first.
MOST_DOMAINS: Final = 100_000
#: Name under which all domains are counted together.
ALL: Final = "*"


@dataclass(slots=True)
class Window:
    """
    One window of one domain.

    :ivar domain: the domain, or ``*`` for all together.
    :ivar size: its length, seconds.
    :ivar offset: how many windows ago it was; 0 is the present one, which is not over.
    :ivar receptions: messages received.
    :ivar deliveries: messages delivered.
    :ivar seconds: sum of the times from connect to success.
    :ivar transients: transient failures.
    :ivar permanents: permanent failures.
    """

    domain: str
    size: int
    offset: int
    receptions: int = 0
    deliveries: int = 0
    seconds: float = 0.0
    transients: int = 0
    permanents: int = 0

    @property
    def delivery_time(self) -> float:
        """
        Mean seconds from connect to success; 0 without deliveries.
        """
        return self.seconds / self.deliveries if self.deliveries else 0.0

    def __str__(self) -> str:
        return (
            f"{self.domain} {self.size}/{self.offset}: r: {self.receptions} d: {self.deliveries}"
            f" dt: {self.delivery_time:.2f} t: {self.transients} f: {self.permanents}"
        )


class _Series:
    """
    The last windows of one domain and one size, oldest first; empty ones are left out.
    """

    __slots__ = ("_kept", "_size", "windows")

    def __init__(self, size: int, kept: int) -> None:
        self._size = size
        self._kept = kept
        #: Number of the window since the beginning of time, and what happened in it.
        self.windows: deque[tuple[int, Window]] = deque()

    def present(self, domain: str, now: float) -> Window:
        number = int(now // self._size)
        there = self.windows
        if not there or there[-1][0] < number:
            there.append((number, Window(domain, self._size, 0)))
            while there[0][0] <= number - self._kept:
                there.popleft()
        # A wall clock that was put back goes on in the newest window there is.
        return there[-1][1]

    def told(self, now: float) -> Iterator[Window]:
        number = int(now // self._size)
        for index, window in reversed(self.windows):
            if number - self._kept < index:
                window.offset = max(0, number - index)
                yield window


@implementer(
    contracts.ILogReceptionV1,
    contracts.ILogDeliveryV1,
    contracts.ILogTransientFailureV1,
    contracts.ILogPermanentFailureV1,
)
class OutboundAudit:
    """
    Counts receptions, deliveries and failures by domain, in the windows of
    ``outbound_audit_monitors``.

    A provider of the logging hooks.  Receptions count for the recipient's
    domain, the rest for the routing domain.

    :param settings: gives the options in force.
    :param wall: wall time.
    """

    part_of_service = True

    def __init__(self, settings: Callable[[], GlobalSettings], wall: Callable[[], float]) -> None:
        self._settings = settings
        self._wall = wall
        self._series: dict[str, tuple[_Series, ...]] = {}
        self._monitors: tuple[str, ...] = ()

    def log_reception_v1(self, ac: Any, msg: Any, now: float | None, note: bytes | None) -> None:
        domain = split_address(msg.recipient)[1].decode("utf-8", "replace").lower()
        for window in self._present(domain, now):
            window.receptions += 1

    def log_delivery_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        when = self._wall() if now is None else now
        began = when if msg.connection is None else msg.connection.start
        for window in self._present(dr.domain, when):
            window.deliveries += 1
            window.seconds += max(0.0, when - began)

    def log_transient_failure_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        for window in self._present(dr.domain, now):
            window.transients += 1

    def log_permanent_failure_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        for window in self._present(dr.domain, now):
            window.permanents += 1

    def _present(self, domain: str, now: float | None) -> Iterator[Window]:
        settings = self._settings()
        if settings.outbound_audit_monitors != self._monitors:
            # Other windows: what was counted in the old ones means nothing in them.
            self._monitors = settings.outbound_audit_monitors
            self._series.clear()
        when = self._wall() if now is None else now
        names = [ALL]
        listed = settings.outbound_audit_domainlist
        if settings.outbound_audit_monitor_domains and (not listed or domain in listed):
            names.append(domain)
        for name in names:
            for series in self._of(name):
                yield series.present(name, when)

    def _of(self, name: str) -> tuple[_Series, ...]:
        series = self._series.pop(name, None)
        if series is None:
            if len(self._series) > MOST_DOMAINS:
                del self._series[next(iter(self._series))]
            series = tuple(_Series(*windows(text)) for text in self._monitors)
        # The one heard of last stands last.
        self._series[name] = series
        return series

    def show(self, domain: str | None = None) -> Sequence[Window]:
        """
        What was counted, the newest window first (Momentum's console:
        ``outbound_audit show``).

        :param domain: one domain, or ``*`` for all together; ``None`` for every
            domain that reaches ``outbound_audit_threshold`` in the window.
        """
        now, threshold = self._wall(), self._settings().outbound_audit_threshold
        found: list[Window] = []
        for name, of_name in self._series.items():
            if domain is not None and name != domain:
                continue
            for series in of_name:
                found += [
                    window
                    for window in series.told(now)
                    if domain is not None or name == ALL or window.receptions + window.deliveries >= threshold
                ]
        return found

    def clear(self) -> None:
        """
        Forget everything (``outbound_audit clear``).
        """
        self._series.clear()
