"""
A plan: a world and what happens in it, as plain data.

Everything chance decides about the shape of a story is in its plan, so that a
part can be left out without the rest becoming another story.  Chance inside the
world (ports, orders, choices of the service) comes from the plan's seed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

#: Values that TOML and JSON both know.
Value = str | int | float | bool
#: A table's options.
Options = dict[str, Value]


@dataclass(slots=True)
class Part:
    """
    A behaviour, a fault or a hook provider: its kind, and what it is made with.
    """

    kind: str
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Host:
    """
    A receiver.

    :ivar name: its name in DNS.
    :ivar address: where it listens.
    :ivar behaviours: how it behaves until the storm is over.
    :ivar line: attributes of the line to it.
    :ivar extensions: attributes of the receiver itself.
    """

    name: str
    address: str
    behaviours: list[Part] = field(default_factory=list)
    line: dict[str, Any] = field(default_factory=dict)
    extensions: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Domain:
    """
    A recipient domain.

    :ivar kind: ``mx``, ``null``, ``nxdomain``, ``address``, ``prohibited``,
        ``routes`` or ``gateway``.
    :ivar exchangers: (preference, name of a host) pairs.
    """

    name: str
    kind: str = "mx"
    exchangers: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Step:
    """
    Something that happens.

    :ivar at: seconds from the beginning.
    """

    at: float
    kind: str
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """
    A whole story.

    :ivar seed: of the chance inside the world.
    :ivar storm: seconds until everything is mended and the quiet begins.
    :ivar calm: whether there is no trouble at all, so that nothing may fail.
    :ivar shuffled: whether what is due at the same instant happens in any order.
    :ivar dns: ``scripted`` or ``wire``.
    :ivar kernel_patience: seconds after which the kernel gives a connect up; 0 for never.
    :ivar settings: the options of ``[global]``.
    :ivar tables: other tables of the configuration, by header.
    :ivar bindings: (name, address) pairs.
    :ivar hosts: the receivers.
    :ivar domains: the recipients' domains.
    :ivar demands: what domains want of TLS: ``dane``, ``enforce`` or ``testing``, by name.
    :ivar providers: hook providers that are registered.
    :ivar steps: what happens, in the order of time.
    """

    seed: int
    storm: float = 600.0
    calm: bool = False
    shuffled: bool = False
    dns: str = "scripted"
    kernel_patience: float = 0.0
    settings: Options = field(default_factory=dict)
    tables: dict[str, Options] = field(default_factory=dict)
    bindings: list[tuple[str, str]] = field(default_factory=list)
    hosts: list[Host] = field(default_factory=list)
    domains: list[Domain] = field(default_factory=list)
    demands: dict[str, str] = field(default_factory=dict)
    providers: list[Part] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def to_json(self) -> str:
        """
        The plan as text.
        """
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """
        A plan that :meth:`to_json` wrote.

        :raises ValueError: the text is none.
        """
        try:
            tree = json.loads(text)
            tree["hosts"] = [
                Host(**{**host, "behaviours": [Part(**part) for part in host["behaviours"]]}) for host in tree["hosts"]
            ]
            tree["domains"] = [
                Domain(domain["name"], domain["kind"], [(mx[0], mx[1]) for mx in domain["exchangers"]])
                for domain in tree["domains"]
            ]
            tree["bindings"] = [(binding[0], binding[1]) for binding in tree["bindings"]]
            tree["providers"] = [Part(**part) for part in tree["providers"]]
            tree["steps"] = [Step(**step) for step in tree["steps"]]
            return cls(**tree)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"this is no plan: {type(error).__name__}: {error}") from None

    def config_text(self, overrides: dict[str, Options] | None = None) -> str:
        """
        The configuration as TOML.

        :param overrides: options that count more, by header of their table.
        """
        tables: dict[str, Options] = {"global": dict(self.settings)}
        for name, address in self.bindings:
            tables[f"binding.{name}"] = {"bind_address": address} if address else {}
        for header, options in self.tables.items():
            tables.setdefault(header, {}).update(options)
        for header, options in (overrides or {}).items():
            tables.setdefault(header, {}).update(options)
        lines: list[str] = []
        for header, options in tables.items():
            lines.append(f"[{header}]")
            lines += [f"{name} = {_toml(value)}" for name, value in options.items()]
        return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    # Booleans, numbers and plain strings are spelled alike in both.
    return json.dumps(value)
