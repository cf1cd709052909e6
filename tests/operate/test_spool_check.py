"""
Tests of :mod:`momentum_tx.operate.spool_check`.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

from momentum_tx.operate import spool_check
from momentum_tx.operate.spool_files import look
from momentum_tx.operate.spool_reading import read
from momentum_tx.spool import records
from momentum_tx.spool.records import SEGMENT_HEADER, decode_segment_header

from ..spool import contract
from .spools import SpoolOnDisk


class CheckTests(SpoolOnDisk):
    """
    ``momentum-tx spool check``.
    """

    def filled(self) -> bytes:
        """
        A stopped spool of one segment; its octets.
        """
        self.open()
        self.one_of_each()
        self.stop()
        return self.segment().read_bytes()

    def starts(self) -> list[int]:
        """
        Where the records begin.
        """
        octets = self.segment().read_bytes()
        return [at for at in range(len(octets)) if octets.startswith(records.RECORD_MAGIC, at)]

    def told(self) -> dict[str, Any]:
        """
        What is said as JSON.
        """
        before = self.everything()
        status = self.command("check", self.path, "--json")
        told: dict[str, Any] = json.loads(self.out.getvalue())
        self.assertEqual(told["status"], status)
        self.assertEqual(self.command("check", self.path), status)
        for finding in told["findings"]:
            self.assertIn(f"{finding['weight']}: {finding['file'] or 'the directory'}: ", self.out.getvalue())
        self.assertEqual(self.everything(), before)
        return told

    def everything(self) -> dict[str, bytes]:
        """
        All regular files of the spool.
        """
        files = (Path(self.path, name) for name in os.listdir(self.path))
        return {file.name: file.read_bytes() for file in files if not file.is_symlink()}

    def finding(self, weight: str, *words: str) -> dict[str, Any]:
        """
        The one finding of any weight, which has *weight* and *words*.
        """
        told = self.told()
        (found,) = told["findings"]
        self.assertEqual(found["weight"], weight)
        self.assertEqual(told["status"], ["note", "damage", "unusable"].index(weight))
        for word in words:
            self.assertIn(word, found["text"])
        return dict(found)

    def test_clean(self) -> None:
        """
        A spool that was stopped in order is clean.
        """
        self.filled()
        told = self.told()
        self.assertEqual((told["findings"], told["status"], told["running"]), ([], 0, False))
        self.assertEqual((told["messages"], told["receptions"], told["records"]), (6, 5, 12))
        self.assertTrue(self.out.getvalue().endswith("\nclean\n"))

    def test_besideAService(self) -> None:
        """
        It is used while a service runs, says so, and takes no lock that would be in the way.
        """
        self.open()
        self.one_of_each()
        self.assertEqual(self.told()["findings"], [])
        self.assertIn(f"a service is running on it (process {os.getpid()})", self.out.getvalue())
        with open(self.segment(), "ab") as file:
            file.write(records.RECORD_MAGIC + b"xxxx")
        self.assertIn("are being written at this moment", self.finding("note")["text"])
        self.stop()
        self.finding("damage", "never written to its end")

    def test_damageAtEveryOctet(self) -> None:
        """
        Whatever octet is wrong, it is found, and the place is told.
        """
        whole = self.filled()
        # Of the reception that was delivered; the record of that follows.
        end = self.starts()[8]
        for at in range(0, len(whole), 7):
            octets = bytearray(whole)
            octets[at] ^= 0xFF
            self.segment().write_bytes(octets)
            found = look(self.path)
            told = spool_check.findings(read(found, True, lambda done, total: None))
            found.close()
            if at < SEGMENT_HEADER:
                # The header is there twice.
                self.assertEqual(told, [])
                continue
            if not told:
                # The body of a message that has ended already is nobody's any more.
                self.assertIn(at, range(end - len(contract.BODY), end))
                continue
            (finding,) = told
            assert finding.offset is not None and finding.length is not None
            self.assertEqual(finding.weight, spool_check.Weight.DAMAGE)
            self.assertTrue(finding.offset <= at < finding.offset + finding.length)

    def test_cutAtEveryOctet(self) -> None:
        """
        A segment of any length is clean at the border of a record, and torn between.
        """
        whole = self.filled()
        borders = {0, SEGMENT_HEADER, len(whole), *self.starts()} | set(range(SEGMENT_HEADER))
        for length in range(0, len(whole), 5):
            self.segment().write_bytes(whole[:length])
            found = look(self.path)
            told = spool_check.findings(read(found, True, lambda done, total: None))
            found.close()
            self.assertEqual(spool_check.status(told), int(length not in borders), (length, told))

    def test_middle(self) -> None:
        """
        Damage in the middle is told with its place; so is a tail that is no record.
        """
        whole = self.filled()
        second, third = self.starts()[1:3]
        octets = bytearray(whole)
        octets[second + 40] ^= 1
        self.segment().write_bytes(octets)
        found = self.finding("damage", "are no record; a start sets them aside")
        self.assertEqual((found["offset"], found["length"]), (second, third - second))
        for suffix in (".bad", ".bad.used"):
            aside = Path(self.path, f"000000000001.seg-{second}{suffix}")
            aside.write_bytes(b"x")
            told = self.told()
            self.assertEqual([each["weight"] for each in told["findings"]], ["note", "note"])
            self.assertIn("were set aside earlier", told["findings"][1]["text"])
            aside.unlink()
        self.segment().write_bytes(whole + b"nonsense" * 20)
        self.finding("damage", "sets them aside and cuts them off")

    def test_spoiltBody(self) -> None:
        """
        A damaged body is told with the messages that it costs.
        """
        self.open()
        self.keep(contract.reception(b"a@a.example", b"b@a.example"))
        self.stop()
        octets = bytearray(self.segment().read_bytes())
        octets[-3] ^= 1
        self.segment().write_bytes(octets)
        self.finding("damage", "the body of reception", "2 messages cannot be delivered")

    def test_header(self) -> None:
        """
        A segment that has lost its header is damage.
        """
        self.filled()
        octets = bytearray(self.segment().read_bytes())
        octets[:SEGMENT_HEADER] = bytes(SEGMENT_HEADER)
        self.segment().write_bytes(octets)
        self.finding("damage", "no readable header")

    def test_newerSegment(self) -> None:
        """
        A segment of another version makes the spool unusable, with the advice that a start gives.
        """
        octets = bytearray(self.filled())
        struct.pack_into("<H", octets, 6, 9)
        struct.pack_into("<I", octets, 8, zlib.crc32(octets[:8]))
        self.segment().write_bytes(octets)
        self.finding("unusable", "format version 9; this program knows 1", "use that version")

    def test_newerRecord(self) -> None:
        """
        So does a record of a kind that is not known.
        """
        octets = self.filled()
        payload = struct.pack("<BBIIQI", 99, 1, 0, 0, 5, 0)
        salt = decode_segment_header(octets).salt
        self.segment().write_bytes(octets + records.frame(payload, salt))
        self.finding("unusable", "record kind 99 version 1 at key 5", "use that version")

    def test_unread(self) -> None:
        """
        A segment that cannot be read is not called clean.
        """
        self.filled()
        found = look(self.path)
        self.addCleanup(found.close)
        found.unopened["000000000002.seg"] = PermissionError(13, "Permission denied")
        told = spool_check.findings(read(found, True, lambda done, total: None))
        self.assertEqual([(each.weight, each.file) for each in told], [(2, "000000000002.seg")])
        self.assertIn("Permission denied", told[0].text)

    def test_foreign(self) -> None:
        """
        A link named as a segment makes the spool unusable; other strange things are noted.
        """
        self.filled()
        os.symlink("elsewhere", os.path.join(self.path, "000000000009.seg"))
        self.finding("unusable", "a symbolic link", "a start is refused")
        os.unlink(os.path.join(self.path, "000000000009.seg"))
        os.symlink("elsewhere", os.path.join(self.path, "other"))
        self.finding("note", "a symbolic link: never opened")

    def test_names(self) -> None:
        """
        No name of a file writes on the terminal.
        """
        self.filled()
        for name in (b"new\nline", b"\x1b]0;title\x07", b"\xff" + b"l" * 200):
            path = os.path.join(os.fsencode(self.path), name)
            Path(os.fsdecode(path)).write_bytes(b"")
            self.finding("note", "nothing of the spool's")
            text = self.out.getvalue()
            self.assertTrue(all(char.isprintable() or char == "\n" for char in text), name)
            os.unlink(path)

    def test_unfinished(self) -> None:
        """
        What somebody has left half written is told for what it is.
        """
        self.filled()
        for name, words in (
            ("000000000009.seg.new", "a start removes it"),
            ("unfinished.tmp", "the next one removes it"),
        ):
            path = Path(self.path, name)
            path.write_bytes(b"x")
            self.finding("note", "never finished", words)
            path.unlink()

    def test_notes(self) -> None:
        """
        What was set aside, who may look in, and how little space there is.
        """
        self.filled()
        aside = Path(self.path, "000000000001.seg-64.bad")
        aside.write_bytes(b"x")
        self.finding("note", "was set aside earlier")
        aside.unlink()
        os.chmod(self.path, 0o750)
        self.finding("note", "mode 750")
        os.chmod(self.path, 0o700)
        found = look(self.path)
        self.addCleanup(found.close)
        reading = read(found, False, lambda done, total: None)
        found.free, found.free_inodes = 5, 3
        texts = [finding.text for finding in spool_check.findings(reading)]
        self.assertEqual(texts, ["only 5 octets of the disk are free", "only 3 more files can be made on the disk"])
        found.free = found.free_inodes = None
        found.reserve = 0
        self.assertEqual(spool_check.findings(reading), [])
        reading.running = True
        (finding,) = spool_check.findings(reading)
        self.assertIn("no space is held back for outcomes", finding.text)

    def test_none(self) -> None:
        """
        No spool is no clean spool.
        """
        self.assertEqual(self.command("check", self.path), 2)
        self.assertIn("No such file", self.err.getvalue())
