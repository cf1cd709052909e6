"""
A set of keys of receptions.
"""

from typing import Final

#: Keys that share one number.
_SHIFT: Final = 6
_MASK: Final = (1 << _SHIFT) - 1


class Keys:
    """
    Keys that mostly follow one another: of a million in a row each takes some two
    octets, and one that stands alone some hundred.
    """

    def __init__(self) -> None:
        self._bits: dict[int, int] = {}

    def __contains__(self, key: int) -> bool:
        return bool(self._bits.get(key >> _SHIFT, 0) >> (key & _MASK) & 1)

    def add(self, key: int) -> bool:
        """
        :returns: whether it was not there.
        """
        bits = self._bits.get(key >> _SHIFT, 0)
        with_it = bits | 1 << (key & _MASK)
        if with_it == bits:
            return False
        self._bits[key >> _SHIFT] = with_it
        return True
