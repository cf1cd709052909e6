"""
Sockets of a modelled file system: who listens at a path, and a client.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IListeningPort, IProtocol, IProtocolFactory
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IListeningPort)
class LocalPort:
    """
    A socket at a path.

    :param path: its path.
    :param factory: makes the protocols.
    :param ports: all of the host's, by path.
    """

    def __init__(self, path: str, factory: IProtocolFactory, ports: dict[str, LocalPort]) -> None:
        self._path = path
        self._ports = ports
        self.factory = factory

    def startListening(self) -> None:
        """
        See ``IListeningPort``.
        """
        self._ports[self._path] = self

    def stopListening(self) -> Deferred[None]:
        """
        See ``IListeningPort``.
        """
        if self._ports.get(self._path) is self:
            del self._ports[self._path]
        return succeed(None)

    def getHost(self) -> UNIXAddress:
        """
        See ``IListeningPort``.
        """
        return UNIXAddress(self._path.encode())


class LocalClient:
    """
    A program that has connected to a :class:`LocalPort`.

    :ivar transport: the service's end.
    """

    def __init__(self, port: LocalPort) -> None:
        self.transport = StringTransport()
        protocol: Any = port.factory.buildProtocol(port.getHost())
        assert IProtocol.providedBy(protocol)
        self.protocol = protocol
        protocol.makeConnection(self.transport)

    def write(self, data: bytes) -> None:
        """
        Say *data*.
        """
        self.protocol.dataReceived(data)

    def close(self) -> None:
        """
        Go away.
        """
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def read(self) -> bytes:
        """
        What was said to it since it read last.
        """
        said: bytes = self.transport.value()
        self.transport.clear()
        return said
