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
    Hook: an outbound connection attempt has failed. Shape: *notice*.

    Source: Momentum, hook ``log_client_connection_failure``; `how ours differs
    <../log_client_connection_failure.md>`_.

    See also: ``log_client_connection_success``, ``post_initiate_connection_smtp``.
    """

    def log_client_connection_failure(
        addr: IPv4Address | IPv6Address | None,
        err: ConnFlag,
        dr: IDomainRecord,
        binding_slot: int,
        now: float | None,
    ) -> None:
        """
        Once per failed attempt, before its caller learns of the end (before
        ``initiate_connection`` raises, before ``finish_connect_func`` or ``timeout_func``
        runs). It is told by ``initiate_connection`` itself, so for direct callers too. All of
        these count as failed: a refusal before any connect was begun (DNS still pending, limits
        reached, every address left alone), an error after a connect was pending, a timeout.

        Not told: addresses that were passed over in an attempt that then succeeded (they are in
        ``handle.tries``); a cancelled attempt; what goes wrong after the connection stands,
        such as a greeting that refuses.

        :param addr: The address whose failure ended the attempt, with the port; ``None`` if
            none was chosen.
        :param err: The full word: one cause and the actions it obliges to. See `flags
            <../flags.md>`_.
        :param dr: The domain record. Read it, do not change it.
        :param binding_slot: The binding slot, 0 or more; 0 is the binding ``default``.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        """


class ILogClientConnectionSuccess(Interface):
    """
    Hook: an outbound connection is established. Shape: *notice*.

    Source: Momentum, hook ``log_client_connection_success`` (the synopsis of Momentum's page
    bears the failure hook's name).

    See also: ``log_client_connection_failure``, ``inc_outbound_connections``.
    """

    def log_client_connection_success(
        addr: IPv4Address | IPv6Address,
        dr: IDomainRecord,
        binding_slot: int,
        now: float | None,
    ) -> None:
        """
        Once per attempt that succeeded, when TCP is connected and before
        ``finish_connect_func`` runs. The peer has not said anything yet: it may still refuse in
        its greeting. An attempt that was refused at some addresses and then succeeded is told
        here only.

        :param addr: The peer, with the port.
        :param dr: The domain record. Read it, do not change it.
        :param binding_slot: The binding slot, 0 or more; 0 is the binding ``default``.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        """


class ILogAttemptV1(Interface):
    """
    Hook: a session is about to deliver a message. Shape: *notice*.

    *For debugging.* Attempts come by the thousand a second, and every one ends in one of
    ``log_delivery_v1``, ``log_transient_failure_v1`` or ``log_permanent_failure_v1``. A
    production system has no need to log the beginning of what it logs the end of.

    Source: Momentum, hook ``log_attempt_v1``; `how ours differs <../log_attempt_v1.md>`_.

    See also: ``log_delivery_v1``, ``log_transient_failure_v1``, ``log_permanent_failure_v1``.
    """

    def log_attempt_v1(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes) -> None:
        """
        Once per message, when a session that has taken it begins its transaction, before ``MAIL
        FROM`` is sent; for each message of a batch on its own. ``msg.connection`` says over
        which connection.

        Not told: a message that fails or is delayed without a transaction (no connection came
        about; it expired; it is larger than the peer accepts; its body cannot be read). So a
        transient or permanent failure may come without an attempt before it. In three cases an
        attempt is followed by another instead of an end, since the message went back into the
        active queue uncounted: a used connection turned out to be closed before ``MAIL`` was
        answered, the spool could not record the intent, the service is stopping.

        :param msg: The message; one message has one recipient.
        :param dr: The domain record. Read it, do not change it.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param note: The message's current code text, which is what its last failure was; on a
            first attempt the host that is tried, ``name [address]``. Never empty. Momentum's
            ``note_len`` is ``len(note)``.
        """


class ILogDeliveryV1(Interface):
    """
    Hook: a message was delivered. Shape: *notice*.

    Source: Momentum, hook ``log_delivery_v1``.

    See also: ``log_attempt_v1``, ``log_transient_failure_v1``, ``log_permanent_failure_v1``.
    """

    def log_delivery_v1(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        Once per message, when the reply to the final dot has been read. The outcome has been
        given to the spool by then and is synced a moment later, so after a crash in between the
        same message may be delivered, and told, again (`durability
        <../../explanation/durability.md>`_).

        :param msg: The message; one message has one recipient.
        :param dr: The domain record. Read it, do not change it.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param note: The peer's reply as one line, code first; ``None`` would mean ``msg.code``,
            and is not used so far.
        """


class ILogTransientFailureV1(Interface):
    """
    Hook: an attempt failed for now. Shape: *notice*.

    Source: Momentum, hook ``log_transient_failure_v1``.

    See also: ``log_attempt_v1``, ``log_permanent_failure_v1``, ``log_delivery_v1``.
    """

    def log_transient_failure_v1(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        Once per message and failed attempt, before the message is requeued: ``msg.num_retries``
        is still the number of attempts that had failed before this one, and
        ``msg.next_attempt`` is not set yet. ``msg.stage`` says where it failed (`stages
        <../stages.md>`_), ``msg.ambiguous`` how often a final reply was never read.

        It is told as well for a message that no session took: one requeued because no
        connection came about, and all active mail of a domain that is delayed. If this failure
        ends the message (tries or time are over), ``log_permanent_failure_v1`` is told right
        after it.

        :param msg: The message; one message has one recipient.
        :param dr: The domain record. Read it, do not change it.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param note: The peer's reply as one line, or our own text with ``[internal]``, code
            first; ``None`` would mean ``msg.code``, and is not used so far.
        """


class ILogPermanentFailureV1(Interface):
    """
    Hook: a message failed for ever. Shape: *notice*.

    Source: Momentum, hook ``log_permanent_failure_v1``.

    See also: ``log_transient_failure_v1``, ``log_delivery_v1``, ``log_attempt_v1``.
    """

    def log_permanent_failure_v1(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        """
        Once per message that is given up: a peer refused it with a reply of class 5, its tries
        or its time are over, its domain cannot receive mail, or it needs what the peer does not
        offer. The failure has been given to the spool by then; after a crash before the sync it
        may be told again. Whether the sender is told is asked next (``generate_bounces``).

        :param msg: The message; one message has one recipient.
        :param dr: The domain record. Read it, do not change it.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param note: The peer's reply as one line, or our own text with ``[internal]``, code
            first; ``None`` would mean ``msg.code``, and is not used so far.
        """


class ILogReceptionV1(Interface):
    """
    Hook: a message was received and is durable. Shape: *notice*.

    Source: Momentum, hook ``log_reception_v1``.

    See also: ``log_rejection``, ``log_delivery_v1``.
    """

    def log_reception_v1(ac: IReception, msg: IMessage, now: float | None, note: bytes | None) -> None:
        """
        Once per recipient, when the reception is durable (``durability = "unsafe"``: when it
        was handed to the kernel) and before the injecting client reads its 250 and
        ``sending.accepted`` fires. The message is in no queue yet. Mail that is found in the
        spool at start is not told again.

        :param ac: The reception: sender, ids, size, how and from where. Momentum passes its
            accept construct.
        :param msg: The message; one message has one recipient.
        :param now: Wall time of the reception, seconds since 1970: the moment it was admitted,
            not that of the sync.
        :param note: Always ``None`` so far.
        """


class ILogRejection(Interface):
    """
    Hook: something an injecting client asked for was refused. Shape: *notice*.

    Source: Momentum, hook ``log_rejection``, whose ``format, ...`` is ``format, args`` here.

    See also: ``log_reception_v1``.
    """

    def log_rejection(
        now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        """
        Once per refusing reply of the SMTP listener, a client that is refused at connect
        because there are too many included. Not told: a refused submission in process (its
        caller gets ``MessageRefused``).

        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param ac: The inbound session: ``ac.conn_id`` is the id of its connection, ``ac.peer``
            the client's address.
        :param ctx: What is known: ``code``, the reply code, and ``command``, the command line
            (at most 500 octets; empty after DATA and at connect).
        :param phase: A number of Momentum's ``MC_STATE_*``: 0 start, 2 EHLO, 4 MAIL FROM, 6
            RCPT TO, 8 DATA, 9 body, 10 answer to the body, 13 relaying denied, 18 too many
            connections.
        :param format: Text with ``%``-formatting.
        :param args: Values for ``format``: here code and text, so ``format % args`` is the
            reply.
        """


class ILogReopen(Interface):
    """
    Hook: log files were moved away; open them anew. Shape: *notice*.

    Source: Momentum, hook ``log_reopen``.

    See also: `log rotation <../../howto/run-as-a-service.md#log-rotation>`_,
    `ILoggingInfrastructure <../logging_infrastructure.md>`_.
    """

    def log_reopen() -> None:
        """
        On SIGHUP (``twistd momentum-tx``), before the configuration is read anew and whether or
        not that succeeds, and when the application calls ``service.reopen_logs()``. The mainlog
        is the first to be told.
        """


class ILogError(Interface):
    """
    Hook: something happened that an operator must know. Shape: *notice*.

    Source: Momentum, hook ``log_error``, whose ``format, args`` is one text here.

    See also: ``log_reopen``, `paniclog <../logs.md#paniclog>`_.
    """

    def log_error(now: float | None, level: str, text: str) -> None:
        """
        When mail is held up, or is about to be, by something that is wrong here: a source
        address that is not configured, a disk that takes nothing, an option that cannot be
        kept. Not for each message: those have hooks of their own.

        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param level: ``debug``, ``info``, ``notice``, ``warning``, ``error`` or ``critical``.
        :param text: What is wrong, in one line.
        """


class IConnectionPostBind(Interface):
    """
    Hook: a socket is bound and about to connect. Shape: *veto*.

    Default: without a provider the connect goes on.

    Source: Momentum, hook ``connection_post_bind``.

    See also: ``veto_host_connection``, `initiate_connection <../initiate_connection.md>`_.
    """

    def connection_post_bind(dr: IDomainRecord, binding_slot: int, fd: int, addr: IPv4Address | IPv6Address) -> bool:
        """
        Once per address that an attempt tries, after ``bind()`` and before ``connect()``; also
        where the binding has no source address and nothing was bound. The descriptor is the
        place for socket options. Its own port is 0 at this moment: the kernel chooses the port
        at connect (``IP_BIND_ADDRESS_NO_PORT``).

        :param dr: The domain record. Read it, do not change it.
        :param binding_slot: The binding slot, 0 or more; 0 is the binding ``default``.
        :param fd: The descriptor. Set options on it; do not close it, read from it or keep it.
        :param addr: Where it is about to connect to, with the port. Momentum's ``addr_len`` is
            not needed.
        :returns: True aborts the whole attempt as ``CONN_ERROR_BIND`` (Momentum: non-zero),
            without trying another address and without marking the host. False or ``None`` lets
            it go on.
        """


class IPostInitiateConnectionSmtp(Interface):
    """
    Hook: a connection for mail was initiated, or was not. Shape: *notice*.

    Source: Momentum, hook ``post_initiate_connection_smtp``: "a valid descriptor or an error
    code", which our sign tells apart (`decision
    <../../explanation/decisions/0012-conn-fd-is-negative-on-failure.md>`_).

    See also: ``log_client_connection_failure``, `flags <../flags.md>`_.
    """

    def post_initiate_connection_smtp(dr: IDomainRecord, binding_slot: int, now: float | None, conn_fd: int) -> None:
        """
        At the end of every ``initiate_connection_smtp``, after the actions of a refusal have
        been performed. A connect that is pending counts as initiated; how it ends is told by
        the two ``log_client_connection_*`` hooks. Not told for direct calls of
        ``initiate_connection``.

        :param dr: The domain record. Read it, do not change it.
        :param binding_slot: The binding slot, 0 or more; 0 is the binding ``default``.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param conn_fd: Zero or more: the descriptor of the connection that is being opened.
            Less than zero: none is, and ``ConnFlag(-conn_fd)`` is the bare cause, as
            ``initiate_connection_smtp`` returns it.
        """


class IConnectionGoal(Interface):
    """
    Hook: how many connections should a domain have? Shape: *fold*.

    Default: ``momentum_tx.default_connection_goal(queued, max_outbound_connections,
    aggressiveness)``, which is also the first provider's ``goal``.

    Source: Momentum, hook ``connection_goal``, whose out-parameter ``goal`` is a value passed
    in and returned here.

    See also: ``check_outbound_conn_throttle``, ``veto_host_connection``.
    """

    def connection_goal(dr: IDomainRecord, binding_slot: int, queued: int, goal: int) -> int:
        """
        By the maintainer, for every binding of a domain that has active mail left after the
        idle sessions were given theirs, in every pass. A pass comes when mail arrives, DNS
        answers, a session ends, or an alarm rings, so the answer may be asked for often: keep
        it cheap.

        :param dr: The domain record. Read it, do not change it.
        :param binding_slot: The binding slot, 0 or more; 0 is the binding ``default``.
        :param queued: Messages in the active queue of the slot (Momentum passes the queue
            itself).
        :param goal: The goal so far: the built-in one, then what the provider before answered.
        :returns: Connections wanted in *all*, those open and those being opened included; not
            how many more to open. The last provider has the last word. Whatever is answered,
            every limit holds: an answer above ``max_outbound_connections`` counts as that many,
            one below zero as zero. Nothing is closed because the goal is lower than what is
            open.
        """


class IVetoHostConnection(Interface):
    """
    Hook: is this host to be left out of an attempt? Shape: *veto*.

    Default: without a provider nothing is forbidden.

    Source: Momentum, hook ``veto_host_connection``.

    See also: ``connection_goal``, ``connection_post_bind``.
    """

    def veto_host_connection(host: str, dr: IDomainRecord, binding_slot: int, max_conns: int, cur_conns: int) -> bool:
        """
        Inside ``initiate_connection``, for a host before its first address is tried in an
        attempt; once per host and attempt, and only when the attempt comes to that host. A host
        at its limit is not asked about.

        :param host: Name of the mail exchanger.
        :param dr: The domain record. Read it, do not change it.
        :param binding_slot: The binding slot, 0 or more; 0 is the binding ``default``.
        :param max_conns: Connections allowed to ``host``, its ``max_outbound_connections``; -1
            is no limit.
        :param cur_conns: Connections to ``host``, open or being opened, over all domains and
            bindings.
        :returns: True forbids the host for this attempt (Momentum: 1); the next one is tried.
            If no host is left and no address has failed, the attempt ends as
            ``CONN_ERROR_NO_MXS_REACHABLE``. False or ``None`` allows it.
        """


class ICheckOutboundConnThrottle(Interface):
    """
    Hook: may a connection be opened now? Shape: *fold* over "not before".

    Default: 0: no limit. Momentum's hook ``inc_outbound_conn_throttle`` does not exist yet;
    count in ``inc_outbound_connections`` or here.

    Source: Momentum, hook ``check_outbound_conn_throttle``.

    See also: ``connection_goal``, ``inc_outbound_connections``.
    """

    def check_outbound_conn_throttle(binding_id: int, dr: IDomainRecord, now: float | None, later: float) -> float:
        """
        By ``initiate_connection_smtp``, before anything else, whoever calls it: the maintainer,
        a session that failed and goes on to the next host, or an application. Not asked for
        direct calls of ``initiate_connection``.

        :param binding_id: The binding slot.
        :param dr: The domain record. Read it, do not change it.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param later: Wall time, seconds since 1970, before which no connection may be opened,
            as answered so far; 0 is no limit.
        :returns: The same time or a later one (a number of seconds since 1970). If it is after
            ``now``, nothing is tried, no message suffers, and the call answers
            ``CONN_ERROR_HOST_MAX_REACHED``; the maintainer comes back at that time at the
            latest, or when it would have come anyway. Momentum answers with a number and an
            out-parameter; here one value says both.
        """


class IBindingGroupChooseBinding(Interface):
    """
    Hook: which binding of a group shall a message use? Shape: *override*.

    Default: a random member of the group, one that is not suspended for the recipient's domain
    if there is any; each is chosen the more often, the more ``group_weight`` it has, and one of
    weight 0 never. If nobody has weight, the message is refused with 451, and one that was
    received before stays. With ``rebind_on_retry`` the present binding and suspended ones are
    left out, and if none is left the message stays.

    Source: Momentum, hook ``binding_group_choose_binding``.

    See also: `bindings <../../howto/bindings.md>`_.
    """

    def binding_group_choose_binding(msg: IMessage, group: str) -> int | None:
        """
        When a message is received that asks for a group (``X-Binding-Group``) and not for a
        binding; once per recipient, before the message is durable. The message may still be
        refused after that.

        Besides, for each message that an operator's `rebind
        <../../howto/bindings.md#moving-mail-that-waits>`_ gives to a group, and, with
        ``rebind_on_retry``, for each that failed for now while its binding is in a group. An
        answer that is the message's present binding has it stay.

        :param msg: The message, with its recipient and reception. At reception it has no
            binding (-1) and no domain record, and is in no queue; later it has both, and one
            that is moved by an operator is queued.
        :param group: Name of the group.
        :returns: A slot of a binding that is in the group; or ``None`` for the default
            (Momentum: the sentinel "unbound"). A slot that is not in the group is logged, and
            the default is used.
        """


class IIncOutboundConnections(Interface):
    """
    Hook: an SMTP connection has been established. Shape: *notice*.

    Source: Momentum, hook ``inc_outbound_connections``.

    See also: ``dec_outbound_connections``, ``log_client_connection_success``.
    """

    def inc_outbound_connections(handle: IConnectionHandle) -> None:
        """
        When a mail session begins: TCP is connected, the greeting is awaited. Told once per
        session, after ``log_client_connection_success``; each is followed by one
        ``dec_outbound_connections``. Not told for connections that a direct caller of
        ``initiate_connection`` opened, nor when a connection goes on with another domain's
        mail: that is ``premigrate_outbound_connection``.

        :param handle: The connection with its domain record, host and slot.
        """


class IDecOutboundConnections(Interface):
    """
    Hook: an SMTP connection has ended; its place is about to be given back. Shape: *notice*.

    Source: Momentum, hook ``dec_outbound_connections``.

    See also: ``inc_outbound_connections``.
    """

    def dec_outbound_connections(handle: IConnectionHandle) -> None:
        """
        When a mail session is over: the connection has been closed, by whichever side, and its
        messages have been settled; the handle is closed right after. Once for every
        ``inc_outbound_connections``. Momentum tells it immediately *before* the connection is
        terminated; here the counts of the handle are final.

        :param handle: The connection with its domain record, host and slot.
        """


class IPremigrateOutboundConnection(Interface):
    """
    Hook: a connection that has nothing to send goes on with the mail of another domain. Shape:
    *notice*.

    Source: Momentum, hook ``premigrate_outbound_connection``.

    See also: ``veto_host_connection``, ``connection_goal``.
    """

    def premigrate_outbound_connection(handle: IConnectionHandle, src: IDomainRecord, dest: IDomainRecord) -> None:
        """
        Once for each migration (`domains behind the same exchangers
        <../../howto/same-exchangers.md>`_): a session has no mail of its own domain, and
        another domain that has the same exchanger wants it. The connection is already counted
        for that domain, and has taken none of its mail yet. Momentum tells it before the
        reassignment; here the counts are settled before anybody hears of it, as everywhere.

        Neither ``dec_outbound_connections`` nor ``inc_outbound_connections`` is told of a
        migration. Whoever counts connections by domain moves one here; when the connection
        ends, ``dec_outbound_connections`` finds the last domain in the handle.

        :param handle: The connection; its domain record is ``dest``. Host and slot stay what
            they were.
        :param src: The domain it has served.
        :param dest: The domain it serves from now on.
        """


class IOutboundSmtpAuthConfig(Interface):
    """
    Hook: who are we to this peer? Shape: *inquiry*.

    Default: the options ``outbound_smtp_auth_user`` and ``outbound_smtp_auth_pass_file``;
    without them nobody authenticates.

    Source: Momentum, module ``outbound_smtp_auth``, hook ``outbound_smtp_auth_config``.

    See also: `how to authenticate <../../howto/authenticate.md>`_, ``smtp_client_state``.
    """

    def outbound_smtp_auth_config(
        dr: IDomainRecord, binding_slot: int, host: str, refused: bytes
    ) -> Credentials | Deferred[Credentials | None] | None:
        """
        Once per session for a domain and binding whose ``outbound_smtp_auth`` is not ``no``,
        when TLS is up or is done without. Momentum asks for each message. Here the answer is
        for the domain and the binding, since a session is used for all their mail; senders with
        accounts of their own have bindings of their own. While there is a provider, connections
        do not migrate to other domains.

        :param dr: The domain record; with a ``gateway`` it is the gateway's. Read it, do not
            change it.
        :param binding_slot: The binding slot, 0 or more; 0 is the binding ``default``.
        :param host: Name of the mail exchanger.
        :param refused: What was said last to credentials of this domain and binding, if that
            was a refusal; empty if it was not. Time to renew a token.
        :returns: A ``momentum_tx.policy.credentials.Credentials(user, secret, token=False,
            authzid="")``, at once, by a Deferred, or as the result of an ``async def``; with
            ``token=True`` the secret is an access token, for OAUTHBEARER or XOAUTH2. ``None``
            leaves it to the `options <../../howto/authenticate.md>`_. It is waited for
            ``outbound_smtp_auth_timeout`` seconds and cancelled when the session ends. Whoever
            fails to answer keeps mail waiting with the note ``451 4.7.0 [internal] no
            credentials for AUTH``.
        """


class IMessageHeld(Interface):
    """
    Hook: a message waits for an operator, because nobody knows whether its peer has it. Shape:
    *notice*.

    Source: ours; Momentum has no hook ``message_held``.

    See also: ``log_transient_failure_v1``.
    """

    def message_held(msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes) -> None:
        """
        When the reply to a final dot was lost and ``lost_final_reply = "hold"`` holds for the
        binding and domain: after ``log_transient_failure_v1``, which tells of the attempt. It
        is told of every held message again when the service starts and has found it in its
        spool; a message that was under way when the process died is told of for the first time
        then, and of its attempt nobody else is told.

        See `failures <../../explanation/failures.md#when-nobody-knows>`_ for what can be done
        with held mail.

        :param msg: The message; it is in no queue, and ``code`` is the note.
        :param dr: The domain record it was queued under.
        :param now: Wall time, epoch seconds; ``None`` means that nobody has looked at the
            clock.
        :param note: What happened in place of the reply, code first, such as ``451 4.4.2
            [internal] no BODY response``.
        """


class ISmtpClientMailfromArgs(Interface):
    """
    Hook: what is said behind MAIL FROM? Shape: *veto*.

    Default: without a provider the parameters are ours.

    Source: Momentum, hook ``smtp_client_mailfrom_args``.

    See also: ``smtp_client_rcptto_args``.
    """

    def smtp_client_mailfrom_args(session: IClientSession, args: ICommandArguments) -> bool | None:
        """
        Before MAIL FROM of each transaction, when our own parameters (SIZE, BODY and others)
        are known. Nobody checks again whether the peer understands what is added. Not asked
        when the message is sent once more without parameters, to a peer that stumbled over them
        (555 or 501).

        :param session: The session; ``extensions`` says what the peer understands, ``message``
            is the message.
        :param args: What would be said. Change it.
        :returns: True, or raising, has the message fail for now: ``451 4.4.2 [internal] MAIL
            FROM argument hook failed``. More than 1,024 octets of parameters do the same:
            ``MAIL FROM arguments too long``.
        """


class ISmtpClientRcpttoArgs(Interface):
    """
    Hook: what is said behind RCPT TO? Shape: *veto*.

    Default: without a provider the parameters are ours.

    Source: Momentum, hook ``smtp_client_rcptto_args``.

    See also: ``smtp_client_mailfrom_args``.
    """

    def smtp_client_rcptto_args(session: IClientSession, msg: IMessage, args: ICommandArguments) -> bool | None:
        """
        Before the transaction begins, for each of its recipients, when our own parameters
        (those of DSN) are known. Not asked when a message is sent once more without parameters.

        :param session: The session; ``extensions`` says what the peer understands, ``message``
            is the message.
        :param msg: The message with this recipient. Momentum has it in the delivery construct.
        :param args: What would be said. Change it.
        :returns: True, or raising, has this recipient's message fail for now: ``451 4.4.2
            [internal] RCPT TO argument hook failed``; the others go on. More than 1,024 octets
            do the same: ``RCPT TO arguments too long``.
        """


class ISmtpClientXclientArgs(Interface):
    """
    Hook: what is said behind XCLIENT? Shape: *veto*.

    Default: without a provider the parameters are ours.

    Source: Momentum, hook ``smtp_client_xclient_args``.

    See also: `options <../options.md>`_.
    """

    def smtp_client_xclient_args(session: IClientSession, args: ICommandArguments) -> bool | None:
        """
        Before XCLIENT, which is said where the option ``xclient`` is not ``no``, the peer
        offers it, and the client of the next message is another than that of the last.

        :param session: The session; ``extensions`` says what the peer understands, ``message``
            is the message.
        :param args: What would be said. Change it.
        :returns: True, raising, or leaving nothing to say has the message fail for now: ``451
            4.4.2 [internal] XCLIENT argument hook failed``. So has more than 502 octets: ``451
            4.4.2 [internal] XCLIENT arguments too long``.
        """


class ISmtpClientState(Interface):
    """
    Hook: what else shall be said to the peer at this point of a session? Shape: *exchange*.

    Default: without a provider nothing is put in, and no session looks for it.

    Source: Momentum, ``register_smtp_client_state``, ``read_smtp``, ``smtp_next_state``; the
    hook is ours.

    See also: `custom states <../custom-states.md>`_.
    """

    def smtp_client_state(session: IClientSession, after: Stage) -> Generator[Any, Any, None] | None:
        """
        At every point of every session where something can be put in; the points, what may be
        yielded, and what a failure means are on the page of the `custom states
        <../custom-states.md>`_.

        :param session: The session as far as it has come: ``handle``, ``extensions``,
            ``encrypted``, ``message``.
        :param after: What was done last: ``READING_BANNER``, ``AFTER_EHLO``, ``TLS_HANDSHAKE``,
            ``AUTHENTICATION`` or ``AFTER_XCLIENT``.
        :returns: A generator that says it, or ``None``. Write the method without ``yield``, and
            have it return a generator where there is something to say, so that other sessions
            cost nothing.
        """


class IDkimSign(Interface):
    """
    Hook: with what is a message signed? Shape: *inquiry*; a provider may wait.

    Default: the signatures of the `dkim tables <../../howto/dkim.md>`_.

    Source: ours, hook ``dkim_sign``; where Momentum signs by a script, that calls
    ``ec_dkim_sign`` or ``msys.validate.opendkim.sign``.

    See also: `DKIM <../../howto/dkim.md>`_.
    """

    def dkim_sign(
        ac: IReception, content: bytes, domain: str
    ) -> Sequence[DKIMSignature] | Awaitable[Sequence[DKIMSignature] | None] | None:
        """
        Once per message, when it was received, when nothing changes it any more (our trace
        field is in front, ``X-Binding`` and its like are gone) and before it is kept. Not for a
        message that is refused anyway.

        :param ac: The reception: sender, where it came from, its batch id and traits.
        :param content: The message, CRLF line ends.
        :param domain: Domain of the author, the first address of the From field: lower case,
            A-labels. Empty if there is no such field, more than one, or no address in it.
        :returns: A list or tuple of ``momentum_tx.DKIMSignature``, topmost first; an empty one
            leaves the message unsigned; ``None`` asks the next provider. A signature has a
            ``domain`` (d=), a ``selector`` (s=), and either the path of a ``keyfile`` or the
            ``key`` itself, PEM or base64; all else has the defaults of `the options
            <../options.md#options-of-a-dkim-signature>`_. The last thousand keys are
            remembered, files among them until the next reload.

            The answer may be a Deferred, or the method ``async def``. All providers together
            have ``hook_timeout`` seconds.
        """


class ISmtpTlsReporting(Interface):
    """
    Hook: what came of TLS in a session with a domain that has a policy for it. Shape: *notice*.

    Default: nothing: reports are made whether or not somebody listens.

    Source: Momentum, 5.1, hook ``smtp_tls_reporting``, whose return value is ignored.

    See also: `TLS reports <../../howto/tlsrpt.md>`_.
    """

    def smtp_tls_reporting(data: dict[str, object]) -> None:
        """
        Once per session and policy that it was held to, MTA-STS or DANE, when it is known what
        came of TLS: it was verified, it was not, or it did not come about. Besides when a
        domain's MTA-STS policy cannot be had. It does not matter whether `reports
        <../../howto/tlsrpt.md>`_ are sent, nor whether mail was delivered.

        :param data: A data point, as JSON has it; the table above.
        """


class IGetOutboundTlsParameters(Interface):
    """
    Hook: what shall be wanted of TLS for a message? Shape: *fold*.

    Default: the options.

    Source: Momentum, hook ``get_outbound_tls_parameters``, which sets fields by
    ``ec_ssl_set_ctx_param``, and the older ``use_outbound_tls``, ``outbound_tls_ca``,
    ``outbound_tls_verify`` and so on, one for each field.

    See also: ``outbound_smtp_tls_verify_callback``; `TLS <../../howto/tls.md>`_.
    """

    def get_outbound_tls_parameters(msg: IMessage, params: TLSParameters) -> TLSParameters:
        """
        For the message that a session is opened for, when the connection is established and
        again before STARTTLS; for every further message that a session is about to send; and
        for one that could go on with the connection of another domain. A message that wants
        something else than the session was opened with goes on a new connection: nothing is
        negotiated anew on the old one.

        :param msg: The message; ``msg.reception`` says who sent it, for whom and what for.
        :param params: What is wanted so far: as the options say, then as the provider before
            answered.
        :returns: What is wanted; ``params`` itself changes nothing. A value that no option
            could have raises ``ValueError`` when it is made. What policies of the domain demand
            (MTA-STS, DANE) comes on top: the stricter of each counts. ``implicit`` for a
            message whose connection goes to a port that speaks STARTTLS waits in vain.

            ``momentum_tx.policy.tls.TLSParameters`` is frozen; ``dataclasses.replace`` makes
            another.

            Its fields: ``use`` is the option ``tls`` (``no``, ``ifavailable``, ``required``,
            ``implicit``); ``verify`` is ``tls_verify`` (``no``, ``optional``, ``ca``,
            ``host``); ``names`` are reference names, one of which has to be in the certificate;
            ``sni`` is the name told to the peer; ``fallback`` is
            ``tls_ifavailable_fallback``; ``ca``, ``certificate``, ``key`` are ``tls_ca`` and so
            on, either a path that an option names somewhere, so that it was read already, or
            the PEM text itself; ``ciphers``, ``tlsv13_ciphersuites``, ``protocols`` are
            ``tls_ciphers`` and so on.
        """


class IOutboundSmtpTlsVerifyCallback(Interface):
    """
    Hook: will this peer do? Shape: *override*.

    Default: ``preverify_ok``.

    Source: Momentum, hook ``outbound_smtp_tls_verify_callback``, which is called by OpenSSL for
    each certificate of the chain, with subject, issuer and OpenSSL's own context.

    See also: ``get_outbound_tls_parameters``; `TLS <../../howto/tls.md>`_.
    """

    def outbound_smtp_tls_verify_callback(
        handle: IConnectionHandle, params: TLSParameters, facts: ITLSFacts, preverify_ok: bool
    ) -> bool | None:
        """
        Once per handshake, when that is done and nothing has been said in TLS yet. Not where
        ``params.verify`` is ``no``.

        :param handle: The connection: ``handle.dr``, ``handle.connection.host_name``,
            ``handle.connection.address``.
        :param params: What was wanted: see ``get_outbound_tls_parameters``.
        :param facts: What was negotiated: ``version``, ``cipher``, ``group``;
            ``certificate_digest``, ``subject``, ``issuer``; ``verified`` and ``name``, or
            ``problem`` and ``problem_kind``.
        :param preverify_ok: Whether the peer will do without this hook; always true where
            ``params.verify`` is ``optional``.
        :returns: True goes on, whatever is wrong with the certificate; false ends the session,
            however good it is: with ``451 4.7.5 [internal] TLS negotiation failed`` where
            nothing was wrong, else with the text for what was. ``None`` has no opinion.
            ``connection.tls`` stays as it was found: it says what is true, not what was made of
            it.
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
