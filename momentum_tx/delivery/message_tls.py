"""
What single messages want of TLS: REQUIRETLS, and the field ``TLS-Required: No`` (RFC 8689).

The one goes only to an exchanger that DNSSEC, an MTA-STS policy in force or an operator
names, over TLS that proves it, if it promises the same for the next hop.  The other goes
as if there were no policies of domains.

Neither is held against an exchanger or a connection: others of the domain's mail go as
they did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ..policy.session_notes import requiretls_impossible
from ..policy.tls import TLSParameters, is_address, stricter
from .carriage import PeerMemory

if TYPE_CHECKING:
    from ..queues.domain import Connection, DomainRecord
    from ..queues.message import Message
    from ..smtp.extensions import Extensions
    from .facilities import Facilities
    from .records import Records

#: How far TLS has to have been verified.
_PROVED: Final = ("host", "dane")


@dataclass(frozen=True, slots=True)
class Unfit:
    """
    Why an exchanger gets no mail with REQUIRETLS.

    :ivar reason: in words.
    :ivar final: whether that is how it is, and not only out of order.
    """

    reason: str
    final: bool


class MessageTLS:
    """
    Looks at messages and exchangers; one for a service.

    :param facilities: policies, and the time.
    """

    __slots__ = ("_f", "_troubled", "_unfit")

    def __init__(self, facilities: Facilities) -> None:
        self._f = facilities
        #: Addresses that get no such mail, and those that only were out of order when they were asked.
        self._unfit = PeerMemory(facilities.clock.seconds)
        self._troubled = PeerMemory(facilities.clock.seconds)

    # What a connection is opened with.

    def wish(self, wished: TLSParameters, host: str, message: Message) -> TLSParameters:
        """
        What is wanted of a connection that is opened for *message*.

        With REQUIRETLS all that can be had, which is looked at before it is sent; nothing that
        would fail the session for others.

        :param wished: what is wanted for mail like any other.
        """
        if not message.reception.terms.require_tls or (wished.verify == "host" and wished.use != "no"):
            return wished
        wanted = TLSParameters(
            use="ifavailable",
            verify="host" if wished.verify == "ca" else "optional",
            names=wished.names or (host,),
            sni="" if is_address(host) else host,
            fallback=True,
            origin="requiretls",
        )
        return stricter(wished, wanted)

    def relaxes(self, dr: DomainRecord, slot: int, message: Message | None) -> bool:
        """
        Whether policies of the domain, of which there is one, do not count for a connection that is
        opened for *message*.
        """
        if message is None or not message.reception.terms.tls_optional:
            return False
        policies = self._f.tls_policies
        return policies.dane_wanted(dr.domain, dr.secure) or policies.in_force(dr, slot) is not None

    @staticmethod
    def relaxed(wished: TLSParameters) -> TLSParameters:
        """
        What is wanted of such a connection: TLS where it can be had (RFC 8689 4.2.2).
        """
        return replace(wished, use="ifavailable") if wished.use == "no" else wished

    # Where a message may go.

    def left_out(self, dr: DomainRecord, slot: int) -> Callable[[str, str], bool]:
        """
        Says of the name and address of an exchanger whether the message that is due next
        must not go there (see :meth:`~momentum_tx.delivery.tls_policies.TLSPolicies.left_out`).
        """
        policies = self._f.tls_policies.left_out(dr, slot)
        skips = self._f.skips
        if not (self._unfit or self._troubled) and policies == skips:
            return policies
        first = dr.mail_queue.peek_active(slot)
        if first is None:
            return policies
        terms = first.reception.terms
        if terms.tls_optional:
            return skips
        if terms.require_tls:

            def out(host: str, address: str) -> bool:
                return self._known(address) or policies(host, address)

            # Where none is left one of them is asked again: that is how it is learnt that it has changed.
            if not all(out(mx.host.name, address) for mx in dr.mxlist for address in mx.host.addresses):
                return out
        return policies

    def _known(self, address: str) -> bool:
        return self._unfit.has((address, 0)) or self._troubled.has((address, 0))

    def unfit(self, dr: DomainRecord, slot: int, connection: Connection, extensions: Extensions) -> Unfit | None:
        """
        Why mail of *dr* with REQUIRETLS does not go over a connection; ``None`` if it does.

        :param extensions: what it offers, in TLS if there is any.
        """
        facts = connection.tls
        if not self._named(dr, slot):
            return Unfit("neither DNSSEC nor an MTA-STS policy says that it is an exchanger of the domain", True)
        if facts is None:
            return Unfit("there is no TLS", not extensions.starttls)
        names = (connection.host_name, dr.domain)
        if facts.verified not in _PROVED or (facts.verified == "host" and facts.name not in names):
            return Unfit(f"its certificate does not prove who it is ({facts.problem or 'not verified'})", False)
        if b"REQUIRETLS" not in extensions.keywords:
            return Unfit("it does not offer REQUIRETLS", True)
        return None

    def _named(self, dr: DomainRecord, slot: int) -> bool:
        """
        Whether the exchangers are the domain's by more than the word of DNS; what an operator
        has written counts as validated.
        """
        if dr.secure:
            return True
        kept = self._f.tls_policies.in_force(dr, slot)
        return kept is not None and kept.policy.mode == "enforce"

    def give_up(
        self, dr: DomainRecord, slot: int, connection: Connection, found: Unfit, records: Records
    ) -> tuple[bytes, bool] | None:
        """
        The peer of *connection* gets no mail with REQUIRETLS: what becomes of a message.

        :returns: ``None`` if another exchanger may, and is next; else the status text it fails with, and
            whether for ever.
        """
        f = self._f
        (self._unfit if found.final else self._troubled).add((connection.address, 0))
        out, now = f.tls_policies.left_out(dr, slot), f.wall()
        retry = f.host_failure_retry(dr.domain)
        port = f.config.path(slot, dr.domain).port
        final = found.final
        for mx in dr.mxlist:
            for address in mx.host.addresses:
                if out(mx.host.name, address) or f.egress.source(slot, dr.domain, address) is None:
                    continue
                if self._troubled.has((address, 0)):
                    final = False
                elif self._unfit.has((address, 0)):
                    continue
                elif not records.down((address, mx.port or port), slot, now, retry, dr.domain):
                    return None
                else:
                    # It might have taken it, were it not for the failure.
                    final = False
        if not final:
            # The next attempt begins anew with those.
            for mx in dr.mxlist:
                for address in mx.host.addresses:
                    self._troubled.forget((address, 0))
        return requiretls_impossible(found.reason, final), final
