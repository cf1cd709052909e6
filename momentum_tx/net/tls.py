"""
The real TLS upgrade, as client, on connections of the real dialer.

This version encrypts without verifying: policies ``ifavailable`` and
``required``.  One frozen context serves every connection of a policy, since
building one costs more than a handshake's arithmetic.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, ITransport
from zope.interface import implementer

from ..interfaces.seams import ITLSFacts, ITLSUpgrade
from ..policy.tls import TLSParameters


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
    verified: str = ""
    name: str = ""
    problem: str = ""
    problem_kind: str = ""


@implementer(IOpenSSLClientConnectionCreator)
class _Creator:
    """
    Makes connection objects of one context for one server name.
    """

    def __init__(self, context: SSL.Context, server_name: str) -> None:
        self._context = context
        self._server_name = server_name

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if self._server_name:
            connection.set_tlsext_host_name(self._server_name.encode("ascii"))
        return connection


def _unverified_context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    # Saves 30 KiB for every idle connection.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_verify(SSL.VERIFY_NONE, None)
    return context


@implementer(ITLSUpgrade)
class OpenSSLUpgrade:
    """
    TLS by pyOpenSSL through Twisted's ``startTLS``.
    """

    def __init__(self) -> None:
        self._unverified = _unverified_context()

    def upgrade(self, transport: ITransport, parameters: TLSParameters) -> None:
        """
        See :class:`~momentum_tx.interfaces.seams.ITLSUpgrade`.
        """
        if parameters.use == "no" or parameters.verify != "no":
            raise ValueError(f"TLS that cannot be had yet: {parameters!r}")
        # False: the reactor takes an adopted connection for the server's side.
        transport.startTLS(_Creator(self._unverified, parameters.sni), False)  # type: ignore[attr-defined]

    def facts(self, transport: ITransport) -> TLSFacts:
        connection = transport.getHandle()  # type: ignore[attr-defined]
        certificate = connection.get_peer_certificate(as_cryptography=True)
        digest = ""
        if certificate is not None:
            from cryptography.hazmat.primitives.serialization import Encoding

            digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
        return TLSFacts(
            connection.get_protocol_version_name(),
            connection.get_cipher_name() or "",
            digest,
            connection.get_group_name() or "",
        )
