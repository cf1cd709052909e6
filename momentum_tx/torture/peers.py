"""
Both ends of the service: who injects, and who receives.  They live in the
process that does not die, and their books are what is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from ..outcomes import Verdict
from ..smtp import events as ev
from ..smtp.body import END_OF_DATA, stuff
from ..smtp.client import SMTPClientMachine
from ..smtp.reception import Closing, MessageReceived, ServerSettings
from ..smtp.server import SMTPServerMachine
from . import mail
from .judge import Commit, State

#: Seconds a connection may take to be established.
CONNECT_TIMEOUT: Final = 10.0
#: Most seconds between a dot and our reply: the time in which nobody can know.
LATENCY: Final = 0.008
_SETTINGS: Final = ServerSettings("receiver.torture.test", 1 << 20, 100)


class ReceivingSession(Protocol):
    """
    One connection of the service.
    """

    transport: Any

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._machine = SMTPServerMachine(_SETTINGS, True, None, receiver.refusal)
        self._replying: Any = None

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._receiver.sessions.add(self)
        self.transport.write(self._machine.greet())

    def dataReceived(self, data: bytes) -> None:
        self._go_on(self._machine.receive_data(data))

    def _go_on(self, events: Sequence[Any]) -> None:
        for event in events:
            if isinstance(event, MessageReceived):
                self._take(event)
            elif isinstance(event, Closing):
                self.transport.write(self._machine.take_output())
                self.transport.loseConnection()
                return
        self.transport.write(self._machine.take_output())

    def _take(self, message: MessageReceived) -> None:
        indexes = self._receiver.take(message)
        if message.recipients[0].endswith(mail.MUTE.encode()):
            self.transport.abortConnection()
            return
        self._replying = self._receiver.later(self._reply, indexes)

    def _reply(self, indexes: Sequence[int]) -> None:
        self._replying = None
        following = self._machine.answer(250, "2.0.0 Taken")
        self._receiver.replied.update(indexes)
        self._go_on(following)

    def connectionLost(self, reason: object = None) -> None:
        if self._replying is not None:
            self._replying.cancel()
            self._replying = None
        self._receiver.closed(self)


class Receiver(Factory):
    """
    Receives for every domain, each in its own way, and keeps the books.

    :param reactor: times the replies.
    :param rng: decides how long they take.
    :param told: called with the recipient of a copy before anything else is done.
    """

    noisy = False

    def __init__(self, reactor: Any, rng: Random, told: Callable[[str], object]) -> None:
        self._reactor = reactor
        self._rng = rng
        self._told = told
        #: Recipient, digest and life of each copy, in their order.
        self.taken: list[tuple[str, int, int]] = []
        #: Which of them were answered.
        self.replied: set[int] = set()
        self.sessions: set[ReceivingSession] = set()
        #: Number of the life that delivers.
        self.life = 0
        self._seen: set[bytes] = set()
        self._waiting: list[Deferred[None]] = []

    def buildProtocol(self, addr: object) -> ReceivingSession:
        return ReceivingSession(self)

    def later(self, call: Callable[..., object], *args: Any) -> Any:
        """
        Call it within :data:`LATENCY`.
        """
        return self._reactor.callLater(self._rng.random() * LATENCY, call, *args)

    def refusal(self, recipient: bytes) -> tuple[int, str] | None:
        """
        Asked at every RCPT.
        """
        if recipient.endswith(mail.PICKY.encode()):
            return 550, "5.1.1 No such mailbox here"
        if recipient.endswith(mail.GREY.encode()) and recipient not in self._seen:
            self._seen.add(recipient)
            return 451, "4.7.1 Try again later"
        return None

    def take(self, message: MessageReceived) -> list[int]:
        """
        Commit a message.

        :returns: the numbers of its copies in the books.
        """
        digest = mail.digest(message.content)
        first = len(self.taken)
        for octets in message.recipients:
            recipient = octets.decode("latin-1")
            self.taken.append((recipient, digest, self.life))
            self._told(recipient)
        return list(range(first, len(self.taken)))

    def commits(self) -> list[Commit]:
        """
        The books.
        """
        return [Commit(*copy, number in self.replied) for number, copy in enumerate(self.taken)]

    def closed(self, session: ReceivingSession) -> None:
        """
        A connection has ended.
        """
        self.sessions.discard(session)
        if not self.sessions:
            waiting, self._waiting = self._waiting, []
            for idle in waiting:
                idle.callback(None)

    def when_idle(self) -> Deferred[None]:
        """
        Fires when there is no connection.
        """
        idle: Deferred[None] = Deferred()
        self._waiting.append(idle)
        if not self.sessions:
            self._waiting.remove(idle)
            idle.callback(None)
        return idle


class InjectingSession(Protocol):
    """
    One connection to the service: message after message until none is left.
    """

    transport: Any

    def __init__(self, injector: Injector) -> None:
        self._injector = injector
        self._machine = SMTPClientMachine()
        self._mail: mail.Mail | None = None
        self._dot = False
        self._following: Callable[[], object] | None = None

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._machine.start()

    def dataReceived(self, data: bytes) -> None:
        for event in self._machine.receive_data(data):
            self._heard(event)
        following, self._following = self._following, None
        if following is not None:
            following()
        output = self._machine.take_output()
        if output:
            self.transport.write(output)

    def _heard(self, event: ev.Event) -> None:
        if isinstance(event, ev.Greeted):
            self._following = self._hello
        elif isinstance(event, (ev.Ready, ev.ResetDone)):
            self._following = self._next
        elif isinstance(event, ev.BodyWanted):
            self._following = self._send_body
        elif isinstance(event, ev.TransactionEnded):
            accepted = all(result.verdict is Verdict.DELIVERED for result in event.results)
            self._end(State.ACCEPTED if accepted else State.REFUSED)
            self._following = self._next
        elif isinstance(event, (ev.GreetingRefused, ev.HelloRefused, ev.Dismissed, ev.Violated, ev.QuitDone)):
            self._end(State.REFUSED)
            self.transport.loseConnection()

    def _hello(self) -> None:
        self._machine.hello(b"injector.torture.test")

    def _send_body(self) -> None:
        assert self._mail is not None
        self._machine.sending_body()
        self._dot = True
        self.transport.write(stuff(self._mail.content) + END_OF_DATA)
        self._machine.dot_sent()

    def _next(self) -> None:
        if self._machine.needs_reset:
            self._machine.reset()
            return
        self._mail = self._injector.next_mail()
        if self._mail is None:
            self._machine.quit()
        else:
            recipients = tuple(recipient.encode("ascii") for recipient in self._mail.recipients)
            self._machine.transaction(self._mail.sender, recipients)

    def _end(self, state: State) -> None:
        done, self._mail = self._mail, None
        if done is not None:
            self._injector.learnt(done, state)
        self._dot = False

    def connectionLost(self, reason: object = None) -> None:
        self._end(State.UNKNOWN if self._dot else State.UNSENT)
        self._injector.session_ended()


class Injector(Factory):
    """
    Injects a batch over several connections.

    :param supply: the messages.
    :param learnt: told what became of each.
    """

    noisy = False

    def __init__(self, supply: Sequence[mail.Mail], learnt: Callable[[mail.Mail, State], object]) -> None:
        self._supply = list(supply)
        self._learnt = learnt
        self._open = 0
        #: Fires when every connection has ended.
        self.done: Deferred[None] = Deferred()

    def start(self, reactor: Any, port: int, connections: int) -> None:
        """
        Connect and begin.
        """
        self._open = connections
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port, CONNECT_TIMEOUT)
        for _ in range(connections):
            endpoint.connect(self).addErrback(lambda failure: self.session_ended())

    def buildProtocol(self, addr: object) -> InjectingSession:
        return InjectingSession(self)

    def next_mail(self) -> mail.Mail | None:
        """
        The next message, or ``None`` if there is none.
        """
        return self._supply.pop(0) if self._supply else None

    def learnt(self, message: mail.Mail, state: State) -> None:
        """
        It is known what became of *message*.
        """
        self._learnt(message, state)

    def session_ended(self) -> None:
        """
        A connection is done, or broke.
        """
        self._open -= 1
        if not self._open:
            self.done.callback(None)
