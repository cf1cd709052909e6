"""
A provider that configurations name for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import implementer

from ...interfaces import hooks as contracts

if TYPE_CHECKING:
    from ...interfaces.records import IDomainRecord, IMessage


@implementer(
    contracts.IConnectionGoal,
    contracts.IVetoHostConnection,
    contracts.ICheckOutboundConnThrottle,
    contracts.IPostInitiateConnectionSmtp,
    contracts.ILogTransientFailureV1,
)
class Passing:
    """
    Lets everything pass, and raises if it is asked after its end, or ended twice.
    """

    def __init__(self) -> None:
        self._over = False

    def _asked(self) -> None:
        if self._over:
            raise AssertionError("asked after it was withdrawn")

    def connection_goal(self, dr: IDomainRecord, binding_slot: int, queued: int, goal: int) -> int:
        self._asked()
        return goal

    def veto_host_connection(
        self, host: str, dr: IDomainRecord, binding_slot: int, max_conns: int, cur_conns: int
    ) -> bool:
        self._asked()
        return False

    def check_outbound_conn_throttle(
        self, binding_id: int, dr: IDomainRecord, now: float | None, later: float
    ) -> float:
        self._asked()
        return later

    def post_initiate_connection_smtp(
        self, dr: IDomainRecord, binding_slot: int, now: float | None, conn_fd: int
    ) -> None:
        self._asked()

    def log_transient_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self._asked()

    def withdrawn(self) -> None:
        """
        Its end.
        """
        self._asked()
        self._over = True


class Staying(Passing):
    """
    There is one of it as long as it is named.
    """

    singleton = True
