"""
What a policy connects to on a bench: nothing, but each attempt is on record, and its
author says how it ends.

A retry of one's own is tried with it::

    bench = Bench(SecondWay())
    bench.call("log_client_connection_failure", bench.address(), error, dr, 0, bench.now)
    (attempt,) = bench.attempts
    attempt.connected()

No hook is called by it: what the service would tell of an attempt is for the author to
:meth:`~momentum_tx.testing.bench.Bench.call`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from ..delivery.handle import NO_ERROR, ConnectionHandle
from ..delivery.initiate import FinishFunc, TimeoutFunc
from ..errors import ConnectionNotInitiated
from ..flags import CONN_ERROR, ConnFlag
from ..hooks.turn import Turn
from ..interfaces.services import IConnectionInitiator
from ..queues.domain import DomainRecord


class BenchAttempt:
    """
    One call of ``initiate_connection`` or ``initiate_connection_smtp``.

    :ivar dr: the domain record.
    :ivar binding_slot: the binding slot.
    :ivar now: wall time it was called with; the clock's where that was ``None``.
    :ivar handle: what was returned for it; ``None`` of an attempt for mail.
    :ivar ended: whether one of its callbacks was called, or its handle closed.
    """

    def __init__(
        self,
        dr: DomainRecord,
        binding_slot: int,
        now: float,
        wall: Callable[[], float],
        callbacks: tuple[FinishFunc, TimeoutFunc] | None = None,
        user_data: object = None,
    ) -> None:
        self.dr = dr
        self.binding_slot = binding_slot
        self.now = now
        self.ended = False
        self._wall = wall
        self._callbacks = callbacks
        self.handle: ConnectionHandle | None = None
        if callbacks is not None:
            self.handle = handle = ConnectionHandle(dr, binding_slot, user_data)
            handle.connection.start = now
            handle._stop = self._closed

    def connected(self, host: str = "mx1.shop.example", address: str = "198.51.100.25", port: int = 25) -> None:
        """
        The connection is established: ``finish_connect_func`` is called with 0.

        :raises ValueError: it has ended, or is one for mail.
        """
        handle, (finish, _) = self._end()
        connection = handle.connection
        connection.host_name, connection.address, connection.port = host, address, port
        finish(handle, NO_ERROR, self._wall())

    def failed(self, error: ConnFlag = ConnFlag.ERROR_CONNECT_NETWORK, reason: str = "Connection refused") -> None:
        """
        It failed: ``finish_connect_func`` is called with the full word *error*.

        :raises ValueError: it has ended, or is one for mail.
        """
        handle, (finish, _) = self._end()
        handle.error, handle.reason = error, reason
        handle.close()
        finish(handle, error, self._wall())

    def timed_out(self) -> None:
        """
        ``connect_timeout`` is over: ``timeout_func`` is called.

        :raises ValueError: it has ended, or is one for mail.
        """
        handle, (_, timeout) = self._end()
        handle.error, handle.reason = ConnFlag.ERROR_CONNECT_TIMEOUT, "timed out"
        handle.close()
        timeout(handle, self._wall())

    def _end(self) -> tuple[ConnectionHandle, tuple[FinishFunc, TimeoutFunc]]:
        if self.handle is None or self._callbacks is None:
            raise ValueError("an attempt for mail has no callbacks; play it in a momentum_tx.testing.world.World")
        if self.ended:
            raise ValueError("the attempt has ended already")
        self.ended = True
        self.handle._stop = None
        return self.handle, self._callbacks

    def _closed(self) -> None:
        self.ended = True


@implementer(IConnectionInitiator)
class BenchConnections:
    """
    Takes note of attempts.

    :param turn: knows whether a hook is being asked.
    :param wall: wall time in epoch seconds.
    :ivar attempts: all that were begun, oldest first.
    :ivar refusal: the full word with which attempts are refused; 0 for none.
    """

    def __init__(self, turn: Turn, wall: Callable[[], float]) -> None:
        self._turn = turn
        self._wall = wall
        self.attempts: list[BenchAttempt] = []
        self.refusal = NO_ERROR

    def initiate_connection(
        self,
        dr: Any,
        binding: int,
        now: float | None,
        finish_connect_func: FinishFunc,
        timeout_func: TimeoutFunc,
        user_data: object = None,
    ) -> ConnectionHandle:
        self._turn.refuse_when_asking("initiate_connection")
        if self.refusal:
            raise ConnectionNotInitiated(self.refusal, "refused by the bench")
        begun = self._wall() if now is None else now
        attempt = BenchAttempt(dr, binding, begun, self._wall, (finish_connect_func, timeout_func), user_data)
        self.attempts.append(attempt)
        assert attempt.handle is not None
        return attempt.handle

    def initiate_connection_smtp(self, dr: Any, binding: int, now: float | None) -> ConnFlag:
        self._turn.refuse_when_asking("initiate_connection_smtp")
        if not self.refusal:
            self.attempts.append(BenchAttempt(dr, binding, self._wall() if now is None else now, self._wall))
        return CONN_ERROR(self.refusal)
