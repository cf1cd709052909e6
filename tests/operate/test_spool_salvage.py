"""
Tests of :mod:`momentum_tx.operate.spool_salvage`.
"""

from __future__ import annotations

import random
import zlib

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.operate.spool_salvage import Whole, covered, find_salt, missing, salt_of, whole_records
from momentum_tx.operate.spool_state import SpoolState
from momentum_tx.spool import records
from momentum_tx.spool.records import SEGMENT_HEADER, Ended, RecordError, encode_ended, encode_reception, frame
from momentum_tx.spool.replay import Found
from momentum_tx.testing.files import MemoryFile, MemoryFiles

from .spools import mail

SALT = 0xDEADBEEF


def record(key: int, body: bytes = b"body\r\n", salt: int = SALT, recipients: int = 1) -> bytes:
    """
    A reception as it lies in a segment.
    """
    made = mail(str(key), *[b"r%d@x.example" % number for number in range(recipients)])
    return frame(encode_reception(key, made, ["b1"] * recipients, body), salt) + body


def end(key: int, position: int = 0, salt: int = SALT) -> bytes:
    """
    The record of an end.
    """
    return frame(encode_ended(records.DELIVERED, key, position, b"250 ok"), salt)


class Counting(MemoryFile):
    """
    A file that counts the octets that are read.
    """

    def __init__(self, octets: bytes) -> None:
        files = MemoryFiles()
        files.put("x", octets)
        super().__init__(files, "x", files._names["x"])
        self.octets = 0

    def read(self, offset: int, length: int) -> bytes:
        """
        See :class:`~momentum_tx.interfaces.seams.IJournalFile`.
        """
        self.octets += length
        return super().read(offset, length)


def file(octets: bytes) -> MemoryFile:
    """
    A file that holds *octets*.
    """
    files = MemoryFiles()
    files.put("x", octets)
    opened = files.open("x")
    assert isinstance(opened, MemoryFile)
    return opened


class SaltTests(SynchronousTestCase):
    """
    Checksums, led back to where they began.
    """

    def test_anyOctets(self) -> None:
        """
        Of whatever octets a checksum is, its beginning is found.
        """
        rng = random.Random(3)
        for _ in range(200):
            octets, salt = rng.randbytes(rng.randrange(300)), rng.getrandbits(32)
            self.assertEqual(salt_of(octets, zlib.crc32(octets, salt)), salt)

    def test_segment(self) -> None:
        """
        A segment whose header is lost says which salt it had, damaged records in it or not.
        """
        octets = bytes(SEGMENT_HEADER) + b"".join(record(key) + end(key) for key in range(20))
        self.assertEqual(find_salt(file(octets)), SALT)
        broken = bytearray(octets)
        # A block of the disk: the header, and the records behind it.
        broken[:512] = bytes(512)
        broken[-3] ^= 1
        self.assertEqual(find_salt(file(bytes(broken))), SALT)

    def test_forged(self) -> None:
        """
        Records in the body of a mail, however many, do not pass for those of the segment.
        """
        forged = b"".join(record(key, salt=1) + end(key, salt=1) for key in range(100, 160))
        octets = bytes(SEGMENT_HEADER) + record(1, forged) + end(1) + record(2)
        self.assertEqual(find_salt(file(octets)), SALT)
        # Even where the record around them is damaged they must be most of the segment.
        broken = bytearray(bytes(SEGMENT_HEADER) + record(1, forged) + record(2, b"x" * 2 * len(forged)))
        broken[SEGMENT_HEADER + 20] ^= 1
        self.assertEqual(find_salt(file(bytes(broken))), SALT)

    def test_unclear(self) -> None:
        """
        Nothing is found in zeros, in noise, and where most is no record.
        """
        for octets in (
            b"",
            bytes(5000),
            random.Random(1).randbytes(5000),
            bytes(SEGMENT_HEADER) + record(1) + b"x" * 5000,
            bytes(SEGMENT_HEADER) + record(1) * 10 + b"x" * 15 * len(record(1)),
            records.RECORD_MAGIC * 100,
        ):
            self.assertIsNone(find_salt(file(octets)))

    def test_covered(self) -> None:
        """
        How much is whole by a salt.
        """
        octets = record(1) + end(1)
        self.assertEqual(covered(file(bytes(SEGMENT_HEADER) + octets + b"x" * 9), SALT), len(octets))
        self.assertEqual(covered(file(bytes(SEGMENT_HEADER) + octets), SALT + 1), 0)
        unknown = frame(b"\x63\x01" + bytes(20), SALT)
        self.assertEqual(covered(file(bytes(SEGMENT_HEADER) + unknown), SALT), 0)


class WholeTests(SynchronousTestCase):
    """
    Records among octets that were set aside.
    """

    def found(self, octets: bytes) -> list[tuple[int, int]]:
        """
        Kinds and keys.
        """
        return [(each.kind, each.key) for each in whole_records(file(octets), SALT)]

    def test_found(self) -> None:
        """
        Wherever they lie, with anything between them.
        """
        octets = b"junk" + record(1) + b"\xf5\xabJRxxx" + end(1) + bytes(5000) + record(2) + record(3)[:-1]
        self.assertEqual(self.found(octets), [(1, 1), (3, 1), (1, 2)])
        (first, *_) = whole_records(file(octets), SALT)
        self.assertEqual((frame(first.payload, SALT) + first.body), record(1))

    def test_acrossWindows(self) -> None:
        """
        A record is found that lies across what is read at once.
        """
        for before in ((1 << 20) - 2, (1 << 20) - 40, 1 << 20):
            self.assertEqual(self.found(bytes(before) + record(1)), [(1, 1)])

    def test_notFound(self) -> None:
        """
        Not with a damaged body, another salt, or inside the body of another.
        """
        spoilt = bytearray(record(1))
        spoilt[-1] ^= 1
        self.assertEqual(self.found(bytes(spoilt)), [])
        self.assertEqual(self.found(record(1, salt=5)), [])
        self.assertEqual(self.found(record(1, record(2))), [(1, 1)])

    def test_bounded(self) -> None:
        """
        False beginnings with long metas do not keep it for ever.
        """
        head = records.RECORD_MAGIC + bytes(4) + b"\x01\x01" + (60000).to_bytes(4, "little") + bytes(16)
        octets = head * 4000 + bytes(60000)
        opened = Counting(octets)
        self.assertEqual(list(whole_records(opened, SALT)), [])
        self.assertLess(opened.octets, 80 * len(octets))


class MissingTests(SynchronousTestCase):
    """
    What the spool has not.
    """

    def missing(self, *octets: bytes, state: SpoolState) -> list[Whole]:
        """
        What of these records is to be written.
        """
        return missing(whole_records(file(b"".join(octets)), SALT), state)

    def test_unknown(self) -> None:
        """
        A reception nobody has heard of, once.
        """
        found = self.missing(record(1), end(1), record(1), record(2), state=SpoolState())
        self.assertEqual([(each.kind, each.key) for each in found], [(1, 1), (1, 2)])

    def test_known(self) -> None:
        """
        Not one that lives, has ended, or was withdrawn.
        """
        state = SpoolState()
        meta = records.decode(records.RECEPTION, next(whole_records(file(record(1)), SALT)).payload[28 - 4 - 2 :])
        for key in (1, 2):
            state.apply(Found(records.RECEPTION, key, meta, 64, 70, 5, 0), 1)
        state.apply(Found(records.DELIVERED, 2, Ended(0, b""), 64, 70, 0, 0), 1)
        state.apply(Found(records.WITHDRAWN, 3, None, 64, 70, 0, 0), 1)
        self.assertEqual(self.missing(record(1), record(2), record(3), state=state), [])

    def test_partlyEnded(self) -> None:
        """
        The ends that are on record come with it; where all are, nothing does.
        """
        state = SpoolState()
        state.apply(Found(records.DELIVERED, 1, Ended(1, b""), 64, 70, 0, 0), 1)
        found = self.missing(record(1, recipients=2), state=state)
        self.assertEqual([(each.kind, each.key) for each in found], [(1, 1), (3, 1)])
        self.assertEqual(records.decode(records.DELIVERED, found[1].payload[records.PAYLOAD_HEADER :]), Ended(1, b""))
        state.apply(Found(records.FAILED, 1, Ended(0, b""), 64, 70, 0, 0), 1)
        self.assertEqual(self.missing(record(1, recipients=2), state=state), [])

    def test_nonsense(self) -> None:
        """
        A record whose checksum is right and whose envelope makes no sense.
        """
        payload = encode_reception(1, mail("1", b"a@a.example"), ["b1"], b"")
        head = bytearray(payload[: records.PAYLOAD_HEADER])
        head[2:6] = (5).to_bytes(4, "little")
        octets = frame(bytes(head) + b"\xff" * 5, SALT)
        self.assertRaises(RecordError, records.decode, records.RECEPTION, b"\xff" * 5)
        self.assertEqual(self.missing(octets, state=SpoolState()), [])
