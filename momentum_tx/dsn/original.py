"""
What of a message goes back with a report about it, as one part of MIME.

Source: RFC 6522 (``message/rfc822``, ``text/rfc822-headers``), RFC 6532 and 6533
(``message/global`` and its headers, which alone of these may be encoded).
"""

from __future__ import annotations

import base64
import enum
import quopri
from typing import Final

from ..message.headers import header_end, is_international

#: Octets of a message that go back whole; of a larger one the header does (RFC 3461 6.3 permits that).
MOST_WHOLE: Final = 1 << 20
#: Octets of a header that go back; a larger one is cut behind a line.
MOST_HEADER: Final = 64 * 1024
#: The longest line that may travel (RFC 5322 2.1.1), without its end.
LONGEST_LINE: Final = 998


class Extent(enum.Enum):
    """
    How much goes back (``bounces_inline_original``; RET says the last two).
    """

    NONE = "none"
    HEADERS = "headers"
    ALL = "all"


def original_part(content: bytes, extent: Extent) -> bytes:
    """
    A part of MIME, its own header included; empty if nothing goes back.

    It is ASCII unless a whole message goes back that is not, and has no international
    header: that one cannot be encoded, and leaves as 8-bit mail.

    :param content: the message, CRLF line ends.
    """
    if extent is Extent.NONE:
        return b""
    international = is_international(content)
    if extent is Extent.ALL and len(content) <= MOST_WHOLE and (international or not _too_long(content)):
        if international:
            return _part(b"message/global", b"base64", base64.encodebytes(content).replace(b"\n", b"\r\n"))
        return _part(b"message/rfc822", b"7bit" if content.isascii() else b"8bit", content)
    head = _head(content)
    if international:
        return _part(b"message/global-headers", b"quoted-printable", quoted_printable(head))
    if head.isascii() and not _too_long(head):
        return _part(b"text/rfc822-headers", b"7bit", head)
    return _part(b"text/rfc822-headers", b"quoted-printable", quoted_printable(head))


def quoted_printable(text: bytes) -> bytes:
    """
    *text*, of whole lines with CRLF, in quoted-printable.
    """
    return quopri.encodestring(text.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")


def _head(content: bytes) -> bytes:
    head = content[: header_end(content)]
    if len(head) > MOST_HEADER:
        head = head[: head.rfind(b"\r\n", 0, MOST_HEADER) + 2]
    return head


def _too_long(text: bytes) -> bool:
    start = 0
    while len(text) - start > LONGEST_LINE:
        # The last line end that is near enough; every line is looked at once.
        end = text.rfind(b"\r\n", start, start + LONGEST_LINE + 2)
        if end < start:
            return True
        start = end + 2
    return False


def _part(media_type: bytes, encoding: bytes, body: bytes) -> bytes:
    end = b"" if body.endswith(b"\r\n") else b"\r\n"
    return b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b%b" % (media_type, encoding, body, end)
