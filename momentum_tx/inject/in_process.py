"""
Submitting mail from the embedding application.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..envelope import NO_NOTIFY
from ..errors import MessageRefused
from ..interfaces.services import Submission
from ..message.headers import is_international
from ..outcomes import Outcome
from ..queues.message import Message, Reception
from ..smtp.addresses import check_address
from ..smtp.body import check_content
from ..smtp.international import needs_smtputf8
from .receiver import Receiver
from .wishes import NotifyWish, terms_from, wall_time


class Sending(Deferred[list[Outcome]]):
    """
    A submission on its way.

    It fires with one :class:`~momentum_tx.outcomes.Outcome` per recipient, in
    their order, when the last of them has ended and that survives a power cut;
    it fails with :class:`~momentum_tx.errors.MessageRefused` when the message
    was not accepted.  Cancelling stops the waiting, not the mail.
    """

    def __init__(self) -> None:
        super().__init__()
        #: The batch id, known at once; it names the message in every log.
        self.id = ""
        self._accepted: Deferred[str] | None = None
        self._answer: str | Failure | None = None

    @property
    def accepted(self) -> Deferred[str]:
        """
        Fires with the batch id when the message is durable and ours to
        deliver; fails as the sending itself does.  The same each time.
        """
        # Made for whoever asks for it: a refusal that nobody asked for here is no error left unhandled.
        if self._accepted is None:
            self._accepted = Deferred()
            self._tell()
        return self._accepted

    def _answered(self, answer: str | Failure) -> None:
        """
        The receiver has decided.

        :param answer: the batch id, or why the message was not accepted.
        """
        self._answer = answer
        self._tell()

    def _tell(self) -> None:
        accepted, answer = self._accepted, self._answer
        if accepted is None or answer is None:
            return
        if isinstance(answer, Failure):
            accepted.errback(answer)
        else:
            accepted.callback(answer)


def _as_bytes(address: str | bytes) -> bytes:
    return address.encode("utf-8") if isinstance(address, str) else address


def _crlf(message: bytes) -> bytes:
    """
    *message* with CRLF line ends; in process a lone line feed ends a line too.
    """
    if b"\r\n" not in message and b"\n" in message and b"\r" not in message:
        message = message.replace(b"\n", b"\r\n")
    if message and not message.endswith(b"\r\n"):
        message += b"\r\n"
    return message


class InProcess:
    """
    The face of the receiver inside the process.

    :param receiver: takes responsibility.
    :param when_ended: has a callable told of the end of a message; with
        ``None`` it is told no more.
    """

    def __init__(
        self, receiver: Receiver, when_ended: Callable[[Message, Callable[[Outcome], object] | None], object]
    ) -> None:
        self._receiver = receiver
        self._when_ended = when_ended

    def send(
        self,
        sender: str | bytes,
        recipients: Sequence[str | bytes],
        message: str | bytes,
        *,
        binding: str = "",
        binding_group: str = "",
        tenant: str = "",
        campaign: str = "",
        priority: str = "",
        not_before: float | datetime | None = None,
        expires: float | datetime | None = None,
        envid: str = "",
        ret: str = "",
        notify: NotifyWish | Sequence[NotifyWish] = NO_NOTIFY,
        orcpt: str | Sequence[str] = "",
        require_tls: bool = False,
    ) -> Sending:
        """
        Submit one message.  What is said by keyword counts before what a header
        field of *message* says.

        :param sender: reverse path, empty for the null sender.
        :param recipients: addresses, at least one.
        :param message: header, blank line, body; ``str`` is encoded as UTF-8.
            Line ends are CRLF, or LF throughout.
        :param binding: name of the binding it leaves from.
        :param binding_group: name of a group to choose one from; *binding* decides
            if both are there.
        :param tenant: whose mail it is, at most 64 printable ASCII characters, as the next two.
        :param campaign: what it was sent for.
        :param priority: how urgent it is, a name that the configuration knows.
        :param not_before: when it may be attempted first: epoch seconds, or with a time zone.
        :param expires: when its life ends; ``None`` for what ``message_expiration`` says.
        :param envid: your own name for the message, which reports will give; it and the
            next three are passed on to peers that offer DSN (RFC 3461).
        :param ret: ``"FULL"`` or ``"HDRS"``: how much of the message a report is to hold.
        :param notify: of what reports are wanted: a :class:`~momentum_tx.envelope.Notify`,
            or words such as ``"SUCCESS,FAILURE"``; one for all recipients, or one for each.
        :param orcpt: the recipient as it was first written, with or without its type
            (``rfc822;``); where there are several, one for each, empty for none.
        :param require_tls: whether it may only go where TLS is authenticated, and goes on
            being so (RFC 8689); it fails where that cannot be.
        """
        sending = Sending()
        try:
            plain = self._submission(_as_bytes(sender), [_as_bytes(each) for each in recipients], message)
            submission = plain._replace(
                binding=binding,
                binding_group=binding_group,
                tenant=tenant,
                campaign=campaign,
                priority=priority,
                not_before=wall_time(not_before),
                expires=wall_time(expires),
                terms=terms_from(len(recipients), envid, ret, notify, orcpt, require_tls),
            )
        except ValueError as error:
            self._refused(Failure(MessageRefused(550, f"5.6.0 {error}")), sending, [])
            return sending
        waited: list[Message] = []
        taken = self._receiver.take(submission, lambda reception: self._admitted(reception, sending, waited))
        taken.addCallbacks(self._accepted, self._refused, callbackArgs=(sending,), errbackArgs=(sending, waited))
        return sending

    @staticmethod
    def _submission(sender: bytes, recipients: list[bytes], message: str | bytes) -> Submission:
        content = _crlf(_as_bytes(message))
        if not recipients:
            raise ValueError("a message needs a recipient")
        addresses = [*recipients, sender] if sender else recipients
        utf8 = not all(address.isascii() for address in addresses)
        for address in addresses:
            check_address(address, utf8)
        fault = check_content(content)
        if fault is not None:
            raise ValueError(f"Message refused: {fault}")
        eight_bit = not content.isascii()
        # Nobody asks for it here, so that it is found out; a domain has another form, and needs nothing.
        needed = (utf8 and any(map(needs_smtputf8, addresses))) or (eight_bit and is_international(content))
        return Submission(sender, tuple(recipients), content, eight_bit, needed)

    def _admitted(self, reception: Reception, sending: Sending, waited: list[Message]) -> None:
        sending.id = reception.batch_id
        outcomes: dict[int, Outcome] = {}
        total = len(reception.messages)

        def ended(index: int, outcome: Outcome) -> None:
            outcomes[index] = outcome
            if len(outcomes) == total and not sending.called:
                sending.callback([outcomes[each] for each in range(total)])

        for message in reception.messages:
            assert message is not None
            waited.append(message)
            self._when_ended(message, lambda outcome, index=message.index: ended(index, outcome))  # type: ignore[misc]

    @staticmethod
    def _accepted(reception: Reception, sending: Sending) -> None:
        sending._answered(reception.batch_id)

    def _refused(self, failure: Failure, sending: Sending, waited: list[Message]) -> Any:
        for message in waited:
            self._when_ended(message, None)
        sending._answered(failure)
        if not sending.called:
            sending.errback(failure)
