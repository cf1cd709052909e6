"""
The two forms of a message that DKIM signs: ``simple``, as it is, and
``relaxed``, without what servers change on the way.

Lines end in CRLF; the receiver sees to it.  Source: RFC 6376 3.4.
"""

import hashlib
import re
from typing import Final

#: Octets of a body that are made canonical at once: what is copied stays in the processor's cache.
SLICE: Final = 1 << 16
#: What is one space in the form ``relaxed``.
_BLANKS: Final = re.compile(rb"[ \t]{2,}|\t")


def relaxed_field(raw: bytes) -> bytes:
    """
    One header field in the form ``relaxed``: name in lower case, unfolded, one
    space for any run of blanks, none at either end (RFC 6376 3.4.2).

    :param raw: name, colon, value, CRLF.
    """
    name, _, value = raw.partition(b":")
    return b"%b:%b\r\n" % (name.rstrip(b" \t").lower(), _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" "))


def simple_field(raw: bytes) -> bytes:
    """
    One header field in the form ``simple``: as it is (RFC 6376 3.4.1).
    """
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


def simple_body(content: bytes, start: int = 0) -> bytes:
    """
    A body in the form ``simple``: empty lines at the end are one line end, and
    an empty body is one (RFC 6376 3.4.3).

    :param content: the message.
    :param start: where its body begins.
    """
    return content[start : _end(content, start, b"\r\n")] + b"\r\n"


def relaxed_body(content: bytes, start: int = 0) -> bytes:
    """
    A body in the form ``relaxed``: runs of blanks are one space, lines end
    without any, and empty lines at the end do not count (RFC 6376 3.4.4).

    :param content: the message.
    :param start: where its body begins.
    """
    end = _end(content, start, b" \t\r\n")
    return _relaxed(content[start:end]) + b"\r\n" if end > start else b""


def body_hash(content: bytes, start: int, canon: str) -> bytes:
    """
    SHA-256 of a body's canonical form, without ever having a copy of it all.

    :param content: the message.
    :param start: where its body begins.
    :param canon: ``relaxed`` or ``simple``.
    """
    digest = hashlib.sha256()
    if canon == "simple":
        # A view: nothing is copied, and the hash lets other threads run.
        digest.update(memoryview(content)[start : _end(content, start, b"\r\n")])
        digest.update(b"\r\n")
        return digest.digest()
    end = _end(content, start, b" \t\r\n")
    if end == start:
        return digest.digest()
    while start < end:
        # Cut behind a line end: no run of blanks, and none before a line end, is in two slices.
        cut = content.find(b"\r\n", min(start + SLICE, end), end)
        cut = cut + 2 if cut >= 0 else end
        digest.update(_relaxed(content[start:cut]))
        start = cut
    digest.update(b"\r\n")
    return digest.digest()


def _relaxed(text: bytes) -> bytes:
    """
    *text*, which begins with a line and ends with one or in its middle, with its blanks reduced.
    """
    # Most bodies have neither: three searches, and nothing is copied.
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    # Each round halves the runs, so that there are some twenty rounds at most.
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text.replace(b" \r\n", b"\r\n") if b" \r\n" in text else text


def _end(content: bytes, start: int, dropped: bytes) -> int:
    """
    Where the last octet of a body ends that is none of *dropped*.
    """
    end = len(content)
    while end > start:
        piece = content[max(start, end - SLICE) : end]
        kept = len(piece.rstrip(dropped))
        if kept:
            return end - len(piece) + kept
        end -= len(piece)
    return start
