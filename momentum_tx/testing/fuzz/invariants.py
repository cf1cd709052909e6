"""
What must hold: after every step, every thousand steps, at rest, and when all is
over.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Final

from ...delivery.handle import ConnectionHandle
from ...delivery.session import Session
from ...flags import ConnFlag
from ...policy.candidates import eligible, source_for
from ...policy.consequence import BLACKHOLED, note_for
from ...policy.retry import End
from ...policy.session_notes import TOO_LARGE, UTF8_NOT_OFFERED, conversion_refused
from ...policy.skipped import SkippedHosts
from ...queues.domain import MXType
from ...queues.message import Message, Reception
from ...spool.records import segment_number
from .books import DELIVERED
from .edges import blackholed, suspended

if TYPE_CHECKING:
    from ...interfaces.services import IConfiguration
    from ...queues.domain import DomainRecord
    from .stage import Stage

#: Steps between two recounts of everything.
RECOUNT: Final = 1000
#: Seconds for which mail that may move may stand still: the turns of the reactor that
#: lie between a reason's end and the attempt take no time on a virtual clock.
STILL: Final = 0.05
#: What is said of a signed message that would have to be changed.
_SIGNED: Final = conversion_refused("the message is signed", prohibited=True)
#: Notes with which the service fails mail by its own decision.
_OWN_ENDS: Final = frozenset(
    {
        *(end.value for end in End),
        TOO_LARGE,
        UTF8_NOT_OFFERED,
        note_for(ConnFlag.ERROR_SMTP_NULL_MX),
        note_for(ConnFlag.ERROR_PROHIBITED_IP),
        note_for(ConnFlag.ERROR_MX_LOOKUP_FAILED),
    }
)


#: Timers that a service without mail may have: two agendas, the heartbeat, the journal.
TIMERS: Final = 4
#: Of so many seeds one is looked at for what is left in memory.
LOOK_AT_MEMORY: Final = 8
#: Stale entries a heap may keep, and calls that were made the clock.
STALE: Final = 64
#: Kinds of domains whose mail fails for ever at once.
_VERDICTS: Final = ("null", "nxdomain", "prohibited")
#: The reason of mail whose binding has no address.
ABSENT: Final = "its address is absent"
#: Reasons after whose end mail moves at once; after the others it does at the next regular pass.
_PROMPT: Final = (
    "suspended",
    ABSENT,
    "DNS is asked",
    "all its mail is being moved",
    "it stands in line",
    "it waits for a descriptor",
    "a host is being probed",
)


class Invariants:
    """
    Looks at one story.

    :param stage: the story.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        #: Since when the active mail of a (domain, slot) stands still without a reason.
        self._still: dict[tuple[str, int], float] = {}
        #: Since when a domain has delayed mail that is due.
        self._late: dict[str, float] = {}
        #: The reason for which it stood still when it was looked at last.
        self._reasons: dict[tuple[str, int], str] = {}
        self._steps = 0
        #: What others keep in memory: other stories that this process has not forgotten.
        self._before = _objects() if self._looks_at_memory else {}

    @property
    def _looks_at_memory(self) -> bool:
        return self._stage.plan.seed % LOOK_AT_MEMORY == 0

    def _fault(self, rule: str, text: str) -> None:
        self._stage.fault(rule, text)

    # After every step.

    def after_step(self) -> None:
        """
        Cheap sums; the whole account now and then.
        """
        stage = self._stage
        stage.attempts.settled()
        self._ends()
        if not stage.running or not stage.ready:
            return
        self._steps += 1
        if self._steps % RECOUNT == 0:
            self.recount()
            return
        delivery = stage.world.service.delivery
        held, connections = len(delivery.held), 0
        for dr in delivery.records:
            held += dr.mail_queue.size() + dr.in_flight
            connections += dr.total_connections()
        if held != stage.books.live:
            self._fault("lost or doubled", f"{held} messages are queued or in flight, {stage.books.live} have to be")
        if connections != delivery.records.connections:
            self._fault("counters", f"{connections} connections, the service counts {delivery.records.connections}")

    def _ends(self) -> None:
        observer = self._stage.observer
        if observer.attempted:
            attempted, observer.attempted = observer.attempted, []
            for message in attempted:
                self._stage.said.attempted(message)
        if not observer.permanent:
            return
        permanent, observer.permanent = observer.permanent, []
        for message, note in permanent:
            self._justified(message, note)

    def _justified(self, message: Any, note: bytes) -> None:
        """
        A failure for ever has a cause that is none of our own making.
        """
        stage = self._stage
        settings = stage.config().path(message.binding_slot, message.domain.domain)
        unattempted = note == End.EXPIRED.value
        if (unattempted or note == End.TIME.value) and stage.said.too_early(message, unattempted):
            age = stage.world.wall() - message.reception.creation_time
            self._fault("failed too early", f"{message.recipient!r} at the age of {age:.3f} s: {note!r}")
        most = 0 if settings.never_retry else settings.max_retries
        if note == End.RETRIES.value and isinstance(most, int) and message.num_retries <= most:
            self._fault("failed too early", f"{message.recipient!r} after {message.num_retries} failures: {note!r}")
        if note == BLACKHOLED:
            if not blackholed(stage.config(), message.binding_slot, message.domain.domain):
                self._fault("failed without cause", f"{message.recipient!r}: {note!r}")
            return
        if note in _OWN_ENDS:
            domain = next((each for each in stage.plan.domains if each.name == message.domain.domain), None)
            for flag, kind in (
                (ConnFlag.ERROR_SMTP_NULL_MX, "null"),
                (ConnFlag.ERROR_PROHIBITED_IP, "prohibited"),
                (ConnFlag.ERROR_MX_LOOKUP_FAILED, "nxdomain"),
            ):
                allowed = domain is not None and domain.kind == kind
                if kind == "nxdomain" and (domain is None or domain.name in stage.books.gone):
                    allowed = True
                if kind == "nxdomain" and not allowed and stage.lookups.hopeless(message.domain.domain, stage.config()):
                    stage.books.count("given up for DNS")
                    allowed = True
                if note == note_for(flag) and not allowed:
                    self._fault("failed without cause", f"{message.recipient!r}: {note!r}")
            return
        if (
            note == _SIGNED
            and message.reception.eight_bit
            and any(part.kind == "sign" for part in stage.plan.providers)
        ):
            # A signature was added that a change of the content would spoil.
            return
        if not any(line[:3] == note[:3] for line in stage.books.refusals):
            self._fault("failed without cause", f"{message.recipient!r}: {note!r}, and no receiver has said so")

    # Now and then.

    def recount(self) -> None:
        """
        Count everything anew, from the messages and connections themselves.
        """
        stage = self._stage
        delivery = stage.world.service.delivery
        places: dict[bytes, str] = {}
        hosts: dict[Any, int] = {}
        total = 0

        def put(recipient: bytes, place: str) -> None:
            if recipient in places:
                self._fault("in two places", f"{recipient!r}: {places[recipient]} and {place}")
            places[recipient] = place

        for dr in delivery.records:
            queue = dr.mail_queue
            listed = queue.messages()
            active = sum(1 for message in listed if queue.is_active(message))
            if (len(listed), active) != (queue.size(), queue.active_size()):
                self._fault("counters", f"{dr.domain}: {active} of {len(listed)} active, counted {queue.active_size()}")
            for message in listed:
                put(message.recipient, f"queue of {dr.domain}")
                stage.said.kept(message)
            flying = 0
            for slot, handles in dr.connections.items():
                total += len(handles)
                for handle in handles:
                    if handle.binding_slot != slot or handle.dr is not dr:
                        self._fault("counters", f"{dr.domain}: a connection is kept under slot {slot}")
                    if handle.host is not None:
                        hosts[handle.host] = hosts.get(handle.host, 0) + 1
            for session in delivery.sessions:
                if session.dr is dr:
                    flying += len(session.messages)
            if flying != dr.in_flight:
                self._fault("counters", f"{dr.domain}: {flying} messages in flight, counted {dr.in_flight}")
        for session in delivery.sessions:
            for message in session.messages:
                put(message.recipient, "in flight")
        for message in delivery.held:
            put(message.recipient, "held")
        for host, count in hosts.items():
            if host.connections != count:
                self._fault("counters", f"{host.name}: {count} connections, counted {host.connections}")
        if total != delivery.records.connections:
            self._fault("counters", f"{total} connections, the service counts {delivery.records.connections}")
        if len(stage.ends.open) > total:
            self._fault("counters", f"{len(stage.ends.open)} connections on the wire, the service knows {total}")
        for parcel in stage.books.living():
            if parcel.recipient not in places:
                self._fault("lost", f"it is nowhere: {parcel}")
        if len(places) != stage.books.live:
            self._fault("lost or doubled", f"{len(places)} messages are there, {stage.books.live} have to be")

    # Before time passes.

    def look_for_standstill(self, until: float) -> None:
        """
        Active mail that nothing is under way for, and nothing forbids to move,
        has been forgotten.

        :param until: time until which nothing will happen.
        """
        stage = self._stage
        if not stage.running or not stage.ready or stage.stopping:
            self._still.clear()
            self._reasons.clear()
            self._late.clear()
            return
        now = stage.seconds()
        interval = stage.config().global_settings.delayed_queue_scan_interval
        seen: dict[tuple[str, int], float] = {}
        refused, stage.attempts.refused = stage.attempts.refused, {}
        for dr in stage.world.service.delivery.records:
            for slot in dr.mail_queue.active_slots():
                key = dr.domain, slot
                if self._under_way(dr, slot):
                    self._reasons.pop(key, None)
                    continue
                reason = self._reason(dr, slot)
                if key in refused and reason != ABSENT:
                    reason = "it was refused"
                if reason:
                    self._reasons[key] = reason
                    continue
                since = seen[key] = self._still.get(key, now)
                # What ends by the passing of time is noticed at the next regular pass.
                reason = self._reasons.get(key, "")
                patience = STILL if not reason or reason in _PROMPT else interval + STILL
                if until - since > patience:
                    self._fault(
                        "standstill",
                        f"{dr.domain} slot {slot}: {dr.mail_queue.active_size(slot)} active messages stand still since"
                        f" {since:.3f} s; the last reason was {self._reasons.get(key) or 'none'}",
                    )
            self._look_at_delayed(dr, now, until, interval)
        self._still = seen

    def _look_at_delayed(self, dr: DomainRecord, now: float, until: float, interval: float) -> None:
        first = dr.mail_queue.first_delayed()
        if first is None or first.next_attempt > self._stage.wall():
            self._late.pop(dr.domain, None)
            return
        since = self._late.setdefault(dr.domain, now)
        if until - since > interval + STILL:
            self._fault("standstill", f"{dr.domain}: delayed mail is due since {since:.3f} s and was not swept")

    @staticmethod
    def _under_way(dr: DomainRecord, slot: int) -> bool:
        for handle in dr.connections.get(slot, ()):
            session = handle.user_data
            # Being opened, or a session at work; an idle one is nobody's work.
            if session is None or not getattr(session, "idle", False):
                return True
        return False

    def _reason(self, dr: DomainRecord, slot: int) -> str:
        """
        Why nothing is under way; empty if nothing explains it.
        """
        stage = self._stage
        service = stage.world.service
        delivery, config, wall = service.delivery, service.configuration, self._stage.wall()
        settings = config.path(slot, dr.domain)
        records = delivery.records
        if blackholed(config, slot, dr.domain):
            # It has to be gone.
            return ""
        if suspended(config, slot, dr.domain, wall):
            return "suspended"
        if self._unplumbed(slot):
            return ABSENT
        if settings.max_outbound_connections == 0:
            return "no connections are allowed"
        if dr.lookup_pending:
            return "DNS is asked"
        if dr.dns_failures and dr.dns_retry_at > wall:
            return "DNS failed a moment ago"
        if delivery.settlement.busy(dr):
            return "all its mail is being moved"
        if not service.spool.writable():
            return "the spool cannot be written"
        if any(part.kind in ("goal", "veto", "raise", "nonsense") for part in stage.plan.providers) and stage.storming:
            return "a hook wants it so"
        in_line = delivery.limits.waits(dr, slot)
        if in_line and delivery.limits.message_room(dr, slot) <= 0:
            return "it stands in line"
        if dr.throttled_until > wall:
            return "throttled"
        if dr in delivery.facilities.descriptors:
            return "it waits for a descriptor"
        if dr.mx_type in (MXType.UNKNOWN, MXType.NULL, MXType.BROKEN) or dr.all_prohibited:
            # There is a verdict to be carried out, or a question to be asked.
            return ""
        if delivery.maintainer.held(dr, slot):
            return "its peer has enough connections"
        if in_line:
            return "it stands in line"
        peers = [(address, mx.port or settings.port) for mx in dr.mxlist for address in mx.host.addresses]
        if any(delivery.probes.busy(peer, slot) for peer in peers):
            return "a host is being probed"
        retry = config.domain(dr.domain).host_failure_retry
        _, refusal = eligible(
            dr.mxlist,
            usable=lambda address: source_for(address, *_sources(config, slot)) is not None,
            default_port=settings.port,
            down=lambda address, port: records.down((address, port), slot, wall, retry, dr.domain),
            full=lambda host: False,
            skipped=SkippedHosts(config.global_settings.skip_hosts).skips,
        )
        if refusal:
            return str(refusal)
        return ""

    def _unplumbed(self, slot: int) -> bool:
        """
        Whether the service has found that the machine lacks the address, and it does,
        or has it back for so short a time that nobody needs to have noticed.
        """
        stage = self._stage
        if not stage.world.service.delivery.facilities.plumbing.absent(slot):
            return False
        settings = stage.config().global_settings
        unnoticed = settings.binding_auto_replumb_interval if settings.binding_auto_replumb else 0.0
        since = stage.seconds() - unnoticed
        back = [stage.plumbed_at.get(address, -unnoticed - 1.0) for address in stage.config().bindings[slot].addresses]
        return bool(stage.lacks(slot)) or any(at > since for at in back)

    # At rest.

    def at_rest(self) -> None:
        """
        Nothing is left to do: everything has gone back to nothing.
        """
        stage = self._stage
        self.recount()
        stage.attempts.at_rest()
        service = stage.world.service
        delivery = service.delivery
        rests = {
            "connections": delivery.records.connections,
            "sessions": len(delivery.sessions),
            "connections on the wire": len(stage.ends.open),
            "sessions told of": stage.observer.sessions,
            "messages in flight": sum(dr.in_flight for dr in delivery.records),
            "waiters": sum(1 for _ in delivery.settlement.waiting),
        }
        for what, count in rests.items():
            if count:
                self._fault("no rest", f"{count} {what} are left when all mail has ended")
        for parcel in stage.books.parcels.values():
            if parcel.attempting:
                self._fault("attempt without outcome", str(parcel))
        timers = stage.world.process.getDelayedCalls()
        if len(timers) > TIMERS:
            self._fault("no rest", f"{len(timers)} timers are left: {[str(timer) for timer in timers]}")
        segments = [name for name in stage.world.files.names() if segment_number(name) is not None]
        if len(segments) > 1 and not any("disk" in step.kind for step in stage.plan.steps):
            self._fault("no rest", f"no mail is left, and {len(segments)} segments are: {segments}")
        if self._looks_at_memory:
            self._look_at_memory()

    def _look_at_memory(self) -> None:
        """
        What is no longer needed is gone, but for the few stale entries that a
        heap may keep.
        """
        heaps = 1 + len(self._stage.world.service.delivery.records)
        for kind, count in _objects().items():
            count -= self._before[kind]
            if count > (STALE * heaps if kind in (Message, Reception) else STALE):
                self._fault("no rest", f"{count} objects of {kind.__name__} are left when all mail has ended")

    def over(self) -> None:
        """
        The quiet has passed: every message that was accepted has ended, and
        those that were delivered are with a receiver.
        """
        stage = self._stage
        for parcel in stage.books.parcels.values():
            if parcel.accepted and not parcel.ended:
                self._fault("stuck", f"after the quiet it is still there: {parcel}, {parcel.note!r}")
            if parcel.ended == DELIVERED and not parcel.copies and not parcel.assumed:
                self._fault("falsely delivered", str(parcel))
        if stage.plan.calm:
            self._all_went_well()

    def _all_went_well(self) -> None:
        """
        Where nothing was wrong, everything is delivered at its first attempt.
        """
        stage = self._stage
        unreachable = {domain.name for domain in stage.plan.domains if domain.kind in _VERDICTS}
        for parcel in stage.books.parcels.values():
            domain = parcel.recipient.decode().partition("@")[2]
            if domain in unreachable:
                continue
            if parcel.ended != DELIVERED or parcel.attempts != 1 or parcel.transients or len(parcel.copies) != 1:
                self._fault("failed in the calm", f"{parcel}: {parcel.note!r}")


def _sources(config: IConfiguration, slot: int) -> tuple[str, str]:
    binding = config.bindings[slot]
    return binding.bind_address, binding.bind_address_secondary


def _objects() -> dict[type, int]:
    """
    How many there are of what a message and a connection need.
    """
    gc.collect()
    counts: dict[type, int] = dict.fromkeys((Message, Reception, ConnectionHandle, Session), 0)
    for found in gc.get_objects():
        kind = type(found)
        if kind in counts:
            counts[kind] += 1
    return counts
