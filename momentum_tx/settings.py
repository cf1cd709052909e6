"""
Every option: name, unit, default, and the scopes it may be written in.

Names and defaults are Momentum's where it has the option (reference pages
``ref-<option>``); where it has none the text says "ours".  The classes are
frozen: a session reads a settled object, never a dictionary, and keeps the one
it began with.  How a value is found through the scopes is the business of
:mod:`momentum_tx.config`.
"""

import enum
from dataclasses import dataclass, field
from typing import Any, Final


class Level(enum.Enum):
    """
    A kind of table an option may be written in.
    """

    GLOBAL = "global"
    DOMAIN = "domain"
    HOST = "host"
    BINDING = "binding"
    BINDING_GROUP = "binding_group"


#: Scopes of most delivery options: binding, group, domain (nested too), global.
STANDARD: Final = (Level.BINDING, Level.BINDING_GROUP, Level.DOMAIN, Level.GLOBAL)
#: Scopes of the options that concern a domain on every binding alike.
DOMAIN_WIDE: Final = (Level.DOMAIN, Level.GLOBAL)
_GLOBAL: Final = (Level.GLOBAL,)


def option(
    default: Any,
    doc: str,
    unit: str = "",
    scopes: tuple[Level, ...] = STANDARD,
    **limits: Any,
) -> Any:
    """
    A field that is an option.

    :param default: the built-in value.
    :param doc: one sentence for the reference.
    :param unit: unit of the value, in words; empty where there is none.
    :param scopes: the tables it may be written in.
    :param limits: ``minimum`` and ``maximum`` for numbers, ``choices`` for words,
        ``fixed`` for an option of Momentum's of which only the default exists yet.
    """
    return field(
        default=default,
        metadata={"doc": doc, "unit": unit, "scopes": scopes, **limits},
    )


#: Ranges no mail for a stranger's domain may lead to, unless an operator says otherwise.
#: The host's own addresses are added at run time; mapped IPv6 forms are compared as IPv4.
DEFAULT_PROHIBITED_HOSTS: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
)


@dataclass(frozen=True, slots=True)
class GlobalSettings:
    """
    Options of the whole service; written in ``[global]`` only.
    """

    state_dir: str = option(
        "momentum-tx-state",
        "Directory of the spool, the lock and, unless log_dir says otherwise, the logs.",
        scopes=_GLOBAL,
    )
    log_dir: str = option("", "Directory of the logs; empty means log/ under state_dir.", scopes=_GLOBAL)
    hostname: str = option("", "Our name in greetings, EHLO and trace lines; empty asks the system.", scopes=_GLOBAL)
    smtp_listen: tuple[str, ...] = option(
        ("tcp:2525:interface=127.0.0.1",),
        "Twisted endpoint strings on which mail is received over SMTP; an empty list receives none.",
        scopes=_GLOBAL,
    )
    relay_hosts: tuple[str, ...] = option(
        ("127.0.0.0/8", "::1/128"), "Networks whose clients may send mail anywhere through us.", scopes=_GLOBAL
    )
    trusted_hosts: tuple[str, ...] = option(
        ("127.0.0.0/8", "::1/128"),
        "Networks whose clients may choose a binding with X-Binding and X-Binding-Group.",
        scopes=_GLOBAL,
    )
    nameservers: tuple[str, ...] = option(
        (), "DNS servers, address or address:port; empty reads the system's resolv.conf.", scopes=_GLOBAL
    )
    prohibited_hosts: tuple[str, ...] | None = option(
        None,
        "Networks never connected to for an address learnt from DNS; a written list replaces the default.",
        scopes=_GLOBAL,
    )
    use_ipv6: bool = option(False, "Whether AAAA records are asked for and used.", scopes=_GLOBAL)
    prefer_ipv6_mxs: bool = option(
        False, "Whether usable IPv6 addresses go first within one preference.", scopes=_GLOBAL
    )
    min_dns_ttl: int = option(0, "Shortest life of a DNS answer used for routing.", "seconds", _GLOBAL, minimum=0)
    max_dns_ttl: int = option(
        4294967295, "Longest life of a DNS answer used for routing.", "seconds", _GLOBAL, minimum=1
    )
    dns_timeout: float = option(
        5.0, "Longest wait for one DNS server before the next is asked (ours).", "seconds", _GLOBAL, minimum=0.05
    )
    dns_cache_size: int = option(
        100_000, "Most DNS answers kept; the oldest go first (ours).", "answers", _GLOBAL, minimum=1
    )
    max_message_size: int = option(
        104_857_600, "Largest message received, as announced by SIZE (ours).", "octets", _GLOBAL, minimum=1000
    )
    max_recipients_per_message: int = option(
        10_000,
        "Most recipients of one received message; over SMTP more get 452, in process the message is refused (ours).",
        "recipients",
        _GLOBAL,
        minimum=100,
    )
    max_inbound_connections: int = option(
        2000, "Most clients that may inject at once; more get 421 (ours).", "connections", _GLOBAL, minimum=1
    )
    max_inbound_connections_per_client: int = option(
        500, "Most connections from one client address; more get 421 (ours).", "connections", _GLOBAL, minimum=1
    )
    inbound_timeout: float = option(
        300.0, "Longest silence of an injecting client (ours).", "seconds", _GLOBAL, minimum=0.1
    )
    max_received_headers: int = option(
        100, "Received fields at which a message counts as looping and is refused.", "fields", _GLOBAL, minimum=1
    )
    server_max_outbound_connections: int = option(
        20_000, "Most outbound connections of the whole server.", "connections", _GLOBAL, minimum=1
    )
    delayed_queue_scan_interval: float = option(
        15.0, "Longest pause between two passes of a maintainer while mail waits.", "seconds", _GLOBAL, minimum=0.05
    )
    max_addresses_per_attempt: int = option(
        5, "Most addresses one connection attempt tries (ours).", "addresses", _GLOBAL, minimum=1
    )
    address_metrics_lifetime: float = option(
        1800.0, "How long what is known of an address and a binding is kept unused.", "seconds", _GLOBAL, minimum=1
    )
    body_cache_size: int = option(
        268_435_456, "Most octets of message bodies kept in memory (ours).", "octets", _GLOBAL, minimum=0
    )
    segment_size: int = option(
        67_108_864, "Size at which a journal segment is closed (ours).", "octets", _GLOBAL, minimum=4096
    )
    durability: str = option(
        "group",
        "group: nothing is answered before it is synced. unsafe: nothing is synced (needs i_accept_loss).",
        scopes=_GLOBAL,
        choices=("group", "unsafe"),
    )
    i_accept_loss: bool = option(False, "Must be true for durability unsafe (ours).", scopes=_GLOBAL)
    shutdown_grace: float = option(
        30.0, "How long running transactions may go on after a stop was asked (ours).", "seconds", _GLOBAL, minimum=0
    )
    heartbeat: float = option(60.0, "Period of the heartbeat record; 0 writes none.", "seconds", _GLOBAL, minimum=0)
    log_receptions: bool = option(True, "Whether mainlog gets R records.", scopes=_GLOBAL)
    log_deliveries: bool = option(True, "Whether mainlog gets D records.", scopes=_GLOBAL)
    log_transient_failures: bool = option(True, "Whether mainlog gets T records.", scopes=_GLOBAL)
    log_permanent_failures: bool = option(True, "Whether mainlog gets P records.", scopes=_GLOBAL)
    hooks: tuple[str, ...] = option(
        (), "Hook providers, package.module:object, registered in this order (ours).", scopes=_GLOBAL
    )


@dataclass(frozen=True, slots=True)
class PathSettings:
    """
    Options settled for one (binding, domain) pair.
    """

    connect_timeout: float = option(300.0, "Deadline of a whole connection attempt.", "seconds", minimum=0.01)
    banner_timeout: float | None = option(
        None, "Wait for the greeting; unset means ehlo_timeout (ours).", "seconds", minimum=0.01
    )
    ehlo_timeout: float = option(300.0, "Wait for the reply to EHLO or HELO.", "seconds", minimum=0.01)
    starttls_timeout: float = option(
        60.0, "Wait for the reply to STARTTLS, and for the handshake (ours).", "seconds", minimum=0.01
    )
    mailfrom_timeout: float = option(300.0, "Wait for the reply to MAIL FROM.", "seconds", minimum=0.01)
    rcptto_timeout: float = option(300.0, "Wait for a reply to RCPT TO.", "seconds", minimum=0.01)
    data_timeout: float | None = option(
        None, "Wait for the reply to DATA; unset means rcptto_timeout (ours).", "seconds", minimum=0.01
    )
    body_block_timeout: float = option(
        180.0, "Longest time without progress while the body is sent (ours).", "seconds", minimum=0.01
    )
    body_timeout: float = option(
        600.0, "Wait for the reply to the final dot; a short one causes duplicates.", "seconds", minimum=0.01
    )
    rset_timeout: float = option(30.0, "Wait for the reply to RSET.", "seconds", minimum=0.01)
    quit_timeout: float = option(5.0, "Wait for the reply to QUIT (ours).", "seconds", minimum=0.01)
    idle_timeout: float = option(5.0, "How long an idle session stays open for new mail.", "seconds", minimum=0)
    max_outbound_connections: int = option(
        32, "Most connections of one domain on one binding.", "connections", minimum=0
    )
    connection_allocation_aggressiveness: str = option(
        "normal", "How fast the connection goal grows with the queue.", choices=("normal", "high")
    )
    max_deliveries_per_connection: int = option(
        0, "Successful deliveries after which a connection is closed; 0 is no limit.", "messages", minimum=0
    )
    max_recipients_per_connection: int = option(
        0, "RCPT TO commands after which a connection is closed; 0 is no limit.", "recipients", minimum=0
    )
    max_recipients_per_batch: int = option(100, "Most recipients of one transaction.", "recipients", minimum=1)
    retry_interval: float = option(
        1200.0, "Delay after the first failure; it doubles with each.", "seconds", minimum=0.01
    )
    max_retry_interval: float = option(43200.0, "Longest delay between two attempts.", "seconds", minimum=0.01)
    retry_intervals: tuple[str, ...] = option(
        (),
        'Delays after the first, second and further failures, such as "90s", "5m", "2h" or "1d"; the last one repeats.'
        " An empty list leaves it to retry_interval and max_retry_interval (ours).",
    )
    retry_jitter: float = option(
        0.0,
        "Share of each delay that chance may add to it, so that mail that failed together does not come again"
        " together (ours).",
        "share",
        minimum=0,
        maximum=1,
    )
    max_retries: int | str = option(
        "auto",
        "Most retries: a number, none, or auto (as many as message_expiration allows).",
        minimum=0,
        choices=("auto", "none"),
    )
    never_retry: bool = option(False, "Whether the first transient failure is final.")
    message_expiration: float = option(86400.0, "Longest life of an undelivered message.", "seconds", minimum=0.01)
    never_attempt_expired_messages: bool = option(
        False, "Whether a message past its life is failed without the attempt that is due."
    )
    generate_bounces: bool = option(
        False,
        "Whether a failure is reported to the sender; bounces do not exist yet, so that only false is taken.",
        fixed=True,
    )
    suspend_delivery: bool = option(False, "Whether mail waits here without any attempt.")
    gateway: str = option("", "Name or address of the host that takes all this mail instead of the domain's own.")
    remote_smtp_port: int = option(25, "Port connected to.", minimum=1, maximum=65535)
    ehlo_hostname: str = option(
        "__hostname__", "Name in EHLO: literal, __hostname__, or __message__ (the sender's domain)."
    )
    tls: str = option("no", "Whether STARTTLS is used.", choices=("no", "ifavailable", "required"))
    pipelining: bool = option(True, "Whether commands are grouped where the peer offers PIPELINING (ours).")


@dataclass(frozen=True, slots=True)
class DomainSettings:
    """
    Options settled for one domain on every binding.
    """

    routes: tuple[str, ...] = option(
        (),
        "Next hops instead of the domain's MX records, tried in order: host, address, either with :port, or __mx__.",
        scopes=DOMAIN_WIDE,
    )
    mx_failures_to_delay: int = option(
        50,
        "Consecutive connection failures of every address after which active mail is delayed; 0 never.",
        "failures",
        DOMAIN_WIDE,
        minimum=0,
    )
    connect_timeout_to_delay: float = option(
        900.0,
        "Time spent failing to contact a domain after which active mail is delayed; 0 never.",
        "seconds",
        DOMAIN_WIDE,
        minimum=0,
    )
    host_failure_retry: float = option(
        120.0, "How long an address that failed is left alone, per binding.", "seconds", DOMAIN_WIDE, minimum=0
    )


@dataclass(frozen=True, slots=True)
class HostSettings:
    """
    Options of one mail exchanger, by name; written in ``[host]`` only.
    """

    max_outbound_connections: int = option(
        -1, "Most connections to the host; -1 is no limit.", "connections", (Level.HOST,), minimum=-1
    )


@dataclass(frozen=True, slots=True)
class BindingSettings:
    """
    Options settled for one binding, whatever the domain.
    """

    bind_address: str = option(
        "",
        "Numeric address connections leave from; empty lets the kernel choose.",
        scopes=(Level.BINDING, Level.BINDING_GROUP, Level.GLOBAL),
    )


@dataclass(frozen=True, slots=True)
class Binding:
    """
    A named source of connections.

    :ivar name: as configured; ``default`` is slot 0 and always exists.
    :ivar slot: the small integer that stands for it.
    :ivar group: name of the binding group it is in, ``default`` if in none.
    :ivar bind_address: source address; empty lets the kernel choose.
    """

    name: str
    slot: int
    group: str = "default"
    bind_address: str = ""


#: Slot of the binding named ``default``.
DEFAULT_SLOT: Final = 0
#: Slot of a message that has no binding yet (Momentum: EC_BINDING_SLOT_UNBOUND).
UNBOUND: Final = -1
