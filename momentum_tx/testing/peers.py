"""
Mail receivers for the virtual network, scripted and modelled.

A :class:`Receiver` behaves well until told otherwise::

    mx = Receiver(network, "198.51.100.7")
    mx.on("RCPT", b"451 4.7.1 Greylisted", times=2)
    mx.on("dot", TAKE_AND_CLOSE)
    mx.refuse["nobody@example.com"] = b"550 5.1.1 No such user"
    mx.add(ConnectionCap(20), Tarpit(2.0))

and keeps a ledger of what it took, by which duplicates and losses are seen.
What stands in many scripts is a :class:`~momentum_tx.testing.behaviours.Behaviour`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Factory

from ..policy.tls import MODERN
from .answers import CLOSE, RESET, SILENCE, TAKE_AND_BE_SILENT, TAKE_AND_CLOSE, Answer
from .peer_session import ReceiverSession, Step, Taken, path_of

if TYPE_CHECKING:
    from .behaviours import Behaviour
    from .host import VirtualPort
    from .network import VirtualNetwork
    from .tls import ModelledCertificate

__all__ = [
    "CLOSE",
    "RESET",
    "SILENCE",
    "TAKE_AND_BE_SILENT",
    "TAKE_AND_CLOSE",
    "Answer",
    "Receiver",
    "ReceiverSession",
    "Step",
    "Taken",
    "path_of",
    "subject_of",
]


@dataclass(slots=True)
class _Rule:
    step: Step
    left: int
    skip: int


class Receiver(Factory):
    """
    A mail exchanger on the virtual network.

    Whatever it is to say, its script (:meth:`on`) is asked first, then its
    behaviours in the order they were added, then the fields below, then what a
    well-behaved receiver says; and the behaviours may change the answer, again in
    their order.

    :param network: where it listens.
    :param address: its address.
    :param port: its port.
    :param name: its name in greetings.
    :param keep_commands: whether :attr:`commands` is written.
    """

    noisy = False

    def __init__(
        self,
        network: VirtualNetwork,
        address: str,
        port: int = 25,
        name: bytes = b"mx.peer.example",
        keep_commands: bool = True,
    ) -> None:
        self.network = network
        self.clock = network.clock
        self.address = address
        self.name = name
        self.keep_commands = keep_commands
        #: Everything taken, oldest first.
        self.ledger: list[Taken] = []
        #: Command lines received: (number of the connection, line).  Without a bound.
        self.commands: list[tuple[int, bytes]] = []
        #: Replies said that refuse something, by their first digit: ``b"4"`` and ``b"5"``.
        self.refused: Counter[bytes] = Counter()
        #: What EHLO offers besides what the fields below say.
        self.extensions: list[bytes] = [b"8BITMIME", b"SMTPUTF8"]
        self.pipelining = True
        self.starttls = False
        #: Whether content is taken by BDAT (RFC 3030), and that is offered.
        self.chunking = False
        #: Whether it speaks TLS from the first octet, before its greeting.
        self.implicit_tls = False
        #: What it shows in TLS; ``None`` for a good certificate of whatever name is asked for.
        self.certificate: ModelledCertificate | None = None
        #: The versions of TLS it knows.
        self.tls_versions: tuple[str, ...] = MODERN
        #: Whether it talks only to clients that show a certificate.
        self.wants_certificate = False
        #: Whether it speaks LMTP and not SMTP: LHLO, and at ``dot`` an answer for each recipient.
        self.lmtp = False
        #: Attributes of a client it wants to know by XCLIENT; none is offered without.
        self.xclient: tuple[bytes, ...] = ()
        #: The limit SIZE announces; ``None`` offers no SIZE.
        self.size: int | None = None
        #: Replies to RCPT by recipient.
        self.refuse: dict[str, bytes] = {}
        #: Connections at once; one more is greeted with 421.  ``None`` for any number.
        self.max_connections: int | None = None
        #: Messages of one connection; the next MAIL gets 421.  ``None`` for any number.
        self.max_messages: int | None = None
        #: Connections accepted so far.
        self.connections = 0
        #: Sessions that are open.
        self.open: list[ReceiverSession] = []
        #: Most sessions that were open at once.
        self.most_open = 0
        #: Most messages taken on one connection.
        self.most_messages = 0
        #: Most recipients one transaction asked for, refused ones included.
        self.most_recipients = 0
        #: What was added and not removed, in order.
        self.behaviours: tuple[Behaviour, ...] = ()
        #: Whether neither script nor behaviour has to be asked.
        self.unscripted = True
        self._rules: dict[str, list[_Rule]] = {}
        self._greylist: dict[bytes, int] = {}
        self._greylist_times = 0
        self.port: VirtualPort = network.listen(address, port, self)

    def on(self, point: str, step: Step, times: int = -1, skip: int = 0) -> None:
        """
        Do *step* at *point* instead of what a well-behaved receiver does.

        :param point: ``connect``, a command's verb in upper case, ``dot`` (the
            end of the content), ``body`` (its first octets; a refusal there stands
            for the reply to the dot, and nothing is taken; not of chunks), ``BDAT`` (a
            chunk was read; a refusal spoils the transaction, and after the last chunk
            ``dot`` follows where nothing is said here), or ``TLS`` (the
            STARTTLS command was answered).  By LMTP *step* is done at ``dot`` for
            one recipient after the other.
        :param step: a reply, an :class:`Answer`, or a function of (session,
            line) that returns either, or ``None`` for the usual.  The line is the
            content at ``dot``, and empty at ``connect`` and ``body``.
        :param times: how often; negative for ever.
        :param skip: how often the usual is done first.
        """
        self._rules.setdefault(point, []).append(_Rule(step, times, skip))
        self.unscripted = False

    def add(self, *behaviours: Behaviour) -> None:
        """
        Behave so from now on.

        :raises ValueError: one of them will not be of this receiver.
        """
        for behaviour in behaviours:
            before = self.behaviours
            self.behaviours = (*before, behaviour)
            try:
                behaviour.attached(self)
            except ValueError:
                self.behaviours = before
                raise
            self.unscripted = False

    def remove(self, behaviour: Behaviour) -> None:
        """
        Behave so no longer.

        :raises ValueError: it does not.
        """
        if behaviour not in self.behaviours:
            raise ValueError(f"{behaviour!r} was not added, or removed already")
        self.behaviours = tuple(each for each in self.behaviours if each is not behaviour)
        self.unscripted = not (self._rules or self.behaviours)
        behaviour.detached(self)

    def behave(self) -> None:
        """
        Forget every :meth:`on` and remove every behaviour.
        """
        self._rules.clear()
        for behaviour in self.behaviours:
            self.remove(behaviour)
        self.unscripted = True

    def greylist(self, times: int) -> None:
        """
        Refuse every recipient with 451 the first *times* times.
        """
        self._greylist_times = times
        self.on("RCPT", self._greylisted)

    def _greylisted(self, session: ReceiverSession, line: bytes) -> bytes | None:
        recipient = path_of(line)
        seen = self._greylist[recipient] = self._greylist.get(recipient, 0) + 1
        return b"451 4.7.1 Greylisted, come back later" if seen <= self._greylist_times else None

    def down(self) -> None:
        """
        Listen no more and reset every connection, as a server that is restarted.
        """
        self.port.stopListening()
        for session in list(self.open):
            session.drop()

    def up(self) -> None:
        """
        Listen again.
        """
        self.port.startListening()

    def close(self) -> None:
        """
        :meth:`down` for good: the behaviours are removed too, with their timers.
        """
        self.down()
        for behaviour in self.behaviours:
            self.remove(behaviour)

    def step(self, point: str, session: ReceiverSession, line: bytes) -> Answer | None:
        """
        What script and behaviours say for *point*; ``None`` if nothing.
        """
        for rule in self._rules.get(point, ()):
            if rule.left == 0:
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            rule.left -= 1
            answer = _taken_at_its_word(rule.step, session, line)
            if answer is not None:
                return answer
        for behaviour in self.behaviours:
            step = behaviour.answer(session, point, line)
            answer = None if step is None else _taken_at_its_word(step, session, line)
            if answer is not None:
                return answer
        return None

    def adjusted(self, point: str, session: ReceiverSession, answer: Answer) -> Answer:
        """
        What the behaviours make of an answer.
        """
        for behaviour in self.behaviours:
            answer = behaviour.adjust(session, point, answer)
        return answer

    def buildProtocol(self, addr: Any) -> ReceiverSession:
        """
        See ``IProtocolFactory``.
        """
        self.connections += 1
        return ReceiverSession(self, self.connections)

    def copies(self) -> Counter[tuple[bytes, bytes]]:
        """
        How often each (recipient, ``Subject`` line) was taken.
        """
        return Counter(
            (recipient, subject_of(taken.content)) for taken in self.ledger for recipient in taken.recipients
        )


def subject_of(content: bytes) -> bytes:
    """
    The ``Subject`` of a message; empty if it has none.
    """
    for line in content.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        if line[:8].lower() == b"subject:":
            return line[8:].strip()
    return b""


def _taken_at_its_word(step: Step, session: ReceiverSession, line: bytes) -> Answer | None:
    said = step(session, line) if callable(step) else step
    return Answer(said) if isinstance(said, bytes) else said
