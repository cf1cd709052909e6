"""
What waits to be written to the journal.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from twisted.internet.defer import Deferred

from ..queues.message import Message, Reception
from .records import RECEPTION, frame

#: Kind of an entry that writes nothing and is confirmed in its turn.
FLUSH: Final = 0
#: Kind of an entry that is a reception moved from another segment.
MOVED: Final = -1


class Entry(NamedTuple):
    """
    A record on its way to the disk.

    :ivar payload: see :mod:`momentum_tx.spool.records`.
    :ivar extra: of a reception its :class:`Waiting`; of an outcome what to call
        when it is durable; of an intent what to call with ``None`` then, or with the
        error; of a requeue the message; of a flush the Deferred; of a reception that is
        moved its :class:`~momentum_tx.spool.segments.Moving`.
    """

    kind: int
    payload: bytes
    reception: Reception | None
    extra: Any


class Waiting(NamedTuple):
    """
    What a reception needs until it is durable.

    :ivar ends: messages of other receptions that are over when it is there.
    """

    body: bytes
    answer: Deferred[None]
    ends: Sequence[Message] = ()


def lay_out(entries: Sequence[Entry], salt: int) -> tuple[list[bytes], list[int]]:
    """
    The octets of *entries* for a segment with *salt*.

    :returns: the buffers, and where each reception's record begins in them.
    """
    buffers: list[bytes] = []
    offsets: list[int] = []
    at = 0
    for kind, payload, _, extra in entries:
        if kind == FLUSH:
            continue
        octets = frame(payload, salt)
        buffers.append(octets)
        if kind in (RECEPTION, MOVED):
            offsets.append(at)
        at += len(octets)
        if kind in (RECEPTION, MOVED):
            buffers.append(extra.body)
            at += len(extra.body)
    return buffers, offsets
