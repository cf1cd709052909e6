"""
Puts messages into the queues of their domain, and tells the spool what of them
need not stay in memory.

Source: Momentum, ``max_resident_active_queue``, ``drop_body_after_trans_fail``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..queues.domain import DomainRecord
from ..queues.message import Message

if TYPE_CHECKING:
    from .facilities import Facilities


class Staging:
    """
    The way into the queues; out of them a message goes by itself.

    :param facilities: the configuration and the spool.
    """

    __slots__ = ("_f",)

    def __init__(self, facilities: Facilities) -> None:
        self._f = facilities

    def insert_active(self, message: Message, dr: DomainRecord) -> None:
        """
        Queue *message* as due; where more than ``max_resident_active_queue``
        are, its turn is far, and nothing of it stays in memory until then.
        """
        f, queue = self._f, dr.mail_queue
        queue.insert_active(message)
        most = f.config.path(message.binding_slot, dr.domain).max_resident_active_queue
        f.spool.queued(message, False, 0 <= most < queue.active_size())

    def insert_delayed(self, message: Message, dr: DomainRecord, unreached: bool = False) -> None:
        """
        Queue *message* until its ``next_attempt``; after as many failures as
        ``drop_body_after_trans_fail`` says nothing of it stays in memory.

        :param unreached: see :meth:`~momentum_tx.queues.mail_queue.MailQueue.insert_delayed`.
        """
        f = self._f
        dr.mail_queue.insert_delayed(message, unreached)
        tries = f.config.path(message.binding_slot, dr.domain).drop_body_after_trans_fail
        f.spool.queued(message, True, message.num_retries >= tries)

    def rest(self, message: Message) -> None:
        """
        Somebody has looked at *message* in its queue, and what was put away is
        back: whoever looks at many says so of each, or all would be in memory.
        """
        dr = message.domain
        if dr is not None:
            self._f.spool.queued(message, not dr.mail_queue.is_active(message), False)
