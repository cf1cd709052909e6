"""
One question, asked of the servers in turn until one of them answers it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import dns.name
import dns.rcode
import dns.rdatatype
from twisted.internet.error import CannotListenError

from ..errors import LookupFailed, LookupHindered
from ..timers import Agenda
from .dns_transport import DatagramExchange, Nameserver, StreamExchange
from .dns_wire import Query, Records, Trail, read_message, refusal, text_of, truncated
from .failures import is_shortage

if TYPE_CHECKING:
    from random import Random

#: Rounds over the servers; the second asks those again that were silent.
ROUNDS: Final = 2
#: Servers whose timeouts count towards the bound of a question, as in resolv.conf.
_BOUND_SERVERS = 3
#: Seconds until it is tried again to ask where no descriptor was left to ask with.
SHORTAGE_PAUSE: Final = 1.0
#: How long a server that was silent is asked last, seconds.
DEMOTION: Final = 60.0


class _Exchange(Protocol):
    def start(self) -> None: ...

    def close(self) -> None: ...


class Upstream:
    """
    The servers of a resolver, and what is needed to reach them; shared by all
    questions.
    """

    __slots__ = ("_believed", "_demoted", "agenda", "bound", "dnssec", "reactor", "rng", "rounds", "servers", "timeout")

    def __init__(
        self,
        reactor: Any,
        agenda: Agenda,
        servers: tuple[Nameserver, ...],
        rng: Random,
        timeout: float,
        rounds: int = ROUNDS,
    ) -> None:
        """
        :param reactor: provides ``IReactorUDP``, ``IReactorTCP`` and ``IReactorTime``.
        :param timeout: seconds each server has, each time it is asked.
        :param rounds: how often a server that is silent is asked.
        """
        self.rounds = rounds
        self.reactor = reactor
        self.agenda = agenda
        self.servers = servers
        self.rng = rng
        self.timeout = timeout
        #: Most seconds a question takes, aliases and TCP included.
        self.bound = rounds * timeout * min(len(servers), _BOUND_SERVERS)
        #: Whether the others are left alone, where there are any whose word about DNSSEC counts.
        self.dnssec: Callable[[], bool] = lambda: False
        self._believed = tuple(server for server in servers if server.trusted)
        self._demoted: dict[Nameserver, float] = {}

    def order(self) -> list[Nameserver]:
        """
        The servers, those last that were silent lately.
        """
        servers = self.servers
        if 0 < len(self._believed) < len(servers) and self.dnssec():
            # To whoever makes a validating server fail another one's answer must not be worth a signed zone.
            servers = self._believed
        if not self._demoted:
            return list(servers)
        now = self.agenda.clock.seconds()
        self._demoted = {server: until for server, until in self._demoted.items() if until > now}
        return sorted(servers, key=self._demoted.__contains__)

    def demote(self, server: Nameserver) -> None:
        """
        Ask *server* last for a while: waiting for a dead one at each question
        would cost every domain its timeout.
        """
        self._demoted[server] = self.agenda.clock.seconds() + DEMOTION


class Question:
    """
    A question for the records of one type under one name, aliases followed.

    Ends by telling ``done`` once, unless cancelled.  Neither ``start`` nor
    ``cancel`` tells it, so that whoever starts many is not called back in the
    middle.
    """

    __slots__ = (
        "_alarm",
        "_deadline",
        "_done",
        "_edns",
        "_exchange",
        "_name",
        "_postponed",
        "_reasons",
        "_round",
        "_server",
        "_silent",
        "_todo",
        "_trail",
        "_trouble",
        "_unsent",
        "_upstream",
        "rdtype",
    )

    def __init__(
        self,
        upstream: Upstream,
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
        done: Callable[[Question, Records | LookupFailed], object],
    ) -> None:
        """
        :param done: gets this question and what became of it.
        """
        self.rdtype = rdtype
        self._name = name
        self._upstream = upstream
        self._trail = Trail(name)
        self._done = done
        self._alarm = upstream.agenda.alarm(self._ring)
        self._exchange: _Exchange | None = None
        self._deadline = 0.0
        self._todo: deque[Nameserver] = deque()
        self._silent: list[Nameserver] = []
        self._round = 0
        self._edns = True
        #: Whether it waits for a descriptor.
        self._postponed = False
        self._server = upstream.servers[0]
        self._trouble = ""
        #: The latest reason of each server, for the text of the failure.
        self._reasons: dict[str, str] = {}
        #: Servers to which it could not be sent the last time.
        self._unsent: set[str] = set()

    def start(self) -> None:
        """
        Ask the first server.
        """
        self._deadline = self._upstream.agenda.clock.seconds() + self._upstream.bound
        self._begin()

    def cancel(self) -> None:
        """
        Ask nobody any more; harmless before the start and after the end.
        """
        self._alarm.disarm()
        self._close()

    def _begin(self) -> None:
        """
        Start over with all servers, for the name the trail has led to.
        """
        self._round = 1
        self._todo.extend(self._upstream.order())
        self._silent = []
        self._ask_next()

    def _ask_next(self) -> None:
        if not self._todo and self._round < self._upstream.rounds:
            # A server that has refused would only refuse again.
            self._round += 1
            self._todo.extend(self._silent)
        if not self._todo:
            self._give_up()
            return
        self._server = self._todo.popleft()
        self._edns = True
        self._send(False)

    def _send(self, stream: bool) -> None:
        """
        Put the question to the present server.
        """
        upstream = self._upstream
        query = Query(self._trail.name, self.rdtype, upstream.rng.getrandbits(16), self._edns)
        left = max(0.0, min(upstream.timeout, self._deadline - upstream.agenda.clock.seconds()))
        self._trouble = ""
        self._unsent.discard(str(self._server))
        self._alarm.arm(left)
        if stream:
            self._exchange = StreamExchange(
                upstream.reactor, self._server, query, upstream.timeout, self._stream_answered, self._failed
            )
        else:
            self._exchange = DatagramExchange(
                upstream.reactor, self._server, query, self._datagram_answered, self._failed
            )
        try:
            self._exchange.start()
        except (OSError, CannotListenError) as error:
            cause = error.socketError if isinstance(error, CannotListenError) else error
            if isinstance(cause, OSError) and is_shortage(cause):
                self._postpone()
                return
            self._failed(f"cannot send: {error}")
            self._unsent.add(str(self._server))

    def _close(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.close()

    def _postpone(self) -> None:
        """
        There is no descriptor to ask with, which says nothing of the server, and nothing
        of the domain: ask later.
        """
        self._close()
        self._postponed = True
        self._alarm.arm(SHORTAGE_PAUSE)

    def _failed(self, reason: str) -> None:
        # It may be that start() has not returned yet; the next turn goes on.
        self._close()
        self._trouble = reason
        self._alarm.arm(0)

    def _ring(self) -> None:
        self._close()
        upstream = self._upstream
        if self._postponed:
            self._postponed = False
            # Its time has not begun.
            self._deadline += SHORTAGE_PAUSE
            self._send(False)
            return
        if not self._trouble:
            self._trouble = f"no answer in {upstream.timeout:g} s"
            self._silent.append(self._server)
            upstream.demote(self._server)
        self._reasons[str(self._server)] = self._trouble
        if upstream.agenda.clock.seconds() >= self._deadline:
            self._give_up()
        else:
            self._ask_next()

    def _datagram_answered(self, data: bytes) -> None:
        if truncated(data):
            self._close()
            self._send(True)
        else:
            self._read(data)

    def _stream_answered(self, data: bytes) -> None:
        if truncated(data):
            self._failed("truncated over TCP")
        else:
            self._read(data)

    def _read(self, data: bytes) -> None:
        refused = refusal(data)
        if refused == "FORMERR" and self._edns:
            # RFC 6891 section 7: a server that does not know EDNS says so thus.
            self._close()
            self._edns = False
            self._send(False)
            return
        if refused:
            self._failed(refused)
            return
        try:
            message = read_message(data)
        except LookupFailed as unreadable:
            self._failed(str(unreadable))
            return
        try:
            records = self._trail.follow(message, self.rdtype, self._server.trusted)
        except LookupFailed as broken:
            # The fault is in the data; another server would have the same.
            self._reasons = {str(self._server): str(broken)}
            self._give_up()
            return
        self._close()
        if records is None:
            self._todo.clear()
            self._begin()
        else:
            self._alarm.disarm()
            self._done(self, records)

    def _give_up(self) -> None:
        self.cancel()
        reasons = "; ".join(f"{server}: {reason}" for server, reason in self._reasons.items())
        kind = dns.rdatatype.to_text(self.rdtype)
        # Without a socket, or a way to any server, nobody was asked.
        failed = LookupHindered if self._unsent.issuperset(self._reasons) else LookupFailed
        self._done(self, failed(f"{kind} {text_of(self._name)}: {reasons}"))
