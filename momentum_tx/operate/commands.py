"""
The commands of a service: what may be asked of it while it runs, besides taking
mail and reading its configuration anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.configuration import Configuration
from ..delivery.delivery import Delivery
from ..delivery.facilities import Facilities
from ..hooks.outbound import OutboundHooks

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred


class Commands:
    """
    The half of :class:`~momentum_tx.service.OutboundService` that answers operators.

    :ivar hooks: every hook point; providers are registered before the start.
    :ivar delivery: whatever sends mail.
    """

    hooks: OutboundHooks
    delivery: Delivery
    _config: Configuration
    _facilities: Facilities

    @property
    def configuration(self) -> Configuration:
        """
        The configuration in force.
        """
        return self._config

    def reopen_logs(self) -> None:
        """
        Log files were moved away: open them anew (hook ``log_reopen``).
        """
        self.hooks.log_reopen.notify(lambda provider: provider.log_reopen())

    def flush(self, domain: str | None = None) -> int:
        """
        See :meth:`momentum_tx.delivery.delivery.Delivery.flush`.
        """
        return self.delivery.flush(domain)

    def rebind(
        self,
        domain: str | None = None,
        from_binding: str | None = None,
        to_binding: str | None = None,
        to_group: str | None = None,
    ) -> Deferred[int]:
        """
        See :meth:`momentum_tx.delivery.delivery.Delivery.rebind`.
        """
        return self.delivery.rebind(domain, from_binding, to_binding, to_group)

    def unplumbed(self) -> list[str]:
        """
        What is wrong with the bindings' addresses on this machine, each with the
        place it was written at.  Such a binding's mail waits; or was it mistyped?
        """
        config = self._config
        found = []
        for binding, address in self._facilities.plumbing.missing():
            option = "bind_address" if address == binding.bind_address else "bind_address_secondary"
            place = config.explain(option, binding.slot).place
            found.append(
                f"{place}: binding.{binding.name}.{option}: {address} is not configured on this host; its mail waits"
                f" until it is"
            )
        return found
