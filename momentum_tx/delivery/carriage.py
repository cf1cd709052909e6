"""
How messages travel to a peer: in groups of commands or one by one, behind DATA or
in chunks; and which peers have shown that they are not as good as their word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..stages import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..settings import PathSettings
    from ..smtp.extensions import Extensions
    from .records import Peer

#: How long, seconds, a peer is spared what it could not do.
MEMORY: Final = 3600.0
#: Most peers remembered for one thing; the oldest are forgotten first.
MEMORY_SIZE: Final = 10_000
#: Where the reply to a command of a group is awaited.
_GROUPED: Final = (Stage.AFTER_MAIL_FROM, Stage.AFTER_RCPT_TO, Stage.AFTER_DATA)


class PeerMemory:
    """
    Peers of which one thing is known, for a while.

    :param seconds: the time, in the clock of the service.
    """

    __slots__ = ("_seconds", "_until")

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._until: dict[Peer, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, peer: Peer) -> None:
        """
        Remember *peer* from now on for :data:`MEMORY` seconds.
        """
        until, now = self._until, self._seconds()
        until.pop(peer, None)
        while until and (len(until) >= MEMORY_SIZE or until[next(iter(until))] <= now):
            del until[next(iter(until))]
        until[peer] = now + MEMORY

    def forget(self, peer: Peer) -> None:
        """
        Remember *peer* no longer.
        """
        self._until.pop(peer, None)

    def has(self, peer: Peer) -> bool:
        """
        Whether *peer* is remembered.
        """
        # Most services have nothing to remember.
        return bool(self._until) and self._until.get(peer, 0.0) > self._seconds()


class Carriage:
    """
    Decides for each transaction; one for a service.

    :param seconds: the time, in the clock of the service.
    """

    __slots__ = ("without_chunks", "without_groups", "without_overlap")

    def __init__(self, seconds: Callable[[], float]) -> None:
        #: Peers that were silent over a group of commands, or answered it wrongly.
        self.without_groups = PeerMemory(seconds)
        #: Peers that did not take BDAT.
        self.without_chunks = PeerMemory(seconds)
        #: Peers that left a message in doubt when another one followed it at once.
        self.without_overlap = PeerMemory(seconds)

    def groups(self, peer: Peer, settings: PathSettings) -> bool:
        """
        Whether commands may be sent in groups if *peer* offers it.
        """
        return settings.pipelining and not self.without_groups.has(peer)

    def overlaps(self, peer: Peer, settings: PathSettings) -> bool:
        """
        Whether a transaction may begin behind the final dot of the one before.
        """
        return settings.overlap_transactions and self.groups(peer, settings) and not self.without_overlap.has(peer)

    def chunk_size(self, peer: Peer, settings: PathSettings, extensions: Extensions, octets: int, groups: bool) -> int:
        """
        Octets of the largest chunk of a message of *octets* octets; 0 if it goes
        behind DATA.

        With groups of commands both ways take two round trips, since BDAT waits until
        somebody is known to get the message and the intent is on record; so that a
        small message gains nothing.  A large one is spared the search for dots, and a
        peer that refuses it is not left for that.  Without groups BDAT spares the
        round trip of DATA.

        :param groups: the answer of :meth:`groups`.
        """
        if (
            not extensions.chunking
            or settings.chunking != "ifavailable"
            or settings.delivery_method != "ESMTP"
            or (groups and extensions.pipelining and octets < settings.chunking_minimum_size)
            or self.without_chunks.has(peer)
        ):
            return 0
        return settings.chunk_size

    def failed(self, peer: Peer, stage: Stage, grouped: bool) -> None:
        """
        *peer* was silent too long, or broke the protocol.

        :param stage: what was awaited.
        :param grouped: whether the last commands were sent together.
        """
        if grouped and stage in _GROUPED:
            self.without_groups.add(peer)
