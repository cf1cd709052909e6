"""
What lies between the two ends of a virtual connection: how it behaves, and what
is under way on it.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from random import Random

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Seconds of a slow line's work that arrive at once: short, as seen from any timeout.
GRAIN: Final = 0.05
#: Parts, at least, in which a full window arrives over a line that has a bandwidth.
PARTS: Final = 8


class Reach(enum.Enum):
    """
    What becomes of connects to an address or port where nobody listens.
    """

    #: They are refused.
    REFUSED = "refused"
    #: The kernel knows at once that no route leads there.
    UNREACHABLE = "unreachable"
    #: The kernel lets nobody connect there, as a packet filter of the host has it.
    FORBIDDEN = "forbidden"
    #: Nothing ever answers.
    SILENT = "silent"


@dataclass(slots=True)
class Cut:
    """
    An accident of one direction of a connection: it happens when one octet more
    than *after* was to be carried.

    :ivar after: octets that still arrive.
    :ivar reset: whether both ends see a reset; otherwise the writer's end
        seems to have closed in order.
    """

    after: int
    reset: bool = True


def octet_by_octet(data: bytes) -> Iterator[bytes]:
    """
    A splitter: every octet is a read of its own.
    """
    for octet in data:
        yield bytes((octet,))


def whole(data: bytes) -> Iterator[bytes]:
    """
    The splitter that does not split.
    """
    yield data


def random_split(chance: Random, most: int) -> Callable[[bytes], Iterator[bytes]]:
    """
    A splitter: reads are of 1 to *most* octets, as *chance* has it.
    """

    def split(data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            size = chance.randint(1, most)
            yield data[at : at + size]
            at += size

    return split


@dataclass(slots=True)
class Line:
    """
    How the connections to one place behave.  Looked at whenever something is
    sent or read, so it may change at any time; cuts are for connections to come.

    :ivar latency: seconds in one direction.
    :ivar window: octets that may be under way or unread in one direction; a
        writer waits when they are, as for a slow reader.
    :ivar split: cuts what has arrived into the reads of its receiver.
    :ivar to_listener: accident of the direction away from the dialling end.
    :ivar to_dialer: accident of the other direction.
    :ivar bandwidth: octets per second in one direction of one connection, whose
        parts arrive one after the other; 0 for no limit.
    :ivar jitter: seconds that are added to the latency at most, by chance and for
        each part anew; nothing overtakes.
    :ivar linger: seconds between an arrival and the read; what arrives
        meanwhile comes with it.
    """

    latency: float = 0.001
    window: int = 65536
    split: Callable[[bytes], Iterable[bytes]] = whole
    to_listener: Cut | None = None
    to_dialer: Cut | None = None
    bandwidth: float = 0.0
    jitter: float = 0.0
    linger: float = 0.0


class Receiving(Protocol):
    """
    The end that a :class:`Way` leads to.
    """

    def arrived(self, data: bytes) -> None:
        """
        Octets are there.
        """

    def all_arrived(self) -> None:
        """
        For the moment nothing more is there.
        """

    def input_ended(self) -> None:
        """
        No octet follows, in order.
        """

    def broken_off(self) -> None:
        """
        No octet follows, since the line broke.
        """


class Way:
    """
    One direction of a connection: carries octets, and news such as the end of
    them, in order.  It has at most one delayed call pending, and none when
    nothing is under way.

    :param cut: what befalls it.
    :param chance: draws the jitter.
    """

    __slots__ = (
        "_call",
        "_chance",
        "_clock",
        "_cut",
        "_free",
        "_receiver",
        "_under_way",
        "broken",
        "cut_off",
        "line",
    )

    def __init__(
        self, clock: IReactorTime, line: Line, cut: Cut | None, chance: Random | None, receiver: Receiving
    ) -> None:
        self._clock = clock
        self.line = line
        self._cut = Cut(cut.after, cut.reset) if cut is not None else None
        self._chance = chance
        self._receiver = receiver
        #: What is to arrive: time it does unless something before it is late, octets or news, time it leaves.
        self._under_way: deque[tuple[float, bytes | Callable[[], None], float]] = deque()
        self._call: IDelayedCall | None = None
        #: When the last octet accepted so far will have left.
        self._free = 0.0
        #: It met with its cut.
        self.cut_off = False
        #: Nothing is accepted any more.
        self.broken = False

    def send(self, data: bytes) -> bool:
        """
        Carry octets; false if the line breaks at one of them, which is when it
        is no longer :meth:`busy`.
        """
        cut = self._cut
        if cut is None or len(data) <= cut.after:
            if cut is not None:
                cut.after -= len(data)
            self._carry_parts(data)
            return True
        self._carry_parts(data[: cut.after])
        # The receiver still reads what has arrived.
        self.carry(self._receiver.broken_off if cut.reset else self._receiver.input_ended)
        self.cut_off = True
        self.broken = cut.reset
        return False

    def _carry_parts(self, data: bytes) -> None:
        line = self.line
        size = len(data)
        if line.bandwidth:
            size = max(1, min(int(line.bandwidth * GRAIN), line.window // PARTS))
        for at in range(0, len(data), size or 1):
            self.carry(data[at : at + size])

    def carry(self, what: bytes | Callable[[], None]) -> None:
        """
        Carry octets in one part, or news: a function that is called on arrival.

        :raises ValueError: the line has jitter, and nobody gave us chance.
        """
        if self.broken:
            return
        now = leaves = self._clock.seconds()
        line = self.line
        delay = line.latency
        if line.bandwidth:
            leaves = max(now, self._free)
            self._free = leaves + (len(what) / line.bandwidth if isinstance(what, bytes) else 0.0)
            delay += self._free - now
        if line.jitter:
            if self._chance is None:
                raise ValueError("a line with jitter needs chance")
            delay += line.jitter * self._chance.random()
        under_way = self._under_way
        under_way.append((now + delay, what, leaves))
        if self._call is None and len(under_way) == 1:
            self._call = self._clock.callLater(delay, self._arrive)

    def busy(self) -> float:
        """
        Seconds until everything accepted so far has left.
        """
        return max(0.0, self._free - self._clock.seconds())

    def recall(self) -> None:
        """
        Forget what has not begun to leave; what a cut let through goes its way.
        """
        if self.cut_off:
            return
        now = self._clock.seconds()
        under_way = self._under_way
        while under_way and under_way[-1][2] > now:
            under_way.pop()
        self._free = now

    def sever(self, news: Callable[[], None]) -> None:
        """
        Lose everything that is under way; the last that ever arrives is *news*.
        """
        self._under_way.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._free = self._clock.seconds()
        # A cut may have broken it before; its news were lost just now.
        self.broken = False
        self.carry(news)
        self.broken = True

    def _arrive(self) -> None:
        self._call = None
        under_way = self._under_way
        receiver = self._receiver
        now = self._clock.seconds()
        try:
            # The first has come, whatever the last bit of its time says.
            first = True
            while under_way and (first or under_way[0][0] <= now):
                first = False
                what = under_way.popleft()[1]
                if isinstance(what, bytes):
                    receiver.arrived(what)
                else:
                    what()
        finally:
            if under_way and self._call is None:
                self._call = self._clock.callLater(max(0.0, under_way[0][0] - now), self._arrive)
        receiver.all_arrived()
