"""
The contract of ``initiate_connection``, call by call.

Exactly one of three endings follows each call, the failure hook is told once
and with the full word, and whoever owes the actions performs each once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ...errors import ConnectionNotInitiated
from ...flags import ConnFlag

if TYPE_CHECKING:
    from ...service import OutboundService
    from .books import Books
    from .observer import Observer


#: What each cause may oblige to.
ACTIONS: Final = {
    ConnFlag.ERROR_MX_LOOKUP_FAILED: (ConnFlag(0), ConnFlag.ACTION_PURGE_DOMAIN),
    ConnFlag.ERROR_MX_LOOKUP_PENDING: (ConnFlag(0),),
    ConnFlag.ERROR_HOST_MAX_REACHED: (ConnFlag(0),),
    ConnFlag.ERROR_SMTP_NULL_MX: (ConnFlag.ACTION_PURGE_DOMAIN,),
    ConnFlag.ERROR_PROHIBITED_IP: (ConnFlag.ACTION_PURGE_DOMAIN,),
    ConnFlag.ERROR_NO_MXS_REACHABLE: (ConnFlag.ACTION_REQUEUE1,),
    ConnFlag.ERROR_SOCKET: (ConnFlag.ACTION_REQUEUE1,),
    ConnFlag.ERROR_IOCTL: (ConnFlag.ACTION_REQUEUE1,),
    ConnFlag.ERROR_BIND: (ConnFlag.ACTION_REQUEUE1,),
    ConnFlag.ERROR_CONNECT: (ConnFlag.ACTION_REQUEUE1,),
    ConnFlag.ERROR_CONNECT_NETWORK: (ConnFlag.ACTION_REQUEUE1,),
    ConnFlag.ERROR_CONNECT_TIMEOUT: (ConnFlag.ACTION_REQUEUE1,),
}


class Call:
    """
    One call, and how it ended.
    """

    __slots__ = ("domain", "endings", "handle", "returned", "slot")

    def __init__(self, domain: str, slot: int) -> None:
        self.domain = domain
        self.slot = slot
        self.handle: Any = None
        self.endings = 0
        #: Whether it has returned or raised.
        self.returned = False


class AttemptWatch:
    """
    Stands between the callers and the connection functions of one service.

    :param service: not started yet.
    :param books: for its counts.
    :param observer: what the hooks were told.
    :param fault: told of (rule, text) when something must not be.
    :param lacks: addresses of a slot that the machine has not.
    """

    def __init__(
        self,
        service: OutboundService,
        books: Books,
        observer: Observer,
        fault: Callable[[str, str], object],
        lacks: Callable[[int], tuple[str, ...]],
    ) -> None:
        self._books = books
        self._observer = observer
        self._fault = fault
        self._lacks = lacks
        #: Addresses that an attempt for mail could not bind to, since the machine lacks them.
        self.unplumbed: set[str] = set()
        self._delivery = delivery = service.delivery
        self._open: dict[Call, None] = {}
        #: Words of attempts that ended in this step, and have to be told of.
        self._expected: list[tuple[str, int, ConnFlag]] = []
        #: Words that somebody owes the actions of.
        self._owed: list[tuple[str, int, ConnFlag]] = []
        #: (domain, slot) pairs for which nothing could be begun, so that they wait for the
        #: next regular pass; taken away by whoever looks.
        self.refused: dict[tuple[str, int], None] = {}
        self._requeues = self._delays = self._purges = self._settled = 0
        initiator, connections, settlement = delivery.initiator, delivery.connections, delivery.settlement
        self._begin = initiator.initiate_connection
        self._perform = connections.perform
        self._requeue_one = settlement.requeue_one
        self._delay_domain = settlement.delay_domain
        self._purge_domain = settlement.purge_domain
        self._transient = settlement.transient
        self._reinsert = settlement.reinsert
        initiator.initiate_connection = self._initiate  # type: ignore[method-assign, assignment]
        connections.perform = self._performed  # type: ignore[method-assign]
        settlement.requeue_one = self._requeued_one  # type: ignore[method-assign]
        settlement.delay_domain = self._delayed_domain  # type: ignore[method-assign]
        settlement.purge_domain = self._purged_domain  # type: ignore[method-assign]
        settlement.transient = self._settled_for_now  # type: ignore[method-assign]
        settlement.reinsert = self._reinserted  # type: ignore[method-assign]

    # One call.

    def _initiate(
        self, dr: Any, binding: int, now: Any, finish: Callable[..., Any], timeout: Callable[..., Any], data: Any = None
    ) -> Any:
        call = Call(dr.domain, binding)
        owes = getattr(finish, "__self__", None) is self._delivery.connections

        def finished(handle: Any, error: ConnFlag, when: float) -> None:
            self._callback(call, handle, error, owes)
            finish(handle, error, when)

        def timed_out(handle: Any, when: float) -> None:
            if not handle.error & ConnFlag.ERROR_CONNECT_TIMEOUT:
                self._fault("flags", f"{call.domain}: timeout_func with {handle.error}")
            self._callback(call, handle, handle.error, owes)
            timeout(handle, when)

        self._open[call] = None
        try:
            call.handle = self._begin(dr, binding, now, finished, timed_out, data)
        except ConnectionNotInitiated as error:
            self._ended(call, error.flags, owes)
            raise
        finally:
            call.returned = True
            if call.handle is None:
                self._open.pop(call, None)
        return call.handle

    def _callback(self, call: Call, handle: Any, error: ConnFlag, owes: bool) -> None:
        if not call.returned:
            self._fault("flags", f"{call.domain}: a callback ran before the call had returned")
        if error != handle.error:
            self._fault("flags", f"{call.domain}: told {error}, the handle says {handle.error}")
        self._ended(call, error, owes)

    def _ended(self, call: Call, error: ConnFlag, owes: bool) -> None:
        call.endings += 1
        self._open.pop(call, None)
        if call.endings > 1:
            self._fault("flags", f"{call.domain}: an attempt ended {call.endings} times, at last with {error}")
        if not error:
            return
        causes = list(error & ConnFlag.ERRORS)
        if len(causes) != 1:
            self._fault("flags", f"{call.domain}: {error} has {len(causes)} causes")
        for cause in causes:
            self._books.count(str(cause))
            actions = error & ConnFlag.ACTIONS
            if actions not in ACTIONS[cause]:
                self._fault("flags", f"{call.domain}: {cause} obliges to {actions}")
        self._expected.append((call.domain, call.slot, error))
        if not call.returned and not error & ConnFlag.ERROR_MX_LOOKUP_PENDING:
            self.refused[call.domain, call.slot] = None
        if owes and error & ConnFlag.ERROR_BIND:
            self._not_bound(call)
        if owes:
            self._owed.append((call.domain, call.slot, error))

    def _not_bound(self, call: Call) -> None:
        lacking = self._lacks(call.slot)
        if lacking and self.unplumbed.issuperset(lacking):
            self._fault("attempt while unplumbed", f"{call.domain} from slot {call.slot}, once more from {lacking}")
        self.unplumbed.update(lacking)

    # What is done about it.

    def _performed(self, dr: Any, slot: int, word: ConnFlag, now: float, failed: Any) -> None:
        key = (dr.domain, slot, word)
        if key in self._owed:
            self._owed.remove(key)
        else:
            self._fault("actions", f"{dr.domain}: the actions of {word} are performed, and nobody owed them")
        # A hook may begin another attempt meanwhile, which has its own count.
        outer = self._requeues, self._delays, self._purges, self._settled
        self._requeues = self._delays = self._purges = 0
        self._perform(dr, slot, word, now, failed)
        requeues, delays, purges = self._requeues, self._delays, self._purges
        self._requeues, self._delays, self._purges, self._settled = outer
        purged = int(bool(word & ConnFlag.ACTION_PURGE_DOMAIN))
        # What waits for an address of the machine's, or for a descriptor, has not failed.
        waits = (word & ConnFlag.ERROR_BIND and self._lacks(slot)) or word & ConnFlag.ERROR_SOCKET
        requeued = int(bool(word & ConnFlag.ACTION_REQUEUE1) and not waits)
        if (requeues, purges) != (requeued, purged):
            self._fault("actions", f"{dr.domain}: {word} was performed as {requeues} requeues and {purges} purges")
        if delays > 2:
            # For too many failures, and for failing too long.
            self._fault("actions", f"{dr.domain}: {word} delayed the domain {delays} times")

    def _requeued_one(self, dr: Any, slot: int, note: bytes, now: float, *more: Any, **named: Any) -> None:
        self._requeues += 1
        outer, self._settled = self._settled, 0
        waiting = dr.mail_queue.active_size(slot)
        self._requeue_one(dr, slot, note, now, *more, **named)
        if self._settled != min(1, waiting):
            self._fault("actions", f"{dr.domain}: REQUEUE1 moved {self._settled} of {waiting} messages")
        self._settled = outer

    def _delayed_domain(self, dr: Any, note: bytes) -> None:
        self._delays += 1
        self._delay_domain(dr, note)

    def _purged_domain(self, dr: Any, note: bytes) -> None:
        self._purges += 1
        self._purge_domain(dr, note)

    def _settled_for_now(self, *args: Any, **named: Any) -> None:
        self._settled += 1
        self._transient(*args, **named)

    def _reinserted(self, message: Any) -> None:
        if not self._observer.deaf:
            self._books.given_back(message.recipient)
        self._reinsert(message)

    # After every step.

    def settled(self) -> None:
        """
        The step is over: whatever ended in it has been told and done.
        """
        observer = self._observer
        if self._expected or observer.failures:
            told = observer.failures
            if sorted(told, key=str) != sorted(self._expected, key=str):
                self._fault("flags", f"ended: {_words(self._expected)}; told: {_words(told)}")
            self._expected, observer.failures = [], []
        if self._owed:
            self._fault("actions", f"nobody performed the actions of {_words(self._owed)}")
            self._owed = []

    def at_rest(self) -> None:
        """
        Nothing is under way: every call has ended, or its handle was closed.
        """
        for call in self._open:
            if call.handle is not None and call.handle in call.handle.dr.connections.get(call.slot, ()):
                self._fault("flags", f"{call.domain}: an attempt has never ended")


def _words(endings: list[tuple[str, int, ConnFlag]]) -> str:
    return ", ".join(f"{domain}/{slot} {word}" for domain, slot, word in endings) or "nothing"
