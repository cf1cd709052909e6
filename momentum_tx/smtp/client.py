"""
One SMTP session as client: what may be said, what an answer means.

A machine without I/O (RFC 5321, 2920, 3207): the owner of the transport passes
received bytes to :meth:`SMTPClientMachine.receive_data`, writes
:meth:`SMTPClientMachine.take_output`, and keeps the time limits.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import Final

from ..errors import LocalProtocolError, RemoteProtocolError
from ..outcomes import Scope, Verdict
from ..stages import Stage
from . import events as ev
from .body import END_OF_DATA
from .dialogue import Dialogue, Move
from .extensions import NO_EXTENSIONS, Extensions, parse_extensions
from .replies import Reply, ReplyClass, ReplyReader
from .transaction import Transaction, refusal


class Method(enum.Enum):
    """
    What is spoken (Momentum: ``delivery_method``).
    """

    #: EHLO, and HELO where that is not known.
    ESMTP = "ESMTP"
    #: HELO and no extension, whatever the peer could do (RFC 821).
    SMTP = "SMTP"
    #: LHLO, and a reply to the final dot for each accepted recipient (RFC 2033).
    LMTP = "LMTP"


class SMTPClientMachine(Dialogue):
    """
    The client's side of one session.

    Made per connection; :meth:`start` begins.  It ends with one of
    :class:`~momentum_tx.smtp.events.QuitDone`,
    :class:`~momentum_tx.smtp.events.Dismissed` or
    :class:`~momentum_tx.smtp.events.Violated`, or whenever its owner closes the
    connection; after that it ignores what it is fed, and asking it for a
    command raises :class:`~momentum_tx.errors.LocalProtocolError`, as every
    command does out of its turn.

    Call :meth:`take_output` after every method, also after
    :meth:`receive_data`: a reply may call for the next command.  Handle the
    events of one call before the next command is asked for; the last may be the
    end of the session.

    :param method: what is spoken.
    """

    __slots__ = (
        "_esmtp",
        "_method",
        "_name",
        "_transaction",
        "broken",
        "extensions",
        "needs_reset",
    )

    def __init__(self, method: Method = Method.ESMTP) -> None:
        super().__init__()
        self._method = method
        self._esmtp = method is not Method.SMTP
        self._transaction: Transaction | None = None
        self._name = b""
        #: What the peer offers; nothing before :class:`~momentum_tx.smtp.events.Ready`.
        self.extensions: Extensions = NO_EXTENSIONS
        #: A transaction ended without an accepted final dot: :meth:`reset` comes before the next.
        self.needs_reset = False
        #: The content was cut short by its refusal: only closing is left, not even QUIT.
        self.broken = False

    @property
    def ready(self) -> bool:
        """
        Whether :meth:`transaction` may be called now.
        """
        return self._resting is Stage.IDLE and not (self._awaiting or self.needs_reset or self._dead)

    @property
    def grouped(self) -> bool:
        """
        Whether the last commands of the transaction under way were sent together.
        """
        return self._transaction is not None and self._transaction.grouped

    @property
    def esmtp(self) -> bool:
        """
        Whether the peer was greeted with EHLO or LHLO, not with HELO.
        """
        return self._esmtp

    # What the owner asks for.

    def hello(self, name: bytes) -> None:
        """
        Send EHLO, HELO or LHLO; HELO follows by itself if EHLO is refused for ever.

        :param name: our name: a domain or an address literal.
        """
        self._demand(Stage.DURING_EHLO)
        if not name or b" " in name:
            raise LocalProtocolError(f"no name for EHLO: {name!r}")
        self._command(b"%b %b\r\n" % (_HELLOS[self._method], name), Stage.AFTER_EHLO)
        self._name = name
        self._esmtp = self._method is not Method.SMTP

    def starttls(self) -> None:
        """
        Ask for TLS.
        """
        self._demand(Stage.IDLE)
        if not self.extensions.starttls:
            raise LocalProtocolError("STARTTLS was not offered")
        self._command(b"STARTTLS\r\n", Stage.AFTER_STARTTLS)

    def tls_started(self) -> None:
        """
        The handshake is done: all that was learnt is forgotten, and
        :meth:`hello` is due again (RFC 3207 4.2), or the greeting comes.
        """
        self._demand(Stage.TLS_HANDSHAKE)
        if self._answered is Stage.NOT_CONNECTED:
            # Nothing was said in clear.
            self._await_greeting()
            return
        self.extensions = NO_EXTENSIONS
        self._reader = ReplyReader()
        self._resting = Stage.DURING_EHLO

    def xclient(self, arguments: bytes) -> None:
        """
        Tell who the client was that the next messages came from; all that was
        learnt is forgotten, and :meth:`hello` is due again once it is answered.

        :param arguments: see :func:`momentum_tx.smtp.xclient.arguments`.
        """
        if not self.ready:
            raise LocalProtocolError(f"no XCLIENT {self.stage}")
        if not self.extensions.xclient or not arguments:
            raise LocalProtocolError("XCLIENT was not offered")
        self._command(b"XCLIENT %b\r\n" % arguments, Stage.AFTER_XCLIENT)

    def transaction(
        self,
        sender: bytes,
        recipients: Sequence[bytes],
        *,
        mail_parameters: bytes = b"",
        recipient_parameters: Sequence[bytes] = (),
        pipeline: bool = True,
        chunked: bool = False,
    ) -> None:
        """
        Begin a transaction; it ends with exactly one
        :class:`~momentum_tx.smtp.events.TransactionEnded`, unless the session ends first.

        :param sender: reverse path without angle brackets.
        :param recipients: forward paths without angle brackets, at least one.
        :param mail_parameters: what follows the path in MAIL, such as ``SIZE=1000 BODY=8BITMIME``.
        :param recipient_parameters: what follows the path in each RCPT, such as
            ``NOTIFY=NEVER``; nothing at all, or something for each.
        :param pipeline: whether to send commands in groups if the peer offers that.
        :param chunked: whether the content goes by BDAT, which the peer must offer, and not by DATA.
        """
        if self._resting is not Stage.IDLE or self._awaiting or self._dead:
            raise LocalProtocolError(f"no transaction may begin {self.stage}")
        if self.needs_reset:
            raise LocalProtocolError("the session needs a reset first")
        if not recipients:
            raise LocalProtocolError("a transaction without recipients")
        if (mail_parameters or recipient_parameters) and not self._esmtp:
            raise LocalProtocolError("parameters for a peer that only knows HELO")
        extensions = self.extensions
        if chunked and (not extensions.chunking or self._method is Method.LMTP):
            raise LocalProtocolError("CHUNKING was not offered")
        grouped = pipeline and extensions.pipelining
        transaction = Transaction(sender, tuple(recipients), mail_parameters, grouped, recipient_parameters, chunked)
        self._transaction = transaction
        text, stages = transaction.next_group()
        self._output += text
        self._awaiting.extend(stages)

    def sending_body(self) -> None:
        """
        The owner begins to write the content.
        """
        self._demand(Stage.AFTER_DATA)
        self._resting = Stage.SENDING_BODY

    def chunk_sent(self) -> None:
        """
        The owner has given a chunk that is not the last to the transport, behind
        its BDAT command: its reply is awaited, and comes as
        :class:`~momentum_tx.smtp.events.ChunkTaken` or as the end of the transaction.
        The last one is followed by :meth:`dot_sent`.
        """
        self._demand(Stage.SENDING_BODY)
        if not self._under_way.chunked:
            raise LocalProtocolError("a chunk behind DATA")
        self._spoilt = self._reader.pending
        self._under_way.chunk_owed = True
        self._awaiting.append(Stage.SENDING_BODY)

    def dot_sent(self, at_once: bool = False) -> None:
        """
        The owner has given the final dot, or the last chunk, to the transport: its
        reply is awaited.

        :param at_once: whether the content leaves with it, so that nobody called :meth:`sending_body`.
        """
        self._demand(Stage.AFTER_DATA if at_once else Stage.SENDING_BODY)
        self._resting = Stage.SENDING_BODY
        self._spoilt = self._reader.pending
        if self._method is Method.LMTP:
            self._awaiting.extend((Stage.READING_CONFIRMATION,) * len(self._under_way.accepted))
        else:
            self._awaiting.append(Stage.READING_CONFIRMATION)

    def reset(self) -> None:
        """
        Send RSET.
        """
        self._demand(Stage.IDLE)
        self._command(b"RSET\r\n", Stage.AFTER_RSET)

    def quit(self) -> None:
        """
        Send QUIT; allowed whenever no reply is owed and no content is under way.
        """
        if self._awaiting or self._dead or self._resting not in _QUIT_FROM:
            raise LocalProtocolError(f"no QUIT {self.stage}")
        self._command(b"QUIT\r\n", Stage.IDLE)

    def abandon(self, note: bytes) -> tuple[ev.RecipientResult, ...]:
        """
        The session is over: the results of a transaction under way, if any.

        Recipients that had a reply of their own keep it; all others failed for
        now, with *note* and the stage where the session ended.  Asked again it
        answers with nothing, and so it does after ``TransactionEnded``.

        :param note: why it ended, code first, one line.
        """
        stage = self._died_in if self._dead else self.stage
        self._die()
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return ()
        return transaction.results(ev.RecipientResult(Verdict.TRANSIENT, Scope.CONNECTION, note, stage))

    # What the peer says.

    def _greeted(self, reply: Reply) -> ev.Event:
        self._resting = Stage.DURING_EHLO
        return ev.Greeted(reply)

    def _greeting_refused(self, reply: Reply) -> ev.Event:
        return ev.GreetingRefused(reply)

    def _hello_accepted(self, reply: Reply) -> ev.Event:
        if self._esmtp:
            self.extensions = parse_extensions(reply.lines)
        self._resting = Stage.IDLE
        return ev.Ready(self.extensions, self._esmtp, reply.lines[0])

    def _hello_failed(self, reply: Reply) -> ev.Event | None:
        if self._esmtp and self._method is Method.ESMTP and reply.code in _NO_EHLO:
            # RFC 5321 3.2: a server that does not know EHLO is asked with HELO; one that will not have us is not.
            self._esmtp = False
            self._follow_up(b"HELO %b\r\n" % self._name, (Stage.AFTER_EHLO,))
            return None
        self._resting = Stage.AFTER_EHLO
        return ev.HelloRefused(reply)

    def _tls_go_ahead(self, reply: Reply) -> ev.Event:
        # What came in the clear must never be read as if it had come through TLS; of a whole
        # reply the check for unasked replies would learn, but not of the beginning of one.
        self._be_alone("plain text behind the reply to STARTTLS")
        self._resting = Stage.TLS_HANDSHAKE
        return ev.TLSGoAhead(reply)

    def _tls_refused(self, reply: Reply) -> ev.Event:
        return ev.TLSRefused(reply)

    def _client_taken(self, reply: Reply) -> ev.Event:
        self.extensions = NO_EXTENSIONS
        self._resting = Stage.DURING_EHLO
        return ev.ClientTaken(reply)

    def _client_refused(self, reply: Reply) -> ev.Event:
        self.extensions = NO_EXTENSIONS
        self._resting = Stage.DURING_EHLO
        return ev.ClientRefused(reply)

    def _sender_accepted(self, reply: Reply) -> ev.Event | None:
        return None if self._awaiting else self._go_on()

    def _sender_refused(self, reply: Reply) -> ev.Event | None:
        self._under_way.refuse_sender(reply)
        return None if self._awaiting else self._go_on()

    def _recipient_accepted(self, reply: Reply) -> ev.Event | None:
        self._under_way.accept_recipient()
        return None if self._awaiting else self._go_on()

    def _recipient_refused(self, reply: Reply) -> ev.Event | None:
        self._under_way.refuse_recipient(reply)
        return None if self._awaiting else self._go_on()

    def _go_on(self) -> ev.Event | None:
        """
        Every command sent was answered: send the next ones, or end.
        """
        transaction = self._under_way
        if transaction.chunks_due:
            self._be_alone("a reply before its command")
            self._resting = Stage.AFTER_DATA
            return ev.BodyWanted(tuple(transaction.accepted))
        if transaction.exhausted:
            return self._end(_NOBODY, True)
        text, stages = transaction.next_group()
        self._follow_up(text, stages)
        return None

    def _data_wanted(self, reply: Reply) -> ev.Event | None:
        transaction = self._under_way
        if transaction.accepted and transaction.sender_refused is None:
            self._resting = Stage.AFTER_DATA
            return ev.BodyWanted(tuple(transaction.accepted))
        if self._method is Method.LMTP:
            # RFC 2033 4.2 forbids it: to the dot nobody would have to reply.
            self._awaiting.appendleft(Stage.AFTER_DATA)
            raise RemoteProtocolError("354 without a recipient")
        # RFC 2920 3.1: data is asked for though there is nobody to get it.
        transaction.sink = True
        self._follow_up(END_OF_DATA, (Stage.READING_CONFIRMATION,))
        return None

    def _data_refused(self, reply: Reply) -> ev.Event:
        return self._end(refusal(reply, Scope.MESSAGE, Stage.AFTER_DATA), True)

    def _chunk_taken(self, reply: Reply) -> ev.Event:
        transaction = self._under_way
        if not transaction.chunk_owed:
            # The stage that is to blame.
            self._awaiting.appendleft(Stage.SENDING_BODY)
            raise RemoteProtocolError(f"reply {reply.code} before the content")
        transaction.chunk_owed = False
        self._be_alone("a reply before its chunk")
        return ev.ChunkTaken()

    def _body_refused(self, reply: Reply) -> ev.Event:
        transaction = self._under_way
        early = not transaction.chunk_owed
        ended: ev.Event
        if transaction.chunked and reply.code in _NO_BDAT:
            ended = self._unchunked(reply)
        else:
            ended = self._end(refusal(reply, Scope.MESSAGE, Stage.SENDING_BODY), True)
        if early:
            # What was announced is not sent to its end.
            self.broken = True
            self._die()
        return ended

    def _unchunked(self, reply: Reply) -> ev.Event:
        self._transaction = None
        self._resting = Stage.IDLE
        self.needs_reset = True
        if reply.code != _NOT_NOW:
            # Who does not know the command takes what followed it for commands: no reply means anything any more.
            self.broken = True
            self._die()
        return ev.ChunkingRefused(reply)

    def _confirmed(self, reply: Reply) -> ev.Event | None:
        if self._under_way.sink:
            return self._end(_NOBODY, True)
        delivered = ev.RecipientResult(Verdict.DELIVERED, Scope.RECIPIENT, reply.note, Stage.READING_CONFIRMATION)
        if self._method is Method.LMTP:
            return self._answered_for(delivered)
        return self._end(delivered, False)

    def _not_confirmed(self, reply: Reply) -> ev.Event | None:
        if self._method is Method.LMTP:
            return self._answered_for(refusal(reply, Scope.RECIPIENT, Stage.READING_CONFIRMATION))
        if reply.code in _NO_BDAT and self._under_way.chunked:
            return self._unchunked(reply)
        return self._end(refusal(reply, Scope.MESSAGE, Stage.READING_CONFIRMATION), True)

    def _answered_for(self, result: ev.RecipientResult) -> ev.Event | None:
        """
        The reply for one recipient; the last one ends the transaction.
        """
        transaction = self._under_way
        transaction.answer(result)
        return None if self._awaiting else self._end(_NOBODY, transaction.failed)

    def _dismissed(self, reply: Reply) -> ev.Event:
        if self._method is Method.LMTP and self.stage is Stage.READING_CONFIRMATION:
            # It answers for one; of the others nobody knows.
            self._under_way.answer(refusal(reply, Scope.RECIPIENT, Stage.READING_CONFIRMATION))
        return super()._dismissed(reply)

    def _reset_accepted(self, reply: Reply) -> ev.Event:
        self.needs_reset = False
        return ev.ResetDone(True)

    def _reset_refused(self, reply: Reply) -> ev.Event:
        self.needs_reset = True
        return ev.ResetDone(False)

    def _quit_answered(self, reply: Reply) -> ev.Event:
        self._die()
        return ev.QuitDone()

    # Common ground.

    @property
    def _under_way(self) -> Transaction:
        assert self._transaction is not None
        return self._transaction

    def _end(self, rest: ev.RecipientResult, needs_reset: bool) -> ev.Event:
        transaction, self._transaction = self._transaction, None
        assert transaction is not None
        ended = ev.TransactionEnded(transaction.results(rest))
        self._resting = Stage.IDLE
        self.needs_reset = needs_reset
        return ended


#: Stands for the result of no recipient: each has one of its own.
_NOBODY: Final = ev.RecipientResult(
    Verdict.TRANSIENT, Scope.CONNECTION, b"451 4.4.2 [internal] no answer", Stage.UNKNOWN
)

#: Replies to EHLO by which a peer says that it does not know it; any other is about us (RFC 5321 4.2.2).
_NO_EHLO: Final = frozenset((500, 501, 502, 503, 504))
#: Replies to BDAT by which a peer says that it cannot be used, though it offers it (RFC 3030 2, RFC 5321 4.2.4).
_NO_BDAT: Final = frozenset((500, 502, 503))
#: Of these the one that knows the command.
_NOT_NOW: Final = 503
_HELLOS: Final = {Method.ESMTP: b"EHLO", Method.SMTP: b"HELO", Method.LMTP: b"LHLO"}
_QUIT_FROM: Final = (Stage.IDLE, Stage.READING_BANNER, Stage.DURING_EHLO, Stage.AFTER_EHLO)

_M: Final = SMTPClientMachine
_OK, _GO_ON, _TRANSIENT, _PERMANENT = ReplyClass.OK, ReplyClass.GO_ON, ReplyClass.TRANSIENT, ReplyClass.PERMANENT

_MOVES: Final[Mapping[tuple[Stage, ReplyClass], Move]] = {
    (Stage.READING_BANNER, _OK): _M._greeted,
    (Stage.READING_BANNER, _TRANSIENT): _M._greeting_refused,
    (Stage.READING_BANNER, _PERMANENT): _M._greeting_refused,
    (Stage.AFTER_EHLO, _OK): _M._hello_accepted,
    (Stage.AFTER_EHLO, _TRANSIENT): _M._hello_failed,
    (Stage.AFTER_EHLO, _PERMANENT): _M._hello_failed,
    (Stage.AFTER_STARTTLS, _OK): _M._tls_go_ahead,
    (Stage.AFTER_STARTTLS, _TRANSIENT): _M._tls_refused,
    (Stage.AFTER_STARTTLS, _PERMANENT): _M._tls_refused,
    (Stage.AFTER_XCLIENT, _OK): _M._client_taken,
    (Stage.AFTER_XCLIENT, _TRANSIENT): _M._client_refused,
    (Stage.AFTER_XCLIENT, _PERMANENT): _M._client_refused,
    (Stage.AFTER_MAIL_FROM, _OK): _M._sender_accepted,
    (Stage.AFTER_MAIL_FROM, _TRANSIENT): _M._sender_refused,
    (Stage.AFTER_MAIL_FROM, _PERMANENT): _M._sender_refused,
    (Stage.AFTER_RCPT_TO, _OK): _M._recipient_accepted,
    (Stage.AFTER_RCPT_TO, _TRANSIENT): _M._recipient_refused,
    (Stage.AFTER_RCPT_TO, _PERMANENT): _M._recipient_refused,
    (Stage.AFTER_DATA, _GO_ON): _M._data_wanted,
    (Stage.AFTER_DATA, _TRANSIENT): _M._data_refused,
    (Stage.AFTER_DATA, _PERMANENT): _M._data_refused,
    (Stage.SENDING_BODY, _OK): _M._chunk_taken,
    (Stage.SENDING_BODY, _TRANSIENT): _M._body_refused,
    (Stage.SENDING_BODY, _PERMANENT): _M._body_refused,
    (Stage.READING_CONFIRMATION, _OK): _M._confirmed,
    (Stage.READING_CONFIRMATION, _TRANSIENT): _M._not_confirmed,
    (Stage.READING_CONFIRMATION, _PERMANENT): _M._not_confirmed,
    (Stage.AFTER_RSET, _OK): _M._reset_accepted,
    (Stage.AFTER_RSET, _TRANSIENT): _M._reset_refused,
    (Stage.AFTER_RSET, _PERMANENT): _M._reset_refused,
    **{
        (state, reply_class): _M._put_in_answered
        for state in (Stage.AUTHENTICATION, Stage.CUSTOM_STATE)
        for reply_class in ReplyClass
    },
    (Stage.IDLE, _OK): _M._quit_answered,
    (Stage.IDLE, _TRANSIENT): _M._quit_answered,
    (Stage.IDLE, _PERMANENT): _M._quit_answered,
}
_M._moves = _MOVES
