"""
What is said behind MAIL FROM, RCPT TO and XCLIENT, once everybody had a say.

Source: Momentum, hooks ``smtp_client_mailfrom_args``, ``smtp_client_rcptto_args`` and
``smtp_client_xclient_args``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..policy.session_notes import (
    MAIL_HOOK_FAILED,
    MAIL_TOO_LONG,
    RCPT_HOOK_FAILED,
    RCPT_TOO_LONG,
    XCLIENT_HOOK_FAILED,
    XCLIENT_TOO_LONG,
)
from ..smtp.arguments import CommandArguments
from ..smtp.transaction import PARAMETER_ALLOWANCE
from ..smtp.xclient import MAX_ARGUMENTS

if TYPE_CHECKING:
    from ..hooks.outbound import OutboundHooks
    from ..interfaces.records import IClientSession
    from ..queues.message import Message


class ArgumentsFailed(Exception):
    """
    Nothing can be said, so that the message fails for now.

    :ivar note: why.
    """

    def __init__(self, note: bytes) -> None:
        super().__init__(note)
        self.note = note


def mail_arguments(hooks: OutboundHooks, session: IClientSession, text: bytes) -> bytes:
    """
    What follows the path in MAIL.

    :param text: what we would say.
    :raises ArgumentsFailed: somebody will not have it, or it is too long.
    """
    hook = hooks.smtp_client_mailfrom_args
    if not hook:
        return text
    args = CommandArguments(text)
    if hook.vetoed(lambda provider: provider.smtp_client_mailfrom_args(session, args)):
        raise ArgumentsFailed(MAIL_HOOK_FAILED)
    return _bounded(args, MAIL_TOO_LONG)


def recipient_arguments(
    hooks: OutboundHooks, session: IClientSession, messages: Sequence[Message], texts: Sequence[bytes]
) -> Sequence[bytes | ArgumentsFailed]:
    """
    What follows each path in RCPT, or why nothing can.

    :param messages: the recipients.
    :param texts: what we would say, for each of them or for none.
    """
    hook = hooks.smtp_client_rcptto_args
    if not hook:
        return texts
    found: list[bytes | ArgumentsFailed] = []
    for message, text in zip(messages, texts or [b""] * len(messages), strict=True):
        args = CommandArguments(text)

        def ask(provider: object, message: Message = message, args: CommandArguments = args) -> object:
            return provider.smtp_client_rcptto_args(session, message, args)  # type: ignore[attr-defined]

        if hook.vetoed(ask):
            found.append(ArgumentsFailed(RCPT_HOOK_FAILED))
            continue
        try:
            found.append(_bounded(args, RCPT_TOO_LONG))
        except ArgumentsFailed as failed:
            found.append(failed)
    return found


def xclient_arguments(hooks: OutboundHooks, session: IClientSession, text: bytes) -> bytes:
    """
    What follows XCLIENT; as :func:`mail_arguments`.
    """
    hook = hooks.smtp_client_xclient_args
    if not hook:
        return text
    args = CommandArguments(text)
    if hook.vetoed(lambda provider: provider.smtp_client_xclient_args(session, args)):
        raise ArgumentsFailed(XCLIENT_HOOK_FAILED)
    said = _bounded(args, XCLIENT_TOO_LONG, MAX_ARGUMENTS)
    if not said:
        raise ArgumentsFailed(XCLIENT_HOOK_FAILED)
    return said


def _bounded(args: CommandArguments, note: bytes, most: int = PARAMETER_ALLOWANCE) -> bytes:
    said = bytes(args)
    if len(said) > most:
        raise ArgumentsFailed(note)
    return said
