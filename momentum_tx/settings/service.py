"""
Options of the whole service.
"""

from dataclasses import dataclass
from typing import Final

from .custom_logs import CUSTOM_LOGGER
from .option import GLOBAL, option
from .suppression import SuppressionSettings

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

#: Global options that a reload does not change.
LASTING: Final = (
    "state_dir",
    "log_dir",
    "mainlog",
    "mainlog_mode",
    "rejectlog",
    "rejectlog_mode",
    "paniclog",
    "paniclog_mode",
    "acctlog",
    "acctlog_mode",
    "bouncelog",
    "bouncelog_mode",
    "jsonlog",
    "jsonlog_mode",
    "postfixlog",
    "postfixlog_mode",
    "eximlog",
    "eximlog_mode",
    "smtp_listen",
    "nameservers",
    "resolv_conf",
    "trust_ad",
    "mta_sts_policy_store",
    "mta_sts_ca",
    "hostname",
    "durability",
    "share_by",
    *CUSTOM_LOGGER,
)


@dataclass(frozen=True, slots=True)
class GlobalSettings(SuppressionSettings):
    """
    Options of the whole service; written in ``[global]`` only.
    """

    state_dir: str = option(
        "momentum-tx-state",
        "Directory of the spool, the lock and, unless log_dir says otherwise, the logs.",
        scopes=GLOBAL,
    )
    hostname: str = option("", "Our name in greetings, EHLO and trace lines; empty asks the system.", scopes=GLOBAL)
    smtp_listen: tuple[str, ...] = option(
        ("tcp:2525:interface=127.0.0.1",),
        "Twisted endpoint strings on which mail is received over SMTP; an empty list receives none.",
        scopes=GLOBAL,
    )
    relay_hosts: tuple[str, ...] = option(
        ("127.0.0.0/8", "::1/128"), "Networks whose clients may send mail anywhere through us.", scopes=GLOBAL
    )
    trusted_hosts: tuple[str, ...] = option(
        ("127.0.0.0/8", "::1/128"),
        "Networks whose clients are obeyed when they say in header fields what a message is: X-Binding, X-Tenant"
        " and the like.",
        scopes=GLOBAL,
    )
    share_by: tuple[str, ...] = option(
        ("tenant", "campaign", "priority"),
        "Traits that tell classes of mail apart where they share connections; an empty list has all mail go by its"
        " time alone (ours).",
        scopes=GLOBAL,
    )
    nameservers: tuple[str, ...] = option(
        (), "DNS servers, address or address:port; empty reads the system's resolv.conf.", scopes=GLOBAL
    )
    prohibited_hosts: tuple[str, ...] | None = option(
        None,
        "Networks never connected to for an address learnt from DNS; a written list replaces the default.",
        scopes=GLOBAL,
        differs="There is a default, and an address that matches is left out; where none is left the domain is denied.",
    )
    skip_hosts: tuple[str, ...] = option(
        (),
        "Networks, host names, and regexes for host names (/.../), that are left out when an exchanger is chosen;"
        " others of the domain are used.",
        scopes=GLOBAL,
        differs="Host names and regexes are ours. It applies to routes and gateways as well.",
    )
    mxip: bool = option(
        False,
        "Whether an MX record that has an address where a name should be is used.",
        scopes=GLOBAL,
    )
    use_ipv6: bool = option(False, "Whether AAAA records are asked for and used.", scopes=GLOBAL)
    prefer_ipv6_mxs: bool = option(
        False, "Whether usable IPv6 addresses go first within one preference.", scopes=GLOBAL
    )
    min_dns_ttl: int = option(0, "Shortest life of a DNS answer used for routing.", "seconds", GLOBAL, minimum=0)
    max_dns_ttl: int = option(
        4294967295, "Longest life of a DNS answer used for routing.", "seconds", GLOBAL, minimum=1
    )
    resolv_conf: str = option(
        "",
        "File with nameserver lines and the options timeout and attempts, as in resolv.conf(5); empty means the"
        " system's.",
        scopes=GLOBAL,
        differs="The option nameservers goes before it. Nothing else in it counts: mail domains are absolute names.",
    )
    dns_timeout: float | None = option(
        None,
        "Longest wait for one DNS server before the next is asked; unset means what resolv_conf says, or 5 (ours).",
        "seconds",
        GLOBAL,
        minimum=0.05,
    )
    trust_ad: bool = option(
        False,
        "Whether name servers on other hosts are believed when they say that an answer was validated by DNSSEC, as"
        " those on this host always are; the way to them must be safe from strangers (ours).",
        scopes=GLOBAL,
    )
    mta_sts_policy_store: str = option(
        "", "Directory in which MTA-STS policies are kept; empty means mta-sts/ under state_dir.", scopes=GLOBAL
    )
    mta_sts_dns_cname_max_depth: int = option(
        5, "Aliases that may lead to the record that announces a policy.", "aliases", GLOBAL, minimum=0, maximum=8
    )
    mta_sts_ca: str = option(
        "",
        "File with the issuers that are trusted to vouch for policy hosts (PEM); empty for those this system trusts"
        " (ours).",
        scopes=GLOBAL,
    )
    dns_cache_size: int = option(
        100_000, "Most DNS answers kept; the oldest go first (ours).", "answers", GLOBAL, minimum=1
    )
    dns_rate_limit_enabled: bool = option(
        False, "Whether questions about mail exchangers have a budget; who comes too early waits.", scopes=GLOBAL
    )
    dns_rate_limit_mx_queries: int = option(
        100, "Questions about mail exchangers in one dns_rate_limit_period.", "questions", GLOBAL, minimum=1
    )
    dns_rate_limit_period: float = option(1.0, "Length of that period.", "seconds", GLOBAL, minimum=0.05)
    dns_rate_limit_max_queue: int = option(
        100_000, "Questions that may wait; further ones are asked at once.", "questions", GLOBAL, minimum=1000
    )
    binding_auto_replumb: bool = option(
        True,
        "Whether it is looked now and then which addresses of bindings are configured on this host; mail of a binding"
        " that has none waits.",
        scopes=GLOBAL,
        differs="On by default; and also when it is off, it is looked at the start, at a reload, and when an attempt"
        " could not bind.",
    )
    binding_auto_replumb_interval: float = option(60.0, "How often it is looked.", "seconds", GLOBAL, minimum=1)
    proxy_health_check_interval: float = option(
        5.0,
        "How often it is looked whether the proxies of bindings answer (Momentum: health_check_interval of"
        " ha_proxy_client).",
        "seconds",
        GLOBAL,
        minimum=0.1,
    )
    proxy_health_check_timeout: float = option(
        1.0, "How long a proxy has to answer (health_check_timeout).", "seconds", GLOBAL, minimum=0.05
    )
    proxy_health_check_failure_threshold: int = option(
        3,
        "Checks in a row that fail before a proxy is taken for unusable, and mail of its bindings waits"
        " (health_check_failure_threshold).",
        "checks",
        GLOBAL,
        minimum=1,
    )
    proxy_health_check_success_threshold: int = option(
        3,
        "Checks in a row that succeed before it is used again (health_check_success_threshold).",
        "checks",
        GLOBAL,
        minimum=1,
    )
    default_binding: str = option(
        "normal",
        "What becomes of mail on the binding default: normal, it is delivered; suspended, it waits; none, what would"
        " be received for it gets 451, and what is queued is delivered.",
        scopes=GLOBAL,
        choices=("normal", "none", "suspended"),
    )
    allow_ip_literal: bool = option(
        True,
        "Whether mail is taken for addresses such as bob@[192.0.2.1]; what was taken is delivered.",
        scopes=GLOBAL,
    )
    max_message_size: int = option(
        104_857_600, "Largest message received, as announced by SIZE (ours).", "octets", GLOBAL, minimum=1000
    )
    max_recipients_per_message: int = option(
        10_000,
        "Most recipients of one received message; over SMTP more get 452, in process the message is refused (ours).",
        "recipients",
        GLOBAL,
        minimum=100,
    )
    max_inbound_connections: int = option(
        2000, "Most clients that may inject at once; more get 421 (ours).", "connections", GLOBAL, minimum=1
    )
    max_inbound_connections_per_client: int = option(
        500, "Most connections from one client address; more get 421 (ours).", "connections", GLOBAL, minimum=1
    )
    inbound_timeout: float = option(
        300.0, "Longest silence of an injecting client (ours).", "seconds", GLOBAL, minimum=0.1
    )
    requiretls_on_loopback: bool = option(
        False,
        "Whether clients on this host (loopback addresses, Unix sockets) are offered REQUIRETLS: there is no TLS"
        " between them and us, and no network either (ours).",
        scopes=GLOBAL,
    )
    max_received_headers: int = option(
        100, "Received fields at which a message counts as looping and is refused.", "fields", GLOBAL, minimum=1
    )
    dkim_failure: str = option(
        "refuse",
        "What becomes of a message that cannot be signed as it should be: refuse, it gets 451; accept, it is sent"
        " without a signature (ours).",
        scopes=GLOBAL,
        choices=("refuse", "accept"),
    )
    dkim_threads: int = option(
        2, "Most threads that sign mail at once (ours).", "threads", GLOBAL, minimum=1, maximum=64
    )
    dkim_max_waiting: int = option(
        10_000,
        "Messages that may wait for a thread that signs them; more fare as dkim_failure says (ours).",
        "messages",
        GLOBAL,
        minimum=1,
    )
    server_max_outbound_connections: int = option(
        20_000, "Most outbound connections of the whole server.", "connections", GLOBAL, minimum=1
    )
    server_reserve_outbound_connections: int = option(
        200,
        "Connections beyond server_max_outbound_connections for domains that have none and wait for one.",
        "connections",
        GLOBAL,
        minimum=0,
    )
    reserve_maintenance_interval: float = option(
        15.0, "Period in which the reserve is given to domains that wait.", "seconds", GLOBAL, minimum=0.05
    )
    server_max_file_descriptors: int = option(
        3_000_000,
        "Descriptors the process may have: twistd raises its own limit to this, or as far as the system lets it.",
        "descriptors",
        GLOBAL,
        minimum=64,
    )
    disable_nagle_algorithm: bool = option(
        True,
        "Whether small writes to a peer leave at once, without Nagle's algorithm.",
        scopes=GLOBAL,
        differs="The default is true, for the algorithm waits for peers that wait before they acknowledge.",
    )
    tcp_buffer_size: int = option(
        0,
        "Size of the kernel's buffers of a connection to a peer, each way; 0 leaves it to the kernel, which suits it to"
        " the line.",
        "octets",
        GLOBAL,
        minimum=0,
        maximum=1 << 30,
        differs="The default is 0 and not 32768, which would slow large messages on long lines.",
    )
    migrate_connections_between_sibling_domains: bool = option(
        True,
        "Whether a connection that has nothing to send goes on with mail of another domain that has the same exchanger"
        " and leaves from the same binding.",
        scopes=GLOBAL,
        differs="Only where the other domain would connect to that very exchanger now, and agrees on all that was"
        " settled when the connection was opened.",
    )
    delayed_queue_scan_interval: float = option(
        15.0,
        "Longest pause between two passes of a maintainer while active mail waits.",
        "seconds",
        GLOBAL,
        minimum=0.05,
    )
    max_addresses_per_attempt: int = option(
        5, "Most addresses one connection attempt tries (ours).", "addresses", GLOBAL, minimum=1
    )
    address_metrics_lifetime: float = option(
        1800.0, "How long what is known of an address and a binding is kept unused.", "seconds", GLOBAL, minimum=1
    )
    body_cache_size: int = option(
        268_435_456, "Most octets of message bodies kept in memory (ours).", "octets", GLOBAL, minimum=0
    )
    max_resident_messages: int = option(
        32_768,
        "Most received messages, each with all its recipients, that are kept in memory with their body; 0 keeps none.",
        "messages",
        GLOBAL,
        minimum=0,
        differs="It is one bound for all bindings, and body_cache_size is another: whichever is reached first counts.",
    )
    segment_size: int = option(
        67_108_864, "Size at which a journal segment is closed (ours).", "octets", GLOBAL, minimum=4096
    )
    segment_live_share: int = option(
        25,
        "Journal segments of which less than this lives are emptied, and so is the oldest one if it is true of all"
        " together; 0 empties none (ours).",
        "percent",
        GLOBAL,
        minimum=0,
        maximum=90,
    )
    compaction_rate: int = option(
        4_194_304,
        "Most octets of mail per second that are moved out of journal segments to empty them (ours).",
        "octets per second",
        GLOBAL,
        minimum=1024,
    )
    durability: str = option(
        "group",
        "group: nothing is answered before it is synced. unsafe: nothing is synced (needs i_accept_loss).",
        scopes=GLOBAL,
        choices=("group", "unsafe"),
    )
    i_accept_loss: bool = option(False, "Must be true for durability unsafe (ours).", scopes=GLOBAL)
    shutdown_grace: float = option(
        30.0, "How long running transactions may go on after a stop was asked (ours).", "seconds", GLOBAL, minimum=0
    )
    debug_slow_turns: float = option(
        0.0,
        "How long a turn of the reactor may take, such as 0.05; of longer ones the service log says where they were. 0"
        " watches none (ours).",
        "seconds",
        GLOBAL,
        minimum=0,
    )
