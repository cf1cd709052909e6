"""
The trace field: who gave us a message, when, and what it is called here.

The only field we add.  A submission without ``Date`` or ``Message-ID`` stays
without: RFC 6409 8 permits a submission server to add them and obliges nobody,
and what an application has signed is not ours to complete.

Source: RFC 5321 4.4, RFC 5322 3.3 and 3.6.7.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

#: Longest host name we repeat (RFC 1035 2.3.4: 255 octets); a client's text is cut there.
_MAX_NAME: Final = 255
#: Longest path, brackets included (RFC 5321 4.5.3.1.3).
_MAX_PATH: Final = 256
#: The last second a four-digit year can name: a clock beyond it is broken.
_LAST_SECOND: Final = 253_402_300_799

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

#: A domain or an address literal as a client may call itself.  The underscore
#: is in no standard and in many names of machines.
_HELO: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[A-Za-z0-9.:]{2,64}\]")
#: The beginning of a field of ours with the client's name; an address alone stands where a name would.
_FROM: Final = re.compile(rb"Received: from ([!-~]{1,255}) \((?:unknown|\[[0-9A-Za-z.:]+\])\)\r\n\tby ")
_ATOM: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}")
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f.:]{2,45}")
#: A path that needs no quoting and cannot be taken for anything else in the field.
_PLAIN_PATH: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@:\[\]-]+")


def received(
    helo: str,
    peer: str,
    hostname: str,
    protocol: str,
    id: str,
    recipient: bytes | None,
    when: float,
) -> bytes:
    """
    A ``Received`` field, folded, with its final CRLF; no line exceeds 998 octets.

    :param helo: what the client called itself; empty in process.  Text that is
        no name goes into a comment, cut and cleared of controls.
    :param peer: the client's numeric address; empty in process.
    :param hostname: our name.
    :param protocol: ``esmtp``, ``smtp`` or another keyword of RFC 5321 4.4;
        ``internal`` is none and writes no ``with``.
    :param id: the batch id or message id.
    :param recipient: the envelope recipient when there is exactly one, else
        ``None``: a second one must not be told of the first (RFC 5321 7.6).
        An address that would need quoting is left out.
    :param when: wall time in epoch seconds.
    """
    # One more than a name may have: the cache keeps nothing longer, and what was cut stays too long for a name.
    beginning = _beginning(helo[: _MAX_NAME + 1], peer, hostname, protocol)
    named = b" id " + id.encode("ascii") if _ATOM.fullmatch(id) else b""
    path = b""
    if recipient and len(recipient) <= _MAX_PATH - 2 and _PLAIN_PATH.fullmatch(recipient):
        path = b"\r\n\tfor <%b>" % recipient
    return b"%b%b%b;\r\n\t%b\r\n" % (beginning, named, path, _date_octets(int(when)))


def helo_of(content: bytes) -> str:
    """
    What the client called itself from which *content* came, as its first trace
    field has it, which is ours; empty if it gave no name, or one that is none.
    """
    found = _FROM.match(content)
    return found[1].decode("ascii") if found is not None else ""


@lru_cache(maxsize=4)
def date_text(second: int) -> str:
    """
    A date and time of RFC 5322 3.3 in UTC.

    :param second: wall time in whole epoch seconds; what no four-digit year
        can name is moved to the nearest that one can.
    """
    at = datetime.fromtimestamp(min(max(second, 0), _LAST_SECOND), UTC)
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year}"
        f" {at.hour:02d}:{at.minute:02d}:{at.second:02d} +0000"
    )


@lru_cache(maxsize=4)
def _date_octets(second: int) -> bytes:
    return date_text(second).encode("ascii")


# A client gives the same name with every message, and most have few clients.
@lru_cache(maxsize=256)
def _beginning(helo: str, peer: str, hostname: str, protocol: str) -> bytes:
    """
    The field up to the id: what all mail of a client has in common.
    """
    clauses = f"by {_our_name(hostname)}"
    if protocol != "internal" and _ATOM.fullmatch(protocol):
        clauses += f" with {protocol.upper()}"
    return f"Received: {_origin(helo, peer)}{clauses}".encode("ascii")


def _origin(helo: str, peer: str) -> str:
    literal = "unknown"
    if _ADDRESS.fullmatch(peer):
        literal = f"[IPv6:{peer}]" if ":" in peer else f"[{peer}]"
    elif not helo:
        return ""
    if len(helo) <= _MAX_NAME and _HELO.fullmatch(helo):
        return f"from {helo} ({literal})\r\n\t"
    if not helo:
        return f"from {literal}\r\n\t"
    return f"from {literal} (helo {_comment(helo)})\r\n\t"


def _our_name(hostname: str) -> str:
    return hostname if len(hostname) <= _MAX_NAME and _HELO.fullmatch(hostname) else "localhost"


def _comment(text: str) -> str:
    clean = "".join(char if " " <= char <= "~" else "?" for char in text[:_MAX_NAME])
    return re.sub(r"([()\\])", r"\\\1", clean)
