"""
Who writes reports, and when: a queue of what senders are to be told.

A failure is not settled before its report is durable, and the record of the report says that
the messages have ended: a crash leaves the one or the others, never both and never neither.
With a delivery it is the other way round, for no mail may arrive twice because of a
report on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger
from zope.interface import implementer

from ..errors import MessageRefused
from ..interfaces.services import INotifier, Submission
from ..policy.consequence import SUPPRESSED
from ..policy.status import is_our_own, status_of
from ..smtp.international import needs_smtputf8
from .rates import SenderRates
from .report import Action, Told
from .wishes import to_tell_of_failure
from .writer import Item, Writer

if TYPE_CHECKING:
    from ..delivery.facilities import Facilities
    from ..inject.receiver import Receiver
    from ..interfaces.seams import IThreadExecutor
    from ..queues.message import Message

#: Reports that are being written at once, each with a message in memory.
MOST_AT_ONCE: Final = 32
#: Messages of one reception that one report is about.
MOST_TOGETHER: Final = 100
#: Seconds until a report is offered again that could not be kept.
AGAIN: Final = 5.0


@implementer(INotifier)
class Notifier:
    """
    Tells senders.

    :param facilities: clocks, hooks, spool, configuration.
    :param receiver: takes the reports like other mail.
    :param computing: puts them together.
    :param waited_for: whether the application waits for the end of a message, and so need not
        be told by mail.
    :ivar written: reports that are durable.
    :ivar rates: how many were too many.
    """

    _log = Logger()

    def __init__(
        self,
        facilities: Facilities,
        receiver: Receiver,
        computing: IThreadExecutor,
        waited_for: Callable[[Message], bool],
    ) -> None:
        self._f = facilities
        self._receiver = receiver
        self._waited_for = waited_for
        self._writer = Writer(facilities, computing)
        self._waiting: deque[Item] = deque()
        self._under_way: set[Deferred[None]] = set()
        #: Reports that could not be kept, with the messages they are about.
        self._refused: list[tuple[list[Item], bytes]] = []
        self._again = facilities.agenda.alarm(self._offer_again)
        self._pump = facilities.agenda.alarm(self._begin)
        self._stopped = False
        self.written = 0
        self.rates = SenderRates(facilities.clock.seconds)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._under_way) + len(self._refused)

    # What is told.

    def failed(self, message: Message, note: bytes, now: float, end: Callable[[], object]) -> bool:
        dr = message.domain
        assert dr is not None
        to, wanted = to_tell_of_failure(message, self._f.config.path(message.binding_slot, dr.domain))
        if note == SUPPRESSED:
            # Whoever writes to such an address again and again was told when it got there.
            return False
        if not to or (not message.notify and self._waited_for(message)):
            return False
        hook = self._f.hooks.generate_bounces
        if hook:
            answer = hook.override(lambda provider: provider.generate_bounces(message, wanted))
            wanted = wanted if answer is None else answer
        if not wanted:
            return False
        if self._stopped:
            # It stays in the spool, and the next start tries and tells anew.
            return True
        if not self._admitted(to):
            return False
        self._put(Item(message, Action.FAILED, to, _told(message, Action.FAILED, note, now), end))
        return True

    def delivered(self, message: Message, note: bytes, now: float) -> None:
        to = message.reception.sender
        if to and not self._stopped and self._admitted(to):
            self._put(Item(message, Action.RELAYED, to, _told(message, Action.RELAYED, note, now)))

    def late(self, message: Message, to: bytes, now: float, until: float) -> None:
        """
        Tell *to* that *message* is late.

        :param until: wall time until which it is tried.
        """
        if not self._stopped and self._admitted(to):
            self._put(Item(message, Action.DELAYED, to, _told(message, Action.DELAYED, message.code, now, until)))

    def _admitted(self, to: bytes) -> bool:
        domain = to.rpartition(b"@")[2].decode("utf-8", "replace").lower()
        limit = self._f.config.global_settings.bounce_rate_limit
        if self.rates.admits(domain, limit):
            return True
        if self.rates.first_dropped(domain):
            self._log.warn(
                "senders of {domain} are told of no more mail for a minute: bounce_rate_limit is {limit}",
                domain=domain,
                limit=limit,
            )
        return False

    # How.

    def _put(self, item: Item) -> None:
        self._waiting.append(item)
        if self._pump.when is None and self._room:
            # Not at once, so that what fails together is told together.
            self._pump.arm(0.0)

    @property
    def _room(self) -> bool:
        # Those that are refused have their content in memory as well.
        return len(self._under_way) + len(self._refused) < MOST_AT_ONCE

    def _begin(self) -> None:
        left = self._f.config.global_settings.soft_bounce_drain_rate
        while self._waiting and left > 0 and self._room and not self._stopped:
            items = self._taken(left)
            left -= len(items)
            self._work(self._told(items))
        if self._waiting and self._room:
            self._pump.arm(0.0)

    def _taken(self, most: int) -> list[Item]:
        """
        The next one, and those behind it that go into the same report.
        """
        first = self._waiting.popleft()
        items = [first]
        while self._waiting and len(items) < min(most, MOST_TOGETHER) and self._waiting[0].goes_with(first):
            items.append(self._waiting.popleft())
        return items

    def _work(self, coroutine: object) -> None:
        working: Deferred[None] = Deferred.fromCoroutine(coroutine)  # type: ignore[arg-type]
        self._under_way.add(working)
        working.addBoth(self._worked, working)

    def _worked(self, result: object, working: Deferred[None]) -> None:
        self._under_way.discard(working)
        if self._waiting and self._pump.when is None and not self._stopped:
            self._pump.arm(0.0)

    async def _told(self, items: list[Item]) -> None:
        try:
            content = await self._writer.write(items)
        except Exception:
            self._log.failure("no report is written about {id}", id=items[0].message.id)
            content = b""
        if content:
            await self._keep(items, content)
        else:
            _end(items)

    async def _keep(self, items: list[Item], content: bytes) -> None:
        to = items[0].to
        submission = Submission(b"", (to,), content, not content.isascii(), needs_smtputf8(to), trusted=False)
        ends = [item.message for item in items if item.end is not None]
        try:
            reception = await self._receiver.take(submission, ends=ends)
        except MessageRefused as error:
            if error.code < 500:
                if not self._stopped:
                    self._refused.append((items, content))
                    self._again.arm(AGAIN)
                # Else the messages stay in the spool, and the next start tries and tells anew.
                return
            self._log.warn(
                "{to} cannot be told of {id}: {error}",
                to=to.decode("utf-8", "replace"),
                id=items[0].message.id,
                error=error,
            )
            _end(items)
            return
        except Exception:
            if self._stopped:
                # As above: the signer, too, gives back what it has not begun.
                return
            self._log.failure("no report is kept about {id}", id=items[0].message.id)
            _end(items)
            return
        self.written += 1
        hook = self._f.hooks.post_generate_rfc3464_message
        if hook:
            for item in items:
                hook.tell(item.message, reception, item.action.value)
        _end(items)

    def _offer_again(self) -> None:
        refused, self._refused = self._refused, []
        for items, content in refused:
            self._work(self._keep(items, content))

    def stop(self) -> Deferred[object]:
        """
        Begin no report any more.  Failures that are not told by then stay in the spool as
        mail that waits.

        :returns: fires when those that were begun are durable or given up.
        """
        self._stopped = True
        self._again.disarm()
        self._pump.disarm()
        self._waiting.clear()
        self._refused.clear()
        if not self._under_way:
            return succeed(None)
        waiting: Deferred[object] = Deferred()
        DeferredList(list(self._under_way)).addCallback(lambda _: waiting.callback(None))
        return waiting


def _told(message: Message, action: Action, note: bytes, now: float, until: float = 0.0) -> Told:
    """
    What is known of *message* now; a moment later its connection may be another one.
    """
    connection = message.connection
    ours = is_our_own(note)
    spoken = connection is not None and not ours
    return Told(
        message.recipient,
        action,
        status_of(note, {Action.FAILED: "5.0.0", Action.DELAYED: "4.0.0"}.get(action, "2.0.0")),
        note,
        ours,
        message.orcpt,
        connection.host_name if connection is not None and spoken else "",
        connection.address if connection is not None and spoken else "",
        now if message.connection is not None else 0.0,
        until,
    )


def _end(items: list[Item]) -> None:
    for item in items:
        if item.end is not None:
            item.end()
