"""
Private keys that sign mail, and the DNS records of their public halves.

No key is ever part of an error, a log or a ``repr``.  Source: RFC 6376 3.3 and
3.6.1, RFC 8301 3.2 (sizes of RSA keys), RFC 8463 4.2.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: Bits of an RSA key below which a signature counts for nothing, and those below which it is weak (RFC 8301 3.2).
LEAST_BITS: Final = 1024
WEAK_BITS: Final = 2048
#: Bits above which receivers need not verify, and DNS answers grow large.
MOST_BITS: Final = 4096
#: Octets of a file of one key; what is larger is none.
LARGEST_KEYFILE: Final = 65536
#: Octets of a raw Ed25519 key.
_ED25519_OCTETS: Final = 32
#: Characters of one string of a TXT record (RFC 1035 3.3).
_TXT_STRING: Final = 255

_PADDING: Final = padding.PKCS1v15()
_SHA256: Final = hashes.SHA256()


class UnusableKey(ValueError):
    """
    A key that cannot be read or must not be used.  The text is the end of a
    sentence, and holds nothing of the key.
    """


class SigningKey:
    """
    A private key.

    :ivar algorithm: what a signature by it is called (a=).
    :ivar bits: size of an RSA key; 0 of any other.
    """

    __slots__ = ("_ed25519", "_rsa", "algorithm", "bits")

    def __init__(self, key: rsa.RSAPrivateKey | Ed25519PrivateKey) -> None:
        """
        :raises UnusableKey: it is too small, or larger than receivers know.
        """
        self._rsa: rsa.RSAPrivateKey | None = None
        self._ed25519: Ed25519PrivateKey | None = None
        self.bits = 0
        if isinstance(key, Ed25519PrivateKey):
            self._ed25519 = key
            self.algorithm = "ed25519-sha256"
            return
        self._rsa = key
        self.algorithm = "rsa-sha256"
        self.bits = key.key_size
        if self.bits < LEAST_BITS:
            raise UnusableKey(
                f"is an RSA key of {self.bits} bits, which no receiver accepts; make one of {WEAK_BITS} bits"
            )
        if self.bits > MOST_BITS:
            raise UnusableKey(
                f"is an RSA key of {self.bits} bits; receivers verify {MOST_BITS} at most, make one of {WEAK_BITS} bits"
            )

    def __repr__(self) -> str:
        return f"<SigningKey {self.algorithm}{f' of {self.bits} bits' if self.bits else ''}>"

    @classmethod
    def parse(cls, data: bytes) -> SigningKey:
        """
        The key in *data*: RSA or Ed25519 in PEM (PKCS#1 or PKCS#8), or 32 octets of
        Ed25519 in base64.

        :raises UnusableKey: there is none, or it must not be used.
        """
        if b"-----BEGIN" not in data:
            try:
                raw = base64.b64decode(b"".join(data.split()), validate=True)
            except (binascii.Error, ValueError):
                raw = b""
            if len(raw) != _ED25519_OCTETS:
                raise UnusableKey("is neither a private key in PEM nor 32 octets of Ed25519 in base64")
            return cls(Ed25519PrivateKey.from_private_bytes(raw))
        try:
            key = serialization.load_pem_private_key(data, None)
        except TypeError:
            raise UnusableKey("is encrypted; write it without a passphrase, in a file of its own") from None
        except (ValueError, UnsupportedAlgorithm):
            kind = "a public key" if b"PUBLIC KEY" in data else "a certificate" if b"CERTIFICATE" in data else ""
            raise UnusableKey(f"is {kind}; the private key is expected" if kind else "is a damaged PEM file") from None
        if not isinstance(key, (rsa.RSAPrivateKey, Ed25519PrivateKey)):
            raise UnusableKey("is a key of another kind; RSA or Ed25519 is expected")
        return cls(key)

    @classmethod
    def generate(cls, kind: str, bits: int = WEAK_BITS) -> tuple[SigningKey, bytes]:
        """
        A new key, and its file in PEM (PKCS#8).

        :param kind: ``rsa`` or ``ed25519``.
        :param bits: size of an RSA key.
        """
        key: rsa.RSAPrivateKey | Ed25519PrivateKey
        key = Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, bits)
        data = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(key), data

    @property
    def doubt(self) -> str:
        """
        What an operator should know of it; empty if nothing.
        """
        if self.bits and self.bits < WEAK_BITS:
            return f"is an RSA key of {self.bits} bits, which is weak; make one of {WEAK_BITS} bits"
        return ""

    @property
    def slow(self) -> bool:
        """
        Whether a signature costs so much that it is made off the reactor's thread.
        """
        return self._rsa is not None

    def sign(self, data: bytes) -> bytes:
        """
        The signature over *data*, the canonical header.
        """
        if self._rsa is not None:
            return self._rsa.sign(data, _PADDING, _SHA256)
        assert self._ed25519 is not None
        # RFC 8463 3: it is the hash that is signed.
        return self._ed25519.sign(hashlib.sha256(data).digest())

    def record(self) -> str:
        """
        Text of the TXT record that publishes the public half (RFC 6376 3.6.1).
        """
        encoding, form = serialization.Encoding, serialization.PublicFormat
        if self._rsa is not None:
            public = self._rsa.public_key().public_bytes(encoding.DER, form.SubjectPublicKeyInfo)
            return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
        assert self._ed25519 is not None
        public = self._ed25519.public_key().public_bytes(encoding.Raw, form.Raw)
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"


def record_problem(texts: Sequence[bytes], key: SigningKey) -> str:
    """
    Why the records under a key's name do not have mail verified that it has signed
    (RFC 6376 3.6.1, 3.6.2.2).

    :param texts: of the TXT records.
    :returns: the end of a sentence; empty if nothing is wrong.
    """
    if not texts:
        return "is not published"
    if len(texts) > 1:
        return f"is published {len(texts)} times; receivers take one of them, or none"
    tags: dict[bytes, bytes] = {}
    for part in texts[0].split(b";"):
        name, _, value = part.partition(b"=")
        tags.setdefault(name.strip(), b"".join(value.split()))
    own = {name: value.encode() for name, _, value in (part.strip().partition("=") for part in key.record().split(";"))}
    if tags.get(b"v", b"DKIM1") != b"DKIM1":
        return "is published as something else than a DKIM key"
    if not tags.get(b"p"):
        return "is published as revoked: its p= is empty"
    if tags.get(b"k", b"rsa") != own["k"] or tags[b"p"] != own["p"]:
        return "is published with another key"
    if b"h" in tags and b"sha256" not in tags[b"h"].split(b":"):
        return "is published for other hashes than sha256"
    if b"s" in tags and not {b"*", b"email"} & set(tags[b"s"].split(b":")):
        return "is published for other services than mail"
    if b"y" in tags.get(b"t", b"").split(b":"):
        return "is published for tests (t=y): receivers treat signatures as if there were none"
    return ""


def read_keyfile(path: str) -> SigningKey:
    """
    The key in a file.

    :raises UnusableKey: it cannot be read, strangers have access to it, or
        what it holds must not be used.
    """
    if "\0" in path:
        raise UnusableKey("cannot be read: there is a NUL in its name")
    try:
        # A pipe without a writer must not hold anybody up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise UnusableKey("is no regular file")
            if mode & (stat.S_IRWXO | stat.S_IWGRP):
                raise UnusableKey(
                    f"has mode {stat.S_IMODE(mode):04o}; nobody but owner and group may read a private key, and the"
                    f" owner alone write it: chmod 640 {path}"
                )
            data = file.read(LARGEST_KEYFILE + 1)
    except OSError as error:
        raise UnusableKey(f"cannot be read: {error.strerror or error}") from None
    if len(data) > LARGEST_KEYFILE:
        raise UnusableKey(f"is larger than {LARGEST_KEYFILE} octets, which no key is")
    return SigningKey.parse(data)


def zone_line(selector: str, domain: str, record: str) -> str:
    """
    The record as a line of a zone file: long texts are several strings.
    """
    strings = [record[at : at + _TXT_STRING] for at in range(0, len(record), _TXT_STRING)]
    return f"{selector}._domainkey.{domain}. IN TXT ( " + " ".join(f'"{each}"' for each in strings) + " )"
