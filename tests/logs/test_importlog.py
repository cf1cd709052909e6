"""
Tests of :mod:`momentum_tx.logs.importlog`.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.queue_hooks import ILogSpoolImport
from momentum_tx.logs.importlog import ImportLog

from .doubles import NOW, MainLogBase, MemoryFile


class ImportLogTests(SynchronousTestCase):
    """
    What is written of an import.
    """

    def test_golden(self) -> None:
        """
        What was imported keeps its id; what was not has no new one.
        """
        file = MemoryFile()
        log = ImportLog(file, lambda: NOW)
        self.assertTrue(verifyObject(ILogSpoolImport, log))
        log.log_spool_import(None, "00/00-04242-461F3556", NOW, "/var/spool/mail", 1)
        log.log_spool_import(None, "a@b", NOW, "/var/spool/mail", 3)
        self.assertEqual(
            file.content,
            b"1700000002@00/00-04242-461F3556@I@00/00-04242-461F3556@1@/var/spool/mail\n"
            b"1700000002@a\\x40b@I@@3@/var/spool/mail\n",
        )


class RenamedTests(MainLogBase):
    """
    A message that was given another id.
    """

    def test_new_id(self) -> None:
        """
        The message that was made says its id.
        """
        ImportLog(self.file, lambda: NOW).log_spool_import(self.message, "old", NOW, "/spool", 1)
        self.assertEqual(self.lines(), ["1700000002@old@I@20/00-00777-001F3556@1@/spool"])
