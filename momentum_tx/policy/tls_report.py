"""
What is told of the TLS of a session, to whom a domain wants it reported, and when.
Pure.

Source: RFC 8460 (SMTP TLS reporting), sections 3, 4.1 and 4.3.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

#: Result types of failures (RFC 8460 4.3).
RESULT_TYPES: Final = (
    "starttls-not-supported",
    "certificate-host-mismatch",
    "certificate-expired",
    "certificate-not-trusted",
    "validation-failure",
    "tlsa-invalid",
    "dnssec-invalid",
    "dane-required",
    "sts-policy-fetch-error",
    "sts-policy-invalid",
    "sts-webpki-invalid",
)
#: What kinds of policies are called (RFC 8460 4.4).
STS: Final = "sts"
DANE: Final = "tlsa"
NO_POLICY: Final = "no-policy-found"

#: Seconds of a day, as UTC has them.
DAY: Final = 86400
#: Seconds after the end of a day for which a report of it is tried again (RFC 8460 5.5).
MOST_TRIES_FOR: Final = 86400.0
#: Seconds from one try to the next; the last one goes on.
RETRIES: Final = (300.0, 900.0, 1800.0, 3600.0)
#: Addresses that one domain may name.
MOST_TARGETS: Final = 10

_BEGIN: Final = b"v=TLSRPTv1"
#: Characters that may stand in an address we hand to our own queue.
_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9_]([A-Za-z0-9._-]{0,250}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """
    The policy that a session was held to.

    :ivar kind: ``sts``, ``tlsa`` or ``no-policy-found``.
    :ivar domain: what it is of: the recipients' domain, for DANE the TLSA base domain.
    :ivar strings: its lines, or the TLSA records.
    :ivar mx_hosts: of an MTA-STS policy, its patterns.
    """

    kind: str
    domain: str
    strings: tuple[str, ...] = ()
    mx_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TLSOutcome:
    """
    What came of TLS in one session.

    :ivar domain: whose mail it was for: the domain that may want a report.
    :ivar policy: what it was held to.
    :ivar failure: one of :data:`RESULT_TYPES`; empty for a success.
    :ivar reason: what went wrong, in words; empty for a success.
    :ivar sending_ip: our address.
    :ivar mx_host: name of the exchanger; empty if it did not come to a connection, as the rest.
    :ivar mx_helo: what it called itself.
    :ivar receiving_ip: its address.
    """

    domain: str
    policy: AppliedPolicy
    failure: str = ""
    reason: str = ""
    sending_ip: str = ""
    mx_host: str = ""
    mx_helo: str = ""
    receiving_ip: str = ""

    def data_point(self, now: float) -> dict[str, object]:
        """
        As the hook ``smtp_tls_reporting`` is told it.

        :param now: wall time.
        """
        policy: dict[str, object] = {"policy-type": self.policy.kind, "policy-domain": self.policy.domain}
        if self.policy.strings:
            policy["policy-string"] = list(self.policy.strings)
        if self.policy.mx_hosts:
            policy["mx-host"] = list(self.policy.mx_hosts)
        point: dict[str, object] = {"epoch": int(now), "type": int(not self.failure), "policy": policy}
        for name, value in (
            ("result-type", self.failure),
            ("failure-reason-code", self.reason),
            ("sending-mta-ip", self.sending_ip),
            ("receiving-mx-hostname", self.mx_host),
            ("receiving-ip", self.receiving_ip),
        ):
            if value:
                point[name] = value
        return point


def is_plain_address(text: str) -> bool:
    """
    Whether *text* is one mail address, without quotes, comments or other scripts.
    """
    return _ADDRESS.fullmatch(text) is not None


def report_targets(texts: Iterable[bytes]) -> tuple[str, ...]:
    """
    Where a domain wants its reports, from the texts under ``_smtp._tls``.

    There has to be exactly one record of ours (RFC 8460 3).  What is neither a
    ``mailto`` nor an ``https`` address, or is one we would not use, is passed over.

    :returns: URIs; ``mailto:`` with nothing but one plain address.  None if it wants no reports.
    """
    ours = [text for text in texts if text.partition(b";")[0].rstrip(b" \t") == _BEGIN]
    if len(ours) != 1:
        return ()
    found: dict[str, None] = {}
    for field in ours[0].split(b";")[1:]:
        name, equals, value = field.strip(b" \t").partition(b"=")
        if name != b"rua" or not equals:
            # Extensions are none of our business.
            continue
        for uri in value.split(b","):
            target = _target(uri.strip(b" \t"))
            if target:
                found[target] = None
    return tuple(found)[:MOST_TARGETS]


def _target(uri: bytes) -> str:
    try:
        text = uri.decode("ascii")
        parts = urlsplit(text)
    except (UnicodeDecodeError, ValueError):
        return ""
    if not text.isprintable() or " " in text:
        return ""
    if parts.scheme == "mailto":
        # Header fields that a mailto URI may ask for are not a stranger's to choose.
        address = unquote(parts.path)
        return f"mailto:{address}" if is_plain_address(address) else ""
    return text if parts.scheme == "https" and parts.hostname else ""


def day_of(now: float) -> int:
    """
    The number of a day since 1970 (UTC).

    :param now: wall time.
    """
    return int(now // DAY)


def due(day: int, domain: str, salt: str, spread: float) -> float:
    """
    When the report on a day is sent: after its end, by a delay that is the
    domain's own and the same after a restart (RFC 8460 4.1).

    :param salt: ours, so that not all who report choose the same moment.
    :param spread: the longest delay, in seconds.
    :returns: wall time.
    """
    draw = int.from_bytes(hashlib.sha256(f"{day} {domain} {salt}".encode()).digest()[:6])
    return (day + 1) * DAY + 1.0 + draw / 2**48 * spread


def next_try(day: int, tries: int, now: float) -> float | None:
    """
    When a report that could not be delivered is tried again.

    :param tries: how often it was tried.
    :param now: wall time.
    :returns: wall time; ``None`` if it is given up.
    """
    at = now + RETRIES[min(tries, len(RETRIES)) - 1]
    return at if at <= (day + 1) * DAY + MOST_TRIES_FOR else None
