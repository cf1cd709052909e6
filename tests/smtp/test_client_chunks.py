"""
A session as client that sends content in chunks (RFC 3030).
"""

from momentum_tx.errors import LocalProtocolError
from momentum_tx.outcomes import Scope, Verdict
from momentum_tx.smtp import events as ev
from momentum_tx.smtp.client import Method, SMTPClientMachine
from momentum_tx.stages import Stage

from .test_client import PIPELINING, SessionCase

CHUNKING = b"250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
CHUNKING_ALONE = b"250-mx.example\r\n250 CHUNKING\r\n"


class ChunkCase(SessionCase):
    """
    Transactions without DATA.
    """

    def chunked(self, *recipients: bytes, ehlo: bytes = CHUNKING) -> bytes:
        """
        Begin a transaction whose content goes in chunks; the first output.
        """
        self.open(ehlo)
        self.machine.transaction(b"a@example.com", recipients or (b"b@example.org",), chunked=True)
        return self.say()

    def wanted(self, *recipients: bytes) -> None:
        """
        Come to where the content is wanted.
        """
        self.chunked(*recipients)
        events = self.hear(b"250 ok\r\n" * (1 + max(1, len(recipients))))
        self.assertEqual([type(event) for event in events], [ev.BodyWanted])
        self.machine.sending_body()


class ChunkTests(ChunkCase):
    """
    What is said, and what the answers mean.
    """

    def test_no_data(self) -> None:
        """
        MAIL and RCPT go in one group, DATA is not said, and the content is wanted for
        those who were accepted, once everybody was answered for.
        """
        said = self.chunked(b"b@example.org", b"c@example.org")
        self.assertEqual(said, b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\n")
        self.assertEqual(self.hear(b"250 ok\r\n550 no\r\n"), [])
        self.assertEqual(self.hear(b"250 ok\r\n"), [ev.BodyWanted((1,))])
        self.assertEqual((self.say(), self.machine.stage), (b"", Stage.AFTER_DATA))

    def test_one_by_one(self) -> None:
        """
        Without PIPELINING each command waits for its turn; the first refusal is not the end.
        """
        self.chunked(b"b@example.org", b"c@example.org", ehlo=CHUNKING_ALONE)
        self.hear(b"250 ok\r\n")
        self.assertEqual(self.say(), b"RCPT TO:<b@example.org>\r\n")
        self.assertFalse(self.machine.grouped)
        self.hear(b"550 no\r\n")
        self.assertEqual(self.say(), b"RCPT TO:<c@example.org>\r\n")
        self.assertEqual(self.hear(b"250 ok\r\n"), [ev.BodyWanted((1,))])

    def test_nobody(self) -> None:
        """
        With nobody to get it no content is wanted: the transaction ends, and RSET is due.
        """
        self.chunked()
        results = self.ended(self.hear(b"250 ok\r\n550 5.1.1 no\r\n"))
        self.assertEqual((results[0].verdict, results[0].stage), (Verdict.PERMANENT, Stage.AFTER_RCPT_TO))
        self.assertTrue(self.machine.needs_reset)

    def test_sender_refused(self) -> None:
        """
        A refused MAIL refuses everybody, whatever was said of the recipients.
        """
        self.chunked()
        results = self.ended(self.hear(b"451 4.7.1 later\r\n250 ok\r\n"))
        self.assertEqual((results[0].verdict, results[0].stage), (Verdict.TRANSIENT, Stage.AFTER_MAIL_FROM))

    def test_taken(self) -> None:
        """
        Chunk after chunk is taken, and the reply to the last one is the verdict.
        """
        self.wanted()
        self.machine.chunk_sent()
        self.assertEqual((self.machine.owed, self.machine.stage), (1, Stage.SENDING_BODY))
        self.assertEqual(self.hear(b"250 2.0.0 10 octets\r\n"), [ev.ChunkTaken()])
        self.machine.chunk_sent()
        self.assertEqual(self.hear(b"250 2.0.0 10 octets\r\n"), [ev.ChunkTaken()])
        self.machine.dot_sent()
        self.assertIs(self.machine.stage, Stage.READING_CONFIRMATION)
        results = self.ended(self.hear(b"250 2.0.0 queued\r\n"))
        self.assertEqual((results[0].verdict, results[0].note), (Verdict.DELIVERED, b"250 2.0.0 queued"))
        self.assertTrue(self.machine.ready)

    def test_chunk_refused(self) -> None:
        """
        A refused chunk refuses the message; the session goes on, after RSET.
        """
        self.wanted()
        self.machine.chunk_sent()
        results = self.ended(self.hear(b"552 5.3.4 too large\r\n"))
        self.assertEqual(
            (results[0].verdict, results[0].scope, results[0].stage),
            (Verdict.PERMANENT, Scope.MESSAGE, Stage.SENDING_BODY),
        )
        self.assertEqual((self.machine.needs_reset, self.machine.broken), (True, False))
        self.assertRaises(LocalProtocolError, self.begin)
        self.machine.reset()
        self.assertEqual(self.say(), b"RSET\r\n")
        self.assertEqual(self.hear(b"250 ok\r\n"), [ev.ResetDone(True)])
        self.assertTrue(self.machine.ready)

    def test_last_refused(self) -> None:
        """
        A refused last chunk refuses the message, and RSET is due.
        """
        self.wanted()
        self.machine.dot_sent()
        results = self.ended(self.hear(b"451 4.3.0 later\r\n"))
        self.assertEqual((results[0].verdict, results[0].stage), (Verdict.TRANSIENT, Stage.READING_CONFIRMATION))
        self.assertTrue(self.machine.needs_reset)

    def test_not_known(self) -> None:
        """
        500, 502 and 503 decide nothing about the message, at any chunk.  After 503 RSET is due; after
        the others the session is over, whatever the peer says to the content that it took for commands.
        """
        for code in (b"500", b"502", b"503"):
            for last in (True, False):
                with self.subTest(code=code, last=last):
                    self.setUp()
                    self.wanted()
                    (self.machine.dot_sent if last else self.machine.chunk_sent)()
                    event, *more = self.hear(code + b" 5.5.1 what\r\n" + b"500 what\r\n" * (code != b"503"))
                    self.assertEqual(more, [])
                    assert isinstance(event, ev.ChunkingRefused)
                    self.assertEqual(b"%d" % event.reply.code, code)
                    self.assertEqual((self.machine.needs_reset, self.machine.broken), (True, code != b"503"))
                    self.assertEqual(self.machine.abandon(b"451 late"), ())

    def test_data_is_not_bdat(self) -> None:
        """
        The same replies to a dot behind DATA are refusals of the message.
        """
        self.open()
        self.begin()
        self.hear(b"250 ok\r\n250 ok\r\n354 go\r\n")
        self.machine.sending_body()
        self.assertRaises(LocalProtocolError, self.machine.chunk_sent)
        self.machine.dot_sent()
        results = self.ended(self.hear(b"503 5.5.1 what\r\n"))
        self.assertIs(results[0].verdict, Verdict.PERMANENT)

    def test_refused_in_the_middle(self) -> None:
        """
        A refusal that comes before its chunk was sent leaves only closing, for the rest of
        the chunk will not follow; one that says that there is no BDAT decides nothing all the same.
        """
        self.wanted()
        results = self.ended(self.hear(b"552 5.3.4 too large\r\n"))
        self.assertIs(results[0].verdict, Verdict.PERMANENT)
        self.assertTrue(self.machine.broken)
        self.setUp()
        self.wanted()
        (event,) = self.hear(b"503 5.5.1 what\r\n")
        self.assertIsInstance(event, ev.ChunkingRefused)
        self.assertTrue(self.machine.broken)

    def test_accepted_in_advance(self) -> None:
        """
        An acceptance before the chunk it would seem to answer breaks the protocol, and so
        does one that had begun before, or one too many.
        """
        self.wanted()
        self.violated(self.hear(b"250 ok\r\n"), Stage.SENDING_BODY)
        self.setUp()
        self.wanted()
        self.hear(b"250 o")
        self.machine.chunk_sent()
        self.violated(self.hear(b"k\r\n"), Stage.SENDING_BODY)
        self.setUp()
        self.wanted()
        self.machine.chunk_sent()
        self.violated(self.hear(b"250 ok\r\n250 ok\r\n"), Stage.SENDING_BODY)

    def test_bytes_before_the_chunks(self) -> None:
        """
        Whatever comes behind the last reply to the envelope was sent before its question.
        """
        self.chunked()
        self.violated(self.hear(b"250 ok\r\n250 ok\r\n250 ok\r\n"), Stage.AFTER_RCPT_TO)

    def test_ended(self) -> None:
        """
        A session that ends between two chunks leaves no doubt; behind the last it does.
        """
        self.wanted()
        self.machine.chunk_sent()
        self.hear(b"250 ok\r\n")
        self.machine.chunk_sent()
        results = self.machine.abandon(b"451 4.4.2 closed")
        self.assertIs(results[0].stage, Stage.SENDING_BODY)
        self.setUp()
        self.wanted()
        self.machine.dot_sent()
        results = self.machine.abandon(b"451 4.4.2 closed")
        self.assertEqual((results[0].verdict, results[0].stage), (Verdict.TRANSIENT, Stage.READING_CONFIRMATION))

    def test_not_offered(self) -> None:
        """
        Nobody is sent chunks who did not offer to take them, and nobody by LMTP.
        """
        self.open(PIPELINING)
        with self.assertRaises(LocalProtocolError):
            self.machine.transaction(b"a@example.com", [b"b@example.org"], chunked=True)
        self.machine = SMTPClientMachine(Method.LMTP)
        self.machine.start()
        self.open(CHUNKING)
        with self.assertRaises(LocalProtocolError):
            self.machine.transaction(b"a@example.com", [b"b@example.org"], chunked=True)


class OctetByOctetTests(ChunkTests):
    """
    The same with every octet a read of its own.
    """

    step = 1

    def test_bytes_before_the_chunks(self) -> None:
        """
        What comes later than the content was wanted is an acceptance in advance.
        """
        self.chunked()
        self.violated(self.hear(b"250 ok\r\n250 ok\r\n250 ok\r\n"), Stage.SENDING_BODY)

    def test_accepted_in_advance(self) -> None:
        """
        As above; the one too many is told from the chunk that is being sent.
        """
        self.wanted()
        self.violated(self.hear(b"250 ok\r\n"), Stage.SENDING_BODY)
