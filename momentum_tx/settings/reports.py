"""
Options of what we write to others about their mail and ours.
"""

from dataclasses import dataclass

from .custom_logs import CustomLogSettings
from .option import GLOBAL, option


@dataclass(frozen=True, slots=True)
class ReportSettings(CustomLogSettings):
    """
    The part of [global] that is about reports.
    """

    async_bounce_rendering: bool = option(
        True, "Whether reports on failures are put together in a worker instead of the reactor's thread.", scopes=GLOBAL
    )
    soft_bounce_drain_rate: int = option(
        100, "Most messages that are reported on in one turn of the reactor.", "messages", GLOBAL, minimum=1
    )
    bounce_rate_limit: int = option(
        600,
        "Most messages a minute that the senders of one domain are told of; the rest fail without a report. 0 is no"
        " limit (ours).",
        "messages in a minute",
        GLOBAL,
        minimum=0,
    )
    tlsrpt: bool = option(
        False,
        "Whether TLS sessions are counted, and domains that ask for it get a report every day (RFC 8460; ours).",
        scopes=GLOBAL,
    )
    tlsrpt_organization: str = option("", "Name of whoever reports; empty: the host's name (ours).", scopes=GLOBAL)
    tlsrpt_from: str = option(
        "",
        "Address that reports are mailed from; its domain stands for us and should sign them with DKIM. Empty: tlsrpt"
        " at the host's name (ours).",
        scopes=GLOBAL,
    )
    tlsrpt_contact: str = option(
        "", "Address for questions about a report; empty: the one in tlsrpt_from (ours).", scopes=GLOBAL
    )
    tlsrpt_max_delay: float = option(
        14_400.0,
        "Longest time after the end of a day (UTC) until its reports are sent; each domain has a moment of its own"
        " (ours).",
        "seconds",
        GLOBAL,
        minimum=0,
        maximum=43_200,
    )
    tlsrpt_max_domains: int = option(
        10_000, "Most domains whose sessions are counted on one day (ours).", "domains", GLOBAL, minimum=1
    )
