"""
Which options may differ between two domains where one goes on with the other's
connection.

Source: Momentum, ``migrate_connections_between_sibling_domains``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from ..settings import PathSettings

#: Options that say nothing about a connection once it is open: they concern the queue, or
#: are asked anew for each message and each wait.  One that is not listed has to be equal,
#: so that an option nobody has thought of here keeps connections apart.
MAY_DIFFER: Final = frozenset(
    {
        "banner_timeout",
        "blackhole",
        "body_block_timeout",
        "body_minimum_rate",
        "body_timeout",
        "chunk_size",
        "chunking",
        "chunking_minimum_size",
        "connect_timeout",
        "connection_allocation_aggressiveness",
        "curfew",
        "custom_state_timeout",
        "data_timeout",
        "ehlo_timeout",
        "gateway",
        "generate_bounces",
        "idle_timeout",
        # The port itself is compared.
        "lmtp_port",
        "lost_final_reply",
        "mailfrom_timeout",
        "max_deliveries_per_connection",
        "max_outbound_connections",
        "max_recipients_per_batch",
        "max_recipients_per_connection",
        "max_retries",
        "max_retry_interval",
        "message_expiration",
        "never_attempt_expired_messages",
        "never_retry",
        "outbound_smtp_auth_hold",
        "outbound_smtp_auth_timeout",
        "outbound_throttle_connections",
        "outbound_throttle_messages",
        "pipelining",
        "quit_timeout",
        "rcptto_timeout",
        "rebind_on_retry",
        "remote_smtp_port",
        "response_transcode_pattern",
        "response_transcode_replace",
        "retry_by_reply",
        "retry_interval",
        "retry_intervals",
        "retry_jitter",
        "rset_timeout",
        "scope_max_outbound_connections",
        "send_8bitmime",
        "share_weights",
        "starttls_timeout",
        "suspend_delivery",
        "transform_8bitmime_content",
    }
)
_shape: Final[Callable[[PathSettings], Any]] = attrgetter(
    *(field.name for field in fields(PathSettings) if field.name not in MAY_DIFFER)
)


@lru_cache(4096)
def interchangeable(mine: PathSettings, theirs: PathSettings) -> bool:
    """
    Whether a connection that was opened with the one settings is one that
    the other would have opened, as far as options decide.
    """
    return mine is theirs or bool(_shape(mine) == _shape(theirs))
