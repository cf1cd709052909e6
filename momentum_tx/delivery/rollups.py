"""
Domains whose mail is queued under another name, since the same exchangers serve
them.

Source: Momentum, ``rollup_mx``, ``rollup_mx_name``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import LookupFailed
from ..policy.rollup import Rollup, ranked, set_name
from ..queues.domain import DomainRecord, MXType
from .bulk import active_of, all_of

if TYPE_CHECKING:
    from ..queues.message import Message
    from .exchangers import Exchangers, Found
    from .facilities import Facilities
    from .rebinding import Rebinding
    from .routing import Router
    from .settle import Settlement

#: Most routing domains of which it is remembered that an operator was told.
MOST_TOLD = 1000


class RollupChoice:
    """
    Decides, when the exchangers of a domain are known, where its mail is queued.

    :param facilities: configuration, and who tells an operator.
    :param exchangers: finds those of the routing domain.
    """

    def __init__(self, facilities: Facilities, exchangers: Exchangers) -> None:
        self._f = facilities
        self._exchangers = exchangers
        self._told: dict[str, None] = {}

    async def choose(self, dr: DomainRecord, found: Found) -> Rollup | None:
        """
        Where the mail of *dr* is queued; ``None`` for its own record.

        :param found: its exchangers, as they were just found.
        """
        config = self._f.config
        by_host, by_set = config.written("rollup_mx"), config.written("rollup_by_mx_set")
        if not (by_host or by_set) or dr.operator_named or dr.fixed or dr.domain.startswith("["):
            return None
        if found.kind not in (MXType.MX, MXType.ADDRESS) or not found.exchangers:
            # An operator has said where its mail goes, or it takes none.
            return None
        if self._f.tls_policies.alone(dr.domain) or self._f.tls_policies.dane_wanted(dr.domain, found.secure):
            # What it wants of TLS must neither be forgotten among others, nor bind them.
            return None
        if by_host:
            if dr.domain in config.values("rollup_mx_name"):
                # Never on from there: two that name each other would send mail in a circle.
                return None
            for mx in sorted(found.exchangers, key=lambda mx: mx.preference):
                host = config.host(mx.host.name)
                if host.rollup_mx:
                    return await self._to(dr, host.rollup_mx_name or mx.host.name, not host.rollup_mx_name)
        if by_set and found.kind is MXType.MX and config.shares_queue(dr.domain):
            exchangers = ranked((mx.preference, mx.host.name) for mx in found.exchangers)
            return Rollup(set_name(exchangers), exchangers)
        return None

    async def _to(self, dr: DomainRecord, name: str, of_host: bool) -> Rollup | None:
        """
        The routing domain *name*, if mail can be delivered by way of it.

        :param of_host: whether it is the name of an exchanger, and must lead there.
        """
        if name == dr.domain:
            return None
        try:
            found = await self._exchangers.find(name, False)
        except LookupFailed as error:
            self._tell(name, str(error))
            return None
        if not any(mx.host.addresses for mx in found.exchangers):
            self._tell(name, "it has no exchanger that may be used")
            return None
        if self._f.tls_policies.alone(name):
            self._tell(name, "it has an MTA-STS policy, which would bind the mail of others")
            return None
        if of_host and any(mx.host.name != name for mx in found.exchangers):
            self._tell(name, "it is the name of an exchanger, and its own mail goes elsewhere; write rollup_mx_name")
            return None
        self._told.pop(name, None)
        return Rollup(name)

    def _tell(self, name: str, reason: str) -> None:
        if name in self._told:
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told[name] = None
        text = f"no domain is rolled up to {name}: {reason}; mail stays in the queues of its own domains"
        self._f.hooks.tell_error(self._f.wall(), "warning", text)


class Rollups:
    """
    Follows what was decided: new mail at once, mail that waits in slices.

    :param facilities: wall time.
    :param router: refreshes routing data, and is told of routing domains.
    :param settlement: does bulk work.
    :param rebinding: keeps the index of siblings.
    :param record: the record of a name, made if there is none.
    :param place: queues a message in its domain's record.
    """

    def __init__(
        self,
        facilities: Facilities,
        router: Router,
        settlement: Settlement,
        rebinding: Rebinding,
        record: Callable[[str], DomainRecord],
        place: Callable[[Message, float], object],
    ) -> None:
        self._f = facilities
        self._router = router
        self._settlement = settlement
        self._rebinding = rebinding
        self._record = record
        self._place = place

    def follow(self, dr: DomainRecord) -> DomainRecord:
        """
        The record that mail of *dr* is queued in: its own, or that of its routing domain.
        """
        if dr.rollup is not None:
            # What is known serves until the answer comes; then mail follows that.
            self._router.ensure(dr, self._f.wall())
        rollup = dr.rollup
        if rollup is not None and self._f.tls_policies.alone(dr.domain):
            # It has become known since.
            rollup = dr.rollup = None
        if rollup is None:
            return dr
        target = self._record(rollup.name)
        if not self._router.adopt(target, rollup):
            dr.rollup = None
            return dr
        return target

    def move(self, dr: DomainRecord) -> None:
        """
        Move the mail of *dr* to its routing domain: all of it when that has just been
        decided, then whatever becomes due.
        """
        target = self.follow(dr)
        if target is dr or self._settlement.busy(dr):
            return
        source = all_of(dr) if dr.unmoved else active_of(dr)
        dr.unmoved = False

        def settle(message: Message, now: float) -> None:
            self._rebinding.assign(message, message.binding_slot, target)
            self._place(message, now)

        self._settlement.in_bulk(dr, source, settle)
