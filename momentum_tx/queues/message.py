"""
Receptions and messages.

One reception has one body and any number of recipients; one message is one
recipient of it (Momentum: ``ec_message``).
"""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zope.interface import implementer

from ..envelope import NO_TERMS, Notify, Terms, brought_back
from ..interfaces.records import IMessage, IReception
from ..settings import UNBOUND
from ..stages import Stage

if TYPE_CHECKING:
    from .domain import Connection, DomainRecord


#: ``next_attempt`` of a message that waits for nobody but an operator.
HELD: Final = inf
#: ``next_attempt`` of a message found at start that is to be taken for delivered.
ASSUMED: Final = -inf


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
        "key",
        "live",
        "messages",
        "recv_from",
        "recv_method",
        "sender",
        "share",
        "siblings",
        "size",
        "smtputf8",
        "spool",
        "stepped",
        "terms",
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
        terms: Terms = NO_TERMS,
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
        #: What else its envelope says; one object for all that say nothing.
        self.terms = terms
        #: Every message of the reception by index; a finished one is ``None``.
        self.messages: list[Message | None] = []
        # The messages by domain record, where there is more than one: who may share a transaction.  Most domains of
        # most receptions have one message, which is there without a list around it.
        self.siblings: dict[DomainRecord, Message | list[Message]] | None = None
        #: Messages not finished yet.
        self.live = 0
        #: The spool's number for the reception; 0 before it has one.
        self.key = 0
        #: Sum of the steps of the wall clock, seconds, at the moment that *creation_time* is told by.
        self.stepped = 0.0
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
    def not_before(self) -> float:
        return self.terms.not_before

    @property
    def expires(self) -> float:
        return self.terms.expires

    @property
    def envid(self) -> bytes:
        return self.terms.envid

    @property
    def ret(self) -> str:
        return self.terms.ret

    @property
    def require_tls(self) -> bool:
        return self.terms.require_tls

    @property
    def tls_optional(self) -> bool:
        return self.terms.tls_optional

    @property
    def began(self) -> float:
        """
        When its life began, wall time: with its reception, or later if it was to wait.
        """
        return max(self.creation_time, self.not_before)

    def began_by(self, stepped: float) -> float:
        """
        When its life began, by a wall clock that has been set since: as long ago as
        it is by a steady one.  Of a message that had to wait for a time of the wall
        clock that cannot be told, and its life is rather longer than shorter.

        :param stepped: sum of the steps of the wall clock up to now, seconds.
        """
        step = stepped - self.stepped
        if not step:
            return max(self.creation_time, self.terms.not_before)
        return max(self.creation_time + step, self.not_before + max(0.0, step))

    def add(self, id: str, recipient: bytes) -> Message:
        """
        A new message of the reception, for *recipient*.
        """
        message = Message(id, self, len(self.messages), recipient)
        self.messages.append(message)
        self.live += 1
        return message

    def sort_in(self, message: Message) -> None:
        """
        *message* has a domain record: from now on it is a sibling of those that
        have the same.
        """
        if len(self.messages) == 1 or message.domain is None:
            return
        if self.siblings is None:
            self.siblings = {}
        known = self.siblings.setdefault(message.domain, message)
        if isinstance(known, list):
            known.append(message)
        elif known is not message:
            self.siblings[message.domain] = [known, message]

    def sort_out(self, message: Message) -> None:
        """
        *message* leaves its domain record.
        """
        if self.siblings is None or message.domain is None:
            return
        known = self.siblings.get(message.domain)
        if isinstance(known, list):
            known[:] = [sibling for sibling in known if sibling is not message]
        elif known is message:
            del self.siblings[message.domain]

    def siblings_of(self, message: Message) -> Sequence[Message]:
        """
        The messages with the domain record of *message*, itself included, that
        are not finished.
        """
        known = self.siblings.get(message.domain) if self.siblings and message.domain else None
        if not isinstance(known, list):
            return (message,)
        # Those that have ended must not be held for the sake of one that waits for days.
        known[:] = [sibling for sibling in known if self.has(sibling)]
        return known

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
            if self.live < 2 and self.siblings is not None:
                self.siblings = None


def _put_away(reception: Reception, index: int) -> tuple[Any, ...]:
    """
    All of a reception, as plain values, but for the ways to its messages, its
    share, and the terms of others than its last message.

    :param index: of that one.
    """
    return (
        reception.batch_id,
        reception.conn_id,
        reception.creation_time,
        reception.eight_bit,
        reception.key,
        len(reception.messages),
        reception.recv_from,
        reception.recv_method,
        reception.sender,
        reception.size,
        reception.smtputf8,
        reception.spool,
        reception.stepped,
        None if reception.traits is NO_TRAITS else tuple(reception.traits),
        None if reception.terms is NO_TERMS else reception.terms.put_away(index),
    )


def _brought_back(values: tuple[Any, ...], share: Traits, message: Message) -> Reception:
    """
    The reception again, of which only *message* is not finished.
    """
    reception = Reception.__new__(Reception)
    (
        reception.batch_id,
        reception.conn_id,
        reception.creation_time,
        reception.eight_bit,
        reception.key,
        count,
        reception.recv_from,
        reception.recv_method,
        reception.sender,
        reception.size,
        reception.smtputf8,
        reception.spool,
        reception.stepped,
        traits,
        terms,
    ) = values
    reception.terms = NO_TERMS if terms is None else brought_back(terms)
    reception.traits = NO_TRAITS if traits is None else traits_of(*traits)
    reception.messages = [message] if count == 1 else [message if n == message.index else None for n in range(count)]
    reception.share = share
    reception.live = reception.unfinished = 1
    reception.siblings = None
    return reception


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

    @property
    def share(self) -> Traits:
        """
        The class by which it shares connections: its reception's.
        """
        return self.reception.share

    @property
    def notify(self) -> Notify:
        return self.reception.terms.of(self.index).notify

    @property
    def orcpt(self) -> bytes:
        return self.reception.terms.of(self.index).orcpt

    @property
    def relayed(self) -> bool:
        """
        Whether its sender, who wants to be told of its delivery, has to be told by
        us: the peer knows nothing of that (RFC 3461 5.2.2).
        """
        connection = self.connection
        return connection is not None and not connection.dsn and bool(self.notify & Notify.SUCCESS)

    def pack(self) -> bool:
        """
        Put away, in one octet string, all that the queues do not look at: id,
        recipient, code, and of its last message the reception.  Whoever reads
        or writes any of these has them back at once.

        Costs a few microseconds, and another few on the way back.  It saves
        more than half of the memory of a message that waits: an object and its
        place in another one take some fifty octets more than what it says.
        The reception is another object afterwards, so that nobody may keep
        one for longer than a message is in delivery.

        :returns: whether the reception was put away too.
        """
        reception = self.reception
        # What still waits for the disk counts the ends of the messages there were, on the object that there is.
        alone = reception.live == 1 and reception.unfinished == 1 and reception.has(self)
        kept = _put_away(reception, self.index) if alone else None
        octets = bytes(memoryview(marshal.dumps((self.id, self.recipient, self.code, kept))))
        del self.id, self.recipient, self.code
        if alone:
            del self.reception
        _octets.__set__(self, octets)
        _share.__set__(self, reception.share)
        self.__class__ = Packed
        return alone


#: Where a packed message has what it has put away, and its share, which the queues look at: no fields of their
#: own, since a million messages would have to have them.
_octets: Final[Any] = vars(Message)["id"]
_share: Final[Any] = vars(Message)["recipient"]


def _cold(name: str) -> Any:
    def get(packed: Packed) -> Any:
        packed.unpack()
        return getattr(packed, name)

    def set(packed: Packed, value: Any) -> None:
        packed.unpack()
        setattr(packed, name, value)

    return property(get, set)


class Packed(Message):
    """
    A message that is packed (:meth:`Message.pack`); it becomes an ordinary one
    when it is asked for what it lacks.  Only such messages pay for that.
    """

    __slots__ = ()

    id = _cold("id")
    recipient = _cold("recipient")
    code = _cold("code")
    reception = _cold("reception")

    @property
    def share(self) -> Traits:
        """
        See :attr:`Message.share`.
        """
        share: Traits = _share.__get__(self)
        return share

    def pack(self) -> bool:
        """
        It is packed already.
        """
        return False

    def unpack(self) -> None:
        """
        Become an ordinary message again.
        """
        share = self.share
        id, recipient, code, kept = marshal.loads(_octets.__get__(self))
        # Mypy knows of no object that changes its class; the two have the same fields.
        self.__class__ = Message  # type: ignore[assignment]
        self.id = id
        self.recipient = recipient
        self.code = code
        if kept is not None:
            self.reception = _brought_back(kept, share, self)
