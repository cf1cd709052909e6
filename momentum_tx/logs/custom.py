"""
Logs in a form of the operator's own, as Momentum's module custom_logger writes them.

What a format may hold is parsed by :mod:`momentum_tx.policy.log_format` and said in
``doc/reference/logs.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zope.interface import implementer

from ..interfaces import hooks as contracts
from ..policy.log_format import parse
from ..stages import Stage
from .gathered import GatheredLog
from .text import decode, encode, last_field

if TYPE_CHECKING:
    from ..interfaces.records import IDomainRecord, IMessage, IReception
    from .files import ILogFile


class Lookups(NamedTuple):
    """
    What a record needs and its message does not know.

    :ivar binding: name of the binding of a slot.
    :ivar group: name of the binding group of a slot.
    :ivar route: where mail of a slot for a domain goes: the gateway, or the domain itself.
    :ivar classify: code and name of what a note means, for a domain.
    """

    binding: Callable[[int], str]
    group: Callable[[int], str]
    route: Callable[[int, str], str]
    classify: Callable[[bytes, str], tuple[int, str]]


class _Facts(NamedTuple):
    """
    What one record is about.
    """

    msg: Any
    dr: Any
    now: float
    note: bytes
    stage: str


@implementer(
    contracts.ILogReceptionV1,
    contracts.ILogDeliveryV1,
    contracts.ILogTransientFailureV1,
    contracts.ILogPermanentFailureV1,
    contracts.ILogReopen,
)
class CustomLog(GatheredLog):
    """
    The logger of one file; it has no heartbeat.

    :param file: where the records go; open.
    :param wall: wall time in epoch seconds.
    :param formats: format of the records by what they are about: ``reception``, ``delivery``,
        ``transient_failure``, ``permanent_failure``; what is not there gets no record.
    :param lookups: what messages do not know themselves.
    :raises ValueError: a format is none.
    """

    __slots__ = ("_lookups", "_parts")

    def __init__(self, file: ILogFile, wall: Callable[[], float], formats: Mapping[str, str], lookups: Lookups) -> None:
        super().__init__("custom log", file, wall, lambda: 0.0, "")
        self._lookups = lookups
        self._parts = {stage: [self._part(*piece) for piece in parse(text)] for stage, text in formats.items()}

    # Records.

    def log_reception_v1(self, ac: IReception, msg: IMessage, now: float | None, note: bytes | None) -> None:
        self._tell("reception", msg, msg.domain, now, note)

    def log_delivery_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self._tell("delivery", msg, dr, now, note)

    def log_transient_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self._tell("transient_failure", msg, dr, now, note)

    def log_permanent_failure_v1(self, msg: IMessage, dr: IDomainRecord, now: float | None, note: bytes | None) -> None:
        self._tell("permanent_failure", msg, dr, now, note)

    def _tell(self, stage: str, msg: IMessage, dr: object, now: float | None, note: bytes | None) -> None:
        parts = self._parts.get(stage)
        if parts is None:
            return
        facts = _Facts(msg, dr, self._wall() if now is None else now, msg.code if note is None else note, stage)
        # Strangers' text is in many parts; the record is made harmless as a whole, once.
        line = "".join([part if isinstance(part, str) else part(facts) for part in parts])
        self.append((line if line.isprintable() else last_field(encode(line))) + "\n")

    # Macros.

    def _part(self, macro: str, text: str) -> str | Callable[[_Facts], str]:
        if not macro:
            return text
        if macro in ("vctx_conn", "vctx_mess"):
            return _VALUES[text]
        if macro == "t" and text:
            return lambda facts: datetime.fromtimestamp(facts.now, UTC).strftime(text)
        if macro == "T":
            form = f".{text or 2}f"
            return lambda facts: format(max(0.0, facts.now - facts.msg.reception.creation_time), form)
        if macro == "us":
            digits = f".{text or 6}f"
            return lambda facts: format(facts.now, digits)
        own = _MACROS.get(macro)
        return own if own is not None else getattr(self, f"_macro_{macro}")

    def _macro_b(self, facts: _Facts) -> str:
        slot = facts.msg.binding_slot
        return self._lookups.binding(slot) if slot >= 0 else ""

    def _macro_g(self, facts: _Facts) -> str:
        slot = facts.msg.binding_slot
        return self._lookups.group(slot) if slot >= 0 else ""

    def _macro_c(self, facts: _Facts) -> str:
        return self._class(facts)[1]

    def _macro_C(self, facts: _Facts) -> str:
        return str(self._class(facts)[0])

    def _class(self, facts: _Facts) -> tuple[int | str, str]:
        if not facts.stage.endswith("failure"):
            return "", ""
        return self._lookups.classify(facts.note, facts.dr.domain)

    def _macro_d(self, facts: _Facts) -> str:
        if facts.dr is None:
            # A reception is told of before it is routed.
            return _split(facts.msg.recipient)[1].lower()
        slot = facts.msg.binding_slot
        return self._lookups.route(slot, facts.dr.domain) if slot >= 0 else str(facts.dr.domain)


def _split(path: bytes) -> tuple[str, str]:
    local, at, domain = decode(path).rpartition("@")
    return (local, domain) if at else (domain, "")


def _connection(name: str) -> Callable[[_Facts], str]:
    def value(facts: _Facts) -> str:
        connection = facts.msg.connection
        # At a reception there is none yet, and what an injector's connection was is another macro.
        if connection is None or facts.stage == "reception":
            return ""
        return str(getattr(connection, name))

    return value


def _tls(name: str) -> Callable[[_Facts], str]:
    def value(facts: _Facts) -> str:
        connection = facts.msg.connection
        if connection is None or facts.stage == "reception" or connection.tls is None:
            return ""
        return str(getattr(connection.tls, name))

    return value


def _encrypted(facts: _Facts) -> str:
    connection = facts.msg.connection
    return "yes" if connection is not None and connection.tls is not None and facts.stage != "reception" else "no"


def _remote(facts: _Facts) -> str:
    return str(facts.msg.reception.recv_from) if facts.stage == "reception" else _PEER(facts)


def _nothing(facts: _Facts) -> str:
    return ""


_PEER: Final = _connection("address")

_MACROS: Final[dict[str, Callable[[_Facts], str]]] = {
    # Injecting clients do not authenticate, and there are no pathways.
    "A": _nothing,
    "U": _nothing,
    "P": _nothing,
    "PG": _nothing,
    "B": lambda facts: str(facts.msg.reception.size),
    "BI": lambda facts: str(facts.msg.reception.batch_id),
    "CI": lambda facts: str(facts.msg.reception.conn_id),
    "H": _remote,
    "i": lambda facts: str(facts.msg.id),
    "m": lambda facts: _split(facts.msg.reception.sender)[0],
    "M": lambda facts: _split(facts.msg.reception.sender)[1],
    "mx": _connection("host_name"),
    "n": lambda facts: last_field(facts.note),
    "N": lambda facts: str(facts.msg.num_retries),
    "OC": _connection("conn_id"),
    "p": lambda facts: str(facts.msg.reception.recv_method),
    "r": lambda facts: _split(facts.msg.recipient)[0],
    "R": lambda facts: _split(facts.msg.recipient)[1],
    "s": lambda facts: str(Stage(facts.msg.stage)),
    "S": lambda facts: str(int(facts.msg.stage)),
    "t": lambda facts: str(int(facts.now)),
}

_VALUES: Final[dict[str, Callable[[_Facts], str]]] = {
    "campaign": lambda facts: str(facts.msg.reception.campaign),
    "envid": lambda facts: decode(facts.msg.reception.envid),
    "outbound_tls": _encrypted,
    "outbound_tls_cipher": _tls("cipher"),
    "outbound_tls_issuer": _tls("issuer"),
    "outbound_tls_protocol": _tls("version"),
    "outbound_tls_subject": _tls("subject"),
    "outbound_tls_verified": _tls("verified"),
    "priority": lambda facts: str(facts.msg.reception.priority),
    "tenant": lambda facts: str(facts.msg.reception.tenant),
}
