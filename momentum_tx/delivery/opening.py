"""
The beginning of a session: from the greeting to the moment from which it may
take messages.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from ..net.smtp_client import SMTPClientProtocol
from ..policy.session_notes import auth_failed, own_name
from ..smtp import events as ev
from ..smtp.client import Method, SMTPClientMachine
from ..smtp.overlap import OverlappingMachine
from ..smtp.transcript import Transcript
from ..stages import Stage
from .authentication import Unauthenticated
from .introduction import ehlo_name
from .speaking import Speaking

if TYPE_CHECKING:
    from .handle import ConnectionHandle
    from .sessions import Sessions


class Opening(Speaking):
    """
    A session until it is ready: EHLO, TLS, EHLO again, and whatever was put in
    between.  What it does with mail is the other half, :class:`~momentum_tx.delivery.session.Session`.
    """

    __slots__ = (
        "_connection",
        "_f",
        "_failed_at",
        "_final",
        "_hold",
        "_machine",
        "_note",
        "_protocol",
        "_sessions",
        "_settings",
        "_slot",
        "_source",
        "dr",
        "handle",
        "ready",
        "transcript",
    )

    def __init__(self, sessions: Sessions, handle: ConnectionHandle) -> None:
        super().__init__()
        self._sessions = sessions
        self._f = f = sessions.facilities
        self.handle = handle
        self._connection = handle.connection
        self.dr = handle.dr
        self._slot = handle.binding_slot
        # The generation it begins with serves it to its end, or until it migrates.
        self._settings = f.config.path(self._slot, self.dr.domain)
        kind = OverlappingMachine if self._settings.overlap_transactions else SMTPClientMachine
        self._machine = kind(Method(self._settings.delivery_method))
        listener: Any = self  # with its other half it provides ISMTPClientListener
        #: What is said, for whoever asks why it went wrong.
        self.transcript = self._connection.transcript = Transcript(f.clock.seconds())
        self._protocol = SMTPClientProtocol(self._machine, f.agenda, self._settings, listener, self.transcript)
        #: Whether the peer accepted us, so that messages may be taken.
        self.ready = False
        #: Why the session failed, and where it stood, once that is known.
        self._note = b""
        self._failed_at: Stage | None = None
        #: Seconds for which the route is held for that.
        self._hold = 0.0
        #: The address it leaves from.
        self._source = ""
        #: Whether that is a reason to give mail up.
        self._final = False

    def begin(self) -> None:
        """
        Take the connection over.
        """
        connection = self._connection
        stream: Any = connection.stream
        connection.stream = None
        self.trace()
        (local, local_port), (address, port) = stream.local[:2], stream.peer[:2]
        self._source = local
        self.transcript.event(self._f.clock.seconds(), f"connected from {local}:{local_port} to {address}:{port}")
        self._protocol.implicit_tls = self._wants_implicit()
        stream.start(self._protocol)
        if self._implicit:
            self._secure(False)

    def trace(self) -> None:
        """
        Let those follow what is said who want to now.
        """
        traces, connection = self._f.traces, self._connection
        self.transcript.reader = (
            traces.reader(
                connection.conn_id,
                self.dr.domain,
                self._f.config.bindings[self._slot].name,
                connection.host_name,
                connection.address,
            )
            if traces
            else None
        )

    # What the other half does.

    @abstractmethod
    def next(self) -> None:
        """
        Take the next message, or wait for one, or leave.
        """

    @abstractmethod
    def leave(self) -> None:
        """
        End the session in order.
        """

    @abstractmethod
    def _greeted_anew(self) -> None:
        """
        The peer was ready, was told of a client, and is ready again.
        """

    # What the peer says.

    def _greeted(self, event: ev.Greeted) -> None:
        self._greeting = event.reply
        if not self._machine.over and not self._is_ourselves(event.reply.lines[0], Stage.READING_BANNER):
            self._put_in(Stage.READING_BANNER, self._hello, self._state_failed)

    def _is_ourselves(self, text: bytes, stage: Stage) -> bool:
        """
        Whether a peer that DNS has led us to calls itself by our name; the session then ends.

        :param text: begins with that.
        """
        policy, host = self._settings.peer_with_own_name, self.handle.host
        if policy == "ignore" or host is None or host.trusted:
            return False
        name = text.split(b" ", 1)[0].rstrip(b".").decode("ascii", "replace").lower()
        # The sender's domain, which ehlo_hostname may say, is nobody's name here.
        if not name or name not in (self._f.hostname.lower(), self._settings.ehlo_hostname.lower()):
            return False
        self._final = policy == "fail"
        self._fail_session(own_name(name, self._final), stage)
        return True

    def _state_failed(self, note: bytes) -> None:
        self._fail_session(note, Stage.CUSTOM_STATE)

    def _hello(self) -> None:
        if self._machine.over:
            return
        first = self._first()
        reception = first.reception if first is not None else None
        self._machine.hello(ehlo_name(self._settings, self._f.hostname, reception, self._source))
        self._protocol.flush()

    def _greeting_refused(self, event: ev.GreetingRefused) -> None:
        self._fail_session(event.reply.note, Stage.READING_BANNER)

    def _hello_refused(self, event: ev.HelloRefused) -> None:
        self._fail_session(event.reply.note, Stage.AFTER_EHLO)

    def _fail_session(self, note: bytes, stage: Stage) -> None:
        """
        The peer will not have us; nothing was attempted.
        """
        self._note = note
        self._failed_at = stage
        self.leave()

    def _on_ready(self, event: ev.Ready) -> None:
        if self._machine.over:
            # Accepted and dismissed in one breath is refused: were it ready, the next attempt would follow at once.
            return
        self._connection.esmtp = event.esmtp
        if self.ready:
            self._greeted_anew()
            return
        if self._is_ourselves(event.name, Stage.AFTER_EHLO):
            return
        if self._encrypted:
            self._put_in(Stage.TLS_HANDSHAKE, self._become_ready, self._state_failed)
        else:
            starttls = event.extensions.starttls
            self._put_in(Stage.AFTER_EHLO, lambda: self._secure(starttls), self._state_failed)

    def _become_ready(self) -> None:
        if self._machine.over:
            return
        if self._f.authentication.possible(self._settings):
            words = self._f.authentication.words(self.handle, self._settings, self)
            self._converse(Stage.AUTHENTICATION, words, self._authenticated)
        else:
            self._authenticated(None)

    def _authenticated(self, error: Exception | None) -> None:
        self._conversation = None
        if error is None:
            self._put_in(Stage.AUTHENTICATION, self._take_mail, self._state_failed)
            return
        if isinstance(error, Unauthenticated):
            note, self._hold = error.note, error.hold
        else:
            note = auth_failed(str(error))
        self._fail_session(note, Stage.AUTHENTICATION)

    def _take_mail(self) -> None:
        self.ready = True
        self._sessions.connections.contacted(self.handle)
        self._sessions.demands_met(self.handle)
        self.next()
