"""
MTA-STS against a real web server, real name servers and real TLS.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from momentum_tx.errors import DeliveryError
from momentum_tx.net.https import HTTPSFetch, trust_root
from momentum_tx.net.resolver import DNSResolver
from momentum_tx.policy.mta_sts import policy_url

from ..net.pki import Identity, issue
from .dnssec import Lab
from .needs import require
from .running import free_port
from .test_dane import TLSSink, explained, listening
from .test_resolver import free_port as free_dns_port

NOW = datetime.now(UTC)
CA = issue("Lab CA", authority=True, now=NOW)
ZONE = "sts.test"
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx-{name}.sts.test\r\nmax_age: 86400\r\n"


class Document(Resource):
    """
    A policy host's whole content.
    """

    isLeaf = True

    def __init__(self, text: str, kind: str = "text/plain", redirect: str = "", hangs: bool = False) -> None:
        super().__init__()
        self._text = text
        self._kind = kind
        self._redirect = redirect
        self._hangs = hangs
        self.asked: list[bytes] = []

    def render_GET(self, request: Any) -> Any:
        """
        Answer, or not.
        """
        self.asked.append(request.uri)
        if self._hangs:
            return NOT_DONE_YET
        if self._redirect:
            request.redirect(self._redirect.encode())
            return b""
        request.setHeader(b"content-type", self._kind.encode())
        return self._text.encode()


class _Contexts(ssl.ContextFactory):
    def __init__(self, identity: Identity) -> None:
        self._context = context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(crypto.X509.from_cryptography(identity.certificate))
        context.use_privatekey(crypto.PKey.from_cryptography_key(identity.key))

    def getContext(self) -> SSL.Context:
        return self._context


class PolicyHostTests(TestCase):
    """
    Policy hosts, good and bad.
    """

    timeout = 120

    def setUp(self) -> Any:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        require("nsd")
        require("unbound")
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        self.smtp_port = free_port()
        self.lines: list[str] = []
        self.web: dict[str, tuple[int, Document]] = {}
        self.sinks: dict[str, TLSSink] = {}
        expired = {"days": (-30, -1)}
        self.add("good", POLICY)
        self.add("testing", POLICY.replace("enforce", "testing"))
        self.add("misnamed", POLICY, mail=issue("elsewhere.test", CA, now=NOW))
        self.add("unlisted", POLICY.replace("mx-{name}", "other"))
        self.add("expired", POLICY, web=issue("mta-sts.expired.sts.test", CA, now=NOW, **expired))  # type: ignore[arg-type]
        self.add("wrong", POLICY, web=issue("www.wrong.sts.test", CA, now=NOW))
        self.add("unknown", POLICY, web=issue("mta-sts.unknown.sts.test", now=NOW))
        self.add("redirect", POLICY, redirect="https://mta-sts.good.sts.test/.well-known/mta-sts.txt")
        self.add("oversize", POLICY + "x: " + "y" * 70_000 + "\r\n")
        self.add("html", POLICY, kind="text/html")
        self.add("hangs", POLICY, hangs=True)
        self.lab = Lab(f"{self.directory}/dns", (free_dns_port(), free_dns_port()))
        self.addCleanup(self.lab.stop_later)
        self.lab.plain(ZONE, self.lines)
        await self.lab.start()
        self.resolver = DNSResolver(reactor, [self.lab.server], SystemRandom(), timeout=2.0)
        self.addCleanup(self._close)
        await self.lab.ready(self.resolver, f"good.{ZONE}")
        self.issuers = f"{self.directory}/ca.pem"
        Path(self.issuers).write_bytes(CA.certificate.public_bytes(Encoding.PEM))
        address, port = self.lab.server
        self.config = f"{self.directory}/momentum.toml"
        Path(self.config).write_text(
            f'[global]\nstate_dir = "{self.directory}/state"\nnameservers = ["{address}:{port}"]\n'
            f'prohibited_hosts = []\nhostname = "mta.example"\nremote_smtp_port = {self.smtp_port}\n'
            f'use_mta_sts = true\nmta_sts_ca = "{self.issuers}"\ntls_ca = "{self.issuers}"\n',
            "utf-8",
        )

    def _close(self) -> Deferred[None]:
        self.resolver.close()
        return deferLater(reactor, 0.01)

    def add(
        self, name: str, policy: str, web: Identity | None = None, mail: Identity | None = None, **how: Any
    ) -> None:
        """
        A domain with a policy host and an exchanger.
        """
        domain, host = f"{name}.{ZONE}", f"mx-{name}.{ZONE}"
        number = len(self.web) + 1
        address = f"127.77.2.{number}"
        document = Document(policy.format(name=name), **how)
        factory: Any = Site(document)
        factory.noisy = False
        contexts = _Contexts(web or issue(f"mta-sts.{domain}", CA, now=NOW))
        real: Any = reactor
        port = listening(self, real.listenSSL(0, factory, contexts, interface="127.0.0.1"))
        self.web[domain] = port, document
        sink: Any = TLSSink(mail or issue(host, CA, now=NOW))
        listening(self, reactor.listenTCP(self.smtp_port, sink, interface=address))
        self.lines += [
            f"{domain}. IN MX 10 {host}.",
            f"{host}. IN A {address}",
            f"mta-sts.{domain}. IN A 127.0.0.1",
            f'_mta-sts.{domain}. IN TXT "v=STSv1; id=2026{number};"',
        ]

    async def explain(self, name: str, *options: str) -> tuple[int, dict[str, Any]]:
        """
        What the command says of a domain, and its status.
        """
        domain = f"{name}.{ZONE}"
        place = f"127.0.0.1:{self.web[domain][0]}"
        return await explained(self, self.directory, "--config", self.config, "--policy-from", place, *options, domain)

    async def test_obeyed(self) -> None:
        """
        A policy from a host with a good certificate demands of the exchanger what it says,
        and leaves out one it does not name.
        """
        for name, verify, goes in (("good", "host", True), ("testing", "optional", True), ("misnamed", "host", False)):
            status, said = await self.explain(name, "--connect")
            (exchanger,) = said["exchangers"]
            self.assertEqual(exchanger["decision"]["demanded"]["verify"], verify, name)
            self.assertEqual((status == 0, exchanger["shown"]["acceptable"]), (goes, goes), exchanger)
            self.assertEqual(exchanger["shown"]["verified"] == "host", goes)
        status, said = await self.explain("unlisted")
        self.assertEqual((status, said["exchangers"][0]["decision"]), (1, None))
        self.assertIn("not in the MTA-STS policy", said["exchangers"][0]["left_out"])

    async def test_no_policy(self) -> None:
        """
        A policy host with a bad certificate, one that sends elsewhere, or serves too much or
        the wrong thing, has no policy; where it sends to is not gone.
        """
        for name, word in (
            ("expired", "certificate verify failed"),
            ("wrong", "VerificationError"),
            ("unknown", "certificate verify failed"),
            ("redirect", "HTTP status 302"),
            ("oversize", "more than 65536 octets"),
            ("html", "text/html"),
        ):
            status, said = await self.explain(name)
            self.assertEqual((status, said["mta_sts"]["policy"]), (0, None), name)
            self.assertIn(word, said["mta_sts"]["problem"])
            self.assertEqual(said["exchangers"][0]["decision"]["demanded"]["tls"], "no")
        self.assertEqual(self.web[f"good.{ZONE}"][1].asked, [])

    async def test_hangs(self) -> None:
        """
        A policy host that does not answer costs as long as it is given, and no longer.
        """
        domain = f"hangs.{ZONE}"
        port, document = self.web[domain]

        def endpoint(address: str, _: int) -> TCP4ClientEndpoint:
            return TCP4ClientEndpoint(reactor, address, port)

        root = trust_root(self.issuers)
        fetch = HTTPSFetch(reactor, self.resolver, lambda address: False, endpoint=endpoint, trust_root=root)
        with self.assertRaisesRegex(DeliveryError, "not done in 0.5 s"):
            await fetch.fetch(policy_url(domain), 0.5, 65536)
        self.assertEqual(document.asked, [b"/.well-known/mta-sts.txt"])
        prohibiting = HTTPSFetch(reactor, self.resolver, lambda address: True, endpoint=endpoint, trust_root=root)
        with self.assertRaisesRegex(DeliveryError, "prohibited"):
            await prohibiting.fetch(policy_url(domain), 0.5, 65536)
