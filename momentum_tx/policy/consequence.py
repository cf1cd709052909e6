"""
What a connection that did not come about obliges to, and how it is worded.

The table of the fourteen flags is ``doc/reference/flags``.
"""

from __future__ import annotations

from typing import Final

from ..flags import ConnFlag

#: Causes after which one message leaves the active queue: without that, mail whose
#: connections never succeed would sit at its head for ever and never grow old.
_REQUEUE1: Final = (
    ConnFlag.ERROR_SOCKET
    | ConnFlag.ERROR_IOCTL
    | ConnFlag.ERROR_BIND
    | ConnFlag.ERROR_CONNECT
    | ConnFlag.ERROR_CONNECT_NETWORK
    | ConnFlag.ERROR_CONNECT_TIMEOUT
    | ConnFlag.ERROR_NO_MXS_REACHABLE
)
_PURGE: Final = ConnFlag.ERROR_SMTP_NULL_MX | ConnFlag.ERROR_PROHIBITED_IP
#: Causes that say something about the domain's hosts.
_MX_FAILURES: Final = (
    ConnFlag.ERROR_CONNECT
    | ConnFlag.ERROR_CONNECT_NETWORK
    | ConnFlag.ERROR_CONNECT_TIMEOUT
    | ConnFlag.ERROR_NO_MXS_REACHABLE
)

_NOTES: Final = {
    ConnFlag.ERROR_MX_LOOKUP_FAILED: b"554 5.4.4 [internal] Domain Lookup Failed",
    ConnFlag.ERROR_SMTP_NULL_MX: b"550 5.4.4 [internal] NULL MX domain does not accept mail",
    ConnFlag.ERROR_PROHIBITED_IP: b"551 5.4.6 [internal] Private/Loopback Address",
    ConnFlag.ERROR_NO_MXS_REACHABLE: b"421 4.4.0 [internal] no MXs for this domain could be reached at this time",
    ConnFlag.ERROR_CONNECT_TIMEOUT: b"450 4.4.1 [internal] Connection Timed Out",
}

#: Status text of a connection failure that has none of its own.
NO_VALID_HOSTS: Final = b"451 4.4.1 [internal] No valid hosts (unable to make any connections)"
#: Status text of a sweep by ``mx_failures_to_delay``.
TOO_MANY_FAILURES: Final = b"451 4.4.1 [internal] No valid hosts (too many connection failures)"
#: Status text of mail that ``blackhole`` swallows once it is accepted.
BLACKHOLED: Final = b"554 5.7.0 [internal] Blackholed"
#: What is said of mail to somebody on the suppression list.
SUPPRESSED: Final = b"554 5.7.1 [internal] recipient suppressed"
#: Status text of a look-up that failed for now.
LOOKUP_DEFERRED: Final = b"454 4.4.4 [internal] no MX or A for domain"


def with_actions(cause: ConnFlag, lookup_is_final: bool = False) -> ConnFlag:
    """
    The full word for *cause*.

    :param cause: one ``ERROR_*`` flag.
    :param lookup_is_final: whether ``MX_LOOKUP_FAILED`` is definitive.
    """
    if cause & _REQUEUE1:
        return cause | ConnFlag.ACTION_REQUEUE1
    if cause & _PURGE or (cause & ConnFlag.ERROR_MX_LOOKUP_FAILED and lookup_is_final):
        return cause | ConnFlag.ACTION_PURGE_DOMAIN
    return cause


def counts_as_mx_failure(word: ConnFlag) -> bool:
    """
    Whether the failure counts towards ``mx_failures_to_delay``.
    """
    return bool(word & _MX_FAILURES)


def note_for(word: ConnFlag) -> bytes:
    """
    The status text of a message that suffers for *word*.
    """
    return _NOTES.get(word & ConnFlag.ERRORS, NO_VALID_HOSTS)
