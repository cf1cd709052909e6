"""
On which line of a TOML text a key stands; the standard parser does not say.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from typing import Final

#: Between statements: white space, line ends, comments.
_BLANK: Final = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")
#: One part of a key: basic string, literal string, bare.
_PART: Final = re.compile(r"""[ \t]*("(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
#: One piece of a value: a string of one of four kinds, a comment, a bracket, a line end, anything else.
_PIECE: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?!")'
    + r"|'''.*?'''(?!')"
    + r"""|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*|[^"'#\[\]{}\n]+|.""",
    re.DOTALL,
)
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def spelled(path: tuple[str, ...]) -> str:
    """
    A key path as TOML writes it: quoted only where it must be.
    """
    return ".".join(_spelled_part(part) for part in path)


def _spelled_part(part: str) -> str:
    if _BARE.fullmatch(part):
        return part
    if ("\\" in part or part.startswith("/")) and "'" not in part and part.isprintable():
        return f"'{part}'"
    escaped = part.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04X}" for c in escaped) + '"'


class Lines:
    """
    The line of every table and key of a text that is known to be valid TOML.

    What stands inside a value (elements of an array, keys of an inline table)
    has the line of the key the value belongs to.

    :param text: the source, line ends as LF.
    :ivar twice: of a text that is not valid because of it, the first table or key
        that is written a second time, and the line of the first time.
    """

    def __init__(self, text: str) -> None:
        self.twice: tuple[tuple[str, ...], int] | None = None
        self._lines: dict[tuple[str, ...], int] = {}
        self._implied: set[tuple[str, ...]] = set()
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._scan(text)

    def line(self, path: tuple[str, ...]) -> int:
        """
        Line of *path*, or of the nearest table or key around it; 1 if there is none.
        """
        while path:
            found = self._lines.get(path)
            if found is not None:
                return found
            path = path[:-1]
        return 1

    def _scan(self, text: str) -> None:
        table: tuple[str, ...] = ()
        position = _skip(text, 0)
        while position < len(text):
            start = position
            if text[position] == "[":
                path, position = _key(text, position + (2 if text.startswith("[[", position) else 1))
                table = path
                while text.startswith("]", position):
                    position += 1
            else:
                path, position = _key(text, position)
                if not path or not text.startswith("=", position):
                    # The caller vouched for the text; a lost scanner must at least end.
                    return
                path = table + path
                position = _skip_value(text, position + 1)
            self._note(path, bisect_left(self._ends, start) + 1)
            position = _skip(text, position)

    def _note(self, path: tuple[str, ...], line: int) -> None:
        if self.twice is None and path in self._lines and path not in self._implied:
            self.twice = path, self._lines[path]
        self._lines[path] = line
        self._implied.discard(path)
        # A table that is only implied stands where it is first implied.
        for length in range(len(path) - 1, 0, -1):
            if path[:length] in self._lines:
                return
            self._lines[path[:length]] = line
            self._implied.add(path[:length])


def _skip(text: str, position: int) -> int:
    blank = _BLANK.match(text, position)
    return blank.end() if blank else position


def _key(text: str, position: int) -> tuple[tuple[str, ...], int]:
    parts: list[str] = []
    while part := _PART.match(text, position):
        written = part[1]
        if written[0] == '"':
            written = tomllib.loads(f"k={written}")["k"]
        elif written[0] == "'":
            written = written[1:-1]
        parts.append(written)
        position = part.end()
        if not text.startswith(".", position):
            break
        position += 1
    return tuple(parts), position


def _skip_value(text: str, position: int) -> int:
    depth = 0
    while piece := _PIECE.match(text, position):
        if piece[0] in ("[", "{"):
            depth += 1
        elif piece[0] in ("]", "}"):
            depth -= 1
        elif piece[0] == "\n" and depth == 0:
            break
        position = piece.end()
    return position
