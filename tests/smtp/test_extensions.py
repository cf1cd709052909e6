"""
What a peer is believed to offer.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.smtp.extensions import NO_EXTENSIONS, Extensions, parse_extensions


class ExtensionsTests(SynchronousTestCase):
    """
    EHLO replies, good and bad.
    """

    def offers(self, *lines: bytes) -> Extensions:
        """
        What a peer offers with *lines* after its name.
        """
        return parse_extensions((b"mx.example", *lines))

    def test_smtputf8_alone(self) -> None:
        """
        SMTPUTF8 without 8BITMIME is no offer (RFC 6531 3.1).
        """
        self.assertFalse(self.offers(b"SMTPUTF8").smtputf8)
        self.assertTrue(self.offers(b"SMTPUTF8", b"8BITMIME").smtputf8)

    def test_everything(self) -> None:
        """
        Each extension is recognised, whatever the case.
        """
        found = self.offers(
            b"pipelining",
            b"SIZE 10240000",
            b"8bitMIME",
            b"SMTPUTF8",
            b"StartTLS",
            b"ENHANCEDSTATUSCODES",
            b"CHUNKING",
            b"DSN",
            b"AUTH plain LOGIN",
            b"xclient name ADDR",
            b"X-Thing a b",
        )
        for name in (
            "pipelining",
            "size_offered",
            "eight_bit",
            "smtputf8",
            "starttls",
            "enhanced_status_codes",
            "chunking",
            "dsn",
        ):
            self.assertTrue(getattr(found, name), name)
        self.assertEqual(found.size_limit, 10240000)
        self.assertEqual(found.auth, (b"PLAIN", b"LOGIN"))
        self.assertEqual(found.xclient, (b"NAME", b"ADDR"))
        self.assertEqual(self.offers(b"XCLIENT").xclient, ())
        self.assertEqual(found.keywords[b"X-THING"], b"a b")

    def test_nothing(self) -> None:
        """
        A peer that only gives its name offers nothing.
        """
        self.assertEqual(self.offers(), NO_EXTENSIONS)
        self.assertEqual(parse_extensions((b"PIPELINING",)), NO_EXTENSIONS)

    def test_size(self) -> None:
        """
        SIZE without a number, or with zero, sets no limit.
        """
        for line in (b"SIZE", b"SIZE 0", b"size "):
            found = self.offers(line)
            self.assertTrue(found.size_offered, line)
            self.assertIsNone(found.size_limit, line)

    def test_garbage(self) -> None:
        """
        Nonsense offers nothing and hurts nothing.
        """
        found = self.offers(
            b"",
            b" ",
            b"\0PIPELINING",
            b"SIZE -1",
            b"CHUNKING\0",
            b"8BITMIME \xff",
            b"\xff\xfe",
            b"STARTTLS_",
            b"DSN=",
            b"X-LONG " + b"x" * 2000,
            b"AUTH",
            b"ENHANCEDSTATUSCODES",
        )
        self.assertEqual(set(found.keywords), {b"SIZE", b"AUTH", b"ENHANCEDSTATUSCODES"})
        self.assertFalse(found.size_offered)
        self.assertEqual(found.auth, ())
        self.assertTrue(found.enhanced_status_codes)

    def test_absurd_size(self) -> None:
        """
        A limit nobody can mean is no limit.
        """
        for line in (b"SIZE " + b"1" + b"0" * 23, b"SIZE x", b"SIZE 1 2", b"SIZE 1e5"):
            found = self.offers(line)
            self.assertFalse(found.size_offered, line)
            self.assertIsNone(found.size_limit, line)

    def test_first_counts(self) -> None:
        """
        An offer made twice counts as first made.
        """
        self.assertEqual(self.offers(b"SIZE 100", b"SIZE 200").size_limit, 100)

    def test_many(self) -> None:
        """
        A thousand keywords do not hide the one that matters.
        """
        found = self.offers(*[b"X%d" % number for number in range(998)], b"PIPELINING")
        self.assertTrue(found.pipelining)


class LimitsTests(SynchronousTestCase):
    """
    LIMITS (RFC 9422).
    """

    def limits(self, text: bytes) -> tuple[int, int, int]:
        """
        What is taken from an offer.
        """
        offers = parse_extensions([b"mx.example", text])
        return offers.most_recipients, offers.most_transactions, offers.most_domains

    def test_named(self) -> None:
        """
        Each limit is a word of its own, in any order and case of letters.
        """
        self.assertEqual(self.limits(b"LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1"), (20, 5, 1))
        self.assertEqual(self.limits(b"limits rcptdomainmax=999999 mailmax=1"), (0, 1, 999999))
        self.assertEqual(self.limits(b"LIMITS"), (0, 0, 0))
        self.assertEqual(self.limits(b"SIZE 10"), (0, 0, 0))

    def test_bogus(self) -> None:
        """
        What is no limit, or none of these, is ignored, and the others count.
        """
        for bogus in (
            b"RCPTMAX=0",
            b"RCPTMAX=-1",
            b"RCPTMAX=01",
            b"RCPTMAX=1000000",
            b"RCPTMAX=",
            b"RCPTMAX",
            b"=5",
            b"X=5",
        ):
            self.assertEqual(self.limits(b"LIMITS " + bogus + b" MAILMAX=7"), (0, 7, 0), bogus)
        self.assertEqual(self.limits(b"LIMITS RCPTMAX=3 RCPTMAX=9"), (3, 0, 0))
