"""
paniclog: what an operator must know.

Source: Momentum, module ``ec_logger``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.logger import LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from ..interfaces import hooks as contracts
from .gathered import GatheredLog
from .text import encode, last_field

if TYPE_CHECKING:
    from ..settings import GlobalSettings
    from .files import ILogFile


@implementer(contracts.ILogError, contracts.ILogReopen)
class PanicLog(GatheredLog):
    """
    The logger that writes paniclog; it has no heartbeat.

    :param file: where the records go; open.
    :param wall: wall time in epoch seconds.
    :param settings: gives the options in force.
    """

    __slots__ = ("_settings",)

    def __init__(self, file: ILogFile, wall: Callable[[], float], settings: Callable[[], GlobalSettings]) -> None:
        super().__init__("paniclog", file, wall, lambda: 0.0, "")
        self._settings = settings

    def log_error(self, now: float | None, level: str, text: str) -> None:
        if self._settings().log_errors:
            self.append(f"{int(self._wall() if now is None else now)}: {last_field(encode(text))}\n")

    def observe(self, event: LogEvent) -> None:
        """
        Write what is critical of Twisted's log: an observer for its publisher, to be called in
        the reactor's thread.
        """
        # What the logs say of log_error themselves was told here already.
        if event.get("log_level") is not LogLevel.critical or _is_ours(str(event.get("log_namespace", ""))):
            return
        text = formatEvent(event)
        failure = event.get("log_failure")
        if failure is not None:
            text = f"{text}: {failure.type.__name__}: {failure.getErrorMessage()}"
        self.log_error(event.get("log_time"), "critical", text)


def _is_ours(namespace: str) -> bool:
    return namespace.startswith(__name__.rpartition(".")[0] + ".")
