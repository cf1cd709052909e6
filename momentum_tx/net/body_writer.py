"""
How the content of one message is given to a transport: as fast as it is taken,
and no faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from ..smtp.body import END_OF_DATA, end_line, stuff

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..smtp.client import SMTPClientMachine

#: Content up to this size leaves in one write; more of it in slices of it, so that
#: a slow reader holds one slice of our memory and not a whole message.
BODY_SLICE: Final = 65536


class Pace:
    """
    How slowly a peer may take content: never nothing at all for *block_timeout*
    seconds, and on the whole, that much time granted once, at no less than
    *minimum_rate*.

    :param block_timeout: seconds without progress.
    :param minimum_rate: octets in a second; 0 for any number.
    :param began_at: when the content began to be sent, in the clock of all others.
    """

    __slots__ = ("_began_at", "_block_timeout", "_minimum_rate")

    def __init__(self, block_timeout: float, minimum_rate: float, began_at: float) -> None:
        self._block_timeout = block_timeout
        self._minimum_rate = minimum_rate
        self._began_at = began_at

    def patience(self, octets: int, now: float) -> float:
        """
        Seconds from *now* in which the peer must have taken the first *octets*
        octets, of which those before the last step were taken a moment ago.
        """
        if not self._minimum_rate:
            return self._block_timeout
        due = self._began_at + self._block_timeout + octets / self._minimum_rate
        return max(0.0, min(self._block_timeout, due - now))


@implementer(IPushProducer)
class BodyWriter:
    """
    Sends one message, behind DATA with its final dot or in chunks; made for each,
    and done when the last octet is with the transport.

    It pushes until it is told to pause: a producer that is pulled would over
    TLS be driven by a cooperator of the global reactor.

    :param transport: the connection's.
    :param machine: told of each chunk, and of the end.
    :param content: the message, dots not doubled.
    :param chunk_size: octets of the largest chunk; 0 sends it behind DATA.
    :param wait: called when the next step is the peer's: to take a slice, or to reply.
    :param tell: given the command and the octets of content of a part that begins to be sent.
    """

    __slots__ = (
        "_chunk_size",
        "_end",
        "_machine",
        "_offset",
        "_paused",
        "_stopped",
        "_tail",
        "_tell",
        "_transport",
        "_view",
        "_wait",
        "begun",
        "size",
    )

    def __init__(
        self,
        transport: Any,
        machine: SMTPClientMachine,
        content: bytes,
        chunk_size: int,
        wait: Callable[[], object],
        tell: Callable[[bytes, int], object],
    ) -> None:
        whole = end_line(content) if chunk_size else stuff(content)
        self._transport = transport
        self._machine = machine
        self._view = memoryview(whole)
        self._chunk_size = chunk_size
        self._wait = wait
        self._tell = tell
        #: What follows the part that is being sent, and where that ends.
        self._tail = b""
        self._end = 0
        self._offset = 0
        self._paused = self._stopped = False
        #: Octets that are sent in all, without commands and the final dot.
        self.size = len(whole)
        #: Octets up to the end of the slice that is with the transport.
        self.begun = 0

    def send(self) -> None:
        """
        Begin; with chunks again whenever one was taken.
        """
        if self._stopped:
            return
        if not self._chunk_size:
            self._send_part(b"", self.size, END_OF_DATA)
            return
        end = min(self._offset + self._chunk_size, self.size)
        command = b"BDAT %d LAST\r\n" if end == self.size else b"BDAT %d\r\n"
        self._send_part(command % (end - self._offset), end, b"")

    def _send_part(self, head: bytes, end: int, tail: bytes) -> None:
        begin, self._end, self._tail = self._offset, end, tail
        self._tell(head, end - begin)
        if end - begin <= BODY_SLICE:
            self._offset = self.begun = end
            self._transport.writeSequence([head, bytes(self._view[begin:end]), tail])
            self._part_sent()
            return
        if head:
            self._transport.write(head)
        self._transport.registerProducer(self, True)
        self.resumeProducing()

    def _part_sent(self) -> None:
        if self._offset == self.size:
            self._stopped = True
            self._machine.dot_sent()
        else:
            self._machine.chunk_sent()
        self._wait()

    def resumeProducing(self) -> None:
        """
        The transport has handed on what it had, and wants more.
        """
        self._paused = False
        while not (self._paused or self._stopped) and self._offset < self._end:
            begin = self._offset
            self._offset = self.begun = end = min(begin + BODY_SLICE, self._end)
            piece = bytes(self._view[begin:end])
            if end < self._end:
                self._wait()
                # It may call pauseProducing before it returns.
                self._transport.write(piece)
            else:
                self._transport.unregisterProducer()
                self._transport.writeSequence([piece, self._tail])
                self._part_sent()
                return

    def pauseProducing(self) -> None:
        """
        The transport has enough for now.
        """
        self._paused = True

    def stopProducing(self) -> None:
        """
        The connection is gone.
        """
        self._stopped = True

    def stop(self) -> None:
        """
        Send nothing more: were the dot to follow after all, the peer might take a
        message that has been settled as refused.
        """
        if not self._stopped:
            self._stopped = True
            self._transport.unregisterProducer()
