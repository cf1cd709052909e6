"""
Tests of :mod:`momentum_tx.logs.reader`.
"""

import gzip
import os
import random
import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.logs import names
from momentum_tx.logs import reader as module
from momentum_tx.logs.files import CUT, LogFile
from momentum_tx.logs.names import DirectoryLogNames
from momentum_tx.logs.reader import BadCursor, Cursor, LogReader


class CursorTests(SynchronousTestCase):
    """
    A place in a log, as text.
    """

    def test_text(self) -> None:
        """
        A cursor can be written down and read back; what is none is refused.
        """
        cursor = Cursor(7, 0x1A2B, 77, "0123456789abcdef")
        self.assertEqual(Cursor.parse(str(cursor)), cursor)
        for text in ("", "7-1a2b-4d", "7-1a2b-0-0123456789abcdef", f"{cursor}0", "x" * 1000):
            self.assertRaises(BadCursor, Cursor.parse, text)


class ReaderCase(SynchronousTestCase):
    """
    A log with a writer that rotates.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = str(self.directory / "mainlog")
        self.names = DirectoryLogNames()
        self.writer = LogFile(self.path)
        self.writer.open()
        self.addCleanup(self.writer.close)
        self.count = 0
        self.reader = self.make()

    def make(self, since: str = "") -> LogReader:
        reader = LogReader(self.path, Cursor.parse(since) if since else None)
        self.addCleanup(reader.close)
        return reader

    def write(self, lines: int = 3) -> None:
        for _ in range(lines):
            self.count += 1
            self.writer.write(b"record %d\n" % self.count)

    def rotate(self, keep: int = 100, compress: bool = True) -> None:
        self.set_aside()
        self.names.tidy(self.path, keep, compress, lambda: False)

    def set_aside(self) -> None:
        self.names.set_aside(self.path)
        self.writer.reopen()

    def read(self, reader: LogReader | None = None, most: int = 1000) -> list[int]:
        """
        Numbers of the records that are read next.
        """
        lines = (reader or self.reader).read(most)
        return [int(line.content.split()[1]) for line in lines]

    def again(self) -> LogReader:
        """
        The process of the reader ends, and another one goes on.
        """
        self.reader.close()
        cursor = self.reader.cursor
        self.reader = self.make(str(cursor) if cursor is not None else "")
        return self.reader

    def numbers(self, first: int) -> list[int]:
        return list(range(first, self.count + 1))


class FollowTests(ReaderCase):
    """
    A reader beside the writer.
    """

    def test_follows(self) -> None:
        """
        Records come once each, when they are there.
        """
        self.assertEqual(self.read(), [])
        self.write()
        self.assertEqual(self.read(most=2), [1, 2])
        self.assertEqual(self.read(), [3])
        self.assertEqual(self.read(), [])
        self.write(1)
        self.assertEqual(self.read(), [4])

    def test_no_file_yet(self) -> None:
        """
        A log that is not there yet is waited for.
        """
        self.writer.close()
        os.unlink(self.path)
        self.assertEqual(self.read(), [])
        self.reader.skip()
        self.writer.open()
        self.write()
        self.assertEqual(self.read(), [1, 2, 3])

    def test_half_a_record(self) -> None:
        """
        A record comes when its end is there, and a torn one never.
        """
        self.writer.write(b"record 1\n")
        with open(self.path, "ab") as stream:
            stream.write(b"rec")
            stream.flush()
            self.assertEqual(self.read(), [1])
            stream.write(b"ord 2\n")
        self.assertEqual(self.read(), [2])
        with open(self.path, "ab") as stream:
            stream.write(b"record torn" + CUT)
        self.writer.write(b"record 3\n")
        self.assertEqual(self.read(), [3])

    def test_rotation(self) -> None:
        """
        It reads a file to its end, whatever it is called by then, and goes on with the next.
        """
        self.write()
        self.assertEqual(self.read(), [1, 2, 3])
        self.write()
        self.set_aside()
        self.assertEqual(self.read(), [4, 5, 6])
        self.write()
        self.rotate()
        self.write()
        self.assertEqual(self.read(), self.numbers(7))

    def test_compressed_behind_its_back(self) -> None:
        """
        A file that is compressed and removed while it is read is read to its end.
        """
        self.write()
        self.assertEqual(self.read(most=1), [1])
        self.rotate()
        self.write()
        self.rotate()
        self.write()
        self.assertEqual(self.read(), self.numbers(2))

    def test_renamed_before_reopened(self) -> None:
        """
        While the writer goes on in a renamed file, the reader waits there.
        """
        self.write()
        os.rename(self.path, f"{self.path}.1")
        self.assertEqual(self.read(), [1, 2, 3])
        self.write()
        self.assertEqual(self.read(), [4, 5, 6])
        self.writer.reopen()
        self.write()
        self.assertEqual(self.read(), [7, 8, 9])
        self.assertEqual((self.reader.gaps, self.reader.damaged), (0, 0))

    def test_last_look(self) -> None:
        """
        What is written between the end of a file and the look at the next one is not passed over.
        """
        self.write()
        self.assertEqual(self.read(), [1, 2, 3])
        really = self.reader._files
        once = [True]

        def meanwhile() -> list[module._Named]:
            if once.pop():
                once.append(False)
                self.write()
                self.set_aside()
                self.write()
            else:
                once.append(False)
            return really()

        self.patch(self.reader, "_files", meanwhile)
        found = self.read()
        self.assertEqual(found + self.read(), self.numbers(4))

    def test_rotated_while_listing(self) -> None:
        """
        The names are not read in one moment; a file that is set aside in between is not passed over.
        """
        self.write()
        self.assertEqual(self.read(), [1, 2, 3])
        self.rotate()
        self.write()
        really = names.aside
        looks = [0]

        def listed(path: str) -> dict[int, dict[str, str]]:
            found = really(path)
            looks[0] += 1
            # The first look finds the next file, the second one is to open it.
            if looks[0] == 2:
                self.set_aside()
                self.write()
            return found

        self.patch(module, "aside", listed)
        found: list[int] = []
        for _ in range(6):
            found += self.read()
        self.assertEqual(found, self.numbers(4))

    def test_rotated_while_opening(self) -> None:
        """
        A file that is set aside between being found and being opened is not passed over.
        """
        self.write()
        self.assertEqual(self.read(), [1, 2, 3])
        self.rotate()
        self.write()
        really = module._opened
        left = [2]

        def opened(file: module._Named) -> object:
            if file.path == self.path:
                left[0] -= 1
                if not left[0]:
                    self.set_aside()
                    self.write()
            return really(file)

        self.patch(module, "_opened", opened)
        found: list[int] = []
        for _ in range(4):
            found += self.read()
        self.assertEqual(found, self.numbers(4))
        self.assertLess(left[0], 1)

    def test_cut_off(self) -> None:
        """
        A file that is cut off is begun anew, and the gap is counted; what stands in older files does not come again.
        """
        self.write()
        self.rotate()
        self.write()
        self.assertEqual(self.read(), self.numbers(1))
        os.truncate(self.path, 0)
        self.assertEqual(self.read(), [])
        self.write(1)
        self.assertEqual(self.read(), [7])
        self.assertEqual(self.reader.gaps, 1)

    def test_copied_and_cut_off(self) -> None:
        """
        Where somebody copies the file before it is cut off, the rest is read from the copy.
        """
        self.write()
        self.assertEqual(self.read(most=1), [1])
        shutil.copy2(self.path, f"{self.path}.1")
        os.truncate(self.path, 0)
        self.write(1)
        self.assertEqual(self.read(), [2, 3, 4])
        self.assertEqual(self.reader.gaps, 0)

    def test_skip(self) -> None:
        """
        Whoever wants only what comes gets only that, after a restart as well.
        """
        self.write()
        self.rotate()
        self.write()
        self.reader.skip()
        self.assertEqual(self.read(), [])
        self.again()
        self.write()
        self.assertEqual(self.read(), [7, 8, 9])

    def test_skip_empty(self) -> None:
        """
        The same where the file is empty, or was set aside and there is none.
        """
        self.write()
        self.rotate()
        self.reader.skip()
        self.write(1)
        self.assertEqual(self.read(), [4])
        os.rename(self.path, f"{self.path}.000002")
        self.reader.skip()
        self.assertEqual(self.read(), [])
        self.writer.reopen()
        self.write(1)
        self.assertEqual(self.read(), [5])

    def test_no_record(self) -> None:
        """
        What is longer than any record is passed over, and counted.
        """
        self.patch(module, "LONGEST", 64)
        self.write(1)
        self.writer.write(b"x" * 200 + b"\n")
        self.writer.write(b"record 2\n")
        self.assertEqual(self.read(), [1, 2])
        self.assertEqual(self.reader.damaged, 1)


class ResumeTests(ReaderCase):
    """
    A reader that begins where another has ended.
    """

    def test_same_file(self) -> None:
        """
        It goes on behind the record.
        """
        self.write()
        self.assertEqual(self.read(most=2), [1, 2])
        self.again()
        self.assertEqual(self.read(), [3])
        self.again()
        self.assertEqual(self.read(), [])

    def test_other_name(self) -> None:
        """
        The file was set aside, compressed, or given other names by another program.
        """
        self.write()
        self.assertEqual(self.read(most=1), [1])
        self.set_aside()
        self.write()
        self.again()
        self.assertEqual(self.read(most=1), [2])
        self.rotate()
        self.again()
        self.assertEqual(self.read(most=1), [3])
        self.write()
        packed = gzip.decompress(Path(f"{self.path}.000001.gz").read_bytes())
        os.unlink(f"{self.path}.000001.gz")
        Path(f"{self.path}.2.gz").write_bytes(gzip.compress(packed))
        os.utime(f"{self.path}.2.gz", (1, 1))
        self.again()
        self.assertEqual(self.read(), self.numbers(4))
        self.assertEqual(self.reader.gaps, 0)

    def test_removed(self) -> None:
        """
        Where the file is gone it goes on with the next one that is there, and the gap is counted.
        """
        for _ in range(5):
            self.write()
            self.rotate()
        self.assertEqual(self.read(most=4), [1, 2, 3, 4])
        self.write()
        self.rotate(keep=2)
        self.write()
        self.again()
        self.assertEqual(self.read(), self.numbers(13))
        self.assertEqual(self.reader.gaps, 1)

    def test_alike(self) -> None:
        """
        Files that begin alike are told apart by what the system and the rotation call them.
        """
        for _ in range(3):
            self.writer.write(b"record 7\n")
            self.set_aside()
        self.writer.write(b"record 8\n")
        self.assertEqual(self.read(most=2), [7, 7])
        self.names.tidy(self.path, 100, True, lambda: False)
        self.again()
        self.assertEqual(self.read(), [7, 8])

    def test_damaged(self) -> None:
        """
        A compressed file that is damaged is read as far as it goes, and passed over.
        """
        self.write(2000)
        self.rotate()
        packed = Path(f"{self.path}.000001.gz")
        packed.write_bytes(packed.read_bytes()[:-2000])
        self.write()
        found = self.read(most=10_000)
        self.assertEqual(found[-3:], [2001, 2002, 2003])
        self.assertEqual(found, sorted(set(found)))
        self.assertEqual(self.reader.damaged, 1)

    def test_whatever_comes(self) -> None:
        """
        Whatever writer, rotation and reader do, in whatever order, every record comes once, in order.
        """
        for seed in range(30):
            chance = random.Random(seed)
            self.tearDownFiles()
            found: list[int] = []
            for _ in range(60):
                step = chance.choice(("write", "write", "read", "some", "again", "aside", "tidy"))
                if step == "write":
                    self.write(chance.randrange(1, 6))
                elif step in ("read", "some"):
                    found += self.read(most=1000 if step == "read" else chance.randrange(1, 4))
                elif step == "again":
                    self.again()
                elif step == "aside":
                    self.set_aside()
                else:
                    self.names.tidy(self.path, 1000, chance.random() < 0.8, lambda: False)
            for _ in range(3):
                found += self.read(most=10_000)
            self.assertEqual(found, self.numbers(1), seed)
            self.assertEqual((self.reader.gaps, self.reader.damaged), (0, 0), seed)

    def tearDownFiles(self) -> None:
        """
        Begin with an empty directory.
        """
        self.reader.close()
        for path in self.directory.iterdir():
            path.unlink()
        self.count = 0
        self.writer.reopen()
        self.reader = self.make()
