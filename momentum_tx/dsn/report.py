"""
What a report tells.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


class Action(enum.Enum):
    """
    What became of the mail for one recipient (RFC 3464 2.3.3).
    """

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Told:
    """
    What is told of one recipient.

    :ivar recipient: forward path without angle brackets.
    :ivar action: what became of it.
    :ivar status: status of RFC 3463, such as ``5.1.1``.
    :ivar note: the last reply, or our own words, as one line; empty if there is none.
    :ivar ours: whether *note* is in our own words.
    :ivar orcpt: the recipient as the sender wrote it, type, ``;`` and address, nothing
        encoded (RFC 3461 4.2); empty if that was not said.
    :ivar remote_mta: name of the peer that said *note*; empty if none did.
    :ivar remote_address: its address.
    :ivar last_attempt: wall time of it; 0 for none.
    :ivar retry_until: wall time until which it is tried; 0 if it is not any more.
    :ivar fields: more fields, or others in place of ours, by name.
    """

    recipient: bytes
    action: Action
    status: str
    note: bytes = b""
    ours: bool = False
    orcpt: bytes = b""
    remote_mta: str = ""
    remote_address: str = ""
    last_attempt: float = 0.0
    retry_until: float = 0.0
    fields: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class Report:
    """
    One report, about one message and some of its recipients.

    :ivar to: whom it goes to: the sender of the message.
    :ivar mailer: address it is from (``mailerdaemon``); its envelope has the null sender.
    :ivar hostname: our name.
    :ivar id: id of the report, unique on this host.
    :ivar now: wall time.
    :ivar arrival: wall time of the message's reception.
    :ivar batch_id: our id of the message.
    :ivar recipients: what is told, of each recipient.
    :ivar envid: the sender's own name for the message, nothing encoded; empty for none.
    :ivar received_from: name or address of who gave it to us; empty if nobody did.
    """

    to: bytes
    mailer: str
    hostname: str
    id: str
    now: float
    arrival: float
    batch_id: str
    recipients: tuple[Told, ...]
    envid: bytes = b""
    received_from: str = ""

    @property
    def action(self) -> Action:
        """
        The worst that it tells.
        """
        told = {each.action for each in self.recipients}
        return next(action for action in Action if action in told)
