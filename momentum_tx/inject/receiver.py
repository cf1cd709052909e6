"""
Takes responsibility for messages: from the door to the queues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..errors import MessageRefused
from ..hooks.outbound import OutboundHooks
from ..interfaces.services import IConfiguration, IReceiver, ISpool, Submission
from ..message.headers import count_received, lower_head, prepend_field, take_fields
from ..message.ids import MessageIds
from ..message.trace import received
from ..queues.message import Message, Reception, traits_of
from ..settings import DEFAULT_SLOT
from ..smtp.addresses import canonical_domain, split_address
from ..wall import WallClock
from . import recipients
from .signing import Signer
from .validation import validated
from .wishes import FIELDS, check, obey, shown, terms_of


@implementer(IReceiver)
class Receiver:
    """
    Makes one message per recipient, has the spool keep them, and hands them to
    delivery.

    :param config: gives the configuration in force.
    :param spool: keeps them.
    :param hooks: told of every reception.
    :param ids: makes ids.
    :param wall: wall time.
    :param hostname: our name, for the trace field.
    :param choose: a slot for a message from a binding group; ``None`` if none may be chosen.
    :param enqueue: takes the durable messages over.
    """

    _log = Logger()

    def __init__(
        self,
        config: Callable[[], IConfiguration],
        spool: ISpool,
        hooks: OutboundHooks,
        ids: MessageIds,
        wall: WallClock,
        hostname: str,
        choose: Callable[[Message, str], int | None],
        enqueue: Callable[[Sequence[Message]], object],
    ) -> None:
        self._config = config
        self._spool = spool
        self._hooks = hooks
        self._ids = ids
        self._wall = wall
        self._hostname = hostname
        self._choose = choose
        self._enqueue = enqueue
        #: Why nothing is taken, set by the owner while it starts or stops.
        self.closed: tuple[int, str] | None = None
        self.received_count = 0
        #: Why a recipient is refused that is on the suppression list, set by the owner.
        self.suppressed: Callable[[bytes], tuple[int, str] | None] = lambda recipient: None
        #: Signs what is received, set by the owner; ``None`` while nothing is to be signed.
        self.signer: Signer | None = None

    def refusal(self) -> tuple[int, str] | None:
        if self.closed is not None:
            return self.closed
        if not self._spool.healthy():
            return 452, "4.3.1 The spool takes nothing at the moment, try again later"
        return None

    def recipient_refusal(self, recipient: bytes, trusted: bool) -> tuple[int, str] | None:
        suppressed = self.suppressed(recipient)
        if suppressed is not None:
            return suppressed
        config = self._config()
        return recipients.refusal(config, recipient, recipients.possible_slots(config, trusted))

    def receive(self, submission: Submission) -> Deferred[str]:
        return self.take(submission).addCallback(_batch_id)

    def take(
        self,
        submission: Submission,
        admitted: Callable[[Reception], object] | None = None,
        ends: Sequence[Message] = (),
    ) -> Deferred[Reception]:
        """
        :meth:`receive`, firing with the reception itself.

        :param admitted: told of the reception before it is durable: its ids are
            settled then, and nothing of it has been tried.
        :param ends: messages that have failed for ever and that it reports on; see
            :class:`~momentum_tx.interfaces.services.ISpool`.
        """
        try:
            refusal = self.refusal()
            if refusal is not None:
                raise MessageRefused(*refusal)
            reception, content = self._admit(submission)
        except MessageRefused:
            return fail(Failure())
        if admitted is not None:
            admitted(reception)
        hooks = self._hooks
        if hooks.final_validation2 or hooks.final_validation or hooks.post_final_validation:
            try:
                content = validated(hooks, reception, content)
            except MessageRefused:
                return fail(Failure())
        signer = self.signer
        if signer is None:
            return self._keep(content, reception, ends)
        try:
            signed = signer.sign(reception, content)
        except MessageRefused:
            return fail(Failure())
        if isinstance(signed, Deferred):
            return signed.addCallback(self._keep, reception, ends)
        return self._keep(signed, reception, ends)

    def _keep(self, content: bytes, reception: Reception, ends: Sequence[Message]) -> Deferred[Reception]:
        reception.size = len(content)
        kept: Deferred[Any] = self._spool.receive(reception, content, ends)
        kept.addCallbacks(self._durable, self._not_kept, callbackArgs=(reception,))
        return kept

    def _admit(self, submission: Submission) -> tuple[Reception, bytes]:
        content, config = submission.content, self._config()
        settings = config.global_settings
        # One look at the header for whatever most mail has none of.
        head = lower_head(content)
        if count_received(head) >= settings.max_received_headers:
            raise MessageRefused(554, "5.4.6 Too many hops, this message is looping")
        most = settings.max_recipients_per_message
        if len(submission.recipients) > most:
            raise MessageRefused(550, f"5.5.3 Too many recipients: {len(submission.recipients)}, {most} are possible")
        routable = [self._routable(recipient) for recipient in submission.recipients]
        if submission.trusted:
            said, content = take_fields(content, FIELDS, head)
            if said:
                submission = obey(submission, said)
        now = self._wall()
        submission = check(submission, now)
        # The same second for all ids, so that the clock need not be asked for each.
        new_id, second = self._ids.generate_connection_id, int(now)
        batch_id = new_id(second)
        field = received(
            submission.helo,
            submission.recv_from,
            self._hostname,
            submission.recv_method,
            batch_id,
            routable[0] if len(routable) == 1 else None,
            now,
        )
        content = prepend_field(field, content)
        reception = Reception(
            submission.sender,
            now,
            len(content),
            batch_id,
            submission.conn_id,
            submission.recv_method,
            submission.recv_from,
            submission.eight_bit,
            submission.smtputf8,
            traits_of(submission.tenant, submission.campaign, submission.priority),
            terms_of(submission, content, head),
        )
        reception.stepped = self._wall.stepped
        slot, group = self._source(submission)
        for recipient in routable:
            message = reception.add(new_id(second), recipient)
            message.binding_slot = self._bound(message, group) if group else slot
            if message.binding_slot == DEFAULT_SLOT and settings.default_binding == "none":
                raise MessageRefused(451, "4.3.5 There is no binding for this message, try again later")
        hook = self._hooks.post_validate_set_binding
        if hook:
            for each in reception.messages:
                if each is not None and each.binding_slot != DEFAULT_SLOT:
                    hook.tell(each)
        if config.written("blackhole") and recipients.blackholed(config, reception.messages):
            raise MessageRefused(*recipients.BLACKHOLED)
        return reception, content

    def _bound(self, message: Message, group: str) -> int:
        slot = self._choose(message, group)
        if slot is None:
            raise MessageRefused(451, "4.3.5 No binding of this group may be chosen, try again later")
        return slot

    def _routable(self, recipient: bytes) -> bytes:
        local, domain = split_address(recipient)
        if not domain:
            # RFC 5321 4.5.1: postmaster needs no domain; it is ours then.
            return local + b"@" + self._hostname.encode("ascii")
        try:
            canonical_domain(domain)
        except ValueError as error:
            raise MessageRefused(553, f"5.1.3 Bad recipient domain: {error}") from None
        if domain.startswith(b"[") and not self._config().global_settings.allow_ip_literal:
            raise MessageRefused(*recipients.NO_LITERALS)
        return recipient

    def _source(self, submission: Submission) -> tuple[int, str]:
        """
        Binding slot and group an injector asked for.
        """
        name, group = submission.binding, submission.binding_group
        if name:
            slot = self._config().binding_slot(name)
            if slot is None:
                # To send from some other address would be worse than not to send.
                raise MessageRefused(550, f"5.6.0 X-Binding: there is no binding {shown(name)}")
            return slot, ""
        if group and not self._config().groups.get(group):
            raise MessageRefused(550, f"5.6.0 X-Binding-Group: there is no binding group {shown(group)}")
        return DEFAULT_SLOT, group

    def _durable(self, _: None, reception: Reception) -> Reception:
        messages = [message for message in reception.messages if message is not None]
        self.received_count += len(messages)
        hook = self._hooks.log_reception_v1
        if hook:
            now = reception.creation_time
            for message in messages:
                hook.tell(reception, message, now, None)
        if self._hooks.swap_out_multi:
            self._hooks.swap_out_multi.tell(reception, messages)
        try:
            self._enqueue(messages)
        except Exception:
            # It is kept, so it must not be refused: at the latest the next start delivers it.
            self._log.failure("message {id} is kept, and could not be queued", id=reception.batch_id)
        return reception

    def _not_kept(self, failure: Failure) -> Failure:
        self._log.error("a message was not kept: {error}", error=failure.value)
        return Failure(MessageRefused(452, "4.3.1 The message could not be stored, try again later"))


def _batch_id(reception: Reception) -> str:
    return reception.batch_id
