"""
The trace says what happened, and the digest whether it was the same.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.testing.fuzz.trace import Trace


class TraceTests(SynchronousTestCase):
    """
    Lines and digest.
    """

    def setUp(self) -> None:
        self.now = 0.0

    def trace(self, *events: object, keep: bool = True) -> Trace:
        """
        A trace of events with one value each.
        """
        trace = Trace(lambda: self.now, keep)
        for event in events:
            trace("said", event)
        return trace

    def test_lines(self) -> None:
        """
        A line has the time, what happened, and with what.
        """
        trace = self.trace()
        self.now = 1.25
        trace("sent", 25, b"250 Ok\r\n", "as text")
        trace("ready")
        self.assertEqual(trace.lines, ["1.250000 sent 25 b'250 Ok\\r\\n' as text", "1.250000 ready "])
        self.assertEqual(trace.events, 2)

    def test_not_kept(self) -> None:
        """
        Without the lines the digest and the number are the same.
        """
        kept, counted = self.trace(b"1", b"2"), self.trace(b"1", b"2", keep=False)
        self.assertEqual((counted.lines, counted.events, counted.digest()), ([], 2, kept.digest()))

    def test_digest(self) -> None:
        """
        Another value, another order and another time are another story.
        """
        stories = [self.trace(*values).digest() for values in ((b"1", b"2"), (b"2", b"1"), (b"1",), (b"1", b"3"))]
        self.now = 0.001
        stories.append(self.trace(b"1", b"2").digest())
        self.assertEqual(len(set(stories)), 5)
        self.assertEqual(stories[-1], self.trace(b"1", b"2").digest())

    def test_long_values(self) -> None:
        """
        Sixty octets are shown whole; of more the beginning is, how many are left
        out, and a checksum, so that a difference far behind counts as well.
        """
        whole, longer = self.trace(b"x" * 60), self.trace(b"x" * 61)
        self.assertTrue(whole.lines[0].endswith(repr(b"x" * 60)), whole.lines)
        self.assertIn(repr(b"x" * 60) + "+1#", longer.lines[0])
        body = b"x" * 1000
        other = self.trace(body[:-1] + b"y")
        self.assertNotEqual(other.lines, self.trace(body).lines)
        self.assertNotEqual(other.digest(), self.trace(body).digest())

    def test_octets_that_are_no_text(self) -> None:
        """
        Text with octets that are no UTF-8, as it comes from the system, is taken too.
        """
        text = b"\xff".decode("utf-8", "surrogateescape")
        self.assertNotEqual(self.trace(text).digest(), self.trace("").digest())
