"""
One provider in the chain of one hook: how it does, and whether it is asked at all.

A provider that fails again and again, or takes too long, is left alone for a while
(a *breaker*): what it would spoil is spoilt without it, and it costs nothing.  Then it
is called once; if that goes well it is back.  Nobody can interrupt one that computes
for ever in the reactor's thread: it is found out when it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from twisted.logger import Logger

if TYPE_CHECKING:
    from ..settings import GlobalSettings

P = TypeVar("P")

_log = Logger()

#: What a breaker may be.
CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"


class Rules:
    """
    When breakers open, for all hooks of a service.

    :ivar clock: seconds of a steady clock.
    :ivar slow: seconds that a call may take; a longer one counts as a failure.  0 for any.
    :ivar failures: failures in a row after which a breaker opens; 0 for never.
    :ivar pause: seconds for which it is open.
    """

    __slots__ = ("clock", "failures", "pause", "slow")

    def __init__(self) -> None:
        self.clock: Callable[[], float] = _no_clock
        self.slow = 0.1
        self.failures = 5
        self.pause = 60.0

    def configure(self, settings: GlobalSettings) -> None:
        """
        Go by what the options say.
        """
        self.slow = settings.hook_slow
        self.failures = settings.hook_breaker_failures
        self.pause = settings.hook_breaker_pause


def name_of(provider: object) -> str:
    """
    What people know *provider* by: its own ``repr`` if it has one, else the class it is of.
    """
    kind = type(provider)
    # A repr that Python gives tells an address in memory, which is of no use to anybody.
    return repr(provider) if kind.__repr__ is not object.__repr__ else f"{kind.__module__}.{kind.__qualname__}"


def _no_clock() -> float:
    return 0.0


class Provided(Generic[P]):
    """
    A provider of one hook.

    :param hook: name of the hook.
    :param provider: the provider.
    :param rules: when its breaker opens.
    :ivar method: its one method.
    :ivar calls: how often it was called.
    :ivar failed: how often it raised, or gave an answer that is none.
    :ivar slow: how often it took too long.
    :ivar seconds: how long it took in all.
    :ivar longest: how long at most.
    :ivar notable: seconds that are more than it ever took, or more than it may.
    :ivar row: failures in a row.
    :ivar open_until: time of the clock at which an open breaker lets one call through; 0 while it is
        closed.
    :ivar dropped: notices that it was not told, for too many waited.
    """

    __slots__ = (
        "_rules",
        "calls",
        "dropped",
        "failed",
        "hook",
        "longest",
        "method",
        "notable",
        "open_until",
        "provider",
        "row",
        "seconds",
        "service_part",
        "slow",
        "threaded",
    )

    def __init__(self, hook: str, provider: P, rules: Rules) -> None:
        self.hook = hook
        self.provider = provider
        self.method: Callable[..., Any] = getattr(provider, hook)
        #: A part of the service itself: it has no breaker, for nothing may be missing in the logs.
        self.service_part = bool(getattr(provider, "part_of_service", False))
        self.threaded = bool(getattr(provider, "threaded", False))
        self.calls = self.failed = self.slow = self.dropped = 0
        self.seconds = self.longest = self.notable = 0.0
        self._rules = rules
        self.row = 0
        self.open_until = 0.0

    @property
    def state(self) -> str:
        """
        Of its breaker.
        """
        if not self.open_until:
            return CLOSED
        return OPEN if self._rules.clock() < self.open_until else HALF_OPEN

    @property
    def left_alone(self) -> bool:
        """
        Whether it is not to be called now.
        """
        return self.open_until > 0.0 and self._rules.clock() < self.open_until

    def went_well(self, seconds: float) -> None:
        """
        A call went well, and took so long.
        """
        self.calls += 1
        self.seconds += seconds
        if seconds > self.notable or self.row:
            self.took(seconds)

    def took(self, seconds: float) -> None:
        """
        A call that is counted already went well, and took longer than what is :attr:`notable`, or
        was the first that did: whoever calls thousands in a second looks at that first.
        """
        self.longest = max(self.longest, seconds)
        self.notable = min(self.longest, self._rules.slow or self.longest)
        if seconds > self._rules.slow > 0.0:
            self.slow += 1
            _log.warn(
                "hook {hook}: provider {provider!r} took {seconds:.3f} s, and everything waited",
                hook=self.hook,
                provider=self.provider,
                seconds=seconds,
            )
            self._count(f"it took {seconds:.3f} s")
        elif self.row:
            self.row = 0
            if self.open_until:
                self.open_until = 0.0
                _log.info("hook {hook}: provider {provider!r} is called again", hook=self.hook, provider=self.provider)

    def spoilt(self, seconds: float, reason: str) -> None:
        """
        A call failed; that was logged.

        :param reason: in words.
        """
        self.calls += 1
        self.failed += 1
        self.seconds += seconds
        if seconds > self.longest:
            self.longest = seconds
        self._count(reason)

    def _count(self, reason: str) -> None:
        rules = self._rules
        self.row += 1
        if self.service_part or not 0 < rules.failures <= self.row:
            return
        self.open_until = rules.clock() + rules.pause
        _log.error(
            "hook {hook}: provider {provider!r} is not called for {pause:g} s, after {row} failures in a row; the last"
            " one: {reason}",
            hook=self.hook,
            provider=self.provider,
            pause=rules.pause,
            row=self.row,
            reason=reason,
        )

    def told(self) -> dict[str, object]:
        """
        How it does, in numbers and words.
        """
        return {
            "provider": name_of(self.provider),
            "calls": self.calls,
            "seconds": round(self.seconds, 6),
            "longest": round(self.longest, 6),
            "failed": self.failed,
            "slow": self.slow,
            "dropped": self.dropped,
            "breaker": self.state,
            "threaded": self.threaded,
        }
