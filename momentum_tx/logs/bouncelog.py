"""
bouncelog: every failure with what it means.

Source: Momentum, module ``bounce_logger``.  The fields are in ``doc/reference/logs.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ..interfaces import hooks as contracts
from .fields import BindingFields, address, way_out
from .gathered import GatheredLog
from .text import last_field

if TYPE_CHECKING:
    from ..interfaces.records import IDomainRecord, IMessage
    from ..settings import GlobalSettings
    from .files import ILogFile

#: Code of mail that is a wish to subscribe, which is no bounce and never logged as one.
SUBSCRIBE = 80


@implementer(contracts.ILogTransientFailureV1, contracts.ILogPermanentFailureV1, contracts.ILogReopen)
class BounceLog(GatheredLog):
    """
    The logger that writes bouncelog.

    :param file: where the records go; open.
    :param wall: wall time in epoch seconds.
    :param settings: gives the options in force.
    :param bindings: the two fields of a binding.
    :param classify: code of a note, for a domain.
    """

    __slots__ = ("_bindings", "_classify", "_settings")

    def __init__(
        self,
        file: ILogFile,
        wall: Callable[[], float],
        settings: Callable[[], GlobalSettings],
        bindings: BindingFields,
        classify: Callable[[bytes, str], int],
    ) -> None:
        super().__init__("bouncelog", file, wall, lambda: settings().heartbeat, "@@@@M1")
        self._settings = settings
        self._bindings = bindings
        self._classify = classify

    def log_transient_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        settings = self._settings()
        if settings.log_bounce_transients and settings.log_inband_bounces:
            self._failure("T", msg, dr, now, note)

    def log_permanent_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        if self._settings().log_inband_bounces:
            self._failure("B", msg, dr, now, note)

    def _failure(self, kind: str, msg: Any, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        note = msg.code if note is None else note
        code = self._classify(note, dr.domain)
        if code == SUBSCRIBE:
            return
        reception = msg.reception
        conn_id, peer = way_out(msg)
        self.append(
            f"{int(self._wall() if now is None else now)}@{msg.id}@{reception.batch_id}@{conn_id}@{kind}"
            f"@{address(msg.recipient)}@{address(reception.sender)}@{self._bindings.of(msg.binding_slot)}"
            f"@{int(msg.stage)}@{code}@{reception.size}@{peer}@{last_field(note)}\n"
        )
