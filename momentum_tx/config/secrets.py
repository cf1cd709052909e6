"""
Reads the files that hold secrets, so that no secret stands in a configuration, and
whatever is wrong with one is known when that is loaded.
"""

from __future__ import annotations

import os
import stat
from types import MappingProxyType
from typing import Final

from ..policy.credentials import LONGEST_SECRET, SAFE_IN_CLEAR, TOKEN_MECHANISMS, Credentials
from .findings import Findings
from .stanzas import Stanza

_USER: Final = "outbound_smtp_auth_user"
_FILE: Final = "outbound_smtp_auth_pass_file"
_TYPE: Final = "outbound_smtp_auth_type"
_PROXY_USER: Final = "socks_proxy_user"
_PROXY_FILE: Final = "socks_proxy_pass_file"
#: RFC 1929 2: each has a length of one octet.
_LONGEST_FOR_PROXY: Final = 255


def check(found: Findings) -> None:
    """
    Read all files, note what is wrong with them and with what they are for, and give
    the configuration what they hold.
    """
    if not any(found.config.written(option) for option in (_USER, _FILE, _TYPE, _PROXY_USER, _PROXY_FILE)):
        return
    secrets: dict[str, str] = {}
    wrong: set[str] = set()
    for stanza in found.config.stanzas():
        for option in (_FILE, _PROXY_FILE):
            path = str(stanza.values.get(option, ""))
            if not path or path in secrets or path in wrong:
                continue
            try:
                secrets[path] = read_secret(path)
            except ValueError as error:
                wrong.add(path)
                found.refuse((*stanza.path, option), f"{path} {error}")
    for stanza in found.having(_USER, _FILE, _TYPE):
        _together(found, stanza, secrets)
    for stanza in found.having(_PROXY_USER, _PROXY_FILE):
        _for_proxy(found, stanza, secrets)
    found.config.secrets = MappingProxyType(secrets)


def read_secret(path: str) -> str:
    """
    The one line of a file.

    :raises ValueError: there is no such file, everybody may read it, or it holds
        something else; the text does not say what.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("is no file")
        if found.st_mode & 0o007:
            raise ValueError(f"is open to everybody (mode {stat.S_IMODE(found.st_mode):04o}): chmod o= it")
        content = os.read(descriptor, LONGEST_SECRET + 3)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    finally:
        os.close(descriptor)
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    if not content:
        raise ValueError("is empty; one line with a password or token is expected")
    if b"\n" in content or b"\r" in content or b"\0" in content:
        raise ValueError("holds more than one line, or what is no text")
    try:
        secret = content.decode()
        Credentials("x", secret)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"holds no password or token ({error})") from None
    return secret


def _together(found: Findings, stanza: Stanza, secrets: dict[str, str]) -> None:
    user, path = str(found.value(stanza, _USER)), str(found.value(stanza, _FILE))
    types = found.value(stanza, _TYPE)
    assert isinstance(types, tuple)
    tokens = [name for name in types if name in TOKEN_MECHANISMS]
    option = next(option for option in (_USER, _FILE, _TYPE) if option in stanza.values)
    place = (*stanza.path, option)
    if tokens and len(tokens) < len(types):
        if _TYPE in stanza.values:
            found.refuse((*stanza.path, _TYPE), "names mechanisms for passwords and for tokens; the file holds either")
        return
    if user and not path and found.settled(stanza, _USER, _FILE):
        found.refuse(place, f"{found.told(stanza, _USER)} has no password: write {_FILE}")
    elif path and not user and option == _FILE and found.settled(stanza, _USER, _FILE):
        found.warn(place, f"has no effect: there is no {_USER}")
    elif user and path in secrets and tokens:
        try:
            Credentials(user, secrets[path], True)
        except ValueError as error:
            found.refuse(place, f"{path} holds no token ({error}), and {found.told(stanza, _TYPE)}")
    clear = ("tls", "outbound_smtp_auth_in_clear")
    if user and [found.value(stanza, each) for each in clear] == ["no", False] and found.settled(stanza, *clear, _TYPE):
        safe = " and ".join(name for name in types or sorted(SAFE_IN_CLEAR) if name in SAFE_IN_CLEAR)
        found.warn(
            place,
            f"{found.told(stanza, 'tls')}, and without TLS nothing {'but ' + safe if safe else 'of it'} is used; mail"
            " for a server that offers no such thing waits",
        )


def _for_proxy(found: Findings, stanza: Stanza, secrets: dict[str, str]) -> None:
    user, path = str(found.value(stanza, _PROXY_USER)), str(found.value(stanza, _PROXY_FILE))
    option = _PROXY_USER if _PROXY_USER in stanza.values else _PROXY_FILE
    if bool(user) != bool(path) and found.settled(stanza, _PROXY_USER, _PROXY_FILE):
        missing = _PROXY_FILE if user else _PROXY_USER
        found.refuse((*stanza.path, option), f"does not go without {missing}; write both, or neither")
    for what, value in (("user name", user), ("password", secrets.get(path, ""))):
        if len(value.encode()) > _LONGEST_FOR_PROXY:
            found.refuse((*stanza.path, option), f"the {what} has more than {_LONGEST_FOR_PROXY} octets")
