"""
Judges a server's certificates by TLSA records.

Certificates and records in, a verdict out; no socket, no clock, no DNS.  What
is decided with it, and that only validated records come here, is the business
of :mod:`momentum_tx.delivery`.

Source: RFC 7672 section 3, RFC 7671 sections 5 and 9.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509.oid import NameOID
from OpenSSL import crypto

from ..policy.certificate_names import any_covers
from ..policy.tls import EXPIRED, HOST_MISMATCH, NOT_TRUSTED, TLSA_INVALID

#: DANE-TA and DANE-EE: what an SMTP client uses (RFC 7672 section 3.1).
TRUST_ANCHOR: Final = 2
END_ENTITY: Final = 3
_CERTIFICATE: Final = 0
_PUBLIC_KEY: Final = 1
_FULL: Final = 0
_DIGESTS: Final = {1: hashlib.sha256, 2: hashlib.sha512}
_DIGEST_SIZES: Final = {1: 32, 2: 64}
#: Certificates looked at of those a server shows; real chains have two to four.
MAX_CHAIN: Final = 10
#: Anchors taken from records that have them whole; to try each costs arithmetic.
MAX_ANCHORS: Final = 20
#: Raised, besides ``ValueError``, where names are written in a way that cannot be read.
NO_NAMES: Final = (x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
#: What OpenSSL calls a certificate that is over, or has not begun.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10


class Association(Protocol):
    """
    What is asked of a TLSA record.
    """

    @property
    def usage(self) -> int:
        """
        Certificate usage.
        """

    @property
    def selector(self) -> int:
        """
        What of the certificate is meant.
        """

    @property
    def matching(self) -> int:
        """
        How it is written.
        """

    @property
    def data(self) -> bytes:
        """
        The association itself.
        """


A = TypeVar("A", bound=Association)


def usable(records: Iterable[A]) -> tuple[A, ...]:
    """
    The records that mean something to a mail client.

    Usages 0 and 1 do not (RFC 7672 section 3.1.3), nor do numbers nobody knows,
    digests of a wrong length, and certificates or keys that cannot be read.
    Where none is left TLS is still demanded, unauthenticated (section 2.2).
    """
    return tuple(record for record in dict.fromkeys(records) if _is_usable(record))


def _is_usable(record: Association) -> bool:
    if record.usage not in (TRUST_ANCHOR, END_ENTITY) or record.selector not in (_CERTIFICATE, _PUBLIC_KEY):
        return False
    if record.matching != _FULL:
        return _DIGEST_SIZES.get(record.matching) == len(record.data)
    return (_read_certificate if record.selector == _CERTIFICATE else _read_key)(record.data) is not None


def _read_certificate(data: bytes) -> x509.Certificate | None:
    try:
        certificate = x509.load_der_x509_certificate(data)
        # OpenSSL, which follows paths, reads names that the other does not look at before it is asked for them.
        crypto.X509.from_cryptography(certificate)
    except (ValueError, UnsupportedAlgorithm, crypto.Error):
        return None
    return certificate


def _read_key(data: bytes) -> Any:
    try:
        return load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        return None


def strongest(associations: Sequence[A]) -> tuple[A, ...]:
    """
    *associations* without digests that are weaker than others for the same use
    (RFC 7671 section 9): who breaks the weaker one must gain nothing.
    """
    best: dict[tuple[int, int], int] = {}
    for each in associations:
        key = each.usage, each.selector
        best[key] = max(best.get(key, _FULL), each.matching)
    return tuple(each for each in associations if each.matching in (_FULL, best[each.usage, each.selector]))


def problem_of(
    chain: Sequence[x509.Certificate], associations: Sequence[Association], names: Iterable[str], now: datetime
) -> tuple[str, str] | None:
    """
    Why a server is not the one that TLSA records speak of; ``None`` if it is.

    By usage 3 only the server's own certificate or key counts, whatever it is
    called and however old it is; by usage 2 it must lead to the anchor, be
    valid, and carry one of *names*.

    :param chain: what the server has shown, its own certificate first.
    :param associations: validated and usable records, at least one.
    :param names: of the server, as far as they are known for certain.
    :param now: aware, or UTC.
    :returns: a result type of RFC 8460 and a text for people.
    """
    if not chain:
        return NOT_TRUSTED, "the server has shown no certificate"
    shown = [_Shown(certificate) for certificate in chain[:MAX_CHAIN]]
    wanted = strongest(associations)
    if any(shown[0].matches(each) for each in wanted if each.usage == END_ENTITY):
        return None
    anchors = _anchors(shown, [each for each in wanted if each.usage == TRUST_ANCHOR])
    if not anchors:
        return TLSA_INVALID, f"none of {len(associations)} TLSA records matches what the server has shown"
    problem = _path_problem(shown, anchors, now)
    if problem is not None:
        return problem
    presented = presented_names(chain[0])
    if not any_covers(presented, wanted_names := tuple(names)):
        carried = ", ".join(presented[:5]) or "no name"
        return HOST_MISMATCH, f"the certificate carries {carried}, and none of {', '.join(wanted_names)}"
    return None


class _Shown:
    """
    A certificate that the server has shown; what it is compared by is computed once.
    """

    def __init__(self, certificate: x509.Certificate) -> None:
        self.certificate = certificate
        self._forms: dict[tuple[int, int], bytes] = {}

    def matches(self, association: Association) -> bool:
        """
        Whether it is the one meant.
        """
        return self._form(association.selector, association.matching) == association.data

    def _form(self, selector: int, matching: int) -> bytes:
        known = self._forms.get((selector, matching))
        if known is None:
            if selector == _CERTIFICATE:
                known = self.certificate.public_bytes(Encoding.DER)
            else:
                known = self.key
            if matching != _FULL:
                known = _DIGESTS[matching](known).digest()
            self._forms[selector, matching] = known
        return known

    @property
    def key(self) -> bytes:
        """
        Its public key as it stands in it; empty if that cannot be read.
        """
        try:
            key = self.certificate.public_key()
        except (ValueError, UnsupportedAlgorithm):
            return b""
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _anchors(shown: Sequence[_Shown], wanted: Sequence[Association]) -> list[x509.Certificate]:
    """
    The certificates that a record of usage 2 makes trust anchors.

    Those that are shown above the server's own; a whole certificate of a record
    though it is not shown; and those that a whole key of a record has signed
    (RFC 7671 sections 5.2.2 and 5.2.3).
    """
    found = [each.certificate for each in shown[1:] if any(each.matches(association) for association in wanted)]
    whole = [each for each in wanted if each.matching == _FULL][:MAX_ANCHORS]
    for each in whole:
        if each.selector == _CERTIFICATE:
            anchor = _read_certificate(each.data)
            if anchor is not None:
                found.append(anchor)
        else:
            key = _read_key(each.data)
            found += [it.certificate for it in shown if _has_signed(key, it.certificate)]
    return found


def _has_signed(key: Any, certificate: x509.Certificate) -> bool:
    """
    Whether *key* has signed *certificate*.
    """
    arguments: tuple[Any, ...]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            arguments = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
        elif isinstance(key, ec.EllipticCurvePublicKey):
            arguments = (certificate.signature_algorithm_parameters,)
        elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            arguments = ()
        else:
            return False
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, *arguments)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        # A signature of another kind than the key is none of its own.
        return False
    return True


def _path_problem(
    shown: Sequence[_Shown], anchors: Sequence[x509.Certificate], now: datetime
) -> tuple[str, str] | None:
    """
    Why no path leads from the server's certificate to an anchor; ``None`` if one does.
    """
    store = crypto.X509Store()
    # An anchor need not be the root of anything: whoever published it vouches for it.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    store.set_time(now.astimezone(UTC) if now.tzinfo is not None else now)
    try:
        for anchor in anchors:
            store.add_cert(crypto.X509.from_cryptography(anchor))
        leaf, *others = (crypto.X509.from_cryptography(each.certificate) for each in shown)
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        code = error.errors[0]
        kind = EXPIRED if code in (_EXPIRED, _NOT_YET_VALID) else NOT_TRUSTED
        return kind, f"the certificate does not lead to the trust anchor of the TLSA records: {error}"
    except crypto.Error:
        return NOT_TRUSTED, "the certificates that the server has shown, or that TLSA records hold, cannot be read"
    return None


def presented_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """
    The host names a certificate carries: its alternative names, and only where it
    has none its common name (RFC 7672 section 3.2.3).
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        names: list[str] = []
    except (ValueError, *NO_NAMES):
        return ()
    else:
        names = extension.value.get_values_for_type(x509.DNSName)
    if not names:
        names = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(names)
