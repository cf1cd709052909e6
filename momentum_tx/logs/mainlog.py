"""
The mainlog: one record per reception, delivery, transient and permanent
failure, in Momentum's format.

Source: Momentum, page "log-formats-mainlog" and module ``ec_logger``.  The
fields, and where we differ, are in ``doc/reference/mainlog.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger, LogLevel
from zope.interface import implementer

from ..interfaces.hooks import ILoggingInfrastructure
from ..message.ids import NO_ID
from .fields import BindingFields, address, known, way_out
from .gathered import GatheredLog
from .text import encode, field, last_field

if TYPE_CHECKING:
    from ..interfaces.records import IDomainRecord, IMessage, IReception
    from ..settings import GlobalSettings
    from .files import ILogFile

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
class MainLog(GatheredLog):
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

    __slots__ = ("_bindings", "_settings")

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
        super().__init__("mainlog", file, wall, lambda: self._settings.heartbeat, "@@@@M")
        self._settings = settings
        self._bindings = BindingFields(binding_name, group_name)

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
        self._bindings.known.clear()

    # Records, in the order of the reference page.

    def log_reception(self, ac: IReception, msg: IMessage, now: float | None, note: bytes | None) -> None:
        if not self._settings.log_receptions:
            return
        slot = msg.binding_slot
        self.append(
            f"{int(self._wall() if now is None else now)}@{msg.id}@{ac.batch_id}@{ac.conn_id}@R"
            f"@{address(msg.recipient)}@{address(ac.sender)}@{known(ac.recv_from) or 'unknown'}@{ac.size}"
            f"@{known(ac.recv_method)}@{self._bindings.known.get(slot) or self._bindings.of(slot)}\n"
        )

    def log_delivery(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        if not self._settings.log_deliveries:
            return
        if now is None:
            now = self._wall()
        reception, slot = msg.reception, msg.binding_slot
        conn_id, peer = way_out(msg)
        self.append(
            f"{int(now)}@{msg.id}@{reception.batch_id}@{conn_id}@D"
            f"@{known(dr.domain)}@{msg.transferred}@{self._bindings.known.get(slot) or self._bindings.of(slot)}"
            f"@{msg.num_retries}@{max(0.0, now - reception.creation_time):.3f}@{peer}\n"
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
        conn_id, peer = way_out(msg)
        self.append(
            f"{int(now)}@{msg.id}@{reception.batch_id}@{conn_id}@{kind}"
            f"@{field(dr.domain)}@{msg.transferred}@{self._bindings.of(msg.binding_slot)}@{int(msg.stage)}"
            f"@{msg.num_retries}@{max(0.0, now - reception.creation_time):.3f}@{peer}"
            f"@{last_field(msg.code if note is None else note)}\n"
        )

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
