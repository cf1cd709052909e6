"""
Tests for :mod:`momentum_tx.net.dialer` and :mod:`momentum_tx.net.failures`:
real sockets on loopback, and sockets that fail as the kernel would.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import stat
import tempfile
from collections.abc import Callable
from typing import Any

from twisted.internet.error import CannotListenError, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.errors import DialFailed
from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces.seams import IConnectedStream, IDial, IDialer, IListener
from momentum_tx.net.dialer import (
    IP_BIND_ADDRESS_NO_PORT,
    EndpointListener,
    SocketDialer,
    own_addresses,
    plumbed,
    system_hostname,
)
from momentum_tx.net.failures import connect_failure, local_failure

#: An address of documentation (RFC 5737) that no host has.
UNPLUMBED = "192.0.2.1"


def open_sockets() -> set[str]:
    """
    Sockets this process has open, by the kernel's name for them.
    """
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            # The descriptor of the listing itself.
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


class SelectReactor:
    """
    As much of a reactor as a dialer needs; a test says when a turn is taken.
    """

    def __init__(self) -> None:
        self.writers: list[Any] = []
        self.readers: list[Any] = []

    def addWriter(self, writer: Any) -> None:
        self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.writers:
            self.writers.remove(writer)

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def turn(self) -> None:
        """
        Wait for a connect to end, and tell it.
        """
        _, ready, _ = select.select([], self.writers, [], 5)
        for writer in ready:
            writer.doWrite()


class FaultySocket:
    """
    A socket on which chosen calls fail.
    """

    def __init__(self, **failures: int) -> None:
        self.real = socket.socket()
        self.failures = failures
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in self.failures:
            number = self.failures[name]

            def fail(*args: Any) -> Any:
                self.called.append(name)
                if name == "connect_ex":
                    return number
                raise OSError(number, os.strerror(number))

            return fail
        return getattr(self.real, name)


class DialerTests(SynchronousTestCase):
    """
    One connect at a time.
    """

    def setUp(self) -> None:
        self.reactor = SelectReactor()
        self.dialer = SocketDialer(self.reactor)  # type: ignore[arg-type]
        self.streams: list[IConnectedStream] = []
        self.failures: list[DialFailed] = []
        self.before = open_sockets()
        self.addCleanup(self.nothing_left)

    def nothing_left(self) -> None:
        """
        No descriptor stays open, and the reactor watches none.
        """
        for stream in self.streams:
            stream.close()
        for transport in list(self.reactor.readers):
            transport.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.reactor.readers, [])
        self.assertEqual(self.reactor.writers, [])
        self.assertEqual(open_sockets() - self.before, set())

    def server(self, host: str = "127.0.0.1") -> socket.socket:
        """
        A listening socket.
        """
        server = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=5)
        # Cleanups run in reverse: it is closed before the descriptors are counted.
        self.addCleanup(server.close)
        return server

    def dial(
        self,
        host: str,
        port: int,
        source: str = "",
        post_bind: Callable[[int], bool] | None = None,
        make: Any = None,
    ) -> IDial:
        """
        Dial; nothing may be told before it returns.
        """
        dialer = self.dialer if make is None else SocketDialer(self.reactor, make)  # type: ignore[arg-type]
        told = len(self.streams) + len(self.failures)
        dial = dialer.dial(host, port, source, post_bind, self.streams.append, self.failures.append)
        self.assertEqual(len(self.streams) + len(self.failures), told)
        return dial

    def refused(self, flags: ConnFlag, make: Any, source: str = "") -> DialFailed:
        """
        Dialling with *make* raises *flags*.
        """
        error = self.assertRaises(DialFailed, self.dial, "127.0.0.1", 25, source, None, make)
        assert isinstance(error, DialFailed)
        self.assertEqual(error.flags, flags)
        self.assertEqual((self.streams, self.failures), ([], []))
        return error

    def test_contracts(self) -> None:
        """
        Dialer, dial, stream and listener fulfil their interfaces.
        """
        verifyObject(IDialer, self.dialer)
        verifyObject(IListener, EndpointListener(object()))
        dial = self.dial("127.0.0.1", self.server().getsockname()[1])
        verifyObject(IDial, dial)
        self.reactor.turn()
        verifyObject(IConnectedStream, self.streams[0])

    def test_connects(self) -> None:
        """
        The stream knows both ends; the source is the one that was asked for.
        """
        for host, source in (("127.0.0.1", "127.0.0.2"), ("127.0.0.1", ""), ("::1", "::1"), ("::1", "")):
            server = self.server(host)
            self.dial(host, server.getsockname()[1], source)
            self.reactor.turn()
            stream = self.streams[-1]
            accepted, peer = server.accept()
            self.addCleanup(accepted.close)
            self.assertEqual(stream.peer, server.getsockname()[:2])
            self.assertEqual(stream.local, peer[:2])
            self.assertEqual(peer[0], source or host)
            self.assertEqual(self.failures, [])

    def test_descriptor_options(self) -> None:
        """
        Between bind and connect: bound to the address, no port yet, the port
        left to connect, non-blocking, no Nagle.
        """
        seen: list[Any] = []

        def post_bind(fd: int) -> bool:
            with socket.socket(fileno=os.dup(fd)) as sock:
                seen.append(sock.getsockname()[:2])
                seen.append(sock.getsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT))
                seen.append(os.get_blocking(fd))
                seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            return True

        for host, source in (("127.0.0.1", "127.0.0.3"), ("::1", "::1")):
            self.dial(host, self.server(host).getsockname()[1], source, post_bind)
            self.assertEqual((seen[0], seen[1], seen[2], bool(seen[3])), ((source, 0), 1, False, True))
            self.reactor.turn()
            seen.clear()

    def test_tuned(self) -> None:
        """
        Nagle's algorithm and buffers of a certain size are had where that is wanted,
        for the connections opened from then on; without a size the kernel has its own.
        """
        seen: list[tuple[bool, int, int]] = []

        def post_bind(fd: int) -> bool:
            with socket.socket(fileno=os.dup(fd)) as sock:
                nodelay = bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                buffers = [sock.getsockopt(socket.SOL_SOCKET, each) for each in (socket.SO_SNDBUF, socket.SO_RCVBUF)]
                seen.append((nodelay, buffers[0], buffers[1]))
            return True

        for nodelay, size in ((True, 0), (False, 20_000), (True, 0)):
            self.dialer.tune(nodelay, size)
            self.dial("127.0.0.1", self.server("127.0.0.1").getsockname()[1], "", post_bind)
            self.reactor.turn()
        # Linux doubles what it is told, for its own bookkeeping.
        self.assertEqual(seen[1], (False, 40_000, 40_000))
        self.assertEqual((seen[0][0], seen[2]), (True, seen[0]))
        self.assertNotIn(40_000, seen[0])

    def test_post_bind_forbids(self) -> None:
        """
        "No" is a bind error; nothing was sent to the peer.
        """
        server = self.server()
        error = self.assertRaises(DialFailed, self.dial, "127.0.0.1", server.getsockname()[1], "", lambda fd: False)
        assert isinstance(error, DialFailed)
        self.assertEqual(error.flags, ConnFlag.ERROR_BIND)
        server.setblocking(False)
        self.assertRaises(BlockingIOError, server.accept)

    def test_post_bind_raises(self) -> None:
        """
        What the question raises comes through, and the descriptor is closed.
        """

        def post_bind(fd: int) -> bool:
            raise RuntimeError("a fault")

        self.assertRaises(RuntimeError, self.dial, "127.0.0.1", 25, "", post_bind)

    def test_refused(self) -> None:
        """
        Nobody listens: told later, as a fault of the way to the peer.
        """
        server = self.server()
        port = server.getsockname()[1]
        server.close()
        self.dial("127.0.0.1", port)
        self.reactor.turn()
        self.assertEqual([error.flags for error in self.failures], [ConnFlag.ERROR_CONNECT_NETWORK])
        self.assertIn("refused", str(self.failures[0]))

    def test_refused_through_connection_lost(self) -> None:
        """
        epoll reports the refusal as a broken descriptor: the same is told.
        """
        server = self.server()
        port = server.getsockname()[1]
        server.close()
        dial: Any = self.dial("127.0.0.1", port)
        select.select([], [dial.fileno()], [], 5)
        dial.connectionLost(Failure(ConnectionLost()))
        dial.connectionLost(Failure(ConnectionLost()))
        dial.doWrite()
        self.assertEqual([error.flags for error in self.failures], [ConnFlag.ERROR_CONNECT_NETWORK])

    def test_reactor_ends(self) -> None:
        """
        A descriptor the reactor gives up without an error of its own ends too.
        """
        server = self.server()
        dial: Any = self.dial("127.0.0.1", server.getsockname()[1])
        dial.connectionLost(Failure(ConnectionLost()))
        self.assertEqual([error.flags for error in self.failures], [ConnFlag.ERROR_CONNECT_NETWORK])
        self.assertEqual(dial.fileno(), -1)

    def test_unplumbed_source(self) -> None:
        """
        A source address that this host does not have is a bind error, at once.
        """
        error = self.assertRaises(DialFailed, self.dial, "127.0.0.1", 25, UNPLUMBED)
        assert isinstance(error, DialFailed)
        self.assertEqual(error.flags, ConnFlag.ERROR_BIND)
        self.assertIn(UNPLUMBED, error.reason)

    def test_wrong_family(self) -> None:
        """
        A source of the other family cannot be bound.
        """
        error = self.assertRaises(DialFailed, self.dial, "127.0.0.1", 25, "::1")
        assert isinstance(error, DialFailed)
        self.assertEqual(error.flags, ConnFlag.ERROR_BIND)

    def test_no_socket(self) -> None:
        """
        The kernel has no descriptor left.
        """

        def make(family: int, kind: int) -> socket.socket:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        self.assertIn("Too many open files", self.refused(ConnFlag.ERROR_SOCKET, make).reason)

    def test_last_descriptor(self) -> None:
        """
        A connection that there is already needs no other descriptor to be taken over.
        """
        server = self.server()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.dial(*server.getsockname())
        self.reactor.turn()
        first_free = os.dup(0)
        os.close(first_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, hard))
        try:
            self.assertRaises(OSError, os.dup, 0)
            self.streams.pop().start(Protocol())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(len(self.reactor.readers), 1)

    def test_not_prepared(self) -> None:
        """
        The socket cannot be made non-blocking, or not be set up otherwise.
        """
        for call in ("setblocking", "setsockopt"):
            faulty = FaultySocket(**{call: errno.ENOTTY})
            self.refused(ConnFlag.ERROR_IOCTL, lambda family, kind, faulty=faulty: faulty)
            self.assertEqual(faulty.real.fileno(), -1)

    def test_bind_errors(self) -> None:
        """
        Whatever bind says is a bind error.
        """
        for number in (errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EACCES):
            faulty = FaultySocket(bind=number)
            self.refused(ConnFlag.ERROR_BIND, lambda family, kind, faulty=faulty: faulty, "127.0.0.2")

    def test_connect_errors_at_once(self) -> None:
        """
        Errors of ``connect()`` by their number; EADDRNOTAVAIL is ours.
        """
        for number, flags in (
            (errno.EADDRNOTAVAIL, ConnFlag.ERROR_BIND),
            (errno.EADDRINUSE, ConnFlag.ERROR_BIND),
            (errno.ENETUNREACH, ConnFlag.ERROR_CONNECT_NETWORK),
            (errno.EHOSTUNREACH, ConnFlag.ERROR_CONNECT_NETWORK),
            (errno.ECONNREFUSED, ConnFlag.ERROR_CONNECT_NETWORK),
            (errno.ETIMEDOUT, ConnFlag.ERROR_CONNECT_TIMEOUT),
            (errno.EACCES, ConnFlag.ERROR_CONNECT),
            (errno.EINVAL, ConnFlag.ERROR_CONNECT),
        ):
            faulty = FaultySocket(connect_ex=number)
            error = self.refused(flags, lambda family, kind, faulty=faulty: faulty)
            self.assertEqual(error.reason, os.strerror(number))

    def test_broadcast(self) -> None:
        """
        An address that TCP cannot connect to is an error of connect, for real.
        """
        error = self.assertRaises(DialFailed, self.dial, "255.255.255.255", 25)
        assert isinstance(error, DialFailed)
        self.assertTrue(error.flags & (ConnFlag.ERROR_CONNECT | ConnFlag.ERROR_CONNECT_NETWORK))

    def test_unusable_address(self) -> None:
        """
        Text that the kernel cannot take for an address is an error of connect.
        """

        class Named(FaultySocket):
            def connect_ex(self, address: Any) -> int:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        error = self.assertRaises(DialFailed, self.dial, "name", 25, "", None, lambda family, kind: Named())
        assert isinstance(error, DialFailed)
        self.assertEqual(error.flags, ConnFlag.ERROR_CONNECT)

    def test_gone_at_once(self) -> None:
        """
        The peer was gone before it could be named: that is a fault of the way.
        """
        server = self.server()
        faulty = FaultySocket(getpeername=errno.ENOTCONN)
        self.dial("127.0.0.1", server.getsockname()[1], "", None, lambda family, kind: faulty)
        self.reactor.turn()
        self.assertEqual([error.flags for error in self.failures], [ConnFlag.ERROR_CONNECT_NETWORK])

    def test_cancel(self) -> None:
        """
        A cancelled dial tells nothing, whatever comes; harmless twice.
        """
        server = self.server()
        dial: Any = self.dial("127.0.0.1", server.getsockname()[1])
        dial.cancel()
        dial.cancel()
        self.assertEqual(self.reactor.writers, [])
        dial.doWrite()
        dial.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((self.streams, self.failures), ([], []))

    def test_cancel_after_the_end(self) -> None:
        """
        Cancelling a dial that has connected leaves the connection alone.
        """
        server = self.server()
        dial = self.dial("127.0.0.1", server.getsockname()[1])
        self.reactor.turn()
        dial.cancel()
        accepted, _ = server.accept()
        self.addCleanup(accepted.close)
        with socket.socket(fileno=os.dup(self.streams[0].fileno())) as ours:
            ours.send(b"x")
        self.assertEqual(accepted.recv(1), b"x")

    def test_start(self) -> None:
        """
        The protocol has the connection, with the descriptor that it had; it is started once.
        """
        for host in ("127.0.0.1", "::1"):
            server = self.server(host)
            self.dial(host, server.getsockname()[1])
            self.reactor.turn()
            stream = self.streams.pop()
            protocol = Protocol()
            fd = stream.fileno()
            stream.start(protocol)
            transport: Any = protocol.transport
            self.assertEqual(transport.fileno(), fd)
            self.assertEqual((transport.getPeer().host, transport.getPeer().port), stream.peer)
            self.assertEqual((transport.getHost().host, transport.getHost().port), stream.local)
            self.assertIn(f"Protocol to {host} port {stream.peer[1]}", repr(transport))
            self.assertEqual(self.reactor.readers[-1:], [transport])
            self.assertRaises(RuntimeError, stream.start, protocol)
            stream.close()
            accepted, _ = server.accept()
            self.addCleanup(accepted.close)
            transport.write(b"still open")
            self.assertEqual(accepted.recv(100), b"still open")

    def test_closed_stream(self) -> None:
        """
        A stream that was closed cannot be started; closing twice is harmless.
        """
        self.dial("127.0.0.1", self.server().getsockname()[1])
        self.reactor.turn()
        stream = self.streams[0]
        stream.close()
        stream.close()
        self.assertRaises(RuntimeError, stream.start, Protocol())


class FailureTests(SynchronousTestCase):
    """
    The translator.
    """

    def test_connect(self) -> None:
        """
        Every errno becomes exactly one cause and no action.
        """
        for number in errno.errorcode:
            flags = connect_failure(number).flags
            self.assertEqual(len(flags.names), 1, errno.errorcode[number])
            self.assertFalse(flags & ConnFlag.ACTIONS)

    def test_local(self) -> None:
        """
        A local failure says what was tried.
        """
        error = local_failure(ConnFlag.ERROR_SOCKET, "socket", OSError(errno.ENFILE, "no more"))
        self.assertEqual((error.flags, error.reason), (ConnFlag.ERROR_SOCKET, "socket: no more"))
        error = local_failure(ConnFlag.ERROR_BIND, "bind", OSError("odd"))
        self.assertEqual(error.reason, "bind: odd")


class ListenerReactor:
    """
    Takes note of where it is to listen.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        if self.error is not None:
            raise self.error
        return (port, interface, factory)


class ListenerTests(SynchronousTestCase):
    """
    Endpoint strings.
    """

    def test_listens(self) -> None:
        """
        The string says where.
        """
        factory = Factory()
        listener = EndpointListener(ListenerReactor())
        port: Any = self.successResultOf(listener.listen("tcp:2525:interface=127.0.0.1", factory))
        self.assertEqual(port, (2525, "127.0.0.1", factory))

    def test_in_use(self) -> None:
        """
        A port that is taken fails as Twisted says it.
        """
        listener = EndpointListener(ListenerReactor(CannotListenError("", 25, OSError("in use"))))
        self.failureResultOf(listener.listen("tcp:25", Factory()), CannotListenError)

    def test_no_endpoint(self) -> None:
        """
        Text that is no endpoint string is a :class:`ValueError`, whatever is
        wrong with it.
        """
        listener = EndpointListener(ListenerReactor())
        for text in ("nonsense", "tcp:port", "nonsense:25", "", "tcp:25:interfac=127.0.0.1"):
            self.assertRaises(ValueError, listener.listen, text, Factory())

    def test_local(self) -> None:
        """
        A socket of nobody's is replaced, any other file is left alone, and no other user may open ours.
        """

        class Reactor:
            def listenUNIX(self, path: str, factory: Any, backlog: int = 50, mode: int = 0o666) -> Any:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                with sock:
                    sock.bind(path)
                return (mode, stat.S_IMODE(os.stat(path).st_mode))

        with tempfile.TemporaryDirectory(prefix="mtx") as directory:
            path = os.path.join(directory, "control")
            listener = EndpointListener(Reactor())
            for _ in range(2):
                self.assertEqual(self.successResultOf(listener.listen_local(path, Factory())), (0o600, 0o600))
            os.unlink(path)
            with open(path, "w", encoding="ascii"):
                pass
            self.failureResultOf(listener.listen_local(path, Factory()), OSError)
            self.assertTrue(os.path.isfile(path))


class HostTests(SynchronousTestCase):
    """
    What this machine says of itself.
    """

    def test_plumbed(self) -> None:
        """
        Loopback is configured, documentation is not, and no address is no error.
        """
        for address, expected in (("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), (UNPLUMBED, False)):
            self.assertIs(plumbed(address), expected, address)
        self.assertIs(plumbed("2001:db8::1"), False)

    def test_plumbed_untold(self) -> None:
        """
        Without a descriptor nobody can tell; without IPv6 no address of it is there.
        """
        for number, told in ((errno.EAFNOSUPPORT, True), (errno.EMFILE, False)):

            def socket_of(*args: object, number: int = number) -> socket.socket:
                raise OSError(number, os.strerror(number))

            patch = self.patch(socket, "socket", socket_of)
            if told:
                self.assertIs(plumbed("::1"), False)
            else:
                self.assertRaises(OSError, plumbed, "127.0.0.1")
            patch.restore()

    def test_own_addresses(self) -> None:
        """
        The loopback addresses are among them, each once.
        """
        found = own_addresses()
        self.assertIn("127.0.0.1", found)
        self.assertIn("::1", found)
        self.assertEqual(len(set(found)), len(found))

    def test_hostname(self) -> None:
        """
        It has a name.
        """
        self.assertNotEqual(system_hostname(), "")
