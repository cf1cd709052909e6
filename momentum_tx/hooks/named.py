"""
Hook providers that a configuration names, and their life: they come and go with
its generations.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import Logger

from ..errors import ConfigError, StartupError
from .loading import load_provider
from .outbound import OutboundHooks

#: Names with their providers, in the order of the configuration.
Named = Sequence[tuple[str, object]]


class NamedProviders:
    """
    Registers what the option ``hooks`` names, generation after generation.

    A class that is named is called anew for each generation, unless it says
    ``singleton = True``: of that the object stays as long as its name does.  An
    object that is named is what it is.  A provider that is asked no longer is
    told so, once, by its method ``withdrawn()`` if it has one.

    :param hooks: where they are registered, in one place of each chain.
    """

    _log = Logger()

    def __init__(self, hooks: OutboundHooks) -> None:
        self._hooks = hooks
        self._in_force: Named = ()

    def load(self, names: Sequence[str], where: str) -> Named:
        """
        The providers of a generation that may come into force; nothing is changed yet.

        :param names: ``package.module:object`` each.
        :param where: ``file:line`` of the names, for complaints.
        :raises ConfigError: one of them cannot be made, or is no provider.
        """
        lasting = {name: provider for name, provider in self._in_force if _is_singleton(provider)}
        loaded: list[tuple[str, object]] = []
        try:
            for name in names:
                provider = lasting.get(name)
                if provider is None:
                    provider = load_provider(name, where)
                    loaded.append((name, provider))
                    self._hooks.verify(provider)
                    if _is_singleton(provider):
                        lasting[name] = provider
                else:
                    loaded.append((name, provider))
        except StartupError as error:
            self._withdraw(loaded, self._in_force)
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{where}: global.hooks: {loaded[-1][0]}: {error}") from error
        return loaded

    def install(self, loaded: Named) -> None:
        """
        Have a generation take the place of the one before, in each chain at once.
        """
        before, self._in_force = self._in_force, loaded
        self._hooks.set_named([provider for _, provider in loaded])
        self._withdraw(before, loaded)

    def _withdraw(self, before: Named, staying: Named) -> None:
        told: list[object] = []
        for _, provider in before:
            # Not by equality, which is the providers' own affair.
            if any(provider is each for each in (*told, *(each for _, each in staying))):
                continue
            told.append(provider)
            withdrawn = getattr(provider, "withdrawn", None)
            if callable(withdrawn):
                try:
                    withdrawn()
                except Exception:
                    self._log.failure("provider {provider!r} raised when it was withdrawn", provider=provider)


def _is_singleton(provider: object) -> bool:
    return getattr(provider, "singleton", False) is True
