"""
Contracts between the floors: resolver, spool, configuration, reception, and
the connection functions themselves.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from zope.interface import Attribute, Interface

from ..envelope import NO_TERMS, Terms

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from ..flags import ConnFlag
    from ..settings import Binding, DKIMSignature, DomainSettings, GlobalSettings, HostSettings, PathSettings
    from ..settings.limits import HostLimits, PathLimits
    from .records import IConnectionHandle, IDomainRecord


class MXKind(enum.Enum):
    """
    What DNS says about a domain's mail exchangers.
    """

    #: There are MX records.
    RECORDS = "records"
    #: The only MX record is the null MX (RFC 7505).
    NULL = "null"
    #: The name exists and has no MX record: its own address counts (RFC 5321 5.1).
    NONE = "none"
    #: The name does not exist.
    NXDOMAIN = "nxdomain"


@dataclass(frozen=True, slots=True)
class MXAnswer:
    """
    :ivar kind: see :class:`MXKind`.
    :ivar records: (preference, host name) in ascending preference, order within
        one preference as received; names lower case without final dot.
    :ivar ttl: seconds the answer may be kept, before ``min_dns_ttl`` and ``max_dns_ttl``.
    :ivar secure: whether it was validated by DNSSEC, all aliases included, and whoever
        says so is believed (option ``trust_ad``).
    """

    kind: MXKind
    records: tuple[tuple[int, str], ...]
    ttl: int
    secure: bool = False


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """
    :ivar addresses: numeric addresses, IPv4 first, as received; empty when there are none.
    :ivar ttl: seconds the answer may be kept.
    :ivar secure: as in :class:`MXAnswer`, for every family that has addresses.
    :ivar canonical: the name that has them, if the one asked for is an alias; else empty.
    """

    addresses: tuple[str, ...]
    ttl: int
    secure: bool = False
    canonical: str = ""


class TLSARecord(NamedTuple):
    """
    One TLSA record (RFC 6698 section 2.1), whatever its numbers mean.
    """

    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TLSAAnswer:
    """
    :ivar records: as received; empty when there are none.
    :ivar ttl: seconds the answer may be kept.
    :ivar secure: as in :class:`MXAnswer`.
    """

    records: tuple[TLSARecord, ...]
    ttl: int
    secure: bool = False


@dataclass(frozen=True, slots=True)
class TXTAnswer:
    """
    :ivar records: the text of each record; empty when there are none.
    :ivar ttl: seconds the answer may be kept.
    :ivar links: how many aliases led to them.
    """

    records: tuple[bytes, ...]
    ttl: int
    links: int = 0


@dataclass(frozen=True, slots=True)
class AliasAnswer:
    """
    :ivar target: what the name stands for; empty if it is no alias.
    :ivar ttl: seconds the answer may be kept.
    :ivar secure: as in :class:`MXAnswer`, for this one link.
    """

    target: str
    ttl: int
    secure: bool = False


class IResolver(Interface):
    """
    Asks DNS.  Equal questions that are under way are asked once; answers are
    kept for their TTL.
    """

    def lookup_mx(domain: str) -> Deferred[MXAnswer]:
        """
        The mail exchangers of a domain.

        CNAME chains are followed.  A null MX beside others is dropped.

        :param domain: its name in lower case, A-labels, without final dot.
        :returns: fires with :class:`MXAnswer`, possibly at once; fails with
            :class:`~momentum_tx.errors.LookupFailed` when no answer can be
            relied on.  Cancelling stops waiting; others who asked are not hurt.
        """

    def lookup_addresses(host: str, ipv6: bool) -> Deferred[AddressAnswer]:
        """
        The addresses of a host.

        One family failing while the other has addresses is no failure.

        :param host: its name, in the form of :meth:`lookup_mx`.
        :param ipv6: whether AAAA records are asked for besides A records.
        :returns: as :meth:`lookup_mx`, with :class:`AddressAnswer`.
        """

    def lookup_tlsa(name: str) -> Deferred[TLSAAnswer]:
        """
        The TLSA records of a name, such as ``_25._tcp.mx.example.com``.

        A failure is not "there are none": who sends mail must wait then (RFC 7672
        section 2.1.2).

        :param name: in the form of :meth:`lookup_mx`.
        :returns: as :meth:`lookup_mx`, with :class:`TLSAAnswer`.
        """

    def lookup_txt(name: str) -> Deferred[TXTAnswer]:
        """
        The texts of a name.

        :param name: in the form of :meth:`lookup_mx`.
        :returns: as :meth:`lookup_mx`, with :class:`TXTAnswer`.
        """

    def lookup_alias(name: str) -> Deferred[AliasAnswer]:
        """
        What a name stands for (CNAME); nothing is followed.

        :param name: in the form of :meth:`lookup_mx`.
        :returns: as :meth:`lookup_mx`, with :class:`AliasAnswer`.
        """

    def close() -> None:
        """
        Stop: everything under way fails with ``LookupFailed``.
        """


class ISigners(Interface):
    """
    Whose mail is signed, and with what.  True when there is anybody.
    """

    def signatures(domain: str) -> tuple[DKIMSignature, ...]:
        """
        The DKIM signatures of mail whose author is of a domain: those of the first
        ``[dkim]`` table that is about it, the exact name before the regexes.

        :param domain: the domain of the From field.
        """

    def keyfiles() -> dict[str, str]:
        """
        Every file of a private key, and ``file:line`` of the first place it was written at.
        """


class IConfiguration(Interface):
    """
    One settled generation of the configuration.
    """

    generation: int = Attribute("Counts up with every reload; sessions finish on theirs.")
    global_settings: GlobalSettings = Attribute("Options of the whole service.")
    bindings: tuple[Binding, ...] = Attribute("Index is the slot; 0 is ``default``.")
    secrets: Mapping[str, str] = Attribute("What files with secrets hold, by the path that was written.")
    groups: dict[str, tuple[int, ...]] = Attribute("Slots of each binding group, in file order.")
    signers: ISigners = Attribute("Whose mail is signed.")
    tls_files: Mapping[str, bytes] = Attribute(
        "What the files hold that options about TLS name, by path as it is written; by the empty name, the issuers "
        "this system trusts, where they are needed."
    )

    def path(slot: int, domain: str) -> PathSettings:
        """
        Options for one (binding, domain) pair; the same object each time.

        :param slot: slot of the binding.
        :param domain: name of the routing domain.
        """

    def limits(slot: int, domain: str) -> PathLimits:
        """
        What one (binding, domain) pair is held to together with others; the same
        object each time, and an equal :class:`~momentum_tx.settings.limits.Throttle`
        for all that share it.

        :param slot: slot of the binding.
        :param domain: name of the routing domain.
        """

    def host_limits(slot: int, host: str) -> HostLimits:
        """
        What a mail exchanger is held to, besides the domain; the same object each time.

        :param slot: slot of the binding that would connect to it.
        :param host: its name.
        """

    def domain(domain: str) -> DomainSettings:
        """
        Options of one domain on every binding; the same object each time.

        :param domain: name of the routing domain.
        """

    def host(host: str) -> HostSettings:
        """
        Options of one mail exchanger; the same object each time.

        :param host: its name.
        """

    def written(option: str) -> bool:
        """
        Whether any table has *option*: what nobody uses need not be looked up
        for each message.

        :param option: its name.
        """

    def shares_queue(domain: str) -> bool:
        """
        Whether mail of *domain* may be queued with that of other domains that have
        the same exchangers.

        :param domain: its name.
        """

    def values(option: str) -> frozenset[object]:
        """
        What *option* is set to anywhere.

        :param option: its name.
        """

    def binding_slot(name: str) -> int | None:
        """
        Slot of a binding, or ``None`` if there is none of that name.

        :param name: as configured.
        """


class ISpool(Interface):
    """
    Where messages outlive the process.

    A *reception* is a :class:`~momentum_tx.queues.message.Reception`: one body
    and one envelope with all recipients.  Recipients are named by their index.
    """

    def start(found: Callable[[Sequence[Any]], object], taking: Callable[[], object] | None = None) -> Deferred[int]:
        """
        Open, recover what is there, and hand it over in batches.  What is handed over may be
        delivered at once, while the rest is still being read.

        :param found: called with lists of live messages
            (:class:`~momentum_tx.queues.message.Message`, their ``num_retries``,
            ``next_attempt``, ``code``, ``stage`` and ``ambiguous`` restored).  Of a message that
            waits for an operator ``next_attempt`` is :data:`~momentum_tx.queues.message.HELD`, and of one
            that was under way and is to be taken for delivered
            :data:`~momentum_tx.queues.message.ASSUMED`.
        :param taking: called once when receptions are taken, the youngest of the old mail has been handed
            over, and the rest may not have been.
        :returns: fires with the number of messages found when all are handed
            over; fails with :class:`~momentum_tx.errors.StartupError`.
        """

    def receive(reception: Any, body: bytes, ends: Sequence[Any] = ()) -> Deferred[None]:
        """
        Keep a reception.  Sets ``reception.key``.

        With *ends* the same record is the end of these messages for every later start: there is
        either the reception and none of them, or all of them and no reception.  In this life they
        stay until :meth:`failed` is called for each, in the turn in which the answer fires.

        :param reception: with all its messages.
        :param body: the message, CRLF line ends, dots not doubled.
        :param ends: messages of other receptions, which have failed for ever, and which it reports on.
        :returns: fires when body and envelope survive a power cut; fails with
            :class:`~momentum_tx.errors.SpoolError` when they were not kept and
            never will be.
        """

    def body(reception: Any) -> bytes | Deferred[bytes]:
        """
        The message as it was received: itself when it is in memory, else a
        Deferred that fails with :class:`~momentum_tx.errors.SpoolError` when
        it cannot be read (the message must be kept).

        :param reception: one with live messages.
        """

    def queued(message: Any, waits: bool, let_go: bool) -> None:
        """
        A message was put into a queue: what of it stays in memory is decided
        here from now on.

        :param message: one that is in a queue.
        :param waits: it waits for its time, so that its body leaves memory
            before that of mail that is due.
        :param let_go: its body need not stay at all.
        """

    def intent(messages: Sequence[Any], then: Callable[[Exception | None], object], lost_reply: Any = ...) -> None:
        """
        Record that a final dot is about to leave.

        :param messages: the messages of the transaction.
        :param then: called in a later turn of the reactor with ``None`` once
            the record is in the kernel's hands (it survives kill -9), or with
            the error if it could not be written: then no dot may be sent.
        :param lost_reply: what becomes of the messages if no outcome follows
            (:class:`~momentum_tx.policy.lost_reply.LostReply`); unless that is ``RETRY``,
            which is the default, *then* is called when the record survives a power cut.
        """

    def delivered(message: Any, note: bytes, synced: Callable[[], object] | None = None) -> None:
        """
        The message is done: the peer has it.

        :param message: one with a recipient the peer accepted.
        :param note: the peer's reply.
        :param synced: called when the record survives a power cut.
        """

    def failed(message: Any, note: bytes, synced: Callable[[], object] | None = None) -> None:
        """
        The message is done: it failed for ever.

        :param message: one that is given up.
        :param note: why, as it is logged.
        :param synced: called when the record survives a power cut.
        """

    def requeued(message: Any) -> None:
        """
        Keep the message's ``num_retries``, ``next_attempt``, ``code``, ``stage``
        and ``ambiguous``; an intent before this is settled by it.

        :param message: one that will be tried again, or that waits for an operator.
        """

    def flush() -> Deferred[None]:
        """
        Fires when everything recorded so far survives a power cut.
        """

    def stop() -> Deferred[None]:
        """
        :meth:`flush`, then close and unlock.
        """

    def healthy() -> bool:
        """
        Whether receptions are taken at the moment.
        """

    def writable() -> bool:
        """
        Whether intents and outcomes are recorded at the moment; while not,
        nothing may be delivered.  A disk that is full takes no receptions, and
        is writable as long as there is space held back.
        """


# A tuple: one of these is made for every message, and a frozen dataclass of as many fields takes four times as long.
class Submission(NamedTuple):
    """
    A message at the door.

    :ivar sender: reverse path without brackets, empty for the null sender.
    :ivar recipients: forward paths without brackets, syntax already checked.
    :ivar content: the message, CRLF line ends only, dots not doubled.
    :ivar eight_bit: declared or found to hold octets above 127.
    :ivar smtputf8: whether the sender asked for SMTPUTF8, or in process needs it.
    :ivar recv_method: ``esmtp``, ``smtp`` or ``internal``.
    :ivar recv_from: client address; empty in process.
    :ivar helo: name the client gave; empty in process.
    :ivar conn_id: id of the inbound connection.
    :ivar trusted: whether X-Binding fields and their like are obeyed (and removed).
    :ivar binding: name of the binding it is to leave from; empty for none named.
    :ivar binding_group: name of a group to choose one from; *binding* decides if both are there.
    :ivar tenant: whose mail it is; empty for none, as the next two.
    :ivar campaign: what it was sent for.
    :ivar priority: how urgent it is.
    :ivar not_before: wall time before which it is not attempted; 0 for now.
    :ivar expires: wall time at which its life ends; 0 if ``message_expiration`` says.
    :ivar terms: what else the envelope says; its times are not looked at.
    """

    sender: bytes
    recipients: tuple[bytes, ...]
    content: bytes
    eight_bit: bool = False
    smtputf8: bool = False
    recv_method: str = "internal"
    recv_from: str = ""
    helo: str = ""
    conn_id: str = "00/00-00000-00000000"
    trusted: bool = True
    binding: str = ""
    binding_group: str = ""
    tenant: str = ""
    campaign: str = ""
    priority: str = ""
    not_before: float = 0.0
    expires: float = 0.0
    terms: Terms = NO_TERMS


class IReceiver(Interface):
    """
    Takes responsibility for messages.
    """

    def receive(submission: Submission) -> Deferred[str]:
        """
        Take a message over, or refuse it.

        :param submission: the message and its envelope.
        :returns: fires with the batch id once the message is durable; fails
            with :class:`~momentum_tx.errors.MessageRefused` (code and text for
            the client) when it was not taken.
        """

    def refusal() -> tuple[int, str] | None:
        """
        Why no mail is taken at the moment, as code and text, or ``None``.
        """

    def recipient_refusal(recipient: bytes, trusted: bool) -> tuple[int, str] | None:
        """
        Why no mail is taken for a recipient, whoever it is from, as code and
        text, or ``None``.

        :param recipient: the address, syntax already checked.
        :param trusted: whether its client may choose a binding.
        """


class INotifier(Interface):
    """
    Tells senders what becomes of their mail.
    """

    def failed(message: Any, note: bytes, now: float, end: Callable[[], object]) -> bool:
        """
        A message failed for ever; everybody else has been told.

        :param message: the message; it is in no queue.
        :param note: why.
        :param now: wall time.
        :param end: called when the report is durable, or when it has turned out that there
            is none; then the message is done.
        :returns: whether *end* will be called, or the message is to stay in the spool because the
            service stops; if not there is no report, and the message is done at once.
        """

    def delivered(message: Any, note: bytes, now: float) -> None:
        """
        A message was delivered whose sender wants to be told so, and whose peer will not
        (``message.relayed``); it is done.

        :param message: the message.
        :param note: the peer's reply.
        :param now: wall time.
        """


class IConnectionInitiator(Interface):
    """
    The connection functions of Momentum's chapter "Connection-related
    Functions" on one service.
    """

    def initiate_connection(
        dr: IDomainRecord,
        binding: int,
        now: float | None,
        finish_connect_func: Callable[[Any, ConnFlag, float], object],
        timeout_func: Callable[[Any, float], object],
        user_data: object = None,
    ) -> IConnectionHandle:
        """
        Begin one connection attempt (see
        :func:`momentum_tx.delivery.initiate.initiate_connection`).
        """

    def initiate_connection_smtp(dr: IDomainRecord, binding: int, now: float | None) -> ConnFlag:
        """
        Begin one attempt for mail, and do what its failure obliges to (see
        :func:`momentum_tx.delivery.initiate_smtp.initiate_connection_smtp`).
        """
