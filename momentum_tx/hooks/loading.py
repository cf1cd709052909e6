"""
Hook providers that a configuration names.
"""

import importlib
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any, Final

from ..errors import ConfigError

#: Under which packages offer providers.
GROUP: Final = "momentum_tx.hooks"


def load_provider(name: str, where: str) -> object:
    """
    The provider called *name*.

    :param name: ``package.module:object``; a class is called without arguments.
    :param where: ``file:line`` of the name, for complaints.
    :raises ConfigError: it cannot be imported or made.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError(f"{where}: global.hooks: {name!r} is not package.module:object")
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found() if isinstance(found, type) else found
    except Exception as error:
        raise ConfigError(f"{where}: global.hooks: {name}: {type(error).__name__}: {error}") from error


def entry_points_of(names: Sequence[str], where: str) -> list[str]:
    """
    What the entry points called *names* name, as the option ``hooks`` does.

    :param names: of entry points in the group ``momentum_tx.hooks``; ``*`` is all, in the order of
        their names.
    :param where: ``file:line`` of the names, for complaints.
    :raises ConfigError: there is none of a name.
    """
    if not names:
        return []
    offered = {each.name: each.value for each in entry_points(group=GROUP)}
    found: list[str] = []
    for name in names:
        if name == "*":
            found += [offered[each] for each in sorted(offered)]
        elif name in offered:
            found.append(offered[name])
        else:
            known = ", ".join(sorted(offered)) or "none"
            raise ConfigError(
                f"{where}: global.hook_entry_points: no installed package offers {name!r}; there are: {known}"
            )
    return list(dict.fromkeys(found))
