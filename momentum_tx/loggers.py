"""
Everything of a service that writes logs, as one thing to make, start,
configure and stop.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .classification import Classification
from .errors import StartupError
from .logs.acctlog import AcctLog
from .logs.audit import OutboundAudit
from .logs.bouncelog import BounceLog
from .logs.custom import CustomLog, Lookups
from .logs.exim_style import EximStyleLog
from .logs.fields import BindingFields
from .logs.files import NoFile
from .logs.gathered import GatheredLog
from .logs.jsonlog import JSONLog
from .logs.mainlog import MainLog
from .logs.paniclog import PanicLog
from .logs.postfix_style import PostfixStyleLog
from .logs.rejectlog import RejectLog
from .logs.rotation import Rotation
from .logs.traces import Traces
from .logs.transcripts import Transcripts
from .policy import tracing

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from .config.configuration import Configuration
    from .hooks.outbound import OutboundHooks
    from .interfaces.services import IConfiguration
    from .logs.files import ILogFile
    from .seams import Seams
    from .settings import GlobalSettings


class Loggers:
    """
    The loggers of one service.  Those that hear of mail are registered as hook
    providers when this is made, before all others.

    :param seams: makes log files.
    :param config: the first configuration.
    :param current: gives the configuration in force; not asked before :meth:`start`.
    :param hooks: where the loggers are registered.
    :param wall: wall time, epoch seconds, as mail has it.
    :param clock: times heartbeats and what is gathered in a turn.
    :param binding_name: name of the binding of a slot.
    :param hostname: our name.
    :param pid: process id.
    :ivar classification: what failures mean.
    :ivar mainlog: one record per reception and outcome.
    :ivar audit: what became of each domain's mail, window by window (``outbound_audit_monitors``).
    :ivar traces: dialogues that are written while they are said.
    :ivar transcripts: dialogues of attempts that failed or took long.
    :ivar rotation: begins new files for them.
    :raises StartupError: a log cannot be written.
    """

    def __init__(
        self,
        seams: Seams,
        config: Configuration,
        current: Callable[[], IConfiguration],
        hooks: OutboundHooks,
        wall: Callable[[], float],
        clock: IReactorTime,
        binding_name: Callable[[int], str],
        hostname: str,
        pid: int,
    ) -> None:
        self._seams = seams
        self._config = config
        self._current = current
        self._hooks = hooks
        self._clock = clock
        self._wall = wall
        settings = config.global_settings
        self._directory = settings.log_dir or os.path.join(settings.state_dir, "log")
        plain_file = seams.log_file
        self.traces = Traces(
            wall, clock.seconds, lambda path: plain_file(path, current().global_settings.trace_smtp_mode)
        )
        # All but traces, which have a bound of their own: a reader of one waits at its name.
        self.rotation = rotation = Rotation(seams.log_names, seams.computing, self._settings, wall)
        self._seams = seams = replace(seams, log_file=lambda path, mode: rotation.file(plain_file(path, mode), path))
        self.transcripts = Transcripts(
            lambda: current().global_settings, lambda: seams.log_file(self.path("transcriptlog"), 0o640)
        )
        self.classification = Classification(config, wall)
        self.classification.hook = hooks.smtp_error_classify
        self._binding_fields = BindingFields(binding_name, lambda slot: current().bindings[slot].group)
        #: What an operator must know; ``None`` if that is off.
        self.paniclog: PanicLog | None = None
        #: All that write records, in the order of registration.
        self._records: list[GatheredLog] = []
        self.mainlog = MainLog(
            self._opened("mainlog") if settings.mainlog else NoFile(),
            wall,
            settings,
            binding_name,
            lambda slot: current().bindings[slot].group,
        )
        hooks.register_logger(self.mainlog)
        self._records.append(self.mainlog)
        makers: dict[str, Callable[[ILogFile], GatheredLog]] = {
            "rejectlog": lambda file: RejectLog(file, wall, self._settings),
            "paniclog": lambda file: PanicLog(file, wall, self._settings),
            "acctlog": lambda file: AcctLog(file, wall),
            "bouncelog": lambda file: BounceLog(
                file, wall, self._settings, self._binding_fields, self.classification.code
            ),
            "jsonlog": lambda file: JSONLog(file, wall, binding_name, self.classification.code_and_name),
            "postfixlog": lambda file: PostfixStyleLog(file, wall, hostname, pid),
            "eximlog": lambda file: EximStyleLog(file, wall),
        }
        for name, make in makers.items():
            if getattr(settings, name):
                log = make(self._opened(name))
                self._records.append(log)
                if isinstance(log, PanicLog):
                    self.paniclog = log
                hooks.register_last(log)
        for custom in self._custom_logs(binding_name):
            self._records.append(custom)
            hooks.register_last(custom)
        hooks.log_permanent_failure_v1.register_last(self.classification)
        self.audit = OutboundAudit(lambda: current().global_settings, wall)
        if settings.outbound_audit_monitors:
            hooks.register_last(self.audit)

    def _settings(self) -> GlobalSettings:
        return self._current().global_settings

    def path(self, name: str) -> str:
        """
        Path of the log called *name*.
        """
        written = getattr(self._config.global_settings, name, name)
        return os.path.join(self._directory, written if isinstance(written, str) else name)

    def _custom_logs(self, binding_name: Callable[[int], str]) -> list[CustomLog]:
        settings, current = self._config.global_settings, self._current
        kinds = (
            ("reception", settings.custom_logger_reception_format, "custom_logger_reception_logfile"),
            ("delivery", settings.custom_logger_delivery_format, "custom_logger_delivery_logfile"),
            (
                "transient_failure",
                settings.custom_logger_transient_failure_format,
                "custom_logger_transient_failure_logfile",
            ),
            (
                "permanent_failure",
                settings.custom_logger_permanent_failure_format,
                "custom_logger_permanent_failure_logfile",
            ),
        )
        # By file: kinds of records that share one are written by one logger, so that they stay in order.
        formats: dict[str, dict[str, str]] = {}
        names: dict[str, str] = {}
        for stage, text, name in kinds:
            if text:
                path = self.path(name)
                names.setdefault(path, name)
                formats.setdefault(path, {})[stage] = text
        lookups = Lookups(
            binding_name,
            lambda slot: current().bindings[slot].group,
            lambda slot, domain: current().path(slot, domain).gateway or domain,
            self.classification.code_and_name,
        )
        return [
            CustomLog(self._opened(names[path], "custom_logger_mode"), self._wall, of_stage, lookups)
            for path, of_stage in formats.items()
        ]

    def _opened(self, name: str, mode: str = "") -> ILogFile:
        path = self.path(name)
        try:
            file = self._seams.log_file(path, getattr(self._config.global_settings, mode or f"{name}_mode"))
            file.open()
        except OSError as error:
            settings = self._config.global_settings
            key = "log_dir" if settings.log_dir else "state_dir"
            if os.path.dirname(getattr(settings, name)):
                key = name
            where = self._config.where("global", key)
            raise StartupError(
                f"{where}: global.{key}: {path} cannot be written: {error.strerror or error}; "
                f"correct global.log_dir or global.state_dir, or the directory's permissions"
            ) from None
        return file

    def start(self) -> None:
        """
        Gather records per turn and write heartbeats from now on; begin the traces that the configuration names.
        """
        for log in self._records:
            log.start(self._clock)
        self._configure_traces()

    def configure(self) -> None:
        """
        The configuration in force is another one.
        """
        self.mainlog.settings = self._current().global_settings
        self._binding_fields.known.clear()
        self.classification.configure(self._current())
        self._configure_traces()

    def _configure_traces(self) -> None:
        settings = self._current().global_settings
        self.traces.configure(map(tracing.parse, settings.trace_smtp), settings.trace_smtp_max_size)

    def reopen(self) -> None:
        """
        Files were moved away: open them anew (hook ``log_reopen``).
        """
        self._hooks.log_reopen.notify(lambda provider: provider.log_reopen())
        self.transcripts.log_reopen()

    def rotate(self) -> int:
        """
        Begin new files for all logs that have anything in theirs.

        :returns: how many were begun.
        """
        for log in self._records:
            log.flush()
        return self.rotation.rotate()

    def close(self) -> None:
        """
        Write out and release everything, what others registered as loggers too; harmless twice.
        """
        for log in self._records:
            log.stop()
        self._hooks.close_loggers()
        for log in self._records:
            log.log_close()
        self.transcripts.close()
        self.rotation.stop()
        self.traces.close()
