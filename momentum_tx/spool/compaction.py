"""
Moves what lives out of segments in which hardly anything does, so that they can go.

A reception is read by the worker and appended like new mail, with the state of its
messages in the same record; the place it had counts until the copy is durable.  Since it
goes through the one writer, whatever becomes of it later is written behind it.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from ..errors import SpoolError
from ..interfaces.seams import IJournalFiles
from ..queues.message import Message
from . import jobs
from .entries import MOVED
from .records import encode_moved
from .repair import JournalWriter
from .segments import Looked, Moving, Segment, Segments, place_of

#: Octets of mail that are read at once, and receptions; a larger one goes alone.
SLICE: Final = 256 << 10
RECEPTIONS: Final = 64
#: Seconds until a segment is tried again that could not be emptied.
AGAIN: Final = 60.0


class Run(Protocol):
    """
    Calls a blocking function in the worker.
    """

    def __call__(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]: ...


class Compaction:
    """
    Looks for segments to empty whenever one is closed, and empties one at a time.

    :ivar share: percentage of a segment, and of all of them together, that must live; 0
        moves nothing.
    :ivar rate: most octets per second.
    :ivar moved: octets of bodies moved so far.
    """

    _log = Logger()

    def __init__(
        self,
        files: IJournalFiles,
        clock: IReactorTime,
        writer: JournalWriter,
        segments: Segments,
        name: Callable[[Message], str],
        trying: Callable[[Message], bool],
    ) -> None:
        """
        :param name: of the binding of a message.
        :param trying: whether an intent of a message is open: such mail stays where it is.
        """
        self._files = files
        self._clock = clock
        self._writer = writer
        self._segments = segments
        self._name = name
        self._trying = trying
        self.share = 0
        self.rate = 1
        self.moved = 0
        self._running = False
        self._stopped = False
        self._pause: IDelayedCall | None = None
        # Segments that could not be emptied, and when they may be tried again.
        self._left: dict[int, float] = {}

    def look(self) -> None:
        """
        Begin to empty a segment if one deserves it.
        """
        # What is going is not to be counted for what stays.
        if self._running or self._stopped or not self.share or not self._able() or not self._writer.settled:
            return
        self._left = {number: time for number, time in self._left.items() if time > self._clock.seconds()}
        segment = self._segments.sparse(self.share, self._left)
        if segment is None:
            return
        self._running = True
        Deferred.fromCoroutine(self._empty(segment)).addCallbacks(self._emptied, self._failed, errbackArgs=(segment,))

    def stop(self) -> None:
        """
        Move nothing more.
        """
        self._stopped = True
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _able(self) -> bool:
        writer = self._writer
        return writer.error is None and not writer.full and not writer.closing

    def _emptied(self, _: None) -> None:
        self._running = False
        self.look()

    def _failed(self, failure: Any, segment: Segment) -> None:
        self._running = False
        self._left[segment.number] = self._clock.seconds() + AGAIN
        self._log.warn("{name} is not emptied for now: {reason}", name=segment.name, reason=failure.getErrorMessage())

    async def _empty(self, segment: Segment) -> None:
        at = 0
        left = 0
        while at < len(segment.mail):
            if self._stopped:
                return
            if not self._able():
                raise SpoolError("there is no space for it, or nothing can be written")
            wanted: list[tuple[int, int]] = []
            octets = 0
            while at < len(segment.mail) and octets < SLICE and len(wanted) < RECEPTIONS:
                holder = segment.mail[at]
                if holder is not None:
                    with Looked(holder) as reception:
                        if reception.spool == place_of(segment, segment.starts[at]):
                            wanted.append((at, reception.key))
                            octets += reception.size
                at += 1
            if not wanted:
                continue
            places = [(segment.starts[index], key) for index, key in wanted]
            read = await self._writer.run(jobs.read_receptions, self._files, segment.name, segment.salt, places)
            moving = [self._move(segment, index, each) for (index, _), each in zip(wanted, read, strict=True)]
            waiting = [each for each in moving if each is not None]
            left += len(moving) - len(waiting)
            for each in waiting:
                if not await each:
                    raise SpoolError("there is no space for it")
            self.moved += octets
            await self._rest(octets)
        if segment.live and not self._stopped:
            # Mail that is under way, or that cannot be read.
            self._left[segment.number] = self._clock.seconds() + AGAIN

    def _move(self, segment: Segment, index: int, read: tuple[bytes, bytes] | None) -> Deferred[bool] | None:
        holder = segment.mail[index]
        if holder is None or read is None or not self._able():
            return None
        meta, body = read
        with Looked(holder) as reception:
            messages = [message for message in reception.messages if message is not None]
            if not messages or any(self._trying(message) for message in messages):
                return None
            try:
                names = [(message, self._name(message)) for message in messages]
                payload = encode_moved(reception.key, meta, names, body)
            except SpoolError:
                return None
            done: Deferred[bool] = Deferred()
            moving = Moving(reception.key, body, holder, place_of(segment, segment.starts[index]), done)
            self._writer.put(MOVED, payload, None, moving)
        return done

    def _rest(self, octets: int) -> Deferred[None]:
        rested: Deferred[None] = Deferred()

        def go_on() -> None:
            self._pause = None
            rested.callback(None)

        self._pause = self._clock.callLater(octets / self.rate, go_on)
        return rested
