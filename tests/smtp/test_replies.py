"""
The reader of replies: what it takes, what it refuses, and its bounds.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import RemoteProtocolError
from momentum_tx.smtp.replies import MAX_LINE, MAX_LINES, MAX_NOTE, MAX_REPLY, Reply, ReplyClass, ReplyReader


class ReplyTests(SynchronousTestCase):
    """
    What a reply says of itself.
    """

    def test_note(self) -> None:
        """
        A log line of a reply begins with the code and has no line ends.
        """
        self.assertEqual(Reply(250, (b"2.0.0 Ok",)).note, b"250 2.0.0 Ok")
        self.assertEqual(Reply(220, (b"",)).note, b"220")
        self.assertEqual(Reply(550, (b"5.1.1 No", b"such user")).note, b"550 5.1.1 No such user")

    def test_note_is_harmless(self) -> None:
        """
        Escapes and NUL in a reply cannot reach a terminal through the log.
        """
        self.assertEqual(Reply(550, (b"\x1b[2J\0\x7f\t", b"\rx")).note, b"550 ?[2J??? ?x")

    def test_note_is_bounded(self) -> None:
        """
        Two kilobytes of a long reply are kept.
        """
        self.assertEqual(len(Reply(550, (b"x" * 4000,)).note), MAX_NOTE)
        self.assertEqual(len(Reply(550, (b"x" * 100,) * 900).note), MAX_NOTE)

    def test_class(self) -> None:
        """
        An unknown code is judged by its first digit.
        """
        self.assertIs(Reply(299, (b"",)).reply_class, ReplyClass.OK)
        self.assertIs(Reply(354, (b"",)).reply_class, ReplyClass.GO_ON)
        self.assertIs(Reply(499, (b"",)).reply_class, ReplyClass.TRANSIENT)
        self.assertIs(Reply(571, (b"",)).reply_class, ReplyClass.PERMANENT)

    def test_enhanced(self) -> None:
        """
        An enhanced code of another class than the code is ignored.
        """
        self.assertEqual(Reply(552, (b"5.5.3 too many",)).enhanced, b"5.5.3")
        self.assertEqual(Reply(552, (b"5.5.3",)).enhanced, b"5.5.3")
        self.assertEqual(Reply(450, (b"5.5.3 too many",)).enhanced, b"")
        self.assertEqual(Reply(550, (b"no",)).enhanced, b"")

    def test_value(self) -> None:
        """
        Equal replies are equal, and say what they are.
        """
        self.assertEqual({Reply(250, (b"a",))}, {Reply(250, (b"a",))})
        self.assertNotEqual(Reply(250, (b"a",)), Reply(250, (b"b",)))
        self.assertNotEqual(Reply(250, (b"a",)), b"250 a")
        self.assertEqual(repr(Reply(250, (b"a",))), "<Reply b'250 a'>")


class ReaderTests(SynchronousTestCase):
    """
    Bytes in, replies out, received in one chunk.
    """

    #: Octets of one chunk; zero leaves the input whole.
    step = 0

    def read(self, data: bytes, greeting: bool = False) -> list[Reply]:
        """
        Every reply in *data*, fed in chunks of ``step`` octets.
        """
        self.reader = ReplyReader(greeting)
        replies = []
        step = self.step or max(1, len(data))
        for at in range(0, len(data), step):
            self.reader.receive_data(data[at : at + step])
            while True:
                unread = self.reader.unread
                reply = self.reader.next_reply()
                if reply is None:
                    break
                # Whoever asks only then has missed nothing.
                self.assertTrue(unread)
                replies.append(reply)
            self.assertFalse(self.reader.unread)
        return replies

    def test_replies(self) -> None:
        """
        Several replies behind one another are told apart.
        """
        self.assertEqual(
            self.read(b"250 2.1.0 Ok\r\n250-a\r\n250-b\r\n250 c\r\n354 go\r\n"),
            [Reply(250, (b"2.1.0 Ok",)), Reply(250, (b"a", b"b", b"c")), Reply(354, (b"go",))],
        )
        self.assertFalse(self.reader.pending)

    def test_line_ends(self) -> None:
        """
        LF alone and CR CR LF end a line like CRLF does.
        """
        self.assertEqual(
            self.read(b"220 a\n250-b\n250 c\n250 d\r\r\n250\r\r\n220\n"),
            [
                Reply(220, (b"a",)),
                Reply(250, (b"b", b"c")),
                Reply(250, (b"d",)),
                Reply(250, (b"",)),
                Reply(220, (b"",)),
            ],
        )

    def test_no_text(self) -> None:
        """
        A code alone is a reply, also as a line of many.
        """
        self.assertEqual(self.read(b"220\r\n"), [Reply(220, (b"",))])
        self.assertEqual(self.read(b"220 \r\n"), [Reply(220, (b"",))])
        self.assertEqual(self.read(b"250-\r\n250\r\n"), [Reply(250, (b"", b""))])

    def test_malformed(self) -> None:
        """
        What is no reply code ends the session instead of being guessed at.
        """
        for line in (
            b"25 ok",
            b"2500 ok",
            b"abc",
            b"250_ok",
            b"250\tok",
            b"000",
            b"199 x",
            b"999 x",
            b"600 x",
            b"",
            b"2",
            b" 250 ok",
            b"+250 ok",
            b"HTTP/1.1 400 Bad Request",
            b"SSH-2.0-OpenSSH_9.2",
            b"\xff\xfe\0\0",
        ):
            with self.assertRaises(RemoteProtocolError, msg=repr(line)):
                self.read(line + b"\r\n250 ok\r\n")
            with self.assertRaises(RemoteProtocolError, msg=repr(line)):
                self.read(b"250-ok\r\n" + line + b"\r\n")

    def test_good_before_bad(self) -> None:
        """
        A complete reply counts although nonsense follows in the same segment.
        """
        reader = ReplyReader()
        reader.receive_data(b"250 taken\r\nnonsense\r\n")
        self.assertEqual(reader.next_reply(), Reply(250, (b"taken",)))
        self.assertRaises(RemoteProtocolError, reader.next_reply)

    def test_mixed_codes(self) -> None:
        """
        Lines of one reply must agree.
        """
        self.assertRaises(RemoteProtocolError, self.read, b"250-a\r\n550 b\r\n")

    def test_mixed_codes_in_greeting(self) -> None:
        """
        A greeting is judged on its last line, and only a greeting.
        """
        replies = self.read(b"220-hello\r\n554 go away\r\n", True)
        self.assertEqual(replies, [Reply(554, (b"hello", b"go away"))])
        self.assertRaises(RemoteProtocolError, self.read, b"220 hello\r\n250-a\r\n550 b\r\n", True)
        self.assertRaises(RemoteProtocolError, self.read, b"220-a\r\n220 b\r\n250-a\r\n550 b\r\n", True)

    def test_pending(self) -> None:
        """
        Half a line, and half a reply, are known to be there.
        """
        self.assertEqual(self.read(b"250 a\r\n2"), [Reply(250, (b"a",))])
        self.assertTrue(self.reader.pending)
        self.read(b"250-a\r\n")
        self.assertTrue(self.reader.pending)
        self.read(b"250-a\r\n250 b\r\n")
        self.assertFalse(self.reader.pending)
        self.read(b"250 " + b"x" * (MAX_LINE + 1))
        self.assertTrue(self.reader.pending)

    def test_longest_line(self) -> None:
        """
        A line of 4096 octets is kept whole.
        """
        text = b"x" * (MAX_LINE - 4)
        (reply,) = self.read(b"250 " + text + b"\n")
        self.assertEqual(reply, Reply(250, (text,)))

    def test_overlong_line(self) -> None:
        """
        What exceeds 4096 octets is thrown away to the line end; the code counts,
        and the next reply is found.
        """
        for length in (MAX_LINE - 3, MAX_LINE, 5000, 100_000):
            replies = self.read(b"550 " + b"x" * length + b"\r\n250 ok\r\n")
            self.assertEqual(replies, [Reply(550, (b"x" * (MAX_LINE - 4),), True), Reply(250, (b"ok",))])

    def test_overlong_line_of_many(self) -> None:
        """
        One long line does not hurt its neighbours.
        """
        (reply,) = self.read(b"250-a\r\n250-" + b"x" * 9000 + b"\r\n250 SIZE\r\n")
        self.assertTrue(reply.overlong)
        self.assertEqual((reply.lines[0], len(reply.lines[1]), reply.lines[2]), (b"a", MAX_LINE - 4, b"SIZE"))

    def test_bound_without_line_end(self) -> None:
        """
        A flood without a line end is cut at 128 KiB.
        """
        self.assertRaises(RemoteProtocolError, self.read, b"2" * (MAX_REPLY + 1))
        self.assertRaises(RemoteProtocolError, self.read, b"220 " + b"x" * MAX_REPLY + b"\r\n")

    def test_bound_of_lines(self) -> None:
        """
        A thousand lines are a reply, and not one more.
        """
        (reply,) = self.read(b"250-x\r\n" * (MAX_LINES - 1) + b"250 x\r\n")
        self.assertEqual(len(reply.lines), MAX_LINES)
        self.assertRaises(RemoteProtocolError, self.read, b"250-x\r\n" * MAX_LINES + b"250 x\r\n")

    def test_bound_of_octets(self) -> None:
        """
        A reply of many long lines is cut at 128 KiB.
        """
        line = b"220-" + b"x" * 1018 + b"\r\n"
        self.read(line * 127 + b"220 x\r\n")
        self.assertRaises(RemoteProtocolError, self.read, line * 128 + b"220 x\r\n")

    def test_bound_is_per_reply(self) -> None:
        """
        A long session may read any number of replies.
        """
        self.assertEqual(len(self.read(b"250-x\r\n250 x\r\n" * 11000)), 11000)


class ReaderByOctetTests(ReaderTests):
    """
    The same, received one octet at a time.
    """

    step = 1


class ReaderBySevenTests(ReaderTests):
    """
    The same, cut without regard to lines.
    """

    step = 7


_FRAGMENTS = st.sampled_from(
    [b"250", b"220 x", b"-", b" ", b"\r\n", b"\n", b"\r", b"250-a\r\n", b"250 b\r\n", b"x" * 5000, b"\0", b"554"]
)


class ReaderProperties(SynchronousTestCase):
    """
    Whatever a peer sends.
    """

    @settings(derandomize=True, max_examples=150, deadline=None)
    @given(st.lists(st.one_of(st.binary(max_size=60), _FRAGMENTS, st.just(b"x" * 60_000)), max_size=30), st.booleans())
    def test_bounded(self, chunks: list[bytes], greeting: bool) -> None:
        """
        The reader raises nothing but RemoteProtocolError, and holds little.
        """
        reader = ReplyReader(greeting)
        try:
            for chunk in chunks:
                reader.receive_data(chunk)
                while (reply := reader.next_reply()) is not None:
                    self.assertLessEqual(len(reply.note), MAX_NOTE)
                    self.assertLessEqual(sum(map(len, reply.lines)), MAX_REPLY)
                self.assertLessEqual(len(reader._buffer) - reader._at, MAX_LINE)
        except RemoteProtocolError:
            pass

    @settings(derandomize=True, max_examples=150, deadline=None)
    @given(st.lists(_FRAGMENTS, max_size=12), st.data())
    def test_chunking_does_not_matter(self, fragments: list[bytes], data: st.DataObject) -> None:
        """
        The same bytes mean the same however they are cut.
        """
        text = b"".join(fragments)
        cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8).map(sorted))
        chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        self.assertEqual(self._reading([text]), self._reading(chunks))

    def _reading(self, chunks: list[bytes]) -> tuple[list[Reply], bool, bool]:
        reader = ReplyReader()
        replies: list[Reply] = []
        try:
            for chunk in chunks:
                reader.receive_data(chunk)
                while (reply := reader.next_reply()) is not None:
                    replies.append(reply)
        except RemoteProtocolError:
            return replies, True, False
        return replies, False, reader.pending
