"""
Keeps one record on one line and one field in its place, whatever strangers
write into addresses and replies.
"""

from typing import Final

#: Octets of a reply that a record keeps; longer text is cut.  A reply line has
#: at most 512 (RFC 5321 4.5.3.1.5), and replies of several lines are joined.
MAX_TEXT: Final = 4096

#: Controls, as octets: each becomes a space.
_NO_CONTROLS: Final = bytes(32 if octet < 32 or octet == 127 else octet for octet in range(256))

#: A hand-over form that loses no octet: what is not UTF-8 becomes a lone surrogate and back.
_KEEP: Final = "surrogateescape"


def decode(octets: bytes) -> str:
    """
    Octets from the wire as text, with nothing lost (see :func:`encode`).
    """
    return octets.decode("utf-8", _KEEP)


def encode(line: str) -> bytes:
    """
    A record as octets.  A character that UTF-8 cannot hold becomes ``?``.
    """
    try:
        return line.encode("utf-8", _KEEP)
    except UnicodeEncodeError:
        return line.encode("utf-8", "replace")


def field(text: str) -> str:
    """
    *text* as a field that is not the last of its record.

    ``@``, backslash, and what cannot be printed are written as ``\\xNN``, one
    for each octet of their UTF-8 form (backslash itself as ``\\\\``), so that
    every record has the fields it should and the original can be read back.
    """
    # Written for the text that needs nothing: three searches in C.
    if text.isprintable() and "@" not in text and "\\" not in text:
        return text
    return "".join(char if char.isprintable() and char not in "@\\" else _escape(char) for char in text)


def last_field(octets: bytes) -> str:
    """
    *octets* as the last field of a record, ``@`` and backslash as they are.

    A control character becomes a space; what else cannot be printed (line and
    direction marks, octets that are not UTF-8) is written as ``\\xNN``.  Cut
    after :data:`MAX_TEXT` octets, marked by ``...``.
    """
    if len(octets) > MAX_TEXT:
        octets = octets[:MAX_TEXT] + b"..."
    text = octets.translate(_NO_CONTROLS).decode("utf-8", _KEEP)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    if char == "\\":
        return "\\\\"
    return "".join(f"\\x{octet:02x}" for octet in encode(char))
