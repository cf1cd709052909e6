"""
The codes of classification.

Source: Momentum, page "bounce-logger-classification-codes"; names such as
``BC_SOFT_TIMEOUT`` from its scripts.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


class Category(enum.Enum):
    """
    What to do about it, roughly.
    """

    UNDETERMINED = "Undetermined"
    #: Do not write to that address again.
    HARD = "Hard"
    #: Another day it may work.
    SOFT = "Soft"
    #: It is about the sender, not the recipient.
    BLOCK = "Block"
    #: It is about the operator's own rules.
    ADMIN = "Admin"


@dataclass(frozen=True, slots=True)
class BounceClass:
    """
    One code.

    :ivar code: its number.
    :ivar name: its name, for people.
    :ivar symbol: its name in programs.
    :ivar category: what kind it is.
    :ivar text: what it means.
    """

    code: int
    name: str
    symbol: str
    category: Category
    text: str


_H, _S, _B, _A = Category.HARD, Category.SOFT, Category.BLOCK, Category.ADMIN

#: Every code of Momentum's.
CLASSES: Final[Mapping[int, BounceClass]] = MappingProxyType(
    {
        each.code: each
        for each in (
            BounceClass(1, "Undetermined", "BC_UNDETERMINED", Category.UNDETERMINED, "no rule knows the text"),
            BounceClass(10, "Invalid Recipient", "BC_INVALID_RECIPIENT", _H, "there is no such recipient"),
            BounceClass(20, "Soft Bounce", "BC_SOFT_BOUNCE", _S, "it failed, and may work another time"),
            BounceClass(21, "DNS Failure", "BC_DNS_FAILURE", _S, "the domain could not be found"),
            BounceClass(22, "Mailbox Full", "BC_MAILBOX_FULL", _S, "the recipient has no room"),
            BounceClass(23, "Too Large", "BC_TOO_LARGE", _S, "the message is too large for the recipient"),
            BounceClass(24, "Timeout", "BC_SOFT_TIMEOUT", _S, "it was tried for as long as it may be"),
            BounceClass(25, "Admin Failure", "BC_ADMIN_FAILURE", _A, "a rule of our own operator"),
            BounceClass(30, "Generic Bounce: No RCPT", "BC_GENERIC_NO_RCPT", _H, "a bounce that names no recipient"),
            BounceClass(40, "Generic Bounce", "BC_GENERIC", _S, "a bounce without a reason"),
            BounceClass(50, "Mail Block", "BC_MAIL_BLOCK", _B, "the receiver refuses mail of this kind, or from us"),
            BounceClass(51, "Spam Block", "BC_SPAM_BLOCK", _B, "the receiver takes us for a source of spam"),
            BounceClass(52, "Spam Content", "BC_SPAM_CONTENT", _B, "the receiver takes the content for spam"),
            BounceClass(
                53, "Prohibited Attachment", "BC_PROHIBITED_ATTACHMENT", _B, "the receiver forbids a part of it"
            ),
            BounceClass(54, "Relaying Denied", "BC_RELAYING_DENIED", _B, "the receiver does not serve the recipient"),
            BounceClass(60, "Auto-Reply", "BC_AUTO_REPLY", _S, "a machine answers for the recipient"),
            BounceClass(70, "Transient Failure", "BC_TRANSIENT_FAILURE", _S, "for now"),
            BounceClass(80, "Subscribe", "BC_SUBSCRIBE", _A, "a wish to subscribe, no bounce"),
            BounceClass(90, "Unsubscribe", "BC_UNSUBSCRIBE", _H, "a wish to get no more"),
            BounceClass(100, "Challenge-Response", "BC_CHALLENGE_RESPONSE", _S, "somebody wants to know who we are"),
        )
    }
)
UNDETERMINED: Final = CLASSES[1]
#: An operator's own codes are below; 100 is Momentum's last.
MOST_OWN: Final = 99
