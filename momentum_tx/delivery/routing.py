"""
Which exchangers a domain has: routes an operator wrote, or DNS.

Nothing here fails mail.  A record's ``mx_type`` and ``routing_note`` say what
was found; :mod:`~momentum_tx.delivery.initiate` turns them into flags.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..errors import LookupFailed
from ..policy.consequence import LOOKUP_DEFERRED
from ..queues.domain import DomainRecord, MXType
from ..smtp.addresses import canonical_domain, split_address
from .exchangers import Exchangers, Found

if TYPE_CHECKING:
    from ..queues.message import Message
    from .facilities import Facilities
    from .records import Records

#: Shortest and longest wait, seconds, before DNS is asked again after it failed.
RETRY_FIRST, RETRY_LONGEST = 1.0, 60.0


class Router:
    """
    Fills domain records with exchangers.

    :param facilities: resolver, configuration, clock.
    :param records: where host records live.
    :param changed: told when a look-up for a record has ended, however.
    """

    _log = Logger()

    def __init__(self, facilities: Facilities, records: Records, changed: Callable[[DomainRecord], object]) -> None:
        self._f = facilities
        self._exchangers = Exchangers(facilities, records)
        self._changed = changed

    def routing_domain(self, message: Message) -> tuple[str, bool]:
        """
        Name of the queue *message* belongs in, and whether an operator chose it.

        The recipient's domain, or the gateway configured for it: then the
        gateway's options apply, no longer the domain's (Momentum, ``gateway``).
        """
        domain = canonical_domain(split_address(message.recipient)[1])
        gateway = self._f.config.path(max(message.binding_slot, 0), domain).gateway
        return (gateway.lower(), True) if gateway else (domain, False)

    def ensure(self, dr: DomainRecord, now: float) -> None:
        """
        Have the routing data of *dr* looked up if there is none, or if it has
        expired; addresses that are known serve until the answer comes, a
        verdict on the whole domain does not.
        """
        if dr.lookup_pending:
            return
        if dr.dns_failures:
            # A wait that is longer than any we set comes from a wall clock that was put back.
            if 0 < dr.dns_retry_at - now <= RETRY_LONGEST:
                return
        elif now < dr.expiry:
            return
        if dr.all_prohibited or dr.mx_type in (MXType.NULL, MXType.BROKEN):
            # Addresses may serve a while longer; what fails mail for ever is not held true beyond its time.
            self._forget(dr)
        dr.lookup_pending = True
        loading = Deferred.fromCoroutine(self._load(dr))
        loading.addErrback(self._bug, dr)
        loading.addCallback(self._loaded, dr)

    def trust(self, dr: DomainRecord) -> None:
        """
        The name of *dr* turned out to be one an operator wrote: what was found
        while it was a stranger's, and held against ``prohibited_hosts``, does
        not count.
        """
        if not dr.operator_named:
            dr.operator_named = True
            self._forget(dr)

    @staticmethod
    def _forget(dr: DomainRecord) -> None:
        dr.mx_type = MXType.UNKNOWN
        dr.all_prohibited = False
        dr.expiry = 0.0

    def _bug(self, failure: object, dr: DomainRecord) -> None:
        # When in doubt, keep the mail: whatever went wrong counts as temporary.
        self._log.failure("routing of {domain} failed", failure=failure, domain=dr.domain)  # type: ignore[arg-type]
        self._lookup_failed(dr, "internal error")

    def _loaded(self, _: object, dr: DomainRecord) -> None:
        dr.lookup_pending = False
        self._changed(dr)

    def _lookup_failed(self, dr: DomainRecord, reason: str) -> None:
        now = self._f.wall()
        dr.dns_failures += 1
        longest = min(RETRY_FIRST * 2.0 ** min(dr.dns_failures - 1, 10), RETRY_LONGEST)
        # Spread, so that a resolver that comes back is not asked everything at once.
        dr.dns_retry_at = now + longest * (0.5 + 0.5 * self._f.rng.random())
        dr.routing_note = LOOKUP_DEFERRED + b" (" + reason.encode("ascii", "replace")[:200] + b")"

    async def _load(self, dr: DomainRecord) -> None:
        routes = self._f.config.domain(dr.domain).routes
        operator_named = dr.operator_named
        try:
            self._settle(dr, await self._exchangers.find(dr.domain, operator_named))
        except LookupFailed as error:
            self._lookup_failed(dr, str(error))
        if dr.operator_named != operator_named or self._f.config.domain(dr.domain).routes != routes:
            # An operator has spoken while DNS was being asked for what was true before.
            self._forget(dr)

    def _settle(self, dr: DomainRecord, found: Found) -> None:
        g = self._f.config.global_settings
        dr.mx_type = found.kind
        dr.mxlist = found.exchangers
        dr.dns_failures = 0
        dr.routing_note = b""
        dr.expiry = self._f.wall() + max(1.0, min(max(found.life, g.min_dns_ttl), g.max_dns_ttl))
        dr.all_prohibited = bool(found.exchangers) and not any(mx.host.addresses for mx in found.exchangers)
