"""
What became of the look-ups of each domain, to judge whether DNS failed so long
that mail may be given up for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import LookupFailed, LookupHindered

if TYPE_CHECKING:
    from ...interfaces.services import IConfiguration
    from ...service import OutboundService


class _Row:
    """
    Failures in a row of one domain.
    """

    __slots__ = ("answered", "count", "since")

    def __init__(self, since: float, answered: int) -> None:
        self.since = since
        self.count = 0
        #: What DNS had answered by then.
        self.answered = answered


class LookupWatch:
    """
    Stands behind the router of one service.

    :param service: not started yet.
    :param seconds: the time.
    """

    def __init__(self, service: OutboundService, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._answered = 0
        self._failing: dict[str, _Row] = {}
        router = service.delivery.router
        self._find = router._find
        router._find = self._found  # type: ignore[method-assign]

    async def _found(self, dr: Any, routed: bool) -> Any:
        try:
            found = await self._find(dr, routed)
        except LookupHindered:
            raise
        except LookupFailed:
            self._failing.setdefault(dr.domain, _Row(self._seconds(), self._answered)).count += 1
            raise
        self._answered += 1
        self._failing.pop(dr.domain, None)
        return found

    def hopeless(self, domain: str, config: IConfiguration) -> bool:
        """
        Whether look-ups of *domain* have failed so often, for so long, and not
        those of all, that its mail may be given up.
        """
        settings, row = config.domain(domain), self._failing.get(domain)
        most = settings.dns_failures_to_purge
        if not most or row is None or settings.routes:
            return False
        lasts = self._seconds() - row.since
        # The first failure is none, and a wall clock that is put forward takes one interval away.
        return (
            row.count > most and lasts >= (most - 1) * settings.dns_failure_interval and self._answered > row.answered
        )
