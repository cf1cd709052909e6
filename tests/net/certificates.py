"""
Certificates made on the spot, for servers of the tests.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL

#: The name most of the tests' servers have.
NAME = "mx.example.test"
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """
    A certificate with its key, and those who signed it.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        """
        The certificate and its chain.
        """
        return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (self.certificate, *self.chain))

    @property
    def key_pem(self) -> bytes:
        """
        The key.
        """
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def issue(
        self,
        names: Sequence[str] = (NAME,),
        expired: bool = False,
        authority: bool = False,
        for_clients: bool = False,
        common_name: str = "",
    ) -> Issued:
        """
        Sign another.

        :param names: for ``subjectAltName``, addresses too; none leaves that out.
        :param authority: whether it may sign others.
        :param for_clients: whether it is made for clients only.
        :param common_name: in the subject; the first name without.
        """
        return _made(self, names, expired, authority, for_clients, common_name or (*names, "nobody")[0])


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general(name: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(name)) if name[-1].isdigit() else x509.DNSName(name)


def _made(
    issuer: Issued | None, names: Sequence[str], expired: bool, authority: bool, for_clients: bool, common: str
) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(issuer.certificate.subject if issuer else _name(common))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 10 * _DAY)
        .not_valid_after(now - _DAY if expired else now + _DAY)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    if for_clients:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    chain = () if issuer is None or (not issuer.chain and _is_root(issuer)) else (issuer.certificate, *issuer.chain)
    return Issued(certificate, key, chain)


def _is_root(issued: Issued) -> bool:
    return issued.certificate.issuer == issued.certificate.subject


@cache
def authority(name: str = "Tests' own authority") -> Issued:
    """
    An issuer that a client may trust.
    """
    return _made(None, (), False, True, False, name)


def alone(name: str = NAME) -> Issued:
    """
    A certificate that nobody has signed but itself; the same each time.
    """
    return _alone(name)


@cache
def _alone(name: str) -> Issued:
    return _made(None, (name,), False, False, False, name)


def self_signed(name: str = NAME) -> tuple[bytes, bytes]:
    """
    Certificate and key of :func:`alone`, PEM.
    """
    return alone(name).pem, alone(name).key_pem


def server_context(shown: Issued | None = None) -> SSL.Context:
    """
    A server's context.

    :param shown: its certificate; that of :func:`alone` without.
    """
    shown = shown or alone()
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate(shown.certificate)
    for each in shown.chain:
        context.add_extra_chain_cert(each)
    context.use_privatekey(shown.key)
    return context
