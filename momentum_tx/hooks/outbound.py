"""
Every hook point of one service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.logger import Logger
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from ..accounting import AccountingRecord
from ..errors import StartupError
from ..interfaces import bounce_hooks, queue_hooks, session_hooks
from ..interfaces import hooks as contracts
from ..policy.credentials import Credentials
from ..policy.retry import Expiration
from ..policy.tls import TLSParameters
from ..settings import DKIMSignature
from ..stages import Stage
from .loggers import LoggerProvider
from .points import Exchange, Fold, HookPoint, Notice, Override, Veto
from .states import ClientState, StateProvider
from .turn import Turn
from .waiting import Inquiry

_log = Logger()


class OutboundHooks:
    """
    Every hook point of one service.  Providers are registered before the
    service starts; those that a configuration names come and go with it.
    """

    def __init__(self) -> None:
        turn = self.turn = Turn()
        c = contracts
        self.log_client_connection_failure = Notice[c.ILogClientConnectionFailure](c.ILogClientConnectionFailure, turn)
        self.log_client_connection_success = Notice[c.ILogClientConnectionSuccess](c.ILogClientConnectionSuccess, turn)
        self.log_attempt_v1 = Notice[c.ILogAttemptV1](c.ILogAttemptV1, turn)
        self.log_delivery_v1 = Notice[c.ILogDeliveryV1](c.ILogDeliveryV1, turn)
        self.log_transient_failure_v1 = Notice[c.ILogTransientFailureV1](c.ILogTransientFailureV1, turn)
        self.log_permanent_failure_v1 = Notice[c.ILogPermanentFailureV1](c.ILogPermanentFailureV1, turn)
        self.log_reception_v1 = Notice[c.ILogReceptionV1](c.ILogReceptionV1, turn)
        self.log_rejection = Notice[c.ILogRejection](c.ILogRejection, turn)
        self.log_reopen = Notice[c.ILogReopen](c.ILogReopen, turn)
        self.log_error = Notice[c.ILogError](c.ILogError, turn)
        self.post_initiate_connection_smtp = Notice[c.IPostInitiateConnectionSmtp](c.IPostInitiateConnectionSmtp, turn)
        self.inc_outbound_connections = Notice[c.IIncOutboundConnections](c.IIncOutboundConnections, turn)
        self.dec_outbound_connections = Notice[c.IDecOutboundConnections](c.IDecOutboundConnections, turn)
        self.premigrate_outbound_connection = Notice[c.IPremigrateOutboundConnection](
            c.IPremigrateOutboundConnection, turn
        )
        self.message_held = Notice[c.IMessageHeld](c.IMessageHeld, turn)
        self.connection_post_bind = Veto[c.IConnectionPostBind](c.IConnectionPostBind, turn)
        self.veto_host_connection = Veto[c.IVetoHostConnection](c.IVetoHostConnection, turn)
        self.connection_goal = Fold[c.IConnectionGoal, int](c.IConnectionGoal, turn, int)
        self.check_outbound_conn_throttle = Fold[c.ICheckOutboundConnThrottle, float](
            c.ICheckOutboundConnThrottle, turn, float, int
        )
        self.binding_group_choose_binding = Override[c.IBindingGroupChooseBinding, int](
            c.IBindingGroupChooseBinding, turn, int
        )
        self.outbound_smtp_auth_config = Inquiry[c.IOutboundSmtpAuthConfig, Credentials](
            c.IOutboundSmtpAuthConfig, turn, Credentials
        )
        self.get_outbound_tls_parameters = Fold[c.IGetOutboundTlsParameters, TLSParameters](
            c.IGetOutboundTlsParameters, turn, TLSParameters
        )
        self.outbound_smtp_tls_verify_callback = Override[c.IOutboundSmtpTlsVerifyCallback, bool](
            c.IOutboundSmtpTlsVerifyCallback, turn, bool
        )
        self.smtp_client_mailfrom_args = Veto[c.ISmtpClientMailfromArgs](c.ISmtpClientMailfromArgs, turn)
        self.smtp_client_rcptto_args = Veto[c.ISmtpClientRcpttoArgs](c.ISmtpClientRcpttoArgs, turn)
        self.smtp_client_xclient_args = Veto[c.ISmtpClientXclientArgs](c.ISmtpClientXclientArgs, turn)
        self.smtp_client_state = Exchange[c.ISmtpClientState](c.ISmtpClientState, turn)
        self.smtp_tls_reporting = Notice[c.ISmtpTlsReporting](c.ISmtpTlsReporting, turn)
        self.dkim_sign = Inquiry[c.IDkimSign, Sequence[DKIMSignature]](c.IDkimSign, turn, list, tuple)
        q, s = queue_hooks, session_hooks
        self.message_state = Notice[q.IMessageState](q.IMessageState, turn)
        self.pre_mail_queue_maintain_domain = Notice[q.IPreMailQueueMaintainDomain](q.IPreMailQueueMaintainDomain, turn)
        self.post_mail_queue_maintain_domain = Notice[q.IPostMailQueueMaintainDomain](
            q.IPostMailQueueMaintainDomain, turn
        )
        self.mail_queue_maintain_domain = Override[q.IMailQueueMaintainDomain, int](
            q.IMailQueueMaintainDomain, turn, int
        )
        self.mail_queue_maintain = Override[q.IMailQueueMaintain, bool](q.IMailQueueMaintain, turn, bool)
        self.mailq_insert_active = Override[q.IMailqInsertActive, float](q.IMailqInsertActive, turn, float)
        self.mailq_get_next_active = Override[q.IMailqGetNextActive, object](q.IMailqGetNextActive, turn, object)
        self.pre_mailq_message_requeue = Notice[q.IPreMailqMessageRequeue](q.IPreMailqMessageRequeue, turn)
        self.set_delayed_queue_event = Override[q.ISetDelayedQueueEvent, float](q.ISetDelayedQueueEvent, turn, float)
        self.ec_message_enqueue = Veto[q.IEcMessageEnqueue](q.IEcMessageEnqueue, turn)
        self.ec_message_set_next_attempt = Override[q.IEcMessageSetNextAttempt, float](
            q.IEcMessageSetNextAttempt, turn, float
        )
        self.get_msg_expiration_params = Fold[q.IGetMsgExpirationParams, Expiration](
            q.IGetMsgExpirationParams, turn, Expiration
        )
        self.config_get_message_routing_domain = Override[q.IConfigGetMessageRoutingDomain, str](
            q.IConfigGetMessageRoutingDomain, turn, str
        )
        self.config_fetch_domain_routes = Override[q.IConfigFetchDomainRoutes, tuple[Any, ...]](
            q.IConfigFetchDomainRoutes, turn, tuple
        )
        self.post_validate_set_binding = Notice[q.IPostValidateSetBinding](q.IPostValidateSetBinding, turn)
        self.swap_out_multi = Notice[q.ISwapOutMulti](q.ISwapOutMulti, turn)
        self.final_validation2 = Override[q.IFinalValidation2, tuple[Any, ...]](q.IFinalValidation2, turn, tuple)
        self.final_validation = Fold[q.IFinalValidation, bytes](q.IFinalValidation, turn, bytes)
        self.post_final_validation = Notice[q.IPostFinalValidation](q.IPostFinalValidation, turn)
        self.body_modify = Fold[q.IBodyModify, bytes](q.IBodyModify, turn, bytes)
        self.msg_dispose = Notice[q.IMsgDispose](q.IMsgDispose, turn)
        self.inc_outbound_conn_throttle = Notice[s.IIncOutboundConnThrottle](s.IIncOutboundConnThrottle, turn)
        self.check_outbound_mess_throttle = Fold[s.ICheckOutboundMessThrottle, float](
            s.ICheckOutboundMessThrottle, turn, float, int
        )
        self.inc_outbound_mess_throttle = Notice[s.IIncOutboundMessThrottle](s.IIncOutboundMessThrottle, turn)
        self.smtp_should_session_shutdown = Veto[s.ISmtpShouldSessionShutdown](s.ISmtpShouldSessionShutdown, turn)
        self.config_get_domain_host_failure_retry = Override[s.IConfigGetDomainHostFailureRetry, float](
            s.IConfigGetDomainHostFailureRetry, turn, float, int
        )
        b = bounce_hooks
        self.generate_bounces = Override[b.IGenerateBounces, bool](b.IGenerateBounces, turn, bool)
        self.generate_rfc3464_message = Override[b.IGenerateRfc3464Message, bytes](
            b.IGenerateRfc3464Message, turn, bytes
        )
        self.generate_rfc3464_message_preamble = Override[b.IGenerateRfc3464MessagePreamble, bool](
            b.IGenerateRfc3464MessagePreamble, turn, bool
        )
        self.rfc3464_inline_message_fragment = Override[b.IRfc3464InlineMessageFragment, bytes](
            b.IRfc3464InlineMessageFragment, turn, bytes
        )
        self.post_generate_rfc3464_message = Notice[b.IPostGenerateRfc3464Message](b.IPostGenerateRfc3464Message, turn)
        self.generate_delay_dsn = Override[b.IGenerateDelayDsn, bool](b.IGenerateDelayDsn, turn, bool)
        self.next_delay_dsn = Override[b.INextDelayDsn, float](b.INextDelayDsn, turn, float)
        self.send_notification = Override[b.ISendNotification, bool](b.ISendNotification, turn, bool)
        self.suppression_check = Override[b.ISuppressionCheck, bool](b.ISuppressionCheck, turn, bool)
        self.suppression_added = Notice[b.ISuppressionAdded](b.ISuppressionAdded, turn)
        self.smtp_error_classify = Override[b.ISmtpErrorClassify, int](b.ISmtpErrorClassify, turn, int)
        self.aaa_log = Notice[queue_hooks.IAaaLog](queue_hooks.IAaaLog, turn)
        self.log_spool_import = Notice[queue_hooks.ILogSpoolImport](queue_hooks.ILogSpoolImport, turn)
        self._loggers: list[contracts.ILoggingInfrastructure] = []

    @property
    def points(self) -> tuple[HookPoint[Any], ...]:
        """
        Every hook point.
        """
        return tuple(point for point in vars(self).values() if isinstance(point, HookPoint))

    def told(self) -> list[dict[str, Any]]:
        """
        Every hook point, with its providers in the order of calling and how they do.
        """
        return [
            {
                "hook": point.name,
                "shape": type(point).__name__.lower(),
                "contract": f"{point.interface.__module__}.{point.interface.__name__}",
                "providers": [each.told() for each in point.provided],
            }
            for point in self.points
        ]

    def by_provider(self) -> dict[str, list[str]]:
        """
        The providers that are no part of the service, each with its hooks.
        """
        found: dict[int, tuple[str, list[str]]] = {}
        for point in self.points:
            for each in point.provided:
                if not each.service_part:
                    found.setdefault(id(each.provider), (repr(each.provider), []))[1].append(point.name)
        return dict(found.values())

    def register_first(self, provider: object) -> None:
        """
        Put *provider* first in the chain of every hook whose contract it provides.

        :raises StartupError: it provides none, or one wrongly.
        """
        for point in self._points_of(provider):
            point.register_first(provider)

    def register_last(self, provider: object) -> None:
        """
        Put *provider* last in the chain of every hook whose contract it
        provides; errors as :meth:`register_first`.
        """
        for point in self._points_of(provider):
            point.register_last(provider)

    def register_smtp_client_state(self, state: ClientState, insert_after: Stage) -> None:
        """
        Put *state* into every session, after the one that *insert_after* names and
        after those that were put there before (Momentum: ``register_smtp_client_state``).

        :param state: called with the session, an
            :class:`~momentum_tx.interfaces.records.IClientSession`; a generator function,
            as for the hook ``smtp_client_state``.
        :raises StartupError: nothing can be put there, or the service has started.
        """
        self.register_last(StateProvider(state, insert_after))

    def verify(self, provider: object) -> None:
        """
        Whether *provider* could be registered; errors as :meth:`register_first`.
        """
        for point in self._points_of(provider):
            point.verify(provider)

    def set_named(self, providers: Sequence[object]) -> None:
        """
        Have *providers*, which were verified, take the place of those that a
        configuration named before (see :class:`momentum_tx.hooks.named.NamedProviders`).
        """
        for point in self.points:
            point.set_named([provider for provider in providers if point.interface.providedBy(provider)])

    def _points_of(self, provider: object) -> list[HookPoint[Any]]:
        found = [point for point in self.points if point.interface.providedBy(provider)]
        if not found:
            raise StartupError(
                f"{provider!r} provides no hook contract of momentum_tx.interfaces.hooks (is @implementer missing?)"
            )
        return found

    def register_logger(self, logger: contracts.ILoggingInfrastructure) -> None:
        """
        Register a whole logger as a unit (Momentum: ``logging_infrastructure_1``).

        It may name in an attribute ``unheard`` the hooks at which it does nothing, such as
        ``log_attempt_v1``; it is not called then, and most messages pass through all of them.

        :raises StartupError: it does not fulfil :class:`ILoggingInfrastructure`.
        """
        try:
            verifyObject(contracts.ILoggingInfrastructure, logger)
        except Invalid as error:
            raise StartupError(f"{logger!r} is no logging infrastructure: {error}") from None
        provider = LoggerProvider(logger)
        for point in self._points_of(provider):
            if provider.hears(point.name):
                point.register_last(provider)
        self._loggers.append(logger)

    def tell_accounting(self, record: AccountingRecord) -> None:
        """
        Tell everybody who was let in, or may do what (hook ``aaa_log``).
        """
        self.aaa_log.notify(lambda provider: provider.aaa_log(record))

    def tell_error(self, now: float | None, level: str, text: str) -> None:
        """
        Tell everybody something an operator must know (hook ``log_error``).
        """
        if self.log_error:
            self.log_error.tell(now, level, text)

    def close_loggers(self) -> None:
        """
        Tell every registered logger that this was all.
        """
        for logger in self._loggers:
            try:
                logger.log_close()
            except Exception:
                _log.failure("logger {logger!r} raised", logger=logger)

    def freeze(self) -> None:
        """
        Refuse further registrations; called when the service starts.
        """
        for point in self.points:
            point.freeze()
