"""
What a DKIM signature may say: the parameters of one, checked.

Every function raises :class:`ValueError` whose text is the end of a sentence.
Source: RFC 6376 3.1, 3.5 and 5.4.
"""

from __future__ import annotations

import re
from typing import Final

from ..settings import DKIMSignature

_SELECTOR: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*", re.I
)
_DOMAIN: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)+")
_FIELD: Final = re.compile(r"[!-9;-~]{1,77}")
#: Fields that change on the way, or are no part of the message (RFC 6376 5.4).
UNSIGNABLE: Final = frozenset({"bcc", "dkim-signature", "received", "resent-bcc", "return-path"})


def checked_selector(text: str) -> str:
    """
    A selector in lower case.

    :raises ValueError: it is none.
    """
    if not _SELECTOR.fullmatch(text) or len(text) > 200:
        raise ValueError("is no selector: letters, digits and hyphens are expected, in parts joined by dots")
    return text.lower()


def checked_domain(text: str) -> str:
    """
    A domain that may sign, in lower case.

    :raises ValueError: it is none.
    """
    if not _DOMAIN.fullmatch(text.lower()):
        raise ValueError("is no domain that can sign: two labels at least, in letters, digits and hyphens")
    return text.lower()


def checked_identity(text: str, domain: str) -> str:
    """
    The identity *text* for the signing domain *domain*.

    :raises ValueError: it is no address, or of another domain.
    """
    if not text:
        return ""
    local, at, host = text.rpartition("@")
    host = host.lower()
    if not at or not _DOMAIN.fullmatch(host):
        raise ValueError("is no identity such as @example.com or news@example.com")
    if host != domain and not host.endswith("." + domain):
        raise ValueError(f"is not of the signing domain {domain}, nor of one below it")
    return f"{local}@{host}"


def checked_field(text: str) -> str:
    """
    The name of a header field that may be signed.

    :raises ValueError: it is none, or may not.
    """
    if not _FIELD.fullmatch(text) or ";" in text:
        raise ValueError("is no name of a header field")
    if text.lower() in UNSIGNABLE:
        raise ValueError("changes on the way, and no signature that covers it would hold")
    return text


def check(signature: DKIMSignature) -> DKIMSignature:
    """
    *signature*, if one can be made of it.

    :raises ValueError: it cannot.
    """
    for name, value, verify in (
        ("domain", signature.domain, checked_domain),
        ("selector", signature.selector, checked_selector),
        ("identity", signature.identity, lambda text: checked_identity(text, signature.domain)),
        *(("headerlist", field, checked_field) for field in signature.headerlist),
        *(("oversign", field, checked_field) for field in signature.oversign),
    ):
        try:
            verify(value)
        except ValueError as error:
            raise ValueError(f"{name} {value!r} {error}") from None
    for canon in (signature.header_canon, signature.body_canon):
        if canon not in ("relaxed", "simple"):
            raise ValueError(f"canonicalization {canon!r} is neither relaxed nor simple")
    if signature.lifetime is not None and not 0 < signature.lifetime < 1e10:
        raise ValueError(f"lifetime {signature.lifetime!r} is no number of seconds")
    if bool(signature.key) == bool(signature.keyfile):
        raise ValueError("either key or keyfile must be given")
    return signature
