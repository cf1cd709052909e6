"""
Certificates, keys and cipher lists: what a text holds, and whether it can be used.
Nothing is read here; whoever has the octets asks.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from OpenSSL import SSL

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_CERTIFICATE: Final = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----")
_KEY: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.+?-----END [A-Z0-9 ]*PRIVATE KEY-----", re.DOTALL)
_ENCRYPTED: Final = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED")


def holds_certificates(content: bytes) -> bool:
    """
    Whether there is any certificate in a text.
    """
    return _CERTIFICATE.search(content) is not None


def certificates(content: bytes) -> list[x509.Certificate]:
    """
    The certificates in a text, in their order (PEM).

    :raises ValueError: there is none, or one that cannot be understood; the text is the
        end of a sentence.
    """
    if not holds_certificates(content):
        raise ValueError("holds no certificate (PEM is expected)")
    try:
        with warnings.catch_warnings():
            # Bundles of old issuers hold what would not be issued today.
            warnings.simplefilter("ignore")
            return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise ValueError(f"holds a certificate that cannot be understood: {error}") from None


def private_key(content: bytes) -> PrivateKeyTypes:
    """
    The first private key in a text (PEM).

    :raises ValueError: as :func:`certificates`; what it says holds nothing of the key.
    """
    if _ENCRYPTED.search(content):
        raise ValueError("holds a private key with a passphrase, which nobody could enter; store it without")
    found = _KEY.search(content)
    if found is None:
        raise ValueError("holds no private key (PEM is expected)")
    try:
        return load_pem_private_key(found[0], None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("holds a private key that cannot be understood") from None


def belong_together(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """
    Whether *key* is that of *certificate*.
    """
    return _public(certificate.public_key()) == _public(key.public_key())


def _public(key: object) -> bytes:
    octets: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return octets


def ciphers(text: str) -> str:
    """
    A list of ciphers for TLS 1.2 and below, as OpenSSL takes it (``tls_ciphers``).

    :raises ValueError: as :func:`certificates`.
    """
    try:
        SSL.Context(SSL.TLS_CLIENT_METHOD).set_cipher_list(text.encode())
    except SSL.Error:
        raise ValueError("is no list of ciphers that OpenSSL understands (see openssl ciphers)") from None
    return text


def suites(text: str) -> str:
    """
    A list of cipher suites of TLS 1.3 (``tlsv13_ciphersuites``); empty for OpenSSL's own.

    :raises ValueError: as :func:`certificates`.
    """
    try:
        if text:
            SSL.Context(SSL.TLS_CLIENT_METHOD).set_tls13_ciphersuites(text.encode())
    except SSL.Error:
        raise ValueError(
            "names no cipher suite of TLS 1.3 that OpenSSL knows, such as TLS_AES_256_GCM_SHA384"
        ) from None
    return text
