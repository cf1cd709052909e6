"""
The service's end of the control socket: a line is asked, a line is answered.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import TimeoutMixin

from ..accounting import AccountingKind, AccountingRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IReactorTime

    from ..interfaces.seams import IListener
    from .commands import ControlCommands

#: Octets of a request.
LONGEST_REQUEST: Final = 4 * 1024 * 1024
#: Clients at once; more are turned away.
MOST_CLIENTS: Final = 32
#: Seconds that a client may be silent.
PATIENCE: Final = 300.0


class ControlProtocol(LineReceiver, TimeoutMixin):
    """
    One client.  It may ask again when it has its answer; what it asks before that
    waits.

    :param factory: whose client it is.
    """

    delimiter = b"\n"
    MAX_LENGTH = LONGEST_REQUEST

    def __init__(self, factory: ControlFactory) -> None:
        self._factory = factory
        self._over = False

    def callLater(self, period: float, func: Callable[[], object]) -> IDelayedCall:
        """
        What times it, instead of the global reactor.
        """
        return self._factory.clock.callLater(period, func)

    def connectionMade(self) -> None:
        if not self._factory.arrived(self):
            self._say(b'{"ok": false, "error": "too many clients are asking at once"}')
            self._end()
            return
        self._account(AccountingKind.AUTHENTICATION, 1)
        self.setTimeout(PATIENCE)

    def _account(self, kind: AccountingKind, result: int, command: str = "") -> None:
        self._factory.account(kind, _user(self.transport), result, command)

    def lineReceived(self, line: bytes) -> None:
        if not line.strip():
            return
        self.setTimeout(None)
        self.pauseProducing()
        name, known = self._factory.commands.asked(line)
        self._account(AccountingKind.AUTHORIZATION, 1 if known else -1, name)
        self._factory.commands.answer(line).addCallback(self._answered)

    def _answered(self, answer: bytes) -> None:
        if not self._over:
            self._say(answer)
            self.setTimeout(PATIENCE)
            self.resumeProducing()

    def _say(self, answer: bytes) -> None:
        self.sendLine(answer)

    def lineLengthExceeded(self, line: bytes) -> None:
        self._say(b'{"ok": false, "error": "the request is too long"}')
        self._end()

    def _end(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Any = None) -> None:
        self._over = True
        self.setTimeout(None)
        self._factory.gone(self)

    def timeoutConnection(self) -> None:
        self._end()

    def abort(self) -> None:
        """
        The service ends.
        """
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()


class ControlFactory(Factory):
    """
    All clients of one service.

    :param commands: what they may ask.
    :param clock: times them.
    :param told: hears of who comes, and what they ask for.
    :param wall: wall time, epoch seconds.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        commands: ControlCommands,
        clock: IReactorTime,
        told: Callable[[AccountingRecord], object] | None = None,
        wall: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.commands = commands
        self._told = told
        self._wall = wall
        self.clock = clock
        self._clients: set[ControlProtocol] = set()
        self._port: IListeningPort | None = None

    def buildProtocol(self, addr: IAddress | None) -> ControlProtocol:
        return ControlProtocol(self)

    def account(self, kind: AccountingKind, user: str, result: int, command: str) -> None:
        """
        Somebody has come, or asks for something.
        """
        if self._told is not None:
            # Whoever may open the file may do everything.
            role = "operator" if kind is AccountingKind.AUTHORIZATION else ""
            self._told(AccountingRecord(kind, self._wall(), "control", "", user, result, command, role))

    def arrived(self, client: ControlProtocol) -> bool:
        """
        Whether there is room for *client*.
        """
        if len(self._clients) >= MOST_CLIENTS:
            return False
        self._clients.add(client)
        return True

    def gone(self, client: ControlProtocol) -> None:
        """
        *client* is gone.
        """
        self._clients.discard(client)

    def listen(self, listener: IListener, path: str) -> None:
        """
        Let clients come, by a socket at *path* that is nobody else's.  Without it the service
        runs as well, and nobody can control it: that is logged.
        """
        listening = listener.listen_local(path, self)
        listening.addCallbacks(
            self._listening,
            lambda failure: self._log.warn(
                "{path}: cannot listen there, so that nobody can control the service: {reason}",
                path=path,
                reason=failure.getErrorMessage(),
            ),
        )

    def _listening(self, port: IListeningPort) -> None:
        self._port = port

    def stop(self) -> None:
        """
        Let all clients go, and no more come; harmless twice.
        """
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()
        for client in list(self._clients):
            client.abort()


def _user(transport: Any) -> str:
    """
    Number of the user at the other end, as the system knows it; empty where it does not.
    """
    handle = getattr(transport, "getHandle", lambda: None)()
    if not isinstance(handle, socket.socket) or not hasattr(socket, "SO_PEERCRED"):
        return ""
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return str(user)
