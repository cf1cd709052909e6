"""
Tests for :mod:`momentum_tx.net.tls`: handshakes with a server in memory.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import SubjectAlternativeName, load_der_x509_certificate, load_pem_x509_certificate
from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.seams import ITLSFacts, ITLSUpgrade
from momentum_tx.net.dane import presented_names
from momentum_tx.net.tls import OpenSSLUpgrade, TLSFacts, handshake_problem
from momentum_tx.policy.tls import TLSAssociation, TLSParameters, is_address

from .certificates import NAME, Issued, alone, authority, self_signed, server_context


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
        # As Twisted does.
        self.connection.set_app_data(self)
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
        self.upgrade.equip({"/ca": authority().pem})
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
        subject = f"CN={NAME}"
        self.assertEqual(facts, TLSFacts("TLSv1.3", facts.cipher, digest, facts.group, subject, subject))
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

    def test_old_versions_asked_for(self) -> None:
        """
        Whoever asks for an older version by name gets it, with the ciphers it needs.
        """
        self.context.set_min_proto_version(SSL.TLS1_VERSION)
        self.context.set_max_proto_version(SSL.TLS1_1_VERSION)
        self.context.set_cipher_list(b"ALL:@SECLEVEL=0")
        self.upgrade.upgrade(self.transport, TLSParameters(use="required", protocols="+ALL +TLSv1.1"))
        server = SSL.Connection(self.context, None)
        server.set_accept_state()
        self.assertTrue(shake(self.transport.connection, server))
        self.assertEqual(self.upgrade.facts(self.transport).version, "TLSv1.1")

    def test_no_certificate(self) -> None:
        """
        A server without a certificate (before TLS 1.3): the digest is empty, and who
        wanted it verified is told that there is none.
        """

        class Handle:
            def __init__(self, parameters: TLSParameters) -> None:
                self.parameters = parameters
                self.errors: list[int] = []
                self.damaged = False

            def get_peer_cert_chain(self, as_cryptography: bool = False) -> Any:
                if self.damaged:
                    raise ValueError("no such extension")
                return None

            def get_protocol_version_name(self) -> str:
                return "TLSv1.2"

            def get_cipher_name(self) -> None:
                return None

            def get_group_name(self) -> None:
                return None

        self.transport.connection = Handle(TLSParameters(use="required"))
        self.assertEqual(self.upgrade.facts(self.transport), TLSFacts("TLSv1.2", "", ""))
        self.transport.connection = Handle(TLSParameters(use="required", verify="ca"))
        facts = self.upgrade.facts(self.transport)
        self.assertEqual((facts.verified, facts.problem), ("", "no certificate was shown"))
        self.transport.connection.damaged = True
        self.assertEqual(self.upgrade.facts(self.transport).problem, "the certificate cannot be understood")

    def test_not_to_be_had(self) -> None:
        """
        TLS that is not wanted, or cannot be had as wanted, is refused, not weakened.
        """
        for parameters in (
            TLSParameters(use="no"),
            TLSParameters(use="required", verify="host", ca="/elsewhere"),
            TLSParameters(use="required", certificate="/elsewhere"),
            TLSParameters(use="required", ciphers="no such cipher"),
            TLSParameters(use="required", verify="ca", ca="/ca", protocols="+TLSv1.1"),
        ):
            self.assertRaises(ValueError, self.upgrade.upgrade, self.transport, parameters)
        self.assertIsNone(self.transport.connection)


class HandshakeProblemTests(SynchronousTestCase):
    """
    Why a handshake failed, for the transcript.
    """

    def test_problem(self) -> None:
        """
        OpenSSL's own words, as far as it was OpenSSL.
        """
        error = SSL.Error([("SSL routines", "", "wrong version number"), ("SSL routines", "", "bad\r\nend")])
        self.assertEqual(handshake_problem(Failure(error)), "wrong version number, bad??end")
        for other in (SSL.Error(), SSL.SysCallError(-1, "Unexpected EOF"), ConnectionLost()):
            self.assertEqual(handshake_problem(Failure(other)), "")
        self.assertEqual(handshake_problem(None), "")


def _damaged(issued: Issued, octets: bytes, others: bytes) -> Issued:
    """
    The same with some octets exchanged; the signature is wrong then.
    """
    der = issued.certificate.public_bytes(Encoding.DER)
    assert octets in der and len(octets) == len(others)
    return Issued(load_der_x509_certificate(der.replace(octets, others)), issued.key, issued.chain)


def _key_of(issued: Issued) -> bytes:
    return issued.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class VerificationTests(SynchronousTestCase):
    """
    What is told of certificates; the handshake succeeds with all of them.
    """

    def facts(
        self,
        shown: Issued,
        verify: str = "host",
        names: tuple[str, ...] = (NAME,),
        ca: str = "/ca",
        tlsa: tuple[TLSAssociation, ...] = (),
    ) -> TLSFacts:
        """
        Of a server that shows *shown*.
        """
        upgrade, transport = OpenSSLUpgrade(), UpgradedTransport()
        upgrade.equip({"/ca": authority().pem, "/alone": alone().pem, "": authority("Of the system").pem})
        anything: Any = transport
        upgrade.upgrade(anything, TLSParameters("required", verify, names, tlsa, NAME, ca=ca))
        server = SSL.Connection(server_context(shown), None)
        server.set_accept_state()
        self.assertTrue(shake(transport.connection, server))
        return upgrade.facts(anything)

    def test_unreadable(self) -> None:
        """
        A certificate in which a name is nonsense is one like others where nothing is verified, or its
        key is what counts; where it has to be read it is none.
        """
        nonsense = _damaged(authority().issue(common_name="Rene"), b"\x0c\x04Rene", b"\x14\x04Ren\xe9")
        facts = self.facts(nonsense, "no")
        self.assertEqual((facts.subject, facts.problem), ("", ""))
        self.assertEqual(len(facts.certificate_digest), 64)
        self.assertEqual(self.facts(nonsense, "optional").verified, "")
        key = hashlib.sha256(_key_of(nonsense)).digest()
        self.assertEqual(self.facts(nonsense, "dane", tlsa=(TLSAssociation(3, 1, 1, key),)).verified, "dane")

    def test_unreadable_names(self) -> None:
        """
        Alternative names of a kind that nobody knows are none.
        """
        shown = authority().issue(names=("abc.example.test",))
        strange = shown.certificate.extensions.get_extension_for_class(SubjectAlternativeName)
        octets = strange.value.public_bytes()
        self.assertEqual(octets[2], 0x82)
        unknown = _damaged(shown, octets, octets[:2] + b"\xa3" + octets[3:])
        self.assertEqual(self.facts(unknown, "optional").verified, "")
        self.assertEqual(presented_names(unknown.certificate), ())

    def test_good(self) -> None:
        """
        A good certificate is verified as far as is wanted, and no further.
        """
        shown = authority().issue()
        found = []
        for verify in ("no", "ca", "host", "optional"):
            facts = self.facts(shown, verify)
            self.assertEqual((facts.problem, facts.problem_kind), ("", ""))
            self.assertEqual((facts.subject, facts.issuer), (f"CN={NAME}", "CN=Tests' own authority"))
            found.append((facts.verified, facts.name))
        self.assertEqual(found, [("", ""), ("ca", ""), ("host", NAME), ("host", NAME)])

    def test_bad(self) -> None:
        """
        What is wrong, and of which kind it is; how far it was verified all the same.
        """
        ca = authority()
        for shown, problem, kind, verified in (
            (ca.issue(["other.test"]), "its names: other.test", "certificate-host-mismatch", "ca"),
            (ca.issue([], common_name=NAME), "its names: none", "certificate-host-mismatch", "ca"),
            (ca.issue(expired=True), "it has expired", "certificate-expired", ""),
            (alone(), "it is signed by itself", "certificate-not-trusted", ""),
            (authority("Somebody").issue(), "its issuer is not known", "certificate-not-trusted", ""),
            (authority("Of the system").issue(), "its issuer is not known", "certificate-not-trusted", ""),
            (ca.issue(for_clients=True), "it is not made for servers", "validation-failure", ""),
        ):
            for verify in ("host", "optional"):
                facts = self.facts(shown, verify)
                self.assertIn(problem, facts.problem)
                self.assertEqual((facts.problem_kind, facts.verified, facts.name), (kind, verified, ""))
                self.assertTrue(facts.certificate_digest)

    def test_names(self) -> None:
        """
        One of the names will do; a wildcard covers one label, and addresses and nonsense are no names.
        """
        wild = authority().issue(["*.example.test", "domain.test"])
        self.assertEqual(self.facts(wild).name, NAME)
        self.assertEqual(self.facts(wild, names=("x.y.example.test", "domain.test")).name, "domain.test")
        for name in ("x.y.example.test", "example.test", "192.0.2.1", "a b", "", "\u00e9.test"):
            self.assertEqual(self.facts(wild, names=(name,)).verified, "ca", name)

    def test_address(self) -> None:
        """
        A host that is called by its address has that in its certificate.
        """
        shown = authority().issue(["192.0.2.1"])
        self.assertEqual(self.facts(shown, names=("192.0.2.1",)).verified, "host")
        self.assertEqual(self.facts(shown, names=("192.0.2.2",)).verified, "ca")

    def test_issuers(self) -> None:
        """
        A chain with an issuer in between; the system's issuers where none are named; and an
        issuer in between, or a certificate, that is trusted itself.
        """
        between = authority().issue([], authority=True, common_name="Between").issue()
        self.assertEqual(len(between.chain), 1)
        self.assertEqual(self.facts(between).verified, "host")
        self.assertEqual(self.facts(between, ca=between.chain[0].public_bytes(Encoding.PEM).decode()).verified, "host")
        self.assertEqual(self.facts(authority("Of the system").issue(), ca="").verified, "host")
        self.assertEqual(self.facts(authority().issue(), ca="").verified, "")
        self.assertEqual(self.facts(alone(), ca="/alone").verified, "host")

    def test_associations(self) -> None:
        """
        With associations the certificate has to match one of them, whoever signed it; names
        and dates matter as usage says.
        """
        old, ca = authority().issue(expired=True), authority()
        ours = TLSAssociation(3, 1, 1, hashlib.sha256(_key_of(old)).digest())
        theirs = TLSAssociation(2, 0, 0, ca.certificate.public_bytes(Encoding.DER))
        for shown, record, verified, kind in (
            (old, ours, "dane", ""),
            (alone(), ours, "", "tlsa-invalid"),
            (ca.issue(), theirs, "dane", ""),
            (old, theirs, "", "certificate-expired"),
            (ca.issue(["other.test"]), theirs, "", "certificate-host-mismatch"),
        ):
            facts = self.facts(shown, "dane", tlsa=(record,))
            self.assertEqual((facts.verified, facts.problem_kind), (verified, kind), shown)
            self.assertEqual(bool(facts.problem), not verified)

    def test_as_text(self) -> None:
        """
        A hook may give issuers as they are, instead of a file that an option names.
        """
        self.assertEqual(self.facts(authority().issue(), ca=authority().pem.decode()).verified, "host")
