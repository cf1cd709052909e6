"""
Which segments exist, what lives in them, and which may go.

Bookkeeping only: the files are touched by the journal.  A segment may go when
it is closed, nothing in it lives, and every segment about whose receptions it
holds records is gone itself: otherwise a finished reception in an older segment
would come back at the next start, because the record of its end is gone.
"""

from collections.abc import Iterator
from typing import Final

from ..interfaces.seams import IJournalFile
from ..queues.message import Reception
from .records import segment_name

#: Bits of a place that say where in its segment; the segment's number is in those above.  A million receptions
#: waiting make this worth while: one number is all that is kept of where each of them lies.
_OFFSET_BITS: Final = 40
_OFFSET: Final = (1 << _OFFSET_BITS) - 1


class Segment:
    """
    One file of the journal.
    """

    __slots__ = ("file", "helpers", "live", "name", "needed", "number", "salt", "sealed", "size", "synced")

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
            depend(segment, before)
        reception.spool = place_of(segment, offset)
        segment.live += 1

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

    def leave(self, reception: Reception) -> bool:
        """
        *reception* has ended, durably.

        :returns: whether nothing lives any more in the segment it is in.
        """
        segment = self.at(reception.spool)
        if segment is None:
            return False
        segment.live -= 1
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
