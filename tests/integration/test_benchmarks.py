"""
The benchmarks, on loads too small to say anything: that each runs, and reports
what it promises.  No figure is looked at.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from .needs import require

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


class BenchmarkTests(TestCase):
    """
    A program of ``benchmarks/``.
    """

    timeout = 240

    async def report(self, name: str, *options: str, directory: bool = True) -> dict[str, Any]:
        """
        What it prints with ``--json``.

        :param directory: whether it keeps mail, and is told where.
        """
        command = [str(BENCHMARKS / f"{name}.py"), "--json", *options]
        if directory:
            command += ["--directory", self.mktemp_directory()]
        out, err, status = await getProcessOutputAndValue(sys.executable, command, env=dict(os.environ))
        self.assertTrue(out, err.decode(errors="replace"))
        # Status 1 with a report says that figures miss a target, which means nothing here.
        self.assertIn(status, (0, 1), err)
        found: dict[str, Any] = json.loads(out)
        self.assertGreaterEqual(found["machine"]["processors"], 1)
        return found

    def mktemp_directory(self) -> str:
        """
        A new directory of the test's own.
        """
        path = Path(self.mktemp())
        path.mkdir()
        return str(path.absolute())

    async def test_memory(self) -> None:
        """
        It fills a queue, by real paths, reads it back from the spool, and tells of both.
        """
        report = await self.report("memory", "--messages", "200", "--domains", "5", "--row", "delayed, 50")
        self.assertEqual(list(report["rows"]), ["delayed, 50 recipients", "delayed, 50 recipients, after a restart"])
        self.assertEqual(report["messages"], 200)
        for found in report["rows"].values():
            self.assertGreater(found["resident"], 0)

    async def test_throughput(self) -> None:
        """
        It has rate and processor time of each run, and says what ran.
        """
        require("smtp-source")
        options = ["--ours-only", "--ceiling", "--runs", "2", "--messages", "20", "--row", "reused"]
        report = await self.report("throughput", *options)
        row = "4 KiB, connections reused"
        self.assertEqual(list(report["rows"]), [row])
        self.assertEqual(list(report["rows"][row]), ["momentum_tx", "source to sink"])
        self.assertEqual(len(report["rows"][row]["momentum_tx"]["rate"]), 2)
        self.assertEqual(len(report["rows"][row]["momentum_tx"]["cpu"]), 2)
        self.assertIn("smtp_listen", report["settings"]["momentum_tx"])
        self.assertIn("-d", report["commands"][row].split())

    async def test_client(self) -> None:
        """
        It has microseconds of each run, of each number of connections.
        """
        report = await self.report(
            "client", "--runs", "1", "--messages", "20", "--only", "momentum_tx", directory=False
        )
        figures = report["microseconds per message"]
        self.assertIn("20 plain", figures)
        for row in figures.values():
            self.assertEqual(len(row["momentum_tx"]), 1)

    async def test_isolation(self) -> None:
        """
        It compares domains beside those in trouble with the same domains when all are good.
        """
        options = ["--runs", "1", "--seconds", "3", "--rate", "20", "--domains", "9"]
        report = await self.report("isolation", *options, "--kind", "mixed", "--share", "33")
        self.assertEqual(list(report["rows"]), ["all good", "33 % mixed"])
        self.assertEqual(set(report["rows"]["33 % mixed"]), {"rate", "p50", "p99", "ratio", "cpu", "late"})
        self.assertEqual(set(report["holds"]), set(report["rows"]))
