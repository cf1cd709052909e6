"""
One connection of a receiver: the order of its answers, and what it takes.
"""

from momentum_tx.testing.behaviours import Tarpit
from momentum_tx.testing.peers import CLOSE, RESET, SILENCE, TAKE_AND_BE_SILENT, TAKE_AND_CLOSE, Answer, path_of

from .test_peers import BODY, MAIL, ReceiverCase


class LMTPTests(ReceiverCase):
    """
    A receiver that speaks LMTP.
    """

    HELLO = (b"LHLO me", b"MAIL FROM:<a@b.example>")
    RECIPIENTS = tuple(b"RCPT TO:<r%d@example.com>" % number for number in range(4))

    def setUp(self) -> None:
        super().setUp()
        self.mx.lmtp = True

    def test_greetings(self) -> None:
        """
        It knows LHLO, with the same offers, and neither EHLO nor HELO.
        """
        side = self.connect()
        self.assertEqual(b"".join(side.heard), b"220 mx.peer.example LMTP\r\n")
        self.assertEqual(self.codes(side, b"EHLO me", b"HELO me", b"LHLO me"), b"500 500 250".split())
        self.assertIn(b"250 PIPELINING", b"".join(side.heard))
        self.mx.lmtp = False
        self.assertEqual(self.codes(self.connect(), b"LHLO me", b"EHLO me"), b"500 250".split())

    def test_an_answer_each(self) -> None:
        """
        At the dot each accepted recipient has its answer, in order, and its entry in
        the ledger if it was taken; all together they are one message.
        """
        self.mx.refuse["r1@example.com"] = b"550 5.1.1 Nobody"
        whose: list[bytes] = []
        self.mx.on("dot", lambda session, line: whose.append(session.recipients[session.answered]))
        self.mx.on("dot", b"452 4.2.2 Full", times=1, skip=1)
        side = self.connect()
        self.say(side, *self.HELLO, *self.RECIPIENTS, b"DATA")
        del side.heard[:]
        self.say(side, BODY)
        self.assertEqual(b"".join(side.heard), b"250 2.0.0 Taken\r\n452 4.2.2 Full\r\n250 2.0.0 Taken\r\n")
        self.assertEqual(whose, [b"r0@example.com", b"r2@example.com", b"r3@example.com"])
        self.assertEqual([taken.recipients for taken in self.mx.ledger], [(whose[0],), (whose[2],)])
        self.assertEqual(self.mx.most_messages, 1)
        self.assertEqual(self.codes(side, self.HELLO[1], b"QUIT"), b"250 221".split())

    def test_ends_in_the_middle(self) -> None:
        """
        After an answer with which it closes, keeps silent or says 421 it does not go
        on: those behind it are not taken.
        """
        for step, heard, taken in (
            (CLOSE, 1, 1),
            (SILENCE, 1, 1),
            (TAKE_AND_CLOSE, 1, 2),
            (b"421 4.3.2 Enough", 2, 1),
        ):
            self.mx.behave()
            del self.mx.ledger[:]
            self.mx.on("dot", step, times=1, skip=1)
            side = self.connect()
            self.say(side, *self.HELLO, *self.RECIPIENTS, b"DATA")
            del side.heard[:]
            self.say(side, BODY)
            self.assertEqual(b"".join(side.heard).count(b"\r\n"), heard, step)
            self.assertEqual(len(self.mx.ledger), taken, step)
            side.transport.loseConnection()


class XCLIENTTests(ReceiverCase):
    """
    A receiver that wants to know of clients.
    """

    def test_told(self) -> None:
        """
        It begins anew, and keeps what it was told until it is told otherwise.
        """
        self.assertEqual(self.codes(self.connect(), b"XCLIENT ADDR=192.0.2.1"), [b"500"])
        self.mx.xclient = (b"NAME", b"ADDR")
        side = self.connect()
        self.say(side, MAIL[0])
        self.assertIn(b"250 XCLIENT NAME ADDR\r\n", b"".join(side.heard))
        self.assertEqual(self.codes(side, MAIL[1], b"XCLIENT ADDR=x", b"RSET"), b"250 503 250".split())
        self.assertEqual(self.codes(side, b"XCLIENT addr=192.0.2.1 NAME=x", b"XCLIENT NAME=y"), b"220 220".split())
        self.say(side, *MAIL, BODY)
        self.assertEqual(self.mx.ledger[0].told, {b"ADDR": b"192.0.2.1", b"NAME": b"y"})


class OrderTests(ReceiverCase):
    """
    Answers are given in the order of the questions.
    """

    def test_thought_over(self) -> None:
        """
        A slow answer is not overtaken by what is to be said behind it, and each
        of them takes its own time.
        """
        self.mx.on("STARTTLS", Answer(b"454 4.7.0 Not now", after=5.0), times=1)
        self.mx.on("RSET", Answer(b"250 2.0.0 Reset", after=2.0))
        side = self.connect()
        side.transport.write(b"STARTTLS\r\nRSET\r\nNOOP\r\n")
        for seconds, heard in ((4.9, 1), (0.2, 2), (1.7, 2), (0.3, 4)):
            self.clock.advance(seconds)
            self.assertEqual(b"".join(side.heard).count(b"\r\n"), heard)
        self.assertEqual(
            b"".join(side.heard).split(b"\r\n")[1:],
            [b"454 4.7.0 Not now", b"250 2.0.0 Reset", b"250 2.0.0 Ok", b""],
        )

    def test_step_behind_a_slow_answer(self) -> None:
        """
        What is scripted behind the answer to STARTTLS waits for that answer, and
        for as long as it takes itself.
        """
        self.mx.starttls = True
        for step, ends in ((SILENCE, 0), (Answer(then="close", after=3.0), 1)):
            self.mx.behave()
            self.mx.on("TLS", step)
            self.mx.add(Tarpit(2.0, "STARTTLS"))
            side = self.connect()
            side.transport.write(b"STARTTLS\r\nNOOP\r\n")
            self.clock.advance(1.9)
            self.assertNotIn(b"220 2.0.0", b"".join(side.heard))
            self.clock.advance(0.2)
            self.assertIn(b"220 2.0.0 Go ahead", b"".join(side.heard))
            self.assertEqual(side.ends, [])
            self.clock.advance(10)
            self.assertEqual(len(side.ends), ends)
            self.assertNotIn(b"250", b"".join(side.heard))

    def test_answers_of_one_read(self) -> None:
        """
        Replies to commands that came together leave together.
        """
        side = self.connect()
        del side.heard[:]
        side.transport.write(b"\r\n".join([*MAIL[1:], b""]))
        self.clock.advance(1)
        self.assertEqual(side.heard, [b"250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n354 Go on\r\n"])

    def test_reply_before_the_end(self) -> None:
        """
        What was said before it closes arrives.
        """
        side = self.connect()
        side.transport.write(b"NOOP\r\nQUIT\r\nNOOP\r\n")
        self.clock.advance(1)
        self.assertEqual(b"".join(side.heard).split(b"\r\n")[1:], [b"250 2.0.0 Ok", b"221 2.0.0 Bye", b""])
        self.assertEqual(len(side.ends), 1)

    def test_client_leaves_while_it_thinks(self) -> None:
        """
        Nobody is told, and no timer is left.
        """
        self.mx.on("MAIL", Answer(b"250 2.1.0 At last", after=50.0))
        side = self.connect()
        side.transport.write(b"\r\n".join([*MAIL[:2], b""]))
        self.clock.advance(1)
        side.transport.abortConnection()
        self.clock.advance(1)
        self.assertEqual((self.mx.open, self.clock.getDelayedCalls()), ([], []))


class BodyTests(ReceiverCase):
    """
    Steps at the first octets of the content, which came together with its end.
    """

    def send(self) -> bytes:
        """
        Send a message whose content comes in one piece; what is heard to it.
        """
        side = self.connect()
        self.say(side, *MAIL)
        del side.heard[:]
        side.transport.write(BODY + b"\r\nNOOP\r\n")
        self.clock.advance(10)
        return b"".join(side.heard)

    def test_refused_early(self) -> None:
        """
        A refusal stands for the reply to the dot: there is no other, nothing is
        taken, and the connection goes on.
        """
        for reply in (b"552 5.2.3 Too long", b"451 4.3.0 Full"):
            self.mx.behave()
            self.mx.on("body", reply)
            self.assertEqual(self.send(), reply + b"\r\n250 2.0.0 Ok\r\n")
            self.mx.behave()
            self.mx.on("body", Answer(reply, after=5.0))
            self.assertEqual(self.send(), reply + b"\r\n250 2.0.0 Ok\r\n")
        self.assertEqual(self.mx.ledger, [])
        self.mx.behave()
        self.assertEqual(self.send(), b"250 2.0.0 Taken\r\n250 2.0.0 Ok\r\n")

    def test_next_message(self) -> None:
        """
        A refusal is of one message: the next on the connection is taken.
        """
        self.mx.on("body", b"552 5.2.3 Too long", times=1)
        side = self.connect()
        self.assertEqual(self.codes(side, *MAIL, BODY, *MAIL[1:], BODY)[4::4], [b"552", b"250"])
        self.assertEqual(len(self.mx.ledger), 1)

    def test_thought_over(self) -> None:
        """
        A receiver that thinks in the middle of the body has the message when it
        has thought.
        """
        self.mx.on("body", Answer(after=5.0))
        began = self.clock.seconds()
        self.assertEqual(self.send(), b"250 2.0.0 Taken\r\n250 2.0.0 Ok\r\n")
        self.assertTrue(5.0 < self.mx.ledger[0].at - began < 6.0)

    def test_ended_early(self) -> None:
        """
        Nothing is taken by a receiver that is gone.
        """
        for step in (CLOSE, RESET, SILENCE, b"421 4.3.2 Shutting down"):
            self.mx.behave()
            self.mx.on("body", step)
            self.assertNotIn(b"250", self.send())
        self.assertEqual(self.mx.ledger, [])


class TakenTests(ReceiverCase):
    """
    What the ledger says of the reply.
    """

    def test_said(self) -> None:
        """
        A reply that was given is on record, and whether it was given.
        """
        for step, reply, said in (
            (b"250 2.0.0 Ok: queued", b"250 2.0.0 Ok: queued", True),
            (TAKE_AND_CLOSE, b"", False),
            (TAKE_AND_BE_SILENT, b"", False),
            (Answer(b"451 4.3.0 Oops", take=True), b"451 4.3.0 Oops", True),
        ):
            self.mx.behave()
            self.mx.on("dot", step)
            self.say(self.connect(), *MAIL, BODY)
            self.assertEqual((self.mx.ledger[-1].reply, self.mx.ledger[-1].said), (reply, said))

    def test_said_later(self) -> None:
        """
        A receiver that thinks has the message before it says so.
        """
        self.mx.on("dot", Answer(b"250 2.0.0 At last", after=5.0))
        for patience, said in ((6.0, True), (4.0, False)):
            side = self.connect()
            self.say(side, *MAIL, BODY)
            self.assertFalse(self.mx.ledger[-1].said)
            self.clock.advance(patience)
            side.transport.abortConnection()
            self.clock.advance(10)
            self.assertEqual((self.mx.ledger[-1].reply, self.mx.ledger[-1].said), (b"250 2.0.0 At last", said))


class ChunkTests(ReceiverCase):
    """
    A receiver that takes chunks (RFC 3030).
    """

    ENVELOPE = (b"EHLO me", b"MAIL FROM:<a@b.example>", b"RCPT TO:<c@example.com>")

    def setUp(self) -> None:
        super().setUp()
        self.mx.chunking = True

    def test_taken(self) -> None:
        """
        Chunks are put together as they are, also when every octet comes for itself; DATA is no
        way to go on, and the next transaction begins anew.
        """
        for step in (1, 1000):
            del self.mx.ledger[:]
            side = self.connect()
            self.assertEqual(self.codes(side, *self.ENVELOPE), b"250 250 250".split())
            self.assertIn(b"CHUNKING", b"".join(side.heard))
            del side.heard[:]
            octets = b"BDAT 7\r\n.\r\n..\r\nDATA\r\nBDAT 0 LAST\r\nNOOP\r\n"
            for at in range(0, len(octets), step):
                side.transport.write(octets[at : at + step])
                self.clock.advance(0.1)
            codes = [line[:3] for line in b"".join(side.heard).splitlines()]
            self.assertEqual(codes, b"250 503 250 250".split())
            self.assertEqual([taken.content for taken in self.mx.ledger], [b".\r\n..\r\n"])
            self.assertEqual(self.codes(side, self.ENVELOPE[1], b"RSET"), b"250 250".split())

    def test_refused(self) -> None:
        """
        After a refused chunk nothing is taken before RSET; without a recipient nothing is.
        """
        self.mx.on("BDAT", b"451 4.3.0 Later", times=1)
        side = self.connect()
        self.codes(side, *self.ENVELOPE)
        self.assertEqual(self.codes(side, b"BDAT 3\r\nx", b"BDAT 0 LAST"), b"451 503".split())
        self.assertEqual(self.codes(side, b"RSET", *self.ENVELOPE[1:], b"BDAT 3 LAST\r\nx"), b"250 250 250 250".split())
        self.assertEqual(self.codes(side, self.ENVELOPE[1], b"BDAT 3 LAST\r\nx"), b"250 503".split())
        self.assertEqual([taken.content for taken in self.mx.ledger], [b"x\r\n"])

    def test_unknown(self) -> None:
        """
        One that takes no chunks, or cannot read the command, takes what follows for commands.
        """
        side = self.connect()
        self.assertEqual(self.codes(side, b"BDAT x LAST", b"NOOP"), b"500 250".split())
        self.mx.chunking = False
        self.assertEqual(self.codes(self.connect(), b"BDAT 6 LAST", b"NOOP"), b"500 250".split())


class PathTests(ReceiverCase):
    """
    The address in a command.
    """

    def test_path(self) -> None:
        """
        Without brackets and parameters.
        """
        self.assertEqual(path_of(b"MAIL FROM:<a@b.example> SIZE=3"), b"a@b.example")
        self.assertRaises(ValueError, path_of, b"MAIL FROM")
