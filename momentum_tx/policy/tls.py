"""
What is wanted of TLS on one connection, who wanted it, and whether a session that
came about will do.

Sources: Momentum, pages of ``tls``, ``tls_verify`` and ``tls_protocols``; RFC 7672 for
associations, RFC 8460 section 4.3 for the kinds of problems.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..interfaces.seams import ITLSFacts

#: Values of :attr:`TLSParameters.use`, the least strict first.
USES: Final = ("no", "ifavailable", "required", "implicit")
#: Values of :attr:`TLSParameters.verify`, the least strict first.
VERIFICATIONS: Final = ("no", "optional", "ca", "host", "dane")
#: Protocol versions, oldest first.
VERSIONS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
#: Those that ``ALL`` stands for: older ones are no longer safe (RFC 8996).
MODERN: Final = VERSIONS[2:]
#: What a file of certificates or keys holds begins so; a hook may give it instead of a path.
PEM_BEGIN: Final = "-----BEGIN "

#: Values of :attr:`~momentum_tx.interfaces.seams.ITLSFacts.problem_kind` (RFC 8460 4.3).
HOST_MISMATCH: Final = "certificate-host-mismatch"
EXPIRED: Final = "certificate-expired"
NOT_TRUSTED: Final = "certificate-not-trusted"
INVALID: Final = "validation-failure"
TLSA_INVALID: Final = "tlsa-invalid"

_SEPARATORS: Final = re.compile(r"[\s,:]+")
#: Names of versions as people write them.
_SPELLINGS: Final = {"tlsv1.0": "TLSv1", **{version.lower(): version for version in VERSIONS}}
#: Never spoken, and may be said not to be.
_DEAD_VERSIONS: Final = ("sslv2", "sslv3")


@dataclass(frozen=True, slots=True)
class TLSAssociation:
    """
    One TLSA record (RFC 6698 section 2.1).

    :ivar usage: 2 an issuer, 3 the certificate itself.
    :ivar selector: 0 the whole certificate, 1 its public key.
    :ivar matching: 0 as it is, 1 its SHA-256, 2 its SHA-512.
    :ivar data: what has to match.
    """

    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TLSParameters:
    """
    What is wanted of TLS on one connection.

    :ivar use: ``no``, ``ifavailable``, ``required``, or ``implicit`` (TLS from the first octet).
    :ivar verify: ``no``, ``optional`` (as ``host``, and delivered anyway), ``ca``, ``host`` or ``dane``.
    :ivar names: reference names, one of which the certificate has to carry.
    :ivar tlsa: usable associations; ``dane`` has at least one.
    :ivar sni: name told to the peer; empty for none.
    :ivar fallback: whether mail goes in clear after a failed handshake where *use* is ``ifavailable``.
    :ivar ca: file or directory of trusted issuers, or PEM; empty for the system's.
    :ivar certificate: file of our own certificate, or PEM; empty for none.
    :ivar key: file of its key, or PEM; empty where the certificate's holds it.
    :ivar ciphers: OpenSSL's list for versions below 1.3; empty for its own.
    :ivar tlsv13_ciphersuites: suites of TLS 1.3; empty for OpenSSL's own.
    :ivar protocols: versions, see :func:`versions`; empty for all modern ones.
    :ivar origin: who decided: ``setting``, ``hook``, ``mta-sts``, ``dane`` or ``requiretls``.
    """

    use: str = "no"
    verify: str = "no"
    names: tuple[str, ...] = ()
    tlsa: tuple[TLSAssociation, ...] = ()
    sni: str = ""
    fallback: bool = True
    ca: str = ""
    certificate: str = ""
    # It may hold the key itself.
    key: str = field(default="", repr=False)
    ciphers: str = ""
    tlsv13_ciphersuites: str = ""
    protocols: str = ""
    origin: str = "setting"

    def __post_init__(self) -> None:
        if self.use not in USES:
            raise ValueError(f"tls is one of {', '.join(USES)}, not {self.use!r}")
        if self.verify not in VERIFICATIONS:
            raise ValueError(f"tls_verify is one of {', '.join(VERIFICATIONS)}, not {self.verify!r}")
        if self.verify == "dane" and not self.tlsa:
            raise ValueError("dane without associations verifies nothing")

    @property
    def mandatory(self) -> bool:
        """
        Whether mail waits rather than go in clear: also where a certificate is to be
        verified, for whoever wants that gains nothing by it otherwise.
        """
        return self.use in ("required", "implicit") or (self.use != "no" and self.verify in ("ca", "host", "dane"))

    @property
    def clear_after_failure(self) -> bool:
        """
        Whether mail goes in clear after STARTTLS was refused or a handshake failed.
        """
        return self.fallback and not self.mandatory


#: No TLS at all.
CLEAR: Final = TLSParameters()


def stricter(a: TLSParameters, b: TLSParameters) -> TLSParameters:
    """
    The stricter of each, so that whoever is content with it fulfils both.

    Certificates, ciphers and versions stay those of *a*.
    """
    use = max(a.use, b.use, key=USES.index)
    higher, lower = (b, a) if _rank(b) > _rank(a) else (a, b)
    names = higher.names
    if _rank(a) == _rank(b) and a.verify != "no":
        names = tuple(name for name in a.names if name in b.names)
    return replace(
        a,
        use=use,
        verify=higher.verify,
        names=names,
        tlsa=higher.tlsa,
        sni=higher.sni or lower.sni,
        fallback=a.fallback and b.fallback,
        origin=b.origin if higher is b or use != a.use else a.origin,
    )


def _rank(parameters: TLSParameters) -> int:
    return VERIFICATIONS.index(parameters.verify)


def versions(protocols: str) -> tuple[str, ...]:
    """
    The versions an option ``tls_protocols`` allows, oldest first (Momentum's syntax, such as
    ``+ALL -TLSv1.3``).

    :raises ValueError: with the end of a sentence that says what is wrong with it.
    """
    allowed: set[str] | None = None
    for word in _SEPARATORS.split(protocols.strip()) if protocols.strip() else ():
        sign, name = (word[0], word[1:]) if word[0] in "+-" else ("+", word)
        lower = name.lower()
        if allowed is None:
            allowed = set(MODERN) if sign == "-" else set()
        if lower == "all":
            meant = set(MODERN) if sign == "+" else set(VERSIONS)
        elif lower in _SPELLINGS:
            meant = {_SPELLINGS[lower]}
        elif lower in _DEAD_VERSIONS and sign == "-":
            meant = set()
        else:
            known = ", ".join(VERSIONS)
            raise ValueError(f"names no protocol version this can speak: {word}; there are ALL and {known}")
        allowed = allowed | meant if sign == "+" else allowed - meant
    found = tuple(version for version in VERSIONS if allowed is None or version in allowed)
    if allowed is None:
        return MODERN
    if not found:
        raise ValueError("leaves no protocol version")
    if len(found) != VERSIONS.index(found[-1]) - VERSIONS.index(found[0]) + 1:
        raise ValueError("leaves out a version between two others, which a handshake cannot express")
    return found


def spoken(parameters: TLSParameters) -> tuple[str, ...]:
    """
    The versions of one connection: where anything is verified, none that is no longer safe.

    :raises ValueError: none is left.
    """
    allowed = versions(parameters.protocols)
    if parameters.verify == "no":
        return allowed
    safe = tuple(version for version in allowed if version in MODERN)
    if not safe:
        raise ValueError("leaves no protocol version that is safe, and the certificate shall be verified")
    return safe


def acceptable(parameters: TLSParameters, facts: ITLSFacts) -> bool:
    """
    Whether a session is verified as far as *parameters* want it.
    """
    if parameters.verify in ("no", "optional"):
        return True
    if parameters.verify == "ca":
        return facts.verified in ("ca", "host")
    return facts.verified == parameters.verify


def told(facts: ITLSFacts) -> str:
    """
    The facts of a session on one line, for people.
    """
    words = [facts.version, facts.cipher, *([facts.group] if facts.group else [])]
    if facts.verified:
        words.append(f"verified by {facts.verified}" + (f" as {facts.name}" if facts.name else ""))
    text = " ".join(words)
    return f"{text}; {facts.problem}" if facts.problem else text


def is_address(name: str) -> bool:
    """
    Whether a host is called by its address: that is no name for SNI (RFC 6066 section 3).
    """
    return ":" in name or name.replace(".", "").isdigit()


def same_session(used: TLSParameters, wanted: TLSParameters, facts: ITLSFacts | None) -> bool:
    """
    Whether a connection that was opened with *used* is one that *wanted* would have had.

    :param facts: what became of it; ``None`` if it is in clear.
    """
    if used == wanted:
        return True
    if used.use == wanted.use == "no":
        return True
    # Who wanted it is no matter, nor which other names would have done.
    if replace(used, names=(), origin="") != replace(wanted, names=(), origin=""):
        return False
    if used.names == wanted.names or wanted.verify in ("no", "ca"):
        return True
    return facts is not None and wanted.verify != "dane" and facts.name in wanted.names
