"""
Tells what came of TLS in a session, policy by policy, to whoever counts it.

Source: RFC 8460 sections 1.1 (whose the policies are) and 4.3 (what went wrong).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ..policy.mta_sts import KeptPolicy
from ..policy.tls import INVALID, TLSA_INVALID
from ..policy.tls_report import DANE, NO_POLICY, STS, AppliedPolicy, TLSOutcome
from ..settings import REPORTS_BINDING
from .dane import TLSAFound

if TYPE_CHECKING:
    from ..interfaces.seams import ITLSFacts
    from ..queues.domain import Connection, DomainRecord
    from ..smtp.replies import Reply
    from .facilities import Facilities

#: What went wrong, as RFC 8460 calls it, and in words; both empty if nothing did.
Problem = tuple[str, str]

NOT_OFFERED: Final[Problem] = ("starttls-not-supported", "STARTTLS is not offered")
REFUSED: Final[Problem] = ("starttls-not-supported", "STARTTLS was refused")
HANDSHAKE: Final[Problem] = (INVALID, "the handshake failed")
BROKEN: Final[Problem] = (INVALID, "a handshake failed before")
NO_ANSWER: Final[Problem] = ("dnssec-invalid", "the TLSA records cannot be had")
NOT_LISTED: Final[Problem] = (INVALID, "the MTA-STS policy does not list the exchanger")
_NAME: Final = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")
_FINE: Final[Problem] = ("", "")


def tell(
    facilities: Facilities,
    dr: DomainRecord,
    slot: int,
    connection: Connection,
    local: str,
    greeting: Reply | None,
    problem: Problem | None,
    facts: ITLSFacts | None,
) -> None:
    """
    A session for mail of *dr* has TLS, or has not.

    :param connection: with its exchanger.
    :param local: our address.
    :param greeting: what the exchanger greeted us with, if it came to that.
    :param problem: why not.
    :param facts: what was negotiated, if it was.
    """
    told = facilities.tls_told
    if told is None or not _reported(facilities, dr, slot):
        return
    host = connection.host_name
    # As a peer calls itself, if that is a name.
    name = greeting.lines[0].partition(b" ")[0] if greeting is not None else b""
    helo = name.decode("ascii") if _NAME.fullmatch(name) else ""
    for policy, found in _judged(facilities, dr, slot, host, problem, facts):
        told(TLSOutcome(dr.domain, policy, *found, local, host, helo, connection.address))


def tell_refused(facilities: Facilities, dr: DomainRecord, slot: int, kept: KeptPolicy) -> None:
    """
    No exchanger of *dr* may be connected to, since its MTA-STS policy lists none of them.
    """
    told = facilities.tls_told
    if told is not None and _reported(facilities, dr, slot):
        told(TLSOutcome(dr.domain, _of_sts(kept), *NOT_LISTED))


def tell_unfetched(facilities: Facilities, domain: str, kind: str, reason: str) -> None:
    """
    The MTA-STS policy of a domain cannot be had.

    :param kind: a result type.
    """
    told = facilities.tls_told
    if told is not None:
        told(TLSOutcome(domain, AppliedPolicy(STS, domain), kind, reason))


def _reported(facilities: Facilities, dr: DomainRecord, slot: int) -> bool:
    """
    Whether the domain's owner has to do with sessions of *dr*: not if an operator says
    where its mail goes, nor if it is a set of domains; nor are sessions counted that
    deliver reports (RFC 8460 3).
    """
    if dr.operator_named or dr.routes or dr.fixed or dr.rolled or dr.domain.startswith("["):
        return False
    return facilities.config.bindings[slot].name != REPORTS_BINDING


def _judged(
    facilities: Facilities,
    dr: DomainRecord,
    slot: int,
    host: str,
    problem: Problem | None,
    facts: ITLSFacts | None,
) -> Iterator[tuple[AppliedPolicy, Problem]]:
    """
    Each policy that held for the session, and whether it was fulfilled.
    """
    tlsa, sts = facilities.tls_policies.applying(dr, slot, host)
    if problem is NO_ANSWER:
        yield AppliedPolicy(DANE, host), problem
        return
    if tlsa is not None and tlsa.published:
        verdict = problem
        if verdict is None and not tlsa.associations:
            verdict = (TLSA_INVALID, "none of the TLSA records can be used")
        yield _of_dane(tlsa), verdict or _verified(facts, "dane")
    if sts is not None and (tlsa is None or not tlsa.associations):
        verdict = problem if sts.policy.matches(host) else NOT_LISTED
        yield _of_sts(sts), verdict or _verified(facts, "host")
    elif tlsa is None or not tlsa.published:
        yield AppliedPolicy(NO_POLICY, dr.domain), problem or _FINE


def _verified(facts: ITLSFacts | None, how: str) -> Problem:
    assert facts is not None
    if facts.verified == how:
        return _FINE
    return facts.problem_kind or INVALID, facts.problem or "it was not verified"


def _of_sts(kept: KeptPolicy) -> AppliedPolicy:
    policy = kept.policy
    patterns = tuple(sorted(policy.patterns))
    lines = ["version: STSv1", f"mode: {policy.mode}", *(f"mx: {each}" for each in patterns)]
    return AppliedPolicy(STS, kept.domain, (*lines, f"max_age: {policy.max_age}"), patterns)


def _of_dane(tlsa: TLSAFound) -> AppliedPolicy:
    records = (f"{each.usage} {each.selector} {each.matching} {each.data.hex().upper()}" for each in tlsa.associations)
    return AppliedPolicy(DANE, tlsa.base, tuple(records))
