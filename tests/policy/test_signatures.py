"""
Tests of :mod:`momentum_tx.policy.signatures`.
"""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy import signatures
from momentum_tx.settings import DKIMSignature

GOOD = DKIMSignature("example.com", "s1", "/etc/keys/s1.pem")


class NameTests(SynchronousTestCase):
    """
    What may stand in a signature.
    """

    def test_selectors(self) -> None:
        """
        Selectors are labels, in lower case; nothing that would be another tag.
        """
        for text, settled in (("s1", "s1"), ("A.b-2.c_d", "a.b-2.c_d"), ("2026", "2026")):
            self.assertEqual(signatures.checked_selector(text), settled)
        for text in ("", "s 1", "s;d=x", ".s", "s.", "s..t", "-s", "é", "a" * 64, ".".join(["abc"] * 60)):
            self.assertRaises(ValueError, signatures.checked_selector, text)

    def test_domains(self) -> None:
        """
        A signing domain has two labels at least.
        """
        self.assertEqual(signatures.checked_domain("News.Example.com"), "news.example.com")
        for text in ("", "localhost", "example.com.", "a b.c", "[192.0.2.1]", "exa;mple.com", "é.example"):
            self.assertRaises(ValueError, signatures.checked_domain, text)

    def test_identities(self) -> None:
        """
        An identity is of the signing domain, or below it.
        """
        for text in ("", "@example.com", "news@example.com", "a b;@sub.example.com"):
            self.assertEqual(signatures.checked_identity(text, "example.com"), text)
        self.assertEqual(signatures.checked_identity("A@EXAMPLE.com", "example.com"), "A@example.com")
        for text in ("example.com", "a@", "@other.example", "@badexample.com", "@com", "a@example.com;x=1"):
            self.assertRaises(ValueError, signatures.checked_identity, text, "example.com")

    def test_fields(self) -> None:
        """
        A field that changes on the way is not signed, whatever its case.
        """
        for text in ("From", "X-Custom", "list-id"):
            self.assertEqual(signatures.checked_field(text), text)
        for text in ("", "a b", "a:b", "a;b", "ä", "Received", "RETURN-PATH", "DKIM-Signature", "Bcc"):
            self.assertRaises(ValueError, signatures.checked_field, text)


class SignatureTests(SynchronousTestCase):
    """
    What a provider of ``dkim_sign`` answers.
    """

    def test_good(self) -> None:
        """
        A whole signature passes, with a key in a file or in itself.
        """
        self.assertIs(signatures.check(GOOD), GOOD)
        signatures.check(replace(GOOD, keyfile="", key="AAAA", lifetime=60, identity="@a.example.com"))

    def test_wrong(self) -> None:
        """
        Each mistake is named, and the key never.
        """
        for said, text in (
            ({"domain": "com"}, "domain 'com'"),
            ({"selector": "a b"}, "selector 'a b'"),
            ({"identity": "@x.example"}, "identity '@x.example' is not of the signing domain example.com"),
            ({"headerlist": ("From", "Received")}, "headerlist 'Received'"),
            ({"oversign": ("a b",)}, "oversign 'a b'"),
            ({"header_canon": "nofws"}, "'nofws' is neither"),
            ({"body_canon": ""}, "'' is neither"),
            ({"lifetime": 0}, "lifetime 0"),
            ({"lifetime": float("nan")}, "lifetime nan"),
            ({"key": "SECRET"}, "either key or keyfile"),
            ({"keyfile": ""}, "either key or keyfile"),
        ):
            error = str(self.assertRaises(ValueError, signatures.check, replace(GOOD, **said)))
            self.assertIn(text, error)
            self.assertNotIn("SECRET", error)
        self.assertNotIn("SECRET", repr(replace(GOOD, key="SECRET")))
