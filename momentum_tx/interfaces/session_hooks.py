"""
The contracts of hooks about sessions: connections, what is said on them, and who is
asked before.

What holds for all hooks is said in :mod:`momentum_tx.interfaces.hooks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Interface

if TYPE_CHECKING:
    from .records import IClientSession, IDomainRecord


class IIncOutboundConnThrottle(Interface):
    """
    Hook: a connection for mail is begun. Shape: *notice*.

    Source: Momentum, hook ``inc_outbound_conn_throttle``.

    See also: ``check_outbound_conn_throttle``, ``post_initiate_connection_smtp``.
    """

    def inc_outbound_conn_throttle(binding_id: int, dr: IDomainRecord) -> None:
        """
        In ``initiate_connection_smtp``, when a connect is under way; not for one that was
        refused before.

        :param binding_id: The binding slot, 0 or more; 0 is the binding ``default``.
        :param dr: The domain record. Read it, do not change it.
        """


class ICheckOutboundMessThrottle(Interface):
    """
    Hook: may a message be sent now? Shape: *fold*.

    Default: 0: no limit beyond ``outbound_throttle_messages``.

    Source: Momentum, hook ``check_outbound_mess_throttle``, which answers with a number and an
    out-parameter; here one value says both.

    See also: ``inc_outbound_mess_throttle``, ``check_outbound_conn_throttle``.
    """

    def check_outbound_mess_throttle(binding_id: int, dr: IDomainRecord, now: float | None, later: float) -> float:
        """
        When a session could take a message, the first on a new connection included, and before
        a connection is opened.

        :param binding_id: The binding slot, 0 or more; 0 is the binding ``default``.
        :param dr: The domain record. Read it, do not change it.
        :param now: Wall time, seconds since 1970. Momentum allows NULL; the service itself
            always gives a number.
        :param later: Wall time before which nothing may be sent, as answered so far; 0 is no
            limit.
        :returns: The same or a later time. Until then nothing is sent from the slot to the
            domain; sessions wait, or end.
        """


class IIncOutboundMessThrottle(Interface):
    """
    Hook: a message begins to be delivered. Shape: *notice*.

    Source: Momentum, hook ``inc_outbound_mess_throttle``.

    See also: ``check_outbound_mess_throttle``, ``log_attempt_v1``.
    """

    def inc_outbound_mess_throttle(binding_id: int, dr: IDomainRecord) -> None:
        """
        Once per message of a transaction, after ``log_attempt_v1``.

        :param binding_id: The binding slot, 0 or more; 0 is the binding ``default``.
        :param dr: The domain record. Read it, do not change it.
        """


class ISmtpShouldSessionShutdown(Interface):
    """
    Hook: does a session end after this transaction? Shape: *veto*.

    Default: it goes on while there is mail, as ``max_deliveries_per_connection`` and its like
    allow.

    Source: Momentum, hook ``smtp_should_session_shutdown``.

    See also: ``dec_outbound_connections``.
    """

    def smtp_should_session_shutdown(session: IClientSession) -> bool | None:
        """
        Once after each transaction, whether it delivered something or not, if the session
        would go on.  With a provider no transaction overlaps another.

        :param session: The session; ``session.handle.connection`` counts what it has delivered.
        :returns: True has it say QUIT.
        """


class IConfigGetDomainHostFailureRetry(Interface):
    """
    Hook: how long is an address left alone that has failed? Shape: *override*.

    Default: the option ``host_failure_retry``.

    Source: Momentum, hook ``config_get_domain_host_failure_retry`` (scope ``auto``), whose
    ``caller_scope`` is the domain here.

    See also: ``veto_host_connection``.
    """

    def config_get_domain_host_failure_retry(domain: str, seconds: float) -> float | None:
        """
        For each domain whose addresses are looked at; often, so keep it cheap.

        :param domain: The routing domain.
        :param seconds: What the option says.
        :returns: Seconds, 0 or more, or ``None``.
        """
