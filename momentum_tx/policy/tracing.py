"""
What a live trace is of: which connections, and which file it goes to.

Source: Momentum's console command ``trace smtp``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

#: Stands for all of them.
ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Trace:
    """
    :ivar file: path of the file.
    :ivar domain: a routing domain, or ``*``.
    :ivar binding: a binding, or ``*``.
    :ivar host: name or address of a mail exchanger, or ``*``.
    """

    file: str
    domain: str = ANY
    binding: str = ANY
    host: str = ANY

    def follows(self, domain: str, binding: str, host: str, address: str) -> bool:
        """
        Whether a connection is to be traced.
        """
        return (
            self.domain in (ANY, domain)
            and self.binding in (ANY, binding)
            and (self.host == ANY or self.host in (host, address))
        )

    def __str__(self) -> str:
        return f"domain={self.domain} binding={self.binding} host={self.host} file={self.file}"


_WORDS: Final = frozenset(field.name for field in fields(Trace))


def parse(text: str) -> Trace:
    """
    A trace as written: ``domain=example.com file=/var/log/example.trace``; what
    is left out is everything, but for the file.

    :raises ValueError: it is not written so.
    """
    said: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if name not in _WORDS or not equals or not value:
            raise ValueError(f"{word!r} is none of domain=, binding=, host= and file= with a value")
        if name in said:
            raise ValueError(f"{name}= is there twice")
        said[name] = value if name in ("file", "binding") else value.lower().rstrip(".")
    if "file" not in said:
        raise ValueError("file= is missing")
    if not said["file"].startswith("/"):
        raise ValueError(f"file={said['file']} is no absolute path")
    return Trace(**said)
