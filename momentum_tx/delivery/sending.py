"""
The middle of a session: one transaction, from its first command to its last reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from ..errors import LocalProtocolError
from ..outcomes import Verdict
from ..policy.lost_reply import POLICIES
from ..policy.session_notes import UNSPEAKABLE
from ..smtp import events as ev
from ..stages import Stage
from .opening import Opening
from .transaction import Transaction

if TYPE_CHECKING:
    from ..queues.message import Message
    from .handle import ConnectionHandle
    from .sessions import Sessions


class Sending(Opening):
    """
    A session while a message is sent.  Which, and what comes before and after, is
    decided by the rest of it, :class:`~momentum_tx.delivery.session.Session`.
    """

    _log = Logger()

    __slots__ = ("_leaving", "_transaction")

    def __init__(self, sessions: Sessions, handle: ConnectionHandle) -> None:
        super().__init__(sessions, handle)
        #: The transaction under way, or whose body is being read.
        self._transaction: Transaction | None = None
        self._leaving = False

    @property
    def messages(self) -> tuple[Message, ...]:
        """
        The messages of the transaction under way, which are in no queue.
        """
        return tuple(self._transaction.messages) if self._transaction is not None else ()

    def _begin(self, transaction: Transaction) -> None:
        """
        Tell the peer of a transaction whose content is at hand.
        """
        extensions, peer = self._machine.extensions, self._connection.peer
        carriage = self._sessions.carriage
        transaction.begin()
        self.transcript.turn()
        groups = carriage.groups(peer, self._settings)
        chunk_size = carriage.chunk_size(peer, self._settings, extensions, len(transaction.body), groups)
        transaction.chunk_size = chunk_size
        try:
            self._machine.transaction(
                transaction.sender,
                transaction.recipients,
                mail_parameters=transaction.mail_parameters(extensions),
                recipient_parameters=transaction.recipient_parameters(extensions),
                pipeline=groups,
                chunked=chunk_size > 0,
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
                octets = self._protocol.send_body(transaction.body, transaction.chunk_size)
                transaction.sent(event.accepted, octets)

        transaction.intended = True
        messages = [transaction.messages[index] for index in event.accepted]
        if self._settings.lost_final_reply == "retry":
            self._f.spool.intent(messages, written)
        else:
            # It has to outlive a power cut: our disk's time is not the peer's silence.
            transaction.lost_reply = POLICIES[self._settings.lost_final_reply]
            self._protocol.hold()
            self._f.spool.intent(messages, written, transaction.lost_reply)

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
        self._f.hooks.log_error(self._f.wall(), "critical", f"no intent can be recorded, delivery pauses: {error}")
        self._transaction = None
        self._leaving = True
        self._protocol.abort()
        transaction.give_back()

    def _transaction_ended(self, event: ev.TransactionEnded) -> None:
        transaction, self._transaction = self._under_way, None
        transaction.settle(event.results)
        self._sessions.limits.proven(self.handle)
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
