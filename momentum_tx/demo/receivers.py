"""
The demo's receivers: small SMTP servers, each with a ledger of its own.

They keep no time limits: the demo ends them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.protocol import Factory, Protocol

from ..smtp.reception import Closing, MessageReceived, ServerSettings
from ..smtp.server import SMTPServerMachine
from . import mail
from .accounting import Ledger

#: Code and text that refuse a recipient, or ``None``.
Refusal = tuple[int, str] | None

_LARGEST: Final = 1 << 20
_MOST_RECIPIENTS: Final = 100


class _Session(Protocol):
    """
    One client: the service.
    """

    transport: Any

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        settings = ServerSettings(receiver.kind.domain, _LARGEST, _MOST_RECIPIENTS)
        self._machine = SMTPServerMachine(settings, True, None, receiver.refusal)

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._receiver.sessions.add(self)
        self.transport.write(self._machine.greet())

    def dataReceived(self, data: bytes) -> None:
        machine = self._machine
        events = machine.receive_data(data)
        while events:
            following = []
            for event in events:
                if isinstance(event, MessageReceived):
                    self._receiver.take(event)
                    following += machine.answer(250, "2.0.0 Taken")
                elif isinstance(event, Closing):
                    self.transport.write(machine.take_output())
                    self.transport.loseConnection()
                    return
            events = following
        self.transport.write(machine.take_output())

    def connectionLost(self, reason: object = None) -> None:
        self._receiver.sessions.discard(self)


class Receiver(Factory):
    """
    Takes mail for one domain, in its own way.

    :param kind: which receiver it is.
    :param now: a clock, for the ledger.
    :param drop_every: says 250 to every so many messages and forgets them; 0
        is an honest receiver.  The demo's own test needs a dishonest one.
    """

    noisy = False

    def __init__(self, kind: mail.ReceiverKind, now: Callable[[], float], drop_every: int = 0) -> None:
        self.kind = kind
        self.ledger = Ledger()
        self.sessions: set[_Session] = set()
        self._now = now
        self._drop_every = drop_every
        self._seen: set[bytes] = set()
        self._answered = 0

    def buildProtocol(self, addr: object) -> _Session:
        return _Session(self)

    def refusal(self, recipient: bytes) -> Refusal:
        """
        Asked at every RCPT.
        """
        if self.kind is mail.GREY and recipient not in self._seen:
            self._seen.add(recipient)
            return 451, "4.7.1 Greylisted, try again later"
        if self.kind is mail.PICKY and recipient.startswith(mail.UNKNOWN):
            return 550, "5.1.1 No such mailbox here"
        return None

    def take(self, message: MessageReceived) -> None:
        """
        A message is here, and 250 will be said.
        """
        self._answered += 1
        if self._drop_every and self._answered % self._drop_every == 0:
            return
        now, digest = self._now(), mail.digest(mail.body_of(message.content))
        for recipient in message.recipients:
            self.ledger.enter(recipient, digest, now)

    def close(self) -> None:
        """
        Drop every session.
        """
        for session in list(self.sessions):
            session.transport.abortConnection()
