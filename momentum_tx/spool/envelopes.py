"""
The meta of a reception: its envelope, to octets and back.
"""

import struct
from functools import lru_cache
from typing import Final, NamedTuple

from ..envelope import NO_TERMS, Notify, RecipientTerms, Terms
from ..queues.message import NO_TRAITS, Reception, Traits, traits_of
from .ends import End
from .fields import RecordError, field_octets, take, text_octets
from .moved import State

#: Every program reads a reception of the version that knew nothing of what follows; those are written by the
#: least that they need.
_FIRST_VERSION: Final = 1
#: With traits or times.
_TRAITS_VERSION: Final = 2
#: With terms besides times: what reports are wanted, and how safe it is to travel.  The newest one that an envelope
#: needs by itself.
ENVELOPE_VERSION: Final = 3

#: Time, size and flags, and the length of the sender that follows.
_ENVELOPE = struct.Struct("<dQBH")
_TIMES = struct.Struct("<dd")
_TERMS = struct.Struct("<BI")
_TERMS_OF = struct.Struct("<IB")
#: Next attempt and binding of a message, and the length of the id that follows.
_RECIPIENT = struct.Struct("<dHH")
_SHORT = struct.Struct("<H")

_EIGHT_BIT: Final = 1
_SMTPUTF8: Final = 2
_TRAITS: Final = 4
_TERMS_FLAG: Final = 8
#: Bits of the octet that begins the terms.
_FULL: Final = 1
_HDRS: Final = 2
_REQUIRE_TLS: Final = 4
_TLS_OPTIONAL: Final = 8


class Recipient(NamedTuple):
    """
    One message of a reception as it was received; *binding* is a name, empty
    for none.
    """

    id: str
    recipient: bytes
    binding: str
    next_attempt: float


class Envelope(NamedTuple):
    """
    A reception without its body.

    :ivar states: if it was moved, how each of its messages stood that had not ended then.
    :ivar ends: messages of other receptions that are over because this one is there.
    """

    sender: bytes
    creation_time: float
    size: int
    batch_id: str
    conn_id: str
    recv_method: str
    recv_from: str
    eight_bit: bool
    smtputf8: bool
    recipients: tuple[Recipient, ...]
    traits: Traits = NO_TRAITS
    terms: Terms = NO_TERMS
    states: tuple[State, ...] | None = None
    ends: tuple[End, ...] = ()


def encode_envelope(reception: Reception, bindings: list[str]) -> tuple[int, bytes]:
    """
    Version and meta of a reception.

    :param bindings: name per message, empty for none.
    :raises RecordError: a field is longer than the format allows.
    """
    # Written for every message, so in few calls: what is said again and again is cached with its lengths,
    # and the lengths of the rest are packed together with the numbers before them.
    flags = (_EIGHT_BIT if reception.eight_bit else 0) | (_SMTPUTF8 if reception.smtputf8 else 0)
    version = _FIRST_VERSION
    terms, sender = reception.terms, reception.sender
    more = b""
    if reception.traits is not NO_TRAITS or terms.not_before or terms.expires:
        flags |= _TRAITS
        version = _TRAITS_VERSION
        more = _TIMES.pack(terms.not_before, terms.expires)
        more += b"".join([field_octets(text_octets(trait, 255)) for trait in reception.traits])
    if terms is not NO_TERMS and terms.beyond_times:
        flags |= _TERMS_FLAG
        version = ENVELOPE_VERSION
        more += b"".join(_encode_terms(terms))
    try:
        batch, conn = reception.batch_id.encode(), reception.conn_id.encode()
        parts = [
            _ENVELOPE.pack(reception.creation_time, reception.size, flags, len(sender)),
            sender,
            _SHORT.pack(len(batch)),
            batch,
            _SHORT.pack(len(conn)),
            conn,
            _origin(reception.recv_method, reception.recv_from),
            more,
        ]
        if len(bindings) == 1:
            parts.append(_table_of_one(bindings[0]))
            slots = {bindings[0]: 0}
        else:
            names = list(dict.fromkeys(bindings))
            slots = {name: slot for slot, name in enumerate(names)}
            parts.append(_SHORT.pack(len(names)))
            parts.extend([field_octets(text_octets(name, 255)) for name in names])
        for message, binding in zip(reception.messages, bindings, strict=True):
            if message is None:
                raise RecordError("a message of the reception is finished already")
            id, recipient = message.id.encode(), message.recipient
            parts += (
                _RECIPIENT.pack(message.next_attempt, slots[binding], len(id)),
                id,
                _SHORT.pack(len(recipient)),
                recipient,
            )
    except (struct.error, UnicodeEncodeError) as error:
        raise RecordError(f"reception {reception.batch_id!a}: {error}") from None
    return version, b"".join(parts)


# Most have few clients.
@lru_cache(256)
def _origin(method: str, peer: str) -> bytes:
    """
    How and from where it was received, as two fields.
    """
    return field_octets(text_octets(method)) + field_octets(text_octets(peer))


@lru_cache(256)
def _table_of_one(name: str) -> bytes:
    """
    The table of binding names of a reception with one message.
    """
    return _SHORT.pack(1) + field_octets(text_octets(name, 255))


def decode_envelope(meta: bytes) -> Envelope:
    """
    The envelope that *meta* says.

    :raises ValueError: it makes no sense, or ``struct.error`` or ``IndexError``.
    """
    creation_time, size, flags, _ = _ENVELOPE.unpack_from(meta)
    # Lengths are read with their fields.
    at = _ENVELOPE.size - _SHORT.size
    fields = []
    for _ in range(5):
        field, at = take(meta, at)
        fields.append(field)
    terms = NO_TERMS
    traits = []
    if flags & _TRAITS:
        not_before, expires = _TIMES.unpack_from(meta, at)
        if not_before or expires:
            terms = Terms(not_before, expires)
        at += _TIMES.size
        for _ in range(3):
            field, at = take(meta, at)
            traits.append(field.decode())
    if flags & _TERMS_FLAG:
        terms, at = _decode_terms(meta, at, terms)
    count = _SHORT.unpack_from(meta, at)[0]
    at += 2
    names = []
    for _ in range(count):
        field, at = take(meta, at)
        names.append(field.decode())
    recipients = []
    while at < len(meta):
        due, slot, _ = _RECIPIENT.unpack_from(meta, at)
        id, at = take(meta, at + _RECIPIENT.size - _SHORT.size)
        recipient, at = take(meta, at)
        recipients.append(Recipient(id.decode(), recipient, names[slot], due))
    return Envelope(
        fields[0],
        creation_time,
        size,
        fields[1].decode(),
        fields[2].decode(),
        fields[3].decode(),
        fields[4].decode(),
        bool(flags & _EIGHT_BIT),
        bool(flags & _SMTPUTF8),
        tuple(recipients),
        traits_of(*traits) if traits else NO_TRAITS,
        terms,
    )


def _encode_terms(terms: Terms) -> list[bytes]:
    bits = {"": 0, "FULL": _FULL, "HDRS": _HDRS}[terms.ret]
    bits |= (_REQUIRE_TLS if terms.require_tls else 0) | (_TLS_OPTIONAL if terms.tls_optional else 0)
    parts = [_TERMS.pack(bits, len(terms.recipients)), field_octets(terms.envid)]
    for index, of in terms.recipients.items():
        parts.append(_TERMS_OF.pack(index, of.notify))
        parts.append(field_octets(of.orcpt))
    return parts


def _decode_terms(meta: bytes, at: int, times: Terms) -> tuple[Terms, int]:
    bits, count = _TERMS.unpack_from(meta, at)
    envid, at = take(meta, at + _TERMS.size)
    recipients = {}
    for _ in range(count):
        index, notify = _TERMS_OF.unpack_from(meta, at)
        orcpt, at = take(meta, at + _TERMS_OF.size)
        recipients[index] = RecipientTerms(Notify(notify), orcpt)
    ret = "FULL" if bits & _FULL else "HDRS" if bits & _HDRS else ""
    secure, optional = bool(bits & _REQUIRE_TLS), bool(bits & _TLS_OPTIONAL)
    return Terms(times.not_before, times.expires, envid, ret, secure, optional, recipients), at
