"""
The transport side of an SMTP session: what the machine wants said is written,
what the peer says is read, and both within their time.  What a reply means is
known to the machine, and what follows from it to the listener.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from ..settings import PathSettings
from ..smtp.body import END_OF_DATA, stuff
from ..smtp.client import SMTPClientMachine
from ..smtp.transcript import Transcript
from ..stages import Stage
from ..timers import Agenda
from .body_writer import BODY_SLICE, BodyWriter, Pace
from .tls import handshake_problem

if TYPE_CHECKING:
    from ..interfaces.seams import ITLSFacts, ITLSUpgrade
    from ..policy.tls import TLSParameters
    from ..smtp.events import Event


class ISMTPClientListener(Interface):
    """
    Who is told what happens on a session's connection.
    """

    def machine_event(event: Event) -> None:
        """
        The machine understood something.
        """

    def tls_established() -> None:
        """
        The handshake is done; nothing learnt before counts.
        """

    def idle_timed_out() -> None:
        """
        The session has been idle for ``idle_timeout``.
        """

    def stage_timed_out(stage: Stage) -> None:
        """
        The peer took longer than *stage* allows; the connection is being
        aborted.
        """

    def connection_ended(stage: Stage) -> None:
        """
        The connection is gone; the last call.

        :param stage: what was awaited when it went.
        """


@lru_cache(maxsize=4096)
def stage_timeouts(settings: PathSettings) -> tuple[float, ...]:
    """
    Seconds the peer may take, by stage number.
    """
    ehlo = settings.ehlo_timeout
    data = settings.rcptto_timeout if settings.data_timeout is None else settings.data_timeout
    banner = ehlo if settings.banner_timeout is None else settings.banner_timeout
    timeouts = [ehlo] * len(Stage)
    for stage, seconds in (
        (Stage.IDLE, settings.idle_timeout),
        (Stage.READING_BANNER, banner),
        (Stage.AFTER_MAIL_FROM, settings.mailfrom_timeout),
        (Stage.AFTER_RCPT_TO, settings.rcptto_timeout),
        (Stage.AFTER_DATA, data),
        (Stage.SENDING_BODY, settings.body_block_timeout),
        (Stage.READING_CONFIRMATION, settings.body_timeout),
        (Stage.AFTER_RSET, settings.rset_timeout),
        (Stage.AFTER_STARTTLS, settings.starttls_timeout),
        (Stage.TLS_HANDSHAKE, settings.starttls_timeout),
        (Stage.AUTHENTICATION, settings.outbound_smtp_auth_timeout),
        (Stage.CUSTOM_STATE, settings.custom_state_timeout),
    ):
        timeouts[stage] = seconds
    return tuple(timeouts)


@implementer(IHandshakeListener)
class SMTPClientProtocol(Protocol):
    """
    One connection.  Made by a session, which it tells everything.

    A reply has one timer in all, started when it becomes owed: a peer that
    sends an octet now and then gains nothing.

    :param machine: the client machine, fresh.
    :param agenda: alarms on the reactor's clock.
    :param settings: the path's timeouts.
    :param listener: provides :class:`ISMTPClientListener`.
    :param transcript: keeps what is said; made here if it is not given.
    :ivar implicit_tls: whether TLS comes before the greeting, so that :meth:`start_tls` is
        called before anything else.
    """

    implicit_tls = False

    transport: Any  # ITCPTransport and IConsumer

    def __init__(
        self,
        machine: SMTPClientMachine,
        agenda: Agenda,
        settings: PathSettings,
        listener: ISMTPClientListener,
        transcript: Transcript | None = None,
    ) -> None:
        self._seconds = agenda.clock.seconds
        self.transcript = Transcript(self._seconds()) if transcript is None else transcript
        self.machine = machine
        self._timeouts = stage_timeouts(settings)
        self._quit_timeout = settings.quit_timeout
        self._minimum_rate = settings.body_minimum_rate
        self._listener = listener
        self._alarm = agenda.alarm(self._timed_out)
        self._leaving = False
        self._ended = False
        self._body: BodyWriter | None = None
        self._pace: Pace | None = None

    def follow(self, settings: PathSettings) -> None:
        """
        Go on with the timeouts of another path, from the next wait on.
        """
        self._timeouts = stage_timeouts(settings)
        self._quit_timeout = settings.quit_timeout
        self._minimum_rate = settings.body_minimum_rate

    @property
    def stage(self) -> Stage:
        """
        What the connection waits for.
        """
        return self.machine.stage

    def connectionMade(self) -> None:
        self.machine.start(self.implicit_tls)
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        # One look at the clock, and none at what has not changed: this runs twice for every message.
        machine, now = self.machine, self._seconds()
        before = machine.heard
        self.transcript.heard(now, data)
        events = machine.receive_data(data)
        output = machine.take_output()
        if output:
            self.transcript.said(now, output, machine.secret)
            self.transport.write(output)
        if (events or output or machine.heard != before) and not self._ended and not self._leaving:
            self._alarm.at(now + self._timeouts[machine.stage])
        for event in events:
            self._listener.machine_event(event)

    def flush(self) -> None:
        """
        Write what the machine wants written, and start the timer of what is
        then owed.  Call it after every request to the machine.
        """
        machine, now = self.machine, self._seconds()
        output = machine.take_output()
        if output:
            self.transcript.said(now, output, machine.secret)
            self.transport.write(output)
        if not self._ended and not self._leaving:
            self._alarm.at(now + self._timeouts[machine.stage])

    def _rearm(self) -> None:
        if not self._ended and not self._leaving:
            self._alarm.arm(self._timeouts[self.machine.stage])

    def hold(self) -> None:
        """
        Time nothing until :meth:`flush`: it is us who keep the peer waiting.
        """
        self._alarm.disarm()

    def send_body(self, content: bytes, chunk_size: int = 0) -> int:
        """
        Send a message to its end; the machine then awaits the verdict.

        :param content: the message, dots not doubled.
        :param chunk_size: octets of the largest chunk; 0 where DATA was said.
        :returns: octets that will be sent.
        """
        if not chunk_size and len(content) <= BODY_SLICE:
            # Before anything is written: out of turn nothing must be.
            self.machine.dot_sent(at_once=True)
            stuffed, now = stuff(content), self._seconds()
            self.transcript.content(now, len(stuffed))
            self.transport.writeSequence([stuffed, END_OF_DATA])
            if not self._ended and not self._leaving:
                self._alarm.at(now + self._timeouts[Stage.READING_CONFIRMATION])
            return len(stuffed)
        self.machine.sending_body()
        body = self._body = BodyWriter(
            self.transport, self.machine, content, chunk_size, self._body_waits, self._part_begins
        )
        self._pace = None
        body.send()
        return body.size

    def next_chunk(self) -> None:
        """
        A chunk was taken: send the next one.
        """
        if self._body is not None:
            self._body.send()

    def _part_begins(self, command: bytes, octets: int) -> None:
        if command:
            self.transcript.said(self._seconds(), command)
        self.transcript.content(self._seconds(), octets)

    def _body_waits(self) -> None:
        """
        The peer is to take a slice of the body, or to reply to a part of it.
        """
        body = self._body
        if self.stage is not Stage.SENDING_BODY or body is None:
            self._body = self._pace = None
            self._rearm()
        elif not self._ended and not self._leaving:
            now, patience = self._seconds(), self._timeouts[Stage.SENDING_BODY]
            if self._pace is None:
                self._pace = Pace(patience, self._minimum_rate, now)
            self._alarm.arm(self._pace.patience(body.begun, now))

    def start_tls(self, upgrade: ITLSUpgrade, parameters: TLSParameters, small_hello: bool = False) -> None:
        """
        Begin the handshake; :meth:`ISMTPClientListener.tls_established` follows,
        or the end of the connection.

        :param upgrade: the TLS seam.
        :param parameters: what is wanted.
        :param small_hello: see there.
        :raises ValueError: that cannot be done.
        """
        self._rearm()
        upgrade.upgrade(self.transport, parameters, small_hello)

    def tls_facts(self, upgrade: ITLSUpgrade) -> ITLSFacts:
        """
        What came of the handshake, once it is done.
        """
        return upgrade.facts(self.transport)

    def handshakeCompleted(self) -> None:
        self.machine.tls_started()
        self.transcript.event(self._seconds(), "TLS handshake done")
        self._listener.tls_established()

    def leave(self) -> None:
        """
        Close in order: what was written is sent, then the connection ends, at
        the latest when ``quit_timeout`` is over.
        """
        if not self._ended:
            self._leaving = True
            self._alarm.arm(self._quit_timeout)
            self._stop_body()
            self.transport.loseConnection()

    def _stop_body(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.stop()

    def quit(self) -> None:
        """
        Say QUIT and close when it is answered, or ``quit_timeout`` is over.
        """
        if not self._ended and not self._leaving:
            self.machine.quit()
            self.flush()
            self._leaving = True
            self._alarm.arm(self._quit_timeout)

    def abort(self) -> None:
        """
        Drop the connection at once.
        """
        self._alarm.disarm()
        if not self._ended:
            self._leaving = True
            self.transport.abortConnection()

    def _timed_out(self) -> None:
        if self._ended:
            return
        leaving, stage = self._leaving, self.stage
        self.transcript.event(self._seconds(), f"time is over {stage}")
        if stage is Stage.IDLE and not leaving:
            self._listener.idle_timed_out()
            return
        self.abort()
        if not leaving:
            self._listener.stage_timed_out(stage)

    def connectionLost(self, reason: Failure | None = None) -> None:
        stage = self.stage
        why = handshake_problem(reason) if stage is Stage.TLS_HANDSHAKE else ""
        self.transcript.event(self._seconds(), f"connection closed: {why}" if why else "connection closed")
        self._ended = True
        self._alarm.disarm()
        if self._body is not None:
            self._body.stopProducing()
            self._body = None
        self._listener.connection_ended(stage)
