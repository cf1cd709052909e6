"""
Message, batch and connection ids in Momentum's text form
``cc/cc-PPPPP-SSSSSSSS``.

``SSSSSSSS`` are the low 32 bits of a Unix time in seconds, ``PPPPP`` is the
process id in decimal, ``cccc`` a counter of 16 bits; the hexadecimal digits of
time and counter are written in reverse order.  Source: Momentum, the samples of
the pages ``ec_show`` and ``log-formats-mainlog``, structure ``message_id``.
"""

import re
from collections.abc import Callable
from typing import Final

#: The id that stands for "none", such as the connection of a message no connection was opened for.
NO_ID: Final = "00/00-00000-00000000"

#: Ids that fit into one second: the counter has 16 bits.
IDS_PER_SECOND: Final = 1 << 16

#: The two hexadecimal digits of an octet, last digit first.
_PAIRS: Final = tuple(f"{octet:02X}"[::-1] for octet in range(256))

_SHAPE: Final = re.compile(r"([0-9A-F]{2})/([0-9A-F]{2})-([0-9]{5})-([0-9A-F]{8})")


class MessageIds:
    """
    Makes the ids of one process; no two are equal, whatever their use.

    The counter runs through all seconds without a reset.  When all its values
    are used up within one second, the second that is embedded moves on, ahead
    of the clock if need be; it never moves back, so that a wall clock that is
    set back causes no repetition either.  The embedded second is therefore
    *about* the time of making, and no record of it.
    """

    __slots__ = ("_counter", "_left", "_second", "_tail", "_wall", "pid")

    def __init__(self, wall: Callable[[], float], pid: int) -> None:
        """
        :param wall: gives the wall time in epoch seconds.
        :param pid: process id; its last five decimal digits are embedded.
        """
        #: The number that is embedded as process id.
        self.pid = pid % 100_000
        self._wall = wall
        self._counter = IDS_PER_SECOND - 1
        self._second = -1
        #: Ids that may still be made with the embedded second.
        self._left = 0
        self._tail = ""

    def next(self) -> str:
        """
        A new id.
        """
        return self.generate_connection_id(int(self._wall()))

    def next_batch(self, count: int) -> list[str]:
        """
        New ids for *count* messages of one reception.
        """
        second = int(self._wall())
        return [self.generate_connection_id(second) for _ in range(count)]

    def generate_connection_id(self, nowsec: int) -> str:
        """
        A new id for a connection (Momentum: ``ec_generate_connection_id``).

        :param nowsec: the Unix time to embed; if ids with a later second exist
            already, theirs is embedded instead.
        """
        if nowsec > self._second or not self._left:
            self._enter(nowsec)
        self._left -= 1
        counter = self._counter = (self._counter + 1) & 0xFFFF
        return f"{_PAIRS[counter & 0xFF]}/{_PAIRS[counter >> 8]}{self._tail}"

    def seen(self, id: str) -> None:
        """
        *id* exists from an earlier life of the process: do not make it again.

        Call it for what the spool recovers.  In a container the process id is
        the same after every start, and a start may take less than a second.

        :raises ValueError: if *id* is no id.
        """
        second, pid, _ = decode(id)
        if pid == self.pid and second >= self._second:
            self._second = second
            self._left = 0

    def _enter(self, second: int) -> None:
        self._second = second = max(second, self._second + 1)
        self._left = IDS_PER_SECOND
        digits = f"{second & 0xFFFFFFFF:08X}"
        self._tail = f"-{self.pid:05d}-{digits[::-1]}"


def decode(id: str) -> tuple[int, int, int]:
    """
    What an id is made of: (seconds, process id, counter).

    :returns: seconds are the low 32 bits of the Unix time.
    :raises ValueError: if *id* is no id.
    """
    match = _SHAPE.fullmatch(id)
    if match is None:
        raise ValueError(f"not a message id: {id!r}")
    low, high, pid, second = match.groups()
    return int(second[::-1], 16), int(pid), int((low + high)[::-1], 16)
