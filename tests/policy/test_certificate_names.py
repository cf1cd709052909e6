"""
Tests for :mod:`momentum_tx.policy.certificate_names`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.certificate_names import any_covers, name_covers


class NameTests(SynchronousTestCase):
    """
    Names in certificates, and the hosts they stand for.
    """

    def test_same(self) -> None:
        """
        A name is itself, in whatever letters, with a final dot or without.
        """
        self.assertTrue(name_covers("MX.example.com", "mx.example.com."))
        self.assertTrue(name_covers("mx.example.com.", "mx.EXAMPLE.com"))
        self.assertFalse(name_covers("mx.example.com", "mx2.example.com"))

    def test_wildcard(self) -> None:
        """
        An asterisk is one label, the first, and whole.
        """
        for presented, reference, covers in (
            ("*.example.com", "mx.example.com", True),
            ("*.example.com", "example.com", False),
            ("*.example.com", "a.mx.example.com", False),
            ("*.example.com", ".example.com", False),
            ("m*.example.com", "mx.example.com", False),
            ("mx.*.com", "mx.example.com", False),
            ("*.*.com", "mx.example.com", False),
            ("*.*.com", "mx.*.com", False),
            ("*.com", "example.com", False),
            ("*", "localhost", False),
            ("", "", False),
            ("mx.example.com", "", False),
        ):
            self.assertIs(name_covers(presented, reference), covers, (presented, reference))

    def test_any(self) -> None:
        """
        One name of the certificate that is one of those wanted is enough; without any none is.
        """
        self.assertTrue(any_covers(["a.example", "b.example"], ["c.example", "b.example"]))
        self.assertFalse(any_covers(["a.example"], ["c.example"]))
        self.assertFalse(any_covers([], ["c.example"]))
        self.assertFalse(any_covers(["a.example"], []))
