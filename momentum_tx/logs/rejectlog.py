"""
rejectlog: what injecting clients were refused.

Source: Momentum, module ``ec_logger``.  The fields are in ``doc/reference/logs.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.interface import implementer

from ..interfaces import hooks as contracts
from ..message.ids import NO_ID
from .gathered import GatheredLog
from .text import encode, last_field

if TYPE_CHECKING:
    from ..settings import GlobalSettings
    from .files import ILogFile


@implementer(contracts.ILogRejection, contracts.ILogReopen)
class RejectLog(GatheredLog):
    """
    The logger that writes rejectlog.

    :param file: where the records go; open.
    :param wall: wall time in epoch seconds.
    :param settings: gives the options in force.
    """

    __slots__ = ("_settings",)

    def __init__(self, file: ILogFile, wall: Callable[[], float], settings: Callable[[], GlobalSettings]) -> None:
        super().__init__("rejectlog", file, wall, lambda: settings().heartbeat, ": Marker 1")
        self._settings = settings

    def log_rejection(
        self, now: float | None, ac: object, ctx: dict[str, str], phase: int, format: str, args: tuple[object, ...]
    ) -> None:
        if not self._settings().log_rejections:
            return
        try:
            text = format % args
        except (TypeError, ValueError):
            # A format that does not suit its values is a small fault; what was refused is still worth knowing.
            text = f"{format} {args!r}"
        known = ",".join(f"{name}={_quoted(value)}" for name, value in ctx.items() if name != "code")
        self.append(
            f'{int(self._wall() if now is None else now)}: R="{_endpoint(ac, "peer")}" L="{_endpoint(ac, "local")}"'
            f' C="{getattr(ac, "conn_id", "") or NO_ID}" PATH="" PATH_GRP="" P="{phase}" E={ctx.get("code", "")}'
            f" M=smtp CTXCONN=[] CTXMESS=[{known}] {last_field(encode(text))}\n"
        )


def _endpoint(ac: object, name: str) -> str:
    host = getattr(ac, name, "") or ""
    return f"{host}:{getattr(ac, f'{name}_port', 0)}" if host else ""


def _quoted(value: str) -> str:
    """
    *value* without what would end it.
    """
    return last_field(encode(value)).replace("\\", "\\\\").replace(",", "\\,").replace("]", "\\]")
