"""
Peers whose handshakes have failed, and what is done about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..policy.tls import TLSParameters
from ..stages import Stage

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from .records import Peer

#: How long, seconds, an address whose TLS handshake failed is spoken to in the clear
#: under ``tls = ifavailable``, or with a small first message.
BROKEN_TLS_MEMORY: Final = 3600.0
#: Most addresses remembered for each; the oldest are forgotten first.
BROKEN_TLS_SIZE: Final = 10_000


class TLSMemory:
    """
    What failed handshakes have taught, for a while.

    After the first failure a new connection is made whose hello fits into one packet:
    larger ones do not get through everywhere.  After the second, another in clear, where
    the parameters allow that.

    :param clock: says how long ago it was.
    """

    __slots__ = ("_broken", "_clock", "_small")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._broken: dict[Peer, float] = {}
        self._small: dict[Peer, float] = {}

    def is_broken(self, peer: Peer, parameters: TLSParameters) -> bool:
        """
        Whether *peer* is to be spoken to in the clear for now.
        """
        return parameters.clear_after_failure and self._knows(self._broken, peer)

    def small_hello(self, peer: Peer) -> bool:
        """
        Whether *peer* needs a small hello.
        """
        return self._knows(self._small, peer)

    def failed(self, peer: Peer, parameters: TLSParameters, stage: Stage, small_hello: bool) -> bool:
        """
        A session came to its end before TLS was had.

        :param stage: where it stood.
        :param small_hello: whether it was begun with one.
        :returns: whether another connection is worth while, at once.
        """
        if stage is Stage.TLS_HANDSHAKE:
            if not small_hello:
                self._keep(self._small, peer)
                return True
            # It was not that.
            self._small.pop(peer, None)
        elif stage is not Stage.AFTER_STARTTLS:
            return False
        if not parameters.clear_after_failure:
            return False
        self._keep(self._broken, peer)
        return True

    def _knows(self, memory: dict[Peer, float], peer: Peer) -> bool:
        return memory.get(peer, 0.0) > self._clock.seconds()

    def _keep(self, memory: dict[Peer, float], peer: Peer) -> None:
        memory.pop(peer, None)
        if len(memory) >= BROKEN_TLS_SIZE:
            del memory[next(iter(memory))]
        memory[peer] = self._clock.seconds() + BROKEN_TLS_MEMORY
