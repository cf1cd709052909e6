"""
Mail of which nobody knows whether its peer has it, and that only an operator lets
go on (``lost_final_reply = "hold"``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..policy.lost_reply import GIVEN_UP, INTERRUPTED, SETTLED, assumed
from ..queues.message import ASSUMED, HELD, Message
from ..stages import Stage
from .bulk import BULK_SLICE

if TYPE_CHECKING:
    from .facilities import Facilities
    from .settle import Settlement

#: What may become of a message that is released.
RELEASES: Final = ("retry", "delivered", "failed")


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """
    A message that is held, as it is shown.

    :ivar id: its id.
    :ivar domain: the routing domain it was queued under.
    :ivar sender: reverse path.
    :ivar recipient: forward path.
    :ivar size: octets of it.
    :ivar received: when it was received, wall time.
    :ivar code: what happened in place of the reply.
    :ivar ambiguous: attempts of which nobody knows how they ended.
    """

    id: str
    domain: str
    sender: bytes
    recipient: bytes
    size: int
    received: float
    code: bytes
    ambiguous: int


class Held:
    """
    The held messages of one service.  They are in no queue: no sweep, no purge, no
    expiry and no reload reaches them.

    :param facilities: spool, clocks, hooks.
    :param settlement: ends those of which an operator knows.
    :param requeue: puts one back into the queues of the domain it has now; raises
        :class:`ValueError` if it has none.
    :param locate: gives one its domain record; errors as above.
    """

    _log = Logger()

    __slots__ = ("_f", "_held", "_locate", "_requeue", "_settlement", "_stopped")

    def __init__(
        self,
        facilities: Facilities,
        settlement: Settlement,
        requeue: Callable[[Message], object],
        locate: Callable[[Message], object],
    ) -> None:
        self._f = facilities
        self._settlement = settlement
        self._requeue = requeue
        self._locate = locate
        self._held: dict[str, tuple[Message, str]] = {}
        self._stopped = False

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Message]:
        return iter([message for message, _ in self._held.values()])

    def stop(self) -> None:
        """
        Release none any more; who waits for that is told how many were.
        """
        self._stopped = True

    # The way in.

    def hold(self, message: Message, now: float) -> None:
        """
        Keep *message*, which is in no queue, until it is released.
        """
        message.next_attempt = HELD
        self._f.spool.requeued(message)
        self._keep(message, now)

    def found(self, message: Message, now: float) -> None:
        """
        The spool has given back a message that was held, or that was under way when the process
        died and shall be held or taken for delivered.
        """
        if message.next_attempt == ASSUMED:
            self._settlement.delivered(message, assumed(INTERRUPTED), now)
        else:
            self._keep(message, now)

    def _keep(self, message: Message, now: float) -> None:
        dr = message.domain
        assert dr is not None
        message.reception.sort_out(message)
        # The record may be forgotten meanwhile.
        message.domain = message.connection = None
        id, note = message.id, message.code
        self._held[id] = (message, dr.domain)
        self._put_away(message)
        hook = self._f.hooks.message_held
        if hook:
            hook.notify(lambda provider: provider.message_held(message, dr, now, note))

    # What an operator sees and does.

    def show(self, domain: str | None = None, limit: int = 1000) -> Sequence[HeldMessage]:
        """
        The messages that are held, those that have been longest first.

        :param domain: the routing domain; ``None`` for every one.
        :param limit: how many at most.
        """
        shown: list[HeldMessage] = []
        for id, (message, queued_under) in self._held.items():
            if len(shown) >= limit:
                break
            if domain is not None and queued_under != domain:
                continue
            reception = message.reception
            shown.append(
                HeldMessage(
                    id,
                    queued_under,
                    reception.sender,
                    message.recipient,
                    reception.size,
                    reception.creation_time,
                    message.code,
                    message.ambiguous,
                )
            )
            # Looked at, it was brought back.
            self._put_away(message)
        return shown

    def _put_away(self, message: Message) -> None:
        """
        Let nothing of *message* stay in memory that need not.
        """
        self._f.spool.queued(message, True, True)
        # The spool packs what is in a queue.
        message.pack()

    def release(
        self, ids: Collection[str] | None = None, domain: str | None = None, outcome: str = "retry"
    ) -> Deferred[int]:
        """
        Let messages go on, in slices.

        :param ids: which; ``None`` for all there are now.
        :param domain: only those queued under this routing domain; ``None`` for every one.
        :param outcome: ``retry`` tries them again at once; ``delivered`` and ``failed`` end them.
        :returns: fires with the number of messages that were released.
        :raises ValueError: there is no such outcome.
        """
        if outcome not in RELEASES:
            raise ValueError(f"a message is released with one of {', '.join(RELEASES)}, not with {outcome!r}")
        chosen = [
            id
            for id in (self._held if ids is None else ids)
            if id in self._held and domain in (None, self._held[id][1])
        ]
        done: Deferred[int] = Deferred()
        count = 0

        def work() -> None:
            nonlocal count
            for _ in range(BULK_SLICE):
                if not chosen or self._stopped:
                    done.callback(count)
                    return
                count += self._let_go(chosen.pop(), outcome)
            self._f.clock.callLater(0, work)

        chosen.reverse()
        work()
        return done

    def _let_go(self, id: str, outcome: str) -> bool:
        if id not in self._held:
            return False
        message, _ = self._held[id]
        now = self._f.wall()
        try:
            # First: it may have no domain any more, and is kept then.
            self._locate(message)
        except ValueError as error:
            self._log.error("{id} cannot be released, it stays held: {reason}", id=id, reason=str(error))
            return False
        del self._held[id]
        message.next_attempt = now
        if outcome == "delivered":
            self._settlement.delivered(message, SETTLED, now)
        elif outcome == "failed":
            self._settlement.permanent(message, GIVEN_UP, Stage.READING_CONFIRMATION, now)
        else:
            self._f.spool.requeued(message)
            self._requeue(message)
        return True
