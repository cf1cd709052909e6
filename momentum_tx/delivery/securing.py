"""
The part of a session that is about TLS: what is wanted of it, whether it is had, and
what follows if not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import TLSUndecided
from ..policy.session_notes import NO_GO_AHEAD, TLS_NOT_OFFERED, TLS_UNDETERMINED
from ..policy.tls import CLEAR, TLSParameters
from ..smtp import events as ev
from ..stages import Stage

if TYPE_CHECKING:
    from ..net.smtp_client import SMTPClientProtocol
    from ..queues.domain import Connection, DomainRecord
    from ..queues.message import Message
    from ..smtp.client import SMTPClientMachine
    from .facilities import Facilities
    from .handle import ConnectionHandle
    from .sessions import Sessions

T = TypeVar("T")


class Securing(ABC):
    """
    A session from its first EHLO in clear until TLS is had, or done without.  What it
    does before and after is the other half, :class:`~momentum_tx.delivery.opening.Opening`.
    """

    __slots__ = ("_encrypted", "_tls")

    _log = Logger()

    # What the other half has.
    _connection: Connection
    _f: Facilities
    _machine: SMTPClientMachine
    _protocol: SMTPClientProtocol
    _sessions: Sessions
    _slot: int
    dr: DomainRecord
    handle: ConnectionHandle

    def __init__(self) -> None:
        #: What is wanted of TLS, once that is known.
        self._tls = CLEAR
        self._encrypted = False

    # What the other half does.

    @abstractmethod
    def _first(self) -> Message | None:
        """
        The message that will be sent next, as far as that can be known.
        """

    @abstractmethod
    def _hello(self) -> None:
        """
        Say EHLO.
        """

    @abstractmethod
    def _become_ready(self) -> None:
        """
        The session may take messages.
        """

    @abstractmethod
    def _fail_session(self, note: bytes, stage: Stage) -> None:
        """
        The peer will not have us, or we not the peer; nothing was attempted.
        """

    # From EHLO to TLS.

    def _secure(self, offered: bool) -> None:
        """
        EHLO was accepted in clear: ask for TLS, or go on without it, or not at all.

        :param offered: whether the peer offers STARTTLS.
        """
        # What we have to look up for it is not the peer's silence.
        self._protocol.hold()
        connection = self._connection
        try:
            parameters = self._f.tls_requirements.parameters(
                self.dr, self._slot, connection.host_name, connection.address, self._first()
            )
        except Exception:
            self._undecided(Failure())
        else:
            when_known(parameters, lambda found: self._decided(found, offered), self._undecided)

    def _decided(self, parameters: TLSParameters, offered: bool) -> None:
        if self._machine.over or self.handle.leaving:
            # It ended while it was being decided.
            return
        self._tls = parameters
        if parameters.use == "no":
            self._become_ready()
        elif offered and not self._sessions.tls_is_broken(self._connection.peer, parameters):
            self._machine.starttls()
            self._protocol.flush()
        elif parameters.mandatory:
            self._fail_session(TLS_NOT_OFFERED, Stage.DURING_STARTTLS)
        else:
            self._become_ready()

    def _undecided(self, failure: Failure) -> None:
        if self._machine.over or self.handle.leaving:
            return
        note = TLS_UNDETERMINED
        if isinstance(failure.value, TLSUndecided):
            note = failure.value.note
        else:
            self._log.failure("what TLS {host} has to have cannot be told", failure, host=self._connection.host_name)
        self._fail_session(note, Stage.DURING_STARTTLS)

    def _tls_go_ahead(self, event: ev.TLSGoAhead) -> None:
        self._protocol.start_tls(self._f.tls, self._tls)

    def _tls_refused(self, event: ev.TLSRefused) -> None:
        if self._tls.mandatory:
            self._fail_session(NO_GO_AHEAD, Stage.AFTER_STARTTLS)
        else:
            self._become_ready()

    def tls_established(self) -> None:
        self._encrypted = True
        self._hello()


def when_known(result: T | Deferred[T], known: Callable[[T], object], failed: Callable[[Failure], object]) -> None:
    """
    Go on with *result*, at once if it is there.
    """
    if isinstance(result, Deferred):
        result.addCallbacks(known, failed)
    else:
        known(result)
