"""
Which segments exist, what lives in them, and which may go.

Bookkeeping only: the files are touched by the journal.  A segment may go when
it is closed, nothing in it lives, and every segment about whose receptions it
holds records is gone itself: otherwise a finished reception in an older segment
would come back at the next start, because the record of its end is gone.
"""

from array import array
from bisect import bisect_left
from collections.abc import Container, Iterator
from types import TracebackType
from typing import Final

from twisted.internet.defer import Deferred

from ..interfaces.seams import IJournalFile
from ..queues.message import Message, Packed, Reception
from .records import segment_name

#: Bits of a place that say where in its segment; the segment's number is in those above.  A million receptions
#: waiting make this worth while: one number is all that is kept of where each of them lies.
_OFFSET_BITS: Final = 40
_OFFSET: Final = (1 << _OFFSET_BITS) - 1


class Segment:
    """
    One file of the journal.
    """

    __slots__ = (
        "file",
        "helpers",
        "live",
        "mail",
        "name",
        "needed",
        "number",
        "salt",
        "sealed",
        "size",
        "starts",
        "stays",
        "synced",
        "weight",
    )

    def __init__(self, number: int, salt: int, file: IJournalFile | None = None) -> None:
        self.number = number
        self.name = segment_name(number)
        self.salt = salt
        #: Open while the segment is appended to or not wholly synced.
        self.file = file
        #: Octets written.
        self.size = 0
        #: Octets known to survive a power cut.
        self.synced = 0
        #: Receptions in it whose end is not durable yet.
        self.live = 0
        #: Segments about whose receptions this one holds records; it must outlive them.
        self.needed: set[Segment] = set()
        #: The other direction: the segments that must outlive this one.
        self.helpers: set[Segment] = set()
        #: Nothing is appended any more.
        self.sealed = False
        #: It may not go in this life: not all that lives in it is known.
        self.stays = False
        #: Where receptions begin in it, in growing order, and of those that live in it what leads to them
        #: (:class:`Looked`): some 17 octets for each that ever lived in it.
        self.starts = array("Q")
        self.mail: list[Message | Reception | None] = []
        #: Octets of what lives in it, roughly.
        self.weight = 0


class Moving:
    """
    A reception on its way from one segment to another.

    :ivar key: its key.
    :ivar body: its body.
    :ivar holder: what leads to it, see :class:`Looked`.
    :ivar origin: its place.
    :ivar place: that of its copy; 0 before it has one.
    :ivar done: fires with true when the copy is durable, with false if there will be none.
    """

    __slots__ = ("body", "done", "holder", "key", "origin", "place")

    def __init__(self, key: int, body: bytes, holder: Message | Reception, origin: int, done: Deferred[bool]) -> None:
        self.key = key
        self.body = body
        self.holder = holder
        self.origin = origin
        self.place = 0
        self.done = done


class Looked:
    """
    The reception that *holder* leads to, within a ``with``: what was packed is packed
    again behind it.

    A reception becomes another object when its last message is packed, and a message never
    does.  So it is a message that leads to a reception with one, and to others the
    reception as it once was, which has its messages still.
    """

    __slots__ = ("_holder", "_packed")

    def __init__(self, holder: Message | Reception) -> None:
        self._holder = holder
        self._packed: Message | None = None

    def __enter__(self) -> Reception:
        holder = self._holder
        message = holder if isinstance(holder, Message) else next(filter(None, holder.messages), None)
        if message is None:
            assert isinstance(holder, Reception)
            return holder
        if isinstance(message, Packed):
            self._packed = message
        return message.reception

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._packed is not None:
            self._packed.pack()


def place_of(segment: Segment, offset: int) -> int:
    """
    The note of a reception whose record begins at *offset* of *segment*.
    """
    return segment.number << _OFFSET_BITS | offset


def offset_in(place: int) -> int:
    """
    Where in its segment a record begins.
    """
    return place & _OFFSET


class Segments:
    """
    Every segment there is, oldest first.
    """

    def __init__(self) -> None:
        #: Receptions that are on their way from one segment to another, by key.
        self.moving: dict[int, Moving] = {}
        self._segments: dict[int, Segment] = {}
        self._going: set[Segment] = set()

    def __len__(self) -> int:
        return len(self._segments)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._segments.values())

    def add(self, segment: Segment) -> None:
        """
        *segment* exists from now on.
        """
        self._segments[segment.number] = segment

    def at(self, place: int) -> Segment | None:
        """
        The segment a note speaks of; ``None`` if the reception is in none, or
        its segment is gone.
        """
        return self._segments.get(place >> _OFFSET_BITS)

    def settle(self, segment: Segment, reception: Reception, offset: int) -> None:
        """
        The record of a reception is in *segment* at *offset*; it may have been
        elsewhere before, and what was there counts as a stale copy.
        """
        before = self.at(reception.spool) if reception.spool else None
        if before is not None:
            before.live -= 1
            _forget(before, reception)
            depend(segment, before)
        reception.spool = place_of(segment, offset)
        segment.live += 1
        _note(segment, offset, reception)

    def copied(self, segment: Segment, moving: Moving, offset: int) -> None:
        """
        A copy of a reception is in *segment* at *offset*, and is not durable yet: both
        segments must stay, and the younger one must outlive the older.
        """
        for before in (self.at(moving.place), self.at(moving.origin)):
            if before is not None:
                depend(segment, before)
        copy = self.at(moving.place)
        if copy is not None:
            copy.live -= 1
        moving.place = place_of(segment, offset)
        segment.live += 1
        segment.starts.append(offset)
        segment.mail.append(None)
        self.moving[moving.key] = moving

    def moved(self, moving: Moving) -> None:
        """
        The copy of a reception is durable: it lies there from now on.
        """
        self.moving.pop(moving.key, None)
        copy = self.at(moving.place)
        if copy is None:
            return
        copy.live -= 1
        with Looked(moving.holder) as reception:
            # It may have ended, which will be durable after this.
            if reception.spool == moving.origin:
                self.settle(copy, reception, offset_in(moving.place))

    def repoint(self, reception: Reception) -> None:
        """
        Of several messages of *reception* one is left.
        """
        segment = self.at(reception.spool)
        index = None if segment is None else _index(segment, offset_in(reception.spool))
        if segment is not None and index is not None and segment.mail[index] is not None:
            segment.mail[index] = _holder(reception)

    def sparse(self, share: int, left: Container[int]) -> Segment | None:
        """
        The segment that is to be emptied next: the oldest of which less than *share*
        percent live; or, if that is so of all that is closed together, since dead ones
        wait for those that are not, the oldest in which anything lives.

        :param left: numbers of those that shall not be.
        """
        total = live = 0
        oldest = None
        # Those that stay, and what must outlive them: no move sets any of them free, and others would follow it.
        fixed: set[Segment] = set()
        for segment in self._segments.values():
            if segment.stays or not fixed.isdisjoint(segment.needed):
                fixed.add(segment)
                continue
            if not segment.sealed or segment.file is not None or not (segment.live or segment.needed):
                continue
            total += segment.size
            live += segment.weight
            if segment.live and segment.number not in left:
                if 100 * segment.weight < share * segment.size:
                    return segment
                oldest = oldest or segment
        return oldest if 100 * live < share * total else None

    def depend(self, helper: Segment, reception: Reception) -> None:
        """
        *helper* holds a record about *reception*.
        """
        number = reception.spool >> _OFFSET_BITS
        # Most mail is gone before its segment is full.
        if number != helper.number:
            on = self._segments.get(number)
            if on is not None:
                depend(helper, on)
        if self.moving:
            moving = self.moving.get(reception.key)
            copy = None if moving is None else self.at(moving.place)
            if copy is not None:
                depend(helper, copy)

    def leave(self, reception: Reception) -> bool:
        """
        *reception* has ended, durably.

        :returns: whether nothing lives any more in the segment it is in.
        """
        segment = self.at(reception.spool)
        if segment is None:
            return False
        segment.live -= 1
        _forget(segment, reception)
        return not segment.live

    def take_idle(self) -> list[Segment]:
        """
        The segments that may go now; each is given out once, until
        :meth:`removed` or :meth:`kept` is called for it.
        """
        idle = [
            segment
            for segment in self._segments.values()
            if segment.sealed
            and not segment.live
            and not segment.stays
            and not segment.needed
            and segment.file is None
            and segment not in self._going
        ]
        self._going.update(idle)
        return idle

    def kept(self, segments: list[Segment]) -> None:
        """
        Removing *segments* did not succeed; they may be taken again.
        """
        self._going.difference_update(segments)

    def removed(self, segments: list[Segment]) -> None:
        """
        *segments* are gone, durably: what had to outlive them is free.
        """
        for segment in segments:
            self._going.discard(segment)
            self._segments.pop(segment.number, None)
            for helper in segment.helpers:
                helper.needed.discard(segment)
            segment.helpers.clear()


def depend(helper: Segment, on: Segment) -> None:
    """
    *helper* holds records about receptions in *on* and must outlive it.
    """
    if helper is not on and on not in helper.needed:
        helper.needed.add(on)
        on.helpers.add(helper)


def _holder(reception: Reception) -> Message | Reception:
    if reception.live == 1:
        for message in reception.messages:
            if message is not None:
                return message
    return reception


def _weight(reception: Reception) -> int:
    # An envelope and the frame of a record have some 200 octets for each recipient.
    return reception.size + 200 * len(reception.messages)


def _index(segment: Segment, offset: int) -> int | None:
    index = bisect_left(segment.starts, offset)
    return index if index < len(segment.starts) and segment.starts[index] == offset else None


def _note(segment: Segment, offset: int, reception: Reception) -> None:
    if not offset:
        # It may be anywhere in there.
        return
    starts = segment.starts
    if not starts or starts[-1] < offset:
        starts.append(offset)
        segment.mail.append(_holder(reception))
    else:
        index = _index(segment, offset)
        if index is None:
            return
        segment.mail[index] = _holder(reception)
    segment.weight += _weight(reception)


def _forget(segment: Segment, reception: Reception) -> None:
    index = _index(segment, offset_in(reception.spool))
    if index is not None and segment.mail[index] is not None:
        segment.mail[index] = None
        segment.weight -= _weight(reception)
