"""
Tests of :mod:`momentum_tx.message.headers`.
"""

from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.message.headers import (
    MAX_HEADER,
    HeaderBlock,
    count_received,
    field_value,
    header_end,
    is_international,
    lower_head,
    prepend_field,
    take_fields,
)

NAMES = frozenset((b"x-binding", b"x-binding-group"))

MESSAGE = (
    b"Received: from a\r\n\tby b; date\r\n"
    b"SUBJECT : odd  spacing \r\n"
    b"To: x@example.com,\r\n y@example.com\r\n"
    b"this is no field\r\n"
    b"nor this\r\n \tfolded\r\n"
    b"to: z@example.com\r\n"
    b"\r\n"
    b"To: the body\r\n.\r\n"
)


class InternationalTests(SynchronousTestCase):
    """
    Headers in UTF-8.
    """

    def test_headers(self) -> None:
        """
        UTF-8 in the header, and not in the body; other octets above 127 are not meant to be read as that.
        """
        for content, international in (
            (b"Subject: x\r\n\r\nx\r\n", False),
            ("Subject: ü\r\n\r\nx\r\n".encode(), True),
            ("Subject: ü\r\n".encode(), True),
            ("Subject: x\r\n\r\nü\r\n".encode(), False),
            ("\r\nSubject: ü\r\n".encode(), False),
            (b"Subject: \xfc\r\n\r\nx\r\n", False),
        ):
            self.assertEqual(is_international(content), international, content)


class BoundaryTests(SynchronousTestCase):
    """
    Where the header ends.
    """

    def test_places(self) -> None:
        """
        The end is found for every odd kind of message.
        """
        for content, end in (
            (b"A: b\r\n\r\nbody", 6),
            (b"A: b\r\n\r\n", 6),
            (b"A: b\r\n", 6),
            (b"A: b", 4),
            (b"", 0),
            (b"\r\n", 0),
            (b"\r\nA: b\r\n\r\n", 0),
            (b" A: b\r\n\r\n", 0),
            (b"\tA: b\r\n\r\n", 0),
            (b"A: b\n\nC: d\r\n\r\n", 12),
            (b"no header at all\r\n\r\nbody", 18),
        ):
            self.assertEqual(header_end(content), end, content)

    def test_bound(self) -> None:
        """
        A block of exactly the bound counts, one octet more makes it none.
        """
        fits = b"A: " + b"x" * (MAX_HEADER - 5) + b"\r\n"
        self.assertEqual(header_end(fits + b"\r\nbody"), MAX_HEADER)
        self.assertEqual(header_end(fits), MAX_HEADER)
        self.assertEqual(header_end(b"x" + fits + b"\r\nbody"), 0)
        self.assertEqual(header_end(b"x" + fits), 0)
        self.assertEqual(len(HeaderBlock(b"x" + fits + b"\r\nbody")), 0)


class HeaderBlockTests(SynchronousTestCase):
    """
    Looking at fields and changing some.
    """

    def test_order(self) -> None:
        """
        Fields come in order with their octets; neighbouring lines that are no field are one entry without a name.
        """
        self.assertEqual(
            list(HeaderBlock(MESSAGE)),
            [
                (b"Received", b"Received: from a\r\n\tby b; date\r\n"),
                (b"SUBJECT", b"SUBJECT : odd  spacing \r\n"),
                (b"To", b"To: x@example.com,\r\n y@example.com\r\n"),
                (b"", b"this is no field\r\nnor this\r\n \tfolded\r\n"),
                (b"to", b"to: z@example.com\r\n"),
            ],
        )

    def test_values(self) -> None:
        """
        Values are found without regard to case, unfolded, and never in the body.
        """
        block = HeaderBlock(MESSAGE)
        self.assertEqual(block.get(b"subject"), b"odd  spacing")
        self.assertEqual(block.get_all(b"TO"), [b"x@example.com, y@example.com", b"z@example.com"])
        self.assertEqual(block.count(b"to"), 2)
        self.assertEqual(len(block), 5)
        self.assertIsNone(block.get(b"Date"))
        self.assertEqual(field_value(b"A:b:c\r\n"), b"b:c")

    def test_unchanged(self) -> None:
        """
        A message nobody changed leaves octet by octet as it came, whatever it looks like.
        """
        for content in (
            MESSAGE,
            b"",
            b"\r\n",
            b"\r\n\r\nbody",
            b" folded from nothing\r\nA: b\r\n\r\n",
            b"A: b",
            b"A: b\r\n",
            b"A: \0\xff\r\n:\r\n::\r\n \r\n\r\n",
            b"A: b\rC: d\nE: f\r\n\r\n\r\n",
            b"x\r\n\r\r\n\ny:\r\n",
        ):
            self.assertEqual(HeaderBlock(content).content(), content)

    def test_prepend(self) -> None:
        """
        A field is put in front; the rest is as it was.
        """
        block = HeaderBlock(MESSAGE)
        block.prepend(b"X-New: 1\r\n\t2\r\n")
        self.assertEqual(block.content(), b"X-New: 1\r\n\t2\r\n" + MESSAGE)
        self.assertEqual(block.get(b"x-new"), b"1\t2")

    def test_prepend_to_a_body(self) -> None:
        """
        A message that begins with a blank has no header, and its first line does not become part of our field.
        """
        for content in (b" lead\r\n\r\nx", b"\tlead"):
            block = HeaderBlock(content)
            block.prepend(b"A: b\r\n")
            self.assertEqual(block.content(), b"A: b\r\n\r\n" + content)
            self.assertEqual(prepend_field(b"A: b\r\n", content), b"A: b\r\n\r\n" + content)
        for content in (b"\r\nbody", b"", b"B: c\r\n\r\n", b"no field\r\n"):
            block = HeaderBlock(content)
            block.prepend(b"A: b\r\n")
            self.assertEqual(block.content(), b"A: b\r\n" + content)
            self.assertEqual(prepend_field(b"A: b\r\n", content), b"A: b\r\n" + content)

    def test_remove(self) -> None:
        """
        All fields of a name go with their folded lines; nothing else does.
        """
        block = HeaderBlock(MESSAGE)
        self.assertEqual(block.remove(b"tO"), 2)
        self.assertEqual(block.remove(b"to"), 0)
        self.assertEqual(
            block.content(),
            b"Received: from a\r\n\tby b; date\r\nSUBJECT : odd  spacing \r\n"
            b"this is no field\r\nnor this\r\n \tfolded\r\n\r\nTo: the body\r\n.\r\n",
        )

    def test_remove_all(self) -> None:
        """
        A message whose every field is removed keeps its empty line and its body.
        """
        block = HeaderBlock(b"A: b\r\nA: c\r\n\r\nbody")
        block.remove(b"a")
        self.assertEqual(block.content(), b"\r\nbody")

    def test_nameless_lines_stay(self) -> None:
        """
        Lines that are no field cannot be found or removed by an empty name.
        """
        block = HeaderBlock(b"A: b\r\nnothing\r\n\r\n")
        self.assertEqual(block.remove(b""), 0)
        self.assertEqual(block.count(b""), 0)
        self.assertIsNone(block.get(b""))
        self.assertEqual(block.get_all(b""), [])
        block.replace(b"", b"C: d\r\n")
        self.assertEqual(block.content(), b"A: b\r\nnothing\r\nC: d\r\n\r\n")

    def test_replace(self) -> None:
        """
        The new field stands where the first old one stood; the other old ones are gone.
        """
        block = HeaderBlock(b"A: 1\r\nB: 2\r\na: 3\r\n\r\nbody")
        block.replace(b"A", b"A: new\r\n")
        self.assertEqual(block.content(), b"A: new\r\nB: 2\r\n\r\nbody")

    def test_replace_what_is_not_there(self) -> None:
        """
        A field that replaces nothing goes behind the last, also behind one without a line end.
        """
        block = HeaderBlock(b"A: 1\r\n\r\nbody")
        block.replace(b"B", b"B: 2\r\n")
        self.assertEqual(block.content(), b"A: 1\r\nB: 2\r\n\r\nbody")
        block = HeaderBlock(b"A: 1")
        block.replace(b"B", b"B: 2\r\n")
        self.assertEqual(block.content(), b"A: 1\r\nB: 2\r\n")

    def test_no_injection(self) -> None:
        """
        What is not exactly one field cannot be put in.
        """
        block = HeaderBlock(b"A: 1\r\n\r\nbody")
        for field in (
            b"",
            b"B: 2",
            b"B 2\r\n",
            b": 2\r\n",
            b"B: 2\r\nC: 3\r\n",
            b"B: 2\r\n\r\n",
            b"B: 2\n\r\n",
            b"B: 2\rC\r\n",
            b" B: 2\r\n",
            b"B\xc3: 2\r\n",
        ):
            self.assertRaises(ValueError, block.prepend, field)
            self.assertRaises(ValueError, block.replace, b"A", field)
        self.assertEqual(block.content(), b"A: 1\r\n\r\nbody")

    def test_many_fields(self) -> None:
        """
        A hundred thousand fields are read and changed without trouble.
        """
        content = b"X-A: 1\r\n" * 50_000 + b"X-B: 2\r\n" * 50_000 + b"\r\nbody"
        block = HeaderBlock(content)
        self.assertEqual(len(block), 100_000)
        self.assertEqual(block.remove(b"x-a"), 50_000)
        block.replace(b"x-b", b"X-C: 3\r\n")
        self.assertEqual(block.content(), b"X-C: 3\r\n\r\nbody")

    def test_many_lines_that_are_none(self) -> None:
        """
        A block full of nonsense is one entry.
        """
        self.assertEqual(len(HeaderBlock(b"x\r\n" * 300_000)), 1)


class TakeFieldsTests(SynchronousTestCase):
    """
    Binding choices of trusted injectors.
    """

    def test_none(self) -> None:
        """
        A message without such a field is handed back itself, not a copy.
        """
        for content in (
            MESSAGE,
            b"",
            b"A: b\r\n\r\nX-Binding: no\r\n",
            b"X-Bindings: b\r\n\r\n",
            b"A: X-Binding: b\r\n",
        ):
            values, left = take_fields(content, NAMES)
            self.assertEqual(values, {})
            self.assertIs(left, content)

    def test_taken(self) -> None:
        """
        All occurrences are removed and the first value counts.
        """
        values, left = take_fields(
            b"x-BINDING: first\r\nA: b\r\nX-Binding-Group:\r\n grp\r\nX-Binding : second\r\n\r\nX-Binding: body\r\n",
            NAMES,
        )
        self.assertEqual(values, {b"x-binding": b"first", b"x-binding-group": b"grp"})
        self.assertEqual(left, b"A: b\r\n\r\nX-Binding: body\r\n")

    def test_empty_value(self) -> None:
        """
        A field without a value is removed too.
        """
        values, left = take_fields(b"A: b\r\nX-Binding:\r\n\r\n", NAMES)
        self.assertEqual(values, {b"x-binding": b""})
        self.assertEqual(left, b"A: b\r\n\r\n")

    def test_nothing_else_changes(self) -> None:
        """
        The octets around a removed field are those that came, controls and mistakes included.
        """
        rest = b"a \0\r\n\tq\r\nB:\xff\rX-Binding: folded in\nC\r\n"
        values, left = take_fields(rest + b"X-Binding: 1\r\n\r\n\0\r\n", NAMES)
        self.assertEqual(values, {b"x-binding": b"1"})
        self.assertEqual(left, rest + b"\r\n\0\r\n")


class CountReceivedTests(SynchronousTestCase):
    """
    Loop detection.
    """

    def test_count(self) -> None:
        """
        Only whole fields of the header count, in any case.
        """
        self.assertEqual(
            count_received(
                lower_head(
                    b"Received: a\r\nRECEIVED: b\r\n received: folded\r\nReceived-SPF: x\r\n"
                    b"X-Received: y\r\nreceived:c\r\n\r\nReceived: body\r\n"
                )
            ),
            3,
        )
        self.assertEqual(count_received(lower_head(b"A: b\r\n\r\nReceived: c\r\n")), 0)
        self.assertEqual(count_received(lower_head(b"")), 0)
