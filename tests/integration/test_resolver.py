"""
The resolver against a real name server: nsd on a loopback port.
"""

from __future__ import annotations

import os
import socket
from random import SystemRandom
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from momentum_tx.errors import LookupFailed
from momentum_tx.interfaces.services import MXKind
from momentum_tx.net.resolver import DNSResolver

from .needs import require

ZONE = """\
$ORIGIN example.test.
$TTL 300
@ IN SOA ns root 1 3600 600 86400 45
@ IN NS ns
ns IN A 198.51.100.53
@ IN MX 20 mx2
@ IN MX 10 MX1
mx1 IN A 198.51.100.1
mx1 IN A 198.51.100.2
mx1 IN AAAA 2001:db8::1
mx2 IN CNAME host
host 77 IN A 198.51.100.3
nomail IN MX 0 .
half IN MX 0 .
half IN MX 10 mx1
alias IN CNAME other
other IN MX 10 mx1
gone IN CNAME nothing
text IN TXT "no mail here"
loop1 IN CNAME loop2
loop2 IN CNAME loop1
"""

CONFIGURATION = """\
server:
    ip-address: 127.0.0.1@{port}
    zonesdir: "{directory}"
    database: ""
    username: ""
    chroot: ""
    pidfile: "{directory}/nsd.pid"
    logfile: "{directory}/nsd.log"
    xfrdfile: "{directory}/xfrd.state"
    zonelistfile: "{directory}/zone.list"
    cookie-secret-file: ""
    server-count: 1
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: example.test
    zonefile: example.test.zone
"""


class _Process(ProcessProtocol):
    """
    Waits for the end of a process, and keeps what it said.
    """

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()
        self.said = b""

    def outReceived(self, data: bytes) -> None:
        self.said += data

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(None)


def free_port() -> int:
    """
    A loopback port that nobody has, for UDP and TCP.
    """
    for _ in range(20):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as streams:
            datagrams.bind(("127.0.0.1", 0))
            port: int = datagrams.getsockname()[1]
            try:
                streams.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


class RealServerTests(TestCase):
    """
    Questions over real sockets.
    """

    timeout = 30

    def setUp(self) -> Any:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        """
        Start nsd and wait until it answers.
        """
        nsd = require("nsd")
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        many = [f"many IN MX {number} a-rather-long-name-of-an-exchanger-{number}" for number in range(1, 201)]
        self.port = free_port()
        for name, text in (
            ("example.test.zone", ZONE + "\n".join(many) + "\n"),
            ("nsd.conf", CONFIGURATION.format(port=self.port, directory=directory)),
        ):
            with open(os.path.join(directory, name), "w", encoding="utf-8") as lines:
                lines.write(text)
        self.process = _Process()
        running = reactor.spawnProcess(
            self.process, nsd, [nsd, "-d", "-c", os.path.join(directory, "nsd.conf")], env={"PATH": os.defpath}
        )
        self.addCleanup(self._stop, running)
        self.resolver = self.make(("127.0.0.1", self.port))
        await self._ready()

    def make(self, *servers: tuple[str, int]) -> DNSResolver:
        """
        A resolver that is closed when the test ends.
        """
        resolver = DNSResolver(reactor, servers, SystemRandom(), timeout=1.0)
        self.addCleanup(self._close, resolver)
        return resolver

    def _close(self, resolver: DNSResolver) -> Deferred[None]:
        resolver.close()
        # A UDP port of Twisted's is closed in the turn after.
        return deferLater(reactor, 0.01)

    async def _stop(self, running: Any) -> None:
        if not self.process.ended.called:
            running.signalProcess("TERM")
            await self.process.ended

    async def _ready(self) -> None:
        for _ in range(100):
            if self.process.ended.called:
                raise AssertionError(f"nsd did not start: {self.process.said!r}")
            probe = self.make(("127.0.0.1", self.port))
            try:
                await probe.lookup_mx("example.test")
            except LookupFailed:
                await deferLater(reactor, 0.05)
            else:
                return
        raise AssertionError("nsd does not answer")

    async def test_exchangers(self) -> None:
        """
        The kinds of answer are told apart.
        """
        answer = await self.resolver.lookup_mx("example.test")
        self.assertEqual(answer.records, ((10, "mx1.example.test"), (20, "mx2.example.test")))
        self.assertEqual(answer.ttl, 300)
        for name, kind in (
            ("nomail", MXKind.NULL),
            ("text", MXKind.NONE),
            ("nowhere", MXKind.NXDOMAIN),
            ("gone", MXKind.NXDOMAIN),
            ("half", MXKind.RECORDS),
            ("alias", MXKind.RECORDS),
        ):
            answer = await self.resolver.lookup_mx(f"{name}.example.test")
            self.assertIs(answer.kind, kind, name)
            if kind is MXKind.RECORDS:
                self.assertEqual(answer.records, ((10, "mx1.example.test"),))
            elif kind is not MXKind.NULL:
                self.assertEqual(answer.ttl, 45)

    async def test_addresses(self) -> None:
        """
        Both families are found, through an alias too, and none where there is none.
        """
        answer = await self.resolver.lookup_addresses("mx1.example.test", True)
        self.assertEqual(sorted(answer.addresses[:2]), ["198.51.100.1", "198.51.100.2"])
        self.assertEqual(answer.addresses[2:], ("2001:db8::1",))
        answer = await self.resolver.lookup_addresses("mx2.example.test", False)
        self.assertEqual((answer.addresses, answer.ttl), (("198.51.100.3",), 77))
        for name in ("text", "nowhere"):
            answer = await self.resolver.lookup_addresses(f"{name}.example.test", True)
            self.assertEqual(answer.addresses, ())

    async def test_truncated(self) -> None:
        """
        Two hundred exchangers do not fit into a datagram, and come over TCP.
        """
        answer = await self.resolver.lookup_mx("many.example.test")
        self.assertEqual(len(answer.records), 100)
        self.assertEqual(answer.records[0], (1, "a-rather-long-name-of-an-exchanger-1.example.test"))

    async def test_failures(self) -> None:
        """
        A loop, and a zone that the server does not have, are failures.
        """
        for name, word in (("loop1.example.test", "loop"), ("elsewhere.invalid", "REFUSED")):
            with self.assertRaises(LookupFailed) as caught:
                await self.resolver.lookup_mx(name)
            self.assertIn(word, str(caught.exception))

    async def test_dead_server(self) -> None:
        """
        A first server that is not there does not matter while a second is.
        """
        resolver = self.make(("127.0.0.1", free_port()), ("127.0.0.1", self.port))
        answer = await resolver.lookup_mx("nomail.example.test")
        self.assertIs(answer.kind, MXKind.NULL)

    async def test_many(self) -> None:
        """
        Two thousand names are asked for through few sockets.
        """
        resolver = DNSResolver(reactor, [("127.0.0.1", self.port)], SystemRandom(), timeout=5.0, max_in_flight=20)
        self.addCleanup(self._close, resolver)
        lookups = [resolver.lookup_mx(f"d{number}.example.test") for number in range(2000)]
        for lookup in lookups:
            self.assertIs((await lookup).kind, MXKind.NXDOMAIN)
