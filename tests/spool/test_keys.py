"""
Tests of :mod:`momentum_tx.spool.keys`.
"""

import random

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.spool.keys import Keys


class KeysTests(SynchronousTestCase):
    """
    It is a set.
    """

    def test_against_a_set(self) -> None:
        """
        Whatever is added is there, nothing else is, and adding says whether it was new.
        """
        rng = random.Random(3)
        keys, known = Keys(), set()
        for _ in range(3000):
            key = rng.choice((rng.randrange(200), (1 << 32) + rng.randrange(500), rng.getrandbits(64)))
            self.assertEqual(key in keys, key in known)
            self.assertEqual(keys.add(key), key not in known)
            known.add(key)
        for key in known:
            self.assertIn(key, keys)
            self.assertEqual(key + 1 in keys, key + 1 in known)
