"""
The two ends of a virtual TCP connection; what lies between them is
:mod:`~momentum_tx.testing.line`.

Faithful to Twisted in what protocols rely on: ``dataReceived`` never runs
inside ``write()``, ``connectionLost`` runs exactly once and never inside
``abortConnection()``, ``loseConnection()`` reads no more and ends when what was
written is sent and no producer is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IHalfCloseableProtocol, IPushProducer, ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from .end import End
from .line import Cut, Line, Reach, Way, octet_by_octet, random_split, whole

if TYPE_CHECKING:
    from random import Random

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from .network import NetworkWatch

__all__ = [
    "BUFFER_SIZE",
    "MOST_AT_ONCE",
    "Cut",
    "Line",
    "Reach",
    "VirtualTransport",
    "connect",
    "octet_by_octet",
    "random_split",
    "whole",
]

#: Octets a reader gets at once, as from a real socket.
MOST_AT_ONCE: Final = 65536
#: Octets written and not yet sent, above which a push producer is paused.
BUFFER_SIZE: Final = 65536


@implementer(ITCPTransport, IConsumer, IPushProducer)
class VirtualTransport(End):
    """
    One end of a connection; made in pairs by :func:`connect`.

    :ivar protocol: whom it serves; ``None`` until :meth:`start`.
    :ivar disconnecting: ``loseConnection`` was called.
    :ivar connected: the connection exists.
    :ivar watch: told of what is sent and read, and of the end.
    """

    __slots__ = (
        "__weakref__",
        "_aborting",
        "_clock",
        "_end_is_reset",
        "_end_of_input",
        "_finished",
        "_flush_call",
        "_flying",
        "_line",
        "_outgoing",
        "_paused",
        "_pieces",
        "_producer",
        "_producer_paused",
        "_read_call",
        "_read_closed",
        "_streaming",
        "_unread",
        "_unsent",
        "_way",
        "connected",
        "disconnecting",
        "on_gone",
        "other",
        "protocol",
        "watch",
    )

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, line: Line, local: tuple[str, int], peer: tuple[str, int], place: tuple[str, int]
    ) -> None:
        super().__init__(local, peer, place)
        self._clock = clock
        self._line = line
        self.watch: NetworkWatch | None = None
        self.other: VirtualTransport
        self.protocol: Any = None
        self.connected = True
        self.disconnecting = False
        self._aborting = False
        #: Called once when this end is gone.
        self.on_gone: Callable[[VirtualTransport], object] | None = None
        # Out.
        self._way: Way
        self._outgoing: deque[bytes] = deque()
        self._unsent = 0
        self._flying = 0
        self._finished = False
        self._flush_call: IDelayedCall | None = None
        self._producer: Any = None
        self._streaming = False
        self._producer_paused = False
        # In.
        self._unread: deque[bytes] = deque()
        self._pieces: deque[bytes] = deque()
        self._end_of_input = False
        self._end_is_reset = False
        self._read_closed = False
        self._paused = False
        self._read_call: IDelayedCall | None = None

    def start(self, protocol: Any) -> None:
        """
        Give the end to *protocol*.
        """
        self.protocol = protocol
        protocol.makeConnection(self)
        self._read_soon()

    # What a protocol calls.

    def write(self, data: bytes) -> None:
        """
        See ``ITransport``.
        """
        if not isinstance(data, bytes):
            raise TypeError("data must be bytes")
        if not data or not self.connected or self._finished or self._aborting:
            return
        self._outgoing.append(data)
        self._unsent += len(data)
        if self._unsent > BUFFER_SIZE and self._producer is not None and self._streaming and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()
        self._flush_soon()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        See ``ITransport``.
        """
        for each in data:
            self.write(each)

    def loseConnection(self) -> None:
        """
        See ``ITransport``.
        """
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._flush_soon()

    def loseWriteConnection(self) -> None:
        """
        See ``ITCPTransport``.
        """
        if self.connected and not self._finished:
            self._finished = True
            self._flush_soon()

    def abortConnection(self) -> None:
        """
        See ``ITCPTransport``.
        """
        if self.connected and not self._aborting:
            self._aborting = True
            self._drop_calls()
            self._clock.callLater(0, self._gone, ConnectionAborted(), True)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        See ``IConsumer``.
        """
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if not self.connected:
            producer.stopProducing()
            return
        self._producer, self._streaming, self._producer_paused = producer, streaming, False
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """
        See ``IConsumer``.
        """
        self._producer = None
        if self.connected and self.disconnecting:
            self._flush_soon()

    def pauseProducing(self) -> None:
        """
        See ``IPushProducer``.
        """
        self._paused = True
        if self._end_of_input and self._outgoing:
            self._flush_soon()

    def resumeProducing(self) -> None:
        """
        See ``IPushProducer``.
        """
        if self.connected and not self.disconnecting:
            self._paused = False
            self._read_soon()

    def stopProducing(self) -> None:
        """
        See ``IPushProducer``.
        """
        self.loseConnection()

    # Out.

    def _flush_soon(self) -> None:
        if self._flush_call is None and not self._aborting:
            self._flush_call = self._clock.callLater(0, self._flush)

    def _flush(self) -> None:
        self._flush_call = None
        outgoing = self._outgoing
        if outgoing:
            room = self._line.window - self._flying
            if room > 0:
                data = outgoing.popleft() if len(outgoing) == 1 else b"".join(outgoing)
                outgoing.clear()
                if len(data) > room:
                    outgoing.append(data[room:])
                    data = data[:room]
                self._unsent -= len(data)
                self._flying += len(data)
                if self.watch is not None:
                    self.watch.sent(self, data)
                if not self._way.send(data):
                    # We learn it when the line breaks; until then the call that is set keeps everything back.
                    self._flush_call = self._clock.callLater(self._way.busy(), self._gone, ConnectionLost(), None)
                    return
            if outgoing:
                # The reader is behind; its acknowledgement calls again.  Where there is none any more, the end
                # is learned by reading, or else here.
                alone = self._way.broken or not self.other.connected
                if alone and self._end_of_input and not self._readable():
                    self._was_reset()
                return
        producer = self._producer
        if producer is not None and (not self._streaming or self._producer_paused):
            self._producer_paused = False
            producer.resumeProducing()
            # A pull producer that wrote nothing is asked again when it is registered anew.
            if outgoing or (self.disconnecting and self._producer is None):
                self._flush_soon()
        elif self.disconnecting and producer is None:
            self._gone(ConnectionDone(), False)
        elif self._finished:
            self._way.carry(self.other.input_ended)

    # In.

    def arrived(self, data: bytes) -> None:
        """
        See :class:`~momentum_tx.testing.line.Receiving`.
        """
        if self.connected:
            self._unread.append(data)
        else:
            # Nobody is there: the kernel answers with a reset, whatever it had still to send.
            self._way.recall()
            self._way.carry(self.other._was_reset)

    def all_arrived(self) -> None:
        """
        See :class:`~momentum_tx.testing.line.Receiving`.
        """
        if self._read_call is None and self._readable():
            if self._line.linger:
                self._read_call = self._clock.callLater(self._line.linger, self._read)
            else:
                self._hand_over()

    def input_ended(self) -> None:
        """
        See :class:`~momentum_tx.testing.line.Receiving`.
        """
        self._end_of_input = True
        if self._outgoing:
            self._flush_soon()

    def broken_off(self) -> None:
        """
        See :class:`~momentum_tx.testing.line.Receiving`.
        """
        self._end_is_reset = True
        self.input_ended()

    def _was_reset(self) -> None:
        if not self.connected or self._aborting:
            return
        if self._readable() and (self._unread or self._pieces):
            # What has arrived can still be read, as on Linux.
            self.broken_off()
        else:
            self._gone(ConnectionLost(), None)

    def _read_soon(self) -> None:
        if self._read_call is None and self._readable():
            self._read_call = self._clock.callLater(0, self._read)

    def _readable(self) -> bool:
        return (
            (bool(self._unread or self._pieces) or self._end_of_input)
            and self.protocol is not None
            and self.connected
            and not (self._paused or self._aborting or self.disconnecting or self._read_closed)
        )

    def _read(self) -> None:
        self._read_call = None
        if self._readable():
            self._hand_over()

    def _hand_over(self) -> None:
        """
        Make one read of what there is, the end included.
        """
        pieces = self._pieces
        if not pieces and self._unread:
            pieces.extend(self._line.split(self._take()))
        if pieces:
            piece = pieces.popleft()
            self.other._acknowledged(len(piece))
            if self.watch is not None:
                self.watch.read(self, piece)
            try:
                self.protocol.dataReceived(piece)
            except Exception as error:
                # As the reactor does with a protocol that raises.
                self._log.failure("dataReceived raised")
                self._gone(error, True)
        else:
            self._read_end()
        if pieces or self._unread or self._end_of_input:
            self._read_soon()

    def _take(self) -> bytes:
        unread = self._unread
        taken = unread.popleft() if len(unread) == 1 else b"".join(unread)
        unread.clear()
        if len(taken) > MOST_AT_ONCE:
            unread.append(taken[MOST_AT_ONCE:])
            taken = taken[:MOST_AT_ONCE]
        return taken

    def _read_end(self) -> None:
        self._read_closed = True
        if self._end_is_reset or self._way.cut_off:
            self._gone(ConnectionLost(), None)
            return
        half = IHalfCloseableProtocol(self.protocol, None)
        if half is not None and not self._finished:
            half.readConnectionLost()
            if self._outgoing:
                self._flush_soon()
        else:
            self._gone(ConnectionDone(), False)

    def _acknowledged(self, octets: int) -> None:
        self._flying -= octets
        if self._outgoing and self.connected and self._flush_call is None and not self._aborting:
            self._flush_call = self._clock.callLater(self._line.latency, self._flush)

    # The end.

    def _gone(self, reason: Exception, reset: bool | None) -> None:
        """
        This end is closed.

        :param reset: whether the other end sees a reset or an orderly close;
            ``None`` if it is the cause.
        """
        if not self.connected:
            return
        self.connected = False
        self.disconnecting = True
        self._drop_calls()
        if reset is not None:
            self._part(reset)
        if self.on_gone is not None:
            self.on_gone(self)
        if self.watch is not None:
            self.watch.gone(self, reason)
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        if self.protocol is not None:
            self.protocol.connectionLost(Failure(reason))

    def _part(self, reset: bool) -> None:
        """
        Tell the other end that this one is closed.
        """
        other, way = self.other, self._way
        if way.cut_off:
            # The other end has learned, or will, what the cut says.
            return
        if reset:
            way.recall()
            way.carry(other._was_reset)
        elif self._unread or self._pieces:
            # As the kernel does where what was sent to us was never read.
            way.recall()
            way.carry(other.broken_off)
        else:
            way.carry(other.input_ended)

    def vanish(self) -> None:
        """
        The process at this end was killed: its protocol hears nothing, the
        other end sees the connection close.
        """
        self.protocol = None
        self._producer = None
        self._gone(ConnectionLost(), False)

    def use(self, line: Line) -> None:
        """
        Be on another line from now on.
        """
        self._line = self._way.line = line

    def sever(self, reset: bool) -> None:
        """
        The line to this end broke: nothing that is under way arrives, but the
        news.

        :param reset: whether they are of a reset or of an orderly end.
        """
        self.other._way.sever(self.broken_off if reset else self.input_ended)

    def _drop_calls(self) -> None:
        for call in (self._flush_call, self._read_call):
            if call is not None and call.active():
                call.cancel()
        self._flush_call = self._read_call = None


def connect(
    clock: IReactorTime,
    line: Line,
    dialing: tuple[str, int],
    listening: tuple[str, int],
    chance: Random | None = None,
) -> tuple[VirtualTransport, VirtualTransport]:
    """
    The two ends of a new connection: the dialling one and the listening one.

    :param dialing: address and port of the dialling end.
    :param listening: address and port of the listening end.
    :param chance: of this connection; needed for jitter alone.
    """
    ours = VirtualTransport(clock, line, dialing, listening, listening)
    theirs = VirtualTransport(clock, line, listening, dialing, listening)
    ours.other, theirs.other = theirs, ours
    ours._way = Way(clock, line, line.to_listener, chance, theirs)
    theirs._way = Way(clock, line, line.to_dialer, chance, ours)
    return ours, theirs
