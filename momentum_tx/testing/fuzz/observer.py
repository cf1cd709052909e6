"""
A hook provider that hears everything and tells the books and the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ...interfaces import bounce_hooks, hooks
from .books import Books

if TYPE_CHECKING:
    from ...flags import ConnFlag


@implementer(
    hooks.ILogClientConnectionFailure,
    hooks.ILogClientConnectionSuccess,
    hooks.ILogAttemptV1,
    hooks.ILogDeliveryV1,
    hooks.ILogTransientFailureV1,
    hooks.ILogPermanentFailureV1,
    hooks.ILogReceptionV1,
    hooks.ILogRejection,
    hooks.IPostInitiateConnectionSmtp,
    hooks.IIncOutboundConnections,
    hooks.IDecOutboundConnections,
    hooks.IPremigrateOutboundConnection,
    hooks.IMessageHeld,
    bounce_hooks.IGenerateRfc3464Message,
)
class Observer:
    """
    One per process; when that has died it hears nothing any more.

    :param books: the account of all mail.
    :param trace: told what happened, in words.
    :ivar deaf: the process has died, in the middle of a step.
    :ivar failures: words of the failed attempts it was told of in this step.
    :ivar attempted: messages whose attempt it was told of in this step.
    :ivar permanent: permanent failures it was told of in this step: message, note.
    :ivar sessions: sessions it was told of that have not ended.
    """

    def __init__(self, books: Books, trace: Callable[..., object]) -> None:
        self._books = books
        self._trace = trace
        self.deaf = False
        self.failures: list[tuple[str, int, ConnFlag]] = []
        self.permanent: list[tuple[Any, bytes]] = []
        self.sessions = 0
        self.attempted: list[Any] = []

    def generate_rfc3464_message(self, msg: Any, action: str) -> bytes:
        # The account is of mail that somebody has sent; what reports are like has stories of its own.
        return b""

    def log_client_connection_failure(self, addr: Any, err: ConnFlag, dr: Any, binding_slot: int, now: Any) -> None:
        if not self.deaf:
            self._books.count("connection failures")
            self._trace("connection failed", dr.domain, binding_slot, err, addr)
            self.failures.append((dr.domain, binding_slot, err))

    def log_client_connection_success(self, addr: Any, dr: Any, binding_slot: int, now: Any) -> None:
        if not self.deaf:
            self._books.count("connections")
            self._trace("connected", dr.domain, binding_slot, addr)

    def log_attempt_v1(self, msg: Any, dr: Any, now: Any, note: bytes) -> None:
        if not self.deaf:
            self._trace("attempt", msg.recipient, note)
            self._books.attempted(msg.recipient)
            self.attempted.append(msg)

    def log_delivery_v1(self, msg: Any, dr: Any, now: Any, note: bytes | None) -> None:
        if not self.deaf:
            self._trace("delivered", msg.recipient, note)
            self._books.delivered(msg.recipient, note or b"")

    def log_transient_failure_v1(self, msg: Any, dr: Any, now: Any, note: bytes | None) -> None:
        if not self.deaf:
            self._trace("transient", msg.recipient, int(msg.stage), note)
            self._books.failed_for_now(msg.recipient, note or b"", msg.ambiguous)

    def log_permanent_failure_v1(self, msg: Any, dr: Any, now: Any, note: bytes | None) -> None:
        if not self.deaf:
            self._trace("permanent", msg.recipient, int(msg.stage), note)
            self.permanent.append((msg, note or b""))
            self._books.failed(msg.recipient, note or b"")

    def log_reception_v1(self, ac: Any, msg: Any, now: Any, note: bytes | None) -> None:
        if not self.deaf:
            self._trace("received", msg.id, msg.recipient)
            self._books.received(msg.recipient)

    def log_rejection(self, now: Any, ac: Any, ctx: Any, phase: int, format: str, args: Any) -> None:
        if not self.deaf:
            self._books.count("rejections")
            self._trace("rejected", phase, format % args)

    def post_initiate_connection_smtp(self, dr: Any, binding_slot: int, now: Any, conn_fd: int) -> None:
        if not self.deaf:
            self._trace("initiated", dr.domain, binding_slot, conn_fd)

    def inc_outbound_connections(self, handle: Any) -> None:
        if not self.deaf:
            self.sessions += 1

    def dec_outbound_connections(self, handle: Any) -> None:
        if not self.deaf:
            self.sessions -= 1

    def premigrate_outbound_connection(self, handle: Any, src: Any, dest: Any) -> None:
        if not self.deaf:
            self._books.count("migrations")
            self._trace("migrated", src.domain, dest.domain, handle.binding_slot)

    def message_held(self, msg: Any, dr: Any, now: Any, note: bytes) -> None:
        if not self.deaf:
            self._books.count("held")
            self._trace("held", msg.recipient, note)
