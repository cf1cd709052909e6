"""
The middle of a session: one transaction, from its first command to its last reply.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.logger import Logger

from ..errors import LocalProtocolError
from ..outcomes import Verdict
from ..policy.lost_reply import POLICIES, LostReply
from ..policy.session_notes import UNSPEAKABLE
from ..smtp import events as ev
from ..smtp.overlap import OverlappingMachine
from ..stages import Stage
from . import asking
from .arguments import ArgumentsFailed, mail_arguments, recipient_arguments
from .opening import Opening
from .quota import Quota
from .transaction import Transaction

if TYPE_CHECKING:
    from ..queues.message import Message
    from ..smtp.events import RecipientResult
    from ..smtp.extensions import Extensions
    from .handle import ConnectionHandle
    from .sessions import Sessions


class Sending(Opening):
    """
    A session while a message is sent.  Which, and what comes before and after, is
    decided by the rest of it, :class:`~momentum_tx.delivery.session.Session`.
    """

    _log = Logger()

    __slots__ = ("_ahead", "_leaving", "_quota", "_transacted", "_transaction")

    def __init__(self, sessions: Sessions, handle: ConnectionHandle) -> None:
        super().__init__(sessions, handle)
        #: The transaction under way, or whose body is being read.
        self._transaction: Transaction | None = None
        #: The one that was begun behind the final dot of that.
        self._ahead: Transaction | None = None
        #: What the peer has taken of what it takes on one session.
        self._quota = Quota()
        self._leaving = False
        #: Whether a transaction was begun since smtp_should_session_shutdown was asked.
        self._transacted = False

    @property
    def messages(self) -> tuple[Message, ...]:
        """
        The messages of the transactions under way, which are in no queue.
        """
        if self._ahead is not None:
            return (*self._under_way.messages, *self._ahead.messages)
        return tuple(self._transaction.messages) if self._transaction is not None else ()

    def _begin(self, transaction: Transaction) -> None:
        """
        Tell the peer of a transaction whose content is at hand.
        """
        machine, peer = self._machine, self._connection.peer
        extensions = transaction.understood(machine.extensions) if transaction.bare else machine.extensions
        carriage = self._sessions.carriage
        try:
            mail_parameters, recipient_parameters = self._parameters(transaction, extensions)
        except ArgumentsFailed as failed:
            self._settle_unsent(transaction, Verdict.TRANSIENT, failed.note)
            return
        transaction.begin()
        self._transacted = True
        self._quota.begun(extensions, transaction.messages)
        self.transcript.turn()
        groups = carriage.groups(peer, self._settings)
        chunk_size = carriage.chunk_size(peer, self._settings, extensions, len(transaction.body), groups)
        transaction.chunk_size = chunk_size
        try:
            machine.transaction(
                transaction.sender,
                transaction.recipients,
                mail_parameters=mail_parameters,
                recipient_parameters=recipient_parameters,
                pipeline=groups,
                chunked=chunk_size > 0,
            )
        except LocalProtocolError:
            # Addresses are checked at the door; one that slipped through keeps its mail, and keeps up nobody else's.
            self._log.failure("message {id} cannot be put into commands", id=transaction.messages[0].id)
            self._settle_unsent(transaction, Verdict.TRANSIENT, UNSPEAKABLE)
            return
        self._protocol.flush()

    def _parameters(self, transaction: Transaction, extensions: Extensions) -> tuple[bytes, Sequence[bytes]]:
        """
        What follows the paths, when everybody has had a say who is asked.

        :raises ArgumentsFailed: nothing can be said of the message, or of no recipient.
        """
        mail = transaction.mail_parameters(extensions)
        each = transaction.recipient_parameters(extensions)
        hooks = self._f.hooks
        if not transaction.bare:
            # With a peer that stumbles over parameters nobody adds any.
            if hooks.smtp_client_mailfrom_args:
                mail = mail_arguments(hooks, self, mail)
            if hooks.smtp_client_rcptto_args:
                each = transaction.reduced(recipient_arguments(hooks, self, transaction.messages, each))
        transaction.parameters = mail, each
        return mail, each

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
                octets = self._protocol.send_body(transaction.body, transaction.chunk_size)
                transaction.sent(event.accepted, octets)
                if self._settings.overlap_transactions:
                    self._begin_behind()

        transaction.intended = True
        messages = transaction.messages
        if len(event.accepted) != len(messages):
            messages = [messages[index] for index in event.accepted]
        if self._settings.lost_final_reply == "retry":
            self._f.spool.intent(messages, written)
        else:
            # It has to outlive a power cut: our disk's time is not the peer's silence.
            transaction.lost_reply = POLICIES[self._settings.lost_final_reply]
            self._protocol.hold()
            self._f.spool.intent(messages, written, transaction.lost_reply)

    def _begin_behind(self) -> None:
        """
        Begin the next transaction behind the final dot, if there is one that suits: with one
        recipient, whose content is in memory, and nothing to be said before it.
        """
        machine, settings, connection, sessions = self._machine, self._settings, self._connection, self._sessions
        now = self._f.wall()
        if not (isinstance(machine, OverlappingMachine) and machine.may_overlap and self._may_go_on(1, now)):
            return
        if not sessions.carriage.overlaps(connection.peer, settings):
            return
        message = self.dr.mail_queue.peek_active(self._slot)
        if message is None or not self._plain_tls(message):
            return
        if message.reception.live > 1 or sessions.suspended(self.dr, self._slot):
            return
        body = self._f.spool.body(message.reception)
        if not isinstance(body, bytes):
            # It is being read now, and its turn comes when it is here.
            body.addErrback(lambda failure: None)
            return
        if sessions.limits.message_room(self.dr, self._slot, self.handle.host) <= 0:
            return
        if self._f.hooks.body_modify:
            body = asking.content_of(self._f.hooks, message, body)
        taken = sessions.next_active(self.dr, self._slot, self.handle)
        if taken is not message:
            if taken is not None:
                sessions.settlement.reinsert(taken)
            return
        if sessions.settlement.expired_unattempted(message, now):
            return
        transaction = Transaction(self._f, sessions.settlement, self.dr, connection, [message])
        transaction.throttles = sessions.limits.promise_messages(self.handle, 1)
        extensions = machine.extensions
        refusal = transaction.prepare(body, extensions, settings)
        if refusal:
            transaction.settle_unsent(Verdict.PERMANENT, refusal)
            return
        mail_parameters, recipient_parameters = self._parameters(transaction, extensions)
        transaction.begin()
        self._quota.begun(extensions, transaction.messages)
        try:
            machine.transaction_behind(
                transaction.sender,
                transaction.recipients[0],
                mail_parameters=mail_parameters,
                recipient_parameters=recipient_parameters,
            )
        except LocalProtocolError:
            self._log.failure("message {id} cannot be put into commands", id=message.id)
            transaction.settle_unsent(Verdict.TRANSIENT, UNSPEAKABLE)
            return
        self._ahead = transaction
        self._protocol.flush()

    def _both_answered(self, event: ev.BothAnswered) -> None:
        first, self._transaction, self._ahead = self._under_way, self._ahead, None
        first.settle(event.first.results)
        if self.handle.unproven:
            self._sessions.limits.proven(self.handle)
        self.transcript.turn()
        if isinstance(event.second, ev.BodyWanted):
            self._body_wanted(event.second)
        else:
            self._transaction_ended(event.second)

    @abstractmethod
    def _may_go_on(self, pending: int, now: float) -> bool:
        """
        Whether a further message may be sent on this connection.

        :param now: wall time.
        :param pending: messages whose reply to the final dot is awaited.
        """

    def _chunk_taken(self, event: ev.ChunkTaken) -> None:
        self._protocol.next_chunk()

    def _chunking_refused(self, event: ev.ChunkingRefused) -> None:
        transaction, self._transaction = self._under_way, None
        self._sessions.carriage.without_chunks.add(self._connection.peer)
        transaction.give_back()
        if self._machine.broken:
            self._leaving = True
            self._protocol.leave()
        else:
            self.next()

    def _cannot_record(self, transaction: Transaction, error: Exception) -> None:
        # Without an intent on record a crash could repeat the message unnoticed:
        # no dot is sent, and the messages are as if they had not been taken.
        self._f.hooks.tell_error(self._f.wall(), "critical", f"no intent can be recorded, delivery pauses: {error}")
        self._transaction = None
        self._leaving = True
        self._protocol.abort()
        transaction.give_back()

    def _transaction_ended(self, event: ev.TransactionEnded) -> None:
        transaction, self._transaction = self._under_way, None
        results: Sequence[RecipientResult] = event.results
        stumbled = transaction.stumbled(results)
        if stumbled and not (self._machine.broken or self._quota.used_up(self._machine.extensions)):
            self._transaction, results = transaction.split(stumbled, results)
        transaction.settle(results)
        if self.handle.unproven:
            self._sessions.limits.proven(self.handle)
        if self._machine.broken:
            self._leaving = True
            self._protocol.leave()
        elif self._transaction is None:
            self.next()
        elif self._machine.needs_reset:
            self._machine.reset()
            self._protocol.flush()
        else:
            self._repeat(self._transaction)

    def _repeat(self, transaction: Transaction) -> None:
        """
        Say once more, without parameters, what the peer stumbled over (RFC 5321 4.1.1.11).
        """
        if self._sessions.stopping:
            self._transaction = None
            transaction.give_back()
            self.next()
            return
        extensions = transaction.understood(self._machine.extensions)
        refusal = transaction.prepare(transaction.body, extensions, self._settings)
        if refusal:
            self._settle_unsent(transaction, Verdict.PERMANENT, refusal)
        else:
            self._begin(transaction)

    @property
    def _under_way(self) -> Transaction:
        assert self._transaction is not None
        return self._transaction

    def _abandon(self, note: bytes, answered: bool, stage: Stage) -> None:
        """
        The session is over in the middle of something, or of nothing.

        :param answered: whether a complete reply of the peer said so.
        """
        machine = self._machine
        turned_down = isinstance(machine, OverlappingMachine) and machine.turned_down
        results = machine.abandon(note)
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            # Whatever was read, it may not have been for the dot.
            self._sessions.carriage.without_overlap.add(self._connection.peer)
            turned_down = turned_down or (answered and stage is Stage.READING_CONFIRMATION)
            if turned_down and transaction.lost_reply is LostReply.ASSUME_DELIVERED:
                # More likely it was, and then the peer does not have the message.
                transaction.lost_reply = LostReply.RETRY
            transaction.settle(results, ambiguous=True)
            ahead.give_back()
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
