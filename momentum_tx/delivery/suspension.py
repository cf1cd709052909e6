"""
Whether delivery of a domain from a binding is suspended at the moment, and why.

Source: Momentum, ``suspend_delivery``, ``default_binding``.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from ..settings import DEFAULT_SLOT

if TYPE_CHECKING:
    from .facilities import Facilities


class Suspension:
    """
    The one place that knows every reason for which mail waits without an
    attempt.  It always asks the configuration in force, whatever a session
    began with.

    :param facilities: the configuration.
    """

    __slots__ = ("_f",)

    def __init__(self, facilities: Facilities) -> None:
        self._f = facilities

    def until(self, slot: int, domain: str, now: float) -> float:
        """
        When the suspension of a (binding, domain) pair ends.

        :param now: wall time.
        :returns: wall time; infinity if nobody knows; 0 if it is not suspended.
        """
        config = self._f.config
        if config.path(slot, domain).suspend_delivery:
            return inf
        if slot <= DEFAULT_SLOT and config.global_settings.default_binding == "suspended":
            return inf
        return 0.0

    def reason(self, slot: int, domain: str, now: float) -> str:
        """
        Why a (binding, domain) pair is suspended, in words; empty if it is not.

        :param now: wall time.
        """
        config = self._f.config
        if config.path(slot, domain).suspend_delivery:
            return "suspend_delivery is set"
        if slot <= DEFAULT_SLOT and config.global_settings.default_binding == "suspended":
            return "default_binding is suspended"
        return ""
