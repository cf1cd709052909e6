"""
A mail session: message after message on one connection.

A session belongs to a (domain, binding) pair.  It takes a message from the
active queue only when it is ready, so that whatever goes wrong before is
nobody's attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import LocalProtocolError
from ..net.smtp_client import ISMTPClientListener
from ..outcomes import Verdict
from ..policy.session_notes import (
    BODY_UNREADABLE,
    CLOSED,
    RESET_REFUSED,
    TLS_FAILED,
    UNSPEAKABLE,
    XCLIENT_NOT_OFFERED,
    no_response,
    violation,
    xclient_refused,
)
from ..policy.tls import TLSParameters
from ..smtp import events as ev
from ..stages import Stage
from . import asking
from .arguments import ArgumentsFailed, xclient_arguments
from .bulk import BULK_SLICE
from .initiate_smtp import FailedSession
from .introduction import Due, Introduction
from .sending import Sending
from .transaction import Transaction

if TYPE_CHECKING:
    from ..queues.domain import DomainRecord
    from ..queues.message import Message
    from ..settings import PathSettings
    from .handle import ConnectionHandle
    from .sessions import Sessions


@implementer(ISMTPClientListener)
class Session(Sending):
    """
    One session.  Made by :class:`~momentum_tx.delivery.sessions.Sessions` when
    a connection is established; ends when the connection does.
    """

    _log = Logger()

    __slots__ = (
        "_ended",
        "_introduction",
        "idle",
    )

    def __init__(self, sessions: Sessions, handle: ConnectionHandle) -> None:
        super().__init__(sessions, handle)
        self._introduction = Introduction(self._settings.xclient)
        #: Whether it waits for mail.
        self.idle = False
        self._ended = False

    @property
    def message(self) -> Message | None:
        """
        The message that is about to be sent, or is under way.
        """
        return self._transaction.messages[0] if self._transaction is not None else None

    # What the connection tells.

    def machine_event(self, event: ev.Event) -> None:
        _ON[type(event)](self, event)

    def idle_timed_out(self) -> None:
        self.leave()

    def stage_timed_out(self, stage: Stage) -> None:
        self._hush()
        self._note = no_response(stage)
        self._failed_at = stage
        self._sessions.carriage.failed(self._connection.peer, stage, self._machine.grouped)
        # A peer that is slow to forget a transaction has answered everything that mattered.
        if stage is not Stage.AFTER_RSET:
            self._sessions.address_failed(self.handle)

    def connection_ended(self, stage: Stage) -> None:
        self._ended = True
        self._hush()
        self._not_idle()
        note = self._note or (TLS_FAILED if stage is Stage.TLS_HANDSHAKE else CLOSED)
        try:
            self._abandon(note, answered=False, stage=stage)
        except Exception:
            # Whatever went wrong with the messages, the connection must not be counted for ever.
            self._log.failure("messages of an ended session could not be settled")
        failed = None
        if not self.ready and not self._sessions.stopping:
            where = self._failed_at or stage
            demanded = self._unmet or where in (Stage.AFTER_STARTTLS, Stage.TLS_HANDSHAKE)
            failed = FailedSession(note, where, self._connection, self._hold, demanded, self._final)
            self._f.tls_policies.failed(self.dr, self._tls)
        self._sessions.session_ended(self, failed, failed is not None and self._tls_failed(stage))

    # What the peer says.

    def _first(self) -> Message | None:
        if self._transaction is not None:
            return self._transaction.messages[0]
        return self.dr.mail_queue.peek_active(self._slot)

    def _greeted_anew(self) -> None:
        transaction = self._transaction
        if transaction is None:
            self.next()
        else:
            self._transact(transaction, transaction.body)

    def _reset_done(self, event: ev.ResetDone) -> None:
        transaction = self._transaction
        if event.ok and transaction is not None:
            self._repeat(transaction)
        elif event.ok:
            self.next()
        else:
            self._transaction = None
            self.leave()
            if transaction is not None:
                transaction.settle_unsent(Verdict.TRANSIENT, RESET_REFUSED, Stage.AFTER_RSET)

    def _quit_done(self, event: ev.QuitDone) -> None:
        self._protocol.leave()

    def _dismissed(self, event: ev.Dismissed) -> None:
        self._note = event.reply.note
        self._failed_at = event.stage
        self._abandon(event.reply.note, answered=True, stage=event.stage)
        self._leaving = True
        self._hush()
        self._not_idle()
        self._protocol.leave()

    def _violated(self, event: ev.Violated) -> None:
        self._note = violation(event.text)
        self._failed_at = self._spoilt_at = event.stage
        self._sessions.carriage.failed(self._connection.peer, event.stage, self._machine.grouped)
        self._sessions.address_failed(self.handle)
        self._abandon(self._note, answered=False, stage=event.stage)
        self._leaving = True
        self._hush()
        self._not_idle()
        self._protocol.abort()

    # Message after message.

    def resume(self) -> None:
        """
        There is mail for an idle session.
        """
        self._not_idle()
        self.next()

    def leave_skipped(self) -> None:
        """
        If ``skip_hosts`` leaves the peer out by now, take no further message.
        """
        if self._f.skips(self._connection.host_name, self._connection.address):
            # As with other routes, the session ends after the transaction it is in.
            self.handle.way = -1

    @property
    def settings(self) -> PathSettings:
        """
        The options it goes by.
        """
        return self._settings

    @property
    def tls(self) -> TLSParameters:
        """
        What was wanted of TLS when it began.
        """
        return self._tls

    def serve(self, dr: DomainRecord, settings: PathSettings) -> None:
        """
        Go on with the mail of *dr*, a sibling of the domain served so far;
        :meth:`next` takes it.

        :param settings: of *dr*; whatever the connection was opened with is the same.
        """
        self._not_idle()
        self.dr = dr
        self._settings = settings
        self._protocol.follow(settings)
        self.trace()

    def leave(self) -> None:
        """
        End the session in order; a transaction under way is not interrupted,
        call it between transactions.
        """
        if self._ended or self._leaving:
            return
        self._leaving = True
        self.handle.leave()
        self._hush()
        self._not_idle()
        try:
            self._protocol.quit()
        except LocalProtocolError:
            # A reply is owed, or the handshake is running: no word can be said.
            self._protocol.leave()

    def stop(self) -> None:
        """
        The service is stopping: leave as soon as no transaction is under way.
        """
        if self._transaction is None:
            self.leave()

    def interrupt(self) -> None:
        """
        The service cannot wait any longer.
        """
        self._hush()
        self._protocol.abort()

    def next(self) -> None:
        """
        Take the next message, or wait for one, or leave.
        """
        if self._ended or self._leaving or self._transaction is not None or self._machine.over:
            return
        connection = self._connection
        # One look at the clock for all that is asked before a message.
        now = self._f.wall()
        if not self._may_go_on(0, now):
            self.leave()
            return
        if self._machine.needs_reset:
            self._machine.reset()
            self._protocol.flush()
            return
        if not self._take(now):
            connection.in_use = 0
            self._sessions.limits.proven(self.handle)
            if self._sessions.bequeath(self):
                # Not at once: one sibling after the other whose mail turns out to be none must not become a recursion.
                self._later()
                return
            if self._sessions.limits.wanted(self.handle) or self._sessions.suspended(self.dr, self._slot):
                self.leave()
                return
            self.idle = True
            # While a body was read, nothing was timed.
            self._protocol.flush()
            self._sessions.went_idle(self)

    def _may_go_on(self, pending: int, now: float) -> bool:
        connection, settings, machine = self._connection, self._settings, self._machine
        if (
            self._sessions.stopping
            or self.handle.way != self.dr.way
            or machine.broken
            or (machine.extensions.most_transactions and self._quota.used_up(machine.extensions))
            or 0 < settings.max_deliveries_per_connection <= connection.deliveries + pending
            or 0 < settings.max_recipients_per_connection <= connection.recipients
            or not self._f.spool.writable()
            or self._sessions.limits.claimed(self.handle)
            or self._f.tls_policies.outdated(self.dr, now - connection.start)
        ):
            return False
        hooks = self._f.hooks
        shutdown = hooks.smtp_should_session_shutdown
        if not pending:
            # Once after each transaction, and not again after RSET or a wait for mail.
            due, self._transacted = self._transacted, False
            return not (
                due and shutdown and shutdown.vetoed(lambda provider: provider.smtp_should_session_shutdown(self))
            )
        # Behind a dot nothing can be said before a message, and nobody is asked what to say, or whether to go on.
        asked = shutdown or hooks.smtp_client_state or hooks.smtp_client_mailfrom_args or hooks.smtp_client_rcptto_args
        return not (self._introduction.needed or asked or self._machine.extensions.most_domains)

    def _take(self, now: float) -> bool:
        """
        Take messages from the active queue; false if there are none.

        :param now: wall time.
        """
        settlement, limits = self._sessions.settlement, self._sessions.limits
        room = limits.message_room(self.dr, self._slot, self.handle.host)
        if room <= 0:
            if limits.message_room(self.dr, self._slot) > 0:
                # It is the host that is saturated: the mail may go by another one.
                self.leave()
                return True
            # The session waits for its turn like one that has no mail.
            limits.wait_for_messages(self.dr, self._slot)
            return False
        for _ in range(BULK_SLICE):
            message = self._sessions.next_active(self.dr, self._slot, self.handle)
            if message is None:
                return False
            if not settlement.expired_unattempted(message, now):
                break
        else:
            self._later()
            return True
        connection, extensions = self._connection, self._machine.extensions
        admits = self._quota.admission(extensions) if extensions.most_domains else None
        if admits is not None and not admits(message):
            # It goes on another connection; on this one went others.
            settlement.reinsert(message)
            self.leave()
            return True
        connection.in_use = 1
        if extensions.most_recipients:
            room = min(room, extensions.most_recipients)
        if message.reception.live == 1:
            messages = [message]
        else:
            messages = self._sessions.batch(message, self._settings, connection, room, admits)
        transaction = self._transaction = Transaction(self._f, settlement, self.dr, connection, messages)
        if not self._same_tls(message):
            self._change_connection(transaction)
            return True
        transaction.throttles = limits.promise_messages(self.handle, len(messages))
        body = self._f.spool.body(message.reception)
        if isinstance(body, bytes):
            self._transact(transaction, self._modified(message, body), at_once=True)
        else:
            # Our disk's time is not the peer's silence.
            self._protocol.hold()
            body.addCallbacks(
                lambda content: self._transact(transaction, self._modified(message, content)),
                lambda failure: self._unreadable(transaction, failure),
            )
        return True

    def _unreadable(self, transaction: Transaction, failure: Failure) -> None:
        self._log.failure("body of {id} cannot be read, the message is kept", failure, id=transaction.messages[0].id)
        if not transaction.ended:
            self._settle_unsent(transaction, Verdict.TRANSIENT, BODY_UNREADABLE)

    def _modified(self, message: Message, body: bytes) -> bytes:
        return asking.content_of(self._f.hooks, message, body) if self._f.hooks.body_modify else body

    def _transact(self, transaction: Transaction, body: bytes, at_once: bool = False) -> None:
        """
        Go on with a transaction whose content is at hand.

        :param at_once: whether nothing can have happened since it was taken.
        """
        try:
            self._say(transaction, body, at_once)
        except Exception:
            # Who has read the content from the disk, or waited for somebody, would swallow it, and the message were
            # under way for ever.
            self._log.failure("message {id} cannot be sent, its session ends", id=transaction.messages[0].id)
            self._note = self._note or UNSPEAKABLE
            self._protocol.abort()

    def _say(self, transaction: Transaction, body: bytes, at_once: bool) -> None:
        if transaction.ended:
            return
        if not at_once and (self._sessions.stopping or self._sessions.suspended(self.dr, self._slot)):
            # So it was decided while the body was read: nothing has been said of this message yet.
            self._transaction = None
            transaction.give_back()
            self._later()
            return
        if self._introduction.needed and not self._introduced(transaction, body):
            return
        if self._f.hooks.smtp_client_state and not transaction.prefaced:
            transaction.prefaced = True
            self._put_in(
                Stage.AFTER_XCLIENT, lambda: self._transact(transaction, body), partial(self._not_passed, transaction)
            )
            return
        if transaction.reception.terms.require_tls and not self._safe(transaction):
            return
        extensions = self._machine.extensions
        refusal = transaction.prepare(body, extensions, self._settings)
        if refusal:
            self._settle_unsent(transaction, Verdict.PERMANENT, refusal)
            return
        self._begin(transaction)

    def _safe(self, transaction: Transaction) -> bool:
        """
        Whether a message that asks for it is safe with the peer (RFC 8689); if not, it goes
        to another one, or has ended.
        """
        f, connection = self._f, self._connection
        found = f.message_tls.unfit(self.dr, self._slot, connection, self._machine.extensions)
        if found is None:
            return True
        ended = f.message_tls.give_up(self.dr, self._slot, connection, found, self._sessions.records)
        if ended is None:
            self._change_connection(transaction)
        else:
            note, final = ended
            self._settle_unsent(transaction, Verdict.PERMANENT if final else Verdict.TRANSIENT, note)
        return False

    def _not_passed(self, transaction: Transaction, note: bytes) -> None:
        self._transaction = None
        self.leave()
        transaction.settle_unsent(Verdict.TRANSIENT, note, Stage.CUSTOM_STATE)

    def _introduced(self, transaction: Transaction, body: bytes) -> bool:
        """
        Whether all is said that comes before the message; if not, it goes on when it
        is, or has ended.
        """
        due = self._introduction.due(transaction.reception, body, self._machine.extensions.xclient)
        if due is Due.TELL:
            try:
                words = xclient_arguments(self._f.hooks, self, self._introduction.words)
            except ArgumentsFailed as failed:
                self._settle_unsent(transaction, Verdict.TRANSIENT, failed.note)
                return False
            transaction.body = body
            self._machine.xclient(words)
            self._protocol.flush()
        elif due is Due.FAIL:
            self._settle_unsent(transaction, Verdict.TRANSIENT, XCLIENT_NOT_OFFERED)
        elif due is Due.MOVE:
            self._change_connection(transaction)
        return due is Due.NOTHING

    def _change_connection(self, transaction: Transaction) -> None:
        self._transaction = None
        transaction.give_back()
        self.leave()

    def _client_taken(self, event: ev.ClientTaken) -> None:
        self._introduction.taken()
        self._hello()

    def _client_refused(self, event: ev.ClientRefused) -> None:
        transaction, due = self._under_way, self._introduction.refused()
        if due is Due.MOVE:
            self._change_connection(transaction)
            return
        if due is Due.FAIL:
            self._transaction = None
            transaction.settle_unsent(Verdict.TRANSIENT, xclient_refused(event.reply.note))
        self._hello()

    def _not_idle(self) -> None:
        if self.idle:
            self.idle = False
            self._sessions.left_idle(self)


_ON: Final[dict[type, Callable[[Session, Any], None]]] = {
    ev.Greeted: Session._greeted,
    ev.GreetingRefused: Session._greeting_refused,
    ev.HelloRefused: Session._hello_refused,
    ev.Ready: Session._on_ready,
    ev.TLSGoAhead: Session._tls_go_ahead,
    ev.TLSRefused: Session._tls_refused,
    ev.ClientTaken: Session._client_taken,
    ev.ClientRefused: Session._client_refused,
    ev.Answered: Session._answered,
    ev.BodyWanted: Session._body_wanted,
    ev.ChunkTaken: Session._chunk_taken,
    ev.ChunkingRefused: Session._chunking_refused,
    ev.TransactionEnded: Session._transaction_ended,
    ev.BothAnswered: Session._both_answered,
    ev.ResetDone: Session._reset_done,
    ev.QuitDone: Session._quit_done,
    ev.Dismissed: Session._dismissed,
    ev.Violated: Session._violated,
}
