"""
One connection to a mail receiver of the virtual network: what may be answered,
and what is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from ..smtp.addresses import parse_path
from ..smtp.body import ContentReader
from .answers import GO_ON, RECIPIENT_OK, SENDER_OK, TAKEN, Answer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from .peers import Receiver

__all__ = [
    "GO_ON",
    "LARGEST",
    "RECIPIENT_OK",
    "SENDER_OK",
    "TAKEN",
    "Answer",
    "ReceiverSession",
    "Step",
    "Taken",
    "path_of",
]

#: Octets of the largest message a receiver takes.
LARGEST: Final = 1 << 28


#: The verbs as they usually come, without a word of parsing.
_VERBS: Final = {b"EHLO ": "EHLO", b"MAIL ": "MAIL", b"RCPT ": "RCPT", b"DATA": "DATA", b"QUIT": "QUIT"}

#: What a script may say: a reply, a whole answer, or a function that decides.
Step = bytes | Answer | Callable[["ReceiverSession", bytes], "bytes | Answer | None"]


@dataclass(slots=True)
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
    :ivar reply: what was to be said to the final dot; empty for nothing.
    :ivar said: whether that was given to the transport: not if the connection
        ended first.  A slow receiver takes the message and says so later.
    :ivar told: what XCLIENT said of the client, by attribute.
    """

    sender: bytes
    recipients: tuple[bytes, ...]
    content: bytes
    source: str
    at: float
    connection: int
    helo: bytes
    encrypted: bool
    reply: bytes
    said: bool = False
    told: dict[bytes, bytes] = field(default_factory=dict)


class _Chunk:
    """
    A chunk that is being read.
    """

    __slots__ = ("last", "left", "line", "octets")

    def __init__(self, line: bytes, left: int, last: bool) -> None:
        self.line = line
        self.left = left
        self.last = last
        self.octets = bytearray()


class ReceiverSession(Protocol):
    """
    One connection to a :class:`Receiver`.

    :ivar receiver: whose it is.
    :ivar number: number of the connection, from 1.
    :ivar client: address it came from.
    :ivar told: what XCLIENT said of the client last, by attribute.
    :ivar helo: the name the client gave.
    :ivar encrypted: whether TLS is (modelled to be) in use.
    :ivar messages: messages begun on this connection.
    :ivar taken: messages taken on this connection.
    :ivar sender: reverse path of the transaction; ``None`` between two.
    :ivar recipients: forward paths accepted in it.
    :ivar asked: RCPT commands in it, refused ones included.
    :ivar answered: of these, how many have had their answer at ``dot``; none by SMTP.
    """

    __slots__ = (
        "_chunk",
        "_chunked",
        "_content",
        "_content_begun",
        "_held",
        "_line",
        "_out",
        "_over",
        "_refused_early",
        "_thinking",
        "_waiting",
        "answered",
        "asked",
        "client",
        "connected",
        "encrypted",
        "helo",
        "messages",
        "number",
        "receiver",
        "recipients",
        "sender",
        "taken",
        "told",
        "transport",
    )
    transport: Any

    def __init__(self, receiver: Receiver, number: int) -> None:
        self.receiver = receiver
        self.number = number
        self.client = ""
        self.told: dict[bytes, bytes] = {}
        self.helo = b""
        self.encrypted = False
        self.messages = 0
        self.taken = 0
        self._line = b""
        self._content: ContentReader | None = None
        # The chunk that is being read, with its command.
        self._chunk: _Chunk | None = None
        self._content_begun = False
        self._refused_early = False
        # Said during one read; leaves with its end, in one piece.
        self._out = b""
        # Nothing more is read or said: closed, reset, or deaf.
        self._over = False
        # While it thinks: when it has thought, what came meanwhile, and what is to be said then.
        self._thinking: IDelayedCall | None = None
        self._held: bytes | None = None
        self._waiting: list[tuple[Answer, Taken | None]] = []
        self._forget()

    def _forget(self) -> None:
        self.sender: bytes | None = None
        self.recipients: list[bytes] = []
        self.answered = 0
        self.asked = 0
        # The chunks so far; ``None`` before the first.
        self._chunked: bytes | None = None

    def connectionMade(self) -> None:
        receiver = self.receiver
        self.client = self.transport.getPeer().host
        receiver.open.append(self)
        receiver.most_open = max(receiver.most_open, len(receiver.open))
        if not receiver.implicit_tls:
            self._greet()

    def tls_begun(self) -> None:
        """
        The modelled handshake is done.
        """
        if self.receiver.implicit_tls and not self.encrypted:
            self.encrypted = True
            self._greet()

    def _greet(self) -> None:
        receiver = self.receiver
        answer = None if receiver.unscripted else receiver.step("connect", self, b"")
        if answer is None:
            if receiver.max_connections is not None and len(receiver.open) > receiver.max_connections:
                answer = Answer(b"421 4.7.0 Too many connections")
            else:
                answer = Answer(b"220 " + receiver.name + (b" LMTP" if receiver.lmtp else b" ESMTP"))
        self._act(receiver.adjusted("connect", self, answer))
        self._flush()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._over = True
        if self._thinking is not None and self._thinking.active():
            self._thinking.cancel()
        if self in self.receiver.open:
            self.receiver.open.remove(self)

    def drop(self) -> None:
        """
        Reset the connection.
        """
        self._over = True
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self.receiver.implicit_tls and not self.encrypted:
            # Whatever it is, it is no TLS.
            self.drop()
        at, size = 0, len(data)
        while at < size and not self._over:
            if self._held is not None:
                # What comes meanwhile is read afterwards, as by a server with one thread.
                self._held += data[at:]
                break
            if self._chunk is not None:
                at = self._take_chunk(data, at)
                continue
            if self._content is not None:
                at = self._take_content(data, at)
                if at < 0:
                    break
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                break
            line = data[at:end]
            if self._line:
                line, self._line = self._line + line, b""
            at = end + 1
            self._command(line.rstrip(b"\r"))
        self._flush()

    def _take_content(self, data: bytes, at: int) -> int:
        reader = self._content
        assert reader is not None
        if not self._content_begun:
            self._content_begun = True
            receiver = self.receiver
            answer = None if receiver.unscripted else receiver.step("body", self, b"")
            if answer is not None:
                answer = receiver.adjusted("body", self, answer)
                self._refused_early = b"4" <= answer.reply < b"6"
                self._act(answer)
                if self._over or self._held is not None:
                    return at
        at = reader.take(data, at)
        if at >= 0:
            self._content = None
            if not self._refused_early:
                self._all_read(reader.content)
            self._forget()
        return at

    def _take_chunk(self, data: bytes, at: int) -> int:
        chunk = self._chunk
        assert chunk is not None
        piece = data[at : at + chunk.left]
        chunk.octets += piece
        chunk.left -= len(piece)
        if not chunk.left:
            self._chunk_read(chunk)
        return at + len(piece)

    def _chunk_read(self, chunk: _Chunk) -> None:
        receiver, self._chunk = self.receiver, None
        answer = None if receiver.unscripted else receiver.step("BDAT", self, chunk.line)
        if answer is None:
            if self.sender is None or not self.recipients:
                answer = Answer(b"503 5.5.1 No valid recipients")
            elif not chunk.last:
                answer = Answer(b"250 2.0.0 %d octets" % len(chunk.octets))
        if answer is not None:
            answer = receiver.adjusted("BDAT", self, answer)
            if b"4" <= answer.reply < b"6":
                # Until RSET nothing more is taken of it (RFC 3030 2).
                self.recipients.clear()
        if not self._over and self.recipients:
            self._chunked = (self._chunked or b"") + bytes(chunk.octets)
        if answer is not None:
            self._act(answer)
        elif chunk.last:
            self._all_read(self._chunked or b"")
            self._forget()

    def _all_read(self, content: bytes) -> None:
        receiver = self.receiver
        before = len(receiver.ledger)
        if receiver.lmtp:
            # Each recipient has its own answer, in order (RFC 2033 4.2).
            for recipient in self.recipients:
                answer = self._dot(content, (recipient,))
                self.answered += 1
                if answer.then != "go on" or answer.reply[:3] == b"421":
                    break
        else:
            self._dot(content, tuple(self.recipients))
        if len(receiver.ledger) > before:
            # For however many it was, it was one message.
            self.taken += 1
            if self.taken > receiver.most_messages:
                receiver.most_messages = self.taken

    def _dot(self, content: bytes, recipients: tuple[bytes, ...]) -> Answer:
        receiver = self.receiver
        answer = TAKEN
        if not receiver.unscripted:
            answer = receiver.adjusted("dot", self, receiver.step("dot", self, content) or TAKEN)
        taken = None
        if self.sender is not None and recipients and (answer.take or answer.reply[:1] == b"2"):
            taken = Taken(
                self.sender,
                recipients,
                content,
                self.client,
                receiver.clock.seconds(),
                self.number,
                self.helo,
                self.encrypted,
                answer.reply,
                told=self.told,
            )
            receiver.ledger.append(taken)
        self._act(answer, taken)
        return answer

    def _command(self, line: bytes) -> None:
        receiver = self.receiver
        if receiver.keep_commands:
            receiver.commands.append((self.number, line))
        if line[:5].upper() == b"BDAT " and receiver.chunking and self._begin_chunk(line):
            return
        verb = _VERBS.get(line[:5]) or line.split(b" ")[0].split(b":")[0].upper().decode("ascii", "replace")
        if verb == "RCPT":
            self.asked += 1
            if self.asked > receiver.most_recipients:
                receiver.most_recipients = self.asked
        scripted = None
        if receiver.unscripted:
            answer = self._usual(verb, line)
        else:
            scripted = receiver.step(verb, self, line)
            answer = receiver.adjusted(verb, self, scripted or self._usual(verb, line))
        if b"2" <= answer.reply < b"4":
            self._accept(verb, line, answer.reply)
        self._act(answer)
        if verb == "STARTTLS" and scripted is None and answer.reply[:1] == b"2" and not receiver.unscripted:
            following = receiver.step("TLS", self, line)
            if following is not None:
                self._act(receiver.adjusted("TLS", self, following))

    def _begin_chunk(self, line: bytes) -> bool:
        words = line.split()
        last = len(words) == 3 and words[2].upper() == b"LAST"
        if not (words[1:] and words[1].isdigit() and (len(words) == 2 or last)):
            return False
        self._chunk = chunk = _Chunk(line, int(words[1]), last)
        if not chunk.left:
            self._chunk_read(chunk)
        return True

    def _usual(self, verb: str, line: bytes) -> Answer:
        receiver = self.receiver
        if verb == "RCPT":
            if self.sender is None:
                return Answer(b"503 5.5.1 MAIL first")
            refusal = receiver.refuse.get(path_of(line).decode("utf-8", "replace")) if receiver.refuse else None
            return Answer(refusal) if refusal else RECIPIENT_OK
        if verb == "MAIL":
            self.messages += 1
            if self.sender is not None:
                return Answer(b"503 5.5.1 Nested MAIL")
            if receiver.max_messages is not None and self.messages > receiver.max_messages:
                return Answer(b"421 4.7.0 Enough messages on this connection")
            return SENDER_OK
        if verb == "DATA" and self._chunked is not None:
            return Answer(b"503 5.5.1 BDAT or DATA, not both")
        if verb == "DATA":
            return GO_ON if self.recipients else Answer(b"503 5.5.1 No valid recipients")
        if verb == ("LHLO" if receiver.lmtp else "EHLO"):
            return self._offers()
        if verb == "STARTTLS":
            return Answer(b"220 2.0.0 Go ahead" if receiver.starttls else b"502 5.5.1 Not here")
        if verb == "XCLIENT" and receiver.xclient:
            return Answer(b"503 5.5.1 Not now") if self.sender is not None else Answer(b"220 " + receiver.name)
        if verb == "QUIT":
            return Answer(b"221 2.0.0 Bye", "close")
        if verb in ("RSET", "NOOP") or (verb == "HELO" and not receiver.lmtp):
            return Answer(b"250 2.0.0 Ok")
        return Answer(b"500 5.5.1 What?")

    def _offers(self) -> Answer:
        receiver = self.receiver
        lines = [receiver.name, *receiver.extensions]
        if receiver.pipelining:
            lines.append(b"PIPELINING")
        if receiver.size is not None:
            lines.append(b"SIZE %d" % receiver.size)
        if receiver.chunking:
            lines.append(b"CHUNKING")
        if receiver.xclient:
            lines.append(b"XCLIENT " + b" ".join(receiver.xclient))
        if receiver.starttls and not self.encrypted:
            lines.append(b"STARTTLS")
        last = lines.pop()
        return Answer(b"".join(b"250-" + line + b"\r\n" for line in lines) + b"250 " + last)

    def _accept(self, verb: str, line: bytes, reply: bytes) -> None:
        if verb == "RCPT":
            self.recipients.append(path_of(line))
        elif verb == "MAIL":
            self.sender = path_of(line)
        elif verb == "DATA" and reply[:1] == b"3":
            self._content = ContentReader(LARGEST)
            self._content_begun = self._refused_early = False
        elif verb in ("EHLO", "HELO", "LHLO"):
            self.helo = line[5:]
            self._forget()
        elif verb == "XCLIENT":
            # It begins anew, and keeps what it was told before (Postfix, XCLIENT_README).
            pairs = [word.partition(b"=")[::2] for word in line.split()[1:]]
            self.told = {**self.told, **{name.upper(): value for name, value in pairs}}
            self.helo = b""
            self._forget()
        elif verb == "RSET":
            self._forget()
        elif verb == "STARTTLS":
            self.encrypted = True
            self.helo = b""

    def _act(self, answer: Answer, taken: Taken | None = None) -> None:
        if self._held is not None:
            self._waiting.append((answer, taken))
        elif answer.after:
            self._held = b""
            self._think(answer, taken)
        else:
            self._say(answer, taken)

    def _think(self, answer: Answer, taken: Taken | None) -> None:
        self._thinking = self.receiver.clock.callLater(answer.after, self._resume, answer, taken)

    def _resume(self, answer: Answer, taken: Taken | None) -> None:
        self._say(answer, taken)
        while self._waiting:
            following = self._waiting.pop(0)
            if following[0].after:
                self._think(*following)
                break
            self._say(*following)
        else:
            held, self._held = self._held, None
            if held:
                self.dataReceived(held)
        self._flush()

    def _say(self, answer: Answer, taken: Taken | None) -> None:
        if self._over:
            return
        reply = answer.reply
        if reply:
            self._out += reply + b"\r\n"
            if taken is not None:
                taken.said = True
            if b"4" <= reply < b"6":
                self.receiver.refused[reply[:1]] += 1
        if answer.then == "go on" and reply[:3] != b"421":
            return
        self._over = True
        self._flush()
        if answer.then == "reset":
            self.transport.abortConnection()
        elif answer.then != "deaf":
            self.transport.loseConnection()

    def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, b""
            self.transport.write(out)


def path_of(line: bytes) -> bytes:
    """
    The address in a MAIL or RCPT command.

    :raises ValueError: there is none.
    """
    return parse_path(line.partition(b":")[2], True)[0]
