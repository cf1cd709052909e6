"""
Domain, host and connection records.

A domain record knows its mail exchangers, its queues and its connections; a
host record is shared by every domain the host serves; what is known of an
address is kept per (address, binding slot).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from zope.interface import implementer

from ..interfaces.records import IConnection, IDomainRecord
from ..policy.lookup_failures import LookupFailures
from ..policy.rollup import Ranked, Rollup
from .mail_queue import MailQueue, alike
from .places import Places

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..interfaces.records import IConnectionHandle, ITranscript
    from ..interfaces.seams import ITLSFacts
    from ..interfaces.services import IConnectionInitiator
    from .message import Traits


class MXType(enum.Enum):
    """
    What kind of routing data a domain record holds (Momentum: ``mxtype``).
    """

    #: Nothing has been asked yet, or what was known has expired.
    UNKNOWN = "unknown"
    #: Real MX records.
    MX = "mx"
    #: The domain's own address, for want of MX records.
    ADDRESS = "address"
    #: Next hops an operator wrote.
    ROUTES = "routes"
    #: The domain accepts no mail (RFC 7505).
    NULL = "null"
    #: The name does not exist, or leads to no address at all.
    BROKEN = "broken"


class HostRecord:
    """
    One mail exchanger by name; several domains may share it.
    """

    __slots__ = ("__weakref__", "addresses", "domains", "name", "places", "prohibited", "trusted")

    def __init__(self, name: str, trusted: bool = False) -> None:
        self.name = name
        #: Numeric addresses, in the order of preference within the host.
        self.addresses: tuple[str, ...] = ()
        #: How many domains have it as an exchanger.
        self.domains = 0
        #: Connections open or being opened to it, and who waits for one.
        self.places: Places[DomainRecord] = Places()
        #: Whether some of its addresses were left out as prohibited.
        self.prohibited = False
        #: Whether an operator named it: then ``prohibited_hosts`` does not apply.
        self.trusted = trusted

    @property
    def connections(self) -> int:
        """
        Connections open or being opened to it.
        """
        return self.places.taken


class MXRecord:
    """
    One entry of a domain's list of exchangers.
    """

    __slots__ = ("host", "port", "preference")

    def __init__(self, preference: int, host: HostRecord, port: int = 0) -> None:
        self.preference = preference
        self.host = host
        #: Port an operator wrote; 0 means the path's own (``remote_smtp_port`` or ``lmtp_port``).
        self.port = port


class AddressMetrics:
    """
    What is known of one address from one binding (Momentum: ``address_metrics``).
    """

    __slots__ = ("avg_connecttime", "avg_deliverytime", "failed_at", "updated_at")

    def __init__(self) -> None:
        #: Wall time of the last failure; 0 when the last attempt succeeded.
        self.failed_at = 0.0
        #: Decayed mean of seconds to connect; 0 before the first.
        self.avg_connecttime = 0.0
        #: Decayed mean of seconds from MAIL to the last reply; 0 before the first.
        self.avg_deliverytime = 0.0
        self.updated_at = 0.0


@implementer(IConnection)
class Connection:
    """
    One TCP connection, from the decision to open it until it is gone.
    """

    __slots__ = (
        "address",
        "conn_id",
        "deliveries",
        "descriptor",
        "dsn",
        "esmtp",
        "host_name",
        "in_use",
        "most_recipients",
        "port",
        "recipients",
        "stage",
        "start",
        "stream",
        "tls",
        "transcript",
    )

    def __init__(self) -> None:
        self.address = ""
        self.port = 0
        self.host_name = ""
        #: Id of the connection, for the log; every attempt has its own.
        self.conn_id = ""
        self.in_use = -1
        self.deliveries = 0
        self.recipients = 0
        #: Recipients its peer takes in one transaction; 0 while it has taken all it was asked for.
        self.most_recipients = 0
        self.esmtp = False
        self.dsn = False
        #: Wall time of the attempt's beginning.
        self.start = 0.0
        self.descriptor = -1
        #: The connected stream until a protocol has it (an ``IConnectedStream``).
        self.stream: object = None
        self.stage = 0
        #: What was said on it, once a mail session has it.
        self.transcript: ITranscript | None = None
        #: What TLS was negotiated; ``None`` while it is in clear.
        self.tls: ITLSFacts | None = None

    @property
    def peer(self) -> tuple[str, int]:
        """
        Address and port, which together are one server.
        """
        return self.address, self.port

    def fileno(self) -> int:
        return self.descriptor


@implementer(IDomainRecord)
class DomainRecord:
    """
    All that is known of one routing domain (Momentum: ``domain_record``).

    Made when the first message for the domain is queued; goes when it has
    neither mail nor connections and its DNS data has expired.
    """

    __slots__ = (
        "all_prohibited",
        "attempts",
        "connections",
        "contact_failing_since",
        "deliveries",
        "dns_failures",
        "dns_retry_at",
        "domain",
        "expiry",
        "failures",
        "fixed",
        "in_flight",
        "initiator",
        "last_delivery",
        "leaving",
        "lookup_failures",
        "lookup_pending",
        "mail_queue",
        "maintainer",
        "mx_type",
        "mxlist",
        "operator_named",
        "rolled",
        "rollup",
        "routes",
        "routing_note",
        "secure",
        "throttled_until",
        "transients",
        "unmoved",
        "way",
    )

    def __init__(
        self, domain: str, initiator: IConnectionInitiator, weigh: Callable[[int, Traits], float] = alike
    ) -> None:
        self.domain = domain
        #: Whose connection functions serve this record.
        self.initiator = initiator
        #: Whether an operator wrote the name, as a gateway.
        self.operator_named = False
        self.mail_queue = MailQueue(weigh)
        self.mx_type = MXType.UNKNOWN
        self.mxlist: tuple[MXRecord, ...] = ()
        #: Whether nobody but the domain's owner, or an operator, can have named these exchangers.
        self.secure = False
        #: The option of that name, when the domain was looked up last.
        self.routes: tuple[str, ...] = ()
        #: Counts up when an operator sends its mail another way.
        self.way = 0
        #: Where its mail is queued instead of here, if it is.
        self.rollup: Rollup | None = None
        #: Whether that was decided a moment ago, so that what is queued here has not moved.
        self.unmoved = False
        #: Whether mail of other domains was queued here since the record was made.
        self.rolled = False
        #: The exchangers, by place and name, where the record stands for a set of them.
        self.fixed: Ranked = ()
        #: Wall time at which the routing data expires.
        self.expiry = 0.0
        #: Whether a question about the domain is under way.
        self.lookup_pending = False
        #: Whether ``prohibited_hosts`` left no address of any exchanger.
        self.all_prohibited = False
        #: Failed look-ups in a row.
        self.dns_failures = 0
        #: Those that count, and the failures to find MX records; ``None`` while there are none.
        self.lookup_failures: LookupFailures | None = None
        #: Wall time before which DNS is not asked again after a failure.
        self.dns_retry_at = 0.0
        #: The status text that explains the routing data, when it is a refusal or failure.
        self.routing_note = b""
        self.last_delivery = 0.0
        self.deliveries = 0
        self.attempts = 0
        self.transients = 0
        self.failures = 0
        #: Messages in delivery, which are in no queue.
        self.in_flight = 0
        #: Wall time of the first failure since the domain was last contacted; 0 when it was.
        self.contact_failing_since = 0.0
        #: Wall time before which no connection is opened (throttle hooks).
        self.throttled_until = 0.0
        #: Handles open or being opened, by slot.
        self.connections: dict[int, list[IConnectionHandle]] = {}
        #: How many of them are about to end.
        self.leaving = 0
        #: The maintainer's own state for the domain.
        self.maintainer: object = None

    def shift(self, seconds: float) -> None:
        """
        The wall clock was set: what the record waits for, or counts from, is as far
        away as before.

        :param seconds: what the clock was put forward by; negative if back.
        """
        self.mail_queue.shift(seconds)
        if self.expiry:
            self.expiry += seconds
        if self.dns_retry_at:
            self.dns_retry_at += seconds
        if self.lookup_failures is not None:
            self.lookup_failures.shift(seconds)
        if self.last_delivery:
            self.last_delivery += seconds
        if self.contact_failing_since:
            self.contact_failing_since += seconds
        if self.throttled_until:
            self.throttled_until += seconds

    def lead_to(self, mxlist: tuple[MXRecord, ...]) -> None:
        """
        Take *mxlist* as the exchangers.
        """
        for host in dict.fromkeys(mx.host for mx in self.mxlist):
            host.domains -= 1
        for host in dict.fromkeys(mx.host for mx in mxlist):
            host.domains += 1
        self.mxlist = mxlist

    def connection_count(self, slot: int) -> int:
        handles = self.connections.get(slot)
        return len(handles) if handles is not None else 0

    def peers(self, port: int) -> list[tuple[str, int]]:
        """
        Address and port of every exchanger, in the order of the list.

        :param port: where an exchanger has none of its own.
        """
        return [(address, mx.port or port) for mx in self.mxlist for address in mx.host.addresses]

    def total_connections(self) -> int:
        """
        Connections of all slots, open or being opened.
        """
        return sum(map(len, self.connections.values()))
