"""
Stories in which something was once wrong, each as small as it could be made.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.testing.fuzz.plan import Plan
from momentum_tx.testing.fuzz.play import play

KEPT = Path(__file__).parent / "kept"


class KeptTests(SynchronousTestCase):
    """
    What was found is not found again.
    """

    def test_every_story(self) -> None:
        """
        Every story that was kept goes well.
        """
        stories = sorted(KEPT.glob("*.json"))
        self.assertGreater(len(stories), 5)
        for story in stories:
            result = play(Plan.from_json(story.read_text(encoding="utf-8")))
            self.assertEqual([str(fault) for fault in result.faults], [], story.name)
            # Some hooks of these stories raise on purpose.
            self.flushLoggedErrors(RuntimeError)
            # It was about mail.
            self.assertGreater(result.counts["step mail"], 0, story.name)
