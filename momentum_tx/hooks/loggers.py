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
    contracts.ILogError,
)
class LoggerProvider:
    """
    Gives a logger's methods the names of the hooks.
    """

    part_of_service = True

    def __init__(self, logger: contracts.ILoggingInfrastructure) -> None:
        self._logger = logger
        # The methods themselves: one more call for each record would be felt.
        self.log_reception_v1: Any = logger.log_reception
        self.log_attempt_v1: Any = logger.log_attempt
        self.log_delivery_v1: Any = logger.log_delivery
        self.log_transient_failure_v1: Any = logger.log_transient_failure
        self.log_permanent_failure_v1: Any = logger.log_permanent_failure
        self.log_rejection: Any = logger.log_rejection
        self.log_reopen: Any = logger.log_reopen
        self.log_error: Any = logger.log_error

    def __repr__(self) -> str:
        return repr(self._logger)

    def hears(self, point: str) -> bool:
        """
        Whether the logger does anything when it is told of the hook of that name.
        """
        return point not in getattr(self._logger, "unheard", ())
