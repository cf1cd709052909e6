"""
Tests of :mod:`momentum_tx.operate.spool_export`.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from momentum_tx.errors import StartupError
from momentum_tx.operate.spool_export import Choice, FilesOut
from momentum_tx.operate.spool_state import Waiting

from ..spool import contract
from .spools import SpoolOnDisk


class ExportTests(SpoolOnDisk):
    """
    ``momentum-tx spool export``.
    """

    def setUp(self) -> None:
        super().setUp()
        self.target = self.mktemp()

    def export(self, *arguments: str) -> list[dict[str, Any]]:
        """
        Export to a new directory; the sheets.
        """
        self.target = self.mktemp()
        self.status = self.command("export", self.target, "--spool", self.path, *arguments)
        return [json.loads(path.read_text()) for path in sorted(Path(self.target).glob("*.json"))]

    def recipients(self, sheets: Sequence[dict[str, Any]]) -> list[str]:
        """
        Of all messages.
        """
        return sorted(message["recipient"] for each in sheets for message in each["messages"])

    def test_files(self) -> None:
        """
        Each reception is a file with its exact octets, and a sheet beside it, which nobody else may read.
        """
        self.open()
        body = b"Subject: \xe4\r\n\r\n..dots\r\n.\r\nno line end"
        self.keep(contract.reception(b"a@a.example"), body)
        self.one_of_each()
        self.stop()
        sheets = self.export()
        self.assertEqual(self.status, 0)
        self.assertEqual(self.out.getvalue(), f"7 messages of 6 receptions are in {self.target}\n")
        self.assertEqual(len(os.listdir(self.target)), 12)
        key = sheets[0]["key"]
        self.assertEqual(Path(self.target, f"{key}.eml").read_bytes(), body)
        self.assertEqual(sheets[0]["content"]["octets"], len(body))
        for name in os.listdir(self.target):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.target, name)).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.target).st_mode), 0o700)

    def test_chosen(self) -> None:
        """
        By domain, binding, and whether they are held.
        """
        self.open()
        self.one_of_each()
        self.stop()
        for arguments, expected in (
            (
                (),
                [
                    "due@a.example",
                    "flies@c.example",
                    "held@B.example",
                    "one@a.example",
                    "three@e.example",
                    "waits@b.example",
                ],
            ),
            (("--domain", "B.Example."), ["held@B.example", "waits@b.example"]),
            (("--binding", "b2"), ["three@e.example"]),
            (("--binding", ""), []),
            (("--held",), ["held@B.example"]),
            (("--held", "--domain", "a.example"), []),
        ):
            self.assertEqual(self.recipients(self.export(*arguments)), expected, arguments)
            self.assertEqual(self.status, 0)

    def test_states(self) -> None:
        """
        A sheet says how its messages stand.
        """
        self.open()
        self.one_of_each()
        self.stop()
        told = {message["recipient"]: message for each in self.export() for message in each["messages"]}
        waits, held, flies = (told[name] for name in ("waits@b.example", "held@B.example", "flies@c.example"))
        self.assertEqual((waits["retries"], waits["next_attempt"], waits["code"]), (1, 5000.0, "451 later"))
        self.assertEqual((held["held"], held["next_attempt"], held["ambiguous"]), (True, None, 1))
        self.assertEqual((waits["in_flight"], flies["in_flight"]), (None, "hold"))

    def test_json(self) -> None:
        """
        What was done can be read by programs.
        """
        self.open()
        self.one_of_each()
        self.export("--json")
        told = json.loads(self.out.getvalue())
        self.assertEqual((told["messages"], told["receptions"], told["failed"], told["running"]), (6, 5, 0, True))
        self.stop()

    def test_besideAService(self) -> None:
        """
        It works beside a service that runs, and says that mail is not taken out.
        """
        self.open()
        self.one_of_each()
        self.assertEqual(len(self.export()), 5)
        self.assertIn("it goes on delivering them", self.out.getvalue())
        self.stop()

    def test_damaged(self) -> None:
        """
        What cannot be read is said, and the rest is exported.
        """
        self.open()
        self.one_of_each()
        self.keep(contract.reception(b"broken@a.example"))
        self.stop()
        octets = bytearray(self.segment().read_bytes())
        octets[-1] ^= 1
        self.segment().write_bytes(octets)
        self.assertEqual(len(self.export()), 5)
        self.assertEqual(self.status, 1)
        self.assertIn("in segment 1 at", self.err.getvalue())
        self.assertIn("its body is damaged", self.err.getvalue())

    def test_unreadableSegment(self) -> None:
        """
        A segment that cannot be read whole is said: there may be more mail in it.
        """
        self.open()
        self.one_of_each()
        self.stop()
        octets = bytearray(self.segment().read_bytes())
        octets[6:12] = b"\x09\0" + (0).to_bytes(4, "little")
        octets[8:12] = zlib.crc32(octets[:8]).to_bytes(4, "little")
        self.segment().write_bytes(octets)
        self.assertEqual(self.export(), [])
        self.assertEqual(self.status, 1)
        self.assertIn("cannot be read whole", self.err.getvalue())

    def test_notEmpty(self) -> None:
        """
        Nothing is written among other files, nor over any.
        """
        self.open()
        self.one_of_each()
        self.stop()
        self.export()
        error = self.assertRaises(StartupError, self.command, "export", self.target, "--spool", self.path)
        self.assertIn("is not empty", str(error))
        self.assertRaises(StartupError, FilesOut, str(self.segment()))

    def test_links(self) -> None:
        """
        A link that somebody puts in the way meanwhile is not followed.
        """
        out = FilesOut(self.target)
        self.addCleanup(out.close)
        os.symlink(os.path.abspath("victim"), os.path.join(self.target, "1.eml"))
        self.assertRaises(FileExistsError, out.write, "1.eml", b"x")
        self.assertFalse(os.path.exists("victim"))

    def test_synced(self) -> None:
        """
        Every file is synced, whether there are few or many; so is the directory.
        """
        synced: list[int] = []
        really = os.fsync

        def noted(descriptor: int) -> None:
            synced.append(os.fstat(descriptor).st_ino)
            really(descriptor)

        self.patch(os, "fsync", noted)
        out = FilesOut(self.target)
        for number in range(600):
            out.write(str(number), b"x" * number)
        before = len(os.listdir("/proc/self/fd"))
        self.assertLess(len(out._open), 256)
        out.close()
        self.assertLess(len(os.listdir("/proc/self/fd")), before)
        inodes = {entry.inode() for entry in os.scandir(self.target)}
        self.assertEqual(inodes - set(synced), set())
        self.assertIn(os.stat(self.target).st_ino, synced)
        self.assertEqual(Path(self.target, "599").stat().st_size, 599)

    def test_choice(self) -> None:
        """
        Domains are compared as queues know them.
        """
        message = Waiting("id", "x@B\u00fccher.example".encode(), "", 0.0)
        self.assertTrue(Choice(domain="xn--bcher-kva.example").takes(message))
        self.assertEqual(Waiting("id", b"postmaster", "", 0.0).domain, "")
