"""
The binding that reports on TLS leave from.

A report must arrive although the TLS that it complains of does not work (RFC 8460
3): it leaves by a binding of its own, whose queues no policy of the domain holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from ..settings import REPORTS_BINDING, Binding
from .options import BY_TABLE, Table
from .stanzas import BindingStanzas, Layout

#: What holds there unless an operator has written something else in its table.
_VALUES: Final[MappingProxyType[str, object]] = MappingProxyType(
    {
        "tls": "ifavailable",
        "tls_verify": "no",
        "tls_ifavailable_fallback": True,
        "enable_mta_sts": False,
        "enable_dane": False,
        # Nobody's mail gets there by chance.
        "group_weight": 0,
    }
)


def add_binding(layout: Layout, keep: Sequence[Binding]) -> None:
    """
    Write the binding into *layout* if reports are sent.

    :param keep: bindings of the running generation: one that is there stays.
    """
    if not layout.top.values.get("tlsrpt") and all(kept.name != REPORTS_BINDING for kept in keep):
        return
    grouped = [group.bindings for group in layout.groups.values() if REPORTS_BINDING in group.bindings]
    bindings = grouped[0] if grouped else layout.bindings
    stanzas = bindings.setdefault(REPORTS_BINDING, BindingStanzas.at(("binding", REPORTS_BINDING)))
    for name, value in _VALUES.items():
        if name in BY_TABLE[Table.BINDING]:
            stanzas.own.values.setdefault(name, value)
