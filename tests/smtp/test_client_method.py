"""
A session that does not speak ESMTP: LMTP (RFC 2033), and SMTP as it was first.
"""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.errors import LocalProtocolError
from momentum_tx.outcomes import Scope, Verdict
from momentum_tx.smtp import events as ev
from momentum_tx.smtp.client import Method, SMTPClientMachine
from momentum_tx.smtp.extensions import NO_EXTENSIONS
from momentum_tx.stages import Stage

from .test_client import PIPELINING, PLAIN, SessionCase

B, C, D = b"b@x.example", b"c@x.example", b"d@x.example"


class LMTPTests(SessionCase):
    """
    LMTP.
    """

    def setUp(self) -> None:
        self.machine = SMTPClientMachine(Method.LMTP)
        self.machine.start()

    def to_the_dot(self, replies: bytes = b"250 m\r\n250 b\r\n250 c\r\n250 d\r\n354 go\r\n") -> None:
        """
        A transaction with three recipients whose content has been sent.
        """
        self.open()
        self.begin(B, C, D)
        self.hear(replies)
        self.machine.sending_body()
        self.machine.dot_sent()

    def test_hello(self) -> None:
        """
        LHLO is said, and what it offers counts as with EHLO.
        """
        self.hear(b"220 x LMTP\r\n")
        self.machine.hello(b"me.example")
        self.assertEqual(self.say(), b"LHLO me.example\r\n")
        (ready,) = self.hear(PIPELINING)
        assert isinstance(ready, ev.Ready)
        self.assertTrue(ready.esmtp)
        self.assertTrue(ready.extensions.pipelining)
        self.machine.transaction(b"a@x.example", [B], mail_parameters=b"SIZE=1")
        self.assertEqual(self.say().count(b"\r\n"), 3)

    def test_hello_refused(self) -> None:
        """
        A peer that does not know LHLO speaks no LMTP: HELO is not tried.
        """
        self.hear(b"220 x\r\n")
        self.machine.hello(b"me.example")
        self.say()
        (event,) = self.hear(b"500 what?\r\n")
        self.assertIsInstance(event, ev.HelloRefused)
        self.assertEqual(self.say(), b"")

    def test_content_in_one_piece(self) -> None:
        """
        Content that leaves with its dot in one piece is as content and then the dot; out of turn
        nothing may leave.
        """
        self.open()
        with self.assertRaises(LocalProtocolError):
            self.machine.dot_sent(at_once=True)
        self.begin(B, C, D)
        self.hear(b"250 m\r\n250 b\r\n250 c\r\n550 d\r\n")
        with self.assertRaises(LocalProtocolError):
            self.machine.dot_sent(at_once=True)
        self.hear(b"354 go\r\n")
        self.machine.dot_sent(at_once=True)
        self.assertEqual((self.machine.owed, self.machine.stage), (2, Stage.READING_CONFIRMATION))
        self.violated(self.hear(b"354 go on\r\n"), Stage.READING_CONFIRMATION)

    def test_one_reply_each(self) -> None:
        """
        After the dot every accepted recipient has a reply of its own, in the order of RCPT.
        """
        self.to_the_dot(b"250 a\r\n250 b\r\n550 no c\r\n250 d\r\n354 e\r\n")
        self.assertEqual((self.machine.owed, self.machine.stage), (2, Stage.READING_CONFIRMATION))
        self.assertEqual(self.hear(b"250 2.1.5 b has it\r\n"), [])
        self.assertEqual((self.machine.owed, self.machine.stage), (1, Stage.READING_CONFIRMATION))
        results = self.ended(self.hear(b"452 4.2.2 d is full\r\n"))
        self.assertEqual(
            results,
            (
                ev.RecipientResult(
                    Verdict.DELIVERED, Scope.RECIPIENT, b"250 2.1.5 b has it", Stage.READING_CONFIRMATION
                ),
                ev.RecipientResult(Verdict.PERMANENT, Scope.RECIPIENT, b"550 no c", Stage.AFTER_RCPT_TO),
                ev.RecipientResult(
                    Verdict.TRANSIENT, Scope.RECIPIENT, b"452 4.2.2 d is full", Stage.READING_CONFIRMATION
                ),
            ),
        )

    def test_following(self) -> None:
        """
        When all have it the next message may follow; after a refusal RSET comes first.
        """
        for last, needs_reset in ((b"250 c\r\n", False), (b"552 c\r\n", True)):
            self.setUp()
            self.to_the_dot()
            self.ended(self.hear(b"250 a\r\n250 b\r\n" + last))
            self.assertIs(self.machine.needs_reset, needs_reset)
            self.assertIs(self.machine.ready, not needs_reset)

    def test_lost_in_the_middle(self) -> None:
        """
        Who has been answered keeps the answer when the connection is lost; only the
        others have none.
        """
        for replies, answered in ((b"", 0), (b"250 a\r\n", 1), (b"550 a\r\n250 b\r\n", 2)):
            self.setUp()
            self.to_the_dot()
            self.hear(replies)
            results = self.machine.abandon(b"451 gone")
            self.assertEqual([result.scope is Scope.CONNECTION for result in results].count(False), answered)
            self.assertEqual({result.note for result in results[answered:]}, {b"451 gone"})
            self.assertEqual(b"".join(result.note + b"\r\n" for result in results[:answered]), replies)
            self.assertEqual({result.stage for result in results}, {Stage.READING_CONFIRMATION})

    def test_dismissed_in_the_middle(self) -> None:
        """
        421 answers for one recipient and ends the session: what became of those
        behind it nobody has said.
        """
        self.to_the_dot()
        (event,) = self.hear(b"250 a\r\n421 bye\r\n")
        assert isinstance(event, ev.Dismissed)
        self.assertIs(event.stage, Stage.READING_CONFIRMATION)
        results = self.machine.abandon(b"421 bye")
        self.assertEqual(
            [(result.verdict, result.scope) for result in results],
            [
                (Verdict.DELIVERED, Scope.RECIPIENT),
                (Verdict.TRANSIENT, Scope.RECIPIENT),
                (Verdict.TRANSIENT, Scope.CONNECTION),
            ],
        )

    def test_one_reply_too_many(self) -> None:
        """
        A reply that no recipient is left for ends the session, after the results.
        """
        self.to_the_dot()
        events = self.hear(b"250 a\r\n250 b\r\n250 c\r\n250 d\r\n")
        self.assertEqual(len(self.ended(events[:1])), 3)
        self.violated(events, Stage.IDLE)

    def test_data_for_nobody(self) -> None:
        """
        A server must refuse DATA when it refused all recipients (RFC 2033 4.2); one
        that asks for the content breaks the protocol, and each keeps its refusal.
        """
        self.open()
        self.begin(B, C)
        self.violated(self.hear(b"250 a\r\n550 b\r\n551 c\r\n354 go\r\n"), Stage.AFTER_DATA)
        self.assertEqual([result.note for result in self.machine.abandon(b"451 x")], [b"550 b", b"551 c"])

    def test_data_refused_for_nobody(self) -> None:
        """
        The refusal of DATA that the standard asks for changes nothing.
        """
        self.open()
        self.begin(B, C)
        results = self.ended(self.hear(b"250 a\r\n550 b\r\n551 c\r\n503 nobody\r\n"))
        self.assertEqual([result.note for result in results], [b"550 b", b"551 c"])

    def test_refused_while_sending(self) -> None:
        """
        A refusal in the middle of the content concerns everybody.
        """
        self.open()
        self.begin(B, C)
        self.hear(b"250 a\r\n250 b\r\n250 c\r\n354 d\r\n")
        self.machine.sending_body()
        results = self.ended(self.hear(b"552 5.3.4 too big\r\n"))
        self.assertEqual({(result.note, result.scope) for result in results}, {(b"552 5.3.4 too big", Scope.MESSAGE)})
        self.assertTrue(self.machine.broken)


class OctetByOctetLMTPTests(LMTPTests):
    """
    The same, one octet at a time.
    """

    step = 1


class AnyRepliesTests(SessionCase):
    """
    LMTP with servers of every mind.
    """

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(
        st.lists(st.sampled_from([b"250", b"450", b"550"]), min_size=1, max_size=6),
        st.lists(st.sampled_from([b"250", b"451", b"552", b"421", b"lost"]), min_size=6, max_size=6),
        st.booleans(),
    )
    def test_any_replies(self, asked: list[bytes], answers: list[bytes], pipeline: bool) -> None:
        """
        Whatever is replied, to RCPT and to the dot, each recipient has the result
        that was said of it and of nobody else.
        """
        self.machine = SMTPClientMachine(Method.LMTP)
        self.machine.start()
        self.open()
        self.begin(*[b"r%d@x.example" % index for index in range(len(asked))], pipeline=pipeline)
        for word in (b"250 sender", *[b"%b r%d" % (code, index) for index, code in enumerate(asked)]):
            self.hear(word + b"\r\n")
            self.say()
        accepted = [index for index, code in enumerate(asked) if code == b"250"]
        expected: Iterator[bytes | None]
        said: dict[int, bytes] = {
            index: b"%b r%d" % (code, index) for index, code in enumerate(asked) if code != b"250"
        }
        if accepted:
            self.assertEqual(self.hear(b"354 go\r\n"), [ev.BodyWanted(tuple(accepted))])
            self.machine.sending_body()
            self.machine.dot_sent()
        elif self.machine.owed:
            self.hear(b"503 nobody\r\n")
        events: list[ev.Event] = []
        for index, code in zip(accepted, answers, strict=False):
            if code == b"lost":
                break
            said[index] = b"%b a%d" % (code, index)
            events = self.hear(said[index] + b"\r\n")
            if code == b"421":
                break
        if events and isinstance(events[-1], ev.TransactionEnded):
            results = events[-1].results
        else:
            results = self.machine.abandon(b"451 lost")
        if not accepted:
            return
        expected = (said.get(index) for index in range(len(asked)))
        for result, note in zip(results, expected, strict=True):
            self.assertEqual(result.note, note or b"451 lost")
            self.assertIs(result.scope, Scope.RECIPIENT if note else Scope.CONNECTION)


class SMTPTests(SessionCase):
    """
    SMTP without extensions.
    """

    def setUp(self) -> None:
        self.machine = SMTPClientMachine(Method.SMTP)
        self.machine.start()

    def test_helo(self) -> None:
        """
        HELO is said at once, and nothing that the peer can do besides is used.
        """
        self.hear(b"220 x ESMTP\r\n")
        self.machine.hello(b"me.example")
        self.assertEqual(self.say(), b"HELO me.example\r\n")
        (ready,) = self.hear(PIPELINING)
        self.assertEqual(ready, ev.Ready(NO_EXTENSIONS, False, b"mx.example"))
        self.assertRaises(LocalProtocolError, self.machine.starttls)
        self.assertRaises(
            LocalProtocolError, self.machine.transaction, b"a@x.example", [B], mail_parameters=b"BODY=8BITMIME"
        )
        self.assertEqual(self.begin(B), b"MAIL FROM:<a@example.com>\r\n")

    def test_refused(self) -> None:
        """
        A peer that refuses HELO is not asked anything else.
        """
        for code in (b"500", b"450"):
            self.setUp()
            self.hear(b"220 x\r\n")
            self.machine.hello(b"me.example")
            self.say()
            (event,) = self.hear(code + b" no\r\n")
            self.assertIsInstance(event, ev.HelloRefused)
            self.assertEqual(self.say(), b"")

    def test_one_reply(self) -> None:
        """
        One reply to the dot is that of all recipients.
        """
        self.open(PLAIN)
        self.begin(B, C)
        for reply in (b"250 a\r\n", b"250 b\r\n", b"250 c\r\n", b"354 d\r\n"):
            self.hear(reply)
            self.say()
        self.machine.sending_body()
        self.machine.dot_sent()
        self.assertEqual([result.verdict for result in self.ended(self.hear(b"250 d\r\n"))], [Verdict.DELIVERED] * 2)


class MethodTests(SynchronousTestCase):
    """
    The names of methods.
    """

    def test_words(self) -> None:
        """
        They are the words of ``delivery_method``.
        """
        self.assertEqual([method.value for method in Method], ["ESMTP", "SMTP", "LMTP"])
        self.assertEqual(Method("LMTP"), Method.LMTP)
