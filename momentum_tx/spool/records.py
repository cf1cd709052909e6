"""
The format of the journal: segment headers and records, to octets and back.

Pure: no file, no clock.  All numbers are little-endian.  A *payload* is a record
without its frame; the frame (magic and checksum) is added when the segment it
goes to is known, because the checksum begins with the segment's salt.  The
salt makes sure that octets inside a mail body never pass for a record when a
damaged segment is searched.
"""

import re
import struct
import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..policy.lost_reply import LostReply
from ..queues.message import HELD as WAITS_FOR_OPERATOR
from ..queues.message import Message, Reception
from .ends import ENDS_VERSION, End, has_ends, with_ends, without_ends
from .envelopes import Envelope as Envelope
from .envelopes import decode_envelope, encode_envelope
from .fields import RecordError as RecordError
from .fields import text_octets
from .moved import MOVED_VERSION, split, with_states

#: First octets of every segment.
SEGMENT_MAGIC: Final = b"MTXSEG"
#: Version of everything below; another one is refused at start.
FORMAT_VERSION: Final = 1
#: First octets of every record; not UTF-8, so that text rarely holds them.
RECORD_MAGIC: Final = b"\xf5\xabJR"

#: A reception: envelope of all recipients, and the body.
RECEPTION: Final = 1
#: The final dot for these messages is about to leave.
INTENT: Final = 2
#: The peer has the message.
DELIVERED: Final = 3
#: The message failed for ever.
FAILED: Final = 4
#: The message waits for its next attempt.
REQUEUED: Final = 5
#: The reception was refused after all and must never come back.
WITHDRAWN: Final = 6
#: The message waits for an operator; a program that does not know of that must not go on with it.
HELD: Final = 7
#: Every kind this version writes.
KINDS: Final = frozenset((RECEPTION, INTENT, DELIVERED, FAILED, REQUEUED, WITHDRAWN, HELD))
#: Version of the coding of the metas; a record with another one is refused at start.
RECORD_VERSION: Final = 1
#: Version of an intent that says what becomes of its messages if nothing follows it.
_POLICY_VERSION: Final = 2
#: The newest version of the kinds that have more than the first one.
_NEWEST: Final = {RECEPTION: ENDS_VERSION, INTENT: _POLICY_VERSION}
#: Every kind with every version of its meta that this program knows.
KNOWN: Final = frozenset(
    (kind, version) for kind in KINDS for version in range(RECORD_VERSION, _NEWEST.get(kind, RECORD_VERSION) + 1)
)

#: Replies are kept up to the length a reply line may have (RFC 5321 4.5.3.1.5).
MAX_NOTE: Final = 512
#: 10,000 recipients with the longest addresses and ids need about 4 MiB.
MAX_META: Final = 16 << 20
#: Far above max_message_size; a length field above this is damage.
MAX_BODY: Final = 1 << 30

_PREFIX = struct.Struct("<6sH")
_SEGMENT = struct.Struct("<8sIQI")
#: One copy of the segment header with its checksum.
_COPY: Final = _SEGMENT.size + 4
#: The header is there twice: the salt in it is needed to read anything else.
SEGMENT_HEADER: Final = 2 * _COPY
_FRAME = struct.Struct("<4sI")
_HEAD = struct.Struct("<BBIIQI")
#: Octets of a payload before its meta.
PAYLOAD_HEADER: Final = _HEAD.size
#: Octets of a record before its meta.
RECORD_HEADER: Final = _FRAME.size + _HEAD.size
#: All of a record before its meta.
WHOLE_HEAD: Final = struct.Struct("<4sIBBIIQI")
_ONE = struct.Struct("<BBIIQII")
_INDEX = struct.Struct("<I")
_REQUEUED = struct.Struct("<IIdBIB")


_NAME = re.compile(r"([0-9]{12})\.seg", re.ASCII)


class UnknownFormat(RecordError):
    """
    A whole, undamaged record or segment of a version this one does not know.
    """


class SegmentHeader(NamedTuple):
    """
    :ivar number: the segment's number, counting up over the journal's life.
    :ivar salt: start value of the checksums in the segment.
    """

    number: int
    salt: int


class Head(NamedTuple):
    """
    The fixed part of a record.
    """

    checksum: int
    kind: int
    version: int
    meta_length: int
    body_length: int
    key: int
    body_checksum: int


class Ended(NamedTuple):
    """
    Meta of ``DELIVERED`` and ``FAILED``; *position* is the message's index.
    """

    position: int
    note: bytes


class Requeued(NamedTuple):
    """
    Meta of ``REQUEUED`` and ``HELD``; see :class:`~momentum_tx.interfaces.records.IMessage`.
    """

    position: int
    num_retries: int
    next_attempt: float
    stage: int
    ambiguous: int
    binding: str
    code: bytes


class Intent(NamedTuple):
    """
    Meta of ``INTENT``: the indexes of the messages it is about, and what becomes of them if
    nothing follows it.
    """

    positions: tuple[int, ...]
    lost_reply: LostReply = LostReply.RETRY


#: What :func:`decode` makes of a meta; a withdrawal has none.
Meta = Envelope | Ended | Requeued | Intent | None


def segment_name(number: int) -> str:
    """
    File name of the segment *number*; names sort as the numbers do.
    """
    return f"{number:012d}.seg"


def segment_number(name: str) -> int | None:
    """
    The number in a segment's file name, or ``None`` for any other name.
    """
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def number_in(name: str) -> int:
    """
    The number of the segment that a file is, or was, or was a part of; 0 if it has nothing
    to do with any.
    """
    match = _NAME.match(name)
    return int(match[1]) if match else 0


def encode_segment_header(header: SegmentHeader) -> bytes:
    """
    The first :data:`SEGMENT_HEADER` octets of a segment.
    """
    prefix = _PREFIX.pack(SEGMENT_MAGIC, FORMAT_VERSION)
    copy = _SEGMENT.pack(prefix, zlib.crc32(prefix), header.number, header.salt)
    return (copy + _INDEX.pack(zlib.crc32(copy))) * 2


def decode_segment_header(octets: bytes) -> SegmentHeader:
    """
    Read a segment header from whichever of its copies is whole.

    :raises UnknownFormat: it is of another version.
    :raises RecordError: neither copy is whole.
    """
    for start in (0, _COPY):
        copy = octets[start : start + _COPY]
        if len(copy) < _COPY:
            break
        prefix, check, number, salt = _SEGMENT.unpack_from(copy)
        magic, version = _PREFIX.unpack(prefix)
        # Every version begins with magic, version and their checksum, so that a torn header is not taken for a new one.
        if magic != SEGMENT_MAGIC or check != zlib.crc32(prefix):
            continue
        if version != FORMAT_VERSION:
            raise UnknownFormat(f"format version {version}; this program knows {FORMAT_VERSION}")
        if zlib.crc32(copy[:-4]) == _INDEX.unpack(copy[-4:])[0]:
            return SegmentHeader(number, salt)
    raise RecordError("no whole segment header")


def frame(payload: bytes, salt: int) -> bytes:
    """
    The octets of a record as they go to a segment with *salt*, body left out.
    """
    return _FRAME.pack(RECORD_MAGIC, zlib.crc32(payload, salt)) + payload


def decode_head(octets: bytes) -> Head:
    """
    Read the fixed part of a record; the checksum is not compared yet.

    :param octets: :data:`RECORD_HEADER` octets.
    :raises RecordError: this is no record.
    """
    if len(octets) < RECORD_HEADER or not octets.startswith(RECORD_MAGIC):
        raise RecordError("no record")
    head = Head(_INDEX.unpack_from(octets, 4)[0], *_HEAD.unpack_from(octets, _FRAME.size))
    if head.meta_length > MAX_META or head.body_length > MAX_BODY:
        raise RecordError("a length beyond its bound")
    return head


def check(octets: bytes, head: Head, salt: int) -> None:
    """
    Compare the checksum over fixed part and meta.

    :param octets: the record without its body.
    :raises RecordError: it differs.
    :raises UnknownFormat: the record is whole and of an unknown kind or version.
    """
    if zlib.crc32(memoryview(octets)[_FRAME.size :], salt) != head.checksum:
        raise RecordError("checksum differs")
    if (head.kind, head.version) not in KNOWN:
        raise UnknownFormat(f"record kind {head.kind} version {head.version} at key {head.key}")


def encode_ended(kind: int, key: int, index: int, note: bytes) -> bytes:
    """
    Payload of ``DELIVERED`` or ``FAILED``; the note is cut at :data:`MAX_NOTE`.
    """
    if len(note) > MAX_NOTE:
        note = note[:MAX_NOTE]
    return _ONE.pack(kind, RECORD_VERSION, 4 + len(note), 0, key, 0, index) + note


def encode_intent(key: int, indexes: list[int], lost_reply: LostReply = LostReply.RETRY) -> bytes:
    """
    Payload of ``INTENT`` for messages of one reception.

    :param lost_reply: what becomes of them if nothing follows.
    """
    if lost_reply is not LostReply.RETRY:
        meta = struct.pack(f"<{len(indexes)}IB", *indexes, lost_reply)
        return _HEAD.pack(INTENT, _POLICY_VERSION, len(meta), 0, key, 0) + meta
    if len(indexes) == 1:
        return _ONE.pack(INTENT, RECORD_VERSION, 4, 0, key, 0, indexes[0])
    meta = struct.pack(f"<{len(indexes)}I", *indexes)
    return _HEAD.pack(INTENT, RECORD_VERSION, len(meta), 0, key, 0) + meta


def encode_requeued(message: Message, binding: str) -> bytes:
    """
    Payload of ``REQUEUED``, or of ``HELD``, with the message's present state; the code
    text is cut at :data:`MAX_NOTE`.
    """
    name = text_octets(binding, 255)
    code = message.code[:MAX_NOTE]
    try:
        meta = (
            _REQUEUED.pack(
                message.index,
                message.num_retries,
                message.next_attempt,
                int(message.stage),
                message.ambiguous,
                len(name),
            )
            + name
            + code
        )
    except struct.error as error:
        raise RecordError(f"message {message.id}: {error}") from None
    return _HEAD.pack(requeued_kind(message), RECORD_VERSION, len(meta), 0, message.reception.key, 0) + meta


def requeued_meta(state: Requeued) -> bytes:
    """
    Meta of ``REQUEUED`` that says *state*.
    """
    position, retries, due, stage, ambiguous, binding, code = state
    name = binding.encode()
    return _REQUEUED.pack(position, retries, due, stage, ambiguous, len(name)) + name + code


def requeued_kind(message: Message) -> int:
    """
    Whether *message* waits for its time (``REQUEUED``) or for an operator (``HELD``).
    """
    return HELD if message.next_attempt == WAITS_FOR_OPERATOR else REQUEUED


def encode_withdrawn(key: int) -> bytes:
    """
    Payload of ``WITHDRAWN``.
    """
    return _HEAD.pack(WITHDRAWN, RECORD_VERSION, 0, 0, key, 0)


def encode_reception(
    key: int, reception: Reception, bindings: list[str], body: bytes, ends: Sequence[End] = ()
) -> bytes:
    """
    Payload of ``RECEPTION``; the body follows it in the segment.

    :param bindings: name per message, empty for none.
    :param ends: messages of other receptions that are over when this one is there.
    :raises RecordError: a field is longer than the format allows.
    """
    version, meta = encode_envelope(reception, bindings)
    if ends:
        version, meta = ENDS_VERSION, with_ends(meta, ends)
    if len(meta) > MAX_META or len(body) > MAX_BODY:
        raise RecordError(f"reception of {len(meta)} + {len(body)} octets is too large")
    return _HEAD.pack(RECEPTION, version, len(meta), len(body), key, zlib.crc32(body)) + meta


def encode_moved(key: int, meta: bytes, messages: Sequence[tuple[Message, str]], body: bytes) -> bytes:
    """
    Payload of ``RECEPTION`` of one that was moved; the body follows it in the segment.

    :param meta: of the record that it is moved from.
    :param messages: those that have not ended, and the name of the binding of each.
    :raises RecordError: a field is longer than the format allows.
    """
    meta = with_states(meta, messages)
    if len(meta) > MAX_META:
        raise RecordError(f"reception of {len(meta)} octets of meta is too large")
    version = ENDS_VERSION if has_ends(meta) else MOVED_VERSION
    return _HEAD.pack(RECEPTION, version, len(meta), len(body), key, zlib.crc32(body)) + meta


def decode(kind: int, meta: bytes) -> Meta:
    """
    Read the meta of a record whose checksum is right.

    :raises RecordError: it makes no sense all the same.
    """
    try:
        if kind in (DELIVERED, FAILED):
            return Ended(_INDEX.unpack_from(meta)[0], meta[4:])
        if kind == INTENT:
            return _decode_intent(meta)
        if kind in (REQUEUED, HELD):
            return _decode_requeued(meta)
        if kind == RECEPTION:
            plain, states = split(meta)
            plain, ends = without_ends(plain)
            envelope = decode_envelope(plain)
            return envelope if states is None and not ends else envelope._replace(states=states, ends=ends)
        if kind == WITHDRAWN:
            return None
    except (struct.error, ValueError, IndexError) as error:
        raise RecordError(f"record kind {kind}: {error}") from None
    raise RecordError(f"unknown record kind {kind}")


def _decode_intent(meta: bytes) -> Intent:
    count, rest = divmod(len(meta), 4)
    if not rest:
        return Intent(struct.unpack(f"<{count}I", meta))
    *positions, number = struct.unpack(f"<{count}IB", meta)
    try:
        return Intent(tuple(positions), LostReply(number))
    except ValueError as error:
        raise RecordError(f"record kind {INTENT}: {error}") from None


def _decode_requeued(meta: bytes) -> Requeued:
    index, retries, due, stage, ambiguous, length = _REQUEUED.unpack_from(meta)
    start = _REQUEUED.size
    if start + length > len(meta):
        raise RecordError("binding name beyond the record")
    name = meta[start : start + length].decode()
    return Requeued(index, retries, due, stage, ambiguous, name, meta[start + length :])
