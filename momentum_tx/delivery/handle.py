"""
The connection handle: a connection together with what it is for.

Source: Momentum, page of ``connection_handle``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from zope.interface import implementer

from ..flags import ConnFlag
from ..interfaces.records import IConnectionHandle
from ..queues.domain import Connection, DomainRecord, HostRecord
from ..queues.places import Places

#: The word of success.
NO_ERROR: Final = ConnFlag(0)


@dataclass(slots=True)
class Try:
    """
    One address of one attempt.

    :ivar host: name of the exchanger.
    :ivar address: numeric.
    :ivar port: port.
    :ivar start: wall time it was begun.
    :ivar end: wall time it ended; ``None`` while it lasts.
    :ivar error: cause of its end; 0 when it was connected, or lasts.
    :ivar reason: the cause in words.
    """

    host: str
    address: str
    port: int
    start: float
    end: float | None = None
    error: ConnFlag = NO_ERROR
    reason: str = ""


@implementer(IConnectionHandle)
class ConnectionHandle:
    """
    A connection together with what it is for (Momentum: ``connection_handle``).

    Made by ``initiate_connection``.  While it is not closed it counts
    against every limit; whoever began the attempt calls :meth:`close` in the
    end, also after the peer has hung up.  A failed attempt closes it itself.
    """

    __slots__ = (
        "_leaving",
        "_release",
        "_stop",
        "binding_slot",
        "connection",
        "dr",
        "error",
        "host",
        "host_places",
        "places",
        "reason",
        "tries",
        "unproven",
        "user_data",
        "way",
        "when_given_up",
        "when_released",
    )

    def __init__(self, dr: DomainRecord, binding_slot: int, user_data: object) -> None:
        self.dr: DomainRecord = dr
        self.host: HostRecord | None = None
        #: What it counts against: for itself, and at its host.
        self.places: tuple[Places[DomainRecord], ...] = ()
        self.host_places: tuple[Places[DomainRecord], ...] = ()
        self.binding_slot = binding_slot
        self.user_data = user_data
        self.connection = Connection()
        self._leaving = False
        #: The full word the attempt ended with; 0 while it lasts and when it succeeded.
        self.error = NO_ERROR
        #: :attr:`error` in words.
        self.reason = ""
        self.tries: list[Try] = []
        #: :attr:`~momentum_tx.queues.domain.DomainRecord.way` of the domain when the attempt began.
        self.way = dr.way
        #: Whether it counts, and nobody knows yet whether it serves.
        self.unproven = False
        #: Called when the handle is closed while its attempt is under way.
        self.when_given_up: Callable[[], object] | None = None
        #: Called when the handle no longer counts against any limit.
        self.when_released: Callable[[], object] | None = None
        self._stop: Callable[[], object] | None = None
        self._release: Callable[[ConnectionHandle], object] | None = None

    @property
    def leaving(self) -> bool:
        """
        Whether its session is about to end, so that its places are as good as free.
        """
        return self._leaving

    def leave(self) -> None:
        """
        Its session is about to end; said while it counts.
        """
        if not self._leaving:
            self._leaving = True
            self.dr.leaving += 1

    def close(self) -> None:
        stop, self._stop = self._stop, None
        release, self._release = self._release, None
        if stop is not None:
            stop()
        stream: Any = self.connection.stream
        self.connection.stream = None
        if stream is not None:
            stream.close()
        if release is not None:
            release(self)
        given_up, self.when_given_up = self.when_given_up, None
        if stop is not None and given_up is not None:
            given_up()
        released, self.when_released = self.when_released, None
        if release is not None and released is not None:
            released()

    def shift(self, seconds: float) -> None:
        """
        The wall clock was set: what it has taken so far has taken as long as before.

        :param seconds: what the clock was put forward by; negative if back.
        """
        self.connection.start += seconds
        for each in self.tries:
            each.start += seconds
            if each.end is not None:
                each.end += seconds


def staying(dr: DomainRecord) -> int:
    """
    Connections of *dr* that do not give way already: were those counted, all
    of them would give way at the same moment, and nobody ever send anything.
    """
    return dr.total_connections() - dr.leaving
