"""
What the command says, and its exit status.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.torture import command
from momentum_tx.torture.judge import Verdict
from momentum_tx.torture.lane import Cycle
from momentum_tx.torture.points import Point
from momentum_tx.torture.run import Result

POINT = "traffic: append delivered in append: after: 2"


def result(verdict: Verdict) -> Result:
    """
    One cycle that ended so.
    """
    made = Result(counts={"traffic": {"sync in sync": 3, "names": 1}})
    cycle = Cycle("traffic", Point.parse(POINT), 7, True, Counter(), verdict, 30, 20, "/d/cycle-x")
    made.enter(cycle)
    return made


class ReportTests(SynchronousTestCase):
    """
    The table.
    """

    def test_good(self) -> None:
        """
        A line per kind of point, and one sentence.
        """
        text = command.report(result(Verdict(in_window=["a", "b"])), "/d")
        self.assertIn("traffic: mail comes and goes; 4 steps of 2 kinds\n", text)
        (row,) = [line.split() for line in text.splitlines() if line.startswith("traffic: append")]
        self.assertEqual(row[-10:], ["1", "1", "0", "2", "0", "0", "0", "0", "0", "0"])
        self.assertIn("20 of 30 messages were accepted, 1 processes killed: none lost", text)
        self.assertNotIn("WRONG", text)

    def test_wrong(self) -> None:
        """
        What went wrong, where it is kept, and how it is seen again.
        """
        text = command.report(result(Verdict(lost=["a"], in_window=["b"])), "/d")
        self.assertIn(f"WRONG: {POINT}\n  lost: a\n  kept in /d/cycle-x\n", text)
        self.assertIn(f"again: momentum-tx torture --directory /d --seed 7 --only '{POINT}'\n", text)
        self.assertNotIn("none lost", text)

    def test_json(self) -> None:
        """
        The same for programs.
        """
        said = json.loads(json.dumps(command.as_json(result(Verdict(outside=["a"])))))
        self.assertEqual((said["ok"], said["total"]["outside"], said["kills"]), (False, 1, 1))
        self.assertEqual(said["total"]["lost"], 0)
        self.assertEqual(said["failing"], [{"point": POINT, "seed": 7, "directory": "/d/cycle-x", "outside": ["a"]}])

    def test_nothingTried(self) -> None:
        """
        Where no message was accepted none was lost, and nothing is known.
        """
        made = Result()
        made.enter(Cycle("traffic", None, 1, injected=30))
        text = command.report(made, "/d")
        self.assertIn("of 30 messages none was accepted. Has /d space", text)
        self.assertNotIn("none lost", text)
        self.assertFalse(command.as_json(made)["ok"])
        made.kills = 1
        self.assertTrue(made.good, "one kill, before there was mail")
        made.counts = {"traffic": {"sync in sync": 3}}
        self.assertFalse(made.good, "many, and never any mail")

    def test_goodness(self) -> None:
        """
        A result is good as long as every cycle was.
        """
        made = result(Verdict(in_window=["a"]))
        self.assertTrue(made.good)
        made.enter(Cycle("traffic", None, 1, verdict=Verdict(stuck=["a"])))
        self.assertFalse(made.good)


class OptionTests(SynchronousTestCase):
    """
    The options.
    """

    def parse(self, *arguments: str) -> argparse.Namespace:
        """
        As the command line does.
        """
        parser = argparse.ArgumentParser()
        command.arguments(parser)
        return parser.parse_args(arguments)

    def test_defaults(self) -> None:
        """
        A bounded run, always the same.
        """
        options = self.parse()
        self.assertEqual((options.points, options.long, options.minutes, options.seed), (400, False, 0.0, 1))

    def test_noDirectory(self) -> None:
        """
        A directory in which none can be made is named; no reactor is made for it.
        """
        errors = io.StringIO()
        self.patch(sys, "stderr", errors)
        missing = os.path.join(self.mktemp(), "missing")
        self.assertEqual(command.run(self.parse("--directory", missing), self.fail), 1)
        self.assertEqual(
            errors.getvalue(), f"momentum-tx: {missing}: no directory can be made in it: No such file or directory\n"
        )

    def test_contradictions(self) -> None:
        """
        No run is as long as there are points and has a number of them, and none lasts less than nothing.
        """
        for arguments in (("--long", "--points", "3"), ("--minutes", "-1"), ("--points", "few")):
            self.patch(sys, "stderr", io.StringIO())
            self.assertEqual(self.assertRaises(SystemExit, self.parse, *arguments).code, 2)

    def test_nonsense(self) -> None:
        """
        A point that is none, or in no story, is bad usage; no reactor is made for it.
        """
        for text in ("nowhere", "novel: sync: before: 1"):
            errors = io.StringIO()
            self.patch(sys, "stderr", errors)
            self.assertEqual(command.run(self.parse("--only", text), self.fail), 2)
            self.assertIn("there is no" if "novel" in text else "is no point", errors.getvalue())
