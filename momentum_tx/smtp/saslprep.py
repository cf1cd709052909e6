"""
User names and passwords as SCRAM and PLAIN want them (RFC 4013).
"""

from __future__ import annotations

import stringprep
import unicodedata
from typing import Final

_PROHIBITED: Final = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """
    *text* in the one form that both sides agree on, as a stored string.

    :raises ValueError: it has what no name or password may have; the text does not
        repeat it.
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(letter) else letter for letter in text if not stringprep.in_table_b1(letter)
    )
    text = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not text:
        raise ValueError("no character that counts")
    if any(prohibited(letter) for letter in text for prohibited in _PROHIBITED):
        raise ValueError("a character that SASLprep prohibits")
    if any(stringprep.in_table_a1(letter) for letter in text):
        raise ValueError("a character that is not assigned in Unicode 3.2")
    if any(stringprep.in_table_d1(letter) for letter in text):
        # RFC 3454 6: right to left at both ends, and nothing of the other direction between.
        if any(stringprep.in_table_d2(letter) for letter in text):
            raise ValueError("characters of both directions")
        if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
            raise ValueError("a right-to-left text that does not begin and end so")
    return text
