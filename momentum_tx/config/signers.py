"""
Whose mail is signed, and with what: the ``[dkim]`` tables settled on demand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Final

from zope.interface import implementer

from ..interfaces.services import ISigners
from ..settings import DKIMSettings, DKIMSignature
from . import names
from .stanzas import SignerStanzas, Stanza

#: Most domains whose signatures are remembered; at the bound all are forgotten.
MOST_KEPT: Final = 50_000
_OPTIONS: Final = tuple(field.name for field in fields(DKIMSettings))


@implementer(ISigners)
class Signers:
    """
    See :class:`~momentum_tx.interfaces.services.ISigners`.

    :param stanzas: what was written.
    :param where: ``file:line`` of a key path.
    """

    def __init__(self, stanzas: SignerStanzas, where: Callable[..., str]) -> None:
        self._stanzas = stanzas
        self._where = where
        self._kept: dict[str, tuple[DKIMSignature, ...]] = {}

    def __bool__(self) -> bool:
        return any(self._stanzas.selectors.values())

    def signatures(self, domain: str) -> tuple[DKIMSignature, ...]:
        found = self._kept.get(domain)
        if found is None:
            found = self._settled(names.looked_up(domain))
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[domain] = found
        return found

    def _settled(self, name: str) -> tuple[DKIMSignature, ...]:
        matching = self._stanzas.domains.matching(name)
        if not matching:
            return ()
        own = matching[0]
        return tuple(self._signature(own, selector, name) for selector in self._stanzas.selectors[own])

    def _signature(self, own: Stanza, selector: str, author: str) -> DKIMSignature:
        values = {**own.values, **self._stanzas.selectors[own][selector].values}
        settings = DKIMSettings(**values)  # type: ignore[arg-type]
        said = {option: getattr(settings, option) for option in _OPTIONS if option != "signing_domain"}
        return DKIMSignature(settings.signing_domain or author, selector, **said)

    def everything(self) -> list[tuple[DKIMSignature, str]]:
        """
        Every signature that is written, and ``file:line`` of its table.  That of a regex
        whose authors sign by themselves has no domain.
        """
        found = []
        for own, selectors in self._stanzas.selectors.items():
            name = own.path[-1]
            author = "" if name.startswith("/") else names.looked_up(name)
            found += [
                (self._signature(own, selector, author), self._where(*stanza.path))
                for selector, stanza in selectors.items()
            ]
        return found

    def keyfiles(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for selectors in self._stanzas.selectors.values():
            for stanza in selectors.values():
                found.setdefault(str(stanza.values["keyfile"]), self._where(*stanza.path, "keyfile"))
        return found
