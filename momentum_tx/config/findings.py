"""
What is found when the tables of a file are read together: mistakes, for which
the file is refused, and doubts, of which an operator is warned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from . import names
from .configuration import Configuration
from .lines import spelled
from .options import BY_CLASS
from .report import toml_value
from .stanzas import Stanza

#: Most doubts that are told one by one: a file of a hundred thousand tables may hold as many.
MOST_WARNINGS: Final = 100
#: Most tables that one which is not of an exact name is compared with.
_MOST_COMPARED: Final = 10_000
_DEFAULTS: Final = {name: option.default for options in BY_CLASS.values() for name, option in options.items()}


class Findings:
    """
    Collects what is found, and answers what the rules have to know.

    :param config: without mistakes in any single table.
    """

    def __init__(self, config: Configuration) -> None:
        self.config = config
        self._mistakes: list[tuple[int, str]] = []
        self._warnings: list[tuple[int, str]] = []
        #: Tables that have an option, all of them; those of no exact name; those of one.
        self._all: dict[str, list[Stanza]] = {}
        self._unnamed: dict[str, list[Stanza]] = {}
        self._named: dict[tuple[str, str], list[Stanza]] = {}
        self._around: dict[Stanza, tuple[Stanza, ...]] = {}
        for stanza in config.stanzas():
            name = _exact_name(stanza)
            for option in stanza.values:
                self._all.setdefault(option, []).append(stanza)
                if name:
                    self._named.setdefault((option, name), []).append(stanza)
                else:
                    self._unnamed.setdefault(option, []).append(stanza)

    @property
    def mistakes(self) -> list[str]:
        """
        Texts in the order of the file.
        """
        return _in_order(self._mistakes)

    @property
    def warnings(self) -> list[str]:
        """
        Texts in the order of the file, and whether there are more.
        """
        texts = _in_order(self._warnings)
        if len(texts) <= MOST_WARNINGS:
            return texts
        return [*texts[:MOST_WARNINGS], f"{self.config.source}: there are more such doubts"]

    @property
    def full(self) -> bool:
        """
        Whether further doubts would not be told.
        """
        return len(self._warnings) > MOST_WARNINGS

    def refuse(self, path: tuple[str, ...], text: str) -> None:
        """
        Note a mistake.

        :param path: of the option or table.
        """
        self._mistakes.append((self.config.line(*path), f"{self.config.where(*path)}: {spelled(path)}: {text}"))

    def warn(self, path: tuple[str, ...], text: str) -> None:
        """
        Note a doubt; as :meth:`refuse`.
        """
        self._warnings.append((self.config.line(*path), f"{self.config.where(*path)}: {spelled(path)}: {text}"))

    def having(self, *options: str) -> Iterator[Stanza]:
        """
        Every table that has one of *options*, each once; no more when nothing more would be told.
        """
        for stanza in dict.fromkeys(stanza for option in options for stanza in self._all.get(option, ())):
            if self.full:
                return
            yield stanza

    def around(self, stanza: Stanza) -> tuple[Stanza, ...]:
        """
        See :meth:`Configuration.around`.
        """
        found = self._around.get(stanza)
        if found is None:
            found = self._around[stanza] = self.config.around(stanza)
        return found

    def decides(self, stanza: Stanza, option: str) -> Stanza | None:
        """
        The table that decides *option* where *stanza* holds and nothing narrower
        does; ``None`` if nobody has written it.
        """
        return next((each for each in self.around(stanza) if option in each.values), None)

    def value(self, stanza: Stanza, option: str) -> object:
        """
        What *option* is there.
        """
        found = self.decides(stanza, option)
        return _DEFAULTS[option] if found is None else found.values[option]

    def told(self, stanza: Stanza, option: str) -> str:
        """
        The option, its value there, and where that was written.
        """
        found = self.decides(stanza, option)
        place = "built-in" if found is None else self.config.where(*found.path, option)
        return f"{option} = {toml_value(self.value(stanza, option))} ({place})"

    def settled(self, stanza: Stanza, *options: str) -> bool:
        """
        Whether *options* are the same wherever *stanza* holds: no table that is
        narrower, or crosses it, has them.  Where it would take long to know, no.
        """
        around = self.around(stanza)
        name = _exact_name(stanza)
        for option in options:
            others = self._all.get(option, [])
            if name:
                others = [*self._unnamed.get(option, ()), *self._named.get((option, name), ())]
            elif len(others) > _MOST_COMPARED:
                return False
            if any(each not in around and _overlap(stanza, each) for each in others):
                return False
        return True


def _in_order(found: list[tuple[int, str]]) -> list[str]:
    return [text for _, text in sorted(found, key=lambda each: each[0])]


def _kind(stanza: Stanza) -> str:
    return stanza.path[-2] if len(stanza.path) > 1 else "global"


def _exact_name(stanza: Stanza) -> str:
    name = stanza.path[-1]
    return names.looked_up(name) if _kind(stanza) in ("domain", "host") and not name.startswith("/") else ""


def _overlap(one: Stanza, other: Stanza) -> bool:
    """
    Whether there may be mail that both tables hold for: not if they are of two
    bindings, two groups, two names, or a host and something else.
    """
    if (_kind(one) == "host") != (_kind(other) == "host"):
        return False
    for kind in ("binding_group", "binding"):
        first, second = _part(one, kind), _part(other, kind)
        if first and second and first != second:
            return False
    first, second = _exact_name(one), _exact_name(other)
    return not (first and second and first != second)


def _part(stanza: Stanza, kind: str) -> str:
    path = stanza.path
    return next((path[at + 1] for at in range(0, len(path) - 1, 2) if path[at] == kind), "")
