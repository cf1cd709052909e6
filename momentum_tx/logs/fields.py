"""
Fields that several of Momentum's logs have in common.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ..message.ids import NO_ID
from .text import decode, field

if TYPE_CHECKING:
    from ..interfaces.records import IMessage


class BindingFields:
    """
    The two fields group and binding of each slot.

    :param binding_name: name of the binding of a slot.
    :param group_name: name of the binding group of a slot; neither is called with the
        slot of a message that has no binding yet.
    """

    __slots__ = ("_binding_name", "_group_name", "known")

    def __init__(self, binding_name: Callable[[int], str], group_name: Callable[[int], str]) -> None:
        self._binding_name = binding_name
        self._group_name = group_name
        #: By slot, as far as they were asked for since the configuration was read.
        self.known: dict[int, str] = {}

    def of(self, slot: int) -> str:
        """
        The two fields; both empty before a binding was chosen.
        """
        if slot < 0:
            return "@"
        found = self.known.get(slot)
        if found is None:
            found = f"{field(self._group_name(slot))}@{field(self._binding_name(slot))}"
            self.known[slot] = found
        return found


def way_out(msg: IMessage) -> tuple[str, str]:
    """
    Id and peer of the connection of the attempt, of none where there was none.
    """
    connection = msg.connection
    if connection is None:
        return NO_ID, ""
    return connection.conn_id or NO_ID, connection.address


def address(path: bytes) -> str:
    """
    The two fields local part and domain of *path*; the last ``@`` parts them.
    """
    if _PLAIN(path) is not None:
        # Nearly every one: what parts the fields is what parts the address.
        return path.decode()
    local, at, domain = decode(path).rpartition("@")
    return f"{field(local)}@{field(domain)}" if at else f"{field(domain)}@"


#: Of domains and the like the same few come again and again.
known: Final = lru_cache(4096)(field)
#: An address with one ``@`` and nothing that has to be escaped.
_PLAIN: Final = re.compile(rb"[ -?A-\[\]-~]*@[ -?A-\[\]-~]*").fullmatch
