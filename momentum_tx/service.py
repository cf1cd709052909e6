"""
Composition: builds everything, starts it, stops it.

The same service runs under ``twistd``, inside an application, and on a virtual
network: what touches the world is in :class:`Seams`, and everything else is
handed the clock of the reactor it is given.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from random import Random, SystemRandom
from typing import Any, Final, Unpack

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger

from .config import load as config_load
from .config.configuration import Configuration
from .control.client import SOCKET
from .control.commands import ControlCommands
from .control.server import ControlFactory
from .delivery.delivery import Delivery
from .delivery.facilities import Facilities
from .delivery.mta_sts import STSPolicies
from .delivery.sts_store import STSStore
from .dsn.lateness import Lateness
from .dsn.notifier import Notifier
from .errors import StartupError
from .hooks.loading import entry_points_of
from .hooks.named import Named, NamedProviders
from .hooks.outbound import OutboundHooks
from .inject.in_process import InProcess, Sending
from .inject.receiver import Receiver
from .inject.signing import Signer, load_keys
from .inject.smtp import SMTPInjection
from .inject.wishes import Wishes
from .interfaces.services import IConfiguration
from .loggers import Loggers
from .message.dkim_keys import SigningKey
from .message.ids import MessageIds
from .net.lookup_budget import BudgetedResolver
from .operate.commands import Commands
from .operate.control import ServiceCommands
from .policy.prohibited import ProhibitedHosts
from .queues.message import Message
from .reports.daily import TLSReports
from .reports.store import CountStore
from .seams import Seams, https_of, real_seams, resolver_of
from .settings import DEFAULT_PROHIBITED_HOSTS, DEFAULT_SLOT, LASTING, GlobalSettings
from .spool.journal import JournalSpool
from .suppression.composition import suppression_of
from .timers import Agenda
from .turns import SlowTurns
from .wall import WallClock

#: Seconds that injecting clients get for an answer that is under way at a stop.
INJECTION_GRACE: Final = 5.0


class OutboundService(Service, Commands):
    """
    The whole outbound mail server, as a Twisted service.

    Hooks are registered in :attr:`hooks` before it starts.

    :param reactor: its clock times everything; with the default seams the
        real reactor.  Where ``reactor.seconds`` is not monotonic a step of the
        system clock delays timers (``twistd momentum-tx`` makes it monotonic).
    :param config: see :mod:`momentum_tx.config`.
    :param seams: other providers of what touches the world.
    :param wall: wall time, epoch seconds; it may step (:mod:`momentum_tx.wall`).
    :param random: the source of chance.
    :param pid: process id, for message ids.
    :raises StartupError: the configuration does not fit this machine.
    """

    name = "momentum-tx"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: Configuration,
        seams: Seams | None = None,
        wall: Callable[[], float] = time.time,
        random: Random | None = None,
        pid: int | None = None,
    ) -> None:
        self._reactor = reactor
        self._seams = seams = seams if seams is not None else real_seams(reactor)
        self._config = config
        random = random if random is not None else SystemRandom()
        self.hooks = OutboundHooks()
        settings = config.global_settings
        self._hostname = self._own_name(config)
        self._agenda = Agenda(reactor)
        self._wall = clock = WallClock(reactor, wall, self._agenda)
        ids = MessageIds(clock, os.getpid() if pid is None else pid)
        self._resolver = BudgetedResolver(
            resolver_of(seams, config, self._current), lambda: self._current().global_settings, self._agenda
        )
        pid = os.getpid() if pid is None else pid
        self.logs = logs = Loggers(
            seams, config, self._current, self.hooks, clock, reactor, self._binding_name, self._hostname, pid
        )
        spool_dir = os.path.join(settings.state_dir, "spool")
        self.spool = JournalSpool(
            seams.files(spool_dir),
            seams.threads,
            reactor,
            self._binding_name,
            self._binding_slot,
            settings,
            random,
        )
        self.https = https_of(
            seams, config, self._resolver, lambda address: self._facilities.prohibited.prohibits(address)
        )
        self._sts_store = STSStore(
            seams.files(settings.mta_sts_policy_store or os.path.join(settings.state_dir, "mta-sts")), seams.threads
        )
        self._facilities = Facilities(
            clock=reactor,
            wall=clock,
            rng=random,
            agenda=self._agenda,
            dialer=seams.dialer,
            tls=seams.tls,
            resolver=self._resolver,
            spool=self.spool,
            hooks=self.hooks,
            ids=ids,
            config=config,
            prohibited=self._prohibited(settings),
            hostname=self._hostname,
            plumbed=seams.plumbed,
            sts=STSPolicies(self._resolver, self.https, self._agenda, clock, self._current, self._sts_store),
            threads=seams.threads,
            transcripts=logs.transcripts,
            traces=logs.traces,
        )
        self.delivery = Delivery(self._facilities)
        self.receiver = Receiver(
            self._current,
            self.spool,
            self.hooks,
            ids,
            clock,
            self._hostname,
            self.delivery.choice.choose,
            self.delivery.enqueue,
        )
        self._signer = Signer(self._current, self.hooks, seams.computing, reactor, clock)
        self._signer.use(load_keys(config, config.warnings))
        self.reports = TLSReports(
            self._facilities,
            seams.threads,
            self.https,
            self.receiver,
            CountStore(seams.files(os.path.join(settings.state_dir, "tlsrpt")), seams.threads),
        )
        self.suppression = suppression_of(seams, config, self.hooks, clock, logs.classification)
        self._facilities.leaves_out = self.suppression.leaves_out
        self.receiver.suppressed = self.suppression.refusal
        waiting = self.delivery.settlement.waiting
        #: Tells senders what becomes of their mail.
        self.notifier = Notifier(
            self._facilities, self.receiver, seams.computing, lambda message: message.id in waiting
        )
        self._facilities.notifier = self.notifier
        self._lateness = Lateness(self._facilities, self.notifier)
        self._facilities.late = self._lateness.failed_for_now
        self._in_process = InProcess(self.receiver, self.delivery.when_ended)
        self._injection = SMTPInjection(
            self._current, self.receiver, self.hooks, ids, self._agenda, clock, self._hostname
        )
        self.mainlog = logs.mainlog
        #: What became of each domain's mail, window by window (``outbound_audit_monitors``).
        self.audit = logs.audit
        self.slow_turns = SlowTurns(seams.onlooker)
        self._named = NamedProviders(self.hooks)
        self.hooks.turn.rules.clock = reactor.seconds
        self.hooks.turn.threads = seams.threads
        self.hooks.turn.rules.configure(settings)
        self._named.install(self._load_named(config))
        #: What may be asked at the control socket, for applications to add to before the start.
        self.control = ControlCommands()
        ServiceCommands(self, reactor.seconds).register(self.control)
        self._controlling = ControlFactory(self.control, reactor, self.hooks.tell_accounting, clock)
        self._ports: list[IListeningPort] = []
        self._starting: Deferred[int] | None = None
        self._stopped: Deferred[None] | None = None
        self._bound = False

    def _current(self) -> IConfiguration:
        return self._facilities.config

    def _binding_name(self, slot: int) -> str:
        bindings = self._facilities.config.bindings
        return bindings[slot if 0 <= slot < len(bindings) else DEFAULT_SLOT].name

    def _binding_slot(self, name: str) -> int:
        slot = self._facilities.config.binding_slot(name)
        if slot is None:
            self._log.warn("mail of binding {name} is found, which is not configured: default takes it", name=name)
            return DEFAULT_SLOT
        return slot

    def _own_name(self, config: Configuration) -> str:
        name = config.global_settings.hostname or self._seams.system_hostname()
        if not name or not name.isascii() or not name.isprintable() or " " in name:
            where = config.where("global", "hostname")
            raise StartupError(
                f"{where}: global.hostname: this host calls itself {name!r}, which is no name for a mail server; "
                f"write one"
            )
        return name

    def _load_named(self, config: Configuration) -> Named:
        settings = config.global_settings
        offered = entry_points_of(settings.hook_entry_points, config.where("global", "hook_entry_points"))
        return self._named.load((*settings.hooks, *offered), config.where("global", "hooks"))

    def _prohibited(self, settings: GlobalSettings) -> ProhibitedHosts:
        if settings.prohibited_hosts is not None:
            return ProhibitedHosts(settings.prohibited_hosts)
        return ProhibitedHosts(DEFAULT_PROHIBITED_HOSTS, self._seams.own_addresses())

    # Life.

    def bind(self) -> None:
        """
        Take the spool's directory and the listening ports, so that whatever is
        wrong with them is known before the reactor runs.

        :raises StartupError: a port is in use, a directory cannot be written.
        """
        if self._bound:
            return
        self._bound = True
        settings = self._config.global_settings
        self.hooks.freeze()
        self._signer.serve(self.receiver)
        self.logs.start()
        self.delivery.trace()
        try:
            self._starting = self.spool.start(self._found, self._taking)
            self._raise_at_once(self._starting)
            # The spool is ours, so that a socket that is there is nobody's.
            self._controlling.listen(self._seams.listener, os.path.join(settings.state_dir, SOCKET))
            for description in settings.smtp_listen:
                self._listen(description)
        except Exception:
            self.release()
            raise

    def release(self) -> None:
        """
        Give back what :meth:`bind` took, also where no reactor runs: for a
        service that is only checked.  It cannot be started afterwards.
        """
        if self._stopped is not None or not self._bound:
            return
        self._stopped = succeed(None)
        for port in self._ports:
            port.stopListening()
        self._controlling.stop()
        if self._starting is not None:
            self._starting.addErrback(lambda _: None)
        self.spool.stop()
        self._close()

    def _close(self) -> None:
        self.slow_turns.configure(0)
        if self._facilities.sts is not None:
            self._facilities.sts.stop()
        self._resolver.close()
        self.logs.close()
        self._named.install(())
        self._wall.stop()
        self._agenda.stop()
        # The process does not end while a worker waits for work.
        self._seams.threads.stop()
        self._seams.computing.stop()
        self._sts_store.close()
        self.suppression.close()
        self.reports.close()

    def _raise_at_once(self, starting: Deferred[int]) -> None:
        """
        Raise what went wrong already; what goes wrong later stops the service.
        """
        failures: list[Exception] = []

        def failed(failure: Any) -> Any:
            failures.append(failure.value)
            return failure

        starting.addErrback(failed)
        if failures:
            starting.addErrback(lambda _: None)
            where = self._config.where("global", "state_dir")
            raise StartupError(f"{where}: global.state_dir: {failures[0]}") from failures[0]

    def _listen(self, description: str) -> None:
        where = self._config.where("global", "smtp_listen")
        failures: list[Exception] = []
        try:
            listening = self._seams.listener.listen(description, self._injection)
        except ValueError as error:
            raise StartupError(
                f"{where}: global.smtp_listen: {description!r} is no endpoint description: {error}"
            ) from None
        listening.addCallbacks(self._ports.append, lambda failure: failures.append(failure.value))
        if failures:
            cause = failures[0]
            reason = cause.socketError if isinstance(cause, CannotListenError) else cause
            raise StartupError(
                f"{where}: global.smtp_listen: cannot listen on {description!r}: {reason}; "
                f"is another server running there?"
            )

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self.bind()

    def startService(self) -> None:
        super().startService()
        self.bind()
        self._tell_doubts()
        self.logs.rotation.begin()
        self.slow_turns.configure(self._config.global_settings.debug_slow_turns)
        self.suppression.start()
        self.delivery.start()
        self.reports.start()
        assert self._starting is not None
        self._starting.addCallbacks(self._ready, self._start_failed)

    def _tell_doubts(self) -> None:
        for provider, points in self.hooks.by_provider().items():
            self._log.info("hook provider {provider}: {points}", provider=provider, points=", ".join(points))
        for text in self._config.warnings:
            self._log.warn("{text}", text=text)

    def _found(self, messages: Sequence[Message]) -> None:
        for message in messages:
            # Its times are told by the clock as it is.
            message.reception.stepped = self._wall.stepped
            # In a container the pid is the same after every restart.
            self._facilities.ids.seen(message.id)
        self.delivery.enqueue(messages)

    def _taking(self) -> None:
        # Old mail is still being read; clients are not to wait for that.
        self._injection.start()

    def _ready(self, count: int) -> None:
        if count:
            self._log.info("{count} messages were found in the spool", count=count)
        if len(self.delivery.held):
            self._log.warn(
                "{count} messages are held: nobody knows whether their peers have them, and they wait to be released",
                count=len(self.delivery.held),
            )

    def _start_failed(self, failure: Any) -> None:
        directory = os.path.join(self._config.global_settings.state_dir, "spool")
        text = f"the spool {directory} cannot be read, nothing is received or delivered"
        if failure.check(StartupError) is None:
            # Nobody has foreseen it, so where in the code it was is needed as well.
            self._log.failure("{text}", failure, text=text)
        self.hooks.tell_error(self._wall(), "critical", f"{text}: {failure.value}")
        self.receiver.closed = (451, "4.3.0 The spool cannot be read, try again later")
        self._injection.start()

    def when_ready(self) -> Deferred[None]:
        """
        Fires when the spool was read and mail is taken; call after the start.
        """
        ready: Deferred[None] = Deferred()
        assert self._starting is not None
        self._starting.addBoth(lambda _: ready.callback(None))
        return ready

    def stopService(self) -> Deferred[None]:
        """
        Take no more mail, let running transactions end within
        ``shutdown_grace`` seconds, sync, and release everything.

        :returns: fires when all that is done.
        """
        if self._stopped is not None:
            return self._stopped
        super().stopService()
        if not self._bound:
            return succeed(None)
        self._stopped = Deferred.fromCoroutine(self._stop())
        return self._stopped

    async def _stop(self) -> None:
        self.receiver.closed = (421, "4.3.2 Service is stopping, try again later")
        for port in self._ports:
            await _maybe(port.stopListening())
        self._injection.stop()
        self._controlling.stop()
        await self.delivery.stop(self._facilities.config.global_settings.shutdown_grace)
        until = self._reactor.seconds() + INJECTION_GRACE
        while (len(self._injection) or self._signer.busy) and self._reactor.seconds() < until:
            await deferLater(self._reactor, 0.05, lambda: None)
        self._injection.interrupt()
        self._signer.stop()
        await self.reports.stop()
        self._lateness.stop()
        await self.notifier.stop()
        await self.spool.stop()
        self._close()

    # What may be asked of it.

    def send(
        self, sender: str | bytes, recipients: Sequence[str | bytes], message: str | bytes, **said: Unpack[Wishes]
    ) -> Sending:
        """
        Submit one message; see :meth:`momentum_tx.inject.in_process.InProcess.send`.
        """
        return self._in_process.send(sender, recipients, message, **said)

    def reload(self, path: str) -> None:
        """
        Read the configuration anew.  A bad one changes nothing; sessions finish
        on the one they began with.

        :raises StartupError: the new one is bad; the old one stays in force.
        """
        old = self._facilities.config
        self.reconfigure(config_load.load(path, old.generation + 1, old.bindings))

    def reconfigure(self, new: Configuration, keys: dict[str, SigningKey] | None = None) -> None:
        """
        Go on with another configuration; sessions finish on the one they began with.

        :param new: follows the old one (see :func:`momentum_tx.config.load.parse`).
        :param keys: see :func:`~momentum_tx.inject.signing.load_keys`; read now if not given.
        :raises StartupError: it does not; the old one stays.
        """
        old = self._facilities.config
        if not new.follows(old):
            raise StartupError(f"{new.source}: not made to follow the configuration in force (see config.load.parse)")
        for name in LASTING:
            if getattr(new.global_settings, name) != getattr(old.global_settings, name):
                self._log.warn("global.{name} has changed; that takes a restart", name=name)
        prohibited = self._prohibited(new.global_settings)
        hooks = self._load_named(new)
        if keys is None:
            keys = load_keys(new, new.warnings)
        # From here on nothing is refused.
        self._config = new
        self._tell_doubts()
        self._facilities.config = new
        self._facilities.prohibited = prohibited
        self.hooks.turn.rules.configure(new.global_settings)
        self._named.install(hooks)
        self._signer.use(keys)
        self._signer.serve(self.receiver)
        self.reports.configure()
        self.spool.configure(new.global_settings)
        self._injection.configure()
        self.logs.configure()
        self.suppression.configure(new.global_settings)
        self.slow_turns.configure(new.global_settings.debug_slow_turns)
        self.delivery.trace()
        self.delivery.reconfigured()

    def listening(self) -> list[Any]:
        """
        Addresses of the listening ports.
        """
        return [port.getHost() for port in self._ports]


def make_service(reactor: Any, config: str | None = None, **options: Any) -> OutboundService:
    """
    A service for an embedding application.

    :param config: path of a configuration file; without one the defaults serve.
    :param options: see :class:`OutboundService`.
    :raises StartupError: as there.
    """
    return OutboundService(reactor, config_load.load(config) if config else config_load.default(), **options)


def _maybe(result: Any) -> Deferred[Any]:
    return result if isinstance(result, Deferred) else succeed(result)
