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
from ..policy.session_notes import (
    NO_GO_AHEAD,
    TLS_FAILED,
    TLS_NOT_OFFERED,
    TLS_UNDETERMINED,
    TLSA_UNKNOWN,
    not_verified,
)
from ..policy.tls import CLEAR, TLSParameters, acceptable, same_session, told
from ..smtp import events as ev
from ..stages import Stage
from .tls_telling import BROKEN, HANDSHAKE, NO_ANSWER, NOT_OFFERED, REFUSED, Problem, tell

if TYPE_CHECKING:
    from ..interfaces.seams import ITLSFacts
    from ..net.smtp_client import SMTPClientProtocol
    from ..queues.domain import Connection, DomainRecord
    from ..queues.message import Message
    from ..smtp.client import SMTPClientMachine
    from ..smtp.replies import Reply
    from ..smtp.transcript import Transcript
    from .facilities import Facilities
    from .handle import ConnectionHandle
    from .sessions import Sessions

T = TypeVar("T")


class Securing(ABC):
    """
    A session from its first EHLO in clear until TLS is had, or done without.  What it
    does before and after is the other half, :class:`~momentum_tx.delivery.opening.Opening`.
    """

    __slots__ = (
        "_encrypted",
        "_greeting",
        "_implicit",
        "_local",
        "_opened_for",
        "_relaxed",
        "_shaking_hands",
        "_small_hello",
        "_spoilt_at",
        "_tls",
        "_unmet",
        "_wished",
    )

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
    transcript: Transcript

    def __init__(self) -> None:
        #: What is wanted of TLS, once that is known.
        self._tls = CLEAR
        #: The same without what policies of the domain add, and the message it was wanted for.
        self._wished = CLEAR
        self._opened_for: Message | None = None
        #: Whether it was opened for a message for which policies of the domain do not count.
        self._relaxed = False
        self._encrypted = False
        #: Whether TLS begins with the first octet.
        self._implicit = False
        self._small_hello = False
        #: Where the peer broke the protocol, if it did.
        self._spoilt_at: Stage | None = None
        #: Whether a handshake is under way.
        self._shaking_hands = False
        #: Our address, once TLS is a question that somebody counts the answers to.
        self._local = ""
        #: Whether the session ends because what is demanded of TLS was not met.
        self._unmet = False
        #: The peer's greeting, once it was read.
        self._greeting: Reply | None = None

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

    # Before the first octet.

    def _wants_implicit(self) -> bool:
        """
        Whether TLS begins with the first octet, which no look-up changes.
        """
        self._implicit = self._wish(self._first()).use == "implicit"
        return self._implicit

    def _wish(self, message: Message | None) -> TLSParameters:
        return self._f.tls_requirements.wished(self.dr, self._slot, self._connection.host_name, message)

    # Message after message.

    def _same_tls(self, message: Message) -> bool:
        """
        Whether a message wants of TLS what the session was opened with.
        """
        # Whatever a hook answers the second time: a session sends the message it was opened for.
        opened_for, self._opened_for = self._opened_for, None
        if message is opened_for:
            return True
        terms = message.reception.terms
        if self._relaxed and not terms.tls_optional:
            # The policies of the domain do not count here.
            return False
        if terms.require_tls and self._tls.verify in ("no", "ca"):
            # Who the peer is was not looked at.
            return False
        if not self._f.hooks.get_outbound_tls_parameters:
            # All mail of the domain wants the same.
            return True
        return same_session(self._wished, self._wish(message), self._connection.tls)

    def _plain_tls(self, message: Message) -> bool:
        """
        Whether it need not be asked what a message wants of TLS, since nobody has said
        anything about it or this session.
        """
        required = message.reception.terms.require_tls
        return not (required or self._relaxed or self._f.tls_requirements.per_message)

    # From EHLO, or the first octet, to TLS.

    def _secure(self, offered: bool) -> None:
        """
        EHLO was accepted in clear: ask for TLS, or go on without it, or not at all.  Or
        nothing was said yet, and TLS comes first.

        :param offered: whether the peer offers STARTTLS.
        """
        # What we have to look up for it is not the peer's silence.
        self._protocol.hold()
        if self._f.tls_told is not None:
            self._local = self._protocol.transport.getHost().host
        connection, first = self._connection, self._first()
        self._opened_for, self._wished = first, self._wish(first)
        self._relaxed = self._f.message_tls.relaxes(self.dr, self._slot, first)
        try:
            parameters = self._f.tls_requirements.parameters(
                self.dr, self._slot, connection.host_name, connection.address, first, self._wished
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
        if self._implicit:
            self._shake_hands()
        elif parameters.use == "no":
            self._become_ready()
        elif offered and not self._sessions.tls_memory.is_broken(self._connection.peer, parameters):
            self._machine.starttls()
            self._protocol.flush()
        else:
            self._tell(BROKEN if offered else NOT_OFFERED)
            if parameters.mandatory:
                self._fall_short(TLS_NOT_OFFERED, Stage.DURING_STARTTLS)
            else:
                self._become_ready()

    def _undecided(self, failure: Failure) -> None:
        if self._machine.over or self.handle.leaving:
            return
        note = TLS_UNDETERMINED
        if isinstance(failure.value, TLSUndecided):
            note = failure.value.note
            if note == TLSA_UNKNOWN:
                self._tell(NO_ANSWER)
        else:
            self._log.failure("what TLS {host} has to have cannot be told", failure, host=self._connection.host_name)
        self._fall_short(note, Stage.DURING_STARTTLS)

    def _tls_go_ahead(self, event: ev.TLSGoAhead) -> None:
        self._shake_hands()

    def _tls_refused(self, event: ev.TLSRefused) -> None:
        self._tell(REFUSED)
        if self._tls.clear_after_failure:
            self._become_ready()
        else:
            self._fall_short(NO_GO_AHEAD, Stage.AFTER_STARTTLS)

    def _shake_hands(self) -> None:
        self._small_hello = self._sessions.tls_memory.small_hello(self._connection.peer)
        self._shaking_hands = True
        try:
            self._protocol.start_tls(self._f.tls, self._tls, self._small_hello)
        except ValueError as error:
            text = f"TLS to {self._connection.host_name} cannot begin: {error}"
            self._f.hooks.tell_error(self._f.wall(), "error", text)
            # It is not the peer that failed.
            self._tls = CLEAR
            self._shaking_hands = False
            self._fall_short(TLS_UNDETERMINED, Stage.TLS_HANDSHAKE)

    def tls_established(self) -> None:
        self._encrypted = True
        self._shaking_hands = False
        facts = self._connection.tls = self._protocol.tls_facts(self._f.tls)
        self.transcript.event(self._f.clock.seconds(), f"TLS: {told(facts)}")
        self._tell(None, facts)
        note = self._refusal(facts)
        if note:
            self._fall_short(note, Stage.TLS_HANDSHAKE)
        elif self._implicit:
            # The greeting is awaited.
            self._protocol.flush()
        else:
            self._hello()

    def _fall_short(self, note: bytes, stage: Stage) -> None:
        """
        What is demanded here was not met; others may demand less of the host.
        """
        self._unmet = True
        self._fail_session(note, stage)

    def _refusal(self, facts: ITLSFacts) -> bytes:
        """
        Why the certificate will not do; empty if it will.
        """
        parameters = self._tls
        will_do = verified = acceptable(parameters, facts)
        hook = self._f.hooks.outbound_smtp_tls_verify_callback
        if hook and parameters.verify != "no":
            answer = hook.override(
                lambda provider: provider.outbound_smtp_tls_verify_callback(self.handle, parameters, facts, verified)
            )
            will_do = verified if answer is None else answer
        if will_do:
            return b""
        return TLS_FAILED if verified else not_verified(facts.problem_kind)

    def _tell(self, problem: Problem | None, facts: ITLSFacts | None = None) -> None:
        """
        Tell what came of TLS to whoever counts it.

        :param problem: why there is none.
        :param facts: what was negotiated, if it was.
        """
        if self._f.tls_told is not None and not self._relaxed:
            connection = self._connection
            tell(self._f, self.dr, self._slot, connection, self._local, self._greeting, problem, facts)

    def _tls_failed(self, stage: Stage) -> bool:
        """
        The session came to its end without having been ready; whether that was TLS, and
        another connection is worth while.

        :param stage: where the connection stood in the end.
        """
        if self._spoilt_at is not None:
            stage = self._spoilt_at
        if self._tls.use == "no":
            return False
        if self._shaking_hands or stage is Stage.AFTER_STARTTLS:
            self._tell(HANDSHAKE)
        return self._sessions.tls_memory.failed(self._connection.peer, self._tls, stage, self._small_hello)


def when_known(result: T | Deferred[T], known: Callable[[T], object], failed: Callable[[Failure], object]) -> None:
    """
    Go on with *result*, at once if it is there.
    """
    if isinstance(result, Deferred):
        result.addCallbacks(known, failed)
    else:
        known(result)
