"""
Tests of :mod:`momentum_tx.spool.scan`: how long a damaged segment may hold up
the start.  What is found in one is in ``test_recovery``.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.seams import IJournalFile
from momentum_tx.spool import records
from momentum_tx.spool.scan import SLICE, SegmentScan
from momentum_tx.testing.files import MemoryFiles

SALT = 7
HEADER = records.encode_segment_header(records.SegmentHeader(1, SALT))


@implementer(IJournalFile)
class CountingFile:
    """
    A file that counts the octets read from it.
    """

    def __init__(self, octets: bytes) -> None:
        files = MemoryFiles()
        files.put("000000000001.seg", octets)
        self._file = files.open("000000000001.seg")
        self.name = self._file.name
        self.octets_read = 0

    def size(self) -> int:
        return self._file.size()

    def read(self, offset: int, length: int) -> bytes:
        octets = self._file.read(offset, length)
        self.octets_read += len(octets)
        return octets

    def append(self, buffers: object) -> int:
        raise AssertionError("a scan writes nothing")

    def truncate(self, length: int) -> None:
        raise AssertionError("a scan writes nothing")

    def sync(self) -> None:
        raise AssertionError("a scan writes nothing")

    def close(self) -> None:
        self._file.close()


class ScanTests(SynchronousTestCase):
    """
    One pass over one segment.
    """

    def _scan(self, octets: bytes) -> tuple[SegmentScan, CountingFile, list[int]]:
        file = CountingFile(octets)
        scan = SegmentScan(file, SALT, False)
        slices = []
        while not scan.done:
            slices.append(len(scan.slice()))
        return scan, file, slices

    def test_double(self) -> None:
        """
        The counting file keeps its contract.
        """
        self.assertTrue(verifyObject(IJournalFile, CountingFile(b"")))

    def test_slices(self) -> None:
        """
        The reactor never gets more than a slice at once.
        """
        record = records.frame(records.encode_withdrawn(1), SALT)
        scan, _, slices = self._scan(HEADER + record * (2 * SLICE + 1))
        self.assertEqual([count for count in slices if count], [SLICE, SLICE, 1])
        self.assertEqual((scan.damage, scan.cut), ([], None))

    def test_false_beginnings(self) -> None:
        """
        A mail of nothing but beginnings of huge records cannot hold up the start:
        the search behind damage gives up after a few times the segment's size.
        """
        count, size = 4000, 300_000
        # A head that claims half of the segment as its meta, checksum wrong.
        head = bytearray(records.frame(records.encode_withdrawn(1), SALT))
        head[4] ^= 1
        head[10:14] = (size // 2).to_bytes(4, "little")
        octets = HEADER + b"damage" + bytes(head) * count
        octets += bytes(size - len(octets))
        scan, file, _ = self._scan(octets)
        self.assertEqual(
            [(damage.offset, damage.length) for damage in scan.damage], [(len(HEADER), size - len(HEADER))]
        )
        self.assertEqual(scan.cut, len(HEADER))
        self.assertLess(file.octets_read, 10 * size)
