"""
How long a class of mail waits for its turn in a queue that it shares.

The promise is that of ``doc/howto/share-connections.md``, reckoned from outside
by counting: it knows nothing of virtual time.  *W* is taken as the sum of the
weights of all classes that had mail since the queue was empty, each the
greatest it had, so that it is never less than what the service reckons with;
and each of them may have had one batch that was longer than could be known.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING

from ...policy.shares import weight_of
from ...queues.mail_queue import MailQueue
from ...queues.message import Message, Traits

if TYPE_CHECKING:
    from ...interfaces.services import IConfiguration
    from ...queues.domain import DomainRecord
    from ...service import OutboundService


class _Waiting:
    """
    A class with mail.
    """

    __slots__ = ("mail", "newcomer", "served", "turns")

    def __init__(self, newcomer: bool) -> None:
        #: Whether it had no mail before, as long as anybody had.
        self.newcomer = newcomer
        self.mail = 0
        #: Its own turns, and those of all, since it has had mail.
        self.served = 0
        self.turns = 0


class _Account:
    """
    One domain and slot, since its queue was empty.
    """

    __slots__ = ("along", "least", "most", "row", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[Traits, _Waiting] = {}
        #: Greatest and least weight of each class that had mail.
        self.most: dict[Traits, float] = {}
        self.least: dict[Traits, float] = {}
        #: Messages of the present batch; most of any.
        self.row = 0
        self.along = 1


class _WatchedQueue(MailQueue):
    """
    Tells what comes and goes.
    """

    __slots__ = ("_watch",)

    def __init__(self, weigh: Callable[[int, Traits], float], watch: Callable[[str, int, Message], object]) -> None:
        super().__init__(weigh)
        self._watch = watch

    def insert_active(self, message: Message) -> None:
        super().insert_active(message)
        self._watch("came", message.binding_slot, message)

    def next_active(self, slot: int) -> Message | None:
        message = super().next_active(slot)
        if message is not None:
            self._watch("turn", slot, message)
        return message

    def take(self, message: Message) -> None:
        super().take(message)
        self._watch("along", message.binding_slot, message)

    def remove(self, message: Message) -> bool:
        active = self.is_active(message)
        removed = super().remove(message)
        if active and removed:
            self._watch("gone", message.binding_slot, message)
        return removed


class TurnWatch:
    """
    Counts turns in one process.

    :param service: not started yet.
    :param config: gives the configuration in force.
    :param fault: told of (rule, text) when something must not be.
    """

    def __init__(
        self, service: OutboundService, config: Callable[[], IConfiguration], fault: Callable[[str, str], object]
    ) -> None:
        self._config = config
        self._fault = fault
        self._accounts: dict[tuple[str, int], _Account] = {}
        records = service.delivery.records
        make = records.domain

        def made(name: str, *more: object) -> DomainRecord:
            record = make(name, *more)  # type: ignore[arg-type]
            queue = record.mail_queue
            if not isinstance(queue, _WatchedQueue):
                record.mail_queue = _WatchedQueue(queue._weigh, lambda *what: self._told(name, *what))
            return record

        records.domain = made  # type: ignore[method-assign, assignment]

    def _told(self, domain: str, what: str, slot: int, message: Message) -> None:
        account = self._accounts.setdefault((domain, slot), _Account())
        key = message.reception.share
        if what == "came":
            self._came(account, domain, slot, key)
            return
        mine = account.waiting[key]
        mine.mail -= 1
        if what != "gone":
            account.row = 1 if what == "turn" else account.row + 1
            account.along = max(account.along, account.row)
            mine.served += 1
            for waiting in account.waiting.values():
                waiting.turns += 1
            for each, waiting in account.waiting.items():
                if each != key:
                    self._judge(account, domain, slot, each, waiting.served + 1)
                elif what == "turn":
                    self._judge(account, domain, slot, each, waiting.served)
        if not mine.mail:
            del account.waiting[key]
            if not account.waiting:
                del self._accounts[domain, slot]

    def _came(self, account: _Account, domain: str, slot: int, key: Traits) -> None:
        waiting = account.waiting.get(key)
        if waiting is None:
            waiting = account.waiting[key] = _Waiting(key not in account.most)
        waiting.mail += 1
        self._weigh(account, domain, slot, key)

    def _weigh(self, account: _Account, domain: str, slot: int, key: Traits) -> None:
        weight = weight_of(self._config().path(slot, domain).share_weights, key)
        account.most[key] = max(weight, account.most.get(key, weight))
        account.least[key] = min(weight, account.least.get(key, weight))

    def _judge(self, account: _Account, domain: str, slot: int, key: Traits, number: int) -> None:
        """
        It must not be later than the turn that is the last possible for the *number*-th of a class.
        """
        self._weigh(account, domain, slot, key)
        waiting = account.waiting[key]
        # One that had mail before may still have to pay for that.
        paid = number if waiting.newcomer else number + 1
        batches = len(account.most) * (account.along - 1)
        bound = ceil(paid * sum(account.most.values()) / account.least[key] - 1e-6) + 1 + batches
        if waiting.turns > bound:
            text = f"{key} of weight {account.least[key]:g}: its message {number} must go with turn {bound}"
            self._fault("kept waiting", f"{domain} slot {slot}: {text}, and this is turn {waiting.turns}")
