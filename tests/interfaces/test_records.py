"""
Tests of :mod:`momentum_tx.interfaces.records`.
"""

from typing import Any

from zope.interface.verify import verifyObject

from momentum_tx.delivery.handle import ConnectionHandle
from momentum_tx.interfaces import records
from momentum_tx.queues.domain import Connection, DomainRecord
from momentum_tx.queues.message import Reception

from . import contracts

#: A domain record keeps its initiator, which these tests do not call.
NOBODY: Any = object()


class RecordContractTests(contracts.Documented):
    """
    The contracts of the records, as their reader finds them, and the records themselves.
    """

    module = records

    def test_kept(self) -> None:
        """
        The records hooks are given have everything the contracts promise, and declare it.
        """
        reception = Reception(b"alice@example.com", 0.0, 1, "b1")
        record = DomainRecord("example.com", NOBODY)
        kept: dict[Any, object] = {
            records.IReception: reception,
            records.IMessage: reception.add("m1", b"bob@example.com"),
            records.IMailQueue: record.mail_queue,
            records.IDomainRecord: record,
            records.IConnection: Connection(),
            records.IConnectionHandle: ConnectionHandle(record, 0, None),
        }
        # Others are verified where they are made: test_conversation, test_arguments, test_transcript.
        self.assertEqual(
            {*kept, records.IClientSession, records.ICommandArguments, records.ITranscript}, set(self.contracts)
        )
        for contract, found in kept.items():
            verifyObject(contract, found)
            self.assertTrue(contract.implementedBy(type(found)), contract)
