"""
Delivery as a whole: give it messages, and it looks after them to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..outcomes import Outcome, Scope
from ..policy.consequence import BLACKHOLED
from ..policy.shares import TRAITS, weight_of
from ..queues.domain import DomainRecord
from ..queues.message import ASSUMED, HELD, NO_TRAITS, Message, Reception, Traits, traits_of
from ..stages import Stage
from .choice import BindingChoice
from .handle import ConnectionHandle
from .held import Held
from .initiate import ConnectionInitiator
from .initiate_smtp import MailConnections
from .limits import Limits
from .maintainer import Maintainer
from .probes import Probes
from .rebinding import Rebinding
from .records import Records
from .rerouting import Rerouting
from .rollups import Rollups
from .routing import Router
from .sessions import Sessions
from .settle import Settlement
from .tls_telling import tell_unfetched

if TYPE_CHECKING:
    from .facilities import Facilities

#: What is said of mail that a hook does not want queued.
NOT_QUEUED: Final = b"450 4.7.1 [internal] held by hook ec_message_enqueue"
#: Seconds between two clearings of records nobody needs.
EXPIRE_INTERVAL: Final = 60.0
#: Seconds that sessions have to notice that they were dropped.
INTERRUPT_GRACE: Final = 5.0


class Delivery:
    """
    Puts the parts together; one screen, in the order of the dependencies.

    :param facilities: everything it may use.
    """

    _log = Logger()

    def __init__(self, facilities: Facilities) -> None:
        self.facilities = f = facilities
        self.records = Records(self._weight)
        f.find_domain = self.records.find
        self.choice = BindingChoice(f)
        self.router = Router(f, self.records, self._poke)
        self.settlement = Settlement(f, self._poke)
        self.limits = Limits(f, self.records, self._poke)
        self.probes = Probes(self.records, self._poke)
        self.initiator = ConnectionInitiator(f, self.records, self.router, self.limits, self.probes)
        self.sessions = Sessions(f, self.records, self.settlement, self.limits)
        self.connections = MailConnections(self.initiator, self.settlement, self.sessions.open, self._poke)
        self.maintainer = Maintainer(f, self.router, self.settlement, self.connections, self.sessions, self.limits)
        self.sessions.wire(self.connections, self.maintainer)
        self.rebinding = Rebinding(f, self.choice, self.record_for, self._poke)
        self.settlement.rebind = self.rebinding.retry
        self.rerouting = Rerouting(
            f.config, f.staging, self.router, self.settlement, self.rebinding, self.record_for, self._place
        )
        self.settlement.home = self.rerouting.home
        self.rollups = Rollups(f, self.router, self.settlement, self.rebinding, self.domain_record, self._place)
        self.maintainer.move = self.rollups.move
        self.held = Held(f, self.settlement, lambda message: self._place(message, f.wall()), self._locate)
        self.settlement.hold = self.held.hold
        self._expire = f.agenda.alarm(self._expire_records)
        self._expiring: Iterator[None] | None = None
        self._look = f.agenda.alarm(self._look_at_the_clock)
        f.wall.followers.append(self._clock_stepped)
        if f.sts is not None:
            f.sts.changed = self._policy_changed
            f.sts.unfetched = partial(tell_unfetched, f)
        # For good: queues know their mail by its class.
        self._share_by = f.config.global_settings.share_by
        self._tune_dialer()

    def _tune_dialer(self) -> None:
        settings = self.facilities.config.global_settings
        self.facilities.dialer.tune(settings.disable_nagle_algorithm, settings.tcp_buffer_size)
        self.facilities.tls.equip(self.facilities.config.tls_files)

    def _weight(self, domain: str, slot: int, key: Traits) -> float:
        return weight_of(self.facilities.config.path(slot, domain).share_weights, key)

    def _poke(self, dr: DomainRecord, slot: int | None = None) -> None:
        self.maintainer.poke(dr, slot)

    def start(self) -> None:
        """
        Begin to look after the records, and for the addresses of the bindings.
        """
        self.facilities.plumbing.start(self._poke_those_with_mail)
        self.facilities.descriptors.start(self._poke)
        if self.facilities.sts is not None:
            self.facilities.sts.start()
        self.facilities.egress.start(self._poke_those_with_mail)
        self._expire.arm(EXPIRE_INTERVAL)
        self._look_at_the_clock()

    def _look_at_the_clock(self) -> None:
        """
        Where all mail waits nobody else asks what time it is, and a step would go unnoticed.
        """
        self.facilities.wall()
        self._look.arm(self.facilities.config.global_settings.delayed_queue_scan_interval)

    def _clock_stepped(self, seconds: float) -> None:
        """
        The wall clock was set: nothing waits for a shorter or longer time for that.
        """
        self._log.warn(
            "the wall clock was put {direction} by {seconds:.3f} s; mail waits and grows old as if it had not been",
            direction="forward" if seconds > 0 else "back",
            seconds=abs(seconds),
        )
        self.records.shift(seconds)
        for session in self.sessions:
            for message in session.messages:
                # In no queue; it may go back into one.
                message.next_attempt += seconds
        for dr in self.records:
            for handles in dr.connections.values():
                for handle in handles:
                    assert isinstance(handle, ConnectionHandle)
                    handle.shift(seconds)
            # What waits for a time of the wall clock may be due, and other hours may be quiet.
            self.maintainer.poke(dr)

    def _policy_changed(self, domain: str) -> None:
        """
        A domain has another MTA-STS policy: what was opened under the old one ends after
        its transaction.
        """
        dr = self.records.find(domain)
        if dr is not None:
            dr.way += 1
            self.maintainer.poke(dr)

    def _expire_records(self) -> None:
        f = self.facilities
        expiring = self._expiring
        if expiring is None:
            lifetime = f.config.global_settings.address_metrics_lifetime
            expiring = self._expiring = self.records.expire(f.wall(), lifetime)
        for _ in expiring:
            # Others' turn.
            self._expire.arm(0)
            return
        self._expiring = None
        self._expire.arm(EXPIRE_INTERVAL)

    def domain_record(self, name: str) -> DomainRecord:
        """
        The record of a routing domain, made if there is none.
        """
        return self.records.domain(name, self.connections)

    def enqueue(self, messages: Sequence[Message]) -> None:
        """
        Take durable messages over.  All are queued before any is attempted, so
        that recipients of one message can share a transaction.
        """
        now = self.facilities.wall()
        for message in messages:
            try:
                self._locate(message)
            except ValueError as error:
                # It was a domain when it was accepted; the rules for names have changed since.
                self._log.critical(
                    "message {id} to {recipient!r} stays in the spool and cannot be delivered: {error}",
                    id=message.id,
                    recipient=message.recipient,
                    error=error,
                )
                continue
            if message.next_attempt in (HELD, ASSUMED):
                self.held.found(message, now)
                continue
            if message.next_attempt > now:
                self.settlement.bring_nearer(message, now)
            hook = self.facilities.hooks.ec_message_enqueue
            if hook and self._forbidden(message, now):
                continue
            self._place(message, now)

    def _forbidden(self, message: Message, now: float) -> bool:
        """
        Whether ``ec_message_enqueue`` does not want *message* queued; it is held then.
        """
        hook = self.facilities.hooks.ec_message_enqueue
        if not hook.vetoed(lambda provider: provider.ec_message_enqueue(message, now)):
            return False
        message.code = NOT_QUEUED
        self.held.hold(message, now)
        return True

    def _locate(self, message: Message) -> None:
        """
        Give a message its domain record.

        :raises ValueError: its recipient has no domain that can be looked up.
        """
        message.domain = self.record_for(message)
        if message.reception.traits is not NO_TRAITS:
            self._set_share(message.reception)
        message.reception.sort_in(message)

    def _place(self, message: Message, now: float) -> None:
        """
        Queue a message in its domain's record, or fail it if nobody wants it there.
        """
        dr = message.domain
        assert dr is not None
        if self.facilities.blackholed(message.binding_slot, dr.domain):
            self.settlement.permanent(message, BLACKHOLED, Stage.UNKNOWN, now, Scope.DOMAIN)
            return
        hook = self.facilities.hooks.message_state
        if hook and self.facilities.suspended(message.binding_slot, dr.domain):
            reason = self.facilities.suspension.reason(message.binding_slot, dr.domain, now)
            hook.tell(message, dr, now, "suspended", {"reason": reason})
        if message.next_attempt <= now:
            self.facilities.staging.insert_active(message, dr)
        else:
            self.facilities.staging.insert_delayed(message, dr)
        self.maintainer.poke(dr, message.binding_slot)

    def _set_share(self, reception: Reception) -> None:
        if self._share_by != TRAITS:
            names = zip(TRAITS, reception.traits, strict=True)
            reception.share = traits_of(*(value if name in self._share_by else "" for name, value in names))

    def record_for(self, message: Message) -> DomainRecord:
        """
        The record of the domain that *message* is queued under, made if there is none.

        :raises ValueError: its recipient has no domain that can be looked up.
        """
        name, operator_named = self.router.routing_domain(message)
        dr = self.domain_record(name)
        if operator_named:
            self.router.trust(dr)
        return dr if dr.rollup is None else self.rollups.follow(dr)

    def trace(self) -> None:
        """
        Somebody wants to follow what is said, or no longer.
        """
        for session in self.sessions:
            session.trace()

    def flush(self, domain: str | None = None) -> int:
        """
        Have mail that waits for its time tried now (Momentum: ``flush domain``);
        each such attempt counts as a retry.  The maintainer's sweeps take it, slice
        by slice; mail that is delayed anew meanwhile keeps its time.

        :param domain: the routing domain; ``None`` for every one.
        :returns: messages that no longer wait for their time.
        """
        self.facilities.suspension.let_go(domain)
        self.facilities.authentication.forget()
        count = 0
        for dr in self._named(domain):
            flushed = dr.mail_queue.flush()
            count += flushed
            if flushed or dr.mail_queue.active_size():
                self.maintainer.poke(dr)
        return count

    def _named(self, domain: str | None) -> list[DomainRecord]:
        if domain is None:
            return list(self.records)
        found = self.records.find(domain)
        return [] if found is None else [found]

    def rebind(
        self,
        domain: str | None = None,
        from_binding: str | None = None,
        to_binding: str | None = None,
        to_group: str | None = None,
    ) -> Deferred[int]:
        """
        Choose another binding for mail that waits (Momentum: ``rebind``); its time,
        its tries and its age stay.  Mail in delivery, and what arrives meanwhile,
        keeps its binding.

        :param domain: the routing domain; ``None`` for every one.
        :param from_binding: name of the binding whose mail is meant; ``None`` for every one.
        :param to_binding: name of the binding it gets.
        :param to_group: name of the group of which each message gets a member.  Without
            either each gets a member of the group that its binding is in, as at reception;
            one whose binding is in no group stays.
        :returns: fires with the number of messages that were given another binding.
        :raises ValueError: there is no such binding or group, or both were named.
        """
        source = None if from_binding is None else self.rebinding.slot(from_binding)
        target = self.rebinding.target(to_binding, to_group)
        return self.rebinding.rebind(self._named(domain), source, target)

    def reconfigured(self) -> None:
        """
        The configuration was replaced: look at every domain now, since what
        forbade an attempt may be gone, and mail may have another way, or not be
        wanted any more.
        """
        self._tune_dialer()
        # A password may have been corrected.
        self.facilities.suspension.let_go()
        self.facilities.authentication.forget()
        self.facilities.plumbing.look()
        self.facilities.egress.look()
        self.limits.reconfigured()
        in_delivery = [message for session in self.sessions for message in session.messages]
        self.rerouting.reconfigured(self.records, in_delivery, self.facilities.config)
        if self.facilities.config.written("skip_hosts"):
            for session in self.sessions:
                session.leave_skipped()
        blackholes = self.facilities.config.written("blackhole")
        for dr in self.records:
            dr.mail_queue.reweigh()
            if blackholes and dr.mail_queue.size():
                self.settlement.blackhole(dr)
            self.maintainer.poke(dr)

    def _poke_those_with_mail(self) -> None:
        for dr in self.records:
            if dr.mail_queue.active_size():
                self.maintainer.poke(dr)

    def when_ended(self, message: Message, tell: Callable[[Outcome], object] | None) -> None:
        """
        Call *tell* once, when the end of *message* is durable; with ``None``
        tell nobody.
        """
        if tell is None:
            self.settlement.waiting.pop(message.id, None)
        else:
            self.settlement.waiting[message.id] = tell

    async def stop(self, grace: float) -> None:
        """
        Open nothing any more, let transactions end, then drop what is left.

        :param grace: seconds for the transactions.  One that still waits for
            its final reply then is recorded as ambiguous.
        """
        self.maintainer.stop()
        self.settlement.stop()
        self.rebinding.stop()
        self.held.stop()
        self._expire.disarm()
        self._look.disarm()
        self.facilities.plumbing.stop()
        self.facilities.descriptors.stop()
        self.facilities.egress.stop()
        stopped = self.sessions.stop()
        for dr in self.records:
            for handles in list(dr.connections.values()):
                for handle in list(handles):
                    # Still connecting: nobody hears of it.
                    if handle.connection.in_use < 0:
                        handle.close()
        await self._within(stopped, grace)
        if len(self.sessions):
            self.sessions.interrupt()
            await self._within(stopped, INTERRUPT_GRACE)

    def _within(self, stopped: Deferred[None], seconds: float) -> Deferred[None]:
        """
        Fires when *stopped* does, or after *seconds*.
        """
        passed: Deferred[None] = Deferred()

        def end(result: object) -> None:
            alarm.disarm()
            if not passed.called:
                passed.callback(None)

        alarm = self.facilities.agenda.alarm(lambda: end(None))
        alarm.arm(seconds)
        stopped.addBoth(end)
        return passed
