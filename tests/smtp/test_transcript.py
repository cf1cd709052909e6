"""
Tests for :mod:`momentum_tx.smtp.transcript`.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from momentum_tx.interfaces.records import ITranscript
from momentum_tx.smtp.transcript import KEPT, PIECE, Entry, Transcript, printable

CHALLENGE = b"334 Y2hhbGxlbmdl\r\n"
SECRETS = (b"dXNlcgBzZWNyZXQ=", b"c2VjcmV0IHBhc3N3b3Jk")


class Reader:
    """
    Follows a transcript.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def told(self, entry: Entry) -> None:
        self.entries.append(entry)


class DialogueTests(SynchronousTestCase):
    """
    What is kept, and how it reads.
    """

    def test_contract(self) -> None:
        """
        It is what hooks are promised.
        """
        verifyObject(ITranscript, Transcript(0.0))

    def test_lines(self) -> None:
        """
        A line of the dialogue each, with the seconds since the beginning.
        """
        transcript = Transcript(100.0)
        transcript.event(100.0, "connected")
        transcript.heard(100.5, b"220-mx\r\n220 ready\r\n")
        transcript.said(100.5, b"EHLO a\r\n")
        transcript.turn()
        transcript.said(101.0, b"MAIL FROM:<>\r\nRCPT TO:<b@c>\r\nDATA\r\n")
        transcript.content(101.25, 1234)
        self.assertEqual(
            transcript.lines(),
            [
                "0.000 * connected",
                "0.500 < 220-mx",
                "0.500 < 220 ready",
                "0.500 > EHLO a",
                "1.000 > MAIL FROM:<>",
                "1.000 > RCPT TO:<b@c>",
                "1.000 > DATA",
                "1.250 > [content, 1234 octets]",
            ],
        )

    def test_turn(self) -> None:
        """
        Of earlier transactions nothing is left, of the opening everything.
        """
        transcript = Transcript(0.0)
        transcript.heard(0.0, b"220 mx\r\n")
        for number in range(3):
            transcript.turn()
            transcript.said(0.0, b"MAIL FROM:<%d>\r\n" % number)
        self.assertEqual(transcript.lines(), ["0.000 < 220 mx", "0.000 > MAIL FROM:<2>"])

    def test_snapshot(self) -> None:
        """
        What was kept when it was looked at stays, whatever comes after.
        """
        transcript = Transcript(0.0)
        transcript.turn()
        transcript.heard(0.0, b"550 no\r\n")
        kept = transcript.snapshot()
        transcript.turn()
        transcript.heard(0.0, b"250 yes\r\n")
        self.assertEqual(kept.lines(), ["0.000 < 550 no"])

    def test_strangers(self) -> None:
        """
        What cannot be printed is escaped, so that a line is a line.
        """
        transcript = Transcript(0.0)
        transcript.heard(0.0, b"220 \x1b[2J\x00\xff \xe2\x80\xae\n\\\r\n")
        self.assertEqual(transcript.lines(), ["0.000 < 220 \\x1b[2J\\x00\\xff \\xe2\\x80\\xae\\x0a\\x5c"])
        self.assertEqual(printable("grüß".encode()), "grüß")

    def test_reader(self) -> None:
        """
        Who follows is told each entry as it comes.
        """
        reader = Reader()
        transcript = Transcript(0.0, reader)
        transcript.said(1.0, b"QUIT\r\n")
        self.assertEqual([entry[2] for entry in reader.entries], [b"QUIT\r\n"])


class BoundTests(SynchronousTestCase):
    """
    However much is said, little is kept.
    """

    def octets(self, transcript: Transcript) -> int:
        """
        Octets of the lines.
        """
        return sum(map(len, transcript.lines()))

    def test_flood(self) -> None:
        """
        A peer that talks without end leaves its first and its last words.
        """
        transcript = Transcript(0.0)
        transcript.heard(0.0, b"220 first\r\n")
        for _ in range(1000):
            transcript.heard(0.0, b"x" * 10_000 + b"\r\n")
        transcript.heard(0.0, b"550 last\r\n")
        lines = transcript.lines()
        self.assertEqual((lines[0], lines[-1]), ("0.000 < 220 first", "0.000 < 550 last"))
        self.assertLess(self.octets(transcript), 2 * KEPT + PIECE)
        self.assertTrue(any(line.endswith("octets left out ...") for line in lines), lines)

    def test_counted(self) -> None:
        """
        What was left out is counted to the octet.
        """
        transcript = Transcript(0.0)
        for number in range(300):
            transcript.said(0.0, b"RCPT TO:<%04d@example.com>\r\n" % number)
        (mark,) = [number for number, line in enumerate(transcript.lines()) if line.startswith("...")]
        omitted = int(transcript.lines()[mark].split()[1])
        self.assertEqual(omitted, 28 * (300 - (len(transcript.lines()) - 1)))

    @given(st.lists(st.tuples(st.booleans(), st.binary(max_size=6000)), max_size=40))
    def test_anything(self, pieces: list[tuple[bool, bytes]]) -> None:
        """
        Any dialogue is kept within the bounds and can be shown, a character being
        at most four once it is escaped.
        """
        transcript = Transcript(0.0)
        for ours, data in pieces:
            (transcript.said if ours else transcript.heard)(0.0, data)
        self.assertLess(self.octets(transcript), 8 * (2 * KEPT + PIECE) + 2000)
        self.assertTrue(all(line.isprintable() for line in transcript.lines()))


class SecretTests(SynchronousTestCase):
    """
    Credentials are in no transcript.
    """

    def authenticate(self, replies: list[bytes], ending: bytes) -> Transcript:
        """
        An exchange in which everything we say is secret.
        """
        transcript = Transcript(0.0)
        transcript.said(0.0, b"AUTH LOGIN %b\r\n" % SECRETS[0])
        for reply in replies:
            transcript.heard(0.0, reply)
            if reply.endswith(b"\r\n"):
                transcript.said(0.0, b"%b\r\n" % SECRETS[1])
        transcript.heard(0.0, ending)
        transcript.said(0.0, b"MAIL FROM:<a@b>\r\n")
        return transcript

    def test_login(self) -> None:
        """
        The mechanism and the codes are kept, then the dialogue goes on.
        """
        transcript = self.authenticate([CHALLENGE, CHALLENGE], b"235 2.7.0 ok\r\n")
        self.assertEqual(
            transcript.lines(),
            [
                "0.000 > AUTH LOGIN [secret]",
                "0.000 < 334 [15 octets more]",
                "0.000 > [secret]",
                "0.000 < 334 [15 octets more]",
                "0.000 > [secret]",
                "0.000 < 235 2.7.0 ok",
                "0.000 > MAIL FROM:<a@b>",
            ],
        )

    def test_pieces(self) -> None:
        """
        However the replies are cut, no secret and no challenge is shown.
        """
        whole = CHALLENGE
        for cut in range(1, len(whole)):
            transcript = self.authenticate([whole[:cut], whole[cut:]], b"535 no\r\n")
            text = "\n".join(transcript.lines())
            for secret in (*SECRETS, b"Y2hhbGxlbmdl"):
                self.assertNotIn(secret.decode(), text)
            self.assertIn("535 no", text)
            self.assertIn("MAIL FROM", text)

    def test_long(self) -> None:
        """
        Nor is any where a challenge is longer than what is kept of a line, and comes in pieces, or has a code that
        no challenge has.
        """
        for length in (PIECE - 10, PIECE, PIECE + 500, 2 * PIECE):
            for code in (b"334", b"354"):
                whole = b"%b %b\r\n" % (code, b"Y2hhbGxlbmdl" * (length // 12))
                pieces = [whole[at : at + 1000] for at in range(0, len(whole), 1000)]
                text = "\n".join(self.authenticate(pieces * 2, b"535 no\r\n").lines())
                for secret in (*SECRETS, b"Y2hhbGxlbmdl"):
                    self.assertNotIn(secret.decode(), text)
                self.assertIn("535 no", text)

    def test_declared(self) -> None:
        """
        What is said to be secret is not kept, whatever it looks like.
        """
        reader = Reader()
        transcript = Transcript(0.0, reader)
        transcript.said(0.0, b"XTOKEN abc\r\n", secret=True)
        self.assertEqual(transcript.lines(), ["0.000 > [secret]"])
        self.assertNotIn(b"abc", b"".join(entry[2] for entry in reader.entries))
