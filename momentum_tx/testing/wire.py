"""
Two ends of a virtual TCP connection, and what lies between them.

Faithful to Twisted in what protocols rely on: ``dataReceived`` never runs
inside ``write()``, ``connectionLost`` runs exactly once and never inside
``abortConnection()``, ``loseConnection()`` reads no more and ends when what was
written is sent and no producer is left.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IHalfCloseableProtocol, IPushProducer, ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..net.endpoint import address_of

if TYPE_CHECKING:
    from twisted.internet.address import IPv4Address, IPv6Address
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Octets a reader gets at once, as from a real socket.
MOST_AT_ONCE: Final = 65536
#: Octets written and not yet sent, above which a push producer is paused.
BUFFER_SIZE: Final = 65536


class Reach(enum.Enum):
    """
    What becomes of connects to an address or port where nobody listens.
    """

    #: They are refused.
    REFUSED = "refused"
    #: The kernel knows at once that no route leads there.
    UNREACHABLE = "unreachable"
    #: Nothing ever answers.
    SILENT = "silent"


@dataclass(slots=True)
class Cut:
    """
    An accident of one direction of a connection.

    :ivar after: octets that still arrive.
    :ivar reset: whether both ends see a reset; otherwise the writer's end
        seems to have closed in order.
    """

    after: int
    reset: bool = True


def octet_by_octet(data: bytes) -> Iterator[bytes]:
    """
    A splitter: every octet is a read of its own.
    """
    for octet in data:
        yield bytes((octet,))


def whole(data: bytes) -> Iterator[bytes]:
    """
    The splitter that does not split.
    """
    yield data


@dataclass(slots=True)
class Line:
    """
    How the connections to one place behave.  Looked at whenever something is
    sent or read, so it may change at any time; cuts are for connections to come.

    :ivar latency: seconds in one direction.
    :ivar window: octets that may be under way or unread in one direction; a
        writer waits when they are, as for a slow reader.
    :ivar split: cuts what has arrived into the reads of its receiver.
    :ivar to_listener: accident of the direction away from the dialling end.
    :ivar to_dialer: accident of the other direction.
    """

    latency: float = 0.001
    window: int = 65536
    split: Callable[[bytes], Iterable[bytes]] = whole
    to_listener: Cut | None = None
    to_dialer: Cut | None = None


@implementer(ITCPTransport, IConsumer, IPushProducer)
class VirtualTransport:
    """
    One end of a connection; made in pairs by :func:`connect`.

    :ivar protocol: whom it serves; ``None`` until :meth:`start`.
    :ivar disconnecting: ``loseConnection`` was called.
    :ivar connected: the connection exists.
    :ivar no_delay: what ``setTcpNoDelay`` said last.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, line: Line, local: tuple[str, int], peer: tuple[str, int], cut: Cut | None
    ) -> None:
        self._clock = clock
        self._line = line
        self._local = local
        self._peer = peer
        self._cut = Cut(cut.after, cut.reset) if cut is not None else None
        self.other: VirtualTransport
        self.protocol: Any = None
        self.connected = True
        self.disconnecting = False
        self.no_delay = False
        self._keep_alive = False
        self._aborting = False
        #: Called once when this end is gone.
        self.on_gone: Callable[[VirtualTransport], object] | None = None
        # Out.
        self._outgoing: deque[bytes] = deque()
        self._unsent = 0
        self._flying = 0
        self._finished = False
        self._flush_call: IDelayedCall | None = None
        self._producer: Any = None
        self._streaming = False
        self._producer_paused = False
        # In.
        self._arriving: deque[Callable[[], None]] = deque()
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

    def getPeer(self) -> IPv4Address | IPv6Address:
        """
        See ``ITransport``.
        """
        return address_of(*self._peer)

    def getHost(self) -> IPv4Address | IPv6Address:
        """
        See ``ITransport``.
        """
        return address_of(*self._local)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        See ``ITCPTransport``.
        """
        self.no_delay = bool(enabled)

    def getTcpNoDelay(self) -> bool:
        """
        See ``ITCPTransport``.
        """
        return self.no_delay

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        See ``ITCPTransport``.
        """
        self._keep_alive = bool(enabled)

    def getTcpKeepAlive(self) -> bool:
        """
        See ``ITCPTransport``.
        """
        return self._keep_alive

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
        room = self._line.window - self._flying
        while self._outgoing and room > 0:
            data = self._outgoing.popleft()
            if len(data) > room:
                self._outgoing.appendleft(data[room:])
                data = data[:room]
            room -= len(data)
            self._unsent -= len(data)
            if not self._send(data):
                return
        if self._outgoing:
            # The reader is behind; its acknowledgement calls again.
            return
        producer = self._producer
        if producer is not None and (not self._streaming or self._producer_paused):
            self._producer_paused = False
            producer.resumeProducing()
            self._flush_if_needed()
        elif self.disconnecting and producer is None:
            self._gone(ConnectionDone(), False)
        elif self._finished:
            self._carry(self.other._input_ended)

    def _flush_if_needed(self) -> None:
        # A pull producer that wrote nothing is asked again when it is registered anew.
        if self._outgoing or (self.disconnecting and self._producer is None):
            self._flush_soon()

    def _send(self, data: bytes) -> bool:
        """
        Put *data* on the line; false if the line broke.
        """
        cut = self._cut
        broken = cut is not None and len(data) > cut.after
        if cut is not None:
            data = data[: cut.after]
            cut.after -= len(data)
        if data:
            self._flying += len(data)
            self._carry(lambda: self.other._arrived(data))
        if broken:
            assert cut is not None
            # The other end still reads what has arrived.
            self._carry(self.other._broken_off if cut.reset else self.other._input_ended)
            self._gone(ConnectionLost(), None)
            return False
        return True

    def _carry(self, act: Callable[[], None]) -> None:
        """
        Let the other end *act* after the latency, in the order of the calls.
        """
        self.other._arriving.append(act)
        self._clock.callLater(self._line.latency, self.other._next_arrival)

    # In.

    def _next_arrival(self) -> None:
        act = self._arriving.popleft()
        act()

    def _arrived(self, data: bytes) -> None:
        if not self.connected:
            # Nobody is there: the kernel answers with a reset.
            self._carry(self.other._was_reset)
            return
        self._unread.append(data)
        self._read_soon()

    def _input_ended(self) -> None:
        self._end_of_input = True
        self._read_soon()

    def _broken_off(self) -> None:
        self._end_is_reset = True
        self._input_ended()

    def _was_reset(self) -> None:
        if self.connected and not self._aborting:
            self._gone(ConnectionLost(), None)

    def _read_soon(self) -> None:
        if self._read_call is None and self._readable():
            self._read_call = self._clock.callLater(0, self._read)

    def _readable(self) -> bool:
        return (
            self.protocol is not None
            and self.connected
            and not (self._paused or self._aborting or self.disconnecting or self._read_closed)
            and bool(self._unread or self._pieces or self._end_of_input)
        )

    def _read(self) -> None:
        self._read_call = None
        if not self._readable():
            return
        if not self._pieces and self._unread:
            self._pieces.extend(self._line.split(self._take()))
        if self._pieces:
            piece = self._pieces.popleft()
            self.other._acknowledged(len(piece))
            try:
                self.protocol.dataReceived(piece)
            except Exception as error:
                # As the reactor does with a protocol that raises.
                self._log.failure("dataReceived raised")
                self._gone(error, True)
        else:
            self._read_end()
        self._read_soon()

    def _take(self) -> bytes:
        taken = b"".join(self._unread)
        self._unread.clear()
        if len(taken) > MOST_AT_ONCE:
            self._unread.append(taken[MOST_AT_ONCE:])
            taken = taken[:MOST_AT_ONCE]
        return taken

    def _read_end(self) -> None:
        self._read_closed = True
        if self._end_is_reset:
            self._gone(ConnectionLost(), None)
            return
        half = IHalfCloseableProtocol(self.protocol, None)
        if half is not None and not self._finished:
            half.readConnectionLost()
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
            self._carry(self.other._was_reset if reset else self.other._input_ended)
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        if self.on_gone is not None:
            self.on_gone(self)
        if self.protocol is not None:
            self.protocol.connectionLost(Failure(reason))

    def vanish(self) -> None:
        """
        The process at this end was killed: its protocol hears nothing, the
        other end sees the connection close.
        """
        self.protocol = None
        self._producer = None
        self._gone(ConnectionLost(), False)

    def _drop_calls(self) -> None:
        for call in (self._flush_call, self._read_call):
            if call is not None and call.active():
                call.cancel()
        self._flush_call = self._read_call = None


def connect(
    clock: IReactorTime, line: Line, dialing: tuple[str, int], listening: tuple[str, int]
) -> tuple[VirtualTransport, VirtualTransport]:
    """
    The two ends of a new connection: the dialling one and the listening one.

    :param dialing: address and port of the dialling end.
    :param listening: address and port of the listening end.
    """
    ours = VirtualTransport(clock, line, dialing, listening, line.to_listener)
    theirs = VirtualTransport(clock, line, listening, dialing, line.to_dialer)
    ours.other, theirs.other = theirs, ours
    return ours, theirs
