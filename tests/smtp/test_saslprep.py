"""
Tests of :mod:`momentum_tx.smtp.saslprep`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.smtp.saslprep import saslprep


class SaslprepTests(SynchronousTestCase):
    """
    Names and passwords in one form.
    """

    def test_examples(self) -> None:
        """
        The examples of RFC 4013 3, and what else is mapped.
        """
        for text, prepared in (
            ("I\xadX", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\xaa", "a"),
            ("\u2168", "IX"),
            ("a b", "a b"),
            ("a\u00a0b\u2003c", "a b c"),
            ("u\u0308", "ü"),
            ("\u0627\u0628", "\u0627\u0628"),
        ):
            self.assertEqual(saslprep(text), prepared, ascii(text))

    def test_prohibited(self) -> None:
        """
        What no name may have is refused: controls, private use, mixed directions, letters that did not exist; so is
        what comes to nothing.
        """
        for text in (
            "\x07",
            "\u06271",
            "\u0627a\u0627",
            "\ue000",
            "\ufffd",
            "\u200e",
            "\U000e0001",
            "\U0001f600",
            "\xad",
            "",
        ):
            if text:
                error = self.assertRaises(ValueError, saslprep, text)
                self.assertNotIn(text, str(error))

    @given(st.text(max_size=20))
    def test_settled(self, text: str) -> None:
        """
        What was prepared stays as it is; what cannot be is refused and nothing else is raised.
        """
        try:
            prepared = saslprep(text)
        except ValueError:
            return
        self.assertEqual(saslprep(prepared), prepared)
