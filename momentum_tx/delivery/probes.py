"""
Probes: the first connection to an address that had failed.

An address that failed is left alone for ``host_failure_retry`` seconds.  When
it comes due, one connection finds out whether it serves again, and the rest
of the mail waits for the answer instead of running into the same wall.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..queues.domain import DomainRecord

if TYPE_CHECKING:
    from .handle import ConnectionHandle
    from .records import Peer, Records


class Probes:
    """
    Every probe under way, and who waits for it.

    :param records: knows which addresses failed.
    :param poke: looks after a domain soon.
    """

    __slots__ = ("_poke", "_records", "_under_way", "_waiting")

    def __init__(self, records: Records, poke: Callable[[DomainRecord], object]) -> None:
        self._records = records
        self._poke = poke
        #: The probed address by connection, and the reverse.
        self._under_way: dict[ConnectionHandle, tuple[Peer, int]] = {}
        self._waiting: dict[tuple[Peer, int], dict[DomainRecord, None]] = {}

    def begin(self, handle: ConnectionHandle, peer: Peer) -> None:
        """
        *handle* is about to connect to *peer*: a probe, if that had failed.
        """
        slot = handle.binding_slot
        if self._records.failed(peer, slot):
            self._under_way[handle] = peer, slot
            self._waiting.setdefault((peer, slot), {})

    def busy(self, peer: Peer, slot: int) -> bool:
        """
        Whether it is being found out if an address serves again.
        """
        return bool(self._waiting) and (peer, slot) in self._waiting

    def wait(self, dr: DomainRecord, peer: Peer, slot: int) -> None:
        """
        Have *dr* looked after when the probe of an address has ended.
        """
        waiting = self._waiting.get((peer, slot))
        if waiting is not None:
            waiting[dr] = None

    def end(self, handle: ConnectionHandle) -> None:
        """
        What *handle* found out is known; harmless if it was no probe.
        """
        if not self._under_way:
            return
        probed = self._under_way.pop(handle, None)
        if probed is not None:
            for dr in self._waiting.pop(probed, ()):
                self._poke(dr)
