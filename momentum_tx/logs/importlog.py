"""
The importlog: which messages of an export have come into a spool, in Momentum's format.

Source: Momentum, page "log-formats-importlog"; ``doc/reference/logs.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.interface import implementer

from ..interfaces.queue_hooks import ILogSpoolImport
from .gathered import GatheredLog
from .text import encode, field, last_field

if TYPE_CHECKING:
    from ..interfaces.records import IMessage
    from .files import ILogFile


@implementer(ILogSpoolImport)
class ImportLog(GatheredLog):
    """
    The logger that writes importlog.

    :param file: where the records go; open.
    :param wall: wall time in epoch seconds.
    """

    __slots__ = ()

    def __init__(self, file: ILogFile, wall: Callable[[], float]) -> None:
        super().__init__("importlog", file, wall, lambda: 0.0, "")

    def log_spool_import(self, msg: IMessage | None, original_id: str, now: float, spool: str, result: int) -> None:
        # Ids stay, so that what was imported has the one it had.
        new = original_id if result == 1 else ""
        if msg is not None:
            new = msg.id
        self.append(f"{int(now)}@{field(original_id)}@I@{field(new)}@{result}@{last_field(encode(spool))}\n")
