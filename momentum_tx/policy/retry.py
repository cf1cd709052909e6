"""
When a message is tried again, and when it is given up.

Source: Momentum, options ``retry_interval``, ``max_retry_interval``,
``max_retries``, ``message_expiration``, ``never_retry``; ``retry_intervals`` and
``retry_jitter`` are ours.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..settings import PathSettings
from ..units import duration


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
    :ivar retry_intervals: delays one by one, seconds, the last of which repeats; empty
        if they double.
    :ivar retry_jitter: share of a delay that chance may add.
    """

    retry_interval: float
    max_retry_interval: float
    max_retries: int | None
    message_expiration: float
    retry_intervals: tuple[float, ...] = ()
    retry_jitter: float = 0.0

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
        intervals = tuple(duration(text) for text in settings.retry_intervals)
        configured = settings.max_retries
        if settings.never_retry:
            most: int | None = 0
        elif configured == "none":
            most = None
        elif isinstance(configured, int):
            most = configured
        else:
            most = automatic_retries(interval, longest, life, intervals)
        return cls(interval, longest, most, life, intervals, settings.retry_jitter)

    def delay(self, failures: int, draw: float = 0.0) -> float:
        """
        Seconds to wait after the *failures*-th failure, one or more.

        :param draw: chance, 0 to 1.
        """
        return self._plain_delay(failures) * (1.0 + self.retry_jitter * draw)

    def _plain_delay(self, failures: int) -> float:
        intervals = self.retry_intervals
        if intervals:
            return intervals[min(failures, len(intervals)) - 1]
        # Beyond 2**40 the cap has long decided, and a float cannot overflow.
        return min(self.retry_interval * 2.0 ** min(failures - 1, 40), self.max_retry_interval)

    def next_attempt(self, created: float, failures: int, now: float, draw: float = 0.0) -> float | End:
        """
        When to try again after the *failures*-th failure.

        The age is judged at the moment of the failure, as Momentum does; the
        attempt that is then due may still come after the message's life.

        :param created: wall time of the reception.
        :param failures: attempts that failed, this one included.
        :param now: wall time.
        :param draw: chance, 0 to 1, for ``retry_jitter``.
        """
        if now - created >= self.message_expiration:
            return End.TIME
        if self.max_retries is not None and failures > self.max_retries:
            return End.RETRIES
        return now + self.delay(failures, draw)


def automatic_retries(
    retry_interval: float, max_retry_interval: float, message_expiration: float, intervals: tuple[float, ...] = ()
) -> int:
    """
    ``max_retries = auto``: as many retries as it takes to pass the message's
    life, so that time decides in ordinary running and the count only stops what
    an operator's flushes would prolong.
    """
    spent, retries = 0.0, 0
    for step in intervals:
        if spent >= message_expiration:
            return retries
        spent += step
        retries += 1
    if intervals:
        return retries + max(0, int((message_expiration - spent) // intervals[-1]) + 1)
    while spent < message_expiration:
        step = min(retry_interval * 2.0 ** min(retries, 40), max_retry_interval)
        if step >= max_retry_interval:
            # From here on every step is the same: no need to walk them.
            return retries + int((message_expiration - spent) // max_retry_interval) + 1
        spent += step
        retries += 1
    return retries
