"""
The shared limits that a row of tables comes to.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..settings.limits import HostLimits, PathLimits, Throttle, Total
from ..units import rate
from .stanzas import Stanza


def path_limits(chain: Iterable[Stanza]) -> PathLimits:
    """
    Limits of a (binding, domain) pair.

    :param chain: the tables it is settled by, the most specific first.
    """
    stanzas = tuple(chain)
    return PathLimits(
        _throttle("outbound_throttle_connections", stanzas),
        _throttle("outbound_throttle_messages", stanzas),
        _totals(stanzas),
    )


def host_limits(chain: Iterable[Stanza]) -> HostLimits:
    """
    Limits of a (binding, host) pair.

    :param chain: the host tables it is settled by, the most specific first.
    """
    stanzas = tuple(chain)
    return HostLimits(
        _throttle("outbound_throttle_connections", stanzas),
        _throttle("outbound_throttle_messages", stanzas),
        _totals(stanzas),
    )


def _throttle(option: str, stanzas: tuple[Stanza, ...]) -> Throttle | None:
    for stanza in stanzas:
        written = stanza.values.get(option)
        if isinstance(written, str):
            count, period = rate(written) if written else (0, 1.0)
            # A rate of nothing is Momentum's way to say that there is no limit, and ends the search.
            return Throttle(stanza.text, count, period) if count else None
    return None


def _totals(stanzas: tuple[Stanza, ...]) -> tuple[Total, ...]:
    written = ((stanza.text, stanza.values.get("scope_max_outbound_connections")) for stanza in stanzas)
    return tuple(Total(owner, most) for owner, most in written if isinstance(most, int))
