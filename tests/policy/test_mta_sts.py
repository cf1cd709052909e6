"""
Tests for :mod:`momentum_tx.policy.mta_sts`.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.mta_sts import (
    MAX_AGE,
    MIN_AGE,
    MOST_PATTERNS,
    BadPolicy,
    KeptPolicy,
    STSPolicy,
    answered_policy,
    dump_kept,
    parse_kept,
    parse_policy,
    policy_url,
    record_id,
)

TEXT = b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"
POLICY = STSPolicy("enforce", 604800, frozenset({"mail.example.com", "*.example.net"}))


class RecordTests(SynchronousTestCase):
    """
    The record that says there is a policy (RFC 8461 section 3.1).
    """

    def test_good(self) -> None:
        """
        The id, with or without a last semicolon, blanks and fields nobody knows.
        """
        for text in (
            b"v=STSv1; id=20160831085700Z;",
            b"v=STSv1;id=20160831085700Z",
            b"v=STSv1 ;\tid=20160831085700Z ; x-new.field_1=a:b;",
            b"v=STSv1; x=y; id=20160831085700Z",
        ):
            self.assertEqual(record_id([text]), "20160831085700Z", text)

    def test_others(self) -> None:
        """
        Texts that are about something else do not count, two of ours are none (T15).
        """
        good = b"v=STSv1; id=1;"
        self.assertEqual(record_id([b"v=spf1 -all", good, b"STSv1"]), "1")
        self.assertEqual(record_id([good, good]), "")
        self.assertEqual(record_id([good, b"v=STSv1; id=2;"]), "")
        self.assertEqual(record_id([good, b"v=STSv1; rubbish"]), "")
        self.assertEqual(record_id([]), "")

    def test_bad(self) -> None:
        """
        One that is not in order is none.
        """
        for text in (
            b"id=1; v=STSv1;",
            b"v=STSv1",
            b"v=STSv1;",
            b"v=STSv1; id=;",
            b"v=STSv1; id=a-b;",
            b"v=STSv1; id=" + b"1" * 33,
            b"v=STSv1; id=1; id=2",
            b"v=STSv1; id=1;;",
            b"v=STSv1; id=1; x",
            b"v=STSv1; id=1; x=a b",
            b"v=STSv1; ID=1",
            b"V=STSv1; id=1",
            b"v=STSv2; id=1",
            b" v=STSv1; id=1",
        ):
            self.assertEqual(record_id([text]), "", text)

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=40) | st.text("v=STSv1; id", max_size=20).map(str.encode), max_size=3))
    def test_any(self, texts: list[bytes]) -> None:
        """
        Whatever stands in DNS, there is an id of the right form or none.
        """
        self.assertRegex(record_id([b"v=STSv1; " + text for text in texts]), r"\A[A-Za-z0-9]{0,32}\Z")
        record_id(texts)


class PolicyTests(SynchronousTestCase):
    """
    The policy itself (RFC 8461 section 3.2).
    """

    def test_good(self) -> None:
        """
        Either kind of line end, with or without the last, in any order.
        """
        for text in (TEXT, TEXT.replace(b"\r\n", b"\n"), TEXT[:-2], b"max_age:604800\n" + TEXT, TEXT + b"\r\n"):
            self.assertEqual(parse_policy(text), POLICY, text)

    def test_unknown_and_repeated(self) -> None:
        """
        What nobody knows is passed over; of what may stand once the first counts.
        """
        more = TEXT + "mode: none\nversion: STSv9\nmax_age: 1\nnew-field: ünïcode\n".encode()
        self.assertEqual(parse_policy(more), POLICY)

    def test_many_patterns(self) -> None:
        """
        A policy with so many patterns that it could only be meant to fill our memory is none.
        """
        patterns = b"".join(b"mx: mx%d.example\n" % number for number in range(MOST_PATTERNS - 2))
        self.assertEqual(len(parse_policy(TEXT + patterns).patterns), MOST_PATTERNS)
        self.assertRaises(BadPolicy, parse_policy, TEXT + patterns + b"mx: another.example\n")

    def test_none(self) -> None:
        """
        Who withdraws a policy needs no exchangers in it.
        """
        self.assertEqual(parse_policy(b"version: STSv1\nmode: none\nmax_age: 86400\n"), STSPolicy("none", 86400))

    def test_bad(self) -> None:
        """
        What is not in order is no policy.
        """
        for text in (
            b"",
            TEXT.replace(b"STSv1", b"STSv2"),
            TEXT.replace(b"version", b"Version"),
            TEXT.replace(b"enforce", b"Enforce"),
            TEXT.replace(b"mode", b"node"),
            TEXT.replace(b"604800", b"-1"),
            TEXT.replace(b"604800", b"6 days"),
            TEXT.replace(b"604800", b"12345678901"),
            TEXT.replace(b"604800", b""),
            TEXT.replace(b"max_age", b"max-age"),
            TEXT.replace(b"mx: mail.example.com", b"mx: mail.*.com"),
            TEXT.replace(b"mx: mail.example.com", b"mx: "),
            TEXT.replace(b"mx: mail.example.com", b"mx: *"),
            TEXT.replace(b"mx: mail.example.com", b"mx: a b"),
            TEXT.replace(b"mx: mail.example.com", b"mx: a..b"),
            TEXT.replace(b"mx: mail.example.com", b"mx: m\xffx"),
            TEXT.replace(b"mx:", b"nx:"),
            b"<html>" + TEXT,
            TEXT + b"nonsense\n",
        ):
            self.assertRaises(BadPolicy, parse_policy, text)

    def test_hosts(self) -> None:
        """
        An asterisk is exactly one label, whatever the letters (RFC 8461 section 4.1).
        """
        for host, matches in (
            ("mail.example.com", True),
            ("MAIL.Example.Com.", True),
            ("mx1.example.net", True),
            ("a.mx1.example.net", False),
            ("example.net", False),
            (".example.net", False),
            ("mail2.example.com", False),
            ("*.example.net", True),
            ("", False),
        ):
            self.assertIs(POLICY.matches(host), matches, host)

    def test_answer(self) -> None:
        """
        Only a 200 of plain text has a policy in it (T15).
        """
        self.assertEqual(answered_policy(200, "text/plain", TEXT), POLICY)
        self.assertEqual(answered_policy(200, "Text/Plain; charset=utf-8", TEXT), POLICY)
        for status, kind in (
            (301, "text/plain"),
            (404, "text/plain"),
            (204, "text/plain"),
            (200, "text/html"),
            (200, ""),
        ):
            self.assertRaises(BadPolicy, answered_policy, status, kind, TEXT)

    def test_url(self) -> None:
        """
        It is fetched from one place.
        """
        self.assertEqual(policy_url("example.com"), "https://mta-sts.example.com/.well-known/mta-sts.txt")

    @settings(deadline=None)
    @given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: TEXT + text.encode()))
    def test_any(self, text: bytes) -> None:
        """
        Whatever is served is a whole policy, or none.
        """
        try:
            policy = parse_policy(text)
        except BadPolicy:
            return
        self.assertTrue(policy.patterns or policy.mode == "none")
        self.assertLess(policy.max_age, 10**10)

    @settings(deadline=None)
    @given(
        st.sampled_from(["enforce", "testing"]),
        st.integers(0, MAX_AGE * 2),
        st.lists(st.from_regex(r"(\*\.)?([a-z0-9]{1,8}\.){1,3}[a-z]{2,5}", fullmatch=True), min_size=1, max_size=5),
        st.sampled_from(["\n", "\r\n"]),
        st.sampled_from(["", " ", "\t  "]),
    )
    def test_round(self, mode: str, age: int, patterns: list[str], end: str, blank: str) -> None:
        """
        What is written by the rules is read as it was meant.
        """
        lines = ["version:STSv1", f"mode:{blank}{mode}", *(f"mx:{blank}{each}{blank}" for each in patterns)]
        text = end.join([*lines, f"max_age:{blank}{age}"])
        self.assertEqual(parse_policy(text.encode()), STSPolicy(mode, age, frozenset(patterns)))


class KeptTests(SynchronousTestCase):
    """
    Policies in files.
    """

    KEPT = KeptPolicy("example.com", "1", 1_700_000_000.0, TEXT, POLICY)

    def test_round(self) -> None:
        """
        What was written is read.
        """
        self.assertEqual(parse_kept(dump_kept(self.KEPT)), self.KEPT)

    def test_torn(self) -> None:
        """
        A file that was cut off anywhere, or changed anywhere, is none.
        """
        whole = dump_kept(self.KEPT)
        for size in range(len(whole)):
            self.assertRaises(BadPolicy, parse_kept, whole[:size])
        for place in range(0, len(whole), 7):
            changed = whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :]
            self.assertRaises(BadPolicy, parse_kept, changed)

    @settings(deadline=None)
    @given(st.binary(max_size=200))
    def test_any(self, data: bytes) -> None:
        """
        Rubbish is none either.
        """
        self.assertRaises(BadPolicy, parse_kept, data)

    def test_life(self) -> None:
        """
        It ends with ``max_age``, within a minute and a year.
        """
        for age, life in ((604800, 604800), (0, MIN_AGE), (MAX_AGE * 9, MAX_AGE)):
            kept = KeptPolicy("example.com", "1", 1000.0, TEXT, STSPolicy("enforce", age, POLICY.patterns))
            self.assertEqual(kept.expires, 1000.0 + life)
