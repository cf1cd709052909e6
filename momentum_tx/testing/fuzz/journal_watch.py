"""
What the journal was given, decoded as it is appended.

It reads the records by itself and not by the service's recovery, so that the
two cannot share a mistake about what is on record.
"""

from __future__ import annotations

from collections.abc import Callable

from ...spool import records
from ..files import MemoryFiles
from .books import Books, Parcel


class JournalWatch:
    """
    Follows the files of one spool through every life of the service.

    :param books: told of intents, and where the ends of messages are on record.
    :ivar deaf: the process has died in the middle of a step; what it still
        does is not done.
    :ivar at_operation: called before the operation number :attr:`stop_at`.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self._recipients: dict[int, list[bytes]] = {}
        self.deaf = False
        self.stop_at = 0
        self.at_operation: Callable[[], object] | None = None
        #: Operations that change the disk, over all lives.
        self.operations = 0

    def attach(self, files: MemoryFiles) -> None:
        """
        Watch *files* from now on.
        """
        files.appended = self._appended
        files.watch = self._operation

    def _operation(self, operation: str, name: str) -> None:
        if self.deaf:
            return
        self.operations += 1
        if self.stop_at and self.operations >= self.stop_at and self.at_operation is not None:
            self.stop_at = 0
            self.at_operation()

    def _appended(self, name: str, offset: int, octets: bytes) -> None:
        # A segment that is filled before it has its name is one.
        name = name.removesuffix(".new")
        if self.deaf or records.segment_number(name) is None:
            return
        at = records.SEGMENT_HEADER if offset == 0 else 0
        while at < len(octets):
            head = records.decode_head(octets[at : at + records.RECORD_HEADER])
            end = at + records.RECORD_HEADER + head.meta_length
            meta = records.decode(head.kind, octets[at + records.RECORD_HEADER : end])
            self._record(head.key, head.kind, meta, (name, offset + at, octets[at:end]))
            at = end + head.body_length

    def _record(self, key: int, kind: int, meta: records.Meta, place: tuple[str, int, bytes]) -> None:
        if isinstance(meta, records.Envelope):
            self._recipients[key] = [each.recipient for each in meta.recipients]
        elif isinstance(meta, records.Intent):
            for position in meta.positions:
                parcel = self._parcel(key, position)
                if parcel is not None:
                    parcel.intents += 1
        elif isinstance(meta, records.Ended):
            parcel = self._parcel(key, meta.position)
            if parcel is not None:
                parcel.records.append(place)

    def _parcel(self, key: int, position: int) -> Parcel | None:
        # A torn write may leave a reception whole that nobody was told of: the process ended before it was refused.
        recipients = self._recipients.get(key)
        return None if recipients is None else self._books.find(recipients[position])


def survived(parcel: Parcel, after: MemoryFiles) -> bool:
    """
    Whether a disk found after a crash still knows that *parcel* has ended.
    """
    names = set(after.names())
    for name, offset, octets in parcel.records:
        if name not in names:
            # Segments go when nothing that they are about can come back.
            return True
        if after.octets(name)[offset : offset + len(octets)] == octets:
            return True
    return False
