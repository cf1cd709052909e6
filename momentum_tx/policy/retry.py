"""
When a message is tried again, and when it is given up.

Source: Momentum, options ``retry_interval``, ``max_retry_interval``,
``max_retries``, ``message_expiration``, ``never_retry``; ``retry_intervals``,
``retry_by_reply`` and ``retry_jitter`` are ours.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from ..settings import PathSettings
from ..stages import Stage
from ..units import duration
from .reply_rules import Failure, ReplyRule

_GOLDEN_SECTION: Final = (5.0**0.5 - 1.0) / 2.0


class End(enum.Enum):
    """
    Why a message is not tried again; the value is the status text.
    """

    RETRIES = b"554 5.4.7 [internal] exceeded max retries without delivery"
    TIME = b"554 5.4.7 [internal] exceeded max time without delivery"
    #: It was due, but past its life, and ``never_attempt_expired_messages`` forbids the attempt.
    EXPIRED = b"554 5.4.5 [internal] Delivery not attempted (message expired)"


@dataclass(frozen=True, slots=True)
class Expiration:
    """
    How long and how often one message is tried (hook ``get_msg_expiration_params``).

    :ivar message_expiration: longest life, seconds.
    :ivar retry_interval: delay after the first failure, seconds.
    :ivar max_retries: attempts after the first; ``None`` is no limit.
    :raises ValueError: one of them is negative, or no number.
    """

    message_expiration: float
    retry_interval: float
    max_retries: int | None

    def __post_init__(self) -> None:
        if not (self.message_expiration >= 0 and self.retry_interval > 0 and (self.max_retries or 0) >= 0):
            raise ValueError(f"{self}: a message cannot be tried so")


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
    :ivar retry_by_reply: delays for what was said; the first rule that suits decides.
    :ivar automatic: whether *max_retries* was computed from *message_expiration*.
    """

    retry_interval: float
    max_retry_interval: float
    max_retries: int | None
    message_expiration: float
    retry_intervals: tuple[float, ...] = ()
    retry_jitter: float = 0.0
    retry_by_reply: tuple[ReplyRule, ...] = ()
    automatic: bool = False

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
        rules = tuple(ReplyRule.parse(text) for text in settings.retry_by_reply)
        configured = settings.max_retries
        if settings.never_retry:
            most: int | None = 0
        elif configured == "none":
            most = None
        elif isinstance(configured, int):
            most = configured
        else:
            most = automatic_retries(interval, longest, life, intervals, rules)
        automatic = configured == "auto" and not settings.never_retry
        return cls(interval, longest, most, life, intervals, settings.retry_jitter, rules, automatic)

    def delay(self, failures: int, draw: float = 0.0, note: bytes = b"", stage: Stage = Stage.UNKNOWN) -> float:
        """
        Seconds to wait after the *failures*-th failure, one or more.

        :param draw: chance, 0 to 1.
        :param note: the status text of the failure.
        :param stage: where the attempt stood.
        """
        intervals = self.retry_intervals
        if self.retry_by_reply:
            failure = Failure.of(note, stage)
            intervals = next((rule.intervals for rule in self.retry_by_reply if rule.suits(failure)), intervals)
        plain = _delay(failures, self.retry_interval, self.max_retry_interval, intervals)
        return plain * (1.0 + self.retry_jitter * draw)

    @property
    def longest_wait(self) -> float:
        """
        Seconds to a next attempt that are more than any schedule such as this one
        would set.
        """
        lists = (self.retry_intervals, *(rule.intervals for rule in self.retry_by_reply))
        longest = max(self.max_retry_interval, *(delay for each in lists for delay in each), 0.0)
        return self.message_expiration + longest * (1.0 + self.retry_jitter)

    def next_attempt(
        self,
        created: float,
        failures: int,
        now: float,
        draw: float = 0.0,
        note: bytes = b"",
        stage: Stage = Stage.UNKNOWN,
        expires: float = 0.0,
        later: float = 0.0,
    ) -> float | End:
        """
        When to try again after the *failures*-th failure.

        The age is judged at the moment of the failure, as Momentum does; the
        attempt that is then due may still come after the message's life.  A
        message with an end of its own is given up when its next attempt would not
        come before that.

        :param created: when the message's life began, wall time.
        :param failures: attempts that failed, this one included.
        :param now: wall time.
        :param draw: chance, 0 to 1, for ``retry_jitter``.
        :param note: the status text of the failure, for ``retry_by_reply``.
        :param stage: where the attempt stood, for the same.
        :param expires: wall time at which the message's life ends; 0 if
            *message_expiration* says.
        :param later: seconds that are added to the delay, unless *expires* comes before.
        """
        if now >= expires if expires else now - created >= self.message_expiration:
            return End.TIME
        most = self.max_retries
        if most is not None and failures > most and expires and self.automatic:
            life = expires - created
            most = automatic_retries(
                self.retry_interval, self.max_retry_interval, life, self.retry_intervals, self.retry_by_reply
            )
        if most is not None and failures > most:
            return End.RETRIES
        due = now + self.delay(failures, draw, note, stage)
        if not expires or due + later < expires:
            return due + later
        # What is spread for the peer's sake must not cost the message its last attempt.
        return due if due < expires else End.TIME


def spread(number: int, seconds: float) -> float:
    """
    The *number*-th of any number of moments in *seconds*, which lie apart from each
    other however many there are: multiples of the golden section, less whole numbers.
    """
    return number * _GOLDEN_SECTION % 1.0 * seconds


def _delay(failures: int, interval: float, longest: float, intervals: tuple[float, ...]) -> float:
    if intervals:
        return intervals[min(failures, len(intervals)) - 1]
    # Beyond 2**40 the cap has long decided, and a float cannot overflow.
    return min(interval * 2.0 ** min(failures - 1, 40), longest)


def automatic_retries(
    retry_interval: float,
    max_retry_interval: float,
    message_expiration: float,
    intervals: tuple[float, ...] = (),
    rules: tuple[ReplyRule, ...] = (),
) -> int:
    """
    ``max_retries = auto``: as many retries as it takes to pass the message's
    life, so that time decides in ordinary running and the count only stops what
    an operator's flushes would prolong.  Where the delays depend on what is said,
    each failure is taken for the one that waits least.
    """
    lists = (intervals, *(rule.intervals for rule in rules))
    longest = max(map(len, lists))
    spent, retries = 0.0, 0
    while spent < message_expiration:
        failures = retries + 1
        step = min(_delay(failures, retry_interval, max_retry_interval, each) for each in lists)
        doubled = retry_interval * 2.0 ** min(retries, 40)
        if failures >= longest and (intervals or doubled >= max_retry_interval or retries >= 40):
            # From here on every step is the same: no need to walk them.
            return retries + int((message_expiration - spent) // step) + 1
        spent += step
        retries += 1
    return retries
