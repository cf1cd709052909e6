"""
Has a reload take effect for mail that waits: under another gateway it is queued
under another name, and where ``routes`` have changed nothing goes the old way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from twisted.logger import Logger

from ..interfaces.services import IConfiguration
from .bulk import Source

if TYPE_CHECKING:
    from ..queues.domain import DomainRecord
    from ..queues.message import Message
    from .rebinding import Rebinding
    from .routing import Router
    from .settle import Settlement
    from .staging import Staging


class Rerouting:
    """
    Moves mail between the queues of domains.

    :param config: the configuration in force.
    :param staging: lets go of messages that were looked at.
    :param router: told what no longer holds.
    :param settlement: does bulk work.
    :param rebinding: keeps the index of siblings.
    :param record_for: the domain record a message belongs to.
    :param place: queues a message in its domain's record.
    """

    _log = Logger()

    def __init__(
        self,
        config: IConfiguration,
        staging: Staging,
        router: Router,
        settlement: Settlement,
        rebinding: Rebinding,
        record_for: Callable[[Message], DomainRecord],
        place: Callable[[Message, float], object],
    ) -> None:
        self._staging = staging
        self._router = router
        self._settlement = settlement
        self._rebinding = rebinding
        self._record_for = record_for
        self._place = place
        self._gateways = config.values("gateway")
        self._steered = _steers(config)

    def reconfigured(
        self, records: Iterable[DomainRecord], in_delivery: Iterable[Message], config: IConfiguration
    ) -> None:
        """
        The configuration was replaced.

        :param records: every domain.
        :param in_delivery: the messages that are in no queue.
        """
        before, self._gateways = self._gateways, config.values("gateway")
        # Most configurations leave all ways to DNS, before and after: nothing is to be looked for then.
        steered, self._steered = self._steered or _steers(config), _steers(config)
        for dr in records:
            if steered or dr.rollup is not None:
                self._router.reconsider(dr)
            if before or self._gateways:
                self._settlement.in_bulk(dr, self._elsewhere(dr), self._move)
        self._settlement.strays = {
            message.id for message in in_delivery if self._record_for(message) is not message.domain
        }

    def home(self, message: Message) -> DomainRecord:
        """
        *message*, which is in no queue, was in delivery when the configuration was
        replaced and has come back: the record it belongs to now.
        """
        self._rebinding.assign(message, message.binding_slot, self._record_for(message))
        assert message.domain is not None
        return message.domain

    def _elsewhere(self, dr: DomainRecord) -> Source:
        """
        Take the messages of *dr* that do not belong there.
        """
        for message in dr.mail_queue.walk():
            if message.domain is not dr:
                continue
            try:
                elsewhere = self._record_for(message) is not dr
            except Exception:
                # Its envelope cannot be read, say; it goes where it would have gone.
                self._log.failure("{id} stays in the queue of {domain}", id=message.id, domain=dr.domain)
                elsewhere = False
            if elsewhere:
                dr.mail_queue.remove(message)
                yield message
            else:
                self._staging.rest(message)
                yield None
        if dr.operator_named and dr.domain not in self._gateways and not dr.mail_queue.size() and not dr.in_flight:
            self._router.distrust(dr)

    def _move(self, message: Message, now: float) -> None:
        self.home(message)
        self._place(message, now)


def _steers(config: IConfiguration) -> bool:
    """
    Whether a configuration says anything that :meth:`Router.reconsider` looks at.
    """
    return config.written("routes") or config.written("use_mta_sts")
