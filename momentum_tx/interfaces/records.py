"""
What hooks and embedders may see of the records of delivery.

Read them, do not write them: whatever counts is kept by methods.  Field names
are Momentum's (pages of ``ec_message``, ``domain_record``, ``mail_queue``,
``connection_handle``, ``connection``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface

from ..envelope import Notify

if TYPE_CHECKING:
    from .seams import ITLSFacts


class IReception(Interface):
    """
    One received message with all its recipients; the body is shared.

    A message that waits may be given another object of the same content, so
    that nobody keeps one: know a reception by its ``batch_id``.
    """

    sender: bytes = Attribute("Reverse path without angle brackets; empty is the null sender.")
    conn_id: str = Attribute("Id of the inbound connection; all zero for in-process submissions.")
    batch_id: str = Attribute("Id shared by all messages of the reception.")
    creation_time: float = Attribute("Wall time of the reception, epoch seconds.")
    size: int = Attribute("Octets of the message, trace header included.")
    recv_method: str = Attribute("``esmtp``, ``smtp`` or ``internal``.")
    recv_from: str = Attribute("Address of the injecting client.")
    tenant: str = Attribute("Whose mail it is, as the injector says; empty if that was not said.")
    campaign: str = Attribute("What it was sent for; empty if that was not said.")
    priority: str = Attribute("How urgent it is, a name of the operator's; empty if that was not said.")
    not_before: float = Attribute("Wall time before which it is not attempted; 0 if it need not wait.")
    expires: float = Attribute("Wall time at which its life ends; 0 if ``message_expiration`` says.")
    envid: bytes = Attribute("The sender's own name for it, for reports (ENVID, decoded); empty if there is none.")
    ret: str = Attribute("``FULL`` or ``HDRS``: what of it a report is to hold (RET); empty if that was not said.")
    require_tls: bool = Attribute("Whether it goes only where TLS is authenticated, and goes on being so (RFC 8689).")
    tls_optional: bool = Attribute(
        "Whether its sender would rather have it arrive than be safe (``TLS-Required: No``)."
    )


class IMessage(Interface):
    """
    One message for one recipient (Momentum: ``ec_message``).
    """

    id: str = Attribute("Message id, ``cc/cc-PPPPP-SSSSSSSS``.")
    reception: IReception = Attribute("The reception it came with.")
    recipient: bytes = Attribute("Forward path without angle brackets.")
    binding_slot: int = Attribute("Slot of its binding.")
    domain: object = Attribute("Its :class:`IDomainRecord`, or ``None`` before routing.")
    next_attempt: float = Attribute("Wall time of the next attempt.")
    num_retries: int = Attribute("Attempts that failed so far; 0 on the first.")
    code: bytes = Attribute("Last status text, reply or ``[internal]``; empty before the first attempt.")
    stage: int = Attribute("Stage of the last failure.")
    ambiguous: int = Attribute("Attempts whose final reply was never read.")
    connection: IConnection | None = Attribute(
        "The :class:`IConnection` of the attempt under way or just ended; ``None`` if there was none."
    )
    transferred: int = Attribute("Octets of the message handed to the peer in that attempt.")
    notify: Notify = Attribute(
        "What the sender wants to be told of this recipient, a :class:`~momentum_tx.envelope.Notify`; zero if that "
        "was not said (NOTIFY)."
    )
    orcpt: bytes = Attribute(
        "The recipient as the sender wrote it, ``rfc822;bob@example.com``, nothing encoded; empty if that was not "
        "said (ORCPT)."
    )
    relayed: bool = Attribute(
        "Once delivered: whether the sender wants to be told of that, and the peer has not been told so, because it "
        "offers no DSN: then the report, ``relayed``, is ours to write."
    )


class IMailQueue(Interface):
    """
    The queues of one domain (Momentum: ``mail_queue``).
    """

    def active_size(slot: int | None = None) -> int:
        """
        Messages due now.

        :param slot: count those of one binding slot; ``None`` counts all.
        """

    def delayed_size() -> int:
        """
        Messages waiting for their time, all bindings.
        """

    def size() -> int:
        """
        Active and delayed.
        """


class IDomainRecord(Interface):
    """
    All that is known of one routing domain (Momentum: ``domain_record``).
    """

    domain: str = Attribute("Name, lower case, A-labels.")
    mail_queue: IMailQueue = Attribute("Its queues.")
    last_delivery: float = Attribute("Wall time of the last delivery; 0 before the first.")
    deliveries: int = Attribute("Messages delivered since the record was made.")
    attempts: int = Attribute("Messages attempted since.")
    transients: int = Attribute("Transient failures since.")
    failures: int = Attribute("Permanent failures since.")
    dns_failures: int = Attribute("Failed look-ups in a row.")

    def connection_count(slot: int) -> int:
        """
        Connections of one binding slot open or being opened.

        :param slot: the slot.
        """


class ITranscript(Interface):
    """
    What was said on a connection: its opening and the transaction it is in.
    """

    def lines() -> list[str]:
        """
        What is kept, one line of the dialogue each: seconds since the beginning,
        ``>`` for us, ``<`` for the peer, ``*`` for what happened, and the words,
        escaped.  Content and secrets are left out; of long dialogues the middle.
        """


class IConnection(Interface):
    """
    One TCP connection (Momentum: ``connection``).
    """

    in_use: int = Attribute("0 idle, negative while connecting, positive in use.")
    conn_id: str = Attribute("Id of the connection, as in the logs; empty before it is established.")
    host_name: str = Attribute("Name of the mail exchanger.")
    address: str = Attribute("Numeric address connected to.")
    port: int = Attribute("Port connected to.")
    deliveries: int = Attribute("Deliveries made on it.")
    recipients: int = Attribute("RCPT TO commands issued on it.")
    esmtp: bool = Attribute("Whether the peer accepted EHLO.")
    dsn: bool = Attribute("Whether the peer was told what reports are wanted (RFC 3461): it offers DSN and took it.")
    tls: ITLSFacts | None = Attribute(
        "What TLS was negotiated and how far it was verified, an :class:`~momentum_tx.interfaces.seams.ITLSFacts`; "
        "``None`` in clear."
    )
    stream: object = Attribute(
        "The established connection, an :class:`~momentum_tx.interfaces.seams.IConnectedStream`, for its opener to "
        "take and start a protocol on; ``None`` before, and once a session has it."
    )
    transcript: ITranscript | None = Attribute(
        "What was said on it, an :class:`ITranscript`; ``None`` before a mail session has it."
    )

    def fileno() -> int:
        """
        Descriptor number, or -1 when closed.
        """


class IConnectionHandle(Interface):
    """
    A connection together with what it is for (Momentum: ``connection_handle``).
    """

    dr: IDomainRecord = Attribute("The domain record the connection is for.")
    host: object = Attribute("Host record of the mail exchanger chosen; ``None`` before one was.")
    binding_slot: int = Attribute("Slot it leaves from.")
    user_data: object = Attribute("What the caller of ``initiate_connection`` gave.")
    connection: IConnection = Attribute("The connection.")
    error: int = Attribute("0, or the full word the attempt ended with.")
    tries: list[Any] = Attribute("Every address tried, oldest first, with error, start and end.")

    def close() -> None:
        """
        Give the place back that the connection takes up in every limit.

        A running attempt is cancelled without any callback or hook; a
        connection no protocol has taken over is closed; one that a protocol
        has is the protocol's to close.  Harmless twice.
        """


class IClientSession(Interface):
    """
    A mail session, as whoever puts words into it may see it.
    """

    handle: IConnectionHandle = Attribute("The connection and what it is for; ``handle.dr`` is the domain.")
    extensions: Any = Attribute(
        "What the peer offers, a :class:`~momentum_tx.smtp.extensions.Extensions`; nothing before EHLO."
    )
    encrypted: bool = Attribute("Whether TLS is in use.")
    message: IMessage | None = Attribute("The message that is about to be sent; ``None`` while the session opens.")


class ICommandArguments(Interface):
    """
    What follows a command, in its order; names in any case of letters.
    """

    def add(name: bytes, value: bytes | None = None) -> None:
        """
        Say *name* too, or with another value.

        :param name: the keyword.
        :param value: already encoded, as xtext where the extension wants that; ``None``
            says the name alone.
        :raises ValueError: it cannot be said.
        """

    def delete(name: bytes) -> None:
        """
        Do not say *name*; harmless if nobody would.

        :param name: the keyword.
        """

    def fetch(name: bytes) -> bytes | None:
        """
        The value of *name*; ``None`` if it has none, or is not there.

        :param name: the keyword.
        """

    def __contains__(name: bytes) -> bool:
        """
        Whether *name* would be said.

        :param name: the keyword.
        """
