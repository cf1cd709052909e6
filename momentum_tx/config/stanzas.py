"""
The tables of a file as stanzas, with every mistake in them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from ..policy import signatures
from ..settings.absent import ABSENT
from . import names
from .lines import Lines, spelled
from .options import BY_TABLE, WRONG, Table, shown, tables_of

_BY_NAME = ("domain", "host", "binding", "binding_group", "dkim")


@dataclass(eq=False, slots=True)
class Stanza:
    """
    One table that was written, or that could have been.

    :ivar path: its key path.
    :ivar values: settled values of the options in it.
    """

    path: tuple[str, ...]
    values: dict[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """
        The header as written in the file.
        """
        return f"[{spelled(self.path)}]"


@dataclass(eq=False, slots=True)
class NamedStanzas:
    """
    The ``domain`` or ``host`` tables of one container.

    :ivar path: key path they have in common.
    :ivar exact: by settled name.
    :ivar patterns: in file order.
    """

    path: tuple[str, ...]
    exact: dict[str, Stanza] = field(default_factory=dict)
    patterns: list[tuple[re.Pattern[str], Stanza]] = field(default_factory=list)

    def matching(self, name: str) -> tuple[Stanza, ...]:
        """
        Stanzas for *name*, the first to decide first.

        :param name: as :func:`momentum_tx.config.names.looked_up` makes it.
        """
        exact = self.exact.get(name)
        if not self.patterns:
            return (exact,) if exact is not None else ()
        found = [stanza for pattern, stanza in self.patterns if pattern.search(name)]
        return (exact, *found) if exact is not None else tuple(found)

    def all(self) -> Iterator[Stanza]:
        """
        Every one, those of exact names first.
        """
        yield from self.exact.values()
        for _, stanza in self.patterns:
            yield stanza


@dataclass(eq=False, slots=True)
class BindingStanzas:
    """
    What is written of a binding in one place.

    :ivar own: its own table.
    :ivar domains: the domain tables inside.
    :ivar hosts: the host tables inside.
    """

    own: Stanza
    domains: NamedStanzas
    hosts: NamedStanzas

    @classmethod
    def at(cls, path: tuple[str, ...]) -> Self:
        """
        Nothing written yet at *path*.
        """
        return cls(Stanza(path), NamedStanzas((*path, "domain")), NamedStanzas((*path, "host")))


@dataclass(eq=False, slots=True)
class GroupStanzas(BindingStanzas):
    """
    What is written of a binding group.

    :ivar bindings: its members, by name, in file order.
    """

    bindings: dict[str, BindingStanzas] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class SignerStanzas:
    """
    What is written of domains whose mail is signed.

    :ivar domains: their tables.
    :ivar selectors: by domain table: one table for each signature, by selector, in file order.
    """

    domains: NamedStanzas = field(default_factory=lambda: NamedStanzas(("dkim",)))
    selectors: dict[Stanza, dict[str, Stanza]] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Layout:
    """
    A whole file.
    """

    top: Stanza = field(default_factory=lambda: Stanza(("global",)))
    domains: NamedStanzas = field(default_factory=lambda: NamedStanzas(("domain",)))
    hosts: NamedStanzas = field(default_factory=lambda: NamedStanzas(("host",)))
    bindings: dict[str, BindingStanzas] = field(default_factory=dict)
    groups: dict[str, GroupStanzas] = field(default_factory=dict)
    signers: SignerStanzas = field(default_factory=SignerStanzas)


class Reader:
    """
    Turns the parsed tree into a layout and collects what is wrong.

    :param source: name of the file, for the mistakes.
    :param lines: where the keys stand.
    """

    def __init__(self, source: str, lines: Lines) -> None:
        self._source = source
        self._lines = lines
        self._mistakes: list[tuple[int, str]] = []

    @property
    def mistakes(self) -> list[str]:
        """
        One text per mistake, in the order of the file.
        """
        return [f"{self._source}:{line}: {text}" for line, text in sorted(self._mistakes, key=lambda found: found[0])]

    def report(self, path: tuple[str, ...], text: str) -> None:
        """
        Note a mistake at *path*.
        """
        self._mistakes.append((self._lines.line(path), f"{spelled(path)}: {text}"))

    def place(self, path: tuple[str, ...]) -> str:
        """
        ``file:line`` of *path*.
        """
        return f"{self._source}:{self._lines.line(path)}"

    def read(self, tree: dict[str, Any]) -> Layout:
        """
        Read everything; the layout is usable only if there are no mistakes.
        """
        layout = Layout()
        for key, value in tree.items():
            path = (key,)
            if key != "global" and key not in _BY_NAME:
                self._stranger(path, value)
            elif not isinstance(value, dict):
                self.report(path, f"expected a table, not {shown(value)}")
            elif key == "global":
                self._options(layout.top, value, Table.GLOBAL)
            elif key == "domain":
                self._named(layout.domains, value, Table.DOMAIN)
            elif key == "host":
                self._named(layout.hosts, value, Table.HOST)
            elif key == "binding":
                layout.bindings = self._bindings(path, value)
            elif key == "dkim":
                self._signers(layout.signers, value)
            else:
                layout.groups = self._groups(path, value)
        self._contradictions(layout)
        return layout

    def _stranger(self, path: tuple[str, ...], value: object) -> None:
        key = path[0]
        if isinstance(value, dict):
            hint = nearest(key, ("global", *_BY_NAME))
            self.report(path, absent(key) if key.lower() in ABSENT else f"unknown table{hint}")
            return
        tables = tables_of(key)
        if tables:
            self.report(path, f"stands outside every table; it may stand in {_listed(tables)}")
            return
        if key.lower() in ABSENT:
            self.report(path, absent(key))
            return
        known = {name for table in Table for name in BY_TABLE[table]}
        self.report(path, f"unknown option outside every table{nearest(key, known)}")

    def _options(self, stanza: Stanza, written: dict[str, Any], table: Table, inner: tuple[str, ...] = ()) -> None:
        for key, value in written.items():
            if key in inner:
                continue
            path = (*stanza.path, key)
            option = BY_TABLE[table].get(key)
            if option is not None:
                settled = option.read(value, lambda text, path=path: self.report(path, text))  # type: ignore[misc]
                if settled is not WRONG:
                    stanza.values[key] = settled
            elif isinstance(value, dict):
                self._stray_table(path, value, table, inner)
            elif tables := tables_of(key):
                self.report(path, f"may not stand in {table.value}; it may stand in {_listed(tables)}")
            elif key.lower() in ABSENT:
                self.report(path, absent(key))
            else:
                self.report(path, f"unknown option{nearest(key, BY_TABLE[table])}")

    def _stray_table(self, path: tuple[str, ...], value: dict[str, Any], table: Table, inner: tuple[str, ...]) -> None:
        if table in (Table.DOMAIN, Table.NESTED_DOMAIN, Table.HOST, Table.NESTED_HOST):
            self._unquoted(path, value, table, len(path) - 2)
        elif table is Table.GLOBAL:
            self.report(path, "[global] holds no tables")
        elif path[-1] in ("host", "binding", "binding_group", "global"):
            self.report(path, f"[{path[-1]}] tables may not stand in {table.value}")
        else:
            # What is inside would only be a string of followers of this one mistake.
            name = spelled((*path[:-2], ".".join(path[-2:])))
            hint = nearest(path[-1], inner) or f" (a name with dots must be quoted: [{name}])"
            self.report(path, f"unknown table{hint}")

    def _unquoted(self, path: tuple[str, ...], value: dict[str, Any], table: Table, start: int) -> None:
        # [domain.example.com] is domain -> example -> com: go down to where the options are.
        deeper = {key: inner for key, inner in value.items() if isinstance(inner, dict)}
        for key, inner in deeper.items():
            self._unquoted((*path, key), inner, table, start)
        rest = {key: inner for key, inner in value.items() if key not in deeper}
        if rest or not deeper:
            name = ".".join(path[start:])
            self.report(path, f'a name with dots must be quoted: [{spelled(path[:start])}."{name}"]')
            self._options(Stanza(path), rest, table)

    def _tables(self, path: tuple[str, ...], written: object, kind: str) -> Iterable[tuple[str, dict[str, Any]]]:
        if not isinstance(written, dict):
            self.report(path, f"expected a table, not {shown(written)}")
            return
        for name, inner in written.items():
            if isinstance(inner, dict):
                yield name, inner
            elif tables_of(name):
                self.report((*path, name), f"an option must stand under a name: [{spelled(path)}.{kind}]")
            else:
                self.report((*path, name), f"expected a table, not {shown(inner)}")

    def _named(self, into: NamedStanzas, written: object, table: Table, within: tuple[str, ...] = ()) -> None:
        for name, inner in self._tables(into.path, written, '"..."'):
            stanza = Stanza((*into.path, name))
            self._options(stanza, inner, table, within)
            if name.startswith("/"):
                pattern = self._pattern(stanza.path, name)
                if pattern is not None:
                    into.patterns.append((pattern, stanza))
                continue
            settled = self._name(stanza.path, names.domain)
            if settled is None:
                continue
            if settled in into.exact:
                first = into.exact[settled].path
                self.report(stanza.path, f"means the same name as {self.place(first)}: {spelled(first)}")
                continue
            into.exact[settled] = stanza

    def _pattern(self, path: tuple[str, ...], name: str) -> re.Pattern[str] | None:
        if len(name) < 3 or not name.endswith("/"):
            self.report(path, "a regex stands between two slashes and is not empty: '/\\.example\\.com$/'")
            return None
        try:
            return re.compile(name[1:-1], re.IGNORECASE)
        except (re.error, OverflowError, RecursionError) as error:
            self.report(path, f"the regex does not compile: {error}")
            return None

    def _name(self, path: tuple[str, ...], settle: Callable[[str], str]) -> str | None:
        try:
            return settle(path[-1])
        except ValueError as error:
            self.report(path, f"{shown(path[-1])} {error}" if settle is names.domain else str(error))
            return None

    def _bindings(self, at: tuple[str, ...], written: object) -> dict[str, BindingStanzas]:
        found: dict[str, BindingStanzas] = {}
        for name, inner in self._tables(at, written, "NAME"):
            path = (*at, name)
            self._name(path, names.binding)
            stanzas = BindingStanzas.at(path)
            self._options(stanzas.own, inner, Table.BINDING, ("domain", "host"))
            self._named(stanzas.domains, inner.get("domain", {}), Table.NESTED_DOMAIN)
            self._named(stanzas.hosts, inner.get("host", {}), Table.NESTED_HOST)
            found[name] = stanzas
        return found

    def _groups(self, at: tuple[str, ...], written: object) -> dict[str, GroupStanzas]:
        found: dict[str, GroupStanzas] = {}
        member_at: dict[str, tuple[str, ...]] = {}
        for name, inner in self._tables(at, written, "NAME"):
            path = (*at, name)
            self._name(path, names.binding_group)
            group = GroupStanzas.at(path)
            self._options(group.own, inner, Table.BINDING_GROUP, ("domain", "host", "binding"))
            self._named(group.domains, inner.get("domain", {}), Table.NESTED_DOMAIN)
            self._named(group.hosts, inner.get("host", {}), Table.NESTED_HOST)
            group.bindings = self._bindings((*path, "binding"), inner.get("binding", {}))
            for member, stanzas in group.bindings.items():
                first = member_at.setdefault(member, stanzas.own.path)
                if first is not stanzas.own.path:
                    self.report(
                        stanzas.own.path,
                        f"a binding is in at most one group; this one is also at {self.place(first)}: {spelled(first)}",
                    )
            if not group.bindings and name != "default":
                example = spelled((*path, "binding", "NAME"))
                self.report(path, f"a binding group needs at least one binding: [{example}]")
            found[name] = group
        return found

    def _signers(self, into: SignerStanzas, written: dict[str, Any]) -> None:
        self._named(into.domains, written, Table.DKIM, ("selector",))
        for own in into.domains.all():
            made = into.selectors[own] = {}
            at = (*own.path, "selector")
            for name, inner in self._tables(at, written[own.path[-1]].get("selector", {}), "NAME"):
                stanza = Stanza((*at, name))
                self._options(stanza, inner, Table.DKIM_SELECTOR)
                selector = self._name(stanza.path, _selector)
                if selector is None:
                    continue
                if selector in made:
                    first = made[selector].path
                    self.report(stanza.path, f"means the same selector as {self.place(first)}: {spelled(first)}")
                made[selector] = stanza
                if not inner.get("keyfile"):
                    self.report(stanza.path, "needs a keyfile, the file of the private key")
                self._signer(own, stanza)

    def _signer(self, own: Stanza, stanza: Stanza) -> None:
        """
        Whether what one selector says goes together.
        """
        values = {**own.values, **stanza.values}
        identity, domain, name = str(values.get("identity", "")), str(values.get("signing_domain", "")), own.path[-1]
        if not domain and not name.startswith("/"):
            try:
                domain = signatures.checked_domain(names.looked_up(name))
            except ValueError as error:
                self.report(own.path, f"{shown(name)} {error}")
                return
        if identity and not domain:
            self.report(stanza.path, "an identity needs a signing_domain where the table is a regex")
        elif identity:
            owner = stanza if "identity" in stanza.values else own
            try:
                signatures.checked_identity(identity, domain)
            except ValueError as error:
                self.report((*owner.path, "identity"), f"{shown(identity)} {error}")

    def _contradictions(self, layout: Layout) -> None:
        values = layout.top.values
        if values.get("durability") == "unsafe" and values.get("i_accept_loss") is not True:
            self.report(
                ("global", "durability"),
                '"unsafe" loses accepted mail at a power cut; to have it, also write i_accept_loss = true '
                '(safe: "group")',
            )
        shortest, longest = values.get("min_dns_ttl", 0), values.get("max_dns_ttl", 2**32 - 1)
        if isinstance(shortest, int) and isinstance(longest, int) and shortest > longest:
            self.report(("global", "min_dns_ttl"), f"must not be above max_dns_ttl, which is {longest}")


def _selector(text: str) -> str:
    try:
        return signatures.checked_selector(text)
    except ValueError as error:
        raise ValueError(f"{shown(text)} {error}") from None


def absent(key: str) -> str:
    """
    What is said of an option of Momentum that is not here.
    """
    return f"is an option of Momentum that is not here: {ABSENT[key.lower()]}"


def nearest(key: str, known: Iterable[str]) -> str:
    """
    `` (nearest: x)`` for a misspelt key, or nothing.
    """
    close = difflib.get_close_matches(key.lower().replace("-", "_"), list(known), n=1)
    return f" (nearest: {close[0]})" if close else ""


def _listed(tables: list[Table]) -> str:
    return ", ".join(table.value for table in tables)
