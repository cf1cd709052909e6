"""
The commands of a service: what may be asked of it while it runs, besides taking
mail and reading its configuration anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..config.configuration import Configuration
from ..delivery.delivery import Delivery
from ..delivery.facilities import Facilities
from ..delivery.held import HeldMessage
from ..hooks.outbound import OutboundHooks
from ..loggers import Loggers
from ..logs.transcripts import Attempt
from ..policy.tracing import ANY, Trace
from ..settings import DEFAULT_SLOT
from ..suppression.register import Suppression
from ..turns import SlowTurns
from .tls_policy import told

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred


class Commands:
    """
    The half of :class:`~momentum_tx.service.OutboundService` that answers operators.

    :ivar hooks: every hook point; providers are registered before the start.
    :ivar delivery: whatever sends mail.
    :ivar logs: whatever writes logs.
    :ivar suppression: whom nobody writes to any more.
    :ivar slow_turns: how many turns of the reactor were too long (``debug_slow_turns``).
    """

    hooks: OutboundHooks
    delivery: Delivery
    logs: Loggers
    suppression: Suppression
    slow_turns: SlowTurns
    _config: Configuration
    _facilities: Facilities

    @property
    def configuration(self) -> Configuration:
        """
        The configuration in force.
        """
        return self._config

    def transcripts(
        self, message_id: str = "", domain: str = "", host: str = "", conn_id: str = ""
    ) -> Sequence[Attempt]:
        """
        The attempts that failed or took long, as far as they are kept in memory,
        the last one first; see :meth:`momentum_tx.logs.transcripts.Transcripts.find`.
        """
        return self.logs.transcripts.find(message_id, domain, host, conn_id)

    def trace_smtp(self, file: str, domain: str = ANY, binding: str = ANY, host: str = ANY) -> int:
        """
        Write what is said from now on to a file while it is said (Momentum's
        console: ``trace smtp add``); sessions that are open are followed as well.

        :param file: its path.
        :param domain: a routing domain, or ``*``.
        :param binding: a binding's name, or ``*``.
        :param host: a mail exchanger's name or address, or ``*``.
        :returns: the trace's number.
        :raises OSError: the file cannot be written.
        """
        number = self.logs.traces.add(
            Trace(file, domain, binding, host), self._config.global_settings.trace_smtp_max_size
        )
        self.delivery.trace()
        return number

    def traces_smtp(self) -> Mapping[int, Trace]:
        """
        The traces that are going on, by number (``trace smtp list``).
        """
        return self.logs.traces.running

    def untrace_smtp(self, number: int) -> bool:
        """
        End a trace (``trace smtp remove``); false if there is none of that number.
        """
        ended = self.logs.traces.remove(number)
        self.delivery.trace()
        return ended

    def tls_policy(self, domain: str, binding: str = "") -> dict[str, Any]:
        """
        What TLS mail of a domain has to have, as far as that was decided while mail for it
        was sent; see :func:`momentum_tx.operate.tls_policy.told`.  The command
        ``momentum-tx tls explain`` looks it up anew.

        :param domain: the routing domain.
        :param binding: name of the binding it leaves from; empty for the default.
        :raises ValueError: there is no such binding.
        """
        slot = self._config.binding_slot(binding) if binding else DEFAULT_SLOT
        if slot is None:
            raise ValueError(f"there is no binding {binding}")
        return told(self._facilities, self.delivery.records.find(domain), domain, slot)

    def reopen_logs(self) -> None:
        """
        Log files were moved away: open them anew (hook ``log_reopen``).
        """
        self.logs.reopen()

    def rotate_logs(self) -> int:
        """
        Begin new files for all logs that have anything in theirs; how many those are. The old
        ones are compressed and counted as ``log_rotate_compress`` and ``log_rotate_keep`` say.
        """
        return self.logs.rotate()

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

    def held(self, domain: str | None = None, limit: int = 1000) -> Sequence[HeldMessage]:
        """
        Messages of which nobody knows whether their peer has them, and that wait for
        :meth:`release_held`; see :meth:`momentum_tx.delivery.held.Held.show`.
        """
        return self.delivery.held.show(domain, limit)

    def release_held(
        self, ids: Collection[str] | None = None, domain: str | None = None, outcome: str = "retry"
    ) -> Deferred[int]:
        """
        Let held messages go on; see :meth:`momentum_tx.delivery.held.Held.release`.
        """
        return self.delivery.held.release(ids, domain, outcome)

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
