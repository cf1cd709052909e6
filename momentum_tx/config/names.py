"""
What may be written as a name, an address or a network, and its settled form.

Every function returns the settled form or raises :class:`ValueError` whose text
goes into the mistake as it is.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import idna

from ..policy import log_format, shares, signatures, tracing
from ..policy.credentials import PASSWORD_MECHANISMS, TOKEN_MECHANISMS, Credentials
from ..policy.curfew import QuietHours
from ..policy.next_hop import is_address, parse_next_hop
from ..policy.reply_rules import ReplyRule
from ..policy.tls_report import is_plain_address
from ..policy.transcoding import compiled_pattern, parsed_replacement
from ..units import duration, rate, windows

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PROVIDER: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
#: A route with parameters; the protocols are those of ``delivery_method``.
_ROUTE_URL: Final = re.compile(r"(smtp|esmtp|lmtp)://([^?/]*)/?(?:\?(.*))?", re.IGNORECASE)
#: Its parameters: the smallest and the largest value, none for a word.  A preference has the 16 bits it has in DNS, and
#: more than a year makes a lifetime no better.
_ROUTE_PARAMETERS: Final = {"pref": (0, 65535), "ttl": (1, 31_536_000), "port": (1, 65535), "type": (0, 0)}
#: RFC 1035 2.3.4, less the root label and its length octet.
_LONGEST_NAME: Final = 253


def domain(name: str) -> str:
    """
    A domain or host name: lower case, A-labels, no final dot; an address
    literal, or a bare address, in lower case.
    """
    lower = name.lower()
    if lower.startswith("[") and lower.endswith("]"):
        _address_of(lower[1:-1].removeprefix("ipv6:"), "is not an address literal: [192.0.2.1] or [IPv6:2001:db8::1]")
        return lower
    if ":" in lower:
        return str(_address_of(lower, "is neither a name nor an address"))
    if "*" in lower:
        stem = lower.rpartition("*")[2]
        raise ValueError(f"holds a wildcard; write a regex, as in '/{re.escape(stem)}$/'")
    lower = lower.removesuffix(".")
    if not lower.isascii():
        try:
            lower = idna.encode(lower, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"is not an internationalised domain name: {error}") from None
    if not lower:
        raise ValueError("is empty; a name is expected")
    if len(lower) > _LONGEST_NAME:
        raise ValueError(f"has more than {_LONGEST_NAME} characters")
    for label in lower.split("."):
        if not _LABEL.fullmatch(label):
            raise ValueError(
                f"is not a domain name: label {label!r} must have 1 to 63 letters, digits, hyphens or "
                "underscores, with no hyphen at either end"
            )
    return lower


def looked_up(name: str) -> str:
    """
    The form in which *name* is matched; never raises, for any name may be on a message.
    """
    try:
        return domain(name)
    except ValueError:
        return name.lower()


def full_name(name: str) -> str:
    """
    A fully qualified host name: RFC 5321 2.3.5 wants one in EHLO and greetings.
    """
    settled = domain(name)
    labels = settled.split(".")
    if "[" in settled or ":" in settled or len(labels) < 2 or "_" in settled or labels[-1].isdigit():
        raise ValueError("is not a fully qualified host name such as mx1.example.com")
    return settled


def host_name(name: str) -> str:
    """
    Value of ``hostname``: empty, or a full name.
    """
    return full_name(name) if name else ""


def ehlo_name(name: str) -> str:
    """
    Value of ``ehlo_hostname``: a full name, an address literal, or one of Momentum's two words.
    """
    if name in ("__hostname__", "__message__"):
        return name
    if not name:
        raise ValueError("is empty; a full host name, __hostname__ or __message__ is expected")
    if name.startswith("["):
        literal = domain(name)
        return f"[IPv6:{literal[6:]}" if literal.startswith("[ipv6:") else literal
    return full_name(name)


def address(text: str) -> str:
    """
    Value of ``bind_address``: empty, or a numeric unicast address.
    """
    if not text:
        return ""
    found = _address_of(text, "is not a numeric address; names are not looked up here")
    if found.is_multicast:
        raise ValueError("is a multicast address, from which no connection can leave")
    return str(found)


def address4(text: str) -> str:
    """
    An IPv4 address, or empty.
    """
    found = address(text)
    if ":" in found:
        raise ValueError("is no IPv4 address")
    return found


def address6(text: str) -> str:
    """
    An IPv6 address, or empty.
    """
    found = address(text)
    if found and ":" not in found:
        raise ValueError("is no IPv6 address")
    return found


def proxy(text: str) -> str:
    """
    A proxy: address or name, and port; or empty.
    """
    if not text:
        return ""
    try:
        host, port = parse_next_hop(text)
    except ValueError:
        raise ValueError("is no address and port, such as 10.0.0.1:8085 or proxy.example.com:8085") from None
    if not port:
        raise ValueError("has no port; write address:port")
    if is_address(host):
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"{full_name(host)}:{port}"


def network(text: str) -> str:
    """
    A network in CIDR form, or one address.
    """
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        pass
    try:
        wider = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("is not a network such as 192.0.2.0/24 or 2001:db8::/32") from None
    raise ValueError(f"has bits set behind the prefix (nearest: {wider})")


def skipped(text: str) -> str:
    """
    A network or one address; a host name; or a regex for host names between slashes.
    """
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        try:
            re.compile(text[1:-1], re.IGNORECASE)
        except re.error as error:
            raise ValueError(f"is not a regex: {error}") from None
        return text
    if "/" in text:
        return network(text)
    try:
        return network(text)
    except ValueError:
        return domain(text)


def nameserver(text: str) -> str:
    """
    ``1.2.3.4``, ``1.2.3.4:53``, ``2001:db8::1`` or ``[2001:db8::1]:53``.
    """
    wrong = "is not a nameserver such as 192.0.2.53, 192.0.2.53:53 or [2001:db8::53]:53"
    host, _ = _port_split(text, wrong)
    _address_of(host, wrong)
    return text


def gateway(text: str) -> str:
    """
    Empty, a name, or an address (IPv6 in brackets or bare).
    """
    if not text:
        return ""
    if text.startswith("[") and text.endswith("]"):
        return f"[{_address_of(text[1:-1], 'is neither a name nor an address')}]"
    if re.fullmatch(r"(\[.*\]|[^:]+):\d+", text):
        host, _, port = text.rpartition(":")
        raise ValueError(
            f'has a port, which a gateway has not; write remote_smtp_port = {port} into [domain."{host}"], or'
            f' routes = ["smtp://{host}/?port={port}"] instead of the gateway'
        )
    return domain(text)


def rollup_name(text: str) -> str:
    """
    Empty, or the name of a domain.
    """
    if not text:
        return ""
    settled = domain(text)
    if settled.startswith("[") or ":" in settled:
        raise ValueError("is an address; the name of a domain is expected")
    return settled


def route(text: str) -> str:
    """
    One route: name or address, either with ``:port``; ``__mx__``; or either of
    the former as ``smtp://host?pref=10&ttl=300&port=2525&type=mx``.
    """
    if text == "__mx__":
        return text
    written = _ROUTE_URL.fullmatch(text)
    if written is None:
        host, port = _route_host(text)
        return _bracketed(host, port) + port
    host, port = _route_host(written[2])
    parameters = _route_parameters(written[3])
    if port and "port" in parameters:
        raise ValueError("names two ports")
    if port:
        parameters["port"] = port[1:]
    query = "&".join(f"{key}={parameters[key]}" for key in _ROUTE_PARAMETERS if key in parameters)
    return f"{written[1].lower()}://{_bracketed(host, ':')}" + (f"?{query}" if query else "")


def _route_host(text: str) -> tuple[str, str]:
    """
    Settled host, and ``:port`` or nothing.
    """
    wrong = (
        "is not a route such as mx.example.com, mx.example.com:2525, 192.0.2.1, [2001:db8::1]:25, __mx__ or "
        "smtp://mx.example.com?pref=10&ttl=300&port=2525&type=mx"
    )
    if text == "__mx__":
        raise ValueError("__mx__ stands alone: its exchangers have their own preferences and lifetimes")
    host, port = _port_split(text, wrong)
    if ":" in host:
        return str(_address_of(host, wrong)), port
    if any(letter in host for letter in "/[?&="):
        raise ValueError(wrong)
    return domain(host), port


def _bracketed(host: str, port: str) -> str:
    return f"[{host}]" if ":" in host and port else host


def _route_parameters(text: str | None) -> dict[str, str]:
    """
    What stands behind the question mark, each checked.
    """
    found: dict[str, str] = {}
    for part in text.split("&") if text else ():
        key, _, value = part.partition("=")
        if key not in _ROUTE_PARAMETERS:
            raise ValueError(f"has a parameter {key!r}; there are pref, ttl, port and type")
        if key in found:
            raise ValueError(f"says {key} twice")
        least, most = _ROUTE_PARAMETERS[key]
        if not most:
            if value not in ("mx", "a"):
                raise ValueError("has a type that is neither mx nor a")
        # isdigit() knows other scripts' digits too, and int() refuses thousands of them in its own words.
        elif not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= most):
            raise ValueError(f"has a {key} that is no whole number from {least} to {most}")
        found[key] = value
    return found


def delivery_method(text: str) -> str:
    """
    What is spoken, in Momentum's capitals.
    """
    method = text.upper()
    if method in ("ECSTREAM", "APN", "GCM", "MM7"):
        raise ValueError("is no SMTP, and this server speaks nothing else; ESMTP, SMTP or LMTP is expected")
    if method not in ("ESMTP", "SMTP", "LMTP"):
        raise ValueError("is not ESMTP, SMTP or LMTP")
    return method


def auth_mechanism(text: str) -> str:
    """
    A mechanism of SASL, in capitals.
    """
    name = text.upper()
    known = (*PASSWORD_MECHANISMS, *TOKEN_MECHANISMS)
    if name not in known:
        raise ValueError(f"is no mechanism that is known here; there are {', '.join(known)}")
    return name


def auth_user(text: str) -> str:
    """
    Empty, or a name to authenticate by.
    """
    if text:
        Credentials(text, "x")
    return text


def listener(text: str) -> str:
    """
    An endpoint string; the service, which knows the reactor, parses it.
    """
    if not text:
        raise ValueError("is empty; an endpoint string such as tcp:2525:interface=127.0.0.1 is expected")
    return text


def provider(text: str) -> str:
    """
    ``package.module:object``.
    """
    if not _PROVIDER.fullmatch(text):
        raise ValueError("is not of the form package.module:object")
    return text


def interval(text: str) -> str:
    """
    A time such as ``5m``.
    """
    duration(text)
    return text


def reply_rule(text: str) -> str:
    """
    A class of replies and delays, such as ``421: 5m 10m``.
    """
    ReplyRule.parse(text)
    return text


def quiet_hours(text: str) -> str:
    """
    Hours that come again, such as ``mon-fri 22:00-07:00 Europe/Berlin``.
    """
    QuietHours.parse(text)
    return text


def transcode_pattern(text: str) -> str:
    """
    A regex.
    """
    compiled_pattern(text)
    return text


def transcode_replace(text: str) -> str:
    """
    Empty, or a refusal with ``$1`` and the like in it.
    """
    if text:
        parsed_replacement(text)
    return text


def monitor(text: str) -> str:
    """
    Windows to count in, such as ``60,15``.
    """
    windows(text)
    return text


def trace(text: str) -> str:
    """
    What to trace, such as ``domain=example.com file=/var/log/example.trace``.
    """
    tracing.parse(text)
    return text


def record_format(text: str) -> str:
    """
    The form of a custom log's records, such as ``%t %i %r@%R``.
    """
    log_format.parse(text)
    return text


def throttle(text: str) -> str:
    """
    Empty, or a rate such as ``100/min``.
    """
    if text:
        rate(text)
    return text


def share_weight(text: str) -> str:
    """
    The weight of a trait, such as ``priority:high=10``.
    """
    shares.parse(text)
    return text


def trait(text: str) -> str:
    """
    One of the traits of a message.
    """
    if text not in shares.TRAITS:
        raise ValueError("is not a trait: tenant, campaign or priority is expected")
    return text


def directory(text: str) -> str:
    """
    A directory that must have a name.
    """
    if not text:
        raise ValueError("is empty; a directory is expected")
    return text


def mailbox(text: str) -> str:
    """
    Empty, or one plain address.
    """
    if text and not is_plain_address(text):
        raise ValueError("is not a plain address such as tlsrpt@example.com")
    return text


def signing_domain(text: str) -> str:
    """
    Empty, or the name of a domain that signs mail.
    """
    return signatures.checked_domain(domain(text)) if text else ""


def binding(name: str) -> str:
    """
    A binding's name: no white space, no colon (S: they separate names in commands and logs).
    """
    if ":" in name:
        raise ValueError("a binding name may hold no colon")
    return binding_group(name)


def binding_group(name: str) -> str:
    """
    A binding group's name: no white space.
    """
    if not name or not name.isprintable() or any(character.isspace() for character in name):
        raise ValueError("a name must not be empty and may hold no white space or control characters")
    return name


def _address_of(text: str, wrong: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(wrong) from None


def _port_split(text: str, wrong: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and port[0] != ":") or ":" not in host:
            raise ValueError(wrong)
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        port = ":" + port
    else:
        return text, ""
    if port and not (port[1:].isascii() and port[1:].isdigit() and 1 <= int(port[1:]) <= 65535):
        raise ValueError(f"{wrong} (a port is a number from 1 to 65535)")
    return host, port
