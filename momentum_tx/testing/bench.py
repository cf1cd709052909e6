"""
A bench for one policy: what a hook is called with, made in a line each, and the
call itself as the service makes it.

Where :mod:`~momentum_tx.testing.world` plays what becomes of mail, this asks a
provider one question::

    bench = Bench(MyPolicy())
    dr = bench.domain("shop.example", deliveries=3)
    assert bench.call("connection_goal", dr, 0, 40, 9) == 4
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from zope.interface import implementer

from ..delivery.handle import ConnectionHandle
from ..envelope import Terms
from ..hooks.outbound import OutboundHooks
from ..hooks.points import Exchange, Fold, HookPoint, Notice, Override, Veto
from ..hooks.waiting import Inquiry
from ..interfaces.records import IClientSession
from ..message.ids import MessageIds
from ..queues.domain import DomainRecord
from ..queues.message import Message, Reception, traits_of
from ..smtp.arguments import CommandArguments
from ..smtp.extensions import NO_EXTENSIONS, Extensions, parse_extensions
from .bench_connections import BenchAttempt, BenchConnections
from .clock import VirtualClock

#: Wall time at which a bench begins, seconds since 1970.
BEGINNING: Final = 1_700_000_000.0


class PolicyFailed(AssertionError):
    """
    A provider raised, or gave an answer that is none; what the service would have
    logged is the text.
    """


@implementer(IClientSession)
class BenchSession:
    """
    A mail session as a hook sees it.
    """

    def __init__(
        self, handle: ConnectionHandle, extensions: Extensions, encrypted: bool, message: Message | None
    ) -> None:
        self.handle = handle
        self.extensions = extensions
        self.encrypted = encrypted
        self.message = message


class BenchClient:
    """
    An injecting client as ``log_rejection`` is shown it.
    """

    def __init__(self, peer: str, conn_id: str) -> None:
        self.peer = peer
        self.conn_id = conn_id


@implementer(ILogObserver)
class _Complaints:
    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) >= LogLevel.error and "hook" in event:
            self.events.append(event)


class Bench:
    """
    Hook points with providers, a clock, and makers of what a hook is called with.

    :param providers: registered in this order; their signatures are verified.
    :raises StartupError: one of them is no provider.
    :ivar hooks: the hook points.
    :ivar clock: virtual time; nothing moves it but :meth:`advance`.
    :ivar connections: takes note of the connections that are begun for the bench's domain records.
    """

    def __init__(self, *providers: object) -> None:
        self.clock = VirtualClock()
        self.hooks = OutboundHooks()
        for provider in providers:
            self.hooks.register_last(provider)
        self.connections = BenchConnections(self.hooks.turn, lambda: self.now)
        self._ids = MessageIds(lambda: self.now, 1234)

    # Time.

    @property
    def now(self) -> float:
        """
        Wall time, seconds since 1970.
        """
        return BEGINNING + self.clock.seconds()

    def advance(self, seconds: float) -> None:
        """
        Let time pass: what was set on :attr:`clock` happens at its moment.
        """
        self.clock.advance(seconds)

    @property
    def attempts(self) -> list[BenchAttempt]:
        """
        Connections that providers have begun so far, oldest first.
        """
        return self.connections.attempts

    # What a hook is called with.

    def domain(self, name: str = "shop.example", **fields: object) -> DomainRecord:
        """
        A domain record.

        :param fields: attributes of it, such as ``deliveries=3``.
        """
        dr = DomainRecord(name, self.connections)
        for field, value in fields.items():
            if not hasattr(dr, field):
                raise AttributeError(f"a domain record has no {field}")
            setattr(dr, field, value)
        return dr

    def reception(
        self,
        sender: str = "news@letters.example",
        size: int = 1234,
        tenant: str = "",
        campaign: str = "",
        priority: str = "",
        recv_from: str = "192.0.2.17",
        **terms: Any,
    ) -> Reception:
        """
        A reception without recipients.

        :param terms: see :class:`momentum_tx.envelope.Terms`.
        """
        return Reception(
            sender.encode(),
            self.now,
            size,
            self._ids.next(),
            self._ids.generate_connection_id(int(self.now)),
            "esmtp" if recv_from else "internal",
            recv_from,
            traits=traits_of(tenant, campaign, priority),
            terms=Terms(**terms),
        )

    def message(
        self,
        recipient: str = "lea@shop.example",
        dr: DomainRecord | None = None,
        reception: Reception | None = None,
        binding_slot: int = 0,
        num_retries: int = 0,
        code: bytes = b"",
        **said: Any,
    ) -> Message:
        """
        A message that is in no queue.

        :param dr: its domain record; a new one of its recipient's domain if none is given.
        :param reception: what it came with; without one, a new :meth:`reception`.
        :param num_retries: attempts that have failed.
        :param code: what its last failure was.
        :param said: arguments of :meth:`reception`.
        """
        if reception is None:
            reception = self.reception(**said)
        message = reception.add(self._ids.next(), recipient.encode())
        message.domain = dr if dr is not None else self.domain(recipient.rpartition("@")[2])
        message.binding_slot = binding_slot
        message.num_retries = num_retries
        message.code = code
        return message

    def handle(
        self,
        dr: DomainRecord | None = None,
        binding_slot: int = 0,
        host: str = "mx1.shop.example",
        address: str = "198.51.100.25",
        deliveries: int = 0,
    ) -> ConnectionHandle:
        """
        The handle of a connection that stands.
        """
        handle = ConnectionHandle(dr if dr is not None else self.domain(), binding_slot, None)
        connection = handle.connection
        connection.host_name, connection.address, connection.port = host, address, 25
        connection.conn_id = self._ids.generate_connection_id(int(self.now))
        connection.start = self.now
        connection.deliveries = deliveries
        return handle

    def session(
        self,
        handle: ConnectionHandle | None = None,
        offers: str = "",
        encrypted: bool = False,
        message: Message | None = None,
    ) -> BenchSession:
        """
        A session.

        :param offers: the peer's keywords of EHLO, a line each; nothing is before EHLO.
        """
        extensions = parse_extensions([b"mx", *offers.encode().split(b"\n")]) if offers else NO_EXTENSIONS
        return BenchSession(handle if handle is not None else self.handle(), extensions, encrypted, message)

    def arguments(self, text: bytes = b"") -> CommandArguments:
        """
        What follows a command, as the hooks of arguments may change it.
        """
        return CommandArguments(text)

    def client(self, peer: str = "192.0.2.17") -> BenchClient:
        """
        An injecting client.
        """
        return BenchClient(peer, self._ids.generate_connection_id(int(self.now)))

    def address(self, host: str = "198.51.100.25", port: int = 25) -> IPv4Address | IPv6Address:
        """
        A peer's address.
        """
        return IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)

    def chance(self, seed: int = 1) -> Random:
        """
        A source of chance that draws the same every time.
        """
        return Random(seed)

    # The call.

    def call(self, hook: str, *arguments: object, patience: float = 10.0) -> Any:
        """
        Call a hook as the service does, through the whole chain of its providers.

        :param hook: its name.
        :param arguments: those of its one method; of a *fold* the last is the value so far.
        :param patience: of an *inquiry*, seconds that its providers have together.
        :returns: what the chain answers: nothing for a *notice*, whether it is forbidden for a
            *veto*, an answer or ``None`` for an *override*, the value for a *fold*, a list of
            generators for an *exchange*.  Of an *inquiry* that waits, a Deferred.
        :raises PolicyFailed: a provider raised or answered nonsense, which in the service is
            logged and does not stop mail.
        """
        point: HookPoint[Any] = getattr(self.hooks, hook)

        def ask(provider: Any, *others: object) -> Any:
            return getattr(provider, point.name)(*arguments)

        complaints = _Complaints()
        globalLogPublisher.addObserver(complaints)
        try:
            answer = self._asked(point, ask, arguments, patience)
        finally:
            globalLogPublisher.removeObserver(complaints)
        for event in complaints.events:
            failure = event.get("log_failure")
            what = failure.getErrorMessage() if failure is not None else repr(event.get("answer"))
            raise PolicyFailed(f"{hook}: {event.get('provider')!r}: {what}") from (failure.value if failure else None)
        return answer

    def _asked(
        self, point: HookPoint[Any], ask: Callable[..., Any], arguments: tuple[object, ...], patience: float
    ) -> Any:
        if isinstance(point, Notice):
            return point.notify(ask)
        if isinstance(point, Veto):
            return point.vetoed(ask)
        if isinstance(point, Override):
            return point.override(ask)
        if isinstance(point, Exchange):
            return list(point.each(ask))
        if isinstance(point, Inquiry):
            return point.inquire(ask, self.clock, patience)
        assert isinstance(point, Fold)
        *first, value = arguments
        return point.fold(value, lambda provider, so_far: getattr(provider, point.name)(*first, so_far))


def result_of(answer: Deferred[Any]) -> Any:
    """
    The result of a Deferred that has one; what it failed with is raised.

    :raises PolicyFailed: it has none yet.
    """
    results: list[Any] = []
    failures: list[BaseException] = []

    def came(result: Any) -> Any:
        results.append(result)
        # Whoever asks again is to find it as well.
        return result

    answer.addCallbacks(came, lambda failure: failures.append(failure.value))
    if failures:
        raise failures[0]
    if not results:
        raise PolicyFailed("there is no answer yet")
    return results[0]
