"""
Source ports: real sockets on loopback that have only few ports to choose from.
"""

from __future__ import annotations

import re
import socket
import struct
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from momentum_tx.errors import DialFailed
from momentum_tx.interfaces.seams import IConnectedStream
from momentum_tx.net.dialer import SocketDialer
from tests.net.test_dialer import SelectReactor

#: Linux 6.3 <linux/in.h>: the source ports one socket may be given.
IP_LOCAL_PORT_RANGE = 51
#: Ports that each socket may have.
PORTS = 51
#: Connections between one source and one destination.
EACH = 50


def free_ports() -> int:
    """
    The first of some ports in a row that nobody uses now, among those the kernel gives out.
    """
    lowest, highest = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    used = set()
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            found = re.match(r"\s*\d+: [0-9A-F]+:([0-9A-F]{4}) ", line)
            assert found is not None
            used.add(int(found[1], 16))
    for first in range(highest - PORTS + 1, lowest, -PORTS):
        if used.isdisjoint(range(first, first + PORTS)):
            return first
    raise SkipTest("no row of ports is free")


class PortEconomyTests(SynchronousTestCase):
    """
    A port is used up for one source and one destination, not for all destinations of a source.
    """

    def setUp(self) -> None:
        first = free_ports()
        ports = struct.pack("=I", first | (first + PORTS - 1) << 16)

        def few(family: int, kind: int) -> socket.socket:
            sock = socket.socket(family, kind)
            sock.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, ports)
            return sock

        try:
            few(socket.AF_INET, socket.SOCK_STREAM).close()
        except OSError as missing:
            raise SkipTest(f"the kernel has no IP_LOCAL_PORT_RANGE: {missing}") from None
        self.ports = range(first, first + PORTS)
        self.reactor = SelectReactor()
        self.dialer = SocketDialer(self.reactor, few)  # type: ignore[arg-type]
        self.streams: list[IConnectedStream] = []
        self.failures: list[DialFailed] = []

    def connect(self, source: str, server: socket.socket) -> None:
        """
        One connection more, which lasts to the end of the test.
        """
        host, port = server.getsockname()
        self.dialer.dial(host, port, source, None, self.streams.append, self.failures.append)
        self.reactor.turn()
        self.assertEqual(self.failures, [])
        stream = self.streams[-1]
        self.addCleanup(stream.close)
        accepted, _ = server.accept()
        # Reset, so that no port of the row waits for a minute afterwards.
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.addCleanup(accepted.close)

    def test_two_destinations(self) -> None:
        """
        Two sources and two destinations: twice as many connections for each source as there
        are ports, less those that are left free on purpose.
        """
        servers = [socket.create_server((host, 0)) for host in ("127.0.0.1", "127.0.0.4")]
        for server in servers:
            self.addCleanup(server.close)
        for _ in range(EACH):
            for source in ("127.0.0.2", "127.0.0.3"):
                for server in servers:
                    self.connect(source, server)
        ends: dict[str, list[int]] = {}
        for stream in self.streams:
            host, port = stream.local
            ends.setdefault(host, []).append(port)
        self.assertEqual({host: len(ports) for host, ports in ends.items()}, {"127.0.0.2": 100, "127.0.0.3": 100})
        for ports in ends.values():
            self.assertLessEqual(set(ports), set(self.ports))
            # More connections than ports: some port serves both destinations.
            self.assertLess(len(set(ports)), len(ports))
