"""
What an envelope says besides its addresses.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.envelope import NO_RECIPIENT_TERMS, NO_TERMS, Notify, RecipientTerms, Terms, brought_back


class TermsTests(SynchronousTestCase):
    """
    Terms of a message.
    """

    def test_nothing_said(self) -> None:
        """
        Most mail says nothing, of itself or of a recipient.
        """
        self.assertEqual(NO_TERMS, Terms())
        self.assertFalse(NO_TERMS.beyond_times)
        self.assertIs(NO_TERMS.of(7), NO_RECIPIENT_TERMS)

    def test_beyond_times(self) -> None:
        """
        Each thing that is said counts, but for times.
        """
        self.assertFalse(Terms(1.0, 2.0).beyond_times)
        for terms in (
            Terms(envid=b"x"),
            Terms(ret="FULL"),
            Terms(require_tls=True),
            Terms(tls_optional=True),
            Terms(recipients={3: RecipientTerms(Notify.NEVER)}),
        ):
            self.assertTrue(terms.beyond_times, terms)

    @given(st.integers(0, 2), st.booleans(), st.booleans(), st.sampled_from(["", "FULL", "HDRS"]))
    def test_put_away(self, index: int, secure: bool, optional: bool, ret: str) -> None:
        """
        What is put away for a recipient comes back, and what concerns others does not.
        """
        of = {0: RecipientTerms(Notify.DELAY, b"rfc822;a"), 1: RecipientTerms(Notify.NEVER)}
        values = Terms(1.5, 2.5, b"Q", ret, secure, optional, of).put_away(index)
        kept = {index: of[index]} if index in of else {}
        self.assertEqual(brought_back(values), Terms(1.5, 2.5, b"Q", ret, secure, optional, kept))
