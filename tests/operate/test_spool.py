"""
Tests of :mod:`momentum_tx.operate.spool`.
"""

from __future__ import annotations

import argparse
import io
import os
from pathlib import Path

from momentum_tx.errors import ConfigError
from momentum_tx.operate import spool as command

from .spools import SpoolOnDisk


class Terminal(io.StringIO):
    """
    A terminal.
    """

    def isatty(self) -> bool:
        """
        It is one.
        """
        return True


class WhereTests(SpoolOnDisk):
    """
    Which spool is meant.
    """

    def test_directory(self) -> None:
        """
        The spool itself, or the state_dir that it is in.
        """
        self.open()
        self.one_of_each()
        self.stop()
        state_dir = os.path.dirname(self.path)
        self.assertEqual(command.spool_path(self.path, None), os.path.abspath(self.path))
        self.assertEqual(command.spool_path(state_dir, None), os.path.abspath(self.path))
        os.mkdir(os.path.join(self.path, "spool"))
        self.assertEqual(command.spool_path(self.path, None), os.path.abspath(self.path))
        self.assertEqual(command.spool_path("nowhere", None), os.path.abspath("nowhere"))

    def test_configuration(self) -> None:
        """
        That of a configuration, or of the default one.
        """
        path = Path(self.mktemp())
        path.write_text('[global]\nstate_dir = "elsewhere"\n')
        self.assertEqual(command.spool_path(None, str(path)), os.path.abspath("elsewhere/spool"))
        self.assertEqual(command.spool_path(None, None), os.path.abspath("momentum-tx-state/spool"))
        path.write_text("nonsense")
        self.assertRaises(ConfigError, command.spool_path, None, str(path))
        self.assertEqual(self.command("check", "--config", str(path)), 2)

    def test_usage(self) -> None:
        """
        Not both, and no count of nothing.
        """
        parser = argparse.ArgumentParser()
        command.arguments(parser)
        self.command("check", self.path)
        for arguments in (["check", "DIR", "--config", "FILE"], ["stats", "--top", "0"], ["what"], []):
            self.assertEqual(self.assertRaises(SystemExit, parser.parse_args, arguments).code, 2)


class ProgressTests(SpoolOnDisk):
    """
    How far it is.
    """

    def test_terminal(self) -> None:
        """
        A terminal is told every percent once, and left clean.
        """
        err = Terminal()
        progress = command.progress_to(err)
        for done in (0, 1, 2, 100, 100, 200):
            progress(done, 200)
        self.assertEqual(err.getvalue(), "\r0 %\r1 %\r50 %\r      \r")
        progress = command.progress_to(empty := Terminal())
        progress(0, 0)
        self.assertEqual(empty.getvalue(), "\r      \r")

    def test_nobody(self) -> None:
        """
        A file is told nothing.
        """
        err = io.StringIO()
        command.progress_to(err)(1, 2)
        self.assertEqual(err.getvalue(), "")
