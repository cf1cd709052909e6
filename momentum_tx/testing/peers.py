"""
Scripted SMTP receivers for the virtual network.

A :class:`Receiver` behaves well until told otherwise::

    mx = Receiver(network, "198.51.100.7")
    mx.on("RCPT", b"451 4.7.1 Greylisted", times=2)
    mx.on("dot", TAKE_AND_CLOSE)
    mx.refuse["nobody@example.com"] = b"550 5.1.1 No such user"

and keeps a ledger of what it took, by which duplicates and losses are seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from ..smtp.addresses import parse_path
from ..smtp.body import ContentReader

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from .host import VirtualPort
    from .network import VirtualNetwork

#: Octets of the largest message a receiver takes.
LARGEST: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a receiver does at one point of its script.

    :ivar reply: what it says, without the final CRLF; empty for nothing.
    :ivar then: ``go on``, ``close`` or ``reset`` the connection, or ``deaf``:
        never say anything again.
    :ivar take: whether the message is taken all the same; at ``dot`` only.
    :ivar after: seconds it thinks first.
    """

    reply: bytes = b""
    then: str = "go on"
    take: bool = False
    after: float = 0.0


#: Say nothing more, for ever.
SILENCE: Final = Answer(then="deaf")
#: Close the connection without a word.
CLOSE: Final = Answer(then="close")
#: Reset the connection.
RESET: Final = Answer(then="reset")
#: At the final dot: take the message, and close or keep silent.
TAKE_AND_CLOSE: Final = Answer(then="close", take=True)
TAKE_AND_BE_SILENT: Final = Answer(then="deaf", take=True)

#: What a script may say: a reply, a whole answer, or a function that decides.
Step = bytes | Answer | Callable[["ReceiverSession", bytes], "bytes | Answer | None"]


@dataclass(frozen=True, slots=True)
class Taken:
    """
    A message a receiver took responsibility for.

    :ivar sender: reverse path.
    :ivar recipients: forward paths it accepted.
    :ivar content: the message, dots no longer doubled.
    :ivar source: address the connection came from.
    :ivar at: time of the virtual clock.
    :ivar connection: number of the connection, from 1.
    :ivar helo: the name the client gave.
    :ivar encrypted: whether TLS was (modelled to be) in use.
    """

    sender: bytes
    recipients: tuple[bytes, ...]
    content: bytes
    source: str
    at: float
    connection: int
    helo: bytes
    encrypted: bool


@dataclass(slots=True)
class _Rule:
    step: Step
    left: int
    skip: int


class Receiver(Factory):
    """
    A mail exchanger on the virtual network.

    :param network: where it listens.
    :param address: its address.
    :param port: its port.
    :param name: its name in greetings.
    """

    noisy = False

    def __init__(self, network: VirtualNetwork, address: str, port: int = 25, name: bytes = b"mx.peer.example") -> None:
        self.clock = network.clock
        self.address = address
        self.name = name
        #: Everything taken, oldest first.
        self.ledger: list[Taken] = []
        #: Command lines received: (number of the connection, line).
        self.commands: list[tuple[int, bytes]] = []
        #: What EHLO offers besides what the fields below say.
        self.extensions: list[bytes] = [b"8BITMIME", b"SMTPUTF8"]
        self.pipelining = True
        self.starttls = False
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
        self._rules: dict[str, list[_Rule]] = {}
        self._greylist: dict[bytes, int] = {}
        self._greylist_times = 0
        self.port: VirtualPort = network.listen(address, port, self)

    def on(self, point: str, step: Step, times: int = -1, skip: int = 0) -> None:
        """
        Do *step* at *point* instead of what a well-behaved receiver does.

        :param point: ``connect``, a command's verb in upper case, ``dot`` (the
            end of the content), ``body`` (its first octets), or ``TLS`` (the
            STARTTLS command was answered).
        :param step: a reply, an :class:`Answer`, or a function of (session,
            line) that returns either, or ``None`` for the usual.
        :param times: how often; negative for ever.
        :param skip: how often the usual is done first.
        """
        self._rules.setdefault(point, []).append(_Rule(step, times, skip))

    def behave(self) -> None:
        """
        Forget every :meth:`on`.
        """
        self._rules.clear()

    def greylist(self, times: int) -> None:
        """
        Refuse every recipient with 451 the first *times* times.
        """
        self._greylist_times = times
        self.on("RCPT", self._greylisted)

    def _greylisted(self, session: ReceiverSession, line: bytes) -> bytes | None:
        recipient = _path(line)
        seen = self._greylist[recipient] = self._greylist.get(recipient, 0) + 1
        return b"451 4.7.1 Greylisted, come back later" if seen <= self._greylist_times else None

    def close(self) -> None:
        """
        Listen no more and drop every connection.
        """
        self.port.stopListening()
        for session in list(self.open):
            session.transport.abortConnection()

    def step(self, point: str, session: ReceiverSession, line: bytes) -> Answer | None:
        """
        What the script says for *point*; ``None`` if nothing.
        """
        for rule in self._rules.get(point, ()):
            if rule.left == 0:
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            rule.left -= 1
            said = rule.step(session, line) if callable(rule.step) else rule.step
            if said is not None:
                return said if isinstance(said, Answer) else Answer(said)
        return None

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


class ReceiverSession(Protocol):
    """
    One connection to a :class:`Receiver`.
    """

    transport: Any

    def __init__(self, receiver: Receiver, number: int) -> None:
        self._receiver = receiver
        self.number = number
        self._line = b""
        self._content: ContentReader | None = None
        self._content_begun = False
        self._deaf = False
        self._closed = False
        self._pending: list[IDelayedCall] = []
        self._held: bytes | None = None
        self.helo = b""
        self.encrypted = False
        #: Messages begun on this connection.
        self.messages = 0
        self._forget()

    def _forget(self) -> None:
        self.sender: bytes | None = None
        self.recipients: list[bytes] = []

    def connectionMade(self) -> None:
        receiver = self._receiver
        receiver.open.append(self)
        receiver.most_open = max(receiver.most_open, len(receiver.open))
        answer = receiver.step("connect", self, b"")
        if answer is None and receiver.max_connections is not None and len(receiver.open) > receiver.max_connections:
            answer = Answer(b"421 4.7.0 Too many connections")
        self._act(answer or Answer(b"220 " + receiver.name + b" ESMTP"))

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._closed = True
        for call in self._pending:
            if call.active():
                call.cancel()
        if self in self._receiver.open:
            self._receiver.open.remove(self)

    def dataReceived(self, data: bytes) -> None:
        if self._deaf or self._closed:
            return
        if self._held is not None:
            self._held += data
            return
        at = 0
        while at < len(data) and not (self._deaf or self._closed):
            if self._held is not None:
                self._held += data[at:]
                return
            if self._content is not None:
                at = self._take_content(data, at)
                if at < 0:
                    return
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                return
            line, self._line = self._line + data[at : end + 1], b""
            at = end + 1
            self._command(line.rstrip(b"\r\n"))

    def _take_content(self, data: bytes, at: int) -> int:
        reader = self._content
        assert reader is not None
        if not self._content_begun:
            self._content_begun = True
            answer = self._receiver.step("body", self, b"")
            if answer is not None:
                self._act(answer)
        at = reader.take(data, at)
        if at >= 0:
            self._content = None
            self._dot(reader.content)
        return at

    def _dot(self, content: bytes) -> None:
        receiver = self._receiver
        answer = receiver.step("dot", self, content) or Answer(b"250 2.0.0 Taken")
        if self.sender is not None and self.recipients and (answer.take or answer.reply[:1] == b"2"):
            peer = self.transport.getPeer().host
            receiver.ledger.append(
                Taken(
                    self.sender,
                    tuple(self.recipients),
                    content,
                    peer,
                    receiver.clock.seconds(),
                    self.number,
                    self.helo,
                    self.encrypted,
                )
            )
        self._forget()
        self._act(answer)

    def _command(self, line: bytes) -> None:
        receiver = self._receiver
        receiver.commands.append((self.number, line))
        verb = line.split(b" ")[0].split(b":")[0].upper().decode("ascii", "replace")
        answer = receiver.step(verb, self, line)
        scripted = answer is not None
        if answer is None:
            answer = self._usual(verb, line)
        if answer.reply[:1] in (b"2", b"3"):
            self._accept(verb, line, answer.reply)
        self._act(answer)
        if verb == "STARTTLS" and answer.reply[:1] == b"2" and not scripted:
            following = receiver.step("TLS", self, line)
            if following is not None:
                self._act(following)

    def _usual(self, verb: str, line: bytes) -> Answer:
        receiver = self._receiver
        if verb == "EHLO":
            offers = list(receiver.extensions)
            if receiver.pipelining:
                offers.append(b"PIPELINING")
            if receiver.size is not None:
                offers.append(b"SIZE %d" % receiver.size)
            if receiver.starttls and not self.encrypted:
                offers.append(b"STARTTLS")
            lines = [receiver.name, *offers]
            marks = [b"-"] * len(offers) + [b" "]
            return Answer(b"\r\n".join(b"250" + mark + text for mark, text in zip(marks, lines, strict=True)))
        if verb == "MAIL":
            self.messages += 1
            if self.sender is not None:
                return Answer(b"503 5.5.1 Nested MAIL")
            if receiver.max_messages is not None and self.messages > receiver.max_messages:
                return Answer(b"421 4.7.0 Enough messages on this connection")
            return Answer(b"250 2.1.0 Sender ok")
        if verb == "RCPT":
            if self.sender is None:
                return Answer(b"503 5.5.1 MAIL first")
            refusal = receiver.refuse.get(_path(line).decode("utf-8", "replace"))
            return Answer(refusal or b"250 2.1.5 Recipient ok")
        if verb == "DATA":
            return Answer(b"354 Go on" if self.recipients else b"503 5.5.1 No valid recipients")
        if verb == "STARTTLS":
            return Answer(b"220 2.0.0 Go ahead" if receiver.starttls else b"502 5.5.1 Not here")
        if verb == "QUIT":
            return Answer(b"221 2.0.0 Bye", "close")
        if verb in ("HELO", "RSET", "NOOP"):
            return Answer(b"250 2.0.0 Ok")
        return Answer(b"500 5.5.1 What?")

    def _accept(self, verb: str, line: bytes, reply: bytes) -> None:
        if verb in ("EHLO", "HELO"):
            self.helo = line[5:]
            self._forget()
        elif verb == "MAIL":
            self.sender = _path(line)
        elif verb == "RCPT":
            self.recipients.append(_path(line))
        elif verb == "DATA" and reply[:1] == b"3":
            self._content = ContentReader(LARGEST)
            self._content_begun = False
        elif verb == "RSET":
            self._forget()
        elif verb == "STARTTLS":
            self.encrypted = True
            self.helo = b""

    def _act(self, answer: Answer) -> None:
        if answer.after:
            # What comes meanwhile is read afterwards, as by a server with one thread.
            self._held = b""
            later = replace(answer, after=0.0)
            self._pending.append(self._receiver.clock.callLater(answer.after, self._resume, later))
            return
        if self._deaf or self._closed:
            return
        if answer.reply:
            self.transport.write(answer.reply + b"\r\n")
        if answer.then == "close" or answer.reply[:3] == b"421":
            self._closed = True
            self.transport.loseConnection()
        elif answer.then == "reset":
            self._closed = True
            self.transport.abortConnection()
        elif answer.then == "deaf":
            self._deaf = True

    def _resume(self, answer: Answer) -> None:
        held, self._held = self._held, None
        self._act(answer)
        if held:
            self.dataReceived(held)


def _path(line: bytes) -> bytes:
    return parse_path(line.partition(b":")[2], True)[0]


def subject_of(content: bytes) -> bytes:
    """
    The ``Subject`` of a message; empty if it has none.
    """
    for line in content.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        if line[:8].lower() == b"subject:":
            return line[8:].strip()
    return b""
