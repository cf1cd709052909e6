"""
Which member of a binding group a message leaves from: hook, weights, and what
is suspended.

Source: Momentum, ``ec_message_select_binding_by_group``, hook
``binding_group_choose_binding``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.logger import Logger

from ..policy.bindings import choose_from_group
from ..settings import DEFAULT_GROUP, DEFAULT_SLOT
from ..smtp.addresses import canonical_domain, split_address

if TYPE_CHECKING:
    from ..queues.message import Message
    from .facilities import Facilities


class BindingChoice:
    """
    Chooses; it changes nothing of a message.

    :param facilities: configuration, hooks, suspensions, chance.
    """

    _log = Logger()

    def __init__(self, facilities: Facilities) -> None:
        self._f = facilities

    def choose(self, message: Message, group: str) -> int | None:
        """
        A member of *group* for *message*: what the hook answers, else one at
        random.

        :returns: its slot; ``None`` if there is no such group, or no member that may
            be chosen.
        """
        f = self._f
        slots = f.config.groups.get(group, ())
        slot = self._asked(message, group, slots)
        if slot is not None:
            return slot
        weights = self._weights(slots)
        domain = canonical_domain(split_address(message.recipient)[1])
        return choose_from_group(weights, lambda slot: f.suspended(slot, domain), f.rng)

    def another(self, message: Message) -> int | None:
        """
        A member of the group of *message*'s binding for its next attempt: what the
        hook answers, else one at random that is not the present one, and not
        suspended.

        :returns: its slot; ``None`` if there is none, or the binding is in no group.
        """
        f, present = self._f, max(message.binding_slot, DEFAULT_SLOT)
        group = f.config.bindings[present].group
        if group == DEFAULT_GROUP:
            return None
        slots = f.config.groups[group]
        slot = self._asked(message, group, slots)
        if slot is not None:
            return slot
        domain = message.domain.domain if message.domain is not None else ""
        others = [slot for slot in slots if slot != present and not f.suspended(slot, domain)]
        return choose_from_group(self._weights(others), lambda slot: False, f.rng)

    def _weights(self, slots: Sequence[int]) -> dict[int, int]:
        config = self._f.config
        weights = {slot: config.bindings[slot].group_weight for slot in slots}
        if config.global_settings.default_binding == "none":
            weights.pop(DEFAULT_SLOT, None)
        return weights

    def _asked(self, message: Message, group: str, slots: Sequence[int]) -> int | None:
        hook = self._f.hooks.binding_group_choose_binding
        if not hook:
            return None
        slot = hook.override(lambda provider: provider.binding_group_choose_binding(message, group))
        if slot is None or slot in slots:
            return slot
        self._log.error(
            "binding_group_choose_binding answered slot {slot}, which is not in group {group}", slot=slot, group=group
        )
        return None
