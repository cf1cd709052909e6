"""
Tests for :mod:`momentum_tx.net.dns_answers`.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import LookupFailed
from momentum_tx.interfaces.services import MXAnswer, MXKind
from momentum_tx.net.dns_answers import MAX_ADDRESSES, MAX_EXCHANGERS, address_answer, is_address_text, mx_answer
from momentum_tx.net.dns_wire import Records

from .dns_doubles import rrset


def records(text: str, *rdatas: str, ttl: int = 60) -> Records:
    """
    Found records of one type.
    """
    found: list[Any] = []
    for rdata in rdatas:
        found += list(rrset(text, rdata))
    return Records(True, tuple(found), ttl)


class MXAnswerTests(SynchronousTestCase):
    """
    The exchangers of a domain.
    """

    def mx(self, *rdatas: str) -> MXAnswer:
        """
        What these records mean.
        """
        return mx_answer(records("example.com. MX", *rdatas))

    def test_order(self) -> None:
        """
        The most preferred come first; equals keep the server's order; names
        are lower case without final dot.
        """
        answer = self.mx("20 Z.Example.", "10 b.example.", "10 a.example.", "0 c.example.")
        self.assertIs(answer.kind, MXKind.RECORDS)
        self.assertEqual(answer.records, ((0, "c.example"), (10, "b.example"), (10, "a.example"), (20, "z.example")))
        self.assertEqual(answer.ttl, 60)

    def test_null(self) -> None:
        """
        A null MX alone says that there is no mail here (RFC 7505).
        """
        self.assertEqual(self.mx("0 ."), MXAnswer(MXKind.NULL, (), 60))

    def test_null_beside_others(self) -> None:
        """
        A null MX beside others is dropped.
        """
        self.assertEqual(self.mx("0 .", "10 mx.example.").records, ((10, "mx.example"),))

    def test_none(self) -> None:
        """
        No record and no name are different answers.
        """
        self.assertEqual(mx_answer(Records(True, (), 30)), MXAnswer(MXKind.NONE, (), 30))
        self.assertEqual(mx_answer(Records(False, (), 30)), MXAnswer(MXKind.NXDOMAIN, (), 30))

    def test_very_many(self) -> None:
        """
        Of 500 exchangers the hundred most preferred are used.
        """
        answer = self.mx(*(f"{500 - number} m{number}.example." for number in range(500)))
        self.assertEqual(len(answer.records), MAX_EXCHANGERS)
        self.assertEqual(answer.records[0], (1, "m499.example"))
        self.assertEqual(answer.records[-1], (100, "m400.example"))

    def test_address_as_name(self) -> None:
        """
        An exchanger spelled like an address stays a name.
        """
        self.assertEqual(self.mx("10 127.0.0.1.").records, ((10, "127.0.0.1"),))


class AddressAnswerTests(SynchronousTestCase):
    """
    The addresses of a host.
    """

    def setUp(self) -> None:
        self.v4 = records("mx.example. A", "198.51.100.7", "198.51.100.8", ttl=600)
        self.v6 = records("mx.example. AAAA", "2001:db8::7", ttl=300)
        self.nothing = Records(True, (), 30)
        self.failure = LookupFailed("SERVFAIL")

    def test_families(self) -> None:
        """
        IPv4 comes first, and the shorter life counts.
        """
        answer = address_answer([self.v4, self.v6])
        self.assertEqual(answer.addresses, ("198.51.100.7", "198.51.100.8", "2001:db8::7"))
        self.assertEqual(answer.ttl, 300)
        self.assertEqual(address_answer([self.v4]).addresses, ("198.51.100.7", "198.51.100.8"))

    def test_one_family(self) -> None:
        """
        A family that has no address, or cannot be asked for, does not spoil
        or shorten the other.
        """
        for other in (self.nothing, self.failure):
            self.assertEqual(address_answer([self.v4, other]).ttl, 600)
            self.assertEqual(address_answer([other, self.v6]).addresses, ("2001:db8::7",))

    def test_none(self) -> None:
        """
        No address in either family is an answer, unless one of them is not known.
        """
        answer = address_answer([self.nothing, Records(False, (), 20)])
        self.assertEqual((answer.addresses, answer.ttl), ((), 20))
        for families in ([self.nothing, self.failure], [self.failure, self.nothing], [self.failure]):
            self.assertRaises(LookupFailed, address_answer, families)

    def test_very_many(self) -> None:
        """
        At most twenty addresses are used, and neither family pushes the other out.
        """
        v4 = records("mx.example. A", *(f"198.51.100.{number}" for number in range(200)))
        v6 = records("mx.example. AAAA", *(f"2001:db8::{number:x}" for number in range(200)))
        for families, expected in (([v4], 20), ([v4, self.nothing], 20), ([v4, v6], 10), ([v4, self.v6], 19)):
            addresses = address_answer(families).addresses
            self.assertEqual(len(addresses), MAX_ADDRESSES)
            self.assertEqual(sum("." in address for address in addresses), expected)
        self.assertEqual(len(address_answer([self.v4, v6]).addresses), MAX_ADDRESSES)


class AddressTextTests(SynchronousTestCase):
    """
    Names that are spelled like addresses.
    """

    def test_spelling(self) -> None:
        """
        Only a whole address counts as one.
        """
        for text in ("127.0.0.1", "::1", "2001:db8::a", "::ffff:1.2.3.4", "0.0.0.0"):
            self.assertTrue(is_address_text(text), text)
        for text in ("", "mx1.example", "mx.example1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "dead.beef"):
            self.assertFalse(is_address_text(text), text)
