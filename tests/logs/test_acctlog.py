"""
Tests of :mod:`momentum_tx.logs.acctlog`.
"""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.accounting import AccountingKind, AccountingRecord
from momentum_tx.interfaces.queue_hooks import IAaaLog
from momentum_tx.logs.acctlog import AcctLog

from .doubles import NOW, MemoryFile


class AcctLogTests(SynchronousTestCase):
    """
    What is written of who was let in, and who may do what.
    """

    def test_golden(self) -> None:
        """
        Authentication has six fields, authorisation eight; a sign that parts fields is escaped by a backslash.
        """
        file = MemoryFile()
        log = AcctLog(file, lambda: NOW)
        self.assertTrue(verifyObject(IAaaLog, log))
        log.aaa_log(AccountingRecord(AccountingKind.AUTHENTICATION, NOW, "control", "", "1001", 1))
        log.aaa_log(AccountingRecord(AccountingKind.TIMEOUT, NOW, "control", "", "", 0))
        log.aaa_log(
            AccountingRecord(
                AccountingKind.AUTHORIZATION, NOW, "smtp", "192.0.2.17:4711", "a@b\\c\r\n", -1, "RCPT TO", "relay"
            )
        )
        self.assertEqual(
            file.content,
            b"1700000002@N@control@@1001@1\n"
            b"1700000002@T@control@@@0\n"
            b"1700000002@Z@smtp@192.0.2.17:4711@a\\@b\\\\c\\x0d\\x0a@-1@RCPT TO@relay\n",
        )
