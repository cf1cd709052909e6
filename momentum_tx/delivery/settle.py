"""
What becomes of a message after an attempt: done, requeued, or given up.

Every message leaves delivery through this module, exactly once per attempt.
State is settled before anyone is told; but a failure that its sender is told of is settled when
the report is durable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..envelope import NO_TERMS
from ..outcomes import Outcome, Scope, Verdict
from ..policy.consequence import BLACKHOLED, SUPPRESSED
from ..policy.lost_reply import LostReply, assumed
from ..policy.retry import End, RetrySchedule, spread
from ..queues.domain import Connection, DomainRecord
from ..queues.message import HELD, Message, Reception
from ..settings import DEFAULT_SLOT, PathSettings
from ..stages import Stage
from . import asking
from .bulk import Bulk, Settle, Source, active_of, all_of
from .transcoder import Transcoder

if TYPE_CHECKING:
    from .facilities import Facilities

#: Seconds that mail which would fail for ever because of an MTA-STS policy is kept while a newer one is looked for.
POLICY_GRACE: Final = 90.0


class Settlement:
    """
    Turns outcomes into queue operations, spool records and notices.

    :param facilities: hooks, spool, clocks.
    :param requeued: told after a message went back to the queues of its domain.
    """

    def __init__(self, facilities: Facilities, requeued: Callable[[DomainRecord], object]) -> None:
        self._f = facilities
        self._requeued = requeued
        self._transcoder = Transcoder()
        self._schedules: dict[PathSettings, RetrySchedule] = {}
        #: Who waits for the end of a message, by message id.
        self.waiting: dict[str, Callable[[Outcome], object]] = {}
        self._bulk = Bulk(facilities, self.keep, requeued)
        #: Counts the receptions that were delayed in bulk, so that no two get the same moment.
        self._bulk_number = 0
        #: Gives a message that failed for now another binding, perhaps; its domain record then.
        self.rebind: Callable[[Message], DomainRecord] = self._domain
        #: Ids of messages in delivery that belong to another domain record since a reload, and who finds it.
        self.strays: set[str] = set()
        self.home: Callable[[Message], DomainRecord] = self._domain
        #: Keeps a message until an operator releases it.
        self.hold: Callable[[Message, float], object] = self.keep
        # Messages that have failed for ever, and whose reports are not durable yet.
        self._failing: set[Message] = set()
        self.delivered_count = 0
        self.transient_count = 0
        self.permanent_count = 0

    def stop(self) -> None:
        """
        Begin no bulk operation any more, and end those at work after their
        slice: what they have not reached stays in the spool as it is.  Single
        outcomes are still taken.
        """
        self._bulk.stop()

    def delivered(self, message: Message, note: bytes, now: float) -> None:
        """
        The peer took *message*.
        """
        f, dr = self._f, message.domain
        assert dr is not None
        message.code = note
        message.stage = Stage.IDLE
        dr.deliveries += 1
        dr.last_delivery = now
        self.delivered_count += 1
        ending = self._ending(message, Verdict.DELIVERED, Scope.RECIPIENT) if self.waiting else None
        f.spool.delivered(message, note, ending)
        if message.reception.terms is not NO_TERMS and f.notifier is not None and message.relayed:
            f.notifier.delivered(message, note, now)
        message.reception.done(message)
        hook = f.hooks.log_delivery_v1
        if hook:
            hook.tell(message, dr, now, note)
        if f.hooks.msg_dispose:
            f.hooks.msg_dispose.tell(message, True)

    def transient(
        self,
        message: Message,
        note: bytes,
        stage: Stage,
        now: float,
        ambiguous: bool = False,
        later: float = 0.0,
    ) -> None:
        """
        The attempt failed for now: requeue *message*, or give it up when its
        tries or its time are over, or when ``response_transcode_pattern`` makes a
        refusal for ever of it.

        The attempt's own outcome is told first, with the peer's words; that a
        message is given up after it is told apart, with the reason for that.

        :param later: seconds to wait beyond the schedule's delay.
        """
        dr = self._domain(message)
        if ambiguous:
            message.ambiguous += 1
        settings = self._f.config.path(message.binding_slot, dr.domain)
        if settings.response_transcode_pattern:
            said = self._transcoder.said(settings, note)
            if said[:1] == b"5" != note[:1]:
                self.permanent(message, said, stage, now)
                return
            note = said
        self._put_off(message, note, stage, now, later)

    def in_doubt(self, message: Message, note: bytes, stage: Stage, now: float, lost_reply: LostReply) -> None:
        """
        The final dot was sent and its reply lost: nobody knows whether the peer has
        *message*, and *lost_reply* says what becomes of it.
        """
        if lost_reply is LostReply.RETRY:
            self.transient(message, note, stage, now, True)
            return
        message.ambiguous += 1
        if lost_reply is LostReply.ASSUME_DELIVERED:
            self.delivered(message, assumed(note), now)
            return
        self._failed_for_now(message, note, stage, now)
        message.num_retries += 1
        message.transferred = 0
        self.hold(message, now)

    def refused(self, message: Message, note: bytes, stage: Stage, now: float, scope: Scope) -> None:
        """
        The peer refused *message* for ever: give it up, unless
        ``response_transcode_pattern`` makes a failure for now of that.
        """
        settings = self._f.config.path(message.binding_slot, self._domain(message).domain)
        if settings.response_transcode_pattern:
            note = self._transcoder.said(settings, note)
            if note[:1] == b"4":
                self._put_off(message, note, stage, now)
                return
        self.permanent(message, note, stage, now, scope)

    def _put_off(self, message: Message, note: bytes, stage: Stage, now: float, later: float = 0.0) -> None:
        dr = self._failed_for_now(message, note, stage, now)
        message.num_retries += 1
        if self._f.blackholed(message.binding_slot, dr.domain):
            self.permanent(message, BLACKHOLED, stage, now)
            return
        schedule = self._schedule(message, dr)
        hooks = self._f.hooks
        if hooks.pre_mailq_message_requeue:
            hooks.pre_mailq_message_requeue.tell(message, now)
        if hooks.get_msg_expiration_params:
            schedule = asking.schedule_of(hooks, message, schedule)
        draw = self._f.rng.random() if schedule.retry_jitter else 0.0
        reception = message.reception
        following = schedule.next_attempt(
            reception.began_by(self._f.wall.stepped),
            message.num_retries,
            now,
            draw,
            note,
            stage,
            reception.expires,
            later,
        )
        if isinstance(following, End) and self._f.tls_policies.unsettled(dr, note):
            # RFC 8461 section 5.1: not before an updated policy was looked for.
            following = now + POLICY_GRACE
        if isinstance(following, End):
            self.permanent(message, following.value, stage, now)
            return
        if hooks.ec_message_set_next_attempt:
            following = asking.next_attempt(hooks, message, now, following)
        message.next_attempt = following
        config = self._f.config
        if config.written("rebind_on_retry") and config.path(message.binding_slot, dr.domain).rebind_on_retry:
            dr = self.rebind(message)
        if dr.rolled or (self.strays and message.id in self.strays):
            # Where domains share a queue, each that fails asks again whether its domain still does.
            dr = self.home(message)
        self._f.spool.requeued(message)
        message.connection = None
        message.transferred = 0
        # What never met a peer waits for nothing but the peer; where it is to be spread, it keeps its time.
        spread_out = self._f.config.bindings[max(message.binding_slot, DEFAULT_SLOT)].delayed_binding_domain_fuzz
        if self._f.late is not None:
            self._f.late(message, now)
        self._wait(message, dr, now, "delayed", next_attempt=following, reason=note.decode("utf-8", "replace"))
        self._f.staging.insert_delayed(message, dr, stage is Stage.NOT_CONNECTED and not spread_out)
        self._requeued(dr)

    def _wait(self, message: Message, dr: DomainRecord, now: float, state: str, **about: object) -> None:
        hook = self._f.hooks.message_state
        if hook:
            hook.tell(message, dr, now, state, about)

    def _failed_for_now(self, message: Message, note: bytes, stage: Stage, now: float) -> DomainRecord:
        dr = self._domain(message)
        message.code = note
        message.stage = stage
        dr.transients += 1
        self.transient_count += 1
        hook = self._f.hooks.log_transient_failure_v1
        if hook:
            hook.notify(lambda provider: provider.log_transient_failure_v1(message, dr, now, note))
        return dr

    def permanent(
        self, message: Message, note: bytes, stage: Stage, now: float, scope: Scope = Scope.RECIPIENT
    ) -> None:
        """
        Give *message* up.
        """
        dr = self._domain(message)
        message.code = note
        message.stage = stage
        dr.failures += 1
        self.permanent_count += 1
        hook = self._f.hooks.log_permanent_failure_v1
        if hook:
            hook.notify(lambda provider: provider.log_permanent_failure_v1(message, dr, now, note))
        notifier = self._f.notifier
        if notifier is not None:
            # Nobody may take it for mail that has been forgotten.  Its fields stay as they are: a start that finds
            # it has to try it again.
            self._failing.add(message)
            try:
                if notifier.failed(message, note, now, lambda: self._give_up(message, note, scope)):
                    return
            except Exception:
                self._failing.discard(message)
                raise
        self._give_up(message, note, scope)

    def _give_up(self, message: Message, note: bytes, scope: Scope) -> None:
        self._failing.discard(message)
        self._f.spool.failed(message, note, self._ending(message, Verdict.PERMANENT, scope))
        message.reception.done(message)
        hook = self._f.hooks.msg_dispose
        if hook:
            hook.tell(message, False)

    def keep(self, message: Message, now: float) -> None:
        """
        Something went wrong while *message* was settled: if it is neither
        finished nor queued, it is tried again in its time.
        """
        waits = message.place or message.next_attempt == HELD or message in self._failing
        if message.reception.has(message) and not waits:
            dr = self._domain(message)
            message.connection = None
            message.next_attempt = now + self._schedule(message, dr).delay(max(message.num_retries, 1))
            self._f.staging.insert_delayed(message, dr)
            self._requeued(dr)

    def bring_nearer(self, message: Message, now: float) -> None:
        """
        The next attempt of *message* is to come.  Where no schedule can have set
        that time the wall clock was put back since, and it is set anew.
        """
        if not message.num_retries:
            if message.reception.not_before <= now:
                message.next_attempt = now
            return
        schedule = self._schedule(message, self._domain(message))
        if not message.reception.expires and message.next_attempt - now > schedule.longest_wait:
            message.next_attempt = now + schedule.delay(message.num_retries)

    def reinsert(self, message: Message) -> None:
        """
        Put *message* back into the active queue: what happened was not its
        fault, and no attempt counts (Momentum:
        ``scheduler_active_queue_reinsert``).
        """
        self._reinsert(
            message, self.home(message) if self.strays and message.id in self.strays else self._domain(message)
        )

    def send_home(self, message: Message) -> bool:
        """
        Put *message*, which shared a queue, into the active queue of its own domain; false
        if it is there already, as an operator wants it.
        """
        before = message.domain
        dr = self.home(message)
        if dr is before:
            return False
        self._reinsert(message, dr)
        return True

    def _reinsert(self, message: Message, dr: DomainRecord) -> None:
        message.connection = None
        if self._f.blackholed(message.binding_slot, dr.domain):
            self.permanent(message, BLACKHOLED, Stage.UNKNOWN, self._f.wall())
            return
        if self._f.hooks.message_state:
            self._wait(message, dr, self._f.wall(), "requeued")
        self._f.staging.insert_active(message, dr)
        self._requeued(dr)

    def expired_unattempted(self, message: Message, now: float) -> bool:
        """
        Whether *message* is past its life, or its recipient on the suppression list, and must not be
        attempted; it is given up then.
        """
        dr, reception = message.domain, message.reception
        assert dr is not None
        leaves_out = self._f.leaves_out
        if leaves_out is not None and leaves_out(message):
            self.permanent(message, SUPPRESSED, Stage.UNKNOWN, now)
            return True
        expires = reception.terms.expires
        if expires:
            # Its injector says that it is of no use from then on.
            if now < expires:
                return False
        else:
            settings = self._f.config.path(message.binding_slot, dr.domain)
            if not settings.never_attempt_expired_messages:
                return False
            if now - reception.began_by(self._f.wall.stepped) < settings.message_expiration:
                return False
        self.permanent(message, End.EXPIRED.value, Stage.UNKNOWN, now)
        return True

    def requeue_one(
        self,
        dr: DomainRecord,
        slot: int,
        note: bytes,
        now: float,
        connection: Connection | None = None,
        stage: Stage = Stage.NOT_CONNECTED,
    ) -> None:
        """
        ``CONN_ACTION_REQUEUE1``: one message leaves the active queue.

        :param connection: the connection that failed, for the log.
        :param stage: where it stood.
        """
        message = dr.mail_queue.next_active(slot)
        if message is not None:
            message.connection = connection
            message.transferred = 0
            self.transient(message, note, stage, now)
            # Also when that was its last failure: the others must not stand still because nothing was requeued.
            self._requeued(dr)

    def delay_domain(self, dr: DomainRecord, note: bytes) -> None:
        """
        Move all active mail of *dr* to its delayed queue (Momentum:
        ``mail_queue_delay_domain``), in slices; its next attempts lie apart by
        ``delayed_binding_domain_fuzz``.
        """
        before: Reception | None = None

        def delay(message: Message, now: float) -> None:
            nonlocal before
            fuzz = self._f.config.bindings[max(message.binding_slot, DEFAULT_SLOT)].delayed_binding_domain_fuzz
            if message.reception is not before:
                # Messages of one reception stay together, so that they can share a transaction.
                before = message.reception
                self._bulk_number += 1
            self.transient(message, note, Stage.NOT_CONNECTED, now, later=spread(self._bulk_number, fuzz))

        self._bulk.begin(dr, active_of(dr), delay)

    def purge_domain(self, dr: DomainRecord, note: bytes) -> None:
        """
        Give up all mail of *dr*, on every binding (Momentum:
        ``mail_queue_purge_domain_binding`` for each), in slices.
        """
        self._bulk.begin(dr, all_of(dr), self._purging(note))

    def purge_binding(self, dr: DomainRecord, slot: int, note: bytes) -> None:
        """
        Give up all mail of *dr* on one binding (Momentum:
        ``mail_queue_purge_domain_binding``), in slices.
        """
        self._bulk.begin(dr, all_of(dr, slot), self._purging(note), waits=True)

    def blackhole(self, dr: DomainRecord) -> None:
        """
        Give up all mail of *dr* that ``blackhole`` says is not to be delivered.
        """
        for slot in range(len(self._f.config.bindings)):
            if self._f.blackholed(slot, dr.domain):
                self.purge_binding(dr, slot, BLACKHOLED)

    def in_bulk(self, dr: DomainRecord, source: Source, settle: Settle) -> None:
        """
        Take messages from *source* and settle each, in slices; no connection is
        opened for *dr* meanwhile, and no session takes any of its mail.
        """
        self._bulk.begin(dr, source, settle, waits=True)

    def _purging(self, note: bytes) -> Callable[[Message, float], object]:
        def purge(message: Message, now: float) -> None:
            self.permanent(message, note, Stage.UNKNOWN, now, Scope.DOMAIN)

        return purge

    def busy(self, dr: DomainRecord) -> bool:
        """
        Whether a bulk operation is at work on *dr*; no connection is opened
        meanwhile.
        """
        return self._bulk.busy(dr)

    def _schedule(self, message: Message, dr: DomainRecord) -> RetrySchedule:
        settings = self._f.config.path(message.binding_slot, dr.domain)
        schedule = self._schedules.get(settings)
        if schedule is None:
            if len(self._schedules) > 1000:
                self._schedules.clear()
            schedule = self._schedules[settings] = RetrySchedule.of(settings)
        return schedule

    def _ending(self, message: Message, verdict: Verdict, scope: Scope) -> Callable[[], object] | None:
        if not self.waiting:
            return None
        waiter = self.waiting.pop(message.id, None)
        if waiter is None:
            return None
        outcome = Outcome(
            message.recipient, verdict, scope, message.code, Stage(message.stage), bool(message.ambiguous)
        )
        return lambda: waiter(outcome)

    @staticmethod
    def _domain(message: Message) -> DomainRecord:
        dr = message.domain
        assert dr is not None
        return dr
