"""
Moves mail from binding to binding: what waits, when an operator says so, and
what failed for now, with ``rebind_on_retry``.

Source: Momentum, console command ``rebind``, ``ec_message_change_binding_slot``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..settings import DEFAULT_GROUP, DEFAULT_SLOT
from .bulk import BULK_SLICE

if TYPE_CHECKING:
    from ..queues.domain import DomainRecord
    from ..queues.message import Message
    from .choice import BindingChoice
    from .facilities import Facilities

#: A binding slot for a message; ``None`` if it is to stay where it is.
Target = Callable[["Message"], "int | None"]


class Rebinding:
    """
    The only way to another binding for a message that has one: queues, siblings
    and journal are kept in step.

    :param facilities: configuration, spool, clocks.
    :param choice: chooses members of groups.
    :param record_for: the domain record of a message, by its binding.
    :param poke: told of every domain that was given mail.
    """

    _log = Logger()

    def __init__(
        self,
        facilities: Facilities,
        choice: BindingChoice,
        record_for: Callable[[Message], DomainRecord],
        poke: Callable[[DomainRecord], object],
    ) -> None:
        self._f = facilities
        self._choice = choice
        self._record_for = record_for
        self._poke = poke
        self._stopped = False

    def stop(self) -> None:
        """
        End what is at work after its slice; what it has not reached stays as it is.
        """
        self._stopped = True

    def target(self, to_binding: str | None, to_group: str | None) -> Target:
        """
        Where an operator wants messages to go.

        :param to_binding: name of a binding.
        :param to_group: name of a group, of which each message gets a member; without
            either, each gets a member of the group its present binding is in, and one
            whose binding is in no group stays.
        :raises ValueError: there is no such binding or group, or both are named.
        """
        if to_binding is not None and to_group is not None:
            raise ValueError("rebind to a binding or to a group, not to both")
        if to_binding is not None:
            slot = self.slot(to_binding)
            return lambda message: slot
        if to_group is None:
            return self._anew
        if not self._f.config.groups.get(to_group):
            raise ValueError(f"there is no binding group {to_group!r}")
        return lambda message: self._choice.choose(message, to_group)

    def slot(self, binding: str) -> int:
        """
        Slot of a binding.

        :raises ValueError: there is none of that name.
        """
        slot = self._f.config.binding_slot(binding)
        if slot is None:
            raise ValueError(f"there is no binding {binding!r}")
        return slot

    def _anew(self, message: Message) -> int | None:
        group = self._f.config.bindings[max(message.binding_slot, DEFAULT_SLOT)].group
        return None if group == DEFAULT_GROUP else self._choice.choose(message, group)

    def rebind(self, records: Iterable[DomainRecord], source: int | None, target: Target) -> Deferred[int]:
        """
        Move queued mail, active and delayed, in slices.  Mail in delivery, and mail
        that arrives meanwhile, keeps its binding.

        :param records: the domains.
        :param source: slot of the mail that is meant; ``None`` for every one.
        :returns: fires with the number of messages that have another binding now; one that
            would be swallowed there (``blackhole``) stays.
        """
        done: Deferred[int] = Deferred()
        waiting = (message for dr in list(records) for message in dr.mail_queue.walk())
        count = 0

        def work() -> None:
            nonlocal count
            for _ in range(BULK_SLICE):
                message = None if self._stopped else next(waiting, None)
                if message is None:
                    done.callback(count)
                    return
                if source is not None and message.binding_slot != source:
                    continue
                try:
                    count += self._rebound(message, target)
                except Exception:
                    self._log.failure("{id} cannot be bound anew, and stays where it is", id=message.id)
                if message.place:
                    self._f.staging.rest(message)
            self._f.clock.callLater(0, work)

        work()
        return done

    def _rebound(self, message: Message, target: Target) -> bool:
        slot = target(message)
        if slot is None or slot == message.binding_slot or not message.place:
            return False
        dr, after = self._leads_to(message, slot)
        if self._f.blackholed(slot, after.domain):
            # To move it there would be to throw it away.
            return False
        queue = dr.mail_queue
        active = queue.is_active(message)
        if active or after is not dr:
            queue.remove(message)
        self.assign(message, slot, after)
        if active:
            self._f.staging.insert_active(message, after)
        elif after is not dr:
            self._f.staging.insert_delayed(message, after)
        self._f.spool.requeued(message)
        self._poke(after)
        return True

    def _leads_to(self, message: Message, slot: int) -> tuple[DomainRecord, DomainRecord]:
        """
        The domain record of *message* now, and from another binding: a gateway may
        be that binding's own.
        """
        dr, before = message.domain, message.binding_slot
        assert dr is not None
        message.binding_slot = slot
        try:
            return dr, self._record_for(message)
        finally:
            message.binding_slot = before

    def assign(self, message: Message, slot: int, after: DomainRecord) -> None:
        """
        *message*, which is in no queue or stays in one of the same domain, belongs to
        another slot or domain from now on; its siblings are told.
        """
        hook = self._f.hooks.message_state
        if hook:
            before = self._f.config.bindings[max(message.binding_slot, DEFAULT_SLOT)].name
            hook.tell(message, after, self._f.wall(), "rebound", {"from": before})
        message.binding_slot = slot
        if after is message.domain:
            return
        message.reception.sort_out(message)
        message.domain = after
        message.reception.sort_in(message)

    def retry(self, message: Message) -> DomainRecord:
        """
        *message*, which is in no queue, failed for now: it may go on from another
        member of its group (``rebind_on_retry``).

        :returns: the domain record it belongs to now.
        """
        slot = self._choice.another(message)
        dr = message.domain
        assert dr is not None
        if slot is None or slot == message.binding_slot:
            return dr
        _, after = self._leads_to(message, slot)
        if self._f.blackholed(slot, after.domain):
            return dr
        self.assign(message, slot, after)
        return after
