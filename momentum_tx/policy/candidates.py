"""
Which addresses an attempt tries, in which order.

Source: Momentum, page of ``routes`` (preference levels), ``host_failure_retry``,
``prefer_ipv6_mxs``; RFC 5321 section 5.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Generic, Protocol, TypeVar

from ..flags import ConnFlag


class Host(Protocol):
    """
    What is asked of a host record.
    """

    @property
    def name(self) -> str:
        """
        The name, which options and limits go by.
        """

    @property
    def addresses(self) -> tuple[str, ...]:
        """
        Numeric addresses.
        """


HostT = TypeVar("HostT", bound=Host)
HostT_co = TypeVar("HostT_co", bound=Host, covariant=True)


class Exchanger(Protocol[HostT_co]):
    """
    What is asked of an entry in a list of exchangers.
    """

    @property
    def preference(self) -> int:
        """
        The lower, the sooner.
        """

    @property
    def host(self) -> HostT_co:
        """
        The host record.
        """

    @property
    def port(self) -> int:
        """
        Port an operator wrote; 0 if none.
        """


@dataclass(frozen=True, slots=True)
class Candidate(Generic[HostT]):
    """
    One address of one exchanger.

    :ivar preference: of the MX record.
    :ivar host: its host record.
    :ivar address: numeric.
    :ivar port: to connect to.
    """

    preference: int
    host: HostT
    address: str
    port: int


def source_for(address: str, first: str, second: str = "") -> str | None:
    """
    Which of a binding's addresses a connection to *address* leaves from: the
    one of its family (Momentum: ``binding_address_family_matches``).

    :param first: the binding's address; empty if the kernel may choose.
    :param second: its address of the other family; empty if there is none.
    :returns: empty lets the kernel choose; ``None`` if the binding cannot reach *address*.
    """
    for source in (first, second):
        if source and (":" in source) == (":" in address):
            return source
    return None if first else ""


def eligible(
    mxlist: Iterable[Exchanger[HostT]],
    *,
    usable: Callable[[str], bool],
    default_port: int,
    down: Callable[[str, int], bool],
    full: Callable[[HostT], bool],
    probed: Callable[[str, int], bool] = lambda address, port: False,
    skipped: Callable[[str, str], bool] = lambda host, address: False,
) -> tuple[list[Candidate[HostT]], ConnFlag]:
    """
    The addresses that may be tried now.

    A host at its connection limit counts as weight zero; a worse preference is
    then used.  An address that failed lately is out.

    :param usable: whether the binding has a source for an address.
    :param default_port: where the MX record names none.
    :param down: whether an address, at a port, failed lately from this binding.
    :param full: whether a host has as many connections as it may.
    :param probed: whether somebody is finding out if an address that failed
        serves again; one connection does that, and the others wait for it.
    :param skipped: whether an operator wants an address of a host left out.
    :returns: the candidates in ascending preference, and the flag that says
        why there are none: ``HOST_MAX_REACHED`` as soon as one address was left
        out only because its host was full or it is being probed, else ``NO_MXS_REACHABLE``; zero when
        there are candidates.
    """
    found: list[Candidate[HostT]] = []
    crowded = False
    for mx in mxlist:
        host = mx.host
        occupied = full(host)
        for address in host.addresses:
            if not usable(address) or down(address, mx.port or default_port) or skipped(host.name, address):
                continue
            if occupied or probed(address, mx.port or default_port):
                crowded = True
                continue
            found.append(Candidate(mx.preference, host, address, mx.port or default_port))
    if found:
        return found, ConnFlag(0)
    return found, ConnFlag.ERROR_HOST_MAX_REACHED if crowded else ConnFlag.ERROR_NO_MXS_REACHABLE


def order(candidates: list[Candidate[HostT]], rng: Random, prefer_ipv6: bool, limit: int) -> list[Candidate[HostT]]:
    """
    The order of one attempt: ascending preference; within one preference hosts
    at random, each host as likely as the other however many addresses it has,
    and the addresses of a host at random; at most *limit* in all.

    :param prefer_ipv6: whether IPv6 goes first within a preference.
    """
    keyed = []
    drawn: dict[tuple[int, str], float] = {}
    for candidate in candidates:
        key = (candidate.preference, candidate.host.name)
        if key not in drawn:
            drawn[key] = rng.random()
        late = prefer_ipv6 and ":" not in candidate.address
        keyed.append((candidate.preference, late, drawn[key], rng.random(), candidate))
    keyed.sort(key=lambda item: item[:4])
    if len(keyed) <= limit:
        return [item[4] for item in keyed]
    # A second host is worth more than a fifth address of the first.
    first_of_host: list[Candidate[HostT]] = []
    others: list[Candidate[HostT]] = []
    seen: set[tuple[int, str]] = set()
    for item in keyed:
        candidate = item[4]
        key = (candidate.preference, candidate.host.name)
        (others if key in seen else first_of_host).append(candidate)
        seen.add(key)
    chosen = set(map(id, [*first_of_host, *others][:limit]))
    return [item[4] for item in keyed if id(item[4]) in chosen]
