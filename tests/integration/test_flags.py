"""
Each of the fourteen flags, brought about by the kernel, a resolver or an
operator's configuration; none is constructed.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import struct
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest, TestCase
from zope.interface import implementer

from momentum_tx.delivery.handle import ConnectionHandle
from momentum_tx.delivery.initiate import initiate_connection, open_connection
from momentum_tx.delivery.initiate_smtp import initiate_connection_smtp
from momentum_tx.errors import ConnectFailed, ConnectionNotInitiated, ConnectTimedOut, LookupFailed
from momentum_tx.flags import ConnFlag
from momentum_tx.interfaces import hooks as contracts
from momentum_tx.interfaces.services import MXKind
from momentum_tx.net.dialer import SocketDialer
from momentum_tx.queues.domain import DomainRecord
from tests.delivery.dialing import World
from tests.net.test_dialer import open_sockets

#: Documentation (RFC 5737): no host has it, so no socket can be bound to it.
UNPLUMBED = "192.0.2.1"
#: Linux 6.3 <linux/in.h>: the source ports one socket may be given.
IP_LOCAL_PORT_RANGE = 51
#: Nothing that is contacted lies beyond loopback, so the default list must not stand in the way.
LOOPBACK = "[global]\nprohibited_hosts = []\nuse_ipv6 = true\nconnect_timeout = 5\n"


class Ending:
    """
    The end of one attempt: which of the three, and with which word.
    """

    def __init__(self) -> None:
        self.told: Deferred[tuple[str, ConnFlag]] = Deferred()
        self.handle: ConnectionHandle | None = None

    def finished(self, handle: ConnectionHandle, error: ConnFlag, now: float) -> None:
        self.told.callback(("finished", error))

    def timed_out(self, handle: ConnectionHandle, now: float) -> None:
        self.told.callback(("timed out", handle.error))


@implementer(contracts.IConnectionPostBind)
class PostBind:
    """
    Looks at the descriptor, and answers as it is told.
    """

    def __init__(self) -> None:
        self.forbid = False
        self.only_port = 0
        self.names: list[tuple[str, int]] = []

    def connection_post_bind(self, dr: Any, binding_slot: int, fd: int, addr: Any) -> bool:
        with socket.socket(fileno=os.dup(fd)) as sock:
            self.names.append(sock.getsockname()[:2])
            if self.only_port:
                ports = struct.pack("=I", self.only_port | self.only_port << 16)
                sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, ports)
        return self.forbid


class Talker(Protocol):
    """
    Knows when it is over.
    """

    def __init__(self) -> None:
        self.lost: Deferred[None] = Deferred()

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(None)


class FlagTests(TestCase):
    """
    The words of failed attempts, from real sockets.
    """

    timeout = 20

    def make(self, configuration: str = LOOPBACK, make_socket: Any = socket.socket) -> World:
        """
        Connection functions on the real reactor and its sockets.
        """
        real: Any = reactor
        self.world = world = World(configuration, SocketDialer(real, make_socket), real)
        self.before = open_sockets()
        self.addCleanup(self.nothing_left)
        return world

    def nothing_left(self) -> None:
        """
        Counters agree and are zero, and no descriptor of ours is open.
        """
        world = self.world
        for dr in world.records:
            for handles in list(dr.connections.values()):
                for handle in list(handles):
                    handle.close()
        self.assertEqual(world.recount(), (0, 0, 0))
        world.facilities.agenda.stop()
        self.assertEqual(open_sockets() - self.before, set())

    def failures(self, dr: Any) -> list[int]:
        """
        Failures in a row of every address of the domain.
        """
        return [self.world.records.failures(peer) for peer in dr.peers(0)]

    def forgive(self, dr: Any) -> None:
        """
        Let the addresses of the domain be tried again at once.
        """
        for peer in dr.peers(0):
            self.world.records.metrics(peer, 0).failed_at = 0

    def server(self, host: str = "127.0.0.1", backlog: int = 5) -> int:
        """
        A listening port.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = socket.create_server((host, 0), family=family, backlog=backlog)
        # Cleanups run in reverse: it is closed before sockets are counted.
        self.addCleanup(server.close)
        self.listening = server
        port: int = server.getsockname()[1]
        return port

    def closed_port(self, host: str = "127.0.0.1") -> int:
        """
        A port on which nobody listens.
        """
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
            sock.bind((host, 0))
            port: int = sock.getsockname()[1]
        return port

    def domain(self, *hops: str) -> DomainRecord:
        """
        A domain whose exchangers are *hops*, ``address`` and port.
        """
        world = self.world
        number = len(world.records)
        dr = world.domain(f"example{number or ''}.test", *[hop.rpartition(":")[0] for hop in hops])
        world.router.ensure(dr, world.wall())
        for mx, hop in zip(dr.mxlist, hops, strict=True):
            mx.port = int(hop.rpartition(":")[2])
        return dr

    def check_failure(self, dr: DomainRecord, slot: int, address: str | None, word: ConnFlag) -> None:
        """
        The failure hook was told once, of *address* and the full word, and
        everything that was counted is given back.
        """
        failures = self.world.told("failure")
        self.assertEqual([(entry[1], entry[2], entry[3]) for entry in failures], [(address, word, slot)])
        self.assertEqual(self.world.told("success"), [])
        self.assertEqual(self.world.recount(), (0, 0, 0))

    def refused(self, dr: DomainRecord, word: ConnFlag, address: str | None = None, slot: int = 0) -> None:
        """
        An attempt raises *word*, and no callback ever runs.
        """
        ending = Ending()
        error = self.assertRaises(
            ConnectionNotInitiated, initiate_connection, dr, slot, None, ending.finished, ending.timed_out
        )
        assert isinstance(error, ConnectionNotInitiated)
        self.assertEqual(error.flags, word)
        self.check_failure(dr, slot, address, word)
        self.assertFalse(ending.told.called)

    async def ended(self, dr: DomainRecord, slot: int = 0) -> tuple[str, ConnFlag]:
        """
        How an attempt that became pending ended.
        """
        ending = Ending()
        ending.handle = initiate_connection(dr, slot, None, ending.finished, ending.timed_out)
        self.assertFalse(ending.told.called)
        return await ending.told

    def test_every_flag(self) -> None:
        """
        Each name of the word has its test here.
        """
        for flag in ConnFlag:
            self.assertTrue(hasattr(self, f"test_{str(flag.name).lower()}"), flag.name)

    async def test_success(self) -> None:
        """
        No flag: the connection leads from the binding's address to the server,
        over IPv4 and IPv6; until connect its port is 0.
        """
        world = self.make(LOOPBACK + '[binding.two]\nbind_address = "127.0.0.2"\n[binding.six]\nbind_address = "::1"\n')
        post_bind = PostBind()
        world.hooks.register_last(post_bind)
        for host, slot, source in (("127.0.0.1", 1, "127.0.0.2"), ("::1", 2, "::1")):
            dr = self.domain(f"{host}:{self.server(host)}")
            handle = await open_connection(dr, slot)
            self.assertEqual(world.recount(), (1, 1, 1))
            accepted, peer = self.listening.accept()
            self.addCleanup(accepted.close)
            self.assertEqual(peer[0], source)
            self.assertEqual(post_bind.names[-1], (source, 0))
            stream: Any = handle.connection.stream
            talker = Talker()
            stream.start(talker)
            accepted.close()
            await talker.lost
            handle.close()
            self.assertEqual(world.recount(), (0, 0, 0))
        self.assertEqual(world.told("failure"), [])

    async def test_error_connect_network(self) -> None:
        """
        Nobody listens, over IPv4 and IPv6.
        """
        for host in ("127.0.0.1", "::1"):
            self.make()
            dr = self.domain(f"{host}:{self.closed_port(host)}")
            word = ConnFlag.ERROR_CONNECT_NETWORK | ConnFlag.ACTION_REQUEUE1
            self.assertEqual(await self.ended(dr), ("finished", word))
            self.check_failure(dr, 0, host, word)
            self.assertEqual(self.failures(dr), [1])

    async def test_next_address(self) -> None:
        """
        A refusal leads on to the next address within the attempt.
        """
        world = self.make()
        dr = self.domain(f"127.0.0.1:{self.closed_port()}", f"127.0.0.3:{self.server('127.0.0.3')}")
        handle = await open_connection(dr, 0)
        self.assertEqual([t.address for t in handle.tries], ["127.0.0.1", "127.0.0.3"])
        self.assertEqual(handle.tries[0].error, ConnFlag.ERROR_CONNECT_NETWORK)
        self.assertEqual([entry[:2] for entry in world.heard], [("success", "127.0.0.3")])
        handle.close()

    async def test_error_connect_timeout(self) -> None:
        """
        A server whose backlog is full says nothing: the deadline ends it.
        """
        self.make(LOOPBACK.replace("= 5", "= 0.3"))
        port = self.server(backlog=0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        dr = self.domain(f"127.0.0.1:{port}")
        word = ConnFlag.ERROR_CONNECT_TIMEOUT | ConnFlag.ACTION_REQUEUE1
        self.assertEqual(await self.ended(dr), ("timed out", word))
        self.check_failure(dr, 0, "127.0.0.1", word)
        self.forgive(dr)
        with self.assertRaises(ConnectTimedOut):
            await open_connection(dr, 0)

    def test_error_bind(self) -> None:
        """
        The binding's address is not configured on this host.
        """
        self.make(LOOPBACK + f'[binding.gone]\nbind_address = "{UNPLUMBED}"\n')
        dr = self.domain(f"127.0.0.1:{self.server()}", f"127.0.0.2:{self.server('127.0.0.2')}")
        self.refused(dr, ConnFlag.ERROR_BIND | ConnFlag.ACTION_REQUEUE1, "127.0.0.1", 1)
        self.assertEqual(sum(self.failures(dr)), 0)

    def test_error_bind_by_hook(self) -> None:
        """
        ``connection_post_bind`` forbids the connect.
        """
        world = self.make()
        post_bind = PostBind()
        post_bind.forbid = True
        world.hooks.register_last(post_bind)
        self.refused(
            self.domain(f"127.0.0.1:{self.server()}"), ConnFlag.ERROR_BIND | ConnFlag.ACTION_REQUEUE1, "127.0.0.1"
        )

    async def test_error_bind_at_connect(self) -> None:
        """
        No source port is left towards this destination: found at connect, and
        ours all the same.
        """
        world = self.make(LOOPBACK + '[binding.two]\nbind_address = "127.0.0.2"\n')
        post_bind = PostBind()
        post_bind.only_port = self.closed_port()
        with socket.socket() as probe:
            try:
                probe.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("=I", 0))
            except OSError as missing:
                raise SkipTest(f"the kernel has no IP_LOCAL_PORT_RANGE: {missing}") from None
        world.hooks.register_last(post_bind)
        dr = self.domain(f"127.0.0.1:{self.server()}")
        handle = await open_connection(dr, 1)
        stream: Any = handle.connection.stream
        self.assertEqual(stream.local, ("127.0.0.2", post_bind.only_port))
        world.heard.clear()
        ending = Ending()
        error = self.assertRaises(
            ConnectionNotInitiated, initiate_connection, dr, 1, None, ending.finished, ending.timed_out
        )
        assert isinstance(error, ConnectionNotInitiated)
        self.assertEqual(error.flags, ConnFlag.ERROR_BIND | ConnFlag.ACTION_REQUEUE1)
        self.assertEqual(error.reason, os.strerror(errno.EADDRNOTAVAIL))
        self.assertEqual(sum(self.failures(dr)), 0)
        self.assertEqual(world.recount(), (1, 1, 1))
        handle.close()

    def test_error_connect(self) -> None:
        """
        A link-local address without a link is EINVAL to the kernel, at once.
        """
        self.make()
        self.refused(self.domain("fe80::1:25"), ConnFlag.ERROR_CONNECT | ConnFlag.ACTION_REQUEUE1, "fe80::1")

    async def test_error_connect_later(self) -> None:
        """
        The same after a connect was pending goes to ``finish_connect_func``.
        """
        self.make()
        dr = self.domain(f"127.0.0.1:{self.closed_port()}", "fe80::1:25")
        word = ConnFlag.ERROR_CONNECT | ConnFlag.ACTION_REQUEUE1
        self.assertEqual(await self.ended(dr), ("finished", word))
        self.check_failure(dr, 0, "fe80::1", word)
        with self.assertRaises(ConnectFailed):
            self.forgive(dr)
            await open_connection(dr, 0)

    def test_error_socket(self) -> None:
        """
        The process may open no further descriptor.
        """
        self.make()
        dr = self.domain(f"127.0.0.1:{self.server()}")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            error = self.assertRaises(
                ConnectionNotInitiated, initiate_connection, dr, 0, None, self.world.finished, self.world.timed_out
            )
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert isinstance(error, ConnectionNotInitiated)
        word = ConnFlag.ERROR_SOCKET | ConnFlag.ACTION_REQUEUE1
        self.assertEqual(error.flags, word)
        self.check_failure(dr, 0, "127.0.0.1", word)
        self.assertEqual(sum(self.failures(dr)), 0)

    def test_error_ioctl(self) -> None:
        """
        A socket that the kernel does not make non-blocking.
        """

        class Blocking(socket.socket):
            def setblocking(self, flag: bool) -> None:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

        self.make(make_socket=Blocking)
        self.refused(
            self.domain(f"127.0.0.1:{self.server()}"), ConnFlag.ERROR_IOCTL | ConnFlag.ACTION_REQUEUE1, "127.0.0.1"
        )

    async def test_error_host_max_reached(self) -> None:
        """
        The host may have one connection, and has it.
        """
        world = self.make(LOOPBACK + '[host."mx0.example.test"]\nmax_outbound_connections = 1\n')
        dr = self.domain(f"127.0.0.1:{self.server()}")
        handle = await open_connection(dr, 0)
        world.heard.clear()
        ending = Ending()
        error = self.assertRaises(
            ConnectionNotInitiated, initiate_connection, dr, 0, None, ending.finished, ending.timed_out
        )
        assert isinstance(error, ConnectionNotInitiated)
        self.assertEqual(error.flags, ConnFlag.ERROR_HOST_MAX_REACHED)
        self.assertEqual(world.recount(), (1, 1, 1))
        handle.close()
        (await open_connection(dr, 0)).close()

    def test_error_prohibited_ip(self) -> None:
        """
        DNS leads to this very machine, where a server listens: by default it is
        not contacted.
        """
        self.make("")
        port = self.server()
        dr = self.domain(f"127.0.0.1:{port}")
        self.refused(dr, ConnFlag.ERROR_PROHIBITED_IP | ConnFlag.ACTION_PURGE_DOMAIN)
        self.listening.setblocking(False)
        self.assertRaises(BlockingIOError, self.listening.accept)

    def test_error_smtp_null_mx(self) -> None:
        """
        The domain accepts no mail.
        """
        self.make()
        self.world.resolver.mx["nomail.test"] = MXKind.NULL
        self.refused(self.world.domain("nomail.test"), ConnFlag.ERROR_SMTP_NULL_MX | ConnFlag.ACTION_PURGE_DOMAIN)

    def test_error_mx_lookup_failed(self) -> None:
        """
        DNS does not know for now: nothing is owed.
        """
        self.make()
        self.world.resolver.mx["broken.test"] = LookupFailed("SERVFAIL")
        self.refused(self.world.domain("broken.test"), ConnFlag.ERROR_MX_LOOKUP_FAILED)

    def test_action_purge_domain(self) -> None:
        """
        DNS does know, for good: the domain is purged, on every binding.
        """
        world = self.make(LOOPBACK + "[binding.two]\n")
        dr = world.domain("nowhere.test")
        self.refused(dr, ConnFlag.ERROR_MX_LOOKUP_FAILED | ConnFlag.ACTION_PURGE_DOMAIN)
        for slot in (0, 1):
            world.message(dr, slot)
        self.assertEqual(initiate_connection_smtp(dr, 0, None), ConnFlag.ERROR_MX_LOOKUP_FAILED)
        self.assertEqual(dr.mail_queue.size(), 0)
        self.assertEqual(len(world.told("permanent")), 2)

    def test_error_mx_lookup_pending(self) -> None:
        """
        DNS has not answered yet.
        """
        self.make()
        self.world.resolver.silent = True
        self.refused(self.world.domain("slow.test"), ConnFlag.ERROR_MX_LOOKUP_PENDING)
        self.world.resolver.close()

    async def test_error_no_mxs_reachable(self) -> None:
        """
        The only address refused a moment ago, and is left alone for
        ``host_failure_retry``.
        """
        world = self.make(LOOPBACK + "host_failure_retry = 0.3\n")
        dr = self.domain(f"127.0.0.1:{self.closed_port()}")
        await self.ended(dr)
        world.heard.clear()
        self.refused(dr, ConnFlag.ERROR_NO_MXS_REACHABLE | ConnFlag.ACTION_REQUEUE1)
        await deferLater(reactor, 0.35)
        self.assertEqual((await self.ended(dr))[1] & ConnFlag.ERRORS, ConnFlag.ERROR_CONNECT_NETWORK)

    async def test_action_requeue1(self) -> None:
        """
        After a refusal one message waits, the others stay.
        """
        world = self.make()
        dr = self.domain(f"127.0.0.1:{self.closed_port()}")
        for _ in range(3):
            world.message(dr)
        self.assertEqual(initiate_connection_smtp(dr, 0, None), 0)
        while dr.total_connections():
            await deferLater(reactor, 0.01)
        self.assertEqual((dr.mail_queue.active_size(), dr.mail_queue.delayed_size()), (2, 1))
        self.assertEqual(world.told("failure")[0][2] & ConnFlag.ACTIONS, ConnFlag.ACTION_REQUEUE1)
        fd = world.told("post")[0][3]
        self.assertGreater(fd, 2)

    async def test_cancel(self) -> None:
        """
        Cancelling closes the descriptor at once and tells nobody.
        """
        world = self.make()
        dr = self.domain(f"127.0.0.1:{self.server()}")
        before = open_sockets()
        opening = open_connection(dr, 0)
        self.assertEqual(len(open_sockets() - before), 1)
        opening.cancel()
        self.assertEqual(open_sockets() - before, set())
        with self.assertRaises(CancelledError):
            await opening
        await deferLater(reactor, 0.05)
        self.assertEqual(world.heard, [])
        self.assertEqual(world.recount(), (0, 0, 0))
