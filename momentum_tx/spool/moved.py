"""
A reception that was moved: its envelope as it was received, and how its messages
stand.

What stands in the envelope is copied octet by octet; the records that followed it are
left behind, so what they said goes with it, in one record: no crash can part the two.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..queues.message import Message
from .fields import RecordError, field_octets, take, text_octets

#: Version of the meta of a reception that was moved.
MOVED_VERSION: Final = 4
#: Where the flags of an envelope are.
FLAGS: Final = 16
#: The one that says that it was moved.
_MOVED: Final = 16
_LENGTH = struct.Struct("<I")
_STATE = struct.Struct("<IIdBI")


class State(NamedTuple):
    """
    How a message stood when its reception was moved.
    """

    position: int
    num_retries: int
    next_attempt: float
    stage: int
    ambiguous: int
    binding: str
    code: bytes


def with_states(meta: bytes, messages: Sequence[tuple[Message, str]]) -> bytes:
    """
    The meta of a moved reception.

    :param meta: as it lies on disk, moved before or not.
    :param messages: those that have not ended, and the name of the binding of each.
    :raises RecordError: something is longer than the format allows.
    """
    plain, _ = split(meta)
    try:
        parts = [
            _STATE.pack(message.index, message.num_retries, message.next_attempt, int(message.stage), message.ambiguous)
            + field_octets(text_octets(name, 255))
            + field_octets(message.code)
            for message, name in messages
        ]
    except struct.error as error:
        raise RecordError(str(error)) from None
    block = b"".join(parts)
    flags = bytes([plain[FLAGS] | _MOVED])
    return plain[:FLAGS] + flags + _LENGTH.pack(len(block)) + block + plain[FLAGS + 1 :]


def is_moved(meta: bytes) -> bool:
    """
    Whether the reception whose meta this is was moved.
    """
    return len(meta) > FLAGS and bool(meta[FLAGS] & _MOVED)


def behind_states(meta: bytes) -> int:
    """
    Where the meta goes on behind the flags, and behind the states if there are any.

    :raises ValueError: it makes no sense, or ``struct.error`` or ``IndexError``.
    """
    at = FLAGS + 1
    return at + _LENGTH.size + _LENGTH.unpack_from(meta, at)[0] if is_moved(meta) else at


def split(meta: bytes) -> tuple[bytes, tuple[State, ...] | None]:
    """
    The envelope as it was received, and the states if it was moved.

    :raises ValueError: it makes no sense, or ``struct.error`` or ``IndexError``.
    """
    if not meta[FLAGS] & _MOVED:
        return meta, None
    at = FLAGS + 1 + _LENGTH.size
    end = at + _LENGTH.unpack_from(meta, FLAGS + 1)[0]
    if end > len(meta):
        raise RecordError("states beyond the record")
    states = []
    while at < end:
        position, retries, due, stage, ambiguous = _STATE.unpack_from(meta, at)
        name, at = take(meta, at + _STATE.size)
        code, at = take(meta, at)
        states.append(State(position, retries, due, stage, ambiguous, name.decode(), code))
    return meta[:FLAGS] + bytes([meta[FLAGS] & ~_MOVED]) + meta[end:], tuple(states)
