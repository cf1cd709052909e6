"""
Records as they are now, for providers that hear of them in a thread: the records
themselves belong to the reactor's thread, and are other ones a moment later.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from zope.interface import Attribute
from zope.interface.interface import InterfaceClass, Method

from ..interfaces import records

#: Which records are copied, by what they provide; the first that suits.
_COPIED: tuple[InterfaceClass, ...] = (
    records.IMessage,
    records.IReception,
    records.IConnectionHandle,
    records.IConnection,
    records.IDomainRecord,
)
#: What is not copied of them: it belongs to the reactor's thread altogether.
_LEFT_OUT = frozenset({"mail_queue", "stream", "transcript", "user_data", "host"})


class Capture:
    """
    Stands in for a provider, and keeps what it was called with.

    :ivar name: of the method.
    :ivar arguments: its arguments.
    """

    def __init__(self) -> None:
        self.name = ""
        self.arguments: tuple[object, ...] = ()

    def __getattr__(self, name: str) -> Callable[..., None]:
        def keep(*arguments: object) -> None:
            self.name, self.arguments = name, arguments

        return keep


def snapshot(value: Any, known: dict[int, Any] | None = None) -> Any:
    """
    *value* itself, or where it is a record a copy of it, with the attributes of its contract.

    :param known: copies of records that belong together.
    """
    if value is None or isinstance(value, (str, bytes, int, float)):
        return value
    if known is None:
        known = {}
    found = known.get(id(value))
    if found is not None:
        return found
    if isinstance(value, (list, tuple)):
        return type(value)(snapshot(each, known) for each in value)
    for interface in _COPIED:
        if interface.providedBy(value):
            copy = known[id(value)] = SimpleNamespace()
            for name, description in interface.namesAndDescriptions():
                if isinstance(description, Attribute) and not isinstance(description, Method) and name not in _LEFT_OUT:
                    setattr(copy, name, snapshot(getattr(value, name), known))
            return copy
    return value
