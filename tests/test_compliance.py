"""
The page of what standards ask, against the tests it names.
"""

from __future__ import annotations

import itertools
import re
from importlib import import_module
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase, TestCase

from momentum_tx.settings import GlobalSettings, PathSettings

PAGE: Final = Path(__file__).parent.parent / "doc" / "reference" / "compliance.md"
_TEST: Final = re.compile(r"`([a-z_0-9.]+\.test_[a-z_0-9.]+\.[A-Z]\w+\.test_\w+)`")
_SECONDS: Final = {"s": 1, "min": 60}


def rows() -> list[list[str]]:
    """
    The cells of every row that says something.
    """
    lines = PAGE.read_text().splitlines()
    tables = [line for line in lines if line.startswith("| ") and not line.startswith(("| ---", "| id |", "| phase |"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in tables]


class ComplianceTests(SynchronousTestCase):
    """
    Nothing is claimed that no test holds.
    """

    def test_everyLineHasTests(self) -> None:
        """
        Each row names tests that there are.
        """
        for cells in rows():
            named = _TEST.findall(cells[-1])
            self.assertEqual(len(named), cells[-1].count("`") // 2, cells)
            self.assertTrue(named, cells)
            for name in named:
                module, case, method = name.rsplit(".", 2)
                found = getattr(import_module(f"tests.{module}"), case, None)
                self.assertIsNotNone(found, name)
                assert found is not None
                self.assertTrue(issubclass(found, SynchronousTestCase | TestCase), name)
                self.assertTrue(callable(getattr(found, method, None)), name)

    def test_ids(self) -> None:
        """
        An id stands for one rule, and rules of one RFC are lettered in order.
        """
        ids = [cells[0] for cells in rows() if re.fullmatch(r"[0-9]{4}[a-z]", cells[0])]
        self.assertGreater(len(ids), 40)
        self.assertEqual(len(ids), len(set(ids)))
        for before, after in itertools.pairwise(ids):
            if before[:4] == after[:4]:
                self.assertEqual(ord(after[4]), ord(before[4]) + 1, (before, after))

    def test_timeouts(self) -> None:
        """
        The defaults on the page are those in force, and none is shorter than the
        standard's minimum, but for the retry, where Momentum's holds.
        """
        path, service = PathSettings(), GlobalSettings()
        options = {"banner_timeout": path.ehlo_timeout, "data_timeout": path.rcptto_timeout}
        checked = 0
        for cells in rows():
            if len(cells) != 5 or not cells[2].startswith("`"):
                continue
            name = cells[2].strip("`")
            value = options.get(name) or getattr(path, name, None) or getattr(service, name)
            number, unit = cells[3].split()[:2]
            self.assertEqual(value, int(number) * _SECONDS[unit.strip(",")], name)
            if cells[1] and name != "retry_interval":
                number, unit = cells[1].split()
                self.assertGreaterEqual(value, int(number) * _SECONDS[unit], name)
            checked += 1
        self.assertEqual(checked, 13)
