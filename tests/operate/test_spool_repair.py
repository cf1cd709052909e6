"""
Tests of :mod:`momentum_tx.operate.spool_repair`.
"""

from __future__ import annotations

import errno
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from momentum_tx.errors import StartupError
from momentum_tx.operate import spool as spool_command
from momentum_tx.operate.spool_files import ReadOnlyFile
from momentum_tx.operate.spool_writing import UNFINISHED
from momentum_tx.queues.message import Message
from momentum_tx.spool import records
from momentum_tx.spool.files import DirectoryFiles
from momentum_tx.spool.records import SEGMENT_HEADER, decode_segment_header

from ..spool import contract
from .spools import SpoolOnDisk, mail


class RepairTests(SpoolOnDisk):
    """
    ``momentum-tx spool repair``.
    """

    def setUp(self) -> None:
        super().setUp()
        self.answers: list[str] = []
        self.asked = 0

    def tools(self) -> spool_command.Tools:
        return spool_command.Tools(lambda: self.now, self.rng, self.ask)

    def ask(self, question: str) -> str:
        """
        The next answer of the test.
        """
        self.asked += 1
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)

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

    def everything(self) -> dict[str, bytes]:
        """
        All files but the lock.
        """
        return {name: Path(self.path, name).read_bytes() for name in os.listdir(self.path) if name != "lock"}

    def repaired(self, *steps: str, status: int = 0) -> str:
        """
        Repair everything unasked; each of *steps* must have been done, and no other.
        """
        self.assertEqual(self.command("repair", self.path, "--yes"), status)
        text = self.out.getvalue()
        self.assertIn(f"\n{len(steps)} steps were done, 0 were not\n", "\n" + text)
        for step in steps:
            self.assertIn(step, text)
        return text

    def found(self) -> list[Message]:
        """
        What a service finds.
        """
        found = self.open()
        bodies = [self.read(message.reception) for message in found]
        self.assertEqual(bodies, [contract.BODY] * len(bodies))
        self.stop()
        return found

    def names(self) -> list[str]:
        """
        Recipients that a service finds.
        """
        found = self.open()
        self.stop()
        return sorted(message.recipient.decode() for message in found)

    def test_clean(self) -> None:
        """
        A spool that is whole is left alone.
        """
        self.filled()
        before = self.everything()
        self.assertEqual(self.repaired(), "0 steps were done, 0 were not\n")
        self.assertEqual(self.everything(), before)

    def test_running(self) -> None:
        """
        A spool that a service has is refused; so is one that is not there.
        """
        self.filled()
        self.open()
        self.assertIn("another running", str(self.assertRaises(StartupError, self.command, "repair", self.path)))
        self.stop()
        self.assertIn("there is no spool", str(self.assertRaises(StartupError, self.command, "repair", "nowhere")))

    def test_torn(self) -> None:
        """
        A torn end is set aside, then cut; afterwards the spool is clean.
        """
        whole = self.filled()
        last = self.starts()[-1]
        self.segment().write_bytes(whole[:-3])
        self.repaired("set aside what is no record", f"cut it where its last record ends, at {last}")
        self.assertEqual(self.segment().read_bytes(), whole[:last])
        self.assertEqual(Path(self.path, f"000000000001.seg-{last}.bad").read_bytes(), whole[last:-3])
        self.repaired()
        self.assertEqual(self.command("check", self.path), 0)

    def test_asAStart(self) -> None:
        """
        Whatever octet is wrong and wherever the segment ends, files are left as a start leaves
        them, and the same mail is found.
        """
        whole = self.filled()
        copies: list[bytes] = []
        for at in range(SEGMENT_HEADER, len(whole), 61):
            broken = bytearray(whole)
            broken[at] ^= 0xFF
            copies += [bytes(broken), whole[:at]]
        for octets in copies:
            shutil.rmtree(self.path)
            os.makedirs(self.path)
            self.segment().write_bytes(octets)
            started = self.names()
            after = self.everything()
            shutil.rmtree(self.path)
            os.makedirs(self.path)
            self.segment().write_bytes(octets)
            self.assertEqual(self.command("repair", self.path, "--yes"), 0)
            ours = self.everything()
            self.assertEqual(ours["000000000001.seg"], after.get("000000000001.seg", ours["000000000001.seg"]))
            self.assertEqual(
                {name: octets for name, octets in ours.items() if name.endswith(".bad")},
                {name: octets for name, octets in after.items() if name.endswith(".bad")},
            )
            self.assertEqual(self.names(), started)

    def test_middle(self) -> None:
        """
        Damage in the middle is set aside once, and stays where it is.
        """
        whole = bytearray(self.filled())
        second = self.starts()[1]
        whole[second + 40] ^= 1
        self.segment().write_bytes(whole)
        self.repaired(f"set aside what is no record: {self.starts()[2] - second} octets at {second}")
        self.assertEqual(self.segment().read_bytes(), bytes(whole))
        self.assertIn("no mail in it that is whole", self.repaired())

    def test_zeros(self) -> None:
        """
        Blocks that were never written are cut without a copy.
        """
        whole = self.filled()
        self.segment().write_bytes(whole + bytes(5000))
        self.repaired(f"it has {len(whole)} octets now")
        self.assertEqual(sorted(self.everything()), ["000000000001.seg", "reserve"])

    def test_asked(self) -> None:
        """
        Nothing is done that is not agreed to, and nothing is cut that was not set aside.
        """
        whole = self.filled()
        self.segment().write_bytes(whole[:-3])
        before = self.everything()
        for answers in ([], ["n"], [""], ["perhaps"]):
            self.answers = list(answers)
            self.asked = 0
            self.assertEqual(self.command("repair", self.path), 1)
            self.assertEqual(self.asked, 1)
            self.assertIn("left: 000000000001.seg is not cut at ", self.out.getvalue())
            self.assertIn("0 steps were done, 1 were not", self.out.getvalue())
            self.assertEqual(self.everything(), before)
        self.answers = ["yes", "N"]
        self.assertEqual(self.command("repair", self.path), 1)
        self.assertEqual(self.segment().read_bytes(), whole[:-3])
        self.answers = ["Y"]
        self.assertEqual(self.command("repair", self.path), 0)
        self.assertLess(len(self.segment().read_bytes()), len(whole) - 3)

    def test_otherCopy(self) -> None:
        """
        A file of that name that holds something else, or a part of it, is no copy: another is made.
        """
        whole = self.filled()
        last = self.starts()[-1]
        for there in (b"other", whole[last:-9], whole[last:-3] + b"x"):
            self.segment().write_bytes(whole[:-3])
            aside = Path(self.path, f"000000000001.seg-{last}.bad")
            aside.write_bytes(there)
            self.repaired("set aside what is no record", "cut it where its last record ends")
            self.assertEqual(aside.read_bytes(), there)
            second = Path(self.path, f"000000000001.seg-{last}.1.bad")
            self.assertEqual(second.read_bytes(), whole[last:-3])
            second.unlink()

    def test_copyGoesMeanwhile(self) -> None:
        """
        The copy must still be there at the moment of the cut, however long the answer takes.
        """
        whole = self.filled()
        last = self.starts()[-1]
        self.segment().write_bytes(whole[:-3])

        def ask(question: str) -> str:
            self.asked += 1
            if self.asked == 2:
                Path(self.path, f"000000000001.seg-{last}.bad").unlink()
            return "y"

        self.patch(self, "ask", ask)
        self.assertIn("has changed meanwhile", str(self.assertRaises(StartupError, self.command, "repair", self.path)))
        self.assertEqual(self.segment().read_bytes(), whole[:-3])

    def test_fullDisk(self) -> None:
        """
        A disk that takes no copy ends it, and nothing is cut.
        """
        whole = self.filled()
        self.segment().write_bytes(whole[:-3])

        def refuse(files: DirectoryFiles, name: str) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device", name)

        self.patch(DirectoryFiles, "create", refuse)
        error = self.assertRaises(StartupError, self.command, "repair", self.path, "--yes")
        self.assertIn(f"{self.path}: cannot be written: No space left on device; mend that", str(error))
        self.assertEqual(self.segment().read_bytes(), whole[:-3])

    def test_lostHeader(self) -> None:
        """
        A segment that has lost its header is written anew with it, exactly as it was; the old
        octets stay.
        """
        whole = self.filled()
        broken = b"\xff" * SEGMENT_HEADER + whole[SEGMENT_HEADER:]
        self.segment().write_bytes(broken)
        self.repaired("write it anew with the header it has lost")
        self.assertEqual(self.segment().read_bytes(), whole)
        self.assertEqual(Path(self.path, "000000000001.seg.bad.used").read_bytes(), broken)
        self.assertEqual(self.command("check", self.path), 0)
        self.assertEqual(len(self.found()), 6)

    def test_hopeless(self) -> None:
        """
        A segment of which nothing can be read is set aside, as a start does.
        """
        self.filled()
        self.segment().write_bytes(b"\x01" * 5000)
        self.repaired("set all of it aside, as a start does")
        self.assertEqual(sorted(self.everything()), ["000000000001.seg.bad", "reserve"])
        self.assertIn("left: 000000000001.seg.bad: nothing in it can be read", self.repaired())
        # Again: what was set aside before is not written over.
        self.segment().write_bytes(b"\x02" * 5000)
        self.repaired("it is 000000000001.seg.1.bad now")
        self.assertEqual(Path(self.path, "000000000001.seg.bad").read_bytes(), b"\x01" * 5000)

    def test_setAsideByAStart(self) -> None:
        """
        A segment that a start has set aside comes back, and its mail is found.
        """
        whole = self.filled()
        self.segment().rename(Path(self.path, "000000000001.seg.bad"))
        broken = b"\xff" * SEGMENT_HEADER + whole[SEGMENT_HEADER:]
        Path(self.path, "000000000001.seg.bad").write_bytes(broken)
        self.repaired("take its mail back into the spool: up to 6 messages")
        self.assertEqual(self.segment().read_bytes(), whole)
        self.repaired()
        self.assertEqual(len(self.found()), 6)

    def test_numberTakenAgain(self) -> None:
        """
        Where its number has another segment it stays aside: their keys are the same.
        """
        whole = self.filled()
        Path(self.path, "000000000001.seg.bad").write_bytes(b"\xff" * SEGMENT_HEADER + whole[SEGMENT_HEADER:])
        self.assertIn("there is another 000000000001.seg", self.repaired())
        self.assertEqual(self.segment().read_bytes(), whole)

    def test_endsAnywhere(self) -> None:
        """
        Wherever the mending of a header ends, no octet is lost, and another one completes it.
        """
        whole = self.filled()
        broken = b"\xff" * SEGMENT_HEADER + whole[SEGMENT_HEADER:]
        methods = ("create", "rename", "sync_names", "unlink")
        real: dict[str, Callable[..., Any]] = {name: getattr(DirectoryFiles, name) for name in methods}
        for number in range(30):
            shutil.rmtree(self.path)
            os.makedirs(self.path)
            self.segment().write_bytes(broken)
            left = [number]
            for name in methods:

                def failing(files: DirectoryFiles, *args: str, name: str = name, left: list[int] = left) -> Any:
                    left[0] -= 1
                    if left[0] < 0:
                        raise OSError(errno.EIO, "Input/output error")
                    return real[name](files, *args)

                self.patch(DirectoryFiles, name, failing)
            try:
                self.command("repair", self.path, "--yes")
                ended = True
            except (OSError, StartupError):
                ended = False
            for name in methods:
                self.patch(DirectoryFiles, name, real[name])
            self.assertTrue(any(octets in (whole, broken) for octets in self.everything().values()))
            self.assertEqual(self.command("repair", self.path, "--yes"), 0)
            self.assertEqual(self.segment().read_bytes(), whole)
            self.assertIn(broken, self.everything().values())
            if ended:
                break
        else:
            self.fail("it never came through")

    def test_salvage(self) -> None:
        """
        Whole mail in what was set aside comes back once, with the ends of it that are on record.
        """
        self.open()
        self.keep(mail("here", b"here@a.example"))
        self.keep(mail("gone", b"one@a.example", b"two@a.example"))
        self.stop()
        whole = self.segment().read_bytes()
        second = self.starts()[1]
        key = int.from_bytes(whole[second + 18 : second + 26], "little")
        salt = decode_segment_header(whole).salt
        end = records.frame(records.encode_ended(records.DELIVERED, key, 1, b"250"), salt)
        self.segment().write_bytes(whole[:second] + end)
        aside = Path(self.path, f"000000000001.seg-{second}.bad")
        aside.write_bytes(b"junk" + whole)
        self.repaired("take 1 whole receptions back into the spool")
        self.assertFalse(aside.exists())
        self.assertEqual(Path(self.path, f"{aside.name}.used").read_bytes(), b"junk" + whole)
        self.assertEqual(self.repaired(), "0 steps were done, 0 were not\n")
        self.assertEqual(self.names(), ["here@a.example", "one@a.example"])

    def test_salvageBesideUnread(self) -> None:
        """
        Mail is not taken back while a segment cannot be read that may hold its end.
        """
        octets = self.filled()
        first = self.starts()[0]
        self.segment().write_bytes(octets[:first])
        Path(self.path, f"000000000001.seg-{first}.bad").write_bytes(octets[first:])
        Path(self.path, "000000000002.seg").write_bytes(octets)
        really = ReadOnlyFile.read

        def failing(file: ReadOnlyFile, offset: int, length: int) -> bytes:
            if file.name == "000000000002.seg":
                raise OSError(errno.EIO, os.strerror(errno.EIO), file.name)
            return really(file, offset, length)

        self.patch(ReadOnlyFile, "read", failing)
        before = self.everything()
        text = self.repaired(status=1)
        self.assertIn(f"left: 000000000001.seg-{first}.bad: its mail may have ended in what cannot be read", text)
        self.assertEqual(self.everything(), before)

    def test_salvageWithoutSegment(self) -> None:
        """
        What was set aside cannot be read when its segment is gone.
        """
        self.filled()
        Path(self.path, "000000000009.seg-64.bad").write_bytes(b"x" * 100)
        self.assertIn("left: 000000000009.seg-64.bad: 000000000009.seg is gone", self.repaired())

    def test_links(self) -> None:
        """
        A link in place of what was set aside is not followed.
        """
        self.filled()
        outside = Path(self.mktemp())
        outside.write_bytes(self.segment().read_bytes())
        os.symlink(outside.absolute(), os.path.join(self.path, "000000000007.seg.bad"))
        self.repaired()
        self.assertEqual(outside.read_bytes(), self.segment().read_bytes())

    def test_spoiltBody(self) -> None:
        """
        Mail whose body is damaged gets a copy, and is left to the start.
        """
        self.open()
        self.keep(mail("one", b"one@a.example"))
        self.keep(mail("two", b"two@a.example"))
        self.stop()
        octets = bytearray(self.segment().read_bytes())
        octets[-2] ^= 1
        self.segment().write_bytes(octets)
        text = self.repaired("set aside what is no record")
        self.assertIn("left: 000000000001.seg: the body of reception", text)
        self.assertEqual(self.segment().read_bytes(), octets)
        self.assertEqual(self.names(), ["one@a.example"])

    def test_unusable(self) -> None:
        """
        What a newer program has written is left to it.
        """
        octets = bytearray(self.filled())
        struct.pack_into("<H", octets, 6, 9)
        struct.pack_into("<I", octets, 8, zlib.crc32(octets[:8]))
        self.segment().write_bytes(octets)
        before = self.everything()
        self.assertIn("left: 000000000001.seg: format version 9", self.repaired(status=1))
        self.assertEqual(self.everything(), before)
        self.assertNotIn(UNFINISHED, before)
