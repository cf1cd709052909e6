"""
Tests of :mod:`momentum_tx.queues.domain`.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.records import IConnection, IDomainRecord
from momentum_tx.policy.lookup_failures import DNSHealth, LookupFailures
from momentum_tx.queues.domain import AddressMetrics, Connection, DomainRecord, HostRecord, MXRecord, MXType
from momentum_tx.queues.message import Reception

#: Records carry their initiator and their handles about; these tests call neither.
NOBODY: Any = object()


class DomainRecordTests(SynchronousTestCase):
    """
    What is known of a domain.
    """

    def setUp(self) -> None:
        self.record = DomainRecord("example.com", NOBODY)

    def test_contract(self) -> None:
        """
        Hooks find every field the contract promises.
        """
        verifyObject(IDomainRecord, self.record)

    def test_fresh(self) -> None:
        """
        A new record knows nothing of the domain and has counted nothing.
        """
        record = self.record
        self.assertEqual(record.domain, "example.com")
        self.assertIs(record.initiator, NOBODY)
        self.assertIs(record.mx_type, MXType.UNKNOWN)
        self.assertEqual(record.mxlist, ())
        self.assertEqual(record.mail_queue.size(), 0)
        for counter in ("last_delivery", "deliveries", "attempts", "transients", "failures", "dns_failures"):
            self.assertEqual(getattr(record, counter), 0, counter)
        self.assertEqual((record.in_flight, record.expiry, record.throttled_until), (0, 0, 0))
        self.assertFalse(record.lookup_pending or record.all_prohibited or record.operator_named)

    def test_connections(self) -> None:
        """
        Connections are counted per slot and together; an unknown slot has none.
        """
        self.assertEqual((self.record.connection_count(0), self.record.total_connections()), (0, 0))
        self.record.connections[0] = [NOBODY, NOBODY]
        self.record.connections[7] = [NOBODY]
        self.assertEqual([self.record.connection_count(slot) for slot in (0, 7, 8)], [2, 1, 0])
        self.assertEqual(self.record.total_connections(), 3)

    def test_shift(self) -> None:
        """
        When the clock is set, what a domain waits for is as far away as before; what it does not wait for stays so.
        """
        message = Reception(b"", 100.0, 1, "b").add("m", b"r")
        message.num_retries = 1
        self.record.mail_queue.insert_delayed(message)
        names = ("expiry", "dns_retry_at", "last_delivery", "contact_failing_since", "throttled_until")
        self.record.shift(50.0)
        self.assertEqual([getattr(self.record, name) for name in names], [0.0] * 5)
        for number, name in enumerate(names):
            setattr(self.record, name, 1000.0 + number)
        self.record.lookup_failures = LookupFailures()
        self.record.lookup_failures.count(DNSHealth(), 1000.0, 60.0)
        self.record.shift(-300.0)
        self.assertFalse(self.record.lookup_failures.count(DNSHealth(), 759.0, 60.0))
        self.assertEqual([getattr(self.record, name) for name in names], [700.0, 701.0, 702.0, 703.0, 704.0])
        self.assertEqual(message.next_attempt, -150.0)

    def test_queues_of_their_own(self) -> None:
        """
        Two domains share neither queues nor connections.
        """
        other = DomainRecord("example.net", NOBODY)
        self.assertIsNot(other.mail_queue, self.record.mail_queue)
        self.assertIsNot(other.connections, self.record.connections)


class ConnectionTests(SynchronousTestCase):
    """
    One connection.
    """

    def test_contract(self) -> None:
        """
        Hooks find every field the contract promises.
        """
        verifyObject(IConnection, Connection())

    def test_fresh(self) -> None:
        """
        A connection that is still being decided on leads nowhere and has no descriptor.
        """
        connection = Connection()
        self.assertEqual((connection.address, connection.port, connection.host_name), ("", 0, ""))
        self.assertEqual(connection.fileno(), -1)
        self.assertLess(connection.in_use, 0)
        self.assertEqual((connection.deliveries, connection.recipients), (0, 0))

    def test_descriptor(self) -> None:
        """
        A connection answers for its descriptor, as a socket does.
        """
        connection = Connection()
        connection.descriptor = 17
        self.assertEqual(connection.fileno(), 17)


class HostTests(SynchronousTestCase):
    """
    Exchangers and their addresses.
    """

    def test_host(self) -> None:
        """
        A host is a stranger's word, without address or connection, unless an operator named it.
        """
        host = HostRecord("mx.example.com")
        self.assertEqual((host.name, host.addresses, host.connections), ("mx.example.com", (), 0))
        self.assertFalse(host.prohibited or host.trusted)
        self.assertTrue(HostRecord("relay.example.com", trusted=True).trusted)

    def test_exchanger(self) -> None:
        """
        An exchanger has the usual port unless an operator wrote another.
        """
        host = HostRecord("mx.example.com")
        self.assertEqual(MXRecord(10, host).port, 0)
        record = MXRecord(20, host, 2525)
        self.assertEqual((record.preference, record.host, record.port), (20, host, 2525))

    def test_metrics(self) -> None:
        """
        Of a new address nothing bad is known, and nothing good.
        """
        metrics = AddressMetrics()
        self.assertEqual([getattr(metrics, name) for name in metrics.__slots__], [0] * 4)

    def test_slim(self) -> None:
        """
        Records that come by the thousand have no dictionary.
        """
        for record in (DomainRecord("d", NOBODY), Connection(), HostRecord("h"), AddressMetrics()):
            self.assertFalse(hasattr(record, "__dict__"), record)
