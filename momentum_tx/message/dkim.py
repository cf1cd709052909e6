"""
DKIM signatures: the fields that are put in front of a message.

Pure: the time is given, and no key is read here.  The number of octets that are
signed (l=) is never limited: what is added behind them would look signed.
Source: RFC 6376, RFC 8463.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from ..settings import DKIMSignature
from .canonical import body_hash, relaxed_field, simple_field
from .dkim_keys import SigningKey
from .headers import HeaderBlock, header_end

#: Columns at which our fields are folded.
_WIDTH: Final = 76
#: Octets of a From field in which an author is looked for.
MAX_FROM: Final = 8192

#: Pieces of a list of addresses: quoted text, an escaped character, what is plain, anything else.
_PIECE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|\\.|[^"\\()<>,;:]+|.', re.DOTALL)


def author_domain(content: bytes) -> bytes:
    """
    The domain of the author: of the first address in the From field.

    :returns: as written; empty if there is no From field, or more than one, or
        no address in it.
    """
    values = HeaderBlock(content[: header_end(content)]).get_all(b"From")
    return _first_domain(values[0]) if len(values) == 1 and len(values[0]) <= MAX_FROM else b""


def _first_domain(value: bytes) -> bytes:
    depth = 0
    angle = False
    address = b""
    for found in _PIECE.finditer(value):
        piece = found[0]
        if piece == b"(":
            depth += 1
        elif depth:
            depth -= piece == b")"
        elif piece == b"<":
            angle, address = True, b""
        elif angle:
            if piece == b">":
                break
            # A route, as nobody has written it for decades: <@relay.example:bob@example.com>
            address = b"" if piece in (b",", b":") else address + piece
        elif piece == b":":
            # What was before it is the name of a group.
            address = b""
        elif piece in (b",", b";"):
            if b"@" in address:
                break
            address = b""
        else:
            address += piece
    local, at, domain = address.rpartition(b"@")
    domain = domain.strip(b" \t")
    return domain if at and local.strip() and b" " not in domain else b""


def sign(content: bytes, signatures: Sequence[tuple[DKIMSignature, SigningKey]], now: float) -> bytes:
    """
    The signature fields of a message, to be put in front of it.

    :param content: the message, CRLF line ends.
    :param signatures: what each is made of, the topmost first.
    :param now: wall time.
    :returns: whole fields, each with its final CRLF.
    """
    end = header_end(content)
    fields = _by_name(HeaderBlock(content[:end]))
    # Without an empty line there is no body.
    start = end + 2 if content.startswith(b"\r\n", end) else end
    hashes: dict[str, bytes] = {}
    made = []
    for signature, key in signatures:
        canon = signature.body_canon
        if canon not in hashes:
            hashes[canon] = base64.b64encode(body_hash(content, start, canon))
        made.append(_field(fields, signature, key, hashes[canon], now))
    return b"".join(made)


def _by_name(block: HeaderBlock) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for name, raw in block:
        fields.setdefault(name.lower(), []).append(raw)
    return fields


def _field(
    fields: dict[bytes, list[bytes]], signature: DKIMSignature, key: SigningKey, digest: bytes, now: float
) -> bytes:
    names, raws = _chosen(fields, signature)
    tags = [
        b"v=1; a=%b; c=%b/%b;"
        % (key.algorithm.encode(), signature.header_canon.encode(), signature.body_canon.encode()),
        b"d=%b; s=%b;" % (signature.domain.encode(), signature.selector.encode()),
    ]
    if signature.identity:
        tags.append(b"i=%b;" % _quoted(signature.identity))
    issued = int(now)
    times = b"t=%d;" % issued
    if signature.lifetime is not None:
        times += b" x=%d;" % (issued + max(1, int(signature.lifetime)))
    tags += [times, *_listed(names), b"bh=%b;" % digest, b"b="]
    unsigned = b"DKIM-Signature: " + b"\r\n\t".join(tags)
    canonical = relaxed_field if signature.header_canon == "relaxed" else simple_field
    # Its own field comes last, with an empty b= and without its line end (RFC 6376 3.7).
    data = b"".join(map(canonical, raws)) + canonical(unsigned)[:-2]
    signed = base64.b64encode(key.sign(data))
    pieces = [signed[at : at + _WIDTH - 4] for at in range(0, len(signed), _WIDTH - 4)]
    return unsigned + b"\r\n\t ".join(pieces) + b"\r\n"


def _chosen(fields: dict[bytes, list[bytes]], signature: DKIMSignature) -> tuple[list[bytes], list[bytes]]:
    """
    Names as they are listed, and the fields they stand for: the last of a name
    first (RFC 6376 5.4.2), and none for a name too many.
    """
    names: list[bytes] = []
    raws: list[bytes] = []
    for name, more in _wanted(signature.headerlist, signature.oversign):
        found = fields.get(name)
        if found is not None:
            names += [name] * (len(found) + more)
            raws += reversed(found)
        elif more or name == b"from":
            # From must be signed (RFC 6376 5.4), and a message without one must not be given one.
            names.append(name)
    return names, raws


@lru_cache(1000)
def _wanted(headerlist: tuple[str, ...], oversign: tuple[str, ...]) -> tuple[tuple[bytes, bool], ...]:
    """
    Names in lower case, each once, and whether they are oversigned.
    """
    oversigned = {name.lower() for name in oversign}
    listed = dict.fromkeys(name.lower() for name in ("From", *headerlist, *oversign))
    return tuple((name.encode(), name in oversigned) for name in listed)


def _listed(names: Iterable[bytes]) -> list[bytes]:
    """
    The tag h=, in lines.
    """
    lines = [b"h="]
    for name in names:
        if len(lines[-1]) + len(name) > _WIDTH and lines[-1] != b"h=":
            lines.append(b" ")
        lines[-1] += name + b":"
    lines[-1] = lines[-1][:-1] + b";"
    return lines


def _quoted(identity: str) -> bytes:
    """
    *identity* in DKIM's quoted-printable (RFC 6376 2.11).
    """
    return b"".join(
        b"%c" % octet if 0x21 <= octet <= 0x7E and octet not in b";=" else b"=%02X" % octet
        for octet in identity.encode()
    )
