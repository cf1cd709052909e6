"""
XCLIENT: telling a peer that trusts us who the client was that we had a message
from (Postfix, ``XCLIENT_README``; values as xtext, RFC 3461 4).
"""

import re
from collections.abc import Iterable
from typing import Final

#: What is said of something that is not known.
UNAVAILABLE: Final = b"[UNAVAILABLE]"
#: Longest value of an attribute, before it is encoded.
MAX_VALUE: Final = 255
#: Octets of all attributes together, so that the command is no longer than one may be (RFC 5321 4.5.3.1.4).
MAX_ARGUMENTS: Final = 512 - len(b"XCLIENT \r\n")

_NOT_XCHAR: Final = re.compile(rb"[^!-*,-<>-~]")


def xtext(text: bytes) -> bytes:
    """
    *text* with every octet that is no printable ASCII, and ``+`` and ``=``, in hexadecimal.
    """
    return _NOT_XCHAR.sub(lambda found: b"+%02X" % found[0][0], text)


def arguments(offered: Iterable[bytes], address: str, protocol: str, helo: str) -> bytes:
    """
    What follows XCLIENT: those of our attributes that the peer offers.

    :param offered: names of attributes, upper case.
    :param address: the client's numeric address; empty if there was none.
    :param protocol: ``smtp`` or ``esmtp``; anything else counts as the latter.
    :param helo: what the client called itself; empty if it did not.
    :returns: in the order of Postfix's own list; empty if nothing is offered that we know.
    """
    known = {
        # We look no names up, and keep no ports.
        b"NAME": UNAVAILABLE,
        b"ADDR": ((f"IPV6:{address}" if ":" in address else address)[:MAX_VALUE]).encode() or UNAVAILABLE,
        b"PORT": UNAVAILABLE,
        b"PROTO": b"SMTP" if protocol == "smtp" else b"ESMTP",
        b"HELO": helo.encode()[:MAX_VALUE] or UNAVAILABLE,
    }
    names = set(offered)
    return b" ".join([b"%b=%b" % (name, xtext(value)) for name, value in known.items() if name in names])
