"""
Tests of :mod:`momentum_tx.message.canonical`; the other opinion is dkimpy's.
"""

import base64
import hashlib

from dkim.canonicalization import Relaxed, Simple
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.message import canonical

#: Lines as they tempt a canonicalizer: blanks in front, inside and behind, dots, octets above 127.
_LINES = st.lists(
    st.one_of(
        st.just(b""),
        st.text(" \t", max_size=4).map(str.encode),
        st.lists(st.sampled_from([b" ", b"\t", b"a", b".", b"=", b"\xc3\xa4", b"  ", b"word"]), max_size=8).map(
            b"".join
        ),
        st.binary(max_size=40).map(lambda text: text.replace(b"\r", b"").replace(b"\n", b"")),
    ),
    max_size=12,
)
_BODIES = st.tuples(_LINES, st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b" \r\n\t\r\n"])).map(
    lambda pair: b"".join(line + b"\r\n" for line in pair[0]) + pair[1]
)
_VALUES = st.lists(
    st.sampled_from([b" ", b"\t", b"\r\n ", b"\r\n\t", b"x", b"word", b":", b"  ", b"\xe4", b"=?utf-8?q?=C3?="]),
    max_size=12,
).map(b"".join)


class FieldTests(SynchronousTestCase):
    """
    Header fields.
    """

    def test_example(self) -> None:
        """
        The example of RFC 6376 3.4.5.
        """
        self.assertEqual(canonical.relaxed_field(b"A: X\r\n"), b"a:X\r\n")
        self.assertEqual(canonical.relaxed_field(b"B : Y\t\r\n\tZ  \r\n"), b"b:Y Z\r\n")
        self.assertEqual(canonical.simple_field(b"B : Y\t\r\n\tZ  \r\n"), b"B : Y\t\r\n\tZ  \r\n")

    def test_unfinished(self) -> None:
        """
        A field at the end of what is no whole message gets its line end.
        """
        self.assertEqual(canonical.simple_field(b"A: x"), b"A: x\r\n")
        self.assertEqual(canonical.relaxed_field(b"A: x"), b"a:x\r\n")

    @settings(derandomize=True, max_examples=400, deadline=None)
    @given(st.sampled_from([b"Subject", b"SUBJECT ", b"x-Y\t "]), _VALUES)
    def test_as_dkimpy(self, name: bytes, value: bytes) -> None:
        """
        Folding, tabs and blanks come out as with dkimpy.
        """
        ((key, text),) = Relaxed.canonicalize_headers([(name, value + b"\r\n")])
        self.assertEqual(canonical.relaxed_field(name + b":" + value + b"\r\n"), key + b":" + text)


class BodyTests(SynchronousTestCase):
    """
    Bodies.
    """

    def test_example(self) -> None:
        """
        The example of RFC 6376 3.4.5, and the empty bodies of 3.4.3 and 3.4.4.
        """
        body = b" C \r\nD \t E\r\n\r\n\r\n"
        self.assertEqual(canonical.relaxed_body(body), b" C\r\nD E\r\n")
        self.assertEqual(canonical.simple_body(body), b" C \r\nD \t E\r\n")
        for empty in (b"", b"\r\n", b"\r\n\r\n"):
            self.assertEqual(canonical.simple_body(empty), b"\r\n")
            self.assertEqual(canonical.relaxed_body(empty), b"")
        self.assertEqual(canonical.relaxed_body(b" \t\r\n \r\n"), b"")

    def test_known_hashes(self) -> None:
        """
        The hashes of an empty body that RFC 6376 3.4.3 and 3.4.4 give.
        """
        for canon, known in (
            ("simple", "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="),
            ("relaxed", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ):
            self.assertEqual(base64.b64encode(canonical.body_hash(b"", 0, canon)).decode(), known)

    def test_no_final_line_end(self) -> None:
        """
        A body that does not end with a line end is given one.
        """
        self.assertEqual(canonical.simple_body(b"a  b"), b"a  b\r\n")
        self.assertEqual(canonical.relaxed_body(b"a  b"), b"a b\r\n")

    @settings(derandomize=True, max_examples=600, deadline=None)
    @given(_BODIES)
    def test_as_dkimpy(self, body: bytes) -> None:
        """
        Whatever the lines, both forms come out as with dkimpy.
        """
        self.assertEqual(canonical.relaxed_body(body), Relaxed.canonicalize_body(body))
        self.assertEqual(canonical.simple_body(body), Simple.canonicalize_body(body))

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(_BODIES, st.integers(1, 20))
    def test_hash_in_slices(self, body: bytes, size: int) -> None:
        """
        Wherever a body is cut for the hash, it is the hash of the whole form.
        """
        content = b"Subject: x\r\n\r\n" + body
        self.patch(canonical, "SLICE", size)
        for canon, whole in (("relaxed", canonical.relaxed_body), ("simple", canonical.simple_body)):
            self.assertEqual(canonical.body_hash(content, 14, canon), hashlib.sha256(whole(content, 14)).digest())

    def test_long_runs(self) -> None:
        """
        A line of a million blanks is one blank, and the body behind it is read on.
        """
        body = b"a" + b" \t" * 500_000 + b"b\r\n" + b"\t" * 100_000 + b"\r\n" * 70_000
        self.assertEqual(canonical.relaxed_body(body), b"a b\r\n")
        self.assertEqual(canonical.body_hash(body, 0, "relaxed"), hashlib.sha256(b"a b\r\n").digest())
