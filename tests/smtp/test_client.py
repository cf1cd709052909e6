"""
A session as client, against every kind of peer.
"""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import LocalProtocolError
from momentum_tx.outcomes import Scope, Verdict
from momentum_tx.smtp import events as ev
from momentum_tx.smtp.client import SMTPClientMachine
from momentum_tx.smtp.replies import Reply
from momentum_tx.stages import Stage

PIPELINING = b"250-mx.example\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 SIZE 1000000\r\n"
PLAIN = b"250 mx.example\r\n"


class SessionCase(SynchronousTestCase):
    """
    A machine, and the peer's words put into its ear.
    """

    #: Octets of one chunk; zero leaves the input whole.
    step = 0

    def setUp(self) -> None:
        self.machine = SMTPClientMachine()
        self.machine.start()

    def hear(self, data: bytes) -> list[ev.Event]:
        """
        The events of *data*, in chunks of ``step`` octets.
        """
        step = self.step or max(1, len(data))
        events: list[ev.Event] = []
        for at in range(0, len(data), step):
            events += self.machine.receive_data(data[at : at + step])
        return events

    def say(self) -> bytes:
        """
        What the machine wants written.
        """
        return self.machine.take_output()

    def open(self, ehlo: bytes = PIPELINING) -> None:
        """
        Get over the greetings.
        """
        self.hear(b"220 mx.example ESMTP\r\n")
        self.machine.hello(b"me.example")
        self.say()
        self.hear(ehlo)
        self.assertIs(self.machine.stage, Stage.IDLE)

    def begin(self, *recipients: bytes, pipeline: bool = True) -> bytes:
        """
        Begin a transaction; the first output.
        """
        self.machine.transaction(b"a@example.com", recipients or (b"b@example.org",), pipeline=pipeline)
        return self.say()

    def ended(self, events: list[ev.Event]) -> tuple[ev.RecipientResult, ...]:
        """
        The results in *events*, which hold nothing else.
        """
        (event,) = events
        assert isinstance(event, ev.TransactionEnded), event
        return event.results

    def violated(self, events: list[ev.Event], stage: Stage) -> None:
        """
        Be sure that *events* end with a violation and that the machine is dead.
        """
        event = events[-1]
        assert isinstance(event, ev.Violated), event
        self.assertIs(event.stage, stage)
        self.assertIs(self.machine.stage, Stage.NOT_CONNECTED)
        self.assertEqual(self.say(), b"")
        self.assertEqual(self.hear(b"250 ok\r\n"), [])
        self.assertRaises(LocalProtocolError, self.machine.quit)
        self.assertFalse(self.machine.ready)


class OpeningTests(SessionCase):
    """
    From the greeting to readiness.
    """

    def test_ready(self) -> None:
        """
        After greeting and EHLO the peer's offers are known.
        """
        self.assertIs(self.machine.stage, Stage.READING_BANNER)
        self.assertEqual(self.hear(b"220 mx.example\r\n"), [ev.Greeted(Reply(220, (b"mx.example",)))])
        self.assertEqual((self.machine.owed, self.machine.stage), (0, Stage.DURING_EHLO))
        self.machine.hello(b"me.example")
        self.assertEqual(self.say(), b"EHLO me.example\r\n")
        self.assertEqual((self.machine.owed, self.machine.stage), (1, Stage.AFTER_EHLO))
        (ready,) = self.hear(PIPELINING)
        assert isinstance(ready, ev.Ready)
        self.assertTrue(ready.esmtp)
        self.assertTrue(ready.extensions.pipelining)
        self.assertEqual((self.machine.extensions, self.machine.stage), (ready.extensions, Stage.IDLE))
        self.assertTrue(self.machine.ready)

    def test_waits_for_greeting(self) -> None:
        """
        Nothing is said before the peer has greeted.
        """
        self.assertRaises(LocalProtocolError, self.machine.hello, b"me.example")
        self.assertRaises(LocalProtocolError, self.machine.quit)
        self.assertEqual(self.say(), b"")

    def test_greeting_of_many_lines(self) -> None:
        """
        A greeting is judged on its last line.
        """
        (event,) = self.hear(b"220-welcome\r\n220-to\r\n554 nothing\r\n")
        self.assertIsInstance(event, ev.GreetingRefused)

    def test_greeting_refused(self) -> None:
        """
        After 554 or 450 only QUIT is said (RFC 5321 3.1).
        """
        for reply in (b"554 no\r\n", b"450 later\r\n"):
            self.setUp()
            (event,) = self.hear(reply)
            self.assertIsInstance(event, ev.GreetingRefused)
            self.assertRaises(LocalProtocolError, self.machine.hello, b"me.example")
            self.machine.quit()
            self.assertEqual(self.say(), b"QUIT\r\n")
            self.assertEqual(self.hear(b"221 bye\r\n"), [ev.QuitDone()])

    def test_greeting_421(self) -> None:
        """
        421 as a greeting dismisses us; not even QUIT is said.
        """
        (event,) = self.hear(b"421 busy\r\n")
        self.assertEqual(event, ev.Dismissed(Reply(421, (b"busy",)), Stage.READING_BANNER))
        self.assertRaises(LocalProtocolError, self.machine.quit)

    def test_greeting_nonsense(self) -> None:
        """
        Other protocols, and commands of the reply grammar out of place, end the session.
        """
        for greeting in (b"SSH-2.0-x\r\n", b"HTTP/1.1 400 x\r\n\r\n", b"354 go\r\n", b"\0\xff\r\n", b"\r\n"):
            self.setUp()
            self.violated(self.hear(greeting), Stage.READING_BANNER)

    def test_talks_first(self) -> None:
        """
        A peer that goes on talking after its greeting is dropped.
        """
        self.violated(self.hear(b"220 mx.example\r\n250 x\r\n"), Stage.DURING_EHLO)

    def test_helo(self) -> None:
        """
        A peer that does not know EHLO is asked with HELO, once, and gets no parameters.
        """
        for code in (b"500", b"501", b"502", b"503", b"504"):
            self.setUp()
            self.hear(b"220 x\r\n")
            self.machine.hello(b"me.example")
            self.say()
            self.assertEqual(self.hear(code + b" what?\r\n"), [])
            self.assertEqual(self.say(), b"HELO me.example\r\n")
            self.assertIs(self.machine.stage, Stage.AFTER_EHLO)
            (ready,) = self.hear(b"250-mx.example\r\n250 PIPELINING\r\n")
            assert isinstance(ready, ev.Ready)
            self.assertFalse(ready.esmtp)
            self.assertFalse(ready.extensions.pipelining)
            self.assertRaises(
                LocalProtocolError,
                self.machine.transaction,
                b"a@b.example",
                [b"c@d.example"],
                mail_parameters=b"SIZE=1",
            )
            self.assertEqual(self.begin(), b"MAIL FROM:<a@example.com>\r\n")

    def test_hello_refused(self) -> None:
        """
        A peer that refuses both, or EHLO for now, or us by whatever name, is only told QUIT.
        """
        refusals: tuple[tuple[tuple[bytes, ...], bool], ...] = (
            ((b"500 x\r\n", b"500 y\r\n"), True),
            ((b"450 x\r\n",), False),
            ((b"550 not you\r\n",), False),
            ((b"554 x\r\n",), False),
        )
        for replies, said in refusals:
            self.setUp()
            self.hear(b"220 x\r\n")
            self.machine.hello(b"me.example")
            self.say()
            for reply in replies:
                events = self.hear(reply)
                self.assertEqual(bool(self.say()), said and reply is replies[0])
            (event,) = events
            self.assertIsInstance(event, ev.HelloRefused)
            self.assertFalse(self.machine.ready)
            self.machine.quit()

    def test_bad_name(self) -> None:
        """
        A name that would be another command, or none, is refused here.
        """
        self.hear(b"220 x\r\n")
        for name in (b"", b"a b", b"a\r\nRSET", b"a\n", b"a\0", b"x" * 600):
            self.assertRaises(LocalProtocolError, self.machine.hello, name)
        self.assertEqual((self.say(), self.machine.owed), (b"", 0))


class TLSTests(SessionCase):
    """
    STARTTLS.
    """

    def test_all_is_forgotten(self) -> None:
        """
        After the handshake EHLO is said again and only its offers count.
        """
        self.open()
        self.machine.starttls()
        self.assertEqual(self.say(), b"STARTTLS\r\n")
        self.assertIs(self.machine.stage, Stage.AFTER_STARTTLS)
        (event,) = self.hear(b"220 go\r\n")
        self.assertIsInstance(event, ev.TLSGoAhead)
        self.assertIs(self.machine.stage, Stage.TLS_HANDSHAKE)
        self.assertRaises(LocalProtocolError, self.machine.quit)
        self.machine.tls_started()
        self.assertFalse(self.machine.extensions.pipelining)
        self.assertFalse(self.machine.ready)
        self.machine.hello(b"me.example")
        self.assertEqual(self.say(), b"EHLO me.example\r\n")
        self.hear(PLAIN)
        self.assertRaises(LocalProtocolError, self.machine.starttls)
        self.assertTrue(self.machine.ready)

    def test_implicit(self) -> None:
        """
        Where TLS comes first the greeting is awaited behind the handshake; what comes in
        clear before it is none.
        """
        self.machine = SMTPClientMachine()
        self.machine.start(implicit_tls=True)
        self.assertIs(self.machine.stage, Stage.TLS_HANDSHAKE)
        self.assertRaises(LocalProtocolError, self.machine.hello, b"me.example")
        self.machine.tls_started()
        self.assertIs(self.machine.stage, Stage.READING_BANNER)
        (event,) = self.hear(b"220 mx.example\r\n")
        self.assertIsInstance(event, ev.Greeted)
        self.machine.hello(b"me.example")
        self.assertRaises(LocalProtocolError, self.machine.tls_started)
        for clear in (b"220 mx.example\r\n", b"2"):
            self.machine = SMTPClientMachine()
            self.machine.start(implicit_tls=True)
            self.violated(self.hear(clear), Stage.TLS_HANDSHAKE)

    def test_refused(self) -> None:
        """
        A refusal leaves the session as it was.
        """
        for reply in (b"454 not now\r\n", b"501 never\r\n"):
            self.setUp()
            self.open()
            self.machine.starttls()
            self.say()
            (event,) = self.hear(reply)
            self.assertIsInstance(event, ev.TLSRefused)
            self.assertTrue(self.machine.ready)

    def test_not_offered(self) -> None:
        """
        STARTTLS is not said to a peer that does not know it.
        """
        self.open(PLAIN)
        self.assertRaises(LocalProtocolError, self.machine.starttls)

    def test_plain_text_during_handshake(self) -> None:
        """
        Plain text after the go-ahead is never read as if it came through TLS.
        """
        self.open()
        self.machine.starttls()
        self.say()
        self.hear(b"220 go\r\n")
        self.violated(self.hear(b"2"), Stage.TLS_HANDSHAKE)


class XCLIENTTests(SessionCase):
    """
    Telling who the client was.
    """

    OFFER = b"250-mx.example\r\n250-PIPELINING\r\n250 XCLIENT NAME ADDR\r\n"

    def test_begins_anew(self) -> None:
        """
        After 220 EHLO is said again and only its offers count; so it is after a
        refusal, since who knows what the peer has forgotten.
        """
        for reply, kind in (
            (b"220 mx.example\r\n", ev.ClientTaken),
            (b"550 no\r\n", ev.ClientRefused),
            (b"450 later\r\n", ev.ClientRefused),
        ):
            self.setUp()
            self.open(self.OFFER)
            self.assertEqual(self.machine.extensions.xclient, (b"NAME", b"ADDR"))
            self.machine.xclient(b"ADDR=192.0.2.1")
            self.assertEqual(self.say(), b"XCLIENT ADDR=192.0.2.1\r\n")
            self.assertEqual((self.machine.stage, self.machine.owed), (Stage.AFTER_XCLIENT, 1))
            (event,) = self.hear(reply)
            self.assertIsInstance(event, kind)
            self.assertEqual(self.machine.stage, Stage.DURING_EHLO)
            self.assertFalse(self.machine.ready or self.machine.extensions.pipelining)
            self.assertRaises(LocalProtocolError, self.begin)
            self.machine.hello(b"me.example")
            self.say()
            self.hear(PLAIN)
            self.assertTrue(self.machine.ready)
            self.assertRaises(LocalProtocolError, self.machine.xclient, b"ADDR=192.0.2.1")

    def test_out_of_turn(self) -> None:
        """
        It is not said unless it was offered, nor without an attribute, within a
        transaction, or before RSET.
        """
        self.assertRaises(LocalProtocolError, self.machine.xclient, b"ADDR=x")
        self.open()
        self.assertRaises(LocalProtocolError, self.machine.xclient, b"ADDR=x")
        self.setUp()
        self.open(self.OFFER)
        for words in (b"", b"ADDR=x\r\nRSET", b"ADDR=" + b"x" * 600):
            self.assertRaises(LocalProtocolError, self.machine.xclient, words)
        self.begin()
        self.assertRaises(LocalProtocolError, self.machine.xclient, b"ADDR=x")
        self.hear(b"550 no\r\n550 no\r\n550 no\r\n")
        self.assertTrue(self.machine.needs_reset)
        self.assertRaises(LocalProtocolError, self.machine.xclient, b"ADDR=x")

    def test_wrong_answers(self) -> None:
        """
        354 is no answer to it, and 421 ends the session.
        """
        self.open(self.OFFER)
        self.machine.xclient(b"ADDR=x")
        self.violated(self.hear(b"354 go\r\n"), Stage.AFTER_XCLIENT)
        self.setUp()
        self.open(self.OFFER)
        self.machine.xclient(b"ADDR=x")
        (event,) = self.hear(b"421 bye\r\n")
        assert isinstance(event, ev.Dismissed)
        self.assertIs(event.stage, Stage.AFTER_XCLIENT)

    def test_talks_on(self) -> None:
        """
        What comes behind the new greeting was not asked for.
        """
        self.open(self.OFFER)
        self.machine.xclient(b"ADDR=x")
        self.violated(self.hear(b"220 mx.example\r\n250 x\r\n"), Stage.DURING_EHLO)


class InjectionTests(SessionCase):
    """
    Plain text in the same segment as the go-ahead; cannot be cut by octets.
    """

    def test_injection(self) -> None:
        """
        A reply, or the beginning of one, behind the go-ahead ends the session
        before any handshake begins.
        """
        for rest in (b"250 PIPELINING\r\n", b"250-half", b"2", b"\n"):
            self.setUp()
            self.open()
            self.machine.starttls()
            self.say()
            events = self.hear(b"220 go\r\n" + rest)
            self.assertEqual(len(events), 1)
            self.violated(events, Stage.AFTER_STARTTLS)

    def test_answers_before_questions(self) -> None:
        """
        What lies in the buffer when the next command is due was no answer to it.
        """
        self.open(PLAIN)
        self.begin()
        self.violated(self.hear(b"250 ok\r\n250 ok\r\n354 go\r\n"), Stage.AFTER_MAIL_FROM)

    def test_helo_answered_before_asked(self) -> None:
        """
        The answer to HELO must come after HELO.
        """
        self.hear(b"220 x\r\n")
        self.machine.hello(b"me.example")
        self.say()
        self.violated(self.hear(b"500 what?\r\n250 fine\r\n"), Stage.AFTER_EHLO)

    def test_confirmed_in_advance(self) -> None:
        """
        "354" and "250" in one segment do not deliver a message nobody has sent.
        """
        self.open()
        self.begin()
        events = self.hear(b"250 a\r\n250 b\r\n354 c\r\n250 thanks\r\n")
        self.assertIsInstance(events[0], ev.BodyWanted)
        self.violated(events, Stage.SENDING_BODY)

    def test_idle_421(self) -> None:
        """
        421 while idle dismisses; half of it is already more than an idle peer may say.
        """
        self.open()
        (event,) = self.hear(b"421 idle for too long\r\n")
        self.assertEqual(event, ev.Dismissed(Reply(421, (b"idle for too long",)), Stage.IDLE))
        self.setUp()
        self.open()
        self.violated(self.hear(b"42"), Stage.IDLE)

    def test_refusal_behind_354(self) -> None:
        """
        A refusal in the same segment as 354 decides the transaction.
        """
        self.open()
        self.begin()
        wanted, ended = self.hear(b"250 a\r\n250 b\r\n354 c\r\n552 5.3.4 too big\r\n")
        self.assertIsInstance(wanted, ev.BodyWanted)
        self.assertIs(self.ended([ended])[0].verdict, Verdict.PERMANENT)
        self.assertTrue(self.machine.broken)

    def test_extra_reply(self) -> None:
        """
        A confirmation counts, and the reply behind it ends the session.
        """
        self.open()
        self.begin()
        self.hear(b"250 a\r\n250 b\r\n354 c\r\n")
        self.machine.sending_body()
        self.machine.dot_sent()
        events = self.hear(b"250 taken\r\n250 once more\r\n")
        self.assertIs(self.ended(events[:1])[0].verdict, Verdict.DELIVERED)
        self.violated(events, Stage.IDLE)


class TransactionTests(SessionCase):
    """
    Transactions with a peer that pipelines.
    """

    def test_delivery(self) -> None:
        """
        One write, three replies, one event; body, dot, one event.
        """
        self.open()
        self.machine.transaction(b"a@example.com", [b"b@example.org"], mail_parameters=b"SIZE=10 BODY=8BITMIME")
        self.assertEqual(
            self.say(), b"MAIL FROM:<a@example.com> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
        )
        self.assertEqual((self.machine.owed, self.machine.stage), (3, Stage.AFTER_MAIL_FROM))
        self.assertEqual(self.hear(b"250 a\r\n"), [])
        self.assertEqual((self.machine.owed, self.machine.stage), (2, Stage.AFTER_RCPT_TO))
        self.assertEqual(self.hear(b"250 b\r\n"), [])
        self.assertEqual((self.machine.owed, self.machine.stage), (1, Stage.AFTER_DATA))
        self.assertEqual(self.hear(b"354 c\r\n"), [ev.BodyWanted((0,))])
        self.machine.sending_body()
        self.assertEqual((self.machine.owed, self.machine.stage), (0, Stage.SENDING_BODY))
        self.machine.dot_sent()
        self.assertEqual((self.machine.owed, self.machine.stage), (1, Stage.READING_CONFIRMATION))
        self.assertEqual(self.say(), b"")
        (result,) = self.ended(self.hear(b"250 2.0.0 queued\r\n"))
        self.assertEqual(
            result,
            ev.RecipientResult(Verdict.DELIVERED, Scope.RECIPIENT, b"250 2.0.0 queued", Stage.READING_CONFIRMATION),
        )
        self.assertTrue(self.machine.ready)
        self.assertEqual(self.machine.abandon(b"451 gone"), ())

    def test_many_messages(self) -> None:
        """
        A session takes message after message.
        """
        self.open()
        for _ in range(3):
            self.begin()
            self.hear(b"250 a\r\n250 b\r\n354 c\r\n")
            self.machine.sending_body()
            self.machine.dot_sent()
            self.assertIs(self.ended(self.hear(b"250 d\r\n"))[0].verdict, Verdict.DELIVERED)
        self.machine.quit()
        self.assertEqual(self.say(), b"QUIT\r\n")
        self.assertEqual(self.hear(b"221 bye\r\n"), [ev.QuitDone()])

    def test_null_sender(self) -> None:
        """
        A notification has an empty reverse path.
        """
        self.open()
        self.machine.transaction(b"", [b"b@example.org"])
        self.assertTrue(self.say().startswith(b"MAIL FROM:<>\r\n"))

    def test_positive_codes(self) -> None:
        """
        251, 252 and unknown codes of the second class are success.
        """
        self.open()
        self.begin(b"b@x.example", b"c@x.example", b"d@x.example")
        self.assertEqual(self.hear(b"250 a\r\n251 b\r\n252 c\r\n259 d\r\n354 e\r\n"), [ev.BodyWanted((0, 1, 2))])

    def test_each_its_own(self) -> None:
        """
        Every recipient has the reply to its own RCPT, or shares the last one.
        """
        self.open()
        self.begin(b"b@x.example", b"c@x.example", b"d@x.example", b"e@x.example")
        events = self.hear(b"250 a\r\n250 b\r\n550 no c\r\n450 no d\r\n250 e\r\n354 f\r\n")
        self.assertEqual(events, [ev.BodyWanted((0, 3))])
        self.machine.sending_body()
        self.machine.dot_sent()
        results = self.ended(self.hear(b"250 g\r\n"))
        self.assertEqual(
            [(result.verdict, result.scope, result.note, result.stage) for result in results],
            [
                (Verdict.DELIVERED, Scope.RECIPIENT, b"250 g", Stage.READING_CONFIRMATION),
                (Verdict.PERMANENT, Scope.RECIPIENT, b"550 no c", Stage.AFTER_RCPT_TO),
                (Verdict.TRANSIENT, Scope.RECIPIENT, b"450 no d", Stage.AFTER_RCPT_TO),
                (Verdict.DELIVERED, Scope.RECIPIENT, b"250 g", Stage.READING_CONFIRMATION),
            ],
        )
        self.assertFalse(self.machine.needs_reset)

    def test_sender_refused(self) -> None:
        """
        MAIL refused while RCPT and DATA are in flight: all replies are read, one
        outcome for all, and RSET before the next.
        """
        for code, verdict in ((b"550", Verdict.PERMANENT), (b"451", Verdict.TRANSIENT)):
            self.setUp()
            self.open()
            self.begin(b"b@x.example", b"c@x.example")
            results = self.ended(self.hear(code + b" no\r\n503 b\r\n250 c\r\n503 d\r\n"))
            expected = ev.RecipientResult(verdict, Scope.MESSAGE, code + b" no", Stage.AFTER_MAIL_FROM)
            self.assertEqual(results, (expected, expected))
            self.assertTrue(self.machine.needs_reset)
            self.assertFalse(self.machine.ready)
            self.assertRaises(LocalProtocolError, self.machine.transaction, b"a@b.example", [b"c@d.example"])
            self.machine.reset()
            self.assertEqual((self.say(), self.machine.stage), (b"RSET\r\n", Stage.AFTER_RSET))
            self.assertEqual(self.hear(b"250 ok\r\n"), [ev.ResetDone(True)])
            self.assertTrue(self.machine.ready)

    def test_data_for_nobody(self) -> None:
        """
        A peer that asks for data though it refused everybody gets a lone dot, and
        its answer to that delivers nothing.
        """
        for replies in (b"250 a\r\n550 b\r\n354 c\r\n", b"550 a\r\n250 b\r\n354 c\r\n"):
            for last in (b"250 thanks\r\n", b"554 nobody\r\n"):
                self.setUp()
                self.open()
                self.begin()
                self.assertEqual(self.hear(replies), [])
                self.assertEqual(self.say(), b".\r\n")
                self.assertIs(self.machine.stage, Stage.READING_CONFIRMATION)
                (result,) = self.ended(self.hear(last))
                self.assertIs(result.verdict, Verdict.PERMANENT)
                self.assertTrue(result.note.startswith(b"550"))
                self.assertTrue(self.machine.needs_reset)

    def test_data_refused(self) -> None:
        """
        A refusal of DATA concerns the message; a refused recipient keeps its own.
        """
        self.open()
        self.begin(b"b@x.example", b"c@x.example")
        results = self.ended(self.hear(b"250 a\r\n250 b\r\n550 c\r\n451 d\r\n"))
        self.assertEqual(
            results,
            (
                ev.RecipientResult(Verdict.TRANSIENT, Scope.MESSAGE, b"451 d", Stage.AFTER_DATA),
                ev.RecipientResult(Verdict.PERMANENT, Scope.RECIPIENT, b"550 c", Stage.AFTER_RCPT_TO),
            ),
        )
        self.assertTrue(self.machine.needs_reset)

    def test_dot_refused(self) -> None:
        """
        A refusal after the dot concerns the message.
        """
        for code, verdict in ((b"554", Verdict.PERMANENT), (b"451", Verdict.TRANSIENT)):
            self.setUp()
            self.open()
            self.begin(b"b@x.example", b"c@x.example")
            self.hear(b"250 a\r\n250 b\r\n550 c\r\n354 d\r\n")
            self.machine.sending_body()
            self.machine.dot_sent()
            first, second = self.ended(self.hear(code + b" no\r\n"))
            self.assertEqual(
                first, ev.RecipientResult(verdict, Scope.MESSAGE, code + b" no", Stage.READING_CONFIRMATION)
            )
            self.assertEqual(second.note, b"550 c")
            self.assertTrue(self.machine.needs_reset)

    def test_552(self) -> None:
        """
        552 at RCPT is "too many" after an accepted recipient or with x.5.3, and for
        ever otherwise (RFC 5321 4.5.3.1.10).
        """
        for replies, verdicts in (
            (b"552 5.2.2 full\r\n250 b\r\n", (Verdict.PERMANENT, Verdict.DELIVERED)),
            (b"552 5.5.3 many\r\n250 b\r\n", (Verdict.TRANSIENT, Verdict.DELIVERED)),
            (b"250 b\r\n552 many\r\n", (Verdict.DELIVERED, Verdict.TRANSIENT)),
        ):
            self.setUp()
            self.open()
            self.begin(b"b@x.example", b"c@x.example")
            self.hear(b"250 a\r\n" + replies + b"354 d\r\n")
            self.machine.sending_body()
            self.machine.dot_sent()
            results = self.ended(self.hear(b"250 e\r\n"))
            self.assertEqual(tuple(result.verdict for result in results), verdicts)

    def test_wrong_kind(self) -> None:
        """
        A reply that does not answer the question ends the session, and no body is sent.
        """
        for replies, stage in (
            (b"354 go\r\n", Stage.AFTER_MAIL_FROM),
            (b"250 a\r\n354 go\r\n", Stage.AFTER_RCPT_TO),
            (b"250 a\r\n250 b\r\n250 c\r\n", Stage.AFTER_DATA),
            (b"250 a\r\nnonsense\r\n", Stage.AFTER_RCPT_TO),
        ):
            self.setUp()
            self.open()
            self.begin()
            events = self.hear(replies)
            self.assertEqual(len(events), 1)
            self.violated(events, stage)
            (result,) = self.machine.abandon(b"451 4.4.2 [internal] nonsense")
            self.assertEqual(
                result,
                ev.RecipientResult(Verdict.TRANSIENT, Scope.CONNECTION, b"451 4.4.2 [internal] nonsense", stage),
            )

    def test_354_after_dot(self) -> None:
        """
        354 is no confirmation.
        """
        self.open()
        self.begin()
        self.hear(b"250 a\r\n250 b\r\n354 c\r\n")
        self.machine.sending_body()
        self.machine.dot_sent()
        self.violated(self.hear(b"354 again\r\n"), Stage.READING_CONFIRMATION)

    def test_dismissed(self) -> None:
        """
        421 ends the session wherever it comes; who was refused before stays
        refused, and the rest is tried again.
        """
        for replies, stage in (
            (b"", Stage.AFTER_MAIL_FROM),
            (b"250 a\r\n", Stage.AFTER_RCPT_TO),
            (b"250 a\r\n550 b\r\n", Stage.AFTER_RCPT_TO),
            (b"250 a\r\n550 b\r\n250 c\r\n", Stage.AFTER_DATA),
        ):
            self.setUp()
            self.open()
            self.begin(b"b@x.example", b"c@x.example")
            reply = Reply(421, (b"4.3.2 bye",))
            self.assertEqual(self.hear(replies + b"421 4.3.2 bye\r\n"), [ev.Dismissed(reply, stage)])
            self.assertEqual(self.hear(b"250 c\r\n"), [])
            self.assertEqual(self.say(), b"")
            first, second = self.machine.abandon(reply.note)
            self.assertEqual(second, ev.RecipientResult(Verdict.TRANSIENT, Scope.CONNECTION, b"421 4.3.2 bye", stage))
            self.assertIs(first.verdict, Verdict.PERMANENT if b"550" in replies else Verdict.TRANSIENT)
            self.assertEqual(self.machine.abandon(b"451 again"), ())

    def test_dismissed_after_dot(self) -> None:
        """
        421 to the dot is a refusal that was read, at the stage of the confirmation.
        """
        self.open()
        self.begin()
        self.hear(b"250 a\r\n250 b\r\n354 c\r\n")
        self.machine.sending_body()
        self.machine.dot_sent()
        (event,) = self.hear(b"421 bye\r\n")
        assert isinstance(event, ev.Dismissed)
        self.assertIs(event.stage, Stage.READING_CONFIRMATION)

    def test_connection_lost(self) -> None:
        """
        A connection that ends without a word leaves one result per recipient.
        """
        self.open()
        self.begin(b"b@x.example", b"c@x.example")
        self.hear(b"250 a\r\n250 b\r\n550 c\r\n354 d\r\n")
        self.machine.sending_body()
        self.machine.dot_sent()
        first, second = self.machine.abandon(b"451 4.4.2 [internal] no BODY response")
        self.assertEqual((first.verdict, first.stage), (Verdict.TRANSIENT, Stage.READING_CONFIRMATION))
        self.assertEqual(second.note, b"550 c")
        self.assertEqual(self.hear(b"250 late\r\n"), [])

    def test_refused_while_sending(self) -> None:
        """
        A refusal in mid-body decides at once; the connection is good for nothing more.
        """
        for code, verdict in ((b"552", Verdict.PERMANENT), (b"451", Verdict.TRANSIENT)):
            self.setUp()
            self.open()
            self.begin()
            self.hear(b"250 a\r\n250 b\r\n354 c\r\n")
            self.machine.sending_body()
            (result,) = self.ended(self.hear(code + b" too big\r\n"))
            self.assertEqual(result, ev.RecipientResult(verdict, Scope.MESSAGE, code + b" too big", Stage.SENDING_BODY))
            self.assertTrue(self.machine.broken)
            self.assertRaises(LocalProtocolError, self.machine.quit)
            self.assertRaises(LocalProtocolError, self.machine.dot_sent)
            self.assertEqual(self.machine.abandon(b"451 x"), ())

    def test_dismissed_while_sending(self) -> None:
        """
        421 in mid-body is a dismissal like any other.
        """
        self.open()
        self.begin()
        self.hear(b"250 a\r\n250 b\r\n354 c\r\n")
        self.machine.sending_body()
        (event,) = self.hear(b"421 bye\r\n")
        assert isinstance(event, ev.Dismissed)
        self.assertIs(event.stage, Stage.SENDING_BODY)

    def test_confirmed_while_sending(self) -> None:
        """
        A success in mid-body confirms nothing.
        """
        for reply in (b"250 ok\r\n", b"354 more\r\n"):
            self.setUp()
            self.open()
            self.begin()
            self.hear(b"250 a\r\n250 b\r\n354 c\r\n")
            self.machine.sending_body()
            self.violated(self.hear(reply), Stage.SENDING_BODY)

    def test_confirmation_begun_before_dot(self) -> None:
        """
        A reply of which half came before the dot does not answer the dot.
        """
        self.open()
        self.begin()
        self.hear(b"250 a\r\n250 b\r\n354 c\r\n")
        self.machine.sending_body()
        self.assertEqual(self.hear(b"250 o"), [])
        self.machine.dot_sent()
        self.violated(self.hear(b"k\r\n"), Stage.READING_CONFIRMATION)

    def test_unasked_while_idle(self) -> None:
        """
        Whatever an idle peer says ends the session.
        """
        self.open()
        self.violated(self.hear(b"250 hello?\r\n"), Stage.IDLE)

    def test_reset_refused(self) -> None:
        """
        A peer that refuses RSET takes no further message.
        """
        for code in (b"500", b"450"):
            self.setUp()
            self.open()
            self.machine.reset()
            self.say()
            self.assertEqual(self.hear(code + b" no\r\n"), [ev.ResetDone(False)])
            self.assertFalse(self.machine.ready)
            self.machine.quit()

    def test_quit(self) -> None:
        """
        Any answer to QUIT ends the session, and endless ones are not read.
        """
        for reply in (b"221 bye\r\n", b"500 what?\r\n", b"450 later\r\n"):
            self.setUp()
            self.open()
            self.machine.quit()
            self.assertEqual((self.machine.owed, self.say()), (1, b"QUIT\r\n"))
            self.assertRaises(LocalProtocolError, self.begin)
            self.assertEqual(self.hear(reply), [ev.QuitDone()])
            self.assertIs(self.machine.stage, Stage.NOT_CONNECTED)
            self.assertEqual(self.hear(b"221-" * 100), [])

    def test_out_of_turn(self) -> None:
        """
        Commands out of their turn are refused here, and nothing is written.
        """
        self.open()
        self.assertRaises(LocalProtocolError, self.machine.sending_body)
        self.assertRaises(LocalProtocolError, self.machine.dot_sent)
        self.assertRaises(LocalProtocolError, self.machine.tls_started)
        self.assertRaises(LocalProtocolError, self.machine.start)
        self.assertRaises(LocalProtocolError, self.machine.hello, b"me.example")
        self.begin()
        steps: tuple[Callable[[], object], ...] = (
            self.begin,
            self.machine.reset,
            self.machine.quit,
            self.machine.starttls,
            self.machine.dot_sent,
        )
        for step in steps:
            self.assertRaises(LocalProtocolError, step)
        self.assertEqual(self.say(), b"")

    def test_nothing_can_be_smuggled(self) -> None:
        """
        An address or parameter with a line end in it never leaves.
        """
        self.open()
        for bad in (b"a\r\nRSET", b"a\r", b"a\n", b"a\0b", b"x" * 600):
            self.assertRaises(LocalProtocolError, self.machine.transaction, bad, [b"b@x.example"])
            self.assertRaises(LocalProtocolError, self.machine.transaction, b"a@x.example", [b"b@x.example", bad])
            if len(bad) < 600:
                self.assertRaises(
                    LocalProtocolError,
                    self.machine.transaction,
                    b"a@x.example",
                    [b"b@x.example"],
                    mail_parameters=bad,
                )
        self.assertRaises(LocalProtocolError, self.machine.transaction, b"a@x.example", [])
        self.assertEqual((self.say(), self.machine.owed), (b"", 0))
        self.assertTrue(self.machine.ready)


class OneByOneTests(SessionCase):
    """
    Transactions with a peer that does not pipeline.
    """

    def test_delivery(self) -> None:
        """
        Each command waits for the reply to the one before.
        """
        for ehlo, pipeline in ((PLAIN, True), (PIPELINING, False)):
            self.setUp()
            self.open(ehlo)
            self.assertEqual(
                self.begin(b"b@x.example", b"c@x.example", pipeline=pipeline), b"MAIL FROM:<a@example.com>\r\n"
            )
            for reply, command in (
                (b"250 a\r\n", b"RCPT TO:<b@x.example>\r\n"),
                (b"550 b\r\n", b"RCPT TO:<c@x.example>\r\n"),
                (b"250 c\r\n", b"DATA\r\n"),
            ):
                self.assertEqual(self.hear(reply), [])
                self.assertEqual(self.say(), command)
                self.assertEqual(self.machine.owed, 1)
            self.assertEqual(self.hear(b"354 d\r\n"), [ev.BodyWanted((1,))])

    def test_sender_refused(self) -> None:
        """
        After a refused MAIL nothing more is asked.
        """
        self.open(PLAIN)
        self.begin()
        (result,) = self.ended(self.hear(b"550 no\r\n"))
        self.assertIs(result.scope, Scope.MESSAGE)
        self.assertEqual(self.say(), b"")
        self.assertTrue(self.machine.needs_reset)

    def test_all_recipients_refused(self) -> None:
        """
        Without a recipient there is no DATA.
        """
        self.open(PLAIN)
        self.begin(b"b@x.example", b"c@x.example")
        self.hear(b"250 a\r\n")
        self.say()
        self.hear(b"550 b\r\n")
        self.say()
        results = self.ended(self.hear(b"450 c\r\n"))
        self.assertEqual([result.note for result in results], [b"550 b", b"450 c"])
        self.assertEqual(self.say(), b"")


class OpeningByOctetTests(OpeningTests):
    """
    The same, received one octet at a time.
    """

    step = 1


class TLSByOctetTests(TLSTests):
    """
    The same, received one octet at a time.
    """

    step = 1


class TransactionByOctetTests(TransactionTests):
    """
    The same, received one octet at a time.
    """

    step = 1


class OneByOneByOctetTests(OneByOneTests):
    """
    The same, received one octet at a time.
    """

    step = 1


_WORDS = st.one_of(
    st.sampled_from(
        [
            b"220 x\r\n",
            b"250 ok\r\n",
            PIPELINING,
            PLAIN,
            XCLIENTTests.OFFER,
            b"354 go\r\n",
            b"250 a\r\n250 b\r\n354 c\r\n",
            b"421 bye\r\n",
            b"450 no\r\n",
            b"550 no\r\n",
            b"552 5.5.3 x\r\n",
            b"25",
            b"0",
            b"250-",
            b"\r\n",
        ]
    ),
    st.binary(max_size=20),
)
_ACTIONS = st.sampled_from(
    ["start", "hello", "starttls", "tls_started", "xclient", "transaction", "sending_body", "dot_sent", "reset", "quit"]
)


class AnyPeerTests(SynchronousTestCase):
    """
    Arbitrary bytes at arbitrary moments.
    """

    @settings(derandomize=True, max_examples=500, deadline=None)
    @given(st.lists(st.one_of(_WORDS, _ACTIONS), max_size=40))
    def test_any_peer(self, steps: list[bytes | str]) -> None:
        """
        Receiving never raises; every transaction ends at most once, also by
        abandonment, and with one result per recipient.
        """
        machine = SMTPClientMachine()
        machine.start()
        begun = ended = 0
        actions: dict[str, Callable[[], object]] = {
            "hello": lambda: machine.hello(b"me.example"),
            "xclient": lambda: machine.xclient(b"ADDR=192.0.2.1"),
            "transaction": lambda: machine.transaction(b"a@x.example", [b"b@x.example", b"c@x.example"]),
        }
        for step in [b"220 x\r\n", "hello", PIPELINING, *steps]:
            if isinstance(step, bytes):
                for event in machine.receive_data(step):
                    if isinstance(event, ev.TransactionEnded):
                        ended += 1
                        self.assertEqual(len(event.results), 2)
                    self.assertLessEqual(ended, begun)
            else:
                try:
                    actions.get(step, getattr(machine, step))()
                except LocalProtocolError:
                    continue
                begun += step == "transaction"
            output = machine.take_output()
            self.assertEqual(output.count(b"\r\n"), output.count(b"\n"))
            self.assertGreaterEqual(machine.owed, 0)
        open_still = bool(machine.abandon(b"451 gone"))
        self.assertEqual(begun, ended + open_still)
