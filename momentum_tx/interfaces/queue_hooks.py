"""
The contracts of hooks about queues: where messages wait, and what moves them.

What holds for all hooks is said in :mod:`momentum_tx.interfaces.hooks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Interface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..accounting import AccountingRecord
    from ..policy.retry import Expiration
    from .records import IConnectionHandle, IDomainRecord, IMessage, IReception


class IMessageState(Interface):
    """
    Hook: a message waits, and it is said where and for what. Shape: *notice*.

    Source: ours; Momentum has no hook ``message_state``.

    See also: ``log_transient_failure_v1``, ``message_held``; `JSON log <../json-log.md>`_.
    """

    def message_state(
        msg: IMessage, dr: IDomainRecord, now: float | None, state: str, about: dict[str, object]
    ) -> None:
        """
        When a message begins to wait: after each failure for now (``delayed``), when it goes
        back into the active queue without an attempt that counts (``requeued``), when it has
        got another binding (``rebound``), and when it is queued where nothing may be attempted
        at the moment (``suspended``).

        :param msg: The message; it is about to be queued, or is.
        :param dr: The domain record it waits under.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param state: ``delayed``, ``requeued``, ``rebound`` or ``suspended``.
        :param about: Of ``delayed`` the wall time ``next_attempt`` and the ``reason``; of
            ``rebound`` the name of the binding before, ``from``; of ``suspended`` the ``reason``.
        """


class IPreMailQueueMaintainDomain(Interface):
    """
    Hook: the maintainer begins to look after a domain. Shape: *notice*.

    Source: Momentum, hook ``pre_mail_queue_maintain_domain``, whose ``rv`` is ignored there
    too.

    See also: ``post_mail_queue_maintain_domain``, ``mail_queue_maintain_domain``.
    """

    def pre_mail_queue_maintain_domain(dr: IDomainRecord, now: float | None) -> None:
        """
        At the beginning of every pass over a domain, before due mail is moved to the active
        queues.

        :param dr: The domain record. Read it, do not change it.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        """


class IPostMailQueueMaintainDomain(Interface):
    """
    Hook: the maintainer has looked after a domain. Shape: *notice*.

    Source: Momentum, hook ``post_mail_queue_maintain_domain``, which may change ``rv``; nobody
    reads it here.

    See also: ``pre_mail_queue_maintain_domain``.
    """

    def post_mail_queue_maintain_domain(dr: IDomainRecord, now: float | None, opened: int) -> None:
        """
        At the end of every pass over a domain.

        :param dr: The domain record. Read it, do not change it.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param opened: Connections that were begun in the pass.
        """


class IMailQueueMaintainDomain(Interface):
    """
    Hook: is the connection work of a domain done by somebody else? Shape: *override*.

    Default: the maintainer gives idle sessions mail, and opens what the goal asks for.

    Source: Momentum, hook ``mail_queue_maintain_domain``, which disables the built-in work by
    being there, and counts by ``*rv``.

    See also: ``mail_queue_maintain``, ``connection_goal``.
    """

    def mail_queue_maintain_domain(dr: IDomainRecord, now: float | None) -> int | None:
        """
        In every pass over a domain that has active mail, after due mail was moved.

        :param dr: The domain record. Read it, do not change it.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :returns: How many connections you have begun, which ends the chain and leaves the
            built-in work out; ``None`` for no opinion. A provider that is asked cannot call
            ``initiate_connection_smtp``: begin what you want to in a later turn of the reactor.
        """


class IMailQueueMaintain(Interface):
    """
    Hook: are the connections of one binding of a domain opened by somebody else? Shape:
    *override*.

    Default: as many are opened as are missing.

    Source: Momentum, hook ``__mail_queue_maintain``: non-zero is true here, zero is ``None``. A
    name with two underscores in front is not possible for a method.

    See also: ``mail_queue_maintain_domain``, ``connection_goal``.
    """

    def mail_queue_maintain(
        dr: IDomainRecord, binding_slot: int, now: float | None, goal: int, reserve: int
    ) -> bool | None:
        """
        For every binding with active mail that is not suspended, has room under its message
        throttle, and has fewer connections than its goal.

        :param dr: The domain record. Read it, do not change it.
        :param binding_slot: The binding slot, 0 or more; 0 is the binding ``default``.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param goal: Connections that are missing.
        :param reserve: Connections of the server that are kept for others; 0 if none are.
        :returns: True leaves the built-in work out, ``None`` or false does not.
        """


class IMailqInsertActive(Interface):
    """
    Hook: does a message that is due have to wait after all? Shape: *override*.

    Default: it enters the active queue.

    Source: Momentum, hooks ``mailq_insert_active`` and ``mail_queue_insert_active``: who
    answers zero there has taken the message away, and has to queue it. Here it stays in the
    delayed queue.

    See also: ``mailq_get_next_active``, ``ec_message_set_next_attempt``.
    """

    def mailq_insert_active(dr: IDomainRecord, msg: IMessage, now: float | None) -> float | None:
        """
        When a delayed message becomes due, or is flushed; not for new mail, which is active at
        once.

        :param dr: The domain record. Read it, do not change it.
        :param msg: The message; one message has one recipient.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :returns: Wall time before which it does not enter the active queue; what has passed
            counts as no opinion, as does ``None``.
        """


class IMailqGetNextActive(Interface):
    """
    Hook: which message does a session send next? Shape: *override*.

    Default: the one that has waited longest, by the shares of its class.

    Source: Momentum, hooks ``mailq_get_next_active`` and ``mail_queue_get_next_active``, which
    have to take it out of the queue themselves.

    See also: ``mailq_insert_active``.
    """

    def mailq_get_next_active(
        dr: IDomainRecord, binding_slot: int, connh: IConnectionHandle | None, waiting: Sequence[IMessage]
    ) -> IMessage | None:
        """
        When a session, or one that is being opened, needs a message.

        :param dr: The domain record. Read it, do not change it.
        :param binding_slot: The binding slot, 0 or more; 0 is the binding ``default``.
        :param connh: The connection; ``None`` where it is not opened yet.
        :param waiting: The first messages of the active queue, at most a hundred, in the order
            in which they would go.
        :returns: One of *waiting*, or ``None`` for the first. Anything else is logged and
            counts as ``None``.
        """


class IPreMailqMessageRequeue(Interface):
    """
    Hook: a message is about to be requeued after a failure. Shape: *notice*.

    Source: Momentum, hooks ``pre_mailq_message_requeue`` and
    ``pre_mail_queue_message_requeue``.

    See also: ``ec_message_set_next_attempt``, ``log_transient_failure_v1``.
    """

    def pre_mailq_message_requeue(msg: IMessage, now: float | None) -> None:
        """
        After ``log_transient_failure_v1`` and before its next attempt is computed; not where
        the failure ends the message.

        :param msg: The message; one message has one recipient. ``msg.num_retries`` counts the
            failure already.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        """


class ISetDelayedQueueEvent(Interface):
    """
    Hook: when is a domain looked after next? Shape: *override*.

    Default: when delayed mail is due, and while there is active mail after
    ``delayed_queue_scan_interval``.

    Source: Momentum, hook ``set_delayed_queue_event``, which has to set a timer; non-zero says
    that it has.

    See also: ``pre_mail_queue_maintain_domain``.
    """

    def set_delayed_queue_event(dr: IDomainRecord, now: float | None, when: float) -> float | None:
        """
        At the end of every pass over a domain that still has mail.

        :param dr: The domain record. Read it, do not change it.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param when: When it would be, wall time.
        :returns: Another time, at most ten minutes from now; one that has passed counts as
            soon. ``None`` for *when*. Mail that comes meanwhile, an answer of DNS or the end of
            a session is a reason for a pass at once in any case.
        """


class IEcMessageEnqueue(Interface):
    """
    Hook: may a message be queued? Shape: *veto*.

    Default: it is queued.

    Source: Momentum, hook ``ec_message_enqueue``: there ``OK`` and ``ERR`` say that the hook
    owns the message from now on. Nobody can own one here; what may not be queued is held.

    See also: ``message_held``, ``mailq_insert_active``; `failures
    <../../explanation/failures.md>`_.
    """

    def ec_message_enqueue(msg: IMessage, now: float | None) -> bool | None:
        """
        Once per message, when it was received or found at start, before it gets into any queue.

        :param msg: The message; one message has one recipient. Its domain record is known.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :returns: True has the message held: it is in no queue, survives restarts, and is listed
            and released like mail whose end nobody knows (``momentum-tx control held list``).
        """


class IEcMessageSetNextAttempt(Interface):
    """
    Hook: when is a message tried next? Shape: *override*.

    Default: by the retry schedule.

    Source: Momentum, hook ``ec_message_set_next_attempt``, which writes to the message and says
    by ``rv`` whether it is tried at all.

    See also: ``get_msg_expiration_params``, ``pre_mailq_message_requeue``.
    """

    def ec_message_set_next_attempt(msg: IMessage, now: float | None, when: float) -> float | None:
        """
        After a failure for now of a message that is to be tried again.

        :param msg: The message; one message has one recipient. ``msg.code`` is the failure.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param when: When it would be, wall time.
        :returns: Another wall time; one that has passed counts as now. ``None`` for *when*. To
            give the message up is not for this hook: see ``get_msg_expiration_params``.
        """


class IGetMsgExpirationParams(Interface):
    """
    Hook: how long, and how often, is a message tried? Shape: *fold*.

    Default: the options ``message_expiration``, ``retry_interval`` and ``max_retries``.

    Source: Momentum, hook ``get_msg_expiration_params``, which has three out-parameters.

    See also: ``ec_message_set_next_attempt``.
    """

    def get_msg_expiration_params(msg: IMessage, params: Expiration) -> Expiration:
        """
        After each failure for now, before its next attempt is computed.

        :param msg: The message; one message has one recipient.
        :param params: What holds so far: the options, then what the provider before answered.
            It is frozen; ``dataclasses.replace`` makes another.
        :returns: What holds for the message.
        """


class IConfigGetMessageRoutingDomain(Interface):
    """
    Hook: under which domain is a message queued? Shape: *override*.

    Default: the option ``gateway``, or the domain of the recipient.

    Source: Momentum, hook ``config_get_message_routing_domain``, which writes to a buffer.

    See also: ``config_fetch_domain_routes``.
    """

    def config_get_message_routing_domain(msg: IMessage, domain: str) -> str | None:
        """
        When a message is queued: when it comes, when it is found at start, and when the
        configuration is read anew.

        :param msg: The message; one message has one recipient.
        :param domain: The domain it would be queued under.
        :returns: Another domain, which counts as named by an operator, as ``gateway`` does; or
            ``None``. What is no domain is logged and ignored.
        """


class IConfigFetchDomainRoutes(Interface):
    """
    Hook: which way does mail of a domain go? Shape: *override*.

    Default: the option ``routes``.

    Source: Momentum, hook ``config_fetch_domain_routes``.

    See also: ``config_get_message_routing_domain``.
    """

    def config_fetch_domain_routes(domain: str, routes: tuple[str, ...]) -> tuple[str, ...] | None:
        """
        When the exchangers of a domain are looked for, and when the configuration is read anew;
        often, so keep it cheap.

        :param domain: The routing domain.
        :param routes: What the option says; empty for what DNS says.
        :returns: Routes as the option has them, in a tuple; an empty one is what DNS says.
            ``None`` for no opinion. What is no route is logged, and mail waits.
        """


class IPostValidateSetBinding(Interface):
    """
    Hook: a message that was received got a binding. Shape: *notice*.

    Source: Momentum, hook ``post_validate_set_binding``.

    See also: ``binding_group_choose_binding``.
    """

    def post_validate_set_binding(msg: IMessage) -> None:
        """
        Once per message whose binding is another than ``default``, while it is received; it may
        still be refused after that.

        :param msg: The message; one message has one recipient.
        """


class ISwapOutMulti(Interface):
    """
    Hook: a message was received, with all its recipients. Shape: *notice*.

    Source: Momentum, hook ``swap_out_multi``, which may also write the messages itself; here
    they are durable.

    See also: ``log_reception_v1``.
    """

    def swap_out_multi(ac: IReception, messages: Sequence[IMessage]) -> None:
        """
        Once per reception, when it is durable and before its messages are queued; after
        ``log_reception_v1`` of each.

        :param ac: The reception.
        :param messages: Its messages, one for each recipient.
        """


class IFinalValidation2(Interface):
    """
    Hook: may a message be taken? Shape: *override*.

    Default: it is taken.

    Source: Momentum, hook ``final_validation2``: ``CONT`` is ``None`` here, ``DONE`` a reply of
    class 5, ``RETRY`` one of class 4.

    See also: ``final_validation``, ``dkim_sign``.
    """

    def final_validation2(ac: IReception, content: bytes) -> tuple[int, str] | None:
        """
        Once per message, whichever way it was injected, reports of our own included, before it
        is signed and kept.

        :param ac: The reception; its recipients are in it, its ids are settled.
        :param content: The message, our trace field in front, CRLF line ends.
        :returns: Code and text of a refusal, 400 to 599; ``None`` takes it.
        """


class IFinalValidation(Interface):
    """
    Hook: what shall a message be? Shape: *fold*.

    Default: as it is.

    Source: Momentum, hook ``final_validation``, which changes the message itself.

    See also: ``final_validation2``, ``dkim_sign``, ``body_modify``.
    """

    def final_validation(ac: IReception, content: bytes) -> bytes:
        """
        Once per message that may be taken, after ``final_validation2`` and before it is signed
        and kept.

        :param ac: The reception.
        :param content: The message, our trace field in front, CRLF line ends.
        :returns: The message, CRLF line ends throughout; what has a CR or LF alone, or is
            empty, is logged and counts as no change.
        """


class IPostFinalValidation(Interface):
    """
    Hook: a message is what it will be. Shape: *notice*.

    Source: Momentum, hook ``post_final_validation``, whose answer is ignored there too.

    See also: ``final_validation``.
    """

    def post_final_validation(ac: IReception, content: bytes) -> None:
        """
        Once per message, after ``final_validation``, before it is signed and kept.

        :param ac: The reception.
        :param content: The message.
        """


class IBodyModify(Interface):
    """
    Hook: what is sent of a message? Shape: *fold*.

    The message itself stays as it is: another attempt, and a report, begin with what was
    received. It was signed before, so a change may break a signature.

    Default: the message as it is kept.

    Source: Momentum, hook ``body_modify``, which puts an object for reading in place of
    another.

    See also: ``final_validation``, ``dkim_sign``.
    """

    def body_modify(msg: IMessage, content: bytes) -> bytes:
        """
        Once per transaction, before MAIL FROM, for its first message; siblings that go with it
        get the same.

        :param msg: The message; one message has one recipient.
        :param content: The message as it is kept, CRLF line ends.
        :returns: What is sent; SIZE, BDAT and dot-stuffing are computed from it. What has a CR
            or LF alone, or is empty, is logged and counts as no change.
        """


class IMsgDispose(Interface):
    """
    Hook: a message is done with. Shape: *notice*.

    Source: Momentum 3.5.5, hook ``generic_delivery`` ``msg_dispose``, which finds the status in
    context variables.

    See also: ``log_delivery_v1``, ``log_permanent_failure_v1``.
    """

    def msg_dispose(msg: IMessage, delivered: bool) -> None:
        """
        Once per message, after the log hook of its end, when its end has been given to the
        spool; where a report is written, after that.

        :param msg: The message; one message has one recipient. ``msg.code`` is the last that
            was said of it.
        :param delivered: Whether the peer has it.
        """


class IAaaLog(Interface):
    """
    Hook: somebody was let in or not, or may do something or not. Shape: *notice*.

    Source: Momentum, hook ``aaa_log``, whose accounting record is a
    ``momentum_tx.accounting.AccountingRecord`` here.

    See also: ``log_rejection``; `the logs <../logs.md>`_.
    """

    def aaa_log(record: AccountingRecord) -> None:
        """
        Once for each client that comes to the control socket (authentication: the system has
        let it open the file), once for each command it asks for (authorisation), and once for
        each recipient that a client of the SMTP listener may not relay to. Relaying that is
        allowed is not told: each recipient would be.

        :param record: The event.
        """


class ILogSpoolImport(Interface):
    """
    Hook: a message was taken from an export into a spool, or could not be. Shape: *notice*.

    Source: Momentum, hook ``log_spool_import``, whose spool context is the path of the spool
    here. Momentum tells it in the server; here it is told in ``momentum-tx spool import``, which
    needs a spool that no service has.

    See also: `spools <../../howto/spool.md>`_; `the logs <../logs.md>`_.
    """

    def log_spool_import(msg: IMessage | None, original_id: str, now: float, spool: str, result: int) -> None:
        """
        In the command, for each message when it is durable, and for each reception that is
        refused. Providers are those that ``hooks`` of the configuration names; without
        ``--config`` nobody is told.

        :param msg: Always ``None`` so far: the command makes records of messages and no
            messages. Momentum passes NULL where nothing was made.
        :param original_id: Id of the message where it comes from; ids stay. Of a reception that
            cannot be read, the name of its files.
        :param now: Wall time, seconds since 1970.
        :param spool: Path of the spool that it goes to.
        :param result: 1 it is imported, 2 its sheet makes no sense, 3 it cannot be read, 4 the
            spool cannot be written.
        """
