"""
The scripted receiver, spoken to by hand.
"""

from random import Random
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from momentum_tx.testing.clock import VirtualClock
from momentum_tx.testing.network import VirtualNetwork
from momentum_tx.testing.peers import CLOSE, RESET, SILENCE, TAKE_AND_BE_SILENT, TAKE_AND_CLOSE, Answer, Receiver
from momentum_tx.testing.wire import octet_by_octet

from .test_network import Side

MAIL = (b"EHLO me", b"MAIL FROM:<a@b.example>", b"RCPT TO:<bob@example.com>", b"DATA")
BODY = b"Subject: x\r\n\r\n..dot\r\n."


class ReceiverCase(SynchronousTestCase):
    """
    One receiver and whoever talks to it.
    """

    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.network = VirtualNetwork(self.clock, Random(1))
        self.host = self.network.host("192.0.2.1")
        self.mx = Receiver(self.network, "198.51.100.7")

    def tearDown(self) -> None:
        """
        When everybody has hung up nothing is left.
        """
        self.mx.close()
        self.clock.advance(100)
        self.assertEqual(self.network.open_transports(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def connect(self) -> Side:
        """
        A client.
        """
        side = Side()
        self.host.dial("198.51.100.7", 25, "", None, lambda stream: stream.start(side), self.fail)
        self.clock.advance(0.1)
        return side

    def say(self, side: Side, *lines: bytes) -> list[bytes]:
        """
        Say *lines* one by one; the last reply line to each, or nothing.
        """
        replies = []
        for line in lines:
            before = len(b"".join(side.heard))
            side.transport.write(line + b"\r\n")
            self.clock.advance(0.1)
            replies.append(b"".join(side.heard)[before:].rstrip(b"\r\n").rpartition(b"\r\n")[2])
        return replies

    def codes(self, side: Side, *lines: bytes) -> list[bytes]:
        """
        The codes of the replies.
        """
        return [reply[:3] for reply in self.say(side, *lines)]


class WellBehavedTests(ReceiverCase):
    """
    Without a script.
    """

    def test_message(self) -> None:
        """
        A message is taken and stands in the ledger, dots undone.
        """
        side = self.connect()
        self.assertEqual(self.codes(side, *MAIL, BODY, b"QUIT"), b"250 250 250 354 250 221".split())
        (taken,) = self.mx.ledger
        self.assertEqual((taken.sender, taken.recipients), (b"a@b.example", (b"bob@example.com",)))
        self.assertEqual((taken.content, taken.source), (b"Subject: x\r\n\r\n.dot\r\n", "192.0.2.1"))
        self.assertEqual((taken.helo, taken.encrypted, taken.connection), (b"me", False, 1))
        self.assertEqual(self.mx.copies(), {(b"bob@example.com", b"x"): 1})
        self.assertEqual(len(side.ends), 1)

    def test_octet_by_octet(self) -> None:
        """
        However its input is cut.
        """
        self.network.line("198.51.100.7").split = octet_by_octet
        side = self.connect()
        side.transport.write(b"\r\n".join([*MAIL, BODY, b"RSET", b"NOOP", b"BANANA", b"QUIT", b""]))
        self.clock.advance(1)
        self.assertEqual(len(self.mx.ledger), 1)
        self.assertIn(b"500 5.5.1 What?", b"".join(side.heard))

    def test_order_of_commands(self) -> None:
        """
        It is as strict as servers are.
        """
        side = self.connect()
        self.assertEqual(
            self.codes(side, b"HELO me", b"RCPT TO:<a@b.example>", MAIL[1], MAIL[1], b"DATA", b"STARTTLS"),
            b"250 503 250 503 503 502".split(),
        )

    def test_offers(self) -> None:
        """
        EHLO offers what it is told to offer.
        """
        self.mx.pipelining = False
        self.mx.size = 1000
        self.mx.starttls = True
        side = self.connect()
        self.say(side, b"EHLO me")
        heard = b"".join(side.heard)
        self.assertIn(b"SIZE 1000", heard)
        self.assertIn(b"STARTTLS", heard)
        self.assertNotIn(b"PIPELINING", heard)
        self.assertEqual(self.codes(side, b"STARTTLS"), [b"220"])
        self.say(side, *MAIL, BODY)
        self.assertTrue(self.mx.ledger[0].encrypted)
        self.assertEqual(b"".join(side.heard).count(b"STARTTLS"), 1)


class ScriptTests(ReceiverCase):
    """
    With a script.
    """

    def test_refusals(self) -> None:
        """
        Chosen recipients, times and skips.
        """
        self.mx.refuse["bob@example.com"] = b"550 5.1.1 No"
        self.mx.on("MAIL", b"450 4.3.2 Busy", times=1, skip=1)
        side = self.connect()
        self.assertEqual(self.codes(side, *MAIL[:3], b"RSET", MAIL[1], MAIL[1]), b"250 250 550 250 450 250".split())
        self.mx.behave()
        self.assertEqual(self.codes(side, b"RCPT TO:<carol@example.com>"), [b"250"])

    def test_greylist(self) -> None:
        """
        Each recipient is refused so many times.
        """
        self.mx.greylist(2)
        side = self.connect()
        self.assertEqual(self.codes(side, *MAIL[:3], MAIL[2], MAIL[2]), b"250 250 451 451 250".split())

    def test_greeting(self) -> None:
        """
        421, silence, an end and a reset instead of a greeting.
        """
        for step, heard, ends in (
            (b"421 4.3.2 No", b"421 4.3.2 No\r\n", 1),
            (SILENCE, b"", 0),
            (CLOSE, b"", 1),
            (RESET, b"", 1),
        ):
            self.mx.behave()
            self.mx.on("connect", step)
            side = self.connect()
            self.assertEqual((b"".join(side.heard), len(side.ends)), (heard, ends))

    def test_silence(self) -> None:
        """
        Once deaf it stays deaf.
        """
        self.mx.on("RCPT", SILENCE, times=1)
        side = self.connect()
        self.assertEqual(self.say(side, MAIL[0], MAIL[1], MAIL[2], b"RSET", b"QUIT")[2:], [b"", b"", b""])

    def test_after_the_dot(self) -> None:
        """
        The end of the connection before or after the message is taken.
        """
        for step, copies, ends in ((CLOSE, 0, 1), (TAKE_AND_CLOSE, 1, 1), (TAKE_AND_BE_SILENT, 1, 0), (RESET, 0, 1)):
            self.mx.behave()
            self.mx.ledger.clear()
            self.mx.on("dot", step)
            side = self.connect()
            self.assertEqual(self.say(side, *MAIL, BODY)[-1], b"")
            self.assertEqual((len(self.mx.ledger), len(side.ends)), (copies, ends))

    def test_thinking(self) -> None:
        """
        A slow answer holds up what comes behind it, and keeps the order.
        """
        self.mx.on("MAIL", Answer(b"250 2.1.0 At last", after=5.0))
        side = self.connect()
        side.transport.write(b"\r\n".join([*MAIL, b""]))
        self.clock.advance(4)
        self.assertNotIn(b"At last", b"".join(side.heard))
        self.clock.advance(2)
        self.assertTrue(b"".join(side.heard).endswith(b"354 Go on\r\n"))

    def test_none_of_a_function(self) -> None:
        """
        What a function leaves alone the next step may do.
        """
        self.mx.on("NOOP", lambda session, line: None)
        self.mx.on("NOOP", b"250 2.0.0 Yes?")
        self.assertEqual(self.say(self.connect(), b"NOOP"), [b"250 2.0.0 Yes?"])

    def test_function(self) -> None:
        """
        A function sees session and line, and may leave it at the usual.
        """
        seen: list[tuple[int, bytes]] = []

        def step(session: Any, line: bytes) -> None:
            seen.append((session.number, line))

        self.mx.on("RCPT", step)
        self.assertEqual(self.codes(self.connect(), *MAIL[:3]), b"250 250 250".split())
        self.assertEqual(seen, [(1, MAIL[2])])

    def test_caps(self) -> None:
        """
        Connections at once, and messages on one connection.
        """
        self.mx.max_connections = 1
        self.mx.max_messages = 1
        side, other = self.connect(), self.connect()
        self.assertEqual(b"".join(other.heard)[:3], b"421")
        self.assertEqual(self.codes(side, *MAIL, BODY, MAIL[1])[-2:], [b"250", b"421"])
        self.assertEqual(len(side.ends), 1)
        self.assertEqual((self.mx.connections, self.mx.most_open, self.mx.open), (2, 2, []))

    def test_body(self) -> None:
        """
        A step at the first octets of the body.
        """
        self.mx.on("body", b"552 5.2.3 Too long", times=1)
        side = self.connect()
        self.say(side, *MAIL)
        side.transport.write(b"x" * 10)
        self.clock.advance(1)
        self.assertIn(b"552 5.2.3 Too long", b"".join(side.heard))

    def test_behind_the_go_ahead(self) -> None:
        """
        A step after STARTTLS was answered.
        """
        self.mx.starttls = True
        self.mx.on("TLS", SILENCE)
        side = self.connect()
        self.assertEqual(self.say(side, b"EHLO me", b"STARTTLS", b"EHLO me")[1:], [b"220 2.0.0 Go ahead", b""])


class LifeTests(ReceiverCase):
    """
    Down and up.
    """

    def dial(self) -> str:
        """
        What becomes of a connect.
        """
        ends: list[str] = []
        self.host.dial(
            "198.51.100.7", 25, "", None, lambda stream: ends.append("open"), lambda failure: ends.append("refused")
        )
        self.clock.advance(0.1)
        return ends[0]

    def test_down_and_up(self) -> None:
        """
        While it is down connects are refused; those that were connected see a
        reset.  Up again, it serves as before.
        """
        side = self.connect()
        self.say(side, *MAIL)
        self.mx.down()
        self.assertEqual(self.dial(), "refused")
        self.assertEqual(side.ends, [ConnectionLost])
        self.mx.down()
        self.mx.up()
        self.mx.up()
        self.assertEqual(self.codes(self.connect(), *MAIL, BODY)[-1], b"250")
        self.assertEqual((len(self.mx.ledger), self.mx.connections, len(self.mx.open)), (1, 2, 1))

    def test_down_while_it_thinks(self) -> None:
        """
        What comes due at the very moment it goes down is not said any more.
        """
        self.mx.on("dot", Answer(b"250 2.0.0 At last", after=5.0))
        side = self.connect()
        self.say(side, *MAIL)
        self.clock.callLater(5.001, self.mx.down)
        side.transport.write(BODY + b"\r\n")
        self.clock.advance(10)
        self.assertEqual((len(self.mx.ledger), self.mx.ledger[0].said, side.ends), (1, False, [ConnectionLost]))


class AccountTests(ReceiverCase):
    """
    What it counts.
    """

    def test_largest(self) -> None:
        """
        The most messages on one connection, and the most recipients one
        transaction asked for, refused ones included.
        """
        self.mx.refuse["bob@example.com"] = b"550 5.1.1 No"
        side = self.connect()
        carol = b"RCPT TO:<carol@example.com>"
        for _ in range(3):
            self.say(side, *MAIL[:3], carol, MAIL[2], MAIL[3], BODY)
        self.say(self.connect(), *MAIL[:2], carol, MAIL[3], BODY)
        self.assertEqual((self.mx.most_messages, self.mx.most_recipients), (3, 3))
        self.say(side, MAIL[1], carol, carol, b"RSET", MAIL[1], carol, carol, b"RSET")
        self.assertEqual(self.mx.most_recipients, 3)
        self.say(side, MAIL[1], *[MAIL[2]] * 4)
        self.assertEqual(self.mx.most_recipients, 4)

    def test_refusals(self) -> None:
        """
        What it refused, by the class of the reply.
        """
        self.mx.refuse["bob@example.com"] = b"550 5.1.1 No"
        self.mx.on("MAIL", b"450 4.3.2 Busy", times=1)
        self.mx.max_messages = 2
        self.say(self.connect(), MAIL[0], MAIL[1], *MAIL[1:3], b"RSET", MAIL[1], b"RSET", MAIL[1])
        self.assertEqual(self.mx.refused, {b"4": 2, b"5": 1})

    def test_commands(self) -> None:
        """
        Command lines are kept with the number of their connection, unless that
        is switched off.
        """
        self.say(self.connect(), b"NOOP")
        self.say(self.connect(), b"RSET")
        self.mx.keep_commands = False
        self.say(self.connect(), b"NOOP")
        self.assertEqual(self.mx.commands, [(1, b"NOOP"), (2, b"RSET")])
        forgetful = Receiver(self.network, "198.51.100.8", keep_commands=False)
        self.addCleanup(forgetful.close)
        self.assertFalse(forgetful.keep_commands)
