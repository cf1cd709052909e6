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
from .stanzas import SignerStanzas

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
        made = []
        for selector, stanza in self._stanzas.selectors[own].items():
            values = {**own.values, **stanza.values}
            settings = DKIMSettings(**values)  # type: ignore[arg-type]
            said = {option: getattr(settings, option) for option in _OPTIONS if option != "signing_domain"}
            made.append(DKIMSignature(settings.signing_domain or name, selector, **said))
        return tuple(made)

    def keyfiles(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for selectors in self._stanzas.selectors.values():
            for stanza in selectors.values():
                found.setdefault(str(stanza.values["keyfile"]), self._where(*stanza.path, "keyfile"))
        return found
