"""
The real dialer and listener: sockets live here and nowhere else.

We open, bind and connect the socket ourselves instead of asking
``reactor.connectTCP``, for three reasons: a hook wants the descriptor between
bind and connect; ``IP_BIND_ADDRESS_NO_PORT`` must be set before bind, or one
source address has a single port range over all destinations; and a failure must
be known by its errno.  The connected socket then becomes a transport that
:mod:`~momentum_tx.net.prompt` describes.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReadWriteDescriptor,
)
from zope.interface import implementer

from ..errors import DialFailed
from ..flags import ConnFlag
from ..interfaces.seams import IConnectedStream, IDial, IDialer, IListener
from .failures import connect_failure, local_failure, timed_out
from .prompt import adopt, hasten

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorFDSet, IReactorTCP, IReactorTime

    class _DialReactor(IReactorFDSet, IReactorTCP, IReactorTime):
        """
        What the real dialer asks of the reactor.
        """


#: Linux <netinet/in.h>; the socket module of Python 3.11 lacks the name.
IP_BIND_ADDRESS_NO_PORT: Final = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)

SocketFactory = Callable[[int, int], socket.socket]


def _is_ipv6(host: str) -> bool:
    return ":" in host


@implementer(IConnectedStream)
class _Stream:
    """
    A connected socket that no protocol has yet.
    """

    def __init__(self, reactor: Any, sock: socket.socket) -> None:
        self._reactor = reactor
        self._socket: socket.socket | None = sock
        self._fileno = sock.fileno()
        self.local: tuple[str, int] = sock.getsockname()[:2]
        self._name: tuple[Any, ...] = sock.getpeername()
        self.peer: tuple[str, int] = self._name[:2]

    def fileno(self) -> int:
        return self._fileno

    def start(self, protocol: IProtocol) -> None:
        sock = self._socket
        if sock is None:
            raise RuntimeError("this connection was started or closed already")
        self._socket = None
        adopt(self._reactor, sock, self._name, protocol)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@implementer(IDial, IReadWriteDescriptor)
class _Dial:
    """
    A connect in progress, watched by the reactor.
    """

    def __init__(
        self,
        reactor: Any,
        sock: socket.socket,
        connected: Callable[[IConnectedStream], object],
        failed: Callable[[DialFailed], object],
    ) -> None:
        self._reactor = reactor
        self._socket: socket.socket | None = sock
        self._fileno = sock.fileno()
        self._connected = connected
        self._failed = failed
        reactor.addWriter(self)

    def logPrefix(self) -> str:
        return "momentum_tx dial"

    def fileno(self) -> int:
        # -1 tells the reactor that the descriptor is gone.
        return self._fileno

    def doRead(self) -> None:
        """
        Never registered for reading.
        """

    def doWrite(self) -> None:
        sock = self._take()
        if sock is None:
            return
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            sock.close()
            self._failed(connect_failure(number))
            return
        try:
            stream = _Stream(self._reactor, sock)
        except OSError:
            # The peer was gone again before it could be named.
            sock.close()
            self._failed(connect_failure(errno.ECONNRESET))
            return
        self._connected(stream)

    def connectionLost(self, reason: object) -> None:
        # The reactor found the descriptor broken (epoll reports error and
        # hang-up here when the connect was refused), or it is shutting down.
        sock = self._take()
        if sock is None:
            return
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        sock.close()
        self._failed(connect_failure(number or errno.ECONNABORTED))

    def cancel(self) -> None:
        sock = self._take()
        if sock is not None:
            sock.close()

    def time_out(self, seconds: float) -> DialFailed:
        self.cancel()
        return timed_out(seconds)

    def _take(self) -> socket.socket | None:
        sock, self._socket = self._socket, None
        if sock is not None:
            self._reactor.removeWriter(self)
            self._fileno = -1
        return sock


@implementer(IDialer)
class SocketDialer:
    """
    Dials with non-blocking sockets of its own.

    :param reactor: provides ``IReactorFDSet`` and ``IReactorTime``.
    :param make_socket: opens a socket of a family and type; for tests of what
        the kernel may refuse.
    """

    def __init__(self, reactor: _DialReactor, make_socket: SocketFactory = socket.socket) -> None:
        self._reactor = reactor
        self._make_socket = make_socket
        # Nagle's algorithm against the peer's delayed acknowledgement costs 40 ms
        # for every write that does not fill a segment.
        self._nodelay = True
        self._buffer_size = 0

    def tune(self, nodelay: bool, buffer_size: int) -> None:
        self._nodelay = nodelay
        self._buffer_size = buffer_size

    def dial(
        self,
        host: str,
        port: int,
        source: str,
        post_bind: Callable[[int], bool] | None,
        connected: Callable[[IConnectedStream], object],
        failed: Callable[[DialFailed], object],
    ) -> IDial:
        family = socket.AF_INET6 if _is_ipv6(host) else socket.AF_INET
        try:
            sock = self._make_socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise local_failure(ConnFlag.ERROR_SOCKET, "socket", error) from None
        try:
            return self._connect(sock, host, port, source, post_bind, connected, failed)
        except BaseException:
            sock.close()
            raise

    def _connect(
        self,
        sock: socket.socket,
        host: str,
        port: int,
        source: str,
        post_bind: Callable[[int], bool] | None,
        connected: Callable[[IConnectedStream], object],
        failed: Callable[[DialFailed], object],
    ) -> IDial:
        try:
            sock.setblocking(False)
            if self._nodelay:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._buffer_size:
                # Before the connect, which tells the peer how far the window may grow.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer_size)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer_size)
        except OSError as error:
            raise local_failure(ConnFlag.ERROR_IOCTL, "preparing the socket", error) from None
        if source:
            try:
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((source, 0))
            except OSError as error:
                raise local_failure(ConnFlag.ERROR_BIND, f"bind to {source}", error) from None
        if post_bind is not None and not post_bind(sock.fileno()):
            raise DialFailed(ConnFlag.ERROR_BIND, "connection_post_bind forbade the connection")
        try:
            number = sock.connect_ex((host, port))
        except OSError as error:
            raise connect_failure(error.errno or errno.EINVAL) from None
        if number not in (0, errno.EINPROGRESS):
            raise connect_failure(number)
        # A connect that succeeded at once is writable at once: same path.
        return _Dial(self._reactor, sock, connected, failed)


@implementer(IListener)
class EndpointListener:
    """
    Listens on Twisted endpoint strings, and at sockets in the file system.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def listen(self, description: str, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        try:
            endpoint = serverFromString(self._reactor, description)
        except TypeError as error:
            # What Twisted raises for an argument that the kind of endpoint does not have.
            raise ValueError(str(error)) from None
        return endpoint.listen(factory).addCallback(hasten)

    def listen_local(self, path: str, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        # Twisted's lock would take a dead process of our number, as in a container, for a living one.
        try:
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError:
            return fail()
        # From its first moment on nobody else can open it.
        before = os.umask(0o177)
        try:
            port: IListeningPort = self._reactor.listenUNIX(path, factory, mode=0o600)
            return succeed(port)
        except (OSError, CannotListenError):
            return fail()
        finally:
            os.umask(before)


def plumbed(address: str) -> bool:
    """
    Whether *address* is configured on this host, so that sockets can be bound
    to it.

    :raises OSError: it cannot be told, as no descriptor is left.
    """
    family = socket.AF_INET6 if _is_ipv6(address) else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return False
        raise
    with sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
    return True


def own_addresses() -> tuple[str, ...]:
    """
    Addresses of this host's interfaces, as far as the system tells them.

    Read from ``/proc/net/fib_trie`` and ``/proc/net/if_inet6``; empty where
    there are no such files.
    """
    found: set[str] = set()
    try:
        with open("/proc/net/fib_trie", encoding="ascii") as lines:
            before = ""
            for line in lines:
                if "/32 host LOCAL" in line:
                    found.add(before.split()[-1])
                before = line
    except OSError:
        pass
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as lines:
            for line in lines:
                found.add(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line.split()[0])))
    except OSError:
        pass
    return tuple(sorted(found))


def system_hostname() -> str:
    """
    The host's own name, fully qualified if it knows it.
    """
    name = socket.gethostname()
    return name or os.uname().nodename
