"""
A budget for questions about mail exchangers, for name servers that want one.

Source: Momentum, ``dns_rate_limit``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from ..errors import LookupFailed
from ..interfaces.services import AddressAnswer, AliasAnswer, IResolver, MXAnswer, TLSAAnswer, TXTAnswer
from ..policy.throttle import Window
from ..settings import GlobalSettings
from ..timers import Agenda


@implementer(IResolver)
class BudgetedResolver:
    """
    A resolver that is asked for exchangers no more often than
    ``dns_rate_limit_mx_queries`` in ``dns_rate_limit_period``; who comes too
    early waits in line.  Beyond ``dns_rate_limit_max_queue`` waiting ones it is
    asked at once, since mail that waits for ever is no better.

    :param resolver: asked in the end.
    :param settings: gives the options in force.
    :param agenda: alarms.
    """

    def __init__(self, resolver: IResolver, settings: Callable[[], GlobalSettings], agenda: Agenda) -> None:
        self._resolver = resolver
        self._settings = settings
        self._seconds = agenda.clock.seconds
        self._window = Window(1, 1.0)
        self._measure = 1, 1.0
        self._waiting: deque[tuple[str, Deferred[MXAnswer]]] = deque()
        self._alarm = agenda.alarm(self._serve)

    def lookup_mx(self, domain: str) -> Deferred[MXAnswer]:
        settings = self._settings()
        if not settings.dns_rate_limit_enabled and not self._waiting:
            return self._resolver.lookup_mx(domain)
        self._follow(settings)
        now = self._seconds()
        if not self._waiting and self._window.free(now):
            self._window.take(1, now)
            return self._resolver.lookup_mx(domain)
        if len(self._waiting) >= settings.dns_rate_limit_max_queue:
            return self._resolver.lookup_mx(domain)
        waiting: Deferred[MXAnswer] = Deferred(self._leave)
        self._waiting.append((domain, waiting))
        if self._alarm.when is None:
            self._alarm.arm(self._window.until(now) - now)
        return waiting

    def lookup_addresses(self, host: str, ipv6: bool) -> Deferred[AddressAnswer]:
        return self._resolver.lookup_addresses(host, ipv6)

    def lookup_tlsa(self, name: str) -> Deferred[TLSAAnswer]:
        return self._resolver.lookup_tlsa(name)

    def lookup_txt(self, name: str) -> Deferred[TXTAnswer]:
        return self._resolver.lookup_txt(name)

    def lookup_alias(self, name: str) -> Deferred[AliasAnswer]:
        return self._resolver.lookup_alias(name)

    def close(self) -> None:
        self._alarm.disarm()
        waiting, self._waiting = self._waiting, deque()
        for _, each in waiting:
            each.errback(LookupFailed("the resolver is closed"))
        self._resolver.close()

    def _follow(self, settings: GlobalSettings) -> None:
        measure = settings.dns_rate_limit_mx_queries, settings.dns_rate_limit_period
        if measure != self._measure:
            self._measure = measure
            self._window.configure(*measure)

    def _leave(self, waiting: Deferred[MXAnswer]) -> None:
        self._waiting = deque(each for each in self._waiting if each[1] is not waiting)
        waiting.errback(LookupFailed("cancelled"))

    def _serve(self) -> None:
        settings = self._settings()
        self._follow(settings)
        now = self._seconds()
        while self._waiting and (not settings.dns_rate_limit_enabled or self._window.free(now)):
            domain, waiting = self._waiting.popleft()
            if settings.dns_rate_limit_enabled:
                self._window.take(1, now)
            try:
                answer = self._resolver.lookup_mx(domain)
            except Exception:
                # Whoever waits must hear of whatever went wrong.
                answer = fail()
            answer.chainDeferred(waiting)
        if self._waiting:
            self._alarm.arm(self._window.until(now) - now)
