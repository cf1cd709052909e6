"""
``twistd momentum-tx``: the only module besides the command line that sees the
global reactor.
"""

from __future__ import annotations

import gc
import resource
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn, cast

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, globalLogPublisher
from twisted.python import usage
from twisted.python.failure import Failure
from twisted.python.threadable import isInIOThread
from zope.interface import implementer

from .config import load as config_load
from .config.configuration import Configuration
from .errors import StartupError
from .inject.signing import load_keys
from .message.dkim_keys import SigningKey
from .service import OutboundService
from .settings import Binding, GlobalSettings

_log = Logger()

#: Seconds a thread may keep the interpreter: with the default of 5 ms every sync of
#: the journal would wait that long to report its end to a busy reactor.
SWITCH_INTERVAL = 0.0005
#: Objects that make a collection due, and how many young ones make an older one due.  Mail that comes and stays is
#: looked at twice, some 40,000 objects at once at the most, 15 ms; a look at all there is takes more than a second for
#: each million messages, and is due only after fifty million objects.
COLLECTOR_THRESHOLD = (10_000, 4, 1_250)


class Options(usage.Options):
    """
    What may follow ``twistd momentum-tx``.
    """

    synopsis = "[--config FILE] [--check]"
    longdesc = "Receives mail over SMTP, keeps it, and delivers it from its own addresses."
    optParameters = [["config", "c", None, "The configuration file (TOML); without one the defaults serve."]]
    optFlags = [["check", None, "Check the configuration and this machine, say what is wrong, and end."]]


class Refused(SystemExit, Exception):
    """
    Ends the process with status 1 and without a traceback.

    An exception besides, since twistd in the background tells its parent, which
    waits for word, of exceptions only.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(1)
        self._reason = reason

    def __str__(self) -> str:
        return self._reason


def _refuse(error: StartupError) -> NoReturn:
    for line in str(error).splitlines():
        # Not sys.stderr: twistd turns that into the log before services start.
        print(f"momentum-tx: {line}", file=sys.__stderr__)
        _log.error("{line}", line=line)
    raise Refused(str(error))


def _tune_collector() -> None:
    """
    Have the collector leave alone what exists by now, which lives as long as
    the process, and look seldom: delivery makes hardly any cycles.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLD)
    gc.enable()


def raise_descriptors(settings: GlobalSettings, system: Any = resource) -> str:
    """
    Have the process use as many descriptors as ``server_max_file_descriptors``
    and the system allow.

    :param system: the functions of :mod:`resource`.
    :returns: what an operator must know: that the limits on connections cannot
        be reached; empty if they can.
    """
    soft, hard = system.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.server_max_file_descriptors
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    try:
        system.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # Some systems have a bound below the one they name.
        wanted = soft
    needed = settings.server_max_outbound_connections + settings.max_inbound_connections
    if wanted >= needed:
        return ""
    return (
        f"the process may have {wanted} file descriptors, server_max_outbound_connections and"
        f" max_inbound_connections ask for {needed}; raise the system's limit (systemd: LimitNOFILE) or lower them"
    )


@implementer(IService)
class TwistdService(OutboundService):
    """
    The service as twistd starts it: mistakes become one line and exit status 1,
    signals are heard.
    """

    config_path: str | None = None
    _observer: ILogObserver | None = None
    _terminating = False
    #: Times that a signal came since the configuration began to be read.
    _hung_up = 0

    def privilegedStartService(self) -> None:
        try:
            super().privilegedStartService()
        except StartupError as error:
            _refuse(error)

    def startService(self) -> None:
        # A collection while the spool is loaded would look at every message found, again and again.
        gc.disable()
        super().startService()
        self._observer = cast(ILogObserver, self._heard)
        globalLogPublisher.addObserver(self._observer)
        self._reactor.callWhenRunning(self._listen_to_signals)
        self.when_ready().addCallback(lambda _: _tune_collector())

    def stopService(self) -> Deferred[None]:
        stopped = super().stopService()
        stopped.addBoth(self._hear_no_more)
        return stopped

    def _hear_no_more(self, result: Any) -> Any:
        observer, self._observer = self._observer, None
        if observer is not None:
            globalLogPublisher.removeObserver(observer)
        return result

    def _heard(self, event: LogEvent) -> None:
        """
        What is critical goes to the paniclog as well; workers log, too.
        """
        panics = self.logs.paniclog
        if panics is None or event.get("log_level") is not LogLevel.critical:
            return
        if isInIOThread():
            panics.observe(event)
        else:
            self._reactor.callFromThread(panics.observe, event)

    def _listen_to_signals(self) -> None:
        def hang_up(number: int, frame: Any) -> None:
            self._reactor.callFromThread(self.hang_up)

        def terminate(number: int, frame: Any) -> None:
            # Not Twisted's own, after which twistd ends as killed by the signal and not with status 0.
            self._reactor.callFromThread(self.terminate)

        signal.signal(signal.SIGHUP, hang_up)
        signal.signal(signal.SIGTERM, terminate)

    def terminate(self) -> None:
        """
        SIGTERM: end in order, with exit status 0; harmless twice.
        """
        if not self._terminating:
            self._terminating = True
            _log.info("SIGTERM: the service ends")
            self._reactor.stop()

    def hang_up(self) -> None:
        """
        SIGHUP: reopen the logs, always; then read the configuration anew, which
        may be refused.  A worker reads it, for a large one takes seconds.
        """
        self.reopen_logs()
        if self.config_path is None or self._stopped is not None:
            return
        self._hung_up += 1
        if self._hung_up == 1:
            self._read_anew()

    def _read_anew(self) -> None:
        assert self.config_path is not None
        # What is written from now on may be missed: a signal that comes for it has it read again.
        self._hung_up = 1
        old = self.configuration
        reading = self._seams.threads.run(_read, self.config_path, old.generation + 1, old.bindings)
        taken_over: Deferred[None] = reading.addCallback(self._take_over)
        taken_over.addErrback(self._refused)
        taken_over.addErrback(lambda failure: _log.failure("the configuration could not be read anew", failure))
        taken_over.addCallback(self._have_read)

    def _take_over(self, found: tuple[Configuration, dict[str, SigningKey]]) -> None:
        if self._stopped is None:
            self.reconfigure(*found)
            _log.info("configuration read anew from {path}", path=self.config_path)

    @staticmethod
    def _refused(failure: Failure) -> None:
        failure.trap(StartupError)
        for line in str(failure.value).splitlines():
            _log.error("configuration refused, the old one stays in force: {line}", line=line)

    def _have_read(self, _: object) -> None:
        again, self._hung_up = self._hung_up > 1, 0
        if again and self._stopped is None:
            self._read_anew()


def _read(path: str, generation: int, bindings: Sequence[Binding]) -> tuple[Configuration, dict[str, SigningKey]]:
    """
    A configuration and its keys; in a worker.

    :raises StartupError: it is bad.
    """
    config = config_load.load(path, generation, bindings)
    return config, load_keys(config, config.warnings)


def makeService(options: Options) -> IService:
    """
    The service twistd runs.
    """
    from twisted.internet import reactor

    # Timers must not follow the steps of the system's clock.
    vars(reactor)["seconds"] = time.monotonic
    # Until the reactor runs there is nothing to read anew, and no reason to die of it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    path = options["config"]
    try:
        config = config_load.load(path) if path else config_load.default()
        service = TwistdService(reactor, config)
        if options["check"]:
            service.bind()
            for text in (*config.warnings, *service.unplumbed()):
                sys.stderr.write(f"momentum-tx: warning: {text}\n")
            service.release()
            sys.stdout.write(f"momentum-tx: {path or 'the default configuration'} is good\n")
            raise SystemExit(0)
    except StartupError as error:
        _refuse(error)
    service.config_path = path
    sys.setswitchinterval(SWITCH_INTERVAL)
    shortage = raise_descriptors(config.global_settings)
    if shortage:
        _log.warn("{shortage}", shortage=shortage)
    return service
