"""
What TLS a connection has to have: as the options say.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ..policy.tls import TLSParameters, is_address
from ..settings import PathSettings

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from ..queues.domain import DomainRecord
    from ..queues.message import Message
    from .facilities import Facilities


class TLSRequirements:
    """
    Decides what a connection has to fulfil before mail may go over it.

    :param facilities: the configuration.
    """

    __slots__ = ("_f",)

    def __init__(self, facilities: Facilities) -> None:
        self._f = facilities

    def wished(self, dr: DomainRecord, slot: int, host: str, message: Message | None) -> TLSParameters:
        """
        What the options want, which is known at once.  No more is asked for than whether TLS
        begins with the first octet: all else is decided by :meth:`parameters`.
        """
        return as_set(self._f.config.path(slot, dr.domain), host, dr.domain)

    def parameters(
        self, dr: DomainRecord, slot: int, host: str, address: str, message: Message | None
    ) -> TLSParameters | Deferred[TLSParameters]:
        """
        What is wanted of TLS on a connection.

        :param dr: the domain whose mail it carries.
        :param slot: the binding slot it leaves from.
        :param host: name of the exchanger; an address where it has none.
        :param address: numeric address of the peer.
        :param message: what will be sent next, if that is known.
        :returns: that, or a Deferred that fires with it; it fails with
            :class:`~momentum_tx.errors.TLSUndecided` where mail has to wait because it
            cannot be decided.
        """
        return self._f.tls_policies.applied(self.wished(dr, slot, host, message), dr, slot, host)


@lru_cache(4096)
def as_set(settings: PathSettings, host: str, domain: str) -> TLSParameters:
    """
    What the options of a (binding, domain) pair want of one exchanger.

    :param host: its name.
    :param domain: name of the domain.
    """
    return TLSParameters(
        use=settings.tls,
        verify=settings.tls_verify,
        names=(host, domain) if host != domain else (host,),
        sni="" if is_address(host) else host,
        fallback=settings.tls_ifavailable_fallback,
        ca=settings.tls_ca,
        certificate=settings.tls_certificate,
        key=settings.tls_key,
        ciphers=settings.tls_ciphers,
        tlsv13_ciphersuites=settings.tlsv13_ciphersuites,
        protocols=settings.tls_protocols,
    )
