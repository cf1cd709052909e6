"""
Questions to hooks about messages and queues, where the answer has to be looked at
before anything follows from it.

Whoever calls has seen that there is a provider.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from ..policy.retry import Expiration, RetrySchedule
from ..smtp.addresses import canonical_domain
from ..smtp.body import check_content

if TYPE_CHECKING:
    from ..hooks.outbound import OutboundHooks
    from ..queues.domain import DomainRecord
    from ..queues.message import Message
    from .handle import ConnectionHandle

_log = Logger()

#: Messages that a hook may choose from.
MOST_SHOWN: Final = 100
#: Seconds from now within which a domain is looked after at the latest, whatever a hook says.
LONGEST_WAIT: Final = 600.0


def chosen(hooks: OutboundHooks, dr: DomainRecord, slot: int, handle: ConnectionHandle | None) -> Message | None:
    """
    The message that ``mailq_get_next_active`` wants, taken out of its queue; ``None`` if it
    has no wish, or one that cannot be.
    """
    queue = dr.mail_queue
    first = queue.peek_active(slot)
    if first is None:
        return None
    others = (
        each for each in queue.walk() if each is not first and each.binding_slot == slot and queue.is_active(each)
    )
    waiting = [first, *islice(others, MOST_SHOWN - 1)]
    answer = hooks.mailq_get_next_active.override(
        lambda provider: provider.mailq_get_next_active(dr, slot, handle, waiting)
    )
    if answer is None or answer is first:
        return None
    for each in waiting:
        if each is answer:
            queue.take(each)
            return each
    _log.error(
        "mailq_get_next_active answered {answer!r}, which does not wait on {domain}", answer=answer, domain=dr.domain
    )
    return None


def due_from(hooks: OutboundHooks, dr: DomainRecord, message: Message, now: float) -> float:
    """
    Wall time from which *message*, which is due, may enter the active queue
    (``mailq_insert_active``); what has passed is now.
    """
    answer = hooks.mailq_insert_active.override(lambda provider: provider.mailq_insert_active(dr, message, now))
    return now if answer is None or answer != answer else answer


def schedule_of(hooks: OutboundHooks, message: Message, schedule: RetrySchedule) -> RetrySchedule:
    """
    The schedule of *message*, when ``get_msg_expiration_params`` had a say.
    """
    usual = Expiration(schedule.message_expiration, schedule.retry_interval, schedule.max_retries)
    wanted = hooks.get_msg_expiration_params.fold(
        usual, lambda provider, so_far: provider.get_msg_expiration_params(message, so_far)
    )
    if wanted == usual:
        return schedule
    return replace(
        schedule,
        message_expiration=wanted.message_expiration,
        retry_interval=wanted.retry_interval,
        max_retries=wanted.max_retries,
    )


def next_attempt(hooks: OutboundHooks, message: Message, now: float, when: float) -> float:
    """
    Wall time of the next attempt, when ``ec_message_set_next_attempt`` had a say.
    """
    answer = hooks.ec_message_set_next_attempt.override(
        lambda provider: provider.ec_message_set_next_attempt(message, now, when)
    )
    return when if answer is None or answer != answer else max(answer, now)


def routing_domain(hooks: OutboundHooks, message: Message, domain: str) -> str | None:
    """
    The domain under which ``config_get_message_routing_domain`` wants *message* queued, if
    it wants another.
    """
    answer = hooks.config_get_message_routing_domain.override(
        lambda provider: provider.config_get_message_routing_domain(message, domain)
    )
    if answer is None:
        return None
    try:
        return canonical_domain(answer.encode())
    except ValueError as error:
        _log.error(
            "config_get_message_routing_domain answered {answer!r} for {domain}: {error}",
            answer=answer,
            domain=domain,
            error=error,
        )
        return None


def content_of(hooks: OutboundHooks, message: Message, content: bytes) -> bytes:
    """
    What is sent of *message*, when ``body_modify`` had a say.
    """
    modified = hooks.body_modify.fold(content, lambda provider, so_far: provider.body_modify(message, so_far))
    if modified is content:
        return content
    fault = check_content(modified) if modified else "it is empty"
    if fault is not None:
        _log.error("body_modify made something of {id} that cannot be sent: {fault}", id=message.id, fault=fault)
        return content
    return modified


def next_look(hooks: OutboundHooks, dr: DomainRecord, now: float, wait: float) -> float:
    """
    Seconds until *dr* is looked after, when ``set_delayed_queue_event`` had a say.
    """
    answer = hooks.set_delayed_queue_event.override(
        lambda provider: provider.set_delayed_queue_event(dr, now, now + wait)
    )
    if answer is None or answer != answer:
        return wait
    return min(max(answer - now, 0.0), LONGEST_WAIT)
