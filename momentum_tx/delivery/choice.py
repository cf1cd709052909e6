"""
Which member of a binding group a message leaves from: hook, weights, and what
is suspended.

Source: Momentum, ``ec_message_select_binding_by_group``, hook
``binding_group_choose_binding``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from ..policy.bindings import choose_from_group
from ..settings import DEFAULT_SLOT
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
        hook = f.hooks.binding_group_choose_binding
        if hook:
            slot = hook.override(lambda provider: provider.binding_group_choose_binding(message, group))
            if slot is not None:
                if slot in slots:
                    return slot
                self._log.error(
                    "binding_group_choose_binding answered slot {slot}, which is not in group {group}",
                    slot=slot,
                    group=group,
                )
        weights = {slot: f.config.bindings[slot].group_weight for slot in slots}
        if f.config.global_settings.default_binding == "none":
            weights.pop(DEFAULT_SLOT, None)
        domain = canonical_domain(split_address(message.recipient)[1])
        return choose_from_group(weights, lambda slot: f.suspended(slot, domain), f.rng)
