"""
A reception that ends messages of other receptions: a report, of which they are the
subject.  One record says both that it is there and that they are over, so that no crash can part
the two.
"""

import struct
from collections.abc import Sequence
from typing import Final, TypeAlias

from .fields import RecordError
from .moved import FLAGS, behind_states

#: Version of the meta of a reception that ends others, moved or not.
ENDS_VERSION: Final = 5
#: The flag that says so.
_ENDS: Final = 32
_LENGTH = struct.Struct("<I")
_END = struct.Struct("<QI")

#: A message that is over: key of its reception, and its index there.
End: TypeAlias = tuple[int, int]


def with_ends(meta: bytes, ends: Sequence[End]) -> bytes:
    """
    The meta of a reception that ends others.

    :param meta: as it is without that, and never moved.
    :param ends: at least one.
    :raises RecordError: a number is larger than the format allows.
    """
    try:
        block = b"".join([_END.pack(key, index) for key, index in ends])
    except struct.error as error:
        raise RecordError(str(error)) from None
    return meta[:FLAGS] + bytes([meta[FLAGS] | _ENDS]) + _LENGTH.pack(len(block)) + block + meta[FLAGS + 1 :]


def has_ends(meta: bytes) -> bool:
    """
    Whether the reception whose meta this is ends others; nothing else of it is read.
    """
    return len(meta) > FLAGS and bool(meta[FLAGS] & _ENDS)


def ends_of(meta: bytes) -> tuple[End, ...]:
    """
    What the reception whose meta this is ends.

    :param meta: moved or not.
    :raises RecordError: it makes no sense.
    """
    try:
        return _split(meta, behind_states(meta))[1]
    except (struct.error, IndexError) as error:
        raise RecordError(f"ends: {error}") from None


def without_ends(meta: bytes) -> tuple[bytes, tuple[End, ...]]:
    """
    The meta as it would be without ends, and these.

    :param meta: without the states of one that was moved.
    :raises ValueError: it makes no sense, or ``struct.error`` or ``IndexError``.
    """
    if not has_ends(meta):
        return meta, ()
    end, ends = _split(meta, FLAGS + 1)
    return meta[:FLAGS] + bytes([meta[FLAGS] & ~_ENDS]) + meta[end:], ends


def _split(meta: bytes, at: int) -> tuple[int, tuple[End, ...]]:
    start = at + _LENGTH.size
    length = _LENGTH.unpack_from(meta, at)[0]
    if start + length > len(meta) or length % _END.size:
        raise RecordError("ends beyond the record")
    return start + length, tuple(_END.iter_unpack(meta[start : start + length]))
