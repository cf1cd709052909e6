"""
A file of small values beside the journal, one on each line with its checksum: added to
at its end, and written anew when most of it is over.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from typing import Any, Final

from .side_files import SideFiles

#: Octets read at once.
_PIECE: Final = 1 << 20


class LineFile:
    """
    One file.  Called in workers, one call after the other; all but the constructor raise
    ``OSError``.

    :param side: its directory; ready.
    :param name: what it is called in it.
    """

    def __init__(self, side: SideFiles, name: str) -> None:
        self._side = side
        self._name = name

    def read(self, most: int | None = None) -> list[bytes]:
        """
        Its lines, for :func:`parse_line`; none of a file that is not there.

        :param most: octets behind which it is as if nothing were there; ``None`` for all.
        """
        try:
            file = self._side.files.open(self._name)
        except FileNotFoundError:
            return []
        pieces: list[bytes] = []
        try:
            at = 0
            while (most is None or at < most) and (piece := file.read(at, _PIECE)):
                pieces.append(piece)
                at += len(piece)
        finally:
            file.close()
        return [line for line in b"".join(pieces).split(b"\n") if line]

    def append(self, values: Iterable[Any]) -> int:
        """
        Add a line for each of *values*; they are on disk when this returns.

        :returns: octets of the lines.
        """
        lines = [make_line(value) for value in values]
        try:
            file = self._side.files.open(self._name)
        except FileNotFoundError:
            return self._replace(lines)
        try:
            # What was torn before stays a line of its own.
            file.append([b"\n", *lines])
            file.sync()
        finally:
            file.close()
        self._side.kept()
        return sum(map(len, lines))

    def replace(self, values: Iterable[Any]) -> int:
        """
        Have lines for *values* and no others; the file is whole or as it was, whatever happens.

        :returns: octets of the lines.
        """
        return self._replace([make_line(value) for value in values])

    def _replace(self, lines: list[bytes]) -> int:
        # No empty sequence: a file of nothing is written, too.
        self._side.replace(self._name, f"{self._name}.new", [b"", *lines])
        return sum(map(len, lines))


def make_line(value: Any) -> bytes:
    """
    A value of JSON as a line, with its checksum and its end.
    """
    text = json.dumps(value, separators=(",", ":")).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def parse_line(line: bytes) -> Any:
    """
    What :func:`make_line` made into *line*, which is without its end here.

    :raises ValueError: it was torn or spoilt.
    """
    checksum, _, text = line.partition(b" ")
    if int(checksum, 16) != zlib.crc32(text):
        raise ValueError("the checksum is another one")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is too deep") from None
