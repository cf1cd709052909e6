"""
Proxies on the virtual network: what leaves by them reaches receivers from addresses
of theirs::

    proxy = HeaderProxy(world.network, "10.0.0.1", 8085, "203.0.113.9")
    proxy = SocksProxy(world.network, "10.0.0.1", 1080, "203.0.113.9", user=b"mta", password=b"secret")

They behave well until told otherwise.
"""

from __future__ import annotations

import ipaddress
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from ..errors import DialFailed
from ..interfaces.seams import IConnectedStream, IDial

if TYPE_CHECKING:
    from .host import VirtualPort
    from .network import VirtualNetwork

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"


class _Beyond(Protocol):
    """
    The end of a relayed connection that is the destination's.
    """

    transport: Any

    def __init__(self, client: ProxySession) -> None:
        self._client = client

    def connectionMade(self) -> None:
        self._client.beyond = self

    def dataReceived(self, data: bytes) -> None:
        self._client.transport.write(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._client.beyond = None
        self._client.transport.loseConnection()


class ProxySession(Protocol):
    """
    One connection to a proxy.

    :ivar beyond: the connection it leads to, once there is one.
    """

    transport: Any

    def __init__(self, proxy: ModelledProxy) -> None:
        self.proxy = proxy
        self.beyond: Any = None
        self._held = b""
        self._dial: IDial | None = None
        self._relaying = False
        self._state = "greeting"

    def connectionMade(self) -> None:
        self.proxy.open.append(self)
        self.proxy.connections += 1

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.proxy.open.remove(self)
        dial, self._dial = self._dial, None
        if dial is not None:
            dial.cancel()
        if self.beyond is not None:
            self.beyond.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        if self.beyond is not None:
            self.beyond.transport.write(data)
            return
        self._held += data
        if self._relaying:
            return
        step = self.proxy.instead.get(self._state)
        if step is None:
            self.proxy.take(self)
        elif step == b"":
            self.transport.loseConnection()
        else:
            self.transport.write(step)

    def expect(self, count: int) -> bytes:
        """
        Take so many octets; none if there are fewer.
        """
        if len(self._held) < count:
            return b""
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def peek(self, count: int) -> bytes:
        """
        The next octets, which stay.
        """
        return self._held[:count]

    def now(self, state: str) -> None:
        """
        It waits for something else from now on; there may be enough of it.
        """
        self._state = state
        if self._held:
            self.dataReceived(b"")

    def relay(self, destination: tuple[str, int], source: str, told: Callable[[DialFailed | None], bytes]) -> None:
        """
        Connect on.

        :param told: says how the client is told what came of that; nothing closes it.
        """
        self._relaying = True
        proxy = self.proxy
        proxy.asked.append((*destination, source))

        def connected(stream: IConnectedStream) -> None:
            self._dial = None
            # Said before the destination can say anything, in whose octets it might come.
            self.transport.write(told(None))
            stream.start(_Beyond(self))
            held, self._held = self._held, b""
            if held and self.beyond is not None:
                self.beyond.transport.write(held)

        def failed(error: DialFailed) -> None:
            self._dial = None
            self.transport.write(told(error))
            self.transport.loseConnection()

        try:
            self._dial = proxy.host.dial(*destination, source, None, connected, failed)
        except DialFailed as error:
            failed(error)


class ModelledProxy(Factory, ABC):
    """
    A proxy.

    :param network: where it is.
    :param address: where it listens.
    :param port: its port.
    :param sources: addresses it connects from.
    :ivar asked: where it was asked to connect, and from which source, in order.
    :ivar instead: what it says at a point instead of what is right, by point: ``greeting``, ``password``
        and ``request``; nothing closes the connection.
    :ivar connections: connections accepted so far.
    :ivar open: those that are open.
    """

    noisy = False

    def __init__(self, network: VirtualNetwork, address: str, port: int, *sources: str) -> None:
        self.host = network.host(*sources)
        self.asked: list[tuple[str, int, str]] = []
        self.instead: dict[str, bytes] = {}
        self.connections = 0
        self.open: list[ProxySession] = []
        self.port: VirtualPort = network.listen(address, port, self)

    def buildProtocol(self, addr: Any) -> Any:
        return ProxySession(self)

    @abstractmethod
    def take(self, session: ProxySession) -> None:
        """
        A client has said something.
        """


class HeaderProxy(ModelledProxy):
    """
    One that reads a PROXY header and connects from the address that stands there.
    """

    def take(self, session: ProxySession) -> None:
        head = session.peek(16)
        if len(head) < 16:
            return
        (length,) = struct.unpack(">H", head[14:])
        header = session.expect(16 + length)
        if not header:
            return
        if not header.startswith(_SIGNATURE) or header[12] != 0x21 or header[13] not in (0x11, 0x21):
            session.transport.abortConnection()
            return
        size = 4 if header[13] == 0x11 else 16
        source, destination = (str(ipaddress.ip_address(header[at : at + size])) for at in (16, 16 + size))
        (port,) = struct.unpack(">H", header[18 + 2 * size : 20 + 2 * size])
        session.relay((destination, port), source, lambda error: b"")


class SocksProxy(ModelledProxy):
    """
    One that speaks SOCKS 5.

    :param user: whom it serves; empty for everybody.
    :param password: by what they are known.
    :ivar known: what each client said of itself: user, NUL, password.
    """

    def __init__(
        self, network: VirtualNetwork, address: str, port: int, *sources: str, user: bytes = b"", password: bytes = b""
    ) -> None:
        super().__init__(network, address, port, *sources)
        self._user = user
        self._password = password
        self.known: list[bytes] = []

    def take(self, session: ProxySession) -> None:
        step = {"greeting": self._greeted, "password": self._identified, "request": self._requested}
        step[session._state](session)

    def _greeted(self, session: ProxySession) -> None:
        head = session.peek(2)
        greeting = session.expect(2 + head[1]) if len(head) == 2 else b""
        if greeting:
            method = 2 if self._user else 0
            if method not in greeting[2:]:
                session.transport.write(b"\x05\xff")
                session.transport.loseConnection()
                return
            session.transport.write(bytes((5, method)))
            session.now("password" if method else "request")

    def _identified(self, session: ProxySession) -> None:
        head = session.peek(2)
        if len(head) < 2 or len(session.peek(3 + head[1])) < 3 + head[1]:
            return
        whole = 3 + head[1] + session.peek(3 + head[1])[-1]
        said = session.expect(whole)
        if said:
            user, password = said[2 : 2 + said[1]], said[3 + said[1] :]
            self.known.append(user + b"\0" + password)
            good = (user, password) == (self._user, self._password)
            session.transport.write(b"\x01\x00" if good else b"\x01\x01")
            if good:
                session.now("request")
            else:
                session.transport.loseConnection()

    def _requested(self, session: ProxySession) -> None:
        size = {1: 4, 4: 16}.get((session.peek(4) + bytes(4))[3], 4)
        request = session.expect(6 + size)
        if not request:
            return
        destination = str(ipaddress.ip_address(request[4 : 4 + size]))
        (port,) = struct.unpack(">H", request[4 + size :])
        family = ":" in destination
        source = next((each for each in self.host.addresses if (":" in each) == family), "")
        session.relay((destination, port), source, _reply)


def _reply(error: DialFailed | None) -> bytes:
    code = 0
    if error is not None:
        code = 4 if "route" in error.reason or "unreachable" in error.reason else 5
    return bytes((5, code, 0, 1)) + bytes(6)
