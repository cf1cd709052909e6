"""
Our end of the wire: what leaves it, judged against the limits at the moment it
leaves, whatever the service has counted itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from ...interfaces import hooks
from ...net.resolver import DNS_PORT
from ...policy.curfew import QuietHours, phase
from ...policy.skipped import SkippedHosts
from ...settings import DEFAULT_SLOT
from ..network import NetworkWatch
from .measures import Measures

if TYPE_CHECKING:
    from twisted.internet.address import IPv4Address, IPv6Address

    from ...interfaces.services import IConfiguration
    from ...queues.domain import DomainRecord
    from ...queues.places import Places
    from ..host import VirtualHost

#: Where receivers are: those that speak SMTP, and those that speak LMTP.
SMTP_PORT: Final = 25
LMTP_PORT: Final = 2003


def suspended(config: IConfiguration, slot: int, domain: str, wall: float) -> bool:
    """
    Whether the configuration says that mail is not to be delivered, for now or at all.

    :param wall: the service's wall time.
    """
    if blackholed(config, slot, domain):
        return True
    if slot == DEFAULT_SLOT and config.global_settings.default_binding == "suspended":
        return True
    settings = config.path(slot, domain)
    return settings.suspend_delivery or phase([QuietHours.parse(text) for text in settings.curfew], wall).quiet


def blackholed(config: IConfiguration, slot: int, domain: str) -> bool:
    """
    Whether the configuration says that mail is failed instead of delivered.
    """
    return config.path(slot, domain).blackhole is not False


class Ends:
    """
    Connections of ours, open or being opened, as the network knows them.

    :ivar open: what each is for, by descriptor: domain, slot, exchanger.
    :ivar most: most that were open at once.
    """

    def __init__(self) -> None:
        self.open: dict[int, tuple[str, int, object]] = {}
        self.most = 0


@implementer(hooks.IConnectionPostBind, hooks.ILogAttemptV1, hooks.IPremigrateOutboundConnection)
class Edge:
    """
    One per process.

    :param config: gives the configuration in force.
    :param ends: filled by :class:`WireWatch`.
    :param fault: told of (rule, text) when something must not be.
    :param seconds: the clock.
    :param line: who waits for a connection of the server.
    :param wall: wall time as the service has it.
    :ivar stopping: a stop was asked for: nothing may be begun any more.
    """

    def __init__(
        self,
        config: Callable[[], IConfiguration],
        ends: Ends,
        fault: Callable[[str, str], object],
        seconds: Callable[[], float],
        line: Places[DomainRecord] | None = None,
        wall: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._wall = wall
        self._config = config
        self._ends = ends
        self._fault = fault
        self._measures = Measures(config, ends.open, fault, seconds, line)
        self._bound: dict[int, tuple[str, int, object, bool]] = {}
        self.stopping = False
        self.deaf = False

    def connection_post_bind(self, dr: Any, binding_slot: int, fd: int, addr: IPv4Address | IPv6Address) -> bool:
        for handle in dr.connections.get(binding_slot, ()):
            if handle.connection.descriptor == fd:
                self._bound = {fd: (dr.domain, binding_slot, handle.host, len(handle.tries) == 1)}
                tried, most = len(handle.tries), self._config().global_settings.max_addresses_per_attempt
                if tried > most:
                    text = f"{dr.domain}: {tried} addresses in one attempt, max_addresses_per_attempt allows {most}"
                    self._fault("limit exceeded", text)
                return False
        self._fault(
            "unknown connection", f"{dr.domain}: descriptor {fd} belongs to no connection of slot {binding_slot}"
        )
        return False

    def dialled(self, fd: int, source: str, address: str) -> None:
        """
        ``connect`` is being called.

        :param source: what the descriptor is bound to.
        :param address: where it is to lead.
        """
        purpose = self._bound.pop(fd, None)
        if purpose is None:
            self._fault("unknown connection", f"descriptor {fd} is connected, and was never bound")
            return
        domain, slot, host, first = purpose
        ends = self._ends
        ends.open[fd] = domain, slot, host
        ends.most = max(ends.most, len(ends.open))
        config = self._config()
        binding = config.bindings[slot]
        named = [each for each in (binding.bind_address, binding.bind_address_secondary) if each]
        of_family = [each for each in named if (":" in each) == (":" in address)]
        # Without an address of its own the kernel chooses; with another one it may not.
        if source not in of_family and (of_family or binding.bind_address):
            self._fault("wrong source", f"{domain} from slot {slot}: {source} to {address}, the binding has {named}")
        if self.stopping:
            self._fault("connection while stopping", domain)
        if SkippedHosts(config.global_settings.skip_hosts).skips(host.name, address):  # type: ignore[attr-defined]
            self._fault("connection to a skipped host", f"{domain}: {address}")
        if suspended(config, slot, domain, self._wall()):
            self._fault("connection while suspended", f"{domain} from slot {slot}")
        self._measures.dialled(domain, slot, host, first)

    def premigrate_outbound_connection(self, handle: Any, src: Any, dest: Any) -> None:
        if self.deaf:
            return
        fd = handle.connection.descriptor
        purpose = self._ends.open.get(fd)
        if purpose is None:
            # The peer has hung up, and the service does not know yet.
            return
        domain, slot, host = purpose
        self._ends.open[fd] = dest.domain, slot, host
        if domain != src.domain or slot != handle.binding_slot:
            self._fault("wrong migration", f"descriptor {fd} is of {domain} from slot {slot}, not of {src.domain}")
        if not self._config().global_settings.migrate_connections_between_sibling_domains:
            self._fault("wrong migration", f"{src.domain} to {dest.domain}, and no connection is to migrate")
        if all(mx.host is not host for mx in dest.mxlist):
            self._fault("wrong migration", f"{dest.domain} from slot {slot} to {host.name}, which does not serve it")  # type: ignore[attr-defined]
        if self.stopping:
            self._fault("connection while stopping", dest.domain)
        if suspended(self._config(), slot, dest.domain, self._wall()):
            self._fault("connection while suspended", f"{dest.domain} from slot {slot}, by migration")
        self._measures.migrated(src.domain, dest.domain, slot)

    def log_attempt_v1(self, msg: Any, dr: Any, now: Any, note: bytes) -> None:
        if self.deaf:
            return
        connection = msg.connection
        self._measures.attempted(dr.domain, msg.binding_slot, connection)
        settings = self._config().path(msg.binding_slot, dr.domain)
        if 0 < settings.max_deliveries_per_connection <= connection.deliveries:
            self._fault(
                "limit exceeded", f"{dr.domain}: a message after {connection.deliveries} deliveries on one connection"
            )
        if 0 < settings.max_recipients_per_connection < connection.recipients:
            self._fault("limit exceeded", f"{dr.domain}: {connection.recipients} recipients on one connection")
        if not any(handle.connection is connection for handle in dr.connections.get(msg.binding_slot, ())):
            self._fault("wrong binding", f"{msg.recipient!r} of slot {msg.binding_slot} on another's connection")
        if self.stopping:
            self._fault("attempt while stopping", f"{msg.recipient!r}")
        if suspended(self._config(), msg.binding_slot, dr.domain, self._wall()):
            self._fault("attempt while suspended", f"{msg.recipient!r}")


class WireWatch(NetworkWatch):
    """
    What the network sees of the service; the traffic goes to the trace.

    :param ends: kept up to date.
    :param trace: told what happened.
    :param lines: told of every reply line our side has read from a peer.
    :ivar ours: the service's present host.
    :ivar edge: the judge of its present process.
    """

    def __init__(self, ends: Ends, trace: Callable[..., object], refusals: set[bytes]) -> None:
        self._ends = ends
        self._trace = trace
        self._refusals = refusals
        self._partial: dict[Any, bytes] = {}
        self.ours: VirtualHost | None = None
        self.edge: Edge | None = None

    def dialled(self, host: VirtualHost, fd: int, source: str, destination: tuple[str, int]) -> None:
        self._trace("dial", source, destination)
        # The resolver dials too.
        if host is self.ours and self.edge is not None and destination[1] != DNS_PORT:
            self.edge.dialled(fd, source, destination[0])

    def released(self, host: VirtualHost, fd: int) -> None:
        self._ends.open.pop(fd, None)

    def sent(self, transport: Any, data: bytes) -> None:
        self._trace("sent", transport.getHost().port, transport.getPeer().port, data)

    def read(self, transport: Any, data: bytes) -> None:
        self._trace("read", transport.getHost().port, transport.getPeer().port, data)
        if transport.getPeer().port not in (SMTP_PORT, LMTP_PORT):
            return
        *lines, rest = (self._partial.pop(transport, b"") + data).split(b"\n")
        if rest:
            self._partial[transport] = rest
        for line in lines:
            if line[:1] == b"5":
                self._refusals.add(line.rstrip(b"\r"))

    def gone(self, transport: Any, reason: Exception) -> None:
        self._partial.pop(transport, None)
        self._trace("gone", transport.getHost().port, transport.getPeer().port, type(reason).__name__)
