"""
One generation of the configuration, settled on demand.

Source: Momentum, pages ``4-ecelerity-conf-fallback`` (order of the scopes) and
``conf-ref-domain`` (exact before regex).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from zope.interface import implementer

from ..errors import ConfigError
from ..interfaces.services import IConfiguration
from ..settings import (
    DEFAULT_SLOT,
    UNBOUND,
    Binding,
    BindingSettings,
    DKIMSettings,
    DomainSettings,
    GlobalSettings,
    HostSettings,
    PathSettings,
)
from ..settings.limits import HostLimits, PathLimits
from . import names
from .limits import host_limits, path_limits
from .lines import Lines
from .options import BY_CLASS, Table
from .signers import Signers
from .stanzas import BindingStanzas, GroupStanzas, Layout, NamedStanzas, Stanza, nearest

#: Most settled answers kept of each kind; at the bound all are forgotten and settled anew when asked for.
MOST_KEPT: Final = 200_000
#: Name of the binding of slot 0, and of the group of all bindings that are in no other.
DEFAULT: Final = "default"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Where a value comes from.

    :ivar option: the option.
    :ivar value: what it settles to.
    :ivar scope: header of the table that decided, or ``built-in``.
    :ivar place: ``file:line``, empty for a built-in value.
    :ivar searched: headers of the tables that could have decided, most specific
        first, up to and including the one that did; tables nobody wrote included.
    :ivar besides: (value, scope, place) of further tables that count as well, for an
        option whose values hold together.
    """

    option: str
    value: object
    scope: str
    place: str
    searched: tuple[str, ...]
    besides: tuple[tuple[object, str, str], ...] = ()


@dataclass(eq=False, slots=True)
class _Slot:
    """
    The tables of one binding, most specific first.
    """

    domains: tuple[NamedStanzas, ...]
    plain: tuple[Stanza, ...]
    hosts: tuple[NamedStanzas, ...]


@implementer(IConfiguration)
class Configuration:
    """
    Finds options through the scopes; made by :mod:`momentum_tx.config.load`.

    Per option the most specific table that has it decides: group+binding+domain,
    binding+domain, group+domain, group+binding, binding, group, domain, global,
    built-in; among the domain tables of one place the exact name first, then the
    regexes in file order.  A binding in no group is in the group ``default``.

    :param layout: what was written, without mistakes.
    :param source: name of the file.
    :param lines: where its keys stand.
    :param generation: counts up with every reload.
    :param binding_names: name of the binding of each slot.
    """

    def __init__(
        self, layout: Layout, source: str, lines: Lines, generation: int, binding_names: Sequence[str]
    ) -> None:
        self.generation = generation
        self.source = source
        self._layout = layout
        self._lines = lines
        group_of = {member: name for name, group in layout.groups.items() for member in group.bindings}
        self._slots = [self._tables(name, group_of.get(name, DEFAULT)) for name in binding_names]
        self._slot_of = {name: slot for slot, name in enumerate(binding_names)}
        self.global_settings = _settle(GlobalSettings, (layout.top,))
        self.bindings = tuple(
            self._binding(name, slot, group_of.get(name, DEFAULT)) for slot, name in enumerate(binding_names)
        )
        self.groups = self._members()
        self.signers = Signers(layout.signers, self.where)
        #: Doubts about what was written, ``file:line: key path: text`` each.
        self.warnings: list[str] = []
        self.secrets: Mapping[str, str] = {}
        self.tls_files: Mapping[str, bytes] = {}
        self._written = frozenset(name for stanza in self.stanzas() for name in stanza.values)
        self._paths: dict[tuple[int, str], PathSettings] = {}
        self._domains: dict[str, DomainSettings] = {}
        self._hosts: dict[str, HostSettings] = {}
        self._limits: dict[tuple[int, str], PathLimits] = {}
        self._host_limits: dict[tuple[int, str], HostLimits] = {}
        self._settled: dict[tuple[object, ...], Any] = {}
        self._equal: dict[Any, Any] = {}

    def limits(self, slot: int, domain: str) -> PathLimits:
        """
        What one (binding, domain) pair is held to together with others.
        """
        found = self._limits.get((slot, domain))
        if found is None:
            found = self._shared(PathLimits, self._path_chain(slot, domain), path_limits)
            _keep(self._limits, (slot, domain), found)
        return found

    def host_limits(self, slot: int, host: str) -> HostLimits:
        """
        What a host is held to, besides the domain, for connections from *slot*.
        """
        found = self._host_limits.get((slot, host))
        if found is None:
            name = names.looked_up(host)
            containers = (*self._slots[self._checked(slot)].hosts, self._layout.hosts)
            chain = tuple(stanza for container in containers for stanza in container.matching(name))
            found = self._shared(HostLimits, chain, host_limits)
            _keep(self._host_limits, (slot, host), found)
        return found

    def path(self, slot: int, domain: str) -> PathSettings:
        """
        Options for one (binding, domain) pair.

        :param slot: a binding slot; a message without one counts as on ``default``.
        :raises IndexError: there is no such slot.
        """
        found = self._paths.get((slot, domain))
        if found is None:
            found = self._shared(PathSettings, self._path_chain(slot, domain), partial(_settle, PathSettings))
            _keep(self._paths, (slot, domain), found)
        return found

    def _path_chain(self, slot: int, domain: str) -> tuple[Stanza, ...]:
        tables = self._slots[self._checked(slot)]
        name = names.looked_up(domain)
        matching = tuple(container.matching(name) for container in tables.domains)
        top = self._layout.domains.matching(name)
        return (*(stanza for part in matching for stanza in part), *tables.plain, *top, self._layout.top)

    def domain(self, domain: str) -> DomainSettings:
        """
        Options of one domain on every binding.
        """
        found = self._domains.get(domain)
        if found is None:
            matching = self._layout.domains.matching(names.looked_up(domain))
            found = self._shared(DomainSettings, (*matching, self._layout.top), partial(_settle, DomainSettings))
            _keep(self._domains, domain, found)
        return found

    def host(self, host: str) -> HostSettings:
        """
        Options of one mail exchanger; nothing outside ``[host]`` counts.
        """
        found = self._hosts.get(host)
        if found is None:
            matching = self._layout.hosts.matching(names.looked_up(host))
            found = self._shared(HostSettings, matching, partial(_settle, HostSettings))
            _keep(self._hosts, host, found)
        return found

    def written(self, option: str) -> bool:
        """
        Whether any table has *option*.
        """
        return option in self._written

    def values(self, option: str) -> frozenset[object]:
        """
        What *option* is set to in any table.
        """
        return frozenset(stanza.values[option] for stanza in self.stanzas() if option in stanza.values)

    def shares_queue(self, domain: str) -> bool:
        """
        Whether mail of *domain* may be queued with that of others by its exchangers
        (``rollup_by_mx_set``): a domain table says so, or the global one does and no
        domain table says anything else of it.
        """
        name, layout = names.looked_up(domain), self._layout
        own = layout.domains.matching(name)
        deciding = next((stanza for stanza in (*own, layout.top) if "rollup_by_mx_set" in stanza.values), None)
        if deciding is None or not deciding.values["rollup_by_mx_set"]:
            return False
        if deciding is not layout.top:
            return True
        inside = [stanzas for group in layout.groups.values() for stanzas in (group, *group.bindings.values())]
        tables = [layout.domains, *(stanzas.domains for stanzas in (*layout.bindings.values(), *inside))]
        return not any(stanza.values for table in tables for stanza in table.matching(name))

    def binding_slot(self, name: str) -> int | None:
        """
        Slot of the binding *name*, or ``None``.
        """
        return self._slot_of.get(name)

    def follows(self, old: IConfiguration) -> bool:
        """
        Whether it may replace *old* in a running service: it is of a later
        generation, and every binding of that has its slot.  Mail is queued by slot,
        and would else leave from another address, or from none.
        """
        kept = self.bindings[: len(old.bindings)]
        return self.generation > old.generation and [each.name for each in kept] == [each.name for each in old.bindings]

    def stanzas(self) -> Iterator[Stanza]:
        """
        Every table that was written, ``[global]`` first whether or not it was:
        bindings in the order of their slots, domains and hosts in that of the file.
        """
        layout = self._layout
        yield layout.top
        for name in self._slot_of:
            if name in layout.bindings:
                yield from _with_domains(layout.bindings[name])
        for group in layout.groups.values():
            yield from _with_domains(group)
            for binding in group.bindings.values():
                yield from _with_domains(binding)
        yield from layout.domains.all()
        yield from layout.hosts.all()
        for signer, selectors in layout.signers.selectors.items():
            yield from (signer, *selectors.values())

    def containers(self) -> Iterator[NamedStanzas]:
        """
        Every place that domain or host tables stand in.
        """
        layout = self._layout
        yield from (layout.domains, layout.hosts)
        for group in layout.groups.values():
            for each in (group, *group.bindings.values()):
                yield from (each.domains, each.hosts)
        for alone in layout.bindings.values():
            yield from (alone.domains, alone.hosts)

    @property
    def written_groups(self) -> tuple[str, ...]:
        """
        Groups that have a table, with members or without.
        """
        return tuple(self._layout.groups)

    @property
    def top(self) -> Stanza:
        """
        ``[global]``.
        """
        return self._layout.top

    def around(self, stanza: Stanza) -> tuple[Stanza, ...]:
        """
        Tables that hold for everything *stanza* holds for, in the order in which
        they are asked; it is one of them.
        """
        layout, (kind, name, *inner) = self._layout, (*stanza.path, "")
        if kind in ("domain", "host"):
            container, top = (layout.domains, (layout.top,)) if kind == "domain" else (layout.hosts, ())
            return (*_around_name(container, stanza), *top)
        if kind == "binding_group" and inner[:1] == ["binding"]:
            kind, name, inner = "binding", inner[1], inner[2:]
        if kind == "binding":
            slot = self._slot_of[name]
            tables = self._slots[slot]
            plain, hosts = (*tables.plain, layout.top), tables.hosts
        elif kind == "binding_group":
            group = layout.groups[name]
            plain, hosts = (group.own, layout.top), (group.hosts,)
        else:
            return (layout.top,)
        if inner[:1] == ["host"]:
            return tuple(each for container in (*hosts, layout.hosts) for each in _around_name(container, stanza))
        if inner[:1] != ["domain"]:
            return plain
        if inner[1].startswith("/"):
            return (stanza, *plain)
        if kind == "binding":
            return self._path_chain(slot, inner[1])
        exact = _around_name(layout.domains, stanza)
        return (*_around_name(group.domains, stanza), group.own, *exact, layout.top)

    def line(self, *key_path: str) -> int:
        """
        The line of a table or key, as :meth:`where`.
        """
        return self._lines.line(key_path)

    def where(self, *key_path: str) -> str:
        """
        ``file:line`` of a table or key, or of the nearest around it: for
        mistakes that only the machine can show.
        """
        return f"{self.source}:{self._lines.line(key_path)}"

    def explain(self, option: str, slot: int = UNBOUND, domain: str = "") -> Origin:
        """
        Where the value of *option* for one (binding, domain) pair comes from.

        :param option: an option of any class but the hosts'.
        :param slot: the binding's; without one it is that of ``default``, and an option that the service has as well as
            a binding means the service's.
        :param domain: empty for an option that does not depend on it.
        :raises ConfigError: there is no such option.
        :raises IndexError: there is no such slot.
        """
        tables = self._slots[self._checked(slot)]
        name = names.looked_up(domain)
        chain: list[Stanza] = []
        if option in BY_CLASS[PathSettings]:
            for container in tables.domains:
                chain += _candidates(container, name)
            chain += tables.plain
            chain += _candidates(self._layout.domains, name)
            owner: type = PathSettings
        elif option in BY_CLASS[DomainSettings]:
            chain += _candidates(self._layout.domains, name)
            owner = DomainSettings
        elif option in BY_CLASS[GlobalSettings] and (slot == UNBOUND or option not in BY_CLASS[BindingSettings]):
            owner = GlobalSettings
        elif option in BY_CLASS[BindingSettings]:
            chain += tables.plain
            owner = BindingSettings
        elif option in BY_CLASS[DKIMSettings]:
            raise ConfigError(f"{option}: depends on the author of a message; momentum-tx dkim show tells it")
        else:
            known = [known for kind in BY_CLASS for known in BY_CLASS[kind]]
            raise ConfigError(f"{option}: unknown option{nearest(option, known)}")
        if BY_CLASS[owner][option].allowed(Table.GLOBAL):
            chain.append(self._layout.top)
        return self._origin(owner, option, chain)

    def explain_host(self, option: str, host: str, slot: int = UNBOUND) -> Origin:
        """
        As :meth:`explain`, for an option of the mail exchanger *host* and
        connections from *slot*.
        """
        if option not in BY_CLASS[HostSettings]:
            raise ConfigError(f"{option}: unknown option of a host{nearest(option, BY_CLASS[HostSettings])}")
        name = names.looked_up(host)
        containers = [self._layout.hosts]
        if BY_CLASS[HostSettings][option].nested:
            containers = [*self._slots[self._checked(slot)].hosts, *containers]
        return self._origin(HostSettings, option, [stanza for each in containers for stanza in _candidates(each, name)])

    def _origin(self, owner: type, option: str, chain: Iterable[Stanza]) -> Origin:
        searched: list[str] = []
        found: list[tuple[object, str, str]] = []
        for stanza in chain:
            if not found:
                searched.append(stanza.text)
            if option in stanza.values:
                found.append((stanza.values[option], stanza.text, self.where(*stanza.path, option)))
        if not found:
            return Origin(option, BY_CLASS[owner][option].default, "built-in", "", (*searched, "built-in"))
        besides = tuple(found[1:]) if option == "scope_max_outbound_connections" else ()
        return Origin(option, *found[0], tuple(searched), besides)

    def _checked(self, slot: int) -> int:
        if slot == UNBOUND:
            return DEFAULT_SLOT
        if not 0 <= slot < len(self._slots):
            raise IndexError(f"no binding has slot {slot}")
        return slot

    def _tables(self, name: str, group_name: str) -> _Slot:
        layout = self._layout
        group = layout.groups.get(group_name) or _unwritten_group(group_name)
        inside = group.bindings.get(name) or _unwritten((*group.own.path, "binding", name))
        alone = layout.bindings.get(name) or _unwritten(("binding", name))
        return _Slot(
            (inside.domains, alone.domains, group.domains),
            (inside.own, alone.own, group.own),
            (inside.hosts, group.hosts, alone.hosts),
        )

    def _binding(self, name: str, slot: int, group: str) -> Binding:
        plain = self._slots[slot].plain
        settings = _settle(BindingSettings, (*plain, self._layout.top))
        # In the global table this name is the total of the server, of which the binding's is no part.
        own_total = _settle(BindingSettings, plain).server_max_outbound_connections
        return Binding(
            name,
            slot,
            group,
            settings.bind_address,
            settings.bind_address_secondary,
            settings.group_weight,
            settings.delayed_binding_domain_fuzz,
            own_total,
            settings.ha_proxy_server,
            settings.ha_proxy_src_addr,
            settings.ha_proxy_ipv6_src_addr,
            settings.socks_proxy_server,
            settings.socks_proxy_user,
            settings.socks_proxy_pass_file,
        )

    def _members(self) -> dict[str, tuple[int, ...]]:
        members: dict[str, list[int]] = {name: [] for name in self._layout.groups}
        for binding in self.bindings:
            members.setdefault(binding.group, []).append(binding.slot)
        return {name: tuple(slots) for name, slots in members.items() if slots}

    def _shared(self, owner: type[_T], chain: tuple[Stanza, ...], settle: Callable[[tuple[Stanza, ...]], _T]) -> _T:
        # Stanzas are compared by identity: the same tables give the same object.
        settled = self._settled.get((owner, *chain))
        if settled is None:
            made = settle(chain)
            # Thousands of domain tables that say the same share one object.
            settled = self._equal.get(made)
            if settled is None:
                settled = made
                _keep(self._equal, made, made)
            _keep(self._settled, (owner, *chain), settled)
        return settled


def _settle(owner: type[_T], chain: Sequence[Stanza]) -> _T:
    known = BY_CLASS[owner]
    values: dict[str, Any] = {}
    # The most specific table comes first and must have the last word.
    for stanza in reversed(chain):
        values.update((name, value) for name, value in stanza.values.items() if name in known)
    return owner(**values)


def _keep(cache: dict[Any, Any], key: object, value: object) -> None:
    if len(cache) >= MOST_KEPT:
        cache.clear()
    cache[key] = value


def _around_name(container: NamedStanzas, stanza: Stanza) -> tuple[Stanza, ...]:
    """
    Tables of *container* that hold for all names *stanza* is about: of a regex only itself is sure.
    """
    name = stanza.path[-1]
    if not name.startswith("/"):
        return container.matching(names.looked_up(name))
    return (stanza,) if stanza.path[:-1] == container.path else ()


def _candidates(container: NamedStanzas, name: str) -> Iterator[Stanza]:
    if name and name not in container.exact:
        yield Stanza((*container.path, name))
    yield from container.matching(name)


def _with_domains(written: BindingStanzas) -> Iterator[Stanza]:
    yield written.own
    yield from written.domains.all()
    yield from written.hosts.all()


def _unwritten(path: tuple[str, ...]) -> BindingStanzas:
    return BindingStanzas.at(path)


def _unwritten_group(name: str) -> GroupStanzas:
    return GroupStanzas.at(("binding_group", name))
