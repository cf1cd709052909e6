"""
Which exchangers a domain has: routes an operator wrote, or DNS.

Nothing here fails mail.  A record's ``mx_type`` and ``routing_note`` say what
was found; :mod:`~momentum_tx.delivery.initiate` turns them into flags.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from ..errors import LookupFailed
from ..interfaces.services import MXKind
from ..policy.consequence import LOOKUP_DEFERRED
from ..policy.next_hop import is_address, parse_next_hop
from ..queues.domain import DomainRecord, HostRecord, MXRecord, MXType
from ..smtp.addresses import canonical_domain, split_address

if TYPE_CHECKING:
    from ..queues.message import Message
    from .facilities import Facilities
    from .records import Records

#: Exchangers looked up for one domain; RFC 5321 5.1 asks for at least two tries, and
#: hundreds of records are an attack on us or on whom they name.
MAX_EXCHANGERS = 20
#: Shortest and longest wait, seconds, before DNS is asked again after it failed.
RETRY_FIRST, RETRY_LONGEST = 1.0, 60.0
#: Life, seconds, of routing data that no DNS answer gave.
STATIC_TTL = 3600.0
#: Life, seconds, of an answer with which something was wrong.
PARTIAL_TTL = 30.0


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
        self._records = records
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
            if routes:
                await self._load_routes(dr, routes)
            elif dr.operator_named or dr.domain.startswith("["):
                await self._load_named(dr)
            else:
                await self._load_mx(dr)
        except LookupFailed as error:
            self._lookup_failed(dr, str(error))
        if dr.operator_named and not operator_named:
            # It became the operator's while DNS was being asked for a stranger.
            self._forget(dr)

    async def _load_routes(self, dr: DomainRecord, routes: tuple[str, ...]) -> None:
        found: list[MXRecord] = []
        life = STATIC_TTL
        for preference, route in enumerate(routes):
            if route == "__mx__":
                try:
                    _, records, ttl = await self._exchangers(dr.domain)
                except LookupFailed:
                    # The routes beside it are there for such a time.
                    records, ttl = (), PARTIAL_TTL
                found.extend(MXRecord(preference, mx.host, mx.port) for mx in records)
                life = min(life, ttl)
                continue
            name, port = parse_next_hop(route)
            host = self._records.host(name, trusted=True)
            if is_address(name):
                self._take_addresses(host, (name,))
            else:
                known = await self._try_resolve(host)
                life = min(life, PARTIAL_TTL if known is None else known)
            found.append(MXRecord(preference, host, port))
        if not any(mx.host.addresses for mx in found):
            raise LookupFailed("no route has an address")
        self._settle(dr, MXType.ROUTES, tuple(found), life)

    async def _load_named(self, dr: DomainRecord) -> None:
        # An address literal in a recipient is a stranger's word; a gateway is the operator's.
        name, port = parse_next_hop(dr.domain)
        if not is_address(name) and not port:
            await self._load_mx(dr)
            return
        host = self._records.host(name, trusted=dr.operator_named)
        if is_address(name):
            self._take_addresses(host, (name,))
            life = STATIC_TTL
        else:
            life = await self._resolve(host)
        if not host.addresses and not self._prohibited(host):
            raise LookupFailed(f"{name} has no address")
        self._settle(dr, MXType.ADDRESS, (MXRecord(0, host, port),), life)

    async def _load_mx(self, dr: DomainRecord) -> None:
        kind, records, life = await self._exchangers(dr.domain, trusted=dr.operator_named)
        if kind is MXKind.NULL:
            self._settle(dr, MXType.NULL, (), life)
        elif kind is MXKind.NXDOMAIN or (kind is MXKind.NONE and not records):
            self._settle(dr, MXType.BROKEN, (), life)
        elif not any(mx.host.addresses for mx in records) and not any(self._prohibited(mx.host) for mx in records):
            raise LookupFailed("no mail exchanger has an address")
        else:
            self._settle(dr, MXType.ADDRESS if kind is MXKind.NONE else MXType.MX, records, life)

    def _settle(self, dr: DomainRecord, mx_type: MXType, records: tuple[MXRecord, ...], life: float) -> None:
        g = self._f.config.global_settings
        dr.mx_type = mx_type
        dr.mxlist = records
        dr.dns_failures = 0
        dr.routing_note = b""
        dr.expiry = self._f.wall() + max(1.0, min(max(life, g.min_dns_ttl), g.max_dns_ttl))
        dr.all_prohibited = bool(records) and not any(mx.host.addresses for mx in records)

    async def _exchangers(self, domain: str, trusted: bool = False) -> tuple[MXKind, tuple[MXRecord, ...], float]:
        answer = await self._f.resolver.lookup_mx(domain)
        life = float(answer.ttl)
        if answer.kind is MXKind.NONE:
            host = self._records.host(domain, trusted)
            life = min(life, await self._resolve(host))
            exists = host.addresses or self._prohibited(host)
            if not exists and await self._only_ipv6(domain):
                # The domain is well; it is we who cannot reach it (option use_ipv6).
                raise LookupFailed("it has only IPv6 addresses, and use_ipv6 is off")
            return answer.kind, (MXRecord(0, host),) if exists else (), life
        if answer.kind is not MXKind.RECORDS:
            return answer.kind, (), life
        hosts = [
            (preference, self._records.host(name, trusted)) for preference, name in answer.records[:MAX_EXCHANGERS]
        ]
        distinct = list({id(host): host for _, host in hosts}.values())
        lives = await gatherResults([Deferred.fromCoroutine(self._try_resolve(host)) for host in distinct])
        if None in lives and not any(host.addresses for host in distinct):
            # Those that answered may all be prohibited; the others might not be.
            raise LookupFailed("no mail exchanger has a known address")
        life = min([life, *(PARTIAL_TTL if ttl is None else ttl for ttl in lives)])
        return answer.kind, tuple(MXRecord(p, host) for p, host in hosts), life

    async def _try_resolve(self, host: HostRecord) -> float | None:
        # One exchanger without an answer must not keep mail from the others.
        try:
            return await self._resolve(host)
        except LookupFailed:
            return None

    async def _resolve(self, host: HostRecord) -> float:
        # An exchanger that DNS names "192.0.2.1" is a name like any other, and has no address.
        answer = await self._f.resolver.lookup_addresses(host.name, self._f.config.global_settings.use_ipv6)
        self._take_addresses(host, answer.addresses)
        return float(answer.ttl)

    def _take_addresses(self, host: HostRecord, addresses: tuple[str, ...]) -> None:
        if host.trusted:
            host.addresses = addresses
            return
        prohibits = self._f.prohibited.prohibits
        host.addresses = tuple(address for address in addresses if not prohibits(address))
        host.prohibited = len(host.addresses) < len(addresses)

    async def _only_ipv6(self, name: str) -> bool:
        """
        Whether a name without IPv4 addresses has IPv6 ones we were told not to use.
        """
        if self._f.config.global_settings.use_ipv6:
            return False
        return bool((await self._f.resolver.lookup_addresses(name, True)).addresses)

    @staticmethod
    def _prohibited(host: HostRecord) -> bool:
        return host.prohibited and not host.addresses
