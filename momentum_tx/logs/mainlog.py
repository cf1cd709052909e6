"""
The mainlog: one record per reception, delivery, transient and permanent
failure, in Momentum's format.

Source: Momentum, page "log-formats-mainlog" and module ``ec_logger``.  The
fields, and where we differ, are in ``doc/reference/mainlog.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger, LogLevel
from zope.interface import implementer

from ..interfaces.hooks import ILoggingInfrastructure
from ..message.ids import NO_ID
from .text import decode, encode, field, last_field

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from ..interfaces.records import IDomainRecord, IMessage, IReception
    from ..settings import GlobalSettings
    from .files import ILogFile

#: Octets of records that wait for the end of the turn; at the bound they are written at once.
BUFFER_SIZE: Final = 1 << 20

#: Seconds between two reports that the log cannot be written.  A disk that is
#: full by a hair fails and recovers many times a second.
REPORT_INTERVAL: Final = 60.0

#: Momentum's words for how bad an error is, and Twisted's.
_LEVELS: Final = {
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "notice": LogLevel.info,
    "warning": LogLevel.warn,
    "error": LogLevel.error,
    "critical": LogLevel.critical,
}


@implementer(ILoggingInfrastructure)
class MainLog:
    """
    The logger that writes mainlog.

    Made by the service, with its file open; registered as one logging
    infrastructure.  Records are gathered and written once per turn of the
    reactor, between :meth:`start` and :meth:`stop`; outside of that each is
    written at once.  A record that cannot be written is dropped and counted:
    mail does not wait for its log.

    It has no paniclog and no rejectlog: errors and rejections go to Twisted's
    logger under the namespace of this module.
    """

    __slots__ = (
        "_binding_name",
        "_bindings",
        "_clock",
        "_failing",
        "_file",
        "_group_name",
        "_heartbeat",
        "_lines",
        "_settings",
        "_size",
        "_told",
        "_told_at",
        "_turn",
        "_wall",
        "lost",
    )

    #: Attempts have no record: nobody need tell of them.
    unheard: Final = ("log_attempt_v1",)

    _log = Logger()

    def __init__(
        self,
        file: ILogFile,
        wall: Callable[[], float],
        settings: GlobalSettings,
        binding_name: Callable[[int], str],
        group_name: Callable[[int], str],
    ) -> None:
        """
        :param file: where the records go; open.
        :param wall: wall time in epoch seconds, for records without ``now``.
        :param settings: ``log_receptions`` and its siblings, and ``heartbeat``.
        :param binding_name: name of the binding of a slot.
        :param group_name: name of the binding group of a slot; neither is
            called with the slot of a message that has no binding yet.
        """
        self._settings = settings
        #: The two fields of each binding slot.
        self._bindings: dict[int, str] = {}
        #: Records dropped since the log was made.
        self.lost = 0
        self._file = file
        self._wall = wall
        self._binding_name = binding_name
        self._group_name = group_name
        self._lines: list[bytes] = []
        self._size = 0
        self._clock: IReactorTime | None = None
        self._turn: IDelayedCall | None = None
        self._heartbeat: IDelayedCall | None = None
        self._failing = False
        #: Whether the operator knows of the present failure, and when one was last told of.
        self._told = False
        self._told_at: float | None = None

    @property
    def settings(self) -> GlobalSettings:
        """
        Which records are written; exchanged when the configuration was read anew, which may have
        put a binding into another group.
        """
        return self._settings

    @settings.setter
    def settings(self, settings: GlobalSettings) -> None:
        self._settings = settings
        self._bindings.clear()

    # Life.

    def start(self, clock: IReactorTime) -> None:
        """
        Gather records per turn of *clock* and write heartbeats.

        :raises RuntimeError: if it is started already.
        """
        if self._clock is not None:
            raise RuntimeError("the mainlog is started already")
        self._clock = clock
        self._await_beat()

    def stop(self) -> None:
        """
        Write what is gathered and give the clock its timers back; harmless twice.
        """
        self._clock = None
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None
        self.flush()

    def beat(self, now: float | None) -> None:
        """
        Write a heartbeat: the log's reader sees that silence means no mail.
        """
        self._append(f"{int(self._wall() if now is None else now)}@@@@M\n")

    def _await_beat(self) -> None:
        self._heartbeat = None
        # Read at every beat, so that a new configuration holds from the next one on.
        period = self.settings.heartbeat
        if self._clock is not None and period > 0:
            self._heartbeat = self._clock.callLater(period, self._beat_due)

    def _beat_due(self) -> None:
        self._await_beat()
        self.beat(None)

    # Records, in the order of the reference page.

    def log_reception(self, ac: IReception, msg: IMessage, now: float | None, note: bytes | None) -> None:
        if not self._settings.log_receptions:
            return
        slot = msg.binding_slot
        self._append(
            f"{int(self._wall() if now is None else now)}@{msg.id}@{ac.batch_id}@{ac.conn_id}@R"
            f"@{_address(msg.recipient)}@{_address(ac.sender)}@{_known(ac.recv_from) or 'unknown'}@{ac.size}"
            f"@{_known(ac.recv_method)}@{self._bindings.get(slot) or self._binding(slot)}\n"
        )

    def log_delivery(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        if not self._settings.log_deliveries:
            return
        if now is None:
            now = self._wall()
        reception, slot = msg.reception, msg.binding_slot
        conn_id, address = _way_out(msg)
        self._append(
            f"{int(now)}@{msg.id}@{reception.batch_id}@{conn_id}@D"
            f"@{_known(dr.domain)}@{msg.transferred}@{self._bindings.get(slot) or self._binding(slot)}"
            f"@{msg.num_retries}@{max(0.0, now - reception.creation_time):.3f}@{address}\n"
        )

    def log_transient_failure(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        if self.settings.log_transient_failures:
            self._log_failure("T", msg, dr, now, note)

    def log_permanent_failure(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        if self.settings.log_permanent_failures:
            self._log_failure("P", msg, dr, now, note)

    def log_attempt(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes) -> None:
        """
        Write nothing: attempts have no record in Momentum's mainlog.
        """

    def _log_failure(self, kind: str, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        if now is None:
            now = self._wall()
        reception = msg.reception
        conn_id, address = _way_out(msg)
        self._append(
            f"{int(now)}@{msg.id}@{reception.batch_id}@{conn_id}@{kind}"
            f"@{field(dr.domain)}@{msg.transferred}@{self._binding(msg.binding_slot)}@{int(msg.stage)}"
            f"@{msg.num_retries}@{max(0.0, now - reception.creation_time):.3f}@{address}"
            f"@{last_field(msg.code if note is None else note)}\n"
        )

    def _binding(self, slot: int) -> str:
        """
        The two fields group and binding; both empty before a binding was chosen.
        """
        if slot < 0:
            return "@"
        found = self._bindings.get(slot)
        if found is None:
            found = f"{field(self._group_name(slot))}@{field(self._binding_name(slot))}"
            self._bindings[slot] = found
        return found

    # What has no record here goes to the diagnostics.

    def log_error(self, now: float | None, level: str, text: str) -> None:
        self._log.emit(_LEVELS.get(level, LogLevel.error), "{text}", text=last_field(encode(text)))

    def log_rejection(
        self, now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        try:
            text = format % args
        except (TypeError, ValueError):
            # A format that does not suit its values is a small fault; what was refused is still worth knowing.
            text = f"{format} {args!r}"
        conn_id = getattr(ac, "conn_id", NO_ID)
        peer = getattr(ac, "peer", "")
        known = " ".join(f"{name}={value}" for name, value in ctx.items())
        self._log.info(
            "{text}", text=last_field(encode(f"rejected: {text} peer={peer} conn_id={conn_id} phase={phase} {known}"))
        )

    # The file.

    def log_reopen(self) -> None:
        self.flush()
        try:
            self._file.reopen()
        except OSError as error:
            self._log.error("mainlog cannot be opened anew and goes on in the old file: {error}", error=error)

    def log_close(self) -> None:
        self.stop()
        self._file.close()

    def flush(self) -> None:
        """
        Write what is gathered, now.
        """
        turn, self._turn = self._turn, None
        if turn is not None and turn.active():
            turn.cancel()
        if not self._lines:
            return
        data = b"".join(self._lines)
        self._lines.clear()
        self._size = 0
        kept = self._file.write(data)
        if kept == len(data):
            if self._failing:
                self._recovered()
            return
        self.lost += data.count(b"\n", kept)
        self._failed()

    def _append(self, line: str) -> None:
        try:
            record = line.encode()
        except UnicodeEncodeError:
            record = encode(line)
        self._lines.append(record)
        self._size += len(record)
        if self._clock is None or self._size >= BUFFER_SIZE:
            self.flush()
        elif self._turn is None:
            self._turn = self._clock.callLater(0, self.flush)

    def _failed(self) -> None:
        self._failing = True
        if self._told:
            return
        now = self._wall()
        # The absolute difference, since a clock that was set back must not silence us.
        if self._told_at is None or abs(now - self._told_at) >= REPORT_INTERVAL:
            self._told = True
            self._told_at = now
            self._log.error("mainlog cannot be written and loses records until it can: {error}", error=self._file.error)

    def _recovered(self) -> None:
        self._failing = False
        if self._told:
            self._told = False
            self._log.info("mainlog is written again; {lost} records were lost so far", lost=self.lost)


def _way_out(msg: IMessage) -> tuple[str, str]:
    """
    Id and peer of the connection of the attempt, of none where there was none.
    """
    connection = msg.connection
    if connection is None:
        return NO_ID, ""
    return connection.conn_id or NO_ID, connection.address


def _address(path: bytes) -> str:
    """
    The two fields local part and domain of *path*; the last ``@`` parts them.
    """
    if _PLAIN(path) is not None:
        # Nearly every one: what parts the fields is what parts the address.
        return path.decode()
    local, at, domain = decode(path).rpartition("@")
    return f"{field(local)}@{field(domain)}" if at else f"{field(domain)}@"


#: Of domains and the like the same few come again and again.
_known: Final = lru_cache(4096)(field)
#: An address with one ``@`` and nothing that has to be escaped.
_PLAIN: Final = re.compile(rb"[ -?A-\[\]-~]*@[ -?A-\[\]-~]*").fullmatch
