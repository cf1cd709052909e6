"""
Tests for :mod:`momentum_tx.net.dns_cache`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.net.dns_cache import DNSCache


class DNSCacheTests(SynchronousTestCase):
    """
    A bounded table of answers with an end.
    """

    def setUp(self) -> None:
        self.cache: DNSCache[str] = DNSCache(3)

    def test_lifetime(self) -> None:
        """
        An answer is there until its last second is over, and says how much is left.
        """
        self.cache.put("a", "answer", 10, 100.0)
        self.assertEqual(self.cache.get("a", 100.0), (10, "answer"))
        self.assertEqual(self.cache.get("a", 109.5), (0.5, "answer"))
        self.assertIsNone(self.cache.get("a", 110.0))
        self.assertEqual(len(self.cache), 0)

    def test_oldest_goes(self) -> None:
        """
        At the bound the answer kept longest ago goes, however long it would live.
        """
        self.cache.put("a", "1", 1000, 0.0)
        for key in "bcd":
            self.cache.put(key, "2", 10, 1.0)
        self.assertIsNone(self.cache.get("a", 1.0))
        self.assertEqual(len(self.cache), 3)
        self.assertIsNotNone(self.cache.get("b", 1.0))

    def test_renewed_is_young(self) -> None:
        """
        An answer kept again counts as new, and takes no second place.
        """
        for key in "abc":
            self.cache.put(key, "old", 10, 0.0)
        self.cache.put("a", "new", 10, 1.0)
        self.cache.put("d", "new", 10, 2.0)
        self.assertEqual(self.cache.get("a", 2.0), (9.0, "new"))
        self.assertIsNone(self.cache.get("b", 2.0))
        self.assertEqual(len(self.cache), 3)

    def test_clear(self) -> None:
        """
        Everything can be forgotten.
        """
        self.cache.put("a", "1", 10, 0.0)
        self.cache.clear()
        self.assertIsNone(self.cache.get("a", 0.0))
