"""
Tests of :mod:`momentum_tx.policy.transcoding`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.transcoding import MOST_OCTETS, Transcoding, compiled_pattern, parsed_replacement


class TranscodingTests(SynchronousTestCase):
    """
    What becomes of a status text.
    """

    def test_table(self) -> None:
        """
        Where the pattern is found the replacement stands instead of the whole text, with what was found in it.
        """
        for pattern, replacement, note, said in (
            ("^554 (.*)", "454 $1", b"554 5.7.1 Try later", b"454 5.7.1 Try later"),
            (r"^5(\d\d) 5(\.2\.2 .*)", "4$1 4$2", b"552 5.2.2 Full", b"452 4.2.2 Full"),
            ("blocked", "421 4.7.0 $0, they say", b"550 You are blocked here", b"421 4.7.0 blocked, they say"),
            ("blocked", "421 4.7.0 $0, they say", b"550 You are BLOCKED here", b"550 You are BLOCKED here"),
            ("(?i)blocked", "421 $0", b"550 You are BLOCKED here", b"421 BLOCKED"),
            ("^450", "550", b"450 4.2.0 Not now", b"550"),
            (r"^450 (\S+)( never)?", "550 $1$2.", b"450 4.2.0 Not now", b"550 4.2.0."),
            (r"^4(5)0", "5${1}0 cost: 5$$1", b"450 Not now", b"550 cost: 5$1"),
            (r"\[internal\]", "451 $0 $0", b"421 4.4.0 [internal] no MXs", b"451 [internal] [internal]"),
            ("ung\u00fcltig", "450 vorl\u00e4ufig", "550 ung\u00fcltig".encode(), "450 vorl\u00e4ufig".encode()),
            ("^(.*)$", "$1", b"550 Same", b"550 Same"),
        ):
            self.assertEqual(Transcoding.of(pattern, replacement).said(note), said, (pattern, replacement))

    def test_long(self) -> None:
        """
        However much is put in, no more is kept than of any reply.
        """
        made = Transcoding.of("^(.*)$", "450 $1$1$1").said(b"550 " + b"x" * 2000)
        self.assertEqual((len(made), made[:9]), (MOST_OCTETS, b"450 550 x"))

    def test_noRefusal(self) -> None:
        """
        What would be no refusal with a code is an error, whatever the options look like.
        """
        for pattern, replacement, note in (
            ("^5(.*)", "$1", b"550 Go away"),
            (r"^\d+ (\d+)", "$1 yes", b"550 250 is what I want"),
            (r"^550( .*)?", "45$1", b"550 Go away"),
            (r"^550(\d?)", "450$1", b"5501"),
        ):
            error = self.assertRaises(ValueError, Transcoding.of(pattern, replacement).said, note)
            self.assertIn("no code of a refusal", str(error))

    def test_doNotFit(self) -> None:
        """
        A replacement may only name groups that the pattern has.
        """
        self.assertIn("no group 2", str(self.assertRaises(ValueError, Transcoding.of, "(a)", "450 $1 $2")))
        self.assertEqual(
            Transcoding.of("a(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)", "450 ${10}").said(b"550 abcdefghijk"), b"450 k"
        )


class OptionTests(SynchronousTestCase):
    """
    What may be written.
    """

    def test_pattern(self) -> None:
        """
        A regex that is none is refused.
        """
        self.assertEqual(compiled_pattern("a+").pattern, b"a+")
        self.assertIn("no regex", str(self.assertRaises(ValueError, compiled_pattern, "(")))

    def test_replacement(self) -> None:
        """
        What cannot begin with a code of a refusal, whatever is found, is refused; so is a dollar sign with no meaning.
        """
        for text in ("450", "599 x", "4$1", "45$1", "450$1", "550 $1", "$0", "$1$2", "450 a$$b", "450 ${12}"):
            parsed_replacement(text)
        for text in (
            "250 ok",
            "354",
            "600 x",
            "45",
            "4",
            "4x0",
            "450x",
            "4500 x",
            "45 $1",
            "x$1",
            " $1",
            "450x $1",
            "$$1",
        ):
            error = self.assertRaises(ValueError, parsed_replacement, text)
            self.assertIn("does not begin with a code", str(error), text)
        for text in ("450 $", "450 $x", "450 ${1", "450 ${x}", "450 ${123}"):
            self.assertIn("holds a $", str(self.assertRaises(ValueError, parsed_replacement, text)), text)
