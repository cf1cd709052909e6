"""
Tests for the reference page.
"""

import pathlib
import re

from twisted.trial.unittest import SynchronousTestCase

import momentum_tx
from momentum_tx.config.load import parse
from momentum_tx.config.options import BY_CLASS
from momentum_tx.config.reference import options_page
from momentum_tx.settings.absent import ABSENT

DOC = pathlib.Path(momentum_tx.__file__).parent.parent / "doc"
PAGE = DOC / "reference" / "options.md"
HOWTO = DOC / "howto" / "configure.md"


class PageTests(SynchronousTestCase):
    """
    The page operators read is the program they run.
    """

    def test_current(self) -> None:
        """
        The page in the repository is what the declarations say today.
        """
        if not PAGE.exists():
            self.skipTest("the pages are not part of an installation")
        remedy = "run: python -m momentum_tx.config.reference > doc/reference/options.md"
        self.assertTrue(PAGE.read_text("utf-8") == options_page(), remedy)

    def test_complete(self) -> None:
        """
        Every option has a row with as many cells as the head.
        """
        page = options_page()
        page, _, absent = page.partition("## Options of Momentum that are not here")
        rows = [line for line in page.splitlines() if line.startswith("| `")]
        self.assertEqual(absent.count("\n| `"), len(ABSENT))
        self.assertEqual(len(rows), sum(len(options) for options in BY_CLASS.values()))
        for row in rows:
            self.assertEqual(row.replace("\\|", "").count("|"), 6, row)

    def test_howto(self) -> None:
        """
        Every example in the guide is accepted as it stands.
        """
        if not HOWTO.exists():
            self.skipTest("the pages are not part of an installation")
        examples = re.findall(r"^```toml\n(.*?)^```", HOWTO.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        self.assertGreater(len(examples), 3)
        for example in examples:
            parse(example)
