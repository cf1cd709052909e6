"""
Tests for :mod:`momentum_tx.policy.tls_material`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.tls_material import (
    belong_together,
    certificates,
    ciphers,
    holds_certificates,
    private_key,
    suites,
)

from ..net.certificates import alone, authority


class MaterialTests(SynchronousTestCase):
    """
    What a text holds.
    """

    def test_certificates(self) -> None:
        """
        All of them, in their order, whatever stands between.
        """
        chain = authority().issue([], authority=True, common_name="Between").issue()
        text = b"Bag Attributes\n" + chain.key_pem + b"\nsubject=...\n" + chain.pem
        self.assertTrue(holds_certificates(text))
        found = [each.subject.rfc4514_string() for each in certificates(text)]
        self.assertEqual(found, ["CN=mx.example.test", "CN=Between"])

    def test_no_certificates(self) -> None:
        """
        None, and one that is damaged, are told of.
        """
        self.assertFalse(holds_certificates(b"hello"))
        self.assertIn("no certificate", str(self.assertRaises(ValueError, certificates, b"hello")))
        damaged = alone().pem.replace(b"\nMII", b"\nNII", 1)
        self.assertIn("cannot be understood", str(self.assertRaises(ValueError, certificates, damaged)))

    def test_key(self) -> None:
        """
        A key is that of one certificate.
        """
        key = private_key(alone().pem + alone().key_pem)
        self.assertTrue(belong_together(alone().certificate, key))
        self.assertFalse(belong_together(authority().certificate, key))

    def test_no_key(self) -> None:
        """
        None, one with a passphrase and a damaged one are told of, without a word of what they hold.
        """
        locked = alone().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
        old = alone().key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x"))
        damaged = alone().key_pem.replace(b"\nMI", b"\nNI", 1)
        for text, expected in (
            (alone().pem, "holds no private key"),
            (locked, "passphrase"),
            (old, "passphrase"),
            (damaged, "holds a private key that cannot be understood"),
        ):
            said = str(self.assertRaises(ValueError, private_key, text))
            self.assertIn(expected, said)
            self.assertLess(len(said), 100)

    def test_lists(self) -> None:
        """
        Lists of ciphers are those that OpenSSL understands.
        """
        self.assertEqual(ciphers("HIGH:!aNULL"), "HIGH:!aNULL")
        self.assertEqual(suites(""), "")
        self.assertEqual(suites("TLS_AES_128_GCM_SHA256"), "TLS_AES_128_GCM_SHA256")
        for check, wrong in ((ciphers, "rot13"), (ciphers, ""), (suites, "rot13")):
            self.assertRaises(ValueError, check, wrong)
