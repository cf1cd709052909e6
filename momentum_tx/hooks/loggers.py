"""
A whole logger as a provider of the hooks it answers to.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from ..interfaces import hooks as contracts


@implementer(
    contracts.ILogReceptionV1,
    contracts.ILogAttemptV1,
    contracts.ILogDeliveryV1,
    contracts.ILogTransientFailureV1,
    contracts.ILogPermanentFailureV1,
    contracts.ILogRejection,
    contracts.ILogReopen,
)
class LoggerProvider:
    """
    Gives a logger's methods the names of the hooks.
    """

    def __init__(self, logger: contracts.ILoggingInfrastructure) -> None:
        self._logger = logger

    def __repr__(self) -> str:
        return repr(self._logger)

    def log_reception_v1(self, ac: Any, msg: Any, now: float | None, note: bytes | None) -> None:
        self._logger.log_reception(ac, msg, now, note)

    def log_attempt_v1(self, msg: Any, dr: Any, now: float | None, note: bytes) -> None:
        self._logger.log_attempt(msg, dr, now, note)

    def log_delivery_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self._logger.log_delivery(msg, dr, now, note)

    def log_transient_failure_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self._logger.log_transient_failure(msg, dr, now, note)

    def log_permanent_failure_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self._logger.log_permanent_failure(msg, dr, now, note)

    def log_rejection(
        self, now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        self._logger.log_rejection(now, ac, ctx, phase, format, args)

    def log_reopen(self) -> None:
        self._logger.log_reopen()
