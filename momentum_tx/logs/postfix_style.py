"""
A log as Postfix writes its own, for programs that read those, such as ``pflogsumm``.

The words are Postfix's as far as such programs look at them; times are UTC, in the form
of RFC 3339 that its newer versions write too.  What each record is, is said in
``doc/reference/logs.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from ..interfaces import hooks as contracts
from ..policy.status import status_of
from .gathered import GatheredLog
from .text import encode, last_field

if TYPE_CHECKING:
    from ..interfaces.records import IDomainRecord, IMessage, IReception
    from .files import ILogFile

#: What no reader of such logs expects inside of angle brackets.
_ODD: Final = re.compile(r"[<>\s]")
_NOT_HEX: Final = re.compile(r"[^0-9A-F]")


@implementer(
    contracts.ILogReceptionV1,
    contracts.ILogDeliveryV1,
    contracts.ILogTransientFailureV1,
    contracts.ILogPermanentFailureV1,
    contracts.ILogRejection,
    contracts.ILogReopen,
)
class PostfixStyleLog(GatheredLog):
    """
    The logger; it has no heartbeat.

    :param file: where the records go; open.
    :param wall: wall time in epoch seconds.
    :param hostname: our name.
    :param pid: process id.
    """

    __slots__ = ("_host", "_pid", "_second", "_time")

    def __init__(self, file: ILogFile, wall: Callable[[], float], hostname: str, pid: int) -> None:
        super().__init__("postfixlog", file, wall, lambda: 0.0, "")
        self._host = hostname
        self._pid = pid
        self._second = -1
        self._time = ""

    def _begin(self, now: float | None, daemon: str) -> str:
        second = int(self._wall() if now is None else now)
        if second != self._second:
            # Thousands of records share a second.
            self._second, self._time = second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}+00:00"
        return f"{self._time} {self._host} postfix/{daemon}[{self._pid}]: "

    def log_reception_v1(self, ac: IReception, msg: IMessage, now: float | None, note: bytes | None) -> None:
        messages = [each for each in getattr(ac, "messages", ()) if each is not None]
        if messages and messages[0] is not msg:
            # One record for a message, however many its recipients are.
            return
        queue_id = queue_id_of(ac)
        client = f"unknown[{ac.recv_from}]" if ac.recv_from else "localhost[127.0.0.1]"
        self.append(
            f"{self._begin(now, 'smtpd')}{queue_id}: client={client}\n"
            f"{self._begin(now, 'qmgr')}{queue_id}: from=<{_path(ac.sender)}>, size={ac.size},"
            f" nrcpt={len(messages) or 1} (queue active)\n"
        )

    def log_delivery_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self._outcome("sent", msg, now, msg.code if note is None else note, "2.0.0")

    def log_transient_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self._outcome("deferred", msg, now, msg.code if note is None else note, "4.0.0")

    def log_permanent_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self._outcome("bounced", msg, now, msg.code if note is None else note, "5.0.0")

    def _outcome(self, status: str, msg: Any, now: float | None, note: bytes, default: str) -> None:
        if now is None:
            now = self._wall()
        reception, connection = msg.reception, msg.connection
        queue_id, age = queue_id_of(reception), max(0.0, now - reception.creation_time)
        relay, going = "none", 0.0
        if connection is not None and connection.address:
            relay = f"{connection.host_name}[{connection.address}]:{connection.port}"
            going = min(age, max(0.0, now - connection.start))
        text = last_field(note).replace("(", "[").replace(")", "]")
        said = (
            f"host {relay} said: {text}" if status != "sent" and relay != "none" and b"[internal]" not in note else text
        )
        delays = f"{_short(age - going)}/0/{_short(going)}/0"
        record = (
            f"{self._begin(now, 'smtp')}{queue_id}: to=<{_path(msg.recipient)}>, relay={relay}, delay={_short(age)},"
            f" delays={delays}, dsn={status_of(note, default)}, status={status} ({said})\n"
        )
        if status != "deferred" and reception.live - reception.has(msg) == 0:
            record += f"{self._begin(now, 'qmgr')}{queue_id}: removed\n"
        self.append(record)

    def log_rejection(
        self, now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        try:
            text = format % args
        except (TypeError, ValueError):
            text = f"{format} {args!r}"
        command = last_field(encode(ctx.get("command", "")))
        verb = command.partition(" ")[0].partition(":")[0].upper() or "CONNECT"
        self.append(
            f"{self._begin(now, 'smtpd')}NOQUEUE: reject: {verb} from unknown[{getattr(ac, 'peer', '')}]:"
            f" {last_field(encode(text))}; from=<> to=<{_named(command)}> proto=ESMTP\n"
        )


def queue_id_of(reception: Any) -> str:
    """
    The id of a reception as Postfix's are: capital hexadecimal digits alone.
    """
    return _NOT_HEX.sub("", reception.batch_id.upper()) or "0"


def _path(path: bytes) -> str:
    return _ODD.sub("?", last_field(path))


def _named(command: str) -> str:
    found = re.search(r"<([^<>\s]*)>", command)
    return found[1] if found is not None else ""


def _short(seconds: float) -> str:
    """
    Seconds as Postfix writes them: two digits that say something.
    """
    return f"{seconds:.2g}" if seconds < 100 else f"{seconds:.0f}"
