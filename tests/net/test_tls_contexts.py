"""
Tests for :mod:`momentum_tx.net.tls_contexts`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.net import tls_contexts
from momentum_tx.net.tls_contexts import Contexts
from momentum_tx.policy.tls import TLSParameters

from .certificates import alone, authority, server_context
from .test_tls import shake

WANTED = TLSParameters(use="required")


class ContextsTests(SynchronousTestCase):
    """
    One context for each policy.
    """

    def setUp(self) -> None:
        self.contexts = Contexts(lambda *told: True)
        between = authority().issue([], authority=True, common_name="Between")
        client = between.issue(["client.test"], for_clients=True)
        self.files = {
            "/ca": authority().pem,
            "/own": client.pem,
            "/key": client.key_pem,
            "/both": client.key_pem + client.pem,
            "/other": alone().key_pem,
        }
        self.contexts.equip(self.files)

    def connect(self, context: SSL.Context, server: SSL.Context) -> tuple[Any, Any]:
        """
        Both ends of a handshake that is done.
        """
        ends = SSL.Connection(context, None), SSL.Connection(server, None)
        ends[0].set_connect_state()
        ends[1].set_accept_state()
        self.assertTrue(shake(*ends))
        return ends

    def hello(self, context: SSL.Context) -> bytes:
        """
        The first message of a handshake.
        """
        connection = SSL.Connection(context, None)
        connection.set_connect_state()
        self.assertRaises(SSL.WantReadError, connection.do_handshake)
        return connection.bio_read(65536)

    def test_shared(self) -> None:
        """
        What makes no difference to a handshake shares a context; what does has its own.
        """
        context = self.contexts.context(WANTED, False)
        for same in (
            {"use": "ifavailable"},
            {"names": ("a.test",), "sni": "a.test"},
            {"ca": "/ca", "fallback": False, "origin": "hook"},
            {"protocols": "+ALL"},
        ):
            self.assertIs(self.contexts.context(replace(WANTED, **same), False), context, same)
        for other in (
            {"verify": "ca", "ca": "/ca"},
            {"certificate": "/both"},
            {"ciphers": "HIGH"},
            {"tlsv13_ciphersuites": "TLS_AES_128_GCM_SHA256"},
            {"protocols": "+TLSv1.3"},
        ):
            anything: Any = other
            self.assertIsNot(self.contexts.context(replace(WANTED, **anything), False), context, other)
        self.assertIsNot(self.contexts.context(WANTED, True), context)

    def test_bounded(self) -> None:
        """
        However many there are, only so many are kept, those that were used last.
        """
        self.patch(tls_contexts, "MOST_CONTEXTS", 3)
        made = [self.contexts.context(replace(WANTED, ciphers=f"HIGH:@SECLEVEL={level}"), False) for level in range(3)]
        self.assertIs(self.contexts.context(replace(WANTED, ciphers="HIGH:@SECLEVEL=0"), False), made[0])
        self.contexts.context(replace(WANTED, ciphers="DEFAULT"), False)
        self.assertEqual(len(self.contexts), 3)
        self.assertIs(self.contexts.context(replace(WANTED, ciphers="HIGH:@SECLEVEL=0"), False), made[0])
        self.assertIsNot(self.contexts.context(replace(WANTED, ciphers="HIGH:@SECLEVEL=1"), False), made[1])

    def test_issuers_bounded(self) -> None:
        """
        The same holds for lists of issuers.
        """
        self.patch(tls_contexts, "MOST_ISSUERS", 2)
        for name in ("One", "Two", "Three"):
            ca = authority(name).pem.decode()
            self.contexts.context(replace(WANTED, verify="ca", ca=ca), False)
        self.assertEqual(len(self.contexts._issuers), 2)

    def test_equipped_anew(self) -> None:
        """
        A reload makes new contexts, of what the files hold then.
        """
        wanted = replace(WANTED, verify="ca", ca="/ca")
        before = self.contexts.context(wanted, False)
        self.contexts.equip(self.files)
        self.assertIsNot(self.contexts.context(wanted, False), before)
        self.contexts.equip({})
        error = self.assertRaises(ValueError, self.contexts.context, wanted, False)
        self.assertIn("/ca was not read when the configuration was loaded", str(error))

    def test_own_certificate(self) -> None:
        """
        A server that demands a certificate is shown ours and its issuer's, from one file or two.
        """
        for wanted in (replace(WANTED, certificate="/own", key="/key"), replace(WANTED, certificate="/both")):
            server = server_context()
            server.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *told: True)
            _, theirs = self.connect(self.contexts.context(wanted, False), server)
            shown = theirs.get_peer_certificate(as_cryptography=True)
            self.assertEqual(shown.subject.rfc4514_string(), "CN=client.test")
            # A server has the certificate itself not in the chain.
            (issuer,) = theirs.get_peer_cert_chain(as_cryptography=True)
            self.assertEqual(issuer.subject.rfc4514_string(), "CN=Between")

    def test_wrong_key(self) -> None:
        """
        A key of another certificate is no key.
        """
        wanted = replace(WANTED, certificate="/own", key="/other")
        self.assertRaises(ValueError, self.contexts.context, wanted, False)

    def test_small_hello(self) -> None:
        """
        By choice the first message fits into one packet however small, and any server goes on from there.
        """
        self.assertLess(len(self.hello(self.contexts.context(WANTED, True))), 600)
        ours, _ = self.connect(self.contexts.context(WANTED, True), server_context())
        self.assertEqual(ours.get_protocol_version_name(), "TLSv1.3")

    def test_ciphers(self) -> None:
        """
        Only what is allowed is negotiated, for either kind of version.
        """
        wanted = replace(WANTED, tlsv13_ciphersuites="TLS_CHACHA20_POLY1305_SHA256")
        ours, _ = self.connect(self.contexts.context(wanted, False), server_context())
        self.assertEqual(ours.get_cipher_name(), "TLS_CHACHA20_POLY1305_SHA256")
        wanted = replace(WANTED, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256", protocols="+TLSv1.2")
        ours, _ = self.connect(self.contexts.context(wanted, False), server_context())
        self.assertEqual(ours.get_cipher_name(), "ECDHE-ECDSA-AES128-GCM-SHA256")

    def test_no_renegotiation(self) -> None:
        """
        A peer that wants to begin anew (before TLS 1.3) is refused.
        """
        context = self.contexts.context(replace(WANTED, protocols="TLSv1.2"), False)
        ours, theirs = self.connect(context, server_context())
        theirs.renegotiate()
        theirs.do_handshake()
        for _ in range(4):
            for end, other in ((theirs, ours), (ours, theirs)):
                try:
                    other.bio_write(end.bio_read(65536))
                    other.recv(1)
                except SSL.Error:
                    pass
        self.assertEqual(ours.total_renegotiations(), 0)
