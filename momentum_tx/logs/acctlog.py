"""
The acctlog: who was let in, and who may do what, in Momentum's format.

Source: Momentum, page "log-formats-acctlog"; ``doc/reference/logs.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.interface import implementer

from ..accounting import AccountingKind, AccountingRecord
from ..interfaces.hooks import ILogReopen
from ..interfaces.queue_hooks import IAaaLog
from .gathered import GatheredLog
from .text import MAX_TEXT, encode

if TYPE_CHECKING:
    from .files import ILogFile


@implementer(IAaaLog, ILogReopen)
class AcctLog(GatheredLog):
    """
    The logger that writes acctlog; it has no heartbeat.

    :param file: where the records go; open.
    :param wall: wall time in epoch seconds.
    """

    __slots__ = ()

    def __init__(self, file: ILogFile, wall: Callable[[], float]) -> None:
        super().__init__("acctlog", file, wall, lambda: 0.0, "")

    def aaa_log(self, record: AccountingRecord) -> None:
        fields = [str(int(record.time)), str(record.kind), record.listener, record.peer, record.user]
        fields.append(str(record.result))
        if record.kind is AccountingKind.AUTHORIZATION:
            fields += [record.command, record.role]
        self.append("@".join(map(escaped, fields)) + "\n")


def escaped(text: str) -> str:
    """
    *text* as a field: a backslash before ``@`` and backslash, and what cannot be printed as
    ``\\xNN``, so that a record stays one line.
    """
    return "".join(_escape(char) for char in text[:MAX_TEXT])


def _escape(char: str) -> str:
    if char in "@\\":
        return "\\" + char
    if char.isprintable():
        return char
    return "".join(f"\\x{octet:02x}" for octet in encode(char))
