"""
TLS in the virtual world: modelled, not spoken.  Real TLS is for integration
tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from zope.interface import implementer

from ..interfaces.seams import ITLSFacts, ITLSUpgrade
from ..policy.tls import (
    EXPIRED,
    HOST_MISMATCH,
    MODERN,
    NOT_TRUSTED,
    PEM_BEGIN,
    TLSA_INVALID,
    TLSAssociation,
    TLSParameters,
    spoken,
)

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime, ITransport


@dataclass(frozen=True, slots=True)
class ModelledCertificate:
    """
    What a peer shows.

    :ivar names: the names it is for; a leading ``*.`` stands for one label.  Empty for
        whatever the client asked for by SNI.
    :ivar trusted: whether its issuer is one that the client trusts.
    :ivar expired: whether it is no longer valid.
    :ivar self_signed: whether it is its own issuer.
    :ivar tlsa: the associations it, or its issuer, would match.
    """

    names: tuple[str, ...] = ()
    trusted: bool = True
    expired: bool = False
    self_signed: bool = False
    tlsa: tuple[TLSAssociation, ...] = ()


#: What a receiver shows that nothing was said of.
GOOD: Final = ModelledCertificate()


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
    subject: str = ""
    issuer: str = ""
    verified: str = ""
    name: str = ""
    problem: str = ""
    problem_kind: str = ""


@implementer(ITLSUpgrade)
class ModelledTLS:
    """
    Fulfils :class:`~momentum_tx.interfaces.seams.ITLSUpgrade` by waiting.

    After :attr:`delay` the handshake is done, or the connection is dropped when
    the peer's name or address is in :attr:`failing`, or what it can do is not what the
    client wants: see ``certificate``, ``tls_versions`` and ``wants_certificate`` of
    :class:`~momentum_tx.testing.peers.Receiver`.

    :param clock: times the handshake.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        #: Seconds a handshake takes.
        self.delay = 0.01
        #: Server names and addresses whose handshake fails.
        self.failing: set[str] = set()
        #: Those whose handshake fails unless the client's first message is small.
        self.failing_large: set[str] = set()
        #: Server names and addresses whose handshake never ends.
        self.silent: set[str] = set()
        #: What is negotiated, by server name or address.
        self.negotiated: dict[str, ModelledFacts] = {}
        #: Handshakes begun: (server name, address, option ``tls``).
        self.upgrades: list[tuple[str, str, str]] = []
        #: The same, with all that was wanted, and whether the first message was small.
        self.wanted: list[tuple[TLSParameters, bool]] = []
        #: Files the service was given.
        self.files: Mapping[str, bytes] = {}
        # As long as the connection is anybody's business, and no longer.
        self._facts: WeakKeyDictionary[Any, ModelledFacts] = WeakKeyDictionary()

    def equip(self, files: Mapping[str, bytes]) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.ITLSUpgrade`.
        """
        self.files = files

    def upgrade(self, transport: ITransport, parameters: TLSParameters, small_hello: bool = False) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.ITLSUpgrade`.
        """
        if parameters.use == "no":
            raise ValueError("TLS is not wanted")
        for path in (parameters.ca, parameters.certificate, parameters.key):
            if path and not path.startswith(PEM_BEGIN) and path not in self.files:
                raise ValueError(f"{path} was not read when the configuration was loaded, for no option names it")
        spoken(parameters)
        address = transport.getPeer().host  # type: ignore[attr-defined]
        self.upgrades.append((parameters.sni, address, parameters.use))
        self.wanted.append((parameters, small_hello))
        names = {parameters.sni, address}
        if not names & self.silent:
            self._clock.callLater(self.delay, self._done, transport, parameters, small_hello)

    def _done(self, transport: Any, parameters: TLSParameters, small_hello: bool) -> None:
        if not transport.connected:
            return
        names = {parameters.sni, transport.getPeer().host}
        peer = getattr(getattr(transport, "other", None), "protocol", None)
        receiver = getattr(peer, "receiver", None)
        offered = MODERN if receiver is None else receiver.tls_versions
        common = [version for version in spoken(parameters) if version in offered]
        if (
            names & self.failing
            or (names & self.failing_large and not small_hello)
            or not common
            or (receiver is not None and receiver.wants_certificate and not parameters.certificate)
        ):
            transport.abortConnection()
            return
        known = self.negotiated.get(parameters.sni) or self.negotiated.get(transport.getPeer().host)
        facts = known or ModelledFacts(common[-1], group="secp256r1" if small_hello else "X25519")
        self._facts[transport] = judged(facts, (receiver and receiver.certificate) or GOOD, parameters)
        if peer is not None and receiver is not None:
            peer.tls_begun()
        transport.protocol.handshakeCompleted()

    def facts(self, transport: ITransport) -> ModelledFacts:
        """
        See :class:`~momentum_tx.interfaces.seams.ITLSUpgrade`.
        """
        return self._facts[transport]


def judged(facts: ModelledFacts, certificate: ModelledCertificate, parameters: TLSParameters) -> ModelledFacts:
    """
    The facts of a session with a peer that shows *certificate*.
    """
    names = certificate.names or (parameters.sni,)
    facts = replace(
        facts,
        certificate_digest=facts.certificate_digest or sha256(repr((certificate, names)).encode()).hexdigest(),
        subject=f"CN={names[0]}",
        issuer=f"CN={names[0] if certificate.self_signed else 'Issuer'}",
    )
    if parameters.verify == "no":
        return facts
    found = next((name for name in parameters.names if any(_is_for(each, name) for each in names)), "")
    if parameters.verify == "dane":
        matching = [each for each in certificate.tlsa if each in parameters.tlsa]
        # RFC 7672 3.1.1: with the certificate itself in DNS neither its name nor its dates matter.
        if any(each.usage == 3 for each in matching) or (matching and found and not certificate.expired):
            return replace(facts, verified="dane", name=found)
        return replace(facts, problem="the certificate matches no TLSA record", problem_kind=TLSA_INVALID)
    for wrong, problem, kind in (
        (certificate.self_signed, "it is signed by itself", NOT_TRUSTED),
        (not certificate.trusted, "its issuer is not known", NOT_TRUSTED),
        (certificate.expired, "it has expired", EXPIRED),
    ):
        if wrong:
            return replace(facts, problem=f"the certificate of {facts.subject}: {problem}", problem_kind=kind)
    if parameters.verify == "ca":
        return replace(facts, verified="ca")
    if found:
        return replace(facts, verified="host", name=found)
    problem = f"the certificate is not for {' or '.join(parameters.names)}; its names: {', '.join(names)}"
    return replace(facts, verified="ca", problem=problem, problem_kind=HOST_MISMATCH)


def _is_for(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        return name.partition(".")[2].lower() == pattern[2:].lower()
    return pattern.lower() == name.lower()
