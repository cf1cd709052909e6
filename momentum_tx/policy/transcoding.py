"""
Other words for what a peer said: ``response_transcode_pattern`` and
``response_transcode_replace``.

Source: Momentum, module ``response_transcode``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: Octets of a status text that are kept, as of a reply.
MOST_OCTETS: Final = 2048

_PIECE: Final = re.compile(r"([^$]+)|\$(\d)|\$\{(\d{1,2})\}|\$(\$)", re.ASCII)
_CODE: Final = re.compile(rb"[45]\d\d(?= |$)")
_WHOLE: Final = re.compile(r"[45]\d\d(?: .*)?", re.ASCII | re.DOTALL)
_BEGINNING: Final = re.compile(r"(?:[45](?:\d(?:\d(?: .*)?)?)?)?", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Transcoding:
    """
    A pattern and what takes the place of a status text in which it is found.

    :ivar pattern: searched for.
    :ivar parts: of the replacement: octets, and numbers of groups of the pattern.
    """

    pattern: re.Pattern[bytes]
    parts: tuple[bytes | int, ...]

    @classmethod
    def of(cls, pattern: str, replacement: str) -> Transcoding:
        """
        The transcoding of two options.

        :raises ValueError: they do not fit together, or one of them is wrong.
        """
        compiled, parts = compiled_pattern(pattern), parsed_replacement(replacement)
        for part in parts:
            if isinstance(part, int) and part > compiled.groups:
                raise ValueError(f"has no group {part}")
        return cls(compiled, parts)

    def said(self, note: bytes) -> bytes:
        """
        What *note* becomes; *note* itself where the pattern is not found.

        :raises ValueError: it would become no refusal with a code.
        """
        found = self.pattern.search(note)
        if found is None:
            return note
        parts = (part if isinstance(part, bytes) else found[part] or b"" for part in self.parts)
        said = b"".join(parts)[:MOST_OCTETS]
        if _CODE.match(said) is None:
            raise ValueError(f"makes {said[:80]!r} of {note[:80]!r}, which has no code of a refusal")
        return said


def compiled_pattern(text: str) -> re.Pattern[bytes]:
    """
    The regex of ``response_transcode_pattern``; letters are as they are written.

    :raises ValueError: it is none.
    """
    try:
        return re.compile(text.encode())
    except re.error as error:
        raise ValueError(f"is no regex: {error}") from None


def parsed_replacement(text: str) -> tuple[bytes | int, ...]:
    """
    The parts of ``response_transcode_replace``: ``$0`` is what was found, ``$1`` or
    ``${1}`` a group of it, ``$$`` a dollar sign.

    :raises ValueError: it is wrong, whatever the pattern is.
    """
    literals = [""]
    groups: list[int] = []
    for literal, one, other, dollar in _PIECE.findall(text):
        literals[-1] += literal + dollar
        if one or other:
            groups.append(int(one or other))
            literals.append("")
    if _PIECE.sub("", text):
        raise ValueError("holds a $ that is neither of $0 to $9, ${10} or $$")
    # What may still become a code when the first group is filled in.
    if (_BEGINNING if groups else _WHOLE).fullmatch(literals[0]) is None:
        raise ValueError("does not begin with a code from 400 to 599, so that it would be no refusal")
    parts: list[bytes | int] = [literals[0].encode()]
    for group, literal in zip(groups, literals[1:], strict=True):
        parts += [group, literal.encode()]
    return tuple(parts)
