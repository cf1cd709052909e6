"""
8-bit content for a peer that is not known to take it: quoted-printable, part by
part (RFC 2045 6.7, RFC 6152 3), or the eighth bit taken away.

Lines end in CRLF here, as in every content that was received.
"""

import re
from binascii import b2a_qp
from typing import Final

from .headers import HeaderBlock, header_end

#: Multiparts and messages within each other; what is nested deeper is nobody's mail.
MAX_DEPTH: Final = 50
#: RFC 2046 5.1.1.
MAX_BOUNDARY: Final = 70

_ENCODING: Final = b"Content-Transfer-Encoding"
#: Encodings that leave the octets as they are.
_IDENTITY: Final = (b"7bit", b"8bit", b"binary")
#: Fields that speak of the octets of the body.
_SIGNATURES: Final = (b"DKIM-Signature", b"DomainKey-Signature", b"ARC-Message-Signature")
_TYPE: Final = re.compile(rb"[ \t]*([!-~]+?)[ \t]*/[ \t]*([^\x00- ;]+)")
_PARAMETER: Final = re.compile(rb';[ \t]*([!-:<>-~]+?)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s;]*)')
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
#: binascii does not count what a blank at the end of a line grows by.
_TOO_LONG: Final = re.compile(rb"(?m)^([^\r\n]{74,})(=20|=09)(?=\r$)")
#: Taking the eighth bit away must make no line end, no NUL, and nothing a terminal obeys.
_SEVEN: Final = bytes(
    octet if octet < 0x80 else octet & 0x7F if octet & 0x7F in range(0x20, 0x7F) else 0x3F for octet in range(256)
)


class Unencodable(Exception):
    """
    A message has 8-bit octets that quoted-printable cannot take in.

    :ivar prohibited: it could, but for a signature that would not survive.
    """

    def __init__(self, reason: str, prohibited: bool = False) -> None:
        super().__init__(reason)
        self.prohibited = prohibited


def strip(content: bytes) -> bytes:
    """
    *content* without eighth bits; unreadable, but 7-bit.  What would become a
    control character becomes a question mark.
    """
    return content.translate(_SEVEN)


def signed(content: bytes) -> bool:
    """
    Whether a signature covers the octets of the body, which no longer holds when
    one of them changes.
    """
    block = HeaderBlock(content[: header_end(content)])
    kind = block.get(b"Content-Type") or b""
    return kind.lower().startswith(b"multipart/signed") or any(block.count(name) for name in _SIGNATURES)


def encode(content: bytes) -> bytes:
    """
    *content* with every 8-bit part in quoted-printable, which means the same; all
    else stays as it is.

    :raises Unencodable: octets above 127 are where the encoding does not reach:
        in a header field, in a part that is encoded already, under a signature,
        or in a structure that is not understood.
    """
    if signed(content) and not content.isascii():
        raise Unencodable("the message is signed", prohibited=True)
    return _entity(content, 0, b"text/plain", True)


def _entity(content: bytes, depth: int, default: bytes, whole: bool) -> bytes:
    """
    A message or a part of one, header and body.

    :param default: its type if it names none.
    :param whole: whether it is a message.
    """
    if content.isascii():
        return content
    if depth > MAX_DEPTH:
        raise Unencodable("parts are nested too deeply")
    end = header_end(content)
    if not content.startswith(b"\r\n", end):
        raise Unencodable("the message has no header that ends")
    head, body = content[:end], content[end + 2 :]
    if not head.isascii():
        raise Unencodable("a header field has 8-bit octets")
    block = HeaderBlock(head)
    if block.count(b"Content-Type") > 1 or block.count(_ENCODING) > 1:
        raise Unencodable("the type or encoding of a part is given twice")
    written = block.get(b"Content-Type")
    found = _TYPE.match(default if written is None else written)
    if found is None:
        raise Unencodable("the type of a part is malformed")
    kind, subtype = found[1].lower(), found[2].lower()
    encoding = (block.get(_ENCODING) or b"7bit").lower()
    if encoding not in _IDENTITY:
        raise Unencodable("a part that is encoded has 8-bit octets")
    if kind == b"multipart":
        if subtype == b"signed":
            raise Unencodable("a part is signed", prohibited=True)
        assert written is not None
        within = b"message/rfc822" if subtype == b"digest" else b"text/plain"
        body = _multipart(body, _boundary(written), depth, within)
    elif kind == b"message":
        if subtype != b"rfc822":
            raise Unencodable("a message within is of a kind that cannot be encoded")
        body = _entity(body, depth + 1, b"text/plain", True)
    else:
        body = _quoted_printable(body)
        block.replace(_ENCODING, _ENCODING + b": quoted-printable\r\n")
        if whole and written is None:
            block.replace(b"Content-Type", b"Content-Type: text/plain; charset=%b\r\n" % _charset(content))
    if block.count(_ENCODING) and kind in (b"multipart", b"message"):
        # Nothing else may be said of what has parts, and nothing is left of the eighth bit.
        block.replace(_ENCODING, _ENCODING + b": 7bit\r\n")
    if whole and not block.count(b"MIME-Version"):
        block.replace(b"MIME-Version", b"MIME-Version: 1.0\r\n")
    return block.content() + b"\r\n" + body


def _charset(content: bytes) -> bytes:
    """
    What a message is written in that does not say it (RFC 1428 3).
    """
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return b"unknown-8bit"
    return b"utf-8"


def _boundary(value: bytes) -> bytes:
    for found in _PARAMETER.finditer(value):
        if found[1].lower() == b"boundary":
            boundary = found[2]
            if boundary.startswith(b'"'):
                boundary = _QUOTED_PAIR.sub(rb"\1", boundary[1:-1])
            boundary = boundary.rstrip(b" \t")
            if 0 < len(boundary) <= MAX_BOUNDARY:
                return boundary
    raise Unencodable("a multipart has no boundary")


def _multipart(body: bytes, boundary: bytes, depth: int, default: bytes) -> bytes:
    delimiter = re.compile(rb"(?:\A|\r\n)--%b(--)?[ \t]*(?=\r\n|\Z)" % re.escape(boundary))
    made: list[bytes] = []
    # What is before the first part and behind the last is read by nobody (RFC 2046 5.1.1).
    at, inside, lines = 0, False, 0
    for found in delimiter.finditer(body):
        made += [_piece(body[at : found.start()], inside, depth, default), found[0]]
        at, inside = found.end(), found[1] is None
        lines += 1
        if not inside:
            break
    if not lines:
        raise Unencodable("a multipart has no parts")
    made.append(_piece(body[at:], inside, depth, default))
    whole = b"".join(made)
    if sum(1 for _ in delimiter.finditer(whole)) != sum(1 for _ in delimiter.finditer(body)):
        # A long line was broken right before what then looks like the end of its part.
        raise Unencodable("a boundary is part of a text")
    return whole


def _piece(text: bytes, inside: bool, depth: int, default: bytes) -> bytes:
    """
    What is between two boundaries, or around them.
    """
    if not inside:
        return strip(text)
    # The line end of the boundary comes first; without one there is nothing else.
    return text[:2] + _entity(text[2:], depth + 1, default, False)


def _quoted_printable(body: bytes) -> bytes:
    # The last line of a part ends where its boundary begins; blanks at its end must be encoded as well.
    whole = body.endswith(b"\r\n")
    made = _TOO_LONG.sub(rb"\1=\r\n\2", b2a_qp(body if whole else body + b"\r\n"))
    return made if whole else made[:-2]
