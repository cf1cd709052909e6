"""
Tests of :mod:`momentum_tx.operate.log`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.config import load as config_load
from momentum_tx.errors import StartupError
from momentum_tx.operate import log


class _Ended(Exception):
    """
    Whoever looked has seen enough.
    """


class FollowTests(SynchronousTestCase):
    """
    ``momentum-tx log follow``.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "mainlog"
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)
        self.slept: list[float] = []
        self.meanwhile: list[Callable[[], object]] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self.meanwhile:
            raise _Ended()
        self.meanwhile.pop(0)()

    def follow(self, *arguments: str, config: str = "") -> int:
        """
        Run the command; what it prints is in ``out`` and ``err``.
        """
        self.out.seek(0)
        self.out.truncate()
        parser = argparse.ArgumentParser()
        log.arguments(parser)
        text = f'[global]\nlog_dir = "{self.directory}"\n{config}\n'
        return log.run(parser.parse_args(["follow", *arguments]), config_load.parse(text, "t.toml"), self.sleep)

    def write(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(text)

    def test_follows(self) -> None:
        """
        From now on, through a rotation, until somebody ends it.
        """
        self.write("old\n")

        def rotated() -> None:
            self.write("two\n")
            os.rename(self.path, f"{self.path}.000001")
            self.write("three\n")

        self.meanwhile = [lambda: self.write("one\n"), rotated]
        self.assertRaises(_Ended, self.follow)
        self.assertEqual(self.out.getvalue(), "one\ntwo\nthree\n")
        self.assertEqual(self.slept, [0.5] * 3)

    def test_goes_on(self) -> None:
        """
        With the cursor of a record the next one is the first to be printed.
        """
        self.write("one\ntwo\n")
        self.assertEqual(self.follow("--since", "start", "--end", "--cursors"), 0)
        lines = [line.split("\t") for line in self.out.getvalue().splitlines()]
        self.assertEqual([text for _, text in lines], ["one", "two"])
        self.assertEqual(self.follow("--since", lines[0][0], "--end"), 0)
        self.assertEqual(self.out.getvalue(), "two\n")
        self.assertEqual(self.follow("--since", lines[1][0], "--end"), 0)
        self.assertEqual(self.out.getvalue(), "")

    def test_json(self) -> None:
        """
        A record is a text, or an object where the log has objects.
        """
        self.write('a@b\n{"x": 1}\n{broken\n')
        self.follow("--since", "start", "--end", "--json")
        found = [json.loads(line) for line in self.out.getvalue().splitlines()]
        self.assertEqual([each["record"] for each in found], ["a@b", {"x": 1}, "{broken"])
        self.assertEqual({each["log"] for each in found}, {"mainlog"})
        self.follow("--since", found[1]["cursor"], "--end")
        self.assertEqual(self.out.getvalue(), "{broken\n")

    def test_missing(self) -> None:
        """
        Whoever has missed records is told so, once.
        """
        self.write("one\n")
        self.follow("--since", "start", "--end", "--cursors")
        cursor = self.out.getvalue().split("\t")[0]
        self.path.write_text("two\nthree\n", encoding="utf-8")
        self.assertRaises(_Ended, self.follow, "--since", cursor)
        self.assertEqual(self.out.getvalue(), "two\nthree\n")
        self.assertEqual(self.err.getvalue().count("records are missing"), 1)

    def test_which(self) -> None:
        """
        Logs have the names of their options; a path is a path.
        """
        self.write("one\n")
        self.follow("--log", str(self.path), "--since", "start", "--end")
        self.assertEqual(self.out.getvalue(), "one\n")
        self.follow("--log", "rejectlog", "--since", "start", "--end", config='rejectlog = "mainlog"')
        self.assertEqual(self.out.getvalue(), "one\n")
        config = config_load.parse(f'[global]\nlog_dir = "{self.directory}"\ntranscriptlog = true\n', "t.toml")
        self.assertEqual(log.path_of(config, "transcriptlog"), str(self.directory / "transcriptlog"))
        self.assertIn("acctlog", log.LOGS)

    def test_mistakes(self) -> None:
        """
        What is no log, is off, is no cursor or cannot be read is said.
        """
        for arguments, text in (
            (("--log", "mainlgo"), "mainlgo is no log; there are acctlog, "),
            (("--log", "jsonlog"), "jsonlog is off"),
            (("--since", "yesterday"), "'yesterday' is no cursor; it may also be start or now"),
            (("--log", "/nowhere/at/all"), "/nowhere/at: cannot be read: No such file or directory"),
        ):
            error = self.assertRaises(StartupError, self.follow, *arguments)
            self.assertIn(text, str(error))
