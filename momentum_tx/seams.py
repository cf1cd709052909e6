"""
What touches the world, in one object: the seams of the real world, or the
doubles of another one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom
from typing import Any, Final

from .config.configuration import Configuration
from .errors import StartupError
from .interfaces.seams import IDialer, IHTTPSFetch, IJournalFiles, IListener, IOnlooker, IThreadExecutor, ITLSUpgrade
from .interfaces.services import IConfiguration, IResolver
from .logs.files import ILogFile, LogFile
from .logs.names import DirectoryLogNames, ILogNames
from .net import dialer as net_dialer
from .net.datagram import QuietDatagrams
from .net.https import HTTPSFetch, trust_root
from .net.resolver import DNSResolver, read_resolv_conf, system_resolv_conf
from .net.tls import OpenSSLUpgrade
from .policy.next_hop import parse_next_hop
from .settings import GlobalSettings
from .spool.files import DirectoryFiles
from .spool.threads import ReactorThreads
from .turns import ThreadOnlooker

#: Workers for syncs and body reads: one sync runs at a time, the rest read.
WORKERS: Final = 4
#: Workers for arithmetic; how many work at once is said by whoever has work (``dkim_threads``), and no more exist.
MOST_COMPUTING: Final = 64


@dataclass(slots=True)
class Seams:
    """
    What touches the world: the seams, and the two services that exist
    once per world.

    :ivar threads: do what waits, for disks mostly.
    :ivar computing: do what computes, so that nothing that waits for a disk waits for arithmetic as well.
    :ivar resolver: made for the service's settings; raises :class:`OSError` if a file they name cannot be read.
    :ivar https: made for a resolver, the addresses that are prohibited, and the service's settings; raises
        :class:`OSError` or :class:`ValueError` if a file they name cannot be read or has no certificate.
    :ivar log_file: makes a log by path and permissions, its directory included; not open yet.
    :ivar log_names: gives files of logs other names.
    :ivar plumbed: whether an address is configured on this host; ``OSError`` if that cannot be told.
    :ivar own_addresses: the host's addresses.
    :ivar system_hostname: the host's own name.
    """

    dialer: IDialer
    listener: IListener
    files: Callable[[str], IJournalFiles]
    threads: IThreadExecutor
    computing: IThreadExecutor
    onlooker: IOnlooker
    tls: ITLSUpgrade
    resolver: Callable[[GlobalSettings], IResolver]
    https: Callable[[IResolver, Callable[[str], bool], GlobalSettings], IHTTPSFetch]
    log_file: Callable[[str, int], ILogFile]
    log_names: ILogNames
    plumbed: Callable[[str], bool]
    own_addresses: Callable[[], tuple[str, ...]]
    system_hostname: Callable[[], str]


def real_seams(reactor: Any) -> Seams:
    """
    The seams of the real world.
    """

    def resolver(settings: GlobalSettings) -> IResolver:
        conf = read_resolv_conf(settings.resolv_conf) if settings.resolv_conf else system_resolv_conf()
        servers = [_nameserver(text) for text in settings.nameservers] or conf.servers
        return DNSResolver(
            QuietDatagrams(reactor),
            servers,
            SystemRandom(),
            conf.timeout if settings.dns_timeout is None else settings.dns_timeout,
            settings.dns_cache_size,
            settings.min_dns_ttl,
            settings.max_dns_ttl,
            rounds=conf.attempts,
            trust_ad=settings.trust_ad or (conf.trust_ad and not settings.nameservers),
        )

    def log_file(path: str, mode: int) -> ILogFile:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        return LogFile(path, mode)

    return Seams(
        dialer=net_dialer.SocketDialer(reactor),
        listener=net_dialer.EndpointListener(reactor),
        files=DirectoryFiles,
        threads=ReactorThreads(reactor, WORKERS),
        computing=ReactorThreads(reactor, MOST_COMPUTING),
        onlooker=ThreadOnlooker(reactor),
        tls=OpenSSLUpgrade(),
        resolver=resolver,
        https=lambda resolver, prohibited, settings: HTTPSFetch(
            reactor, resolver, prohibited, settings.use_ipv6, trust_root=trust_root(settings.mta_sts_ca)
        ),
        log_file=log_file,
        log_names=DirectoryLogNames(),
        plumbed=net_dialer.plumbed,
        own_addresses=net_dialer.own_addresses,
        system_hostname=net_dialer.system_hostname,
    )


def _nameserver(text: str) -> tuple[str, int]:
    host, port = parse_next_hop(text)
    return host, port or 53


def resolver_of(seams: Seams, config: Configuration, current: Callable[[], IConfiguration] | None = None) -> IResolver:
    """
    The resolver for a configuration.

    :param current: gives the configuration in force, where that is not always this one.
    :raises StartupError: a file it names cannot be read.
    """
    settings = config.global_settings
    try:
        resolver = seams.resolver(settings)
    except OSError as error:
        where = config.where("global", "resolv_conf")
        reason = error.strerror or error
        raise StartupError(f"{where}: global.resolv_conf: {settings.resolv_conf} cannot be read: {reason}") from None
    if isinstance(resolver, DNSResolver):
        resolver.heed_dnssec(lambda: (config if current is None else current()).written("use_dane"))
    return resolver


def https_of(
    seams: Seams, config: Configuration, resolver: IResolver, prohibited: Callable[[str], bool]
) -> IHTTPSFetch:
    """
    What fetches documents, for a configuration.

    :param prohibited: whether an address must not be connected to.
    :raises StartupError: a file it names cannot be used.
    """
    settings = config.global_settings
    try:
        return seams.https(resolver, prohibited, settings)
    except (OSError, ValueError) as error:
        where = config.where("global", "mta_sts_ca")
        reason = getattr(error, "strerror", "") or error
        raise StartupError(f"{where}: global.mta_sts_ca: {settings.mta_sts_ca} cannot be used: {reason}") from None
