"""
One transaction: messages of one reception, from the moment a session takes
them until each is settled or given back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from ..envelope import NO_TERMS, RecipientTerms
from ..message.eight_bit import Unencodable, encode, signed, strip
from ..message.headers import is_international
from ..outcomes import Scope, Verdict
from ..policy.lost_reply import LostReply
from ..policy.session_notes import TOO_LARGE, UTF8_NOT_OFFERED, conversion_refused
from ..queues.domain import Connection, DomainRecord
from ..queues.message import Message
from ..settings import PathSettings
from ..smtp.dsn import encode_xtext, write_notify, write_orcpt
from ..smtp.events import RecipientResult
from ..smtp.extensions import Extensions
from ..smtp.international import ascii_form, needs_smtputf8
from ..stages import Stage
from .arguments import ArgumentsFailed
from .dialogues import keep_transaction

if TYPE_CHECKING:
    from .facilities import Facilities
    from .settle import Settlement
    from .throttles import Throttle


#: Replies by which a peer says that it does not take a parameter, or cannot read it (RFC 5321 4.1.1.11, 4.2.4).
_STUMBLES: Final = (b"555", b"501")
#: Parameters without which a message must not be sent (RFC 8689 4.2.1).
_NEEDED: Final = (b"REQUIRETLS",)


class Transaction:
    """
    Messages that share one body and one connection.  While it exists they are
    in no queue; it ends with :meth:`settle` or :meth:`give_back`, once.

    :param facilities: hooks and clock.
    :param settlement: where outcomes go.
    :param dr: the domain record the messages are queued under.
    :param connection: the connection they are tried on.
    :param messages: at least one, all of one reception.
    """

    _log = Logger()

    __slots__ = (
        "_connection",
        "_dr",
        "_f",
        "_settlement",
        "bare",
        "begun",
        "body",
        "chunk_size",
        "eight_bit",
        "ended",
        "intended",
        "lost_reply",
        "messages",
        "parameters",
        "prefaced",
        "reception",
        "recipients",
        "sender",
        "since",
        "slow",
        "smtputf8",
        "throttles",
    )

    def __init__(
        self,
        facilities: Facilities,
        settlement: Settlement,
        dr: DomainRecord,
        connection: Connection,
        messages: list[Message],
    ) -> None:
        self._f = facilities
        self._settlement = settlement
        self._dr = dr
        self._connection = connection
        self.messages = messages
        self.reception = messages[0].reception
        #: The content, once it is in memory.
        self.body = b""
        #: Octets of the largest chunk it goes in; 0 if it goes behind DATA.
        self.chunk_size = 0
        #: Whether it is to be declared as 8-bit, and as international.
        self.eight_bit = False
        self.smtputf8 = False
        #: The addresses, once it is known what the peer can read.
        self.sender = b""
        self.recipients: list[bytes] = []
        #: Whether the peer has been told of it.
        self.begun = False
        self.ended = False
        #: Whether it is to be said without any parameter that can be done without.
        self.bare = False
        #: What follows the path in MAIL, and in each RCPT; the latter may be nothing at all.
        self.parameters: tuple[bytes, Sequence[bytes]] = b"", ()
        #: Whether all was said that comes before a message.
        self.prefaced = False
        #: Whether an intent is on record, or about to be.
        self.intended = False
        #: What becomes of the messages if the reply to the final dot is lost; the intent says so too.
        self.lost_reply = LostReply.RETRY
        #: When the peer was told of it, and how long it may take before its dialogue is kept, both in seconds.
        self.since = 0.0
        self.slow = 0.0
        #: Throttles that keep room for the messages until the peer is told of them.
        self.throttles: tuple[Throttle, ...] = ()
        dr.in_flight += len(messages)
        for message in messages:
            message.connection = connection
            message.transferred = 0

    def prepare(self, body: bytes, extensions: Extensions, settings: PathSettings) -> bytes:
        """
        Take the content, as it suits the peer.

        :returns: the status text with which the messages fail for ever without
            being sent, because the peer lacks what they need; empty if it does not.
        """
        reception = self.reception
        self.body = body
        self.slow = settings.transcript_slow
        self.smtputf8 = reception.smtputf8 and extensions.smtputf8
        if self.smtputf8:
            # It goes as it is, or it would not be the message that was meant.
            self.eight_bit = reception.eight_bit
        elif reception.smtputf8 and (needs_smtputf8(reception.sender) or is_international(body)):
            return UTF8_NOT_OFFERED
        elif reception.eight_bit:
            self.eight_bit = extensions.eight_bit and settings.send_8bitmime == "ifavailable"
            mode = settings.transform_8bitmime_content
            if mode != "no" and (mode == "strip" or not extensions.eight_bit):
                refusal = self._make_seven_bit(mode)
                if refusal:
                    return refusal
        if extensions.size_limit is not None and len(self.body) > extensions.size_limit:
            return TOO_LARGE
        return self._address()

    def _address(self) -> bytes:
        """
        Write the addresses as the peer can read them.

        Recipients for which that is impossible fail, and the others go on.

        :returns: as for :meth:`prepare`.
        """
        self.sender = self.reception.sender
        self.recipients = recipients = [message.recipient for message in self.messages]
        # Joined, since one look at all of them costs as much as one at each.
        if self.smtputf8 or (self.sender.isascii() and b"".join(recipients).isascii()):
            return b""
        refused = [message for message in self.messages if needs_smtputf8(message.recipient)]
        if len(refused) == len(self.messages):
            return UTF8_NOT_OFFERED
        if refused:
            self._leave_out(refused, UTF8_NOT_OFFERED, Verdict.PERMANENT)
        self.sender = ascii_form(self.sender)
        self.recipients = [ascii_form(message.recipient) for message in self.messages]
        return b""

    def _leave_out(self, refused: Sequence[Message], note: bytes, verdict: Verdict) -> None:
        """
        Fail some of the messages, before the peer is told of any.
        """
        settle = self._settlement.permanent if verdict is Verdict.PERMANENT else self._settlement.transient
        self.messages = [message for message in self.messages if message not in refused]
        for throttle in self.throttles:
            throttle.withdraw(len(refused))
        self._dr.in_flight -= len(refused)
        now = self._f.wall()
        for message in refused:
            try:
                settle(message, note, Stage.IDLE, now)
            except Exception:
                self._log.failure("settling {id} failed", id=message.id)
                self._settlement.keep(message, now)

    def _make_seven_bit(self, mode: str) -> bytes:
        body = self.body
        try:
            if mode == "strict":
                body = encode(body)
            elif not signed(body):
                body = strip(body)
        except Unencodable as error:
            return conversion_refused(str(error), error.prohibited)
        if body is not self.body:
            self.body, self.eight_bit = body, False
        return b""

    def mail_parameters(self, extensions: Extensions) -> bytes:
        """
        What follows the path in MAIL, as far as the peer understands it.
        """
        reception = self.reception
        parameters = b"SIZE=%d" % len(self.body) if extensions.size_offered else b""
        if self.eight_bit:
            parameters += b" BODY=8BITMIME"
        if self.smtputf8:
            parameters += b" SMTPUTF8"
        if reception.terms is not NO_TERMS:
            if extensions.dsn and reception.ret:
                parameters += b" RET=" + reception.ret.encode()
            if extensions.dsn and reception.envid:
                parameters += b" ENVID=" + encode_xtext(reception.envid)
            if reception.require_tls:
                parameters += b" REQUIRETLS"
        return parameters.lstrip()

    def recipient_parameters(self, extensions: Extensions) -> Sequence[bytes]:
        """
        What follows the path in each RCPT: what reports its sender wants, if the peer
        has DSN (RFC 3461 5.2.1).
        """
        self._connection.dsn = extensions.dsn
        terms = self.reception.terms
        if not extensions.dsn or not terms.recipients:
            return ()
        return [_recipient_parameters(terms.of(message.index)) for message in self.messages]

    def reduced(self, found: Sequence[bytes | ArgumentsFailed]) -> Sequence[bytes]:
        """
        Leave out the recipients of whom nothing can be said; they fail for now.

        :param found: what is said behind each path, or why nothing can be.
        :returns: what is said of the others.
        :raises ArgumentsFailed: there are no others.
        """
        failed = [
            (message, said) for message, said in zip(self.messages, found, strict=False) if not isinstance(said, bytes)
        ]
        said = [said for said in found if isinstance(said, bytes)]
        if not failed:
            return said
        if not said:
            raise failed[0][1]
        left_out = {id(message) for message, _ in failed}
        pairs = zip(self.messages, self.recipients, strict=True)
        self.recipients = [path for message, path in pairs if id(message) not in left_out]
        for message, error in failed:
            self._leave_out([message], error.note, Verdict.TRANSIENT)
        return said

    def understood(self, extensions: Extensions) -> Extensions:
        """
        What is to be used of what the peer offers.
        """
        if not self.bare:
            return extensions
        return replace(extensions, size_offered=False, eight_bit=False, smtputf8=False, dsn=False)

    def stumbled(self, results: Sequence[RecipientResult]) -> list[int]:
        """
        Whom the peer refused for parameters that can be left out, by index.

        :param results: one per message, in their order.
        """
        mail, each = self.parameters
        if self.bare or not (mail or each):
            return []
        return [
            index
            for index, result in enumerate(results)
            if result.verdict is Verdict.PERMANENT
            and result.note[:3] in _STUMBLES
            and (
                any(word not in _NEEDED for word in mail.split())
                if result.stage is Stage.AFTER_MAIL_FROM
                else result.stage is Stage.AFTER_RCPT_TO and index < len(each) and each[index]
            )
        ]

    def split(
        self, indices: Sequence[int], results: Sequence[RecipientResult]
    ) -> tuple[Transaction, Sequence[RecipientResult]]:
        """
        Try some of the messages again, without parameters; they are no longer of this
        transaction, and it does not count as another attempt.

        :param results: one per message.
        :returns: their transaction, and the results of the others.
        """
        moving = set(indices)
        moved = [message for index, message in enumerate(self.messages) if index in moving]
        self.messages = [message for index, message in enumerate(self.messages) if index not in moving]
        self._dr.in_flight -= len(moved)
        self._dr.attempts -= len(moved)
        again = Transaction(self._f, self._settlement, self._dr, self._connection, moved)
        again.body, again.bare, again.prefaced = self.body, True, True
        return again, [result for index, result in enumerate(results) if index not in moving]

    def begin(self) -> None:
        """
        The peer is about to be told: from here on it is an attempt.
        """
        self.begun = True
        self.since = self._f.clock.seconds()
        count = len(self.messages)
        for throttle in self.throttles:
            throttle.keep(count)
        self._dr.attempts += count
        self._connection.recipients += count
        hooks = self._f.hooks
        hook = hooks.log_attempt_v1
        if hooks.inc_outbound_mess_throttle and not self.bare:
            self._tell_attempts()
            for message in self.messages:
                hooks.inc_outbound_mess_throttle.tell(message.binding_slot, self._dr)
            return
        if not hook or self.bare:
            return
        self._tell_attempts()

    def _tell_attempts(self) -> None:
        hook = self._f.hooks.log_attempt_v1
        now, dr = self._f.wall(), self._dr
        host = f"{self._connection.host_name} [{self._connection.address}]".encode()
        for message in self.messages:
            hook.tell(message, dr, now, message.code or host)

    def sent(self, indices: Sequence[int], octets: int) -> None:
        """
        The content is on its way to the recipients named by *indices*.
        """
        for index in indices:
            self.messages[index].transferred = octets

    def settle(self, results: Sequence[RecipientResult], ambiguous: bool = False) -> None:
        """
        Pass every message's result on.

        :param results: one per message, in their order.
        :param ambiguous: the final dot was sent and its reply never read;
            concerns the recipients that had not been refused before.
        """
        self._end()
        now = self._f.wall()
        if self.begun and results:
            # First: whoever is put away to wait shall not be taken out again for its name.
            self._keep_dialogue(results, ambiguous)
        if len(results) > 1 and any(result.beyond for result in results):
            self._connection.most_recipients = sum(
                1 for result in results if not result.beyond and result.stage is not Stage.AFTER_RCPT_TO
            )
        for message, result in zip(self.messages, results, strict=True):
            try:
                self._pass_on(message, result, now, ambiguous)
            except Exception:
                # When in doubt, keep the mail; and what befell one must not befall the others.
                self._log.failure("settling {id} failed", id=message.id)
                self._settlement.keep(message, now)

    def _keep_dialogue(self, results: Sequence[RecipientResult], ambiguous: bool) -> None:
        """
        Have it kept what was said, if somebody may ask.
        """
        seconds = self._f.clock.seconds() - self.since
        if seconds < self.slow:
            for result in results:
                if result.verdict is not Verdict.DELIVERED and not result.beyond:
                    break
            else:
                return
        keep_transaction(self._f, self._dr.domain, self._connection, self.messages, results, seconds, ambiguous)

    def _pass_on(self, message: Message, result: RecipientResult, now: float, ambiguous: bool) -> None:
        settlement = self._settlement
        if result.beyond:
            # The peer has enough for one transaction, and has said nothing of this recipient: the next one asks.
            self._dr.attempts -= 1
            settlement.reinsert(message)
        elif result.verdict is Verdict.DELIVERED:
            self._connection.deliveries += 1
            settlement.delivered(message, result.note, now)
        elif result.verdict is Verdict.PERMANENT:
            # Before it had begun it was we who refused, and our own word for that stands.
            refuse = settlement.refused if self.begun else settlement.permanent
            refuse(message, result.note, result.stage, now, result.scope)
        else:
            unknown = ambiguous and result.scope is Scope.CONNECTION
            if unknown:
                settlement.in_doubt(message, result.note, result.stage, now, self.lost_reply)
            else:
                settlement.transient(message, result.note, result.stage, now)

    def settle_unsent(self, verdict: Verdict, note: bytes, stage: Stage = Stage.IDLE) -> None:
        """
        All messages end the same way for a reason of ours.
        """
        self.settle([RecipientResult(verdict, Scope.MESSAGE, note, stage)] * len(self.messages))

    def give_back(self) -> None:
        """
        Put the messages back into the active queue: what happened had nothing
        to do with them, and counts as no attempt.
        """
        self._end()
        if self.begun:
            self._dr.attempts -= len(self.messages)
        for message in self.messages:
            if self.intended:
                # On record it would look as if a dot had been sent.
                self._f.spool.requeued(message)
            self._settlement.reinsert(message)

    def _end(self) -> None:
        self.ended = True
        if not self.begun:
            for throttle in self.throttles:
                throttle.withdraw(len(self.messages))
        self._dr.in_flight -= len(self.messages)


def _recipient_parameters(terms: RecipientTerms) -> bytes:
    words = []
    if terms.notify:
        words.append(b"NOTIFY=" + write_notify(terms.notify))
    if terms.orcpt:
        words.append(b"ORCPT=" + write_orcpt(terms.orcpt))
    return b" ".join(words)
