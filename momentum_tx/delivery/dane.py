"""
What TLSA records say of a mail exchanger, and whether they are to be believed.

The way to them is RFC 7672 section 2: addresses that were validated, then the
records of the name that the exchanger's aliases end at, then those of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from ..interfaces.services import IResolver
from ..net.dane import usable
from ..policy.tls import TLSAssociation

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

#: Exchangers of which it is remembered what was found.
MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class TLSAFound:
    """
    What DNS says of one port of one host.

    :ivar published: how many validated records there are.
    :ivar associations: those that mean something to us; none of many means that TLS is
        demanded and nothing verified (RFC 7672 section 2.2).
    :ivar base: the name they belong to, which is told to the peer as well; empty if there are none.
    :ivar reason: why there are none; empty if there are.
    """

    published: int = 0
    associations: tuple[TLSAssociation, ...] = ()
    base: str = ""
    reason: str = ""


class DANE:
    """
    Looks up TLSA records.

    :param clock: of the memory of what was found.
    :param resolver: asks DNS, keeps answers, and knows which were validated.
    :param use_ipv6: whether addresses of both families are asked for, as they are when
        mail is delivered.
    """

    def __init__(self, clock: IReactorTime, resolver: IResolver, use_ipv6: Callable[[], bool]) -> None:
        self._clock = clock
        self._resolver = resolver
        self._use_ipv6 = use_ipv6
        self._remembered: OrderedDict[tuple[str, int], tuple[float, TLSAFound]] = OrderedDict()

    def lookup(self, host: str, port: int) -> Deferred[TLSAFound]:
        """
        What there is for *host*.

        :param host: name of the exchanger, as validated MX records or an operator have it.
        :returns: fires with that, at once where DNS has answered before; fails with
            :class:`~momentum_tx.errors.LookupFailed` if it cannot be told, and nothing may
            be sent there.
        """
        return Deferred.fromCoroutine(self._lookup(host, port))

    def prepare(self, host: str, port: int) -> None:
        """
        Have it looked up, so that it is known when it is needed.
        """
        self.lookup(host, port).addErrback(lambda failure: None)

    def known(self, host: str, port: int) -> TLSAFound | None:
        """
        What was found and still holds; ``None`` if that is nothing, or must be asked anew.
        """
        remembered = self._remembered.get((host, port))
        return remembered[1] if remembered is not None and remembered[0] > self._clock.seconds() else None

    async def _lookup(self, host: str, port: int) -> TLSAFound:
        found, ttl = await self._find(host, port)
        remembered = self._remembered
        remembered.pop((host, port), None)
        if len(remembered) >= MOST_REMEMBERED:
            remembered.popitem(last=False)
        remembered[host, port] = self._clock.seconds() + ttl, found
        return found

    async def _find(self, host: str, port: int) -> tuple[TLSAFound, int]:
        addresses = await self._resolver.lookup_addresses(host, self._use_ipv6())
        ttl = addresses.ttl
        if addresses.secure:
            bases = (addresses.canonical, host) if addresses.canonical else (host,)
        else:
            # The alias may be signed though what it leads to is not (RFC 7672 section 2.1.3).
            if not addresses.canonical or not (await self._resolver.lookup_alias(host)).secure:
                return TLSAFound(reason=f"the addresses of {host} are not validated by DNSSEC"), ttl
            bases = (host,)
        for base in bases:
            answer = await self._resolver.lookup_tlsa(tlsa_name(base, port))
            ttl = min(ttl, answer.ttl)
            if answer.secure and answer.records:
                associations = tuple(TLSAssociation(*record) for record in usable(answer.records))
                return TLSAFound(len(answer.records), associations, base), ttl
        return TLSAFound(reason=f"there are no validated TLSA records at {tlsa_name(bases[0], port)}"), ttl


def tlsa_name(base: str, port: int) -> str:
    """
    Where the TLSA records of a port of a host are (RFC 6698 section 3).
    """
    return f"_{port}._tcp.{base}"
