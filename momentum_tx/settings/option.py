"""
How an option is declared.
"""

import enum
from dataclasses import field
from typing import Any, Final


class Level(enum.Enum):
    """
    A kind of table an option may be written in.
    """

    GLOBAL = "global"
    DOMAIN = "domain"
    HOST = "host"
    BINDING = "binding"
    BINDING_GROUP = "binding_group"
    DKIM = "dkim"
    DKIM_SELECTOR = "selector"


#: Scopes of most delivery options: binding, group, domain (nested too), global.
STANDARD: Final = (Level.BINDING, Level.BINDING_GROUP, Level.DOMAIN, Level.GLOBAL)
#: Scopes of the options that concern a domain on every binding alike.
DOMAIN_WIDE: Final = (Level.DOMAIN, Level.GLOBAL)
GLOBAL: Final = (Level.GLOBAL,)


def option(
    default: Any,
    doc: str,
    unit: str = "",
    scopes: tuple[Level, ...] = STANDARD,
    **limits: Any,
) -> Any:
    """
    A field that is an option.

    :param default: the built-in value.
    :param doc: one sentence for the reference.
    :param unit: unit of the value, in words; empty where there is none.
    :param scopes: the tables it may be written in.
    :param limits: ``minimum`` and ``maximum`` for numbers, ``choices`` for words,
        ``nested`` for an option of a host that may be written inside a binding too;
        ``differs``, a sentence that says in what it differs from Momentum's.
    """
    return field(
        default=default,
        metadata={"doc": doc, "unit": unit, "scopes": scopes, **limits},
    )
