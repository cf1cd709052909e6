"""
Next hops as an operator writes them, in ``routes`` and ``gateway``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl

#: The route that stands for the exchangers that DNS gives the domain.
OWN_EXCHANGERS: Final = "__mx__"


@dataclass(frozen=True, slots=True)
class Route:
    """
    One entry of ``routes``.

    :ivar host: name or numeric address; :data:`OWN_EXCHANGERS` for the domain's own exchangers.
    :ivar port: 0 where none is written.
    :ivar preference: ``None`` where none is written.
    :ivar ttl: seconds what is found may be kept; ``None`` where DNS, or a constant, says so.
    :ivar by_mx: whether the host's exchangers are meant instead of its addresses.
    """

    host: str
    port: int = 0
    preference: int | None = None
    ttl: float | None = None
    by_mx: bool = False


def parse_route(text: str) -> Route:
    """
    A route in the form in which the configuration settles it: ``__mx__``,
    whatever :func:`parse_next_hop` takes, or
    ``smtp://host?pref=10&ttl=300&port=2525&type=mx``.

    :raises ValueError: it is none of these; the text says why.
    """
    if text == OWN_EXCHANGERS:
        return Route(text)
    _, scheme, rest = text.rpartition("://")
    host, _, query = rest.partition("?") if scheme else (text, "", "")
    name, port = parse_next_hop(host)
    given = dict(parse_qsl(query))
    return Route(
        name,
        int(given.get("port", port)),
        int(given["pref"]) if "pref" in given else None,
        float(given["ttl"]) if "ttl" in given else None,
        given.get("type") == "mx",
    )


def preferences(routes: Iterable[Route]) -> list[int]:
    """
    The preference of each route: as written, else one more than the highest
    before it, 0 for the first.
    """
    found: list[int] = []
    for route in routes:
        found.append(max(found, default=-1) + 1 if route.preference is None else route.preference)
    return found


def parse_next_hop(text: str) -> tuple[str, int]:
    """
    Host and port of ``name``, ``name:port``, ``1.2.3.4``, ``1.2.3.4:port``,
    ``[::1]``, ``[::1]:port`` or a bare IPv6 address; port 0 where none is given.

    :raises ValueError: it is none of these; the text says why.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r}: an address in brackets is written [address] or [address]:port")
        return _address(host.removeprefix("IPv6:"), text), _port(rest[1:], text) if rest else 0
    if text.count(":") > 1:
        return _address(text, text), 0
    host, colon, port = text.partition(":")
    host = host.lower().rstrip(".")
    if not host or any(letter in host for letter in " \t\r\n/@<>"):
        raise ValueError(f"{text!r} is neither a host name nor an address")
    return host, _port(port, text) if colon else 0


def is_address(host: str) -> bool:
    """
    Whether *host* is a numeric address.
    """
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _address(host: str, text: str) -> str:
    if not is_address(host):
        raise ValueError(f"{text!r}: {host!r} is not an address")
    return host


def _port(port: str, text: str) -> int:
    # isdecimal() knows other scripts' digits too, and int() refuses thousands of them in its own words.
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
        raise ValueError(f"{text!r}: the port is a number from 1 to 65535")
    return int(port)


def before_ourselves(exchangers: Sequence[tuple[int, str]], own: str) -> Sequence[tuple[int, str]]:
    """
    The exchangers that are nearer to the mailbox than we are: where we are one
    ourselves, we and all that are no better take no mail from us, or it would go
    in circles (RFC 5321 5.1).  Where that leaves nobody all stay, and what our own
    address is to us (``prohibited_hosts``) decides.

    :param exchangers: preference and name of each, in any order.
    :param own: our name.
    """
    own = own.lower().rstrip(".")
    ours = [preference for preference, name in exchangers if name.lower().rstrip(".") == own]
    if not ours:
        return exchangers
    return [each for each in exchangers if each[0] < min(ours)] or exchangers
