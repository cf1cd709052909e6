"""
The only translator of the kernel's errors into connection flags.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from ..errors import DialFailed, OutOfDescriptors
from ..flags import ConnFlag

#: Errors that blame the way to the peer: the next address may do better.
_NETWORK: Final = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.EHOSTDOWN,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EPROTO,
    }
)
#: Errors that blame our own source address, whether bind or connect reports them:
#: with IP_BIND_ADDRESS_NO_PORT the port is chosen only at connect.
_LOCAL_ADDRESS: Final = frozenset({errno.EADDRNOTAVAIL, errno.EADDRINUSE})

#: Errors that say that there is no room for one more socket.
_SHORTAGE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def is_shortage(error: OSError) -> bool:
    """
    Whether a socket was not made for want of a descriptor or of memory, which somebody else
    has at the moment.
    """
    return error.errno in _SHORTAGE


def connect_failure(number: int) -> DialFailed:
    """
    The failure that ``connect()``, or its completion, reported as errno *number*.
    """
    if number in _LOCAL_ADDRESS:
        flags = ConnFlag.ERROR_BIND
    elif number in _NETWORK:
        flags = ConnFlag.ERROR_CONNECT_NETWORK
    elif number == errno.ETIMEDOUT:
        # The kernel gave up on its SYN before connect_timeout did.
        flags = ConnFlag.ERROR_CONNECT_TIMEOUT
    else:
        flags = ConnFlag.ERROR_CONNECT
    return DialFailed(flags, os.strerror(number))


def timed_out(seconds: float) -> DialFailed:
    """
    The failure of a connect that had no answer for so long.
    """
    return DialFailed(ConnFlag.ERROR_CONNECT_TIMEOUT, f"no connection within {seconds:g} s")


def local_failure(flags: ConnFlag, what: str, error: OSError) -> DialFailed:
    """
    A failure before ``connect()``: making, configuring or binding the socket.

    :param what: what was tried, for people.
    """
    kind = OutOfDescriptors if flags & ConnFlag.ERROR_SOCKET and is_shortage(error) else DialFailed
    return kind(flags, f"{what}: {error.strerror or error}")
