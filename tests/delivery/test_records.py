"""
Tests of :mod:`momentum_tx.delivery.records`.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.delivery import records as module
from momentum_tx.delivery.records import Records
from momentum_tx.queues.domain import MXRecord
from momentum_tx.queues.message import Reception

#: Records keep their initiator and handles; these tests call neither.
NOBODY: Any = object()
NOW = 1_700_000_000.0


class DomainTests(SynchronousTestCase):
    """
    Domain records by name.
    """

    def setUp(self) -> None:
        self.records = Records()

    def test_made_once(self) -> None:
        """
        A domain has one record, made when first asked for; looking makes none.
        """
        self.assertIs(self.records.find("example.com"), None)
        record = self.records.domain("example.com", NOBODY)
        self.assertEqual((record.domain, record.initiator), ("example.com", NOBODY))
        self.assertIs(self.records.domain("example.com", object()), record)  # type: ignore[arg-type]
        self.assertIs(record.initiator, NOBODY)
        self.assertIs(self.records.find("example.com"), record)
        self.assertIsNot(self.records.domain("example.net", NOBODY), record)
        self.assertEqual(len(self.records), 2)

    def test_listed(self) -> None:
        """
        All records are listed in the order they were made; new ones may be made meanwhile.
        """
        for name in ("b", "a", "c"):
            self.records.domain(name, NOBODY)
        seen = []
        for record in self.records:
            seen.append(record.domain)
            self.records.domain(record.domain + "x", NOBODY)
        self.assertEqual(seen, ["b", "a", "c"])
        self.assertEqual(len(self.records), 6)

    def test_expire(self) -> None:
        """
        A domain goes when its routing data has expired and it has neither mail nor connections nor a question open.
        """
        records = self.records
        names = ("fresh", "active", "delayed", "connected", "asking", "in_flight", "idle", "stale")
        fresh, active, delayed, connected, asking, in_flight, _, stale = (
            records.domain(name, NOBODY) for name in names
        )
        fresh.expiry = NOW + 1
        stale.expiry = NOW
        reception = Reception(b"", NOW, 1, "b")
        active.mail_queue.insert_active(reception.add("m1", b"r"))
        delayed.mail_queue.insert_delayed(reception.add("m2", b"r"))
        connected.connections[0] = [NOBODY]
        asking.lookup_pending = True
        in_flight.in_flight = 1
        list(records.expire(NOW, 1800))
        self.assertEqual([record.domain for record in records], list(names[:-2]))
        self.assertIs(records.find("stale"), None)
        self.assertIs(records.domain("fresh", NOBODY), fresh)

    def test_expire_in_slices(self) -> None:
        """
        Many are looked at slice by slice.  What is used meanwhile stays, what is new stays,
        and what is gone already is no matter.
        """
        self.patch(module, "SLICE", 3)
        records = self.records
        for number in range(9):
            records.domain(f"d{number}", NOBODY)
            records.metrics((f"198.51.100.{number}", 25), 0).updated_at = NOW - 1800
        expiring = records.expire(NOW, 1800)
        for _ in range(3):
            next(expiring)
        self.assertEqual((len(records), list(records._metrics)), (9, []))
        next(expiring)
        self.assertEqual([record.domain for record in records], [f"d{number}" for number in range(3, 9)])
        records.domain("d5", NOBODY).lookup_pending = True
        records.domain("d0", NOBODY)
        list(records.expire(NOW, 1800))
        records.domain("new", NOBODY)
        self.assertEqual(list(expiring), [None, None])
        self.assertEqual([record.domain for record in records], ["d5", "new"])


class HostTests(SynchronousTestCase):
    """
    Host records by name.
    """

    def setUp(self) -> None:
        self.records = Records()

    def test_shared(self) -> None:
        """
        Two domains with the same exchanger share its record, so that its limit holds for both.
        """
        host = self.records.host("mx.example.com")
        self.assertEqual((host.name, host.trusted), ("mx.example.com", False))
        self.assertIs(self.records.host("mx.example.com"), host)
        self.assertIsNot(self.records.host("mx.example.net"), host)

    def test_trusted(self) -> None:
        """
        A host an operator named and one of the same name from DNS are two: only the first may be anywhere.
        """
        stranger, named = self.records.host("mx.example.com"), self.records.host("mx.example.com", trusted=True)
        self.assertIsNot(named, stranger)
        self.assertTrue(named.trusted)
        self.assertEqual(named.name, "mx.example.com")
        self.assertIs(self.records.host("mx.example.com", trusted=True), named)
        self.assertFalse(self.records.host("mx.example.com").trusted)
        # DNS may hold any octets.
        self.assertFalse(self.records.host("=mx.example.com").trusted)

    def test_expire(self) -> None:
        """
        A host is remembered while a domain names it, and no longer.
        """
        record = self.records.domain("example.com", NOBODY)
        record.expiry = NOW + 100
        record.mxlist = (MXRecord(10, self.records.host("mx.example.com")),)
        record.mxlist[0].host.addresses = ("192.0.2.1",)
        record.mxlist[0].host.places.taken = 1
        self.records.host("forgotten.example.com").addresses = ("192.0.2.2",)
        list(self.records.expire(NOW, 1800))
        self.assertEqual(self.records.host("mx.example.com").addresses, ("192.0.2.1",))
        self.assertEqual(self.records.host("forgotten.example.com").addresses, ())
        record.mxlist = ()
        list(self.records.expire(NOW, 1800))
        self.assertEqual(self.records.host("mx.example.com").addresses, ())

    def test_expire_while_asked_for(self) -> None:
        """
        A host whose addresses are still being asked for, or whose domain went while it has a connection,
        is the same for the next domain that names it: its limit counts every connection.
        """
        host = self.records.host("mx.example.com")
        list(self.records.expire(NOW, 1800))
        self.assertIs(self.records.host("mx.example.com"), host)
        self.records.domain("example.com", NOBODY).mxlist = (MXRecord(10, host),)
        list(self.records.expire(NOW, 1800))
        self.assertEqual(len(self.records), 0)
        self.assertIs(self.records.host("mx.example.com"), host)


class MetricsTests(SynchronousTestCase):
    """
    What is known of an address from a binding slot.
    """

    def setUp(self) -> None:
        self.records = Records()

    def test_fresh(self) -> None:
        """
        An address of which nothing is known is up; asking remembers nothing.
        """
        self.assertFalse(self.records.down(("192.0.2.1", 25), 0, NOW, 120))
        self.assertEqual(self.records.failures(("192.0.2.1", 25)), 0)
        self.assertEqual((self.records._metrics, self.records._failures), ({}, {}))

    def test_down(self) -> None:
        """
        An address that failed is down for ``host_failure_retry``, on the binding it failed from.
        """
        self.records.address_failed(("192.0.2.1", 25), 3, NOW)
        for address, slot, later, retry, down in (
            (("192.0.2.1", 25), 3, 0, 120, True),
            (("192.0.2.1", 25), 3, 119.9, 120, True),
            (("192.0.2.1", 25), 3, 120, 120, False),
            (("192.0.2.1", 25), 3, 0, 0, False),
            # The wall clock went back: that says nothing about now.
            (("192.0.2.1", 25), 3, -1, 120, False),
            (("192.0.2.1", 25), 4, 0, 120, False),
            (("192.0.2.2", 25), 3, 0, 120, False),
            # Another server at the same address.
            (("192.0.2.1", 26), 3, 0, 120, False),
        ):
            found = self.records.down(address, slot, NOW + later, retry)
            self.assertIs(found, down, (address, slot, later, retry))

    def test_failures(self) -> None:
        """
        Failures are counted in a row, whichever binding they come from; each begins the wait anew.
        """
        for count in range(1, 4):
            self.records.address_failed(("192.0.2.1", 25), count, NOW + 100 * count)
            self.assertEqual(self.records.failures(("192.0.2.1", 25)), count)
        self.records.count_failure(("192.0.2.1", 25))
        self.assertEqual((self.records.failures(("192.0.2.1", 25)), self.records.failures(("192.0.2.2", 25))), (4, 0))
        self.assertTrue(self.records.down(("192.0.2.1", 25), 3, NOW + 400, 120))
        self.assertFalse(self.records.down(("192.0.2.1", 25), 1, NOW + 400, 120))

    def test_success(self) -> None:
        """
        An address that was connected to is up again on that binding.
        """
        self.records.address_failed(("192.0.2.1", 25), 0, NOW)
        self.records.address_connected(("192.0.2.1", 25), 0, NOW + 1, 0.5)
        self.assertFalse(self.records.down(("192.0.2.1", 25), 0, NOW + 2, 120))

    def test_contacted(self) -> None:
        """
        A domain that was reached ends the row of failures of all its addresses, and of no other's.
        """
        for address in (("192.0.2.1", 25), ("192.0.2.2", 25), ("192.0.2.3", 25)):
            self.records.count_failure(address)
        self.records.contacted((("192.0.2.1", 25), ("192.0.2.2", 25), ("192.0.2.9", 25)))
        failures = [self.records.failures((f"192.0.2.{number}", 25)) for number in (1, 2, 3, 9)]
        self.assertEqual(failures, [0, 0, 1, 0])

    def test_shunned(self) -> None:
        """
        What one domain demands in vain is held against the address for its mail and
        its binding, as long as other failures are, and by nobody else.
        """
        peer = ("192.0.2.1", 25)
        self.records.shun("example.com", peer, 3, NOW)
        for domain, slot, later, down in (
            ("example.com", 3, 0, True),
            ("example.com", 3, 119, True),
            ("example.com", 3, 120, False),
            ("example.com", 3, -1, False),
            ("example.com", 4, 0, False),
            ("example.org", 3, 0, False),
            ("", 3, 0, False),
        ):
            self.assertIs(self.records.down(peer, slot, NOW + later, 120, domain), down, (domain, slot, later))
        self.records.count_failure(peer, "example.com", 3)
        self.assertEqual(self.records.failures(peer, "example.com", 3), 2)
        self.assertEqual(self.records.failures(peer), 0)
        self.records.contacted([peer], "example.com", 3)
        self.assertEqual(self.records.failures(peer, "example.com", 3), 0)
        self.assertTrue(self.records.down(peer, 3, NOW, 120, "example.com"))
        self.records.demands_met("example.com", peer, 3)
        self.assertFalse(self.records.down(peer, 3, NOW, 120, "example.com"))

    def test_shunned_in_time(self) -> None:
        """
        It moves with the clock, and is forgotten with the rest.
        """
        peer = ("192.0.2.1", 25)
        self.records.shun("example.com", peer, 0, NOW)
        self.records.shift(-3600)
        self.assertTrue(self.records.down(peer, 0, NOW - 3600, 120, "example.com"))
        list(self.records.expire(NOW - 3600 + 1799, 1800))
        self.assertEqual(len(self.records._shunned), 1)
        list(self.records.expire(NOW - 3600 + 1800, 1800))
        self.assertEqual(self.records._shunned, {})

    def test_mean(self) -> None:
        """
        The time to connect is a decayed mean: the first sample counts in full, each later one a fifth.
        """
        means = []
        for seconds in (1.0, 2.0, 2.0, 0.0):
            self.records.address_connected(("192.0.2.1", 25), 0, NOW, seconds)
            means.append(round(self.records.metrics(("192.0.2.1", 25), 0).avg_connecttime, 6))
        self.assertEqual(means, [1.0, 1.2, 1.36, 1.088])

    def test_shift(self) -> None:
        """
        When the clock is set, an address has failed as long ago as before, one that has not has not, and both are
        forgotten in their time.
        """
        self.records.address_failed(("192.0.2.1", 25), 0, NOW)
        self.records.address_connected(("192.0.2.2", 25), 0, NOW, 1.0)
        dr = self.records.domain("example.com", NOBODY)
        dr.expiry = NOW + 5
        self.records.shift(-3600)
        for now, down in ((NOW + 119, True), (NOW + 120, False)):
            self.assertIs(self.records.down(("192.0.2.1", 25), 0, now - 3600, 120), down)
        self.assertFalse(self.records.down(("192.0.2.2", 25), 0, NOW - 3600, 120))
        self.assertEqual(dr.expiry, NOW + 5 - 3600)
        list(self.records.expire(NOW + 1799 - 3600, 1800))
        self.assertEqual(len(self.records._metrics), 2)
        list(self.records.expire(NOW + 1800 - 3600, 1800))
        self.assertEqual(len(self.records._metrics), 0)

    def test_expire(self) -> None:
        """
        What is known of an address is forgotten once it is unused for its lifetime.
        """
        self.records.address_failed(("192.0.2.1", 25), 0, NOW)
        self.records.address_connected(("192.0.2.2", 25), 0, NOW + 10, 1.0)
        list(self.records.expire(NOW + 1799, 1800))
        self.assertEqual(self.records.failures(("192.0.2.1", 25)), 1)
        list(self.records.expire(NOW + 1800, 1800))
        self.assertEqual(self.records.failures(("192.0.2.1", 25)), 0)
        self.assertEqual(list(self.records._metrics), [(("192.0.2.2", 25), 0)])
        list(self.records.expire(NOW + 1810, 1800))
        self.assertEqual((self.records._metrics, self.records._failures), ({}, {}))
