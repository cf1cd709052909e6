"""
The demo's injector: a few SMTP connections that share one supply of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from ..outcomes import Verdict
from ..smtp import events as ev
from ..smtp.body import END_OF_DATA, stuff
from ..smtp.client import SMTPClientMachine
from .accounting import Injected
from .mail import SENDER, DemoMessage

#: Seconds a connection may take to be established.
CONNECT_TIMEOUT: Final = 10.0


class _Session(Protocol):
    """
    One connection to the service: message after message until none is left.
    """

    transport: Any

    def __init__(self, injector: Injector) -> None:
        self._injector = injector
        self._machine = SMTPClientMachine()
        self._message: DemoMessage | None = None
        self._finished = False
        #: What to do when every event was heard.
        self._following: Callable[[], object] | None = None

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._machine.start()

    def dataReceived(self, data: bytes) -> None:
        for event in self._machine.receive_data(data):
            self._heard(event)
        # Only now: the last event may have been the end of the session.
        following, self._following = self._following, None
        if following is not None and not self._finished:
            following()
        self._write(self._machine.take_output())

    def _write(self, data: bytes) -> None:
        if data and not self._finished:
            self.transport.write(data)

    def _heard(self, event: ev.Event) -> None:
        if isinstance(event, ev.Greeted):
            self._following = self._hello
        elif isinstance(event, ev.Ready):
            self._following = self._next
        elif isinstance(event, ev.BodyWanted):
            self._following = self._send_body
        elif isinstance(event, ev.TransactionEnded):
            assert self._message is not None
            (result,) = event.results
            if result.verdict is Verdict.DELIVERED:
                self._injector.accepted(self._message)
                self._following = self._next
            else:
                self._end(f"the service refused a message: {result.note.decode('utf-8', 'replace')}")
        elif isinstance(event, (ev.GreetingRefused, ev.HelloRefused, ev.Dismissed)):
            self._end(f"the service refused the injector: {event.reply.note.decode('utf-8', 'replace')}")
        elif isinstance(event, ev.Violated):
            self._end(f"the service broke the protocol: {event.text}")
        elif isinstance(event, ev.QuitDone):
            self._end("")

    def _hello(self) -> None:
        self._machine.hello(b"injector.demo.example")

    def _send_body(self) -> None:
        assert self._message is not None
        self._machine.sending_body()
        self._write(stuff(self._message.content) + END_OF_DATA)
        self._machine.dot_sent()

    def _next(self) -> None:
        self._message = self._injector.next_message()
        if self._message is None:
            self._machine.quit()
        else:
            self._machine.transaction(SENDER, (self._message.recipient,))

    def _end(self, problem: str) -> None:
        if not self._finished:
            self._finished = True
            self.transport.loseConnection()
            self._injector.session_ended(problem)

    def connectionLost(self, reason: Failure | None = None) -> None:
        if not self._finished:
            self._finished = True
            self._injector.session_ended("the service closed an injecting connection before it was done")

    def abort(self) -> None:
        """
        Leave at once.
        """
        self._finished = True
        self.transport.abortConnection()


class Injector(Factory):
    """
    Injects messages over several connections.

    :param messages: the supply.
    :param progress: called when a message was accepted.
    """

    noisy = False

    def __init__(self, messages: Iterator[DemoMessage], progress: Callable[[], object]) -> None:
        self._messages = messages
        self._progress = progress
        #: What the service has answered 250 for, by recipient.
        self.injected: dict[bytes, Injected] = {}
        #: Why connections ended early.
        self.problems: list[str] = []
        #: Fires when every connection has ended.
        self.done: Deferred[None] = Deferred()
        self._sessions: list[_Session] = []
        self._open = 0
        self._stopped = False

    def start(self, reactor: Any, port: int, connections: int) -> None:
        """
        Connect to the service and begin.
        """
        self._open = connections
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port, CONNECT_TIMEOUT)
        for _ in range(connections):
            endpoint.connect(self).addErrback(
                lambda failure: self.session_ended(f"the injector cannot connect: {failure.getErrorMessage()}")
            )

    def buildProtocol(self, addr: object) -> _Session:
        session = _Session(self)
        self._sessions.append(session)
        return session

    def next_message(self) -> DemoMessage | None:
        """
        The next message, or ``None`` if there is none.
        """
        return None if self._stopped else next(self._messages, None)

    def accepted(self, message: DemoMessage) -> None:
        """
        The service has taken *message*.
        """
        self.injected[message.recipient] = message.entry
        self._progress()

    def session_ended(self, problem: str) -> None:
        """
        A connection is done, or broke.
        """
        if problem and not self._stopped and problem not in self.problems:
            self.problems.append(problem)
        self._open -= 1
        if not self._open:
            self.done.callback(None)

    def stop(self) -> None:
        """
        Inject nothing more and drop the connections.
        """
        self._stopped = True
        for session in self._sessions:
            session.abort()
