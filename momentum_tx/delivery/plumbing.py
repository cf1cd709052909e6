"""
Which of the bindings' addresses this machine has at the moment.

Source: Momentum, ``binding_auto_replumb``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from ..settings import Binding

if TYPE_CHECKING:
    from .facilities import Facilities


class Plumbing:
    """
    Remembers which addresses are absent, and looks anew: at the start, after a
    reload, every ``binding_auto_replumb_interval`` seconds, and when an attempt
    could not bind.  An operator is told of every change.

    :param facilities: configuration, and who knows the machine's addresses.
    """

    __slots__ = ("_absent", "_alarm", "_f", "_returned")

    def __init__(self, facilities: Facilities) -> None:
        self._f = facilities
        self._absent: dict[str, None] = {}
        self._alarm = facilities.agenda.alarm(self._ring)
        self._returned: Callable[[], object] = lambda: None

    def start(self, returned: Callable[[], object]) -> None:
        """
        Look, and go on looking.

        :param returned: told when an address is back, so that mail which waits for it is
            looked after.
        """
        self._returned = returned
        self.look()

    def stop(self) -> None:
        """
        Look no more.
        """
        self._alarm.disarm()

    def _ring(self) -> None:
        self.look()

    def look(self) -> None:
        """
        See which addresses are there.
        """
        addresses = dict.fromkeys(address for binding in self._f.config.bindings for address in binding.addresses)
        for address in list(self._absent):
            if address not in addresses:
                del self._absent[address]
        self._look_at(addresses)
        settings = self._f.config.global_settings
        if settings.binding_auto_replumb and addresses:
            self._alarm.arm(settings.binding_auto_replumb_interval)
        else:
            self._alarm.disarm()

    def bind_failed(self, slot: int) -> None:
        """
        An attempt from *slot* could not bind: see whether its addresses are there.
        """
        self._look_at(self._f.config.bindings[slot].addresses)

    def _look_at(self, addresses: Iterable[str]) -> None:
        back = False
        for address in addresses:
            try:
                there = self._f.plumbed(address)
            except OSError:
                # It cannot be told, for want of a descriptor say: what was known holds.
                continue
            if there and address in self._absent:
                del self._absent[address]
                back = True
                self._tell("notice", address, "is configured on this host again, and its mail goes on")
            elif not there and address not in self._absent:
                self._absent[address] = None
                self._tell("error", address, "is not configured on this host; mail waits until it is")
        if back:
            self._returned()

    def _tell(self, level: str, address: str, text: str) -> None:
        names = [binding.name for binding in self._f.config.bindings if address in binding.addresses]
        shown = ", ".join(names[:10]) + ", ..." * (len(names) > 10)
        self._f.hooks.tell_error(self._f.wall(), level, f"{address}, source of binding {shown}, {text}")

    def lacks(self, address: str) -> bool:
        """
        Whether *address* was absent when it was looked for last.
        """
        return address in self._absent

    def impaired(self, slot: int) -> bool:
        """
        Whether an address of a binding is absent.
        """
        if not self._absent:
            return False
        return any(address in self._absent for address in self._f.config.bindings[slot].addresses)

    def absent(self, slot: int) -> bool:
        """
        Whether a binding can connect nowhere, because every address it may
        leave from is absent.
        """
        if not self._absent:
            return False
        binding = self._f.config.bindings[slot]
        # Without an address of its own the kernel chooses, whatever became of the second.
        return bool(binding.bind_address) and all(address in self._absent for address in binding.addresses)

    def missing(self) -> Iterator[tuple[Binding, str]]:
        """
        Bindings and addresses of theirs that this machine has not, looked for now.
        """
        for binding in self._f.config.bindings:
            for address in binding.addresses:
                if not self._f.plumbed(address):
                    yield binding, address
