"""
What follows a command, as whoever may change it sees it.

Source: Momentum, ``smtp_client_args_add``, ``_delete`` and ``_exists_and_fetch``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from zope.interface import implementer

from ..interfaces.records import ICommandArguments

#: RFC 5321 4.1.2: esmtp-keyword and esmtp-value.
_KEYWORD: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*\Z")
_VALUE: Final = re.compile(rb"[\x21-\x3c\x3e-\x7e]+\Z")


@implementer(ICommandArguments)
class CommandArguments:
    """
    The parameters of MAIL or RCPT, or the attributes of XCLIENT, in their order.

    :param text: as they would be said.
    """

    __slots__ = ("_found",)

    def __init__(self, text: bytes = b"") -> None:
        self._found: dict[bytes, bytes | None] = {}
        for word in text.split():
            name, equals, value = word.partition(b"=")
            self._found[name.upper()] = value if equals else None

    def add(self, name: bytes, value: bytes | None = None) -> None:
        """
        Say *name* too, or with another value (Momentum: ``smtp_client_args_add``).

        :param value: already encoded, as xtext where the extension wants that; ``None``
            says the name alone.
        :raises ValueError: it cannot be said.
        """
        if not _KEYWORD.match(name):
            raise ValueError(f"no name of an argument: {name!r}")
        if value is not None and not _VALUE.match(value):
            raise ValueError(f"no value for {name!r}: {value!r}")
        self._found[name.upper()] = value

    def delete(self, name: bytes) -> None:
        """
        Do not say *name*; harmless if nobody would (Momentum: ``smtp_client_args_delete``).
        """
        self._found.pop(name.upper(), None)

    def fetch(self, name: bytes) -> bytes | None:
        """
        The value of *name*; ``None`` if it has none, or is not there (Momentum:
        ``smtp_client_args_exists_and_fetch``).
        """
        return self._found.get(name.upper())

    def __contains__(self, name: bytes) -> bool:
        return name.upper() in self._found

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._found)

    def __bytes__(self) -> bytes:
        return b" ".join(name if value is None else name + b"=" + value for name, value in self._found.items())
