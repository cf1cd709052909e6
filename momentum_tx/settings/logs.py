"""
Options of the logs.
"""

from dataclasses import dataclass

from .hooks import HookSettings
from .option import GLOBAL, option


@dataclass(frozen=True, slots=True)
class LogSettings(HookSettings):
    """
    The part of [global] that is about logs.
    """

    log_dir: str = option("", "Directory of the logs; empty means log/ under state_dir.", scopes=GLOBAL)
    heartbeat: float = option(60.0, "Period of the heartbeat record; 0 writes none.", "seconds", GLOBAL, minimum=0)
    log_receptions: bool = option(True, "Whether mainlog gets R records.", scopes=GLOBAL)
    log_deliveries: bool = option(True, "Whether mainlog gets D records.", scopes=GLOBAL)
    log_transient_failures: bool = option(True, "Whether mainlog gets T records.", scopes=GLOBAL)
    log_permanent_failures: bool = option(True, "Whether mainlog gets P records.", scopes=GLOBAL)
    outbound_audit_monitors: tuple[str, ...] = option(
        (),
        'Windows in which what becomes of mail is counted, as "size,count": "60,15" keeps the last fifteen minutes one'
        " by one. Without any nothing is counted; the first one takes a restart.",
        scopes=GLOBAL,
        differs="Options of the module outbound_audit, which are written monitors, monitor_domains, threshold and"
        " domainlist there.",
    )
    outbound_audit_monitor_domains: bool = option(
        True, "Whether each domain is counted for itself, besides all together.", scopes=GLOBAL
    )
    outbound_audit_threshold: int = option(
        0,
        "Receptions and deliveries in a window below which a domain is not shown unless it is asked for.",
        "messages",
        GLOBAL,
        minimum=0,
    )
    outbound_audit_domainlist: tuple[str, ...] = option(
        (), "The only domains that are counted for themselves; an empty list is all.", scopes=GLOBAL
    )
    transcripts_kept: int = option(
        1000,
        "Attempts that failed or took long whose dialogue is kept in memory, with at most 16 KiB each (ours).",
        "attempts",
        GLOBAL,
        minimum=0,
        maximum=1_000_000,
    )
    transcriptlog: bool = option(
        False,
        "Whether each attempt that failed or took long is written with its dialogue to transcriptlog beside mainlog, a"
        " line of JSON each (ours).",
        scopes=GLOBAL,
    )
    trace_smtp: tuple[str, ...] = option(
        (),
        'Connections whose dialogue is written while it is said, such as "domain=example.com file=/var/log/x.trace"; a'
        " binding= and a host=, by name or address, narrow it further.",
        scopes=GLOBAL,
        differs="There it is a command of the console; here a reload begins and ends traces, as does"
        " service.trace_smtp.",
    )
    trace_smtp_mode: int = option(
        0o640,
        "Permissions of the files of trace_smtp; in octal it is 0o640.",
        "mode bits",
        GLOBAL,
        minimum=0,
        maximum=0o777,
    )
    trace_smtp_max_size: int = option(
        268_435_456, "Octets after which a trace ends by itself (ours).", "octets", GLOBAL, minimum=4096
    )
