"""
Tests of :mod:`momentum_tx.policy.log_format`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.policy.log_format import Piece, parse


class ParseTests(SynchronousTestCase):
    """
    What a format is made of.
    """

    def test_macros(self) -> None:
        """
        The longest name is the macro; braces belong to those that take some.
        """
        self.assertEqual(
            parse("%t{%Y: %H}@%BI|%B|%mx|%m:%us{3} %vctx_mess{tenant}%%%i"),
            [
                Piece("t", "%Y: %H"),
                Piece("", "@"),
                Piece("BI", ""),
                Piece("", "|"),
                Piece("B", ""),
                Piece("", "|"),
                Piece("mx", ""),
                Piece("", "|"),
                Piece("m", ""),
                Piece("", ":"),
                Piece("us", "3"),
                Piece("", " "),
                Piece("vctx_mess", "tenant"),
                Piece("", "%"),
                Piece("i", ""),
            ],
        )
        self.assertEqual(parse(""), [])
        self.assertEqual(parse("plain text"), [Piece("", "plain text")])

    def test_refused(self) -> None:
        """
        What is no macro is named.
        """
        for text, part in (
            ("%t %q", "'%q' begins with no macro"),
            ("100%", "'%' begins with no macro"),
            ("%r_%R", "%r is followed by '_'"),
            ("%ix", "%i is followed by 'x'"),
            ("%t{%H", "%t is followed by '{'"),
            ("%i{3}", "%i takes nothing in braces"),
            ("%T{x}", "0 to 9 decimals"),
            ("%T{10}", "0 to 9 decimals"),
            ("%vctx_mess", "needs a name in braces"),
            ("%vctx_conn{colour}", "%vctx_conn{colour}: it is one of campaign"),
            ("%h{Subject}", "header fields are not at hand"),
            ("%i\n%r", "would break a line"),
        ):
            with self.subTest(text):
                self.assertIn(part, str(self.assertRaises(ValueError, parse, text)))
