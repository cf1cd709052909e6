"""
How many connections a queue deserves.

Source: Momentum's page on ``connection_allocation_aggressiveness``; the curve
was read off its figure, which shows a limit of 32 connections.  How the slope
depends on the limit is not published; ours keeps the first message's share.
"""

from math import ceil, exp
from typing import Final

#: Slope at an empty queue, connections per message.
_SLOPE: Final = {"normal": 0.3, "high": 0.75}


def default_connection_goal(queued: int, max_outbound_connections: int, aggressiveness: str = "normal") -> int:
    """
    Total connections wanted for *queued* active messages; Momentum's
    ``__default_connection_goal``, for hooks to start from.

    ``limit * (1 - exp(-slope * queued / limit))``, rounded up, so that one
    message makes one connection; never more than there are messages.

    :param queued: messages in the active queue.
    :param max_outbound_connections: the limit for the domain and binding.
    :param aggressiveness: ``normal`` or ``high``.
    """
    if queued <= 0 or max_outbound_connections <= 0:
        return 0
    limit = max_outbound_connections
    return ceil(limit * (1.0 - exp(-_SLOPE[aggressiveness] * queued / limit)))
