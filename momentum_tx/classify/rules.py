"""
Rules of classification, and the files they are read from.

A file is TOML, a table ``[[rule]]`` for each.  A rule decides where all that it names
is true: ``class`` (the first digit of the reply), ``reply`` (codes), ``status``
(enhanced codes, or their beginnings), ``domain`` (names, or ``*.`` and a name), and one of
the patterns in ``text``, regular expressions that are searched for without regard to
case.  The first rule that decides does, in the order of the files' names.  Its ``samples``
are replies that it, and no other, decides; a test asks each.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

_CODE: Final = re.compile(r"([2-5][0-9]{2})(?:[ -]|$)")
_STATUS: Final = re.compile(
    r"(?:^|[2-5][0-9]{2}[ -])\(?#?([245]\.[0-9]{1,3}\.[0-9]{1,3})\b|\(#([245]\.[0-9]{1,3}\.[0-9]{1,3})\)"
)
_KEYS: Final = frozenset({"id", "code", "class", "reply", "status", "domain", "text", "samples"})


@dataclass(frozen=True, slots=True)
class Reply:
    """
    A reply as rules look at it.

    :ivar text: all of it, one line.
    :ivar code: its code, empty for none.
    :ivar status: its enhanced code, empty for none.
    """

    text: str
    code: str
    status: str

    @property
    def digit(self) -> str:
        """
        Its class: the first digit of the code, or of the enhanced one.
        """
        return (self.code or self.status)[:1]


def reply_of(text: str) -> Reply:
    """
    What can be told of a text at a glance.
    """
    code, status = _CODE.match(text), _STATUS.search(text)
    return Reply(text, code[1] if code else "", (status[1] or status[2]) if status else "")


@dataclass(frozen=True, slots=True)
class Rule:
    """
    One rule.

    :ivar id: its name.
    :ivar code: what it decides for.
    :ivar digit: the class it is about; empty for any.
    :ivar replies: codes; empty for any.
    :ivar statuses: enhanced codes or their beginnings; empty for any.
    :ivar domains: domains; empty for any.
    :ivar text: what is searched for; ``None`` for any text.
    :ivar samples: what it decides.
    """

    id: str
    code: int
    digit: str = ""
    replies: frozenset[str] = frozenset()
    statuses: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    text: re.Pattern[str] | None = None
    samples: tuple[str, ...] = ()

    def decides(self, reply: Reply, domain: str) -> bool:
        """
        Whether all that it names is true.
        """
        if self.digit and reply.digit != self.digit:
            return False
        if self.replies and reply.code not in self.replies:
            return False
        if self.statuses and not any(_begins(reply.status, each) for each in self.statuses):
            return False
        if self.domains and not any(_is_in(domain, each) for each in self.domains):
            return False
        return self.text is None or self.text.search(reply.text) is not None


def _begins(status: str, beginning: str) -> bool:
    return status == beginning or status.startswith(beginning + ".")


def _is_in(domain: str, pattern: str) -> bool:
    return domain == pattern or (pattern.startswith("*.") and domain.endswith(pattern[1:]))


def parse_rules(text: str, source: str) -> list[Rule]:
    """
    The rules of one file.

    :param source: what it is called in complaints.
    :raises ValueError: it cannot be used; the text says where.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source}: {error}") from None
    return [_rule(table, f"{source}: rule {number}") for number, table in enumerate(content.get("rule", ()), 1)]


def _rule(table: Mapping[str, Any], where: str) -> Rule:
    unknown = set(table) - _KEYS
    if unknown:
        raise ValueError(f"{where}: {sorted(unknown)[0]} is no part of a rule")
    name, code = table.get("id"), table.get("code")
    if not isinstance(name, str) or not isinstance(code, int):
        raise ValueError(f"{where}: it has no id or no code")
    patterns = table.get("text", ())
    try:
        pattern = re.compile("|".join(f"(?:{each})" for each in patterns), re.IGNORECASE) if patterns else None
    except re.error as error:
        raise ValueError(f"{where}: {name}: text: {error}") from None
    return Rule(
        name,
        code,
        str(table.get("class", "")),
        frozenset(map(str, table.get("reply", ()))),
        tuple(table.get("status", ())),
        tuple(each.lower() for each in table.get("domain", ())),
        pattern,
        tuple(table.get("samples", ())),
    )


def own_rules() -> list[Rule]:
    """
    The rules that come with the package.
    """
    return [rule for name, text in _own_files() for rule in parse_rules(text, name)]


def _own_files() -> Iterator[tuple[str, str]]:
    directory = files(__package__) / "rules"
    for entry in sorted(directory.iterdir(), key=lambda each: each.name):
        if entry.name.endswith(".toml"):
            yield entry.name, entry.read_text(encoding="utf-8")
