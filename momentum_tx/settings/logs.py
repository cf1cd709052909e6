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
    mainlog: str = option(
        "mainlog",
        "File of what became of mail; a name without a path is beside the others in log_dir, and empty writes none.",
        scopes=GLOBAL,
    )
    mainlog_mode: int = option(0o644, "Permissions of mainlog.", "mode bits", GLOBAL, minimum=0, maximum=0o777)
    rejectlog: str = option(
        "rejectlog", "File of what injecting clients were refused; empty writes none.", scopes=GLOBAL
    )
    rejectlog_mode: int = option(0o644, "Permissions of rejectlog.", "mode bits", GLOBAL, minimum=0, maximum=0o777)
    paniclog: str = option(
        "paniclog", "File of what an operator must know; empty writes none. The service log has it too.", scopes=GLOBAL
    )
    paniclog_mode: int = option(0o644, "Permissions of paniclog.", "mode bits", GLOBAL, minimum=0, maximum=0o777)
    acctlog: str = option("acctlog", "File of who was let in, and who may do what; empty writes none.", scopes=GLOBAL)
    acctlog_mode: int = option(0o644, "Permissions of acctlog.", "mode bits", GLOBAL, minimum=0, maximum=0o777)
    importlog: str = option(
        "", 'File of messages that "momentum-tx spool import" has read; empty writes none.', scopes=GLOBAL
    )
    importlog_mode: int = option(0o644, "Permissions of importlog.", "mode bits", GLOBAL, minimum=0, maximum=0o777)
    bouncelog: str = option(
        "",
        "File of failures with their classification; empty writes none.",
        scopes=GLOBAL,
        differs="It is a module of its own there, whose options have no prefix.",
    )
    bouncelog_mode: int = option(0o644, "Permissions of bouncelog.", "mode bits", GLOBAL, minimum=0, maximum=0o777)
    jsonlog: str = option(
        "", "File of every attempt and every change of state, in JSON; empty writes none (ours).", scopes=GLOBAL
    )
    jsonlog_mode: int = option(0o644, "Permissions of jsonlog (ours).", "mode bits", GLOBAL, minimum=0, maximum=0o777)
    postfixlog: str = option(
        "",
        "File of what became of mail as Postfix writes it, for pflogsumm and the like; empty writes none.",
        scopes=GLOBAL,
        differs="It is the logging module postfix there.",
    )
    postfixlog_mode: int = option(0o644, "Permissions of postfixlog.", "mode bits", GLOBAL, minimum=0, maximum=0o777)
    eximlog: str = option(
        "",
        "File of what became of mail as Exim writes it, for eximstats and the like; empty writes none.",
        scopes=GLOBAL,
        differs="It is the logging module exim there.",
    )
    eximlog_mode: int = option(0o644, "Permissions of eximlog.", "mode bits", GLOBAL, minimum=0, maximum=0o777)
    log_rotate_size: int = option(
        0, "Octets of a log beyond which it begins a new file; 0 is none (ours).", "octets", GLOBAL, minimum=0
    )
    log_rotate_interval: float = option(
        0.0,
        "Length of the periods, counted from 1970 in UTC, each of which has files of its own; 86400 begins them at"
        " midnight, 0 does not (ours).",
        "seconds",
        GLOBAL,
        minimum=0,
    )
    log_rotate_keep: int = option(
        14, "Old files of each log that are kept, by log_rotate_size and the like (ours).", "files", GLOBAL, minimum=1
    )
    log_rotate_compress: bool = option(True, "Whether these are compressed, as gzip does it (ours).", scopes=GLOBAL)
    heartbeat: float = option(60.0, "Period of the heartbeat record; 0 writes none.", "seconds", GLOBAL, minimum=0)
    log_receptions: bool = option(True, "Whether mainlog gets R records.", scopes=GLOBAL)
    log_deliveries: bool = option(True, "Whether mainlog gets D records.", scopes=GLOBAL)
    log_transient_failures: bool = option(True, "Whether mainlog gets T records.", scopes=GLOBAL)
    log_permanent_failures: bool = option(True, "Whether mainlog gets P records.", scopes=GLOBAL)
    log_rejections: bool = option(True, "Whether rejectlog gets records.", scopes=GLOBAL)
    log_errors: bool = option(True, "Whether paniclog gets records.", scopes=GLOBAL)
    log_inband_bounces: bool = option(True, "Whether bouncelog gets failures of deliveries.", scopes=GLOBAL)
    log_bounce_transients: bool = option(
        True,
        "Whether bouncelog gets T records.",
        scopes=GLOBAL,
        differs="It is log_transient_failures of the module bounce_logger there.",
    )
    bounce_classifier_overrides: tuple[str, ...] = option(
        (),
        "Files with lines domain,code,text that classify before our own rules do; read anew with the configuration.",
        scopes=GLOBAL,
        differs="There it is a module, bounce_classifier_override.",
    )
    bounce_classes: tuple[str, ...] = option(
        (), 'Codes of your own for these files, as "77=Our level"; 1 to 99 (ours).', scopes=GLOBAL
    )
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
