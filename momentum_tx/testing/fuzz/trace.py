"""
The trace of a story: one line per thing that happened, and a digest of all.

Nothing in a line depends on the process it is written in: no addresses of
objects, no order of sets, no time but the virtual one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from hashlib import blake2b

#: Octets of a value that are shown; of longer ones the checksum is.
_SHOWN = 60


class Trace:
    """
    Takes in what happens.

    :param seconds: the time.
    :param keep: whether the lines are kept, or only counted into the digest.
    :ivar lines: the lines, if they are kept.
    :ivar events: how many there were.
    """

    def __init__(self, seconds: Callable[[], float], keep: bool = False) -> None:
        self._seconds = seconds
        self._digest = blake2b(digest_size=16)
        self._keep = keep
        self.lines: list[str] = []
        self.events = 0

    def __call__(self, what: str, *values: object) -> None:
        """
        *what* happened.
        """
        self.events += 1
        line = f"{self._seconds():.6f} {what} {' '.join([_shown(value) for value in values])}"
        self._digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
        if self._keep:
            self.lines.append(line)

    def remark(self, text: str) -> None:
        """
        Say more of what happened last, to readers alone: the text may name objects
        by where they lie, which no two processes share.
        """
        if self._keep:
            self.lines[-1] += f" {text}"

    def digest(self) -> str:
        """
        The digest so far.
        """
        return self._digest.hexdigest()


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        if len(value) > _SHOWN:
            return f"{value[:_SHOWN]!r}+{len(value) - _SHOWN}#{zlib.crc32(value):08x}"
        return repr(value)
    return str(value)
