"""
What a peer offers in its reply to EHLO (RFC 5321 4.1.1.1).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

#: An offer longer than this is nobody's, and is ignored.
MAX_OFFER: Final = 1024
#: ehlo-keyword and its parameters; anything else in a line makes it no offer.
_OFFER: Final = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?: +([\x20-\x7e]*))?\Z")
#: RFC 1870 3: one to twenty digits.
_SIZE: Final = re.compile(rb"[0-9]{1,20}\Z")
#: RFC 9422 4: one to six digits that do not begin with zero.
_LIMIT: Final = re.compile(rb"[1-9][0-9]{0,5}\Z")


@dataclass(frozen=True, slots=True)
class Extensions:
    """
    The extensions one peer offers, learnt anew with every EHLO.

    :ivar pipelining: commands may be sent in groups (RFC 2920).
    :ivar size_offered: MAIL takes ``SIZE=`` (RFC 1870).
    :ivar size_limit: octets of the largest message the peer takes; ``None``
        when it names no limit.
    :ivar eight_bit: MAIL takes ``BODY=8BITMIME`` (RFC 6152).
    :ivar smtputf8: RFC 6531; without 8BITMIME, which belongs to it (3.1), it counts for nothing.
    :ivar starttls: RFC 3207.
    :ivar enhanced_status_codes: RFC 2034.
    :ivar chunking: RFC 3030.
    :ivar dsn: RFC 3461.
    :ivar auth: mechanisms offered, upper case (RFC 4954).
    :ivar xclient: attributes of a client that may be told, upper case (Postfix).
    :ivar most_recipients: recipients of one transaction (RFC 9422, RCPTMAX); 0 if it names no limit.
    :ivar most_transactions: MAIL commands of one session (MAILMAX); 0 if it names no limit.
    :ivar most_domains: different domains of recipients in one session (RCPTDOMAINMAX); 0 if
        it names no limit.
    :ivar keywords: everything offered: keyword in upper case, parameters as sent.
    """

    pipelining: bool = False
    size_offered: bool = False
    size_limit: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    starttls: bool = False
    enhanced_status_codes: bool = False
    chunking: bool = False
    dsn: bool = False
    auth: tuple[bytes, ...] = ()
    xclient: tuple[bytes, ...] = ()
    most_recipients: int = 0
    most_transactions: int = 0
    most_domains: int = 0
    keywords: Mapping[bytes, bytes] = field(default_factory=dict)


#: What a peer offers that only knows HELO.
NO_EXTENSIONS: Final = Extensions()


def parse_extensions(lines: Sequence[bytes]) -> Extensions:
    """
    The offers in an EHLO reply; a line that makes no sense offers nothing.

    :param lines: the texts of all lines; the first is the peer's name.
    """
    keywords: dict[bytes, bytes] = {}
    for line in lines[1:]:
        found = _OFFER.match(line) if len(line) <= MAX_OFFER else None
        if found is not None:
            keywords.setdefault(found[1].upper(), (found[2] or b"").strip())
    limits = _limits(keywords.get(b"LIMITS", b""))
    size = keywords.get(b"SIZE")
    if size and not _SIZE.match(size):
        size = None
    return Extensions(
        pipelining=b"PIPELINING" in keywords,
        size_offered=size is not None,
        # RFC 1870 4: zero, like nothing, means that no fixed limit is in force.
        size_limit=(int(size) or None) if size else None,
        eight_bit=b"8BITMIME" in keywords,
        smtputf8=b"SMTPUTF8" in keywords and b"8BITMIME" in keywords,
        starttls=b"STARTTLS" in keywords,
        enhanced_status_codes=b"ENHANCEDSTATUSCODES" in keywords,
        chunking=b"CHUNKING" in keywords,
        dsn=b"DSN" in keywords,
        auth=tuple(keywords.get(b"AUTH", b"").upper().split()),
        xclient=tuple(keywords.get(b"XCLIENT", b"").upper().split()),
        most_recipients=limits.get(b"RCPTMAX", 0),
        most_transactions=limits.get(b"MAILMAX", 0),
        most_domains=limits.get(b"RCPTDOMAINMAX", 0),
        keywords=keywords,
    )


def _limits(text: bytes) -> dict[bytes, int]:
    """
    The limits a peer names (RFC 9422 3); what is no limit is none, and a name that
    comes twice counts once.
    """
    found: dict[bytes, int] = {}
    for word in text.split():
        name, _, value = word.partition(b"=")
        if _LIMIT.match(value):
            found.setdefault(name.upper(), int(value))
    return found
