"""
Tests for :mod:`momentum_tx.net.tls`: handshakes with a server in memory.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.seams import ITLSFacts, ITLSUpgrade
from momentum_tx.net.tls import OpenSSLUpgrade, TLSFacts
from momentum_tx.policy.tls import TLSParameters, is_address

from .certificates import self_signed, server_context


class UpgradedTransport:
    """
    Takes note of how ``startTLS`` was called, and gives out the connection.
    """

    def __init__(self) -> None:
        self.normal: bool | None = None
        self.connection: Any = None

    def startTLS(self, creator: Any, normal: bool = True) -> None:
        verifyObject(IOpenSSLClientConnectionCreator, creator)
        self.normal = normal
        self.connection = creator.clientConnectionForTLS(None)
        self.connection.set_connect_state()

    def getHandle(self) -> Any:
        return self.connection


def shake(client: Any, server: Any, size: int = 65536) -> bool:
    """
    Carry octets to and fro until both are done; false if they get nowhere.

    :param size: octets carried at once.
    """
    done = {id(client): False, id(server): False}
    for _ in range(100_000):
        moved = False
        for end, other in ((client, server), (server, client)):
            if not done[id(end)]:
                try:
                    end.do_handshake()
                    done[id(end)] = True
                except SSL.WantReadError:
                    pass
            try:
                data = end.bio_read(size)
            except SSL.WantReadError:
                continue
            other.bio_write(data)
            moved = True
        if all(done.values()):
            return True
        if not moved:
            return False
    raise AssertionError("the handshake does not end")


class UpgradeTests(SynchronousTestCase):
    """
    The client's side.
    """

    def setUp(self) -> None:
        self.upgrade = OpenSSLUpgrade()
        self.transport: Any = UpgradedTransport()
        self.names: list[bytes | None] = []
        self.context = server_context()
        self.context.set_tlsext_servername_callback(lambda connection: self.names.append(connection.get_servername()))

    def handshake(self, name: str, policy: str = "required", size: int = 65536) -> bool:
        """
        Upgrade to the test's server.
        """
        parameters = TLSParameters(use=policy, sni="" if is_address(name) else name)
        self.upgrade.upgrade(self.transport, parameters)
        server = SSL.Connection(self.context, None)
        server.set_accept_state()
        return shake(self.transport.connection, server, size)

    def test_contracts(self) -> None:
        """
        The upgrade and what it found fulfil their interfaces.
        """
        verifyObject(ITLSUpgrade, self.upgrade)
        self.assertTrue(self.handshake("mx.example.test"))
        verifyObject(ITLSFacts, self.upgrade.facts(self.transport))

    def test_unverified(self) -> None:
        """
        A certificate that nobody vouches for, of another name, will do for both
        policies; the client's side is taken of a connection that was adopted.
        """
        for policy in ("ifavailable", "required"):
            self.assertTrue(self.handshake("other.example.test", policy))
            self.assertIs(self.transport.normal, False)

    def test_octet_by_octet(self) -> None:
        """
        The same handshake with one octet at a time.
        """
        self.assertTrue(self.handshake("mx.example.test", size=1))

    def test_server_name(self) -> None:
        """
        The name is sent for SNI, an address is not (RFC 6066 section 3).
        """
        for name in ("mx.example.test", "127.0.0.1", "::1", ""):
            self.assertTrue(self.handshake(name))
        self.assertEqual(self.names, [b"mx.example.test", None, None, None])

    def test_facts(self) -> None:
        """
        Version, cipher and the digest of the certificate shown.
        """
        self.handshake("mx.example.test")
        facts = self.upgrade.facts(self.transport)
        certificate = load_pem_x509_certificate(self_signed()[0])
        digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
        self.assertEqual(facts, TLSFacts("TLSv1.3", facts.cipher, digest, facts.group))
        self.assertIn("25519", facts.group)
        self.assertTrue(facts.cipher.startswith("TLS_"), facts.cipher)

    def test_old_versions(self) -> None:
        """
        TLS 1.2 is spoken, older ones are not.
        """
        self.context.set_max_proto_version(SSL.TLS1_2_VERSION)
        self.assertTrue(self.handshake("mx.example.test"))
        self.assertEqual(self.upgrade.facts(self.transport).version, "TLSv1.2")
        self.context = server_context()
        self.context.set_min_proto_version(SSL.TLS1_VERSION)
        self.context.set_max_proto_version(SSL.TLS1_1_VERSION)
        self.context.set_cipher_list(b"ALL:@SECLEVEL=0")
        self.assertRaises(SSL.Error, self.handshake, "mx.example.test")

    def test_no_certificate(self) -> None:
        """
        A server without a certificate (before TLS 1.3) is possible where
        nothing is verified; then the digest is empty.
        """

        class Handle:
            def get_peer_certificate(self, as_cryptography: bool = False) -> None:
                return None

            def get_protocol_version_name(self) -> str:
                return "TLSv1.2"

            def get_cipher_name(self) -> None:
                return None

            def get_group_name(self) -> None:
                return None

        self.transport.connection = Handle()
        self.assertEqual(self.upgrade.facts(self.transport), TLSFacts("TLSv1.2", "", ""))

    def test_not_to_be_had(self) -> None:
        """
        TLS that is not wanted, or cannot be verified as wanted, is refused, not weakened.
        """
        for parameters in (TLSParameters(use="no"), TLSParameters(use="required", verify="host")):
            self.assertRaises(ValueError, self.upgrade.upgrade, self.transport, parameters)
        self.assertIsNone(self.transport.connection)
