"""
A mail session: message after message on one connection.

A session belongs to a (domain, binding) pair.  It takes a message from the
active queue only when it is ready, so that whatever goes wrong before is
nobody's attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import LocalProtocolError
from ..net.smtp_client import ISMTPClientListener, SMTPClientProtocol
from ..outcomes import Scope, Verdict
from ..policy.session_notes import (
    BODY_UNREADABLE,
    CLOSED,
    NO_GO_AHEAD,
    TLS_FAILED,
    TLS_NOT_OFFERED,
    TOO_LARGE,
    UTF8_NOT_OFFERED,
    no_response,
    violation,
)
from ..queues.message import Message
from ..smtp import events as ev
from ..smtp.addresses import split_address
from ..smtp.client import SMTPClientMachine
from ..stages import Stage
from .initiate_smtp import FailedSession
from .settle import BULK_SLICE

if TYPE_CHECKING:
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
        "_body",
        "_connection",
        "_encrypted",
        "_ended",
        "_f",
        "_failed_at",
        "_leaving",
        "_machine",
        "_messages",
        "_note",
        "_protocol",
        "_sessions",
        "_settings",
        "_slot",
        "_transacting",
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
        self._machine = SMTPClientMachine()
        self._protocol = SMTPClientProtocol(self._machine, f.agenda, self._settings, self)
        #: The messages of the transaction under way, or taken for the next.
        self._messages: list[Message] = []
        self._body = b""
        #: Whether a transaction was begun for :attr:`_messages`.
        self._transacting = False
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

    # What the connection tells.

    def machine_event(self, event: ev.Event) -> None:
        _ON[type(event)](self, event)

    def tls_established(self) -> None:
        self._encrypted = True
        self._hello()

    def idle_timed_out(self) -> None:
        if self._messages:
            # A body is being read from disk: not the peer's fault.
            self._protocol.flush()
        else:
            self.leave()

    def stage_timed_out(self, stage: Stage) -> None:
        self._note = no_response(stage)
        self._failed_at = stage
        self._sessions.address_failed(self.handle)

    def connection_ended(self, stage: Stage) -> None:
        self._ended = True
        self._not_idle()
        note = self._note or (TLS_FAILED if stage is Stage.TLS_HANDSHAKE else CLOSED)
        self._abandon(note, answered=False, stage=stage)
        failed = None
        if not self.ready and not self._sessions.stopping:
            failed = FailedSession(note, self._failed_at or stage, self._connection)
        retry_plain = failed is not None and stage in _TLS_STAGES and self._settings.tls == "ifavailable"
        self._sessions.session_ended(self, failed, retry_plain)

    # What the peer says.

    def _greeted(self, event: ev.Greeted) -> None:
        self._hello()

    def _hello(self) -> None:
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
        self._connection.esmtp = event.esmtp
        tls = self._settings.tls
        if tls != "no" and not self._encrypted:
            if event.extensions.starttls and not self._sessions.tls_is_broken(self._connection.address, tls):
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
        self.ready = True
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
        if not self._messages:
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
        if self._ended or self._leaving or self._messages:
            return
        connection, settings = self._connection, self._settings
        if (
            self._sessions.stopping
            or self._machine.broken
            or 0 < settings.max_deliveries_per_connection <= connection.deliveries
            or 0 < settings.max_recipients_per_connection <= connection.recipients
            or not self._f.spool.healthy()
        ):
            self.leave()
            return
        if self._machine.needs_reset:
            self._machine.reset()
            self._protocol.flush()
            return
        if not self._take():
            connection.in_use = 0
            self.idle = True
            self._sessions.went_idle(self)

    def _take(self) -> bool:
        """
        Take messages from the active queue; false if there are none.
        """
        settlement = self._sessions.settlement
        for _ in range(BULK_SLICE):
            message = self._sessions.next_active(self.dr, self._slot)
            if message is None:
                return False
            if not settlement.expired_unattempted(message, self._f.wall()):
                break
        else:
            self._later()
            return True
        messages = self._sessions.batch(message, self._settings, self._connection)
        connection = self._connection
        connection.in_use = 1
        for each in messages:
            each.connection = connection
            each.transferred = 0
        self._messages = messages
        self.dr.in_flight += len(messages)
        body = self._f.spool.body(message.reception)
        if isinstance(body, bytes):
            self._transact(body)
        else:
            self._protocol.flush()
            self._when_read(body, messages)
        return True

    def _when_read(self, reading: Deferred[bytes], messages: list[Message]) -> None:
        def read(body: bytes) -> None:
            if self._messages is messages:
                self._transact(body)

        def failed(failure: Failure) -> None:
            self._log.failure("body of {id} cannot be read, the message is kept", failure, id=messages[0].id)
            if self._messages is messages:
                self._refuse_ourselves(Verdict.TRANSIENT, BODY_UNREADABLE)
                self.next()

        reading.addCallbacks(read, failed)

    def _transact(self, body: bytes) -> None:
        reception = self._messages[0].reception
        extensions = self._machine.extensions
        if extensions.size_limit is not None and reception.size > extensions.size_limit:
            self._refuse_ourselves(Verdict.PERMANENT, TOO_LARGE)
            self._later()
            return
        if reception.smtputf8 and not extensions.smtputf8 and self._needs_utf8():
            self._refuse_ourselves(Verdict.PERMANENT, UTF8_NOT_OFFERED)
            self._later()
            return
        parameters = b"SIZE=%d" % len(body) if extensions.size_offered else b""
        if reception.eight_bit and extensions.eight_bit:
            parameters += b" BODY=8BITMIME"
        if reception.smtputf8 and extensions.smtputf8:
            parameters += b" SMTPUTF8"
        self._tell_attempt()
        self.dr.attempts += len(self._messages)
        self._connection.recipients += len(self._messages)
        self._body = body
        self._transacting = True
        self._machine.transaction(
            reception.sender,
            [message.recipient for message in self._messages],
            mail_parameters=parameters.strip(),
            pipeline=self._settings.pipelining,
        )
        self._protocol.flush()

    def _later(self) -> None:
        # Not at once: a queue full of such messages must not become a recursion.
        self._f.clock.callLater(0, self.next)

    def _needs_utf8(self) -> bool:
        reception = self._messages[0].reception
        return not reception.sender.isascii() or any(not message.recipient.isascii() for message in self._messages)

    def _refuse_ourselves(self, verdict: Verdict, note: bytes) -> None:
        result = ev.RecipientResult(verdict, Scope.MESSAGE, note, Stage.IDLE)
        self._settle([result] * len(self._messages))

    def _tell_attempt(self) -> None:
        hook = self._f.hooks.log_attempt_v1
        if not hook:
            return
        now, dr = self._f.wall(), self.dr
        host = f"{self._connection.host_name} [{self._connection.address}]".encode()
        for message in self._messages:

            def tell(provider: Any, message: Message = message) -> None:
                provider.log_attempt_v1(message, dr, now, message.code or host)

            hook.notify(tell)

    def _body_wanted(self, event: ev.BodyWanted) -> None:
        accepted = [self._messages[index] for index in event.accepted]
        messages = self._messages

        def written(error: Exception | None) -> None:
            if self._messages is not messages or self._ended or self._leaving:
                return
            if error is not None:
                self._cannot_record(error)
                return
            sent = self._protocol.send_body(self._body)
            for message in accepted:
                message.transferred = sent

        self._f.spool.intent(accepted, written)

    def _cannot_record(self, error: Exception) -> None:
        # Without an intent on record a crash could repeat the message unnoticed:
        # no dot is sent, and the messages are as if they had not been taken.
        self._log.error("no intent can be recorded, delivery pauses: {error}", error=error)
        messages = self._release()
        self._leaving = True
        self._protocol.abort()
        for message in messages:
            self._sessions.settlement.reinsert(message)

    def _transaction_ended(self, event: ev.TransactionEnded) -> None:
        self._settle(event.results)
        if self._machine.broken:
            self._leaving = True
            self._protocol.leave()
        else:
            self.next()

    def _release(self) -> list[Message]:
        messages, self._messages = self._messages, []
        self.dr.in_flight -= len(messages)
        self._transacting = False
        self._body = b""
        return messages

    def _settle(self, results: Sequence[ev.RecipientResult], ambiguous: bool = False) -> None:
        messages = self._release()
        now = self._f.wall()
        settlement = self._sessions.settlement
        for message, result in zip(messages, results, strict=True):
            if result.verdict is Verdict.DELIVERED:
                self._connection.deliveries += 1
                settlement.delivered(message, result.note, now)
            elif result.verdict is Verdict.PERMANENT:
                settlement.permanent(message, result.note, result.stage, now, result.scope)
            else:
                unknown = ambiguous and result.scope is Scope.CONNECTION
                settlement.transient(message, result.note, result.stage, now, unknown)

    def _abandon(self, note: bytes, answered: bool, stage: Stage) -> None:
        """
        The session is over in the middle of something, or of nothing.

        :param answered: whether a complete reply of the peer said so.
        """
        results = self._machine.abandon(note)
        if not self._messages:
            return
        unknown = stage is Stage.READING_CONFIRMATION and not answered
        untouched = not self._transacting or (
            # A used connection that ends before anything was answered says nothing about this message.
            stage is Stage.AFTER_MAIL_FROM and self._connection.deliveries > 0
        )
        if untouched or (self._sessions.stopping and not unknown):
            for message in self._release():
                self._sessions.settlement.reinsert(message)
        else:
            self._settle(results, ambiguous=unknown)

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
