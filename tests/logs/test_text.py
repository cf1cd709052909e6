"""
Tests of :mod:`momentum_tx.logs.text`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.logs.text import MAX_TEXT, decode, encode, field, last_field


class FieldTests(SynchronousTestCase):
    """
    A field that other fields follow.
    """

    def test_plain(self) -> None:
        """
        What needs nothing stays as it is, other scripts, percent signs and spaces included.
        """
        for text in ("", "bob", "a b", "user%host", "M\u00fcller", "\u65e5\u672c", '"x"'):
            self.assertEqual(field(text), text)

    def test_escaped(self) -> None:
        """
        Separators, backslashes and everything that cannot be printed become visible octets.
        """
        for octets, text in (
            (b'"a@b"', '"a\\x40b"'),
            (b"a\\b", "a\\\\b"),
            (b"a\r\nb\0c\td\x7f", "a\\x0d\\x0ab\\x00c\\x09d\\x7f"),
            (b"\xff", "\\xff"),
            ("\u2028\u202e\x85".encode(), "\\xe2\\x80\\xa8\\xe2\\x80\\xae\\xc2\\x85"),
        ):
            self.assertEqual(field(decode(octets)), text)

    def test_every_character(self) -> None:
        """
        No character whatever can add a field or a line.
        """
        for number in (*range(0x3000), 0xD800, 0xDC80, 0xDFFF, 0xFEFF, 0xE0001, 0x10FFFF):
            made = field(f"a{chr(number)}b")
            self.assertNotIn("@", made)
            self.assertTrue(made.isprintable())
            self.assertEqual(len(made.splitlines()), 1)
            encode(made).decode("utf-8")

    def test_readable(self) -> None:
        """
        Two different addresses never look the same in the log.
        """
        self.assertEqual(len({field(text) for text in ("a@b", "a\\x40b", "a\\\\x40b", "a%40b")}), 4)


class LastFieldTests(SynchronousTestCase):
    """
    The text at the end of a record.
    """

    def test_raw(self) -> None:
        """
        A reply is logged as it came, its separators and backslashes included.
        """
        self.assertEqual(last_field(b"550 <a@b> C:\\ 100%"), "550 <a@b> C:\\ 100%")
        self.assertEqual(last_field("550 na\u00efve".encode()), "550 na\u00efve")

    def test_one_line(self) -> None:
        """
        No octet of a reply can begin another line or command a terminal.
        """
        self.assertEqual(last_field(b"550 a\r\n1@2@3@4@D\0\x1b[2J\x7f"), "550 a  1@2@3@4@D  [2J ")
        for octet in range(256):
            made = last_field(b"a%cb" % octet)
            self.assertTrue(made.isprintable())
            self.assertEqual(len(made.splitlines()), 1)
        self.assertEqual(
            last_field("\u2028x\u202e\x9b".encode() + b"\xff"), "\\xe2\\x80\\xa8x\\xe2\\x80\\xae\\xc2\\x9b\\xff"
        )

    def test_bound(self) -> None:
        """
        Text is cut behind the bound, and the cut is shown.
        """
        self.assertEqual(last_field(b"x" * MAX_TEXT), "x" * MAX_TEXT)
        self.assertEqual(last_field(b"x" * (MAX_TEXT + 1)), "x" * MAX_TEXT + "...")


class EncodeTests(SynchronousTestCase):
    """
    From octets to text and back.
    """

    def test_nothing_lost(self) -> None:
        """
        Octets survive the way through text, UTF-8 or not.
        """
        octets = bytes(range(256)) + "\u65e5".encode()
        self.assertEqual(encode(decode(octets)), octets)

    def test_impossible(self) -> None:
        """
        Text that no encoding can hold costs one character, not the record.
        """
        self.assertEqual(encode("a\ud800b"), b"a?b")
