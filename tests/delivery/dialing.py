"""
What the tests of the connection functions share: a dialer that does as it is
told, hooks that remember, and a service's connection functions around them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from twisted.internet.task import Clock
from zope.interface import implementer

from momentum_tx.config import load as config_load
from momentum_tx.delivery.facilities import Facilities
from momentum_tx.delivery.handle import ConnectionHandle
from momentum_tx.delivery.initiate import ConnectionInitiator
from momentum_tx.delivery.initiate_smtp import MailConnections
from momentum_tx.delivery.limits import Limits
from momentum_tx.delivery.probes import Probes
from momentum_tx.delivery.records import Records
from momentum_tx.delivery.routing import Router
from momentum_tx.delivery.settle import Settlement
from momentum_tx.errors import DialFailed
from momentum_tx.flags import ConnFlag
from momentum_tx.hooks.outbound import OutboundHooks
from momentum_tx.interfaces import hooks as contracts
from momentum_tx.interfaces.seams import IConnectedStream, IDial, IDialer, ITLSFacts, ITLSUpgrade
from momentum_tx.message.ids import MessageIds
from momentum_tx.net.failures import timed_out
from momentum_tx.policy.prohibited import ProhibitedHosts
from momentum_tx.policy.tls import TLSParameters
from momentum_tx.queues.domain import DomainRecord
from momentum_tx.queues.message import Message, Reception
from momentum_tx.settings import DEFAULT_PROHIBITED_HOSTS
from momentum_tx.spool.memory import MemorySpool
from momentum_tx.testing.dns import ScriptedResolver
from momentum_tx.testing.threads import InlineThreads
from momentum_tx.timers import Agenda
from momentum_tx.wall import WallClock

#: Wall time at which the stories begin; far from the clock's zero, so that the two are not confused.
BEGIN = 1_700_000_000.0

REFUSED = DialFailed(ConnFlag.ERROR_CONNECT_NETWORK, "Connection refused")
KERNEL_TIMEOUT = DialFailed(ConnFlag.ERROR_CONNECT_TIMEOUT, "Connection timed out")
NO_PORT = DialFailed(ConnFlag.ERROR_BIND, "Cannot assign requested address")
ODD = DialFailed(ConnFlag.ERROR_CONNECT, "Permission denied")


@implementer(IConnectedStream)
class Stream:
    """
    A connection that leads nowhere.
    """

    def __init__(self, fd: int, peer: tuple[str, int]) -> None:
        self.local = ("198.51.100.250", 40000)
        self.peer = peer
        self.closed = False
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def start(self, protocol: Any) -> None:
        raise AssertionError("nobody speaks in these stories")

    def close(self) -> None:
        self.closed = True


@implementer(IDial)
class Dial:
    """
    One connect; the test ends it with :meth:`connect` or :meth:`fail`.
    """

    def __init__(self, host: str, port: int, source: str, fd: int, connected: Any, failed: Any) -> None:
        self.host, self.port, self.source, self.fd = host, port, source, fd
        self.cancelled = False
        self.stream: Stream | None = None
        self._connected, self._failed = connected, failed

    def connect(self) -> Stream:
        self.stream = Stream(self.fd, (self.host, self.port))
        self._connected(self.stream)
        return self.stream

    def fail(self, error: DialFailed) -> None:
        self._failed(error)

    def cancel(self) -> None:
        self.cancelled = True

    def time_out(self, seconds: float) -> DialFailed:
        self.cancel()
        return timed_out(seconds)


@implementer(IDialer)
class ToldDialer:
    """
    Leaves every connect pending, except to addresses that fail at once.
    """

    def __init__(self) -> None:
        #: What dialling an address raises.
        self.at_once: dict[str, Exception] = {}
        #: Every address asked for, also those that failed at once.
        self.asked: list[str] = []
        #: Every connect that became pending.
        self.dials: list[Dial] = []

    def tune(self, nodelay: bool, buffer_size: int) -> None:
        """
        Nothing is connected here.
        """

    def dial(
        self,
        host: str,
        port: int,
        source: str,
        post_bind: Callable[[int], bool] | None,
        connected: Callable[[IConnectedStream], object],
        failed: Callable[[DialFailed], object],
    ) -> IDial:
        self.asked.append(host)
        fd = 100 + len(self.asked)
        if post_bind is not None and not post_bind(fd):
            raise DialFailed(ConnFlag.ERROR_BIND, "connection_post_bind forbade the connection")
        if host in self.at_once:
            raise self.at_once[host]
        dial = Dial(host, port, source, fd, connected, failed)
        self.dials.append(dial)
        return dial


@implementer(ITLSUpgrade)
class NoTLS:
    """
    TLS is never asked for in these stories.
    """

    def equip(self, files: Mapping[str, bytes]) -> None:
        """
        Nothing is done with them.
        """

    def upgrade(self, transport: Any, parameters: TLSParameters, small_hello: bool = False) -> None:
        raise AssertionError("no TLS here")

    def facts(self, transport: Any) -> ITLSFacts:
        raise AssertionError("no TLS here")


@implementer(
    contracts.ILogClientConnectionFailure,
    contracts.ILogClientConnectionSuccess,
    contracts.IPostInitiateConnectionSmtp,
    contracts.ILogTransientFailureV1,
    contracts.ILogPermanentFailureV1,
)
class Ear:
    """
    Writes down what the hooks tell, in order, in the log it is given.
    """

    def __init__(self, heard: list[tuple[Any, ...]]) -> None:
        self.heard = heard

    def log_client_connection_failure(
        self, addr: Any, err: ConnFlag, dr: Any, binding_slot: int, now: float | None
    ) -> None:
        self.heard.append(("failure", addr.host if addr else None, err, binding_slot, now))

    def log_client_connection_success(self, addr: Any, dr: Any, binding_slot: int, now: float | None) -> None:
        self.heard.append(("success", addr.host, binding_slot, now))

    def post_initiate_connection_smtp(self, dr: Any, binding_slot: int, now: float | None, conn_fd: int) -> None:
        self.heard.append(("post", binding_slot, now, conn_fd))

    def log_transient_failure_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self.heard.append(("transient", msg.id, note))

    def log_permanent_failure_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self.heard.append(("permanent", msg.id, note))


class World:
    """
    The connection functions of a service, without its maintainer and sessions:
    nothing happens but what a test asks for.
    """

    def __init__(self, configuration: str = "", dialer: IDialer | None = None, clock: Any = None) -> None:
        #: Everything that was told to hooks and callbacks, in order.
        self.heard: list[tuple[Any, ...]] = []
        self.clock = clock if clock is not None else Clock()
        self.dialer = ToldDialer()
        self.resolver = ScriptedResolver(self.clock)
        self.hooks = OutboundHooks()
        self.hooks.register_last(Ear(self.heard))
        self.config = config_load.parse(configuration)
        self.wall_step = 0.0
        #: Addresses this machine has not.
        self.unplumbed: set[str] = set()
        self.spool = MemorySpool(self.clock, lambda slot: self.config.bindings[slot].name, lambda name: 0)
        self.spool.start(lambda messages: None)
        settings = self.config.global_settings
        networks = settings.prohibited_hosts
        agenda = Agenda(self.clock)
        self.facilities = Facilities(
            clock=self.clock,
            wall=WallClock(self.clock, self.wall, agenda),
            rng=Random(20),
            agenda=agenda,
            dialer=dialer if dialer is not None else self.dialer,
            tls=NoTLS(),
            resolver=self.resolver,
            spool=self.spool,
            hooks=self.hooks,
            ids=MessageIds(self.wall, 4711),
            config=self.config,
            prohibited=ProhibitedHosts(DEFAULT_PROHIBITED_HOSTS if networks is None else networks),
            hostname="mta.example",
            plumbed=lambda address: address not in self.unplumbed,
            threads=InlineThreads(self.clock),
        )
        self.records = Records()
        self.router = Router(self.facilities, self.records, lambda dr: None)
        self.settlement = Settlement(self.facilities, lambda dr: None)
        self.limits = Limits(self.facilities, self.records, lambda dr: None)
        self.probes = Probes(self.records, lambda dr: None)
        self.initiator = ConnectionInitiator(self.facilities, self.records, self.router, self.limits, self.probes)
        #: Handles that ``initiate_connection_smtp`` would have begun a session on.
        self.opened: list[ConnectionHandle] = []
        self.connections = MailConnections(self.initiator, self.settlement, self.opened.append, lambda dr: None)
        self.started = self.clock.seconds()
        self._serial = 0

    def wall(self) -> float:
        return BEGIN + self.clock.seconds() + self.wall_step

    def domain(self, name: str, *addresses: str) -> DomainRecord:
        """
        The record of *name*; with *addresses*, each is an exchanger of its own,
        the first the most preferred.
        """
        if addresses:
            self.resolver.mx[name] = [(n, f"mx{n}.{name}") for n in range(len(addresses))]
            for n, address in enumerate(addresses):
                self.resolver.addresses[f"mx{n}.{name}"] = [address]
        return self.records.domain(name, self.connections)

    def message(self, dr: DomainRecord, slot: int = 0, retries: int = 0) -> Message:
        """
        One more message in the active queue of *dr*.
        """
        self._serial += 1
        reception = Reception(b"a@sender.example", self.wall(), 100, f"batch{self._serial}")
        message = reception.add(f"m{self._serial}", b"b@" + dr.domain.encode("ascii"))
        self.spool.receive(reception, b"Subject: x\r\n\r\nbody\r\n")
        message.binding_slot = slot
        message.num_retries = retries
        message.domain = dr
        dr.mail_queue.insert_active(message)
        return message

    def finished(self, handle: ConnectionHandle, error: ConnFlag, now: float) -> None:
        """
        A ``finish_connect_func``.
        """
        self.heard.append(("finished", handle, error, now))

    def timed_out(self, handle: ConnectionHandle, now: float) -> None:
        """
        A ``timeout_func``.
        """
        self.heard.append(("timed out", handle, handle.error, now))

    def endings(self) -> list[tuple[Any, ...]]:
        """
        What the two callbacks heard.
        """
        return [entry for entry in self.heard if entry[0] in ("finished", "timed out")]

    def told(self, what: str) -> list[tuple[Any, ...]]:
        """
        What one hook was told.
        """
        return [entry for entry in self.heard if entry[0] == what]

    def recount(self) -> tuple[int, int, int]:
        """
        Connections as the three counters have them, checked against each
        other: server, all domains, all hosts.
        """
        hosts = list({id(mx.host): mx.host for dr in self.records for mx in dr.mxlist}.values())
        by_domain = sum(dr.total_connections() for dr in self.records)
        return self.records.connections, by_domain, sum(host.connections for host in hosts)
