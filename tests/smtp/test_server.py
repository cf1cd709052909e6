"""
A session as server, against every kind of client.
"""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.envelope import NO_TERMS, Notify, RecipientTerms
from momentum_tx.errors import LocalProtocolError
from momentum_tx.smtp.body import stuff
from momentum_tx.smtp.reception import Closing, MessageReceived, Phase, Rejected, ServerEvent, ServerSettings
from momentum_tx.smtp.server import MAX_BAD_COMMANDS, MAX_COMMAND_LINE, MAX_HELD, SMTPServerMachine

SETTINGS = ServerSettings("mx.example", 10_000, 5)
OPEN = b"EHLO me.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n"


class SessionCase(SynchronousTestCase):
    """
    A machine, and the client's words put into its ear.
    """

    #: Octets of one chunk; zero leaves the input whole.
    step = 0

    def setUp(self) -> None:
        self.machine = SMTPServerMachine(SETTINGS, True)

    def hear(self, data: bytes) -> list[ServerEvent]:
        """
        The events of *data*, in chunks of ``step`` octets.
        """
        step = self.step or max(1, len(data))
        events: list[ServerEvent] = []
        for at in range(0, len(data), step):
            events += self.machine.receive_data(data[at : at + step])
        return events

    def codes(self, data: bytes) -> list[int]:
        """
        The reply codes to *data*.
        """
        self.hear(data)
        return self.replies()

    def replies(self) -> list[int]:
        """
        The codes of what is to be written.
        """
        lines = self.machine.take_output().split(b"\r\n")
        self.assertEqual(lines.pop(), b"")
        return [int(line[:3]) for line in lines if line[3:4] == b" "]

    def rejected(self, data: bytes, phase: Phase, code: int, text: str) -> None:
        """
        Be sure that *data* is refused like that and leaves the session open.
        """
        events = self.hear(data)
        self.assertEqual(len(events), 1, events)
        event = events[0]
        assert isinstance(event, Rejected)
        self.assertEqual((event.phase, event.code), (phase, code), event)
        self.assertTrue(event.text.startswith(text), event)
        self.assertEqual(self.replies(), [code])

    def message(self, events: list[ServerEvent]) -> MessageReceived:
        """
        The message in *events*, which hold nothing else.
        """
        (event,) = events
        assert isinstance(event, MessageReceived), event
        return event


class CommandTests(SessionCase):
    """
    Commands.
    """

    def test_greeting(self) -> None:
        """
        The client is greeted with our name.
        """
        self.assertEqual(self.machine.greet(), b"220 mx.example ESMTP\r\n")

    def test_ehlo(self) -> None:
        """
        EHLO tells what may be used here.
        """
        self.assertEqual(self.hear(b"eHLo me.example\r\n"), [])
        lines = self.machine.take_output().split(b"\r\n")
        self.assertEqual(
            {line[4:] for line in lines[:-1]},
            {
                b"mx.example",
                b"PIPELINING",
                b"SIZE 10000",
                b"8BITMIME",
                b"DSN",
                b"ENHANCEDSTATUSCODES",
                b"SMTPUTF8",
            },
        )
        self.assertEqual((self.machine.protocol, self.machine.helo), ("esmtp", "me.example"))

    def test_helo(self) -> None:
        """
        HELO is answered in one line, and knows no parameters.
        """
        self.hear(b"HELO me.example\r\n")
        self.assertEqual(self.machine.take_output(), b"250 mx.example\r\n")
        self.assertEqual((self.machine.protocol, self.machine.helo), ("smtp", "me.example"))
        self.rejected(b"MAIL FROM:<a@x.example> SIZE=1\r\n", Phase.MAILFROM, 555, "5.5.4")

    def test_names(self) -> None:
        """
        A client has to give a name, and only a name.
        """
        for name in (b"", b" ", b" a\rb", b" a\0b", b" " + b"x" * 256):
            self.rejected(b"EHLO" + name + b"\r\n", Phase.EHLO, 501, "5.5.4")
        self.hear(b"EHLO m\xff\r\n")
        self.assertEqual(self.machine.helo, "m\\xff")

    def test_small_commands(self) -> None:
        """
        The commands around a transaction are answered as RFC 5321 says.
        """
        self.assertEqual(
            self.codes(b"NOOP\r\nNOOP x\r\nRSET\r\nVRFY a\r\nHELP\r\nEXPN a\r\nSTARTTLS\r\nFOO\r\n\r\n"),
            [250, 250, 250, 252, 214, 502, 502, 500, 500],
        )

    def test_sequence(self) -> None:
        """
        Commands out of their place are refused with 503, and nothing else changes.
        """
        self.assertEqual(self.codes(b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n"), [503] * 3)
        self.codes(b"EHLO x\r\n")
        self.assertEqual(self.codes(b"RCPT TO:<b@y.example>\r\nDATA\r\n"), [503, 503])
        self.assertEqual(self.codes(b"MAIL FROM:<a@x.example>\r\nMAIL FROM:<c@x.example>\r\nDATA\r\n"), [250, 503, 554])
        self.assertEqual(self.codes(b"RCPT TO:<b@y.example>\r\nDATA\r\n"), [250, 354])
        event = self.message(self.hear(b"x\r\n.\r\n"))
        self.assertEqual(event.sender, b"a@x.example")

    def test_rset_and_ehlo_forget(self) -> None:
        """
        RSET and a second EHLO end a transaction.
        """
        for command in (b"RSET\r\n", b"EHLO x\r\n", b"HELO x\r\n"):
            self.setUp()
            self.codes(OPEN[: -len(b"DATA\r\n")])
            self.assertTrue(self.machine.in_transaction)
            self.codes(command)
            self.assertFalse(self.machine.in_transaction)
            self.assertEqual(self.codes(b"DATA\r\n"), [503])

    def test_syntax(self) -> None:
        """
        Malformed arguments are refused with 501 and the session goes on.
        """
        self.codes(b"EHLO x\r\n")
        for command in (b"MAIL", b"MAIL a@x.example", b"MAIL TO:<a@x.example>", b"MAIL FROM:a@x.example"):
            self.rejected(command + b"\r\n", Phase.MAILFROM, 501, "5.")
        for rest in (b"<a b@x.example>", b"<a@x.example", b"<a@x.example> SIZE=-1", b"<a@x.example> SIZE=1 SIZE=2"):
            self.rejected(b"MAIL FROM:" + rest + b"\r\n", Phase.MAILFROM, 501, "5.")
        for rest in (b"<> BODY=BINARYMIME", b"<> SMTPUTF8=1", b"<> SIZE", b"<> BODY", b"<> =", b"<a\x01@x.example>"):
            self.rejected(b"MAIL FROM:" + rest + b"\r\n", Phase.MAILFROM, 501, "5.")
        self.assertEqual(self.codes(b"mail from: <> size=1 body=7bit\r\n"), [250])

    def test_recipient_syntax(self) -> None:
        """
        The null path and a malformed address are no recipients; postmaster is one.
        """
        self.codes(b"EHLO x\r\nMAIL FROM:<>\r\n")
        for command in (b"RCPT", b"RCPT TO:", b"RCPT TO:<>", b"RCPT TO:<a@[1]>", b"RCPT FROM:<a@x.example>"):
            self.rejected(command + b"\r\n", Phase.RCPTTO, 501, "5.")
        self.assertEqual(self.codes(b"rcpt to:<postmaster>\r\nDATA x\r\nDATA\r\n"), [250, 501, 354])
        self.assertEqual(self.message(self.hear(b".\r\n")).recipients, (b"postmaster",))

    def test_unknown_parameters(self) -> None:
        """
        A parameter nobody offered is refused with 555.
        """
        self.codes(b"EHLO x\r\n")
        self.rejected(b"MAIL FROM:<> MT-PRIORITY=3\r\n", Phase.MAILFROM, 555, "5.5.4")
        self.rejected(b"MAIL FROM:<> REQUIRETLS\r\n", Phase.MAILFROM, 555, "5.5.4")
        self.codes(b"MAIL FROM:<>\r\n")
        self.rejected(b"RCPT TO:<b@y.example> RRVS=2014-04-03T23:01:00Z\r\n", Phase.RCPTTO, 555, "5.5.4")

    def test_no_parameters_without_ehlo(self) -> None:
        """
        Who said HELO was offered none, at MAIL or at RCPT.
        """
        self.codes(b"HELO x\r\n")
        self.rejected(b"MAIL FROM:<> RET=HDRS\r\n", Phase.MAILFROM, 555, "5.5.4")
        self.codes(b"MAIL FROM:<>\r\n")
        self.rejected(b"RCPT TO:<b@y.example> NOTIFY=NEVER\r\n", Phase.RCPTTO, 555, "5.5.4")

    def test_dsn(self) -> None:
        """
        What reports a sender wants is kept with the message, for each recipient that was taken.
        """
        self.codes(
            b"EHLO x\r\nMAIL FROM:<a@x.example> RET=hdrs ENVID=QQ+20314159\r\n"
            b"RCPT TO:<@bad> NOTIFY=NEVER\r\n"
            b"RCPT TO:<b@y.example> NOTIFY=SUCCESS,delay ORCPT=rfc822;B+2Bx@y.example\r\n"
            b"RCPT TO:<c@y.example>\r\nRCPT TO:<d@y.example> NOTIFY=NEVER\r\nDATA\r\n"
        )
        event = self.message(self.hear(b"x\r\n.\r\n"))
        self.assertEqual(len(event.recipients), 3)
        self.assertEqual((event.terms.envid, event.terms.ret), (b"QQ 314159", "HDRS"))
        self.assertEqual(
            event.terms.recipients,
            {
                0: RecipientTerms(Notify.SUCCESS | Notify.DELAY, b"rfc822;B+x@y.example"),
                2: RecipientTerms(Notify.NEVER),
            },
        )
        self.machine.answer(250, "2.0.0 Ok")
        self.codes(b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n")
        self.assertIs(self.message(self.hear(b"x\r\n.\r\n")).terms, NO_TERMS)

    def test_bad_dsn(self) -> None:
        """
        A value that makes no sense is refused with 501, and nothing of it is kept.
        """
        self.codes(b"EHLO x\r\n")
        for words in (b"RET=SOME", b"RET", b"ENVID=a+b", b"ENVID", b"ENVID=" + b"x" * 101, b"ENVID=+0D+0A"):
            self.rejected(b"MAIL FROM:<> " + words + b"\r\n", Phase.MAILFROM, 501, "5.5.4 Bad parameter value")
        self.rejected(b"MAIL FROM:<> RET=FULL RET=FULL\r\n", Phase.MAILFROM, 501, "5.1.7")
        self.codes(b"MAIL FROM:<>\r\n")
        for words in (b"NOTIFY=NEVER,SUCCESS", b"NOTIFY=", b"ORCPT=bob@y.example", b"ORCPT=rfc822;+0A"):
            self.rejected(b"RCPT TO:<b@y.example> " + words + b"\r\n", Phase.RCPTTO, 501, "5.")
        self.codes(b"RCPT TO:<b@y.example>\r\nDATA\r\n")
        self.assertIs(self.message(self.hear(b"x\r\n.\r\n")).terms, NO_TERMS)

    def test_require_tls(self) -> None:
        """
        REQUIRETLS is offered where the owner says so, takes no value, and is kept with the message.
        """
        self.machine = SMTPServerMachine(SETTINGS, True, require_tls=True)
        self.hear(b"EHLO me.example\r\n")
        self.assertIn(b"250-REQUIRETLS\r\n", self.machine.take_output())
        self.rejected(b"MAIL FROM:<> REQUIRETLS=yes\r\n", Phase.MAILFROM, 501, "5.5.4")
        self.codes(b"MAIL FROM:<a@x.example> REQUIRETLS\r\nRCPT TO:<b@y.example>\r\nDATA\r\n")
        self.assertTrue(self.message(self.hear(b"x\r\n.\r\n")).terms.require_tls)

    def test_declared_size(self) -> None:
        """
        A message declared too large is refused before it is sent.
        """
        self.codes(b"EHLO x\r\n")
        self.rejected(b"MAIL FROM:<> SIZE=10001\r\n", Phase.MAILFROM, 552, "5.3.4")
        self.assertEqual(self.codes(b"MAIL FROM:<> SIZE=10000\r\n"), [250])

    def test_smtputf8(self) -> None:
        """
        Addresses beyond ASCII need SMTPUTF8, at MAIL and at RCPT.
        """
        self.codes(b"EHLO x\r\n")
        self.rejected("MAIL FROM:<ö@x.example>\r\n".encode(), Phase.MAILFROM, 553, "5.6.7")
        self.codes(b"MAIL FROM:<>\r\n")
        self.rejected("RCPT TO:<ö@x.example>\r\n".encode(), Phase.RCPTTO, 553, "5.6.7")
        self.codes(b"RSET\r\n")
        self.codes("MAIL FROM:<ö@x.example> SMTPUTF8\r\nRCPT TO:<ä@ü.example>\r\nDATA\r\n".encode())
        event = self.message(self.hear(b"x\r\n.\r\n"))
        self.assertEqual((event.sender, event.recipients), ("ö@x.example".encode(), ("ä@ü.example".encode(),)))
        self.assertTrue(event.smtputf8)
        self.assertFalse(event.eight_bit)

    def test_relaying_denied(self) -> None:
        """
        A client that may not relay has every recipient refused.
        """
        self.machine = SMTPServerMachine(SETTINGS, False)
        self.codes(b"EHLO x\r\nMAIL FROM:<>\r\n")
        self.rejected(b"RCPT TO:<b@y.example>\r\n", Phase.RELAYING_DENIED, 550, "5.7.1")
        self.rejected(b"DATA\r\n", Phase.DATA, 554, "5.5.1")

    def test_too_many_recipients(self) -> None:
        """
        Recipients beyond the limit are put off; those before it get the message.
        """
        self.codes(b"EHLO x\r\nMAIL FROM:<>\r\n")
        self.assertEqual(self.codes(b"RCPT TO:<b@y.example>\r\n" * 7), [250] * 5 + [452] * 2)
        self.codes(b"DATA\r\n")
        self.assertEqual(len(self.message(self.hear(b".\r\n")).recipients), 5)

    def test_no_mail_now(self) -> None:
        """
        While the service takes no mail, MAIL is refused with its reason.
        """
        refusals: list[tuple[int, str] | None] = [(451, "4.3.2 loading"), None]
        self.machine = SMTPServerMachine(SETTINGS, True, lambda: refusals.pop(0))
        self.codes(b"EHLO x\r\n")
        self.rejected(b"MAIL FROM:<>\r\n", Phase.MAILFROM, 451, "4.3.2 loading")
        self.assertEqual(self.codes(b"MAIL FROM:<>\r\n"), [250])

    def test_recipient_refused_by_owner(self) -> None:
        """
        The owner may refuse single recipients; the message goes to the others.
        """
        refusals = {b"gone@y.example": (550, "5.1.1 No such mailbox")}
        self.machine = SMTPServerMachine(SETTINGS, True, None, refusals.get)
        self.codes(b"EHLO x\r\nMAIL FROM:<>\r\n")
        self.rejected(b"RCPT TO:<gone@y.example>\r\n", Phase.RCPTTO, 550, "5.1.1 No such mailbox")
        self.codes(b"RCPT TO:<b@y.example>\r\nDATA\r\n")
        self.assertEqual(self.message(self.hear(b".\r\n")).recipients, (b"b@y.example",))

    def test_refused_at_connect(self) -> None:
        """
        A client that was refused at connect may only say QUIT.
        """
        self.assertEqual(self.machine.refuse(421, "4.3.2 full"), b"421 4.3.2 full\r\n")
        self.assertEqual(self.codes(b"EHLO x\r\nMAIL FROM:<>\r\nQUIT\r\n"), [503, 503, 221])

    def test_quit(self) -> None:
        """
        QUIT is answered, and nothing behind it is read.
        """
        events = self.hear(b"QUIT\r\nNOOP\r\n")
        self.assertEqual(events, [Closing()])
        self.assertEqual(self.replies(), [221])

    def test_long_line(self) -> None:
        """
        A command line that is too long is refused once, and the next one is understood.
        """
        for length in (MAX_COMMAND_LINE, MAX_COMMAND_LINE + 1, 65536):
            self.rejected(b"N" * length + b"\r\n", Phase.EHLO, 500, "5.5.2")
            self.assertEqual(self.codes(b"NOOP\r\n"), [250])
        self.assertEqual(self.codes(b"NOOP " + b"x" * (MAX_COMMAND_LINE - 7) + b"\r\n"), [250])

    def test_line_ends(self) -> None:
        """
        A command that ends without CR is refused, not obeyed and not waited for.
        """
        self.assertEqual(self.codes(b"EHLO x\nNOOP\r\n"), [500, 250])
        self.assertEqual(self.machine.helo, "")

    def test_too_many_errors(self) -> None:
        """
        A client that only talks nonsense is sent away.
        """
        events = self.hear(b"FOO\r\n" * 100)
        self.assertEqual(self.replies(), [500] * MAX_BAD_COMMANDS + [421])
        self.assertEqual(len(events), MAX_BAD_COMMANDS + 2)
        self.assertIsInstance(events[-1], Closing)
        self.assertEqual(self.hear(b"NOOP\r\n"), [])
        self.assertEqual(self.machine.take_output(), b"")


class MessageTests(SessionCase):
    """
    Messages.
    """

    def test_message(self) -> None:
        """
        Envelope and content arrive as they were sent; the answer is the owner's.
        """
        events = self.hear(OPEN + b"Subject: x\r\n\r\n..a\r\n.b\r\n.\r\n")
        self.assertEqual(
            self.message(events),
            MessageReceived(b"a@x.example", (b"b@y.example",), b"Subject: x\r\n\r\n.a\r\nb\r\n", False, False),
        )
        self.assertEqual(self.replies(), [250, 250, 250, 354])
        self.assertTrue(self.machine.awaiting_answer)
        self.assertEqual(self.machine.answer(250, "2.0.0 Ok: queued"), [])
        self.assertEqual(self.machine.take_output(), b"250 2.0.0 Ok: queued\r\n")
        self.assertFalse(self.machine.in_transaction)
        self.assertRaises(LocalProtocolError, self.machine.answer, 250, "2.0.0 twice")

    def test_empty_message(self) -> None:
        """
        A dot right behind DATA is an empty message.
        """
        self.assertEqual(self.message(self.hear(OPEN + b".\r\n")).content, b"")

    def test_eight_bit(self) -> None:
        """
        Octets above 127 are noticed, declared or not.
        """
        self.assertTrue(self.message(self.hear(OPEN + b"\xff\r\n.\r\n")).eight_bit)
        self.setUp()
        declared = OPEN.replace(b"<a@x.example>", b"<a@x.example> BODY=8BITMIME")
        self.assertTrue(self.message(self.hear(declared + b"a\r\n.\r\n")).eight_bit)

    def test_what_came_meanwhile(self) -> None:
        """
        Nothing is read while a message waits; afterwards all of it is.
        """
        second = OPEN.split(b"\r\n", 1)[1]
        self.hear(OPEN + b"one\r\n.\r\n" + second + b"two\r\n.\r\nQUIT\r\n")
        self.assertEqual(self.replies(), [250, 250, 250, 354])
        event = self.message(self.machine.answer(250, "2.0.0 Ok"))
        self.assertEqual(event.content, b"two\r\n")
        self.assertEqual(self.replies(), [250, 250, 250, 354])
        self.assertEqual(self.machine.answer(250, "2.0.0 Ok"), [Closing()])
        self.assertEqual(self.replies(), [250, 221])

    def test_overfull(self) -> None:
        """
        A client that does not wait is to be stopped at 64 KiB.
        """
        self.hear(OPEN + b"one\r\n.\r\n")
        self.hear(b"NOOP\r\n" * (MAX_HELD // 6))
        self.assertFalse(self.machine.overfull)
        self.hear(b"NOOP\r\n")
        self.assertTrue(self.machine.overfull)
        self.replies()
        self.machine.answer(250, "2.0.0 Ok")
        self.assertFalse(self.machine.overfull)
        self.assertEqual(len(self.replies()), MAX_HELD // 6 + 2)

    def test_refused_by_owner(self) -> None:
        """
        A refusal by the owner is a reply and an event; it is one line whatever it says.
        """
        self.hear(OPEN + b"one\r\n.\r\n")
        self.replies()
        (event,) = self.machine.answer(451, "4.3.0 no\r\n250 yes")
        self.assertEqual(event, Rejected(Phase.BODY_RESPONSE, b"", 451, "4.3.0 no\r\n250 yes"))
        self.assertEqual(self.machine.take_output(), b"451 4.3.0 no 250 yes\r\n")

    def test_bad_content(self) -> None:
        """
        Bare CR, bare LF, NUL and long lines are refused by name, and the next
        message is taken.
        """
        self.codes(b"EHLO x\r\n")
        opening = OPEN.split(b"\r\n", 1)[1]
        for content, word in (
            (b"a\nb\r\n", "bare LF"),
            (b"a\rb\r\n", "bare CR"),
            (b"a\n.\nb\r\n", "bare LF"),
            (b"a\n.\r\nb\r\n", "bare LF"),
            (b"a\r.\r\nb\r\n", "bare CR"),
            (b"a\r\n.\rb\r\n", "bare CR"),
            (b"a\r\n.\nb\r\n", "bare LF"),
            (b"a\0b\r\n", "NUL octet"),
            (b"x" * 999 + b"\r\n", "line too long"),
        ):
            self.codes(opening)
            events = self.hear(content + b".\r\n")
            self.assertEqual(events, [Rejected(Phase.BODY, b"", 550, f"5.6.0 Message refused: {word}")])
            self.assertEqual(self.replies(), [550])
            self.assertFalse(self.machine.in_transaction)
        self.codes(opening)
        self.assertEqual(self.message(self.hear(b"." + b"." + b"x" * 997 + b"\r\n.\r\n")).content[:1], b".")

    def test_too_large(self) -> None:
        """
        Content beyond the limit is read to its end, refused, and not kept.
        """
        self.codes(b"EHLO x\r\n")
        opening = OPEN.split(b"\r\n", 1)[1]
        for size in (10_001, 200_000):
            self.codes(opening)
            events = self.hear((b"x" * 98 + b"\r\n") * (size // 100) + b"y" * (size % 100) + b"\r\n.\r\n")
            self.assertEqual(len(events), 1)
            event = events[0]
            assert isinstance(event, Rejected)
            self.assertEqual((event.phase, event.code), (Phase.BODY, 552))
            self.assertTrue(event.text.startswith("5.3.4"))
            self.replies()
        self.codes(opening)
        self.assertEqual(len(self.message(self.hear((b"x" * 98 + b"\r\n") * 100 + b".\r\n")).content), 10_000)


class CommandByOctetTests(CommandTests):
    """
    The same, received one octet at a time.
    """

    step = 1


class MessageByOctetTests(MessageTests):
    """
    The same, received one octet at a time.
    """

    step = 1


class EndOfDataTests(SynchronousTestCase):
    """
    What ends a message, and what does not.
    """

    def test_every_short_content(self) -> None:
        """
        Of all sequences of CR, LF, dot and letter up to five octets behind DATA
        only CRLF dot CRLF ends the message, and what was refused smuggles nothing.
        """
        for size in range(6):
            for octets in itertools.product(b"\r\n.a", repeat=size):
                machine = SMTPServerMachine(SETTINGS, True)
                machine.receive_data(OPEN)
                machine.take_output()
                text = bytes(octets)
                events = machine.receive_data(text)
                ended = b"\r\n.\r\n" in b"\r\n" + text
                self.assertEqual(any(isinstance(event, MessageReceived | Rejected) for event in events), ended, text)


_INPUT = st.one_of(
    st.sampled_from(
        [
            OPEN,
            b"EHLO x\r\n",
            b"MAIL FROM:<a@x.example> SIZE=5\r\n",
            b"RCPT TO:<b@x.example>\r\n",
            b"DATA\r\n",
            b"\r\n.\r\n",
            b".\r\n",
            b"RSET\r\n",
            b"QUIT\r\n",
            b"x" * 5000,
            b"a\n",
            b"\r",
        ]
    ),
    st.binary(max_size=30),
)


class AnyClientTests(SynchronousTestCase):
    """
    Arbitrary bytes at arbitrary moments.
    """

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(st.lists(st.one_of(_INPUT, st.none()), max_size=40))
    def test_any_client(self, steps: list[bytes | None]) -> None:
        """
        Nothing raises, everything kept has a bound, and every reply is a line.
        """
        machine = SMTPServerMachine(SETTINGS, True)
        for step in steps:
            if step is not None:
                events = machine.receive_data(step)
            elif machine.awaiting_answer:
                events = machine.answer(250, "2.0.0 Ok")
            else:
                continue
            for event in events:
                if isinstance(event, MessageReceived):
                    self.assertLessEqual(len(event.content), SETTINGS.max_message_size)
                    self.assertLessEqual(len(event.recipients), SETTINGS.max_recipients)
                    self.assertIs(event, events[-1])
            output = machine.take_output()
            self.assertEqual(output.count(b"\n"), output.count(b"\r\n"))
            self.assertLessEqual(len(machine._partial), MAX_COMMAND_LINE)
            if machine._content is not None:
                self.assertLessEqual(len(machine._content._kept or b""), 2 * SETTINGS.max_message_size)

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(
        st.lists(st.sampled_from([b"", b".", b"..", b".a", b"text", b"\xc3\xa4"]), max_size=10),
        st.lists(st.integers(1, 30), min_size=1, max_size=8),
    )
    def test_byte_exact(self, lines: list[bytes], sizes: list[int]) -> None:
        """
        Content arrives byte for byte however the stream is cut.
        """
        content = b"".join(line + b"\r\n" for line in lines)
        stream = OPEN + stuff(content) + b".\r\n"
        machine = SMTPServerMachine(SETTINGS, True)
        events: list[ServerEvent] = []
        at = 0
        for size in itertools.cycle(sizes):
            events += machine.receive_data(stream[at : at + size])
            at += size
            if at >= len(stream):
                break
        (event,) = events
        assert isinstance(event, MessageReceived)
        self.assertEqual(event.content, content)
