"""
Receptions and messages.

One reception has one body and any number of recipients; one message is one
recipient of it (Momentum: ``ec_message``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from zope.interface import implementer

from ..interfaces.records import IMessage, IReception
from ..settings import UNBOUND
from ..stages import Stage

if TYPE_CHECKING:
    from .domain import Connection, DomainRecord


class Traits(NamedTuple):
    """
    What the injector says a message is, each empty for nothing; the names mean
    what the operator wants them to mean.  Mail of equal traits is one *class*.

    :ivar tenant: whose mail it is.
    :ivar campaign: what it was sent for.
    :ivar priority: how urgent it is.
    """

    tenant: str = ""
    campaign: str = ""
    priority: str = ""


#: Those of most mail.
NO_TRAITS: Final = Traits()


@lru_cache(4096)
def traits_of(tenant: str, campaign: str, priority: str) -> Traits:
    """
    The traits of these names.  One object serves all mail of a class, so that a
    million messages do not keep a million copies.
    """
    return Traits(tenant, campaign, priority) if tenant or campaign or priority else NO_TRAITS


@implementer(IReception)
class Reception:
    """
    A received message with all its recipients.  Made by the receiver or by the
    spool at start; lives as long as one of its messages does.
    """

    __slots__ = (
        "batch_id",
        "conn_id",
        "creation_time",
        "eight_bit",
        "expires",
        "key",
        "live",
        "messages",
        "not_before",
        "recv_from",
        "recv_method",
        "sender",
        "share",
        "siblings",
        "size",
        "smtputf8",
        "spool",
        "traits",
        "unfinished",
    )

    def __init__(
        self,
        sender: bytes,
        creation_time: float,
        size: int,
        batch_id: str,
        conn_id: str = "00/00-00000-00000000",
        recv_method: str = "internal",
        recv_from: str = "",
        eight_bit: bool = False,
        smtputf8: bool = False,
        traits: Traits = NO_TRAITS,
        not_before: float = 0.0,
        expires: float = 0.0,
    ) -> None:
        self.sender = sender
        self.creation_time = creation_time
        self.size = size
        self.batch_id = batch_id
        self.conn_id = conn_id
        self.recv_method = recv_method
        self.recv_from = recv_from
        self.eight_bit = eight_bit
        self.smtputf8 = smtputf8
        self.traits = traits
        #: The class by which its mail shares connections: its traits, without those that do not count for that.
        self.share = traits
        self.not_before = not_before
        self.expires = expires
        #: Every message of the reception by index; a finished one is ``None``.
        self.messages: list[Message | None] = []
        #: The messages by domain record, where there is more than one: who may share a transaction.
        self.siblings: dict[DomainRecord, list[Message]] | None = None
        #: Messages not finished yet.
        self.live = 0
        #: The spool's number for the reception; 0 before it has one.
        self.key = 0
        #: The spool's own note of where the reception lies; 0 for nowhere.
        self.spool = 0
        #: Messages whose end is not durable yet; counted by the spool.
        self.unfinished = 0

    @property
    def tenant(self) -> str:
        return self.traits.tenant

    @property
    def campaign(self) -> str:
        return self.traits.campaign

    @property
    def priority(self) -> str:
        return self.traits.priority

    @property
    def began(self) -> float:
        """
        When its life began, wall time: with its reception, or later if it was to wait.
        """
        return max(self.creation_time, self.not_before)

    def add(self, id: str, recipient: bytes) -> Message:
        """
        A new message of the reception, for *recipient*.
        """
        message = Message(id, self, len(self.messages), recipient)
        self.messages.append(message)
        self.live += 1
        return message

    def has(self, message: Message) -> bool:
        """
        Whether *message* is one of this reception and not finished.
        """
        return self.messages[message.index] is message

    def done(self, message: Message) -> None:
        """
        *message* is finished; harmless twice.
        """
        if self.messages[message.index] is not None:
            self.messages[message.index] = None
            self.live -= 1
            if self.live < 2:
                self.siblings = None


@implementer(IMessage)
class Message:
    """
    One message for one recipient.

    A message in delivery is in no queue; one that is queued is in exactly one
    (:mod:`momentum_tx.queues.mail_queue` keeps that).
    """

    __slots__ = (
        "ambiguous",
        "binding_slot",
        "code",
        "connection",
        "domain",
        "id",
        "index",
        "next_attempt",
        "num_retries",
        "place",
        "reception",
        "recipient",
        "stage",
        "transferred",
    )

    def __init__(self, id: str, reception: Reception, index: int, recipient: bytes) -> None:
        self.id = id
        self.reception = reception
        #: Position among the reception's messages.
        self.index = index
        self.recipient = recipient
        self.binding_slot = UNBOUND
        self.domain: DomainRecord | None = None
        self.next_attempt = reception.not_before or reception.creation_time
        self.num_retries = 0
        self.code = b""
        self.stage = Stage.UNKNOWN
        self.ambiguous = 0
        #: The connection of the current or last attempt, for the log; ``None`` if there was none.
        self.connection: Connection | None = None
        #: Octets handed to the peer in the last attempt.
        self.transferred = 0
        #: Ticket of the queue entry; 0 when it is in no queue.
        self.place = 0
