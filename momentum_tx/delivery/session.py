"""
A mail session: message after message on one connection.

A session belongs to a (domain, binding) pair.  It takes a message from the
active queue only when it is ready, so that whatever goes wrong before is
nobody's attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import LocalProtocolError
from ..net.smtp_client import ISMTPClientListener, SMTPClientProtocol
from ..outcomes import Verdict
from ..policy.session_notes import (
    BODY_UNREADABLE,
    CLOSED,
    NO_GO_AHEAD,
    TLS_FAILED,
    TLS_NOT_OFFERED,
    UNSPEAKABLE,
    no_response,
    violation,
)
from ..smtp import events as ev
from ..smtp.addresses import split_address
from ..smtp.client import Method, SMTPClientMachine
from ..stages import Stage
from .bulk import BULK_SLICE
from .initiate_smtp import FailedSession
from .transaction import Transaction

if TYPE_CHECKING:
    from ..queues.message import Message
    from .handle import ConnectionHandle
    from .sessions import Sessions

_TLS_STAGES: Final = (Stage.AFTER_STARTTLS, Stage.TLS_HANDSHAKE)


@implementer(ISMTPClientListener)
class Session:
    """
    One session.  Made by :class:`~momentum_tx.delivery.sessions.Sessions` when
    a connection is established; ends when the connection does.
    """

    _log = Logger()

    __slots__ = (
        "_connection",
        "_encrypted",
        "_ended",
        "_f",
        "_failed_at",
        "_leaving",
        "_machine",
        "_note",
        "_protocol",
        "_sessions",
        "_settings",
        "_slot",
        "_transaction",
        "dr",
        "handle",
        "idle",
        "ready",
    )

    def __init__(self, sessions: Sessions, handle: ConnectionHandle) -> None:
        self._sessions = sessions
        self._f = f = sessions.facilities
        self.handle = handle
        self._connection = handle.connection
        self.dr = handle.dr
        self._slot = handle.binding_slot
        # The generation it begins with serves it to its end.
        self._settings = f.config.path(self._slot, self.dr.domain)
        self._machine = SMTPClientMachine(Method(self._settings.delivery_method))
        self._protocol = SMTPClientProtocol(self._machine, f.agenda, self._settings, self)
        #: The transaction under way, or whose body is being read.
        self._transaction: Transaction | None = None
        self._encrypted = False
        #: Whether the peer accepted us, so that messages may be taken.
        self.ready = False
        #: Whether it waits for mail.
        self.idle = False
        self._leaving = False
        self._ended = False
        #: Why the session failed, and where it stood, once that is known.
        self._note = b""
        self._failed_at: Stage | None = None

    def begin(self) -> None:
        """
        Take the connection over.
        """
        stream: Any = self._connection.stream
        self._connection.stream = None
        stream.start(self._protocol)

    @property
    def messages(self) -> tuple[Message, ...]:
        """
        The messages of the transaction under way, which are in no queue.
        """
        return tuple(self._transaction.messages) if self._transaction is not None else ()

    # What the connection tells.

    def machine_event(self, event: ev.Event) -> None:
        _ON[type(event)](self, event)

    def tls_established(self) -> None:
        self._encrypted = True
        self._hello()

    def idle_timed_out(self) -> None:
        self.leave()

    def stage_timed_out(self, stage: Stage) -> None:
        self._note = no_response(stage)
        self._failed_at = stage
        # A peer that is slow to forget a transaction has answered everything that mattered.
        if stage is not Stage.AFTER_RSET:
            self._sessions.address_failed(self.handle)

    def connection_ended(self, stage: Stage) -> None:
        self._ended = True
        self._not_idle()
        note = self._note or (TLS_FAILED if stage is Stage.TLS_HANDSHAKE else CLOSED)
        try:
            self._abandon(note, answered=False, stage=stage)
        except Exception:
            # Whatever went wrong with the messages, the connection must not be counted for ever.
            self._log.failure("messages of an ended session could not be settled")
        failed = None
        if not self.ready and not self._sessions.stopping:
            failed = FailedSession(note, self._failed_at or stage, self._connection)
        retry_plain = failed is not None and stage in _TLS_STAGES and self._settings.tls == "ifavailable"
        self._sessions.session_ended(self, failed, retry_plain)

    # What the peer says.

    def _greeted(self, event: ev.Greeted) -> None:
        self._hello()

    def _hello(self) -> None:
        if self._machine.over:
            return
        self._machine.hello(self._ehlo_name())
        self._protocol.flush()

    def _ehlo_name(self) -> bytes:
        name = self._settings.ehlo_hostname
        if name == "__hostname__":
            return self._f.hostname.encode("ascii")
        if name == "__message__":
            first = self.dr.mail_queue.peek_active(self._slot)
            domain = split_address(first.reception.sender)[1] if first is not None else b""
            return domain if domain.isascii() and domain else self._f.hostname.encode("ascii")
        return name.encode("ascii")

    def _greeting_refused(self, event: ev.GreetingRefused) -> None:
        self._fail_session(event.reply.note, Stage.READING_BANNER)

    def _hello_refused(self, event: ev.HelloRefused) -> None:
        self._fail_session(event.reply.note, Stage.AFTER_EHLO)

    def _fail_session(self, note: bytes, stage: Stage) -> None:
        """
        The peer will not have us; nothing was attempted.
        """
        self._note = note
        self._failed_at = stage
        self.leave()

    def _on_ready(self, event: ev.Ready) -> None:
        if self._machine.over:
            # Accepted and dismissed in one breath is refused: were it ready, the next attempt would follow at once.
            return
        self._connection.esmtp = event.esmtp
        tls = self._settings.tls
        if tls != "no" and not self._encrypted:
            if event.extensions.starttls and not self._sessions.tls_is_broken(self._connection.peer, tls):
                self._machine.starttls()
                self._protocol.flush()
                return
            if tls == "required":
                self._fail_session(TLS_NOT_OFFERED, Stage.DURING_STARTTLS)
                return
        self._become_ready()

    def _tls_go_ahead(self, event: ev.TLSGoAhead) -> None:
        self._protocol.start_tls(self._f.tls, self._connection.host_name, self._settings.tls)

    def _tls_refused(self, event: ev.TLSRefused) -> None:
        if self._settings.tls == "required":
            self._fail_session(NO_GO_AHEAD, Stage.AFTER_STARTTLS)
        else:
            self._become_ready()

    def _become_ready(self) -> None:
        if self._machine.over:
            return
        self.ready = True
        self._sessions.connections.contacted(self.handle)
        self.next()

    def _reset_done(self, event: ev.ResetDone) -> None:
        if event.ok:
            self.next()
        else:
            self.leave()

    def _quit_done(self, event: ev.QuitDone) -> None:
        self._protocol.leave()

    def _dismissed(self, event: ev.Dismissed) -> None:
        self._note = event.reply.note
        self._failed_at = event.stage
        self._abandon(event.reply.note, answered=True, stage=event.stage)
        self._leaving = True
        self._not_idle()
        self._protocol.leave()

    def _violated(self, event: ev.Violated) -> None:
        self._note = violation(event.text)
        self._failed_at = event.stage
        self._sessions.address_failed(self.handle)
        self._abandon(self._note, answered=False, stage=event.stage)
        self._leaving = True
        self._not_idle()
        self._protocol.abort()

    # Message after message.

    def resume(self) -> None:
        """
        There is mail for an idle session.
        """
        self._not_idle()
        self.next()

    def leave(self) -> None:
        """
        End the session in order; a transaction under way is not interrupted,
        call it between transactions.
        """
        if self._ended or self._leaving:
            return
        self._leaving = True
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
        self._protocol.abort()

    def next(self) -> None:
        """
        Take the next message, or wait for one, or leave.
        """
        if self._ended or self._leaving or self._transaction is not None or self._machine.over:
            return
        connection, settings = self._connection, self._settings
        if (
            self._sessions.stopping
            or self._machine.broken
            or 0 < settings.max_deliveries_per_connection <= connection.deliveries
            or 0 < settings.max_recipients_per_connection <= connection.recipients
            or not self._f.spool.writable()
            or self._sessions.limits.claimed(self.handle)
        ):
            self.leave()
            return
        if self._machine.needs_reset:
            self._machine.reset()
            self._protocol.flush()
            return
        if not self._take():
            connection.in_use = 0
            if self._sessions.limits.wanted(self.handle):
                self.leave()
                return
            self.idle = True
            # While a body was read, nothing was timed.
            self._protocol.flush()
            self._sessions.went_idle(self)

    def _take(self) -> bool:
        """
        Take messages from the active queue; false if there are none.
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
            message = self._sessions.next_active(self.dr, self._slot)
            if message is None:
                return False
            if not settlement.expired_unattempted(message, self._f.wall()):
                break
        else:
            self._later()
            return True
        connection = self._connection
        connection.in_use = 1
        messages = self._sessions.batch(message, self._settings, connection, room)
        transaction = self._transaction = Transaction(self._f, settlement, self.dr, connection, messages)
        transaction.throttles = limits.promise_messages(self.handle, len(messages))
        body = self._f.spool.body(message.reception)
        if isinstance(body, bytes):
            self._transact(transaction, body)
        else:
            # Our disk's time is not the peer's silence.
            self._protocol.hold()
            body.addCallbacks(
                lambda content: self._transact(transaction, content),
                lambda failure: self._unreadable(transaction, failure),
            )
        return True

    def _unreadable(self, transaction: Transaction, failure: Failure) -> None:
        self._log.failure("body of {id} cannot be read, the message is kept", failure, id=transaction.messages[0].id)
        if not transaction.ended:
            self._settle_unsent(transaction, Verdict.TRANSIENT, BODY_UNREADABLE)

    def _transact(self, transaction: Transaction, body: bytes) -> None:
        if transaction.ended:
            return
        if self._sessions.stopping or self._sessions.suspended(self.dr, self._slot):
            # So it was decided while the body was read: nothing has been said of this message yet.
            self._transaction = None
            transaction.give_back()
            self._later()
            return
        extensions = self._machine.extensions
        refusal = transaction.prepare(body, extensions, self._settings)
        if refusal:
            self._settle_unsent(transaction, Verdict.PERMANENT, refusal)
            return
        transaction.begin()
        try:
            self._machine.transaction(
                transaction.reception.sender,
                [message.recipient for message in transaction.messages],
                mail_parameters=transaction.mail_parameters(extensions),
                pipeline=self._settings.pipelining,
            )
        except LocalProtocolError:
            # Addresses are checked at the door; one that slipped through keeps its mail, and keeps up nobody else's.
            self._log.failure("message {id} cannot be put into commands", id=transaction.messages[0].id)
            self._settle_unsent(transaction, Verdict.TRANSIENT, UNSPEAKABLE)
            return
        self._protocol.flush()

    def _settle_unsent(self, transaction: Transaction, verdict: Verdict, note: bytes) -> None:
        self._transaction = None
        transaction.settle_unsent(verdict, note)
        self._later()

    def _later(self) -> None:
        # Not at once: a queue full of such messages must not become a recursion.
        self._f.clock.callLater(0, self.next)

    def _body_wanted(self, event: ev.BodyWanted) -> None:
        transaction = self._under_way

        def written(error: Exception | None) -> None:
            if transaction.ended or self._leaving:
                return
            if error is not None:
                self._cannot_record(transaction, error)
            else:
                transaction.sent(event.accepted, self._protocol.send_body(transaction.body))

        transaction.intended = True
        self._f.spool.intent([transaction.messages[index] for index in event.accepted], written)

    def _cannot_record(self, transaction: Transaction, error: Exception) -> None:
        # Without an intent on record a crash could repeat the message unnoticed:
        # no dot is sent, and the messages are as if they had not been taken.
        self._f.hooks.log_error(self._f.wall(), "critical", f"no intent can be recorded, delivery pauses: {error}")
        self._transaction = None
        self._leaving = True
        self._protocol.abort()
        transaction.give_back()

    def _transaction_ended(self, event: ev.TransactionEnded) -> None:
        transaction, self._transaction = self._under_way, None
        transaction.settle(event.results)
        if self._machine.broken:
            self._leaving = True
            self._protocol.leave()
        else:
            self.next()

    @property
    def _under_way(self) -> Transaction:
        assert self._transaction is not None
        return self._transaction

    def _abandon(self, note: bytes, answered: bool, stage: Stage) -> None:
        """
        The session is over in the middle of something, or of nothing.

        :param answered: whether a complete reply of the peer said so.
        """
        results = self._machine.abandon(note)
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return
        # By LMTP a reply is the answer for one recipient; those that had none are in doubt, whatever it was.
        lmtp = self._settings.delivery_method == "LMTP"
        unknown = stage is Stage.READING_CONFIRMATION and (lmtp or not answered)
        # A used connection that ends before anything was answered says nothing about this
        # message.  A fresh one does: were it asked again at once, this might never end.
        untouched = self._connection.deliveries > 0 and (not transaction.begun or stage is Stage.AFTER_MAIL_FROM)
        if untouched or (self._sessions.stopping and not unknown):
            transaction.give_back()
        elif transaction.begun:
            transaction.settle(results, ambiguous=unknown)
        else:
            transaction.settle_unsent(Verdict.TRANSIENT, note)

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
    ev.BodyWanted: Session._body_wanted,
    ev.TransactionEnded: Session._transaction_ended,
    ev.ResetDone: Session._reset_done,
    ev.QuitDone: Session._quit_done,
    ev.Dismissed: Session._dismissed,
    ev.Violated: Session._violated,
}
