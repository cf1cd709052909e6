"""
The options as a table, made from the classes in :mod:`momentum_tx.settings`,
and the reading of one value.
"""

from __future__ import annotations

import datetime
import enum
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final

from ..policy import signatures, tls_material
from ..policy.tls import versions
from ..settings import (
    BindingSettings,
    DKIMSettings,
    DomainSettings,
    GlobalSettings,
    HostSettings,
    Level,
    PathSettings,
)
from . import names


class Table(enum.Enum):
    """
    A kind of table; the value is its header in a mistake's text.
    """

    GLOBAL = "[global]"
    DOMAIN = '[domain."..."]'
    HOST = '[host."..."]'
    BINDING = "[binding.NAME]"
    BINDING_GROUP = "[binding_group.NAME]"
    #: A host table inside a binding or a binding group.
    NESTED_HOST = '[binding.NAME.host."..."]'
    #: A domain table inside a binding or a binding group.
    NESTED_DOMAIN = '[binding.NAME.domain."..."]'
    DKIM = '[dkim."..."]'
    DKIM_SELECTOR = '[dkim."...".selector.NAME]'


#: Every class of options, in the order of the reference.
CLASSES: Final = (GlobalSettings, BindingSettings, PathSettings, DomainSettings, HostSettings, DKIMSettings)
#: What :meth:`Option.read` returns when there was a mistake.
WRONG: Final = object()
#: Ten years: beyond any sensible wait, and sums with the time of day stay printable dates.
LONGEST_SECONDS: Final = 315_576_000.0
#: TOML promises whole numbers of 64 bits and no more.
_LARGEST: Final = 2**63 - 1
#: Most of a wrong value that is repeated in a mistake's text.
_SHOWN: Final = 60


def _protocols(text: str) -> str:
    versions(text)
    return text


#: Checks beyond type, limits and choices; for a list, of each element.
_CHECKS: Final[MappingProxyType[str, Callable[[str], str]]] = MappingProxyType(
    {
        "bind_address": names.address,
        "bind_address_secondary": names.address,
        "curfew": names.quiet_hours,
        "custom_logger_delivery_format": names.record_format,
        "custom_logger_permanent_failure_format": names.record_format,
        "custom_logger_reception_format": names.record_format,
        "custom_logger_transient_failure_format": names.record_format,
        "delivery_method": names.delivery_method,
        "ehlo_hostname": names.ehlo_name,
        "gateway": names.gateway,
        "ha_proxy_ipv6_src_addr": names.address6,
        "ha_proxy_server": names.proxy,
        "ha_proxy_src_addr": names.address4,
        "headerlist": signatures.checked_field,
        "hooks": names.provider,
        "hostname": names.host_name,
        "nameservers": names.nameserver,
        "outbound_audit_domainlist": names.domain,
        "outbound_audit_monitors": names.monitor,
        "outbound_smtp_auth_type": names.auth_mechanism,
        "outbound_smtp_auth_user": names.auth_user,
        "outbound_throttle_connections": names.throttle,
        "outbound_throttle_messages": names.throttle,
        "oversign": signatures.checked_field,
        "prohibited_hosts": names.network,
        "relay_hosts": names.network,
        "response_transcode_pattern": names.transcode_pattern,
        "response_transcode_replace": names.transcode_replace,
        "retry_by_reply": names.reply_rule,
        "retry_intervals": names.interval,
        "rollup_mx_name": names.rollup_name,
        "routes": names.route,
        "share_by": names.trait,
        "share_weights": names.share_weight,
        "signing_domain": names.signing_domain,
        "skip_hosts": names.skipped,
        "smtp_listen": names.listener,
        "trace_smtp": names.trace,
        "socks_proxy_server": names.proxy,
        "state_dir": names.directory,
        "tls_ciphers": tls_material.ciphers,
        "tls_protocols": _protocols,
        "tlsrpt_contact": names.mailbox,
        "tlsrpt_from": names.mailbox,
        "tlsv13_ciphersuites": tls_material.suites,
        "trusted_hosts": names.network,
    }
)


@dataclass(frozen=True, slots=True)
class Option:
    """
    One option of one class.

    :ivar name: as written in the file and in Python.
    :ivar owner: the class it belongs to.
    :ivar types: what its value may be: some of bool, int, float, str, tuple.
    :ivar default: built-in value; ``None`` is unset.
    :ivar doc: one sentence.
    :ivar unit: in words, or empty.
    :ivar levels: scopes it may be written in.
    :ivar minimum: smallest number, or ``None``.
    :ivar maximum: largest number, or ``None``.
    :ivar choices: the only words allowed, or empty.
    :ivar nested: whether it may stand in a host table inside a binding.
    :ivar differs: in what it differs from Momentum's option of the name; a sentence, or empty.
    """

    name: str
    owner: type
    types: tuple[type, ...]
    default: object
    doc: str
    unit: str
    levels: tuple[Level, ...]
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    differs: str = ""
    nested: bool = False

    def allowed(self, table: Table) -> bool:
        """
        Whether the option may stand in *table*.
        """
        if table is Table.NESTED_HOST:
            return self.nested
        if table is Table.NESTED_DOMAIN:
            return Level.DOMAIN in self.levels and Level.BINDING in self.levels
        return Level[table.name] in self.levels

    def read(self, value: object, report: Callable[[str], object], at: str = "") -> object:
        """
        The settled form of a value from the file.

        :param report: called with the text of each mistake.
        :param at: which element of a list this is, for the text.
        :returns: the value, or :data:`WRONG` if anything was reported.
        """
        kind = type(value)
        if isinstance(value, list) and tuple in self.types:
            return self._read_list(value, report)
        if kind is int and float in self.types:
            try:
                value = float(typing.cast(int, value))
            except OverflowError:
                value = math.inf
            kind = float
        if kind not in self.types or kind is tuple:
            report(f"expected {self.expected}, not {shown(value)}")
            return WRONG
        wrong = self._wrong_word(value) if isinstance(value, str) else self._wrong_number(value)
        if wrong:
            report(wrong)
            return WRONG
        return self._checked(value, report) if isinstance(value, str) else value

    def _read_list(self, value: list[Any], report: Callable[[str], object]) -> object:
        settled: list[object] = []
        for position, element in enumerate(value):
            where = f"element {position + 1}: "
            if not isinstance(element, str):
                report(f"{where}expected a string, not {shown(element)}")
                settled.append(WRONG)
                continue
            wrong = _control_character(element)
            if wrong:
                report(where + wrong)
            settled.append(WRONG if wrong else self._checked(element, lambda text, at=where: report(at + text)))  # type: ignore[misc]
        return WRONG if WRONG in settled else tuple(settled)

    def _checked(self, value: str, report: Callable[[str], object]) -> object:
        check = _CHECKS.get(self.name)
        if check is None:
            return value
        try:
            return check(value)
        except ValueError as error:
            report(f"{shown(value)} {error}")
            return WRONG

    def _wrong_word(self, value: str) -> str:
        if self.choices and value not in self.choices:
            return f"expected {self.expected}, not {shown(value)}"
        return _control_character(value)

    def _wrong_number(self, value: Any) -> str:
        if isinstance(value, bool):
            return ""
        if isinstance(value, int):
            if abs(value) > _LARGEST:
                return "does not fit into 64 bits"
        elif not math.isfinite(value):
            return "must be a finite number"
        if self.minimum is not None and value < self.minimum:
            return f"must be at least {number(self.minimum)}, not {number(value)}"
        if self.maximum is not None and value > self.maximum:
            return f"must be at most {number(self.maximum)}, not {number(value)}"
        return ""

    @property
    def expected(self) -> str:
        """
        What a value must be, in words.
        """
        words = [_TYPES[kind] for kind in self.types if not (kind is str and self.choices)]
        words += [f'"{choice}"' for choice in self.choices]
        return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else words[0]


_TYPES: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    tuple: "a list of strings",
}


def shown(value: object) -> str:
    """
    A value as the file has it, shortened, with its type where that may be the mistake.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {number(value)}"
    if isinstance(value, str):
        text = "".join(c if c.isprintable() else f"\\u{ord(c):04X}" for c in value[: _SHOWN + 1])
        return f'"{text}"' if len(text) <= _SHOWN else f'"{text[:_SHOWN]}..."'
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, (datetime.date, datetime.time)):
        return "a date or time"
    return type(value).__name__


def number(value: float) -> str:
    """
    A number without a needless fraction.
    """
    try:
        text = f"{value:.15g}" if isinstance(value, float) else str(value)
    except ValueError:
        # Python refuses to print a whole number of more than some 4300 digits.
        return "of thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _control_character(value: str) -> str:
    for character in value:
        if ord(character) < 0x20 or ord(character) == 0x7F:
            return f"{shown(value)} holds the control character U+{ord(character):04X}"
    return ""


def _types(annotation: Any) -> tuple[type, ...]:
    parts = (annotation,) if typing.get_origin(annotation) is tuple else typing.get_args(annotation) or (annotation,)
    return tuple(typing.get_origin(part) or part for part in parts if part is not type(None))


def _options(owner: Any) -> dict[str, Option]:
    hints = typing.get_type_hints(owner)
    made: dict[str, Option] = {}
    for field in fields(owner):
        about = field.metadata
        types = _types(hints[field.name])
        longest = LONGEST_SECONDS if about["unit"] == "seconds" and float in types else None
        made[field.name] = Option(
            field.name,
            owner,
            types,
            field.default,
            about["doc"],
            about["unit"],
            about["scopes"],
            about.get("minimum"),
            about.get("maximum", longest),
            about.get("choices", ()),
            about.get("differs", ""),
            about.get("nested", False),
        )
    return made


#: Options of each class by name.
BY_CLASS: Final[MappingProxyType[type, dict[str, Option]]] = MappingProxyType(
    {owner: _options(owner) for owner in CLASSES}
)
#: Options that may stand in each kind of table, by name.
BY_TABLE: Final[MappingProxyType[Table, dict[str, Option]]] = MappingProxyType(
    {
        table: {name: option for owner in CLASSES for name, option in BY_CLASS[owner].items() if option.allowed(table)}
        for table in Table
    }
)


def tables_of(name: str) -> list[Table]:
    """
    Where the option *name* may stand; empty if there is no such option.
    """
    return [table for table in Table if name in BY_TABLE[table]]
