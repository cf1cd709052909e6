"""
Tests for :mod:`momentum_tx.net.dns_wire`.
"""

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import LookupFailed
from momentum_tx.net.dns_wire import (
    DEFAULT_NEGATIVE_TTL,
    MAX_LINKS,
    MAX_NEGATIVE_TTL,
    MAX_TTL,
    Query,
    Records,
    Trail,
    dns_name,
    read_message,
    refusal,
    text_of,
    truncated,
)

from .dns_doubles import raw_record, reply, rrset, soa

MX = dns.rdatatype.MX
NAME = dns.name.from_text("example.com")


def query(edns: bool = True) -> Query:
    """
    The query most tests answer.
    """
    return Query(NAME, MX, 0x1234, edns)


class NameTests(SynchronousTestCase):
    """
    Names between text and wire.
    """

    def test_limits(self) -> None:
        """
        Labels of 63 and names of 255 octets pass; what is longer, or has an
        empty label, is no name.
        """
        self.assertIsNotNone(dns_name("a" * 63 + ".example"))
        self.assertIsNone(dns_name("a" * 64 + ".example"))
        longest = ".".join(["a" * 63] * 3 + ["b" * 61])
        self.assertIsNotNone(dns_name(longest))
        self.assertIsNone(dns_name(longest + "b"))
        for text in ("", ".", "a..b", ".a", "\\300.example"):
            self.assertIsNone(dns_name(text), text)

    def test_spellings(self) -> None:
        """
        Case and a final dot make no difference; underscores are kept.
        """
        for text in ("Example.COM", "example.com.", "example.com"):
            name = dns_name(text)
            assert name is not None
            self.assertEqual(text_of(name), "example.com")
        underscore = dns_name("_dmarc.example.com")
        assert underscore is not None
        self.assertEqual(text_of(underscore), "_dmarc.example.com")

    def test_not_ascii(self) -> None:
        """
        A U-label is a fault of the caller, and temporary, not a name that does not exist.
        """
        self.assertRaises(LookupFailed, dns_name, "bücher.example")

    def test_hostile_label(self) -> None:
        """
        Octets that are no letters come out escaped: nothing below can be
        forged into a log line.
        """
        name = dns.name.Name([b"a\r\nb", b"c d", b""])
        self.assertEqual(text_of(name), "a\\013\\010b.c\\032d")


class QueryTests(SynchronousTestCase):
    """
    What is asked, and which message answers it.
    """

    def test_question(self) -> None:
        """
        A query asks for recursion and the AD bit, and announces 1232 octets.
        """
        message = dns.message.from_wire(query().wire)
        self.assertEqual(message.id, 0x1234)
        self.assertEqual(message.flags, dns.flags.RD | dns.flags.AD)
        self.assertEqual((message.edns, message.payload), (0, 1232))
        self.assertEqual(message.question[0].to_text(), "example.com. IN MX")

    def test_without_edns(self) -> None:
        """
        For a server that does not know EDNS there is a query without it.
        """
        self.assertEqual(dns.message.from_wire(query(False).wire).edns, -1)

    def test_its_answer(self) -> None:
        """
        The answer is recognised, in whatever case the server spells the name.
        """
        asked = query()
        answer = reply(asked.wire, rrset("example.com. MX", "10 mx.example.com."))
        self.assertTrue(asked.answered_by(answer))
        self.assertTrue(asked.answered_by(answer.replace(b"example", b"eXaMpLe")))

    def test_something_else(self) -> None:
        """
        Another id, another question, a query, an update, or too few octets
        is not the answer.
        """
        asked = query()
        answer = reply(asked.wire)
        self.assertFalse(asked.answered_by(b"\x55" + answer[1:]))
        self.assertFalse(asked.answered_by(answer.replace(b"example", b"another")))
        self.assertFalse(asked.answered_by(answer.replace(b"\x00\x0f\x00\x01", b"\x00\x01\x00\x01")))
        self.assertFalse(asked.answered_by(asked.wire))
        self.assertFalse(asked.answered_by(answer[:2] + bytes([answer[2] | 0x28]) + answer[3:]))
        for size in range(12):
            self.assertFalse(asked.answered_by(answer[:size]))

    def test_refusal_without_question(self) -> None:
        """
        Old servers say FORMERR without repeating the question; nothing else
        may leave it out.
        """
        asked = query()
        bare = asked.wire[:2] + b"\x80\x81" + bytes(8)
        self.assertTrue(asked.answered_by(bare))
        self.assertEqual(refusal(bare), "FORMERR")
        self.assertFalse(asked.answered_by(asked.wire[:2] + b"\x80\x80" + bytes(8)))
        self.assertFalse(asked.answered_by(asked.wire[:2] + b"\x80\x83" + bytes(8)))

    def test_header(self) -> None:
        """
        Truncation and refusals are read from the header alone.
        """
        asked = query()
        self.assertFalse(truncated(reply(asked.wire)))
        self.assertTrue(truncated(reply(asked.wire, flags=dns.flags.TC)))
        self.assertEqual(refusal(reply(asked.wire)), "")
        self.assertEqual(refusal(reply(asked.wire, rcode=3)), "")
        self.assertEqual(
            [refusal(reply(asked.wire, rcode=code)) for code in (1, 2, 4, 5)],
            ["FORMERR", "SERVFAIL", "NOTIMP", "REFUSED"],
        )


class ReadTests(SynchronousTestCase):
    """
    What is not read in full is not read at all.
    """

    def test_short_mx(self) -> None:
        """
        MX data of 0, 1 or 2 octets spoils the message; it is no null MX.
        """
        for rdata in (b"", b"\x00", b"\x00\x0a"):
            error = self.assertRaises(LookupFailed, read_message, raw_record(query().wire, 15, rdata))
            self.assertIn("unreadable", str(error))

    def test_null_mx_is_readable(self) -> None:
        """
        The same record made by hand with the root as exchanger is a null MX:
        it is the length that was wrong above, not the making.
        """
        message = read_message(raw_record(query().wire, 15, b"\x00\x00\x00"))
        self.assertEqual(message.answer[0].to_text(), "example.com. 60 IN MX 0 .")

    def test_short_a(self) -> None:
        """
        An A record of three octets spoils the message.
        """
        self.assertRaises(LookupFailed, read_message, raw_record(query().wire, 1, b"\x7f\x00\x00"))

    def test_pointer_loop(self) -> None:
        """
        A name that points at itself is refused, not followed for ever.
        """
        asked = query()
        end = 12 + 13 + 4
        loop = asked.wire[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + asked.wire[12:end]
        loop += (0xC000 | end).to_bytes(2) + b"\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x04\x00\x0a" + b"\xc0\x1d"
        self.assertTrue(asked.answered_by(loop))
        self.assertRaises(LookupFailed, read_message, loop)

    def test_extended_code(self) -> None:
        """
        BADVERS, which the header shows as success, is no answer.
        """
        response = dns.message.make_response(dns.message.from_wire(query().wire))
        response.set_rcode(16)  # type: ignore[arg-type]
        error = self.assertRaises(LookupFailed, read_message, response.to_wire())
        self.assertIn("BADVERS", str(error))

    def test_lame(self) -> None:
        """
        An answer without records, zone or claim to speak for one says nothing;
        with any of them, or the code for "no such name", it says that there is none.
        """
        lame = reply(query().wire, flags=0)
        self.assertIn("lame", str(self.assertRaises(LookupFailed, read_message, lame)))
        read_message(reply(query().wire, flags=dns.flags.AA))
        read_message(reply(query().wire, flags=0, authority=(soa("com."),)))
        read_message(reply(query().wire, flags=0, rcode=3))

    def test_referral(self) -> None:
        """
        "Ask those" from a server that does not recurse does not mean "there is none".
        """
        referral = reply(query().wire, authority=(rrset("com. NS", "ns.example."),), flags=0)
        self.assertIn("referral", str(self.assertRaises(LookupFailed, read_message, referral)))
        empty = reply(query().wire, authority=(rrset("com. NS", "ns.example."), soa("com.")), flags=0)
        self.assertFalse(read_message(empty).answer)

    @given(st.binary(max_size=120))
    @example(b"\x00\x01\x00\x01\x00\x00\x00\x00" + b"\xc0\x0c" * 20)
    def test_garbage(self, garbage: bytes) -> None:
        """
        Whatever octets come, they are read or refused by our own exception.
        """
        data = query().wire[:2] + b"\x81\x80" + garbage
        try:
            message = read_message(data + bytes(12))
            Trail(NAME).follow(message, MX)
        except LookupFailed:
            pass


class TrailTests(SynchronousTestCase):
    """
    Aliases, and what is at their end.
    """

    def follow(self, *answer: object, **more: object) -> Records | None:
        """
        What one message says about example.com's MX.
        """
        self.trail = Trail(NAME)
        message = read_message(reply(query().wire, *answer, **more))  # type: ignore[arg-type]
        return self.trail.follow(message, MX)

    def found(self, *answer: object, **more: object) -> Records:
        """
        The same where an answer is expected.
        """
        records = self.follow(*answer, **more)
        assert records is not None
        return records

    def test_records(self) -> None:
        """
        The name's own records are found, with their TTL.
        """
        records = self.found(rrset("example.com. MX", "10 a.example.", "5 b.example.", ttl=77))
        self.assertEqual([rdata.to_text() for rdata in records.rdatas], ["10 a.example.", "5 b.example."])
        self.assertEqual((records.exists, records.ttl), (True, 77))

    def test_ttl_bounds(self) -> None:
        """
        TTL 0 counts as one second, one above 2**31-1 as 0 (RFC 2181 section 8),
        a long one as a week.
        """
        for ttl, kept in ((0, 1), (1, 1), (2**31 - 1, MAX_TTL), (MAX_TTL + 1, MAX_TTL)):
            self.assertEqual(self.found(rrset("example.com. MX", "10 a.example.", ttl=ttl)).ttl, kept)
        wire = reply(query().wire, rrset("example.com. MX", "10 a.example.", ttl=0x01020304))
        huge = wire.replace(b"\x01\x02\x03\x04", b"\xff\xff\xff\xff")
        records = Trail(NAME).follow(read_message(huge), MX)
        assert records is not None
        self.assertEqual(records.ttl, 1)

    def test_alias(self) -> None:
        """
        The records at the end of a chain count, for as long as its shortest link.
        """
        records = self.found(
            rrset("x.example. MX", "10 a.example.", ttl=500),
            rrset("example.com. CNAME", "y.example.", ttl=400),
            rrset("y.example. CNAME", "x.example.", ttl=20),
        )
        self.assertEqual((len(records.rdatas), records.ttl), (1, 20))

    def test_strangers(self) -> None:
        """
        Records of other names in the answer, and whatever stands in the other
        sections, are not used.
        """
        records = self.found(
            rrset("other.example. MX", "10 evil.example."),
            authority=(soa("com."),),
            additional=(rrset("example.com. MX", "1 evil.example."),),
        )
        self.assertEqual((records.exists, records.rdatas), (True, ()))

    def test_alias_owner(self) -> None:
        """
        What the alias itself claims to own beside its alias does not count.
        """
        records = self.found(
            rrset("example.com. CNAME", "x.example."),
            rrset("example.com. MX", "1 evil.example."),
            rrset("x.example. MX", "10 a.example."),
        )
        self.assertEqual([rdata.to_text() for rdata in records.rdatas], ["10 a.example."])

    def test_chain_leaves(self) -> None:
        """
        An alias whose end is not in the message must be asked for.
        """
        self.assertIsNone(self.follow(rrset("example.com. CNAME", "x.example.")))
        self.assertEqual(text_of(self.trail.name), "x.example")

    def test_alias_to_nothing(self) -> None:
        """
        The code is about the end of the chain: an alias to a missing name is
        a missing name, an alias to a name without records has none.
        """
        alias = rrset("example.com. CNAME", "x.example.")
        self.assertFalse(self.found(alias, rcode=3, authority=(soa("example."),)).exists)
        empty = self.found(alias, authority=(soa("example."),))
        self.assertEqual((empty.exists, empty.rdatas), (True, ()))

    def test_contradiction(self) -> None:
        """
        A name with records that "does not exist" is an unreliable answer.
        """
        self.assertRaises(LookupFailed, self.follow, rrset("example.com. MX", "10 a.example."), rcode=3)

    def test_longest_chain(self) -> None:
        """
        Eight aliases are followed, nine are not.
        """
        chain = [rrset("example.com. CNAME", "x1.example.")]
        chain += [rrset(f"x{i}.example. CNAME", f"x{i + 1}.example.") for i in range(1, MAX_LINKS)]
        self.assertEqual(len(self.found(*chain, rrset(f"x{MAX_LINKS}.example. MX", "10 a.example.")).rdatas), 1)
        chain.append(rrset(f"x{MAX_LINKS}.example. CNAME", "y.example."))
        error = self.assertRaises(LookupFailed, self.follow, *chain, rrset("y.example. MX", "10 a.example."))
        self.assertIn("aliases", str(error))

    def test_loop(self) -> None:
        """
        A chain that comes back is an unreliable answer.
        """
        error = self.assertRaises(
            LookupFailed,
            self.follow,
            rrset("example.com. CNAME", "x.example."),
            rrset("x.example. CNAME", "EXAMPLE.com."),
        )
        self.assertIn("loop", str(error))

    def test_negative_ttl(self) -> None:
        """
        "There is none" is kept for the smaller number of the SOA, at most a
        quarter of an hour, and for a minute if there is no SOA.
        """
        for authority, ttl in (
            ((), DEFAULT_NEGATIVE_TTL),
            ((soa("com.", minimum=30),), 30),
            ((soa("com.", minimum=300, ttl=20),), 20),
            ((soa("com.", minimum=86400, ttl=86400),), MAX_NEGATIVE_TTL),
            ((soa("com.", minimum=0),), 1),
        ):
            self.assertEqual(self.found(authority=authority, flags=dns.flags.AA).ttl, ttl)
            self.assertEqual(self.found(authority=authority, rcode=3).ttl, ttl)
