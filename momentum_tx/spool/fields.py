"""
What the metas of records are made of: octets of any length, and text.
"""

import struct
from typing import Final

from ..errors import SpoolError

_SHORT: Final = struct.Struct("<H")


class RecordError(SpoolError):
    """
    Octets that are no record, or a record that cannot be written.
    """


def field_octets(octets: bytes) -> bytes:
    """
    *octets* with their length in front.
    """
    if len(octets) > 0xFFFF:
        raise RecordError(f"a field of {len(octets)} octets is too long")
    return _SHORT.pack(len(octets)) + octets


def take(meta: bytes, at: int) -> tuple[bytes, int]:
    """
    The octets of a field, and where the next begins.
    """
    start = at + 2
    end = start + _SHORT.unpack_from(meta, at)[0]
    if end > len(meta):
        raise RecordError("a field beyond the record")
    return meta[start:end], end


def text_octets(text: str, limit: int = 0xFFFF) -> bytes:
    """
    *text* as it is written.
    """
    try:
        octets = text.encode()
    except UnicodeEncodeError as error:
        raise RecordError(str(error)) from None
    if len(octets) > limit:
        raise RecordError(f"a name of {len(octets)} octets is too long")
    return octets
