"""
A log as Exim writes its main log, for programs that read those, such as ``eximstats``.

Times are UTC, with the time zone behind, as with Exim's option ``log_timezone``.  What
each record is, is said in ``doc/reference/logs.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from ..interfaces import hooks as contracts
from .gathered import GatheredLog
from .text import encode, last_field

if TYPE_CHECKING:
    from ..interfaces.records import IDomainRecord, IMessage, IReception
    from .files import ILogFile

_BLANK: Final = re.compile(r"\s")
_NOT_HEX: Final = re.compile(r"[^0-9A-F]")
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@implementer(
    contracts.ILogReceptionV1,
    contracts.ILogDeliveryV1,
    contracts.ILogTransientFailureV1,
    contracts.ILogPermanentFailureV1,
    contracts.ILogRejection,
    contracts.ILogReopen,
)
class EximStyleLog(GatheredLog):
    """
    The logger; it has no heartbeat.

    :param file: where the records go; open.
    :param wall: wall time in epoch seconds.
    """

    __slots__ = ("_second", "_time")

    def __init__(self, file: ILogFile, wall: Callable[[], float]) -> None:
        super().__init__("eximlog", file, wall, lambda: 0.0, "")
        self._second = -1
        self._time = ""

    def _begin(self, now: float | None) -> str:
        second = int(self._wall() if now is None else now)
        if second != self._second:
            self._second, self._time = second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S} +0000"
        return self._time

    def log_reception_v1(self, ac: IReception, msg: IMessage, now: float | None, note: bytes | None) -> None:
        messages = [each for each in getattr(ac, "messages", ()) if each is not None]
        if messages and messages[0] is not msg:
            return
        sender = _path(ac.sender) or "<>"
        source = f"H=[{ac.recv_from}] P={ac.recv_method}" if ac.recv_from else "U=momentum-tx P=local"
        recipients = " ".join(_path(each.recipient) for each in messages) or _path(msg.recipient)
        self.append(f"{self._begin(now)} {exim_id_of(ac)} <= {sender} {source} S={ac.size} for {recipients}\n")

    def log_delivery_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        text = last_field(msg.code if note is None else note).replace('"', "'")
        self._outcome("=>", msg, now, f' S={msg.reception.size}{_host(msg)} C="{text}"')

    def log_transient_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        text = last_field(msg.code if note is None else note)
        self._outcome("==", msg, now, f"{_host(msg)} defer (0): {text}")

    def log_permanent_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        text = last_field(msg.code if note is None else note)
        self._outcome("**", msg, now, f"{_host(msg)}: {text}")

    def _outcome(self, flag: str, msg: Any, now: float | None, rest: str) -> None:
        reception = msg.reception
        begin = f"{self._begin(now)} {exim_id_of(reception)} "
        record = f"{begin}{flag} {_path(msg.recipient)} R=dnslookup T=remote_smtp{rest}\n"
        if flag != "==" and reception.live - reception.has(msg) == 0:
            record += f"{begin}Completed\n"
        self.append(record)

    def log_rejection(
        self, now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        try:
            text = format % args
        except (TypeError, ValueError):
            text = f"{format} {args!r}"
        command = last_field(encode(ctx.get("command", "")))
        verb = command.partition(" ")[0].upper() or "connection"
        path = re.search(r"<[^<>\s]*>", command)
        about = f" {path[0]}" if path is not None else ""
        self.append(
            f"{self._begin(now)} H=[{getattr(ac, 'peer', '')}] rejected {verb}{about}: {last_field(encode(text))}\n"
        )


def exim_id_of(reception: Any) -> str:
    """
    The id of a reception as Exim's are: six, six and two digits of base 62.
    """
    number = int(_NOT_HEX.sub("", reception.batch_id.upper()) or "0", 16)
    digits = ""
    for _ in range(14):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return f"{digits[:6]}-{digits[6:12]}-{digits[12:]}"


def _host(msg: IMessage) -> str:
    connection = msg.connection
    if connection is None or not connection.address:
        return ""
    return f" H={connection.host_name} [{connection.address}]"


def _path(path: bytes) -> str:
    return _BLANK.sub("?", last_field(path))
