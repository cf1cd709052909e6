"""
What is known of one address that is left out.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ..smtp.addresses import canonical_domain

#: Characters of a note that are kept.
MOST_NOTE: Final = 200
#: Why somebody is on the list.
REASONS: Final = ("bounce", "complaint", "unsubscribe", "manual")


class Suppressed(NamedTuple):
    """
    One entry.

    :ivar reason: one of :data:`REASONS`.
    :ivar code: classification of the bounce; 0 for none.
    :ivar since: wall time it was entered.
    :ivar until: wall time it ends; 0 for never.
    :ivar note: what was said, for people.
    """

    reason: str
    code: int
    since: float
    until: float
    note: str

    def holds(self, now: float) -> bool:
        """
        Whether its time is not over.
        """
        return not self.until or now < self.until


def key_of(address: str, tenant: str = "") -> str:
    """
    Under which name *address* is kept: its domain in A-labels, all of it in lower case, for
    nobody has two mailboxes that differ in that; ``@`` and a domain stands for all of it.

    :param tenant: whose mail it is about; empty for everybody's.
    :raises ValueError: it is no address.
    """
    local, at, domain = address.strip().rpartition("@")
    if not at or any(char.isspace() for char in local) or "\x00" in address + tenant:
        raise ValueError(f"{address!r} is no address, and no domain with @ in front")
    name = f"{local.lower()}@{canonical_domain(domain.encode())}"
    return f"{tenant}\x00{name}" if tenant else name


def split_key(key: str) -> tuple[str, str]:
    """
    Address and tenant of a key.
    """
    tenant, _, address = key.rpartition("\x00")
    return address, tenant


def as_json(key: str, entry: Suppressed) -> dict[str, Any]:
    """
    An entry as it is shown, exported and imported.
    """
    address, tenant = split_key(key)
    return {"address": address, "tenant": tenant, **entry._asdict()}


def from_json(found: Any, now: float) -> tuple[str, Suppressed]:
    """
    The entry that :func:`as_json` wrote, or one with less in it.

    :param now: when it is entered, if it does not say.
    :raises ValueError: it is none.
    """
    if not isinstance(found, dict) or not isinstance(found.get("address"), str):
        raise ValueError("an entry has at least an address")
    reason = found.get("reason") or "manual"
    if reason not in REASONS:
        raise ValueError(f"{reason!r} is no reason; there are: {', '.join(REASONS)}")
    try:
        code, since, until, days = (float(found.get(name) or 0) for name in ("code", "since", "until", "days"))
    except (TypeError, ValueError):
        raise ValueError(f"{found['address']}: code, since, until and days are numbers") from None
    if days:
        until = now + days * 86_400
    note = str(found.get("note") or "")[:MOST_NOTE]
    key = key_of(found["address"], str(found.get("tenant") or ""))
    return key, Suppressed(reason, int(code), since or now, until, note)
