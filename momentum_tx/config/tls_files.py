"""
Reads what the options about TLS name, so that whatever is wrong with it is known when
the configuration is loaded, and no connection ever waits for a disk.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from ..policy.tls import MODERN, versions
from ..policy.tls_material import belong_together, certificates, holds_certificates, private_key
from .findings import Findings
from .stanzas import Stanza

#: Octets: many times the largest bundle of issuers there is.
LARGEST: Final = 16 * 1024 * 1024
#: Most entries of a directory of issuers that are looked at.
MOST_ENTRIES: Final = 10_000
_Reader = Callable[[str], bytes]
#: Stands for the issuers this system trusts.
SYSTEM: Final = ""


def check(found: Findings) -> None:
    """
    Read all files, note what is wrong with them, and give the configuration what they hold.
    """
    if not any(found.config.written(option) for option in _OPTIONS):
        return
    files = _Files(found)
    for stanza in found.config.stanzas():
        if not any(option in stanza.values for option in _OPTIONS):
            continue
        files.issuers(stanza)
        files.own(stanza)
        _old_versions(found, stanza)
    found.config.tls_files = MappingProxyType(files.contents)


_OPTIONS: Final = ("tls_verify", "tls_ca", "tls_certificate", "tls_key", "tls_protocols")


class _Files:
    """
    What was read so far.
    """

    def __init__(self, found: Findings) -> None:
        self._found = found
        self.contents: dict[str, bytes] = {}
        #: Files that were found wanting, so that each is told of once.
        self._wrong: set[str] = set()
        self._pairs: set[tuple[str, str]] = set()

    def issuers(self, stanza: Stanza) -> None:
        """
        What ``tls_ca`` names, and the system's bundle where that is needed.
        """
        path = str(stanza.values.get("tls_ca", ""))
        if path:
            content = self._read((*stanza.path, "tls_ca"), path, _issuers_at)
            self._holds((*stanza.path, "tls_ca"), path, content)
        elif self._found.value(stanza, "tls_verify") != "no" and not self._found.value(stanza, "tls_ca"):
            option = "tls_verify" if "tls_verify" in stanza.values else next(iter(stanza.values))
            self._read((*stanza.path, option), SYSTEM, _system_issuers)

    def own(self, stanza: Stanza) -> None:
        """
        Our own certificate and its key, as they come together here.
        """
        if "tls_certificate" not in stanza.values and "tls_key" not in stanza.values:
            return
        option = "tls_certificate" if "tls_certificate" in stanza.values else "tls_key"
        place = (*stanza.path, option)
        certificate, key = (str(self._found.value(stanza, each)) for each in ("tls_certificate", "tls_key"))
        if not certificate:
            if key:
                self._found.warn(place, "has no effect: there is no tls_certificate whose key it could be")
            return
        key = key or certificate
        if (certificate, key) in self._pairs:
            return
        self._pairs.add((certificate, key))
        shown, secret = self._read(place, certificate, _content), self._read(place, key, _content)
        if not (self._holds(place, certificate, shown) and secret is not None):
            return
        try:
            owned = private_key(secret)
        except ValueError as error:
            self._found.refuse(place, f"{key} {error}")
            return
        assert shown is not None
        if not belong_together(certificates(shown)[0], owned):
            self._found.refuse(place, f"the key in {key} is not that of the first certificate in {certificate}")
        self._private(place, key)

    def _private(self, place: tuple[str, ...], path: str) -> None:
        try:
            mode = os.stat(path).st_mode
        except OSError:
            return
        if mode & stat.S_IROTH:
            self._found.warn(place, f"everybody on this host can read the private key in {path}; chmod o-r it")

    def _read(self, place: tuple[str, ...], path: str, read: _Reader) -> bytes | None:
        """
        What *path* holds, read once; ``None`` if that was refused, now or before.
        """
        if path in self.contents:
            return self.contents[path]
        if path in self._wrong:
            return None
        try:
            content = self.contents[path] = read(path)
        except OSError as error:
            text = f"{error.filename or path} cannot be read: {error.strerror or error}"
        except ValueError as error:
            text = str(error)
        else:
            return content
        self._wrong.add(path)
        self._found.refuse(place, text)
        return None

    def _holds(self, place: tuple[str, ...], path: str, content: bytes | None) -> bool:
        """
        Whether there are certificates in *content*, all of them sound.
        """
        if content is None or path in self._wrong:
            return False
        try:
            certificates(content)
        except ValueError as error:
            self._wrong.add(path)
            self._found.refuse(place, f"{path} {error}")
            return False
        return True


def _content(path: str) -> bytes:
    if not os.path.isabs(path):
        raise ValueError(f"{path} is no absolute path")
    # A pipe would keep us waiting for whoever is to write it.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{path} is no regular file")
    with open(path, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{path} has more than {LARGEST} octets")
    return content


def _issuers_at(path: str) -> bytes:
    """
    A file of certificates, or those of a directory.
    """
    if not (os.path.isabs(path) and os.path.isdir(path)):
        return _content(path)
    found = b""
    # The directory of a distribution has each of them by several names.
    seen: set[bytes] = set()
    for name in sorted(os.listdir(path))[:MOST_ENTRIES]:
        entry = os.path.join(path, name)
        if os.path.isfile(entry) and len(found) < LARGEST:
            content = _content(entry)
            if holds_certificates(content) and content not in seen:
                seen.add(content)
                found += content.rstrip() + b"\n"
    if not found:
        raise ValueError(f"in {path} there is no file that holds a certificate (PEM is expected)")
    return found


def _system_issuers(path: str) -> bytes:
    places = ssl.get_default_verify_paths()
    for place in (places.cafile, places.capath):
        if place and os.path.exists(place):
            return _issuers_at(place)
    raise ValueError("this system has no bundle of trusted issuers at the usual place; write tls_ca")


def _old_versions(found: Findings, stanza: Stanza) -> None:
    """
    Versions that are no longer safe prove nothing of a certificate.
    """
    if "tls_protocols" not in stanza.values and "tls_verify" not in stanza.values:
        return
    verify, protocols = found.value(stanza, "tls_verify"), str(found.value(stanza, "tls_protocols"))
    old = [version for version in versions(protocols) if version not in MODERN]
    if verify == "no" or not old:
        return
    option, other = "tls_protocols", "tls_verify"
    if option not in stanza.values:
        option, other = other, option
    found.refuse(
        (*stanza.path, option),
        f"does not go with {found.told(stanza, other)}: where certificates are verified {old[-1]} is not spoken",
    )
