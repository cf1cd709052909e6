"""
Tests of :mod:`momentum_tx.policy.status`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.status import in_plain_words, is_our_own, status_of


class StatusTests(SynchronousTestCase):
    """
    What replies say.
    """

    def test_status(self) -> None:
        """
        The enhanced code; without one the class of the code; without either what the caller thinks.
        """
        for note, status in (
            (b"550 5.1.1 no such user", "5.1.1"),
            (b"550-5.1.10 no such user", "5.1.10"),
            (b"552 over quota", "5.0.0"),
            (b"450 later", "4.0.0"),
            (b"250 2.0.0 taken", "2.0.0"),
            (b"250 2.6.0", "2.6.0"),
            (b"550", "5.0.0"),
            (b"4.3.0 [internal] Resource limitations", "4.3.0"),
            (b"550 5.01.001 zeros", "5.1.1"),
            (b"354 go on", "5.9.9"),
            (b"no code at all", "5.9.9"),
            (b"5501 5.1.1 not a code", "5.9.9"),
            (b"", "5.9.9"),
        ):
            self.assertEqual(status_of(note, "5.9.9"), status, note)

    def test_own(self) -> None:
        """
        Our own words are known by their mark.
        """
        self.assertTrue(is_our_own(b"554 5.4.7 [internal] exceeded max time without delivery"))
        self.assertFalse(is_our_own(b"554 5.7.1 refused"))

    def test_words(self) -> None:
        """
        What is known is said in words, by detail, then by subject; what is not is not guessed at.
        """
        self.assertIn("spelled", in_plain_words("5.1.1"))
        self.assertIn("full", in_plain_words("4.2.2"))
        self.assertIn("mailbox", in_plain_words("5.2.99"))
        self.assertNotEqual(in_plain_words("5.1.1"), in_plain_words("5.1.10"))
        self.assertIn("did not say more", in_plain_words("5.0.0"))
