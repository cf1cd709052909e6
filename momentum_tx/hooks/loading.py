"""
Hook providers that a configuration names.
"""

import importlib
from typing import Any

from ..errors import ConfigError


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
