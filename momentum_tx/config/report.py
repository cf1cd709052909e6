"""
A configuration told to people: where a value comes from, and all that is in
force.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from .configuration import Configuration, Origin
from .options import BY_CLASS, CLASSES, Table
from .stanzas import Stanza

#: A character that JSON leaves as it is and TOML does not.
_DELETE: Final = "\x7f"


def toml_value(value: object) -> str:
    """
    A settled value as TOML writes it.
    """
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(toml_value(each) for each in value) + "]"
    # Booleans, numbers and strings are spelled alike in both.
    return json.dumps(value, ensure_ascii=False).replace(_DELETE, "\\u007f")


def explanation(option: str, origin: Origin) -> str:
    """
    Where the value of *option* comes from, in lines: the value first, then where
    it was set, then the tables that were asked, most specific first.
    """
    value = "unset" if origin.value is None else toml_value(origin.value)
    set_at = f"built-in, nobody has written {option}"
    if origin.place:
        set_at = f"set in {origin.scope} at {origin.place}"
    lines = [value, set_at]
    lines += [f"and besides {toml_value(other)} in {scope} at {place}" for other, scope, place in origin.besides]
    lines.append("asked in this order, the last one decided:")
    return "\n".join([*lines, *(f"  {header}" for header in origin.searched)]) + "\n"


def dump(config: Configuration) -> str:
    """
    All that is in force, as a file that says the same: every option of
    ``[global]``, built-in values included, and every table that was written.
    """
    return "\n".join(_lines(config)) + "\n"


def _lines(config: Configuration) -> Iterator[str]:
    yield f"# what is in force by {config.source}"
    yield "[global]"
    top, *others = config.stanzas()
    for owner in CLASSES:
        for name, option in BY_CLASS[owner].items():
            if not option.allowed(Table.GLOBAL):
                continue
            if name in top.values:
                yield f"{name} = {toml_value(top.values[name])}  # {config.where(*top.path, name)}"
            elif option.default is None:
                yield f"# {name} is unset"
            else:
                yield f"{name} = {toml_value(option.default)}"
    for stanza in others:
        yield ""
        yield from _written(config, stanza)


def _written(config: Configuration, stanza: Stanza) -> Iterator[str]:
    yield stanza.text
    for name, value in stanza.values.items():
        yield f"{name} = {toml_value(value)}  # {config.where(*stanza.path, name)}"
