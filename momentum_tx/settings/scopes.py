"""
Options of a domain, of a mail exchanger, of a binding; and what a binding is.
"""

from dataclasses import dataclass
from typing import Final

from .option import DOMAIN_WIDE, Level, option


@dataclass(frozen=True, slots=True)
class DomainSettings:
    """
    Options settled for one domain on every binding.
    """

    routes: tuple[str, ...] = option(
        (),
        "Where mail goes instead of to the domain's MX records: host or address, either with :port; __mx__, the"
        " domain's own exchangers; or smtp://host?pref=&ttl=&port=&type=, type mx or a. A route without pref is used"
        " when those before it cannot be; routes with the same pref share.",
        scopes=DOMAIN_WIDE,
        differs="A change takes effect at the reload. The protocol of a route decides nothing: delivery_method does.",
    )
    fully_resolve_before_smtp: bool = option(
        True,
        "Whether the addresses of all mail exchangers are waited for; without, mail begins with the first that is"
        " known, which may not be the best.",
        scopes=DOMAIN_WIDE,
        differs="It may be written for a domain, not for a binding: the look-up serves all bindings.",
    )
    mx_failures_to_delay: int = option(
        50,
        "Consecutive connection failures of every address after which active mail is delayed; 0 never.",
        "failures",
        DOMAIN_WIDE,
        minimum=0,
    )
    mx_failures_fallback_to_a: int = option(
        3,
        "Failed look-ups of MX records in a row after which the domain's own addresses are used; -1: after the first"
        " only addresses are asked for; 0: never.",
        "failures",
        DOMAIN_WIDE,
        minimum=-1,
        differs="What counts as a failure is as for dns_failures_to_purge.",
    )
    dns_failures_to_purge: int = option(
        10,
        "Failed look-ups in a row after which all mail of the domain fails; 0: never.",
        "failures",
        DOMAIN_WIDE,
        minimum=0,
        differs="Failures within dns_failure_interval are one, and count only if DNS has answered for other domains"
        " meanwhile, and more often than it failed for others; mail with routes or a gateway always waits.",
    )
    dns_failure_interval: float = option(
        600.0,
        "How far failed look-ups must be apart to count as two for mx_failures_fallback_to_a and dns_failures_to_purge"
        " (ours).",
        "seconds",
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
    rollup_by_mx_set: bool = option(
        False,
        "Whether domains with the same exchangers in the same order share one queue, with its limits and connections;"
        " where it is written for all, a domain of which a table says anything else keeps its own (ours).",
        scopes=DOMAIN_WIDE,
    )
    use_mta_sts: bool = option(
        False,
        "Whether the MTA-STS policy of a domain is looked for, fetched and kept; enable_mta_sts says where it is"
        " obeyed.",
        scopes=DOMAIN_WIDE,
        differs="A domain with a policy in force, and one whose exchangers DANE protects, keeps a queue of its own."
        " Policy hosts are verified with mta_sts_ca, not tls_ca.",
    )
    use_dane: bool = option(
        False,
        "Whether TLSA records of exchangers are looked up where DNSSEC validates the way to them; enable_dane says"
        " where they are obeyed. It needs a validating name server on this host, or trust_ad.",
        scopes=DOMAIN_WIDE,
        differs="Where it is on mx_failures_fallback_to_a does not apply: who keeps MX records from us must not get the"
        " mail.",
    )


@dataclass(frozen=True, slots=True)
class HostSettings:
    """
    Options of one mail exchanger, by name; written in ``[host]`` only.
    """

    max_outbound_connections: int = option(
        -1, "Most connections to the host; -1 is no limit.", "connections", (Level.HOST,), minimum=-1
    )
    scope_max_outbound_connections: int | None = option(
        None,
        "Most connections to the host, or to all hosts of a regex together.",
        "connections",
        (Level.HOST,),
        minimum=0,
    )
    outbound_throttle_connections: str = option(
        "",
        "How often a connection to the host may be begun, besides what the domain is held to; a host that is saturated"
        " is passed over for others.",
        scopes=(Level.HOST,),
        nested=True,
    )
    outbound_throttle_messages: str = option(
        "",
        "How often a message may be sent to the host, besides what the domain is held to.",
        scopes=(Level.HOST,),
        nested=True,
    )
    rollup_mx: bool = option(
        False,
        "Whether the mail of domains that have the host as an exchanger is queued under one name, rollup_mx_name, whose"
        " options then apply instead of theirs.",
        scopes=(Level.HOST,),
        differs="Domains with routes or a gateway are left out, and all are while mail cannot be delivered by way of"
        " that name.",
    )
    rollup_mx_name: str = option(
        "",
        "The routing domain for rollup_mx, whose own routes or exchangers the mail goes to; empty: the host's name.",
        scopes=(Level.HOST,),
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
    bind_address_secondary: str = option(
        "",
        "Numeric address of the other family than bind_address, which connections to hosts of that family leave from;"
        " empty: they do not.",
        scopes=(Level.BINDING,),
    )
    ha_proxy_server: str = option(
        "",
        "Address or name, and port, of a proxy that connections leave by: HAProxy, or another that reads a header of"
        " the PROXY protocol, version 2; empty: they leave from this host.",
        scopes=(Level.BINDING, Level.BINDING_GROUP, Level.GLOBAL),
    )
    ha_proxy_src_addr: str = option(
        "",
        "IPv4 address the proxy is told to connect from; empty: there is no connection to hosts of that family.",
        scopes=(Level.BINDING, Level.BINDING_GROUP, Level.GLOBAL),
    )
    ha_proxy_ipv6_src_addr: str = option(
        "",
        "IPv6 address the proxy is told to connect from; empty: there is no connection to hosts of that family.",
        scopes=(Level.BINDING, Level.BINDING_GROUP, Level.GLOBAL),
    )
    socks_proxy_server: str = option(
        "",
        "Address or name, and port, of a SOCKS 5 proxy that connections leave by (ours).",
        scopes=(Level.BINDING, Level.BINDING_GROUP, Level.GLOBAL),
    )
    socks_proxy_user: str = option(
        "",
        "Our user name to that proxy; empty: it asks for none (ours).",
        scopes=(Level.BINDING, Level.BINDING_GROUP, Level.GLOBAL),
    )
    socks_proxy_pass_file: str = option(
        "",
        "File with our password, one line, which is read with the configuration; not everybody may read it (ours).",
        scopes=(Level.BINDING, Level.BINDING_GROUP, Level.GLOBAL),
    )
    delayed_binding_domain_fuzz: float = option(
        0.0,
        "Where all active mail of a domain is delayed at once, the time over which its next attempts are spread.",
        "seconds",
        (Level.BINDING, Level.BINDING_GROUP, Level.GLOBAL),
        minimum=0,
        differs="Messages of one reception stay together, and the number need be no power of two.",
    )
    group_weight: int = option(
        1,
        "How often a binding is chosen at random from its group, compared with the other members; 0 never (ours).",
        "shares",
        (Level.BINDING,),
        minimum=0,
        maximum=1_000_000,
    )

    server_max_outbound_connections: int | None = option(
        None,
        "Most connections of the binding, or of each binding of the group.",
        "connections",
        (Level.BINDING, Level.BINDING_GROUP),
        minimum=0,
    )


@dataclass(frozen=True, slots=True)
class Binding:
    """
    A named source of connections.

    :ivar name: as configured; ``default`` is slot 0 and always exists.
    :ivar slot: the small integer that stands for it.
    :ivar group: name of the binding group it is in, ``default`` if in none.
    :ivar bind_address: source address; empty lets the kernel choose.
    :ivar bind_address_secondary: source address of the other family; empty if there is none.
    :ivar ha_proxy_server: a proxy that reads a PROXY header, and its port; empty for none.
    :ivar ha_proxy_src_addr: the IPv4 address it connects from; empty for none.
    :ivar ha_proxy_ipv6_src_addr: the IPv6 address it connects from; empty for none.
    :ivar socks_proxy_server: a SOCKS 5 proxy, and its port; empty for none.
    :ivar socks_proxy_user: our name to it; empty for none.
    :ivar socks_proxy_pass_file: the file with our password.
    :ivar server_max_outbound_connections: most connections of it; ``None`` is no limit of its own.
    :ivar group_weight: how often chance takes it, compared with the others of its group.
    :ivar delayed_binding_domain_fuzz: seconds over which mail that was delayed at once is spread.
    """

    name: str
    slot: int
    group: str = "default"
    bind_address: str = ""
    bind_address_secondary: str = ""
    group_weight: int = 1
    delayed_binding_domain_fuzz: float = 0.0
    server_max_outbound_connections: int | None = None
    ha_proxy_server: str = ""
    ha_proxy_src_addr: str = ""
    ha_proxy_ipv6_src_addr: str = ""
    socks_proxy_server: str = ""
    socks_proxy_user: str = ""
    socks_proxy_pass_file: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """
        The source addresses that were written.
        """
        return tuple(address for address in (self.bind_address, self.bind_address_secondary) if address)


#: The group of the bindings that are in no other: nobody chose it for them.
DEFAULT_GROUP: Final = "default"
#: Slot of the binding named ``default``.
DEFAULT_SLOT: Final = 0
#: The binding that reports on TLS leave from, there whenever they are sent.
REPORTS_BINDING: Final = "tlsrpt"
#: Slot of a message that has no binding yet (Momentum: EC_BINDING_SLOT_UNBOUND).
UNBOUND: Final = -1
