"""
What delivery is handed: every clock, seam and service it may use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from ..hooks.outbound import OutboundHooks
from ..interfaces.seams import IDialer, IThreadExecutor, ITLSUpgrade
from ..interfaces.services import IConfiguration, INotifier, IResolver, ISpool
from ..logs.traces import Traces
from ..logs.transcripts import Transcripts
from ..message.ids import MessageIds
from ..policy.prohibited import ProhibitedHosts
from ..policy.skipped import SkippedHosts
from ..policy.tls_report import TLSOutcome
from ..timers import Agenda
from ..wall import WallClock
from .authentication import Authentication
from .dane import DANE
from .descriptors import Descriptors
from .egress import Egress
from .message_tls import MessageTLS
from .mta_sts import STSPolicies
from .plumbing import Plumbing
from .staging import Staging
from .suspension import Suspension
from .tls_policies import TLSPolicies
from .tls_requirements import TLSRequirements

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from ..queues.domain import DomainRecord, HostRecord
from ..queues.message import Message


@dataclass(slots=True)
class Facilities:
    """
    :ivar clock: times deadlines and calls back; need not be wall time.
    :ivar wall: wall time, epoch seconds, and who is told when it steps.
    :ivar rng: the only source of chance.
    :ivar agenda: alarms on *clock*.
    :ivar dialer: opens connections.
    :ivar tls: turns them into TLS ones.
    :ivar resolver: asks DNS.
    :ivar spool: keeps messages.
    :ivar hooks: Momentum's hooks.
    :ivar ids: makes message and connection ids.
    :ivar config: the configuration in force; replaced whole at a reload.
    :ivar prohibited: addresses no stranger's DNS may lead to.
    :ivar hostname: our own name.
    :ivar transcripts: keeps the dialogues of attempts that failed or took long.
    :ivar traces: the dialogues somebody follows; ``None`` where there are none.
    :ivar plumbed: whether an address is configured on this host; ``OSError`` if that cannot be told.
    :ivar threads: does what takes long and is nobody's turn.
    :ivar descriptors: the dialer, and who waits for a descriptor.
    :ivar plumbing: knows the addresses that are not.
    :ivar egress: knows which way connections leave.
    :ivar suspension: says where mail waits without an attempt.
    :ivar staging: puts messages into queues.
    :ivar sts: knows MTA-STS policies; ``None`` where there are none.
    :ivar tls_told: hears what came of TLS in each session; ``None`` if nobody does.
    :ivar notifier: tells senders what becomes of their mail; ``None`` if nobody does.
    :ivar leaves_out: whether a message's recipient is on the suppression list; ``None`` if there is none.
    :ivar find_domain: the record of a domain, if there is one.
    :ivar late: hears of mail that failed for now and is tried again; ``None`` if nobody does.
    :ivar dane: looks up TLSA records.
    :ivar tls_policies: says what both mean for a connection.
    :ivar authentication: says who we are.
    :ivar message_tls: says what single messages want of it.
    :ivar tls_requirements: says what TLS a connection has to have.
    """

    clock: IReactorTime
    wall: WallClock
    rng: Random
    agenda: Agenda
    dialer: IDialer
    tls: ITLSUpgrade
    resolver: IResolver
    spool: ISpool
    hooks: OutboundHooks
    ids: MessageIds
    config: IConfiguration
    prohibited: ProhibitedHosts
    hostname: str
    plumbed: Callable[[str], bool]
    threads: IThreadExecutor
    transcripts: Transcripts = field(default_factory=Transcripts)
    traces: Traces | None = None
    sts: STSPolicies | None = None
    tls_told: Callable[[TLSOutcome], object] | None = None
    notifier: INotifier | None = None
    leaves_out: Callable[[Message], bool] | None = None
    find_domain: Callable[[str], DomainRecord | None] = lambda name: None
    late: Callable[[Message, float], object] | None = None
    dane: DANE = field(init=False)
    descriptors: Descriptors = field(init=False)
    plumbing: Plumbing = field(init=False)
    egress: Egress = field(init=False)
    suspension: Suspension = field(init=False)
    staging: Staging = field(init=False)
    tls_policies: TLSPolicies = field(init=False)
    authentication: Authentication = field(init=False)
    message_tls: MessageTLS = field(init=False)
    tls_requirements: TLSRequirements = field(init=False)
    _skipped: SkippedHosts = field(init=False, default=SkippedHosts(()))
    _skip_hosts: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        self.dialer = self.descriptors = Descriptors(self, self.dialer)
        self.plumbing = Plumbing(self)
        self.egress = Egress(self)
        self.suspension = Suspension(self)
        self.staging = Staging(self)
        self.dane = DANE(self.clock, self.resolver, lambda: self.config.global_settings.use_ipv6)
        self.tls_policies = TLSPolicies(self)
        self.authentication = Authentication(self)
        self.message_tls = MessageTLS(self)
        self.tls_requirements = TLSRequirements(self)

    def suspended(self, slot: int, domain: str) -> bool:
        """
        Whether nothing of a (binding, domain) pair may be attempted now.
        """
        return self.suspension.holds(slot, domain)

    def blackholed(self, slot: int, domain: str) -> bool:
        """
        Whether mail of a (binding, domain) pair is failed instead of delivered.
        """
        config = self.config
        return config.written("blackhole") and config.path(slot, domain).blackhole is not False

    def host_failure_retry(self, domain: str) -> float:
        """
        Seconds that an address is left alone which has failed for *domain*.
        """
        seconds = self.config.domain(domain).host_failure_retry
        hook = self.hooks.config_get_domain_host_failure_retry
        if hook:
            answer = hook.override(lambda provider: provider.config_get_domain_host_failure_retry(domain, seconds))
            if answer is not None and answer >= 0:
                return float(answer)
        return seconds

    def skips(self, host: str, address: str) -> bool:
        """
        Whether an operator wants an address of a host left out (``skip_hosts``).
        """
        entries = self.config.global_settings.skip_hosts
        if not entries:
            return False
        if entries != self._skip_hosts:
            self._skip_hosts, self._skipped = entries, SkippedHosts(entries)
        return self._skipped.skips(host, address)

    def forbids(self, host: HostRecord, address: str) -> bool:
        """
        Whether an address of a host must not be connected to.
        """
        return self.skips(host.name, address) or (not host.trusted and self.prohibited.prohibits(address))
