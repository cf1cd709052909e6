"""
Tables that decide nothing: empty ones, and regexes that nothing can reach.

Told only where it is certain; two regexes may find the same names in ways that
nobody can compare.
"""

from __future__ import annotations

import re
from typing import Final

from .findings import Findings
from .lines import spelled
from .stanzas import NamedStanzas, Stanza

#: Regexes that find every name.
_EVERYTHING: Final = frozenset(
    f"{start}{middle}{end}" for start in ("", "^") for middle in (".", ".*", ".+") for end in ("", "$")
) | {"^", "$"}
#: What makes it hard to say what a regex needs: alternatives, sets, repetitions, groups with a question mark.
_COMPLICATED: Final = re.compile(r"[|\[?*{]")
#: Characters of which no name has one, unescaped or escaped.
_FOREIGN: Final = re.compile(r"[@/,;\s]")


def check(found: Findings) -> None:
    """
    Note the tables that decide nothing.
    """
    for container in found.config.containers():
        _patterns(found, container)
    for stanza in found.config.stanzas():
        if found.full:
            return
        if not stanza.values and stanza.path[-2:-1] in (("domain",), ("host",)):
            found.warn(stanza.path, "says nothing: no option stands in it")
    if "default" in found.config.written_groups and "default" not in found.config.groups:
        found.warn(("binding_group", "default"), "holds for nothing: every binding is in another group")


def _patterns(found: Findings, container: NamedStanzas) -> None:
    first: dict[str, Stanza] = {}
    everything: dict[str, Stanza] = {}
    for pattern, stanza in container.patterns:
        text = _alike(pattern.pattern)
        same = first.setdefault(text, stanza)
        if same is not stanza:
            _hidden(found, stanza, dict.fromkeys(same.values, same), "the same regex")
        elif everything:
            _hidden(found, stanza, everything, "a regex that finds every name")
        if pattern.pattern in _EVERYTHING:
            everything = {**dict.fromkeys(stanza.values, stanza), **everything}
        reason = _finds_nothing(pattern.pattern)
        if reason:
            found.warn(stanza.path, f"finds no name: {reason}")


def _hidden(found: Findings, stanza: Stanza, before: dict[str, Stanza], what: str) -> None:
    # Totals of several tables all hold.
    hidden = [option for option in stanza.values if option in before and option != "scope_max_outbound_connections"]
    if not hidden:
        return
    other = before[hidden[0]]
    place = found.config.where(*other.path)
    which = "decides nothing" if len(hidden) == len(stanza.values) else f"does not decide {', '.join(hidden)}"
    found.warn(stanza.path, f"{which}: {what} stands before it, {spelled(other.path)} ({place})")


def _alike(pattern: str) -> str:
    """
    The regex in lower case, where case makes no difference.
    """
    if "(?" in pattern:
        return pattern
    pieces = re.findall(r"\\.|.", pattern, re.DOTALL)
    return "".join(piece if piece.startswith("\\") else piece.lower() for piece in pieces)


def _finds_nothing(pattern: str) -> str:
    if _COMPLICATED.search(pattern):
        return ""
    foreign = _FOREIGN.search(pattern)
    if foreign:
        return f"no domain or host name has {foreign[0]!r} in it"
    if pattern.endswith("\\.$"):
        return "names are compared without a final dot"
    return ""
