"""
Tests for :mod:`momentum_tx.policy.tracing`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.tracing import Trace, parse


class TraceTests(SynchronousTestCase):
    """
    What is traced, and how that is written.
    """

    def test_parse(self) -> None:
        """
        What is not said is everything; names are compared in lower case, but for a
        binding's.
        """
        self.assertEqual(parse("file=/t"), Trace("/t"))
        self.assertEqual(
            parse("domain=Example.COM. host=MX.example.net binding=B1 file=/T"),
            Trace("/T", "example.com", "B1", "mx.example.net"),
        )

    def test_round_trip(self) -> None:
        """
        A trace reads as it is written.
        """
        trace = Trace("/t", "example.com", "b1", "192.0.2.1")
        self.assertEqual(parse(str(trace)), trace)

    def test_mistakes(self) -> None:
        """
        Each says what is wrong.
        """
        for text, reason in (
            ("domain=example.com", "file= is missing"),
            ("file=t", "no absolute path"),
            ("file=/t file=/u", "twice"),
            ("file=/t domain", "'domain' is none of"),
            ("file=/t domain=", "with a value"),
            ("file=/t sender=x", "'sender=x' is none of"),
        ):
            self.assertIn(reason, str(self.assertRaises(ValueError, parse, text)))

    def test_follows(self) -> None:
        """
        A connection is followed if everything that was said suits it; the host by
        name or address.
        """
        connection = ("example.com", "b1", "mx.example.net", "192.0.2.1")
        for trace, follows in (
            (Trace("/t"), True),
            (Trace("/t", domain="example.com"), True),
            (Trace("/t", domain="example.org"), False),
            (Trace("/t", binding="b2"), False),
            (Trace("/t", host="mx.example.net"), True),
            (Trace("/t", host="192.0.2.1"), True),
            (Trace("/t", host="192.0.2.2"), False),
            (Trace("/t", "example.com", "b1", "192.0.2.1"), True),
            (Trace("/t", "example.com", "b2", "192.0.2.1"), False),
        ):
            self.assertEqual(trace.follows(*connection), follows, trace)
