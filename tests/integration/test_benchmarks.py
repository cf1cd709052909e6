"""
The benchmark of memory, on a queue too small to say anything: that it runs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

ROOT = Path(__file__).parents[2]


class MemoryTests(TestCase):
    """
    ``benchmarks/memory.py``.
    """

    timeout = 120

    async def test_runs(self) -> None:
        """
        It fills a queue, by real paths, reads it back from the spool, and tells of both.
        """
        command = [str(ROOT / "benchmarks" / "memory.py"), "--messages", "200", "--domains", "5", "--json"]
        command += ["--row", "delayed, 50", "--directory", self.mktemp_directory()]
        out, err, status = await getProcessOutputAndValue(sys.executable, command, env=dict(os.environ))
        self.assertEqual(status, 0, err)
        report = json.loads(out)
        self.assertEqual(list(report["rows"]), ["delayed, 50 recipients", "delayed, 50 recipients, after a restart"])
        self.assertEqual(report["messages"], 200)
        for found in report["rows"].values():
            self.assertGreater(found["resident"], 0)

    def mktemp_directory(self) -> str:
        """
        A new directory of the test's own.
        """
        path = Path(self.mktemp())
        path.mkdir()
        return str(path.absolute())
