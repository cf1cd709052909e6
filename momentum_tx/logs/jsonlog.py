"""
jsonlog: a line of JSON for each attempt and each change of a message's state.

Its schema is ``jsonlog.schema.json`` beside this module; what the fields mean is in
``doc/reference/json-log.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from ..interfaces import bounce_hooks, queue_hooks
from ..interfaces import hooks as contracts
from ..policy.retry import End
from ..policy.status import status_of
from ..stages import Stage
from .gathered import GatheredLog
from .text import decode, encode, last_field

if TYPE_CHECKING:
    from ..interfaces.records import IDomainRecord, IMessage, IReception
    from .files import ILogFile

#: Changes when a field changes its meaning or goes; new ones may come without that.
VERSION: Final = 1
_EXPIRED: Final = frozenset(end.value for end in End)


@implementer(
    contracts.ILogReceptionV1,
    contracts.ILogAttemptV1,
    contracts.ILogDeliveryV1,
    contracts.ILogTransientFailureV1,
    contracts.ILogPermanentFailureV1,
    contracts.IMessageHeld,
    contracts.ILogRejection,
    contracts.ILogReopen,
    bounce_hooks.IPostGenerateRfc3464Message,
    queue_hooks.IMessageState,
)
class JSONLog(GatheredLog):
    """
    The logger; it has no heartbeat.

    :param file: where the records go; open.
    :param wall: wall time in epoch seconds.
    :param binding_name: name of the binding of a slot.
    :param classify: code and name of what a note means, for a domain.
    """

    __slots__ = ("_binding_name", "_classify")

    def __init__(
        self,
        file: ILogFile,
        wall: Callable[[], float],
        binding_name: Callable[[int], str],
        classify: Callable[[bytes, str], tuple[int, str]],
    ) -> None:
        super().__init__("jsonlog", file, wall, lambda: 0.0, "")
        self._binding_name = binding_name
        self._classify = classify

    # Records.

    def log_reception_v1(self, ac: IReception, msg: IMessage, now: float | None, note: bytes | None) -> None:
        self._tell("received", msg, None, now, method=ac.recv_method, client=ac.recv_from, inbound=ac.conn_id)

    def log_attempt_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes) -> None:
        self._tell("attempt", msg, dr, now)

    def log_delivery_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self._tell("delivered", msg, dr, now, final=True, **self._said(msg.code if note is None else note, "2.0.0"))

    def log_transient_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        note = msg.code if note is None else note
        # The dot was said and nobody knows what was answered.
        lost = msg.stage == Stage.READING_CONFIRMATION and b"[internal]" in note
        self._tell("ambiguous" if lost else "transient", msg, dr, now, **self._failure(msg, dr, note, "4.0.0"))

    def log_permanent_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        note = msg.code if note is None else note
        event = "expired" if note in _EXPIRED else "permanent"
        self._tell(event, msg, dr, now, final=True, **self._failure(msg, dr, note, "5.0.0"))

    def message_held(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes) -> None:
        self._tell("held", msg, dr, now, **self._said(note, "4.0.0"))

    def message_state(
        self, msg: IMessage, dr: IDomainRecord, now: float | None, state: str, about: dict[str, object]
    ) -> None:
        self._tell(state, msg, dr, now, **about)

    def post_generate_rfc3464_message(self, orig: IMessage, bounce: IReception, action: str) -> None:
        dr: Any = orig.domain
        self._tell("bounced", orig, dr, None, action=action, report=bounce.batch_id)

    def log_rejection(
        self, now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        try:
            text = format % args
        except (TypeError, ValueError):
            text = f"{format} {args!r}"
        self._add(
            {
                "v": VERSION,
                "event": "rejected",
                "time": self._wall() if now is None else now,
                "client": getattr(ac, "peer", ""),
                "inbound": getattr(ac, "conn_id", ""),
                "phase": phase,
                "command": _text(encode(ctx.get("command", ""))),
                "note": _text(encode(text)),
            }
        )

    def _said(self, note: bytes, default: str) -> dict[str, object]:
        return {"status": status_of(note, default), "note": _text(note)}

    def _failure(self, msg: IMessage, dr: IDomainRecord, note: bytes, default: str) -> dict[str, object]:
        code, name = self._classify(note, dr.domain)
        return {
            **self._said(note, default),
            "stage": int(msg.stage),
            "stage_name": Stage(msg.stage).name.lower(),
            "class": code,
            "class_name": name,
        }

    def _tell(self, event: str, msg: IMessage, dr: IDomainRecord | None, now: float | None, **more: object) -> None:
        if now is None:
            now = self._wall()
        reception, slot = msg.reception, msg.binding_slot
        record: dict[str, object] = {
            "v": VERSION,
            "event": event,
            "time": round(now, 6),
            "id": msg.id,
            "batch": reception.batch_id,
            "sender": _text(reception.sender),
            "recipient": _text(msg.recipient),
            "size": reception.size,
            "tries": msg.num_retries,
            "age": round(max(0.0, now - reception.creation_time), 6),
        }
        if dr is not None:
            record["domain"] = dr.domain
        if slot >= 0:
            record["binding"] = self._binding_name(slot)
        for name in ("tenant", "campaign", "priority"):
            value = getattr(reception, name)
            if value:
                record[name] = value
        connection = msg.connection
        if connection is not None and connection.address and event not in ("received", "delayed", "bounced"):
            record["host"] = connection.host_name
            record["peer"] = connection.address
            record["connection"] = connection.conn_id
            record["tls"] = connection.tls is not None
        record.update(more)
        self._add(record)

    def _add(self, record: dict[str, object]) -> None:
        self.append(json.dumps(record, separators=(",", ":")) + "\n")


def _text(octets: bytes) -> str:
    """
    Text of octets; what is none is written as ``\\xNN``.
    """
    return last_field(octets) if not octets.isascii() else decode(octets)
