"""
One transaction of a client session: its commands, and what came back so far.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ..errors import LocalProtocolError
from ..outcomes import Scope, Verdict
from ..stages import Stage
from .events import RecipientResult
from .replies import Reply, ReplyClass

#: RFC 5321 4.5.3.1.4, with CRLF.
MAX_COMMAND: Final = 512
#: Octets the parameters of MAIL, or of RCPT, may add: 26 of SIZE, 17 of BODY, 10 of SMTPUTF8, 500 of AUTH, and
#: what DSN and others need (RFC 1870, 6152, 6531, 4954, 3461).
PARAMETER_ALLOWANCE: Final = 1024
#: Commands sent before their replies are read: what a peer's own limit of recipients usually is.
MAX_GROUP: Final = 100
#: Octets of such a group.  It must fit the peer's receive window while the peer, its own replies
#: unread, does not read: else both wait for ever (RFC 2920 3.1).
MAX_GROUP_OCTETS: Final = 16 * 1024
#: What is awaited of most transactions.
_ONE_RECIPIENT: Final = (Stage.AFTER_MAIL_FROM, Stage.AFTER_RCPT_TO, Stage.AFTER_DATA)


def check_commands(text: bytes, count: int) -> None:
    """
    Be sure that *text* is *count* command lines and nothing hides in them.

    :raises LocalProtocolError: if it has other line ends, a bare CR or LF, or NUL.
    """
    if not text.count(b"\r\n") == text.count(b"\n") == text.count(b"\r") == count or b"\0" in text:
        raise LocalProtocolError("a command with CR, LF or NUL inside")


class Transaction:
    """
    The state of one transaction; :class:`~momentum_tx.smtp.client.SMTPClientMachine`
    makes it and drives it.
    """

    __slots__ = (
        "_answers",
        "_beyond",
        "_count",
        "_group",
        "_lines",
        "_own",
        "_sent",
        "_stages",
        "_whole",
        "accepted",
        "chunk_owed",
        "chunked",
        "failed",
        "grouped",
        "index",
        "sender_refused",
        "sink",
    )

    def __init__(
        self,
        sender: bytes,
        recipients: tuple[bytes, ...],
        parameters: bytes,
        pipeline: bool,
        recipient_parameters: Sequence[bytes] = (),
        chunked: bool = False,
    ) -> None:
        if parameters:
            mail = b"MAIL FROM:<%b> %b\r\n" % (sender, parameters)
        else:
            mail = b"MAIL FROM:<%b>\r\n" % sender
        if recipient_parameters:
            commands = [
                b"RCPT TO:<%b> %b\r\n" % pair if pair[1] else b"RCPT TO:<%b>\r\n" % pair[0]
                for pair in zip(recipients, recipient_parameters, strict=True)
            ]
        else:
            commands = [b"RCPT TO:<%b>\r\n" % recipient for recipient in recipients]
        lines = [mail, *commands] if chunked else [mail, *commands, b"DATA\r\n"]
        whole = b"".join(lines)
        if len(whole) > MAX_COMMAND:
            # In less than that no line is too long.
            most = MAX_COMMAND + max(map(len, recipient_parameters), default=0)
            if (
                len(parameters) > PARAMETER_ALLOWANCE
                or len(mail) - len(parameters) > MAX_COMMAND
                or max(map(len, commands)) > most
                or most > MAX_COMMAND + PARAMETER_ALLOWANCE
            ):
                raise LocalProtocolError("a command line that is too long")
        check_commands(whole, len(lines))
        self._lines = lines
        self._whole = whole
        self._count = count = len(recipients)
        if count == 1 and not chunked:
            self._stages: tuple[Stage, ...] = _ONE_RECIPIENT
        else:
            awaited = (Stage.AFTER_RCPT_TO,) * count
            self._stages = (
                (Stage.AFTER_MAIL_FROM, *awaited) if chunked else (Stage.AFTER_MAIL_FROM, *awaited, Stage.AFTER_DATA)
            )
        self._group = MAX_GROUP if pipeline else 1
        #: Lines sent so far.
        self._sent = 0
        #: Replies to the final dot so far, where each recipient has one.
        self._answers = 0
        #: Results of single recipients, by index.
        self._own: dict[int, RecipientResult] = {}
        #: Recipients refused as too many, by index, since one was accepted last.
        self._beyond: list[int] = []
        #: Indices of accepted recipients.
        self.accepted: list[int] = []
        #: The recipient whose reply is awaited next.
        self.index = 0
        #: The result of all when MAIL was refused.
        self.sender_refused: RecipientResult | None = None
        #: One of the accepted was refused in the end.
        self.failed = False
        #: The data asked for is a lone dot whose reply counts for nobody.
        self.sink = False
        #: The content goes in chunks (RFC 3030), and DATA is never said.
        self.chunked = chunked
        #: A chunk that was not the last has left, and its reply is awaited.
        self.chunk_owed = False
        #: More than one command was sent together last.
        self.grouped = False

    @property
    def exhausted(self) -> bool:
        """
        Whether nothing is left worth sending: all is sent, MAIL was refused, or
        only DATA remains and nobody would get it.
        """
        left = len(self._lines) - self._sent
        if not left or self.sender_refused is not None:
            return True
        return left == 1 and not self.accepted and not self.chunked

    @property
    def chunks_due(self) -> bool:
        """
        Whether every address was answered for, and the chunks may follow for somebody.
        """
        return self.chunked and self._sent == len(self._lines) and self.sender_refused is None and bool(self.accepted)

    def next_group(self) -> tuple[bytes, tuple[Stage, ...]]:
        """
        The next commands to send together, and the stages of their replies.
        """
        sent, total = self._sent, len(self._lines)
        if sent == 0 and total <= self._group and len(self._whole) <= MAX_GROUP_OCTETS:
            self._sent = total
            self.grouped = total > 1
            return self._whole, self._stages
        end = min(sent + self._group, total)
        text = b"".join(self._lines[sent:end])
        while len(text) > MAX_GROUP_OCTETS and end > sent + 1:
            end = sent + (end - sent) // 2
            text = b"".join(self._lines[sent:end])
        self._sent = end
        self.grouped = end - sent > 1
        return text, self._stages[sent:end]

    def refuse_sender(self, reply: Reply) -> None:
        """
        *reply* refused MAIL, and with it the message for everybody.
        """
        self.sender_refused = refusal(reply, Scope.MESSAGE, Stage.AFTER_MAIL_FROM)

    def accept_recipient(self) -> None:
        """
        The recipient whose turn it is was accepted.
        """
        self.accepted.append(self.index)
        self.index += 1
        if self._beyond:
            # There was room after all: those before it were refused for themselves.
            self._beyond.clear()

    def refuse_recipient(self, reply: Reply) -> None:
        """
        *reply* refused the recipient whose turn it is.
        """
        result = refusal(reply, Scope.RECIPIENT, Stage.AFTER_RCPT_TO)
        # RFC 5321 4.5.3.1.10: "too many recipients" was 552 once and must count as 452.  A mailbox
        # that is full is 552 as well, so it takes a sign that the number is meant.
        if reply.code == 552 and (self.accepted or reply.enhanced.endswith(b".5.3")):
            result = RecipientResult(Verdict.TRANSIENT, Scope.RECIPIENT, result.note, result.stage)
        self._own[self.index] = result
        if self.accepted and result.verdict is Verdict.TRANSIENT and _too_many(reply):
            self._beyond.append(self.index)
        self.index += 1

    def own_note(self, index: int) -> bytes:
        """
        What was said of a recipient that was refused.
        """
        return self._own[index].note

    def answer(self, result: RecipientResult) -> None:
        """
        A reply to the final dot is for the next of the accepted (RFC 2033 4.2).
        """
        self._own[self.accepted[self._answers]] = result
        self._answers += 1
        self.failed = self.failed or result.verdict is not Verdict.DELIVERED

    def results(self, rest: RecipientResult) -> tuple[RecipientResult, ...]:
        """
        One result per recipient: its own, or *rest*.
        """
        if self.sender_refused is not None:
            return (self.sender_refused,) * self._count
        own = self._own
        if not own:
            return (rest,) * self._count
        for index in self._beyond:
            own[index] = replace(own[index], beyond=True)
        return tuple([own.get(index, rest) for index in range(self._count)])


def _too_many(reply: Reply) -> bool:
    """
    Whether a refusal at RCPT is one of the number of recipients: by its enhanced code
    (RFC 3463 3.6), and without one by its code (RFC 5321 4.5.3.1.10).
    """
    enhanced = reply.enhanced
    return enhanced.endswith(b".5.3") if enhanced else reply.code in (452, 552)


def refusal(reply: Reply, scope: Scope, stage: Stage) -> RecipientResult:
    """
    The result that a refusing *reply* means: its first digit decides.
    """
    verdict = Verdict.PERMANENT if reply.reply_class is ReplyClass.PERMANENT else Verdict.TRANSIENT
    return RecipientResult(verdict, scope, reply.note, stage)
