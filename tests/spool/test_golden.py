"""
Spools of every format that was ever released are read as they were written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.spool import records
from momentum_tx.spool.records import FORMAT_VERSION, decode_head
from momentum_tx.testing.files import MemoryFiles

from . import golden

#: What to do when a test of this module fails.
ADVICE = (
    "The format has changed. Spools of before must be read as before: leave the golden spools as they are. Give what is"
    " new another version, say it in doc/explanation/journal.md, let tests/spool/golden.py write some of it, and make a"
    " golden spool of the new format: python -m tests.spool.golden NAME"
)


def kinds(segments: Sequence[bytes]) -> Counter[tuple[int, int]]:
    """
    Which records, by kind and version, segments hold.
    """
    found: Counter[tuple[int, int]] = Counter()
    for octets in segments:
        at = records.SEGMENT_HEADER
        while at < len(octets):
            head = decode_head(octets[at : at + records.RECORD_HEADER])
            found[head.kind, head.version] += 1
            at += records.RECORD_HEADER + head.meta_length + head.body_length
    return found


class GoldenTests(SynchronousTestCase):
    """
    The directories under ``tests/spool/golden``.
    """

    def setUp(self) -> None:
        self.spools = sorted(path for path in golden.DIRECTORY.iterdir() if path.is_dir())
        self.assertTrue(self.spools)

    def test_read(self) -> None:
        """
        A service finds in each what was in it, to the last octet.
        """
        for path in self.spools:
            expected = json.loads((path / golden.EXPECTED).read_text())
            self.assertEqual(golden.found(golden.loaded(path)), expected["messages"], f"{path.name}: {ADVICE}")
            self.assertGreater(len(expected["messages"]), 5)

    def test_untouched(self) -> None:
        """
        Their files are those that were written then.
        """
        for path in self.spools:
            expected = json.loads((path / golden.EXPECTED).read_text())
            self.assertEqual(golden.digests(path), expected["files"], f"{path.name}: {ADVICE}")

    def test_everyKind(self) -> None:
        """
        Every kind and version of record that can be written is in one of them, and there is one
        of today's format version.
        """
        found: Counter[tuple[int, int]] = Counter()
        for path in self.spools:
            found += kinds([file.read_bytes() for file in sorted(path.glob("*.seg"))])
        newest = records._NEWEST
        wanted = {(kind, version) for kind in records.KINDS for version in range(1, newest.get(kind, 1) + 1)}
        self.assertEqual(wanted - set(found), set(), ADVICE)
        self.assertEqual(
            [path.name for path in self.spools if path.name.startswith(f"format-{FORMAT_VERSION}")][:1],
            ["format-1"],
            ADVICE,
        )

    def test_whatIsWritten(self) -> None:
        """
        Whoever writes a kind or version of record that no golden spool holds makes one.
        """
        files = golden.Maker().live()
        today = kinds([files.octets(name) for name in files.names() if name.endswith(".seg")])
        found = set[tuple[int, int]]()
        for path in self.spools:
            found |= set(kinds([file.read_bytes() for file in sorted(path.glob("*.seg"))]))
        self.assertEqual(set(today) - found, set(), ADVICE)

    def test_damageIsSeen(self) -> None:
        """
        The comparison is one: a spool with one record less is not the same.
        """
        path = self.spools[-1]
        expected = json.loads((path / golden.EXPECTED).read_text())["messages"]
        files: MemoryFiles = golden.loaded(path)
        name = files.names()[0]
        octets = files.octets(name)
        files.put(name, octets[: octets.rindex(records.RECORD_MAGIC)])
        self.assertNotEqual(golden.found(files), expected)
