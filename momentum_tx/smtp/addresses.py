"""
Paths, mailboxes and domains of the envelope (RFC 5321 4.1.2 and 4.1.3, RFC 6531 3.3).

Strict by design: what passes here goes onto the wire unchanged, so nothing
passes that has a control character, a bare CR or LF, or NUL in it.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

import idna

#: RFC 5321 4.5.3.1.1 to 4.5.3.1.3; a path is counted with its angle brackets.
MAX_LOCAL: Final = 64
MAX_DOMAIN: Final = 255
MAX_PATH: Final = 256
#: RFC 1035 2.3.4.
MAX_LABEL: Final = 63

_ATEXT = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ATEXT8 = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]+"
_QUOTED = rb'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'
_QUOTED8 = rb'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\x20-\x7e])*"'
_LABEL = rb"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_LABEL8 = rb"[A-Za-z0-9_\x80-\xff](?:[A-Za-z0-9_\x80-\xff-]*[A-Za-z0-9_\x80-\xff])?"

#: Dot-string at domain, ASCII: what nearly every address is.
_PLAIN: Final = re.compile(rb"(%b(?:\.%b)*)@(%b(?:\.%b)*)\Z" % (_ATEXT, _ATEXT, _LABEL, _LABEL))
#: The same in angle brackets, up to the parameters.
_PLAIN_PATH: Final = re.compile(rb"<((%b(?:\.%b)*)@(%b(?:\.%b)*))>(?: +|\Z)" % (_ATEXT, _ATEXT, _LABEL, _LABEL))
_LOCAL: Final = re.compile(rb"(?:%b(?:\.%b)*|%b)\Z" % (_ATEXT, _ATEXT, _QUOTED))
_LOCAL8: Final = re.compile(rb"(?:%b(?:\.%b)*|%b)\Z" % (_ATEXT8, _ATEXT8, _QUOTED8))
_DOMAIN: Final = re.compile(rb"%b(?:\.%b)*\Z" % (_LABEL, _LABEL))
_DOMAIN8: Final = re.compile(rb"%b(?:\.%b)*\Z" % (_LABEL8, _LABEL8))
#: A-d-l of RFC 5321 4.1.2: the obsolete route before a mailbox, to be ignored.
_ROUTE: Final = re.compile(rb"@%b(?:\.%b)*(?:,@%b(?:\.%b)*)*:" % (_LABEL, _LABEL, _LABEL, _LABEL))
#: The path up to the bracket that closes it; a quoted string may hold brackets.
_PATH: Final = re.compile(rb'<((?:[^<>"\x00-\x1f\x7f]|"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*")*)>(?: +|\Z)')
_PARAMETER: Final = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e\x80-\xff]+))?\Z")
#: Controls that UTF-8 can spell, and the separators some software takes for line ends.
_UTF8_CONTROLS: Final = re.compile("[\x80-\x9f\u2028\u2029]")


def parse_path(argument: bytes, smtputf8: bool = False) -> tuple[bytes, bytes]:
    """
    Take the argument of ``MAIL FROM:`` or ``RCPT TO:`` apart.

    :param argument: what follows the colon, without the line end.
    :param smtputf8: whether octets above 127 are allowed (RFC 6531).
    :returns: the address without brackets and source route, empty for the null
        path; and the parameters, not yet looked at.  The address may be
        ``postmaster`` without a domain (RFC 5321 4.5.1).
    :raises ValueError: with a text for the client, if it is no path.
    """
    argument = argument.strip(b" ")
    found = _PLAIN_PATH.match(argument)
    if found is not None:
        address, local, domain = found.groups()
        if len(local) <= MAX_LOCAL and len(domain) <= MAX_LABEL:
            return address, argument[found.end() :]
    found = _PATH.match(argument)
    if found is None:
        raise ValueError("no address in angle brackets")
    address = found[1]
    route = _ROUTE.match(address)
    if route is not None:
        address = address[route.end() :]
    if (address or route is not None) and address.lower() != b"postmaster":
        check_address(address, smtputf8)
    return address, argument[found.end() :]


def parse_parameters(text: bytes) -> dict[bytes, bytes]:
    """
    The parameters of MAIL or RCPT by upper-case keyword; one without a value
    has an empty one.

    :raises ValueError: if one is malformed or given twice.
    """
    parameters: dict[bytes, bytes] = {}
    for word in text.split():
        found = _PARAMETER.match(word)
        if found is None:
            raise ValueError("malformed parameter")
        keyword = found[1].upper()
        if keyword in parameters:
            raise ValueError("a parameter given twice")
        parameters[keyword] = found[2] or b""
    return parameters


def check_address(address: bytes, smtputf8: bool = False) -> None:
    """
    Be sure that *address* is a mailbox that may go onto the wire.

    :param address: local part, ``@``, domain or address literal; no brackets.
    :param smtputf8: whether octets above 127 are allowed.
    :raises ValueError: with a text for the client, if it is none.
    """
    if len(address) + 2 > MAX_PATH:
        raise ValueError("address too long")
    plain = _PLAIN.match(address)
    if plain is not None:
        if plain.end(1) > MAX_LOCAL:
            raise ValueError("local part too long")
        if len(address) - plain.end(1) > MAX_LABEL:
            _check_labels(plain[2])
        return
    local, at, domain = address.rpartition(b"@")
    if not at:
        raise ValueError("address without a domain")
    if len(local) > MAX_LOCAL:
        raise ValueError("local part too long")
    if not address.isascii():
        if not smtputf8:
            raise ValueError("address needs SMTPUTF8")
        try:
            text = address.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError("address is not UTF-8") from None
        if _UTF8_CONTROLS.search(text):
            raise ValueError("control character in address")
    if not (_LOCAL8 if smtputf8 else _LOCAL).match(local):
        raise ValueError("malformed local part")
    if domain.startswith(b"["):
        _literal(domain)
    elif not (_DOMAIN8 if smtputf8 else _DOMAIN).match(domain):
        raise ValueError("malformed domain")
    else:
        canonical_domain(domain)


def split_address(address: bytes) -> tuple[bytes, bytes]:
    """
    Local part and domain of a checked address; ``postmaster`` has no domain.
    """
    local, at, domain = address.rpartition(b"@")
    return (local, domain) if at else (address, b"")


# Most mail goes to few domains, and each is asked for several times per message.
@lru_cache(4096)
def canonical_domain(domain: bytes) -> str:
    """
    The form of *domain* that queues, options and DNS use: lower case, A-labels
    (UTS 46 mapping), no final dot.  An address literal is ``[192.0.2.1]`` or
    ``[IPv6:2001:db8::1]``.

    :raises ValueError: if it is neither.
    """
    if _DOMAIN.match(domain) is not None:
        if len(domain) > MAX_LABEL:
            _check_labels(domain)
        return domain.lower().decode("ascii")
    if domain.startswith(b"["):
        return _literal(domain)
    if domain.isascii():
        if domain.endswith(b".") and not domain.endswith(b".."):
            return canonical_domain(domain[:-1])
        raise ValueError("malformed domain")
    try:
        encoded = idna.encode(domain.decode("utf-8"), uts46=True)
    except UnicodeError:  # of which IDNAError is one
        raise ValueError("malformed domain") from None
    return canonical_domain(encoded)


def _check_labels(domain: bytes) -> None:
    if len(domain) > MAX_DOMAIN or max(map(len, domain.split(b"."))) > MAX_LABEL:
        raise ValueError("domain too long")


def _literal(domain: bytes) -> str:
    """
    An address literal in its one spelling; only the two kinds with a meaning.
    """
    inner = domain[1:-1].decode("ascii", "replace")
    if domain.endswith(b"]"):
        try:
            if inner[:5].lower() == "ipv6:" and "%" not in inner:
                return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
            return f"[{ipaddress.IPv4Address(inner)}]"
        except ValueError:
            pass
    raise ValueError("malformed address literal")
