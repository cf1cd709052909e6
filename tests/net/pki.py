"""
A small public key infrastructure, made on the spot.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

#: When everything is valid that says nothing else.
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Identity:
    """
    A certificate and its key.

    :ivar issuers: the certificates that lead from it to the root, its own not included.
    """

    certificate: x509.Certificate
    key: Any
    issuers: tuple[x509.Certificate, ...] = ()

    @property
    def chain(self) -> list[x509.Certificate]:
        """
        All that a server with it shows.
        """
        return [self.certificate, *self.issuers]

    @property
    def der(self) -> bytes:
        """
        The certificate.
        """
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def spki(self) -> bytes:
        """
        The public key.
        """
        return self.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def pem(self) -> bytes:
        """
        The certificates of the chain, the own one first.
        """
        return b"".join(each.public_bytes(Encoding.PEM) for each in self.chain)

    @property
    def key_pem(self) -> bytes:
        """
        The private key.
        """
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def issue(
    name: str,
    issuer: Identity | None = None,
    alternatives: Sequence[str] | None = None,
    authority: bool = False,
    days: tuple[int, int] = (-30, 30),
    key: Any = None,
    now: datetime.datetime = NOW,
) -> Identity:
    """
    A new identity.

    :param name: the common name.
    :param issuer: who signs; itself if nobody.
    :param alternatives: host names; *name* alone if nothing is said, and the
        extension is left out where there are none.
    :param authority: whether it may sign others.
    :param days: from when until when it is valid, from *now*.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [name] if alternatives is None and not authority else list(alternatives or ())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
    signer = key if issuer is None else issuer.key
    algorithm = None if "Ed" in type(signer).__name__ else hashes.SHA256()
    certificate = builder.sign(signer, algorithm)
    return Identity(certificate, key, () if issuer is None else (issuer.certificate, *issuer.issuers))
