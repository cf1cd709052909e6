"""
TLS in the virtual world: modelled, not spoken.  Real TLS is for integration
tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from zope.interface import implementer

from ..interfaces.seams import ITLSFacts, ITLSUpgrade

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime, ITransport

    from ..policy.tls import TLSParameters


@implementer(ITLSFacts)
@dataclass(frozen=True, slots=True)
class ModelledFacts:
    """
    What a modelled handshake negotiated.
    """

    version: str = "TLSv1.3"
    cipher: str = "TLS_AES_256_GCM_SHA384"
    certificate_digest: str = ""
    group: str = "X25519"
    verified: str = ""
    name: str = ""
    problem: str = ""
    problem_kind: str = ""


@implementer(ITLSUpgrade)
class ModelledTLS:
    """
    Fulfils :class:`~momentum_tx.interfaces.seams.ITLSUpgrade` by waiting.

    After :attr:`delay` the handshake is done, or the connection is dropped when
    the peer's name or address is in :attr:`failing`.

    :param clock: times the handshake.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        #: Seconds a handshake takes.
        self.delay = 0.01
        #: Server names and addresses whose handshake fails.
        self.failing: set[str] = set()
        #: Server names and addresses whose handshake never ends.
        self.silent: set[str] = set()
        #: What is negotiated, by server name or address.
        self.negotiated: dict[str, ModelledFacts] = {}
        #: Handshakes begun: (server name, address, option ``tls``).
        self.upgrades: list[tuple[str, str, str]] = []
        # As long as the connection is anybody's business, and no longer.
        self._facts: WeakKeyDictionary[Any, ModelledFacts] = WeakKeyDictionary()

    def upgrade(self, transport: ITransport, parameters: TLSParameters) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.ITLSUpgrade`.
        """
        if parameters.use == "no":
            raise ValueError("TLS that is not wanted")
        address = transport.getPeer().host  # type: ignore[attr-defined]
        self.upgrades.append((parameters.sni, address, parameters.use))
        names = {parameters.sni, address}
        if not names & self.silent:
            self._clock.callLater(self.delay, self._done, transport, parameters.sni, address)

    def _done(self, transport: Any, server_name: str, address: str) -> None:
        if not transport.connected:
            return
        if {server_name, address} & self.failing:
            transport.abortConnection()
            return
        facts = self.negotiated.get(server_name) or self.negotiated.get(address) or ModelledFacts()
        self._facts[transport] = facts
        transport.protocol.handshakeCompleted()

    def facts(self, transport: ITransport) -> ModelledFacts:
        """
        See :class:`~momentum_tx.interfaces.seams.ITLSUpgrade`.
        """
        return self._facts[transport]
