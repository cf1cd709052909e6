"""
``initiate_connection_smtp``: the caller of ``initiate_connection`` that does
what its failures oblige to.

Source: Momentum, "Connection-related Functions", ``initiate_connection_smtp``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from ..errors import ConnectionNotInitiated
from ..flags import CONN_ERROR, ConnFlag
from ..interfaces.records import IDomainRecord
from ..interfaces.services import IConnectionInitiator
from ..policy.consequence import LOOKUP_DEFERRED, NO_VALID_HOSTS, TOO_MANY_FAILURES, counts_as_mx_failure, note_for
from ..queues.domain import Connection, DomainRecord
from ..stages import Stage
from .handle import NO_ERROR, ConnectionHandle
from .initiate import ConnectionInitiator

if TYPE_CHECKING:
    from .settle import Settlement


def initiate_connection_smtp(dr: DomainRecord, binding: int, now: float | None) -> ConnFlag:
    """
    Begin to open a connection for mail, perform the actions a failure obliges
    to, and count it towards ``mx_failures_to_delay``.

    Source: Momentum, ``initiate_connection_smtp``.

    :param dr: the domain record.
    :param binding: the binding slot.
    :param now: wall time in epoch seconds; ``None`` asks the clock.
    :returns: 0 when a connect is pending, else the bare error, actions taken
        away (they are done already).
    """
    return dr.initiator.initiate_connection_smtp(dr, binding, now)


@dataclass(frozen=True, slots=True)
class FailedSession:
    """
    What went wrong on a connection, for the log of the message that suffers.

    :ivar note: status text; empty for a connection that was never established.
    :ivar stage: where it stood.
    :ivar connection: the connection, ``None`` if no address was chosen.
    :ivar demanded: whether it was what this domain demands of TLS that was not met, which
        is nobody else's business.
    :ivar hold: seconds for which the domain and binding are left alone, since it is no
        fault of the host's.
    :ivar final: whether mail fails for ever if there is no other way.
    """

    note: bytes
    stage: Stage
    connection: Connection | None
    hold: float = 0.0
    demanded: bool = False
    final: bool = False


#: Refused before any address was chosen, or at once by all of them.
NO_CONNECTION: Final = FailedSession(b"", Stage.NOT_CONNECTED, None)


def _failed_connect(handle: ConnectionHandle) -> FailedSession:
    tried = handle.connection if handle.connection.address else None
    return FailedSession(b"", Stage.NOT_CONNECTED, tried)


@implementer(IConnectionInitiator)
class MailConnections:
    """
    The connection functions, with mail as their purpose.

    :param initiator: begins attempts.
    :param settlement: moves or fails messages.
    :param open_session: given the handle of every connection that is established.
    :param released: told of the domain when somebody's own connection was closed,
        which may have kept its mail waiting.
    """

    def __init__(
        self,
        initiator: ConnectionInitiator,
        settlement: Settlement,
        open_session: Callable[[ConnectionHandle], object],
        released: Callable[[DomainRecord], object],
    ) -> None:
        self._released = released
        self._initiator = initiator
        self._settlement = settlement
        self._open_session = open_session

    def initiate_connection(
        self,
        dr: IDomainRecord,
        binding: int,
        now: float | None,
        finish_connect_func: Callable[[Any, ConnFlag, float], object],
        timeout_func: Callable[[Any, float], object],
        user_data: object = None,
    ) -> ConnectionHandle:
        """
        See :func:`momentum_tx.delivery.initiate.initiate_connection`.
        """

        def finished(handle: ConnectionHandle, error: ConnFlag, when: float) -> None:
            if not error:
                self.contacted(handle)
                self._initiator.limits.proven(handle)
            finish_connect_func(handle, error, when)

        handle = self._initiator.initiate_connection(dr, binding, now, finished, timeout_func, user_data)
        handle.when_released = lambda: self._released(handle.dr)
        return handle

    def contacted(self, handle: ConnectionHandle) -> None:
        """
        The domain of *handle* was reached: its failures are no longer in a row,
        and mail that waited only for this goes at once.  For mail that takes a
        host that will have us; a greeting of 554 is no success.
        """
        dr, slot = handle.dr, handle.binding_slot
        f = self._initiator.facilities
        self._initiator.records.contacted(dr.peers(f.config.path(slot, dr.domain).port), dr.domain, slot)
        self._initiator.probes.end(handle)
        if dr.mail_queue.release() or dr.contact_failing_since:
            dr.contact_failing_since = 0.0
            self._released(dr)

    def initiate_connection_smtp(self, dr: IDomainRecord, binding: int, now: float | None) -> ConnFlag:
        """
        See the function of that name.
        """
        assert isinstance(dr, DomainRecord)
        return self.attempt(dr, binding, now)

    def attempt(self, dr: DomainRecord, slot: int, now: float | None, before: FailedSession | None = None) -> ConnFlag:
        """
        :meth:`initiate_connection_smtp`, perhaps on behalf of a session that failed.

        :param before: what failed: the reason a message is given that has to be
            requeued because no address is left to go on with.
        """
        f = self._initiator.facilities
        # Before the throttle is asked: what it grants must not be lost on an attempt that is refused.
        f.hooks.turn.refuse_when_asking("initiate_connection_smtp")
        if now is None:
            now = f.wall()
        if self._throttled(dr, slot, now) or f.descriptors.refuses(dr):
            # Nothing was tried and nothing is owed: the mail stays active until its turn has come.
            word = ConnFlag.ERROR_HOST_MAX_REACHED
            fd = -int(word)
        else:
            try:
                handle = self._initiator.initiate_connection(dr, slot, now, self._finished, self._timed_out)
            except ConnectionNotInitiated as error:
                word = CONN_ERROR(error.flags)
                fd = -int(word)
                self.perform(dr, slot, error.flags, now, before or NO_CONNECTION)
            else:
                word, fd = NO_ERROR, max(handle.connection.fileno(), 0)
                if f.hooks.inc_outbound_conn_throttle:
                    f.hooks.inc_outbound_conn_throttle.tell(slot, dr)
        hook = f.hooks.post_initiate_connection_smtp
        if hook:
            hook.notify(lambda provider: provider.post_initiate_connection_smtp(dr, slot, now, fd))
        return word

    def _throttled(self, dr: DomainRecord, slot: int, now: float) -> bool:
        hook = self._initiator.facilities.hooks.check_outbound_conn_throttle
        if not hook:
            return False
        dr.throttled_until = hook.fold(
            0.0, lambda provider, value: provider.check_outbound_conn_throttle(slot, dr, now, value)
        )
        return dr.throttled_until > now

    def _finished(self, handle: ConnectionHandle, error: ConnFlag, now: float) -> None:
        if error:
            self.perform(handle.dr, handle.binding_slot, error, now, _failed_connect(handle))
            if error & ConnFlag.ERROR_HOST_MAX_REACHED:
                # A limit stopped it on its way; the next pass asks it again, and waits in line.
                self._released(handle.dr)
        else:
            self._open_session(handle)

    def _timed_out(self, handle: ConnectionHandle, now: float) -> None:
        self.perform(handle.dr, handle.binding_slot, handle.error, now, _failed_connect(handle))

    def perform(self, dr: DomainRecord, slot: int, word: ConnFlag, now: float, failed: FailedSession) -> None:
        """
        Do what *word* obliges to, then check ``mx_failures_to_delay`` and
        ``connect_timeout_to_delay``.
        """
        settlement = self._settlement
        if word & ConnFlag.ACTION_PURGE_DOMAIN:
            if word & ConnFlag.ERROR_MX_LOOKUP_FAILED:
                self._initiator.router.gave_up(dr)
            settlement.purge_domain(dr, note_for(word))
            return
        if word & ConnFlag.ERROR_MX_LOOKUP_FAILED:
            # No message can be tried before DNS answers: all of them wait.
            settlement.delay_domain(dr, dr.routing_note or LOOKUP_DEFERRED)
            return
        f = self._initiator.facilities
        if word & ConnFlag.ERROR_SOCKET and f.descriptors.short:
            # We have no descriptor for it: neither host nor message suffers for that.
            f.descriptors.wait(dr)
            return
        if word & ConnFlag.ERROR_BIND and (f.plumbing.impaired(slot) or f.egress.unusable(slot, dr.domain)):
            # Our machine lacks the address, or the proxy: mail waits for it, and no message suffers.
            return
        if word & ConnFlag.ACTION_REQUEUE1:
            if word & ConnFlag.ERROR_NO_MXS_REACHABLE and failed.final:
                settlement.purge_binding(dr, slot, failed.note)
            elif word & ConnFlag.ERROR_NO_MXS_REACHABLE and failed.note:
                settlement.requeue_one(dr, slot, failed.note, now, failed.connection, failed.stage)
            else:
                note = f.tls_policies.refusal(dr, slot) or note_for(word)
                settlement.requeue_one(dr, slot, note, now, failed.connection)
        # What a session failed of was counted when it did.
        if counts_as_mx_failure(word) and not failed.note:
            self.count_failure(dr, slot, word, now)

    def count_failure(self, dr: DomainRecord, slot: int, word: ConnFlag, now: float) -> None:
        """
        One more failure to reach *dr*; past the configured measure all its
        active mail is delayed.
        """
        f = self._initiator.facilities
        records = self._initiator.records
        port = f.config.path(slot, dr.domain).port
        left_out = f.tls_policies.left_out(dr, slot)
        peers = [
            (address, mx.port or port)
            for mx in dr.mxlist
            for address in mx.host.addresses
            if f.egress.source(slot, dr.domain, address) is not None and not left_out(mx.host.name, address)
        ]
        if word & ConnFlag.ERROR_NO_MXS_REACHABLE:
            for peer in peers:
                records.count_failure(peer, dr.domain, slot)
        settings = f.config.domain(dr.domain)
        most = settings.mx_failures_to_delay
        if most and peers and all(records.failures(peer, dr.domain, slot) >= most for peer in peers):
            self._settlement.delay_domain(dr, TOO_MANY_FAILURES)
        if not dr.contact_failing_since:
            dr.contact_failing_since = now
        elif settings.connect_timeout_to_delay and now - dr.contact_failing_since >= settings.connect_timeout_to_delay:
            dr.contact_failing_since = now
            self._settlement.delay_domain(dr, NO_VALID_HOSTS)
