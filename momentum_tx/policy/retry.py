"""
When a message is tried again, and when it is given up.

Source: Momentum, options ``retry_interval``, ``max_retry_interval``,
``max_retries``, ``message_expiration``, ``never_retry``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..settings import PathSettings


class End(enum.Enum):
    """
    Why a message is not tried again; the value is the status text.
    """

    RETRIES = b"554 5.4.7 [internal] exceeded max retries without delivery"
    TIME = b"554 5.4.7 [internal] exceeded max time without delivery"
    #: It was due, but past its life, and ``never_attempt_expired_messages`` forbids the attempt.
    EXPIRED = b"554 5.4.5 [internal] Delivery not attempted (message expired)"


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """
    :ivar retry_interval: seconds after the first failure; doubles with each.
    :ivar max_retry_interval: longest delay, seconds.
    :ivar max_retries: most retries, ``None`` for no limit by count.
    :ivar message_expiration: longest life, seconds.
    """

    retry_interval: float
    max_retry_interval: float
    max_retries: int | None
    message_expiration: float

    @classmethod
    def of(cls, settings: PathSettings) -> RetrySchedule:
        """
        The schedule that *settings* describe.
        """
        interval, longest, life = (
            settings.retry_interval,
            settings.max_retry_interval,
            settings.message_expiration,
        )
        configured = settings.max_retries
        if settings.never_retry:
            most: int | None = 0
        elif configured == "none":
            most = None
        elif isinstance(configured, int):
            most = configured
        else:
            most = automatic_retries(interval, longest, life)
        return cls(interval, longest, most, life)

    def delay(self, failures: int) -> float:
        """
        Seconds to wait after the *failures*-th failure, one or more.
        """
        # Beyond 2**40 the cap has long decided, and a float cannot overflow.
        return min(self.retry_interval * 2.0 ** min(failures - 1, 40), self.max_retry_interval)

    def next_attempt(self, created: float, failures: int, now: float) -> float | End:
        """
        When to try again after the *failures*-th failure.

        The age is judged at the moment of the failure, as Momentum does; the
        attempt that is then due may still come after the message's life.

        :param created: wall time of the reception.
        :param failures: attempts that failed, this one included.
        :param now: wall time.
        """
        if now - created >= self.message_expiration:
            return End.TIME
        if self.max_retries is not None and failures > self.max_retries:
            return End.RETRIES
        return now + self.delay(failures)


def automatic_retries(retry_interval: float, max_retry_interval: float, message_expiration: float) -> int:
    """
    ``max_retries = auto``: as many retries as it takes to pass the message's
    life, so that time decides in ordinary running and the count only stops what
    an operator's flushes would prolong.
    """
    spent, retries = 0.0, 0
    while spent < message_expiration:
        step = min(retry_interval * 2.0 ** min(retries, 40), max_retry_interval)
        if step >= max_retry_interval:
            # From here on every step is the same: no need to walk them.
            return retries + int((message_expiration - spent) // max_retry_interval) + 1
        spent += step
        retries += 1
    return retries
