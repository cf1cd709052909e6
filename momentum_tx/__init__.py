"""
momentum_tx: the outbound side of the Momentum mail server, on Twisted.

It receives mail (in process, over SMTP), keeps it in a journal, and delivers
it from the source addresses an operator bound it to.  Momentum's own calls,
words and hooks are here under their own names::

    from momentum_tx import make_service

    service = make_service(reactor)          # everything has a default
    service.hooks.register_last(MyHook())    # see momentum_tx.interfaces.hooks
    service.startService()
    sending = service.send("news@letters.example", ["lea@shop.example"], message)
    # sending.accepted fires when the mail is safe, sending when its fate is known

What it does not do: it keeps no mailboxes, and it imports no global reactor;
``twistd momentum-tx`` (:mod:`momentum_tx.tap`) does that for you.

Importing this package loads no Twisted.  The flags, stages, outcomes and
errors are here at once; the functions and classes that need Twisted are loaded
when they are first named.  Where to read on: :mod:`momentum_tx.service` for the
whole, :mod:`momentum_tx.delivery` for how mail leaves,
:mod:`momentum_tx.interfaces` for every contract, ``doc/index.md`` for people.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from .envelope import Notify
from .errors import (
    ConfigError,
    ConnectFailed,
    ConnectionNotInitiated,
    ConnectTimedOut,
    DeliveryError,
    DialFailed,
    ExchangeFailed,
    ExchangersUnknown,
    HookFailed,
    HookReentered,
    LocalProtocolError,
    LookupFailed,
    LookupHindered,
    MessageRefused,
    OutOfDescriptors,
    RemoteProtocolError,
    SigningFailed,
    SpoolError,
    StartupError,
    TLSUndecided,
)
from .flags import (
    CONN_ACTION_PURGE_DOMAIN,
    CONN_ACTION_REQUEUE1,
    CONN_ERROR,
    CONN_ERROR_BIND,
    CONN_ERROR_CONNECT,
    CONN_ERROR_CONNECT_NETWORK,
    CONN_ERROR_CONNECT_TIMEOUT,
    CONN_ERROR_HOST_MAX_REACHED,
    CONN_ERROR_IOCTL,
    CONN_ERROR_MX_LOOKUP_FAILED,
    CONN_ERROR_MX_LOOKUP_PENDING,
    CONN_ERROR_NO_MXS_REACHABLE,
    CONN_ERROR_PROHIBITED_IP,
    CONN_ERROR_SMTP_NULL_MX,
    CONN_ERROR_SOCKET,
    ConnFlag,
)
from .outcomes import Outcome, Scope, Verdict
from .stages import Stage

if TYPE_CHECKING:
    from .delivery.initiate import connection_address, h_to_c, initiate_connection, open_connection
    from .delivery.initiate_smtp import initiate_connection_smtp
    from .hooks.outbound import OutboundHooks
    from .net.endpoint import BoundClientEndpoint
    from .policy.goal import default_connection_goal
    from .service import OutboundService, make_service
    from .settings.dkim import DKIMSignature

#: What is loaded when it is first named, and the module that defines it.
_LATER: Final = {
    "BoundClientEndpoint": ".net.endpoint",
    "DKIMSignature": ".settings.dkim",
    "OutboundHooks": ".hooks.outbound",
    "OutboundService": ".service",
    "connection_address": ".delivery.initiate",
    "default_connection_goal": ".policy.goal",
    "h_to_c": ".delivery.initiate",
    "initiate_connection": ".delivery.initiate",
    "initiate_connection_smtp": ".delivery.initiate_smtp",
    "make_service": ".service",
    "open_connection": ".delivery.initiate",
}

__all__ = [
    "CONN_ACTION_PURGE_DOMAIN",
    "CONN_ACTION_REQUEUE1",
    "CONN_ERROR",
    "CONN_ERROR_BIND",
    "CONN_ERROR_CONNECT",
    "CONN_ERROR_CONNECT_NETWORK",
    "CONN_ERROR_CONNECT_TIMEOUT",
    "CONN_ERROR_HOST_MAX_REACHED",
    "CONN_ERROR_IOCTL",
    "CONN_ERROR_MX_LOOKUP_FAILED",
    "CONN_ERROR_MX_LOOKUP_PENDING",
    "CONN_ERROR_NO_MXS_REACHABLE",
    "CONN_ERROR_PROHIBITED_IP",
    "CONN_ERROR_SMTP_NULL_MX",
    "CONN_ERROR_SOCKET",
    "BoundClientEndpoint",
    "ConfigError",
    "ConnFlag",
    "ConnectFailed",
    "ConnectTimedOut",
    "ConnectionNotInitiated",
    "DKIMSignature",
    "DeliveryError",
    "DialFailed",
    "ExchangeFailed",
    "ExchangersUnknown",
    "HookFailed",
    "HookReentered",
    "LocalProtocolError",
    "LookupFailed",
    "LookupHindered",
    "MessageRefused",
    "Notify",
    "OutOfDescriptors",
    "OutboundHooks",
    "OutboundService",
    "Outcome",
    "RemoteProtocolError",
    "Scope",
    "SigningFailed",
    "SpoolError",
    "Stage",
    "StartupError",
    "TLSUndecided",
    "Verdict",
    "connection_address",
    "default_connection_goal",
    "h_to_c",
    "initiate_connection",
    "initiate_connection_smtp",
    "make_service",
    "open_connection",
]


if not TYPE_CHECKING:
    # A type checker that sees it takes every misspelled name for one of ours.
    def __getattr__(name: str) -> Any:
        module = _LATER.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(module, __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
