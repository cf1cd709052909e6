"""
Asks DNS for exchangers and their addresses, for one domain at a time.

What is found is a value; what it means for mail, how long it is kept and when
DNS is asked again is the business of :mod:`~momentum_tx.delivery.routing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from ..errors import ExchangersUnknown, LookupFailed, LookupHindered
from ..interfaces.services import MXKind
from ..policy.next_hop import (
    OWN_EXCHANGERS,
    Route,
    before_ourselves,
    is_address,
    parse_next_hop,
    parse_route,
    preferences,
)
from ..queues.domain import HostRecord, MXRecord, MXType

if TYPE_CHECKING:
    from .facilities import Facilities
    from .records import Records

#: Exchangers looked up for one domain; RFC 5321 5.1 asks for at least two tries, and
#: hundreds of records are an attack on us or on whom they name.
MAX_EXCHANGERS: Final = 20
#: Life, seconds, of routing data that no DNS answer gave.
STATIC_TTL: Final = 3600.0
#: Life, seconds, of an answer with which something was wrong.
PARTIAL_TTL: Final = 30.0
#: Life, seconds, of an address that stands in an MX record instead of a name (Momentum, module mxip).
MXIP_TTL: Final = 600.0
#: Longest life, seconds, of addresses that serve because MX records could not be had.
FALLBACK_TTL: Final = 300.0


@dataclass(frozen=True, slots=True)
class Found:
    """
    The answer about one domain.

    :ivar kind: what it is; never ``UNKNOWN``.
    :ivar exchangers: where its mail goes, none for a domain that takes none.
    :ivar life: seconds for which this may be believed.
    :ivar whole: whether DNS was asked, and has answered every question.
    :ivar secure: whether DNSSEC has validated which they are, or an operator has said so;
        their addresses are another question.
    """

    kind: MXType
    exchangers: tuple[MXRecord, ...]
    life: float
    whole: bool = True
    secure: bool = False


class Exchangers:
    """
    Finds the exchangers of a domain.

    :param facilities: resolver, configuration, prohibited addresses.
    :param records: where host records live.
    """

    def __init__(self, facilities: Facilities, records: Records) -> None:
        self._f = facilities
        self._records = records

    async def find(self, domain: str, operator_named: bool) -> Found:
        """
        The exchangers of *domain*, by routes or DNS.

        :param domain: name of the routing domain.
        :param operator_named: whether an operator wrote the name, so that
            ``prohibited_hosts`` does not apply.
        :raises ExchangersUnknown: DNS does not say which they are, for now;
            :meth:`by_address` may help.
        :raises LookupFailed: where they are is not known, for now.
        """
        routes = self.routes(domain)
        if routes:
            return await self._by_routes(domain, [parse_route(route) for route in routes], operator_named)
        if operator_named or domain.startswith("["):
            return await self._named(domain, operator_named)
        return await self._by_mx(domain, operator_named)

    def routes(self, domain: str) -> tuple[str, ...]:
        """
        The routes of *domain*, none where they add nothing to DNS.
        """
        routes = self._f.config.domain(domain).routes
        hook = self._f.hooks.config_fetch_domain_routes
        if hook:
            written = routes
            answer = hook.override(lambda provider: provider.config_fetch_domain_routes(domain, written))
            routes = routes if answer is None else answer
        # This is how one domain is left out of routes for all.
        return routes if any(route != OWN_EXCHANGERS for route in routes) else ()

    async def by_address(self, domain: str, operator_named: bool) -> Found:
        """
        *domain* as its own exchanger, though it may have MX records that cannot
        be had for now; arguments as those of :meth:`find`.

        :raises LookupFailed: it has no address either, or none that may be used.
        """
        host = self._records.host(domain, operator_named)
        life = await self._resolve(host)
        if not host.addresses:
            raise LookupFailed("its MX records are not known, and it has no address")
        return Found(MXType.ADDRESS, (MXRecord(0, host),), min(life, FALLBACK_TTL), whole=False)

    # Routes.

    async def _by_routes(self, domain: str, routes: Sequence[Route], operator_named: bool) -> Found:
        found = await gatherResults(
            [Deferred.fromCoroutine(self._route(domain, route, operator_named)) for route in routes]
        )
        # Exchangers of one route keep their order among themselves, within the place that the route has.
        placed = [
            ((preference, rank), mx.host, mx.port or route.port)
            for preference, route, of_route in zip(preferences(routes), routes, found, strict=True)
            for rank, mx in _ranked(of_route.exchangers)
        ]
        if not any(host.addresses for _, host, _ in placed):
            # An operator has written them; DNS may be as well as can be.
            raise LookupHindered("no route has an address")
        secure = all(each.secure for each in found)
        levels = sorted({place for place, _, _ in placed})
        placed.sort(key=lambda each: each[0])
        records = tuple(MXRecord(levels.index(place), host, port) for place, host, port in placed)
        return Found(MXType.ROUTES, records, min(each.life for each in found), whole=False, secure=secure)

    async def _route(self, domain: str, route: Route, operator_named: bool) -> Found:
        """
        The exchangers of one route.
        """
        own = route.host == OWN_EXCHANGERS
        if own or (route.by_mx and not is_address(route.host)):
            try:
                found = await self._by_mx(domain if own else route.host, not own or operator_named)
            except LookupFailed:
                # The routes beside it are there for such a time.
                return Found(MXType.ROUTES, (), PARTIAL_TTL, secure=True)
            records, life, secure = found.exchangers, found.life, found.secure
        else:
            host = self._records.host(route.host, trusted=True)
            records, secure = (MXRecord(0, host),), True
            if is_address(route.host):
                self._take_addresses(host, (route.host,))
                life = STATIC_TTL
            else:
                known = await self._try_resolve(host)
                if known is None:
                    return Found(MXType.ROUTES, records, PARTIAL_TTL, secure=True)
                life = known
        return Found(MXType.ROUTES, records, life if route.ttl is None else route.ttl, secure=secure)

    # Single hosts, and DNS.

    async def _named(self, domain: str, operator_named: bool) -> Found:
        # An address literal in a recipient is a stranger's word; a gateway is the operator's.
        name, port = parse_next_hop(domain)
        if not is_address(name) and not port:
            return await self._by_mx(domain, operator_named)
        host = self._records.host(name, trusted=operator_named)
        if is_address(name):
            self._take_addresses(host, (name,))
            return Found(MXType.ADDRESS, (MXRecord(0, host, port),), STATIC_TTL, whole=False)
        life = await self._resolve(host)
        if not host.addresses and not _prohibited(host):
            raise LookupFailed(f"{name} has no address")
        return Found(MXType.ADDRESS, (MXRecord(0, host, port),), life, secure=operator_named)

    async def _by_mx(self, domain: str, trusted: bool) -> Found:
        try:
            answer = await self._f.resolver.lookup_mx(domain)
        except LookupHindered:
            raise
        except LookupFailed as error:
            raise ExchangersUnknown(*error.args) from error
        if answer.kind is MXKind.NULL:
            return Found(MXType.NULL, (), float(answer.ttl))
        if answer.kind is MXKind.NXDOMAIN:
            return Found(MXType.BROKEN, (), float(answer.ttl))
        if answer.kind is MXKind.NONE:
            return await self._implicit(domain, trusted, float(answer.ttl), answer.secure)
        exchangers = before_ourselves(answer.records, self._f.hostname)[:MAX_EXCHANGERS]
        hosts = [(preference, self._records.host(name, trusted)) for preference, name in exchangers]
        return await self._of_hosts(domain, hosts, float(answer.ttl), answer.secure)

    async def named(self, domain: str, exchangers: Iterable[tuple[int, str]]) -> Found:
        """
        These exchangers, as a stranger's DNS has named them.

        :param domain: the routing domain that stands for them.
        :param exchangers: place and name of each.
        :raises LookupFailed: none has an address, for now.
        """
        hosts = [(place, self._records.host(name)) for place, name in exchangers]
        return await self._of_hosts(domain, hosts, STATIC_TTL)

    async def _of_hosts(
        self, domain: str, hosts: Sequence[tuple[int, HostRecord]], longest: float, secure: bool = False
    ) -> Found:
        """
        :param longest: life of the list itself.
        :param secure: whether the list was validated.
        """
        distinct = list({id(host): host for _, host in hosts}.values())
        lives = await self._lives(distinct, self._f.config.domain(domain).fully_resolve_before_smtp)
        if not any(host.addresses for host in distinct):
            if None in lives:
                # Those that answered may all be prohibited; the others might not be.
                raise LookupFailed("no mail exchanger has a known address")
            if not any(_prohibited(host) for host in distinct):
                raise LookupFailed("no mail exchanger has an address")
        life = min([longest, *(PARTIAL_TTL if ttl is None else ttl for ttl in lives)])
        records = tuple(MXRecord(preference, host) for preference, host in hosts)
        return Found(MXType.MX, records, life, None not in lives, secure)

    async def _lives(self, hosts: Sequence[HostRecord], all_of_them: bool) -> list[float | None]:
        """
        How long the addresses of each host may be kept; ``None`` where they are not known.

        :param all_of_them: whether to wait for every host, or for the first that has
            an address: the others fill in when they are known.
        """
        lives: list[float | None] = [None] * len(hosts)
        left = len(hosts)
        enough: Deferred[None] = Deferred()

        def resolved(life: float | None, index: int) -> None:
            nonlocal left
            lives[index] = life
            left -= 1
            if not enough.called and (not left or (hosts[index].addresses and not all_of_them)):
                enough.callback(None)

        def failed(failure: Failure) -> None:
            # What could go wrong has been dealt with; a fault of ours ends the look-up.
            if not enough.called:
                enough.errback(failure)

        for index, host in enumerate(hosts):
            Deferred.fromCoroutine(self._try_resolve(host)).addCallbacks(resolved, failed, callbackArgs=(index,))
        await enough
        return lives

    async def _implicit(self, domain: str, trusted: bool, life: float, secure: bool) -> Found:
        """
        A domain without MX records: it is its own exchanger (RFC 5321 5.1).

        :param life: of the answer that there are none.
        :param secure: whether that was validated.
        """
        host = self._records.host(domain, trusted)
        life = min(life, await self._resolve(host))
        if host.addresses or _prohibited(host):
            return Found(MXType.ADDRESS, (MXRecord(0, host),), life, secure=secure)
        if await self._only_ipv6(domain):
            # The domain is well; it is we who cannot reach it (option use_ipv6).
            raise LookupHindered("it has only IPv6 addresses, and use_ipv6 is off")
        return Found(MXType.BROKEN, (), life)

    async def _try_resolve(self, host: HostRecord) -> float | None:
        # One exchanger without an answer must not keep mail from the others.
        g = self._f.config.global_settings
        if g.mxip and is_address(host.name):
            self._take_addresses(host, (host.name,) if g.use_ipv6 or ":" not in host.name else ())
            return MXIP_TTL
        try:
            return await self._resolve(host)
        except LookupFailed:
            return None

    async def _resolve(self, host: HostRecord) -> float:
        # An exchanger that DNS names "192.0.2.1" is a name like any other, and has no address (but see mxip).
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


def _prohibited(host: HostRecord) -> bool:
    return host.prohibited and not host.addresses


def _ranked(records: Sequence[MXRecord]) -> list[tuple[int, MXRecord]]:
    """
    *records* with numbers instead of preferences: 0 for the best, 1 for the next.
    """
    distinct = sorted({mx.preference for mx in records})
    return [(distinct.index(mx.preference), mx) for mx in records]
