"""
Whether delivery of a domain from a binding is suspended at the moment, and why.

Source: Momentum, ``suspend_delivery``, ``default_binding``, and the module ``curfew``, which asks after those.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from ..policy.curfew import Phase, QuietHours, phase
from ..settings import DEFAULT_SLOT, PathSettings

if TYPE_CHECKING:
    from .facilities import Facilities

#: Most different curfews that are remembered; at the bound all are forgotten.
MOST_CURFEWS: Final = 1000


#: Most pairs that are held at once; beyond, those held first are let go.
MOST_HELD: Final = 10_000


class _Curfew:
    """
    One list of quiet hours, and what was found of it last.
    """

    __slots__ = ("hours", "phase", "since")

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.hours = tuple(map(QuietHours.parse, texts))
        self.phase = Phase(False, 0.0)
        #: Wall time from which the phase is known to hold.
        self.since = inf


class Suspension:
    """
    The one place that knows every reason for which mail waits without an
    attempt.  It always asks the configuration in force, whatever a session
    began with.

    :param facilities: the configuration, and the plumbing.
    """

    __slots__ = ("_curfews", "_f", "_held")
    _log = Logger()

    def __init__(self, facilities: Facilities) -> None:
        self._f = facilities
        self._curfews: dict[tuple[str, ...], _Curfew] = {}
        #: Until when a (binding slot, domain) pair is held, by the clock, and why.
        self._held: dict[tuple[int, str], tuple[float, str]] = {}

    def hold(self, slot: int, domain: str, seconds: float, reason: str) -> None:
        """
        Attempt nothing of a (binding, domain) pair for a while.

        :param reason: why, for people.
        """
        self._held.pop((slot, domain), None)
        if len(self._held) >= MOST_HELD:
            del self._held[next(iter(self._held))]
        self._held[slot, domain] = self._f.clock.seconds() + seconds, reason

    def let_go(self, domain: str | None = None) -> None:
        """
        Hold nothing of a domain any more; ``None`` is all of them.
        """
        for pair in [pair for pair in self._held if domain in (None, pair[1])]:
            del self._held[pair]

    def held(self, slot: int, domain: str) -> float:
        """
        For how many seconds more a pair is held; 0 if it is not.
        """
        held = self._held.get((slot, domain))
        if held is None:
            return 0.0
        left = held[0] - self._f.clock.seconds()
        # Sums with the time of day are less exact, and must not come out before this does.
        if left < 0.001:
            del self._held[slot, domain]
            return 0.0
        return left

    def until(self, slot: int, domain: str, now: float) -> float:
        """
        When the suspension of a (binding, domain) pair ends.

        :param now: wall time.
        :returns: wall time; infinity if nobody knows; 0 if it is not suspended.
        """
        settings = self._f.config.path(slot, domain)
        if self._barred(settings, slot, domain):
            return inf
        until = self._curfew(settings.curfew, now) if settings.curfew else 0.0
        if self._held and (left := self.held(slot, domain)):
            until = max(until, now + left)
        hook = self._f.hooks.check_outbound_mess_throttle
        if hook:
            until = max(until, self._asked(slot, domain, now))
        return until

    def _asked(self, slot: int, domain: str, now: float) -> float:
        """
        Wall time before which ``check_outbound_mess_throttle`` wants nothing sent; 0 if it has passed.
        """
        dr = self._f.find_domain(domain)
        if dr is None:
            return 0.0
        later = self._f.hooks.check_outbound_mess_throttle.fold(
            0.0, lambda provider, so_far: provider.check_outbound_mess_throttle(slot, dr, now, so_far)
        )
        return later if later > now else 0.0

    def holds(self, slot: int, domain: str) -> bool:
        """
        Whether a (binding, domain) pair is suspended now: :meth:`until` for whoever does not
        want to know for how long, without a look at a clock where none decides.
        """
        f = self._f
        settings = f.config.path(slot, domain)
        if self._held or settings.curfew or f.hooks.check_outbound_mess_throttle:
            return self.until(slot, domain, f.wall()) > 0.0
        return self._barred(settings, slot, domain)

    def _barred(self, settings: PathSettings, slot: int, domain: str) -> bool:
        """
        Whether a pair is suspended until something changes.
        """
        # No attempt is made of mail that is being failed.
        if settings.suspend_delivery or settings.blackhole:
            return True
        f = self._f
        if slot <= DEFAULT_SLOT and f.config.global_settings.default_binding == "suspended":
            return True
        return f.plumbing.absent(slot) or bool(f.egress.unusable(slot, domain))

    def reason(self, slot: int, domain: str, now: float) -> str:
        """
        Why a (binding, domain) pair is suspended, in words; empty if it is not.

        :param now: wall time.
        """
        config = self._f.config
        settings = config.path(slot, domain)
        if settings.blackhole:
            return "blackhole is set"
        if settings.suspend_delivery:
            return "suspend_delivery is set"
        if slot <= DEFAULT_SLOT and config.global_settings.default_binding == "suspended":
            return "default_binding is suspended"
        if self._f.plumbing.absent(slot):
            return f"{' and '.join(config.bindings[slot].addresses)} is not configured on this host"
        unusable = self._f.egress.unusable(slot, domain)
        if unusable:
            return unusable
        until = self._curfew(settings.curfew, now) if settings.curfew else 0.0
        if until:
            return f"curfew {_lasts(until)}"
        left = self.held(slot, domain)
        return f"{self._held[slot, domain][1]} (held {_lasts(now + left)})" if left else ""

    def _curfew(self, texts: tuple[str, ...], now: float) -> float:
        """
        When the curfew that holds ends; 0 if none does.
        """
        found = self._curfews.get(texts)
        if found is None:
            if len(self._curfews) >= MOST_CURFEWS:
                self._curfews.clear()
            found = self._curfews[texts] = _Curfew(texts)
        if not found.since <= now < found.phase.until:
            was = found.phase.quiet
            found.since, found.phase = now, phase(found.hours, now)
            if found.phase.quiet is not was:
                change = f"holds {_lasts(found.phase.until)}" if not was else "is over"
                self._log.info("curfew {hours} {change}", hours=", ".join(texts), change=change)
        return found.phase.until if found.phase.quiet else 0.0


def _lasts(until: float) -> str:
    if until == inf:
        return "without end"
    return f"until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M:%S} UTC"
