"""
One report, from what is known of some messages to a message of its own, with
everybody asked who may want it otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from ..errors import DeliveryError
from ..message.headers import HeaderBlock, header_end
from .original import Extent, original_part
from .rendering import Draft, assemble, draft
from .report import Action, Report, Told

if TYPE_CHECKING:
    from ..delivery.facilities import Facilities
    from ..interfaces.seams import IThreadExecutor
    from ..queues.message import Message, Reception

_RET: Final = {"FULL": Extent.ALL, "HDRS": Extent.HEADERS}


@dataclass(frozen=True, slots=True)
class Item:
    """
    One message of which its sender is to be told.

    :ivar message: the message.
    :ivar action: what became of it.
    :ivar to: who is told.
    :ivar told: what is told.
    :ivar end: called when it is told, or will not be; ``None`` where nobody waits for that.
    """

    message: Message
    action: Action
    to: bytes
    told: Told
    end: Callable[[], object] | None = None

    def goes_with(self, other: Item) -> bool:
        """
        Whether both can be told in one report.
        """
        return (
            self.action is other.action
            and self.to == other.to
            and self.message.reception.batch_id == other.message.reception.batch_id
        )


class Writer:
    """
    Writes reports.

    :param facilities: hooks, spool, configuration.
    :param computing: puts them together, where ``async_bounce_rendering`` says so.
    """

    def __init__(self, facilities: Facilities, computing: IThreadExecutor) -> None:
        self._f = facilities
        self._computing = computing

    async def write(self, items: list[Item]) -> bytes:
        """
        The report about *items*, of one reception; empty if there is to be none.
        """
        f, first = self._f, items[0]
        message, action = first.message, first.action.value
        hooks = f.hooks
        if hooks.generate_rfc3464_message:
            whole = hooks.generate_rfc3464_message.override(
                lambda provider: provider.generate_rfc3464_message(message, action)
            )
            if whole is not None:
                return whole
        report = self._report(items)
        part: bytes | None = None
        if hooks.rfc3464_inline_message_fragment:
            part = hooks.rfc3464_inline_message_fragment.override(
                lambda provider: provider.rfc3464_inline_message_fragment(message, action)
            )
        content = await self._content(message.reception)
        written = draft(report, part or b"", _message_id(content))
        if hooks.generate_rfc3464_message_preamble:
            hooks.generate_rfc3464_message_preamble.override(
                lambda provider: provider.generate_rfc3464_message_preamble(message, action, written) or None
            )
        extent = Extent.NONE if part is not None else self._extent(message)
        if not f.config.global_settings.async_bounce_rendering:
            return _put_together(report, written, content, extent)
        return await self._computing.run(_put_together, report, written, content, extent)

    def _report(self, items: list[Item]) -> Report:
        f, first = self._f, items[0]
        reception = first.message.reception
        dr = first.message.domain
        assert dr is not None
        settings = f.config.path(first.message.binding_slot, dr.domain)
        return Report(
            first.to,
            settings.mailerdaemon or f"mailer-daemon@{f.hostname}",
            f.hostname,
            f.ids.next(),
            f.wall(),
            reception.creation_time,
            reception.batch_id,
            tuple(item.told for item in items),
            reception.envid,
            reception.recv_from,
        )

    def _extent(self, message: Message) -> Extent:
        said = _RET.get(message.reception.ret)
        if said is not None:
            return said
        dr = message.domain
        assert dr is not None
        return Extent(self._f.config.path(message.binding_slot, dr.domain).bounces_inline_original)

    async def _content(self, reception: Reception) -> bytes:
        """
        The message as it was received; nothing if it cannot be read, which must not keep its
        sender from being told.
        """
        try:
            found: bytes | Deferred[bytes] = self._f.spool.body(reception)
            return found if isinstance(found, bytes) else await found
        except (DeliveryError, OSError):
            return b""


def _put_together(report: Report, written: Draft, content: bytes, extent: Extent) -> bytes:
    if extent is not Extent.NONE and content:
        written.original = original_part(content, extent)
    return assemble(report, written)


def _message_id(content: bytes) -> str:
    found = HeaderBlock(content[: header_end(content)]).get(b"Message-ID")
    return "" if found is None else found.decode("ascii", "replace")
