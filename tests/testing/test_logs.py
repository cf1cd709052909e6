"""
The log in memory, and mainlog read back.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.logs.files import ILogFile
from momentum_tx.testing.logs import MemoryLogFile, parse_mainlog


class MemoryLogFileTests(SynchronousTestCase):
    """
    The file.
    """

    def test_life(self) -> None:
        """
        It keeps what is written while it is open and there is room.
        """
        file = MemoryLogFile()
        self.assertTrue(verifyObject(ILogFile, file))
        self.assertEqual(file.write(b"closed\n"), 0)
        self.assertIsNotNone(file.error)
        file.open()
        self.assertEqual(file.write(b"kept\n"), 5)
        self.assertIsNone(file.error)
        file.full = True
        self.assertEqual(file.write(b"lost\n"), 0)
        file.full = False
        file.close()
        file.reopen()
        file.write(b"again\n")
        self.assertEqual((file.content, file.reopened), (b"kept\nagain\n", 1))


class ParseTests(SynchronousTestCase):
    """
    Records.
    """

    def test_records(self) -> None:
        """
        Fields by name; heartbeats are left out; the last field may hold ``@``.
        """
        text = (
            b"1700000000@i@b@c@T@d.example@0@g@n@9@2@1.500@198.51.100.1@451 write to help@peer.example\n"
            b"1700000060@@@@M\n"
        )
        (record,) = parse_mainlog(text)
        self.assertEqual((record.kind, record["stage"], record["note"]), ("T", "9", "451 write to help@peer.example"))

    def test_missing_fields(self) -> None:
        """
        A record that lacks fields is an error, not a guess.
        """
        self.assertRaises(ValueError, parse_mainlog, b"1700000000@i@b@c@D@d.example\n")
