"""
Next hops as an operator writes them, in ``routes`` and ``gateway``.
"""

from __future__ import annotations

from ipaddress import ip_address


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
