"""
Tests of :mod:`momentum_tx.stages` and of its table in the reference.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.stages import Stage

from .test_flags import rows

REFERENCE = Path(__file__).parent.parent / "doc" / "reference" / "stages.md"


class StageTests(SynchronousTestCase):
    """
    The stages.
    """

    def test_numbers(self) -> None:
        """
        Momentum's twenty-three come first, then ours, numbered without a gap; scripts that read logs rely on some
        by heart.
        """
        self.assertEqual([stage.value for stage in Stage], list(range(25)))
        self.assertEqual(Stage.READING_CONFIRMATION, 9)
        self.assertEqual(Stage.READING_BANNER, 12)
        self.assertEqual(Stage.OUT_OF_BAND, 21)
        self.assertEqual(Stage.UNKNOWN, 22)
        self.assertEqual(Stage.AUTHENTICATION, 23)
        self.assertEqual(Stage.CUSTOM_STATE, 24)

    def test_words(self) -> None:
        """
        Every stage has words of its own.
        """
        self.assertEqual(len({str(stage) for stage in Stage}), len(Stage))
        self.assertEqual(str(Stage.AFTER_RCPT_TO), "after RCPT TO")

    def test_reference(self) -> None:
        """
        The page lists every stage once, by number and words, in order.
        """
        listed = [(row[0], row[1]) for row in rows(REFERENCE) if row[0].isdecimal()]
        self.assertEqual(listed, [(str(stage.value), str(stage)) for stage in Stage])
