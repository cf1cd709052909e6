"""
The real TLS upgrade, as client, on connections of the real dialer.

A handshake succeeds whatever certificate is shown; what is wrong with it is noted on the
way, and told by the facts.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from ..interfaces.seams import ITLSFacts, ITLSUpgrade
from ..policy.tls import EXPIRED, HOST_MISMATCH, INVALID, NOT_TRUSTED, TLSParameters, is_address
from .dane import NO_NAMES, problem_of
from .tls_contexts import Contexts

#: What OpenSSL finds wrong with a chain (X509_V_ERR_...): in words, and of which kind it is.
_ERRORS: Final = {
    2: ("its issuer is not known", NOT_TRUSTED),
    9: ("it is not valid yet", INVALID),
    10: ("it has expired", EXPIRED),
    18: ("it is signed by itself", NOT_TRUSTED),
    19: ("its chain ends at an issuer that is not trusted", NOT_TRUSTED),
    20: ("its issuer is not known", NOT_TRUSTED),
    21: ("its issuer is not known", NOT_TRUSTED),
    24: ("what signed it is no issuer", INVALID),
    26: ("it is not made for servers", INVALID),
    66: ("its key is too short", INVALID),
    67: ("the key of its issuer is too short", INVALID),
    68: ("its signature is too weak", INVALID),
}
#: Most things noted of one chain: the peer chooses how long it is.
_MOST_NOTED: Final = 4


@implementer(ITLSFacts)
@dataclass(frozen=True, slots=True)
class TLSFacts:
    """
    What was negotiated; see :class:`~momentum_tx.interfaces.seams.ITLSFacts`.
    """

    version: str
    cipher: str
    certificate_digest: str
    group: str = ""
    subject: str = ""
    issuer: str = ""
    verified: str = ""
    name: str = ""
    problem: str = ""
    problem_kind: str = ""


class _Connection(SSL.Connection):
    """
    A connection that knows what it was to be, and what was found wrong with the chain on
    the way.  (Twisted has a use of its own for ``app_data``.)
    """

    def __init__(self, context: SSL.Context, parameters: TLSParameters) -> None:
        super().__init__(context, None)
        self.parameters = parameters
        self.errors: list[int] = []


@implementer(IOpenSSLClientConnectionCreator)
class _Creator:
    """
    Makes the connection object of one connection.
    """

    def __init__(self, context: SSL.Context, parameters: TLSParameters) -> None:
        self._context = context
        self._parameters = parameters

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = _Connection(self._context, self._parameters)
        if self._parameters.sni:
            connection.set_tlsext_host_name(self._parameters.sni.encode("ascii"))
        return connection


def _verified(connection: _Connection, certificate: object, error: int, depth: int, ok: int) -> bool:
    """
    Note what is wrong with a chain, and go on.
    """
    errors = connection.errors
    if error and error not in errors and len(errors) < _MOST_NOTED:
        errors.append(error)
    return True


@implementer(ITLSUpgrade)
class OpenSSLUpgrade:
    """
    TLS by pyOpenSSL through Twisted's ``startTLS``.

    :param wall: wall time, epoch seconds; says which certificates are valid that DNS names.
        For all others OpenSSL asks the system itself.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._contexts = Contexts(_verified)

    def equip(self, files: Mapping[str, bytes]) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.ITLSUpgrade`.
        """
        self._contexts.equip(files)

    def upgrade(self, transport: ITransport, parameters: TLSParameters, small_hello: bool = False) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.ITLSUpgrade`.
        """
        if parameters.use == "no":
            raise ValueError("TLS is not wanted")
        context = self._contexts.context(parameters, small_hello)
        # False: the reactor takes an adopted connection for the server's side.
        transport.startTLS(_Creator(context, parameters), False)  # type: ignore[attr-defined]

    def facts(self, transport: ITransport) -> TLSFacts:
        """
        See :class:`~momentum_tx.interfaces.seams.ITLSUpgrade`.
        """
        connection: _Connection = transport.getHandle()  # type: ignore[attr-defined]
        facts = TLSFacts(
            connection.get_protocol_version_name(),
            connection.get_cipher_name() or "",
            "",
            connection.get_group_name() or "",
        )
        verify = connection.parameters.verify
        try:
            chain = connection.get_peer_cert_chain(as_cryptography=True) or ()
        except ValueError:
            # OpenSSL takes what others do not.
            chain, problem = (), "the certificate cannot be understood"
        else:
            problem = "no certificate was shown"
        if not chain:
            return facts if verify == "no" else replace(facts, problem=problem, problem_kind=INVALID)
        certificate = chain[0]
        facts = replace(
            facts,
            certificate_digest=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
            subject=_printable(lambda: certificate.subject),
            issuer=_printable(lambda: certificate.issuer),
        )
        if verify == "no":
            return facts
        return (
            self._by_records(facts, chain, connection) if verify == "dane" else _judged(facts, connection, certificate)
        )

    def _by_records(self, facts: TLSFacts, chain: Sequence[x509.Certificate], connection: _Connection) -> TLSFacts:
        parameters, now = connection.parameters, datetime.fromtimestamp(self._wall(), UTC)
        found = problem_of(chain, parameters.tlsa, parameters.names, now)
        if found is None:
            return replace(facts, verified="dane")
        return replace(facts, problem=_plain(found[1]), problem_kind=found[0])


def _judged(facts: TLSFacts, connection: _Connection, certificate: x509.Certificate) -> TLSFacts:
    """
    The facts with what came of the verification.
    """
    parameters = connection.parameters
    if connection.errors:
        found = [_ERRORS.get(error, (f"OpenSSL's error {error}", INVALID)) for error in connection.errors]
        problem = ", ".join(dict.fromkeys(text for text, _ in found))
        return replace(facts, problem=f"the certificate of {facts.subject}: {problem}", problem_kind=found[0][1])
    if parameters.verify == "ca":
        return replace(facts, verified="ca")
    for name in parameters.names:
        if _carries(certificate, name):
            return replace(facts, verified="host", name=name)
    names = ", ".join(_names(certificate)[:8]) or "none"
    problem = f"the certificate is not for {' or '.join(parameters.names)}; its names: {names}"
    return replace(facts, verified="ca", problem=problem, problem_kind=HOST_MISMATCH)


def _carries(certificate: x509.Certificate, name: str) -> bool:
    """
    Whether the certificate is for *name* (RFC 6125, RFC 9525: names of the subject do not count).
    """
    try:
        if is_address(name):
            verify_certificate_ip_address(certificate, str(ipaddress.ip_address(name)))
        else:
            verify_certificate_hostname(certificate, name)
    except (VerificationError, CertificateError, ValueError, *NO_NAMES):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError, *NO_NAMES):
        return []
    return [_plain(name) for name in extension.value.get_values_for_type(x509.DNSName)]


def handshake_problem(reason: Failure | None) -> str:
    """
    What OpenSSL says of a handshake that failed; empty if it was not OpenSSL that ended it.

    :param reason: of the connection's end.
    """
    if reason is None or not reason.check(SSL.Error):
        return ""
    error: Any = reason.value
    # OpenSSL's queue, entries of library, function and reason; an error of a system call has none.
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return _plain(", ".join(str(entry[-1]) for entry in queue))


def _printable(name: Callable[[], x509.Name]) -> str:
    try:
        # It is read when it is asked for, and may be nonsense.
        return _plain(name().rfc4514_string())
    except ValueError:
        return ""


def _plain(text: str) -> str:
    """
    What a peer says of itself, on one line of bounded length.
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]
