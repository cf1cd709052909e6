"""
Sibling domains: those that are served by the same exchanger, and may go on with
each other's connections.

Source: Momentum, ``migrate_connections_between_sibling_domains``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ..policy.candidates import eligible
from ..policy.migration import interchangeable
from ..queues.domain import DomainRecord, HostRecord, MXType
from ..settings import PathSettings

if TYPE_CHECKING:
    from .facilities import Facilities
    from .handle import ConnectionHandle
    from .limits import Limits
    from .records import Records
    from .session import Session

#: A host record and a binding slot.
_Way = tuple[HostRecord, int]
#: Most domains, or sessions, that are looked at for one that suits.
LOOKS: Final = 16
_ROUTED: Final = (MXType.MX, MXType.ADDRESS, MXType.ROUTES)


class Siblings:
    """
    Knows by exchanger and binding which domains have mail, the one that has
    waited longest first, and which sessions have none.

    What a domain has is noted at the end of its passes, and only where its
    exchangers serve other domains too; single messages cost nothing.

    :param facilities: configuration, clocks, hooks.
    :param records: which addresses are down.
    :param limits: what the domain that takes a connection over is held to.
    :param wants: whether a domain wants one more connection from a binding slot.
    """

    __slots__ = ("_f", "_idle", "_limits", "_lines", "_places", "_records", "_ways", "wants")

    def __init__(self, facilities: Facilities, records: Records, limits: Limits) -> None:
        self._f = facilities
        self._records = records
        self._limits = limits
        self.wants: Callable[[DomainRecord, int], bool] = lambda dr, slot: False
        # Ordered ones, as their first is taken again and again.
        self._lines: dict[_Way, OrderedDict[DomainRecord, None]] = {}
        #: The lines each domain stands in.
        self._places: dict[DomainRecord, dict[_Way, None]] = {}
        self._idle: dict[_Way, OrderedDict[Session, None]] = {}
        self._ways: dict[Session, _Way] = {}

    @property
    def _enabled(self) -> bool:
        hooks = self._f.hooks
        if hooks.smtp_client_state or hooks.outbound_smtp_auth_config:
            # What was said on one domain's behalf may have been said for it alone.
            return False
        return self._f.config.global_settings.migrate_connections_between_sibling_domains

    # What there is.

    def looked_after(self, dr: DomainRecord, slots: Iterable[int] | None = None) -> None:
        """
        A pass over *dr* is over: note whether it has mail left, and for whom.

        :param slots: that it has looked at; ``None`` if at all.  What is noted of others
            stays: whoever goes by it looks whether it is still true.  Nothing stays of a
            domain that has no active mail, for which no pass over all slots may come.
        """
        now: dict[_Way, None] = {}
        queue = dr.mail_queue
        if queue.active_size() and self._enabled:
            hosts = [mx.host for mx in dr.mxlist if mx.host.domains > 1]
            if hosts:
                looked_at = queue.active_slots() if slots is None else filter(queue.active_size, slots)
                now = {(host, slot): None for slot in looked_at for host in hosts}
        if slots is not None and queue.active_size():
            for way in now:
                self._lines.setdefault(way, OrderedDict()).setdefault(dr)
            if now:
                self._places.setdefault(dr, {}).update(now)
            return
        before = self._places.get(dr)
        if before is None and not now:
            return
        for way in before or ():
            if way not in now:
                self._remove(way, dr)
        for way in now:
            self._lines.setdefault(way, OrderedDict()).setdefault(dr)
        if now:
            self._places[dr] = now
        else:
            self._places.pop(dr, None)

    def _remove(self, way: _Way, dr: DomainRecord) -> None:
        line = self._lines[way]
        del line[dr]
        if not line:
            del self._lines[way]

    def went_idle(self, session: Session) -> None:
        """
        *session* waits for mail.
        """
        host = session.handle.host
        if host is not None:
            way = self._ways[session] = host, session.handle.binding_slot
            self._idle.setdefault(way, OrderedDict())[session] = None

    def left_idle(self, session: Session) -> None:
        """
        *session* waits no longer.
        """
        way = self._ways.pop(session, None)
        if way is not None:
            del self._idle[way][session]
            if not self._idle[way]:
                del self._idle[way]

    # Who suits whom.

    def heir(self, session: Session) -> DomainRecord | None:
        """
        The domain that shall go on with *session*, which has nothing to send.
        """
        handle = session.handle
        line = None if handle.host is None else self._lines.get((handle.host, handle.binding_slot))
        if line is None or not self._enabled or not self._free(session):
            return None
        for _ in range(min(len(line), LOOKS)):
            dr = next(iter(line))
            # Whoever gets it, and whoever cannot use it, is last from now on.
            line.move_to_end(dr)
            if dr is not session.dr and self._suits(session, dr):
                return dr
        return None

    def lender(self, dr: DomainRecord, slot: int) -> Session | None:
        """
        An idle session of another domain that *dr* may go on with instead of
        connecting.
        """
        if not self._idle or not self._enabled:
            return None
        looks = LOOKS
        for mx in dr.mxlist:
            for session in self._idle.get((mx.host, slot), ()):
                looks -= 1
                if looks < 0:
                    return None
                if session.dr is not dr and self._free(session) and self._suits(session, dr):
                    return session
        return None

    def _free(self, session: Session) -> bool:
        """
        Whether the domain of *session* has no use for it, and nobody wants it to end.
        """
        dr, slot = session.dr, session.handle.binding_slot
        if session.handle.way != dr.way:
            return False
        return not dr.mail_queue.active_size(slot) or self._f.suspended(slot, dr.domain)

    def _suits(self, session: Session, dr: DomainRecord) -> bool:
        """
        Whether *dr* would open this very connection now, had it not been opened
        already; no message suffers for who opened it.
        """
        handle = session.handle
        slot, connection = handle.binding_slot, handle.connection
        settings = self._f.config.path(slot, dr.domain)
        return (
            dr.mail_queue.active_size(slot) > 0
            and dr.mx_type in _ROUTED
            and not dr.all_prohibited
            and not 0 < settings.max_deliveries_per_connection <= connection.deliveries
            and not 0 < settings.max_recipients_per_connection <= connection.recipients
            and interchangeable(session.settings, settings)
            and not self._f.suspended(slot, dr.domain)
            and self._limits.admits(handle, dr)
            and self._would_choose(handle, dr, settings)
            and self.wants(dr, slot)
            and self._f.tls_policies.shared(session.tls, session.dr, dr, slot, handle.connection)
            and not self._vetoed(handle, dr)
        )

    def _would_choose(self, handle: ConnectionHandle, dr: DomainRecord, settings: PathSettings) -> bool:
        """
        Whether the peer is one that *dr* would connect to: a better one is not
        to be had.
        """
        f, slot, host = self._f, handle.binding_slot, handle.host
        address, port = peer = handle.connection.peer
        preferences = [
            mx.preference
            for mx in dr.mxlist
            if mx.host is host and (mx.port or settings.port) == port and address in host.addresses
        ]
        if host is None or not preferences or f.forbids(host, address):
            return False
        if f.tls_policies.left_out(dr, slot)(host.name, address):
            return False
        now = f.wall()
        retry = f.host_failure_retry(dr.domain)
        if self._records.down(peer, slot, now, retry, dr.domain):
            return False
        better = [mx for mx in dr.mxlist if mx.preference < min(preferences)]
        if not better:
            return True
        found, _ = eligible(
            better,
            usable=lambda address: f.egress.source(slot, dr.domain, address) is not None,
            default_port=settings.port,
            down=lambda address, port: self._records.down((address, port), slot, now, retry, dr.domain),
            full=lambda other: self._limits.host_full(other, dr, slot),
            skipped=f.tls_policies.left_out(dr, slot),
        )
        return not found

    def _vetoed(self, handle: ConnectionHandle, dr: DomainRecord) -> bool:
        hook, host = self._f.hooks.veto_host_connection, handle.host
        if not hook or host is None:
            return False
        most = self._f.config.host(host.name).max_outbound_connections
        # It is one of those that are there, and no further one.
        others = host.connections - 1
        return hook.vetoed(
            lambda provider: provider.veto_host_connection(host.name, dr, handle.binding_slot, most, others)
        )
