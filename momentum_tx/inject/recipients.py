"""
Which recipients are refused at the door, whoever the mail is from.

Source: Momentum, ``blackhole`` and ``allow_ip_literal``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..interfaces.services import IConfiguration
from ..queues.message import Message
from ..settings import DEFAULT_SLOT
from ..smtp.addresses import canonical_domain, split_address

#: Code and text of a recipient whose mail ``blackhole`` refuses.
BLACKHOLED: Final = (551, "5.7.1 recipient blackholed")
#: Code and text of a recipient at an address instead of a domain.
NO_LITERALS: Final = (550, "5.1.2 Mail to address literals is not taken")


def refuses_any(config: IConfiguration) -> bool:
    """
    Whether any recipient may be refused: where none is, none need be asked for.
    """
    settings = config.global_settings
    return not settings.allow_ip_literal or settings.suppression == "refuse" or config.written("blackhole")


def refusal(config: IConfiguration, recipient: bytes, slots: Iterable[int]) -> tuple[int, str] | None:
    """
    Why mail for *recipient* is not taken, as code and text, or ``None``.

    :param slots: the binding slots it may leave from.
    """
    _, domain = split_address(recipient)
    if domain.startswith(b"[") and not config.global_settings.allow_ip_literal:
        return NO_LITERALS
    if domain and config.written("blackhole"):
        name = canonical_domain(domain)
        if all(_refused(config, slot, name) for slot in slots):
            return BLACKHOLED
    return None


def possible_slots(config: IConfiguration, trusted: bool) -> Iterable[int]:
    """
    The binding slots that mail of a client may leave from, as far as that is known at RCPT TO.

    :param trusted: whether it may choose a binding.
    """
    return range(len(config.bindings)) if trusted else (DEFAULT_SLOT,)


def blackholed(config: IConfiguration, messages: Iterable[Message | None]) -> bool:
    """
    Whether no message of a reception is to be taken.
    """
    return all(
        _refused(config, message.binding_slot, canonical_domain(split_address(message.recipient)[1]))
        for message in messages
        if message is not None
    )


def _refused(config: IConfiguration, slot: int, domain: str) -> bool:
    settings = config.path(slot, domain)
    if settings.gateway:
        # Its mail is the gateway's, and so are the options that count.
        settings = config.path(slot, settings.gateway.lower())
    return settings.blackhole in (True, "inline")
