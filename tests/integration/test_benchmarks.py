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
from xml.etree import ElementTree

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

    async def test_recovery(self) -> None:
        """
        It starts on a spool of its own making, sends what is due, and tells when what was.
        """
        report = await self.report("recovery", "--messages", "300", "--domains", "10", "--due", "50")
        found = report["found"]
        self.assertEqual(found["delivered"], 50)
        for name in ("greeting", "delivery", "loaded", "processor", "resident"):
            self.assertGreater(found[name], 0)

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

    async def test_throughput_signed(self) -> None:
        """
        It signs, and sends by TLS, where a row says so.
        """
        require("smtp-source")
        options = ["--ours-only", "--ceiling", "--runs", "1", "--messages", "20", "--row", "signed"]
        report = await self.report("throughput", *options)
        rsa, ed25519 = report["rows"].items()
        self.assertEqual((rsa[0], list(rsa[1])), ("4 KiB, signed with RSA-2048", ["momentum_tx", "source to sink"]))
        self.assertEqual(
            (ed25519[0], list(ed25519[1])), ("4 KiB, signed with Ed25519, TLS to the next hop", ["momentum_tx"])
        )
        first, second = report["settings"].values()
        self.assertIn('keyfile = "', first)
        self.assertIn('tls = "required"', second)
        self.assertNotIn('tls = "required"', first)

    async def test_connections(self) -> None:
        """
        It has microseconds of each run, for mail that shares a connection and mail that has one of its own.
        """
        options = ["--messages", "20", "--runs", "2", "--row", "reused", "--row", "bound source, plain"]
        report = await self.report("connections", *options, directory=False)
        self.assertEqual(list(report["rows"]), ["reused, plain", "new, bound source, plain"])
        for figures in report["rows"].values():
            self.assertEqual(len(figures), 2)
            self.assertGreater(min(figures), 0)

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

    async def test_latency(self) -> None:
        """
        It has percentiles of an idle system and of load, and the rate of acceptance of each run.
        """
        require("smtp-source")
        options = ["--messages", "3", "--rate", "20", "--seconds", "3", "--accepted", "20", "--runs", "1"]
        report = await self.report("latency", *options)
        self.assertEqual(len(report["idle"]), 3)
        for row in report["idle"].values():
            self.assertEqual(set(row), {"answer", "first", "content"})
            for found in row.values():
                self.assertEqual(set(found), {"p50", "p99", "max"})
            # Content comes after the commands.
            self.assertLessEqual(row["first"]["p50"], row["content"]["p50"])
        self.assertLessEqual({"p50", "p99", "max", "late"}, set(report["load"]["20"]))
        self.assertEqual(len(report["accept"]["connections reused"]["rate"]), 1)
        self.assertEqual(len(report["accept"]["one message per connection"]["cpu"]), 1)

    async def test_stall(self) -> None:
        """
        It has a histogram of each phase, in which every tick is counted once, before and after a restart.
        """
        require("smtp-source")
        report = await self.report("stall", "--seconds", "0.5", "--queued", "50", "--failing", "20", "--stacks")
        self.assertEqual(len(report["rows"]), 8)
        self.assertIn("start with 50 messages queued", report["rows"])
        for row in report["rows"].values():
            self.assertEqual(sum(row["histogram"]), row["ticks"])
            self.assertEqual(set(row["late"]), {"p50", "p99", "p99.9", "max"})
            self.assertLessEqual(row["own"]["max"], row["late"]["max"])
            self.assertGreaterEqual(row["collector"], 0)
        self.assertGreater(report["rows"]["full load"]["ticks"], 0)
        self.assertEqual(set(report["holds"]), set(report["rows"]))
        self.assertIsInstance(report["stacks"], list)

    async def test_scaling(self) -> None:
        """
        It has each run of each point of all axes, saves them, and draws a panel for each axis.
        """
        saved, drawn = self.mktemp(), self.mktemp()
        options = ["--limit", "1", "--messages", "20", "--idle", "0.1", "--runs", "2"]
        report = await self.report("scaling", *options, "--save", saved, "--draw", drawn)
        self.assertEqual(list(report["axes"]), ["messages queued", "domains", "bindings", "connections"])
        for points in report["axes"].values():
            self.assertEqual(list(points), ["1"])
            self.assertEqual(len(points["1"]["cpu_us"]), 2)
            self.assertEqual(len(points["1"]["idle_percent"]), 2)
        self.assertEqual(json.loads(Path(saved).read_text()), report)
        self.assertEqual(self.panels(drawn), list(report["axes"]))

    async def test_scaling_drawn_again(self) -> None:
        """
        The committed picture is that of the committed data.
        """
        drawn = self.mktemp()
        reference = BENCHMARKS.parent / "doc" / "reference"
        await self.report("scaling", "--from", str(reference / "scaling.json"), "--draw", drawn)
        self.assertEqual(Path(drawn).read_text(), (reference / "scaling.svg").read_text())

    async def everything(self, *options: str) -> tuple[bytes, bytes, int]:
        """
        What ``all.py`` prints, and its exit status.
        """
        command = [str(BENCHMARKS / "all.py"), *options]
        return await getProcessOutputAndValue(sys.executable, command, env=dict(os.environ))

    async def test_all(self) -> None:
        """
        Those that are named are run; tables and what is promised are printed, and one file is written, from which the
        same is printed again.
        """
        written = self.mktemp()
        out, err, status = await self.everything("--quick", "--only", "simulation", "--out", written)
        self.assertEqual(status, 0, err)
        entries = json.loads(Path(written).read_text())
        self.assertEqual(list(entries), ["simulation"])
        self.assertIn("simulation.py --json --runs 1", entries["simulation"]["command"])
        self.assertEqual(len(entries["simulation"]["report"]["deliveries"]), 4)
        self.assertIn(b"| 2,000 messages, one domain, in process | ", out)
        again, err, status = await self.everything("--from", written)
        self.assertEqual(status, 0, err)
        self.assertEqual(again.split(), out.split())

    async def test_targets(self) -> None:
        """
        What was found is compared with what is promised, and what was not measured is named.
        """
        saved = Path(self.mktemp())
        machine = {"processors": 2, "model": "", "memory_gib": 1, "kernel": "", "python": "", "twisted": ""}
        about = {"machine": {**machine, "load_before": 0.0}, "runs": 3}
        rows = {
            "4 KiB, connections reused": {
                "momentum_tx": {"rate": [500.0, 600.0, 900.0], "cpu": [0.2, 0.1, 0.3]},
                "Postfix": {"rate": [100.0, 90.0, 110.0], "cpu": [2.0]},
            }
        }
        throughput = {"command": "", "seconds": 1, "status": 0, "report": {**about, "rows": rows}}
        idle = {
            "plain": {"kib": 12.5, "cpu_percent": 0.5, "opened_in": 1.0},
            "TLS": {"kib": 66.0, "cpu_percent": 1.5, "opened_in": 2.0},
        }
        sessions = {"command": "", "seconds": 1, "status": 0, "report": {**about, "connections": 9, "rows": idle}}
        load = dict.fromkeys(("size", "domains", "bindings", "octets", "due"), 1)
        found = dict.fromkeys(("greeting", "delivery", "loaded", "processor", "turn", "resident"), 1.5)
        start = {"machine": about["machine"], "load": {**load, "messages": 1_000_000}, "found": found}
        recovery = {"command": "", "seconds": 1, "status": 0, "report": start}
        failed = {"command": "", "seconds": 1, "status": 1, "report": None}
        saved.write_text(
            json.dumps({"throughput": throughput, "idle": sessions, "recovery": recovery, "stall": failed})
        )
        out, err, status = await self.everything("--from", str(saved))
        self.assertEqual(status, 0, err)
        self.assertIn(b"connections reused | >= 5.5 x Postfix | 6.00 | yes | `benchmarks/throughput.py` |", out)
        self.assertIn(b"| the same, processor time per 1,000 | <= 0.17 s | 0.20 | NO |", out)
        self.assertIn(b"| 100 KiB, one inbound connection per message | >= 750/s |  | not measured |", out)
        self.assertIn(b"| an idle session in clear | <= 12 KiB | 12.5 | NO |", out)
        self.assertIn(b"| an idle session in TLS | <= 70 KiB | 66.0 | yes |", out)
        self.assertIn(b"| processor time of 10,000 idle sessions | <= 1 % | 1.50 | NO |", out)
        self.assertIn(b"| start with them: first delivery | <= 2 s | 1.50 | yes |", out)
        self.assertIn(b"It failed with status 1.", out)
        self.assertIn(b"| a tick of the reactor too late, ever | <= 100 ms |  | not measured |", out)

    async def test_idle(self) -> None:
        """
        It has memory and processor time of idle connections, in clear and in TLS.
        """
        report = await self.report("idle", "--connections", "20", "--seconds", "0.2", directory=False)
        self.assertEqual(list(report["rows"]), ["plain", "TLS"])
        for row in report["rows"].values():
            self.assertEqual(list(row), ["kib", "cpu_percent", "opened_in"])

    async def test_all_of_what_there_is(self) -> None:
        """
        A benchmark that is not there is an error, which names those that are.
        """
        _, err, status = await self.everything("--only", "nonsense")
        self.assertEqual(status, 1)
        self.assertIn(b"all: nonsense: not among ", err)
        for name in (b"isolation", b"latency", b"memory", b"scaling", b"stall", b"throughput"):
            self.assertIn(name, err)
        for name in (b"harness", b"embedded", b"sink"):
            self.assertNotIn(name, err)

    @staticmethod
    def panels(path: str) -> list[str]:
        """
        Names of the panels of a picture.
        """
        name = "{http://www.w3.org/2000/svg}text"
        bold = [each.text or "" for each in ElementTree.parse(path).iter(name) if each.get("font-weight")]
        # The first is the title.
        return bold[1:]
