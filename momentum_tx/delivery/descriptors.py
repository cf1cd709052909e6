"""
Whether the process has descriptors left for connections; and who comes next when
it has none.

A host cannot help it, and mail must not grow old by it: whoever finds none waits in
line, and the line is asked again when a connection has ended, or after a pause.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Final

from zope.interface import implementer

from ..errors import DialFailed, OutOfDescriptors
from ..interfaces.seams import IConnectedStream, IDial, IDialer
from ..queues.domain import DomainRecord

if TYPE_CHECKING:
    from .facilities import Facilities

#: Seconds until the first in line is asked again if no connection ends.
PAUSE: Final = 1.0
#: Most domains that are called for one connection.
MOST_CALLED: Final = 1024
#: Seconds for which an operator is not told again.
QUIET: Final = 60.0


@implementer(IDialer)
class Descriptors:
    """
    The dialer, and the line of those that it had no descriptor for.

    When the one whose turn it is gets a connection, twice as many are called as the
    time before, until there is nobody left or no descriptor.

    :param facilities: clock, hooks.
    :param dialer: opens connections.
    """

    __slots__ = ("_alarm", "_called", "_dialer", "_f", "_many", "_poke", "_quiet_until", "_waiting", "short")

    def __init__(self, facilities: Facilities, dialer: IDialer) -> None:
        self._f = facilities
        self._dialer = dialer
        self._alarm = facilities.agenda.alarm(self._call_one)
        self._poke: Callable[[DomainRecord], object] = lambda dr: None
        #: Whether there was none, and not everybody who waited for one has been called since.
        self.short = False
        # Dicts for their order.
        self._waiting: dict[DomainRecord, None] = {}
        self._called: dict[DomainRecord, None] = {}
        #: How many were called the last time.
        self._many = 1
        self._quiet_until = 0.0

    def start(self, poke: Callable[[DomainRecord], object]) -> None:
        """
        :param poke: looks after a domain soon.
        """
        self._poke = poke

    def stop(self) -> None:
        """
        Call nobody any more.
        """
        self._alarm.disarm()
        self._waiting.clear()

    def tune(self, nodelay: bool, buffer_size: int) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.IDialer`.
        """
        self._dialer.tune(nodelay, buffer_size)

    def dial(
        self,
        host: str,
        port: int,
        source: str,
        post_bind: Callable[[int], bool] | None,
        connected: Callable[[IConnectedStream], object],
        failed: Callable[[DialFailed], object],
    ) -> IDial:
        """
        See :class:`~momentum_tx.interfaces.seams.IDialer`.
        """
        try:
            dial = self._dialer.dial(host, port, source, post_bind, connected, failed)
        except OutOfDescriptors as error:
            self._ran_out(error)
            raise
        if self.short:
            self._call(min(2 * self._many, MOST_CALLED))
        return dial

    def __contains__(self, dr: object) -> bool:
        return dr in self._waiting or dr in self._called

    def refuses(self, dr: DomainRecord) -> bool:
        """
        Whether others come before *dr*, which waits in line then.
        """
        if not self.short:
            return False
        if dr in self._called:
            return False
        self._waiting[dr] = None
        return True

    def wait(self, dr: DomainRecord) -> None:
        """
        There was no descriptor for *dr*: call it when there may be one.
        """
        self._called.pop(dr, None)
        self._waiting[dr] = None

    def freed(self) -> None:
        """
        A connection has ended, and its descriptor is free or will be in a moment.
        """
        if self._waiting:
            self._call(1)

    def _ran_out(self, error: OutOfDescriptors) -> None:
        self.short = True
        self._called.clear()
        self._many = 1
        self._alarm.arm(PAUSE)
        now = self._f.clock.seconds()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET
            self._f.hooks.tell_error(
                self._f.wall(),
                "error",
                f"no connection can be opened ({error.reason}); mail waits until one can. Raise the limit of open"
                f" files, or lower server_max_outbound_connections and max_inbound_connections",
            )

    def _call_one(self) -> None:
        """
        A pause is over; if nobody is in line the shortage is as well.
        """
        self._alarm.arm(PAUSE)
        # Whoever was called and has not come wants nothing any more.
        self._called.clear()
        self._call(1)
        if not self._called:
            self.short = False
            self._alarm.disarm()

    def _call(self, many: int) -> None:
        """
        Call the next *many* in line.
        """
        self._many = many
        for dr in list(islice(self._waiting, many)):
            del self._waiting[dr]
            self._called[dr] = None
            self._poke(dr)
