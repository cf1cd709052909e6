"""
The demo itself: starts receivers and service, injects, waits for the last
message to end, stops everything, compares the books.
"""

from __future__ import annotations

import os
import socket
from collections import Counter, deque
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..config import load as config_load
from ..config.configuration import Configuration
from ..interfaces.hooks import ILogDeliveryV1, ILogPermanentFailureV1, ILogTransientFailureV1
from ..net.dialer import plumbed
from ..service import OutboundService
from . import mail
from .accounting import Ledger, Records, Report, judge
from .injector import Injector
from .receivers import Receiver
from .screen import Picture, Screen, Standing

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from ..interfaces.records import IDomainRecord, IMessage

_log = Logger()

#: Connections that inject.
CONNECTIONS: Final = 12
LOOPBACK: Final = "127.0.0.1"
#: Source addresses tried; those that are plumbed become bindings.
SOURCES: Final = ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")
#: Seconds after which mail for the receiver that is down counts as failed.
DOWN_EXPIRATION: Final = 8
#: Seconds the demo waits for the last message, and messages that are worth one more second.
PATIENCE: Final = 50.0
MESSAGES_PER_SECOND_OF_PATIENCE: Final = 100
#: Seconds the live view's rate is taken over.
RATE_SPAN: Final = 2.0

_CONFIG: Final = """
[global]
state_dir = {state_dir}
hostname = "mx.demo.example"
smtp_listen = ["tcp:0:interface=127.0.0.1:backlog=200"]
nameservers = ["{down}"]
# The account is of what was sent, not of reports on it.
generate_bounces = false
# Days are seconds here.
retry_interval = 1
max_retry_interval = 3
host_failure_retry = 1
delayed_queue_scan_interval = 0.5
mx_failures_to_delay = 2
idle_timeout = 1
quit_timeout = 1
shutdown_grace = 5

{bindings}
[domain."good.demo"]
routes = ["{good}"]

[domain."grey.demo"]
routes = ["{grey}"]

[domain."picky.demo"]
routes = ["{picky}"]

[domain."down.demo"]
routes = ["{down}"]
message_expiration = {life}
"""


class Interrupted(Exception):
    """
    The demo was told to end before its time.
    """


@implementer(ILogDeliveryV1, ILogTransientFailureV1, ILogPermanentFailureV1)
class Witness:
    """
    Hears from the hooks what the service says of its messages.

    :param ended: called after every end of a message.
    """

    def __init__(self, ended: Callable[[], object]) -> None:
        self.records = Records()
        #: Failures for ever, by domain.
        self.failed: Counter[str] = Counter()
        #: Messages that have come to an end.
        self.ended = 0
        self._tell = ended

    def log_delivery_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self.records.delivered[msg.recipient] += 1
        self._count()

    def log_transient_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self.records.deferred[msg.recipient] += 1

    def log_permanent_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self.records.failed[msg.recipient] += 1
        self.failed[dr.domain] += 1
        self._count()

    def _count(self) -> None:
        self.ended += 1
        self._tell()


class Demo:
    """
    One run.

    :param reactor: the real one, its clock monotonic.
    :param state_dir: an empty directory for spool and logs.
    :param count: messages to inject.
    :param random: decides what they look like.
    :param screen: shows how it goes.
    :param drop_every: see :class:`~momentum_tx.demo.receivers.Receiver`.
    """

    def __init__(
        self,
        reactor: Any,
        state_dir: str,
        count: int,
        random: Random,
        screen: Screen,
        drop_every: int = 0,
    ) -> None:
        self._reactor = reactor
        self._state_dir = state_dir
        self._count = count
        self._screen = screen
        self._bindings = {f"source{index}": address for index, address in enumerate(SOURCES, 1) if plumbed(address)}
        self._witness = Witness(self._check_ended)
        self._receivers = {
            kind.domain: Receiver(kind, reactor.seconds, drop_every if kind is mail.GOOD else 0) for kind in mail.KINDS
        }
        self._injector = Injector(mail.messages(count, random, tuple(self._bindings)), self._check_ended)
        self._injected_by_domain: Counter[str] = Counter()
        self._all_injected = False
        #: Fires when the last message has ended, or will not.
        self._ended: Deferred[None] = Deferred()
        self._rates: deque[tuple[float, int]] = deque()
        self._began = 0.0
        self._showing: IDelayedCall | None = None

    def run(self) -> Deferred[Report]:
        """
        Run, once.

        :returns: fires with the judgement when everything is stopped; fails
            with :class:`Interrupted`, with
            :class:`~momentum_tx.errors.StartupError`, or with whatever else
            kept it from running.
        """
        return Deferred.fromCoroutine(self._run())

    def interrupt(self) -> None:
        """
        End it now.
        """
        self._injector.stop()
        self._give_up(Failure(Interrupted()))

    def _give_up(self, failure: Failure) -> None:
        if not self._ended.called:
            self._ended.errback(failure)

    async def _run(self) -> Report:
        self._began = self._reactor.seconds()
        releases: list[Callable[[], Any]] = []
        try:
            await self._perform(releases)
        finally:
            for release in reversed(releases):
                try:
                    await maybeDeferred(release)
                except Exception:
                    # The others must be released all the same.
                    _log.failure("releasing failed")
        ledgers: dict[str, Ledger] = {name: receiver.ledger for name, receiver in self._receivers.items()}
        return judge(
            self._injector.injected,
            ledgers,
            self._witness.records,
            logged_kinds(os.path.join(self._state_dir, "log", "mainlog")),
            self._problems(),
        )

    async def _perform(self, releases: list[Callable[[], Any]]) -> None:
        """
        Everything up to the end of the last message.

        :param releases: what must be released afterwards, the last first.
        """
        reactor = self._reactor
        places: dict[str, str] = {}
        for domain, receiver in self._receivers.items():
            host = receiver.kind.address if plumbed(receiver.kind.address) else LOOPBACK
            if receiver.kind is mail.DOWN:
                # Bound and not listening: nobody else can take the port meanwhile.
                held = socket.socket()
                releases.append(held.close)
                held.bind((host, 0))
                number = held.getsockname()[1]
            else:
                port = reactor.listenTCP(0, receiver, backlog=200, interface=host)
                releases += [port.stopListening, receiver.close]
                number = port.getHost().port
            places[domain] = f"{host}:{number}"
        service = OutboundService(reactor, configuration(self._state_dir, self._bindings, places))
        service.hooks.register_last(self._witness)
        service.privilegedStartService()
        service.startService()
        releases.append(service.stopService)
        await service.when_ready()
        (address,) = service.listening()
        releases.append(self._screen.end)
        self._screen.begin(
            f"{self._count} messages over SMTP to {LOOPBACK}:{address.port}, "
            f"delivered from {len(self._bindings) or 1} source addresses.\n"
            f"Nobody listens at {mail.DOWN.domain}: its mail is retried, and given up after {DOWN_EXPIRATION} seconds."
        )
        self._keep_showing()
        releases.append(self._stop_showing)
        self._injector.start(reactor, address.port, CONNECTIONS)
        self._injector.done.addCallback(self._injection_done)
        late = reactor.callLater(PATIENCE + self._count / MESSAGES_PER_SECOND_OF_PATIENCE, self._late)
        releases.append(lambda: late.cancel() if late.active() else None)
        await self._ended
        self._show()

    def _keep_showing(self) -> None:
        # A LoopingCall would take the global reactor before it could be given ours.
        self._showing = self._reactor.callLater(self._screen.interval, self._keep_showing)
        self._show()

    def _stop_showing(self) -> None:
        if self._showing is not None:
            self._showing.cancel()
            self._showing = None

    def _injection_done(self, _: None) -> None:
        self._all_injected = True
        self._check_ended()

    def _check_ended(self) -> None:
        if self._all_injected and self._witness.ended >= len(self._injector.injected) and not self._ended.called:
            self._ended.callback(None)

    def _late(self) -> None:
        self._injector.stop()
        if not self._ended.called:
            self._ended.callback(None)

    def _problems(self) -> list[str]:
        problems = list(self._injector.problems)
        missing = self._count - len(self._injector.injected)
        if missing:
            problems.append(f"{missing} messages were not injected")
        return problems

    def _show(self) -> None:
        now = self._reactor.seconds()
        injected = Counter(entry.receiver for entry in self._injector.injected.values())
        standings = [
            Standing(
                name, receiver.kind.behaviour, injected[name], len(receiver.ledger.taken), self._witness.failed[name]
            )
            for name, receiver in self._receivers.items()
        ]
        delivered = sum(one.delivered for one in standings)
        rates = self._rates
        rates.append((now, delivered))
        while now - rates[0][0] > RATE_SPAN:
            rates.popleft()
        span = now - rates[0][0]
        rate = (delivered - rates[0][1]) / span if span else 0.0
        self._screen.show(Picture(standings, rate, now - self._began))


def configuration(state_dir: str, bindings: Mapping[str, str], places: Mapping[str, str]) -> Configuration:
    """
    What the service under demonstration is told.

    :param state_dir: its directory.
    :param bindings: source addresses by the names of their bindings.
    :param places: ``address:port`` by domain.
    """
    stanzas = "".join(
        f'[binding_group.sources.binding.{name}]\nbind_address = "{address}"\n\n' for name, address in bindings.items()
    )
    text = _CONFIG.format(
        state_dir=_toml_text(state_dir),
        bindings=stanzas,
        life=DOWN_EXPIRATION,
        **{domain.partition(".")[0]: place for domain, place in places.items()},
    )
    return config_load.parse(text, "<demo>")


def _toml_text(text: str) -> str:
    """
    *text* as a TOML basic string.
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def logged_kinds(path: str) -> dict[str, int]:
    """
    How many records of each kind a mainlog holds.
    """
    kinds: Counter[str] = Counter()
    with open(path, encoding="utf-8", errors="replace") as log:
        for line in log:
            fields = line.split("@", 5)
            if len(fields) > 4:
                kinds[fields[4].strip()] += 1
    return dict(kinds)
