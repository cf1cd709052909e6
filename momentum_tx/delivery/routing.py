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

from ..errors import ExchangersUnknown, LookupFailed, LookupHindered
from ..policy.consequence import LOOKUP_DEFERRED
from ..policy.lookup_failures import DNSHealth, LookupFailures
from ..queues.domain import DomainRecord, MXType
from ..smtp.addresses import canonical_domain, split_address
from . import asking
from .exchangers import Exchangers, Found
from .rollups import RollupChoice

if TYPE_CHECKING:
    from ..policy.rollup import Rollup
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
        self._rollups = RollupChoice(facilities, self._exchangers)
        self._changed = changed
        self._health = DNSHealth()

    def routing_domain(self, message: Message) -> tuple[str, bool]:
        """
        Name of the queue *message* belongs in, and whether an operator chose it.

        The recipient's domain, or the gateway configured for it: then the
        gateway's options apply, no longer the domain's (Momentum, ``gateway``).
        """
        domain = canonical_domain(split_address(message.recipient)[1])
        hooks = self._f.hooks
        if hooks.config_get_message_routing_domain:
            other = asking.routing_domain(hooks, message, domain)
            if other is not None:
                return other, True
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
        if self._f.tls_policies.unlooked(dr):
            # Its policy has made room for others' since: nothing goes before that is known again.
            self._forget(dr)
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

    @property
    def rolls_up(self) -> bool:
        """
        Whether mail of any domain may be queued under another name for its exchangers.
        """
        config = self._f.config
        return config.written("rollup_mx") or config.written("rollup_by_mx_set")

    def trust(self, dr: DomainRecord) -> None:
        """
        The name of *dr* turned out to be one an operator wrote: what was found
        while it was a stranger's, and held against ``prohibited_hosts``, does
        not count.
        """
        if not dr.operator_named:
            dr.operator_named = True
            self._forget(dr)

    def distrust(self, dr: DomainRecord) -> None:
        """
        The name of *dr* is no longer one that an operator wrote.
        """
        dr.operator_named = False
        self._forget(dr)

    def reconsider(self, dr: DomainRecord) -> None:
        """
        The configuration was replaced: if *dr* has other routes now, DNS is asked
        anew, and nothing goes the old way meanwhile; sessions end after their
        transaction.
        """
        if dr.rollup is not None:
            # Asked again when there is mail; what waits elsewhere comes back if its next attempt fails.
            dr.rollup = None
            self._forget(dr)
        if dr.routes != self._exchangers.routes(dr.domain):
            dr.way += 1
            dr.dns_failures = 0
            self._forget(dr)
        elif self._f.tls_policies.unlooked(dr):
            # It may have had a policy all the time, for which nobody has asked.
            dr.way += 1
            self._forget(dr)

    def adopt(self, dr: DomainRecord, rollup: Rollup) -> bool:
        """
        Mail of other domains is queued under the name of *dr* from now on.

        :returns: false if that cannot be, for it stands for other exchangers.
        """
        if dr.fixed != rollup.exchangers:
            if dr.fixed or not rollup.exchangers:
                return False
            dr.fixed = rollup.exchangers
            self._forget(dr)
        if not dr.rolled:
            dr.rolled = True
            if dr.all_prohibited or dr.mx_type in (MXType.NULL, MXType.BROKEN):
                # It was found so when only its own mail was concerned.
                self._forget(dr)
        return True

    @staticmethod
    def _forget(dr: DomainRecord) -> None:
        dr.mx_type = MXType.UNKNOWN
        dr.all_prohibited = False
        dr.expiry = 0.0

    def hopeless(self, dr: DomainRecord) -> bool:
        """
        Whether so many look-ups have failed that the mail of *dr* is to be given up.
        """
        most = self._f.config.domain(dr.domain).dns_failures_to_purge
        if dr.lookup_failures is None or not 0 < most <= dr.lookup_failures.whole:
            return False
        # To give up what an operator sends his own way is not DNS's to decide.
        return not dr.operator_named and not dr.rolled and not self._exchangers.routes(dr.domain)

    @staticmethod
    def gave_up(dr: DomainRecord) -> None:
        """
        The mail of *dr* was given up; what comes from now on has its own chances.
        """
        dr.lookup_failures = None

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
        dr.routes = routes = self._exchangers.routes(dr.domain)
        operator_named = dr.operator_named
        # Both at once: what a policy takes is not to be added to what DNS takes.
        policy = self._f.tls_policies.ready(dr)
        try:
            found = await self._find(dr, bool(routes))
            if operator_named and found.kind in (MXType.NULL, MXType.BROKEN):
                # Whoever wrote the name meant a host; whatever its domain says, his mail waits until he corrects it.
                raise LookupHindered(f"{dr.domain}, which a gateway names, takes no mail")
            if dr.rolled and not any(mx.host.addresses for mx in found.exchangers):
                # The domains whose mail is here may be as well as can be.
                raise LookupHindered(f"{dr.domain}, to which domains are rolled up, takes no mail")
            await policy
            rollup = await self._rollups.choose(dr, found)
        except LookupFailed as error:
            self._lookup_failed(dr, str(error))
        else:
            self._settle(dr, found)
            dr.unmoved = rollup is not None and rollup != dr.rollup
            dr.rollup = rollup
        if dr.operator_named != operator_named or self._exchangers.routes(dr.domain) != routes:
            # An operator has spoken while DNS was being asked for what was true before.
            self._forget(dr)

    async def _find(self, dr: DomainRecord, routed: bool) -> Found:
        """
        What there is to be found of *dr*; failures are counted.

        :param routed: whether it has routes.
        :raises LookupFailed: nothing, for now.
        """
        domain, operator_named = dr.domain, dr.operator_named
        if dr.fixed:
            return await self._exchangers.named(domain, dr.fixed)
        settings = self._f.config.domain(domain)
        # Who can keep MX records from us must not be able to choose where the mail goes instead.
        most = 0 if settings.use_dane else settings.mx_failures_fallback_to_a
        by_address = self._exchangers.by_address
        known = dr.lookup_failures
        only_address = most < 0 and not routed and known is not None and known.exchangers > 0
        try:
            found = await (by_address if only_address else self._exchangers.find)(domain, operator_named)
        except LookupHindered:
            raise
        except ExchangersUnknown:
            failures, counts = self._failed(dr)
            failures.exchangers += counts
            if most and failures.exchangers >= max(most, 1):
                try:
                    return await by_address(domain, operator_named)
                except LookupFailed as error:
                    if isinstance(error, LookupHindered):
                        raise
            failures.whole += counts
            raise
        except LookupFailed:
            failures, counts = self._failed(dr)
            failures.whole += counts
            raise
        if known is not None and not only_address:
            known.exchangers = 0
        return found

    def _failed(self, dr: DomainRecord) -> tuple[LookupFailures, bool]:
        """
        A look-up failed, and not for a reason of ours: the domain's failures, and
        whether this one counts.
        """
        if dr.lookup_failures is None:
            dr.lookup_failures = LookupFailures()
            self._health.troubled += 1
        interval = self._f.config.domain(dr.domain).dns_failure_interval
        return dr.lookup_failures, dr.lookup_failures.count(self._health, self._f.wall(), interval)

    def _settle(self, dr: DomainRecord, found: Found) -> None:
        g = self._f.config.global_settings
        dr.mx_type = found.kind
        dr.lead_to(found.exchangers)
        dr.secure = found.secure
        dr.dns_failures = 0
        if found.whole:
            self._health.answered += 1
        if dr.lookup_failures is not None:
            dr.lookup_failures.whole = 0
            if not dr.lookup_failures.exchangers:
                dr.lookup_failures = None
        dr.routing_note = b""
        dr.expiry = self._f.wall() + max(1.0, min(max(found.life, g.min_dns_ttl), g.max_dns_ttl))
        dr.all_prohibited = bool(found.exchangers) and not any(mx.host.addresses for mx in found.exchangers)
        self._f.tls_policies.prepare(dr)
