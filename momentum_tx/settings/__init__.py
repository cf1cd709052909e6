"""
Every option: name, unit, default, and the scopes it may be written in.

Names and defaults are Momentum's where it has the option (reference pages
``ref-<option>``); where it has none the text says "ours".  The classes are
frozen: a session reads a settled object, never a dictionary, and keeps the one
it began with.  How a value is found through the scopes is the business of
:mod:`momentum_tx.config`.
"""

from .dkim import DKIMSettings, DKIMSignature
from .option import DOMAIN_WIDE, STANDARD, Level, option
from .path import PathSettings
from .scopes import (
    DEFAULT_GROUP,
    DEFAULT_SLOT,
    REPORTS_BINDING,
    UNBOUND,
    Binding,
    BindingSettings,
    DomainSettings,
    HostSettings,
)
from .service import DEFAULT_PROHIBITED_HOSTS, LASTING, GlobalSettings

__all__ = [
    "DEFAULT_GROUP",
    "DEFAULT_PROHIBITED_HOSTS",
    "DEFAULT_SLOT",
    "DOMAIN_WIDE",
    "LASTING",
    "REPORTS_BINDING",
    "STANDARD",
    "UNBOUND",
    "Binding",
    "BindingSettings",
    "DKIMSettings",
    "DKIMSignature",
    "DomainSettings",
    "GlobalSettings",
    "HostSettings",
    "Level",
    "PathSettings",
    "option",
]
