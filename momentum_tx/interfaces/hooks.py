"""
The hook contracts, one method each, under Momentum's names.

What holds for all of them: providers run in the reactor's thread, one at a time,
where Momentum promises no thread at all; whoever blocks there blocks the mail.
Times are wall time, seconds since 1970; where Momentum takes a NULL time, ``now``
may be ``None``.  A C provider's ``closure`` is ``self`` here, and a text knows its
length, so that neither is an argument.  What happens while a provider runs is
told to others when it has returned.  How the answers of several providers make
one is the hook's *shape*: see :mod:`momentum_tx.hooks.points`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zope.interface import Interface

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Sequence

    from twisted.internet.address import IPv4Address, IPv6Address
    from twisted.internet.defer import Deferred

    from ..flags import ConnFlag
    from ..policy.credentials import Credentials
    from ..policy.tls import TLSParameters
    from ..settings import DKIMSignature
    from ..stages import Stage
    from .records import IClientSession, ICommandArguments, IConnectionHandle, IDomainRecord, IMessage, IReception
    from .seams import ITLSFacts


class ILogClientConnectionFailure(Interface):
    """
    Hook: an outbound connection attempt has failed.  Shape: *notice*.

    Source: Momentum, hook ``log_client_connection_failure``.
    """

    def log_client_connection_failure(
        addr: IPv4Address | IPv6Address | None,
        err: ConnFlag,
        dr: IDomainRecord,
        binding_slot: int,
        now: float | None,
    ) -> None:
        """
        Told once per failed attempt, before its caller learns of the end; also
        when ``initiate_connection`` returned no handle.  A cancelled attempt is
        not a failed one.

        :param addr: the address whose failure ended the attempt, with the
            port; ``None`` if none was chosen.
        :param err: the full word, obligations included.
        :param dr: the domain record.
        :param binding_slot: the slot the connection was to leave from.
        :param now: wall time, or ``None``.
        """


class ILogClientConnectionSuccess(Interface):
    """
    Hook: an outbound connection is established.  Shape: *notice*.

    Source: Momentum, hook ``log_client_connection_success``.
    """

    def log_client_connection_success(
        addr: IPv4Address | IPv6Address,
        dr: IDomainRecord,
        binding_slot: int,
        now: float | None,
    ) -> None:
        """
        Told once per attempt that succeeded, before its caller learns of it;
        refusals of other addresses on the way are in the handle's ``tries``.

        :param addr: the peer, with the port.
        :param dr: the domain record.
        :param binding_slot: the slot the connection leaves from.
        :param now: wall time, or ``None``.
        """


class ILogAttemptV1(Interface):
    """
    Hook: a session is about to deliver a message.  Shape: *notice*.

    For debugging: every attempt ends in one of the three others
    (:class:`ILogDeliveryV1`, :class:`ILogTransientFailureV1`,
    :class:`ILogPermanentFailureV1`), so that production has no need of it.

    Source: Momentum, hook ``log_attempt_v1``.
    """

    def log_attempt_v1(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes) -> None:
        """
        Told per message, when a session takes it.

        :param msg: the message.
        :param dr: the domain record it is queued under.
        :param now: wall time, or ``None``.
        :param note: the message's current code text; on a first attempt the
            host that is tried.
        """


class ILogDeliveryV1(Interface):
    """
    Hook: a message was delivered.  Shape: *notice*.

    Source: Momentum, hook ``log_delivery_v1``.
    """

    def log_delivery_v1(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        Told when the peer's reply has been read.

        :param msg: the message.
        :param dr: the domain record.
        :param now: wall time, or ``None``.
        :param note: the peer's reply; ``None`` means ``msg.code``.
        """


class ILogTransientFailureV1(Interface):
    """
    Hook: an attempt failed for now.  Shape: *notice*.

    Source: Momentum, hook ``log_transient_failure_v1``.
    """

    def log_transient_failure_v1(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        Told before the message is requeued.

        :param msg: the message; ``msg.stage`` says where it failed.
        :param dr: the domain record.
        :param now: wall time, or ``None``.
        :param note: reply or ``[internal]`` text; ``None`` means ``msg.code``.
        """


class ILogPermanentFailureV1(Interface):
    """
    Hook: a message failed for ever.  Shape: *notice*.

    Source: Momentum, hook ``log_permanent_failure_v1``.
    """

    def log_permanent_failure_v1(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        Told once per message that is given up.

        :param msg: the message; ``msg.stage`` says where it failed.
        :param dr: the domain record.
        :param now: wall time, or ``None``.
        :param note: reply or ``[internal]`` text; ``None`` means ``msg.code``.
        """


class ILogReceptionV1(Interface):
    """
    Hook: a message was received and is durable.  Shape: *notice*.

    Source: Momentum, hook ``log_reception_v1``.
    """

    def log_reception_v1(ac: IReception, msg: IMessage, now: float | None, note: bytes | None) -> None:
        """
        Told once per recipient, after the sync and before the injector's 250.

        :param ac: the reception: who sent it, from where, how (in Momentum the
            accept construct).
        :param msg: the message.
        :param now: wall time, or ``None``.
        :param note: always ``None`` so far.
        """


class ILogRejection(Interface):
    """
    Hook: something an injecting client asked for was refused.  Shape: *notice*.

    Source: Momentum, hook ``log_rejection``.
    """

    def log_rejection(
        now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        """
        Told once per refusal.

        :param now: wall time, or ``None``.
        :param ac: the inbound session, with ``conn_id`` and ``peer``.
        :param ctx: what is known: ``code`` of the reply, and ``command``, the
            line that was refused, empty if it was none.
        :param phase: one of Momentum's ``MC_STATE_*`` numbers.
        :param format: text with ``%``-formatting.
        :param args: values for *format*.
        """


class ILogReopen(Interface):
    """
    Hook: log files were moved away; open them anew.  Shape: *notice*.

    Source: Momentum, hook ``log_reopen``.
    """

    def log_reopen() -> None:
        """
        Told on SIGHUP, before any reload, and on the operator's word.
        """


class IConnectionPostBind(Interface):
    """
    Hook: a socket is bound and about to connect.  Shape: *veto*.

    Source: Momentum, hook ``connection_post_bind``.
    """

    def connection_post_bind(dr: IDomainRecord, binding_slot: int, fd: int, addr: IPv4Address | IPv6Address) -> bool:
        """
        Asked once per address tried.  The descriptor's own port is 0 at this
        moment: the kernel chooses it at connect.

        :param dr: the domain record.
        :param binding_slot: the slot.
        :param fd: the descriptor, for socket options; do not close or read it.
        :param addr: where it will connect to.
        :returns: true aborts the whole attempt as ``ERROR_BIND`` (Momentum:
            non-zero); false lets it go on.
        """


class IPostInitiateConnectionSmtp(Interface):
    """
    Hook: a connection for mail was initiated, or was not.  Shape: *notice*.

    Source: Momentum, hook ``post_initiate_connection_smtp``.
    """

    def post_initiate_connection_smtp(dr: IDomainRecord, binding_slot: int, now: float | None, conn_fd: int) -> None:
        """
        Told at the end of every ``initiate_connection_smtp``.

        :param dr: the domain record.
        :param binding_slot: the slot.
        :param now: wall time, or ``None``.
        :param conn_fd: descriptor of the connection that is being opened, zero
            or more; or the negative of the bare error word
            (``ConnFlag(-conn_fd)``).
        """


class IConnectionGoal(Interface):
    """
    Hook: how many connections should a domain have?  Shape: *fold*.

    Source: Momentum, hook ``connection_goal``; the built-in calculation is
    :func:`momentum_tx.policy.goal.default_connection_goal`.
    """

    def connection_goal(dr: IDomainRecord, binding_slot: int, queued: int, goal: int) -> int:
        """
        Asked by the maintainer for every binding that has active mail.

        :param dr: the domain record.
        :param binding_slot: the slot.
        :param queued: messages in the active queue of the slot.
        :param goal: the built-in goal, or what the provider before answered.
        :returns: connections wanted in *all*, those open included.  Limits
            hold whatever is answered.
        """


class IVetoHostConnection(Interface):
    """
    Hook: is this host to be left out of an attempt?  Shape: *veto*.

    Source: Momentum, hook ``veto_host_connection``.
    """

    def veto_host_connection(host: str, dr: IDomainRecord, binding_slot: int, max_conns: int, cur_conns: int) -> bool:
        """
        Asked for a host before its first address is tried in an attempt.

        :param host: name of the mail exchanger.
        :param dr: the domain record.
        :param binding_slot: the slot.
        :param max_conns: connections allowed to *host*; -1 is no limit.
        :param cur_conns: connections to *host* open or being opened.
        :returns: true forbids the host for this attempt.
        """


class ICheckOutboundConnThrottle(Interface):
    """
    Hook: may a connection be opened now?  Shape: *fold* over "not before".

    Source: Momentum, hook ``check_outbound_conn_throttle``.
    """

    def check_outbound_conn_throttle(binding_id: int, dr: IDomainRecord, now: float | None, later: float) -> float:
        """
        Asked by ``initiate_connection_smtp`` before a connection is opened.

        :param binding_id: the slot.
        :param dr: the domain record.
        :param now: wall time, or ``None``.
        :param later: wall time before which no connection may be opened, as
            answered so far; 0 is no limit.
        :returns: the same or a later time.
        """


class IBindingGroupChooseBinding(Interface):
    """
    Hook: which binding of a group shall a message use?  Shape: *override*.

    Source: Momentum, hook ``binding_group_choose_binding``.
    """

    def binding_group_choose_binding(msg: IMessage, group: str) -> int | None:
        """
        Asked when a message was given to a group, not to a binding.

        :param msg: the message, not yet queued.
        :param group: name of the group.
        :returns: a slot, or ``None`` (Momentum: unbound) for the default, a
            random choice.  A slot that is not in the group is ignored and logged.
        """


class IIncOutboundConnections(Interface):
    """
    Hook: an SMTP connection has been established.  Shape: *notice*.

    Source: Momentum, hook ``inc_outbound_connections``.
    """

    def inc_outbound_connections(handle: IConnectionHandle) -> None:
        """
        Told once per session, when it has the connection; the greeting is not read yet.

        :param handle: the connection.
        """


class IDecOutboundConnections(Interface):
    """
    Hook: an SMTP connection has ended; its place is about to be given back.
    Shape: *notice*.

    Source: Momentum, hook ``dec_outbound_connections``.
    """

    def dec_outbound_connections(handle: IConnectionHandle) -> None:
        """
        Told once per session, before its place in the limits is given back.

        :param handle: the connection.
        """


class IPremigrateOutboundConnection(Interface):
    """
    Hook: a connection that has nothing to send goes on with the mail of another
    domain.  Shape: *notice*.

    Source: Momentum, hook ``premigrate_outbound_connection``.
    """

    def premigrate_outbound_connection(handle: IConnectionHandle, src: IDomainRecord, dest: IDomainRecord) -> None:
        """
        Told once per migration, before the connection takes any mail of *dest*.
        Neither ``inc_`` nor ``dec_outbound_connections`` is told of it: whoever
        counts connections by domain moves one here.

        :param handle: the connection; it counts for *dest* already.
        :param src: the domain it has served.
        :param dest: the domain it serves from now on.
        """


class IOutboundSmtpAuthConfig(Interface):
    """
    Hook: who are we to this peer?  Shape: *inquiry*.

    Source: Momentum, module ``outbound_smtp_auth``, hook ``outbound_smtp_auth_config``.
    """

    def outbound_smtp_auth_config(
        dr: IDomainRecord, binding_slot: int, host: str, refused: bytes
    ) -> Credentials | Deferred[Credentials | None] | None:
        """
        Asked once per session that could authenticate, when it is as safe as it will be;
        the answer holds for all mail of the domain and binding.

        :param dr: the domain record.
        :param binding_slot: the slot the connection leaves from.
        :param host: name of the mail exchanger.
        :param refused: what the last peer said that refused credentials of this domain
            and binding, so that a token can be renewed; empty if none did since
            credentials were accepted.
        :returns: the credentials; ``None`` leaves it to the options; a Deferred if they
            have to be fetched.  If it fails, mail waits.
        """


class IMessageHeld(Interface):
    """
    Hook: a message waits for an operator, because nobody knows whether its peer has
    it.  Shape: *notice*.

    Source: ours; Momentum has no hook ``message_held``.
    """

    def message_held(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes) -> None:
        """
        Told when the reply to the final dot was lost and ``lost_final_reply`` says
        ``hold``, after ``log_transient_failure_v1``; and of every held message again when
        the service has found it in its spool.

        :param msg: the message; it is in no queue.
        :param dr: the domain record it was queued under.
        :param now: wall time in epoch seconds; ``None`` means that nobody has looked.
        :param note: what happened in place of the reply.
        """


class ISmtpClientMailfromArgs(Interface):
    """
    Hook: what is said behind MAIL FROM?  Shape: *veto*.

    Source: Momentum, hook ``smtp_client_mailfrom_args``.
    """

    def smtp_client_mailfrom_args(session: IClientSession, args: ICommandArguments) -> bool | None:
        """
        Asked before MAIL FROM of each transaction.

        :param session: where; ``session.extensions`` says what the peer understands,
            which nobody checks again, and ``session.message`` is the message.
        :param args: what would be said; change it.
        :returns: true if the message shall fail for now instead.
        """


class ISmtpClientRcpttoArgs(Interface):
    """
    Hook: what is said behind RCPT TO?  Shape: *veto*.

    Source: Momentum, hook ``smtp_client_rcptto_args``.
    """

    def smtp_client_rcptto_args(session: IClientSession, msg: IMessage, args: ICommandArguments) -> bool | None:
        """
        Asked before RCPT TO, for each recipient of a transaction.

        :param session: as for :class:`ISmtpClientMailfromArgs`.
        :param msg: the message with this recipient.
        :param args: what would be said; change it.
        :returns: true if this recipient's message shall fail for now instead.
        """


class ISmtpClientXclientArgs(Interface):
    """
    Hook: what is said behind XCLIENT?  Shape: *veto*.

    Source: Momentum, hook ``smtp_client_xclient_args``.
    """

    def smtp_client_xclient_args(session: IClientSession, args: ICommandArguments) -> bool | None:
        """
        Asked before XCLIENT.

        :param session: as for :class:`ISmtpClientMailfromArgs`; ``extensions.xclient``
            says what the peer wants to know.
        :param args: what would be said; change it.
        :returns: true if the message shall fail for now instead.
        """


class ISmtpClientState(Interface):
    """
    Hook: what else shall be said to the peer at this point of a session?  Shape: *exchange*.

    Source: Momentum, ``register_smtp_client_state``, whose hook ``smtp_client_state`` is ours.
    """

    def smtp_client_state(session: IClientSession, after: Stage) -> Generator[Any, Any, None] | None:
        """
        Asked at every point of every session where something may be put in; what
        is said begins and ends before the session goes on.

        :param session: as far as it has come.
        :param after: what was done last: ``Stage.READING_BANNER`` (the peer greeted
            and EHLO follows), ``AFTER_EHLO`` (its offers are known, nothing is
            encrypted yet), ``TLS_HANDSHAKE`` (its offers inside TLS are known),
            ``AUTHENTICATION`` (the session is about to take mail, whether or not it
            had to authenticate), ``AFTER_XCLIENT`` (``session.message`` is about to
            be sent).
        :returns: ``None``, if there is nothing to say; or a generator.  It yields
            lines, without their end, and is sent the
            :class:`~momentum_tx.smtp.replies.Reply` to each; or yields a Deferred and
            is sent its result, or has its failure raised.  When it returns, the
            session goes on; when it raises, the session ends:
            :class:`~momentum_tx.errors.ExchangeFailed` tells people why.
        """


class IDkimSign(Interface):
    """
    Hook: with what is a message signed?  Shape: *inquiry*; a provider may wait.

    Source: ours, hook ``dkim_sign``; where Momentum signs by a script, that calls
    ``ec_dkim_sign`` or ``msys.validate.opendkim.sign``.
    """

    def dkim_sign(
        ac: IReception, content: bytes, domain: str
    ) -> Sequence[DKIMSignature] | Awaitable[Sequence[DKIMSignature] | None] | None:
        """
        Asked once per message, when nothing changes it any more and it is not kept yet.

        :param ac: the reception; its ids are settled.
        :param content: the message, our trace field in front, CRLF line ends.
        :param domain: domain of its author, the first address of the From field:
            lower case, A-labels; empty if there is no such field, or several.
        :returns: the signatures, topmost first, none for an empty list; or
            ``None`` for those of the configuration.  It may be awaited for, up
            to ``hook_timeout``.
        """


class ISmtpTlsReporting(Interface):
    """
    Hook: what came of TLS in a session with a domain that has a policy for it.
    Shape: *notice*.

    Source: Momentum 5.1, hook ``smtp_tls_reporting``.
    """

    def smtp_tls_reporting(data: dict[str, object]) -> None:
        """
        Told once per session and policy (MTA-STS or DANE), whether or not reports
        are sent.

        :param data: as JSON has it: ``epoch``; ``type``, 0 for a failure and 1 for
            a success; ``policy``, with ``policy-type``, ``policy-domain``,
            ``policy-string`` and ``mx-host``; ``result-type`` and
            ``failure-reason-code`` of a failure; ``sending-mta-ip``,
            ``receiving-mx-hostname`` and ``receiving-ip`` as far as they are known.
        """


class IGetOutboundTlsParameters(Interface):
    """
    Hook: what shall be wanted of TLS for a message?  Shape: *fold*.

    Source: Momentum, hook ``get_outbound_tls_parameters``.
    """

    def get_outbound_tls_parameters(msg: IMessage, params: TLSParameters) -> TLSParameters:
        """
        Asked for the message that a session is opened for, and for every further one that
        it is about to send; perhaps more than once for the same.  One that wants something
        else than the session was opened with goes on another connection.  What policies of
        the domain demand (MTA-STS, DANE) comes on top.

        :param msg: the message.
        :param params: what is wanted so far: as the options say, then as the provider
            before answered.  Its values are frozen; ``dataclasses.replace`` makes others.
        :returns: what is wanted.  Certificates and keys are names of files that an option
            names, which are read already, or PEM texts.
        """


class IOutboundSmtpTlsVerifyCallback(Interface):
    """
    Hook: will this peer do?  Shape: *override*.

    Source: Momentum, hook ``outbound_smtp_tls_verify_callback``.
    """

    def outbound_smtp_tls_verify_callback(
        handle: IConnectionHandle, params: TLSParameters, facts: ITLSFacts, preverify_ok: bool
    ) -> bool | None:
        """
        Asked once per handshake when it is done, before anything is said; not where
        ``params.verify`` is ``no``.

        :param handle: the connection.
        :param params: what was wanted.
        :param facts: what was negotiated, and how far the certificate was verified or why not.
        :param preverify_ok: whether it will do without this hook.
        :returns: whether it will do, or ``None`` for no opinion.
        """


class ILoggingInfrastructure(Interface):
    """
    A whole logger, registered as a unit (Momentum: ``logging_infrastructure_1``).
    """

    def log_error(now: float | None, level: str, text: str) -> None:
        """
        Something an operator must know; Momentum's paniclog.

        :param now: wall time, or ``None``.
        :param level: ``debug``, ``info``, ``notice``, ``warning``, ``error`` or ``critical``.
        :param text: one line, without the time.
        """

    def log_reception(ac: IReception, msg: IMessage, now: float | None, note: bytes | None) -> None:
        """
        See :class:`ILogReceptionV1`.
        """

    def log_attempt(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes) -> None:
        """
        See :class:`ILogAttemptV1`.
        """

    def log_transient_failure(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        See :class:`ILogTransientFailureV1`.
        """

    def log_permanent_failure(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        See :class:`ILogPermanentFailureV1`.
        """

    def log_delivery(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        See :class:`ILogDeliveryV1`.
        """

    def log_rejection(
        now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        """
        See :class:`ILogRejection`.
        """

    def log_reopen() -> None:
        """
        See :class:`ILogReopen`.
        """

    def log_close() -> None:
        """
        The last call: write out and release everything.
        """
