"""
Tests of :mod:`momentum_tx.policy.skipped`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.skipped import SkippedHosts


class SkippedHostsTests(SynchronousTestCase):
    """
    What is left out.
    """

    def test_kinds(self) -> None:
        """
        A network means addresses, a name that very host, a regex all hosts it
        finds, in whatever case it is written.
        """
        skipped = SkippedHosts(["198.51.100.0/24", "2001:db8::/32", "mx1.example.com", r"/\.Bad\.example$/"])
        for host, address, answer in (
            ("a.example", "198.51.100.9", True),
            ("a.example", "203.0.113.9", False),
            ("a.example", "2001:db8::9", True),
            ("a.example", "::ffff:198.51.100.9", True),
            ("mx1.example.com", "203.0.113.9", True),
            ("x.mx1.example.com", "203.0.113.9", False),
            ("mx.bad.example", "203.0.113.9", True),
            ("bad.example", "203.0.113.9", False),
        ):
            self.assertEqual(skipped.skips(host, address), answer, (host, address))

    def test_none(self) -> None:
        """
        Nothing is left out where nothing is written.
        """
        self.assertFalse(SkippedHosts(()))
        self.assertFalse(SkippedHosts(()).skips("a.example", "127.0.0.1"))
        for entry in ("10.0.0.0/8", "a.example", "/a/"):
            self.assertTrue(SkippedHosts([entry]))
