"""
What every limit allows, counted at our end of the wire with numbers of the
judge's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...delivery.limits import TURN

if TYPE_CHECKING:
    from ...interfaces.services import IConfiguration
    from ...queues.domain import Connection, DomainRecord
    from ...queues.places import Places
    from ...settings.limits import Throttle


class Measures:
    """
    One per process: throttles remember nothing of the one before.

    :param config: gives the configuration in force.
    :param open_connections: what each connection is for: domain, slot, host record.
    :param fault: told of (rule, text) when something must not be.
    :param seconds: the clock.
    :param line: who waits for a connection of the server; without it nobody is
        judged for not giving way.
    """

    def __init__(
        self,
        config: Callable[[], IConfiguration],
        open_connections: dict[int, tuple[str, int, object]],
        fault: Callable[[str, str], object],
        seconds: Callable[[], float],
        line: Places[DomainRecord] | None = None,
    ) -> None:
        self._config = config
        self._open = open_connections
        self._fault = fault
        self._seconds = seconds
        self._line = line
        #: Connections that went on while somebody without any waited: for whom, and recipients so far.
        self._going_on: dict[object, tuple[str, int]] = {}
        self._moments: dict[tuple[str, str], deque[float]] = {}

    def dialled(self, domain: str, slot: int, host: object, first: bool) -> None:
        """
        ``connect`` is being called; the connection counts already.

        :param first: whether it is the first address of its attempt.
        """
        config = self._config()
        purposes = list(self._open.values())
        same = sum(1 for each in purposes if each[:2] == (domain, slot))
        self._limit("max_outbound_connections", domain, same, config.path(slot, domain).max_outbound_connections)
        name: str = host.name  # type: ignore[attr-defined]
        most = config.host(name).max_outbound_connections
        if most >= 0:
            of_host = sum(1 for each in purposes if each[2] is host)
            self._limit("max_outbound_connections of host", domain, of_host, most)
        settings = config.global_settings
        most = settings.server_max_outbound_connections
        of_domain = sum(1 for each in purposes if each[0] == domain)
        if not first or of_domain == 1:
            # The reserve is for a domain that has no other.
            most += settings.server_reserve_outbound_connections
        self._limit("server_max_outbound_connections", domain, len(purposes), most)
        of_binding = config.bindings[slot].server_max_outbound_connections
        if of_binding is not None:
            count = sum(1 for each in purposes if each[1] == slot)
            self._limit("server_max_outbound_connections of binding", domain, count, of_binding)
        self._totals(domain, slot, name, purposes)
        self._event("connection", domain, config.limits(slot, domain).connections)
        self._event("connection", domain, config.host_limits(slot, name).connections)

    def _totals(self, domain: str, slot: int, host: str, purposes: list[tuple[str, int, object]]) -> None:
        config = self._config()
        owners: list[str] = []
        for each in purposes:
            owners += [total.owner for total in config.limits(each[1], each[0]).totals]
            name: str = each[2].name  # type: ignore[attr-defined]
            owners += [total.owner for total in config.host_limits(each[1], name).totals]
        for total in (*config.limits(slot, domain).totals, *config.host_limits(slot, host).totals):
            option = f"scope_max_outbound_connections of {total.owner}"
            self._limit(option, domain, owners.count(total.owner), total.most)

    def migrated(self, source: str, domain: str, slot: int) -> None:
        """
        A connection of *source* has become one of *domain*; it counts so already.
        """
        config = self._config()
        purposes = list(self._open.values())
        same = sum(1 for each in purposes if each[:2] == (domain, slot))
        self._limit("max_outbound_connections", domain, same, config.path(slot, domain).max_outbound_connections)
        # What both share has not become more by it.
        shared = {total.owner for total in config.limits(slot, source).totals}
        for total in config.limits(slot, domain).totals:
            if total.owner not in shared:
                option = f"scope_max_outbound_connections of {total.owner}"
                self._limit(option, domain, self._of_owner(purposes, total.owner), total.most)

    def _of_owner(self, purposes: list[tuple[str, int, object]], owner: str) -> int:
        config = self._config()
        return sum(
            1 for domain, slot, _ in purposes if any(each.owner == owner for each in config.limits(slot, domain).totals)
        )

    def _limit(self, option: str, domain: str, count: int, most: int) -> None:
        if count > most:
            self._fault("limit exceeded", f"{domain}: {count} connections, {option} allows {most}")

    def attempted(self, domain: str, slot: int, connection: Connection) -> None:
        """
        The peer is being told of a message.
        """
        config = self._config()
        self._event("message", domain, config.limits(slot, domain).messages)
        self._event("message", domain, config.host_limits(slot, connection.host_name).messages)
        if connection.deliveries >= TURN and self._line is not None:
            self._gives_way(domain, connection, self._line.next())

    def _gives_way(self, domain: str, connection: Connection, first: tuple[DomainRecord, int] | None) -> None:
        if first is None or first[0].domain == domain or first[1] or first[0].total_connections():
            self._going_on.pop(connection, None)
            return
        # It may have taken this message before anybody waited; the next one it may not take.
        waiting, recipients = self._going_on.setdefault(connection, (first[0].domain, connection.recipients))
        if waiting != first[0].domain:
            self._going_on[connection] = first[0].domain, connection.recipients
        elif recipients != connection.recipients:
            text = f"{domain}: a message after {connection.deliveries} deliveries while {waiting} has no connection"
            self._fault("place not given up", text)

    def _event(self, what: str, domain: str, throttle: Throttle | None) -> None:
        if throttle is None:
            return
        now = self._seconds()
        moments = self._moments.setdefault((what, throttle.owner), deque())
        moments.append(now)
        while now - moments[0] >= throttle.period:
            moments.popleft()
        if len(moments) > throttle.count:
            self._fault(
                "rate exceeded",
                f"{domain}: {len(moments)} {what}s since {moments[0]:.6f} s, {throttle.owner} allows"
                f" {throttle.count} in {throttle.period:g} s",
            )
