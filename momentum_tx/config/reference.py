"""
The reference page of all options, written from their declarations.
"""

from __future__ import annotations

from typing import Final

from ..settings import DEFAULT_PROHIBITED_HOSTS, Level
from ..settings.absent import ABSENT
from .options import BY_CLASS, CLASSES, LONGEST_SECONDS, Option, number

_TITLES: Final = (
    "Options of the whole service",
    "Options of a binding",
    "Options of a (binding, domain) pair",
    "Options of a domain",
    "Options of a mail exchanger",
    "Options of a DKIM signature",
)

_HEAD: Final = f"""\
# Options

Written from the declarations in `momentum_tx/settings/`; change it there.
Where a value is looked for, and how a file is written:
[how to configure](../howto/configure.md).

*Scopes* are the tables an option may stand in: `binding` and `binding_group` as
such, and both with a `domain` table inside where `domain` is named too.
*Differs* says where an option is not as Momentum has it; *ours* marks one that
Momentum does not have.
*Unset* means that the option has no value unless it is written. A number of
seconds may have a fraction and is at most {number(LONGEST_SECONDS)} (ten years).
"""

_ABSENT_HEAD: Final = """
## Options of Momentum that are not here

For outbound mail. A file that has one of them is refused with the same words.

| name | why, and what to use |
| --- | --- |
"""


def options_page() -> str:
    """
    The page ``doc/reference/options.md`` in Markdown.
    """
    parts = [_HEAD]
    for title, owner in zip(_TITLES, CLASSES, strict=True):
        parts.append(f"\n## {title}\n\n| name | default | unit | scopes | effect |\n| --- | --- | --- | --- | --- |\n")
        parts += [_row(option) for option in BY_CLASS[owner].values()]
    parts.append("\n## Default of prohibited_hosts\n\nThe host's own addresses are added when the service runs.\n\n")
    parts += [f"* `{network}`\n" for network in DEFAULT_PROHIBITED_HOSTS]
    parts.append(_ABSENT_HEAD)
    parts += [f"| `{name}` | {ABSENT[name].replace('|', chr(92) + '|')} |\n" for name in sorted(ABSENT)]
    return "".join(parts)


def _row(option: Option) -> str:
    scopes = ", ".join(level.value for level in Level if level in option.levels)
    effect = (option.doc + _limits(option) + _difference(option)).replace("|", "\\|")
    return f"| `{option.name}` | {_default(option)} | {option.unit} | {scopes} | {effect} |\n"


def _default(option: Option) -> str:
    value = option.default
    if value is None:
        return "[see below](#default-of-prohibited_hosts)" if option.name == "prohibited_hosts" else "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (int, float)):
        return f"`{number(value)}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{element}"' for element in value) + "]`"
    return f'`"{value}"`'


def _limits(option: Option) -> str:
    parts: list[str] = []
    if option.choices:
        parts.append(" One of " + ", ".join(f"`{choice}`" for choice in option.choices))
        parts.append(", or a number." if int in option.types else ".")
    if option.minimum is not None:
        parts.append(f" At least {number(option.minimum)}.")
    if option.maximum is not None and option.maximum != LONGEST_SECONDS:
        parts.append(f" At most {number(option.maximum)}.")
    return "".join(parts)


def _difference(option: Option) -> str:
    return f" *Differs:* {option.differs}" if option.differs else ""


if __name__ == "__main__":
    # python -m momentum_tx.config.reference > doc/reference/options.md
    print(options_page(), end="")
