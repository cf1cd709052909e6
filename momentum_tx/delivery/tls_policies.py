"""
What domains want of TLS, by MTA-STS and DANE: which exchangers are left out, and what
the others have to show.

Where several have a say the stricter counts; for who the peer is, TLSA records
before an MTA-STS policy (RFC 8461 section 2).  Each decision is kept with what it
was made of, so that it can be explained.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..errors import LookupFailed, TLSUndecided
from ..net.dane import TRUST_ANCHOR
from ..policy.mta_sts import IN_FORCE, KeptPolicy
from ..policy.next_hop import is_address
from ..policy.session_notes import NOT_IN_POLICY, TLSA_UNKNOWN
from ..policy.tls import TLSParameters, same_session, stricter
from ..smtp.addresses import canonical_domain, split_address
from .dane import TLSAFound
from .tls_telling import tell_refused

if TYPE_CHECKING:
    from ..queues.domain import Connection, DomainRecord, HostRecord
    from ..queues.message import Message
    from .facilities import Facilities

#: Decisions that are remembered, one for each domain and exchanger.
MOST_DECISIONS: Final = 10_000
#: Seconds for which a connection is used where policies are looked for: what it was opened with was decided once.
LONGEST_USE: Final = 3600.0
#: The most frequent reason why TLSA records do not count.
USE_DANE_OFF: Final = "use_dane is off"


@dataclass(frozen=True, slots=True)
class TLSDecision:
    """
    What was demanded of one exchanger, and why.

    :ivar at: wall time.
    :ivar domain: whose mail it was about.
    :ivar host: name of the exchanger.
    :ivar demanded: the outcome; ``None`` if nothing could be sent.
    :ivar wished: what the options, or a hook, wanted.
    :ivar tlsa: what DNS said; ``None`` if it was not asked.
    :ivar without_dane: why TLSA records did not count; empty if they did.
    :ivar sts: the policy in force; ``None`` without one.
    """

    at: float
    domain: str
    host: str
    demanded: TLSParameters | None
    wished: TLSParameters
    tlsa: TLSAFound | None
    without_dane: str
    sts: KeptPolicy | None


class TLSPolicies:
    """
    Applies policies of domains.

    :param facilities: configuration, policies, TLSA records.
    :ivar remember_all: whether decisions are remembered that no policy could have changed.
    """

    def __init__(self, facilities: Facilities) -> None:
        self._f = facilities
        self._decisions: OrderedDict[tuple[str, str], TLSDecision] = OrderedDict()
        self.remember_all = False

    # MTA-STS.

    def ready(self, dr: DomainRecord) -> Deferred[None]:
        """
        Fires when the policy of *dr* is known, if it has one; at once where mail is not to
        wait for that (see :meth:`~momentum_tx.delivery.mta_sts.STSPolicies.ready`).
        """
        waiting = None
        if self._f.sts is not None and self._looks(dr):
            waiting = self._f.sts.ready(dr.domain)
        if waiting is None:
            waiting = Deferred()
            waiting.callback(None)
        return waiting

    def unlooked(self, dr: DomainRecord) -> bool:
        """
        Whether the policy of *dr* is to be looked for and never was.
        """
        return self._f.sts is not None and self._looks(dr) and not self._f.sts.looked(dr.domain)

    def outdated(self, dr: DomainRecord, age: float) -> bool:
        """
        Whether a connection for mail of *dr* is so old that its domain may want something
        else by now.

        :param age: of the connection, seconds.
        """
        if age <= LONGEST_USE:
            return False
        settings = self._f.config.domain(dr.domain)
        return settings.use_mta_sts or settings.use_dane

    def _looks(self, dr: DomainRecord) -> bool:
        # An operator who writes where mail goes means it; and a set of exchangers has no policy.
        chosen = dr.operator_named or dr.routes or dr.fixed or dr.domain.startswith("[")
        return not chosen and self._f.config.domain(dr.domain).use_mta_sts

    def in_force(self, dr: DomainRecord, slot: int) -> KeptPolicy | None:
        """
        The policy that binds mail of *dr* from a binding; ``None`` if none does.
        """
        if self._f.sts is None or not self._looks(dr) or not self._f.config.path(slot, dr.domain).enable_mta_sts:
            return None
        kept = self._f.sts.known(dr.domain)
        return kept if kept is not None and kept.policy.mode in IN_FORCE else None

    def left_out(self, dr: DomainRecord, slot: int) -> Callable[[str, str], bool]:
        """
        Says of the name and address of an exchanger whether mail of *dr* must not go
        there: an operator does not want it, or the domain's policy does not know it
        (RFC 8461 section 5).
        """
        kept = self.in_force(dr, slot)
        skips = self._f.skips
        if kept is None or kept.policy.mode != "enforce":
            return skips
        matches = kept.policy.matches
        return lambda host, address: not matches(host) or skips(host, address)

    def why_left_out(self, dr: DomainRecord, slot: int, host: HostRecord) -> str:
        """
        Why mail of *dr* does not go by an exchanger; empty if it may.
        """
        kept = self.in_force(dr, slot)
        if kept is not None and kept.policy.mode == "enforce" and not kept.policy.matches(host.name):
            return "it is not in the MTA-STS policy"
        skipped = host.addresses and all(self._f.skips(host.name, address) for address in host.addresses)
        return "skip_hosts says so" if skipped else ""

    def refusal(self, dr: DomainRecord, slot: int) -> bytes:
        """
        The status text of mail of *dr* for which there is no exchanger, if its policy is the
        reason; empty if not.  A newer policy is looked for then.
        """
        kept = self.in_force(dr, slot)
        if kept is None or kept.policy.mode != "enforce" or not dr.mxlist:
            return b""
        if any(kept.policy.matches(mx.host.name) for mx in dr.mxlist):
            return b""
        assert self._f.sts is not None
        self._f.sts.suspect(dr.domain)
        tell_refused(self._f, dr, slot, kept)
        return NOT_IN_POLICY

    def failed(self, dr: DomainRecord, demanded: TLSParameters) -> None:
        """
        A session for mail of *dr* came to nothing.

        :param demanded: what was wanted of TLS.
        """
        if demanded.origin == "mta-sts" and demanded.mandatory and self._f.sts is not None:
            self._f.sts.suspect(dr.domain)

    def unsettled(self, dr: DomainRecord, note: bytes) -> bool:
        """
        Whether mail of *dr* that has failed may have failed of a policy that is just being
        looked at anew.

        :param note: why it has failed.
        """
        return self._f.sts is not None and note[:7] in _POLICY_CODES and self._f.sts.unsettled(dr.domain)

    def alone(self, domain: str) -> bool:
        """
        Whether mail of *domain* must not share a queue: it has a policy in force.
        """
        if self._f.sts is None or not self._f.config.domain(domain).use_mta_sts:
            return False
        kept = self._f.sts.known(domain)
        return kept is not None and kept.policy.mode in IN_FORCE

    def stray(self, message: Message, dr: DomainRecord) -> bool:
        """
        Whether *message* does not belong into the queue of *dr*, which domains share, since
        its own domain's policy is known by now.
        """
        if self._f.sts is None or not self._f.config.written("use_mta_sts"):
            return False
        domain = canonical_domain(split_address(message.recipient)[1])
        return domain != dr.domain and self.alone(domain)

    # DANE.

    def dane_wanted(self, domain: str, secure: bool) -> bool:
        """
        Whether exchangers of *domain* are looked up in TLSA records.

        :param secure: whether it was validated which they are.
        """
        return secure and self._f.config.domain(domain).use_dane

    def _why_no_dane(self, dr: DomainRecord, slot: int, host: str) -> str:
        """
        Why TLSA records do not count for an exchanger; empty if they do.
        """
        settings = self._f.config.path(slot, dr.domain)
        if not self._f.config.domain(dr.domain).use_dane:
            return USE_DANE_OFF
        if not settings.enable_dane:
            return "enable_dane is off"
        if settings.delivery_method == "LMTP":
            return "LMTP is spoken"
        if not dr.secure:
            return "the domain's exchangers are not validated by DNSSEC"
        if is_address(host):
            return "the exchanger is an address"
        return ""

    def prepare(self, dr: DomainRecord) -> None:
        """
        The exchangers of *dr* are known: have their TLSA records looked up, so that no
        session has to wait for them.
        """
        if self.dane_wanted(dr.domain, dr.secure):
            port = self._f.config.path(0, dr.domain).port
            for mx in dr.mxlist:
                if mx.host.addresses and not is_address(mx.host.name):
                    self._f.dane.prepare(mx.host.name, mx.port or port)

    def _port(self, dr: DomainRecord, slot: int, host: str) -> int:
        written = next((mx.port for mx in dr.mxlist if mx.host.name == host), 0)
        return written or self._f.config.path(slot, dr.domain).port

    # Both.

    def applied(
        self, wished: TLSParameters, dr: DomainRecord, slot: int, host: str
    ) -> TLSParameters | Deferred[TLSParameters]:
        """
        What is wanted of a connection for mail of *dr* to one exchanger.

        :param wished: what the options want.
        :returns: that, or a Deferred that fires with it; it fails with
            :class:`~momentum_tx.errors.TLSUndecided` if TLSA records cannot be had.
        :raises TLSUndecided: nothing may go there: the policy of *dr* does not list the exchanger.
        """
        sts = self.in_force(dr, slot)
        if sts is not None and sts.policy.mode == "enforce" and not sts.policy.matches(host):
            # It was chosen for a message that policies do not bind, and that has gone another way since: whatever
            # certificate a stranger has for its own name, nobody else's mail follows.
            raise TLSUndecided(NOT_IN_POLICY)
        if self._f.sts is not None and self._looks(dr):
            self._f.sts.check(dr.domain)
        reason = self._why_no_dane(dr, slot, host)
        if reason:
            if reason == USE_DANE_OFF and not self._looks(dr) and not self.remember_all:
                # Nobody has asked for any of this, and nobody will ask why.
                return wished
            return self._decide(wished, dr, slot, host, None, reason, sts)
        looking = self._f.dane.lookup(host, self._port(dr, slot, host))

        def found(tlsa: TLSAFound) -> TLSParameters:
            return self._decide(wished, dr, slot, host, tlsa, tlsa.reason, sts)

        def unknown(failure: Failure) -> TLSParameters:
            failure.trap(LookupFailed)
            self._remember(TLSDecision(self._f.wall(), dr.domain, host, None, wished, None, str(failure.value), sts))
            # Not even in TLS: whoever can make a look-up fail could stand in for the peer (RFC 7672 2.1.2).
            raise TLSUndecided(TLSA_UNKNOWN)

        return looking.addCallbacks(found, unknown)

    def shared(
        self, used: TLSParameters, owner: DomainRecord, dr: DomainRecord, slot: int, connection: Connection
    ) -> bool:
        """
        Whether mail of *dr* may go over a connection that was opened for another domain: it
        would have had the same TLS.

        :param used: what was wanted when it was opened.
        :param owner: the domain it was opened for, or has served since.
        """
        if self.unlooked(dr):
            return False
        if used.verify != "no" and self._f.hooks.outbound_smtp_tls_verify_callback:
            # Its answer was for the domain that it was asked about.
            return False
        host = connection.host_name
        sts, reason = self.in_force(dr, slot), self._why_no_dane(dr, slot, host)
        theirs = self.in_force(owner, slot), self._why_no_dane(owner, slot, host)
        wished = self._f.tls_requirements.wished(dr, slot, host, dr.mail_queue.peek_active(slot))
        if sts is None and reason and theirs[0] is None and theirs[1]:
            return same_session(used, wished, connection.tls)
        tlsa = None
        if not reason:
            tlsa = self._f.dane.known(host, self._port(dr, slot, host))
            if tlsa is None:
                return False
        return same_session(used, self._combined(wished, dr, slot, host, tlsa, sts), connection.tls)

    def _decide(
        self,
        wished: TLSParameters,
        dr: DomainRecord,
        slot: int,
        host: str,
        tlsa: TLSAFound | None,
        without_dane: str,
        sts: KeptPolicy | None,
    ) -> TLSParameters:
        demanded = self._combined(wished, dr, slot, host, tlsa, sts)
        self._remember(TLSDecision(self._f.wall(), dr.domain, host, demanded, wished, tlsa, without_dane, sts))
        return demanded

    def _combined(
        self,
        wished: TLSParameters,
        dr: DomainRecord,
        slot: int,
        host: str,
        tlsa: TLSAFound | None,
        sts: KeptPolicy | None,
    ) -> TLSParameters:
        found = wished
        if sts is not None and (tlsa is None or not tlsa.associations):
            found = stricter(found, _by_policy(sts, host))
        if tlsa is not None and tlsa.published:
            found = stricter(found, _by_records(tlsa, "" if dr.rolled else dr.domain))
        return found

    def applying(self, dr: DomainRecord, slot: int, host: str) -> tuple[TLSAFound | None, KeptPolicy | None]:
        """
        What holds for one exchanger of *dr* by what is known now: TLSA records, and an
        MTA-STS policy.
        """
        tlsa = None
        if not self._why_no_dane(dr, slot, host):
            tlsa = self._f.dane.known(host, self._port(dr, slot, host))
        return tlsa, self.in_force(dr, slot)

    # What was decided.

    def _remember(self, decision: TLSDecision) -> None:
        key = decision.domain, decision.host
        decisions = self._decisions
        decisions.pop(key, None)
        if len(decisions) >= MOST_DECISIONS:
            decisions.popitem(last=False)
        decisions[key] = decision

    def decisions(self, domain: str) -> list[TLSDecision]:
        """
        What was decided last for each exchanger of *domain*.
        """
        return [each for each in self._decisions.values() if each.domain == domain]


#: How status texts begin that speak of TLS.
_POLICY_CODES: Final = (b"451 4.7",)


def _by_policy(kept: KeptPolicy, host: str) -> TLSParameters:
    """
    What an MTA-STS policy wants of an exchanger: its own name in a certificate that leads
    to a trusted issuer (RFC 8461 section 4.1).
    """
    enforced = kept.policy.mode == "enforce"
    return TLSParameters(
        use="required" if enforced else "ifavailable",
        verify="host" if enforced else "optional",
        names=(host,),
        sni=host,
        fallback=not enforced,
        origin="mta-sts",
    )


def _by_records(tlsa: TLSAFound, domain: str) -> TLSParameters:
    """
    What TLSA records want: one of them, or if none is usable TLS alone.

    :param domain: whose mail it is; empty if that of several.
    """
    wanted = TLSParameters(use="required", sni=tlsa.base, fallback=False, origin="dane")
    if not tlsa.associations:
        return wanted
    # Names count where an issuer is named and not the server itself (RFC 7672 section 3.1.1).
    by_issuer = any(each.usage == TRUST_ANCHOR for each in tlsa.associations)
    names = tuple(dict.fromkeys(filter(None, (tlsa.base, domain)))) if by_issuer else ()
    return replace(wanted, verify="dane", names=names, tlsa=tlsa.associations)
