"""
The word in which a refused connection is reported: causes and obligations.

The fourteen names are Momentum's (reference page of the hook
``log_client_connection_failure``); Momentum publishes no values, so the bits
are ours.  Log names, never numbers.
"""

import enum
from typing import Final


class ConnFlag(enum.IntFlag, boundary=enum.STRICT):
    """
    The word of an attempt to connect: at most one cause (``ERROR_*``) and the
    obligations that go with it (``ACTION_*``).

    Success is zero.  A bit nobody defined raises :class:`ValueError` where the
    word is made.  ``str()`` gives Momentum's full names joined by ``|``.
    """

    #: The domain's mail exchangers cannot be determined: the name does not exist, has no address, or the lookup failed.
    ERROR_MX_LOOKUP_FAILED = 1 << 0
    #: The answer to a DNS question about the domain is still awaited; nothing has failed.
    ERROR_MX_LOOKUP_PENDING = 1 << 1
    #: The domain declares with a null MX record that it accepts no mail (RFC 7505).
    ERROR_SMTP_NULL_MX = 1 << 2
    #: Every address of the domain failed lately, was vetoed, or is of a family the binding cannot use.
    ERROR_NO_MXS_REACHABLE = 1 << 3
    #: Every address of the domain lies in ``prohibited_hosts``.
    ERROR_PROHIBITED_IP = 1 << 4
    #: Every usable host, the domain, the binding or the server has as many connections as it may.
    ERROR_HOST_MAX_REACHED = 1 << 5
    #: The kernel gave no socket.
    ERROR_SOCKET = 1 << 6
    #: The socket could not be made non-blocking.
    ERROR_IOCTL = 1 << 7
    #: The binding's source address, or its proxy, could not be used, or ``connection_post_bind`` forbade the attempt.
    ERROR_BIND = 1 << 8
    #: ``connect()`` failed for a reason that has no name of its own here.
    ERROR_CONNECT = 1 << 9
    #: The peer refused the connection or no route leads to it.
    ERROR_CONNECT_NETWORK = 1 << 10
    #: ``connect_timeout`` ran out, or the kernel gave up waiting for the peer.
    ERROR_CONNECT_TIMEOUT = 1 << 11
    #: One active message of this domain and binding is to be requeued by the caller.
    ACTION_REQUEUE1 = 1 << 29
    #: All mail of the domain is to be failed by the caller, whatever its binding.
    ACTION_PURGE_DOMAIN = 1 << 30

    #: Mask of the causes.
    ERRORS = (1 << 12) - 1
    #: Mask of the obligations: what is left of a word under it has to be done.
    ACTIONS = ACTION_REQUEUE1 | ACTION_PURGE_DOMAIN

    @property
    def names(self) -> tuple[str, ...]:
        """
        Momentum's full name of every bit that is set, lowest first.
        """
        return tuple(f"CONN_{flag.name}" for flag in self)

    def __str__(self) -> str:
        return "|".join(self.names) or "0"


def CONN_ERROR(value: int) -> ConnFlag:
    """
    The cause in *value*, its obligations taken away; zero stays zero.

    Momentum's macro of that name: what ``initiate_connection_smtp`` returns.

    :raises ValueError: if *value* has a bit that nobody defined.
    """
    return ConnFlag(value) & ConnFlag.ERRORS


CONN_ACTION_REQUEUE1: Final = ConnFlag.ACTION_REQUEUE1
CONN_ACTION_PURGE_DOMAIN: Final = ConnFlag.ACTION_PURGE_DOMAIN
CONN_ERROR_MX_LOOKUP_FAILED: Final = ConnFlag.ERROR_MX_LOOKUP_FAILED
CONN_ERROR_MX_LOOKUP_PENDING: Final = ConnFlag.ERROR_MX_LOOKUP_PENDING
CONN_ERROR_SMTP_NULL_MX: Final = ConnFlag.ERROR_SMTP_NULL_MX
CONN_ERROR_NO_MXS_REACHABLE: Final = ConnFlag.ERROR_NO_MXS_REACHABLE
CONN_ERROR_PROHIBITED_IP: Final = ConnFlag.ERROR_PROHIBITED_IP
CONN_ERROR_HOST_MAX_REACHED: Final = ConnFlag.ERROR_HOST_MAX_REACHED
CONN_ERROR_SOCKET: Final = ConnFlag.ERROR_SOCKET
CONN_ERROR_IOCTL: Final = ConnFlag.ERROR_IOCTL
CONN_ERROR_BIND: Final = ConnFlag.ERROR_BIND
CONN_ERROR_CONNECT: Final = ConnFlag.ERROR_CONNECT
CONN_ERROR_CONNECT_NETWORK: Final = ConnFlag.ERROR_CONNECT_NETWORK
CONN_ERROR_CONNECT_TIMEOUT: Final = ConnFlag.ERROR_CONNECT_TIMEOUT
