"""
The sheet beside an exported message: all that the spool knows of it but its content, as
JSON, and back.

Octets are written as UTF-8; what is none comes out as lone surrogates, which JSON
escapes, so that every address comes back as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from ..envelope import NO_TERMS, Notify, RecipientTerms, Terms
from ..policy.lost_reply import POLICIES, LostReply
from ..queues.message import Reception, traits_of
from ..smtp.addresses import check_address
from ..smtp.body import check_content
from ..spool.records import (
    MAX_NOTE,
    Envelope,
    RecordError,
    encode_intent,
    encode_reception,
    encode_requeued,
)
from ..stages import Stage
from .spool_state import Waiting

#: Version of the sheet; one of another version is refused.
SHEET_VERSION: Final = 1
#: Largest number of attempts that a record holds.
_MOST: Final = 0xFFFFFFFF
#: Wall time that no message lives to see, in seconds.
_NEVER: Final = 1e12


class BadSheet(ValueError):
    """
    A sheet, or the content beside it, that makes no sense; the text says why.
    """


class UnreadableSheet(BadSheet):
    """
    One that could not even be read.
    """


def sheet(key: int, envelope: Envelope, body: bytes, messages: Sequence[tuple[int, Waiting]]) -> dict[str, Any]:
    """
    What is to be written beside *body*.

    :param messages: those of the reception that are exported, with their indexes.
    """
    terms = envelope.terms
    return {
        "version": SHEET_VERSION,
        "key": key,
        "sender": _text(envelope.sender),
        "received": envelope.creation_time,
        "size": envelope.size,
        "batch_id": envelope.batch_id,
        "conn_id": envelope.conn_id,
        "recv_method": envelope.recv_method,
        "recv_from": envelope.recv_from,
        "eight_bit": envelope.eight_bit,
        "smtputf8": envelope.smtputf8,
        "tenant": envelope.traits.tenant,
        "campaign": envelope.traits.campaign,
        "priority": envelope.traits.priority,
        "not_before": terms.not_before,
        "expires": terms.expires,
        "envid": _text(terms.envid),
        "ret": terms.ret,
        "require_tls": terms.require_tls,
        "tls_optional": terms.tls_optional,
        "content": {"octets": len(body), "sha256": hashlib.sha256(body).hexdigest()},
        "messages": [_message(envelope, index, message) for index, message in messages],
    }


def _message(envelope: Envelope, index: int, message: Waiting) -> dict[str, Any]:
    terms = envelope.terms.of(index)
    return {
        "id": message.id,
        "recipient": _text(message.recipient),
        "binding": message.binding,
        "held": message.held,
        "next_attempt": None if message.held else message.next_attempt,
        "retries": message.retries,
        "ambiguous": message.ambiguous,
        "stage": message.stage,
        "code": _text(message.code),
        "in_flight": None if message.intent is None else message.intent.lost_reply.name.lower(),
        # The name of a union of flags has signs between that depend on Python's version.
        "notify": [flag.name for flag in Notify if flag in terms.notify],
        "orcpt": _text(terms.orcpt),
    }


@dataclass(frozen=True, slots=True)
class Restored:
    """
    A reception as it goes into a spool.

    :ivar reception: with its messages, as they stand.
    :ivar bindings: name per message, empty for none.
    :ivar intents: what becomes of messages that were in flight, by index.
    :ivar body: its content.
    """

    reception: Reception
    bindings: list[str]
    intents: dict[int, LostReply]
    body: bytes

    @property
    def ids(self) -> list[str]:
        """
        Of its messages.
        """
        return [message.id for message in self.reception.messages if message is not None]

    def payloads(self, key: int) -> list[bytes]:
        """
        The records that say all of it; the body follows the first of them.

        :raises RecordError: a field is longer than the format allows.
        """
        reception = self.reception
        reception.key = key
        messages = [message for message in reception.messages if message is not None]
        dues = [message.next_attempt for message in messages]
        for message in messages:
            if message.next_attempt == inf:
                # A hold is a record of its own.
                message.next_attempt = reception.creation_time
        payloads = [encode_reception(key, reception, self.bindings, self.body)]
        for message, due, binding in zip(messages, dues, self.bindings, strict=True):
            message.next_attempt = due
            if due == inf or message.num_retries or message.ambiguous or message.code or message.stage != Stage.UNKNOWN:
                payloads.append(encode_requeued(message, binding))
        payloads += [encode_intent(key, [index], policy) for index, policy in self.intents.items()]
        return payloads


def restore(values: Any, body: bytes) -> Restored:
    """
    What a sheet and the content beside it say.

    :raises BadSheet: they make no sense.
    """
    try:
        return _restore(_Fields(values, "the sheet"), body)
    except RecordError as error:
        raise BadSheet(str(error)) from None


def _restore(fields: _Fields, body: bytes) -> Restored:
    version = fields.number("version", 1)
    if version != SHEET_VERSION:
        raise BadSheet(f"version {version}; this program knows {SHEET_VERSION}")
    content = _Fields(fields.value("content", dict), "content")
    if content.number("octets", 0) != len(body):
        raise BadSheet(f"the content has {len(body)} octets, the sheet says {content.number('octets', 0)}")
    if content.value("sha256", str) != hashlib.sha256(body).hexdigest():
        raise BadSheet("the content is not what was exported: its SHA-256 differs")
    fault = check_content(body)
    if fault is not None:
        raise BadSheet(f"the content cannot be sent: {fault}")
    listed = fields.value("messages", list)
    if not listed:
        raise BadSheet("no messages")
    smtputf8 = fields.value("smtputf8", bool)
    recipients = [_Fields(each, f"message {number}") for number, each in enumerate(listed)]
    reception = Reception(
        _address(fields.octets("sender"), "sender", smtputf8, True),
        fields.time("received"),
        fields.number("size", 0),
        fields.value("batch_id", str),
        fields.value("conn_id", str),
        fields.value("recv_method", str),
        fields.value("recv_from", str),
        fields.value("eight_bit", bool),
        smtputf8,
        traits_of(fields.value("tenant", str), fields.value("campaign", str), fields.value("priority", str)),
        _terms(fields, recipients),
    )
    bindings, intents = [], {}
    for index, each in enumerate(recipients):
        _add(reception, each, smtputf8)
        bindings.append(each.value("binding", str))
        policy = each.values.get("in_flight")
        if policy is not None:
            if not isinstance(policy, str) or policy not in POLICIES:
                raise BadSheet(f"{each.what}: in_flight: {policy!r} is none of {', '.join(POLICIES)}")
            intents[index] = POLICIES[policy]
    restored = Restored(reception, bindings, intents, body)
    if len(set(restored.ids)) < len(restored.ids):
        raise BadSheet("two messages have the same id")
    # What cannot be written is to be found before anything is.
    restored.payloads(0)
    return restored


def _add(reception: Reception, fields: _Fields, smtputf8: bool) -> None:
    recipient = _address(fields.octets("recipient"), f"{fields.what}: recipient", smtputf8, False)
    id = fields.value("id", str)
    if not id or not id.isascii() or not id.isprintable():
        raise BadSheet(f"{fields.what}: id: {id!r} is none")
    message = reception.add(id, recipient)
    message.next_attempt = inf if fields.value("held", bool) else fields.time("next_attempt")
    message.num_retries = fields.number("retries", 0)
    message.ambiguous = fields.number("ambiguous", 0)
    message.code = fields.octets("code")[:MAX_NOTE]
    number = fields.number("stage", 0)
    try:
        message.stage = Stage(number)
    except ValueError:
        raise BadSheet(f"{fields.what}: stage: there is no stage {number}") from None


def _terms(fields: _Fields, recipients: Sequence[_Fields]) -> Terms:
    ret = fields.value("ret", str)
    if ret not in ("", "FULL", "HDRS"):
        raise BadSheet(f"ret: {ret!r} is none of FULL, HDRS and nothing")
    of = {}
    for index, each in enumerate(recipients):
        notify = Notify(0)
        for name in each.value("notify", list):
            if not isinstance(name, str) or name not in Notify.__members__:
                raise BadSheet(f"{each.what}: notify: {name!r} is none of {', '.join(Notify.__members__)}")
            notify |= Notify[name]
        orcpt = each.octets("orcpt")
        if notify or orcpt:
            of[index] = RecipientTerms(notify, orcpt)
    terms = Terms(
        fields.time("not_before"),
        fields.time("expires"),
        fields.octets("envid"),
        ret,
        fields.value("require_tls", bool),
        fields.value("tls_optional", bool),
        of,
    )
    return terms if terms.beyond_times or terms.not_before or terms.expires else NO_TERMS


def _address(address: bytes, what: str, smtputf8: bool, may_be_empty: bool) -> bytes:
    if not address and may_be_empty:
        return address
    if address.lower() == b"postmaster" and not may_be_empty:
        return address
    try:
        check_address(address, smtputf8)
    except ValueError as error:
        raise BadSheet(f"{what}: {error}") from None
    return address


class _Fields:
    """
    A JSON object whose fields are looked at with suspicion.
    """

    def __init__(self, values: Any, what: str) -> None:
        if not isinstance(values, Mapping):
            raise BadSheet(f"{what} is no JSON object")
        self.values = values
        self.what = what

    def value(self, name: str, kind: type[Any]) -> Any:
        """
        The field *name*, which must be of a type.
        """
        if name not in self.values:
            raise BadSheet(f"{self.what}: {name} is missing")
        value = self.values[name]
        if not isinstance(value, kind):
            raise BadSheet(f"{self.what}: {name}: {value!r} is of the wrong type")
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadSheet(f"{self.what}: {name}: {value!r} is no text") from None
        return value

    def octets(self, name: str) -> bytes:
        """
        A field of octets without line ends.
        """
        if not isinstance(self.values.get(name), str):
            raise BadSheet(f"{self.what}: {name} is missing or no text")
        try:
            octets: bytes = self.values[name].encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise BadSheet(f"{self.what}: {name}: {self.values[name]!r} is no text") from None
        if b"\r" in octets or b"\n" in octets or b"\0" in octets:
            raise BadSheet(f"{self.what}: {name} has more than one line")
        return octets

    def number(self, name: str, least: int) -> int:
        """
        A whole number.
        """
        value = self.value(name, int)
        if isinstance(value, bool) or not least <= value <= _MOST:
            raise BadSheet(f"{self.what}: {name}: {value} is not between {least} and {_MOST}")
        number: int = value
        return number

    def time(self, name: str) -> float:
        """
        A time, or 0 for none.
        """
        value = self.value(name, (int, float))  # type: ignore[arg-type]
        if isinstance(value, bool) or not 0 <= value < _NEVER:
            raise BadSheet(f"{self.what}: {name}: {value} is no time")
        return float(value)


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
