"""
A client that injects one message over SMTP, for the virtual network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from ..errors import DialFailed
from ..smtp.body import END_OF_DATA, stuff

if TYPE_CHECKING:
    from ..interfaces.seams import IConnectedStream
    from .host import VirtualHost


@dataclass(slots=True)
class Injection:
    """
    A client's attempt to hand one message to a listener.

    :ivar replies: everything the listener said, line by line.
    :ivar reply: the reply to the final dot, or the first refusal; empty until
        it is known.
    :ivar over: whether the connection is gone, or never came about.
    """

    replies: list[bytes] = field(default_factory=list)
    reply: bytes = b""
    over: bool = False


class InjectingClient(Protocol):
    """
    Hands one message to an SMTP listener, one command at a time, and leaves.

    :param injection: told of every reply.
    :param lines: the commands before the content.
    :param content: the message.
    :param leave: whether to say QUIT at the end.
    """

    transport: Any

    def __init__(self, injection: Injection, lines: list[bytes], content: bytes, leave: bool = True) -> None:
        self._injection = injection
        self._lines = list(lines)
        self._content = content
        self._leave = leave
        self._line = b""
        self._state = "commands"

    def dataReceived(self, data: bytes) -> None:
        *lines, self._line = (self._line + data).split(b"\r\n")
        for line in lines:
            self._injection.replies.append(line)
            if line[3:4] != b"-":
                self._replied(line)

    def _replied(self, line: bytes) -> None:
        injection = self._injection
        if self._state == "leaving":
            self.transport.loseConnection()
        elif self._state == "content" or line[:1] not in (b"2", b"3"):
            if not injection.reply:
                injection.reply = line
            self._state = "leaving"
            if self._leave:
                self.transport.write(b"QUIT\r\n")
        elif self._lines:
            self.transport.write(self._lines.pop(0) + b"\r\n")
        else:
            self._state = "content"
            self.transport.writeSequence([stuff(self._content), END_OF_DATA])

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._injection.over = True


def inject(
    host: VirtualHost,
    place: tuple[str, int],
    sender: str,
    recipients: list[str],
    content: bytes,
    source: str = "",
    parameters: Sequence[str] = (),
) -> Injection:
    """
    Begin to hand a message to the listener at *place*; let time pass to see
    what it says.

    :param host: the client's host.
    :param source: the client's address; empty for the host's first.
    :param parameters: what follows the path in MAIL, and in each RCPT; none for those
        that lack at its end.
    """
    injection = Injection()
    paths = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{recipient}>" for recipient in recipients)]
    lines = [b"EHLO client.example"]
    for path, said in zip_longest(paths, parameters, fillvalue=""):
        lines.append(f"{path} {said}".rstrip().encode())
    lines.append(b"DATA")

    def connected(stream: IConnectedStream) -> None:
        stream.start(InjectingClient(injection, lines, content))

    def failed(error: Exception) -> None:
        injection.over = True

    try:
        host.dial(place[0], place[1], source, None, connected, failed)
    except DialFailed as error:
        failed(error)
    return injection
