"""
The door: a file, a text, or nothing at all, to a configuration.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Final

from ..errors import ConfigError
from ..settings import Binding
from . import contradictions, secrets, tls_files, unreachable
from .configuration import DEFAULT, Configuration
from .findings import Findings
from .lines import Lines, spelled
from .reporting import add_binding
from .stanzas import Layout, Reader

#: Octets: hundreds of thousands of domain tables; what is larger is not a configuration.
LARGEST_FILE: Final = 64 * 1024 * 1024

_POSITION: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def load(path: str, generation: int = 1, keep: Sequence[Binding] = ()) -> Configuration:
    """
    The configuration written in the file *path*.

    :param generation: see :class:`~momentum_tx.interfaces.services.IConfiguration`.
    :param keep: see :func:`parse`.
    :raises ConfigError: with one text per mistake; nothing of the file counts.
    """
    try:
        with open(path, "rb") as file:
            source = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        # A path with a NUL in it.
        raise ConfigError(f"{path!r}: cannot be read: {error}") from error
    if len(source) > LARGEST_FILE:
        raise ConfigError(f"{path}: cannot be read: larger than {LARGEST_FILE} octets")
    try:
        text = source.decode("utf-8")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8: octet 0x{source[error.start]:02x}") from error
    return parse(text, path, generation, keep)


def parse(text: str, name: str = "<string>", generation: int = 1, keep: Sequence[Binding] = ()) -> Configuration:
    """
    The configuration written in *text*.

    Slots are given in the order in which bindings first appear; ``default`` is 0.

    :param name: stands for the file in mistakes.
    :param keep: bindings of the running generation: each keeps its slot, new
        ones come after them.  One that is not written any more is a mistake, for
        mail may wait on it (Momentum too needs a restart for that).
    :raises ConfigError: as :func:`load`.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_mistake(name, text, str(error))) from error
    except (RecursionError, ValueError) as error:
        # Nested without end, or a number of thousands of digits.
        raise ConfigError(f"{name}:1: not TOML that can be read: {error}") from error
    lines = Lines(text)
    reader = Reader(name, lines)
    layout = reader.read(tree)
    add_binding(layout, keep)
    written = _binding_names(layout, lines)
    names = [binding.name for binding in keep] or [DEFAULT]
    for kept in names:
        if kept not in written and kept != DEFAULT:
            reader.report(("binding", kept), "is not written any more; a binding is removed by a restart only")
    names += [binding for binding in written if binding not in names]
    mistakes = reader.mistakes
    if mistakes:
        raise ConfigError(*mistakes)
    config = Configuration(layout, name, lines, generation, names)
    found = Findings(config)
    secrets.check(found)
    tls_files.check(found)
    contradictions.check(found)
    unreachable.check(found)
    if found.mistakes:
        raise ConfigError(*found.mistakes)
    config.warnings = found.warnings
    return config


def default() -> Configuration:
    """
    The configuration of a service that was given no file.
    """
    return parse("", "<built-in>")


def _syntax_mistake(name: str, text: str, complaint: str) -> str:
    found = _POSITION.search(complaint)
    line = text.count("\n") + 1
    if found:
        complaint = complaint[: found.start()]
        if found[1]:
            line = int(found[1])
        else:
            complaint += " at the end of the file"
    if complaint.startswith("Cannot"):
        # It says what it cannot do, but not what is in its way.
        twice = Lines(text).twice
        if twice is not None:
            return f"{name}:{line}: {spelled(twice[0])}: is written twice; the first time at {name}:{twice[1]}"
    hint = " (a regex is written in single quotes)" if "'\\'" in complaint else ""
    return f"{name}:{line}: not TOML: {complaint}{hint}"


def _binding_names(layout: Layout, lines: Lines) -> list[str]:
    first: dict[str, int] = {}
    places = [*layout.bindings.items()]
    for group in layout.groups.values():
        places += group.bindings.items()
    for name, stanzas in places:
        line = lines.line(stanzas.own.path)
        first[name] = min(line, first.get(name, line))
    # Sorting is stable: bindings of one inline table keep their order.
    return sorted(first, key=lambda name: first[name])
