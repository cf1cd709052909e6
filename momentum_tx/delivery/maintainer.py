"""
The routine that looks after each domain: sweeps due mail into the active
queues and opens the connections that are missing.

Source: Momentum, hooks ``set_delayed_queue_event`` (timing) and
``__mail_queue_maintain`` (the pass).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from ..policy.consequence import BLACKHOLED
from ..policy.goal import default_connection_goal
from ..queues.domain import DomainRecord, MXType
from ..timers import Alarm
from . import asking
from .throttles import PLENTY

if TYPE_CHECKING:
    from .facilities import Facilities
    from .initiate_smtp import MailConnections
    from .limits import Limits
    from .routing import Router
    from .session import Session
    from .sessions import Sessions
    from .settle import Settlement

#: Domains looked after, and messages swept for one of them, in one turn of the reactor; a domain whose hosts are
#: down takes a quarter of a millisecond.
DOMAINS_PER_TURN: Final = 40
SWEEP_PER_PASS: Final = 500
#: Seconds until a spool that cannot record is asked again.
SPOOL_PAUSE: Final = 1.0
#: Most seconds until mail that waits for its time is looked at, so that many small corrections of the
#: wall clock do not add up.
LONGEST_LOOK: Final = 600.0


class _Care:
    """
    The maintainer's own state for one domain; ``dr.maintainer``.
    """

    __slots__ = ("alarm", "held_until", "idle", "left", "opened", "suspended", "turn", "whole_at")

    def __init__(self, alarm: Alarm) -> None:
        self.alarm = alarm
        #: Sessions that wait for mail, by slot; the last one waited least.
        self.idle: dict[int, OrderedDict[Session, None]] = {}
        #: Time of the clock from which on a pass looks at every slot.
        self.whole_at = 0.0
        #: Slots that the last pass has not come to.
        self.left: set[int] = set()
        #: Wall time until which slots with active mail are suspended, as was seen last.
        self.suspended: dict[int, float] = {}
        #: Time of the clock before which no further connection is opened, by slot.
        self.held_until: dict[int, float] = {}
        #: When each slot was served last, as a count of connections.
        self.opened: dict[int, int] = {}
        self.turn = 0


class Maintainer:
    """
    Looks after every domain of a service.

    A pass runs when mail arrives, DNS answers, a session ends, or the domain's
    alarm rings; several reasons in one turn of the reactor make one pass.  Where the
    reason is the business of one slot only that is looked at: a domain may have mail
    on a thousand of them, and a message must not pay for all.
    """

    _log = Logger()

    def __init__(
        self,
        facilities: Facilities,
        router: Router,
        settlement: Settlement,
        connections: MailConnections,
        sessions: Sessions,
        limits: Limits,
    ) -> None:
        self._f = facilities
        self._router = router
        self._settlement = settlement
        self._connections = connections
        self._sessions = sessions
        self._limits = limits
        #: Moves mail that is queued under another name by now.
        self.move: Callable[[DomainRecord], object] = lambda dr: None
        #: Who is to be looked after, the first first, and in which slots; ``None`` for all.  An ordinary dictionary
        #: takes the longer to find its first key the more have been taken from its front.
        self._poked: OrderedDict[DomainRecord, set[int] | None] = OrderedDict()
        self._scheduled = False
        self._stopped = False
        #: Connections that were begun, for whoever wants to know how many in a pass.
        self._begun = 0

    def stop(self) -> None:
        """
        Look after nothing any more.
        """
        self._stopped = True
        self._poked.clear()

    def poke(self, dr: DomainRecord, slot: int | None = None) -> None:
        """
        Look after *dr* in the next turn of the reactor.

        :param slot: the binding slot that there is a reason for; ``None`` for all.
        """
        if self._stopped:
            return
        if slot is None:
            self._poked[dr] = None
        else:
            slots = self._poked.setdefault(dr, set())
            if slots is not None:
                slots.add(slot)
        if not self._scheduled:
            self._scheduled = True
            self._f.clock.callLater(0, self._work)

    def _work(self) -> None:
        self._scheduled = False
        poked = self._poked
        now = self._f.wall()
        for _ in range(min(len(poked), DOMAINS_PER_TURN)):
            if self._stopped:
                return
            dr, slots = poked.popitem(last=False)
            try:
                self.maintain(dr, now, slots)
            except Exception:
                # One domain's trouble stays its own; its alarm tries again.
                self._log.failure("looking after {domain} failed", domain=dr.domain)
                self._care(dr).alarm.arm(self._f.config.global_settings.delayed_queue_scan_interval)
        if poked and not self._scheduled:
            self._scheduled = True
            self._f.clock.callLater(0, self._work)

    def _care(self, dr: DomainRecord) -> _Care:
        care = dr.maintainer
        if care is None:
            care = dr.maintainer = _Care(self._f.agenda.alarm(lambda: self.poke(dr)))
        assert isinstance(care, _Care)
        return care

    def hold(self, dr: DomainRecord, slot: int) -> None:
        """
        Open no further connection from *slot* until the next regular pass.
        """
        interval = self._f.config.global_settings.delayed_queue_scan_interval
        self._care(dr).held_until[slot] = self._f.clock.seconds() + interval

    def held(self, dr: DomainRecord, slot: int) -> bool:
        """
        Whether :meth:`hold` keeps *slot* from opening further connections.
        """
        return self._care(dr).held_until.get(slot, 0.0) > self._f.clock.seconds()

    def add_idle(self, session: Session) -> None:
        """
        Keep *session* until there is mail for it.
        """
        self._care(session.dr).idle.setdefault(session.handle.binding_slot, OrderedDict())[session] = None

    def remove_idle(self, session: Session) -> None:
        """
        *session* waits no longer; harmless twice.
        """
        sessions = self._care(session.dr).idle.get(session.handle.binding_slot)
        if sessions is not None:
            sessions.pop(session, None)

    def maintain(self, dr: DomainRecord, now: float, slots: set[int] | None = None) -> None:
        """
        One pass over *dr*.

        :param now: wall time.
        :param slots: those that are looked at, with those that mail becomes due in;
            ``None`` for all, as it is done at the latest after ``delayed_queue_scan_interval``.
        """
        if self._stopped:
            return
        hooks = self._f.hooks
        if hooks.pre_mail_queue_maintain_domain:
            hooks.pre_mail_queue_maintain_domain.tell(dr, now)
        begun = self._begun
        queue, care, seconds = dr.mail_queue, self._care(dr), self._f.clock.seconds()
        if slots is None or seconds >= care.whole_at:
            slots = None
            care.whole_at = seconds + self._f.config.global_settings.delayed_queue_scan_interval
            care.suspended.clear()
        else:
            slots |= care.left
        care.left = set()
        due_from = None
        if hooks.mailq_insert_active:
            due_from = partial(asking.due_from, hooks, dr, now=now)
        if queue.sweep(now, SWEEP_PER_PASS, slots, due_from) == SWEEP_PER_PASS:
            self.poke(dr)
        self._dismiss_idle(dr, care, slots)
        if dr.rollup is not None and (dr.unmoved or queue.active_size()):
            self.move(dr)
        if queue.active_size() and not self._settlement.busy(dr):
            self._work_on(dr, now, slots)
        self._limits.answered(dr)
        self._sessions.siblings.looked_after(dr, slots)
        self._set_delayed_queue_event(dr, now)
        if hooks.post_mail_queue_maintain_domain:
            hooks.post_mail_queue_maintain_domain.tell(dr, now, self._begun - begun)

    def _work_on(self, dr: DomainRecord, now: float, slots: set[int] | None) -> None:
        hook = self._f.hooks.mail_queue_maintain_domain
        if hook:
            begun = hook.override(lambda provider: provider.mail_queue_maintain_domain(dr, now))
            if begun is not None:
                self._begun += max(begun, 0)
                return
        self._connect(dr, now, slots)

    def _dismiss_idle(self, dr: DomainRecord, care: _Care, slots: set[int] | None) -> None:
        """
        Where delivery is suspended no session shall wait for mail.
        """
        for slot in care.idle if slots is None else slots:
            sessions = care.idle.get(slot)
            if sessions and self._f.suspended(slot, dr.domain):
                for session in list(sessions):
                    session.leave()

    def _connect(self, dr: DomainRecord, now: float, slots: set[int] | None) -> None:
        if not self._f.spool.writable():
            return
        care = self._care(dr)
        turns = self._turns(dr, care, slots)
        for number, slot in enumerate(turns):
            if not self._look_at(dr, care, slot, now):
                care.left.update(turns[number:])
                return

    def _look_at(self, dr: DomainRecord, care: _Care, slot: int, now: float) -> bool:
        """
        Do what there is to do for the active mail of one slot; false if nothing can be done
        for others before something else happens.
        """
        queue = dr.mail_queue
        if self._f.suspended(slot, dr.domain):
            care.suspended[slot] = self._f.suspension.until(slot, dr.domain, now)
            if self._f.blackholed(slot, dr.domain):
                self._settlement.purge_binding(dr, slot, BLACKHOLED)
                return False
            if self._router.rolls_up:
                # Whether it waits here or under a name that is not suspended, its exchangers decide.
                self._router.ensure(dr, now)
                return dr.rollup is None
            return True
        care.suspended.pop(slot, None)
        if self._limits.message_room(dr, slot) <= 0:
            self._limits.wait_for_messages(dr, slot)
            return True
        idle = care.idle.get(slot)
        # As often as there are sessions now: one that finds nothing is idle again.
        for _ in range(len(idle or ())):
            if not idle or not queue.active_size(slot) or self._limits.message_room(dr, slot) <= 0:
                break
            next(reversed(idle)).resume()
        if queue.active_size(slot):
            self._router.ensure(dr, now)
            if dr.rollup is not None:
                # DNS has answered at once, and this mail goes elsewhere; a pass follows every answer.
                return False
            self._sessions.borrow(dr, slot)
        if queue.active_size(slot) and care.held_until.get(slot, 0.0) <= self._f.clock.seconds():
            care.held_until.pop(slot, None)
            return self._open_missing(dr, slot, now)
        return True

    @staticmethod
    def _turns(dr: DomainRecord, care: _Care, slots: set[int] | None) -> list[int]:
        """
        Slots with active mail, that which has been served least first: under a
        limit that all of them share none is left to the others' pleasure.
        """
        queue = dr.mail_queue
        turns = queue.active_slots() if slots is None else sorted(filter(queue.active_size, slots))
        if len(turns) > 1:
            turns.sort(key=lambda slot: (dr.connection_count(slot), care.opened.get(slot, 0)))
        return turns

    def _open_missing(self, dr: DomainRecord, slot: int, now: float) -> bool:
        """
        Open what the goal asks for and is not there; false if nothing more can
        be done for the domain in this pass.
        """
        if dr.lookup_pending and dr.mx_type is MXType.UNKNOWN:
            return False
        missing = self._goal(dr, slot) - dr.connection_count(slot)
        room = self._limits.message_room(dr, slot)
        if missing > 0 and (dr.contact_failing_since or room < PLENTY):
            # Every connection is looked at for this.
            opening = self._sessions.opening(dr, slot)
            if dr.contact_failing_since:
                # One connection finds out whether the domain can be reached again; the rest follows its success.
                missing = min(missing, 1 - opening)
            missing = min(missing, room - opening)
        if missing > 0:
            missing = self._limits.to_try(dr, slot, missing)
        hook = self._f.hooks.mail_queue_maintain
        if missing > 0 and hook:
            goal, reserve = missing, self._f.config.global_settings.server_reserve_outbound_connections
            if hook.override(lambda provider: provider.mail_queue_maintain(dr, slot, now, goal, reserve) or None):
                return True
        care = self._care(dr)
        while missing > 0:
            care.turn += 1
            care.opened[slot] = care.turn
            if self._connections.initiate_connection_smtp(dr, slot, now):
                # After a refusal no more in this pass: one REQUEUE1 moves one message.
                break
            self._begun += 1
            missing -= 1
        return not self._settlement.busy(dr)

    def wants(self, dr: DomainRecord, slot: int) -> bool:
        """
        Whether *dr* wants one more connection from *slot*.
        """
        return not self._settlement.busy(dr) and self._goal(dr, slot) > dr.connection_count(slot)

    def _goal(self, dr: DomainRecord, slot: int) -> int:
        settings = self._f.config.path(slot, dr.domain)
        queued = dr.mail_queue.active_size(slot)
        most = settings.max_outbound_connections
        goal = default_connection_goal(queued, most, settings.connection_allocation_aggressiveness)
        hook = self._f.hooks.connection_goal
        if hook:
            goal = hook.fold(goal, lambda provider, value: provider.connection_goal(dr, slot, queued, value))
        return min(goal, most)

    def _set_delayed_queue_event(self, dr: DomainRecord, now: float) -> None:
        """
        When to look again: after ``delayed_queue_scan_interval`` at the latest
        while there is active mail, or when delayed mail is due: a domain whose mail
        waits costs nothing meanwhile, and there may be a hundred thousand of them.
        """
        care, queue = self._care(dr), dr.mail_queue
        if not queue.size():
            care.alarm.disarm()
            return
        seconds = self._f.clock.seconds()
        wait = LONGEST_LOOK
        first = queue.first_delayed()
        if first is not None:
            wait = min(wait, max(0.0, first.next_attempt - now))
        if queue.active_size() or first is None:
            wait = min(wait, max(0.0, care.whole_at - seconds))
            if dr.throttled_until > now:
                wait = min(wait, dr.throttled_until - now)
            if not self._f.spool.writable():
                wait = min(wait, SPOOL_PAUSE)
            if care.suspended:
                wait = min(wait, max(0.0, min(care.suspended.values()) - now))
            for until in care.held_until.values():
                held = until - seconds
                if held > 0:
                    wait = min(wait, held)
        if self._f.hooks.set_delayed_queue_event:
            wait = asking.next_look(self._f.hooks, dr, now, wait)
        care.alarm.arm(wait)
