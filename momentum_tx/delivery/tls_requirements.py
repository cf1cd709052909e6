"""
What TLS a connection has to have: as the options say, a hook, and policies of domains.
"""

from __future__ import annotations

from dataclasses import replace
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
        What the options and the hook ``get_outbound_tls_parameters`` want, which is known
        at once; policies of the domain want more (:meth:`parameters`).
        """
        # In a queue that domains share, the name of it is none of theirs.
        domain = host if dr.rolled else dr.domain
        wished = as_set(self._f.config.path(slot, dr.domain), host, domain)
        if message is None:
            return wished
        hook = self._f.hooks.get_outbound_tls_parameters
        if hook:
            changed = hook.fold(wished, lambda provider, found: provider.get_outbound_tls_parameters(message, found))
            if changed != wished:
                wished = replace(changed, origin="hook")
        # Last: what its sender was promised no hook takes back.
        return self._f.message_tls.wish(wished, host, message) if message.reception.require_tls else wished

    @property
    def per_message(self) -> bool:
        """
        Whether messages of one domain may want different things.
        """
        return bool(self._f.hooks.get_outbound_tls_parameters)

    def alike(self, one: Message, other: Message, dr: DomainRecord, host: str) -> bool:
        """
        Whether two messages of *dr* want the same.
        """
        if not self.per_message:
            return True
        slot = one.binding_slot
        return self.wished(dr, slot, host, one) == self.wished(dr, slot, host, other)

    def parameters(
        self,
        dr: DomainRecord,
        slot: int,
        host: str,
        address: str,
        message: Message | None,
        wished: TLSParameters | None = None,
    ) -> TLSParameters | Deferred[TLSParameters]:
        """
        What is wanted of TLS on a connection.

        :param dr: the domain whose mail it carries.
        :param slot: the binding slot it leaves from.
        :param host: name of the exchanger; an address where it has none.
        :param address: numeric address of the peer.
        :param message: what will be sent next, if that is known.
        :param wished: what :meth:`wished` has answered, if it was asked.
        :returns: that, or a Deferred that fires with it; it fails with
            :class:`~momentum_tx.errors.TLSUndecided` where mail has to wait because it
            cannot be decided.
        """
        if wished is None:
            wished = self.wished(dr, slot, host, message)
        if self._f.message_tls.relaxes(dr, slot, message):
            return self._f.message_tls.relaxed(wished)
        return self._f.tls_policies.applied(wished, dr, slot, host)


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
