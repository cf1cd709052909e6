"""
What is said to a proxy before a connection through it is the destination's.

Machines without I/O.  Each is asked for its :meth:`~Handshake.begin`, is fed what the
proxy says until it is done, and hands back what came behind that: the first octets
of the destination.
"""

from __future__ import annotations

import ipaddress
import struct
from abc import ABC, abstractmethod
from typing import Final

from ..flags import ConnFlag


class HandshakeFailed(Exception):
    """
    The proxy will not lead to the destination.

    :ivar flags: the cause: ``ERROR_BIND`` if it is the proxy's, else the destination's.
    :ivar reason: in words.
    :ivar proxy: whether the proxy is of no use to anybody like this, whatever the destination.
    """

    def __init__(self, flags: ConnFlag, reason: str, proxy: bool = False) -> None:
        super().__init__(reason)
        self.flags = flags
        self.reason = reason
        self.proxy = proxy


class Handshake(ABC):
    """
    One handshake.

    :ivar done: whether what comes now is the destination's.
    :ivar asked: whether the proxy was asked for the destination: then it is that which
        is waited for.
    """

    def __init__(self) -> None:
        self.done = False
        self.asked = False

    @abstractmethod
    def begin(self, local: tuple[str, int]) -> bytes:
        """
        What to say first.

        :param local: our end of the connection to the proxy.
        """

    @abstractmethod
    def receive(self, data: bytes) -> bytes:
        """
        Take what the proxy said.

        :returns: what to say.
        :raises HandshakeFailed: that is the end.
        """

    @abstractmethod
    def rest(self) -> bytes:
        """
        What came behind the handshake.
        """


_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"


class ProxyHeader(Handshake):
    """
    A header of HAProxy's PROXY protocol, version 2 (``proxy-protocol.txt`` 2.2).  The proxy
    never answers: what comes is the destination's.

    :param host: the destination's address.
    :param port: its port.
    :param source: the address the proxy is to connect from, of the same family.
    """

    def __init__(self, host: str, port: int, source: str) -> None:
        super().__init__()
        self._destination = ipaddress.ip_address(host).packed
        self._source = ipaddress.ip_address(source).packed
        if len(self._destination) != len(self._source):
            raise ValueError(f"{source} and {host} are of different families")
        self._port = port

    def begin(self, local: tuple[str, int]) -> bytes:
        self.done = self.asked = True
        six = len(self._source) == 16
        body = self._source + self._destination + struct.pack(">HH", local[1], self._port)
        # Version 2, command PROXY; family and STREAM.
        return _SIGNATURE + bytes((0x21, 0x21 if six else 0x11)) + struct.pack(">H", len(body)) + body

    def receive(self, data: bytes) -> bytes:
        raise AssertionError("nothing of it is the proxy's")

    def rest(self) -> bytes:
        return b""


#: RFC 1928 3: no authentication; RFC 1929: user name and password.
_NONE: Final = 0
_PASSWORD: Final = 2
#: RFC 1928 6: what a reply means, and whose fault it is.
_REPLIES: Final = {
    1: (ConnFlag.ERROR_BIND, "general failure"),
    2: (ConnFlag.ERROR_BIND, "not allowed by its rules"),
    3: (ConnFlag.ERROR_CONNECT_NETWORK, "network unreachable"),
    4: (ConnFlag.ERROR_CONNECT_NETWORK, "host unreachable"),
    5: (ConnFlag.ERROR_CONNECT_NETWORK, "connection refused"),
    6: (ConnFlag.ERROR_CONNECT_NETWORK, "TTL expired"),
    7: (ConnFlag.ERROR_BIND, "command not supported"),
    8: (ConnFlag.ERROR_BIND, "address type not supported"),
}
#: RFC 1929 2: a length is one octet.
MAX_CREDENTIAL: Final = 255


class SocksHandshake(Handshake):
    """
    SOCKS version 5, command CONNECT (RFC 1928), with a user name and password where there
    are any (RFC 1929).

    Bound: what a proxy may say is 262 octets long at most, and no more is read than that.

    :param host: the destination's address; empty to say who we are and no more.
    :param port: its port.
    :param user: the user name; empty for none.
    :param password: the password.
    """

    def __init__(self, host: str, port: int, user: bytes = b"", password: bytes = b"") -> None:
        super().__init__()
        self._host = host
        self._port = port
        self._user = user
        self._password = password
        self._held = b""
        self._step = self._method_chosen

    def begin(self, local: tuple[str, int]) -> bytes:
        methods = bytes((_NONE, _PASSWORD)) if self._user else bytes((_NONE,))
        return bytes((5, len(methods))) + methods

    def receive(self, data: bytes) -> bytes:
        self._held += data
        said = b""
        while not self.done:
            answer = self._step()
            if answer is None:
                break
            said += answer
        return said

    def rest(self) -> bytes:
        rest, self._held = self._held, b""
        return rest

    def _take(self, count: int) -> bytes:
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def _method_chosen(self) -> bytes | None:
        if self._held[:1] not in (b"", b"\x05"):
            raise HandshakeFailed(ConnFlag.ERROR_BIND, "it does not speak SOCKS 5", True)
        if len(self._held) < 2:
            return None
        method = self._take(2)[1]
        if method == _PASSWORD and self._user:
            self._step = self._identified
            return b"\x01%c%b%c%b" % (len(self._user), self._user, len(self._password), self._password)
        if method != _NONE:
            wanted = "it wants a user name" if not self._user else "it takes no user name and password"
            raise HandshakeFailed(ConnFlag.ERROR_BIND, wanted, True)
        return self._ask()

    def _identified(self) -> bytes | None:
        if len(self._held) < 2:
            return None
        version, status = self._take(2)
        if version != 1 or status:
            raise HandshakeFailed(ConnFlag.ERROR_BIND, "it refused our user name or password", True)
        return self._ask()

    def _ask(self) -> bytes:
        if self._held:
            raise HandshakeFailed(ConnFlag.ERROR_BIND, "it answers what it was not asked", True)
        if not self._host:
            self.done = True
            return b""
        self._step = self._connected
        self.asked = True
        packed = ipaddress.ip_address(self._host).packed
        return b"\x05\x01\x00%c%b%b" % (1 if len(packed) == 4 else 4, packed, struct.pack(">H", self._port))

    def _connected(self) -> bytes | None:
        held = self._held
        if held[:1] not in (b"", b"\x05"):
            raise HandshakeFailed(ConnFlag.ERROR_BIND, "its reply is no SOCKS 5")
        if len(held) < 2:
            return None
        if held[1]:
            # Whatever follows is of no interest, and need not come.
            flags, text = _REPLIES.get(held[1], (ConnFlag.ERROR_BIND, f"unknown reply {held[1]}"))
            raise HandshakeFailed(flags, text)
        if len(held) < 5:
            return None
        lengths = {1: 4, 3: 1 + held[4], 4: 16}
        if held[3] not in lengths:
            raise HandshakeFailed(ConnFlag.ERROR_BIND, f"its reply has an address of unknown type {held[3]}")
        length = 4 + lengths[held[3]] + 2
        if len(held) < length:
            return None
        self._take(length)
        self.done = True
        return b""
