"""
Of what is a sender told, and who stands in for a sender that there is not.

Source: RFC 3461 4.1 and 6, RFC 5321 4.5.5; Momentum, options ``generate_bounces``,
``mdn_failures_notify`` and ``generate_delay_dsn``.
"""

from __future__ import annotations

from ..envelope import Notify
from ..queues.message import Message
from ..settings import PathSettings


def to_tell_of_failure(message: Message, settings: PathSettings) -> tuple[bytes, bool]:
    """
    Who is told that *message* failed for ever.

    :param settings: of the path it failed on.
    :returns: an address, empty if nobody can be told; and whether it is told unless a hook
        says otherwise.
    """
    sender = message.reception.sender
    if not sender:
        # A failure of mail about failures ends here, at the latest with the operator's own mailbox.
        mailbox = settings.mdn_failures_notify.encode()
        return (b"", False) if message.recipient == mailbox else (mailbox, True)
    notify = message.notify
    if notify:
        return sender, bool(notify & Notify.FAILURE) and settings.generate_bounces
    return sender, settings.generate_bounces


def to_tell_of_delay(message: Message, settings: PathSettings) -> tuple[bytes, bool]:
    """
    Who is told that *message* is late; answers as :func:`to_tell_of_failure`.
    """
    notify = message.notify
    if notify:
        return message.reception.sender, bool(notify & Notify.DELAY)
    return message.reception.sender, settings.generate_delay_dsn
