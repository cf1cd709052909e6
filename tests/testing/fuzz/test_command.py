"""
The fuzz driver from the command line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import momentum_tx
from momentum_tx.queues.mail_queue import MailQueue
from momentum_tx.testing.fuzz import command
from momentum_tx.testing.fuzz.making import make_plan
from momentum_tx.testing.fuzz.plan import Part, Plan
from momentum_tx.testing.fuzz.play import Result, play
from momentum_tx.testing.fuzz.stage import PROHIBITED

from .stories import StoryCase, small_plan

ROOT = Path(momentum_tx.__file__).parent.parent
AGAIN = "  again: python -m momentum_tx.testing.fuzz "


def misleading_plan() -> Plan:
    """
    A plan with a fault that is no fault of the service: it does not say that its
    receiver is where no receiver may be.
    """
    plan = small_plan()
    plan.hosts[0].address = PROHIBITED
    plan.seed = 77
    return plan


class CommandCase(StoryCase):
    """
    Runs the command in this process.
    """

    def setUp(self) -> None:
        self.addCleanup(self.flushLoggedErrors)
        self.addCleanup(self.flushWarnings)

    def run_command(self, *arguments: object) -> tuple[int, list[str], list[str]]:
        """
        Exit status, and the lines of both streams.
        """
        out, progress = StringIO(), StringIO()
        status = command.run([str(argument) for argument in arguments], out, progress)
        return status, out.getvalue().splitlines(), progress.getvalue().splitlines()

    def file(self, plan: Plan | None = None) -> Path:
        """
        A file for a plan, with one in it or none.
        """
        path = Path(self.mktemp())
        if plan is not None:
            path.write_text(plan.to_json(), encoding="utf-8")
        return path

    def forget_requeues(self) -> None:
        """
        Plant a bug: a message that is to wait is dropped.
        """
        self.patch(MailQueue, "insert_delayed", lambda queue, message, *more: None)


class AccountTests(CommandCase):
    """
    Stories without a fault.
    """

    def test_account(self) -> None:
        """
        The account of a few seeds is the sum of their stories, and the status 0.
        """
        status, out, progress = self.run_command("--seeds", 3, "--start", 13)
        results = [play(make_plan(seed)) for seed in (13, 14, 15)]
        self.assertEqual((status, progress), (0, []))
        self.assertEqual(out[0], "3 seeds, 0 with a fault")
        steps, events = (sum(getattr(result, name) for result in results) for name in ("steps", "events"))
        self.assertTrue(out[1].startswith(f"{steps} steps of the world, {events} events, "), out[1])
        accepted = sum(result.counts["accepted"] for result in results)
        self.assertIn(f"{accepted:>11} accepted", out)

    def test_json(self) -> None:
        """
        As JSON it is one object that says the same.
        """
        status, out, _ = self.run_command("--seeds", 2, "--start", 14, "--json")
        results = [play(make_plan(seed)) for seed in (14, 15)]
        account = json.loads("\n".join(out))
        self.assertEqual(status, 0)
        self.assertEqual((account["seeds"], account["failed"]), (2, {}))
        self.assertEqual(account["steps"], sum(result.steps for result in results))
        self.assertEqual(account["events"], sum(result.events for result in results))
        self.assertEqual(account["virtual_seconds"], round(sum(result.seconds for result in results)))
        self.assertEqual(account["counts"]["accepted"], sum(result.counts["accepted"] for result in results))

    def test_trace(self) -> None:
        """
        The trace of each story comes with its digest.
        """
        _, out, _ = self.run_command("--seeds", 1, "--start", 14, "--trace")
        result = play(make_plan(14), keep_trace=True)
        self.assertEqual(out[: len(result.lines)], result.lines)
        self.assertEqual(out[len(result.lines)], f"digest {result.digest}")

    def test_which_seeds(self) -> None:
        """
        A hundred seeds from the first one on, unless it is said which; progress is
        told after so many, on the other stream, unless it is not wanted.
        """
        seeds: list[int] = []

        def quick(plan: Plan, keep_trace: bool = False) -> Result:
            seeds.append(plan.seed)
            return Result()

        self.patch(command, "play", quick)
        status, _, progress = self.run_command()
        self.assertEqual((status, seeds), (0, list(range(1, 101))))
        self.assertEqual(progress, ["100 seeds, 0 with a fault"])
        seeds.clear()
        self.patch(command, "PROGRESS", 2)
        _, _, progress = self.run_command("--seeds", 5, "--start", 30)
        self.assertEqual(seeds, [30, 31, 32, 33, 34])
        self.assertEqual(progress, ["2 seeds, 0 with a fault", "4 seeds, 0 with a fault"])
        self.assertEqual(self.run_command("--seeds", 5, "--quiet")[2], [])

    def test_plan(self) -> None:
        """
        A plan from a file is played instead; one without a fault is not kept.
        """
        kept = self.file()
        status, out, progress = self.run_command("--plan", self.file(small_plan()), "--keep", kept, "--shrink")
        self.assertEqual((status, out[0], progress), (0, "1 seeds, 0 with a fault", []))
        self.assertFalse(kept.exists())

    def test_no_plan(self) -> None:
        """
        A file with something else in it is refused.
        """
        path = self.file()
        path.write_text("{}", encoding="utf-8")
        self.assertRaises(ValueError, self.run_command, "--plan", path)


class FaultTests(CommandCase):
    """
    Stories with a fault.
    """

    def test_seed(self) -> None:
        """
        A seed with a fault is told on the other stream, with the command that
        plays it again; the status is 1.
        """
        self.forget_requeues()
        status, out, progress = self.run_command("--seeds", 12)
        failing = [line for line in progress if line.startswith("seed ")]
        self.assertEqual(status, 1)
        self.assertEqual(out[0], f"12 seeds, {len(failing)} with a fault")
        self.assertGreater(len(failing), 1)
        self.assertIn(": lost", failing[0])
        again = progress[progress.index(failing[0]) + 1]
        self.assertTrue(again.startswith(AGAIN), again)
        status, out, progress = self.run_command(*again.removeprefix(AGAIN).split())
        self.assertEqual((status, progress), (1, [failing[0], again]))
        self.assertTrue(any(" FAULT lost or doubled " in line for line in out))

    def test_json(self) -> None:
        """
        The account as JSON names the seeds and their faults.
        """
        _, out, progress = self.run_command("--plan", self.file(misleading_plan()), "--json")
        (failed,) = json.loads(out[0])["failed"].items()
        self.assertEqual(f"seed {failed[0]}: {failed[1]}", progress[0])
        self.assertTrue(failed[1].startswith("failed without cause, at "), failed)

    def test_plan(self) -> None:
        """
        A plan with a fault is played again from its file.
        """
        path = self.file(misleading_plan())
        status, _, progress = self.run_command("--plan", path)
        self.assertEqual((status, progress[1:]), (1, [f"{AGAIN}--plan {path} --trace"]))

    def test_keep(self) -> None:
        """
        The plan of the last seed with a fault is kept, and is the same story.
        """
        self.forget_requeues()
        kept = self.file()
        _, _, progress = self.run_command("--seeds", 12, "--keep", kept)
        failing = [line for line in progress if line.startswith("seed ")]
        seed, _, fault = failing[-1].removeprefix("seed ").partition(": ")
        plan = Plan.from_json(kept.read_text(encoding="utf-8"))
        self.assertEqual(plan, make_plan(int(seed)))
        self.assertEqual(str(play(plan).faults[0]), fault)

    def test_shrink(self) -> None:
        """
        A smaller story is looked for: what was found is told, and the plan is
        kept, or told as well.
        """
        plan = misleading_plan()
        plan.providers.append(Part("goal"))
        kept = self.file()
        _, _, progress = self.run_command("--plan", self.file(plan), "--shrink", "--keep", kept)
        smaller = Plan.from_json(kept.read_text(encoding="utf-8"))
        self.assertEqual((smaller.providers, len(smaller.steps)), ([], 1))
        self.assertTrue(any(line.startswith("  smaller: 1 steps, ") for line in progress), progress)
        self.assertEqual(progress[-1], f"  the smallest story found: {play(smaller).faults[0]}")
        _, _, progress = self.run_command("--plan", self.file(plan), "--shrink")
        text = "\n".join(progress)
        self.assertEqual(Plan.from_json(text[text.index("{\n") :]), smaller)


class ProcessTests(CommandCase):
    """
    The module as it is called.
    """

    def call(self, *arguments: object) -> Any:
        """
        A process that has ended.
        """
        return subprocess.run(
            [sys.executable, "-m", "momentum_tx.testing.fuzz", *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=120,
        )

    def test_status(self) -> None:
        """
        Its exit status says whether a fault was found.
        """
        ended = self.call("--seeds", "1", "--start", "14")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertEqual(ended.stdout.splitlines()[0], "1 seeds, 0 with a fault")
        ended = self.call("--plan", self.file(misleading_plan()))
        self.assertEqual(ended.returncode, 1)
        self.assertTrue(ended.stderr.startswith("seed 77: failed without cause, at "), ended.stderr)

    def test_log(self) -> None:
        """
        What the service logs of misbehaving hooks does not disturb.
        """
        ended = self.call("--plan", self.file(small_plan(providers=(Part("raise"),))), "--quiet")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertIn("hooks that raised", ended.stdout)
