"""
TLS as OpenSSL speaks it, over loopback: servers with all kinds of certificates, versions
and habits, and what a service in this process makes of them.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor, ssl
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from momentum_tx.config.load import parse
from momentum_tx.interfaces.hooks import ILogDeliveryV1, ILogTransientFailureV1
from momentum_tx.seams import real_seams
from momentum_tx.service import OutboundService
from momentum_tx.testing.dns import ScriptedResolver

from ..net.certificates import NAME, Issued, alone, authority, server_context
from .running import until

FAILED = "451 4.7.5 [internal] TLS negotiation failed"
NO_CHAIN = "451 4.7.5 [internal] remote node SSL certificate not signed by a valid CA"
GARBAGE = b"this is not TLS at all\r\n" * 10
NOT_NAMED = "451 4.7.5 [internal] SSL certificate subject does not match host"


@dataclass
class Manner:
    """
    How a server behaves, and what it has seen.

    :ivar context: its end of TLS.
    :ivar implicit: whether TLS comes first.
    :ivar instead: what follows the reply to STARTTLS instead of TLS; ``hang`` for nothing.
    :ivar injected: what follows in clear before TLS begins.
    :ivar again: whether it offers STARTTLS inside TLS too.
    """

    context: SSL.Context
    implicit: bool = False
    instead: bytes = b""
    injected: bytes = b""
    again: bool = False
    names: list[bytes | None] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    taken: list[bool] = field(default_factory=list)
    connections: int = 0


class _Context(ssl.ContextFactory):
    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def getContext(self) -> SSL.Context:
        return self._context


class Server(LineReceiver):
    """
    Takes mail, in TLS or in clear.
    """

    transport: Any
    factory: Any

    def __init__(self) -> None:
        self.encrypted = False
        self.in_data = False

    def connectionMade(self) -> None:
        self.manner: Manner = self.factory.manner
        self.manner.connections += 1
        if self.manner.implicit:
            self._encrypt()
        self.sendLine(b"220 mx.example.test ESMTP")

    def _encrypt(self) -> None:
        self.transport.startTLS(_Context(self.manner.context))
        self.encrypted = True

    def rawDataReceived(self, data: bytes) -> None:
        """
        Whatever it is, it is not answered.
        """

    def lineReceived(self, line: bytes) -> None:
        if self.in_data:
            if line == b".":
                self.in_data = False
                self.manner.taken.append(self.encrypted)
                if self.encrypted:
                    shown = self.transport.getHandle().get_peer_certificate(as_cryptography=True)
                    self.manner.shown.append(shown.subject.rfc4514_string() if shown is not None else "")
                self.sendLine(b"250 kept")
            return
        verb = line.split(b" ")[0].decode().upper()
        self.manner.verbs.append(verb)
        if verb == "EHLO":
            offers = not self.manner.implicit and (not self.encrypted or self.manner.again)
            self.sendLine(b"250-mx.example.test")
            self.sendLine(b"250 STARTTLS" if offers else b"250 8BITMIME")
        elif verb == "STARTTLS":
            self._starttls()
        elif verb == "DATA":
            self.in_data = True
            self.sendLine(b"354 go on")
        elif verb == "QUIT":
            self.sendLine(b"221 bye")
            self.transport.loseConnection()
        else:
            self.sendLine(b"250 ok")

    def _starttls(self) -> None:
        manner = self.manner
        self.transport.write(b"220 go ahead\r\n" + manner.injected)
        if manner.instead == b"hang":
            self.setRawMode()
        elif manner.instead:
            real: Any = reactor
            real.callLater(0.1, self.transport.write, manner.instead)
            self.setRawMode()
        else:
            self._encrypt()


@implementer(ILogDeliveryV1, ILogTransientFailureV1)
class Ear:
    """
    What became of the mail.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.facts: list[Any] = []
        self.lines: list[str] = []

    def log_delivery_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self.notes.append("delivered")
        self.facts.append(msg.connection.tls)

    def log_transient_failure_v1(self, msg: Any, dr: Any, now: float | None, note: bytes | None) -> None:
        self.notes.append((note or b"").decode())
        self.facts.append(msg.connection and msg.connection.tls)
        self.lines = msg.connection.transcript.lines() if msg.connection else []


class TLSCase(TestCase):
    """
    A directory with certificates, a server, and services one after the other.
    """

    timeout = 60

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="momentum-tx-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        client = authority().issue(["client.test"], for_clients=True)
        Path(self.directory, "ca.pem").write_bytes(authority().pem)
        Path(self.directory, "own.pem").write_bytes(client.pem + client.key_pem)
        os.chmod(f"{self.directory}/own.pem", 0o600)

    def manner(self, shown: Issued | None = None, **fields: Any) -> Manner:
        """
        A server's, with a good certificate or *shown*.
        """
        manner = Manner(server_context(shown or authority().issue()), **fields)
        manner.context.set_tlsext_servername_callback(
            lambda connection: manner.names.append(connection.get_servername())
        )
        return manner

    async def outcome(self, manner: Manner, options: str) -> str:
        """
        What becomes of one message: ``tls`` or ``clear``, or the note of its first failure.
        """
        factory: Any = Factory.forProtocol(Server)
        factory.manner = manner
        real: Any = reactor
        port = real.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number = port.getHost().port
        text = (
            f'[global]\nstate_dir = "{tempfile.mkdtemp(dir=self.directory)}"\nsmtp_listen = []\nhostname = "mta.test"\n'
            f'quit_timeout = 0.5\nidle_timeout = 0.1\n[domain."example.test"]\nroutes = ["{NAME}:{number}"]\n{options}'
        )
        resolver = ScriptedResolver(real)
        resolver.addresses[NAME] = ["127.0.0.1"]
        seams = replace(real_seams(real), resolver=lambda settings: resolver)
        service = OutboundService(real, parse(text.replace("@", self.directory + "/"), "test"), seams)
        self.ear = ear = Ear()
        service.hooks.register_last(ear)
        service.startService()
        await service.when_ready()
        service.send("a@sender.test", ["b@example.test"], b"Subject: x\r\n\r\nx\r\n").addErrback(lambda _: None)
        await until(lambda: ear.notes, "an outcome")
        await service.stopService()
        (note,) = ear.notes[:1]
        return note if note != "delivered" else "tls" if manner.taken[0] else "clear"


class CertificateTests(TLSCase):
    """
    Certificates, as OpenSSL verifies them.
    """

    async def test_matrix(self) -> None:
        """
        A good one, a wrong name, an expired one, one that nobody has signed, one of an
        unknown issuer: delivered or refused as the option says.
        """
        ca = authority()
        shown = ca.issue(), ca.issue(["other.test"]), ca.issue(expired=True), alone(), authority("Unknown").issue()
        for verify, expected in (
            ("no", ["tls"] * 5),
            ("optional", ["tls"] * 5),
            ("ca", ["tls", "tls", NO_CHAIN, NO_CHAIN, NO_CHAIN]),
            ("host", ["tls", NOT_NAMED, NO_CHAIN, NO_CHAIN, NO_CHAIN]),
        ):
            options = f'tls = "required"\ntls_verify = "{verify}"\ntls_ca = "@ca.pem"\n'
            found = [await self.outcome(self.manner(each), options) for each in shown]
            self.assertEqual(found, expected, verify)

    async def test_facts(self) -> None:
        """
        What is told afterwards; and a refusal ends in QUIT, with nothing of the mail said.
        """
        options = 'tls = "required"\ntls_verify = "host"\ntls_ca = "@ca.pem"\n'
        manner = self.manner()
        await self.outcome(manner, options)
        facts = self.ear.facts[0]
        self.assertEqual((facts.version, facts.verified, facts.name, facts.problem), ("TLSv1.3", "host", NAME, ""))
        self.assertEqual((facts.subject, facts.issuer), (f"CN={NAME}", "CN=Tests' own authority"))
        self.assertTrue(facts.group)
        self.assertEqual(manner.names, [NAME.encode()])
        manner = self.manner(authority().issue(["other.test"]))
        await self.outcome(manner, options)
        self.assertEqual(manner.verbs, ["EHLO", "STARTTLS", "QUIT"])
        facts = self.ear.facts[0]
        self.assertEqual((facts.verified, facts.problem_kind), ("ca", "certificate-host-mismatch"))
        self.assertIn("its names: other.test", facts.problem)

    async def test_client_certificate(self) -> None:
        """
        A server that demands a certificate is shown ours; without one it gets no mail.
        """
        for options, expected in (('tls_certificate = "@own.pem"\n', "tls"), ("", FAILED)):
            manner = self.manner()
            manner.context.set_min_proto_version(SSL.TLS1_2_VERSION)
            # With TLS 1.3 the server's verdict comes only after the handshake.
            manner.context.set_max_proto_version(SSL.TLS1_2_VERSION)
            manner.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *told: True)
            self.assertEqual(await self.outcome(manner, f'tls = "required"\n{options}'), expected)
            self.assertEqual(manner.shown, ["CN=client.test"] if expected == "tls" else [])


class HandshakeTests(TLSCase):
    """
    Servers that cannot, or will not.
    """

    async def test_implicit(self) -> None:
        """
        TLS from the first octet, verified.
        """
        manner = self.manner(implicit=True)
        options = 'tls = "implicit"\ntls_verify = "host"\ntls_ca = "@ca.pem"\n'
        self.assertEqual(await self.outcome(manner, options), "tls")
        self.assertEqual((manner.verbs[0], manner.names), ("EHLO", [NAME.encode()]))
        self.assertNotIn("STARTTLS", manner.verbs)
        manner = self.manner(alone(), implicit=True)
        self.assertEqual(await self.outcome(manner, options), NO_CHAIN)
        self.assertEqual(manner.taken, [])

    async def test_implicit_to_clear(self) -> None:
        """
        A server that greets in clear where TLS should come first gets nothing.
        """
        manner = self.manner()
        self.assertEqual(await self.outcome(manner, 'tls = "implicit"\n'), FAILED)
        self.assertEqual(manner.verbs, [])

    async def test_old_versions(self) -> None:
        """
        A server that knows TLS 1.0 and 1.1 only is refused; whoever asks for those by name gets them.
        """
        for options, expected in (
            ('tls = "required"\n', FAILED),
            ('tls = "ifavailable"\n', "clear"),
            ('tls = "required"\ntls_protocols = "+ALL +TLSv1.1"\n', "tls"),
        ):
            manner = self.manner()
            manner.context.set_min_proto_version(SSL.TLS1_VERSION)
            manner.context.set_max_proto_version(SSL.TLS1_1_VERSION)
            manner.context.set_cipher_list(b"ALL:@SECLEVEL=0")
            self.assertEqual(await self.outcome(manner, options), expected, options)
        self.assertEqual(self.ear.facts[0].version, "TLSv1.1")

    async def test_reason(self) -> None:
        """
        Why the handshake failed is in the transcript, in OpenSSL's words.
        """
        manner = self.manner(instead=GARBAGE)
        self.assertEqual(await self.outcome(manner, 'tls = "required"\n'), FAILED)
        (line,) = [line for line in self.ear.lines if "connection closed" in line]
        self.assertIn("connection closed: ", line)
        self.assertIn("version", line)

    async def test_no_handshake(self) -> None:
        """
        Garbage, or silence, instead of a handshake: two connections, and mail waits where
        TLS is required; a third one in clear where it is not.  Garbage that was sent before
        it could be an answer needs no second try.
        """
        broken = "451 4.5.0 [internal] protocol error: plain text behind the reply to STARTTLS"
        for instead, injected, tls, expected, connections in (
            (GARBAGE, b"", "required", FAILED, 2),
            (GARBAGE, b"", "ifavailable", "clear", 3),
            (b"hang", b"", "required", FAILED, 2),
            (b"hang", b"", "ifavailable", "clear", 3),
            (b"hang", GARBAGE, "required", broken, 1),
            (b"hang", GARBAGE, "ifavailable", "clear", 2),
        ):
            manner = self.manner(instead=instead, injected=injected)
            options = f'tls = "{tls}"\nstarttls_timeout = 0.5\n'
            self.assertEqual(await self.outcome(manner, options), expected)
            self.assertEqual(manner.connections, connections)
            self.assertEqual(manner.taken, [False] * (tls != "required"))

    async def test_injected(self) -> None:
        """
        What comes in clear behind the reply to STARTTLS, whole or in part, is never read as
        if it had come through TLS.
        """
        for injected in (b"250-evil\r\n250 SIZE 1\r\n", b"2"):
            manner = self.manner(injected=injected)
            note = await self.outcome(manner, 'tls = "required"\n')
            self.assertIn("protocol error", note)
            self.assertEqual(manner.taken, [])

    async def test_offered_again(self) -> None:
        """
        STARTTLS that is offered inside TLS is not used.
        """
        manner = self.manner(again=True)
        self.assertEqual(await self.outcome(manner, 'tls = "required"\n'), "tls")
        self.assertEqual(manner.verbs.count("STARTTLS"), 1)
