"""
Tests of :mod:`momentum_tx.operate.spool_telling`.
"""

from __future__ import annotations

import os
from pathlib import Path

from momentum_tx.errors import StartupError

from .spools import SpoolOnDisk, mail


class TellingTests(SpoolOnDisk):
    """
    What an import leaves in importlog.
    """

    def setUp(self) -> None:
        super().setUp()
        self.exported = self.mktemp()
        self.directory = os.path.abspath(self.mktemp())
        os.makedirs(self.directory)
        self.open()
        self.keep(mail("one", b"a@example.com", b"b@example.com"))
        self.keep(mail("two", b"c@example.net"))
        self.stop()
        self.assertEqual(self.command("export", self.exported, "--spool", self.path), 0)
        self.config = os.path.join(self.directory, "config.toml")
        self.configure('importlog = "importlog"')

    def configure(self, line: str) -> None:
        Path(self.config).write_text(f'[global]\nstate_dir = "{self.directory}"\n{line}\n', encoding="utf-8")

    def records(self) -> list[list[str]]:
        """
        The fields of all records but the time.
        """
        text = Path(self.directory, "log", "importlog").read_text(encoding="utf-8")
        return [line.split("@")[1:] for line in text.splitlines()]

    def test_imported(self) -> None:
        """
        There is a record for each message, with the id it keeps and the spool it is in.
        """
        self.assertEqual(self.command("import", self.exported, "--config", self.config), 0)
        spool = os.path.join(self.directory, "spool")
        self.assertEqual(self.records(), [[id, "I", id, "1", spool] for id in ("one/0", "one/1", "two/0")])

    def test_refused(self) -> None:
        """
        A sheet that makes no sense is told apart from content that cannot be read.
        """
        sheets = sorted(Path(self.exported).glob("*.json"))
        sheets[0].write_text("no sheet", encoding="utf-8")
        sheets[1].with_suffix(".eml").unlink()
        self.assertEqual(self.command("import", self.exported, "--config", self.config), 1)
        self.assertEqual(
            [(record[0], record[3]) for record in self.records()],
            [
                (sheets[0].stem, "2"),
                (sheets[1].stem, "3"),
            ],
        )

    def test_cannot_be_written(self) -> None:
        """
        A log that cannot be written is complained of before anything is imported.
        """
        self.configure('importlog = "/dev/null/importlog"')
        error = self.assertRaises(StartupError, self.command, "import", self.exported, "--config", self.config)
        self.assertIn("global.importlog: /dev/null/importlog cannot be written", str(error))
        self.assertFalse(os.path.exists(os.path.join(self.directory, "spool")))
