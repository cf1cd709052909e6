"""
DANE against real name servers and real TLS: a signed zone behind a validating
resolver, and mail servers with certificates that match its TLSA records, or do not.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import Any, cast
from unittest import SkipTest

from OpenSSL import SSL, crypto
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IReactorTCP
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from momentum_tx.net.resolver import DNSResolver

from ..net.pki import Identity, issue
from .dnssec import Lab
from .needs import require
from .running import Injector, Program, Sink, SinkProtocol, Twistd, free_port, mainlog, until
from .test_resolver import free_port as free_dns_port

#: What a mail server of the lab shows, by its name.
NOW = datetime.now(UTC)
CA = issue("Lab CA", authority=True, now=NOW)
OTHER_CA = issue("Other CA", authority=True, now=NOW)
#: Where the resolver is that programs ask who only know /etc/resolv.conf.
SYSTEM_SERVER = "127.77.0.53"


class TLSSinkProtocol(SinkProtocol):
    """
    Offers STARTTLS, where it is to.
    """

    factory: TLSSink
    encrypted = False

    def lineReceived(self, line: bytes) -> None:
        verb = line[:8].upper()
        if verb.startswith(b"EHLO") and self.factory.context is not None and not self.encrypted:
            self.transport.write(b"250-sink\r\n250-STARTTLS\r\n250 8BITMIME\r\n")
        elif verb == b"STARTTLS" and self.factory.context is not None:
            self.sendLine(b"220 go ahead")
            self.transport.startTLS(_Contexts(self.factory.context))
            self.encrypted = True
        elif verb.startswith(b"DATA"):
            self.factory.encrypted.append(self.encrypted)
            super().lineReceived(line)
        else:
            super().lineReceived(line)


class TLSSink(Sink):
    """
    A mail server with a certificate.

    :ivar encrypted: for each message, whether it came by TLS.
    """

    protocol = TLSSinkProtocol

    def __init__(self, identity: Identity | None) -> None:
        super().__init__()
        self.encrypted: list[bool] = []
        self.context: SSL.Context | None = None
        if identity is not None:
            self.context = context = SSL.Context(SSL.TLS_SERVER_METHOD)
            context.use_certificate(crypto.X509.from_cryptography(identity.certificate))
            for issuer in identity.issuers:
                context.add_extra_chain_cert(crypto.X509.from_cryptography(issuer))
            context.use_privatekey(crypto.PKey.from_cryptography_key(identity.key))


class _Contexts(ssl.ContextFactory):
    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def getContext(self) -> SSL.Context:
        return self._context


def tlsa(usage: int, selector: int, matching: int, of: Identity) -> str:
    """
    A TLSA record, as zones have it.
    """
    data = of.spki if selector else of.der
    return f"{usage} {selector} {matching} {(hashlib.sha256(data).digest() if matching else data).hex()}"


class Case:
    """
    One domain of the lab.

    :ivar verify: how the peer has to be verified; empty if nothing may be sent.
    :ivar goes: whether mail goes.
    :ivar encrypted: whether it goes by TLS.
    """

    def __init__(
        self,
        name: str,
        zone: str,
        identity: Identity | None,
        records: list[str],
        verify: str,
        goes: bool = True,
        encrypted: bool = True,
    ) -> None:
        self.domain = f"{name}.{zone}"
        self.host = f"mx-{name}.{zone}"
        self.identity = identity
        self.records = records
        self.verify = verify
        self.goes = goes
        self.encrypted = encrypted
        self.address = ""

    def lines(self, port: int) -> list[str]:
        """
        What stands in the zone.
        """
        found = [f"{self.domain}. IN MX 10 {self.host}.", f"{self.host}. IN A {self.address}"]
        return found + [f"_{port}._tcp.{self.host}. IN TLSA {record}" for record in self.records]


def cases() -> list[Case]:
    """
    What is tried.
    """

    def own(name: str, zone: str = "dane.test", **how: Any) -> Identity:
        return issue(f"mx-{name}.{zone}", now=NOW, **how)

    wrong = tlsa(3, 1, 1, own("nobody"))
    good, roll, whole = own("good"), own("roll"), own("whole")
    old = own("old", days=(-300, -200))
    anchored = issue("mx-anchor.dane.test", CA, now=NOW)
    misnamed = issue("elsewhere.test", CA, now=NOW)
    expired = issue("mx-expired.dane.test", CA, days=(-30, -1), now=NOW)
    foreign = issue("mx-foreign.dane.test", OTHER_CA, now=NOW)
    clear = own("clear")
    return [
        Case("good", "dane.test", good, [tlsa(3, 1, 1, good)], "dane"),
        Case("whole", "dane.test", whole, [tlsa(3, 0, 0, whole)], "dane"),
        Case("old", "dane.test", old, [tlsa(3, 1, 1, old)], "dane"),
        Case("bad", "dane.test", own("bad"), [wrong], "dane", goes=False),
        Case("roll", "dane.test", roll, [wrong, tlsa(3, 1, 1, roll)], "dane"),
        Case("anchor", "dane.test", anchored, [tlsa(2, 1, 1, CA)], "dane"),
        Case("misnamed", "dane.test", misnamed, [tlsa(2, 1, 1, CA)], "dane", goes=False),
        Case("expired", "dane.test", expired, [tlsa(2, 1, 1, CA)], "dane", goes=False),
        Case("foreign", "dane.test", foreign, [tlsa(2, 1, 1, CA)], "dane", goes=False),
        Case("unusable", "dane.test", own("unusable"), ["1 1 1 " + "11" * 32, "3 7 9 " + "11" * 32], "no"),
        Case("fail", "dane.test", own("fail"), ["3 1 1 " + "aa" * 32], "", goes=False),
        Case("none", "dane.test", own("none"), [], "no", encrypted=False),
        Case("clear", "dane.test", None, [tlsa(3, 1, 1, clear)], "dane", goes=False),
        Case("plain", "plain.test", own("plain", "plain.test"), [wrong], "no", encrypted=False),
    ]


async def explained(test: TestCase, directory: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """
    What ``momentum-tx tls explain`` says, and its status.
    """
    start = "import sys; from momentum_tx.cli import main; sys.exit(main())"
    program = Program([sys.executable, "-c", start, "tls", "explain", "--json", *arguments], directory)
    status = await program.ended
    test.assertEqual(program.err, b"")
    return status, json.loads(program.out)


def listening(test: TestCase, port: Any) -> int:
    """
    The number of a port that is closed when *test* is over.
    """
    test.addCleanup(port.stopListening)
    return int(port.getHost().port)


class DNSSECCase(TestCase):
    """
    The lab, and a mail server for each domain.
    """

    timeout = 120
    #: Another place where the resolver listens.
    extra = ""

    def setUp(self) -> Any:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        require("nsd")
        require("unbound")
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        self.port = free_port()
        self.cases = cases()
        self.sinks: dict[str, TLSSink] = {}
        self.lab = Lab(f"{self.directory}/dns", (free_dns_port(), free_dns_port()), self.extra)
        self.addCleanup(self.lab.stop_later)
        for number, case in enumerate(self.cases, 1):
            case.address = f"127.77.1.{number}"
            sink: Any = TLSSink(case.identity)
            self.sinks[case.domain] = sink
            listening(self, reactor.listenTCP(self.port, sink, interface=case.address))
        lines = {zone: self._lines(zone) for zone in ("dane.test", "plain.test")}
        fail = f"_{self.port}._tcp.mx-fail.dane.test"
        self.lab.signed("dane.test", lines["dane.test"], {fail: ("aa", "bb")})
        self.lab.plain("plain.test", lines["plain.test"])
        self.lab.bogus("bogus.test", ["bogus.test. IN MX 10 mx.bogus.test.", "mx.bogus.test. IN A 127.77.1.99"])
        await self.lab.start()
        resolver = DNSResolver(reactor, [self.lab.server], SystemRandom(), timeout=2.0)
        await self.lab.ready(resolver, "good.dane.test")
        resolver.close()
        await deferLater(reactor, 0.01)
        self.config = f"{self.directory}/momentum.toml"
        self.smtp = free_port()
        Path(self.config).write_text(self.configuration(), "utf-8")

    def _lines(self, zone: str) -> list[str]:
        return [line for case in self.cases if case.domain.endswith(zone) for line in case.lines(self.port)]

    def configuration(self) -> str:
        """
        The service's configuration.
        """
        address, port = self.lab.server
        return (
            f'[global]\nstate_dir = "{self.directory}/state"\nsmtp_listen = ["tcp:{self.smtp}:interface=127.0.0.1"]\n'
            f'nameservers = ["{address}:{port}"]\nprohibited_hosts = []\nhostname = "mta.example"\n'
            f"remote_smtp_port = {self.port}\nuse_dane = true\nretry_interval = 600\n"
        )

    async def explain(self, domain: str, *options: str) -> tuple[int, dict[str, Any]]:
        """
        What the command says of a domain, and its status.
        """
        return await explained(self, self.directory, "--config", self.config, *options, domain)


class VerdictTests(DNSSECCase):
    """
    What is demanded, and whether servers show it.
    """

    async def test_explained(self) -> None:
        """
        For each domain the command says what its records demand, and whether the server
        fulfils it.
        """
        for case in self.cases:
            status, said = await self.explain(case.domain, "--connect")
            (exchanger,) = said["exchangers"]
            demanded = exchanger["decision"]["demanded"]
            self.assertEqual(demanded["verify"] if demanded else "", case.verify, case.domain)
            self.assertEqual((status == 0, exchanger["shown"]["acceptable"]), (case.goes, case.goes), exchanger)
            self.assertIs(said["validated"], case.domain.endswith("dane.test"))
            if case.verify == "dane" and case.goes:
                self.assertEqual(exchanger["shown"]["verified"], "dane")

    async def test_bogus(self) -> None:
        """
        A zone with bad signatures has no exchangers at all.
        """
        status, said = await self.explain("bogus.test")
        self.assertEqual((status, said["exchangers"], said["validated"]), (1, [], False))
        self.assertIn("SERVFAIL", said["problem"])


class InterruptedTests(TestCase):
    """
    Somebody does not want to wait.
    """

    timeout = 60

    async def test_interrupted(self) -> None:
        """
        A look that is interrupted ends at once and without a traceback, and blames no exchanger.
        """
        directory = os.path.abspath(self.mktemp())
        os.makedirs(directory)
        connected: Deferred[None] = Deferred()

        class Silent(Protocol):
            def connectionMade(self) -> None:
                connected.callback(None)

        server: Any = Factory.forProtocol(Silent)
        port = listening(self, cast(IReactorTCP, reactor).listenTCP(0, server, interface="127.0.0.1"))
        config = os.path.join(directory, "config.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write(f'[domain."silent.test"]\nroutes = ["127.0.0.1:{port}"]\n')
        start = "import sys; from momentum_tx.cli import main; sys.exit(main())"
        words = ["tls", "explain", "--connect", "--config", config, "silent.test"]
        program = Program([sys.executable, "-c", start, *words], directory)
        self.addCleanup(program.kill)
        await connected
        program.signal("TERM")
        self.assertEqual((await program.ended, program.out, program.err), (1, b"", b""))


class DeliveryTests(DNSSECCase):
    """
    The service delivers.
    """

    async def test_delivered(self) -> None:
        """
        Mail goes to those who prove who they are, and to those who need not; nobody else gets
        any, in clear or otherwise.
        """
        service = Twistd(self.directory, "--config", self.config)
        self.addCleanup(lambda: Deferred.fromCoroutine(service.kill()))
        await service.ready(self.smtp)
        injector = Injector([(f"r@{case.domain}", b"Subject: hello\n\nhello\n") for case in self.cases])
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.smtp), injector)
        self.assertTrue(await injector.done)
        settled = len(self.cases)
        await until(lambda: sum(r[4] in "DTP" for r in mainlog(self.directory)) >= settled, "an end of each")
        expected = {case.domain: [case.encrypted] if case.goes else [] for case in self.cases}
        self.assertEqual({domain: sink.encrypted for domain, sink in self.sinks.items()}, expected)
        await service.kill()


class PostfixTests(DNSSECCase):
    """
    The same domains, judged by Postfix.
    """

    extra = f"{SYSTEM_SERVER}@53"

    async def _start(self) -> None:
        self.finger = require("posttls-finger")
        self.unshare = shutil.which("unshare", path=os.defpath + ":/usr/sbin:/sbin")
        if os.geteuid() != 0 or self.unshare is None:
            raise SkipTest("posttls-finger needs another /etc/resolv.conf, and only root can give it one")
        trial = Program([self.unshare, "-m", "true"])
        if await trial.ended:
            raise SkipTest(f"no mount namespace can be made here: {trial.err.decode(errors='replace').strip()}")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial_port:
            try:
                trial_port.bind((SYSTEM_SERVER, 53))
            except OSError as error:
                raise SkipTest(f"port 53, the only one that resolv.conf knows, cannot be had: {error}") from None
        await super()._start()

    async def judged(self, domain: str) -> str:
        """
        What Postfix says of the TLS session with the exchanger of *domain*.
        """
        Path(self.directory, "resolv.conf").write_text(f"nameserver {SYSTEM_SERVER}\noptions trust-ad\n")
        Path(self.directory, "main.cf").write_text("compatibility_level = 3.6\nsmtp_dns_support_level = dnssec\n")
        finger = f"MAIL_CONFIG={self.directory} {self.finger} -c -l dane -o inet_protocols=ipv4 {domain}:{self.port}"
        script = f"mount --bind {self.directory}/resolv.conf /etc/resolv.conf && {finger}"
        assert self.unshare is not None
        program = Program([self.unshare, "-m", "/bin/sh", "-c", script])
        await program.ended
        return (program.out + program.err).decode("utf-8", "replace")

    async def test_agreed(self) -> None:
        """
        Postfix and we are of one mind about every domain: who is verified, who is only
        encrypted, and to whom nothing is sent.
        """
        for case in self.cases:
            said = await self.judged(case.domain)
            verified = "Verified TLS connection established" in said
            encrypted = "TLS connection established" in said
            self.assertEqual(verified, case.verify == "dane" and case.goes, said)
            if not verified and case.goes:
                self.assertTrue(encrypted, said)
