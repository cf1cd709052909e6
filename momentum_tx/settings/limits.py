"""
Limits as they are settled: how much, and by whom it is shared.

Source: Momentum, ``outbound_throttle_connections`` (by reference: the throttle
belongs to the table that has it, and everything that gets its value from there
shares it) and ``scope_max_outbound_connections``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Throttle:
    """
    :ivar owner: header of the table that has it.
    :ivar count: events, one or more.
    :ivar period: in so many seconds.
    """

    owner: str
    count: int
    period: float


@dataclass(frozen=True, slots=True)
class Total:
    """
    :ivar owner: header of the table that has it.
    :ivar most: connections of everything the table is about, together.
    """

    owner: str
    most: int


@dataclass(frozen=True, slots=True)
class PathLimits:
    """
    :ivar connections: throttle on connections, if any.
    :ivar messages: throttle on messages, if any.
    :ivar totals: every total on the path, the most specific first.
    """

    connections: Throttle | None
    messages: Throttle | None
    totals: tuple[Total, ...]


@dataclass(frozen=True, slots=True)
class HostLimits:
    """
    As :class:`PathLimits`, of a mail exchanger; never found outside host tables.
    """

    connections: Throttle | None
    messages: Throttle | None
    totals: tuple[Total, ...]
